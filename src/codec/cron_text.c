// SPDX-License-Identifier: Apache-2.0
// Reading the text of a schedule.
#include "codec/cron_text.h"

#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/str.h"

enum { TEXT_BYTES_MAX = 1024, FIELDS_MAX = 7, HASH_DAY_LAST = 28 };
#define FIELDS_ALLOWED "a schedule has 5 (minute hour day month weekday), 6 with seconds first, or the 7 of Quartz with the year last"
#define QUARTZ_ALLOWED "a schedule of Quartz has 6 (second minute hour day month weekday), or 7 with the year last"
#define MACROS_ALLOWED "allowed are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @every DURATION"

enum field_id { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, YEAR };

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
    [DAY] = {"day of month", 1, 31, NULL, 0, 0, "1-31, L, L-n, nW, LW"},
    [MONTH] = {"month", 1, 12, month_names, 12, 1, "1-12 or jan-dec"},
    [WEEKDAY] = {"day of week", 0, 7, day_names, 7, 0, "0-7 (0 and 7 are Sunday) or sun-sat, d#n, dL"},
    [YEAR] = {"year", CRON_YEAR_FIRST, CRON_YEAR_LAST, NULL, 0, 0, "1970-2099"},
};
// Weekdays as Quartz numbers them.
static const struct field_rule quartz_weekday = {"day of week", 1, 7, day_names, 7, 1, "1-7 (1 is Sunday) or SUN-SAT, d#n, dL"};

struct span {
    const char *p;
    size_t len;
};

struct field {
    enum field_id id;
    const struct field_rule *rule;
    bool quartz;
    const char *hash_key;
    uint64_t set[CRON_YEAR_WORDS]; // bit i: value i; years from their first on
    uint32_t before_last, weekday_near, weekday_before_last;
    uint8_t nth_weekday[6];
    bool any;  // `*` or `?`, also `*/1`
    bool wild; // steps through the whole field: `*`, `*/n`, `a/n`, `H/n`
};

static int fail(struct err *err, const struct field *field, struct span part, const char *problem)
{
    return err_set(err, ERR_INVALID, "%s: '%.*s' %s; allowed are %s, *, ranges (a-b), steps (*/n) and lists (a,b)", field->rule->name,
                   (int)(part.len < 40 ? part.len : 40), part.p, problem, field->rule->allowed);
}

static bool span_take(struct span *in, char c)
{
    if (in->len == 0 || in->p[0] != c)
        return false;
    in->p++;
    in->len--;
    return true;
}

// A letter in either case.
static bool take_letter(struct span *in, char upper)
{
    return span_take(in, upper) || span_take(in, (char)(upper + ('a' - 'A')));
}

// Up to four digits; false when there are none, or more.
static bool take_digits(struct span *in, int *ret)
{
    size_t len = 0;
    int value = 0;
    while (len < in->len && in->p[len] >= '0' && in->p[len] <= '9') {
        if (len == 4)
            return false;
        value = value * 10 + (in->p[len++] - '0');
    }
    in->p += len;
    in->len -= len;
    if (len > 0)
        *ret = value;
    return len > 0;
}

// Takes a number or a name off the front.
static int take_value(struct span *in, const struct field *field, int *ret)
{
    const struct field_rule *rule = field->rule;
    int value = 0;
    bool digits = in->len > 0 && in->p[0] >= '0' && in->p[0] <= '9';
    bool found = digits && take_digits(in, &value);
    if (digits && !found)
        return ERR_RANGE;
    for (int i = 0; i < rule->n_names && !found; i++) {
        if (in->len >= 3 && strncasecmp(in->p, rule->names[i], 3) == 0) {
            value = rule->names_least + i;
            in->p += 3;
            in->len -= 3;
            found = true;
        }
    }
    if (!found)
        return ERR_INVALID;
    if (value < rule->least || value > rule->most)
        return ERR_RANGE;
    *ret = value;
    return 0;
}

// What is wrong with letters that are known, but not there.
static const char *foreign_problem(const struct field *field, struct span part)
{
    if (part.len == 0)
        return "is empty";
    char last = part.p[part.len - 1];
    if (memchr(part.p, '#', part.len) != NULL)
        return field->id == WEEKDAY ? "is no n-th weekday; write d#n with n from 1 to 5 (fri#2)" : "is for day of week only";
    if (part.p[0] == 'H' || part.p[0] == 'h')
        return field->id == YEAR ? "is for the other fields" : "is no hashed value; write H, H/n, H(a-b) or H(a-b)/n";
    if (last == 'L' || last == 'l' || part.p[0] == 'L' || part.p[0] == 'l') {
        if (field->id == WEEKDAY)
            return "is no last weekday; write dL (friL)";
        return field->id == DAY ? "is no last day; write L, L-n (n up to 30), LW or L-nW" : "is for day of month and day of week only";
    }
    if (last == 'W' || last == 'w')
        return field->id == DAY ? "is no nearest weekday; write nW (15W) or LW" : "is for day of month only";
    if (part.p[0] == '?')
        return "is for day of month and day of week only";
    return "is not understood";
}

static int take_step(struct span *in, struct span part, const struct field *field, int *ret_step, struct err *err)
{
    int step = 0;
    if (!take_digits(in, &step))
        return fail(err, field, part, "has no number as its step");
    if (step == 0)
        return fail(err, field, part, "has a step of 0");
    // A step that leaves the field only ever matches its first value: nobody means that.
    if (step > field->rule->most - field->rule->least + (field->id != WEEKDAY || field->quartz))
        return fail(err, field, part, "has a step larger than the field");
    *ret_step = step;
    return 0;
}

// The weekday that a value stands for, Sunday is 0.
static int weekday_of(const struct field *field, int value)
{
    return (value - (field->quartz ? 1 : 0)) % 7;
}

static void add_value(struct field *field, int value)
{
    int bit = value;
    if (field->id == WEEKDAY)
        bit = weekday_of(field, value);
    if (field->id == YEAR)
        bit = value - CRON_YEAR_FIRST;
    must(bit >= 0 && bit < CRON_YEAR_WORDS * 64);
    field->set[bit / 64] |= UINT64_C(1) << (bit % 64);
}

// first, first+step, ... up to last; last below first goes around the end of the field.
static void add_range(struct field *field, int first, int last, int step)
{
    const struct field_rule *rule = field->rule;
    int size = rule->most - rule->least + 1;
    if (last < first)
        last += size;
    for (int value = first; value <= last; value += step)
        add_value(field, value > rule->most ? value - size : value);
}

// L, L-n, LW, L-nW and nW. False: it is none of them; *in is then as it was.
static bool take_special_day(struct span *in, struct field *field)
{
    struct span rest = *in;
    int n = 0;
    if (take_letter(&rest, 'L')) {
        if (span_take(&rest, '-') && (!take_digits(&rest, &n) || n > 30))
            return false;
        bool weekday = take_letter(&rest, 'W');
        if (rest.len > 0)
            return false;
        *(weekday ? &field->weekday_before_last : &field->before_last) |= 1u << n;
    } else {
        if (!take_digits(&rest, &n) || n < 1 || n > 31 || !take_letter(&rest, 'W') || rest.len > 0)
            return false;
        field->weekday_near |= 1u << n;
    }
    *in = rest;
    return true;
}

// d#n and dL; in Quartz also L.
static bool take_special_weekday(struct span *in, struct field *field)
{
    struct span rest = *in;
    int value = 0, n = 0;
    if (field->quartz && rest.len == 1 && take_letter(&rest, 'L')) {
        add_value(field, 7);
        *in = rest;
        return true;
    }
    if (take_value(&rest, field, &value) < 0)
        return false;
    if (span_take(&rest, '#')) {
        if (!take_digits(&rest, &n) || n < 1 || n > 5 || rest.len > 0)
            return false;
    } else if (!take_letter(&rest, 'L') || rest.len > 0) {
        return false;
    }
    field->nth_weekday[n] |= (uint8_t)(1u << weekday_of(field, value));
    *in = rest;
    return true;
}

// Behind the H: (a-b) and /n. Every field of a job draws its own number.
static int parse_hashed(struct span in, struct span part, struct field *field, struct err *err)
{
    const struct field_rule *rule = field->rule;
    int first = rule->least, last = rule->most, step = 0;
    if (field->id == DAY)
        last = HASH_DAY_LAST; // every month has it
    if (field->id == WEEKDAY && !field->quartz)
        last = 6;
    bool bounded = span_take(&in, '(');
    if (bounded) {
        int rc = take_value(&in, field, &first);
        if (rc == 0)
            rc = span_take(&in, '-') ? take_value(&in, field, &last) : ERR_INVALID;
        if (rc == 0 && last < first)
            return fail(err, field, part, "ends before it begins");
        if (rc < 0 || !span_take(&in, ')'))
            return fail(err, field, part, rc == ERR_RANGE ? "is out of range" : foreign_problem(field, part));
    }
    bool stepped = span_take(&in, '/');
    if (stepped) {
        int rc = take_step(&in, part, field, &step, err);
        if (rc < 0)
            return rc;
        if (step > last - first + 1)
            return fail(err, field, part, "has a step larger than its range");
    }
    if (in.len > 0)
        return fail(err, field, part, foreign_problem(field, part));
    uint64_t draw = hash_bytes(field->hash_key, strlen(field->hash_key), (uint64_t)field->id + 1);
    int size = stepped ? step : last - first + 1;
    first += (int)(draw % (uint64_t)size);
    add_range(field, first, stepped ? last : first, stepped ? step : 1);
    field->wild = field->wild || (stepped && !bounded);
    return 0;
}

// a, a-b or a star, with or without /step.
static int parse_range(struct span part, struct field *field, struct err *err)
{
    const struct field_rule *rule = field->rule;
    struct span in = part;
    int first = rule->least, last = field->id == WEEKDAY && !field->quartz ? 6 : rule->most, step = 1;
    bool star = span_take(&in, '*') || ((field->id == DAY || field->id == WEEKDAY) && span_take(&in, '?'));
    bool range = false;
    if (!star) {
        int rc = take_value(&in, field, &first);
        if (rc < 0)
            return fail(err, field, part, rc == ERR_RANGE ? "is out of range" : foreign_problem(field, part));
        int value = first;
        if (span_take(&in, '-')) {
            range = true;
            rc = take_value(&in, field, &value);
            if (rc < 0)
                return fail(err, field, part, rc == ERR_RANGE ? "is out of range" : "is not a range");
            if (field->id == WEEKDAY && !field->quartz && value == 0 && first > 0)
                value = 7; // "sat-sun"
            if (value < first && (!field->quartz || field->id == YEAR))
                return fail(err, field, part, "ends before it begins");
        }
        if (range || in.len == 0)
            last = value;
    }
    bool stepped = span_take(&in, '/');
    if (stepped) {
        int rc = take_step(&in, part, field, &step, err);
        if (rc < 0)
            return rc;
    }
    if (in.len > 0)
        return fail(err, field, part, foreign_problem(field, part));
    // "7/2": from Sunday on, which is the first day of the week.
    if (field->id == WEEKDAY && !field->quartz && stepped && !range && !star)
        first %= 7;
    add_range(field, first, last, step);
    field->any = field->any || (star && step == 1);
    field->wild = field->wild || star || (stepped && !range);
    return 0;
}

// One item of a list.
static int parse_part(struct span part, struct field *field, struct err *err)
{
    struct span in = part;
    if (field->id == DAY && take_special_day(&in, field))
        return 0;
    if (field->id == WEEKDAY && take_special_weekday(&in, field))
        return 0;
    if (field->id != YEAR && take_letter(&in, 'H'))
        return parse_hashed(in, part, field, err);
    return parse_range(part, field, err);
}

static int parse_field(struct span text, struct field *field, struct err *err)
{
    for (;;) {
        const char *comma = memchr(text.p, ',', text.len);
        struct span part = {text.p, comma != NULL ? (size_t)(comma - text.p) : text.len};
        int rc = parse_part(part, field, err);
        if (rc < 0)
            return rc;
        if (comma == NULL)
            return 0;
        text.len -= part.len + 1;
        text.p = comma + 1;
    }
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

static void make_cron(const struct field fields[FIELDS_MAX], struct cron *ret)
{
    *ret = (struct cron){
        .second = fields[SECOND].set[0],
        .minute = fields[MINUTE].set[0],
        .hour = (uint32_t)fields[HOUR].set[0],
        .day_of_month = (uint32_t)fields[DAY].set[0],
        .month = (uint16_t)fields[MONTH].set[0],
        .day_of_week = (uint8_t)fields[WEEKDAY].set[0],
        .day_of_month_any = fields[DAY].any,
        .day_of_week_any = fields[WEEKDAY].any,
        .hour_wild = fields[HOUR].wild,
        .minute_wild = fields[MINUTE].wild || fields[SECOND].wild,
        .before_last = fields[DAY].before_last,
        .weekday_near = fields[DAY].weekday_near,
        .weekday_before_last = fields[DAY].weekday_before_last,
    };
    memcpy(ret->nth_weekday, fields[WEEKDAY].nth_weekday, sizeof(ret->nth_weekday));
    if (!fields[YEAR].any)
        memcpy(ret->year, fields[YEAR].set, sizeof(ret->year));
}

static int parse_fields(const char *text, bool quartz, const char *hash_key, struct trigger *ret, struct err *err)
{
    struct span spans[FIELDS_MAX];
    size_t n = split(text, spans);
    if (n < (quartz ? 6 : 5) || n > 7)
        return err_set(err, ERR_INVALID, "it has %zu field%s; %s", n, n == 1 ? "" : "s", quartz ? QUARTZ_ALLOWED : FIELDS_ALLOWED);
    quartz = quartz || n == 7;
    struct field fields[FIELDS_MAX] = {[SECOND] = {.set = {1}}, [YEAR] = {.any = true}};
    for (size_t i = 0; i < n; i++) {
        enum field_id id = (enum field_id)(i + (n == 5));
        fields[id] = (struct field){
            .id = id,
            .rule = id == WEEKDAY && quartz ? &quartz_weekday : &rules[id],
            .quartz = quartz,
            .hash_key = hash_key,
        };
        int rc = parse_field(spans[i], &fields[id], err);
        if (rc < 0)
            return rc;
    }
    if (quartz && !fields[DAY].any && !fields[WEEKDAY].any)
        return err_set(err, ERR_INVALID, "day of month and day of week are both given; Quartz wants ? as one of them");
    ret->kind = TRIGGER_CRON;
    ret->every_usec = 0;
    make_cron(fields, &ret->cron);
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

static int parse_macro(const char *text, const char *hash_key, struct trigger *ret, struct err *err)
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
            return parse_fields(macros[i].fields, false, hash_key, ret, err);
    if (strcasecmp(text, "@reboot") == 0)
        return err_set(err, ERR_INVALID, "@reboot is not available: a fleet has no moment at which it starts; use the init system of the machine for that, or "
                                         "`muster start` from it; " MACROS_ALLOWED);
    return err_set(err, ERR_INVALID, "'%.40s' is not a macro; " MACROS_ALLOWED, text);
}

static int parse_text(const char *text, bool quartz, const char *hash_key, struct trigger *ret, struct err *err)
{
    must(text != NULL && hash_key != NULL && ret != NULL);
    if (strlen(text) > TEXT_BYTES_MAX)
        return err_set(err, ERR_INVALID, "it is longer than %d bytes", (int)TEXT_BYTES_MAX);
    while (is_space(*text))
        text++;
    if (strncasecmp(text, "CRON_TZ=", 8) == 0 || strncasecmp(text, "TZ=", 3) == 0)
        return err_set(err, ERR_INVALID, "a time zone is given beside the expression: {cron: \"0 9 * * *\", zone: Europe/Berlin}");
    if (text[0] == '@' && !quartz)
        return parse_macro(text, hash_key, ret, err);
    return parse_fields(text, quartz, hash_key, ret, err);
}

int schedule_text_parse(const char *text, const char *hash_key, struct trigger *ret, struct err *err)
{
    return parse_text(text, false, hash_key, ret, err);
}

int schedule_quartz_parse(const char *text, const char *hash_key, struct trigger *ret, struct err *err)
{
    return parse_text(text, true, hash_key, ret, err);
}
