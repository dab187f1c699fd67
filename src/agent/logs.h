// SPDX-License-Identifier: Apache-2.0
// Answers LOG_READ: output of attempts that ran here, in bounded pieces, between the turns of the loop. Reading never holds up orders: at
// most LOGS_TURN pieces a turn, none while the session's queue is long, and at most LOGS_WAITING_MAX requests wait.
#pragma once

#include "model/wire.h"
#include "net/loop.h"

struct logs;

enum { LOGS_CHUNK_BYTES = 256 * 1024, LOGS_TURN = 4, LOGS_WAITING_MAX = 256, LOGS_QUEUE_BYTES = 2 * 1024 * 1024 };

struct logs_options {
    struct loop *loop;  // borrowed
    const char *folder; // of the agent, borrowed
    void (*send)(void *context, const struct wire_message *);
    size_t (*queued)(void *context); // bytes waiting to be sent
    void *context;
};

struct logs *logs_new(const struct logs_options *);
void logs_free(struct logs *);
void logs_request(struct logs *, const struct wire_log_read *);
// The session ended, and with it whoever asked.
void logs_clear(struct logs *);
