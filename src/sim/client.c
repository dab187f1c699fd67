// SPDX-License-Identifier: Apache-2.0
// People: they ask, their requests and the answers may get lost, and they ask again, with the same idempotency key, until they know.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/sort.h"
#include "codec/codec.h"
#include "sim/internal.h"

static void request_try(void *context);

struct request *client_request_new(struct sim *sim, enum event_kind kind)
{
    struct request *request = mem_alloc(sizeof(*request));
    request->sim = sim;
    request->kind = kind;
    request->id = ++sim->next_request;
    buf_init(&request->packed);
    list_init(&request->link);
    timer_init(&request->timer, sim, request_try, request);
    return request;
}

static void request_free(struct request *request)
{
    if (request->edge_id != 0)
        map_del(&request->sim->by_edge_id, request->edge_id);
    map_del(&request->sim->by_request, request->id);
    timer_stop(&request->timer);
    list_del(&request->link);
    buf_release(&request->packed);
    mem_free(request);
}

// Nobody waits for an answer any more.
void clients_give_up(struct sim *sim)
{
    struct list *first;
    while ((first = list_first(&sim->requests)) != NULL)
        request_free(list_entry(first, struct request, link));
}

void clients_release(struct sim *sim)
{
    clients_give_up(sim);
    map_release(&sim->by_edge_id);
    map_release(&sim->by_request);
    mem_free(sim->acks);
}

void client_request(struct request *request)
{
    list_add_tail(&request->sim->requests, &request->link);
    map_put(&request->sim->by_request, request->id, request);
    request_try(request);
}

// The server died: what it was to answer it never will.
void clients_forget_server(struct sim *sim, struct server *server)
{
    (void)server;
    struct list *pos;
    list_for_each(pos, &sim->requests) {
        struct request *request = list_entry(pos, struct request, link);
        if (request->edge_id != 0)
            map_del(&sim->by_edge_id, request->edge_id);
        request->edge_id = 0;
    }
}

// ---- at the server

static void add_params(const struct request *request, struct arena *arena, const struct pair **ret, size_t *ret_n)
{
    if (request->param[0] == '\0')
        return;
    struct pair *pair = arena_new(arena, struct pair);
    *pair = (struct pair){"p", request->param};
    *ret = pair;
    *ret_n = 1;
}

static int by_first(const void *a, const void *b)
{
    usec_t x = ((const struct instant_span *)a)->first_usec, y = ((const struct instant_span *)b)->first_usec;
    return x < y ? -1 : x > y;
}

// What the edge would find in the history: instants of the range that have a run.
static void add_covered(const struct request *request, struct arena *arena, struct ev_backfill *ev)
{
    struct truth *truth = &request->sim->truth;
    const struct t_job *job = strmap_get(&truth->jobs_by_name, request->name);
    if (job == NULL || ev->again)
        return;
    struct instant_span *spans = arena_array(arena, struct instant_span, truth->last_run);
    size_t n = 0;
    for (uint64_t id = 1; id <= truth->last_run; id++) {
        const struct t_run *run = truth_run(request->sim, id);
        if (run != NULL && run->job_id == job->id && run->nominal_usec >= ev->from_usec && run->nominal_usec < ev->to_usec)
            spans[n++] = (struct instant_span){run->nominal_usec, run->nominal_usec};
    }
    sort_items(spans, n, sizeof(*spans), by_first);
    for (size_t i = 0; i < n; i++)
        if (ev->n_covered == 0 || spans[ev->n_covered - 1].first_usec != spans[i].first_usec)
            spans[ev->n_covered++] = spans[i];
    ev->covered = spans;
    ev->job_version = job->version;
}

static int make_event(struct request *request, struct arena *arena, struct event *event)
{
    struct bytes packed = {(const uint8_t *)request->packed.data, request->packed.len};
    const struct job_spec *spec = NULL;
    struct err err = {0};
    *event = (struct event){.kind = request->kind, .by = "people"};
    if (packed.len > 0)
        must(spec_unpack(packed, arena, &spec, &err) == 0);
    switch (request->kind) {
    case EV_SUBMIT:
        event->submit = (struct ev_submit){.spec = spec, .packed = packed, .idempotency_key = request->key[0] != '\0' ? request->key : NULL,
                                           .held = request->held, .rerun_of = request->rerun_of, .job_id = request->job_id,
                                           .job_version = request->job_version};
        add_params(request, arena, &event->submit.params, &event->submit.n_params);
        return 0;
    case EV_APPLY:
        event->apply = (struct ev_apply){.spec = spec, .packed = packed};
        return 0;
    case EV_START_JOB:
        event->start_job = (struct ev_start_job){.namespace_name = "default", .name = request->name, .idempotency_key = request->key};
        add_params(request, arena, &event->start_job.params, &event->start_job.n_params);
        return 0;
    case EV_BACKFILL:
        event->backfill = (struct ev_backfill){.namespace_name = "default", .name = request->name, .from_usec = request->from_usec, .to_usec = request->to_usec,
                                               .reverse = request->reverse, .again = request->again, .parallel_max = request->parallel, .key = request->key};
        add_covered(request, arena, &event->backfill);
        return 0;
    case EV_BACKFILL_CANCEL:
        event->backfill_cancel = request->run_id;
        return 0;
    case EV_JOB_HOLD:
        event->job_hold = (struct ev_job_hold){.namespace_name = "default", .name = request->name, .to = (enum job_state)request->to};
        return 0;
    case EV_CANCEL:
        event->cancel.run_id = request->run_id;
        if (request->tasks_only) {
            struct index_set *set = arena_new(arena, struct index_set);
            struct index_range *range = arena_memdup(arena, &request->range, sizeof(request->range));
            must(index_set_init(set, range, 1));
            event->cancel.tasks = set;
        }
        return 0;
    case EV_CANCEL_JOB:
        event->cancel_job = (struct ev_cancel_job){.namespace_name = "default", .name = request->name};
        return 0;
    case EV_RUN_HOLD:
        event->run_hold = (struct ev_run_hold){.run_id = request->run_id, .to = (enum admission)request->to};
        return 0;
    case EV_CALENDAR_PUT: {
        struct calendar *calendar = arena_new(arena, struct calendar);
        *calendar = (struct calendar){.name = request->name, .dates = request->dates, .n_dates = request->n_dates};
        event->calendar_put = (struct ev_calendar_put){.calendar = calendar};
        return 0;
    }
    case EV_CALENDAR_DELETE:
        event->calendar_delete = (struct ev_calendar_delete){.name = request->name};
        return 0;
    case EV_NODE_ADMISSION:
    case EV_NODE_REMOVE:
        event->node_admission = (struct ev_node_admission){.name = request->name, .to = (enum admission)request->to};
        return 0;
    default:
        unreachable();
    }
}

static struct request *find_request(struct sim *sim, uint64_t id)
{
    return map_get(&sim->by_request, id);
}

// It arrives, unless nobody listens.
static void request_arrives(void *context, uint64_t id)
{
    struct sim *sim = context;
    struct server *server = &sim->servers[0];
    struct request *request = find_request(sim, id);
    if (request == NULL || !server_takes(server) || request->edge_id != 0)
        return;
    bool brings_work = request->kind == EV_SUBMIT || request->kind == EV_APPLY || request->kind == EV_START_JOB;
    if ((engine_full(server->engine) && brings_work) || engine_overfull(server->engine))
        return; // refused; it will be asked again
    // The history is asked when it knows all that was decided.
    if (request->kind == EV_BACKFILL && core_seq(engine_core(server->engine)) != sim->truth.seq)
        return;
    struct event event;
    arena_clear(&server->arena);
    must(make_event(request, &server->arena, &event) == 0);
    request->edge_id = ++sim->next_edge_id;
    map_put(&sim->by_edge_id, request->edge_id, request);
    event.request = request->edge_id;
    server_event(server, &event);
}

static void request_try(void *context)
{
    struct request *request = context;
    struct sim *sim = request->sim;
    request->tries++;
    trace(sim, ACTOR_CLIENT, TR_REQUEST, request->id, request->tries, (uint64_t)request->kind);
    usec_t patience = 2 * USEC_PER_SEC + (usec_t)prng_below(&sim->prng_client, 6 * USEC_PER_SEC);
    timer_set(&request->timer, sim->now + patience);
    // A try that the server still works on counts no more: whatever it answers, this client has gone.
    if (request->edge_id != 0)
        map_del(&sim->by_edge_id, request->edge_id);
    request->edge_id = 0;
    if (sim->phase == PHASE_FAULTS && prng_chance(&sim->prng_client, sim->loss_permille))
        return;
    sim_later(sim, 200 + (usec_t)prng_below(&sim->prng_client, 5000), request_arrives, sim, request->id);
}

// ---- the answer

static void check_submit_ack(struct sim *sim, const struct request *request, const struct fx_reply *reply)
{
    const struct t_run *run = truth_run(sim, reply->run_id);
    hold(sim, INV_ACK_DURABLE, run != NULL, "run %" PRIu64 " is acknowledged, but not durable", reply->run_id);
    hold(sim, INV_PARAMS_TRUE, run == NULL || request->param[0] == '\0' || strcmp(run->param, request->param) == 0,
         "run %" PRIu64 " was asked for with p=%s and has p=%s", reply->run_id, request->param, run != NULL ? run->param : "");
    if (request->key[0] == '\0' || sim->failed)
        return;
    const struct t_run *keyed = strmap_get(&sim->truth.idempotency, request->key);
    // A jump beyond the window ends what a key stands for: then two requests that were under way may have a run each.
    bool forgotten = sim->skipped_usec >= sim->limits.value[LIMIT_IDEMPOTENCY_WINDOW];
    hold(sim, INV_IDEMPOTENT, keyed != NULL && (keyed->id == reply->run_id || forgotten), "the key %s stands for run %" PRIu64 ", the answer says %" PRIu64, request->key,
         keyed != NULL ? keyed->id : 0, reply->run_id);
}

static void check_ack(struct sim *sim, const struct request *request, const struct fx_reply *reply)
{
    const struct t_run *run = truth_run(sim, request->run_id);
    switch (request->kind) {
    case EV_BACKFILL:
        hold(sim, INV_ACK_DURABLE, reply->backfill_id == 0 || truth_backfill(sim, reply->backfill_id) != NULL, "backfill %" PRIu64 " is acknowledged, but not durable",
             reply->backfill_id);
        hold(sim, INV_IDEMPOTENT, request->got_run == 0 || request->got_run == reply->backfill_id, "request %" PRIu64 " was answered with backfill %" PRIu64 " and now with %" PRIu64,
             request->id, request->got_run, reply->backfill_id);
        return;
    case EV_SUBMIT:
    case EV_START_JOB:
        check_submit_ack(sim, request, reply);
        return;
    case EV_CANCEL: {
        bool over = run != NULL && (run->state == RUN_CANCELLING || run_state_terminal(run->state) || run->n_ended == run->n_tasks);
        hold(sim, INV_ACK_DURABLE, request->tasks_only || over, "the cancellation of run %" PRIu64 " is acknowledged, but the run is %s", request->run_id,
             run != NULL ? run_state_name(run->state) : "unknown");
        return;
    }
    case EV_APPLY: {
        const struct t_job *job = truth_job(sim, reply->job_id);
        hold(sim, INV_ACK_DURABLE, job != NULL && job->version >= reply->version, "version %u of job %" PRIu64 " is acknowledged, but not durable", reply->version,
             reply->job_id);
        return;
    }
    case EV_CALENDAR_PUT: {
        const struct t_calendar *calendar = truth_calendar(sim, request->name);
        // It may have been deleted since, and made anew.
        hold(sim, INV_ACK_DURABLE, calendar == NULL || calendar->version >= reply->version || calendar->put_seq > 0, "version %u of calendar %s is acknowledged, but not durable",
             reply->version, request->name);
        return;
    }
    default:
        return;
    }
}

static void remember_ack(struct sim *sim, const struct request *request, const struct fx_reply *reply)
{
    if (sim->n_acks == sim->cap_acks) {
        sim->cap_acks = sim->cap_acks > 0 ? 2 * sim->cap_acks : 256;
        sim->acks = mem_realloc_array(sim->acks, sim->cap_acks, sizeof(*sim->acks));
    }
    uint64_t id = request->kind == EV_APPLY ? reply->job_id : request->kind == EV_CANCEL ? request->run_id : reply->run_id;
    enum event_kind kind = request->tasks_only ? EV_TICK : request->kind;
    sim->acks[sim->n_acks++] = (struct ack){.kind = kind, .id = id, .version = reply->version};
}

// These answers are worth nothing: the same request may succeed later.
static bool temporary(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_AGAIN || code == ERR_STORE_FULL || code == ERR_LIMIT;
}

static void answer_arrives(void *context, uint64_t id)
{
    struct sim *sim = context;
    struct request *request = find_request(sim, id);
    if (request == NULL)
        return;
    if (temporary(request->code) && request->tries < 20)
        return; // asked again
    request_free(request);
}

void client_reply(struct server *server, const struct fx_reply *reply)
{
    struct sim *sim = server->sim;
    struct request *request = map_del(&sim->by_edge_id, reply->request);
    if (request == NULL)
        return; // gave up waiting
    request->edge_id = 0;
    request->code = reply->code;
    trace(sim, ACTOR_CLIENT, TR_ANSWER, request->id, (uint64_t)(int64_t)reply->code,
          reply->run_id != 0 ? UINT64_C(1) << 56 | reply->run_id : 0);
    if (reply->code == 0) {
        check_ack(sim, request, reply);
        if (request->kind == EV_BACKFILL)
            request->got_run = reply->backfill_id;
        else if (request->kind != EV_BACKFILL_CANCEL)
            remember_ack(sim, request, reply);
        bool run = request->kind == EV_SUBMIT || request->kind == EV_START_JOB;
        if (run && request->key[0] != '\0') {
            hold(sim, INV_IDEMPOTENT, request->got_run == 0 || request->got_run == reply->run_id || sim->skipped_usec >= sim->limits.value[LIMIT_IDEMPOTENCY_WINDOW],
                 "request %" PRIu64 " was answered with run %" PRIu64 " and now with run %" PRIu64, request->id, request->got_run, reply->run_id);
            request->got_run = reply->run_id;
        }
    }
    if (sim->phase == PHASE_FAULTS && prng_chance(&sim->prng_client, sim->loss_permille)) {
        trace(sim, ACTOR_CLIENT, TR_ANSWER_LOST, request->id, 0, 0);
        return;
    }
    sim_later(sim, 200 + (usec_t)prng_below(&sim->prng_client, 3000), answer_arrives, sim, request->id);
}
