// SPDX-License-Identifier: Apache-2.0
// Brings the history up to date in a thread of its own: durable records go in on the loop's thread, in order; the worker writes as
// many as have gathered in one transaction and reports how far it has come. The scheduler never waits for it. It also drops what is
// older than the retention. When the history cannot be written (no room), the worker tries again for ever; what it lags behind is
// history_worker_lag_bytes(), by which new submissions are held back.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "model/record.h"
#include "net/loop.h"

struct history_worker;

struct history_worker_options {
    const char *path;    // data folder
    struct loop *loop;   // borrowed
    usec_t retention_usec; // that ended runs stay
    void (*on_position)(void *context, uint64_t seq); // the history has come to seq; called on the loop
    void *context;
};

// Opens (and makes) the history and starts the thread.
int history_worker_open(const struct history_worker_options *, struct history_worker **ret_worker, struct err *);
// Ends the thread after its transaction; what was not written is read from the log at the next start. NULL is allowed.
void history_worker_close(struct history_worker *);

// Position up to which the history has everything, as last reported.
uint64_t history_worker_position(const struct history_worker *);
// Takes note of records that are durable, packed one behind the other as in the log, the last of which has last_seq. Batches come in
// order; records that the history has already are left out. Copies the bytes.
void history_worker_feed(struct history_worker *, struct bytes packed, uint64_t last_seq);
// Somebody waits for the newest: write at once, without gathering.
void history_worker_hurry(struct history_worker *);
// Bytes of packed records that wait.
uint64_t history_worker_lag_bytes(struct history_worker *);
