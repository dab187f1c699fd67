// SPDX-License-Identifier: Apache-2.0
// Requests of the API that are under way. See server/context.h.
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/context.h"

// How long the engine may take to answer. Beyond it nobody knows whether what was asked will become durable.
// DURABLE_USEC: how long what was read waits to be durable; a store without room would make it wait for ever.
enum { REPLY_USEC = 30000000, DURABLE_USEC = 5000000 };

static void timer_at(struct server *server, usec_t mono_usec)
{
    if (mono_usec < server->request_timer.mono_usec)
        loop_timer_set(&server->request_timer, mono_usec);
}

static void on_gone(void *context)
{
    struct request *request = context;
    request->http = NULL;
}

// The connection, to be answered: it no longer belongs to the request.
static struct http_request *steal_http(struct request *request)
{
    struct http_request *http = request->http;
    if (http != NULL)
        http_on_gone(http, NULL, NULL);
    request->http = NULL;
    return http;
}

void request_listen(struct request *request)
{
    if (request->http != NULL)
        http_on_gone(request->http, on_gone, request);
}

struct request *request_new(struct server *server, struct http_request *http)
{
    struct request *request = mem_alloc(sizeof(*request));
    request->server = server;
    request->http = http;
    request->id = ++server->next_request;
    list_init(&request->link);
    list_init(&request->all);
    list_add_tail(&server->all_requests, &request->all);
    request_listen(request);
    return request;
}

void request_free(struct request *request)
{
    if (request->http != NULL)
        http_on_gone(request->http, NULL, NULL);
    if (request->awaits_reply)
        map_del(&request->server->request_by_id, request->id);
    list_del(&request->link);
    list_del(&request->all);
    arena_release(&request->arena);
    mem_free(request);
}

void request_answer(struct request *request, int status, const struct buf *json)
{
    struct http_request *http = steal_http(request);
    if (http != NULL)
        http_reply_json(http, status, json->data, json->len);
    request_free(request);
}

void request_error(struct request *request, int code, const char *text)
{
    struct http_request *http = steal_http(request);
    if (http != NULL)
        http_reply_error(http, code, text);
    request_free(request);
}

void request_err(struct request *request, const struct err *err)
{
    request_error(request, err->code < 0 ? err->code : ERR_INTERNAL, err->text);
}

// An answer that waits for a commit; in server->answers by position, which is by time as well.
struct answer {
    struct list link;
    struct request *request;
    uint64_t position;
    usec_t until_mono_usec;
    int status;
    struct buf json;
};

static struct answer *first_answer(const struct server *server)
{
    struct list *first = list_first(&server->answers);
    return first != NULL ? list_entry(first, struct answer, link) : NULL;
}

// Gives the request of an answer that will not be given.
static struct request *answer_free(struct answer *answer)
{
    struct request *request = answer->request;
    list_del(&answer->link);
    buf_release(&answer->json);
    mem_free(answer);
    return request;
}

static void on_durable(void *context)
{
    struct server *server = context;
    struct answer *answer;
    while ((answer = first_answer(server)) != NULL && answer->position <= engine_durable(server->engine)) {
        struct buf json = answer->json;
        int status = answer->status;
        answer->json = (struct buf){0};
        request_answer(answer_free(answer), status, &json);
        buf_release(&json);
    }
}

void request_answer_durable(struct request *request, int status, struct buf *json)
{
    struct engine *engine = request->server->engine;
    uint64_t position = engine_position(engine);
    if (engine_durable(engine) >= position) {
        request_answer(request, status, json);
        buf_release(json);
        return;
    }
    struct answer *answer = mem_alloc(sizeof(*answer));
    struct server *server = request->server;
    answer->until_mono_usec = usec_add(clock_mono_usec(), DURABLE_USEC);
    list_init(&answer->link);
    list_add_tail(&server->answers, &answer->link);
    timer_at(server, answer->until_mono_usec);
    answer->request = request;
    answer->position = position;
    answer->status = status;
    answer->json = *json;
    *json = (struct buf){0};
    // One call for each position: whoever gives up waiting leaves nothing behind, however long the store takes.
    if (server->answers_position == position)
        return;
    server->answers_position = position;
    engine_after(engine, position, on_durable, server);
}

void request_event(struct request *request, struct event *event, void (*on_reply)(struct request *, const struct fx_reply *))
{
    struct server *server = request->server;
    must(!request->awaits_reply);
    request->awaits_reply = true;
    request->on_reply = on_reply;
    map_put(&server->request_by_id, request->id, request);
    request->refused = engine_overfull(server->engine);
    if (request->refused) { // told by the timer, not from here
        request->deadline_mono_usec = clock_mono_usec();
        list_add_head(&server->requests, &request->link);
        timer_at(server, request->deadline_mono_usec);
        return;
    }
    request->deadline_mono_usec = usec_add(clock_mono_usec(), REPLY_USEC);
    list_add_tail(&server->requests, &request->link);
    timer_at(server, request->deadline_mono_usec);
    event->wall_usec = clock_wall_usec();
    event->mono_usec = clock_mono_usec();
    event->request = request->id;
    event->by = PRINCIPAL_API;
    engine_event(server->engine, event);
}

static void finish(struct request *request, const struct fx_reply *reply)
{
    must(request->awaits_reply);
    map_del(&request->server->request_by_id, request->id);
    request->awaits_reply = false;
    list_del(&request->link);
    request->on_reply(request, reply);
}

static void finish_with(struct request *request, int code, const char *text)
{
    struct fx_reply reply = {.request = request->id, .code = code};
    snprintf(reply.text, sizeof(reply.text), "%s", text);
    finish(request, &reply);
}

void requests_reply(struct server *server, const struct fx_reply *reply)
{
    struct request *request = map_get(&server->request_by_id, reply->request);
    if (request != NULL)
        finish(request, reply); // otherwise it gave up waiting
}

bool request_failed(struct request *request, const struct fx_reply *reply)
{
    if (reply->code < 0)
        request_error(request, reply->code, reply->text);
    return reply->code < 0;
}

struct request *request_of(struct history_read *read)
{
    return container_of(read, struct request, read);
}

void request_read(struct request *request, bool caught_up, int (*run)(struct history_read *, struct history *, struct err *),
                  void (*done)(struct history_read *))
{
    struct server *server = request->server;
    request->read = (struct history_read){.run = run, .done = done};
    uint64_t position = caught_up ? engine_position(server->engine) : 0;
    history_reader_ask(server->reader, &request->read, position);
    if (position > history_worker_position(server->worker))
        history_worker_hurry(server->worker);
}

// Tells whose answer cannot be shown that it took too long. Gives the instant at which the next one will have.
static usec_t expire_answers(struct server *server, usec_t now)
{
    struct answer *answer;
    while ((answer = first_answer(server)) != NULL) {
        if (answer->until_mono_usec > now)
            return answer->until_mono_usec;
        struct request *request = answer_free(answer);
        if (engine_full(server->engine))
            request_error(request, ERR_STORE_FULL, "the disk or quota under the store is full; what happened last is not durable yet and so not shown");
        else
            request_error(request, ERR_TIMEOUT, "the store did not answer in time");
    }
    return USEC_NEVER;
}

// The oldest requests have waited too long.
static void on_timer(void *context)
{
    struct server *server = context;
    usec_t now = clock_mono_usec();
    usec_t next = expire_answers(server, now);
    struct list *first;
    while ((first = list_first(&server->requests)) != NULL) {
        struct request *request = list_entry(first, struct request, link);
        if (request->deadline_mono_usec > now) {
            next = usec_min(next, request->deadline_mono_usec);
            break;
        }
        if (request->refused)
            finish_with(request, ERR_UNAVAILABLE, "too much waits for the store; nothing that adds to it is taken until it has caught up");
        else if (engine_full(server->engine))
            finish_with(request, ERR_STORE_FULL, "the disk or quota under the store is full; what was asked may still be done once there is room");
        else
            finish_with(request, ERR_TIMEOUT, "the store did not answer in time; what was asked may still be done");
    }
    loop_timer_set(&server->request_timer, next);
}

void requests_init(struct server *server)
{
    list_init(&server->requests);
    list_init(&server->answers);
    list_init(&server->all_requests);
    loop_timer_init(&server->request_timer, server->loop, on_timer, server);
}

void requests_end(struct server *server)
{
    struct list *first;
    while ((first = list_first(&server->requests)) != NULL)
        finish_with(list_entry(first, struct request, link), ERR_INTERRUPTED, "the server ends; what was asked may have been done");
    struct answer *answer;
    while ((answer = first_answer(server)) != NULL)
        request_error(answer_free(answer), ERR_INTERRUPTED, "the server ends");
}

void requests_release(struct server *server)
{
    struct list *first;
    while ((first = list_first(&server->all_requests)) != NULL)
        request_free(list_entry(first, struct request, all));
    map_release(&server->request_by_id);
    loop_timer_release(&server->request_timer);
}

bool server_has_run(struct server *server, uint64_t run_id)
{
    struct arena arena = {0};
    struct run_view view;
    bool has = core_view_run(engine_core(server->engine), run_id, &arena, &view) == 0;
    arena_release(&arena);
    return has;
}

struct missing {
    uint64_t run_id;
    struct run_view view;
};

static int run_missing(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct missing *missing = request->state;
    return history_run(history, missing->run_id, &request->arena, &missing->view, err);
}

static void done_missing(struct history_read *read)
{
    struct request *request = request_of(read);
    struct missing *missing = request->state;
    char text[160];
    if (read->code == 0) {
        snprintf(text, sizeof(text), "run %llu has already ended: it is %s", (unsigned long long)missing->run_id, run_state_name(missing->view.state));
        request_error(request, ERR_CONFLICT, text);
    } else if (read->code == ERR_NOT_FOUND) {
        snprintf(text, sizeof(text), "there is no run %llu", (unsigned long long)missing->run_id);
        request_error(request, ERR_NOT_FOUND, text);
    } else {
        request_err(request, &read->err);
    }
}

void request_run_missing(struct request *request, uint64_t run_id)
{
    struct missing *missing = arena_new(&request->arena, struct missing);
    missing->run_id = run_id;
    request->state = missing;
    request_read(request, false, run_missing, done_missing);
}

bool server_takes_work(struct server *server, struct http_request *http)
{
    if (engine_full(server->engine)) {
        http_reply_error(http, ERR_STORE_FULL, "the disk or quota under the store is full; no new work is taken until there is room");
        return false;
    }
    if (engine_overfull(server->engine)) {
        http_reply_error(http, ERR_UNAVAILABLE, "too much waits for the store; no new work is taken until it has caught up");
        return false;
    }
    if (server->stopping) {
        http_reply_error(http, ERR_UNAVAILABLE, "the server is stopping");
        return false;
    }
    if (history_worker_lag_bytes(server->worker) > (uint64_t)server->limits->value[LIMIT_HISTORY_LAG]) {
        http_reply_error(http, ERR_UNAVAILABLE, "the history lags behind by more than history_lag_bytes_max; no new work is taken until it catches up");
        return false;
    }
    return true;
}
