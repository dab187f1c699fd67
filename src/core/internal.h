// SPDX-License-Identifier: Apache-2.0
// The core's own structures, shared by the files of this folder and by nobody else.
//
// Durable half: changed by apply*.c only. Transient half (marked below): indexes that are derived from it, and what belongs to this
// leadership (sessions, leases). Other modules hold ids; pointers stay inside.
//
// Order: nothing here walks a hash map. Runs, jobs and nodes are also kept in lists by id, tasks of a node in a list by fence, so that two
// cores with the same records decide the same.
#pragma once

#include "base/arena.h"
#include "base/assert.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/prng.h"
#include "core/calendar.h"
#include "core/core.h"
#include "model/snapshot.h"

enum {
    DIMS_MAX = 16,            // kinds of resources, the built-in ones included
    POSITION_BITS = 27,       // of a task's key in core.tasks; limits tasks_max
    UNCOUNTED_AT_ONCE = 3,    // attempts that were lost before waits between them begin
};

// Waits between lost attempts grow up to this.
#define UNCOUNTED_WAIT_MAX_USEC (USEC_PER_SEC << 9)

_Static_assert((int)DIMS_MAX >= (int)RES_BUILTIN, "the built-in resources need a place");

struct amounts {
    uint64_t v[DIMS_MAX];
};

// What work must have in common to be placed by one look at the nodes. Shared by every spec that asks the same.
struct class {
    char *key; // canonical text, owned; its place in core.classes_by_key
    uint32_t refs; // specs
    struct amounts needs;
    uint32_t dims; // mask of the needs that are not 0
    struct constraint *constraints; // owned, with everything below
    size_t n_constraints;
    struct arena arena; // of the constraints
    char *queue;
    int32_t priority;
    // Transient: runs that have a task to place now, by id; and the class's own place among the others.
    struct heap runs;
    struct heap_node ready;  // in core.ready_classes, by priority, then by oldest run
    struct list parked;      // in core.parked_classes when no node has room
    bool is_parked;
    enum reason parked_for;
};

// What a spec declares of parameters, and the values that the fires of its triggers have.
struct policy_params {
    const struct param *declared; // by name
    size_t n_declared;
    const struct bytes *fire; // packed (model/params.h), of each trigger
    size_t n_fire;
};

// How runs are treated: whatever of a job_spec is neither its command nor its class. Shared by every spec that says the same.
struct policy {
    char *key; // canonical bytes, owned; its place in core.policies_by_key
    size_t key_len;
    uint32_t refs; // specs
    enum delivery delivery;
    struct retry retry;
    const char *namespace_name;
    const char *concurrency_key; // NULL: none
    uint32_t concurrency_limit;
    uint32_t parallelism;
    usec_t queue_deadline_usec;
    usec_t catch_up_window_usec;
    uint32_t catch_up_max;
    usec_t late_after_usec;
    uint32_t pause_after; // failed runs in a row; 0: never
    usec_t start_at_usec;
    struct pair *labels;
    size_t n_labels;
    struct policy_params *params; // NULL: none are declared
    struct arena arena; // of what it points to
};

// The planning half of a job_spec, beside its packed form. Interned: runs of the same content share one. One block, since a job
// that only waits for its time costs one of these.
struct spec {
    uint32_t refs;
    uint32_t packed_len;
    struct list all; // in core.specs, in the order of creation
    struct class *class;
    struct policy *policy;
    struct index_set tasks;
    const char *name; // in this block; NULL: work of no job
    struct spec *next_same_hash; // transient: chain in core.specs_by_hash
    uint8_t packed[];
};

struct key {
    char *name; // owned
    uint32_t holders;
    uint32_t refs; // runs that name it
    struct heap waiting; // transient: runs that found it full, by id
};

struct dep {
    struct list in_target; // target->dependents
    struct run *run;
    struct run *target; // NULL: has ended
    uint64_t target_id; // while a snapshot is being loaded
    enum after_on on;
};

struct task {
    struct run *run;
    struct node *node; // NULL unless active
    uint64_t fence;
    uint32_t position;
    uint32_t attempt; // number of the latest attempt
    uint32_t tries;   // attempts that count against the retry limit
    enum task_state state;
    enum outcome stop_why; // STOPPING
    bool ending;        // transient: its end is being recorded
    uint32_t load_node; // while a snapshot is being loaded
    usec_t placed_usec, started_usec, retry_usec;
    struct list in_node; // by fence
    struct list in_run;
    struct heap_node timer; // transient: BACKOFF, in core.task_timers
    struct heap_node again; // transient: may be placed now, in run->again, by position
};

// Packed values of parameters (model/params.h).
struct run_params {
    uint32_t len;
    uint8_t data[];
};

struct run {
    uint64_t id;
    struct job *job; // NULL: ad hoc, or the job is gone
    uint64_t job_id;
    uint32_t job_version;
    enum run_state state;
    enum admission admission;
    enum cancel_cause cancel_cause;
    struct spec *spec;
    struct key *key; // NULL: none
    bool key_held;
    bool dep_failed;
    uint32_t n_waits;
    struct dep *deps; // n_deps of them, owned
    uint32_t n_deps;
    uint32_t cursor;              // positions before it were placed or ended at least once; none behind it was placed
    uint32_t n_untouched;         // positions from cursor on that have not ended
    uint32_t count[TASK_STATES];  // sums to the number of tasks
    uint64_t bits_inline[2];      // for up to 64 tasks
    uint64_t *ended;              // bit per position; NULL until a task has ended
    uint64_t *good;
    uint64_t ended_seq; // record that ended it
    uint64_t backfill_id; // 0: of none
    uint64_t rerun_of;
    usec_t submitted_usec, started_usec, ended_usec, nominal_usec;
    char *submitted_by; // owned, NULL: unknown
    struct run_params *params; // owned, NULL: none
    struct list all;        // core.runs_by_id
    struct list in_job;     // job->runs while it has not ended
    struct list dependents; // dep.in_target
    struct list tasks;      // task.in_run
    struct heap again;      // transient: tasks to place again, by position
    struct heap_node ready; // transient: class->runs or key->waiting, by id
    struct heap *ready_in;  // transient: which of them, or NULL
    struct heap_node timer; // transient: start time or queue deadline, in core.run_timers
    struct list settle;     // transient: core.to_settle
    struct list archive;    // core.to_archive, in the order in which runs ended
};

struct job_trigger {
    const struct trigger *rule; // interned, without its texts: they are in the spec
    usec_t next_usec;
};

struct job {
    uint64_t id;
    uint32_t version;
    // In one word: there are many jobs, and most only wait.
    uint16_t n_triggers;
    bool has_days : 1; // a trigger has calendars
    bool paused : 1;   // held because of failures in a row
    enum overlap overlap : 3;
    enum misfire misfire : 3;
    enum job_state state : 3;
    enum fire_outcome missed_why : 5; // with a run: it ended before it began
    struct spec *spec;
    struct job_trigger *triggers; // `one`, or owned when there are more
    struct job_trigger one;
    uint32_t failures; // failed runs in a row
    uint32_t n_active;
    usec_t applied_usec, first_usec;
    usec_t decided_usec; // no instant up to here is decided again, whatever the clock shows
    uint64_t last_run;
    usec_t missed_usec; // the first instant that passed without a run since the last one began; 0: none has
    struct list runs; // run.in_job, not ended
    struct list all;  // core.jobs_by_id
    struct heap_node timer; // transient: core.job_timers
    struct catch_up *catch_up; // transient, owned: while it makes up for missed instants; or NULL
    char full_name[];       // "namespace/name"
};

// Runs for instants that are past. An entry of core.backfills from its record on, until a younger one takes its place after its end.
struct backfill {
    uint64_t id, job_id;
    char *job_name; // owned, as all texts here
    enum backfill_state state;
    usec_t from_usec, to_usec;
    bool reverse, again;
    uint32_t parallel_max;
    usec_t done_usec;      // where it goes on from: the instant that was run last,
    uint32_t done_trigger; // and its trigger
    uint64_t n_total, n_fired, n_succeeded, n_unsuccessful;
    uint32_t n_active; // runs of it that have not ended
    usec_t began_usec, ended_usec;
    struct instant_span *covered; // ascending; left out
    size_t n_covered;
    uint8_t *params; // packed values that were given
    size_t params_len;
    char *key, *by;    // NULL: none
    struct list all;   // core.backfills_by_id
    struct list ready; // transient: in core.backfills_ready when it may be able to go on
};

struct backfill_place {
    usec_t nominal_usec;
    uint32_t trigger;
};

_Static_assert(OVERLAP_QUEUE_ALL < 1 << 3 && MISFIRE_ALL < 1 << 3 && JOB_STATES <= 1 << 3 && FIRE_OUTCOMES <= 1 << 5, "they fit their bits");

struct node {
    uint32_t id;
    struct arena arena; // of info; replaced as a whole when the node registers anew
    struct node_info info;
    enum node_state state;
    enum admission admission;
    usec_t since_usec;
    struct amounts capacity, used;
    uint32_t n_tasks;
    struct list tasks; // task.in_node, by fence
    // Transient.
    uint64_t session; // 0: none
    uint64_t last_session; // the latest there was; 0: none yet
    struct heap_node lease; // core.leases, monotonic time at which the node is given up; not there while its session waits for its welcome
    uint64_t *unwanted; // fences that still run there and were given up, owned: nothing is placed before they have ended
    size_t n_unwanted;
    bool freed; // something became free since the last pass
    struct start_order *orders; // of this pass, in the turn's arena
    size_t n_orders, cap_orders;
};

struct idempotency {
    char *key; // owned
    uint64_t run_id;
    usec_t until_usec;
    uint64_t work_hash;
    struct list all; // core.idempotency_by_time
};

struct placement_policy;

struct core {
    struct core_options options;
    uint64_t seq, epoch, next_backfill, next_run, next_job, next_fence;
    uint32_t next_node;
    uint64_t n_waiting_tasks; // tasks of runs that have not ended which are neither active nor ended

    struct map runs, tasks, fences, jobs; // by id; tasks by task_key()
    struct strmap jobs_by_name, nodes_by_name, keys, idempotency, classes_by_key, policies_by_key, triggers_by_key;
    struct map specs_by_hash, sessions;
    struct list runs_by_id, jobs_by_id, specs, idempotency_by_time, to_archive;
    struct node **nodes; // by id, removed ones are taken out
    size_t n_nodes, cap_nodes;
    struct calendars calendars;
    struct pool run_pool, task_pool;
    char *dim_names[DIMS_MAX];
    size_t n_dims;
    uint64_t n_runs_live, n_specs, n_classes;
    uint64_t n_runs_in[RUN_STATES]; // in memory, by state
    size_t blob_bytes; // of specs, keys and bitmaps

    struct map backfills; // by id
    struct list backfills_by_id;
    size_t n_backfills_active, n_backfill_runs; // runs of any of them that have not ended

    // Transient.
    struct list backfills_ready;
    usec_t backfill_free_mono_usec; // no run of a backfill starts before
    const struct placement_policy *policy;
    struct prng prng;
    struct heap run_timers, task_timers, job_timers; // wall clock
    struct heap leases, turns;                       // monotonic clock
    usec_t ticked_mono_usec; // monotonic time of the last tick
    usec_t wall_offset_usec; // of the last event: wall less monotonic
    usec_t turn_free_mono_usec;                      // when the next turn may be that makes up for a missed instant
    struct heap ready_classes;
    struct list parked_classes, to_settle;
    // While a snapshot is being loaded: indexes are built by core_load_done.
    bool loading;
    struct map load_specs; // by no
    struct task **load_tasks;
    size_t n_load_tasks, cap_load_tasks;
    uint64_t load_next_run, load_next_job, load_next_backfill;
    uint32_t load_next_node;
    bool nodes_changed; // since the last pass: parked classes look again
};

// emit.c: appends a copy of the record to the outbox and applies it. Strings and arrays must live in the outbox's arena or in the core.
struct decision {
    struct core *core;
    struct outbox *out;
    const struct event *event;
};
void decide_emit(struct decision *, struct record *);
struct effect *decide_effect(struct decision *, enum effect_kind, uint64_t session);
void decide_reply(struct decision *, int code, const struct err *);
struct fx_reply *decide_reply_ok(struct decision *);

// decide_*.c: one function for each kind of event.
void on_submit(struct decision *);
void on_apply(struct decision *);
void on_start_job(struct decision *);
void on_job_hold(struct decision *);
void on_cancel(struct decision *);
void on_cancel_job(struct decision *);
void on_run_hold(struct decision *);
void on_node_hello(struct decision *);
void on_node_welcomed(struct decision *);
void on_node_heartbeat(struct decision *);
void on_node_gone(struct decision *);
void on_node_report(struct decision *);
void on_node_admission(struct decision *);
void on_node_remove(struct decision *);
void on_archived(struct decision *);
void on_backfill(struct decision *);
void on_backfill_cancel(struct decision *);
void on_lead(struct decision *);
void on_tick(struct decision *);
void on_plan(struct decision *);

// Shared deciders.
void decide_settle(struct decision *); // ends, releases and skips what the last records made ripe
void decide_cancel_run(struct decision *, struct run *, enum cancel_cause);
void decide_cancel_tasks(struct decision *, struct run *, const struct index_set *);
// Decides instants that are due, up to some; the timer brings the others.
void decide_due_fires(struct decision *, struct job *);
// Before somebody changes a job: decides, by the definition under which it came due, everything that has, also what jitter still puts off. What
// would be made up for is skipped instead, as one range; but the one run of misfire `once` is started when the job goes on.
void decide_due_before(struct decision *, struct job *, bool goes_on);
// Cancels the runs of a job that have not ended; returns how many.
uint32_t decide_cancel_runs(struct decision *, struct job *, enum cancel_cause);
// A run of a job: nominal 0 by hand; its values of parameters have been checked. Returns ERR_LIMIT when a limit forbids it.
struct job_run {
    usec_t nominal_usec;
    struct bytes params; // packed values of parameters
    const char *idempotency_key;
    uint64_t work_hash; // with a key
    uint64_t backfill_id; // 0: of none
    bool held;
};
int decide_job_run(struct decision *, struct job *, const struct job_run *, uint64_t *ret_run_id, struct err *);
// The values of parameters that a fire of the trigger has.
struct bytes fire_params(const struct job *, uint32_t trigger);
// Starts runs of backfills, as many as may be now.
void decide_backfills(struct decision *);
// Ends the backfills of a job that is deleted.
void decide_backfills_of(struct decision *, const struct job *);
// Ends of attempts on one node, any runs, with what becomes of their tasks.
void decide_ends(struct decision *, struct node *, const struct attempt_end *ends, size_t n);
// Gives up every task of the node that is not in keep (sorted fences).
void decide_give_up(struct decision *, struct node *, enum outcome, const uint64_t *keep, size_t n_keep);
// catch_up.c. Up to which instant those of a trigger are made up for, without being looked at again; 0: none yet.
usec_t catch_up_chosen(const struct job *, uint32_t which);
void catch_up_choose(struct job *, uint32_t which, usec_t upto_usec);
// Whether a missed instant of the job may start its run now. If not, it waits in core.turns, and its timer rests.
bool catch_up_turn(struct core *, struct job *, usec_t mono_usec);
bool catch_up_waits(const struct job *);
// A job whose turn has come, or NULL.
struct job *catch_up_next(struct core *, usec_t mono_usec);
// Nothing of the job is missed any more, or it is changed.
void catch_up_end(struct core *, struct job *);
// The job's timer: when the first of its triggers is due, while it is active and does not wait for a turn.
void job_arm(struct core *, struct job *);
// The next instant of a trigger after `after`; *ret_left_out (NULL: nobody asks) is the first one that its calendars leave out before that, USEC_NEVER: none.
usec_t trigger_next(const struct core *, const struct job *, size_t trigger, usec_t after, usec_t *ret_left_out);
// A run of the job has begun; an instant has passed, or ended, without one.
void job_run_began(struct job *, usec_t nominal_usec);
void job_missed(struct job *, usec_t nominal_usec, enum fire_outcome why);
// How many instants lie in after < t <= upto.
int64_t trigger_count(const struct core *, const struct job *, size_t trigger, usec_t after, usec_t upto);
// Whether so many runs have failed in a row that the job is to be held.
bool job_wants_pause(const struct job *);
// The next instant of each trigger that counts from the end of the last run, when a run of the job has ended; arms its timer.
void job_run_ended(struct core *, struct job *, usec_t at_usec);
// That instant for a job that stands at `now` (NULL: a new one): none while a run of it goes on, since its end brings the next.
usec_t after_end_next(const struct job *, const struct trigger *, usec_t now);
// When the next instant of a trigger is to be decided: it, and what jitter puts it off by. USEC_NEVER: there is none.
usec_t trigger_due_usec(const struct job *, const struct job_trigger *);
int triggers_next(const struct core *, const struct job *, const struct job_spec *, usec_t first_usec, usec_t now, struct arena *, const usec_t **ret_next,
                  const usec_t **ret_left_out, struct err *);

// apply_*.c: one function for each kind of record.
void apply_job(struct core *, const struct record *);
void apply_job_state(struct core *, const struct record *);
void apply_job_fired(struct core *, const struct record *);
void apply_run_submitted(struct core *, const struct record *);
void apply_run_eligible(struct core *, const struct record *);
void apply_run_admission(struct core *, const struct record *);
void apply_run_cancelling(struct core *, const struct record *);
void apply_tasks_cancelled(struct core *, const struct record *);
void apply_run_ended(struct core *, const struct record *);
void apply_runs_archived(struct core *, const struct record *);
void apply_tasks_placed(struct core *, const struct record *);
void apply_tasks_started(struct core *, const struct record *);
void apply_tasks_stopping(struct core *, const struct record *);
void apply_tasks_ended(struct core *, const struct record *);
void apply_node_registered(struct core *, const struct record *);
void apply_node_state(struct core *, const struct record *);
void apply_node_admission(struct core *, const struct record *);

void apply_backfill_began(struct core *, const struct record *);
void apply_backfill_fired(struct core *, const struct record *);
void apply_backfill_ended(struct core *, const struct record *);

// backfill.c, apply_backfill.c
struct backfill *backfill_find(const struct core *, uint64_t id);
void backfill_wake(struct core *, struct backfill *);
void backfills_wake_job(struct core *, uint64_t job_id);
// Runs of the job that have not ended and belong to backfills.
uint32_t job_backfill_runs(const struct core *, const struct job *);
// The next instant to run, by the triggers that the job has now; false: there is none left.
bool backfill_next(const struct core *, const struct backfill *, const struct job *, struct backfill_place *ret_place);
// Instants of the job in from <= t < to, without those that its schedules have still to decide.
int64_t backfill_count(const struct core *, const struct job *, usec_t from_usec, usec_t to_usec);
void backfill_run_joins(struct core *, const struct run *);
void backfill_run_ended(struct core *, const struct run *);
void backfill_load(struct core *, const struct snap_backfill *);
void backfill_free(struct backfill *);

// spec.c, policy.c, trigger.c, class.c
struct spec *spec_intern(struct core *, const struct job_spec *, struct bytes packed); // gives a reference
void spec_ref(struct spec *);
void spec_unref(struct core *, struct spec *);
struct policy *policy_intern(struct core *, const struct job_spec *); // gives a reference
void policy_free(struct policy *);
void policy_unref(struct core *, struct policy *);
const struct trigger *trigger_intern(struct core *, const struct trigger *); // gives a reference
const struct tz *trigger_zone(const struct trigger *); // of an interned one; NULL: none was found
void trigger_unref(struct core *, const struct trigger *);
struct class *class_intern(struct core *, const struct job_spec *);
void class_unref(struct core *, struct class *);
void class_free(struct class *);
void class_update(struct core *, struct class *);          // its place among the ready ones
void class_park(struct core *, struct class *, enum reason);
void class_wake(struct core *, struct class *);
bool class_matches(const struct class *, const struct node_info *);

// run.c
void run_index(struct core *, struct run *); // (re)places a run in its class, or takes it out: call after any change
// Moves a run to another state and keeps the counts by state.
void run_move(struct core *core, struct run *run, enum run_state to);
void run_free(struct core *, struct run *);
struct bytes run_params(const struct run *);
void run_set_params(struct core *, struct run *, struct bytes params); // copied; called once
bool run_has_ended(const struct run *, uint32_t position);
void run_mark_ended(struct core *, struct run *, uint32_t position, bool good);
uint32_t run_active(const struct run *);
uint32_t run_placeable(const struct run *);  // tasks that may be placed now, by its own rules
uint32_t run_open(const struct run *);       // tasks that have not ended
void run_arm(struct core *, struct run *);   // its timer
uint32_t run_n_tasks(const struct run *);
struct run *core_run(const struct core *, uint64_t run_id);
struct key *key_take(struct core *, const char *name); // gives a reference
void key_drop(struct core *, struct key *);
void key_release(struct core *, struct run *);

// task.c
uint64_t task_key(const struct run *, uint32_t position);
struct task *task_find(const struct core *, const struct run *, uint32_t position);
struct task *task_new(struct core *, struct run *, uint32_t position);
void task_free(struct core *, struct task *);
void task_move(struct core *, struct task *, enum task_state);
void task_hold_resources(struct core *, struct task *, struct node *);
void task_free_resources(struct core *, struct task *);

// clock.c: called with every event, before it is decided; and with every tick, before anybody is given up
void clock_look(struct core *, const struct event *);
void clock_tick(struct core *, usec_t mono_usec);
usec_t clock_watch_usec(const struct core *); // monotonic: when the leader wants to be called to see that it was not away

// node.c
struct node *core_node(const struct core *, uint32_t node_id);
struct node *core_node_by_name(const struct core *, const char *name);
struct node *core_node_by_session(const struct core *, uint64_t session);
struct node *node_add(struct core *, uint32_t node_id);
void node_describe(struct core *, struct node *, const struct node_info *);
void node_remove(struct core *, struct node *);
void node_free(struct node *);
void node_set_unwanted(struct core *, struct node *, const uint64_t *fences, size_t n); // copied
void node_unwanted_ended(struct core *, struct node *, uint64_t fence);
void node_info_copy(struct arena *, struct node_info *to, const struct node_info *from);
bool node_info_equal(const struct node_info *, const struct node_info *);

// resources.c: names of resources to positions, which are given in the order of appearance in the records.
int dim_find(const struct core *, const char *name); // -1: unknown
int dim_take(struct core *, const char *name);       // -1: no place left
bool amounts_fit(const struct amounts *needs, uint32_t dims, const struct amounts *capacity, const struct amounts *used);
uint64_t amounts_times(const struct amounts *needs, uint32_t dims, const struct amounts *capacity, const struct amounts *used, uint64_t most);

static inline bool node_open(const struct node *node)
{
    return node->state == NODE_ONLINE && node->admission == ADMIT_OPEN && node->session != 0 && node->n_unwanted == 0;
}

// apply_job.c, apply_run.c: building blocks that loading a snapshot shares with the fold.
struct job *job_load(struct core *, const struct snap_job *);
void job_load_done(struct core *, struct job *);
void job_free(struct core *, struct job *);
struct run *run_new(struct core *, uint64_t id, struct spec *); // takes the reference
void run_wait_for(struct run *, size_t at, struct run *target, enum after_on);
// Whether a fire of the job that starts now has to wait: overlap `queue` and `replace` let it begin when what goes on has ended, and `forbid` when
// only runs of backfills go on. A fold of the records must answer as the decider did.
bool job_fires_wait(const struct job *);
void run_join_job(struct run *, struct job *);
void run_wants_settling(struct core *, struct run *);
void idempotency_load(struct core *, const struct snap_key *);

// decide_run.c: checks shared by everything that brings a spec in.
int check_spec(const struct core *, const struct job_spec *, struct err *);
// Answers the request of this event when its key is known: the earlier run, or a conflict when that was other work. False: the key is new, or NULL.
bool idempotency_answer(struct decision *, const char *key, uint64_t work_hash);
// A hash of work with values of its parameters, whatever their order; never 0.
uint64_t work_hash(const void *work, size_t len, uint64_t also, const struct pair *params, size_t n_params);
