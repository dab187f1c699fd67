// SPDX-License-Identifier: Apache-2.0
// Calendars, and sets of days made of them.
#include "model/calendar.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/sort.h"
#include "base/str.h"
#include "base/time.h"

static int by_first_day(const void *a, const void *b)
{
    const struct calendar_dates *x = a, *y = b;
    if (x->first_day != y->first_day)
        return x->first_day < y->first_day ? -1 : 1;
    return x->last_day < y->last_day ? -1 : x->last_day > y->last_day;
}

size_t calendar_tidy(struct calendar_dates *dates, size_t n)
{
    sort_items(dates, n, sizeof(*dates), by_first_day);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct calendar_dates item = dates[i];
        must(item.first_day <= item.last_day);
        struct calendar_dates *before = kept > 0 ? &dates[kept - 1] : NULL;
        if (before != NULL && item.first_day <= before->last_day)
            item.first_day = before->last_day + 1;
        if (item.first_day > item.last_day)
            continue;
        if (before != NULL && item.first_day == before->last_day + 1 && str_eq(item.label, before->label))
            before->last_day = item.last_day;
        else
            dates[kept++] = item;
    }
    return kept;
}

const char *calendar_fault(const struct calendar *calendar)
{
    if (calendar->name == NULL || calendar->name[0] == '\0')
        return "a calendar has no name";
    for (size_t i = 0; i < calendar->n_dates; i++) {
        const struct calendar_dates *dates = &calendar->dates[i];
        if (dates->first_day < 0 || dates->last_day > CALENDAR_DAY_LAST || dates->first_day > dates->last_day)
            return "a date of a calendar is out of its range";
        if (i > 0 && dates->first_day <= calendar->dates[i - 1].last_day)
            return "the dates of a calendar are not in order";
    }
    return NULL;
}

bool calendar_same(const struct calendar *a, const struct calendar *b)
{
    if (a->n_dates != b->n_dates || !str_eq(a->description, b->description))
        return false;
    for (size_t i = 0; i < a->n_dates; i++)
        if (a->dates[i].first_day != b->dates[i].first_day || a->dates[i].last_day != b->dates[i].last_day ||
            !str_eq(a->dates[i].label, b->dates[i].label))
            return false;
    return true;
}

const struct calendar_dates *calendar_find(const struct calendar *calendar, int32_t day)
{
    size_t low = 0, high = calendar->n_dates;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (calendar->dates[middle].last_day < day)
            low = middle + 1;
        else
            high = middle;
    }
    return low < calendar->n_dates && calendar->dates[low].first_day <= day ? &calendar->dates[low] : NULL;
}

void calendar_copy(struct arena *arena, struct calendar *to, const struct calendar *from)
{
    struct calendar_dates *dates = arena_array(arena, struct calendar_dates, from->n_dates);
    for (size_t i = 0; i < from->n_dates; i++) {
        dates[i] = from->dates[i];
        dates[i].label = arena_strdup(arena, from->dates[i].label);
    }
    *to = (struct calendar){.name = arena_strdup(arena, from->name),
                            .description = arena_strdup(arena, from->description),
                            .dates = dates,
                            .n_dates = from->n_dates};
}

static int by_span(const void *a, const void *b)
{
    const struct day_span *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

// Spans in order, those that touch made one; gives how many are left.
static size_t merge_spans(struct day_span *spans, size_t n)
{
    sort_items(spans, n, sizeof(*spans), by_span);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct day_span *before = kept > 0 ? &spans[kept - 1] : NULL;
        if (before != NULL && (before->last == INT32_MAX || spans[i].first <= before->last + 1))
            before->last = spans[i].last > before->last ? spans[i].last : before->last;
        else
            spans[kept++] = spans[i];
    }
    return kept;
}

static size_t add_spans(struct day_span *spans, const struct calendar *const *calendars, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < calendars[i]->n_dates; k++)
            spans[at++] = (struct day_span){calendars[i]->dates[k].first_day, calendars[i]->dates[k].last_day};
    return at;
}

static size_t count_dates(const struct calendar *const *calendars, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += calendars[i]->n_dates;
    return sum;
}

void day_set_left_out(struct arena *arena, const struct calendar *const *exclude, size_t n_exclude, const struct calendar *const *include, size_t n_include,
                      struct day_set *ret)
{
    size_t n_kept = count_dates(include, n_include);
    struct day_span *kept = arena_array(arena, struct day_span, n_kept);
    n_kept = merge_spans(kept, add_spans(kept, include, n_include));
    struct day_span *spans = arena_array(arena, struct day_span, n_kept + 1 + count_dates(exclude, n_exclude));
    size_t n = add_spans(spans, exclude, n_exclude);
    // All that lies between the days to keep to.
    int32_t from = INT32_MIN;
    for (size_t i = 0; i < n_kept; i++) {
        spans[n++] = (struct day_span){from, kept[i].first - 1};
        from = kept[i].last + 1;
    }
    if (n_include > 0)
        spans[n++] = (struct day_span){from, INT32_MAX};
    n = merge_spans(spans, n);
    *ret = (struct day_set){spans, n};
}

size_t day_set_at(const struct day_set *set, int32_t day)
{
    size_t low = 0, high = set->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->spans[middle].last < day)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool day_set_has(const struct day_set *set, int32_t day)
{
    size_t at = day_set_at(set, day);
    return at < set->n && set->spans[at].first <= day;
}

const char *calendar_why(struct arena *arena, const struct calendar *const *exclude, size_t n_exclude, const struct calendar *const *include, size_t n_include,
                         int32_t day, bool label)
{
    for (size_t i = 0; i < n_exclude; i++) {
        const struct calendar_dates *dates = calendar_find(exclude[i], day);
        if (dates != NULL && dates->label != NULL && label)
            return arena_printf(arena, "calendar %s (%s)", exclude[i]->name, dates->label);
        if (dates != NULL)
            return arena_printf(arena, "calendar %s", exclude[i]->name);
    }
    const char *text = NULL;
    for (size_t i = 0; i < n_include; i++) {
        if (calendar_find(include[i], day) != NULL)
            return NULL;
        text = text != NULL ? arena_printf(arena, "%s, %s", text, include[i]->name)
                            : arena_printf(arena, "not in calendar%s %s", n_include > 1 ? "s" : "", include[i]->name);
    }
    return text;
}

int date_parse(const char *text, int32_t *ret_day, struct err *err)
{
    int number[3] = {0};
    static const int places[] = {4, 2, 2};
    const char *p = text;
    for (int part = 0; part < 3; part++) {
        for (int i = 0; i < places[part]; i++, p++) {
            if (*p < '0' || *p > '9')
                return err_set(err, ERR_INVALID, "'%.40s' is not a date such as 2026-12-25", text);
            number[part] = 10 * number[part] + (*p - '0');
        }
        if (*p != (part < 2 ? '-' : '\0'))
            return err_set(err, ERR_INVALID, "'%.40s' is not a date such as 2026-12-25", text);
        p += part < 2;
    }
    if (number[0] < 1970 || number[1] < 1 || number[1] > 12 || number[2] < 1 || number[2] > month_days(number[0], number[1]))
        return err_set(err, ERR_INVALID, "there is no date '%.40s' from 1970-01-01 on", text);
    *ret_day = (int32_t)days_from_civil(number[0], number[1], number[2]);
    return 0;
}

char *date_format(char buf[static 16], int32_t day)
{
    int64_t year = 0;
    int month = 0, day_of_month = 0;
    must(day >= 0 && day <= CALENDAR_DAY_LAST);
    civil_from_days(day, &year, &month, &day_of_month);
    snprintf(buf, 16, "%04d-%02d-%02d", (int)year % 10000, month % 100, day_of_month % 100);
    return buf;
}
