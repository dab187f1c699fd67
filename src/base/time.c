// SPDX-License-Identifier: Apache-2.0
// Instants, the calendar and RFC 3339. The calendar follows Howard Hinnant's "chrono-compatible low-level date algorithms".

#include "base/time.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

usec_t usec_add(usec_t a, usec_t b)
{
    if (a == USEC_NEVER || b == USEC_NEVER)
        return USEC_NEVER;
    usec_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum))
        return a > 0 ? USEC_NEVER : INT64_MIN;
    return sum;
}

usec_t usec_sub(usec_t a, usec_t b)
{
    if (a == USEC_NEVER)
        return USEC_NEVER;
    usec_t difference = 0;
    if (__builtin_sub_overflow(a, b, &difference))
        return b < 0 ? USEC_NEVER : INT64_MIN;
    return difference;
}

bool year_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int month_days(int64_t year, int month)
{
    must(month >= 1 && month <= 12);
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && year_is_leap(year) ? 29 : days[month - 1];
}

int64_t days_from_civil(int64_t year, int month, int day)
{
    must(month >= 1 && month <= 12 && day >= 1 && day <= 31);
    // Years that begin in March put the leap day at their end; eras are 400 years.
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *ret_day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *ret_month = month;
    *ret_year = year_of_era + era * 400 + (month <= 2);
}

int weekday_from_days(int64_t days)
{
    int64_t weekday = (days + 4) % 7;
    return (int)(weekday < 0 ? weekday + 7 : weekday);
}

char *time_format(char buf[static 40], usec_t wall)
{
    if (wall == USEC_NEVER) {
        snprintf(buf, 40, "never");
        return buf;
    }
    usec_t of_day = wall % USEC_PER_DAY;
    if (of_day < 0)
        of_day += USEC_PER_DAY;
    // wall - of_day could leave the type near INT64_MIN; dividing first cannot.
    int64_t days = wall / USEC_PER_DAY - (wall % USEC_PER_DAY < 0);
    int64_t year = 0;
    int month = 0;
    int day = 0;
    civil_from_days(days, &year, &month, &day);
    snprintf(buf, 40, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)year, month, day,
             (int)(of_day / USEC_PER_HOUR), (int)(of_day / USEC_PER_MIN % 60), (int)(of_day / USEC_PER_SEC % 60),
             (int)(of_day / USEC_PER_MSEC % 1000));
    return buf;
}

// Reads exactly `digits` digits at *p and moves behind them; -1 when they are not there.
static int read_digits(const char **p, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return -1;
        value = value * 10 + (**p - '0');
    }
    return value;
}

static bool read_char(const char **p, const char *allowed)
{
    if (**p == '\0' || strchr(allowed, **p) == NULL)
        return false;
    (*p)++;
    return true;
}

// ".123" to microseconds; nothing there is 0. Returns -1 when it is malformed.
static int64_t read_fraction(const char **p)
{
    if (**p != '.')
        return 0;
    (*p)++;
    int64_t usec = 0;
    int digits = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++, digits++)
        if (digits < 6)
            usec = usec * 10 + (**p - '0');
    if (digits == 0 || digits > 9)
        return -1;
    for (; digits < 6; digits++)
        usec *= 10;
    return usec;
}

// "Z" or "+01:00" to minutes east.
static bool read_offset(const char **p, int *ret_minutes)
{
    *ret_minutes = 0;
    if (read_char(p, "Zz"))
        return true;
    bool west = **p == '-';
    if (!read_char(p, "+-"))
        return false;
    int hours = read_digits(p, 2);
    if (hours < 0 || hours > 23 || !read_char(p, ":"))
        return false;
    int minutes = read_digits(p, 2);
    if (minutes < 0 || minutes > 59)
        return false;
    *ret_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

static bool parse_instant(const char *p, usec_t *ret)
{
    int year = read_digits(&p, 4);
    if (year < 0 || !read_char(&p, "-"))
        return false;
    int month = read_digits(&p, 2);
    if (month < 1 || month > 12 || !read_char(&p, "-"))
        return false;
    int day = read_digits(&p, 2);
    if (day < 1 || day > month_days(year, month) || !read_char(&p, "Tt "))
        return false;
    int hour = read_digits(&p, 2);
    if (hour < 0 || hour > 23 || !read_char(&p, ":"))
        return false;
    int minute = read_digits(&p, 2);
    if (minute < 0 || minute > 59 || !read_char(&p, ":"))
        return false;
    int second = read_digits(&p, 2);
    if (second < 0 || second > 60) // 60 is a leap second: the same instant as the next minute's 0
        return false;
    int64_t fraction_usec = read_fraction(&p);
    int offset_minutes = 0;
    if (fraction_usec < 0 || !read_offset(&p, &offset_minutes) || *p != '\0')
        return false;
    int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    seconds -= (int64_t)offset_minutes * 60;
    *ret = seconds * USEC_PER_SEC + fraction_usec;
    return true;
}

int time_parse(const char *text, usec_t *ret, struct err *err)
{
    if (text == NULL)
        return err_set(err, ERR_INVALID, "an instant is missing");
    usec_t wall = 0;
    if (!parse_instant(text, &wall))
        return err_set(err, ERR_INVALID, "'%.40s' is not an instant; write it as 2026-11-23T06:30:00Z or with an offset (+01:00)",
                       text);
    *ret = wall;
    return 0;
}
