// SPDX-License-Identifier: Apache-2.0
// Reading the text of a schedule.
#include "codec/cron_text.h"

#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/str.h"

enum { TEXT_BYTES_MAX = 1024, FIELDS_MAX = 6 };
#define FIELDS_ALLOWED "a schedule has 5 (minute hour day month weekday), or 6 with seconds first"
#define MACROS_ALLOWED "allowed are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @every DURATION"

enum field_id { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY };

struct field_rule {
    const char *name;
    int least;
    int most; // weekday: 7 is Sunday too
    const char *const *names; // three letters each, the first one stands for names_least
    int n_names;
    int names_least;
    const char *allowed;
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static const struct field_rule rules[] = {
    [SECOND] = {"second", 0, 59, NULL, 0, 0, "0-59"},
    [MINUTE] = {"minute", 0, 59, NULL, 0, 0, "0-59"},
    [HOUR] = {"hour", 0, 23, NULL, 0, 0, "0-23"},
    [DAY] = {"day of month", 1, 31, NULL, 0, 0, "1-31"},
    [MONTH] = {"month", 1, 12, month_names, 12, 1, "1-12 or jan-dec"},
    [WEEKDAY] = {"day of week", 0, 7, day_names, 7, 0, "0-7 (0 and 7 are Sunday) or sun-sat"},
};

struct span {
    const char *p;
    size_t len;
};

struct field {
    uint64_t set;
    bool any;  // `*` or `?`, also `*/1`
    bool wild; // steps through the whole field: `*`, `*/n`, `a/n`
};

static int fail(struct err *err, enum field_id id, struct span part, const char *problem)
{
    return err_set(err, ERR_INVALID, "%s: '%.*s' %s; allowed are %s, *, ranges (a-b), steps (*/n) and lists (a,b)", rules[id].name,
                   (int)(part.len < 40 ? part.len : 40), part.p, problem, rules[id].allowed);
}

// Takes a number or a name off the front.
static int take_value(struct span *in, enum field_id id, int *ret)
{
    const struct field_rule *rule = &rules[id];
    size_t len = 0;
    int value = 0;
    while (len < in->len && in->p[len] >= '0' && in->p[len] <= '9') {
        if (len == 4)
            return ERR_RANGE;
        value = value * 10 + (in->p[len++] - '0');
    }
    if (len == 0) {
        for (int i = 0; i < rule->n_names && len == 0; i++) {
            if (in->len >= 3 && strncasecmp(in->p, rule->names[i], 3) == 0) {
                value = rule->names_least + i;
                len = 3;
            }
        }
    }
    if (len == 0)
        return ERR_INVALID;
    if (value < rule->least || value > rule->most)
        return ERR_RANGE;
    in->p += len;
    in->len -= len;
    *ret = value;
    return 0;
}

static bool span_take(struct span *in, char c)
{
    if (in->len == 0 || in->p[0] != c)
        return false;
    in->p++;
    in->len--;
    return true;
}

// Letters that other schedulers know and this one does not yet.
static const char *foreign_problem(struct span part)
{
    if (part.len == 0)
        return "is empty";
    if (memchr(part.p, '#', part.len) != NULL)
        return "uses # (n-th weekday), which is not supported";
    char last = part.p[part.len - 1];
    if (part.p[0] == 'H' || part.p[0] == 'h')
        return "uses H (hashed), which is not supported";
    if (last == 'L' || last == 'l' || part.p[0] == 'L' || part.p[0] == 'l')
        return "uses L (last), which is not supported";
    if (last == 'W' || last == 'w')
        return "uses W (nearest weekday), which is not supported";
    if (part.p[0] == '?')
        return "is for day of month and day of week only";
    return "is not understood";
}

static int take_step(struct span *in, struct span part, enum field_id id, int *ret_step, struct err *err)
{
    int step = 0;
    size_t digits = 0;
    for (; in->len > 0 && in->p[0] >= '0' && in->p[0] <= '9' && digits < 4; digits++) {
        step = step * 10 + (in->p[0] - '0');
        in->p++;
        in->len--;
    }
    if (digits == 0)
        return fail(err, id, part, "has no number as its step");
    if (step == 0)
        return fail(err, id, part, "has a step of 0");
    // A step that leaves the field only ever matches its first value: nobody means that.
    if (step > rules[id].most - rules[id].least + (id != WEEKDAY))
        return fail(err, id, part, "has a step larger than the field");
    *ret_step = step;
    return 0;
}

// One item of a list: *, ?, a, a-b, with or without /step.
static int parse_part(struct span part, enum field_id id, struct field *field, struct err *err)
{
    const struct field_rule *rule = &rules[id];
    struct span in = part;
    int first = rule->least, last = id == WEEKDAY ? 6 : rule->most, step = 1;
    bool star = span_take(&in, '*') || ((id == DAY || id == WEEKDAY) && span_take(&in, '?'));
    bool range = false;
    if (!star) {
        int rc = take_value(&in, id, &first);
        if (rc < 0)
            return fail(err, id, part, rc == ERR_RANGE ? "is out of range" : foreign_problem(part));
        int value = first;
        if (span_take(&in, '-')) {
            range = true;
            rc = take_value(&in, id, &value);
            if (rc < 0)
                return fail(err, id, part, rc == ERR_RANGE ? "is out of range" : "is not a range");
            if (id == WEEKDAY && value == 0 && first > 0)
                value = 7; // "sat-sun"
            if (value < first)
                return fail(err, id, part, "ends before it begins");
        }
        if (range || in.len == 0)
            last = value;
    }
    bool stepped = span_take(&in, '/');
    if (stepped) {
        int rc = take_step(&in, part, id, &step, err);
        if (rc < 0)
            return rc;
    }
    if (in.len > 0)
        return fail(err, id, part, foreign_problem(part));
    for (int value = first; value <= last; value += step)
        field->set |= UINT64_C(1) << (id == WEEKDAY ? value % 7 : value);
    field->any = field->any || (star && step == 1);
    field->wild = field->wild || star || (stepped && !range);
    return 0;
}

static int parse_field(struct span text, enum field_id id, struct field *ret, struct err *err)
{
    struct field field = {0};
    for (;;) {
        const char *comma = memchr(text.p, ',', text.len);
        struct span part = {text.p, comma != NULL ? (size_t)(comma - text.p) : text.len};
        int rc = parse_part(part, id, &field, err);
        if (rc < 0)
            return rc;
        if (comma == NULL)
            break;
        text.len -= part.len + 1;
        text.p = comma + 1;
    }
    must(field.set != 0);
    *ret = field;
    return 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

// Splits at spaces; the number of fields, counting on behind the ones that are kept.
static size_t split(const char *text, struct span fields[FIELDS_MAX])
{
    size_t n = 0;
    for (const char *p = text; *p != '\0';) {
        if (is_space(*p)) {
            p++;
            continue;
        }
        const char *start = p;
        while (*p != '\0' && !is_space(*p))
            p++;
        if (n < FIELDS_MAX)
            fields[n] = (struct span){start, (size_t)(p - start)};
        n++;
    }
    return n;
}

static int parse_fields(const char *text, struct trigger *ret, struct err *err)
{
    struct span spans[FIELDS_MAX];
    size_t n = split(text, spans);
    if (n == 7)
        return err_set(err, ERR_INVALID, "it has 7 fields; the year of Quartz is not supported; " FIELDS_ALLOWED);
    if (n != 5 && n != 6)
        return err_set(err, ERR_INVALID, "it has %zu field%s; " FIELDS_ALLOWED, n, n == 1 ? "" : "s");
    struct field fields[FIELDS_MAX] = {[SECOND] = {.set = 1}};
    for (size_t i = 0; i < n; i++) {
        enum field_id id = (enum field_id)(i + (FIELDS_MAX - n));
        int rc = parse_field(spans[i], id, &fields[id], err);
        if (rc < 0)
            return rc;
    }
    ret->kind = TRIGGER_CRON;
    ret->every_usec = 0;
    ret->cron = (struct cron){
        .second = fields[SECOND].set,
        .minute = fields[MINUTE].set,
        .hour = (uint32_t)fields[HOUR].set,
        .day_of_month = (uint32_t)fields[DAY].set,
        .month = (uint16_t)fields[MONTH].set,
        .day_of_week = (uint8_t)fields[WEEKDAY].set,
        .day_of_month_any = fields[DAY].any,
        .day_of_week_any = fields[WEEKDAY].any,
        .hour_wild = fields[HOUR].wild,
        .minute_wild = fields[MINUTE].wild || fields[SECOND].wild,
    };
    return 0;
}

static int parse_every(const char *text, struct trigger *ret, struct err *err)
{
    usec_t every_usec = 0;
    while (is_space(*text))
        text++;
    int rc = duration_parse(text, &every_usec, err);
    if (rc < 0)
        return err_wrap(err, ERR_INVALID, "@every");
    if (every_usec < USEC_PER_SEC || every_usec > 366 * USEC_PER_DAY)
        return err_set(err, ERR_INVALID, "@every: '%.40s' is outside of 1s to 366d", text);
    if (every_usec % USEC_PER_SEC != 0)
        return err_set(err, ERR_INVALID, "@every: '%.40s' is not a whole number of seconds", text);
    ret->kind = TRIGGER_EVERY;
    ret->every_usec = every_usec;
    ret->cron = (struct cron){0};
    return 0;
}

static int parse_macro(const char *text, struct trigger *ret, struct err *err)
{
    static const struct {
        const char *name;
        const char *fields;
    } macros[] = {
        {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
        {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
    };
    if (strncasecmp(text, "@every", 6) == 0 && is_space(text[6]))
        return parse_every(text + 6, ret, err);
    for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
        if (strcasecmp(text, macros[i].name) == 0)
            return parse_fields(macros[i].fields, ret, err);
    if (strcasecmp(text, "@reboot") == 0)
        return err_set(err, ERR_INVALID, "@reboot is not supported, since a cluster has no start of its own; " MACROS_ALLOWED);
    return err_set(err, ERR_INVALID, "'%.40s' is not a macro; " MACROS_ALLOWED, text);
}

int schedule_text_parse(const char *text, struct trigger *ret, struct err *err)
{
    must(text != NULL && ret != NULL);
    if (strlen(text) > TEXT_BYTES_MAX)
        return err_set(err, ERR_INVALID, "it is longer than %d bytes", (int)TEXT_BYTES_MAX);
    while (is_space(*text))
        text++;
    if (strncasecmp(text, "CRON_TZ=", 8) == 0 || strncasecmp(text, "TZ=", 3) == 0)
        return err_set(err, ERR_INVALID, "a time zone is given beside the expression: {cron: \"0 9 * * *\", zone: Europe/Berlin}");
    if (text[0] == '@')
        return parse_macro(text, ret, err);
    return parse_fields(text, ret, err);
}
