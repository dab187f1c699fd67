// SPDX-License-Identifier: Apache-2.0
// The inside of the history, shared by its files:
//
//   history.c        opening, the schema, statements
//   history_write.c  what each kind of record changes
//   history_fold.c   rows in memory until the end of a call, and ids that the writer remembers
//   history_pack.c   what happened to tasks, in bytes
//   history_runs.c   reading runs and fires
//   history_tasks.c  reading tasks and attempts
//   history_purge.c  retention
//
// Tables of history.db:
//   position    how far the log was taken in; written in the transaction of what was taken in
//   job_names   namespace and name (empty: ad hoc), once each
//   labels      key and value, once each
//   nodes       names of nodes by their numbers
//   specs       what runs with the same packed spec share, by its SHA-256, with the number of runs that refer to it
//   runs        one row for each run; `tail`: the newest packed results of its tasks
//   blocks      older results of runs whose tail was full, in order of block_id, with the span of indexes they name
//   run_labels, run_nodes   which runs have a label, and ran on a node: for filters
//   slots       lowest and highest run of every few minutes of submission time: turns a time into bounds of ids
//   fires       what became of the instants of schedules
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "store/db.h"
#include "store/history.h"

enum history_statement {
    H_BEGIN,
    H_BEGIN_READ,
    H_COMMIT,
    H_ROLLBACK,
    H_POSITION,
    H_POSITION_SET,
    H_NAME_FIND,
    H_NAME_INSERT,
    H_LABEL_FIND,
    H_LABEL_INSERT,
    H_NODE_SET,
    H_SPEC_FIND,
    H_SPEC_INSERT,
    H_SPEC_COUNT,
    H_RUN_LOAD,
    H_RUN_INSERT,
    H_RUN_UPDATE,
    H_RUN_UPDATE_STATE,
    H_RUN_LABEL_INSERT,
    H_RUN_NODE_INSERT,
    H_BLOCK_INSERT,
    H_SLOT_SET,
    H_FIRE_SET,
    H_BACKFILLED_SET,
    H_INSTANTS_RUN,
    H_PURGE_BACKFILLED,
    H_PURGE_RUNS,
    H_PURGE_NODE,
    H_PURGE_LABEL,
    H_PURGE_BLOCKS,
    H_PURGE_RUN,
    H_PURGE_SPEC,
    H_PURGE_NAME,
    H_PURGE_LABEL_NAME,
    H_PURGE_FIRES,
    H_PURGE_SLOTS,
    H_NAMES_BY_NAME,
    H_NODES_BY_NAME,
    H_SLOT_SINCE,
    H_SLOT_UNTIL,
    H_RUN_VIEW,
    H_RUN_SPEC,
    H_RUN_TASKS,
    H_BLOCKS,
    H_NODE_NAME,
    H_FIRES,
    H_STATEMENTS
};

enum { HISTORY_SLOT_USEC = 300 * 1000 * 1000 };

struct history_fold;

struct history {
    sqlite3 *db;
    bool read_only;
    sqlite3_stmt *statement[H_STATEMENTS]; // prepared at their first use
    struct history_fold *fold;             // of a writer
};

// history_backfill.c: an instant that a backfill ran.
int history_backfill_fired(struct history *, const struct record *, struct err *);

// The statement, ready to be bound. It stays the history's; reset it when it is not run to its end.
int history_statement(struct history *, enum history_statement, sqlite3_stmt **ret_statement, struct err *);
// Runs a statement without values.
int history_run_statement(struct history *, enum history_statement, struct err *);
// Ends a transaction after a failure.
void history_roll_back(struct history *);

struct history_fold *history_fold_new(void);
void history_fold_free(struct history_fold *);
// Forgets the ids that the writer remembers, after a rollback or a purge.
void history_fold_forget(struct history_fold *);

// Labels as they stand in specs.labels.
void history_pack_labels(struct buf *, const struct pair *labels, size_t n);
int history_unpack_labels(struct bytes, struct arena *, const struct pair **ret_labels, size_t *ret_n, struct err *);
// Indexes as they stand in specs.tasks; empty: 0..n_tasks - 1.
void history_pack_set(struct buf *, const struct index_set *);
int history_unpack_set(struct bytes, uint32_t n_tasks, struct arena *, struct index_set *ret_set, struct err *);

struct bytes history_column_bytes(sqlite3_stmt *, int column);
char *history_column_text(sqlite3_stmt *, int column, struct arena *); // NULL for NULL
