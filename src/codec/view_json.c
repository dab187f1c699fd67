// SPDX-License-Identifier: Apache-2.0
// Views as JSON.
#include "codec/view_json.h"

#include <string.h>

#include "base/assert.h"
#include "base/err.h"
#include "codec/json_put.h"
#include "codec/spec_json.h"
#include "model/params.h"

void json_add_text(struct buf *out, const char *text)
{
    struct json_put json;
    json_put_begin(&json, out);
    json_put_text(&json, NULL, text);
}

static void put_labels(struct json_put *json, const struct pair *labels, size_t n)
{
    json_put_open(json, "labels", '{');
    for (size_t i = 0; i < n; i++)
        json_put_text(json, labels[i].key, labels[i].value);
    json_put_close(json, '}');
}

// Bytes that cannot be read are shown as no values: the history checks no contents.
static void put_params(struct json_put *json, struct bytes packed)
{
    struct arena arena;
    arena_init(&arena, 0);
    const struct pair *values = NULL;
    size_t n = 0;
    if (params_unpack(packed, &arena, &values, &n, NULL) < 0)
        n = 0;
    json_put_open(json, "params", '{');
    for (size_t i = 0; i < n; i++)
        json_put_text(json, values[i].key, values[i].value);
    json_put_close(json, '}');
    arena_release(&arena);
}

static void put_counts(struct json_put *json, const struct run_view *view)
{
    json_put_open(json, "tasks", '{');
    json_put_u64(json, "total", view->n_tasks);
    json_put_u64(json, "pending", view->n_pending);
    json_put_u64(json, "backoff", view->n_backoff);
    json_put_u64(json, "placed", view->n_placed);
    json_put_u64(json, "running", view->n_running);
    json_put_u64(json, "stopping", view->n_stopping);
    json_put_u64(json, "succeeded", view->n_succeeded);
    json_put_u64(json, "failed", view->n_failed);
    json_put_u64(json, "cancelled", view->n_cancelled);
    json_put_u64(json, "expired", view->n_expired);
    json_put_u64(json, "lost", view->n_lost);
    json_put_close(json, '}');
}

void view_json_run(struct buf *out, const struct run_view *view, const struct job_spec *spec)
{
    must(view != NULL);
    struct json_put json;
    json_put_begin(&json, out);
    json_put_open(&json, NULL, '{');
    json_put_u64(&json, "run_id", view->run_id);
    json_put_text(&json, "job", view->job_name);
    json_put_text(&json, "namespace", view->namespace_name);
    json_put_id(&json, "job_version", view->job_version);
    json_put_text(&json, "state", run_state_name(view->state));
    json_put_bool(&json, "held", view->held);
    put_counts(&json, view);
    json_put_time(&json, "submitted_at", view->submitted_usec);
    json_put_time(&json, "started_at", view->started_usec);
    json_put_time(&json, "ended_at", view->ended_usec);
    json_put_time(&json, "nominal_at", view->nominal_usec);
    json_put_id(&json, "rerun_of", view->rerun_of);
    json_put_id(&json, "backfill_id", view->backfill_id);
    json_put_text(&json, "queue", view->queue);
    json_put_i64(&json, "priority", view->priority);
    json_put_text(&json, "submitted_by", view->submitted_by);
    put_params(&json, view->params);
    put_labels(&json, view->labels, view->n_labels);
    if (spec != NULL)
        spec_json(&json, "spec", spec);
    json_put_close(&json, '}');
}

static void put_usage(struct json_put *json, const struct attempt_end *end)
{
    const struct usage *usage = &end->usage;
    json_put_open(json, "usage", '{');
    json_put_seconds(json, "cpu_seconds", usage->cpu_usec);
    json_put_seconds(json, "wall_seconds", end->wall_usec > 0 ? (uint64_t)end->wall_usec : 0);
    json_put_u64(json, "memory_peak_bytes", usage->memory_peak_bytes);
    json_put_u64(json, "read_bytes", usage->read_bytes);
    json_put_u64(json, "written_bytes", usage->written_bytes);
    json_put_u64(json, "output_bytes", usage->output_bytes);
    json_put_close(json, '}');
}

// How the attempt ended; nulls while it has not.
static void put_end(struct json_put *json, const struct attempt_end *end)
{
    bool exited = end != NULL && (end->outcome == OUTCOME_SUCCEEDED || end->outcome == OUTCOME_EXIT);
    json_put_text(json, "outcome", end != NULL ? outcome_name(end->outcome) : NULL);
    if (exited)
        json_put_i64(json, "exit_code", end->exit_code);
    else
        json_put_null(json, "exit_code");
    json_put_id(json, "signal", end != NULL && end->signal > 0 ? (uint64_t)end->signal : 0);
    json_put_text(json, "message", end != NULL ? end->message : NULL);
    if (end != NULL)
        put_usage(json, end);
    else
        json_put_null(json, "usage");
}

void view_json_task(struct buf *out, const struct task_view *view)
{
    must(view != NULL);
    struct json_put json;
    json_put_begin(&json, out);
    json_put_open(&json, NULL, '{');
    json_put_u64(&json, "run_id", view->run_id);
    json_put_u64(&json, "index", view->index);
    json_put_id(&json, "attempt", view->attempt);
    json_put_text(&json, "state", task_state_name(view->state));
    json_put_text(&json, "node", view->node);
    json_put_id(&json, "fence", view->fence);
    json_put_time(&json, "placed_at", view->placed_usec);
    json_put_time(&json, "started_at", view->started_usec);
    json_put_time(&json, "ended_at", view->ended_usec);
    json_put_time(&json, "retry_at", view->retry_usec);
    put_end(&json, view->ended ? &view->end : NULL);
    json_put_close(&json, '}');
}

// Built-in kinds carry their unit in the name.
static const char *resource_key(const char *name)
{
    if (strcmp(name, "cpu") == 0)
        return "cpu_millis";
    if (strcmp(name, "memory") == 0)
        return "memory_bytes";
    return strcmp(name, "disk") == 0 ? "disk_bytes" : name;
}

static void put_resources(struct json_put *json, const char *key, const struct resource_need *resources, size_t n)
{
    json_put_open(json, key, '{');
    for (size_t i = 0; i < n; i++)
        json_put_u64(json, resource_key(resources[i].name), resources[i].amount);
    json_put_close(json, '}');
}

static const char *admission_text(const struct node_view *view)
{
    if (view->admission == ADMIT_OPEN)
        return "open";
    return view->n_tasks > 0 ? "draining" : "drained";
}

void view_json_node(struct buf *out, const struct node_view *view)
{
    must(view != NULL);
    const struct node_info *info = &view->info;
    struct json_put json;
    json_put_begin(&json, out);
    json_put_open(&json, NULL, '{');
    json_put_text(&json, "node", info->name);
    json_put_text(&json, "state", node_state_name(view->state));
    json_put_text(&json, "admission", admission_text(view));
    json_put_u64(&json, "tasks", view->n_tasks);
    json_put_u64(&json, "tasks_max", info->tasks_max);
    put_resources(&json, "capacity", info->capacity, info->n_capacity);
    put_resources(&json, "used", view->used, view->used != NULL ? info->n_capacity : 0);
    put_labels(&json, info->labels, info->n_labels);
    json_put_text(&json, "version", info->version);
    json_put_time(&json, "since", view->since_usec);
    json_put_open(&json, "warnings", '[');
    for (size_t i = 0; i < info->n_warnings; i++)
        json_put_text(&json, NULL, info->warnings[i]);
    json_put_close(&json, ']');
    json_put_close(&json, '}');
}

static void put_condition(struct json_put *json, const struct condition_view *view)
{
    json_put_open(json, NULL, '{');
    json_put_u64(json, "job_id", view->job_id);
    json_put_text(json, "namespace", view->namespace_name);
    json_put_text(json, "name", view->job_name);
    json_put_text(json, "condition", condition_name(view->condition));
    json_put_time(json, "since", view->since_usec);
    json_put_time(json, "nominal_at", view->nominal_usec);
    json_put_id(json, "run_id", view->run_id);
    json_put_text(json, "sentence", view->sentence);
    json_put_close(json, '}');
}

static void put_conditions(struct json_put *json, const struct condition_view *views, size_t n)
{
    json_put_open(json, "conditions", '[');
    for (size_t i = 0; i < n; i++)
        put_condition(json, &views[i]);
    json_put_close(json, ']');
}

void view_json_conditions(struct buf *out, const struct condition_view *views, size_t n, uint64_t next_after)
{
    struct json_put json;
    json_put_begin(&json, out);
    json_put_open(&json, NULL, '{');
    put_conditions(&json, views, n);
    json_put_id(&json, "next_after", next_after);
    json_put_close(&json, '}');
}

void view_json_job(struct buf *out, const struct job_view *view, const struct job_spec *spec, bool with_spec)
{
    must(view != NULL);
    struct json_put json;
    json_put_begin(&json, out);
    json_put_open(&json, NULL, '{');
    json_put_u64(&json, "job_id", view->job_id);
    json_put_text(&json, "namespace", view->namespace_name);
    json_put_text(&json, "name", view->name);
    json_put_u64(&json, "version", view->version);
    json_put_text(&json, "state", job_state_name(view->state));
    json_put_time(&json, "next_at", view->next_usec);
    json_put_id(&json, "last_run", view->last_run);
    json_put_u64(&json, "active_runs", view->n_active);
    json_put_time(&json, "applied_at", view->applied_usec);
    json_put_u64(&json, "failures", view->failures);
    json_put_bool(&json, "paused", view->paused);
    put_conditions(&json, view->conditions, view->n_conditions);
    json_put_open(&json, "schedules", '[');
    for (size_t i = 0; spec != NULL && i < spec->n_triggers; i++) {
        const struct trigger *trigger = &spec->triggers[i];
        struct buf text = {0};
        buf_adds(&text, trigger->text != NULL ? trigger->text : "");
        if (trigger->kind == TRIGGER_CRON && strcmp(trigger->zone, "UTC") != 0)
            buf_printf(&text, " %s", trigger->zone);
        for (uint32_t k = 0; k < trigger->n_include; k++)
            buf_printf(&text, "%s%s", k > 0 ? ", " : " only on ", trigger->include[k]);
        for (uint32_t k = 0; k < trigger->n_exclude; k++)
            buf_printf(&text, "%s%s", k > 0 ? ", " : " but not on ", trigger->exclude[k]);
        json_put_text(&json, NULL, text.data);
        buf_release(&text);
    }
    json_put_close(&json, ']');
    if (with_spec && spec != NULL)
        spec_json(&json, "spec", spec);
    else if (with_spec)
        json_put_null(&json, "spec");
    json_put_close(&json, '}');
}

static void put_dates(struct json_put *json, const struct calendar *calendar)
{
    char day[16];
    json_put_open(json, "dates", '[');
    for (size_t i = 0; i < calendar->n_dates; i++) {
        const struct calendar_dates *dates = &calendar->dates[i];
        bool one = dates->first_day == dates->last_day;
        json_put_open(json, NULL, '{');
        json_put_text(json, one ? "date" : "from", date_format(day, dates->first_day));
        if (!one)
            json_put_text(json, "to", date_format(day, dates->last_day));
        if (dates->label != NULL)
            json_put_text(json, "label", dates->label);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
}

void view_json_calendar(struct json_put *json, const struct calendar_view *view, bool dates)
{
    must(view != NULL);
    json_put_open(json, NULL, '{');
    json_put_text(json, "name", view->calendar.name);
    json_put_u64(json, "version", view->version);
    json_put_time(json, "put_at", view->put_usec);
    json_put_text(json, "description", view->calendar.description);
    json_put_u64(json, "n_dates", view->calendar.n_dates);
    json_put_u64(json, "schedules", view->n_schedules);
    if (dates) {
        json_put_open(json, "jobs", '[');
        for (size_t i = 0; i < view->n_jobs; i++)
            json_put_text(json, NULL, view->jobs[i]);
        json_put_close(json, ']');
        put_dates(json, &view->calendar);
    }
    json_put_close(json, '}');
}

void view_json_backfill(struct buf *out, const struct backfill_view *view)
{
    must(view != NULL);
    struct json_put json;
    json_put_begin(&json, out);
    json_put_open(&json, NULL, '{');
    json_put_u64(&json, "backfill_id", view->backfill_id);
    json_put_text(&json, "namespace", view->namespace_name);
    json_put_text(&json, "job", view->job_name);
    json_put_text(&json, "state", backfill_state_name(view->state));
    json_put_bool(&json, "held", view->held);
    json_put_time(&json, "from", view->from_usec);
    json_put_time(&json, "to", view->to_usec);
    json_put_bool(&json, "reverse", view->reverse);
    json_put_bool(&json, "again", view->again);
    json_put_u64(&json, "max_parallel", view->parallel_max);
    put_params(&json, view->params);
    json_put_open(&json, "instants", '{');
    json_put_u64(&json, "total", view->n_total);
    json_put_u64(&json, "started", view->n_fired);
    json_put_u64(&json, "active", view->n_active);
    json_put_u64(&json, "succeeded", view->n_succeeded);
    json_put_u64(&json, "unsuccessful", view->n_unsuccessful);
    json_put_close(&json, '}');
    json_put_time(&json, "at_instant", view->done_usec);
    json_put_time(&json, "began_at", view->began_usec);
    json_put_time(&json, "ended_at", view->ended_usec);
    json_put_text(&json, "submitted_by", view->by);
    json_put_close(&json, '}');
}

void view_json_why(struct buf *out, const struct why_view *view)
{
    must(view != NULL);
    struct json_put json;
    json_put_begin(&json, out);
    json_put_open(&json, NULL, '{');
    json_put_text(&json, "reason", reason_name(view->reason));
    json_put_text(&json, "sentence", view->sentence[0] != '\0' ? view->sentence : reason_sentence(view->reason));
    json_put_time(&json, "until", view->until_usec);
    json_put_id(&json, "waits_for_run", view->run_id);
    json_put_text(&json, "node", view->node);
    json_put_u64(&json, "nodes", view->n_nodes);
    json_put_u64(&json, "nodes_matching", view->n_matching);
    json_put_u64(&json, "nodes_large_enough", view->n_large_enough);
    json_put_u64(&json, "nodes_open", view->n_open);
    json_put_close(&json, '}');
}

void view_json_why_job(struct buf *out, const struct why_view *view, const struct condition_view *conditions, size_t n)
{
    struct json_put json;
    json_put_begin(&json, out);
    json_put_open(&json, NULL, '{');
    json_put_text(&json, "reason", reason_name(view->reason));
    json_put_text(&json, "sentence", view->sentence);
    json_put_time(&json, "until", view->until_usec);
    json_put_id(&json, "waits_for_run", view->run_id);
    put_conditions(&json, conditions, n);
    json_put_close(&json, '}');
}

void view_json_spec(struct buf *out, const struct job_spec *spec)
{
    struct json_put json;
    json_put_begin(&json, out);
    spec_json(&json, NULL, spec);
}

void view_json_error(struct buf *out, int code, const char *message, const struct spec_errors *errors)
{
    must(code < 0);
    struct json_put json;
    json_put_begin(&json, out);
    json_put_open(&json, NULL, '{');
    json_put_open(&json, "error", '{');
    json_put_text(&json, "code", err_name(code));
    json_put_text(&json, "message", message != NULL ? message : err_sentence(code));
    if (errors != NULL) {
        json_put_open(&json, "details", '[');
        for (size_t i = 0; i < errors->n; i++) {
            const struct spec_error *error = &errors->item[i];
            json_put_open(&json, NULL, '{');
            json_put_id(&json, "line", error->line);
            json_put_id(&json, "column", error->column);
            json_put_text(&json, "field", error->field);
            json_put_text(&json, "problem", error->problem);
            json_put_text(&json, "allowed", error->allowed);
            json_put_close(&json, '}');
        }
        json_put_close(&json, ']');
        if (errors->n_more > 0)
            json_put_id(&json, "details_more", errors->n_more);
    }
    json_put_close(&json, '}');
    json_put_close(&json, '}');
    buf_addc(out, '\n');
}
