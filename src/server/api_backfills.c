// SPDX-License-Identifier: Apache-2.0
// The API of backfills. Which instants of a range have a run is looked up in the history first, which has to know all that was decided up to
// then; if the job is changed meanwhile, the core refuses what was looked up.
#include <inttypes.h>
#include <jansson.h>

#include "base/clock.h"
#include "codec/view_json.h"
#include "server/context.h"

struct backfill_state_of {
    struct ev_backfill ev; // texts in the request's arena
    struct run_instants instants;
    size_t gaps_max;
    bool dry_run;
};

static void answer(struct request *request, int status, uint64_t backfill_id, uint64_t n_instants, bool existing)
{
    struct buf json = {0};
    if (backfill_id != 0)
        buf_printf(&json, "{\"backfill_id\":%" PRIu64, backfill_id);
    else
        buf_adds(&json, "{\"backfill_id\":null");
    buf_printf(&json, ",\"instants\":%" PRIu64 ",\"existing\":%s}\n", n_instants, existing ? "true" : "false");
    request_answer(request, status, &json);
    buf_release(&json);
}

static void replied(struct request *request, const struct fx_reply *reply)
{
    if (!request_failed(request, reply))
        answer(request, reply->existing || reply->backfill_id == 0 ? 200 : 201, reply->backfill_id, reply->n_instants, reply->existing);
}

static void begin(struct request *request)
{
    struct backfill_state_of *state = request->state;
    if (state->dry_run) {
        struct err err = {0};
        uint64_t n = 0;
        if (core_check_backfill(engine_core(request->server->engine), &state->ev, clock_wall_usec(), &request->arena, &n, &err) < 0)
            request_err(request, &err);
        else
            answer(request, 200, 0, n, false);
        return;
    }
    struct event event = {.kind = EV_BACKFILL, .backfill = state->ev};
    request_event(request, &event, replied);
}

static int run_covered(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct backfill_state_of *state = request->state;
    struct instant_span *spans = NULL;
    int code = history_covered(history, &state->instants, state->gaps_max, &request->arena, &spans, &state->ev.n_covered, err);
    state->ev.covered = spans;
    return code;
}

static void done_covered(struct history_read *read)
{
    struct request *request = request_of(read);
    if (read->code < 0)
        request_err(request, &read->err);
    else
        begin(request);
}

static int read_time(const json_t *body, const char *name, usec_t *ret, struct err *err)
{
    const json_t *value = json_object_get(body, name);
    if (!json_is_string(value) || time_parse(json_string_value(value), ret, NULL) < 0)
        return err_set(err, ERR_INVALID, "the member '%s' is needed: a time, such as 2026-11-23T00:00:00Z", name);
    return 0;
}

static int read_flag(const json_t *body, const char *name, bool *ret, struct err *err)
{
    const json_t *value = json_object_get(body, name);
    *ret = json_is_true(value);
    return value == NULL || json_is_boolean(value) ? 0 : err_set(err, ERR_INVALID, "the member '%s' is not true or false", name);
}

static int read_parallel(const json_t *body, uint32_t *ret, struct err *err)
{
    const json_t *value = json_object_get(body, "max_parallel");
    *ret = 1;
    if (value == NULL)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > UINT32_MAX)
        return err_set(err, ERR_INVALID, "the member 'max_parallel' is not a number from 1 on");
    *ret = (uint32_t)json_integer_value(value);
    return 0;
}

static int read_body(struct http_request *http, struct arena *arena, struct ev_backfill *ev, struct err *err)
{
    static const char *const names[] = {"from", "to", "max_parallel", "reverse", "again", "params", NULL};
    json_t *body = NULL;
    int rc = body_members(http, names, &body, err);
    if (rc == 0)
        rc = read_time(body, "from", &ev->from_usec, err);
    if (rc == 0)
        rc = read_time(body, "to", &ev->to_usec, err);
    if (rc == 0)
        rc = read_parallel(body, &ev->parallel_max, err);
    if (rc == 0)
        rc = read_flag(body, "reverse", &ev->reverse, err);
    if (rc == 0)
        rc = read_flag(body, "again", &ev->again, err);
    if (rc == 0)
        rc = json_params(body, arena, &ev->params, &ev->n_params, err);
    json_decref(body);
    return rc;
}

void api_job_backfill(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"dry_run", NULL};
    bool dry_run;
    struct job_view view;
    const struct job_spec *spec;
    if (!query_only(http, names) || !query_flag(http, "dry_run", &dry_run) || (!dry_run && !server_takes_work(server, http)))
        return;
    struct request *request = request_find_job(server, http, &view, &spec);
    if (request == NULL)
        return;
    struct backfill_state_of *state = arena_new(&request->arena, struct backfill_state_of);
    struct err err = {0};
    request->state = state;
    state->dry_run = dry_run;
    if (!idempotency_key(request, &state->ev.key))
        return;
    if (read_body(http, &request->arena, &state->ev, &err) < 0) {
        request_err(request, &err);
        return;
    }
    state->ev.namespace_name = view.namespace_name;
    state->ev.name = view.name;
    state->ev.job_version = view.version;
    state->gaps_max = (size_t)server->limits->value[LIMIT_BACKFILL_GAPS];
    state->instants = (struct run_instants){
        .job_id = view.job_id, .from_usec = state->ev.from_usec, .to_usec = state->ev.to_usec, .spec = spec, .next_usec = view.next_each_usec};
    if (state->ev.again)
        begin(request);
    else
        request_read(request, true, run_covered, done_covered);
}

void api_backfills(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"before", "max", NULL};
    uint64_t before;
    size_t max;
    if (!query_only(http, names) || !query_u64(http, "before", UINT64_MAX, UINT64_MAX, &before) || !query_max(server, http, 100, &max))
        return;
    struct request *request = request_new(server, http);
    struct backfill_view *views;
    size_t n = core_view_backfills(engine_core(server->engine), before, max, &request->arena, &views);
    struct buf json = {0};
    buf_adds(&json, "{\"backfills\":[");
    for (size_t i = 0; i < n; i++) {
        buf_adds(&json, i > 0 ? "," : "");
        view_json_backfill(&json, &views[i]);
    }
    if (n == max)
        buf_printf(&json, "],\"next_before\":%" PRIu64 "}\n", views[n - 1].backfill_id);
    else
        buf_adds(&json, "],\"next_before\":null}\n");
    request_answer_durable(request, 200, &json);
}

void api_backfill(void *context, struct http_request *http)
{
    struct server *server = context;
    uint64_t id;
    if (!param_u64(http, 0, "backfill", &id))
        return;
    struct request *request = request_new(server, http);
    struct backfill_view view;
    if (core_view_backfill(engine_core(server->engine), id, &request->arena, &view) < 0) {
        struct err err = {0};
        err_set(&err, ERR_NOT_FOUND, "there is no backfill %" PRIu64, id);
        request_err(request, &err);
        return;
    }
    struct buf json = {0};
    view_json_backfill(&json, &view);
    buf_addc(&json, '\n');
    request_answer_durable(request, 200, &json);
}

static void replied_cancel(struct request *request, const struct fx_reply *reply)
{
    if (request_failed(request, reply))
        return;
    struct buf json = {0};
    buf_printf(&json, "{\"backfill_id\":%" PRIu64 ",\"cancelled\":%" PRIu32 "}\n", reply->backfill_id, reply->count);
    request_answer(request, 202, &json);
    buf_release(&json);
}

void api_backfill_cancel(void *context, struct http_request *http)
{
    uint64_t id;
    if (!param_u64(http, 0, "backfill", &id))
        return;
    struct request *request = request_new(context, http);
    struct event event = {.kind = EV_BACKFILL_CANCEL, .backfill_cancel = id};
    request_event(request, &event, replied_cancel);
}
