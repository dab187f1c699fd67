// SPDX-License-Identifier: Apache-2.0
// The instants of schedules by other arithmetic than the product's. See sim/instants.h.
#include "sim/instants.h"

#include <string.h>

#include "base/assert.h"

enum { DAY_MIN = 1440, LOOKS_MAX = 600000 };

const char *const t_zone_names[T_ZONES] = {"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"};

// Back and forth, back and forth; half an hour forth and back.
const struct t_change t_changes[T_CHANGES] = {{T_BERLIN, 1792890000},   {T_BERLIN, 1806195600},    {T_NEW_YORK, 1793512800},
                                              {T_NEW_YORK, 1805007600}, {T_LORD_HOWE, 1791041400}, {T_LORD_HOWE, 1806764400}};

// ---- the calendar

static int64_t days_before_year(int64_t year)
{
    int64_t y = year - 1;
    return 365 * (year - 1970) + (y / 4 - 1969 / 4) - (y / 100 - 1969 / 100) + (y / 400 - 1969 / 400);
}

static int64_t year_of(int64_t minute)
{
    int64_t day = minute / DAY_MIN, year = 1970 + day / 366;
    while (days_before_year(year + 1) <= day)
        year++;
    return year;
}

// The n-th Sunday of March, April, October or November, counted from 1; 0: the last.
static int64_t sunday_of(int64_t year, int month, int n)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t before = (month == 3 ? 59 : month == 4 ? 90 : month == 10 ? 273 : 304) + leap, length = month == 3 || month == 10 ? 31 : 30;
    int64_t first = days_before_year(year) + before;
    int64_t sunday = first + (10 - first % 7) % 7; // the first of January 1970 was a Thursday
    if (n > 0)
        return sunday + 7 * (n - 1);
    while (sunday + 7 < first + length)
        sunday += 7;
    return sunday;
}

// What the clocks show less UTC, in minutes.
static int64_t offset_at(enum t_zone zone, int64_t minute)
{
    int64_t year = year_of(minute);
    switch (zone) {
    case T_BERLIN:
        return minute >= sunday_of(year, 3, 0) * DAY_MIN + 60 && minute < sunday_of(year, 10, 0) * DAY_MIN + 60 ? 120 : 60;
    case T_NEW_YORK:
        return minute >= sunday_of(year, 3, 2) * DAY_MIN + 420 && minute < sunday_of(year, 11, 1) * DAY_MIN + 360 ? -240 : -300;
    case T_LORD_HOWE:
        return minute >= sunday_of(year, 4, 1) * DAY_MIN - 540 && minute < sunday_of(year, 10, 1) * DAY_MIN - 510 ? 630 : 660;
    case T_KOLKATA:
        return 330;
    default:
        return 0;
    }
}

// Years for which the rules above are those of the zones.
static bool within_rules(usec_t at)
{
    int64_t minute = at / USEC_PER_MIN;
    return minute >= days_before_year(2009) * DAY_MIN && minute < days_before_year(2037) * DAY_MIN;
}

// ---- reading

// Takes a number that begins the text; false: there is none.
static bool take_number(const char **text, int64_t *ret)
{
    const char *p = *text;
    *ret = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        *ret = 10 * *ret + (*p - '0');
    bool any = p != *text;
    *text = p;
    return any;
}

static void read_cron(struct t_rule *rule, const char *text)
{
    rule->hour = -1;
    if (text == NULL)
        return;
    bool steps = strncmp(text, "*/", 2) == 0;
    text += steps ? 2 : 0;
    if (!take_number(&text, steps ? &rule->step : &rule->minute) || *text++ != ' ')
        return;
    if (strcmp(text, "* * * *") == 0)
        rule->known = steps;
    else
        rule->known = take_number(&text, &rule->hour) && strcmp(text, " * * *") == 0;
}

void t_rule_read(struct t_rule *rule, const struct trigger *from)
{
    *rule = (struct t_rule){.kind = from->kind,
                            .zone = T_ZONES,
                            .every_usec = from->every_usec,
                            .at_usec = from->at_usec,
                            .from_usec = from->from_usec,
                            .until_usec = from->until_usec,
                            .jitter_usec = from->jitter_usec,
                            .has_between = from->has_between,
                            .first_sec = from->between_first_sec,
                            .last_sec = from->between_last_sec};
    for (int zone = 0; zone < T_ZONES; zone++)
        if (strcmp(from->zone != NULL ? from->zone : "UTC", t_zone_names[zone]) == 0)
            rule->zone = (enum t_zone)zone;
    rule->known = rule->kind == TRIGGER_AT || rule->kind == TRIGGER_EVERY;
    if (rule->kind == TRIGGER_CRON)
        read_cron(rule, from->text);
    rule->known = rule->known && (rule->zone < T_ZONES || (rule->kind != TRIGGER_CRON && !rule->has_between));
}

// ---- instants

static bool in_bounds(const struct t_rule *rule, usec_t at)
{
    if ((rule->from_usec != 0 && at < rule->from_usec) || (rule->until_usec != 0 && at >= rule->until_usec))
        return false;
    if (!rule->has_between)
        return true;
    int64_t of_day = (at / USEC_PER_SEC + 60 * offset_at(rule->zone, at / USEC_PER_MIN)) % (60 * DAY_MIN);
    bool before_end = of_day < rule->last_sec || (of_day == rule->last_sec && at % USEC_PER_SEC == 0);
    return rule->first_sec <= rule->last_sec ? of_day >= rule->first_sec && before_end : of_day >= rule->first_sec || before_end;
}

// Whether cron fires at this minute. What steps through the minutes follows the clocks as they go; a fixed time comes once a day: the first
// time that the clocks show it or, if they leave it out, when they are beyond it.
static bool minute_matches(const struct t_rule *rule, int64_t minute)
{
    int64_t local = minute + offset_at(rule->zone, minute);
    if (rule->step > 0)
        return local % 60 % rule->step == 0 && (rule->hour < 0 || local / 60 % 24 == rule->hour);
    int64_t wanted = 60 * rule->hour + rule->minute;
    if (local % DAY_MIN == wanted)
        return minute - 30 + offset_at(rule->zone, minute - 30) != local && minute - 60 + offset_at(rule->zone, minute - 60) != local;
    int64_t left_out = minute - 1 + offset_at(rule->zone, minute - 1) + 1;
    for (; left_out < local; left_out++)
        if (left_out % DAY_MIN == wanted)
            return true;
    return false;
}

bool t_rule_has(const struct t_rule *rule, usec_t first_usec, usec_t at)
{
    if (!rule->known || !within_rules(at))
        return true;
    if (rule->kind == TRIGGER_AT)
        return at == rule->at_usec;
    if (rule->kind == TRIGGER_EVERY)
        return at >= first_usec && (at - first_usec) % rule->every_usec == 0 && in_bounds(rule, at);
    return at % USEC_PER_MIN == 0 && minute_matches(rule, at / USEC_PER_MIN) && in_bounds(rule, at);
}

int64_t t_rule_count(const struct t_rule *rule, usec_t first_usec, usec_t from, usec_t to, int64_t most)
{
    if (!rule->known || rule->kind == TRIGGER_AFTER_END)
        return -1;
    if (rule->kind == TRIGGER_AT)
        return rule->at_usec > from && rule->at_usec < to;
    usec_t step = rule->kind == TRIGGER_EVERY ? rule->every_usec : USEC_PER_MIN, base = rule->kind == TRIGGER_EVERY ? first_usec : 0;
    if (rule->from_usec != 0)
        from = usec_max(from, rule->from_usec - 1);
    if (rule->until_usec != 0)
        to = usec_min(to, rule->until_usec);
    from = usec_max(from, base - 1);
    if (to <= from)
        return 0;
    usec_t first = base + ((from - base + step) / step) * step;
    if (rule->kind == TRIGGER_EVERY && !rule->has_between)
        return first < to ? (to - 1 - first) / step + 1 : 0;
    int64_t n = 0, looks = 0;
    for (usec_t at = first; at < to && n < most; at += step) {
        if (looks++ == LOOKS_MAX || !within_rules(at))
            return -1;
        n += rule->kind == TRIGGER_EVERY ? in_bounds(rule, at) : minute_matches(rule, at / USEC_PER_MIN) && in_bounds(rule, at);
    }
    return n;
}

int64_t t_rule_day(const struct t_rule *rule, usec_t at)
{
    if (rule->zone >= T_ZONES || !within_rules(at))
        return -1;
    return (at / USEC_PER_SEC + 60 * offset_at(rule->zone, at / USEC_PER_MIN)) / (60 * DAY_MIN);
}

int64_t t_rule_count_days(const struct t_rule *rule, usec_t first_usec, usec_t from, usec_t to, bool (*wanted)(const void *context, int64_t day), const void *context)
{
    if (!rule->known || rule->zone >= T_ZONES || (rule->kind != TRIGGER_EVERY && rule->kind != TRIGGER_CRON))
        return -1;
    usec_t step = rule->kind == TRIGGER_EVERY ? rule->every_usec : USEC_PER_MIN, base = rule->kind == TRIGGER_EVERY ? first_usec : 0;
    from = usec_max(usec_max(from, base - 1), rule->from_usec - 1);
    if (rule->until_usec != 0)
        to = usec_min(to, rule->until_usec);
    int64_t n = 0, looks = 0;
    for (usec_t at = base + ((from - base + step) / step) * step; at < to; at += step) {
        if (looks++ == LOOKS_MAX || !within_rules(at))
            return -1;
        if (rule->kind == TRIGGER_EVERY ? in_bounds(rule, at) : minute_matches(rule, at / USEC_PER_MIN) && in_bounds(rule, at))
            n += wanted(context, t_rule_day(rule, at));
    }
    return n;
}
