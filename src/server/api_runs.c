// SPDX-License-Identifier: Apache-2.0
// The API of runs: one, lists of them, and what people ask of them. Submitting is in api_submit.c, tasks in api_tasks.c.
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "codec/codec.h"
#include "codec/names.h"
#include "codec/view_json.h"
#include "server/context.h"

// ---- one run

struct one_run {
    uint64_t run_id;
    struct run_view view;
};

static int run_one(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct one_run *one = request->state;
    int code = history_run(history, one->run_id, &request->arena, &one->view, err);
    return code == ERR_NOT_FOUND ? err_set(err, code, "there is no run %" PRIu64, one->run_id) : code;
}

static void print_with_spec(struct request *request, const struct run_view *view, struct buf *json)
{
    const struct job_spec *spec = NULL;
    if (view->spec.len > 0 && spec_unpack(view->spec, &request->arena, &spec, NULL) < 0)
        spec = NULL;
    view_json_run(json, view, spec);
    buf_addc(json, '\n');
}

static void done_one(struct history_read *read)
{
    struct request *request = request_of(read);
    struct one_run *one = request->state;
    if (read->code < 0) {
        request_err(request, &read->err);
        return;
    }
    struct buf json = {0};
    print_with_spec(request, &one->view, &json);
    request_answer(request, 200, &json);
    buf_release(&json);
}

void api_run(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"wait", NULL};
    uint64_t run_id;
    usec_t wait_usec;
    if (!query_only(http, names) || !param_u64(http, 0, "run", &run_id) || !query_duration(http, "wait", USEC_PER_HOUR, 0, &wait_usec))
        return;
    struct request *request = request_new(server, http);
    struct one_run *one = arena_new(&request->arena, struct one_run);
    one->run_id = run_id;
    request->state = one;
    if (core_view_run(engine_core(server->engine), run_id, &request->arena, &one->view) < 0) {
        request_read(request, false, run_one, done_one);
        return;
    }
    if (wait_usec > 0 && !run_state_terminal(one->view.state)) {
        watches_wait(server->watches, request, run_id, wait_usec);
        return;
    }
    struct buf json = {0};
    print_with_spec(request, &one->view, &json);
    request_answer_durable(request, 200, &json);
}

static void done_watch_ended(struct history_read *read)
{
    struct request *request = request_of(read);
    if (read->code < 0) {
        request_err(request, &read->err);
        return;
    }
    struct one_run *one = request->state;
    struct http_request *http = request->http;
    struct buf json = {0};
    one->view.spec = (struct bytes){0};
    print_with_spec(request, &one->view, &json);
    request_free(request);
    if (http != NULL) {
        http_stream_begin(http, 200, "application/x-ndjson");
        if (http_stream_write(http, json.data, json.len))
            http_stream_end(http);
    }
    buf_release(&json);
}

void api_run_watch(void *context, struct http_request *http)
{
    struct server *server = context;
    uint64_t run_id;
    if (!param_u64(http, 0, "run", &run_id))
        return;
    struct request *request = request_new(server, http);
    if (server_has_run(server, run_id)) {
        watches_stream(server->watches, request, run_id);
        return;
    }
    struct one_run *one = arena_new(&request->arena, struct one_run);
    one->run_id = run_id;
    request->state = one;
    request_read(request, false, run_one, done_watch_ended);
}

// ---- why

void api_run_why(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"task", NULL};
    uint64_t run_id, index;
    if (!query_only(http, names) || !param_u64(http, 0, "run", &run_id) || !query_u64(http, "task", UINT32_MAX, UINT32_MAX, &index))
        return;
    struct request *request = request_new(server, http);
    struct why_view why = {0};
    if (core_why(engine_core(server->engine), run_id, (uint32_t)index, clock_wall_usec(), &request->arena, &why) == 0) {
        struct buf json = {0};
        view_json_why(&json, &why);
        buf_addc(&json, '\n');
        request_answer_durable(request, 200, &json);
        return;
    }
    if (!server_has_run(server, run_id)) {
        request_run_missing(request, run_id);
        return;
    }
    struct err err = {0};
    err_set(&err, ERR_NOT_FOUND, "run %" PRIu64 " has no task %" PRIu64, run_id, index);
    request_err(request, &err);
}

// ---- what people ask of a run

static void reply_run_id(struct request *request, const struct fx_reply *reply, int status)
{
    if (request_failed(request, reply))
        return;
    struct buf json = {0};
    buf_printf(&json, "{\"run_id\":%" PRIu64 "}\n", reply->run_id);
    request_answer(request, status, &json);
    buf_release(&json);
}

static void replied_ok(struct request *request, const struct fx_reply *reply)
{
    reply_run_id(request, reply, 200);
}

static void replied_accepted(struct request *request, const struct fx_reply *reply)
{
    reply_run_id(request, reply, 202);
}

void api_run_cancel(void *context, struct http_request *http)
{
    struct server *server = context;
    uint64_t run_id;
    if (!param_u64(http, 0, "run", &run_id))
        return;
    struct request *request = request_new(server, http);
    struct index_set tasks = {0};
    const char *text = NULL;
    struct err err = {0};
    if (body_text(http, &request->arena, "tasks", &text, &err) < 0 ||
        (text != NULL && index_set_parse(text, (size_t)server->limits->value[LIMIT_INDEX_RANGES], (uint64_t)server->limits->value[LIMIT_TASKS],
                                             &request->arena, &tasks, &err) < 0)) {
        request_err(request, &err);
        return;
    }
    if (!server_has_run(server, run_id)) {
        request_run_missing(request, run_id);
        return;
    }
    struct event event = {.kind = EV_CANCEL, .cancel = {.run_id = run_id, .tasks = text != NULL ? &tasks : NULL}};
    request_event(request, &event, replied_accepted);
}

static void hold(struct server *server, struct http_request *http, enum admission to)
{
    uint64_t run_id;
    if (!param_u64(http, 0, "run", &run_id))
        return;
    struct request *request = request_new(server, http);
    if (!server_has_run(server, run_id)) {
        request_run_missing(request, run_id);
        return;
    }
    struct event event = {.kind = EV_RUN_HOLD, .run_hold = {.run_id = run_id, .to = to}};
    request_event(request, &event, replied_ok);
}

void api_run_hold(void *server, struct http_request *http)
{
    hold(server, http, ADMIT_CLOSED);
}

void api_run_release(void *server, struct http_request *http)
{
    hold(server, http, ADMIT_OPEN);
}
