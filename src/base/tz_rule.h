// SPDX-License-Identifier: Apache-2.0
// The rule for times after the last transition of a zone: the text of POSIX TZ, as in "CET-1CEST,M3.5.0,M10.5.0/3". Used by tz.c.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/tz.h"

enum tz_day_kind { TZ_DAY_JULIAN, TZ_DAY_ZERO, TZ_DAY_WEEK };

// One yearly change: on which day, and how many seconds after its midnight (may be negative or more than a day).
struct tz_change {
    enum tz_day_kind kind;
    int day;     // JULIAN: 1..365, February 29 is never counted. ZERO: 0..365. WEEK: weekday, Sunday is 0
    int week;    // WEEK: 1..5, 5 is the last
    int month;   // WEEK: 1..12
    int32_t sec;
};

struct tz_rule {
    int32_t std_offset_sec; // east
    int32_t dst_offset_sec;
    bool has_dst;
    struct tz_change start; // of daylight saving time
    struct tz_change end;
};

// Reads len bytes. ERR_INVALID.
int tz_rule_parse(const char *text, size_t len, struct tz_rule *ret);
// The segment that the rule gives for an instant within +-TZ_SEC_MAX.
void tz_rule_segment(const struct tz_rule *rule, int64_t sec, struct tz_segment *ret);
