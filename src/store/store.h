// SPDX-License-Identifier: Apache-2.0
// What a store keeps: a fenced, ordered log of record batches, the newest snapshot of the state, and the leadership. The history
// projection is a second interface (store/history.h) that may live in the same database. One contract suite
// (tests/contract/test_store.c) runs over every implementation.
//
// Threads: every function is called from the thread of the engine. An implementation may work in threads of its own; it then
// makes wake_fd readable when store_poll() has something to say.
//
// Promise: once store_poll() has reported a batch as done, it survives every crash that the implementation's class tolerates
// (SQLite: of the process and of the machine). Batches become durable in the order in which they were given.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "model/job_spec.h" // struct bytes

struct store;

// A batch of packed records, first_seq .. first_seq + n_records - 1. Opaque to the store.
struct store_batch {
    uint64_t first_seq;
    uint32_t n_records;
    struct bytes data;
};

enum store_op { STORE_APPEND = 1, STORE_SNAPSHOT };

struct store_done {
    enum store_op op;
    uint64_t seq; // last record of the batch, or position of the snapshot
    int code;     // 0; ERR_STORE_FULL: nothing was written and the same batch may be given again; ERR_STORE_UNKNOWN: it may be
                  // there or not, reopen to find out; others: this leadership is over
    struct err err;
};

struct store_ops {
    const char *name;
    // What has begun and was not reported may or may not be kept: poll until it is done before closing in peace.
    void (*close)(struct store *);

    // Becomes leader: epoch + 1, durable before it returns. ERR_STORE_BUSY while another process leads. *ret_epoch is the new epoch.
    int (*lead)(struct store *, const char *server, uint64_t *ret_epoch, struct err *);

    // The newest whole snapshot: gives its bytes (the caller frees with mem_free) and the position it stands for; seq 0: none.
    int (*snapshot_read)(struct store *, uint64_t *ret_seq, uint8_t **ret_data, size_t *ret_len, struct err *);
    // Batches with records after `after`, oldest first; borrowed for the call of visit, which returns 0 to go on. A hole, a bad checksum
    // or a batch that does not follow is ERR_STORE_CORRUPT. A torn last batch that was never reported as durable is dropped.
    // ERR_NOT_FOUND: the log was truncated behind `after`; it always reaches back to the newest snapshot. visit returns 0 or a code, which
    // ends the reading and is returned.
    int (*log_read)(struct store *, uint64_t after, int (*visit)(void *, const struct store_batch *, struct err *), void *context, struct err *);

    // Begins to append: refused (ERR_STORE_FENCED, reported by poll) in the same transaction if a newer epoch leads. The batch is copied.
    // At most one append is in flight (ERR_AGAIN otherwise). ERR_INVALID: the batch does not follow what is durable.
    int (*append)(struct store *, uint64_t epoch, const struct store_batch *, struct err *);
    // Begins to keep a snapshot that stands for `seq`, and afterwards drops the log up to the smaller of seq and keep_after. Takes data
    // (mem_free), also when it fails. May run beside appends; at most one is in flight. ERR_INVALID: seq is not durable yet, or not
    // newer than the last snapshot.
    int (*snapshot_write)(struct store *, uint64_t epoch, uint64_t seq, uint64_t keep_after, uint8_t *data, size_t len, struct err *);

    // One finished operation, if any: 1 and *ret_done filled, or 0.
    int (*poll)(struct store *, struct store_done *ret_done);
    // Readable when poll() has something; -1 when poll() is always up to date without waiting (memory).
    int (*wake_fd)(struct store *);
};

// Base of every implementation; it is the first member of its struct.
struct store {
    const struct store_ops *ops;
};

static inline void store_close(struct store *store)
{
    if (store)
        store->ops->close(store);
}

// Implementations. path: the data folder, which must exist. A second process on the same folder is refused with ERR_STORE_BUSY and a
// sentence that names the process that holds it.
int store_sqlite_open(const char *path, struct store **ret_store, struct err *);
// Keeps everything in memory; with crash(), what poll() has not reported is gone (tests, simulator).
int store_memory_open(struct store **ret_store);
void store_memory_crash(struct store *);
// Wraps another store (takes it) and fails calls on purpose.
enum fault_call { FAULT_LEAD = 1, FAULT_SNAPSHOT_READ, FAULT_LOG_READ, FAULT_APPEND, FAULT_SNAPSHOT_WRITE, FAULT_CALLS };
int store_faulty_open(struct store *inner, struct store **ret_store);
// The n-th call (1: the next) of that kind fails with code; times < 0: and every one after it. With lands, the inner call is carried out
// all the same (commit outcome unknown).
void store_faulty_plan(struct store *, enum fault_call, uint64_t n, int times, int code, bool lands);
