// SPDX-License-Identifier: Apache-2.0
// What the outside may see of the live state: plain copies, filled by core/view.c and by the history, printed by codec/view_json.
// Pointers borrow from the arena given to the function that filled the view.
#pragma once

#include "model/record.h"

struct run_view {
    uint64_t run_id;
    uint64_t job_id;
    const char *namespace_name;
    const char *job_name; // NULL: ad hoc
    uint32_t job_version;
    enum run_state state;
    bool held;
    uint32_t n_tasks;
    uint32_t n_pending, n_backoff, n_placed, n_running, n_stopping;
    uint32_t n_succeeded, n_failed, n_cancelled, n_expired, n_lost;
    usec_t submitted_usec;
    usec_t started_usec; // first placement; 0: not yet
    usec_t ended_usec;   // 0: not yet
    usec_t nominal_usec;
    uint64_t rerun_of;
    uint64_t backfill_id; // 0: of none
    const char *queue;
    int32_t priority;
    const char *submitted_by;
    const struct pair *labels;
    size_t n_labels;
    struct bytes params; // values of its parameters (model/params.h)
    struct bytes spec; // packed; empty unless asked for
    bool live;         // from memory; false: from the history
    bool damaged;      // what the history holds of it cannot be read: nothing but run_id is filled
};

struct task_view {
    uint64_t run_id;
    uint32_t index;
    uint32_t attempt; // latest; 0: none yet
    enum task_state state;
    const char *node; // of the latest attempt; NULL: none
    uint64_t fence;
    usec_t placed_usec, started_usec, ended_usec; // 0: not yet
    bool ended; // end is filled
    struct attempt_end end;
    usec_t retry_usec; // BACKOFF
};

struct node_view {
    uint32_t node_id;
    struct node_info info;
    enum node_state state;
    enum admission admission; // drained when closed and no task is left
    uint32_t n_tasks;
    const struct resource_need *used; // same order as info.capacity
    usec_t since_usec; // of the state, wall
};

struct job_view {
    uint64_t job_id;
    uint32_t version;
    enum job_state state;
    const char *namespace_name;
    const char *name;
    struct bytes spec; // packed
    usec_t next_usec;  // the earliest of its triggers; USEC_NEVER: none
    const usec_t *next_each_usec; // of each trigger of the spec, also of a held job
    const usec_t *left_out_each_usec; // the first instant that calendars leave out before it and that is in no record; USEC_NEVER: none
    size_t n_next;
    usec_t applied_usec;
    uint64_t last_run; // 0: none yet
    uint32_t n_active; // runs that have not ended
    uint32_t failures; // failed runs in a row
    bool paused;       // held because of them
    const struct condition_view *conditions; // n_conditions of them, filled by core_view_conditions()
    size_t n_conditions;
};

// What is not as it should be with a job, now.
struct condition_view {
    uint64_t job_id;
    const char *namespace_name;
    const char *job_name;
    enum condition condition;
    usec_t since_usec;    // 0: not known
    usec_t nominal_usec;  // the instant it is about; 0: none
    uint64_t run_id;      // its run; 0: none
    const char *sentence; // with the figures of this case
};

struct calendar_view {
    struct calendar calendar;
    uint32_t version;
    usec_t put_usec;      // when it got these dates
    uint64_t n_schedules; // that name it
    const char *const *jobs; // "namespace/name" of some of theirs
    size_t n_jobs;
};

struct backfill_view {
    uint64_t backfill_id;
    uint64_t job_id;
    const char *namespace_name;
    const char *job_name;
    enum backfill_state state;
    bool held; // its job is held, so that it waits
    usec_t from_usec, to_usec;
    bool reverse, again;
    uint32_t parallel_max;
    uint64_t n_total, n_fired, n_succeeded, n_unsuccessful;
    uint32_t n_active;
    usec_t done_usec; // the instant that was run last; 0: none yet
    usec_t began_usec, ended_usec; // 0: it has not
    struct bytes params;
    const char *by;
};

// Why a task waits, or why it was placed where it is.
struct why_view {
    enum reason reason;
    char sentence[400]; // with the figures of this case
    usec_t until_usec;  // when known (backoff, start time); 0 otherwise
    uint64_t run_id;    // the run it waits for, if any
    const char *node;   // placed: where
    uint32_t n_nodes, n_matching, n_large_enough, n_open; // nodes looked at, and how many passed each test
};
