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
    struct tz_segment segment;
    tz_segment_at(tz, sec, &segment);
    int64_t local_sec = sec + segment.offset_sec;
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
    // Clocks that are set before that may show a time of the window sooner: a repeated hour has it twice.
    *ret_opens = usec_max((first_sec < segment.end_sec ? first_sec : segment.end_sec) * USEC_PER_SEC, t + 1);
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

// Instants of an interval in after < t <= upto.
static int64_t every_count(usec_t every_usec, usec_t first_usec, usec_t after, usec_t upto)
{
    if (upto < first_usec || upto <= after)
        return 0;
    int64_t up = (upto - first_usec) / every_usec + 1;
    return after < first_usec ? up : up - ((after - first_usec) / every_usec + 1);
}

// The windows of the day as seconds from first on and before end; at most two, since one may go over midnight.
static size_t day_windows(const struct trigger *trigger, struct cron_window windows[2])
{
    windows[0] = (struct cron_window){0, DAY_SEC};
    if (!trigger->has_between)
        return 1;
    int32_t first = trigger->between_first_sec, end = trigger->between_last_sec < DAY_SEC ? trigger->between_last_sec + 1 : DAY_SEC;
    if (first <= trigger->between_last_sec) {
        windows[0] = (struct cron_window){first, end};
        return 1;
    }
    windows[0] = (struct cron_window){0, end};
    windows[1] = (struct cron_window){first, DAY_SEC};
    return 2;
}

// Instants of an interval within the windows of the day: window by window, in each stretch of time with one offset.
static int64_t every_count_between(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, usec_t after, usec_t upto)
{
    struct cron_window windows[2];
    size_t n_windows = day_windows(trigger, windows);
    int64_t n = 0, sec = floor_sec(usec_max(after, first_usec - 1)), end_sec = floor_sec(upto) + 1;
    while (sec < end_sec) {
        struct tz_segment segment;
        tz_segment_at(tz, sec, &segment);
        int64_t part_end_sec = end_sec < segment.end_sec ? end_sec : segment.end_sec;
        int64_t local_sec = sec + segment.offset_sec;
        int64_t day_sec = local_sec - ((local_sec % DAY_SEC) + DAY_SEC) % DAY_SEC - segment.offset_sec;
        for (; day_sec < part_end_sec; day_sec += DAY_SEC)
            for (size_t i = 0; i < n_windows; i++) {
                int64_t opens_sec = day_sec + windows[i].first_sec, shuts_sec = day_sec + windows[i].end_sec;
                // A window shuts with the instant of its last second, and only the end of the day after all of it.
                bool whole = windows[i].end_sec == DAY_SEC && (i == 1 || trigger->between_last_sec != DAY_SEC - 1);
                usec_t last = whole ? shuts_sec * USEC_PER_SEC - 1 : (shuts_sec - 1) * USEC_PER_SEC;
                usec_t from = usec_max(usec_max(after, opens_sec * USEC_PER_SEC - 1), sec * USEC_PER_SEC - 1);
                usec_t to = usec_min(usec_min(upto, last), part_end_sec * USEC_PER_SEC - 1);
                n += every_count(trigger->every_usec, first_usec, from, to);
            }
        sec = part_end_sec;
    }
    return n;
}

int64_t schedule_count(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, usec_t after, usec_t upto)
{
    must(trigger != NULL && upto != USEC_NEVER);
    if (trigger->from_usec != 0 && after < trigger->from_usec - 1)
        after = trigger->from_usec - 1;
    if (trigger->until_usec != 0 && upto >= trigger->until_usec)
        upto = trigger->until_usec - 1;
    if (upto <= after)
        return 0;
    struct cron_window windows[2];
    switch (trigger->kind) {
    case TRIGGER_EVERY:
        if (trigger->has_between)
            return tz != NULL ? every_count_between(trigger, tz, first_usec, after, upto) : 0;
        return every_count(trigger->every_usec, first_usec, after, upto);
    case TRIGGER_CRON:
        return tz != NULL ? cron_count(&trigger->cron, tz, after, upto, windows, day_windows(trigger, windows)) : 0;
    case TRIGGER_AT:
    case TRIGGER_AFTER_END:
        return schedule_next(trigger, tz, first_usec, after) <= upto;
    }
    unreachable();
}

usec_t schedule_newest(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, usec_t after, usec_t upto, int64_t n)
{
    must(n > 0);
    int64_t all = schedule_count(trigger, tz, first_usec, after, upto);
    if (all == 0)
        return USEC_NEVER;
    // The last argument behind which there are still n of them.
    usec_t yes = after, no = upto;
    while (all > n && no - yes > 1) {
        usec_t middle = yes + (no - yes) / 2;
        if (schedule_count(trigger, tz, first_usec, middle, upto) >= n)
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
