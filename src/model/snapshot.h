// SPDX-License-Identifier: Apache-2.0
// Items of a snapshot: the durable half of the core as plain data, in an order in which each item only refers to earlier ones.
// Packed by codec/snapshot.c. A new field gets a new number in proto/snapshot.proto and a default that means "as before".
#pragma once

#include "model/record.h"

enum snapshot_kind { SNAP_HEAD = 1, SNAP_JOB, SNAP_NODE, SNAP_SPEC, SNAP_RUN, SNAP_TASK, SNAP_KEY, SNAP_CALENDAR, SNAP_BACKFILL, SNAP_KINDS };

struct snap_head {
    uint64_t seq, epoch, next_run, next_job, next_fence, next_backfill;
    uint32_t next_node;
};

// core_save() gives only the packed form of specs; whoever unpacks an item fills in both.
struct snap_job {
    uint64_t job_id;
    uint32_t version;
    enum job_state state;
    const struct job_spec *spec; // decoded from packed by the reader
    struct bytes packed;
    const usec_t *next_usec;
    size_t n_next;
    uint64_t last_run;
    uint32_t failures;     // failed runs in a row
    bool paused;           // held because of them
    usec_t missed_usec;    // the first instant that passed without a run since the last one began; 0: none has
    enum fire_outcome missed_why; // FIRE_STARTED, FIRE_QUEUED: it had a run, which ended before it began
    usec_t applied_usec, first_usec;
    usec_t decided_usec; // the latest instant that has been decided; 0: none yet
    const usec_t *left_out_usec;  // of each trigger (core/calendar.h), n_next of them; NULL: no trigger has calendars
    const uint64_t *planned_seq;  // likewise
};

struct snap_node {
    uint32_t node_id;
    struct node_info info;
    enum node_state state;
    enum admission admission;
    usec_t since_usec;
};

// A spec that one or more of the runs that follow share.
struct snap_spec {
    uint64_t spec_no;
    const struct job_spec *spec;
    struct bytes packed;
};

struct snap_run {
    uint64_t run_id, job_id, spec_no, rerun_of;
    uint32_t job_version;
    enum run_state state;
    enum admission admission;
    enum cancel_cause cancel_cause;
    usec_t submitted_usec, started_usec, ended_usec, nominal_usec;
    uint64_t ended_seq; // record that ended it; 0: it has not
    uint32_t cursor;    // tasks before this position have been placed or have ended
    uint32_t n_untouched; // tasks from cursor on that have not ended
    uint32_t n_succeeded, n_failed, n_cancelled, n_expired, n_lost;
    struct bytes ended, good; // bitmaps over positions, trailing zero bytes cut
    const char *submitted_by;
    struct bytes params; // values of its parameters
    uint64_t backfill_id;
    const uint64_t *waits_for; // pairs of a run that has not ended yet and enum after_on
    size_t n_waits_for;        // numbers, so twice as many as pairs
    bool key_held;
    bool dep_failed; // something it waited for ended the wrong way
};

// A task that is active, in backoff, or pending again.
struct snap_task {
    uint64_t run_id;
    uint32_t index, attempt, tries;
    enum task_state state;
    uint32_t node_id; // 0: none
    uint64_t fence;
    usec_t placed_usec, started_usec, retry_usec;
    enum outcome stop_why;
};

// An idempotency key that is still remembered.
struct snap_key {
    const char *key;
    uint64_t run_id;
    usec_t until_usec;
    uint64_t work_hash;
};

// Before the jobs, by name.
struct snap_calendar {
    const struct calendar *calendar;
    uint32_t version;
    usec_t put_usec;
    uint64_t put_seq;
};

// A backfill that is active or still remembered.
struct snap_backfill {
    uint64_t backfill_id, job_id;
    const char *job_name; // "namespace/name"
    usec_t from_usec, to_usec;
    bool reverse, again;
    uint32_t parallel_max;
    enum backfill_state state;
    usec_t done_usec;      // the instant that was run last
    uint32_t done_trigger; // and by which trigger; UINT32_MAX with 0 fired: none yet
    uint64_t n_total, n_fired, n_succeeded, n_unsuccessful;
    usec_t began_usec, ended_usec;
    const struct instant_span *covered;
    size_t n_covered;
    struct bytes params;
    const char *key; // NULL: none
    const char *by;  // NULL: unknown
};

struct snapshot_item {
    enum snapshot_kind kind;
    union {
        struct snap_head head;
        struct snap_job job;
        struct snap_node node;
        struct snap_spec spec;
        struct snap_run run;
        struct snap_task task;
        struct snap_key key;
        struct snap_calendar calendar;
        struct snap_backfill backfill;
    };
};
