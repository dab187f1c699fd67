// SPDX-License-Identifier: Apache-2.0
// Instants within the bounds of a trigger.
#include "model/schedule.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/tz.h"
#include "model/cron.h"

enum { DAY_SEC = 86400 };

static usec_t every_next(usec_t every_usec, usec_t first_usec, usec_t after)
{
    must(every_usec > 0);
    if (first_usec == USEC_NEVER || after < first_usec)
        return first_usec;
    usec_t steps = (after - first_usec) / every_usec + 1;
    if (steps > (USEC_NEVER - first_usec) / every_usec)
        return USEC_NEVER;
    return first_usec + steps * every_usec;
}

// Regardless of bounds.
static usec_t plain_next(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, usec_t after)
{
    switch (trigger->kind) {
    case TRIGGER_EVERY:
        return every_next(trigger->every_usec, first_usec, after);
    case TRIGGER_AFTER_END:
        return first_usec > after ? first_usec : USEC_NEVER;
    case TRIGGER_AT:
        return trigger->at_usec > after ? trigger->at_usec : USEC_NEVER;
    case TRIGGER_CRON:
        return tz != NULL ? cron_next(&trigger->cron, tz, after) : USEC_NEVER;
    }
    unreachable();
}

static int64_t floor_sec(usec_t usec)
{
    return usec / USEC_PER_SEC - (usec % USEC_PER_SEC < 0);
}

// Whether the clocks show a time within the window of the day; if not, *ret_opens is the first instant after t at which they will.
static bool in_window(const struct trigger *trigger, const struct tz *tz, usec_t t, usec_t *ret_opens)
{
    int64_t sec = floor_sec(t);
    int64_t local_sec = sec + tz_offset(tz, sec);
    int64_t day_sec = local_sec - ((local_sec % DAY_SEC) + DAY_SEC) % DAY_SEC;
    int32_t of_day = (int32_t)(local_sec - day_sec);
    int32_t first = trigger->between_first_sec, last = trigger->between_last_sec;
    // The end is in it, and nothing behind it: 18:00:00.5 is later than 18:00.
    bool past_last = of_day > last || (of_day == last && t % USEC_PER_SEC != 0);
    bool inside = first <= last ? of_day >= first && !past_last : of_day >= first || !past_last;
    if (inside)
        return true;
    int64_t opens_local_sec = day_sec + first + (of_day < first ? 0 : DAY_SEC);
    int64_t first_sec = 0, last_sec = 0;
    (void)tz_from_local(tz, opens_local_sec, &first_sec, &last_sec);
    *ret_opens = usec_max(first_sec * USEC_PER_SEC, t + 1);
    return false;
}

usec_t schedule_next(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, usec_t after)
{
    must(trigger != NULL);
    if (trigger->from_usec != 0 && after < trigger->from_usec - 1)
        after = trigger->from_usec - 1;
    usec_t next = plain_next(trigger, tz, first_usec, after);
    must(next > after || next == first_usec);
    for (int windows = 0; trigger->has_between && next != USEC_NEVER; windows++) {
        usec_t opens = 0;
        if (tz == NULL || windows == SCHEDULE_WINDOWS_MAX)
            return USEC_NEVER;
        if (next / USEC_PER_SEC > TZ_SEC_MAX - DAY_SEC * 2 || in_window(trigger, tz, next, &opens))
            break;
        next = plain_next(trigger, tz, first_usec, opens - 1);
    }
    if (trigger->until_usec != 0 && next >= trigger->until_usec)
        return USEC_NEVER;
    return next;
}

usec_t schedule_prev(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, usec_t before)
{
    must(trigger != NULL);
    const usec_t most_usec = (usec_t)400 * 366 * DAY_SEC * USEC_PER_SEC;
    // schedule_next() never goes back as its argument grows, so the last argument that gives something before `before` leads to the wanted
    // instant: look for it first in growing strides, then by halves.
    usec_t no = before, yes = usec_sub(before, 1);
    for (usec_t stride = USEC_PER_MIN; schedule_next(trigger, tz, first_usec, yes) >= before; stride *= 4) {
        if (stride > most_usec)
            return USEC_NEVER;
        no = yes;
        yes = usec_sub(before, stride);
    }
    while (no - yes > 1) {
        usec_t first = schedule_next(trigger, tz, first_usec, yes);
        must(first > yes && first < before);
        if (schedule_next(trigger, tz, first_usec, first) >= before)
            return first;
        yes = first;
        usec_t middle = yes + (no - yes) / 2;
        if (schedule_next(trigger, tz, first_usec, middle) < before)
            yes = middle;
        else
            no = middle;
    }
    return schedule_next(trigger, tz, first_usec, yes);
}

usec_t schedule_jitter(const struct trigger *trigger, uint64_t job_id, usec_t instant)
{
    must(trigger->jitter_usec >= 0);
    if (trigger->jitter_usec == 0 || instant == USEC_NEVER)
        return 0;
    return (usec_t)(hash_u64(hash_u64(job_id) ^ (uint64_t)instant) % ((uint64_t)trigger->jitter_usec + 1));
}
