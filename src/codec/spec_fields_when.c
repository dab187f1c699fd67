// SPDX-License-Identifier: Apache-2.0
// The fields that say how many, when, how often, and after what.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "base/tz.h"
#include "codec/cron_text.h"
#include "codec/names.h"
#include "codec/spec_read.h"

#define LONG_USEC (3650 * USEC_PER_DAY)
#define BACKOFF_MOST_USEC (30 * USEC_PER_DAY)

void spec_field_TASKS(struct spec_reader *reader, const struct place *at)
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return;
    int64_t tasks_max = reader->limits->value[LIMIT_TASKS];
    int64_t count = 0;
    int rc = str_to_i64(text, &count);
    if (rc == 0 && count >= 1 && count <= tasks_max) {
        index_set_first((uint32_t)count, reader->arena, &reader->spec->tasks);
        return;
    }
    if (rc == 0 && count > tasks_max) {
        (void)spec_within(reader, at, LIMIT_TASKS, (size_t)count, "the number of tasks");
        return;
    }
    if (rc == 0 || rc == ERR_RANGE) {
        spec_bad(reader, at, "%.40s is out of range", text);
        return;
    }
    struct err err = {0};
    rc = index_set_parse(text, (size_t)reader->limits->value[LIMIT_INDEX_RANGES], (uint64_t)tasks_max, reader->arena,
                         &reader->spec->tasks, &err);
    if (rc == ERR_LIMIT)
        spec_bad_said(reader, at, "%s", err.text);
    else if (rc < 0)
        spec_bad(reader, at, "%s", err.text);
}

void spec_field_PARALLELISM(struct spec_reader *reader, const struct place *at)
{
    int64_t value = 0;
    if (spec_read_number(reader, at, 0, UINT32_MAX, &value))
        reader->spec->parallelism = (uint32_t)value;
}

void spec_field_TIME_LIMIT(struct spec_reader *reader, const struct place *at)
{
    (void)spec_read_duration(reader, at, 0, LONG_USEC, &reader->spec->time_limit_usec);
}

void spec_field_QUEUE_DEADLINE(struct spec_reader *reader, const struct place *at)
{
    (void)spec_read_duration(reader, at, 0, LONG_USEC, &reader->spec->queue_deadline_usec);
}

void spec_field_KILL_GRACE(struct spec_reader *reader, const struct place *at)
{
    (void)spec_read_duration(reader, at, 0, USEC_PER_HOUR, &reader->spec->kill_grace_usec);
}

void spec_field_START_AT(struct spec_reader *reader, const struct place *at)
{
    (void)spec_read_time(reader, at, &reader->spec->start_at_usec);
}

void spec_field_RETRY(struct spec_reader *reader, const struct place *at)
{
    spec_read_map(reader, at, "retry.");
}

void spec_field_RETRY_LIMIT(struct spec_reader *reader, const struct place *at)
{
    int64_t value = 0;
    if (spec_read_number(reader, at, 0, reader->limits->value[LIMIT_ATTEMPTS] - 1, &value))
        reader->spec->retry.limit = (uint32_t)value;
}

void spec_field_RETRY_BACKOFF(struct spec_reader *reader, const struct place *at)
{
    (void)spec_read_duration(reader, at, 0, BACKOFF_MOST_USEC, &reader->spec->retry.backoff_usec);
}

void spec_field_RETRY_FACTOR(struct spec_reader *reader, const struct place *at)
{
    (void)spec_read_permille(reader, at, false, 1000, 100000, &reader->spec->retry.factor_permille);
}

void spec_field_RETRY_MAX_BACKOFF(struct spec_reader *reader, const struct place *at)
{
    (void)spec_read_duration(reader, at, 0, BACKOFF_MOST_USEC, &reader->spec->retry.backoff_max_usec);
}

void spec_field_RETRY_JITTER(struct spec_reader *reader, const struct place *at)
{
    (void)spec_read_permille(reader, at, true, 0, 1000, &reader->spec->retry.jitter_permille);
}

void spec_field_RETRY_EXIT_CODES(struct spec_reader *reader, const struct place *at)
{
    size_t n = spec_list_len(at);
    if (n > 255) {
        spec_bad(reader, at, "it has %zu entries", n);
        return;
    }
    int32_t *codes = arena_array(reader->arena, int32_t, n);
    for (size_t i = 0; i < n; i++) {
        struct place item = spec_list_at(reader, at, i);
        int64_t code = 0;
        if (!spec_read_number(reader, &item, 1, 255, &code))
            continue;
        codes[i] = (int32_t)code;
        for (size_t k = 0; k < i; k++)
            if (codes[k] == codes[i])
                spec_bad(reader, &item, "%d is given twice", codes[i]);
    }
    reader->spec->retry.exit_codes = codes;
    reader->spec->retry.n_exit_codes = n;
}

void spec_field_RETRY_CAUSES(struct spec_reader *reader, const struct place *at)
{
    const char *names[OUTCOMES];
    for (int i = 0; i < OUTCOMES; i++)
        names[i] = outcome_name((enum outcome)i);
    uint32_t causes = 0;
    for (size_t i = 0; i < spec_list_len(at); i++) {
        struct place item = spec_list_at(reader, at, i);
        int outcome = spec_read_name_of(reader, &item, names, OUTCOMES);
        if (outcome < 0)
            continue;
        if (outcome == OUTCOME_SUCCEEDED || outcome == OUTCOME_CANCELLED)
            spec_bad(reader, &item, "an attempt that ended as %s is never tried again", names[outcome]);
        causes |= 1u << outcome;
    }
    reader->spec->retry.causes = causes;
}

void spec_field_DELIVERY(struct spec_reader *reader, const struct place *at)
{
    const char *const names[] = {delivery_name(AT_LEAST_ONCE), delivery_name(AT_MOST_ONCE)};
    int found = spec_read_name_of(reader, at, names, 2);
    if (found >= 0)
        reader->spec->delivery = (enum delivery)found;
}

void spec_field_CONCURRENCY(struct spec_reader *reader, const struct place *at)
{
    if (at->node->kind != DOC_MAP) {
        spec_bad(reader, at, "a map {key: NAME, limit: NUMBER} is needed here");
        return;
    }
    spec_read_map(reader, at, "concurrency.");
    if (reader->given[FIELD_CONCURRENCY_KEY].node == NULL)
        spec_bad(reader, at, "the key is missing");
}

void spec_field_CONCURRENCY_KEY(struct spec_reader *reader, const struct place *at)
{
    const char *text = spec_read_checked(reader, at, label_value_problem);
    if (text != NULL && text[0] == '\0')
        spec_bad(reader, at, "it is empty");
    else if (text != NULL)
        reader->spec->concurrency_key = text;
}

void spec_field_CONCURRENCY_LIMIT(struct spec_reader *reader, const struct place *at)
{
    int64_t value = 0;
    if (spec_read_number(reader, at, 1, 1000000, &value))
        reader->spec->concurrency_limit = (uint32_t)value;
}

void spec_field_AFTER(struct spec_reader *reader, const struct place *at)
{
    size_t n = spec_list_len(at);
    if (!spec_within(reader, at, LIMIT_DEPENDENCIES, n, "the number of runs to wait for"))
        return;
    struct dependency *after = arena_array(reader->arena, struct dependency, n);
    for (size_t i = 0; i < n; i++) {
        struct place item = spec_list_at(reader, at, i);
        reader->dependency = &after[i];
        if (item.node->kind == DOC_MAP)
            spec_read_map(reader, &item, "after.");
        else
            spec_field_AFTER_RUN(reader, &item);
        if (after[i].run_id == 0 && item.node->kind == DOC_MAP && reader->given[FIELD_AFTER_RUN].node == NULL)
            spec_bad(reader, &item, "the id of the run is missing");
        reader->given[FIELD_AFTER_RUN].node = NULL;
        for (size_t k = 0; k < i; k++)
            if (after[i].run_id != 0 && after[k].run_id == after[i].run_id)
                spec_bad(reader, &item, "run %" PRIu64 " is given twice", after[i].run_id);
    }
    reader->dependency = NULL;
    reader->spec->after = after;
    reader->spec->n_after = n;
}

void spec_field_AFTER_RUN(struct spec_reader *reader, const struct place *at)
{
    int64_t value = 0;
    must(reader->dependency != NULL);
    if (spec_read_number(reader, at, 1, INT64_MAX, &value))
        reader->dependency->run_id = (uint64_t)value;
}

void spec_field_AFTER_ON(struct spec_reader *reader, const struct place *at)
{
    const char *const names[] = {after_on_name(AFTER_SUCCEEDED), after_on_name(AFTER_FAILED), after_on_name(AFTER_ENDED)};
    must(reader->dependency != NULL);
    int found = spec_read_name_of(reader, at, names, 3);
    if (found >= 0)
        reader->dependency->on = (enum after_on)found;
}

// One entry that is a map: exactly one of cron, quartz, every and at.
static void read_trigger_map(struct spec_reader *reader, const struct place *at)
{
    static const enum field_id kinds[] = {FIELD_SCHEDULE_CRON, FIELD_SCHEDULE_QUARTZ, FIELD_SCHEDULE_EVERY, FIELD_SCHEDULE_AT};
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
    reader->given[FIELD_SCHEDULE_ZONE].node = NULL;
    for (size_t i = 0; i < KINDS; i++)
        reader->given[kinds[i]].node = NULL;
    spec_read_map(reader, at, "schedule.");
    int n = 0;
    for (size_t i = 0; i < KINDS; i++)
        n += reader->given[kinds[i]].node != NULL;
    bool wall_times = reader->given[FIELD_SCHEDULE_CRON].node != NULL || reader->given[FIELD_SCHEDULE_QUARTZ].node != NULL;
    if (n == 0)
        spec_bad(reader, at, "one of cron, every and at is missing");
    else if (n > 1)
        spec_bad(reader, at, "only one of cron, every and at may be given; make it a list");
    else if (reader->given[FIELD_SCHEDULE_ZONE].node != NULL && !wall_times)
        spec_bad_said(reader, &reader->given[FIELD_SCHEDULE_ZONE], "a zone belongs to cron; every needs none, and at holds its own");
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

void spec_field_SCHEDULE_AT(struct spec_reader *reader, const struct place *at)
{
    must(reader->trigger != NULL);
    if (!spec_read_time(reader, at, &reader->trigger->at_usec))
        return;
    reader->trigger->kind = TRIGGER_AT;
    reader->trigger->text = at->node->text;
}

void spec_field_OVERLAP(struct spec_reader *reader, const struct place *at)
{
    const char *const names[] = {overlap_name(OVERLAP_ALLOW), overlap_name(OVERLAP_FORBID), overlap_name(OVERLAP_REPLACE),
                                 overlap_name(OVERLAP_QUEUE)};
    int found = spec_read_name_of(reader, at, names, 4);
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
