// SPDX-License-Identifier: Apache-2.0
// iCalendar files. See cli/ics.h.
#include "cli/ics.h"

#include <libical/ical.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "base/time.h"

// A day of a repeating event that another entry of the file stands for.
struct moved {
    const char *uid;
    int32_t day;
};

struct reader {
    const struct ics_options *options;
    struct ics *ics;
    struct err *err;
    unsigned line;  // of the component that is read
    const char *title;
    const char *remark;
    struct moved *moved;
    size_t n_moved, cap_moved;
};

// ---- lines

// One line of the file, without its end; false at the end of the text.
static bool take_line(const char **text, const char *end, const char **ret, size_t *ret_len)
{
    if (*text >= end)
        return false;
    const char *stop = memchr(*text, '\n', (size_t)(end - *text));
    *ret = *text;
    *ret_len = (size_t)((stop != NULL ? stop : end) - *text);
    *text = stop != NULL ? stop + 1 : end;
    while (*ret_len > 0 && (*ret)[*ret_len - 1] == '\r')
        --*ret_len;
    return true;
}

// "BEGIN:VEVENT" and the like; the value goes to ret (of size bytes).
static bool line_is(const char *line, size_t len, const char *key, char *ret, size_t size)
{
    size_t key_len = strlen(key);
    if (len <= key_len || strncasecmp(line, key, key_len) != 0 || len - key_len >= size)
        return false;
    memcpy(ret, line + key_len, len - key_len);
    ret[len - key_len] = '\0';
    return true;
}

static const char *skip_mark(const char *text, const char *end)
{
    return end - text >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
}

bool ics_is(const char *text, size_t len)
{
    const char *end = text + len, *line = NULL;
    size_t line_len = 0;
    char value[32];
    for (text = skip_mark(text, end); take_line(&text, end, &line, &line_len);)
        if (line_len > 0)
            return line_is(line, line_len, "BEGIN:", value, sizeof(value)) && strcasecmp(value, "VCALENDAR") == 0;
    return false;
}

static struct ics_line *add_line(struct reader *reader)
{
    struct ics *ics = reader->ics;
    if (ics->n_lines == ics->cap_lines) {
        size_t cap = ics->cap_lines > 0 ? 2 * ics->cap_lines : 64;
        struct ics_line *more = arena_array(&ics->arena, struct ics_line, cap);
        if (ics->n_lines > 0)
            memcpy(more, ics->lines, ics->n_lines * sizeof(*more));
        ics->lines = more;
        ics->cap_lines = cap;
    }
    struct ics_line *line = &ics->lines[ics->n_lines++];
    *line = (struct ics_line){.number = reader->line, .text = reader->title};
    return line;
}

__attribute__((format(printf, 2, 3))) static void lost(struct reader *reader, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct ics_line *line = add_line(reader);
    line->remark = arena_vprintf(&reader->ics->arena, fmt, args);
    line->lost = true;
    va_end(args);
}

// Something of an event that is carried over is not.
static void remark(struct reader *reader, const char *text)
{
    reader->remark = reader->remark != NULL ? arena_printf(&reader->ics->arena, "%s; %s", reader->remark, text) : text;
}

// ---- days

static bool day_of(struct icaltimetype time, int32_t *ret)
{
    if (icaltime_is_null_time(time) || time.year < 1970 || time.year > 9999 || time.month < 1 || time.month > 12 || time.day < 1 ||
        time.day > month_days(time.year, time.month))
        return false;
    *ret = (int32_t)days_from_civil(time.year, time.month, time.day);
    return true;
}

static bool at_midnight(struct icaltimetype time)
{
    return time.is_date || (time.hour == 0 && time.minute == 0 && time.second == 0);
}

static int add_days(struct reader *reader, int32_t first_day, int32_t n_days, const char *label)
{
    struct ics *ics = reader->ics;
    if (first_day > CALENDAR_DAY_LAST - n_days)
        return 0;
    if (ics->n_dates == ICS_DAYS_MAX)
        return err_set(reader->err, ERR_TOO_LARGE, "line %u: these are more than %d occurrences of events", reader->line, ICS_DAYS_MAX);
    if (ics->n_dates == ics->cap_dates) {
        size_t cap = ics->cap_dates > 0 ? 2 * ics->cap_dates : 64;
        struct calendar_dates *more = arena_array(&ics->arena, struct calendar_dates, cap);
        if (ics->n_dates > 0)
            memcpy(more, ics->dates, ics->n_dates * sizeof(*more));
        ics->dates = more;
        ics->cap_dates = cap;
    }
    ics->dates[ics->n_dates++] = (struct calendar_dates){first_day, first_day + n_days - 1, label};
    return 0;
}

// A label as a calendar takes it: without control characters, and not longer than it may be.
static const char *label_of(struct arena *arena, const char *summary)
{
    if (summary == NULL || summary[0] == '\0')
        return NULL;
    char *text = arena_strdup(arena, summary);
    size_t len = strlen(text);
    if (len > CALENDAR_LABEL_BYTES) {
        len = CALENDAR_LABEL_BYTES;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) // never through a character
            len--;
        text[len] = '\0';
    }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
    return text;
}

// ---- one event

struct event {
    icalcomponent *component;
    const char *uid, *label;
    int32_t first_day, n_days;
    int32_t *without; // days that are taken out of its repetitions
    size_t n_without, cap_without;
};

static void event_without(struct reader *reader, struct event *event, int32_t day)
{
    if (event->n_without == event->cap_without) {
        size_t cap = event->cap_without > 0 ? 2 * event->cap_without : 16;
        int32_t *more = arena_array(&reader->ics->arena, int32_t, cap);
        if (event->n_without > 0)
            memcpy(more, event->without, event->n_without * sizeof(*more));
        event->without = more;
        event->cap_without = cap;
    }
    event->without[event->n_without++] = day;
}

static bool event_lacks(const struct event *event, int32_t day)
{
    for (size_t i = 0; i < event->n_without; i++)
        if (event->without[i] == day)
            return true;
    return false;
}

// The whole days that it lasts; false: it has times of the day, or no days at all, which is told.
static bool event_days(struct reader *reader, struct event *event)
{
    icalproperty *property = icalcomponent_get_first_property(event->component, ICAL_DTSTART_PROPERTY);
    if (property == NULL) {
        lost(reader, "it has no beginning (DTSTART)");
        return false;
    }
    struct icaltimetype start = icalproperty_get_dtstart(property);
    if (!day_of(start, &event->first_day)) {
        lost(reader, "its beginning is no date from 1970 on");
        return false;
    }
    struct icaltimetype end = icaltime_null_time();
    property = icalcomponent_get_first_property(event->component, ICAL_DTEND_PROPERTY);
    if (property != NULL)
        end = icalproperty_get_dtend(property);
    property = icalcomponent_get_first_property(event->component, ICAL_DURATION_PROPERTY);
    if (icaltime_is_null_time(end) && property != NULL)
        end = icaltime_add(start, icalproperty_get_duration(property));
    if (!start.is_date && (icaltime_is_null_time(end) || !at_midnight(start) || !at_midnight(end) || icaltime_compare(end, start) <= 0)) {
        lost(reader, "it has a time of the day (%04d-%02d-%02d %02d:%02d), and a calendar holds whole days", start.year % 10000, start.month % 100,
             start.day % 100, start.hour % 100, start.minute % 100);
        return false;
    }
    if (!start.is_date)
        remark(reader, "from midnight to midnight: these are taken as whole days");
    // The end is the first day that is no longer part of it.
    int32_t end_day = 0;
    event->n_days = !icaltime_is_null_time(end) && day_of(end, &end_day) && end_day > event->first_day ? end_day - event->first_day : 1;
    return true;
}

static void read_without(struct reader *reader, struct event *event)
{
    for (icalproperty *property = icalcomponent_get_first_property(event->component, ICAL_EXDATE_PROPERTY); property != NULL;
         property = icalcomponent_get_next_property(event->component, ICAL_EXDATE_PROPERTY)) {
        int32_t day = 0;
        if (day_of(icalproperty_get_exdate(property), &day))
            event_without(reader, event, day);
        else
            remark(reader, "an EXDATE is no date");
    }
    for (size_t i = 0; i < reader->n_moved; i++)
        if (event->uid != NULL && str_eq(reader->moved[i].uid, event->uid))
            event_without(reader, event, reader->moved[i].day);
    if (icalcomponent_get_first_property(event->component, ICAL_EXRULE_PROPERTY) != NULL)
        remark(reader, "its EXRULE, which RFC 5545 no longer has, is left out");
}

static int add_single_dates(struct reader *reader, struct event *event, size_t *n)
{
    for (icalproperty *property = icalcomponent_get_first_property(event->component, ICAL_RDATE_PROPERTY); property != NULL;
         property = icalcomponent_get_next_property(event->component, ICAL_RDATE_PROPERTY)) {
        struct icaldatetimeperiodtype date = icalproperty_get_rdate(property);
        int32_t day = 0;
        if (!day_of(date.time, &day) || !at_midnight(date.time)) {
            remark(reader, "an RDATE is no date and is left out");
            continue;
        }
        if (event_lacks(event, day))
            continue;
        int rc = add_days(reader, day, event->n_days, event->label);
        if (rc < 0)
            return rc;
        ++*n;
    }
    return 0;
}

// The days of one rule, within the bounds for repetitions.
static int add_rule(struct reader *reader, struct event *event, struct icalrecurrencetype rule, size_t *n, int32_t *ret_last)
{
    const struct ics_options *options = reader->options;
    if (rule.freq == ICAL_NO_RECURRENCE || rule.freq < ICAL_DAILY_RECURRENCE) {
        remark(reader, rule.freq == ICAL_NO_RECURRENCE ? "its rule is not understood and left out" : "its rule repeats within a day and is left out");
        return 0;
    }
    int64_t year = 0;
    int month = 0, day = 0;
    civil_from_days(event->first_day, &year, &month, &day);
    struct icaltimetype start = {.year = (int)year, .month = month, .day = day, .is_date = 1};
    icalrecur_iterator *iterator = icalrecur_iterator_new(rule, start);
    if (iterator == NULL) {
        remark(reader, "its rule, which gives no day or is not understood, is left out");
        return 0;
    }
    int rc = 0;
    bool older = false, newer = false;
    for (size_t looks = 0; rc == 0; looks++) {
        struct icaltimetype at = icalrecur_iterator_next(iterator);
        int32_t found = 0;
        if (icaltime_is_null_time(at) || !day_of(at, &found))
            break;
        newer = found > options->last_day;
        if (newer)
            break;
        if (looks == ICS_DAYS_MAX) {
            rc = err_set(reader->err, ERR_TOO_LARGE, "line %u: a rule with more than %d occurrences", reader->line, ICS_DAYS_MAX);
            break;
        }
        older = older || found < options->first_day;
        if (found < options->first_day || event_lacks(event, found))
            continue;
        rc = add_days(reader, found, event->n_days, event->label);
        *ret_last = found > *ret_last ? found : *ret_last;
        ++*n;
    }
    icalrecur_iterator_free(iterator);
    char first_text[16], last_text[16];
    if (older)
        remark(reader, arena_printf(&reader->ics->arena, "days before %s are left out", date_format(first_text, options->first_day)));
    if (newer)
        remark(reader, arena_printf(&reader->ics->arena, "days after %s are left out", date_format(last_text, options->last_day)));
    return rc;
}

static int add_event(struct reader *reader, struct event *event)
{
    struct ics *ics = reader->ics;
    char first[16], last[16];
    icalproperty *property = icalcomponent_get_first_property(event->component, ICAL_RRULE_PROPERTY);
    size_t n = 0;
    int32_t last_day = 0;
    int rc = 0;
    read_without(reader, event);
    bool repeats = property != NULL;
    for (; property != NULL && rc == 0; property = icalcomponent_get_next_property(event->component, ICAL_RRULE_PROPERTY))
        rc = add_rule(reader, event, icalproperty_get_rrule(property), &n, &last_day);
    if (rc == 0 && !repeats && !event_lacks(event, event->first_day)) {
        rc = add_days(reader, event->first_day, event->n_days, event->label);
        n++;
    }
    if (rc == 0)
        rc = add_single_dates(reader, event, &n);
    if (rc < 0)
        return rc;
    struct ics_line *line = add_line(reader);
    line->remark = reader->remark;
    line->lost = n == 0;
    if (n == 0) {
        line->remark = reader->remark != NULL ? reader->remark : "it has no day";
        return 0;
    }
    const char *title = event->label != NULL ? event->label : "without a title";
    if (event->first_day > CALENDAR_DAY_LAST - event->n_days)
        event->n_days = 1;
    const char *days = event->n_days == 1 ? date_format(first, event->first_day)
                                          : arena_printf(&ics->arena, "%s to %s", date_format(first, event->first_day),
                                                         date_format(last, event->first_day + event->n_days - 1));
    if (repeats)
        line->text = arena_printf(&ics->arena, "%s and again, %zu time%s up to %s: %s", days, n, n == 1 ? "" : "s", last_day > 0 ? date_format(last, last_day) : days,
                                  title);
    else
        line->text = n > 1 ? arena_printf(&ics->arena, "%s and %zu more: %s", days, n - 1, title) : arena_printf(&ics->arena, "%s: %s", days, title);
    return 0;
}

// The day of another event that this one stands for; false: none, or it cannot be carried over.
static bool read_moved(icalcomponent *component, int32_t *ret_day, bool *ret_following)
{
    icalproperty *property = icalcomponent_get_first_property(component, ICAL_RECURRENCEID_PROPERTY);
    *ret_following = property != NULL && icalproperty_get_first_parameter(property, ICAL_RANGE_PARAMETER) != NULL;
    return property != NULL && day_of(icalproperty_get_recurrenceid(property), ret_day);
}

static int read_event(struct reader *reader, icalcomponent *component)
{
    struct event event = {.component = component};
    icalproperty *property = icalcomponent_get_first_property(component, ICAL_UID_PROPERTY);
    event.uid = property != NULL ? icalproperty_get_uid(property) : NULL;
    event.label = label_of(&reader->ics->arena, icalcomponent_get_summary(component));
    if (event.label != NULL)
        reader->title = event.label;
    if (icalcomponent_get_first_property(component, ICAL_XLICERROR_PROPERTY) != NULL)
        remark(reader, "some of its lines are not understood");
    if (icalcomponent_get_status(component) == ICAL_STATUS_CANCELLED) {
        lost(reader, "it is cancelled");
        return 0;
    }
    int32_t day = 0;
    bool following = false;
    if (read_moved(component, &day, &following) && following)
        remark(reader, "it stands for all that follow, too: only its own day is taken");
    return event_days(reader, &event) ? add_event(reader, &event) : 0;
}

// ---- the file

// Calls for every component of the calendar but the zones, with its lines as a text of its own.
static int each_component(struct reader *reader, const char *text, size_t len, int (*call)(struct reader *, const char *kind, const struct buf *))
{
    const char *end = text + len, *line = NULL;
    size_t line_len = 0;
    unsigned number = 0, depth = 0;
    char kind[32] = "", value[64];
    cleanup_buf struct buf part = {0};
    int rc = 0;
    for (text = skip_mark(text, end); rc == 0 && take_line(&text, end, &line, &line_len);) {
        number++;
        bool begins = line_is(line, line_len, "BEGIN:", value, sizeof(value));
        if (begins && ++depth == 2) {
            buf_clear(&part);
            str_copy(kind, sizeof(kind), strlen(value) < sizeof(kind) ? value : "?");
            reader->line = number;
        }
        if (depth >= 2 && part.len <= ICS_EVENT_BYTES_MAX) {
            buf_add(&part, line, line_len);
            buf_adds(&part, "\r\n");
        }
        if (!line_is(line, line_len, "END:", value, sizeof(value)) || depth == 0)
            continue;
        if (depth-- == 2)
            rc = call(reader, kind, &part);
    }
    if (rc == 0 && depth > 0) {
        reader->title = "the file";
        reader->line = number;
        lost(reader, "it ends within %s", depth > 1 ? kind : "the calendar");
    }
    return rc;
}

static int read_component(struct reader *reader, const char *kind, const struct buf *part)
{
    reader->title = kind[0] != '\0' ? arena_strdup(&reader->ics->arena, kind) : "?";
    reader->remark = NULL;
    if (strcasecmp(kind, "VTIMEZONE") == 0)
        return 0; // dates have none
    if (strcasecmp(kind, "VEVENT") != 0) {
        lost(reader, "only events become dates");
        return 0;
    }
    if (part->len > ICS_EVENT_BYTES_MAX) {
        lost(reader, "it is longer than %d bytes", ICS_EVENT_BYTES_MAX);
        return 0;
    }
    icalcomponent *component = icalparser_parse_string(part->data);
    int rc = 0;
    if (component == NULL || icalcomponent_isa(component) != ICAL_VEVENT_COMPONENT)
        lost(reader, "it is not understood");
    else
        rc = read_event(reader, component);
    if (component != NULL)
        icalcomponent_free(component);
    return rc;
}

// Days that a later entry of the file stands for are known before the first event is read.
static int find_moved(struct reader *reader, const char *kind, const struct buf *part)
{
    if (strcasecmp(kind, "VEVENT") != 0 || part->len > ICS_EVENT_BYTES_MAX || strstr(part->data, "RECURRENCE-ID") == NULL)
        return 0;
    icalcomponent *component = icalparser_parse_string(part->data);
    icalproperty *uid = component != NULL ? icalcomponent_get_first_property(component, ICAL_UID_PROPERTY) : NULL;
    int32_t day = 0;
    bool following = false;
    if (uid != NULL && read_moved(component, &day, &following)) {
        struct arena *arena = &reader->ics->arena;
        if (reader->n_moved == reader->cap_moved) {
            size_t cap = reader->cap_moved > 0 ? 2 * reader->cap_moved : 16;
            struct moved *more = arena_array(arena, struct moved, cap);
            if (reader->n_moved > 0)
                memcpy(more, reader->moved, reader->n_moved * sizeof(*more));
            reader->moved = more;
            reader->cap_moved = cap;
        }
        reader->moved[reader->n_moved++] = (struct moved){arena_strdup(arena, icalproperty_get_uid(uid)), day};
    }
    if (component != NULL)
        icalcomponent_free(component);
    return 0;
}

static const char *find_name(struct ics *ics, const char *text, size_t len)
{
    const char *end = text + len, *line = NULL;
    size_t line_len = 0;
    char value[256];
    while (take_line(&text, end, &line, &line_len))
        if (line_is(line, line_len, "X-WR-CALNAME:", value, sizeof(value)) || line_is(line, line_len, "NAME:", value, sizeof(value)))
            return label_of(&ics->arena, value);
    return NULL;
}

int ics_parse(const char *text, size_t len, const struct ics_options *options, struct ics *ret, struct err *err)
{
    must(options->first_day <= options->last_day);
    *ret = (struct ics){0};
    arena_init(&ret->arena, 0);
    if (!ics_is(text, len) || memchr(text, '\0', len) != NULL)
        return err_set(err, ERR_INVALID, "this is no iCalendar file: it does not begin with BEGIN:VCALENDAR");
    icalerror_set_errors_are_fatal(0);
    struct reader reader = {.options = options, .ics = ret, .err = err};
    ret->name = find_name(ret, text, len);
    int rc = each_component(&reader, text, len, find_moved);
    if (rc == 0)
        ret->n_lines = 0; // of the first look
    if (rc == 0)
        rc = each_component(&reader, text, len, read_component);
    if (rc == 0)
        ret->n_dates = calendar_tidy(ret->dates, ret->n_dates);
    return rc;
}

void ics_release(struct ics *ics)
{
    arena_release(&ics->arena);
}
