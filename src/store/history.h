// SPDX-License-Identifier: Apache-2.0
// The history projection: what people ask for long after memory has forgotten it. It is written from the log, in order and off the
// hot path, with its position in the same transaction, so that it can always be brought up to date or rebuilt; it decides nothing.
// One row for each run; what happened to its tasks is packed (about 25 bytes for a task that ran), a little of it in the row itself and
// the rest in blocks, so that history never sets the pace: a run of one task is one row, a million results are a few hundred.
//
// It is its own database, history.db, beside that of the store. history_write() returns once what it took in would survive a crash of the
// machine, since runs leave memory and the log is truncated on its word; a writer gathers some tens of milliseconds of records for
// each call. A deleted history.db is made anew; runs whose submission the log no longer holds are then unknown to it, and records
// about them are passed over.
//
// Errors: ERR_STORE_FULL (nothing was taken in, the same records may be given again), ERR_STORE_CORRUPT, ERR_STORE_BUSY, ERR_VERSION,
// ERR_IO, ERR_NO_MEMORY; ERR_NOT_FOUND where a run or task is asked for by id.
//
// Threads: a writer handle and any number of reader handles, each used by one thread at a time.
#pragma once

#include "base/arena.h"
#include "model/record.h"
#include "model/view.h"

struct history;

struct run_filter {
    const char *namespace_name; // NULL: any, likewise below
    const char *job_name;
    uint32_t states;  // mask of 1 << enum run_state; 0: any
    const char *node; // a task ran there
    const struct pair *labels; // all of them; at most 16
    size_t n_labels;
    usec_t since_usec, until_usec; // submitted at or after since, before until; 0: any
    uint64_t before;  // page key: runs with smaller ids, newest first; 0: from the newest
    size_t max;       // rows; below a million, which is no sensible page
};

// path: data folder of the SQLite store. read_only: a reader; it sees what the writer has committed; ERR_NOT_FOUND before a writer has
// made the database.
int history_open(const char *path, bool read_only, struct history **ret_history, struct err *);
void history_close(struct history *);

// Position up to which the log has been taken in.
int history_seq(struct history *, uint64_t *ret_seq, struct err *);
// Takes in records with consecutive seq, in one transaction, and moves the position to the last. Those up to the position are passed
// over; a gap behind it is accepted (a log that was truncated).
int history_write(struct history *, const struct record *const *records, size_t n, struct err *);
// Drops runs that ended before the instant, the longest ended first, at most max (below a million) of them, and as many old fires;
// *ret_dropped tells how many runs. A call per some hundreds of runs keeps readers and the writer from waiting long.
int history_purge(struct history *, usec_t ended_before_usec, size_t max, size_t *ret_dropped, struct err *);

// A run of the page whose row cannot be read is given as damaged, with nothing but its id.
int history_runs(struct history *, const struct run_filter *, struct arena *, struct run_view **ret_runs, size_t *ret_n, struct err *);
int history_run(struct history *, uint64_t run_id, struct arena *, struct run_view *ret_run, struct err *); // with its spec
// The tasks of a run, each with its latest attempt (attempt 0: none yet), by index from `from` on; states: mask of enum task_state, 0: any.
// In a run that goes on the states of active tasks lag: PLACED stands for PLACED, RUNNING and STOPPING.
int history_tasks(struct history *, uint64_t run_id, uint32_t from, size_t max, uint32_t states, struct arena *, struct task_view **ret_tasks,
                  size_t *ret_n, struct err *);
// Every attempt of one task, first to last.
int history_attempts(struct history *, uint64_t run_id, uint32_t index, struct arena *, struct task_view **ret_attempts, size_t *ret_n, struct err *);
// Indexes of the tasks that did not succeed, as sorted ranges (for a rerun).
int history_unsuccessful(struct history *, uint64_t run_id, struct arena *, struct index_set *ret_set, struct err *);
// Fires of a job, newest first, before nominal time `before` (0: from the newest). Fires of several triggers at one instant are not torn
// apart: a page may have more than max rows by those.
struct fire_view {
    usec_t nominal_usec, at_usec;
    uint32_t trigger;
    enum fire_outcome outcome;
    uint64_t run_id;
    uint64_t n_missed; // instants that are told of in this row beside or with its own
    usec_t last_usec;  // the last of them; 0: none
    const char *why;   // the reason in words; NULL: the outcome says it
    bool damaged;      // its outcome cannot be read
    uint64_t backfill_id; // that ran it; 0: the schedule decided it
};
int history_fires(struct history *, uint64_t job_id, usec_t before, size_t max, struct arena *, struct fire_view **ret_fires, size_t *ret_n,
                  struct err *);

// Which instants in from <= t < to of a job have a run, by its schedule or by a backfill, as stretches that ascend and in which every instant has
// one; ERR_LIMIT when there are more than max. What is older than the retention is not known any more.
struct run_instants {
    uint64_t job_id;
    usec_t from_usec, to_usec;
    const struct job_spec *spec; // of the job
    const usec_t *next_usec;     // a known instant of each of its triggers; USEC_NEVER: none
};
int history_covered(struct history *, const struct run_instants *, size_t max, struct arena *, struct instant_span **ret_spans, size_t *ret_n, struct err *);
