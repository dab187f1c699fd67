// SPDX-License-Identifier: Apache-2.0
// Calendars from YAML and JSON. See codec/calendar_parse.h.
#include "codec/calendar_parse.h"

#include <stdarg.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "codec/doc.h"
#include "codec/names.h"

static const char *const allowed_date = "a date such as 2026-12-25, {date, label} or {from, to, label}";
static const char *const allowed_label = "text of at most 200 bytes without control characters";

struct reader {
    struct arena *arena;
    struct spec_errors *errors;
    const char *name;
    struct calendar *calendar;
};

__attribute__((format(printf, 5, 6))) static void bad(struct reader *reader, const struct doc_node *node, const char *field, const char *allowed,
                                                      const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *problem = arena_vprintf(reader->arena, fmt, args);
    va_end(args);
    spec_errors_add(reader->errors, node->line, node->column, field, allowed, "%s", problem);
}

static const char *read_text(struct reader *reader, const struct doc_node *node, const char *field)
{
    const char *problem = node->kind != DOC_SCALAR                          ? "is not one text"
                          : strlen(node->text) > CALENDAR_LABEL_BYTES ? "is too long"
                                                                            : label_value_problem(node->text, SIZE_MAX);
    if (problem == NULL)
        return node->text[0] != '\0' ? node->text : NULL;
    bad(reader, node, field, allowed_label, "it %s", problem);
    return NULL;
}

static bool read_date(struct reader *reader, const struct doc_node *node, const char *field, int32_t *ret_day)
{
    struct err err = {0};
    if (node->kind != DOC_SCALAR)
        bad(reader, node, field, allowed_date, "this is no date");
    else if (date_parse(node->text, ret_day, &err) < 0)
        bad(reader, node, field, NULL, "%s", err.text);
    else
        return true;
    return false;
}

// One entry that is a map; false when something was wrong.
static bool read_entry_map(struct reader *reader, const struct doc_node *node, const char *field, struct calendar_dates *ret)
{
    size_t n_before = reader->errors->n + reader->errors->n_more;
    bool has_date = false, has_from = false, has_to = false;
    for (size_t i = 0; i < node->n; i++) {
        const struct doc_item *item = &node->items[i];
        const char *path = arena_printf(reader->arena, "%s.%.60s", field, item->key);
        if (str_eq(item->key, "date")) {
            has_date = true;
            if (read_date(reader, &item->value, path, &ret->first_day))
                ret->last_day = ret->first_day;
        } else if (str_eq(item->key, "from")) {
            has_from = true;
            (void)read_date(reader, &item->value, path, &ret->first_day);
        } else if (str_eq(item->key, "to")) {
            has_to = true;
            (void)read_date(reader, &item->value, path, &ret->last_day);
        } else if (str_eq(item->key, "label")) {
            ret->label = read_text(reader, &item->value, path);
        } else {
            spec_errors_add(reader->errors, item->line, item->column, path, allowed_date, "there is no such field");
        }
    }
    if (reader->errors->n + reader->errors->n_more > n_before)
        return false;
    if (has_date ? has_from || has_to : !has_from || !has_to)
        bad(reader, node, field, allowed_date, "it needs either date, or from and to");
    else if (ret->first_day > ret->last_day)
        bad(reader, node, field, NULL, "to lies before from");
    else
        return true;
    return false;
}

static void read_dates(struct reader *reader, const struct doc_node *node)
{
    if (node->kind != DOC_LIST && node->kind != DOC_NULL) {
        bad(reader, node, "dates", "a list of dates", "this is no list");
        return;
    }
    struct calendar_dates *dates = arena_array(reader->arena, struct calendar_dates, node->n);
    size_t n = 0;
    for (size_t i = 0; i < node->n; i++) {
        const struct doc_node *item = &node->items[i].value;
        const char *field = arena_printf(reader->arena, "dates[%zu]", i);
        struct calendar_dates entry = {0};
        bool good = item->kind == DOC_MAP ? read_entry_map(reader, item, field, &entry) : read_date(reader, item, field, &entry.first_day);
        if (item->kind != DOC_MAP)
            entry.last_day = entry.first_day;
        if (good)
            dates[n++] = entry;
    }
    reader->calendar->n_dates = calendar_tidy(dates, n);
    reader->calendar->dates = dates;
}

static void read_document(struct reader *reader, const struct doc_node *node)
{
    if (node->kind != DOC_MAP) {
        bad(reader, node, "", "a map of fields, such as \"dates: [2026-12-25]\"", "this is not a calendar");
        return;
    }
    bool has_dates = false;
    for (size_t i = 0; i < node->n; i++) {
        const struct doc_item *item = &node->items[i];
        if (str_eq(item->key, "description")) {
            reader->calendar->description = read_text(reader, &item->value, item->key);
        } else if (str_eq(item->key, "dates")) {
            has_dates = true;
            read_dates(reader, &item->value);
        } else if (!str_eq(item->key, "name")) {
            spec_errors_add(reader->errors, item->line, item->column, arena_printf(reader->arena, "%.60s", item->key), "name, description, dates",
                            "there is no such field");
        } else if (item->value.kind != DOC_SCALAR || !str_eq(item->value.text, reader->name)) {
            bad(reader, &item->value, "name", NULL, "it is to be stored as '%.60s'", reader->name);
        }
    }
    if (!has_dates)
        bad(reader, node, "dates", "a list of dates", "it is missing");
}

int calendar_parse(const char *name, const char *text, size_t len, enum spec_format format, const struct limits *limits, struct arena *arena,
                   struct calendar **ret_calendar, struct spec_errors *errors)
{
    must(name != NULL && limits != NULL && ret_calendar != NULL && errors != NULL);
    spec_errors_init(errors, arena);
    struct err err = {0};
    const char *problem = name_problem(name, (size_t)limits->value[LIMIT_NAME_BYTES]);
    if (problem != NULL)
        spec_errors_add(errors, 0, 0, "name", "letters, digits, dots, dashes and underscores, beginning with a letter or digit", "'%.60s' %s", name, problem);
    if (limits_check(limits, LIMIT_SPEC_BYTES, len > INT64_MAX ? INT64_MAX : (int64_t)len, "the text", &err) < 0) {
        spec_errors_add(errors, 1, 1, "", NULL, "%s", err.text);
        return ERR_TOO_LARGE;
    }
    struct doc_node **docs = NULL;
    size_t n = 0;
    struct reader reader = {.arena = arena, .errors = errors, .name = name, .calendar = arena_new(arena, struct calendar)};
    reader.calendar->name = arena_strdup(arena, name);
    int rc = format == SPEC_JSON ? doc_json(text, len, arena, &docs, &n, errors) : doc_yaml(text, len, arena, &docs, &n, errors);
    if (rc == 0 && n != 1)
        spec_errors_add(errors, 1, 1, "", NULL, n == 0 ? "it is empty" : "it has a second document; a calendar is one");
    else if (rc == 0)
        read_document(&reader, docs[0]);
    if (errors->n > 0) {
        spec_errors_sort(errors);
        return ERR_INVALID;
    }
    must(rc == 0 && calendar_fault(reader.calendar) == NULL);
    *ret_calendar = reader.calendar;
    return 0;
}
