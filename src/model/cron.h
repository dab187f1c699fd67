// SPDX-License-Identifier: Apache-2.0
// A cron expression as sets, and the search for its next instant. Text is read by codec/cron_text; zones come from base/tz.
//
// The DST rule. A fixed expression names wall times: one that does not exist fires at the first instant after the gap, one that
// exists twice fires once, the first time, and several that fall on one instant fire once. A wild expression (hour_wild or
// minute_wild) follows elapsed time: it fires whenever the wall clock shows a matching time, so in the repeated hour it goes on
// firing, and in the hour that is skipped there is nothing to fire.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

struct tz; // base/tz.h

enum { CRON_YEAR_FIRST = 1970, CRON_YEAR_LAST = 2099 };

// Words of the set of years.
#define CRON_YEAR_WORDS 3

struct cron {
    uint64_t second; // bit i: second i; the single bit 0 for five fields
    uint64_t minute;
    uint32_t hour;
    uint32_t day_of_month; // bits 1..31
    uint16_t month;        // bits 1..12
    uint8_t day_of_week;   // bits 0..6, Sunday is 0
    // Days that depend on the month; each of them counts for the day field it was written in.
    uint32_t before_last;         // bit n: n days before the last of the month (L, L-n), n 0..30
    uint32_t weekday_near;        // bits 1..31: the Monday to Friday nearest to that day, within the month (nW)
    uint32_t weekday_before_last; // bit n: the one nearest to n days before the last (LW, L-nW)
    uint8_t nth_weekday[6];       // [1]..[5]: weekdays of which the n-th of the month is meant (d#n); [0]: the last (dL)
    uint64_t year[CRON_YEAR_WORDS]; // bit i of them all: the year 1970+i, up to CRON_YEAR_LAST; none set: every year
    bool day_of_month_any; // the field was `*`: only the other day field decides (otherwise either may match)
    bool day_of_week_any;
    bool hour_wild;        // hour was `*` or a step of it: the DST rule for wild cards applies
    bool minute_wild;      // minute was, or with six fields second was
};

// The first instant after `after` (wall time in usec, whole seconds come back). USEC_NEVER when there is none within 400 years;
// bounded work for every expression.
usec_t cron_next(const struct cron *, const struct tz *, usec_t after);
// The last instant before `before`, likewise: cron_next(cron_prev(t)) >= t, and nothing lies between. USEC_NEVER when there is none
// within 400 years.
usec_t cron_prev(const struct cron *, const struct tz *, usec_t before);

// How many instants lie in after < t <= upto, without visiting them: the work grows with the months and the changes of the clocks between,
// whatever the expression. Only those are counted at which the clocks show a time of the day in one of the windows (n of them; seconds of the
// day from first on and before end, which do not overlap).
struct cron_window {
    int32_t first_sec, end_sec;
};
int64_t cron_count(const struct cron *, const struct tz *, usec_t after, usec_t upto, const struct cron_window *windows, size_t n);
