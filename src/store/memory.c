// SPDX-License-Identifier: Apache-2.0
// The store that keeps everything in memory, for tests and the simulator. It is always up to date without waiting: an operation is
// carried out when poll() reports it, and a crash() before that loses it, as a crash before the commit would.
#include "store/store.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

struct memory_batch {
    uint64_t first_seq;
    uint32_t n_records;
    uint8_t *data;
    size_t len;
};

struct memory_store {
    struct store base;
    uint64_t epoch;
    struct memory_batch *log; // oldest first
    size_t n_log, cap_log;
    uint64_t last_seq; // of the log or the snapshot, whichever is newer
    uint64_t snapshot_seq;
    uint8_t *snapshot;
    size_t snapshot_len;

    // What has begun and was not reported yet.
    bool appending;
    uint64_t append_epoch;
    struct memory_batch append;
    bool keeping;
    bool keep_first; // it began before the append
    uint64_t keep_epoch, keep_seq, keep_after;
    uint8_t *keep;
    size_t keep_len;
};

static struct memory_store *memory_store(struct store *store)
{
    return (struct memory_store *)store;
}

static uint64_t batch_last(const struct memory_batch *batch)
{
    return batch->first_seq + batch->n_records - 1;
}

void store_memory_crash(struct store *base)
{
    struct memory_store *store = memory_store(base);
    if (store->appending)
        mem_free(store->append.data);
    if (store->keeping)
        mem_free(store->keep);
    store->appending = false;
    store->keeping = false;
}

static void memory_close(struct store *base)
{
    struct memory_store *store = memory_store(base);
    store_memory_crash(base);
    for (size_t i = 0; i < store->n_log; i++)
        mem_free(store->log[i].data);
    mem_free(store->log);
    mem_free(store->snapshot);
    mem_free(store);
}

static int memory_lead(struct store *base, const char *server, uint64_t *ret_epoch, struct err *err)
{
    struct memory_store *store = memory_store(base);
    *ret_epoch = ++store->epoch;
    return 0;
}

static int memory_snapshot_read(struct store *base, uint64_t *ret_seq, uint8_t **ret_data, size_t *ret_len, struct err *err)
{
    struct memory_store *store = memory_store(base);
    uint8_t *copy = mem_alloc(store->snapshot_len);
    if (store->snapshot_len)
        memcpy(copy, store->snapshot, store->snapshot_len);
    *ret_seq = store->snapshot_seq;
    *ret_data = copy;
    *ret_len = store->snapshot_len;
    return 0;
}

static int memory_log_read(struct store *base, uint64_t after, int (*visit)(void *, const struct store_batch *, struct err *), void *context,
                           struct err *err)
{
    struct memory_store *store = memory_store(base);
    uint64_t oldest = store->n_log > 0 ? store->log[0].first_seq : store->last_seq + 1;
    if (oldest > after + 1)
        return err_set(err, ERR_NOT_FOUND, "the log begins at record %llu, record %llu is gone", (unsigned long long)oldest,
                       (unsigned long long)after + 1);
    for (size_t i = 0; i < store->n_log; i++) {
        if (batch_last(&store->log[i]) <= after)
            continue;
        struct store_batch batch = {store->log[i].first_seq, store->log[i].n_records, {store->log[i].data, store->log[i].len}};
        int code = visit(context, &batch, err);
        if (code != 0)
            return code;
    }
    return 0;
}

static int memory_append(struct store *base, uint64_t epoch, const struct store_batch *batch, struct err *err)
{
    struct memory_store *store = memory_store(base);
    must(batch->n_records > 0);
    if (store->appending)
        return err_set(err, ERR_AGAIN, "an append is in flight");
    if (batch->first_seq != store->last_seq + 1)
        return err_set(err, ERR_INVALID, "the batch begins at record %llu, the log ends at %llu", (unsigned long long)batch->first_seq,
                       (unsigned long long)store->last_seq);
    uint8_t *copy = mem_alloc(batch->data.len);
    if (batch->data.len)
        memcpy(copy, batch->data.data, batch->data.len);
    store->append = (struct memory_batch){batch->first_seq, batch->n_records, copy, batch->data.len};
    store->append_epoch = epoch;
    store->appending = true;
    store->keep_first = store->keeping;
    return 0;
}

static int memory_snapshot_write(struct store *base, uint64_t epoch, uint64_t seq, uint64_t keep_after, uint8_t *data, size_t len,
                                 struct err *err)
{
    struct memory_store *store = memory_store(base);
    if (store->keeping || seq > store->last_seq || seq <= store->snapshot_seq) {
        mem_free(data);
        return store->keeping ? err_set(err, ERR_AGAIN, "a snapshot is in flight")
                              : err_set(err, ERR_INVALID, "a snapshot of record %llu does not fit the log", (unsigned long long)seq);
    }
    store->keeping = true;
    store->keep_epoch = epoch;
    store->keep_seq = seq;
    store->keep_after = keep_after;
    store->keep = data;
    store->keep_len = len;
    return 0;
}

static void drop_log(struct memory_store *store, uint64_t up_to)
{
    size_t n = 0;
    while (n < store->n_log && batch_last(&store->log[n]) <= up_to)
        mem_free(store->log[n++].data);
    memmove(store->log, store->log + n, (store->n_log - n) * sizeof(store->log[0]));
    store->n_log -= n;
}

static int fenced(const struct memory_store *store, uint64_t epoch, struct err *err)
{
    if (epoch == store->epoch)
        return 0;
    return err_set(err, ERR_STORE_FENCED, "epoch %llu leads, not %llu", (unsigned long long)store->epoch, (unsigned long long)epoch);
}

static void finish_append(struct memory_store *store, struct store_done *ret_done)
{
    *ret_done = (struct store_done){.op = STORE_APPEND, .seq = batch_last(&store->append)};
    ret_done->code = fenced(store, store->append_epoch, &ret_done->err);
    store->appending = false;
    if (ret_done->code != 0) {
        mem_free(store->append.data);
        return;
    }
    if (store->n_log == store->cap_log) {
        store->cap_log = store->cap_log ? 2 * store->cap_log : 64;
        store->log = mem_realloc_array(store->log, store->cap_log, sizeof(store->log[0]));
    }
    store->log[store->n_log++] = store->append;
    store->last_seq = ret_done->seq;
}

static void finish_snapshot(struct memory_store *store, struct store_done *ret_done)
{
    *ret_done = (struct store_done){.op = STORE_SNAPSHOT, .seq = store->keep_seq};
    ret_done->code = fenced(store, store->keep_epoch, &ret_done->err);
    store->keeping = false;
    if (ret_done->code != 0) {
        mem_free(store->keep);
        return;
    }
    mem_free(store->snapshot);
    store->snapshot = store->keep;
    store->snapshot_len = store->keep_len;
    store->snapshot_seq = store->keep_seq;
    drop_log(store, store->keep_after < store->keep_seq ? store->keep_after : store->keep_seq);
}

static int memory_poll(struct store *base, struct store_done *ret_done)
{
    struct memory_store *store = memory_store(base);
    if (store->appending && !(store->keeping && store->keep_first))
        finish_append(store, ret_done);
    else if (store->keeping)
        finish_snapshot(store, ret_done);
    else
        return 0;
    return 1;
}

static int memory_wake_fd(struct store *base)
{
    return -1;
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .close = memory_close,
    .lead = memory_lead,
    .snapshot_read = memory_snapshot_read,
    .log_read = memory_log_read,
    .append = memory_append,
    .snapshot_write = memory_snapshot_write,
    .poll = memory_poll,
    .wake_fd = memory_wake_fd,
};

int store_memory_open(struct store **ret_store)
{
    struct memory_store *store = mem_alloc(sizeof(*store));
    store->base.ops = &memory_ops;
    *ret_store = &store->base;
    return 0;
}
