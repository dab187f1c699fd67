// SPDX-License-Identifier: Apache-2.0
// The engine's own structures.
#pragma once

#include "engine/engine.h"

// Something that waits for a position to become durable.
struct after {
    uint64_t position;
    void (*call)(void *);
    void *context;
};

// One batch from its first record to its last effect. Two exist: one gathers while the other is in flight.
struct gather {
    struct arena arena;
    struct outbox out;
    struct buf packed;
    size_t n_packed; // records of out that are in packed
    uint64_t first_seq;
    struct after *afters;
    size_t n_afters, cap_afters;
};

struct engine {
    struct engine_options options;
    struct core *core;
    uint64_t epoch;
    uint64_t durable;
    struct engine_stats stats;
    struct gather gathers[2];
    struct gather *gathering;
    struct gather *in_flight; // NULL: no commit is under way
    usec_t wall_usec, mono_usec; // of the turn
    struct arena beat_arena;  // of one heartbeat: what it gives leaves at once
    bool full;                // the batch in flight waits for room in the store
    usec_t retry_mono_usec;   // when it is tried again
    uint64_t log_bytes;       // since the last snapshot
    bool snapshot_in_flight;
    uint64_t snapshot_seq;    // of the snapshot in flight
    uint64_t log_bytes_at_snapshot;
};

// replay.c
int engine_replay(struct engine *, struct err *);
