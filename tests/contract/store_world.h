// SPDX-License-Identifier: Apache-2.0
// What the contract suites of the store share: a store under test in a folder of its own, and short words for what is done to it.
#pragma once

#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/str.h"
#include "store/store.h"

enum backend { MEMORY, SQLITE, FAULTY_MEMORY, FAULTY_SQLITE, BACKENDS };

struct world {
    enum backend backend;
    char folder[64];
    struct store *inner; // memory or SQLite
    struct store *store; // inner, or faulty around it
    uint64_t epoch;
    uint64_t seq; // last durable record
};

static inline bool on_disk(const struct world *world)
{
    return world->backend == SQLITE || world->backend == FAULTY_SQLITE;
}

static inline void open_store(struct world *world)
{
    struct err err = {0};
    if (on_disk(world)) {
        if (store_sqlite_open(world->folder, &world->inner, &err) < 0)
            fail_msg("%s", err.text);
    } else if (world->inner == NULL) {
        assert_int_equal(store_memory_open(&world->inner), 0);
    }
    world->store = world->inner;
    if (world->backend == FAULTY_MEMORY || world->backend == FAULTY_SQLITE)
        assert_int_equal(store_faulty_open(world->inner, &world->store), 0);
}

static inline int set_up(void **state)
{
    struct world *world = mem_alloc(sizeof(*world));
    world->backend = *(enum backend *)*state;
    assert_int_equal(str_copy(world->folder, sizeof(world->folder), "/tmp/muster-contract-XXXXXX"), 0);
    if (mkdtemp(world->folder) == NULL)
        return -1;
    open_store(world);
    *state = world;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *world = *state;
    store_close(world->store);
    int code = fs_remove_tree(world->folder, NULL);
    mem_free(world);
    return code;
}

// Crashes and comes back with what was durable; leads nobody.
static inline void crash(struct world *world)
{
    if (on_disk(world)) {
        store_close(world->store);
        open_store(world);
    } else {
        store_memory_crash(world->inner);
    }
}

static inline void lead(struct world *world)
{
    struct err err = {0};
    uint64_t epoch = 0;
    assert_int_equal(world->store->ops->lead(world->store, "test", &epoch, &err), 0);
    assert_true(epoch > world->epoch);
    world->epoch = epoch;
}

static inline struct store_done wait_done(struct world *world)
{
    struct store_done done;
    struct pollfd wake = {.fd = world->store->ops->wake_fd(world->store), .events = POLLIN};
    while (world->store->ops->poll(world->store, &done) == 0) {
        assert_true(wake.fd >= 0);
        assert_int_equal(poll(&wake, 1, 20000), 1);
    }
    return done;
}

// Content that depends on the position, from 1 byte to some pages.
static inline void fill(struct buf *buf, uint64_t seq)
{
    buf_clear(buf);
    size_t len = 1 + (size_t)(seq * 7919 % 9000);
    buf_reserve(buf, len);
    for (size_t i = 0; i < len; i++)
        buf->data[i] = (char)(hash_u64(seq * 1000000 + i / 8) >> (i % 8 * 8));
    buf_grew(buf, len);
}

static inline int begin_append(struct world *world, uint64_t epoch, uint64_t first_seq, uint32_t n, struct err *err)
{
    cleanup_buf struct buf data = {0};
    fill(&data, first_seq);
    struct store_batch batch = {first_seq, n, {(uint8_t *)data.data, data.len}};
    return world->store->ops->append(world->store, epoch, &batch, err);
}

static inline int append(struct world *world, uint32_t n)
{
    struct err err = {0};
    int code = begin_append(world, world->epoch, world->seq + 1, n, &err);
    if (code < 0)
        fail_msg("%s", err.text);
    struct store_done done = wait_done(world);
    assert_int_equal(done.op, STORE_APPEND);
    assert_int_equal(done.seq, world->seq + n);
    if (done.code == 0)
        world->seq = done.seq;
    return done.code;
}

static inline int snapshot(struct world *world, uint64_t seq, uint64_t keep_after)
{
    cleanup_buf struct buf data = {0};
    fill(&data, seq + 1000000);
    size_t len = data.len;
    struct err err = {0};
    int code = world->store->ops->snapshot_write(world->store, world->epoch, seq, keep_after, (uint8_t *)buf_detach(&data), len, &err);
    if (code < 0)
        return code;
    struct store_done done = wait_done(world);
    assert_int_equal(done.op, STORE_SNAPSHOT);
    assert_int_equal(done.seq, seq);
    return done.code;
}

static inline void expect_snapshot(struct world *world, uint64_t seq)
{
    uint64_t got_seq = 99;
    uint8_t *data = NULL;
    size_t len = 99;
    struct err err = {0};
    if (world->store->ops->snapshot_read(world->store, &got_seq, &data, &len, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(got_seq, seq);
    cleanup_buf struct buf want = {0};
    if (seq > 0)
        fill(&want, seq + 1000000);
    assert_int_equal(len, want.len);
    if (len > 0)
        assert_memory_equal(data, want.data, len);
    mem_free(data);
}

struct reading {
    uint64_t first, next; // records seen
    size_t n_batches;
    int stop_code;
};

static inline int see_batch(void *context, const struct store_batch *batch, struct err *err)
{
    struct reading *reading = context;
    cleanup_buf struct buf want = {0};
    fill(&want, batch->first_seq);
    assert_int_equal(batch->data.len, want.len);
    assert_memory_equal(batch->data.data, want.data, want.len);
    if (reading->n_batches++ == 0)
        reading->first = batch->first_seq;
    else
        assert_int_equal(batch->first_seq, reading->next);
    reading->next = batch->first_seq + batch->n_records;
    return reading->stop_code;
}

static inline int read_log(struct world *world, uint64_t after, struct reading *ret)
{
    *ret = (struct reading){0};
    struct err err = {0};
    return world->store->ops->log_read(world->store, after, see_batch, ret, &err);
}

static inline void expect_log(struct world *world, uint64_t after, uint64_t first, uint64_t last)
{
    struct reading reading;
    assert_int_equal(read_log(world, after, &reading), 0);
    if (first > last) {
        assert_int_equal(reading.n_batches, 0);
        return;
    }
    assert_int_equal(reading.first, first);
    assert_int_equal(reading.next, last + 1);
}
