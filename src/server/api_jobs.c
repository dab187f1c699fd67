// SPDX-License-Identifier: Apache-2.0
// The API of jobs.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/tz.h"
#include "codec/codec.h"
#include "codec/view_json.h"
#include "model/schedule.h"
#include "server/context.h"

// ---- apply: every document is an event of its own, all of them in one commit

struct applied {
    struct request *request; // the whole
    const struct job_spec *spec;
    struct fx_reply reply;
};

struct apply_state {
    struct applied *item;
    size_t n;
    size_t n_open;
};

static void print_applied(struct buf *json, const struct applied *applied)
{
    buf_adds(json, "{\"job_id\":");
    if (applied->reply.job_id != 0)
        buf_printf(json, "%" PRIu64, applied->reply.job_id);
    else
        buf_adds(json, "null");
    buf_adds(json, ",\"namespace\":");
    json_add_text(json, applied->spec->namespace_name);
    buf_adds(json, ",\"name\":");
    json_add_text(json, applied->spec->name);
    buf_printf(json, ",\"version\":%" PRIu32 ",\"changed\":%s}", applied->reply.version, applied->reply.existing ? "false" : "true");
}

static void answer_applied(struct request *request, bool dry_run)
{
    const struct apply_state *state = request->state;
    const struct applied *failed = NULL;
    size_t n_changed = 0;
    size_t n_failed = 0;
    for (size_t i = 0; i < state->n; i++) {
        if (state->item[i].reply.code == 0) {
            n_changed += !state->item[i].reply.existing;
            continue;
        }
        n_failed++;
        if (failed == NULL)
            failed = &state->item[i];
    }
    if (failed != NULL) {
        char text[ERR_TEXT_MAX + 160];
        snprintf(text, sizeof(text), "job '%.80s': %s", failed->spec->name, failed->reply.text);
        if (state->n > 1)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), " (%zu of %zu jobs were refused)", n_failed, state->n);
        request_error(request, failed->reply.code, text);
        return;
    }
    struct buf json = {0};
    buf_adds(&json, "{\"jobs\":[");
    for (size_t i = 0; i < state->n; i++) {
        buf_adds(&json, i > 0 ? "," : "");
        print_applied(&json, &state->item[i]);
    }
    buf_adds(&json, "]}\n");
    if (dry_run) {
        request_answer_durable(request, 200, &json);
        return;
    }
    request_answer(request, n_changed > 0 ? 201 : 200, &json);
    buf_release(&json);
}

static void replied_apply(struct request *part, const struct fx_reply *reply)
{
    struct applied *applied = part->state;
    struct request *whole = applied->request;
    struct apply_state *state = whole->state;
    applied->reply = *reply;
    request_free(part);
    must(state->n_open > 0);
    if (--state->n_open == 0)
        answer_applied(whole, false);
}

static void apply_dry(struct request *request, struct applied *applied)
{
    struct job_view view;
    struct buf packed = {0};
    spec_pack(&packed, applied->spec);
    const struct core *core = engine_core(request->server->engine);
    if (core_view_job(core, applied->spec->namespace_name, applied->spec->name, &request->arena, &view) == 0) {
        applied->reply.existing = view.spec.len == packed.len && memcmp(view.spec.data, packed.data, packed.len) == 0;
        applied->reply.job_id = view.job_id;
        applied->reply.version = view.version + (applied->reply.existing ? 0 : 1);
    } else {
        applied->reply.version = 1;
    }
    buf_release(&packed);
}

static void apply(struct request *request, struct applied *applied)
{
    struct request *part = request_new(request->server, NULL);
    part->state = applied;
    struct buf packed = {0};
    spec_pack(&packed, applied->spec);
    struct event event = {.kind = EV_APPLY, .apply = {.spec = applied->spec, .packed = {(const uint8_t *)packed.data, packed.len}}};
    request_event(part, &event, replied_apply);
    buf_release(&packed);
}

// All of them are stored or none: whatever the core would refuse is found before the first is given to it. Answers when there is something.
static bool check_all(struct request *request)
{
    struct apply_state *state = request->state;
    const struct core *core = engine_core(request->server->engine);
    uint32_t n_new = 0;
    size_t n_refused = 0;
    struct err first = {0};
    for (size_t i = 0; i < state->n; i++) {
        const struct job_spec *spec = state->item[i].spec;
        struct buf packed = {0};
        struct err err = {0};
        bool new = false;
        spec_pack(&packed, spec);
        int code = core_check_job(core, spec, (struct bytes){(const uint8_t *)packed.data, packed.len}, n_new, clock_wall_usec(), &request->arena,
                                  &new, &err);
        buf_release(&packed);
        n_new += code == 0 && new;
        if (code == 0)
            continue;
        if (n_refused++ == 0)
            err_set(&first, code, "job '%.80s': %s", spec->name, err.text);
    }
    if (n_refused == 0)
        return true;
    char text[ERR_TEXT_MAX + 80];
    snprintf(text, sizeof(text), "%s", first.text);
    if (state->n > 1)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " (%zu of %zu jobs were refused, none was stored)", n_refused, state->n);
    request_error(request, first.code, text);
    return false;
}

void api_jobs_apply(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"dry_run", NULL};
    bool dry_run;
    if (!query_only(http, names) || !query_flag(http, "dry_run", &dry_run) || (!dry_run && !server_takes_work(server, http)))
        return;
    struct request *request = request_new(server, http);
    struct job_spec **specs;
    size_t n;
    if (!body_specs(request, SPEC_JOB, &specs, &n))
        return;
    struct apply_state *state = arena_new(&request->arena, struct apply_state);
    request->state = state;
    state->item = arena_array(&request->arena, struct applied, n);
    state->n = n;
    state->n_open = n;
    for (size_t i = 0; i < n; i++) {
        state->item[i].request = request;
        state->item[i].spec = specs[i];
        if (dry_run)
            apply_dry(request, &state->item[i]);
    }
    if (!check_all(request))
        return;
    if (dry_run || n == 0) {
        answer_applied(request, true);
        return;
    }
    for (size_t i = 0; i < n; i++)
        apply(request, &state->item[i]);
}

// ---- looking

void api_jobs(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"after", "max", NULL};
    uint64_t after;
    size_t max;
    if (!query_only(http, names) || !query_u64(http, "after", UINT64_MAX, 0, &after) || !query_max(server, http, 100, &max))
        return;
    struct request *request = request_new(server, http);
    struct job_view *views;
    size_t n = core_view_jobs(engine_core(server->engine), after, max, &request->arena, &views);
    struct buf json = {0};
    buf_adds(&json, "{\"jobs\":[");
    for (size_t i = 0; i < n; i++) {
        const struct job_spec *spec = NULL;
        if (spec_unpack(views[i].spec, &request->arena, &spec, NULL) < 0)
            spec = NULL;
        core_view_conditions(engine_core(server->engine), clock_wall_usec(), &request->arena, &views[i]);
        buf_adds(&json, i > 0 ? "," : "");
        view_json_job(&json, &views[i], spec, false);
    }
    if (n == max)
        buf_printf(&json, "],\"next_after\":%" PRIu64 "}\n", views[n - 1].job_id);
    else
        buf_adds(&json, "],\"next_after\":null}\n");
    request_answer_durable(request, 200, &json);
}

struct request *request_find_job(struct server *server, struct http_request *http, struct job_view *ret_view, const struct job_spec **ret_spec)
{
    struct request *request = request_new(server, http);
    struct err err = {0};
    if (core_view_job(engine_core(server->engine), http_param(http, 0), http_param(http, 1), &request->arena, ret_view) < 0)
        err_set(&err, ERR_NOT_FOUND, "there is no job '%.64s' in namespace '%.64s'", http_param(http, 1), http_param(http, 0));
    else
        spec_unpack(ret_view->spec, &request->arena, ret_spec, &err);
    if (err.code == 0)
        return request;
    request_err(request, &err);
    return NULL;
}

void api_job(void *context, struct http_request *http)
{
    struct job_view view;
    const struct job_spec *spec;
    struct request *request = request_find_job(context, http, &view, &spec);
    if (request == NULL)
        return;
    struct buf json = {0};
    core_view_conditions(engine_core(((struct server *)context)->engine), clock_wall_usec(), &request->arena, &view);
    view_json_job(&json, &view, spec, true);
    buf_addc(&json, '\n');
    request_answer_durable(request, 200, &json);
}

// ---- what became of its instants

struct fires_state {
    uint64_t job_id;
    const char *due; // JSON of what has come and is not decided yet
    const char *left_out; // and of what calendars leave out in a stretch that is not over
    usec_t before_usec;
    size_t max;
    struct fire_view *fires;
    size_t n;
};

static int run_fires(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct fires_state *state = request->state;
    return history_fires(history, state->job_id, state->before_usec, state->max, &request->arena, &state->fires, &state->n, err);
}

static void done_fires(struct history_read *read)
{
    struct request *request = request_of(read);
    const struct fires_state *state = request->state;
    if (read->code < 0) {
        request_err(request, &read->err);
        return;
    }
    struct buf json = {0};
    char text[40];
    buf_printf(&json, "{\"due\":[%s],\"left_out\":[%s],\"fires\":[", state->due, state->left_out);
    for (size_t i = 0; i < state->n; i++) {
        const struct fire_view *fire = &state->fires[i];
        buf_printf(&json, "%s{\"nominal_at\":\"%s\"", i > 0 ? "," : "", time_format(text, fire->nominal_usec));
        buf_printf(&json, ",\"at\":\"%s\",\"trigger\":%" PRIu32 ",\"outcome\":\"%s\",\"run_id\":", time_format(text, fire->at_usec), fire->trigger,
                   fire->damaged ? "damaged" : fire->backfill_id != 0 ? "backfilled" : fire_outcome_name(fire->outcome));
        if (fire->run_id != 0)
            buf_printf(&json, "%" PRIu64, fire->run_id);
        else
            buf_adds(&json, "null");
        if (fire->backfill_id != 0)
            buf_printf(&json, ",\"backfill_id\":%" PRIu64, fire->backfill_id);
        buf_printf(&json, ",\"missed\":%" PRIu64 ",\"missed_until\":", fire->n_missed);
        if (fire->last_usec != 0)
            buf_printf(&json, "\"%s\"", time_format(text, fire->last_usec));
        else
            buf_adds(&json, "null");
        buf_adds(&json, ",\"why\":");
        if (fire->why != NULL)
            json_add_text(&json, fire->why);
        else
            buf_adds(&json, "null");
        buf_addc(&json, '}');
    }
    if (state->n >= state->max) // more than max when triggers share the last instant
        buf_printf(&json, "],\"next_before\":\"%s\"}\n", time_format(text, state->fires[state->n - 1].nominal_usec));
    else
        buf_adds(&json, "],\"next_before\":null}\n");
    request_answer(request, 200, &json);
    buf_release(&json);
}

// Instants that have come and wait to be decided: in the moment of a delay, and while the job makes up for an outage.
static const char *due_json(const struct core *core, struct arena *arena, const struct job_view *view, const struct job_spec *spec)
{
    usec_t now = clock_wall_usec();
    struct buf json;
    buf_init(&json);
    for (size_t i = 0; i < view->n_next && view->state == JOB_ACTIVE; i++) {
        const struct trigger *trigger = &spec->triggers[i];
        usec_t from = view->next_each_usec[i], until = from;
        if (from > now)
            continue;
        // An interval counts from any of its instants.
        const struct tz *tz = tz_find(trigger->zone != NULL ? trigger->zone : "UTC");
        struct day_set left_out;
        int rc = core_view_left_out(core, trigger, arena, &left_out, NULL);
        must(rc == 0); // a calendar that is named cannot be deleted
        int64_t more = trigger->kind == TRIGGER_AFTER_END ? 0 : schedule_count_open(trigger, tz, from, &left_out, from, now);
        if (more > 0)
            until = schedule_newest_open(trigger, tz, from, &left_out, from, now, 1);
        char from_text[40], until_text[40];
        buf_printf(&json, "%s{\"trigger\":%zu,\"nominal_at\":\"%s\",\"until\":\"%s\",\"count\":%" PRId64 "}", json.len > 0 ? "," : "", i,
                   time_format(from_text, from), time_format(until_text, until), more + 1);
    }
    const char *text = arena_strdup(arena, json.len > 0 ? json.data : "");
    buf_release(&json);
    return text;
}

// Instants that have come and that calendars leave out, in a stretch that goes on: the record of it follows at its end.
static const char *left_out_json(const struct core *core, struct arena *arena, const struct job_view *view, const struct job_spec *spec)
{
    usec_t now = clock_wall_usec();
    struct buf json;
    buf_init(&json);
    for (size_t i = 0; i < view->n_next && view->state == JOB_ACTIVE; i++) {
        const struct trigger *trigger = &spec->triggers[i];
        usec_t from = view->left_out_each_usec[i], base = trigger->kind == TRIGGER_EVERY ? from : 0;
        if (from > now)
            continue;
        const struct tz *tz = tz_find(trigger->zone != NULL ? trigger->zone : "UTC");
        usec_t upto = usec_min(now, view->next_each_usec[i] - 1), until = schedule_newest(trigger, tz, base, from - 1, upto, 1);
        const char *why = core_view_why_left_out(core, trigger, schedule_day(tz, until), arena);
        char from_text[40], until_text[40];
        buf_printf(&json, "%s{\"trigger\":%zu,\"nominal_at\":\"%s\",\"until\":\"%s\",\"count\":%" PRId64 ",\"why\":", json.len > 0 ? "," : "", i,
                   time_format(from_text, from), time_format(until_text, until), schedule_count(trigger, tz, base, from - 1, upto));
        json_add_text(&json, why != NULL ? why : "a calendar");
        buf_addc(&json, '}');
    }
    const char *text = arena_strdup(arena, json.len > 0 ? json.data : "");
    buf_release(&json);
    return text;
}

void api_job_fires(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"before", "max", NULL};
    usec_t before;
    size_t max;
    struct job_view view;
    const struct job_spec *spec;
    if (!query_only(http, names) || !query_time(http, "before", 0, &before) || !query_max(server, http, 100, &max))
        return;
    struct request *request = request_find_job(server, http, &view, &spec);
    if (request == NULL)
        return;
    struct fires_state *state = arena_new(&request->arena, struct fires_state);
    const struct core *core = engine_core(server->engine);
    *state = (struct fires_state){.job_id = view.job_id, .before_usec = before, .max = max, .due = "", .left_out = ""};
    if (before == 0) {
        state->due = due_json(core, &request->arena, &view, spec);
        state->left_out = left_out_json(core, &request->arena, &view, spec);
    }
    request->state = state;
    request_read(request, true, run_fires, done_fires);
}

// ---- what people ask of a job

static void replied_job(struct request *request, const struct fx_reply *reply)
{
    if (request_failed(request, reply))
        return;
    struct buf json = {0};
    buf_printf(&json, "{\"job_id\":%" PRIu64 "}\n", reply->job_id);
    request_answer(request, 200, &json);
    buf_release(&json);
}

static void change_job(struct server *server, struct http_request *http, enum job_state to)
{
    struct request *request = request_new(server, http);
    struct event event = {.kind = EV_JOB_HOLD, .job_hold = {.namespace_name = http_param(http, 0), .name = http_param(http, 1), .to = to}};
    request_event(request, &event, replied_job);
}

void api_job_hold(void *server, struct http_request *http)
{
    change_job(server, http, JOB_HELD);
}

void api_job_release(void *server, struct http_request *http)
{
    change_job(server, http, JOB_ACTIVE);
}

void api_job_delete(void *server, struct http_request *http)
{
    change_job(server, http, JOB_DELETED);
}

static void replied_start(struct request *request, const struct fx_reply *reply)
{
    if (request_failed(request, reply))
        return;
    struct buf json = {0};
    buf_printf(&json, "{\"run_id\":%" PRIu64 ",\"existing\":%s}\n", reply->run_id, reply->existing ? "true" : "false");
    request_answer(request, reply->existing ? 200 : 201, &json);
    buf_release(&json);
}

void api_job_start(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"held", NULL};
    struct event event = {.kind = EV_START_JOB};
    if (!server_takes_work(server, http) || !query_only(http, names) || !query_flag(http, "held", &event.start_job.held))
        return;
    struct request *request = request_new(server, http);
    if (!idempotency_key(request, &event.start_job.idempotency_key))
        return;
    struct err err = {0};
    if (body_params(http, &request->arena, &event.start_job.params, &event.start_job.n_params, &err) < 0) {
        request_err(request, &err);
        return;
    }
    event.start_job.namespace_name = http_param(http, 0);
    event.start_job.name = http_param(http, 1);
    request_event(request, &event, replied_start);
}

static void replied_cancel(struct request *request, const struct fx_reply *reply)
{
    if (request_failed(request, reply))
        return;
    struct buf json = {0};
    buf_printf(&json, "{\"cancelled\":%" PRIu32 "}\n", reply->count);
    request_answer(request, 202, &json);
    buf_release(&json);
}

void api_job_cancel(void *context, struct http_request *http)
{
    struct request *request = request_new(context, http);
    struct event event = {.kind = EV_CANCEL_JOB, .cancel_job = {.namespace_name = http_param(http, 0), .name = http_param(http, 1)}};
    request_event(request, &event, replied_cancel);
}
