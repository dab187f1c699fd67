// SPDX-License-Identifier: Apache-2.0
// Records: the durable facts. The state of the scheduler is the fold of its records, in order, and core_apply() is the only code
// that folds them. A record holds what was decided (task 7 of run 12 goes to node 3 with fence 88), never the question, so that an
// old log replays under a newer planner. Packed by codec/record.c; the stored shape is proto/record.proto.
//
// In memory a record borrows everything it points to (from the turn's arena, or from the arena of whoever decoded it).
#pragma once

#include "model/calendar.h"
#include "model/job_spec.h"
#include "model/node.h"

enum record_kind {
    REC_EPOCH_BEGAN = 1,  // a server became leader
    REC_JOB_APPLIED,      // a job was created, or got a new version
    REC_JOB_STATE,        // held, released, deleted
    REC_JOB_FIRED,        // an instant of a schedule was decided: fired or skipped
    REC_RUN_SUBMITTED,    // a run exists
    REC_RUN_ELIGIBLE,     // its dependencies and start time allow it to run
    REC_RUN_ADMISSION,    // held or released
    REC_RUN_CANCELLING,   // cancel was asked for while tasks were active
    REC_TASKS_CANCELLED,  // tasks that were not active ended as cancelled or expired
    REC_RUN_ENDED,        // final state
    REC_RUNS_ARCHIVED,    // ended runs left memory: the history holds them
    REC_TASKS_PLACED,     // tasks of one run go to one node
    REC_TASKS_STARTED,    // their processes run
    REC_TASKS_STOPPING,   // the order to stop them was given
    REC_TASKS_ENDED,      // attempts ended, and what is to become of their tasks
    REC_NODE_REGISTERED,  // a node appeared, or came with other resources or labels
    REC_NODE_STATE,       // lost, back, removed
    REC_NODE_ADMISSION,   // drained or undrained
    REC_CALENDAR_PUT,     // a calendar is there, or has other dates
    REC_CALENDAR_DELETED,
    REC_JOB_RESCHEDULED,  // the next instants of a job were looked for again
    REC_BACKFILL_BEGAN,   // somebody wants runs for instants that are past
    REC_BACKFILL_FIRED,   // one of them got its run
    REC_BACKFILL_ENDED,   // nothing more of it is run
    REC_KINDS
};

enum cancel_cause { CANCEL_USER, CANCEL_EXPIRED, CANCEL_REPLACED, CANCEL_JOB_DELETED };

struct rec_epoch_began {
    uint64_t epoch;
    const char *server;  // name of the server
    const char *version; // of its program
};

struct rec_job_applied {
    uint64_t job_id;
    uint32_t version; // 1, 2, ...
    const struct job_spec *spec;
    struct bytes packed;    // spec as codec/spec_pack made it
    const usec_t *next_usec; // next instant of each trigger of spec; USEC_NEVER: none
    const usec_t *left_out_usec; // the first instant that calendars leave out before it, of each trigger, USEC_NEVER: none; NULL: none of all
};

struct rec_job_state {
    uint64_t job_id;
    enum job_state to;
    bool paused; // JOB_HELD: nobody asked for it; as many runs have failed in a row as its pause_after says
    const usec_t *next_usec; // on release: next instants, n_next of them
    size_t n_next;
    const usec_t *left_out_usec; // as above
};

enum fire_outcome {
    FIRE_STARTED,
    FIRE_SKIPPED_OVERLAP,
    FIRE_SKIPPED_MISFIRE,  // missed, and the job does not make up for it
    FIRE_QUEUED,
    FIRE_SKIPPED_LIMIT,
    FIRE_SKIPPED_CATCH_UP, // missed, and older or more than the job makes up for
    FIRE_SKIPPED_CHANGED,  // missed, and the job was held, changed or deleted before its turn to be made up for
    FIRE_SKIPPED_QUEUE,    // as many wait for the run that goes on as the job or the setting allows
    FIRE_SKIPPED_CALENDAR, // calendars leave it out
    FIRE_OUTCOMES
};

// The unique key of a fire is (job, trigger, nominal). Instants that were missed in a row and share their fate are one record: outcomes
// SKIPPED_MISFIRE, _CATCH_UP and _CHANGED tell of n_missed instants, the first of them nominal and the last of them last. A run
// that is started (or not, for another reason) instead of several tells of those behind it: n_missed without nominal, up to last.
struct rec_job_fired {
    uint64_t job_id;
    uint32_t trigger;     // position in the spec
    usec_t nominal_usec;  // the instant that was due
    enum fire_outcome outcome;
    uint64_t run_id;      // FIRE_STARTED and FIRE_QUEUED: the run, whose REC_RUN_SUBMITTED follows in the same batch
    uint64_t n_missed;
    usec_t last_usec;     // the last of them; 0: none was missed
    usec_t next_usec;     // the next instant of this trigger
    usec_t left_out_usec; // the first instant that calendars leave out between nominal and next; 0: none
    const char *why;      // NULL, or the reason in words: "calendar holidays"
};

struct rec_calendar_put {
    uint32_t version; // 1, 2, ...
    const struct calendar *calendar;
};

struct rec_calendar_deleted {
    const char *name;
};

struct rec_job_rescheduled {
    uint64_t job_id;
    const usec_t *next_usec; // of each trigger, n_next of them
    size_t n_next;
    const usec_t *left_out_usec; // as in rec_job_applied
};

struct rec_run_submitted {
    uint64_t run_id;
    uint64_t job_id;      // 0: ad hoc
    uint32_t job_version;
    usec_t nominal_usec;  // of the fire that caused it; 0: by hand
    uint64_t rerun_of;    // 0: none
    uint64_t backfill_id; // that it belongs to; 0: none
    const struct job_spec *spec; // what this run does, whatever becomes of the job
    struct bytes packed;
    const char *idempotency_key; // NULL: none
    uint64_t work_hash;          // with a key: of what was asked for, so that the same key for other work is noticed
    const char *submitted_by;    // principal
    struct bytes params; // its values of parameters (model/params.h)
    bool eligible; // nothing to wait for: it is pending at once, otherwise waiting
    bool held;
};

// Instants from first to last, both included.
struct instant_span {
    usec_t first_usec, last_usec;
};

// A backfill makes runs for the instants of a range, by the triggers that its job has when each one's turn comes. It costs this one record at its
// beginning, however many instants there are; where it stands is told by those of its fires.
struct rec_backfill_began {
    uint64_t backfill_id;
    uint64_t job_id;
    usec_t from_usec, to_usec; // from <= t < to
    bool reverse;              // the latest first
    bool again;                // also instants that have a run
    uint32_t parallel_max;     // runs of it that have not ended
    uint64_t n_total;          // instants that were there to run when it began
    const struct instant_span *covered; // ascending: instants that had a run and are left out
    size_t n_covered;
    struct bytes params;  // packed values that were given (model/params.h), without defaults
    const char *key;      // of whoever asked, so that asking again gives the same; NULL: none
    uint64_t forget_id;   // an older one that has ended and is forgotten; 0: none
};

// The unique key is (backfill, nominal, trigger). The run's REC_RUN_SUBMITTED follows in the same batch.
struct rec_backfill_fired {
    uint64_t backfill_id, job_id;
    uint32_t trigger; // position in the spec
    usec_t nominal_usec;
    uint64_t run_id;
};

struct rec_backfill_ended {
    uint64_t backfill_id;
    enum backfill_state to;
};

struct rec_run_eligible {
    uint64_t run_id;
};

struct rec_run_admission {
    uint64_t run_id;
    enum admission to;
};

struct rec_run_cancelling {
    uint64_t run_id;
    enum cancel_cause cause;
};

// Tasks that no node holds: indexes of the run, ranges as in an index set. all: every task of the run that is not active.
struct rec_tasks_cancelled {
    uint64_t run_id;
    bool all;
    enum task_state to; // TASK_CANCELLED or TASK_EXPIRED
    const uint32_t *index;
    size_t n;
};

struct rec_run_ended {
    uint64_t run_id;
    enum run_state to;
    uint32_t n_succeeded, n_failed, n_cancelled, n_expired, n_lost;
};

struct rec_runs_archived {
    const uint64_t *run_id;
    size_t n;
};

// Entry i: task index[i] of the run starts its attempt number attempt[i] on the node, with fence first_fence + i.
struct rec_tasks_placed {
    uint64_t run_id;
    uint32_t node_id;
    uint64_t first_fence;
    size_t n;
    const uint32_t *index;
    const uint32_t *attempt; // NULL: the first attempt of every task
};

struct rec_tasks_started {
    uint32_t node_id;
    size_t n;
    const uint64_t *fence;
    const usec_t *start_usec; // wall clock of the node, for display
};

struct rec_tasks_stopping {
    uint32_t node_id;
    enum outcome why; // OUTCOME_CANCELLED, OUTCOME_LEASE ...
    size_t n;
    const uint64_t *fence;
};

// Resource usage of one attempt.
struct usage {
    uint64_t cpu_usec;
    uint64_t memory_peak_bytes;
    uint64_t read_bytes;
    uint64_t written_bytes;
    uint64_t output_bytes; // of stdout and stderr, dropped parts included
};

// One attempt's end as the node saw it.
struct attempt_end {
    uint64_t fence;
    enum outcome outcome;
    int32_t exit_code; // OUTCOME_EXIT
    int32_t signal;    // 0: none
    usec_t start_usec; // wall clock of the node; 0: it never started
    usec_t wall_usec;  // how long it ran, on a monotonic clock
    struct usage usage;
    const char *message; // NULL, or a sentence for people ("memory limit of 64 MiB exceeded")
};

// An attempt's end and what was decided for its task. All entries belong to tasks of one run on one node.
struct task_end {
    struct attempt_end end;
    uint32_t index;
    uint32_t attempt;
    enum task_state to; // PENDING, BACKOFF or a terminal state
    usec_t retry_usec;  // BACKOFF: when (wall)
};

struct rec_tasks_ended {
    uint64_t run_id;
    uint32_t node_id;
    size_t n;
    const struct task_end *entry;
};

struct rec_node_registered {
    uint32_t node_id;
    const struct node_info *info;
};

struct rec_node_state {
    uint32_t node_id;
    enum node_state to;
};

struct rec_node_admission {
    uint32_t node_id;
    enum admission to;
};

struct record {
    enum record_kind kind;
    uint64_t seq;       // position in the log: 1, 2, ... without gaps
    usec_t at_usec;     // wall time of the leader when it decided
    const char *by;     // principal who asked for it; NULL: Muster itself
    union {
        struct rec_epoch_began epoch_began;
        struct rec_job_applied job_applied;
        struct rec_job_state job_state;
        struct rec_job_fired job_fired;
        struct rec_run_submitted run_submitted;
        struct rec_run_eligible run_eligible;
        struct rec_run_admission run_admission;
        struct rec_run_cancelling run_cancelling;
        struct rec_tasks_cancelled tasks_cancelled;
        struct rec_run_ended run_ended;
        struct rec_runs_archived runs_archived;
        struct rec_tasks_placed tasks_placed;
        struct rec_tasks_started tasks_started;
        struct rec_tasks_stopping tasks_stopping;
        struct rec_tasks_ended tasks_ended;
        struct rec_node_registered node_registered;
        struct rec_node_state node_state;
        struct rec_node_admission node_admission;
        struct rec_calendar_put calendar_put;
        struct rec_calendar_deleted calendar_deleted;
        struct rec_job_rescheduled job_rescheduled;
        struct rec_backfill_began backfill_began;
        struct rec_backfill_fired backfill_fired;
        struct rec_backfill_ended backfill_ended;
    };
};

const char *record_kind_name(enum record_kind);
const char *fire_outcome_name(enum fire_outcome);
const char *cancel_cause_name(enum cancel_cause);
