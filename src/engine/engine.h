// SPDX-License-Identifier: Apache-2.0
// The engine: the one place where core and store meet. It has no socket and no clock, so the simulator runs it unchanged.
//
//   edge -> engine_event() -> core_step -> records + effects -> one commit at a time -> effects leave through the sinks
//
// Record, then act: the effects of an event wait until the commit that carries its records is durable, and nothing overtakes: an
// effect without records still waits for every record decided before it. While one commit is in flight the next batch gathers.
// A failed commit ends this leadership: engine_turn() returns the error and the process starts again from the store.
// Exception: ERR_STORE_FULL keeps the batch and tries again, refusing new work until it succeeds (engine_full()).
#pragma once

#include "base/buf.h"
#include "core/core.h"
#include "model/wire.h"
#include "store/store.h"

struct engine;

struct engine_options {
    struct store *store;         // borrowed
    const struct limits *limits; // borrowed
    zone_finder *find_zone;
    void *zones;
    uint64_t seed;
    const char *server;  // name of this server
    const char *version; // of its program
    // Called in order, for records that have just become durable, before the effects of their batch. Both forms say the same and are borrowed
    // for the call; `spec` of a record is NULL here, its packed form is not.
    void (*on_records)(void *context, const struct record *const *records, size_t n, const struct store_batch *packed);
    void (*on_effect)(void *context, const struct effect *);
    void *context;
};

// Leads: takes the epoch, reads snapshot and log, and steps EV_LEAD. seconds since boot etc. come with the calls.
int engine_open(const struct engine_options *, usec_t wall_usec, usec_t mono_usec, struct engine **ret_engine, struct err *);
void engine_close(struct engine *);

// Hands one event to the core. The edge may hold back (back-pressure) while engine_busy().
void engine_event(struct engine *, const struct event *);
bool engine_busy(const struct engine *);
// So much waits for the store that whatever adds to it must be refused: requests that change something, and sessions that begin. Heartbeats
// and ends of sessions take no memory; reports are bounded by the attempts that were placed.
bool engine_overfull(const struct engine *);
// The store has no room: submissions must be refused with ERR_STORE_FULL.
bool engine_full(const struct engine *);

// One turn: takes what the store has finished, releases effects, lets due timers and the planner run, begins the next commit. Returns 0
// or the error that ends this leadership.
int engine_turn(struct engine *, usec_t wall_usec, usec_t mono_usec, struct err *);
// How long the edge may sleep before the next turn; an event or the store's wake_fd ends the sleep.
usec_t engine_deadline(const struct engine *, usec_t wall_usec, usec_t mono_usec);

// Commits since this engine was opened, for metrics and benches.
struct engine_stats {
    uint64_t commits, records, bytes;
    uint64_t waiting_bytes; // memory of what waits for a commit now
};
void engine_stats(const struct engine *, struct engine_stats *ret_stats);

// Reads. The views of the core show what was decided; an answer may leave only when engine_durable() >= the engine_position() at which it
// was read. engine_after calls back at that moment (at once if it has come already).
const struct core *engine_core(const struct engine *);
uint64_t engine_position(const struct engine *);
uint64_t engine_durable(const struct engine *);
void engine_after(struct engine *, uint64_t position, void (*call)(void *), void *context);

// Bytes of log since the last snapshot, and whether one is due. engine_snapshot packs the state into memory (a caller that must not stop for
// that long forks first and packs in the child: see server/snapshotter.c) and engine_keep_snapshot hands it to the store.
bool engine_snapshot_due(const struct engine *);
int engine_snapshot(const struct engine *, struct buf *ret_bytes, struct err *);
int engine_keep_snapshot(struct engine *, uint64_t seq, uint64_t history_seq, uint8_t *data, size_t len, struct err *);

// The message that an effect for an agent is, with the leader's epoch; borrows from the effect. False for those that are more than one message
// (FX_START), or more than a message (FX_WELCOME, FX_REFUSE), and for answers to people.
bool effect_message(const struct effect *, uint64_t epoch, struct wire_message *ret_message);
