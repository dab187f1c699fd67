// SPDX-License-Identifier: Apache-2.0
// The POSIX TZ rule: reading it, and the segments that it makes.
#include "base/tz_rule.h"

#include "base/assert.h"
#include "base/time.h"

#define DAY_SEC 86400
#define HOUR_SEC 3600

// What is left of the text.
struct cursor {
    const char *p;
    const char *end;
};

static bool cursor_take(struct cursor *in, char c)
{
    if (in->p == in->end || *in->p != c)
        return false;
    in->p++;
    return true;
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Three or more letters, or anything of letters, digits, + and - between < and >.
static bool skip_name(struct cursor *in)
{
    const char *start = in->p;
    if (cursor_take(in, '<')) {
        while (in->p < in->end && (is_alpha(*in->p) || is_digit(*in->p) || *in->p == '+' || *in->p == '-'))
            in->p++;
        return in->p - start >= 4 && cursor_take(in, '>');
    }
    while (in->p < in->end && is_alpha(*in->p))
        in->p++;
    return in->p - start >= 3;
}

static bool take_number(struct cursor *in, int least, int most, int *ret)
{
    int value = 0;
    int digits = 0;
    for (; in->p < in->end && is_digit(*in->p) && digits < 4; digits++)
        value = value * 10 + (*in->p++ - '0');
    if (digits == 0 || value < least || value > most)
        return false;
    *ret = value;
    return true;
}

// [+-]hh[:mm[:ss]]
static bool take_time(struct cursor *in, int hours_max, int32_t *ret_sec)
{
    int hours = 0, minutes = 0, seconds = 0;
    int sign = 1;
    if (cursor_take(in, '-'))
        sign = -1;
    else
        (void)cursor_take(in, '+');
    if (!take_number(in, 0, hours_max, &hours))
        return false;
    if (cursor_take(in, ':')) {
        if (!take_number(in, 0, 59, &minutes))
            return false;
        if (cursor_take(in, ':') && !take_number(in, 0, 59, &seconds))
            return false;
    }
    *ret_sec = sign * (hours * HOUR_SEC + minutes * 60 + seconds);
    return true;
}

// Jn, n or Mm.w.d, then an optional /time; 02:00 when there is none.
static bool take_change(struct cursor *in, struct tz_change *ret)
{
    struct tz_change change = {.sec = 2 * HOUR_SEC};
    if (cursor_take(in, 'M')) {
        change.kind = TZ_DAY_WEEK;
        if (!take_number(in, 1, 12, &change.month) || !cursor_take(in, '.') || !take_number(in, 1, 5, &change.week) ||
            !cursor_take(in, '.') || !take_number(in, 0, 6, &change.day))
            return false;
    } else if (cursor_take(in, 'J')) {
        change.kind = TZ_DAY_JULIAN;
        if (!take_number(in, 1, 365, &change.day))
            return false;
    } else {
        change.kind = TZ_DAY_ZERO;
        if (!take_number(in, 0, 365, &change.day))
            return false;
    }
    if (cursor_take(in, '/') && !take_time(in, 167, &change.sec))
        return false;
    *ret = change;
    return true;
}

int tz_rule_parse(const char *text, size_t len, struct tz_rule *ret)
{
    must(text != NULL && ret != NULL);
    struct cursor in = {text, text + len};
    struct tz_rule rule = {0};
    int32_t west_sec = 0;
    if (!skip_name(&in) || !take_time(&in, 24, &west_sec))
        return ERR_INVALID;
    rule.std_offset_sec = -west_sec;
    if (in.p < in.end) {
        rule.has_dst = true;
        if (!skip_name(&in))
            return ERR_INVALID;
        rule.dst_offset_sec = rule.std_offset_sec + HOUR_SEC;
        if (in.p < in.end && *in.p != ',') {
            if (!take_time(&in, 24, &west_sec))
                return ERR_INVALID;
            rule.dst_offset_sec = -west_sec;
        }
        if (!cursor_take(&in, ',') || !take_change(&in, &rule.start) || !cursor_take(&in, ',') ||
            !take_change(&in, &rule.end))
            return ERR_INVALID;
    }
    if (in.p != in.end)
        return ERR_INVALID;
    *ret = rule;
    return 0;
}

// The local reading of a change in a year.
static int64_t change_local_sec(const struct tz_change *change, int64_t year)
{
    int64_t days = 0;
    switch (change->kind) {
    case TZ_DAY_JULIAN:
        days = days_from_civil(year, 1, 1) + change->day - 1 + (change->day >= 60 && year_is_leap(year));
        break;
    case TZ_DAY_ZERO:
        days = days_from_civil(year, 1, 1) + change->day;
        break;
    case TZ_DAY_WEEK: {
        int64_t first = days_from_civil(year, change->month, 1);
        int day = (change->day - weekday_from_days(first) + 7) % 7 + (change->week - 1) * 7;
        if (day >= month_days(year, change->month))
            day -= 7;
        days = first + day;
        break;
    }
    }
    return days * DAY_SEC + change->sec;
}

void tz_rule_segment(const struct tz_rule *rule, int64_t sec, struct tz_segment *ret)
{
    must(rule != NULL && ret != NULL);
    must(sec >= -TZ_SEC_MAX && sec <= TZ_SEC_MAX);
    *ret = (struct tz_segment){INT64_MIN, INT64_MAX, rule->std_offset_sec};
    if (!rule->has_dst)
        return;
    int64_t day = sec / DAY_SEC - (sec % DAY_SEC < 0);
    int64_t year = 0;
    int month = 0, day_of_month = 0;
    civil_from_days(day, &year, &month, &day_of_month);
    // A change may lie a week outside of its year, so two years to either side hold both neighbours for sure. Changes that fall
    // on one instant (daylight saving all year is written so) count in the order of their years.
    for (int64_t y = year - 2; y <= year + 2; y++) {
        int64_t start_sec = change_local_sec(&rule->start, y) - rule->std_offset_sec;
        int64_t end_sec = change_local_sec(&rule->end, y) - rule->dst_offset_sec;
        const struct {
            int64_t sec;
            int32_t offset_sec;
        } both[2] = {{start_sec, rule->dst_offset_sec}, {end_sec, rule->std_offset_sec}};
        bool end_first = end_sec < start_sec;
        for (int i = 0; i < 2; i++) {
            int which = i ^ (int)end_first;
            if (both[which].sec <= sec && both[which].sec >= ret->start_sec) {
                ret->start_sec = both[which].sec;
                ret->offset_sec = both[which].offset_sec;
            }
            if (both[which].sec > sec && both[which].sec < ret->end_sec)
                ret->end_sec = both[which].sec;
        }
    }
    must(ret->start_sec <= sec && sec < ret->end_sec);
}
