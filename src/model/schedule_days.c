// SPDX-License-Identifier: Apache-2.0
// Instants and the days of calendars. See model/schedule.h.
#include "base/assert.h"
#include "base/tz.h"
#include "model/schedule.h"

enum { DAY_SEC = 86400 };

static int64_t floor_sec(usec_t usec)
{
    return usec / USEC_PER_SEC - (usec % USEC_PER_SEC < 0);
}

static int32_t day_of_local(int64_t local_sec)
{
    return (int32_t)(local_sec / DAY_SEC - (local_sec % DAY_SEC < 0));
}

int32_t schedule_day(const struct tz *tz, usec_t instant)
{
    int64_t sec = floor_sec(instant);
    return day_of_local(sec + tz_offset(tz, sec));
}

// The first and the last instant at which a day begins: one, but where clocks are put back over midnight.
static void day_begins(const struct tz *tz, int64_t day, usec_t *ret_first, usec_t *ret_last)
{
    int64_t first_sec = 0, last_sec = 0;
    (void)tz_from_local(tz, day * DAY_SEC, &first_sec, &last_sec);
    *ret_first = first_sec * USEC_PER_SEC;
    *ret_last = last_sec * USEC_PER_SEC;
}

// Beyond this nobody asks for days, and every sum stays in its type.
static bool too_far(usec_t instant)
{
    return instant == USEC_NEVER || instant / USEC_PER_SEC > (int64_t)(CALENDAR_DAY_LAST + 366) * DAY_SEC;
}

usec_t schedule_next_open(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, const struct day_set *left_out, usec_t after,
                          usec_t *ret_left_out)
{
    *ret_left_out = USEC_NEVER;
    usec_t next = schedule_next(trigger, tz, first_usec, after);
    if (left_out == NULL || left_out->n == 0)
        return next;
    must(tz != NULL);
    while (next != USEC_NEVER) {
        int32_t day = too_far(next) ? INT32_MAX : schedule_day(tz, next);
        size_t at = day_set_at(left_out, day);
        if (at == left_out->n || left_out->spans[at].first > day)
            return next;
        *ret_left_out = usec_min(*ret_left_out, next);
        if (left_out->spans[at].last == INT32_MAX)
            break;
        usec_t first = 0, last = 0;
        day_begins(tz, (int64_t)left_out->spans[at].last + 1, &first, &last);
        usec_t opens = first > next ? first : usec_max(last, next + 1);
        usec_t following = schedule_next(trigger, tz, first_usec, opens - 1);
        must(following > next);
        next = following;
    }
    return USEC_NEVER;
}

usec_t schedule_next_on(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, const struct day_set *set, usec_t after)
{
    must(tz != NULL);
    for (;;) {
        usec_t next = schedule_next(trigger, tz, first_usec, after);
        if (next == USEC_NEVER)
            return USEC_NEVER;
        int32_t day = too_far(next) ? INT32_MAX : schedule_day(tz, next);
        size_t at = day_set_at(set, day);
        if (at == set->n)
            return USEC_NEVER;
        if (set->spans[at].first <= day)
            return next;
        // To the beginning of the next span, and where that comes twice, back to where the day before it goes on.
        usec_t first = 0, last = 0;
        day_begins(tz, set->spans[at].first, &first, &last);
        after = usec_max(first - 1, next);
    }
}

usec_t schedule_prev_on(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, const struct day_set *set, bool inside, usec_t before)
{
    must(tz != NULL);
    for (;;) {
        usec_t found = schedule_prev(trigger, tz, first_usec, before);
        if (found == USEC_NEVER)
            return USEC_NEVER;
        int32_t day = schedule_day(tz, found);
        size_t at = day_set_at(set, day);
        bool has = at < set->n && set->spans[at].first <= day;
        if (has == inside)
            return found;
        // Back over the rest of this span, or of the gap between two.
        usec_t first = 0, last = 0;
        if (has && set->spans[at].first == INT32_MIN)
            return USEC_NEVER;
        if (!has && at == 0)
            return USEC_NEVER;
        day_begins(tz, has ? set->spans[at].first : (int64_t)set->spans[at - 1].last + 1, &first, &last);
        before = usec_min(last, found); // where a day begins twice, the one before it goes on until the second time
    }
}

// Those of a stretch in which a day and its neighbour take turns, because clocks are put back over midnight.
static int64_t count_slowly(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, const struct day_set *set, usec_t after, usec_t upto)
{
    int64_t n = 0;
    for (usec_t at = schedule_next(trigger, tz, first_usec, after); at <= upto; at = schedule_next(trigger, tz, first_usec, at))
        n += day_set_has(set, schedule_day(tz, at));
    return n;
}

int64_t schedule_count_on(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, const struct day_set *set, usec_t after, usec_t upto)
{
    must(tz != NULL && upto != USEC_NEVER);
    if (upto <= after)
        return 0;
    int64_t n = 0;
    // The day before may still be shown, and the one after already, where clocks are put back over midnight.
    int32_t first_day = schedule_day(tz, after) - 1, last_day = schedule_day(tz, upto) + 1;
    for (size_t i = day_set_at(set, first_day); i < set->n && set->spans[i].first <= last_day; i++) {
        usec_t from = after, to = upto, first = 0, last = 0;
        if (set->spans[i].first > first_day) {
            day_begins(tz, set->spans[i].first, &first, &last);
            n += first < last ? count_slowly(trigger, tz, first_usec, set, usec_max(after, first - 1), usec_min(upto, last - 1)) : 0;
            from = usec_max(after, last - 1);
        }
        if (set->spans[i].last < last_day) {
            day_begins(tz, (int64_t)set->spans[i].last + 1, &first, &last);
            n += first < last ? count_slowly(trigger, tz, first_usec, set, usec_max(after, first - 1), usec_min(upto, last - 1)) : 0;
            to = usec_min(upto, first - 1);
        }
        n += from < to ? schedule_count(trigger, tz, first_usec, from, to) : 0;
    }
    return n;
}

int64_t schedule_count_open(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, const struct day_set *left_out, usec_t after, usec_t upto)
{
    int64_t n = schedule_count(trigger, tz, first_usec, after, upto);
    if (left_out == NULL || left_out->n == 0 || n == 0)
        return n;
    return n - schedule_count_on(trigger, tz, first_usec, left_out, after, upto);
}

usec_t schedule_newest_open(const struct trigger *trigger, const struct tz *tz, usec_t first_usec, const struct day_set *left_out, usec_t after, usec_t upto,
                            int64_t n)
{
    must(n > 0);
    if (left_out == NULL || left_out->n == 0)
        return schedule_newest(trigger, tz, first_usec, after, upto, n);
    int64_t all = schedule_count_open(trigger, tz, first_usec, left_out, after, upto);
    if (all == 0)
        return USEC_NEVER;
    usec_t yes = after, no = upto, passed = 0;
    while (all > n && no - yes > 1) {
        usec_t middle = yes + (no - yes) / 2;
        if (schedule_count_open(trigger, tz, first_usec, left_out, middle, upto) >= n)
            yes = middle;
        else
            no = middle;
    }
    return schedule_next_open(trigger, tz, first_usec, left_out, yes, &passed);
}
