// SPDX-License-Identifier: Apache-2.0
// Reading values of every type, and walking maps by the table of fields.
#include "codec/spec_read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/time.h"

const struct job_field job_fields[] = {
#define JOB_FIELD(NAME, path, type, allowed, sentence, example) {path, #type, allowed, sentence, example},
#include "spec/job_fields.def"
};
const size_t n_job_fields = FIELDS;

typedef void read_field(struct spec_reader *, const struct place *);

static read_field *const read_fields[] = {
#define JOB_FIELD(NAME, path, type, allowed, sentence, example) spec_field_##NAME,
#include "spec/job_fields.def"
};

__attribute__((format(printf, 4, 0))) static void bad_with(struct spec_reader *reader, const struct place *at, const char *allowed,
                                                           const char *fmt, va_list args)
{
    must(at->node != NULL);
    char *problem = arena_vprintf(reader->arena, fmt, args);
    spec_errors_add(reader->errors, at->node->line, at->node->column, at->path, allowed, "%s", problem);
}

void spec_bad(struct spec_reader *reader, const struct place *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    bad_with(reader, at, job_fields[at->field].allowed, fmt, args);
    va_end(args);
}

void spec_bad_said(struct spec_reader *reader, const struct place *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    bad_with(reader, at, NULL, fmt, args);
    va_end(args);
}

bool spec_within(struct spec_reader *reader, const struct place *at, enum limit_id limit, size_t value, const char *it)
{
    struct err err = {0};
    int64_t amount = value > INT64_MAX ? INT64_MAX : (int64_t)value;
    if (limits_check(reader->limits, limit, amount, it, &err) == 0)
        return true;
    spec_bad_said(reader, at, "%s", err.text);
    return false;
}

static const char *kind_name(const struct doc_node *node)
{
    switch (node->kind) {
    case DOC_NULL:
        return "nothing";
    case DOC_SCALAR:
        return "one value";
    case DOC_LIST:
        return "a list";
    case DOC_MAP:
        return "a map";
    }
    unreachable();
}

const char *spec_read_text(struct spec_reader *reader, const struct place *at)
{
    if (at->node->kind == DOC_SCALAR)
        return at->node->text;
    spec_bad(reader, at, "one value is needed here, and this is %s", kind_name(at->node));
    return NULL;
}

bool spec_read_number(struct spec_reader *reader, const struct place *at, int64_t least, int64_t most, int64_t *ret)
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return false;
    int64_t value = 0;
    int rc = str_to_i64(text, &value);
    if (rc == ERR_INVALID)
        spec_bad(reader, at, "'%.60s' is not a whole number", text);
    else if (rc < 0 || value < least || value > most)
        spec_bad(reader, at, "%.60s is out of range", text);
    else
        *ret = value;
    return rc == 0 && value >= least && value <= most;
}

bool spec_read_duration(struct spec_reader *reader, const struct place *at, usec_t least_usec, usec_t most_usec, usec_t *ret)
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return false;
    usec_t value = 0;
    int rc = duration_parse(text, &value, NULL);
    if (rc == ERR_INVALID)
        spec_bad(reader, at, "'%.60s' is not a duration", text);
    else if (rc < 0 || value < least_usec || value > most_usec)
        spec_bad(reader, at, "'%.60s' is out of range", text);
    else
        *ret = value;
    return rc == 0 && value >= least_usec && value <= most_usec;
}

bool spec_read_size(struct spec_reader *reader, const struct place *at, uint64_t least, uint64_t most, uint64_t *ret)
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return false;
    uint64_t value = 0;
    int rc = size_parse(text, &value, NULL);
    if (rc == ERR_INVALID)
        spec_bad(reader, at, "'%.60s' is not a size", text);
    else if (rc < 0 || value < least || value > most)
        spec_bad(reader, at, "'%.60s' is out of range", text);
    else
        *ret = value;
    return rc == 0 && value >= least && value <= most;
}

bool spec_read_time(struct spec_reader *reader, const struct place *at, usec_t *ret)
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return false;
    usec_t value = 0;
    if (time_parse(text, &value, NULL) < 0 || value <= 0) {
        spec_bad(reader, at, "'%.60s' is not a time", text);
        return false;
    }
    *ret = value;
    return true;
}

// Thousandths of a decimal number with at most three decimals; false when it is none.
static bool permille_of(const char *text, size_t len, uint64_t *ret)
{
    uint64_t value = 0;
    int decimals = -1;
    bool digits = false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.' && decimals < 0 && digits) {
            decimals = 0;
            digits = false;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || value > 1000000000 || decimals == 3)
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
        decimals += decimals >= 0;
        digits = true;
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 3; i++)
        value *= 10;
    *ret = value;
    return digits;
}

bool spec_read_permille(struct spec_reader *reader, const struct place *at, bool percent, uint32_t least, uint32_t most, uint32_t *ret)
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return false;
    size_t len = strlen(text);
    bool is_percent = percent && len > 0 && text[len - 1] == '%';
    uint64_t value = 0;
    if (!permille_of(text, is_percent ? len - 1 : len, &value) || (is_percent && value % 100 != 0)) {
        spec_bad(reader, at, "'%.60s' is not such a number", text);
        return false;
    }
    if (is_percent)
        value /= 100;
    if (value < least || value > most) {
        spec_bad(reader, at, "%.60s is out of range", text);
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

int spec_read_name_of(struct spec_reader *reader, const struct place *at, const char *const *names, size_t n)
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], text) == 0)
            return (int)i;
    const char *nearest = nearest_name(text, names, n);
    spec_bad(reader, at, "'%.60s' is not known%s%s%s", text, nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
        nearest != NULL ? "'?" : "");
    return -1;
}

const char *spec_read_checked(struct spec_reader *reader, const struct place *at, const char *(*problem)(const char *, size_t))
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return NULL;
    const char *wrong = problem(text, (size_t)reader->limits->value[LIMIT_NAME_BYTES]);
    if (wrong == NULL)
        return text;
    spec_bad(reader, at, "'%.60s' %s", text, wrong);
    return NULL;
}

size_t spec_list_len(const struct place *at)
{
    if (at->node->kind == DOC_LIST)
        return at->node->n;
    return at->node->kind != DOC_NULL;
}

struct place spec_list_at(struct spec_reader *reader, const struct place *at, size_t i)
{
    must(i < spec_list_len(at));
    if (at->node->kind != DOC_LIST)
        return *at;
    return (struct place){&at->node->items[i].value, arena_printf(reader->arena, "%s[%zu]", at->path, i), at->field};
}

struct place spec_map_at(struct spec_reader *reader, const struct place *at, size_t i)
{
    must(at->node->kind == DOC_MAP && i < at->node->n);
    const struct doc_item *item = &at->node->items[i];
    const char *dot = at->path[0] != '\0' ? "." : "";
    const char *path = arena_printf(reader->arena, "%s%s%.80s", at->path, dot, item->key);
    return (struct place){&item->value, path, at->field};
}

bool spec_is_map(struct spec_reader *reader, const struct place *at)
{
    if (at->node->kind == DOC_MAP)
        return true;
    spec_bad(reader, at, "a map is needed here, and this is %s", kind_name(at->node));
    return false;
}

// The field called prefix + key, or FIELDS.
static enum field_id field_of(const char *prefix, const char *key)
{
    size_t prefix_len = strlen(prefix);
    for (int i = 0; i < FIELDS; i++)
        if (strncmp(job_fields[i].path, prefix, prefix_len) == 0 && strcmp(job_fields[i].path + prefix_len, key) == 0)
            return strchr(key, '.') == NULL ? (enum field_id)i : FIELDS;
    return FIELDS;
}

static void unknown_field(struct spec_reader *reader, const struct doc_item *item, const char *path, const char *prefix)
{
    const char *names[FIELDS];
    size_t n = 0;
    struct buf all = {0};
    for (int i = 0; i < FIELDS; i++) {
        const char *name = job_fields[i].path + strlen(prefix);
        if (strncmp(job_fields[i].path, prefix, strlen(prefix)) != 0 || strchr(name, '.') != NULL)
            continue;
        buf_printf(&all, "%s%s", n > 0 ? ", " : "", name);
        names[n++] = name;
    }
    const char *nearest = nearest_name(item->key, names, n);
    if (nearest != NULL)
        spec_errors_add(reader->errors, item->line, item->column, path, NULL, "there is no such field; did you mean '%s'?", nearest);
    else
        spec_errors_add(reader->errors, item->line, item->column, path, arena_strdup(reader->arena, all.data), "there is no such field");
    buf_release(&all);
}

void spec_read_map(struct spec_reader *reader, const struct place *at, const char *prefix)
{
    if (!spec_is_map(reader, at))
        return;
    for (size_t i = 0; i < at->node->n; i++) {
        const struct doc_item *item = &at->node->items[i];
        struct place value = spec_map_at(reader, at, i);
        value.field = field_of(prefix, item->key);
        if (value.field == FIELDS) {
            unknown_field(reader, item, value.path, prefix);
            continue;
        }
        // A null is as good as a field that was left out.
        if (item->value.kind == DOC_NULL)
            continue;
        reader->given[value.field] = value;
        read_fields[value.field](reader, &value);
    }
}
