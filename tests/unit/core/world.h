// SPDX-License-Identifier: Apache-2.0
// A small world for tests of the core: it steps events, keeps every record in packed form as a log would, checks the invariants after each
// step, and can build a second core from the log to compare.
#pragma once

#include "base/buf.h"
#include "core/core.h"

struct world {
    struct limits limits;
    struct core *core;
    struct arena arena;  // of the step
    struct arena lasting; // of the test
    struct outbox out;   // of the last step
    struct buf log;      // packed records since the beginning
    usec_t wall, mono;
    uint64_t next_session;
    bool check; // core_check() after every step
};

void world_init(struct world *);
void world_release(struct world *);

void world_step(struct world *, struct event *event); // fills in the times
void world_pass(struct world *, usec_t usec);         // time goes on; due timers tick
void world_plan(struct world *);                      // out holds what the planner decided

// A spec with a name that makes it distinct, in the lasting arena.
struct job_spec *world_spec(struct world *, const char *name, uint32_t n_tasks);
// Submits and returns the run's id; 0: refused, world_reply() tells why.
uint64_t world_submit(struct world *, const struct job_spec *);
uint64_t world_submit_key(struct world *, const struct job_spec *, const char *idempotency_key);
const struct fx_reply *world_reply(const struct world *); // of the last step
const struct effect *world_effect(const struct world *, enum effect_kind, size_t nth);
size_t world_count(const struct world *, enum record_kind);

// A node with so much cpu; returns its session.
uint64_t world_node(struct world *, const char *name, uint64_t cpu_millis);
// The welcome of a session leaves. world_hello() lets it leave at once.
void world_welcomed(struct world *, uint64_t session);
uint64_t world_hello(struct world *, const char *name, uint64_t cpu_millis, const char *spawner, const struct known_attempt *known, size_t n);
void world_report_end(struct world *, uint64_t session, uint64_t fence, enum outcome outcome, int exit_code);
void world_report_start(struct world *, uint64_t session, uint64_t fence);

enum run_state world_state(struct world *, uint64_t run_id);
struct run_view world_run(struct world *, uint64_t run_id);

// The state as bytes, and the same of a core that was built from the log alone.
void world_snapshot(const struct core *, struct buf *);
struct core *world_replay(const struct world *);
void world_check_replay(const struct world *);
// Another leader goes on from a snapshot: what that forgets is gone. Sessions of nodes are, too.
void world_restart(struct world *);
