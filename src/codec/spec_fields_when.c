// SPDX-License-Identifier: Apache-2.0
// The fields that say how many, how long, how often, and after what.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
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
