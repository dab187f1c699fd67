// SPDX-License-Identifier: Apache-2.0
// The history projection: what people ask for long after memory has forgotten it. It is written from the log, in order and off the
// hot path, with its position in the same transaction, so that it can always be brought up to date or rebuilt; it decides nothing.
// One row for each run; one for each attempt of runs of up to HISTORY_ROWS_PER_RUN tasks and for each failed attempt worth a look;
// the results of larger arrays in packed blocks, so that history never sets the pace.
//
// Threads: a writer handle and any number of reader handles, each used by one thread at a time.
#pragma once

#include "base/arena.h"
#include "model/record.h"
#include "model/view.h"

struct history;

enum { HISTORY_ROWS_PER_RUN = 256 };

struct run_filter {
    const char *namespace_name; // NULL: any, likewise below
    const char *job_name;
    uint32_t states;  // mask of 1 << enum run_state; 0: any
    const char *node; // a task ran there
    const struct pair *labels;
    size_t n_labels;
    usec_t since_usec, until_usec; // submitted; 0: any
    uint64_t before;  // page key: runs with smaller ids, newest first; 0: from the newest
    size_t max;       // rows
};

// path: data folder of the SQLite store. read_only: a reader; it sees what the writer has committed.
int history_open(const char *path, bool read_only, struct history **ret_history, struct err *);
void history_close(struct history *);

// Position up to which the log has been taken in.
int history_seq(struct history *, uint64_t *ret_seq, struct err *);
// Takes in records, seq ascending from history_seq() + 1 on, in one transaction.
int history_write(struct history *, const struct record *const *records, size_t n, struct err *);
// Drops runs that ended before the instant, at most max of them; *ret_dropped tells how many.
int history_purge(struct history *, usec_t ended_before_usec, size_t max, size_t *ret_dropped, struct err *);

int history_runs(struct history *, const struct run_filter *, struct arena *, struct run_view **ret_runs, size_t *ret_n, struct err *);
int history_run(struct history *, uint64_t run_id, struct arena *, struct run_view *ret_run, struct err *); // with its spec
// Latest attempts of the tasks of a run, by index from `from` on; states: mask of enum task_state, 0: any.
int history_tasks(struct history *, uint64_t run_id, uint32_t from, size_t max, uint32_t states, struct arena *, struct task_view **ret_tasks,
                  size_t *ret_n, struct err *);
// Every attempt of one task, first to last.
int history_attempts(struct history *, uint64_t run_id, uint32_t index, struct arena *, struct task_view **ret_attempts, size_t *ret_n, struct err *);
// Indexes of the tasks that did not succeed, as sorted ranges (for a rerun).
int history_unsuccessful(struct history *, uint64_t run_id, struct arena *, struct index_set *ret_set, struct err *);
// Fires of a job, newest first, before nominal time `before` (0: from the newest).
struct fire_view {
    usec_t nominal_usec, at_usec;
    uint32_t trigger;
    enum fire_outcome outcome;
    uint64_t run_id;
    uint32_t n_missed;
};
int history_fires(struct history *, uint64_t job_id, usec_t before, size_t max, struct arena *, struct fire_view **ret_fires, size_t *ret_n,
                  struct err *);
