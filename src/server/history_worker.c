// SPDX-License-Identifier: Apache-2.0
// The writer of the history in its own thread. See server/history_worker.h.
#include "server/history_worker.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/codec.h"
#include "store/history.h"

enum {
    TRANSACTION_BYTES_MAX = 1024 * 1024, // packed; unpacked they take many times that
    GATHER_USEC = 50000,      // between two transactions when nobody is in a hurry
    RETRY_USEC = 1000000,     // after a failed one
    PURGE_EVERY_USEC = 60000000,
    PURGE_RUNS_MAX = 1000,    // in one transaction
};

// Packed records that became durable together.
struct chunk {
    struct list link;
    struct buf data;
};

struct history_worker {
    struct history_worker_options options;
    struct history *history; // of the thread, once that runs
    pthread_t thread;
    bool started;
    struct loop_waker waker;
    uint64_t told_seq;  // of the loop: what on_position was told
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t changed;
    struct list chunks;
    uint64_t lag_bytes;
    uint64_t written_seq;
    bool hurry;
    bool stopping;
};

static void chunk_free(struct chunk *chunk)
{
    list_del(&chunk->link);
    buf_release(&chunk->data);
    mem_free(chunk);
}

static void chunks_free(struct list *chunks)
{
    struct list *first;
    while ((first = list_first(chunks)) != NULL)
        chunk_free(list_entry(first, struct chunk, link));
}

// On the loop: the thread has come further.
static void on_waker(void *context)
{
    struct history_worker *worker = context;
    pthread_mutex_lock(&worker->lock);
    uint64_t seq = worker->written_seq;
    pthread_mutex_unlock(&worker->lock);
    if (seq == worker->told_seq)
        return;
    must(seq > worker->told_seq);
    worker->told_seq = seq;
    worker->options.on_position(worker->options.context, seq);
}

// ---- in the thread

// Waits, with the lock held, until the instant or until something changes.
static void wait_until(struct history_worker *worker, usec_t mono_usec)
{
    struct timespec until = {.tv_sec = mono_usec / USEC_PER_SEC, .tv_nsec = mono_usec % USEC_PER_SEC * 1000};
    pthread_cond_timedwait(&worker->changed, &worker->lock, &until);
}

// Unpacks one chunk; leaves out what the history has.
static int unpack_chunk(const struct chunk *chunk, uint64_t have_seq, struct arena *arena, struct record ***records, size_t *n, size_t *cap,
                        struct err *err)
{
    struct bytes rest = {(const uint8_t *)chunk->data.data, chunk->data.len};
    while (rest.len > 0) {
        struct record *record;
        int code = record_unpack(&rest, arena, &record, err);
        if (code < 0)
            return code;
        if (record->seq <= have_seq)
            continue;
        if (*n == *cap) {
            *cap = *cap > 0 ? *cap * 2 : 256;
            *records = mem_realloc_array(*records, *cap, sizeof(**records));
        }
        (*records)[(*n)++] = record;
    }
    return 0;
}

// Writes the chunks of one transaction. On success *seq is the new position.
static int write_chunks(struct history_worker *worker, const struct list *chunks, uint64_t *seq, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 256 * 1024);
    struct record **records = NULL;
    size_t n = 0;
    size_t cap = 0;
    int code = 0;
    const struct list *pos;
    for (pos = chunks->next; pos != chunks && code == 0; pos = pos->next)
        code = unpack_chunk(container_of((struct list *)pos, struct chunk, link), *seq, &arena, &records, &n, &cap, err);
    if (code == 0 && n > 0)
        code = history_write(worker->history, (const struct record *const *)records, n, err);
    if (code == 0 && n > 0)
        *seq = records[n - 1]->seq;
    mem_free(records);
    arena_release(&arena);
    return code;
}

// With the lock held: moves chunks of at most one transaction to `ret`.
static void take_chunks(struct history_worker *worker, struct list *ret, uint64_t *ret_bytes)
{
    *ret_bytes = 0;
    struct list *first;
    while ((first = list_first(&worker->chunks)) != NULL && *ret_bytes < TRANSACTION_BYTES_MAX) {
        *ret_bytes += list_entry(first, struct chunk, link)->data.len;
        list_del(first);
        list_add_tail(ret, first);
    }
}

static void purge(struct history_worker *worker)
{
    struct err err = {0};
    size_t dropped = 0;
    usec_t before = usec_sub(clock_wall_usec(), worker->options.retention_usec);
    if (history_purge(worker->history, before, PURGE_RUNS_MAX, &dropped, &err) < 0)
        log_warn("old history was not dropped", "error=%s why=\"%s\"", err_name(err.code), err.text);
    else if (dropped > 0)
        log_info("dropped history beyond the retention", "runs=%zu", dropped);
}

// Retries one transaction until it is written or the worker stops. With the lock not held.
static bool write_at_last(struct history_worker *worker, const struct list *chunks, uint64_t *seq)
{
    for (unsigned failures = 0;; failures++) {
        struct err err = {0};
        if (write_chunks(worker, chunks, seq, &err) == 0)
            return true;
        if (failures % 60 == 0)
            log_error("the history was not written; trying again", "error=%s why=\"%s\"", err_name(err.code), err.text);
        usec_t until = clock_mono_usec() + RETRY_USEC;
        pthread_mutex_lock(&worker->lock);
        while (!worker->stopping && clock_mono_usec() < until)
            wait_until(worker, until);
        bool stopping = worker->stopping;
        pthread_mutex_unlock(&worker->lock);
        if (stopping)
            return false;
    }
}

static void *worker_main(void *context)
{
    struct history_worker *worker = context;
    struct list taken;
    list_init(&taken);
    uint64_t seq = worker->written_seq;
    usec_t purge_every = usec_max(usec_min(worker->options.retention_usec / 10, PURGE_EVERY_USEC), USEC_PER_SEC);
    usec_t purge_usec = clock_mono_usec() + purge_every;
    usec_t next_usec = 0; // the earliest moment of the next transaction
    pthread_mutex_lock(&worker->lock);
    while (!worker->stopping) {
        usec_t now = clock_mono_usec();
        if (now >= purge_usec) {
            pthread_mutex_unlock(&worker->lock);
            purge(worker);
            purge_usec = clock_mono_usec() + purge_every;
            pthread_mutex_lock(&worker->lock);
            continue;
        }
        bool waits = !list_empty(&worker->chunks);
        if (!waits || (now < next_usec && !worker->hurry && worker->lag_bytes < TRANSACTION_BYTES_MAX)) {
            wait_until(worker, waits ? usec_min(next_usec, purge_usec) : purge_usec);
            continue;
        }
        worker->hurry = false;
        uint64_t bytes;
        take_chunks(worker, &taken, &bytes);
        pthread_mutex_unlock(&worker->lock);
        bool written = write_at_last(worker, &taken, &seq);
        chunks_free(&taken);
        next_usec = clock_mono_usec() + GATHER_USEC;
        pthread_mutex_lock(&worker->lock);
        worker->lag_bytes -= bytes;
        if (written && seq > worker->written_seq) {
            worker->written_seq = seq;
            loop_wake(&worker->waker);
        }
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

// ---- on the loop

int history_worker_open(const struct history_worker_options *options, struct history_worker **ret_worker, struct err *err)
{
    must(options->loop != NULL && options->on_position != NULL && options->retention_usec > 0);
    struct history_worker *worker = mem_alloc(sizeof(*worker));
    worker->options = *options;
    list_init(&worker->chunks);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int code = history_open(options->path, false, &worker->history, err);
    if (code == 0)
        code = history_seq(worker->history, &worker->written_seq, err);
    worker->told_seq = worker->written_seq;
    if (code == 0)
        code = loop_waker_init(&worker->waker, options->loop, on_waker, worker, err);
    if (code == 0) {
        worker->started = pthread_create(&worker->thread, NULL, worker_main, worker) == 0;
        if (!worker->started)
            code = err_set(err, ERR_INTERNAL, "the thread of the history could not be started");
    }
    if (code < 0) {
        history_worker_close(worker);
        return code;
    }
    *ret_worker = worker;
    return 0;
}

void history_worker_close(struct history_worker *worker)
{
    if (worker == NULL)
        return;
    if (worker->started) {
        pthread_mutex_lock(&worker->lock);
        worker->stopping = true;
        pthread_cond_signal(&worker->changed);
        pthread_mutex_unlock(&worker->lock);
        pthread_join(worker->thread, NULL);
    }
    loop_waker_release(&worker->waker);
    if (worker->history != NULL)
        history_close(worker->history);
    chunks_free(&worker->chunks);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    mem_free(worker);
}

uint64_t history_worker_position(const struct history_worker *worker)
{
    return worker->told_seq;
}

void history_worker_feed(struct history_worker *worker, struct bytes packed, uint64_t last_seq)
{
    if (packed.len == 0 || last_seq <= worker->told_seq)
        return;
    struct chunk *chunk = mem_alloc(sizeof(*chunk));
    list_init(&chunk->link);
    buf_add(&chunk->data, packed.data, packed.len);
    pthread_mutex_lock(&worker->lock);
    bool was_empty = list_empty(&worker->chunks);
    list_add_tail(&worker->chunks, &chunk->link);
    worker->lag_bytes += packed.len;
    if (was_empty)
        pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

void history_worker_hurry(struct history_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->hurry = true;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

uint64_t history_worker_lag_bytes(struct history_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    uint64_t bytes = worker->lag_bytes;
    pthread_mutex_unlock(&worker->lock);
    return bytes;
}
