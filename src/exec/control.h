// SPDX-License-Identifier: Apache-2.0
// What agent and spawner say to each other over the unix socket in the data folder.
//
// A frame is a length u32 (of what follows), a kind byte and fields. The agent speaks first:
//     agent    HELLO, then START, STOP, FORGET, RENEW
//     spawner  HELLO, one ATTEMPT for each it knows, LISTED, then STARTED, ENDED
// Compatibility: a spawner outlives the agent that started it, so a newer agent speaks to an older spawner. Unknown kinds are skipped,
// and so are bytes behind the fields one knows: a new field goes to the end, with a meaning for its absence.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "exec/executor.h"
#include "exec/instance.h"

enum { CONTROL_VERSION = 1 };
#define CONTROL_FRAME_MAX ((size_t)64 << 20)

enum control_kind {
    CONTROL_HELLO_AGENT = 1,
    CONTROL_START,
    CONTROL_STOP,
    CONTROL_FORGET,
    CONTROL_RENEW,
    CONTROL_HELLO_SPAWNER = 64,
    CONTROL_ATTEMPT,
    CONTROL_LISTED,
    CONTROL_STARTED,
    CONTROL_ENDED,
};

struct control_hello_agent {
    uint32_t version;
    const char *node;
    uint64_t task_pids_max, log_bytes_max, log_total_bytes_max;
};

struct control_start {
    uint64_t fence, run_id, job_id;
    uint32_t index, attempt, position, n_tasks;
    usec_t nominal_usec, lease_until_boot_usec;
    enum delivery delivery;
    struct bytes packed; // empty: the spec of the START before it on this connection
    struct bytes params; // values of its parameters (model/params.h); absent: none
    uint64_t backfill_id; // absent: of none
};

struct control_hello_spawner {
    uint32_t version;
    const char *instance;
    const char *const *warnings;
    size_t n_warnings;
};

struct control_message {
    enum control_kind kind;
    union {
        struct control_hello_agent hello_agent;
        struct control_start start;
        struct {
            uint64_t fence;
            enum outcome why;
        } stop;
        uint64_t forget; // fence
        usec_t renew;    // lease_until_boot_usec
        struct control_hello_spawner hello_spawner;
        struct exec_attempt attempt;
        struct {
            uint64_t fence;
            usec_t start_usec;
        } started;
        struct attempt_end ended;
    };
};

// Appends one frame.
void control_pack(struct buf *, const struct control_message *);
// Looks at the bytes received so far: *ret_len is the length of the first frame with its length field, 0 when it is not whole yet.
// ERR_PROTOCOL when it is too long.
int control_frame(const void *data, size_t len, size_t *ret_len, struct err *err);
// One whole frame. Texts and lists are copied to the arena; packed specs and parameters are borrowed. An unknown kind gives its number as kind and
// nothing else.
int control_unpack(const void *frame, size_t len, struct arena *, struct control_message *ret, struct err *err);
