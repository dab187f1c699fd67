// SPDX-License-Identifier: Apache-2.0
// The loop of a server: turns, effects, snapshots and the history, in the order and with the rules of server/server.c.
#include <string.h>

#include "codec/codec.h"
#include "sim/internal.h"

enum { IDLE_TURNS_MAX = 1000, WAITING_BYTES = 1024 * 1024, EVENT_BYTES = 4096, RECORD_BYTES = 4096 };

static void take_snapshot(struct server *server)
{
    struct sim *sim = server->sim;
    if (server->packing || !engine_snapshot_due(server->engine) || sim->now < server->snapshot_retry)
        return;
    // A child is forked: it packs the state of this moment.
    buf_clear(&server->snapshot);
    server->snapshot_seq = core_seq(engine_core(server->engine));
    struct err err = {0};
    must(engine_snapshot(server->engine, &server->snapshot, &err) == 0);
    server->packing = true;
    timer_set(&server->snapshot_timer, sim->now + USEC_PER_MSEC + (usec_t)prng_below(&sim->disk.prng, 2 * USEC_PER_SEC));
}

// Leaves out the n-th item.
struct forgetful {
    struct buf out;
    uint64_t n, at;
};

static int forgetful_item(void *context, const struct snapshot_item *item)
{
    struct forgetful *forgetful = context;
    bool may_go = item->kind == SNAP_TASK || item->kind == SNAP_KEY || item->kind == SNAP_NODE;
    if (!may_go || forgetful->at++ != forgetful->n)
        snapshot_item_pack(&forgetful->out, item);
    return 0;
}

static void keep_snapshot(void *context)
{
    struct server *server = context;
    struct sim *sim = server->sim;
    if (planted(sim, PLANT_FORGET_AT_SNAPSHOT) && prng_chance(&sim->disk.prng, 500)) {
        struct forgetful forgetful = {.n = prng_below(&sim->disk.prng, 6)};
        snapshot_begin(&forgetful.out);
        must(snapshot_unpack((struct bytes){(const uint8_t *)server->snapshot.data, server->snapshot.len}, forgetful_item, &forgetful, NULL) == 0);
        snapshot_end(&forgetful.out);
        buf_release(&server->snapshot);
        server->snapshot = forgetful.out;
    }
    size_t len = server->snapshot.len;
    uint8_t *data = (uint8_t *)buf_detach(&server->snapshot);
    buf_init(&server->snapshot);
    server->packing = false;
    if (engine_keep_snapshot(server->engine, server->snapshot_seq, server->disk->history_seq, data, len, NULL) < 0)
        server->snapshot_retry = sim->now + 10 * USEC_PER_SEC;
}

void server_snapshot_packed(void *context)
{
    struct server *server = context;
    if (server->up && server->paused) {
        timer_set(&server->snapshot_timer, server->sim->now + 100 * USEC_PER_MSEC);
        return;
    }
    engine_after(server->engine, server->snapshot_seq, keep_snapshot, server);
    server_wake(server);
}

// ---- the history: its writer takes what is durable, in transactions, and says how far it is

void server_history(void *context)
{
    struct server *server = context;
    struct disk *disk = server->disk;
    struct sim *sim = server->sim;
    if (!server->up || server->paused)
        return;
    usec_t wait = 50 * USEC_PER_MSEC + (usec_t)prng_below(&disk->prng, 100 * USEC_PER_MSEC);
    timer_set(&server->history_timer, sim->now + wait);
    if (sim->now < disk->history_stalled_until)
        return;
    if (server->history_writing > disk->history_seq) { // the transaction has ended
        disk->history_seq = server->history_writing;
        trace(sim, ACTOR_DISK, TR_HISTORY, disk->history_seq, 0, 0);
        struct event event = {.kind = EV_ARCHIVED, .archived.seq = disk->history_seq};
        server_event(server, &event);
    }
    server->history_writing = engine_durable(server->engine);
}

// ---- effects

static uint64_t epoch_of(const struct server *server)
{
    return core_epoch(engine_core(server->engine));
}

static void welcome(struct session *session, const struct fx_welcome *fx)
{
    static const uint8_t proof[WIRE_PROOF_BYTES];
    if (session->state != SESSION_GREETED)
        return;
    session->state = SESSION_OPEN;
    struct wire_message message = {.kind = WIRE_WELCOME, .epoch = fx->epoch, .welcome = {.proof = {proof, sizeof(proof)}, .welcome = *fx}};
    session_send(session, &message);
}

// Orders leave in messages of a bounded number here, so that several messages carry one batch now and then.
static void start(struct session *session, const struct fx_start *fx)
{
    enum { ORDERS_IN_ONE = 64 };
    for (size_t first = 0; first < fx->n; first += ORDERS_IN_ONE) {
        size_t n = fx->n - first < ORDERS_IN_ONE ? fx->n - first : ORDERS_IN_ONE;
        struct wire_message message = {.kind = WIRE_START, .epoch = epoch_of(session->server), .start = {n, fx->order + first}};
        session_send(session, &message);
    }
}

void session_effect(struct server *server, const struct effect *effect)
{
    struct session *session = map_get(&server->by_session, effect->session);
    if (session == NULL || session->conn == NULL)
        return;
    if (effect->kind == FX_STOP && planted(server->sim, PLANT_LOST_STOP))
        return;
    struct wire_message message;
    switch (effect->kind) {
    case FX_WELCOME:
        welcome(session, &effect->welcome);
        return;
    case FX_REFUSE:
        session_refuse(session, effect->refuse.code, effect->refuse.text);
        session_gone(session, false);
        return;
    case FX_START:
        start(session, &effect->start);
        return;
    case FX_LEASE:
    case FX_STOP:
    case FX_ACK:
        must(effect_message(effect, epoch_of(server), &message));
        break;
    case FX_REPLY:
    case FX_KINDS:
        unreachable();
    }
    session_send(session, &message);
}

// What an effect says must be durable by now.
static void check_effect(struct server *server, const struct effect *effect)
{
    struct sim *sim = server->sim;
    if (effect->kind == FX_START)
        for (size_t i = 0; i < effect->start.n; i++) {
            const struct t_fence *fence = truth_fence(sim, effect->start.order[i].fence);
            hold(sim, INV_RECORD_THEN_ACT, fence != NULL, "the order of fence %llu leaves before its record", (unsigned long long)effect->start.order[i].fence);
        }
    if (effect->kind == FX_STOP)
        for (size_t i = 0; i < effect->stop.n; i++) {
            const struct t_fence *fence = truth_fence(sim, effect->stop.fence[i]);
            hold(sim, INV_RECORD_THEN_ACT, fence != NULL && (fence->stopping || fence->ended),
                 "the order to stop fence %llu leaves before its record", (unsigned long long)effect->stop.fence[i]);
        }
    if (effect->kind == FX_WELCOME)
        hold(sim, INV_RECORD_THEN_ACT, effect->welcome.epoch <= sim->truth.epoch, "a session opens in epoch %llu, which has not begun",
             (unsigned long long)effect->welcome.epoch);
}

void server_on_effect(void *context, const struct effect *effect)
{
    struct server *server = context;
    if (server->effects_left > 0 && --server->effects_left == 0) {
        server->doomed = true;
        fault_count(server->sim, FAULT_SERVER_CRASH_AT_EFFECT);
        fault_hit(server->sim, ACTOR_SERVER + server->index, FAULT_SERVER_CRASH_AT_EFFECT, 0);
    }
    if (server->doomed)
        return; // it died before this one left
    server->idle_turns = 0;
    check_effect(server, effect);
    if (effect->kind == FX_REPLY)
        client_reply(server, &effect->reply);
    else
        session_effect(server, effect);
}

// Something may have been decided.
void server_decided(struct server *server)
{
    uint64_t seq = engine_position(server->engine);
    if (seq <= engine_durable(server->engine) || (server->n_decided > 0 && server->decided[server->n_decided - 1].seq >= seq))
        return;
    if (server->n_decided == server->cap_decided) {
        server->cap_decided = server->cap_decided > 0 ? 2 * server->cap_decided : 64;
        server->decided = mem_realloc_array(server->decided, server->cap_decided, sizeof(*server->decided));
    }
    server->decided[server->n_decided++] = (struct decided){seq, server->sim->now};
}

usec_t server_decided_usec(const struct server *server, uint64_t seq)
{
    for (size_t i = 0; i < server->n_decided; i++)
        if (server->decided[i].seq >= seq)
            return server->decided[i].at;
    return server->sim->now;
}

void server_on_records(void *context, const struct record *const *records, size_t n, const struct store_batch *packed)
{
    struct server *server = context;
    struct sim *sim = server->sim;
    must(n > 0 && packed->n_records == n);
    server->idle_turns = 0;
    server->events_waiting[1] = server->events_waiting[0];
    server->events_waiting[0] = 0;
    size_t n_kept = 0;
    for (size_t i = 0; i < server->n_decided; i++)
        if (server->decided[i].seq > records[n - 1]->seq)
            server->decided[n_kept++] = server->decided[i];
    server->n_decided = n_kept;
    hold(sim, INV_ACK_DURABLE, records[n - 1]->seq <= sim->truth.seq || planted(sim, PLANT_REPLY_BEFORE_COMMIT),
         "record %llu is said to be durable, the log ends at %llu", (unsigned long long)records[n - 1]->seq, (unsigned long long)sim->truth.seq);
}

// ---- the turn

// What waits for the store is as much as the events that cannot be answered before; time alone, and leases, add nothing.
static void check_waiting(struct server *server)
{
    struct engine_stats stats;
    engine_stats(server->engine, &stats);
    uint64_t n = server->events_waiting[0] + server->events_waiting[1], records = engine_position(server->engine) - engine_durable(server->engine);
    hold(server->sim, INV_WAITING_BOUNDED, stats.waiting_bytes <= WAITING_BYTES + n * EVENT_BYTES + records * RECORD_BYTES,
         "%llu bytes wait for the store with %llu records of %llu events", (unsigned long long)stats.waiting_bytes, (unsigned long long)records, (unsigned long long)n);
}

// A turn may do as little as one thing that nobody sees, such as the end of one wait between attempts.
static void check_spin(struct server *server)
{
    uint64_t most = IDLE_TURNS_MAX;
    if (server->idle_turns >= most) {
        struct core_stats stats;
        core_stats(engine_core(server->engine), &stats);
        most += stats.tasks_waiting + stats.runs + stats.jobs + stats.nodes;
    }
    hold(server->sim, INV_NO_SPIN, server->idle_turns < most, "the server turned %u times without a pause or any progress", server->idle_turns);
}

void server_turn(void *context)
{
    struct server *server = context;
    struct sim *sim = server->sim;
    if (!server->up || server->paused)
        return;
    bool held_back = engine_busy(server->engine);
    uint64_t position = engine_position(server->engine);
    struct err err = {0};
    int rc = engine_turn(server->engine, machine_wall(&server->machine), machine_mono(&server->machine), &err);
    if (rc < 0 && !server->doomed) {
        trace(sim, ACTOR_SERVER + server->index, TR_SERVER_DEAD, 2, (uint64_t)(int64_t)rc, 0);
        bool meant = rc == ERR_IO || rc == ERR_STORE_UNKNOWN || rc == ERR_STORE_FENCED || planted(sim, PLANT_REPLY_BEFORE_COMMIT);
        hold(sim, INV_RESTARTS, meant, "a turn failed although nothing was wrong with the store: %s", err.text);
    }
    if (rc < 0 || server->doomed) {
        server_crash(server);
        return;
    }
    server_decided(server);
    check_waiting(server);
    take_snapshot(server);
    if (held_back && !engine_busy(server->engine))
        net_kick(sim, NULL);
    usec_t wait = engine_deadline(server->engine, machine_wall(&server->machine), machine_mono(&server->machine));
    server->idle_turns = wait > 0 || engine_position(server->engine) != position ? 0 : server->idle_turns + 1;
    check_spin(server);
    usec_t at = machine_after(&server->machine, usec_min(wait, USEC_PER_MIN));
    timer_set(&server->turn, usec_max(at, sim->now + 20));
}
