// SPDX-License-Identifier: Apache-2.0
// The scheduler's core: it decides (core_step) and it evolves (core_apply). It has no clock, no I/O and no threads; given the same
// events it produces the same records and effects on every machine. Its caller makes records durable before any effect leaves.
//
//   struct outbox out;                      the turn's records and effects, in the turn's arena
//   core_step(core, &event, &out);          validates, decides, appends records (applied at once) and effects
//   core_apply(core, &record);              replay: the only code that changes state
//
// State has two halves. The durable half is the fold of the records: jobs, runs, tasks, nodes. The transient half belongs to this
// leadership and starts empty: sessions, leases, the index of parked classes.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/event.h"
#include "model/limits.h"
#include "model/record.h"
#include "model/view.h"

struct core;

// Gives the zone called name, or NULL. Must give the same answer for as long as the process lives; the caller owns the zones.
typedef const struct tz *zone_finder(void *context, const char *name);

struct core_options {
    const struct limits *limits; // borrowed for the life of the core
    zone_finder *find_zone;
    void *zones;
    uint64_t seed; // of the dice for jitter
};

struct core *core_new(const struct core_options *);
void core_free(struct core *);

// Records and effects of one batch, in the order in which they were decided. Everything lives in arena.
struct outbox {
    struct arena *arena;
    struct record **record;
    size_t n_records, cap_records;
    struct effect **effect;
    size_t n_effects, cap_effects;
};

void outbox_init(struct outbox *, struct arena *); // borrows the arena

// Handles one event. Refusals are effects (FX_REPLY with a code), never errors of this function; it cannot fail.
void core_step(struct core *, const struct event *, struct outbox *);

// Folds one record. Records must come in order of seq, without gaps.
void core_apply(struct core *, const struct record *);

// How long from now until core_step(EV_TICK) is due: 0 if it is due already, USEC_NEVER if nothing is timed.
usec_t core_deadline(const struct core *, usec_t wall_usec, usec_t mono_usec);
// Whether EV_PLAN would look at anything.
bool core_wants_plan(const struct core *);

// Position of the last record that was applied.
uint64_t core_seq(const struct core *);
uint64_t core_epoch(const struct core *);

// Snapshots: the durable half as a sequence of items (model/snapshot.h), packed by codec/snapshot. Walks ids in order, so that two cores
// with the same state give the same bytes. Only between steps. core_load() is the inverse, for an empty core, item by item.
struct snapshot_item;
typedef int snapshot_sink(void *context, const struct snapshot_item *);
int core_save(const struct core *, snapshot_sink *, void *context);
void core_load(struct core *, const struct snapshot_item *);
// Call after the last item: rebuilds the indexes.
void core_load_done(struct core *);

// Every invariant over the whole state (model/invariants are the core's own; the simulator adds the cluster's). Aborts on a broken
// one. Slow: for tests and the simulator.
void core_check(const struct core *);

// Views. Return ERR_NOT_FOUND when memory does not hold the id; the history may.
int core_view_run(const struct core *, uint64_t run_id, struct arena *, struct run_view *ret_view);
int core_view_task(const struct core *, uint64_t run_id, uint32_t index, struct arena *, struct task_view *ret_view);
// Tasks of a run that are active or in backoff, at most max of them, from index `from` on.
size_t core_view_active(const struct core *, uint64_t run_id, uint32_t from, size_t max, struct arena *, struct task_view **ret_views);
// Whether EV_APPLY of this job would be accepted now, with n_new other new jobs before it; *ret_new: it is not there yet. For checking
// several together before any is stored, and for a dry run. Errors as those of the event.
int core_check_job(const struct core *, const struct job_spec *, struct bytes packed, uint32_t n_new, usec_t wall_usec, struct arena *, bool *ret_new,
                   struct err *);
int core_view_job(const struct core *, const char *namespace_name, const char *name, struct arena *, struct job_view *ret_view);
// Jobs in order of id, after `after`, at most max.
size_t core_view_jobs(const struct core *, uint64_t after, size_t max, struct arena *, struct job_view **ret_views);
int core_view_calendar(const struct core *, const char *name, struct arena *, struct calendar_view *ret_view);
// Calendars in order of their names, after `after` (NULL: from the first), at most max; without their dates and jobs.
size_t core_view_calendars(const struct core *, const char *after, size_t max, struct arena *, struct calendar_view **ret_views);
// The days that a trigger leaves out by its calendars as they are now. ERR_INVALID when there is no such calendar.
int core_view_left_out(const struct core *, const struct trigger *, struct arena *, struct day_set *ret, struct err *);
// Why it leaves out a day, as calendar_why() says it with labels; NULL: it does not.
const char *core_view_why_left_out(const struct core *, const struct trigger *, int32_t day, struct arena *);
// Fills in what is not as it should be with the job at that time. Bounded: of a job with very many runs the oldest are looked at.
void core_view_conditions(const struct core *, usec_t wall_usec, struct arena *, struct job_view *view);
// The same of many jobs in order of their id, after `after`: at most max, from as many jobs as one call may look at. *ret_after is where
// to go on; 0: there are no more.
size_t core_conditions(const struct core *, uint64_t after, size_t max, usec_t wall_usec, struct arena *, struct condition_view **ret_views,
                       uint64_t *ret_after);
// When a job is due next, or why it is not.
int core_why_job(const struct core *, const char *namespace_name, const char *name, usec_t wall_usec, struct arena *, struct why_view *ret_why);
// Whether EV_BACKFILL would be accepted now, and how many instants it would run. Errors as those of the event.
int core_check_backfill(const struct core *, const struct ev_backfill *, usec_t wall_usec, struct arena *, uint64_t *ret_instants, struct err *);
int core_view_backfill(const struct core *, uint64_t backfill_id, struct arena *, struct backfill_view *ret_view);
// The newest first, of those before `before`, at most max.
size_t core_view_backfills(const struct core *, uint64_t before, size_t max, struct arena *, struct backfill_view **ret_views);
int core_view_node(const struct core *, const char *name, struct arena *, struct node_view *ret_view);
size_t core_view_nodes(const struct core *, struct arena *, struct node_view **ret_views);
// index: UINT32_MAX for the run's next task.
int core_why(const struct core *, uint64_t run_id, uint32_t index, usec_t wall_usec, struct arena *, struct why_view *ret_why);

// Figures for metrics, benches and tests.
struct core_stats {
    uint64_t runs, runs_live, tasks_waiting, tasks_active, nodes, jobs, classes, classes_parked, specs;
    uint64_t runs_in[RUN_STATES]; // in memory, by state
    uint64_t bytes; // memory of the durable half, estimated from its pools
};
void core_stats(const struct core *, struct core_stats *ret_stats);
