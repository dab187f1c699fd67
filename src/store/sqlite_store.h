// SPDX-License-Identifier: Apache-2.0
// The inside of the SQLite store, shared by its three files:
//
//   sqlite.c            opening, and what runs on the thread of the engine: leadership, reading, mailboxes
//   sqlite_committer.c  the thread that writes the database: appends, the row of a snapshot, dropping old log, the end of a checkpoint
//   sqlite_keeper.c     the thread for what takes long: files of snapshots, the bulk of a checkpoint
//
// The folder holds muster.db (table log: one row for each batch, with a checksum), snapshot-SEQ.bin (the newest; older ones are removed
// once a newer one is recorded) and the file `lock`.
//
// Checkpoints: SQLite's own would run inside a commit and stall it. Here the keeper copies most of the write-ahead log into the
// database on a connection of its own while commits go on, and the committer then copies the few pages that came meanwhile, after
// which the next commit begins the write-ahead log anew, so that it does not grow.
//
// Each thread has a connection of its own. The mutex guards everything below `mutex` that is marked so.
#pragma once

#include <pthread.h>

#include "store/db.h"
#include "store/folder_lock.h"
#include "store/store.h"

enum sqlite_job { JOB_NONE, JOB_WAITS, JOB_UNDER_WAY };

struct sqlite_append {
    enum sqlite_job job;
    uint64_t epoch;
    uint64_t first_seq;
    uint32_t n_records;
    uint8_t *data;
    size_t len;
    size_t cap;
};

enum snapshot_stage { SNAPSHOT_NONE, SNAPSHOT_FILE_WAITS, SNAPSHOT_FILE, SNAPSHOT_ROW_WAITS, SNAPSHOT_ROW };

struct sqlite_snapshot {
    enum snapshot_stage stage;
    uint64_t epoch;
    uint64_t seq;
    uint64_t keep_after;
    uint8_t *data;
    size_t len;
    uint64_t checksum;
};

struct sqlite_store {
    struct store base;
    char *folder;
    struct folder_lock *lock;
    int wake_fd; // eventfd: 1 while something is in done[]

    sqlite3 *db; // of the engine's thread
    uint64_t last_seq;     // durable and reported
    uint64_t snapshot_seq; // likewise
    bool appending, keeping; // begun and not reported yet

    sqlite3 *committer_db;
    sqlite3_stmt *begin, *commit, *rollback, *fence, *insert, *snapshot_insert, *snapshot_drop, *oldest, *drop;
    uint64_t drop_up_to; // records of the log that a snapshot has replaced; the committer drops them in small steps
    int wal_frames;      // in the write-ahead log after the last commit
    int checkpoint_at;   // frames at which the next checkpoint is due
    pthread_t committer;
    bool committer_runs;

    sqlite3 *keeper_db;
    pthread_t keeper;
    bool keeper_runs;

    pthread_mutex_t mutex;
    pthread_cond_t committer_wake, keeper_wake; // guarded, as everything from here on
    bool stop;
    struct sqlite_append append;
    struct sqlite_snapshot snapshot;
    bool checkpoint_wanted; // for the keeper
    bool checkpoint_rest;   // for the committer: the keeper has copied the bulk
    struct store_done done[2];
    size_t n_done;
};

// Checksum of a batch or snapshot at its place.
uint64_t sqlite_checksum(uint64_t seq, uint64_t count, const void *data, size_t len);

int sqlite_committer_open(struct sqlite_store *, const char *path, struct err *);
void sqlite_committer_close(struct sqlite_store *); // after its thread has ended
void *sqlite_committer_run(void *store);
// Leaves something for poll(). With the mutex held.
void sqlite_report(struct sqlite_store *, enum store_op, uint64_t seq, int code, const struct err *);

void *sqlite_keeper_run(void *store);
// Path of the file of a snapshot: gives a string (mem_free).
char *sqlite_snapshot_path(const struct sqlite_store *, uint64_t seq);
// Removes every file of a snapshot other than that of keep_seq, left behind by a crash or replaced.
void sqlite_snapshot_clean(const struct sqlite_store *, uint64_t keep_seq);
