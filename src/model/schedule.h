// SPDX-License-Identifier: Apache-2.0
// The instants of a trigger: those of its cron text, interval or single instant that lie within its bounds. Pure: the core, the API
// and the check of job files ask here, so that what is shown is what will happen.
#pragma once

#include "base/time.h"
#include "model/calendar.h"
#include "model/job_spec.h"

struct tz;

// The first instant after `after`; USEC_NEVER when there is none. tz is the zone of the trigger and may be NULL for an instant or an
// unbounded interval. Intervals count from first_usec, which is an instant itself; it is
// the only one that is known of a delay after the last end. Bounded work: a window of the day that no
// instant falls into is given up after SCHEDULE_WINDOWS_MAX windows.
usec_t schedule_next(const struct trigger *, const struct tz *tz, usec_t first_usec, usec_t after);

#define SCHEDULE_WINDOWS_MAX 1000

// The last instant before `before`, likewise; USEC_NEVER when there is none within 400 years.
usec_t schedule_prev(const struct trigger *, const struct tz *tz, usec_t first_usec, usec_t before);

// How many instants lie in after < t <= upto, without visiting them: the work grows with the days between at most.
int64_t schedule_count(const struct trigger *, const struct tz *tz, usec_t first_usec, usec_t after, usec_t upto);
// The first of the last n instants in after < t <= upto; of all of them when there are fewer. USEC_NEVER: there is none.
usec_t schedule_newest(const struct trigger *, const struct tz *tz, usec_t first_usec, usec_t after, usec_t upto, int64_t n);
// ---- days (schedule_days.c): which instants fall on days of a set, by the clocks of the zone. The work is bounded by the number of spans of
// the set.

// The local day of an instant.
int32_t schedule_day(const struct tz *, usec_t instant);
// The first instant after `after` on no day of left_out (NULL: of none); USEC_NEVER when there is none. *ret_left_out is the first instant that
// was passed over on the way, USEC_NEVER when none was.
usec_t schedule_next_open(const struct trigger *, const struct tz *, usec_t first_usec, const struct day_set *left_out, usec_t after,
                          usec_t *ret_left_out);
// The first instant after `after` on a day of the set; USEC_NEVER when there is none.
usec_t schedule_next_on(const struct trigger *, const struct tz *, usec_t first_usec, const struct day_set *, usec_t after);
// The last instant before `before` that lies on a day of the set (inside), or on none (!inside); USEC_NEVER: none within 400 years.
usec_t schedule_prev_on(const struct trigger *, const struct tz *, usec_t first_usec, const struct day_set *, bool inside, usec_t before);
// How many instants lie in after < t <= upto on days of the set; days are counted, not instants.
int64_t schedule_count_on(const struct trigger *, const struct tz *, usec_t first_usec, const struct day_set *, usec_t after, usec_t upto);
// The same for those on no day of left_out (NULL: of none), and for schedule_newest().
int64_t schedule_count_open(const struct trigger *, const struct tz *tz, usec_t first_usec, const struct day_set *left_out, usec_t after, usec_t upto);
usec_t schedule_newest_open(const struct trigger *, const struct tz *tz, usec_t first_usec, const struct day_set *left_out, usec_t after, usec_t upto,
                            int64_t n);

// By how much the fire of an instant is put off: a number of the range 0..jitter_usec that job and instant give, always the same.
usec_t schedule_jitter(const struct trigger *, uint64_t job_id, usec_t instant);
