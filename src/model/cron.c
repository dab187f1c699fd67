// SPDX-License-Identifier: Apache-2.0
// The search for the next instant of a cron expression: by months, days and bits of the sets, never minute by minute.
#include "model/cron.h"

#include "base/assert.h"
#include "base/tz.h"

enum { DAY_SEC = 86400, HOUR_SEC = 3600, YEARS_AHEAD = 400 };

// No reading or instant.
#define NONE INT64_MAX

// The lowest member of a set that is not below least, or -1.
static int set_next(uint64_t set, int least)
{
    must(least >= 0);
    if (least > 63)
        return -1;
    set &= ~UINT64_C(0) << least;
    return set == 0 ? -1 : __builtin_ctzll(set);
}

static uint64_t seconds_of(const struct cron *cron)
{
    return cron->second & ((UINT64_C(1) << 60) - 1);
}

static uint64_t minutes_of(const struct cron *cron)
{
    return cron->minute & ((UINT64_C(1) << 60) - 1);
}

static uint64_t hours_of(const struct cron *cron)
{
    return cron->hour & ((1u << 24) - 1);
}

// The days of a month that match, as bits 1..31.
static uint32_t days_of(const struct cron *cron, int64_t year, int month)
{
    int n_days = month_days(year, month);
    uint32_t all = (uint32_t)(((UINT64_C(1) << n_days) - 1) << 1);
    uint32_t by_date = cron->day_of_month & all;
    uint32_t by_weekday = 0;
    int weekday = weekday_from_days(days_from_civil(year, month, 1));
    for (int day = 1; day <= n_days; day++, weekday = (weekday + 1) % 7)
        if (cron->day_of_week & (1u << weekday))
            by_weekday |= 1u << day;
    if (cron->day_of_month_any && cron->day_of_week_any)
        return all;
    if (cron->day_of_month_any)
        return by_weekday;
    return cron->day_of_week_any ? by_date : by_date | by_weekday;
}

// The first matching day that is not before `day` (days since 1970-01-01), or NONE within YEARS_AHEAD years.
static int64_t day_next(const struct cron *cron, int64_t day)
{
    int64_t year = 0;
    int month = 0, day_of_month = 0;
    civil_from_days(day, &year, &month, &day_of_month);
    for (int64_t last = year + YEARS_AHEAD; year <= last; year++, month = 1, day_of_month = 1) {
        for (int m = month; m <= 12; m++, day_of_month = 1) {
            if ((cron->month & (1u << m)) == 0)
                continue;
            int found = set_next(days_of(cron, year, m), day_of_month);
            if (found > 0)
                return days_from_civil(year, m, found);
        }
    }
    return NONE;
}

// The first matching second of a day that is not before sec, or -1.
static int second_of_day_next(const struct cron *cron, int sec)
{
    must(sec >= 0 && sec < DAY_SEC);
    int hour = sec / HOUR_SEC;
    int minute = sec / 60 % 60;
    int second = sec % 60;
    // What is left of this minute, then of this hour, then the next hour.
    bool hour_matches = set_next(hours_of(cron), hour) == hour;
    if (hour_matches && set_next(minutes_of(cron), minute) == minute) {
        int found = set_next(seconds_of(cron), second);
        if (found >= 0)
            return hour * HOUR_SEC + minute * 60 + found;
    }
    int first_second = set_next(seconds_of(cron), 0);
    int first_minute = set_next(minutes_of(cron), 0);
    if (first_second < 0 || first_minute < 0)
        return -1;
    if (hour_matches) {
        int found = set_next(minutes_of(cron), minute + 1);
        if (found >= 0)
            return hour * HOUR_SEC + found * 60 + first_second;
    }
    int found = set_next(hours_of(cron), hour + 1);
    return found < 0 ? -1 : found * HOUR_SEC + first_minute * 60 + first_second;
}

// The first matching reading that is not before local_sec, or NONE.
static int64_t local_next(const struct cron *cron, int64_t local_sec)
{
    int64_t day = local_sec / DAY_SEC - (local_sec % DAY_SEC < 0);
    int64_t match = day_next(cron, day);
    if (match == NONE)
        return NONE;
    if (match == day) {
        int found = second_of_day_next(cron, (int)(local_sec - day * DAY_SEC));
        if (found >= 0)
            return day * DAY_SEC + found;
        match = day_next(cron, day + 1);
        if (match == NONE)
            return NONE;
    }
    int first = second_of_day_next(cron, 0);
    return first < 0 ? NONE : match * DAY_SEC + first;
}

// Elapsed time: segment by segment of constant offset.
static int64_t next_wild(const struct cron *cron, const struct tz *tz, int64_t sec, int64_t horizon_sec)
{
    while (sec <= horizon_sec) {
        struct tz_segment segment;
        tz_segment_at(tz, sec, &segment);
        int64_t local_sec = local_next(cron, sec + segment.offset_sec);
        if (local_sec == NONE)
            return NONE;
        if (local_sec - segment.offset_sec < segment.end_sec)
            return local_sec - segment.offset_sec;
        must(segment.end_sec > sec);
        sec = segment.end_sec;
    }
    return NONE;
}

// Wall times: reading by reading, each at its first instant.
static int64_t next_fixed(const struct cron *cron, const struct tz *tz, int64_t sec, int64_t horizon_sec)
{
    struct tz_segment segment;
    tz_segment_at(tz, sec, &segment);
    int64_t local_sec = sec + segment.offset_sec;
    if (segment.start_sec > sec - DAY_SEC * 2) {
        // Readings that the clock showed before it was put back have had their turn; those that it skips at this very instant
        // are due now.
        struct tz_segment before;
        tz_segment_at(tz, segment.start_sec - 1, &before);
        if (segment.start_sec + before.offset_sec > local_sec || segment.start_sec == sec)
            local_sec = segment.start_sec + before.offset_sec;
    }
    for (;;) {
        local_sec = local_next(cron, local_sec);
        if (local_sec == NONE || local_sec > horizon_sec)
            return NONE;
        int64_t first_sec = 0, last_sec = 0;
        (void)tz_from_local(tz, local_sec, &first_sec, &last_sec);
        if (first_sec >= sec)
            return first_sec;
        local_sec++;
    }
}

usec_t cron_next(const struct cron *cron, const struct tz *tz, usec_t after)
{
    must(cron != NULL && tz != NULL);
    const int64_t most_sec = INT64_MAX / USEC_PER_SEC - (int64_t)(YEARS_AHEAD + 2) * 366 * DAY_SEC;
    int64_t sec = after / USEC_PER_SEC - (after % USEC_PER_SEC < 0) + 1;
    if (sec > most_sec)
        return USEC_NEVER;
    if (sec < -most_sec)
        sec = -most_sec;
    int64_t horizon_sec = sec + (int64_t)YEARS_AHEAD * 366 * DAY_SEC;
    int64_t next_sec = cron->hour_wild || cron->minute_wild ? next_wild(cron, tz, sec, horizon_sec)
                                                             : next_fixed(cron, tz, sec, horizon_sec);
    if (next_sec == NONE)
        return USEC_NEVER;
    must(next_sec >= sec && next_sec <= INT64_MAX / USEC_PER_SEC);
    return next_sec * USEC_PER_SEC;
}
