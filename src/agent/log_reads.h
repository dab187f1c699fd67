// SPDX-License-Identifier: Apache-2.0
// Answers LOG_READ: output of attempts that ran here, in bounded pieces, between the turns of the loop. Reading never holds up orders: at
// most LOG_READS_TURN pieces a turn, none while the session's queue is long, and at most LOG_READS_WAITING_MAX requests wait.
#pragma once

#include "model/wire.h"
#include "net/loop.h"

struct log_reads;

enum { LOG_READS_CHUNK_BYTES = 256 * 1024, LOG_READS_TURN = 4, LOG_READS_WAITING_MAX = 256, LOG_READS_QUEUE_BYTES = 2 * 1024 * 1024 };

struct log_reads_options {
    struct loop *loop;  // borrowed
    const char *folder; // of the agent, borrowed
    void (*send)(void *context, const struct wire_message *);
    size_t (*queued)(void *context); // bytes waiting to be sent
    void *context;
};

struct log_reads *log_reads_new(const struct log_reads_options *);
void log_reads_free(struct log_reads *);
void log_reads_request(struct log_reads *, const struct wire_log_read *);
// The session ended, and with it whoever asked.
void log_reads_clear(struct log_reads *);
