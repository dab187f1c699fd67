// SPDX-License-Identifier: Apache-2.0
// A store upon a simulated disk. What poll() has reported is durable; what a crash finds under way is there, is gone, or is torn (and then
// found out when the log is read). The disk outlives every process that opens it.
#include <inttypes.h>
#include <string.h>

#include "sim/internal.h"

struct sim_store {
    struct store base;
    struct disk *disk;
    struct server *server;
    bool appending, keeping;
    uint64_t append_epoch, keep_epoch, keep_seq, keep_after;
    struct disk_batch batch;
    uint8_t *keep;
    size_t keep_len;
    struct timer append_timer, keep_timer;
    struct store_done done[4];
    size_t n_done;
    bool lied; // told before it was durable (a planted bug)
};

void disk_init(struct disk *disk, struct sim *sim)
{
    *disk = (struct disk){.sim = sim, .latency_usec = 500, .crash_fate = -1};
    prng_init(&disk->prng, sim_mix(sim->options->seed, 11));
    disk->latency_usec = 100 + (usec_t)prng_below(&disk->prng, 8000);
}

void disk_release(struct disk *disk)
{
    for (size_t i = 0; i < disk->n_log; i++)
        mem_free(disk->log[i].data);
    mem_free(disk->log);
    mem_free(disk->snapshot);
}

// Counts a call. Whether it fails; the process may also be doomed by it.
static bool call_fails(struct sim_store *store)
{
    struct disk *disk = store->disk;
    if (disk->crash_call > 0 && --disk->crash_call == 0) {
        store->server->doomed = true;
        fault_count(disk->sim, FAULT_SERVER_CRASH_AT_STORE);
        fault_hit(disk->sim, ACTOR_SERVER + store->server->index, FAULT_SERVER_CRASH_AT_STORE, 0);
    }
    bool fails = disk->fail_call > 0 && --disk->fail_call == 0;
    if (fails) {
        fault_count(disk->sim, FAULT_DISK_ERROR);
        fault_hit(disk->sim, ACTOR_DISK, FAULT_DISK_ERROR, 0);
    }
    return fails;
}

static usec_t latency(struct disk *disk)
{
    usec_t usec = disk->latency_usec / 2 + (usec_t)prng_below(&disk->prng, (uint64_t)disk->latency_usec);
    if (disk->sim->now < disk->slow_until)
        usec += (usec_t)prng_below(&disk->prng, (uint64_t)disk->slow_usec + 1);
    return usec;
}

static void report(struct sim_store *store, enum store_op op, uint64_t seq, int code)
{
    must(store->n_done < 4);
    struct store_done *done = &store->done[store->n_done++];
    *done = (struct store_done){.op = op, .seq = seq, .code = code};
    if (code < 0)
        err_set(&done->err, code, "a failure on purpose");
    server_wake(store->server);
}

static uint64_t last_of(const struct disk_batch *batch)
{
    return batch->first_seq + batch->n_records - 1;
}

// Takes the batch.
static void commit(struct disk *disk, uint64_t epoch, struct disk_batch batch)
{
    must(batch.first_seq == disk->last_seq + 1);
    if (disk->n_log == disk->cap_log) {
        disk->cap_log = disk->cap_log > 0 ? 2 * disk->cap_log : 64;
        disk->log = mem_realloc_array(disk->log, disk->cap_log, sizeof(*disk->log));
    }
    disk->log[disk->n_log++] = batch;
    disk->last_seq = last_of(&batch);
    truth_batch(disk->sim, epoch, &batch);
}

static void append_done(void *context)
{
    struct sim_store *store = context;
    struct disk *disk = store->disk;
    struct sim *sim = disk->sim;
    must(store->appending);
    store->appending = false;
    uint64_t seq = last_of(&store->batch);
    int code = 0;
    bool lands = true;
    if (store->append_epoch != disk->epoch) {
        code = ERR_STORE_FENCED;
        lands = false;
    } else if (sim->now < disk->full_until) {
        code = ERR_STORE_FULL;
        lands = false;
    } else if (disk->unknown_next > 0) {
        disk->unknown_next--;
        fault_count(sim, FAULT_DISK_UNKNOWN);
        fault_hit(sim, ACTOR_DISK, FAULT_DISK_UNKNOWN, 0);
        code = ERR_STORE_UNKNOWN;
        lands = prng_chance(&disk->prng, 500);
    } else if (call_fails(store)) {
        code = ERR_IO;
        lands = false;
    }
    if (code < 0)
        trace(sim, ACTOR_DISK, TR_COMMIT_FAILS, seq, (uint64_t)(int64_t)code, lands);
    if (lands)
        commit(disk, store->append_epoch, store->batch);
    else
        mem_free(store->batch.data);
    if (!store->lied)
        report(store, STORE_APPEND, seq, code);
    store->lied = false;
}

void disk_heal(struct disk *disk)
{
    disk->full_until = disk->slow_until = disk->history_stalled_until = 0;
    disk->unknown_next = disk->fail_call = disk->crash_call = 0;
    if (disk->holder == NULL || disk->holder->store == NULL)
        return;
    // What is under way slowly comes to its end.
    struct sim_store *store = (struct sim_store *)disk->holder->store;
    if (store->appending)
        timer_set(&store->append_timer, disk->sim->now + latency(disk));
    if (store->keeping)
        timer_set(&store->keep_timer, disk->sim->now + latency(disk));
}

static void drop_log(struct disk *disk, uint64_t up_to)
{
    size_t n = 0;
    while (n < disk->n_log && last_of(&disk->log[n]) <= up_to)
        mem_free(disk->log[n++].data);
    memmove(disk->log, disk->log + n, (disk->n_log - n) * sizeof(*disk->log));
    disk->n_log -= n;
}

static void keep_done(void *context)
{
    struct sim_store *store = context;
    struct disk *disk = store->disk;
    must(store->keeping);
    store->keeping = false;
    int code = store->keep_epoch != disk->epoch ? ERR_STORE_FENCED : disk->sim->now < disk->full_until ? ERR_STORE_FULL : 0;
    if (code == 0 && call_fails(store))
        code = ERR_IO;
    if (code == 0) {
        mem_free(disk->snapshot);
        disk->snapshot = store->keep;
        disk->snapshot_len = store->keep_len;
        disk->snapshot_seq = store->keep_seq;
        drop_log(disk, store->keep_after < store->keep_seq ? store->keep_after : store->keep_seq);
        if (planted(disk->sim, PLANT_TRUNCATE_EARLY) && disk->n_log > 0)
            drop_log(disk, last_of(&disk->log[0]));
        trace(disk->sim, ACTOR_DISK, TR_SNAPSHOT, disk->snapshot_seq, disk->snapshot_len, 0);
        disk->sim->result->snapshots++;
    } else {
        mem_free(store->keep);
    }
    report(store, STORE_SNAPSHOT, store->keep_seq, code);
}

// What becomes of a write that a crash found under way.
void disk_crash(struct store *base)
{
    struct sim_store *store = (struct sim_store *)base;
    struct disk *disk = store->disk;
    struct sim *sim = disk->sim;
    timer_stop(&store->append_timer);
    timer_stop(&store->keep_timer);
    if (store->appending) {
        uint64_t roll = prng_below(&disk->prng, 3);
        // Left out, it is lost as a whole.
        if ((roll == 0 && !fault_happens(sim, FAULT_DISK_LANDED)) || (roll == 1 && !fault_happens(sim, FAULT_DISK_TORN)))
            roll = 2;
        uint64_t first = store->batch.first_seq, n = store->batch.n_records;
        if (roll == 0 && store->append_epoch == disk->epoch && sim->now >= disk->full_until) {
            trace(sim, ACTOR_DISK, TR_LANDED, first, n, 0);
            fault_count(sim, FAULT_DISK_LANDED);
            commit(disk, store->append_epoch, store->batch);
        } else {
            trace(sim, ACTOR_DISK, TR_LOST, first, n, roll == 1);
            fault_count(sim, roll == 1 ? FAULT_DISK_TORN : FAULT_DISK_LOST);
            mem_free(store->batch.data);
        }
    }
    if (store->keeping)
        mem_free(store->keep);
    if (disk->holder == store->server)
        disk->holder = NULL;
    disk->crash_call = disk->fail_call = 0;
    mem_free(store);
}

static int store_lead(struct store *base, const char *server, uint64_t *ret_epoch, struct err *err)
{
    struct sim_store *store = (struct sim_store *)base;
    struct disk *disk = store->disk;
    (void)server;
    if (call_fails(store))
        return err_set(err, ERR_IO, "a failure on purpose");
    *ret_epoch = ++disk->epoch;
    return 0;
}

static int store_snapshot_read(struct store *base, uint64_t *ret_seq, uint8_t **ret_data, size_t *ret_len, struct err *err)
{
    struct sim_store *store = (struct sim_store *)base;
    struct disk *disk = store->disk;
    if (call_fails(store))
        return err_set(err, ERR_IO, "a failure on purpose");
    uint8_t *copy = mem_alloc(disk->snapshot_len);
    if (disk->snapshot_len > 0)
        memcpy(copy, disk->snapshot, disk->snapshot_len);
    *ret_seq = disk->snapshot_seq;
    *ret_data = copy;
    *ret_len = disk->snapshot_len;
    return 0;
}

static int store_log_read(struct store *base, uint64_t after, int (*visit)(void *, const struct store_batch *, struct err *), void *context,
                          struct err *err)
{
    struct sim_store *store = (struct sim_store *)base;
    struct disk *disk = store->disk;
    if (call_fails(store))
        return err_set(err, ERR_IO, "a failure on purpose");
    uint64_t oldest = disk->n_log > 0 ? disk->log[0].first_seq : disk->last_seq + 1;
    if (oldest > after + 1)
        return err_set(err, ERR_NOT_FOUND, "the log begins at record %" PRIu64 ", record %" PRIu64 " is gone", oldest, after + 1);
    for (size_t i = 0; i < disk->n_log; i++) {
        const struct disk_batch *from = &disk->log[i];
        if (last_of(from) <= after)
            continue;
        struct store_batch batch = {from->first_seq, from->n_records, {from->data, from->len}};
        int code = visit(context, &batch, err);
        if (code != 0)
            return code;
    }
    return 0;
}

static int store_append(struct store *base, uint64_t epoch, const struct store_batch *batch, struct err *err)
{
    struct sim_store *store = (struct sim_store *)base;
    struct disk *disk = store->disk;
    must(batch->n_records > 0);
    if (store->appending)
        return err_set(err, ERR_AGAIN, "an append is in flight");
    if (batch->first_seq != disk->last_seq + 1 && epoch == disk->epoch)
        return err_set(err, ERR_INVALID, "the batch begins at record %" PRIu64 ", the log ends at %" PRIu64, batch->first_seq, disk->last_seq);
    if (call_fails(store))
        return err_set(err, ERR_IO, "a failure on purpose");
    store->batch = (struct disk_batch){batch->first_seq, batch->n_records, mem_alloc(batch->data.len), batch->data.len};
    if (batch->data.len > 0)
        memcpy(store->batch.data, batch->data.data, batch->data.len);
    store->append_epoch = epoch;
    store->appending = true;
    timer_set(&store->append_timer, disk->sim->now + latency(disk));
    if (planted(disk->sim, PLANT_REPLY_BEFORE_COMMIT) && prng_chance(&disk->prng, 20)) {
        store->lied = true;
        report(store, STORE_APPEND, last_of(&store->batch), 0);
    }
    return 0;
}

static int store_snapshot_write(struct store *base, uint64_t epoch, uint64_t seq, uint64_t keep_after, uint8_t *data, size_t len, struct err *err)
{
    struct sim_store *store = (struct sim_store *)base;
    struct disk *disk = store->disk;
    bool fits = !store->keeping && seq <= disk->last_seq && seq > disk->snapshot_seq;
    if (!fits || call_fails(store)) {
        mem_free(data);
        return store->keeping ? err_set(err, ERR_AGAIN, "a snapshot is in flight")
                              : err_set(err, fits ? ERR_IO : ERR_INVALID, "a snapshot of record %" PRIu64 " does not fit the log", seq);
    }
    store->keeping = true;
    store->keep_epoch = epoch;
    store->keep_seq = seq;
    store->keep_after = keep_after;
    store->keep = data;
    store->keep_len = len;
    timer_set(&store->keep_timer, disk->sim->now + 3 * latency(disk));
    return 0;
}

static int store_poll(struct store *base, struct store_done *ret_done)
{
    struct sim_store *store = (struct sim_store *)base;
    if (store->n_done == 0)
        return 0;
    *ret_done = store->done[0];
    store->n_done--;
    memmove(store->done, store->done + 1, store->n_done * sizeof(store->done[0]));
    return 1;
}

static int store_wake_fd(struct store *base)
{
    (void)base;
    return -1;
}

static void store_end(struct store *base)
{
    disk_crash(base);
}

static const struct store_ops sim_store_ops = {
    .name = "simulated",
    .close = store_end,
    .lead = store_lead,
    .snapshot_read = store_snapshot_read,
    .log_read = store_log_read,
    .append = store_append,
    .snapshot_write = store_snapshot_write,
    .poll = store_poll,
    .wake_fd = store_wake_fd,
};

struct store *disk_open(struct disk *disk, struct server *server)
{
    if (disk->holder != NULL)
        return NULL;
    struct sim_store *store = mem_alloc(sizeof(*store));
    store->base.ops = &sim_store_ops;
    store->disk = disk;
    store->server = server;
    timer_init(&store->append_timer, disk->sim, append_done, store);
    timer_init(&store->keep_timer, disk->sim, keep_done, store);
    disk->holder = server;
    return &store->base;
}
