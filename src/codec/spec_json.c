// SPDX-License-Identifier: Apache-2.0
// A spec in the form of a job file. Whatever has its default is left out, so that what was declared can be seen.
#include "codec/spec_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "codec/names.h"

static void put_duration(struct json_put *json, const char *key, usec_t usec)
{
    char text[32];
    json_put_text(json, key, duration_format(text, usec));
}

// In the largest unit that loses nothing.
static void put_size(struct json_put *json, const char *key, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    int unit = -1;
    for (; unit < 4 && bytes > 0 && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    if (unit < 0) {
        json_put_u64(json, key, bytes);
        return;
    }
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64 "%s", bytes, units[unit]);
    json_put_text(json, key, text);
}

// To the microsecond, unlike json_time.
static void put_instant(struct json_put *json, const char *key, usec_t wall_usec)
{
    char whole[40], text[64];
    usec_t fraction = ((wall_usec % USEC_PER_SEC) + USEC_PER_SEC) % USEC_PER_SEC;
    time_format(whole, wall_usec - fraction);
    const char *dot = strchr(whole, '.');
    must(dot != NULL);
    if (fraction == 0)
        snprintf(text, sizeof(text), "%.*sZ", (int)(dot - whole), whole);
    else
        snprintf(text, sizeof(text), "%.*s.%06" PRId64 "Z", (int)(dot - whole), whole, fraction);
    json_put_text(json, key, text);
}

static void put_maybe(struct json_put *json, const char *key, const char *text)
{
    if (text != NULL)
        json_put_text(json, key, text);
}

static void put_pairs(struct json_put *json, const char *key, const struct pair *pairs, size_t n)
{
    if (n == 0)
        return;
    json_put_open(json, key, '{');
    for (size_t i = 0; i < n; i++)
        json_put_text(json, pairs[i].key, pairs[i].value);
    json_put_close(json, '}');
}

static void put_what(struct json_put *json, const struct job_spec *spec)
{
    json_put_text(json, "namespace", spec->namespace_name);
    put_maybe(json, "name", spec->name);
    put_maybe(json, "description", spec->description);
    if (spec->n_command > 0) {
        json_put_open(json, "command", '[');
        for (size_t i = 0; i < spec->n_command; i++)
            json_put_text(json, NULL, spec->command[i]);
        json_put_close(json, ']');
    }
    put_maybe(json, "script", spec->script);
    put_pairs(json, "env", spec->env, spec->n_env);
    put_maybe(json, "workdir", spec->workdir);
    put_maybe(json, "user", spec->user);
}

static void put_needs(struct json_put *json, const struct job_spec *spec)
{
    char text[32];
    if (spec->cpu_declared || spec->n_needs > 1) {
        json_put_open(json, "resources", '{');
        for (size_t i = 0; i < spec->n_needs; i++) {
            const struct resource_need *need = &spec->needs[i];
            if (strcmp(need->name, "memory") == 0 || strcmp(need->name, "disk") == 0)
                put_size(json, need->name, need->amount);
            else if (strcmp(need->name, "cpu") != 0)
                json_put_u64(json, need->name, need->amount);
            else if (spec->cpu_declared)
                json_put_text(json, "cpu", cpu_format(text, need->amount));
        }
        json_put_close(json, '}');
    }
    if (spec->n_constraints > 0) {
        json_put_open(json, "constraints", '[');
        for (size_t i = 0; i < spec->n_constraints; i++) {
            struct buf condition = {0};
            constraint_format(&condition, &spec->constraints[i]);
            json_put_text(json, NULL, condition.data);
            buf_release(&condition);
        }
        json_put_close(json, ']');
    }
}

// A number when the indexes are 0, 1, ...; otherwise the list of ranges.
static void put_tasks(struct json_put *json, const struct index_set *tasks)
{
    if (tasks->count == 0 || index_set_at(tasks, tasks->count - 1) == tasks->count - 1) {
        if (tasks->count > 1)
            json_put_u64(json, "tasks", tasks->count);
        return;
    }
    struct buf text = {0};
    for (size_t i = 0; i < tasks->n_ranges; i++) {
        const struct index_range *range = &tasks->ranges[i];
        buf_printf(&text, "%s%" PRIu32, i > 0 ? "," : "", range->first);
        if (range->last > range->first)
            buf_printf(&text, "-%" PRIu32, range->last);
        if (range->last > range->first && range->step > 1)
            buf_printf(&text, ":%" PRIu32, range->step);
    }
    // A single number would be read as how many.
    if (tasks->count == 1)
        buf_printf(&text, "-%" PRIu32, tasks->ranges[0].first);
    json_put_text(json, "tasks", text.data);
    buf_release(&text);
}

static void put_retry(struct json_put *json, const struct retry *retry, const struct retry *standard)
{
    bool same = retry->limit == standard->limit && retry->backoff_usec == standard->backoff_usec &&
                retry->factor_permille == standard->factor_permille && retry->backoff_max_usec == standard->backoff_max_usec &&
                retry->jitter_permille == standard->jitter_permille && retry->n_exit_codes == 0 && retry->causes == 0;
    if (same)
        return;
    json_put_open(json, "retry", '{');
    json_put_u64(json, "limit", retry->limit);
    put_duration(json, "backoff", retry->backoff_usec);
    json_put_permille(json, "factor", retry->factor_permille);
    put_duration(json, "max_backoff", retry->backoff_max_usec);
    json_put_permille(json, "jitter", retry->jitter_permille);
    if (retry->n_exit_codes > 0) {
        json_put_open(json, "exit_codes", '[');
        for (size_t i = 0; i < retry->n_exit_codes; i++)
            json_put_i64(json, NULL, retry->exit_codes[i]);
        json_put_close(json, ']');
    }
    if (retry->causes != 0) {
        json_put_open(json, "causes", '[');
        for (int i = 0; i < OUTCOMES; i++)
            if ((retry->causes & (1u << i)) != 0)
                json_put_text(json, NULL, outcome_name((enum outcome)i));
        json_put_close(json, ']');
    }
    json_put_close(json, '}');
}

static void put_order(struct json_put *json, const struct job_spec *spec)
{
    put_tasks(json, &spec->tasks);
    if (spec->parallelism > 0)
        json_put_u64(json, "parallelism", spec->parallelism);
    if (spec->priority != 0)
        json_put_i64(json, "priority", spec->priority);
    if (strcmp(spec->queue, "default") != 0)
        json_put_text(json, "queue", spec->queue);
    if (spec->concurrency_key != NULL) {
        json_put_open(json, "concurrency", '{');
        json_put_text(json, "key", spec->concurrency_key);
        json_put_u64(json, "limit", spec->concurrency_limit);
        json_put_close(json, '}');
    }
    if (spec->n_after > 0) {
        json_put_open(json, "after", '[');
        for (size_t i = 0; i < spec->n_after; i++) {
            json_put_open(json, NULL, '{');
            json_put_u64(json, "run", spec->after[i].run_id);
            json_put_text(json, "on", after_on_name(spec->after[i].on));
            json_put_close(json, '}');
        }
        json_put_close(json, ']');
    }
}

static void put_times(struct json_put *json, const struct job_spec *spec, const struct job_spec *standard)
{
    if (spec->time_limit_usec > 0)
        put_duration(json, "time_limit", spec->time_limit_usec);
    if (spec->queue_deadline_usec > 0)
        put_duration(json, "queue_deadline", spec->queue_deadline_usec);
    if (spec->kill_grace_usec != standard->kill_grace_usec)
        put_duration(json, "kill_grace", spec->kill_grace_usec);
    if (spec->start_at_usec > 0)
        put_instant(json, "start_at", spec->start_at_usec);
    put_retry(json, &spec->retry, &standard->retry);
    if (spec->delivery != standard->delivery)
        json_put_text(json, "delivery", delivery_name(spec->delivery));
    if (spec->log_bytes_max > 0)
        put_size(json, "log_limit", spec->log_bytes_max);
}

static void put_names(struct json_put *json, const char *key, const char *const *names, size_t n)
{
    if (n == 0)
        return;
    json_put_open(json, key, '[');
    for (size_t i = 0; i < n; i++)
        json_put_text(json, NULL, names[i]);
    json_put_close(json, ']');
}

static void put_bounds(struct json_put *json, const struct trigger *trigger)
{
    if (trigger->from_usec != 0)
        put_instant(json, "from", trigger->from_usec);
    if (trigger->until_usec != 0)
        put_instant(json, "until", trigger->until_usec);
    if (trigger->has_between) {
        char text[64];
        int32_t first = trigger->between_first_sec, last = trigger->between_last_sec;
        snprintf(text, sizeof(text), "%02d:%02d:%02d-%02d:%02d:%02d", first / 3600, first / 60 % 60, first % 60, last / 3600, last / 60 % 60,
                 last % 60);
        json_put_text(json, "between", text);
    }
    if (trigger->jitter_usec > 0)
        put_duration(json, "jitter", trigger->jitter_usec);
    put_pairs(json, "params", trigger->params, trigger->n_params);
    put_names(json, "exclude", trigger->exclude, trigger->n_exclude);
    put_names(json, "include", trigger->include, trigger->n_include);
}

static void put_params(struct json_put *json, const struct job_spec *spec)
{
    if (spec->n_params == 0)
        return;
    json_put_open(json, "params", '{');
    for (size_t i = 0; i < spec->n_params; i++) {
        const struct param *param = &spec->params[i];
        json_put_open(json, param->name, '{');
        if (param->value != NULL)
            json_put_text(json, "default", param->value);
        if (param->required)
            json_put_bool(json, "required", true);
        json_put_close(json, '}');
    }
    json_put_close(json, '}');
}

static void put_schedule(struct json_put *json, const struct job_spec *spec, const struct job_spec *standard)
{
    if (spec->n_triggers > 0) {
        json_put_open(json, "schedule", '[');
        for (size_t i = 0; i < spec->n_triggers; i++) {
            const struct trigger *trigger = &spec->triggers[i];
            json_put_open(json, NULL, '{');
            // `every` has its text with the macro, which stands where cron fields may stand.
            if (trigger->kind == TRIGGER_AFTER_END) {
                put_duration(json, "after_end", trigger->every_usec);
                put_pairs(json, "params", trigger->params, trigger->n_params);
                json_put_close(json, '}');
                continue;
            }
            const char *kind = trigger->kind == TRIGGER_AT ? "at" : trigger->quartz ? "quartz" : "cron";
            json_put_text(json, kind, trigger->text);
            if (trigger->kind == TRIGGER_CRON || trigger->has_between || trigger->n_exclude + trigger->n_include > 0)
                json_put_text(json, "zone", trigger->zone);
            put_bounds(json, trigger);
            json_put_close(json, '}');
        }
        json_put_close(json, ']');
    }
    if (spec->overlap != standard->overlap)
        json_put_text(json, "overlap", overlap_name(spec->overlap));
    if (spec->misfire != standard->misfire)
        json_put_text(json, "misfire", misfire_name(spec->misfire));
    if (spec->catch_up_window_usec > 0 || spec->catch_up_max > 0) {
        json_put_open(json, "catch_up", '{');
        if (spec->catch_up_window_usec > 0)
            put_duration(json, "window", spec->catch_up_window_usec);
        if (spec->catch_up_max > 0)
            json_put_u64(json, "max", spec->catch_up_max);
        json_put_close(json, '}');
    }
    if (spec->late_after_usec > 0)
        put_duration(json, "late_after", spec->late_after_usec);
    if (spec->pause_after > 0)
        json_put_u64(json, "pause_after", spec->pause_after);
}

void spec_json(struct json_put *json, const char *key, const struct job_spec *spec)
{
    must(json != NULL && spec != NULL);
    struct job_spec standard;
    job_spec_init(&standard);
    json_put_open(json, key, '{');
    put_what(json, spec);
    put_needs(json, spec);
    put_order(json, spec);
    put_times(json, spec, &standard);
    put_schedule(json, spec, &standard);
    put_params(json, spec);
    put_pairs(json, "labels", spec->labels, spec->n_labels);
    json_put_close(json, '}');
}
