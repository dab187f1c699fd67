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

// The first day of the month that is this weekday.
static int first_weekday(int weekday, int weekday_of_first)
{
    return 1 + (weekday - weekday_of_first + 7) % 7;
}

// The Monday to Friday nearest to a day of the month, as a bit; 0 when the month has no such day.
static uint32_t near_weekday(int day, int n_days, int weekday_of_first)
{
    if (day < 1 || day > n_days)
        return 0;
    int weekday = (weekday_of_first + day - 1) % 7;
    if (weekday == 6)
        day += day > 1 ? -1 : 2;
    else if (weekday == 0)
        day += day < n_days ? 1 : -2;
    return 1u << day;
}

// Days of L, L-n, nW, LW and L-nW.
static uint32_t special_dates(const struct cron *cron, int n_days, int weekday_of_first)
{
    uint32_t days = 0;
    for (uint32_t set = cron->before_last; set != 0; set &= set - 1) {
        int day = n_days - __builtin_ctz(set);
        days |= day >= 1 ? 1u << day : 0;
    }
    for (uint32_t set = cron->weekday_near; set != 0; set &= set - 1)
        days |= near_weekday(__builtin_ctz(set), n_days, weekday_of_first);
    for (uint32_t set = cron->weekday_before_last; set != 0; set &= set - 1)
        days |= near_weekday(n_days - __builtin_ctz(set), n_days, weekday_of_first);
    return days;
}

// Days of weekdays, d#n and dL; may hold bits behind the month's last day.
static uint32_t weekday_dates(const struct cron *cron, int n_days, int weekday_of_first)
{
    const uint64_t every_week = 0x10204081; // bits 0, 7, 14, 21, 28
    uint64_t days = 0;
    for (int weekday = 0; weekday < 7; weekday++) {
        int first = first_weekday(weekday, weekday_of_first);
        if (cron->day_of_week & (1u << weekday))
            days |= every_week << first;
        for (int n = 1; n <= 5; n++)
            if (cron->nth_weekday[n] & (1u << weekday))
                days |= UINT64_C(1) << (first + (n - 1) * 7);
        if (cron->nth_weekday[0] & (1u << weekday))
            days |= UINT64_C(1) << (first + (n_days - first) / 7 * 7);
    }
    return (uint32_t)days;
}

// The days of a month that match, as bits 1..31.
static uint32_t days_of(const struct cron *cron, int64_t year, int month)
{
    int n_days = month_days(year, month);
    uint32_t all = (uint32_t)(((UINT64_C(1) << n_days) - 1) << 1);
    if (cron->day_of_month_any && cron->day_of_week_any)
        return all;
    int weekday = weekday_from_days(days_from_civil(year, month, 1));
    uint32_t by_date = (cron->day_of_month | special_dates(cron, n_days, weekday)) & all;
    uint32_t by_weekday = weekday_dates(cron, n_days, weekday) & all;
    if (cron->day_of_month_any)
        return by_weekday;
    return cron->day_of_week_any ? by_date : by_date | by_weekday;
}

static bool has_years(const struct cron *cron)
{
    uint64_t any = 0;
    for (int i = 0; i < CRON_YEAR_WORDS; i++)
        any |= cron->year[i];
    return any != 0;
}

static bool year_matches(const struct cron *cron, int64_t year)
{
    _Static_assert(CRON_YEAR_LAST - CRON_YEAR_FIRST < CRON_YEAR_WORDS * 64, "every year has its bit");
    if (!has_years(cron))
        return true;
    int64_t i = year - CRON_YEAR_FIRST;
    return i >= 0 && i <= CRON_YEAR_LAST - CRON_YEAR_FIRST && (cron->year[i / 64] >> (i % 64) & 1) != 0;
}

// The first matching day that is not before `day` (days since 1970-01-01), or NONE within YEARS_AHEAD years.
static int64_t day_next(const struct cron *cron, int64_t day)
{
    int64_t year = 0;
    int month = 0, day_of_month = 0;
    civil_from_days(day, &year, &month, &day_of_month);
    for (int64_t last = year + YEARS_AHEAD; year <= last; year++, month = 1, day_of_month = 1) {
        if (!year_matches(cron, year))
            continue;
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

// Whether an instant lies in (after_sec, before_usec).
static bool fires_between(const struct cron *cron, const struct tz *tz, int64_t after_sec, usec_t before)
{
    return cron_next(cron, tz, after_sec * USEC_PER_SEC) < before;
}

usec_t cron_prev(const struct cron *cron, const struct tz *tz, usec_t before)
{
    must(cron != NULL && tz != NULL);
    const int64_t most_sec = INT64_MAX / USEC_PER_SEC - (int64_t)(YEARS_AHEAD + 2) * 366 * DAY_SEC;
    int64_t end_sec = before / USEC_PER_SEC - (before % USEC_PER_SEC < 0); // fires at or behind it are not before it, unless it was cut
    if (end_sec > most_sec)
        end_sec = most_sec;
    if (end_sec < -most_sec)
        return USEC_NEVER;
    // fires_between() is true up to the second before the wanted instant and false from that instant on: look for this edge, first
    // in growing strides, then by halves.
    const int64_t stride_most_sec = (int64_t)YEARS_AHEAD * 366 * DAY_SEC;
    int64_t no_sec = end_sec, yes_sec = end_sec - 1;
    for (int64_t stride_sec = 60; !fires_between(cron, tz, yes_sec, before); stride_sec *= 4) {
        if (stride_sec > stride_most_sec * 4)
            return USEC_NEVER;
        no_sec = yes_sec;
        yes_sec = end_sec - stride_sec;
    }
    while (no_sec - yes_sec > 1) {
        // The first instant of the span says more than its middle.
        int64_t first_sec = cron_next(cron, tz, yes_sec * USEC_PER_SEC) / USEC_PER_SEC;
        must(first_sec > yes_sec);
        if (!fires_between(cron, tz, first_sec, before))
            return first_sec * USEC_PER_SEC;
        yes_sec = first_sec;
        int64_t middle_sec = yes_sec + (no_sec - yes_sec) / 2;
        if (fires_between(cron, tz, middle_sec, before))
            yes_sec = middle_sec;
        else
            no_sec = middle_sec;
    }
    return cron_next(cron, tz, yes_sec * USEC_PER_SEC);
}

// What is counted: an expression within windows of the day.
struct counting {
    const struct cron *cron;
    const struct cron_window *windows;
    size_t n_windows;
};

static int bits_below(uint64_t set, int end)
{
    return __builtin_popcountll(end > 63 ? set : set & ((UINT64_C(1) << end) - 1));
}

// Matching seconds of a day before `end`, windows left aside.
static int64_t seconds_before(const struct cron *cron, int end)
{
    must(end >= 0 && end <= DAY_SEC);
    uint64_t seconds = seconds_of(cron), minutes = minutes_of(cron), hours = hours_of(cron);
    int hour = end / HOUR_SEC, minute = end / 60 % 60;
    int64_t per_minute = bits_below(seconds, 60), per_hour = per_minute * bits_below(minutes, 60);
    int64_t n = per_hour * bits_below(hours, hour);
    if (hour > 23 || (hours >> hour & 1) == 0)
        return n;
    n += per_minute * bits_below(minutes, minute);
    return (minutes >> minute & 1) == 0 ? n : n + bits_below(seconds, end % 60);
}

// Matching seconds of a day that matches, from first on and before end, within the windows.
static int64_t count_of_day(const struct counting *c, int first, int end)
{
    int64_t n = 0;
    for (size_t i = 0; i < c->n_windows; i++) {
        int from = first > c->windows[i].first_sec ? first : c->windows[i].first_sec;
        int to = end < c->windows[i].end_sec ? end : c->windows[i].end_sec;
        if (from < to)
            n += seconds_before(c->cron, to) - seconds_before(c->cron, from);
    }
    return n;
}

// Matching days from first on and before end.
static int64_t count_days(const struct cron *cron, int64_t first, int64_t end)
{
    int64_t n = 0;
    while (first < end) {
        int64_t year = 0;
        int month = 0, day_of_month = 0;
        civil_from_days(first, &year, &month, &day_of_month);
        int64_t left = end - first;
        int rest = month_days(year, month) - day_of_month + 1;
        int take = left < rest ? (int)left : rest;
        if (year_matches(cron, year) && (cron->month & (1u << month)) != 0) {
            uint64_t days = days_of(cron, year, month) >> day_of_month;
            n += bits_below(days, take);
        }
        first += take;
    }
    return n;
}

static int64_t floor_day(int64_t local_sec)
{
    return local_sec / DAY_SEC - (local_sec % DAY_SEC < 0);
}

// Matching readings from first on and before end.
static int64_t count_readings(const struct counting *c, int64_t first_sec, int64_t end_sec)
{
    if (first_sec >= end_sec)
        return 0;
    int64_t first_day = floor_day(first_sec), last_day = floor_day(end_sec - 1);
    int first = (int)(first_sec - first_day * DAY_SEC), end = (int)(end_sec - last_day * DAY_SEC);
    if (first_day == last_day)
        return count_days(c->cron, first_day, first_day + 1) * count_of_day(c, first, end);
    return count_days(c->cron, first_day, first_day + 1) * count_of_day(c, first, DAY_SEC)
           + count_days(c->cron, first_day + 1, last_day) * count_of_day(c, 0, DAY_SEC)
           + count_days(c->cron, last_day, last_day + 1) * count_of_day(c, 0, end);
}

// Whether the windows let the reading at the end of a gap count for those that the gap swallowed.
static bool reading_in_window(const struct counting *c, int64_t local_sec)
{
    int of_day = (int)(local_sec - floor_day(local_sec) * DAY_SEC);
    for (size_t i = 0; i < c->n_windows; i++)
        if (of_day >= c->windows[i].first_sec && of_day < c->windows[i].end_sec)
            return true;
    return false;
}

// Wall times of one segment of constant offset, from sec on and before end. shown_sec: readings before it have been shown, or skipped, before
// the segment began.
static int64_t count_fixed(const struct counting *c, const struct tz_segment *segment, int64_t sec, int64_t end_sec, int64_t shown_sec)
{
    int64_t first_local_sec = sec + segment->offset_sec, end_local_sec = end_sec + segment->offset_sec;
    int64_t n = 0;
    if (sec == segment->start_sec && shown_sec < first_local_sec) {
        // All that the gap swallowed, and what is due at its end anyway, is one instant.
        const struct counting all = {c->cron, &(struct cron_window){0, DAY_SEC}, 1};
        n = reading_in_window(c, first_local_sec) && count_readings(&all, shown_sec, first_local_sec + 1) > 0;
        first_local_sec++;
    } else if (shown_sec > first_local_sec) {
        first_local_sec = shown_sec;
    }
    return n + count_readings(c, first_local_sec, end_local_sec);
}

int64_t cron_count(const struct cron *cron, const struct tz *tz, usec_t after, usec_t upto, const struct cron_window *windows, size_t n_windows)
{
    must(cron != NULL && tz != NULL);
    const int64_t most_sec = INT64_MAX / USEC_PER_SEC - (int64_t)(YEARS_AHEAD + 2) * 366 * DAY_SEC;
    const struct counting counting = {cron, windows, n_windows};
    int64_t sec = after / USEC_PER_SEC - (after % USEC_PER_SEC < 0) + 1;
    int64_t end_sec = upto / USEC_PER_SEC - (upto % USEC_PER_SEC < 0) + 1;
    sec = sec < -most_sec ? -most_sec : sec;
    end_sec = end_sec > most_sec ? most_sec : end_sec;
    bool wild = cron->hour_wild || cron->minute_wild;
    int64_t n = 0;
    while (sec < end_sec) {
        struct tz_segment segment, before;
        tz_segment_at(tz, sec, &segment);
        int64_t part_end_sec = end_sec < segment.end_sec ? end_sec : segment.end_sec;
        if (wild) {
            n += count_readings(&counting, sec + segment.offset_sec, part_end_sec + segment.offset_sec);
        } else {
            int64_t shown_sec = INT64_MIN;
            if (segment.start_sec > -most_sec) {
                tz_segment_at(tz, segment.start_sec - 1, &before);
                shown_sec = segment.start_sec + before.offset_sec;
            }
            n += count_fixed(&counting, &segment, sec, part_end_sec, shown_sec);
        }
        sec = part_end_sec;
    }
    return n;
}
