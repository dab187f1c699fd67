// SPDX-License-Identifier: Apache-2.0
// The fields of schedules, and what happens around their instants.
#include <string.h>

#include "base/assert.h"
#include "base/sort.h"
#include "base/str.h"
#include "base/tz.h"
#include "codec/cron_text.h"
#include "codec/names.h"
#include "codec/spec_read.h"
#include "model/schedule.h"

// Bounds of one entry, against each other and against what it is.
static void check_bounds(struct spec_reader *reader, const struct place *at)
{
    static const enum field_id bounds[] = {FIELD_SCHEDULE_FROM, FIELD_SCHEDULE_UNTIL, FIELD_SCHEDULE_BETWEEN, FIELD_SCHEDULE_JITTER,
                                           FIELD_SCHEDULE_EXCLUDE, FIELD_SCHEDULE_INCLUDE};
    const struct trigger *trigger = reader->trigger;
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
        if ((trigger->kind == TRIGGER_AT || trigger->kind == TRIGGER_AFTER_END) && reader->given[bounds[i]].node != NULL)
            spec_bad_said(reader, &reader->given[bounds[i]], "it has no bounds; they belong to cron and every");
    if (trigger->from_usec != 0 && trigger->until_usec != 0 && trigger->until_usec <= trigger->from_usec)
        spec_bad_said(reader, &reader->given[FIELD_SCHEDULE_UNTIL], "it is not later than from");
    const struct tz *tz = tz_find(trigger->zone);
    if (trigger->kind == TRIGGER_CRON && trigger->has_between && tz != NULL && reader->errors->n == 0
        && schedule_next(trigger, tz, 0, 0) == USEC_NEVER && trigger->until_usec == 0)
        spec_bad_said(reader, at, "no instant of '%.60s' lies within %.60s", trigger->text, reader->given[FIELD_SCHEDULE_BETWEEN].node->text);
}

// One entry that is a map: exactly one of cron, quartz, every and at.
static void read_trigger_map(struct spec_reader *reader, const struct place *at)
{
    static const enum field_id kinds[] = {FIELD_SCHEDULE_CRON, FIELD_SCHEDULE_QUARTZ, FIELD_SCHEDULE_EVERY, FIELD_SCHEDULE_AT, FIELD_SCHEDULE_AFTER_END};
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
    static const enum field_id others[] = {FIELD_SCHEDULE_ZONE, FIELD_SCHEDULE_FROM, FIELD_SCHEDULE_UNTIL, FIELD_SCHEDULE_BETWEEN, FIELD_SCHEDULE_JITTER,
                                           FIELD_SCHEDULE_PARAMS, FIELD_SCHEDULE_EXCLUDE, FIELD_SCHEDULE_INCLUDE};
    for (size_t i = 0; i < KINDS; i++)
        reader->given[kinds[i]].node = NULL;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        reader->given[others[i]].node = NULL;
    spec_read_map(reader, at, "schedule.");
    int n = 0;
    for (size_t i = 0; i < KINDS; i++)
        n += reader->given[kinds[i]].node != NULL;
    bool wall_times = reader->given[FIELD_SCHEDULE_CRON].node != NULL || reader->given[FIELD_SCHEDULE_QUARTZ].node != NULL;
    if (n == 0)
        spec_bad(reader, at, "one of cron, every and at is missing");
    else if (n > 1)
        spec_bad(reader, at, "only one of cron, every and at may be given; make it a list");
    else if (reader->given[FIELD_SCHEDULE_ZONE].node != NULL && !wall_times && reader->given[FIELD_SCHEDULE_BETWEEN].node == NULL &&
             reader->given[FIELD_SCHEDULE_EXCLUDE].node == NULL && reader->given[FIELD_SCHEDULE_INCLUDE].node == NULL)
        spec_bad_said(reader, &reader->given[FIELD_SCHEDULE_ZONE], "a zone belongs to cron; every needs none, and at holds its own");
    else
        check_bounds(reader, at);
}

// A fixed day (Feb 30) that never comes would be a schedule that nobody notices to be dead.
static bool ever_fires(const struct trigger *trigger)
{
    return trigger->kind != TRIGGER_CRON || cron_next(&trigger->cron, tz_find("UTC"), 0) != USEC_NEVER;
}

void spec_field_SCHEDULE(struct spec_reader *reader, const struct place *at)
{
    size_t n = spec_list_len(at);
    if (!spec_within(reader, at, LIMIT_SCHEDULES, n, "the number of schedules"))
        return;
    struct trigger *triggers = arena_array(reader->arena, struct trigger, n);
    for (size_t i = 0; i < n; i++) {
        struct place item = spec_list_at(reader, at, i);
        triggers[i].zone = "UTC";
        reader->trigger = &triggers[i];
        if (item.node->kind == DOC_MAP)
            read_trigger_map(reader, &item);
        else
            spec_field_SCHEDULE_CRON(reader, &item);
    }
    reader->trigger = NULL;
    reader->spec->triggers = triggers;
    reader->spec->n_triggers = n;
}

static void read_wall_times(struct spec_reader *reader, const struct place *at,
                            int (*parse)(const char *, const char *, struct trigger *, struct err *))
{
    must(reader->trigger != NULL && reader->hash_key != NULL);
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return;
    struct err err = {0};
    if (parse(text, reader->hash_key, reader->trigger, &err) < 0)
        spec_bad_said(reader, at, "%s", err.text);
    else if (!ever_fires(reader->trigger))
        spec_bad_said(reader, at, "'%.60s' names a day that never comes", text);
    reader->trigger->text = text;
}

void spec_field_SCHEDULE_CRON(struct spec_reader *reader, const struct place *at)
{
    read_wall_times(reader, at, schedule_text_parse);
}

void spec_field_SCHEDULE_QUARTZ(struct spec_reader *reader, const struct place *at)
{
    read_wall_times(reader, at, schedule_quartz_parse);
    reader->trigger->quartz = true;
}

void spec_field_SCHEDULE_ZONE(struct spec_reader *reader, const struct place *at)
{
    must(reader->trigger != NULL);
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return;
    if (tz_find(text) == NULL)
        spec_bad(reader, at, "there is no time zone '%.60s'", text);
    else
        reader->trigger->zone = text;
}

void spec_field_SCHEDULE_EVERY(struct spec_reader *reader, const struct place *at)
{
    must(reader->trigger != NULL);
    usec_t every_usec = 0;
    if (!spec_read_duration(reader, at, USEC_PER_SEC, 366 * USEC_PER_DAY, &every_usec))
        return;
    if (every_usec % USEC_PER_SEC != 0) {
        spec_bad(reader, at, "'%.60s' is not a whole number of seconds", at->node->text);
        return;
    }
    reader->trigger->kind = TRIGGER_EVERY;
    reader->trigger->every_usec = every_usec;
    reader->trigger->text = arena_printf(reader->arena, "@every %s", at->node->text);
}

void spec_field_SCHEDULE_AFTER_END(struct spec_reader *reader, const struct place *at)
{
    must(reader->trigger != NULL);
    if (!spec_read_duration(reader, at, USEC_PER_SEC, 366 * USEC_PER_DAY, &reader->trigger->every_usec))
        return;
    reader->trigger->kind = TRIGGER_AFTER_END;
    reader->trigger->text = arena_printf(reader->arena, "after_end %s", at->node->text);
}

void spec_field_SCHEDULE_AT(struct spec_reader *reader, const struct place *at)
{
    must(reader->trigger != NULL);
    if (!spec_read_time(reader, at, &reader->trigger->at_usec))
        return;
    reader->trigger->kind = TRIGGER_AT;
    reader->trigger->text = at->node->text;
}

void spec_field_SCHEDULE_FROM(struct spec_reader *reader, const struct place *at)
{
    must(reader->trigger != NULL);
    (void)spec_read_time(reader, at, &reader->trigger->from_usec);
}

void spec_field_SCHEDULE_UNTIL(struct spec_reader *reader, const struct place *at)
{
    must(reader->trigger != NULL);
    (void)spec_read_time(reader, at, &reader->trigger->until_usec);
}

// "HH:MM" or "HH:MM:SS" off the front, as seconds of the day up to 24:00; NULL when it is none.
static const char *take_time_of_day(const char *text, int32_t *ret_sec)
{
    int32_t part[3] = {0};
    int n = 0;
    for (; n < 3; n++) {
        if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
            return NULL;
        part[n] = (text[0] - '0') * 10 + (text[1] - '0');
        text += 2;
        if (*text != ':' || n == 2)
            break;
        text++;
    }
    *ret_sec = part[0] * 3600 + part[1] * 60 + part[2];
    return n > 0 && part[1] < 60 && part[2] < 60 && *ret_sec <= 86400 ? text : NULL;
}

void spec_field_SCHEDULE_BETWEEN(struct spec_reader *reader, const struct place *at)
{
    must(reader->trigger != NULL);
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return;
    int32_t first = 0, last = 0;
    const char *end = take_time_of_day(text, &first);
    end = end != NULL && *end == '-' ? take_time_of_day(end + 1, &last) : NULL;
    if (end == NULL || *end != '\0') {
        spec_bad(reader, at, "'%.60s' is not such a window", text);
        return;
    }
    reader->trigger->has_between = true;
    reader->trigger->between_first_sec = first;
    reader->trigger->between_last_sec = last;
}

void spec_field_SCHEDULE_JITTER(struct spec_reader *reader, const struct place *at)
{
    must(reader->trigger != NULL);
    (void)spec_read_duration(reader, at, 0, USEC_PER_DAY, &reader->trigger->jitter_usec);
}

void spec_field_CATCH_UP(struct spec_reader *reader, const struct place *at)
{
    spec_read_map(reader, at, "catch_up.");
}

void spec_field_CATCH_UP_WINDOW(struct spec_reader *reader, const struct place *at)
{
    (void)spec_read_duration(reader, at, USEC_PER_SEC, 366 * USEC_PER_DAY, &reader->spec->catch_up_window_usec);
}

void spec_field_CATCH_UP_MAX(struct spec_reader *reader, const struct place *at)
{
    int64_t value = 0;
    if (spec_read_number(reader, at, 1, reader->limits->value[LIMIT_MISSED_FIRES], &value))
        reader->spec->catch_up_max = (uint32_t)value;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Names of calendars, sorted; whether there are such calendars is known where the job is stored.
static void read_calendars(struct spec_reader *reader, const struct place *at, const char *const **ret_names, uint32_t *ret_n)
{
    must(reader->trigger != NULL);
    size_t n = spec_list_len(at);
    if (n == 0 || n > CALENDAR_NAMES_MAX) {
        spec_bad(reader, at, n == 0 ? "it names no calendar" : "%zu names are too many", n);
        return;
    }
    const char **names = arena_array(reader->arena, const char *, n);
    for (size_t i = 0; i < n; i++) {
        struct place item = spec_list_at(reader, at, i);
        names[i] = spec_read_checked(reader, &item, name_problem);
        if (names[i] == NULL)
            return;
    }
    sort_items(names, n, sizeof(*names), by_text);
    for (size_t i = 1; i < n; i++)
        if (str_eq(names[i - 1], names[i])) {
            spec_bad_said(reader, at, "'%.60s' is named twice", names[i]);
            return;
        }
    *ret_names = names;
    *ret_n = (uint32_t)n;
}

void spec_field_SCHEDULE_EXCLUDE(struct spec_reader *reader, const struct place *at)
{
    read_calendars(reader, at, &reader->trigger->exclude, &reader->trigger->n_exclude);
}

void spec_field_SCHEDULE_INCLUDE(struct spec_reader *reader, const struct place *at)
{
    read_calendars(reader, at, &reader->trigger->include, &reader->trigger->n_include);
}

void spec_field_LATE_AFTER(struct spec_reader *reader, const struct place *at)
{
    (void)spec_read_duration(reader, at, USEC_PER_SEC, 366 * USEC_PER_DAY, &reader->spec->late_after_usec);
}

void spec_field_PAUSE_AFTER(struct spec_reader *reader, const struct place *at)
{
    int64_t value = 0;
    if (spec_read_number(reader, at, 0, 1000000, &value))
        reader->spec->pause_after = (uint32_t)value;
}

void spec_field_OVERLAP(struct spec_reader *reader, const struct place *at)
{
    const char *const names[] = {overlap_name(OVERLAP_ALLOW), overlap_name(OVERLAP_FORBID), overlap_name(OVERLAP_REPLACE),
                                 overlap_name(OVERLAP_QUEUE), overlap_name(OVERLAP_QUEUE_ALL)};
    int found = spec_read_name_of(reader, at, names, 5);
    if (found >= 0)
        reader->spec->overlap = (enum overlap)found;
}

void spec_field_MISFIRE(struct spec_reader *reader, const struct place *at)
{
    const char *const names[] = {misfire_name(MISFIRE_SKIP), misfire_name(MISFIRE_ONCE), misfire_name(MISFIRE_ALL)};
    int found = spec_read_name_of(reader, at, names, 3);
    if (found >= 0)
        reader->spec->misfire = (enum misfire)found;
}
