// SPDX-License-Identifier: Apache-2.0
// Who waits for a run, and who watches one. Nothing polls: records that have become durable mark the watches of their run, and a
// marked one looks at the run, ten times a second at most. What it tells leaves only once it is durable.
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/codec.h"
#include "codec/view_json.h"
#include "server/context.h"

enum { BETWEEN_USEC = 100000, SWEEP_USEC = 1000000 };

struct watch {
    struct list link;
    struct list same;  // others of the same run
    struct watches *watches;
    struct request *request;
    uint64_t run_id;
    bool stream;       // otherwise it answers once
    bool marked;       // the run has changed
    bool busy;         // a look is under way: at a commit or at the history
    usec_t next_mono_usec;  // not looked at before
    usec_t until_mono_usec; // WAIT: the time is over
    struct buf told;   // STREAM: the last line
    struct buf line;   // that is about to be told
    bool final;        // with this line
};

// Head of the watches of one run.
struct watched {
    uint64_t run_id;
    struct list watches;
};

struct watches {
    struct server *server;
    struct list all;
    struct map by_run; // struct watched
    struct loop_timer timer;
    struct arena arena; // of one look
};

static void watch_free(struct watch *watch)
{
    struct watches *watches = watch->watches;
    struct watched *watched = map_get(&watches->by_run, watch->run_id);
    list_del(&watch->link);
    list_del(&watch->same);
    if (list_empty(&watched->watches)) {
        map_del(&watches->by_run, watch->run_id);
        mem_free(watched);
    }
    buf_release(&watch->told);
    buf_release(&watch->line);
    mem_free(watch);
}

static void timer_at(struct watches *watches, usec_t mono_usec)
{
    if (mono_usec < watches->timer.mono_usec)
        loop_timer_set(&watches->timer, mono_usec);
}

static void print_run(struct watch *watch, const struct run_view *view, struct arena *arena)
{
    const struct job_spec *spec = NULL;
    buf_clear(&watch->line);
    if (!watch->stream && view->spec.len > 0 && spec_unpack(view->spec, arena, &spec, NULL) < 0)
        spec = NULL;
    view_json_run(&watch->line, view, spec);
    buf_addc(&watch->line, '\n');
    watch->final = run_state_terminal(view->state);
}

// The line is durable: tells it, and ends when nothing can follow.
static void tell(struct watch *watch)
{
    struct request *request = watch->request;
    watch->busy = false;
    if (request->http == NULL) {
        request_free(request);
        watch_free(watch);
        return;
    }
    if (!watch->stream) {
        request_answer(request, 200, &watch->line);
        watch_free(watch);
        return;
    }
    bool same = watch->line.len == watch->told.len && memcmp(watch->line.data, watch->told.data, watch->line.len) == 0;
    if (!same && !http_stream_write(request->http, watch->line.data, watch->line.len)) {
        request->http = NULL;
        request_free(request);
        watch_free(watch);
        return;
    }
    if (watch->final) {
        struct http_request *http = request->http;
        request_free(request);
        http_stream_end(http);
        watch_free(watch);
        return;
    }
    struct buf told = watch->told;
    watch->told = watch->line;
    watch->line = told;
    watch->next_mono_usec = clock_mono_usec() + BETWEEN_USEC;
    if (watch->marked)
        timer_at(watch->watches, watch->next_mono_usec);
}

static void on_durable(void *context)
{
    tell(context);
}

static int run_history(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct watch *watch = request->state;
    struct run_view *view = arena_new(&request->arena, struct run_view);
    int code = history_run(history, watch->run_id, &request->arena, view, err);
    if (code == 0)
        print_run(watch, view, &request->arena);
    return code;
}

static void done_history(struct history_read *read)
{
    struct request *request = request_of(read);
    struct watch *watch = request->state;
    if (read->code == 0) {
        watch->final = true; // whatever it says: memory has it no more
        tell(watch);
        return;
    }
    if (watch->stream && request->http != NULL) {
        struct http_request *http = request->http;
        request->http = NULL;
        http_on_gone(http, NULL, NULL);
        http_stream_abort(http);
        request_free(request);
    } else {
        request_err(request, &read->err);
    }
    watch_free(watch);
}

// Looks at the run and tells what there is to tell.
static void look(struct watch *watch)
{
    struct watches *watches = watch->watches;
    struct server *server = watches->server;
    struct run_view view;
    must(!watch->busy);
    watch->marked = false;
    watch->busy = true;
    arena_clear(&watches->arena);
    if (core_view_run(engine_core(server->engine), watch->run_id, &watches->arena, &view) < 0) {
        // It has ended and left memory between two looks.
        watch->request->state = watch;
        request_read(watch->request, false, run_history, done_history);
        return;
    }
    print_run(watch, &view, &watches->arena);
    bool over = clock_mono_usec() >= watch->until_mono_usec;
    if (!watch->stream && !watch->final && !over) {
        watch->busy = false;
        return;
    }
    engine_after(server->engine, engine_position(server->engine), on_durable, watch);
}

static void on_timer(void *context)
{
    struct watches *watches = context;
    usec_t now = clock_mono_usec();
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &watches->all) {
        struct watch *watch = list_entry(pos, struct watch, link);
        if (watch->busy)
            continue;
        if (watch->request->http == NULL) {
            request_free(watch->request);
            watch_free(watch);
        } else if ((watch->marked && now >= watch->next_mono_usec) || now >= watch->until_mono_usec) {
            look(watch);
        }
    }
    usec_t next = list_empty(&watches->all) ? USEC_NEVER : now + SWEEP_USEC;
    list_for_each(pos, &watches->all) {
        struct watch *watch = list_entry(pos, struct watch, link);
        if (watch->busy)
            continue;
        next = usec_min(next, watch->until_mono_usec);
        if (watch->marked)
            next = usec_min(next, watch->next_mono_usec);
    }
    loop_timer_set(&watches->timer, next);
}

// Who waits for the end is not bothered before; who watches is told of the end at once.
static void mark(struct watch *watch, bool ended)
{
    if (!watch->stream && !ended)
        return;
    watch->marked = true;
    if (ended)
        watch->next_mono_usec = 0;
    timer_at(watch->watches, watch->next_mono_usec);
}

static void mark_run(struct watches *watches, uint64_t run_id, bool ended)
{
    struct watched *watched = map_get(&watches->by_run, run_id);
    struct list *pos;
    if (watched != NULL)
        list_for_each(pos, &watched->watches)
            mark(list_entry(pos, struct watch, same), ended);
}

static void mark_all(struct watches *watches)
{
    struct list *pos;
    list_for_each(pos, &watches->all)
        mark(list_entry(pos, struct watch, link), false);
}

void watches_records(struct watches *watches, const struct record *const *records, size_t n)
{
    if (list_empty(&watches->all))
        return;
    for (size_t i = 0; i < n; i++) {
        const struct record *record = records[i];
        switch (record->kind) {
        case REC_RUN_ELIGIBLE: mark_run(watches, record->run_eligible.run_id, false); break;
        case REC_RUN_ADMISSION: mark_run(watches, record->run_admission.run_id, false); break;
        case REC_RUN_CANCELLING: mark_run(watches, record->run_cancelling.run_id, false); break;
        case REC_TASKS_CANCELLED: mark_run(watches, record->tasks_cancelled.run_id, false); break;
        case REC_RUN_ENDED: mark_run(watches, record->run_ended.run_id, true); break;
        case REC_TASKS_PLACED: mark_run(watches, record->tasks_placed.run_id, false); break;
        case REC_TASKS_ENDED: mark_run(watches, record->tasks_ended.run_id, false); break;
        // These name attempts, not runs; who watches looks, and tells only what differs.
        case REC_TASKS_STARTED:
        case REC_TASKS_STOPPING: mark_all(watches); break;
        default: break;
        }
    }
}

static struct watch *watch_new(struct watches *watches, struct request *request, uint64_t run_id)
{
    struct watch *watch = mem_alloc(sizeof(*watch));
    watch->watches = watches;
    watch->request = request;
    watch->run_id = run_id;
    watch->until_mono_usec = USEC_NEVER;
    list_init(&watch->link);
    list_init(&watch->same);
    list_add_tail(&watches->all, &watch->link);
    struct watched *watched = map_get(&watches->by_run, run_id);
    if (watched == NULL) {
        watched = mem_alloc(sizeof(*watched));
        watched->run_id = run_id;
        list_init(&watched->watches);
        map_put(&watches->by_run, run_id, watched);
    }
    list_add_tail(&watched->watches, &watch->same);
    timer_at(watches, clock_mono_usec() + SWEEP_USEC);
    return watch;
}

void watches_wait(struct watches *watches, struct request *request, uint64_t run_id, usec_t time_usec)
{
    struct watch *watch = watch_new(watches, request, run_id);
    watch->until_mono_usec = usec_add(clock_mono_usec(), time_usec);
    timer_at(watches, watch->until_mono_usec);
    look(watch);
}

void watches_stream(struct watches *watches, struct request *request, uint64_t run_id)
{
    struct watch *watch = watch_new(watches, request, run_id);
    watch->stream = true;
    http_stream_begin(request->http, 200, "application/x-ndjson");
    look(watch);
}

struct watches *watches_new(struct server *server)
{
    struct watches *watches = mem_alloc(sizeof(*watches));
    watches->server = server;
    list_init(&watches->all);
    loop_timer_init(&watches->timer, server->loop, on_timer, watches);
    return watches;
}

void watches_free(struct watches *watches)
{
    if (watches == NULL)
        return;
    struct list *first;
    while ((first = list_first(&watches->all)) != NULL) {
        struct watch *watch = list_entry(first, struct watch, link);
        struct request *request = watch->request;
        if (watch->stream && request->http != NULL) {
            struct http_request *http = request->http;
            request->http = NULL;
            http_on_gone(http, NULL, NULL);
            http_stream_abort(http);
            request_free(request);
        } else {
            request_error(request, ERR_INTERRUPTED, "the server ends");
        }
        watch_free(watch);
    }
    loop_timer_release(&watches->timer);
    map_release(&watches->by_run);
    arena_release(&watches->arena);
    mem_free(watches);
}
