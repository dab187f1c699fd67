// SPDX-License-Identifier: Apache-2.0
// The API of nodes, and of the server itself: version, status.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "codec/view_json.h"
#include "server/context.h"

void api_nodes(void *context, struct http_request *http)
{
    struct server *server = context;
    struct request *request = request_new(server, http);
    struct node_view *views;
    size_t n = core_view_nodes(engine_core(server->engine), &request->arena, &views);
    struct buf json = {0};
    buf_adds(&json, "{\"nodes\":[");
    for (size_t i = 0; i < n; i++) {
        buf_adds(&json, i > 0 ? "," : "");
        view_json_node(&json, &views[i]);
    }
    buf_adds(&json, "]}\n");
    request_answer_durable(request, 200, &json);
}

void api_node(void *context, struct http_request *http)
{
    struct server *server = context;
    struct request *request = request_new(server, http);
    struct node_view view;
    if (core_view_node(engine_core(server->engine), http_param(http, 0), &request->arena, &view) < 0) {
        struct err err = {0};
        err_set(&err, ERR_NOT_FOUND, "there is no node '%.64s'", http_param(http, 0));
        request_err(request, &err);
        return;
    }
    struct buf json = {0};
    view_json_node(&json, &view);
    buf_addc(&json, '\n');
    request_answer_durable(request, 200, &json);
}

static void replied_node(struct request *request, const struct fx_reply *reply)
{
    if (request_failed(request, reply))
        return;
    struct buf json = {0};
    buf_adds(&json, "{\"node\":");
    json_add_text(&json, request->state);
    buf_adds(&json, "}\n");
    request_answer(request, 200, &json);
    buf_release(&json);
}

static void change_node(struct server *server, struct http_request *http, enum event_kind kind, enum admission to)
{
    struct request *request = request_new(server, http);
    char *name = arena_strdup(&request->arena, http_param(http, 0));
    request->state = name;
    struct event event = {.kind = kind, .node_admission = {.name = name, .to = to}};
    request_event(request, &event, replied_node);
}

void api_node_drain(void *server, struct http_request *http)
{
    change_node(server, http, EV_NODE_ADMISSION, ADMIT_CLOSED);
}

void api_node_undrain(void *server, struct http_request *http)
{
    change_node(server, http, EV_NODE_ADMISSION, ADMIT_OPEN);
}

void api_node_remove(void *server, struct http_request *http)
{
    change_node(server, http, EV_NODE_REMOVE, ADMIT_CLOSED);
}

// ---- the server itself

void api_version(void *context, struct http_request *http)
{
    struct server *server = context;
    struct buf json = {0};
    char text[40];
    buf_printf(&json, "{\"version\":\"%s\",\"epoch\":%" PRIu64 ",\"server\":", MUSTER_VERSION, core_epoch(engine_core(server->engine)));
    json_add_text(&json, server->name);
    buf_printf(&json, ",\"started_at\":\"%s\"}\n", time_format(text, server->started_wall_usec));
    http_reply_json(http, 200, json.data, json.len);
    buf_release(&json);
}

static void print_settings(struct buf *json, const struct limits *limits)
{
    buf_adds(json, "\"settings\":{");
    for (int i = 0; i < LIMITS; i++) {
        buf_printf(json, "%s\"%s\":", i > 0 ? "," : "", limit_rows[i].name);
        if (limit_rows[i].unit == UNIT_USEC)
            buf_printf(json, "%" PRId64 ".%06" PRId64, limits->value[i] / USEC_PER_SEC, limits->value[i] % USEC_PER_SEC);
        else
            buf_printf(json, "%" PRId64, limits->value[i]);
    }
    buf_addc(json, '}');
}

static void print_nodes(struct server *server, struct arena *arena, struct buf *json)
{
    struct node_view *views;
    size_t n = core_view_nodes(engine_core(server->engine), arena, &views);
    size_t n_state[NODE_STATES] = {0};
    size_t n_closed = 0;
    for (size_t i = 0; i < n; i++) {
        n_state[views[i].state]++;
        n_closed += views[i].admission == ADMIT_CLOSED;
    }
    buf_printf(json, "\"nodes\":{\"total\":%zu", n);
    for (int i = 0; i < NODE_STATES; i++)
        if (i != NODE_REMOVED)
            buf_printf(json, ",\"%s\":%zu", node_state_name((enum node_state)i), n_state[i]);
    buf_printf(json, ",\"draining\":%zu,\"sessions\":%zu},", n_closed, agents_sessions(server->agents));
}

void api_status(void *context, struct http_request *http)
{
    struct server *server = context;
    struct request *request = request_new(server, http);
    const struct core *core = engine_core(server->engine);
    struct core_stats stats;
    core_stats(core, &stats);
    char text[40];
    struct buf json = {0};
    buf_printf(&json, "{\"server\":");
    json_add_text(&json, server->name);
    buf_printf(&json, ",\"version\":\"%s\",\"epoch\":%" PRIu64 ",\"started_at\":\"%s\",", MUSTER_VERSION, core_epoch(core),
               time_format(text, server->started_wall_usec));
    buf_printf(&json, "\"runs\":{\"live\":%" PRIu64 ",\"in_memory\":%" PRIu64, stats.runs_live, stats.runs);
    for (int state = 0; state < RUN_STATES; state++)
        if (!run_state_terminal((enum run_state)state))
            buf_printf(&json, ",\"%s\":%" PRIu64, run_state_name((enum run_state)state), stats.runs_in[state]);
    buf_adds(&json, "},");
    buf_printf(&json, "\"tasks\":{\"waiting\":%" PRIu64 ",\"active\":%" PRIu64 "},\"jobs\":%" PRIu64 ",", stats.tasks_waiting, stats.tasks_active,
               stats.jobs);
    print_nodes(server, &request->arena, &json);
    struct engine_stats store;
    engine_stats(server->engine, &store);
    buf_printf(&json, "\"store\":{\"state\":\"%s\",\"position\":%" PRIu64 ",\"durable\":%" PRIu64 ",", engine_full(server->engine) ? "full" : "ok",
               engine_position(server->engine), engine_durable(server->engine));
    buf_printf(&json, "\"commits\":%" PRIu64 ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 "},", store.commits, store.records, store.bytes);
    buf_printf(&json, "\"history\":{\"position\":%" PRIu64 ",\"lag_bytes\":%" PRIu64 "},", history_worker_position(server->worker),
               history_worker_lag_bytes(server->worker));
    buf_printf(&json, "\"memory_bytes\":%" PRIu64 ",\"connections\":%zu,", stats.bytes, http_connections(server->http));
    buf_adds(&json, "\"tz_database\":");
    json_add_text(&json, server->tz_version);
    buf_addc(&json, ',');
    print_settings(&json, server->limits);
    buf_adds(&json, "}\n");
    // Answered at once, whatever the store does: this is where people look when it does not answer.
    request_answer(request, 200, &json);
    buf_release(&json);
}
