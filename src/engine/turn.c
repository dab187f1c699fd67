// SPDX-License-Identifier: Apache-2.0
// The turn: the one place where core and store meet.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "codec/codec.h"
#include "engine/internal.h"

enum {
    GATHER_BYTES_MAX = 8 * 1024 * 1024, // packed records waiting for a commit before the edge is asked to hold back
    GATHER_MEMORY_MAX = 64 * 1024 * 1024, // the same for all memory of what waits
    REFUSE_TIMES = 2, // so many times as much, and it is refused
    ARENA_CHUNK_BYTES = 256 * 1024,
};

// How long a batch waits before it is tried again in a store without room.
static const usec_t full_retry_usec = USEC_PER_SEC;

static void gather_init(struct gather *gather)
{
    arena_init(&gather->arena, ARENA_CHUNK_BYTES);
    outbox_init(&gather->out, &gather->arena);
    buf_init(&gather->packed);
}

static void gather_clear(struct gather *gather)
{
    arena_clear(&gather->arena);
    outbox_init(&gather->out, &gather->arena);
    buf_clear(&gather->packed);
    gather->n_packed = 0;
    must(gather->n_afters == 0);
}

static void gather_release(struct gather *gather)
{
    arena_release(&gather->arena);
    buf_release(&gather->packed);
    mem_free(gather->afters);
}

static void gather_after(struct gather *gather, const struct after *after)
{
    if (gather->n_afters == gather->cap_afters) {
        gather->cap_afters = gather->cap_afters ? 2 * gather->cap_afters : 64;
        gather->afters = mem_realloc_array(gather->afters, gather->cap_afters, sizeof(*gather->afters));
    }
    gather->afters[gather->n_afters++] = *after;
}

// Packs the records that the last step added. Their specs lived with the event; from here on only the packed form is there.
static void pack_new(struct engine *engine)
{
    struct gather *gather = engine->gathering;
    for (; gather->n_packed < gather->out.n_records; gather->n_packed++) {
        struct record *record = gather->out.record[gather->n_packed];
        if (gather->n_packed == 0)
            gather->first_seq = record->seq;
        record_pack(&gather->packed, record);
        if (record->kind == REC_RUN_SUBMITTED)
            record->run_submitted.spec = NULL;
        else if (record->kind == REC_JOB_APPLIED)
            record->job_applied.spec = NULL;
    }
}

// A renewed lease rests on no record, and must not be late because a commit is: it leaves at once, and nothing of it stays, however long
// the commit takes. The loss of a node is only ever decided after the end of every lease that was given.
static void heartbeat(struct engine *engine, const struct event *event)
{
    struct outbox out;
    arena_clear(&engine->beat_arena);
    outbox_init(&out, &engine->beat_arena);
    core_step(engine->core, event, &out);
    must(out.n_records == 0);
    for (size_t i = 0; i < out.n_effects; i++) {
        must(out.effect[i]->kind == FX_LEASE);
        engine->options.on_effect(engine->options.context, out.effect[i]);
    }
}

void engine_event(struct engine *engine, const struct event *event)
{
    if (event->kind == EV_NODE_HEARTBEAT) {
        heartbeat(engine, event);
        return;
    }
    core_step(engine->core, event, &engine->gathering->out);
    pack_new(engine);
}

static void release_effects(struct engine *engine, struct gather *gather)
{
    for (size_t i = 0; i < gather->out.n_effects; i++) {
        const struct effect *effect = gather->out.effect[i];
        engine->options.on_effect(engine->options.context, effect);
        if (effect->kind == FX_WELCOME)
            engine_event(engine, &(struct event){.kind = EV_NODE_WELCOMED,
                                                 .wall_usec = engine->wall_usec,
                                                 .mono_usec = engine->mono_usec,
                                                 .session = {.session = effect->session}});
    }
    // A callback may ask for more; that lands in the gather of that moment, never in this one.
    for (size_t i = 0; i < gather->n_afters; i++) {
        must(gather->afters[i].position <= engine->durable);
        gather->afters[i].call(gather->afters[i].context);
    }
    gather->n_afters = 0;
}

static struct store_batch batch_of(const struct gather *gather)
{
    return (struct store_batch){
        .first_seq = gather->first_seq,
        .n_records = (uint32_t)gather->out.n_records,
        .data = {(const uint8_t *)gather->packed.data, gather->packed.len},
    };
}

static int append(struct engine *engine, struct err *err)
{
    struct store *store = engine->options.store;
    struct store_batch batch = batch_of(engine->in_flight);
    return store->ops->append(store, engine->epoch, &batch, err);
}

// Begins the next commit, or lets effects without records go when nothing is under way before them.
static int begin_commit(struct engine *engine, struct err *err)
{
    struct gather *gather = engine->gathering;
    if (engine->in_flight || (gather->out.n_effects == 0 && gather->out.n_records == 0 && gather->n_afters == 0))
        return 0;
    engine->gathering = gather == &engine->gathers[0] ? &engine->gathers[1] : &engine->gathers[0];
    must(engine->gathering->out.n_records == 0 && engine->gathering->out.n_effects == 0);
    if (gather->out.n_records == 0) {
        release_effects(engine, gather);
        gather_clear(gather);
        return 0;
    }
    engine->in_flight = gather;
    return append(engine, err);
}

static int append_done(struct engine *engine, const struct store_done *done, usec_t mono_usec, struct err *err)
{
    struct gather *gather = engine->in_flight;
    must(gather != NULL);
    if (done->code == ERR_STORE_FULL) {
        engine->full = true;
        engine->retry_mono_usec = usec_add(mono_usec, full_retry_usec);
        return 0;
    }
    if (done->code < 0) {
        if (err)
            *err = done->err;
        return err_wrap(err, done->code, "the store refused a commit, so this server stops leading");
    }
    struct store_batch batch = batch_of(gather);
    must(done->seq == batch.first_seq + batch.n_records - 1);
    engine->full = false;
    engine->durable = done->seq;
    engine->log_bytes += batch.data.len;
    engine->stats.commits++;
    engine->stats.records += batch.n_records;
    engine->stats.bytes += batch.data.len;
    engine->in_flight = NULL;
    if (engine->options.on_records)
        engine->options.on_records(engine->options.context, (const struct record *const *)gather->out.record, gather->out.n_records, &batch);
    release_effects(engine, gather);
    gather_clear(gather);
    return 0;
}

static void snapshot_done(struct engine *engine, const struct store_done *done)
{
    must(engine->snapshot_in_flight);
    engine->snapshot_in_flight = false;
    // A snapshot that failed costs nothing but the next attempt: the log is still whole.
    if (done->code == 0)
        engine->log_bytes -= engine->log_bytes_at_snapshot;
}

static int take_done(struct engine *engine, usec_t mono_usec, struct err *err)
{
    struct store *store = engine->options.store;
    struct store_done done;
    while (store->ops->poll(store, &done)) {
        if (done.op == STORE_SNAPSHOT) {
            snapshot_done(engine, &done);
            continue;
        }
        int rc = append_done(engine, &done, mono_usec, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int engine_turn(struct engine *engine, usec_t wall_usec, usec_t mono_usec, struct err *err)
{
    engine->wall_usec = wall_usec;
    engine->mono_usec = mono_usec;
    int rc = take_done(engine, mono_usec, err);
    if (rc < 0)
        return rc;
    if (engine->full && mono_usec >= engine->retry_mono_usec) {
        engine->retry_mono_usec = usec_add(mono_usec, full_retry_usec);
        rc = append(engine, err);
        if (rc < 0 && rc != ERR_AGAIN)
            return rc;
    }
    struct event event = {.wall_usec = wall_usec, .mono_usec = mono_usec};
    // While the store has no room, or is behind, nothing new is decided: it could not be kept, and its work not begun.
    if (!engine->full && !engine_busy(engine) && core_deadline(engine->core, wall_usec, mono_usec) == 0) {
        event.kind = EV_TICK;
        engine_event(engine, &event);
    }
    if (!engine->full && !engine_busy(engine) && core_wants_plan(engine->core)) {
        event.kind = EV_PLAN;
        engine_event(engine, &event);
    }
    rc = begin_commit(engine, err);
    if (rc < 0)
        return rc;
    return take_done(engine, mono_usec, err);
}

usec_t engine_deadline(const struct engine *engine, usec_t wall_usec, usec_t mono_usec)
{
    const struct gather *gather = engine->gathering;
    if (engine->full)
        return engine->retry_mono_usec > mono_usec ? engine->retry_mono_usec - mono_usec : 0;
    bool something = gather->out.n_records + gather->out.n_effects + gather->n_afters > 0;
    if (!engine->in_flight && (something || core_wants_plan(engine->core)))
        return 0;
    if (engine_busy(engine))
        return USEC_NEVER; // the end of the commit in flight wakes it
    if (core_wants_plan(engine->core))
        return 0;
    return core_deadline(engine->core, wall_usec, mono_usec);
}

static bool gathered(const struct engine *engine, size_t times)
{
    const struct gather *gather = engine->gathering;
    return gather->packed.len >= times * GATHER_BYTES_MAX || arena_used(&gather->arena) >= times * GATHER_MEMORY_MAX;
}

bool engine_busy(const struct engine *engine)
{
    return gathered(engine, 1);
}

bool engine_overfull(const struct engine *engine)
{
    return gathered(engine, REFUSE_TIMES);
}

void engine_stats(const struct engine *engine, struct engine_stats *ret_stats)
{
    *ret_stats = engine->stats;
    for (int i = 0; i < 2; i++) {
        const struct gather *gather = &engine->gathers[i];
        ret_stats->waiting_bytes += arena_used(&gather->arena) + gather->packed.len + gather->cap_afters * sizeof(*gather->afters);
    }
}

bool engine_full(const struct engine *engine)
{
    return engine->full;
}

const struct core *engine_core(const struct engine *engine)
{
    return engine->core;
}

uint64_t engine_position(const struct engine *engine)
{
    return core_seq(engine->core);
}

uint64_t engine_durable(const struct engine *engine)
{
    return engine->durable;
}

void engine_after(struct engine *engine, uint64_t position, void (*call)(void *), void *context)
{
    must(position <= engine_position(engine));
    if (position <= engine->durable) {
        call(context);
        return;
    }
    const struct after after = {position, call, context};
    bool flying = engine->in_flight && position < engine->in_flight->first_seq + engine->in_flight->out.n_records;
    gather_after(flying ? engine->in_flight : engine->gathering, &after);
}

bool engine_snapshot_due(const struct engine *engine)
{
    int64_t due = engine->options.limits->value[LIMIT_SNAPSHOT_RECORDS_BYTES];
    return !engine->snapshot_in_flight && engine->log_bytes >= (uint64_t)due;
}

static int pack_item(void *context, const struct snapshot_item *item)
{
    snapshot_item_pack(context, item);
    return 0;
}

int engine_snapshot(const struct engine *engine, struct buf *ret_bytes, struct err *err)
{
    must(ret_bytes->len == 0);
    snapshot_begin(ret_bytes);
    int rc = core_save(engine->core, pack_item, ret_bytes);
    if (rc < 0)
        return err_set(err, rc, "the state could not be packed into a snapshot");
    snapshot_end(ret_bytes);
    return 0;
}

int engine_keep_snapshot(struct engine *engine, uint64_t seq, uint64_t history_seq, uint8_t *data, size_t len, struct err *err)
{
    struct store *store = engine->options.store;
    must(!engine->snapshot_in_flight);
    if (seq > engine->durable) {
        mem_free(data);
        return err_set(err, ERR_AGAIN, "the snapshot at %" PRIu64 " is newer than what is durable (%" PRIu64 ")", seq, engine->durable);
    }
    engine->log_bytes_at_snapshot = engine->log_bytes;
    engine->snapshot_in_flight = true;
    int rc = store->ops->snapshot_write(store, engine->epoch, seq, history_seq, data, len, err);
    if (rc < 0)
        engine->snapshot_in_flight = false;
    return rc;
}

int engine_open(const struct engine_options *options, usec_t wall_usec, usec_t mono_usec, struct engine **ret_engine, struct err *err)
{
    must(options->store != NULL && options->limits != NULL && options->on_effect != NULL);
    struct engine *engine = mem_alloc(sizeof(*engine));
    engine->options = *options;
    gather_init(&engine->gathers[0]);
    gather_init(&engine->gathers[1]);
    arena_init(&engine->beat_arena, 0);
    engine->gathering = &engine->gathers[0];
    engine->core = core_new(&(struct core_options){
        .limits = options->limits, .find_zone = options->find_zone, .zones = options->zones, .seed = options->seed});
    int rc = options->store->ops->lead(options->store, options->server, &engine->epoch, err);
    if (rc == 0)
        rc = engine_replay(engine, err);
    if (rc < 0) {
        engine_close(engine);
        return rc;
    }
    engine->durable = core_seq(engine->core);
    engine_event(engine, &(struct event){.kind = EV_LEAD,
                                         .wall_usec = wall_usec,
                                         .mono_usec = mono_usec,
                                         .lead = {.epoch = engine->epoch, .server = options->server, .version = options->version}});
    *ret_engine = engine;
    return 0;
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    core_free(engine->core);
    gather_release(&engine->gathers[0]);
    gather_release(&engine->gathers[1]);
    arena_release(&engine->beat_arena);
    mem_free(engine);
}
