// SPDX-License-Identifier: Apache-2.0
// The thread that writes the database of the SQLite store. An append goes first; everything else is cut into steps short enough not to
// be felt, one of which may follow each append.
#include "store/sqlite_store.h"

#include <string.h>
#include <sys/eventfd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

enum {
    CHECKPOINT_FRAMES = 2048, // of the write-ahead log (page size each) between checkpoints
    DROP_ROWS = 64,           // batches of old log dropped in one step
    DROP_BYTES = 256 * 1024,
};

uint64_t sqlite_checksum(uint64_t seq, uint64_t count, const void *data, size_t len)
{
    return hash_bytes(data, len, hash_u64(seq) ^ count);
}

void sqlite_report(struct sqlite_store *store, enum store_op op, uint64_t seq, int code, const struct err *err)
{
    must(store->n_done < 2);
    struct store_done *done = &store->done[store->n_done++];
    *done = (struct store_done){.op = op, .seq = seq, .code = code};
    if (code < 0)
        done->err = *err;
    must(eventfd_write(store->wake_fd, 1) == 0);
}

// Called by SQLite after each commit.
static int on_commit(void *context, sqlite3 *db, const char *name, int frames)
{
    ((struct sqlite_store *)context)->wal_frames = frames;
    return SQLITE_OK;
}

int sqlite_committer_open(struct sqlite_store *store, const char *path, struct err *err)
{
    sqlite3 *db = store->committer_db;
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } rows[] = {
        {&store->begin, "BEGIN IMMEDIATE"},
        {&store->commit, "COMMIT"},
        {&store->rollback, "ROLLBACK"},
        {&store->fence, "SELECT epoch FROM leader WHERE id = 1"},
        {&store->insert, "INSERT INTO log (first_seq, n_records, checksum, bytes) VALUES (?1, ?2, ?3, ?4)"},
        {&store->snapshot_insert, "INSERT INTO snapshot (seq, length, checksum) VALUES (?1, ?2, ?3)"},
        {&store->snapshot_drop, "DELETE FROM snapshot WHERE seq < ?1"},
        {&store->oldest, "SELECT first_seq, n_records, length(bytes) FROM log ORDER BY first_seq LIMIT ?1"},
        {&store->drop, "DELETE FROM log WHERE first_seq <= ?1"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int code = db_prepare(db, rows[i].sql, rows[i].statement, err);
        if (code < 0)
            return err_wrap(err, code, "open '%s'", path);
    }
    store->checkpoint_at = CHECKPOINT_FRAMES;
    sqlite3_wal_hook(db, on_commit, store); // replaces SQLite's own checkpoints
    return db_exec(db, "PRAGMA synchronous = FULL", err);
}

void sqlite_committer_close(struct sqlite_store *store)
{
    sqlite3_stmt *statements[] = {store->begin,           store->commit,        store->rollback, store->fence, store->insert,
                                  store->snapshot_insert, store->snapshot_drop, store->oldest,   store->drop};
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        sqlite3_finalize(statements[i]);
    db_close(store->committer_db);
}

static void roll_back(struct sqlite_store *store)
{
    // SQLite rolls back by itself after some errors.
    if (!sqlite3_get_autocommit(store->committer_db))
        db_run(store->rollback, NULL);
}

// Begins a transaction in which `epoch` is known to lead until it ends.
static int begin_fenced(struct sqlite_store *store, uint64_t epoch, struct err *err)
{
    int code = db_run(store->begin, err);
    if (code < 0)
        return code;
    code = db_row(store->fence, err);
    if (code == 1) {
        uint64_t leads = (uint64_t)sqlite3_column_int64(store->fence, 0);
        sqlite3_reset(store->fence);
        if (leads == epoch)
            return 0;
        code = err_set(err, ERR_STORE_FENCED, "epoch %llu leads, not %llu", (unsigned long long)leads, (unsigned long long)epoch);
    } else if (code == 0) {
        code = err_set(err, ERR_STORE_CORRUPT, "the store has no leader");
    }
    roll_back(store);
    return code;
}

// Ends the transaction. A failure whose outcome is not certain is ERR_STORE_UNKNOWN.
static int commit(struct sqlite_store *store, struct err *err)
{
    int code = db_run(store->commit, err);
    if (code == 0)
        return 0;
    // The write-ahead log was written in order and its last page is the commit: a write that failed for want of room proves that it
    // is not there. Every other failure (of the sync, say) leaves it open. A full disk under the index of the log comes after the sync.
    bool certain = code == ERR_STORE_FULL && sqlite3_extended_errcode(store->committer_db) != SQLITE_IOERR_SHMSIZE;
    roll_back(store);
    return certain ? code : err_wrap(err, ERR_STORE_UNKNOWN, "commit");
}

static int append(struct sqlite_store *store, const struct sqlite_append *batch, struct err *err)
{
    int code = begin_fenced(store, batch->epoch, err);
    if (code < 0)
        return code;
    db_bind_u64(store->insert, 1, batch->first_seq);
    db_bind_u64(store->insert, 2, batch->n_records);
    db_bind_i64(store->insert, 3, (int64_t)sqlite_checksum(batch->first_seq, batch->n_records, batch->data, batch->len));
    db_bind_blob(store->insert, 4, batch->data, batch->len);
    code = db_run(store->insert, err);
    if (code < 0) {
        roll_back(store);
        return code;
    }
    return commit(store, err);
}

// Makes the snapshot whose file is complete the newest one.
static int record_snapshot(struct sqlite_store *store, const struct sqlite_snapshot *snapshot, struct err *err)
{
    int code = begin_fenced(store, snapshot->epoch, err);
    if (code < 0)
        return code;
    db_bind_u64(store->snapshot_insert, 1, snapshot->seq);
    db_bind_u64(store->snapshot_insert, 2, snapshot->len);
    db_bind_i64(store->snapshot_insert, 3, (int64_t)snapshot->checksum);
    db_bind_u64(store->snapshot_drop, 1, snapshot->seq);
    code = db_run(store->snapshot_insert, err);
    if (code == 0)
        code = db_run(store->snapshot_drop, err);
    if (code < 0) {
        roll_back(store);
        return code;
    }
    return commit(store, err);
}

// Last record up to which one step may drop; 0: nothing is left to drop.
static uint64_t drop_step(struct sqlite_store *store, uint64_t *ret_last)
{
    uint64_t first = 0;
    int64_t bytes = 0;
    db_bind_u64(store->oldest, 1, DROP_ROWS);
    while (bytes < DROP_BYTES && db_row(store->oldest, NULL) == 1) {
        uint64_t first_seq = (uint64_t)sqlite3_column_int64(store->oldest, 0);
        uint64_t last = first_seq + (uint64_t)sqlite3_column_int64(store->oldest, 1) - 1;
        if (last > store->drop_up_to)
            break;
        first = first_seq;
        *ret_last = last;
        bytes += sqlite3_column_int64(store->oldest, 2);
    }
    sqlite3_reset(store->oldest);
    return first;
}

// Drops a little of the log that a snapshot has replaced. Synced as every commit is, so that a torn end of SQLite's log can be told from
// damage (store/wal_check.h). A failure ends it until the next snapshot.
static void drop_some(struct sqlite_store *store)
{
    uint64_t last = 0;
    uint64_t first = drop_step(store, &last);
    if (first == 0) {
        store->drop_up_to = 0;
        return;
    }
    db_bind_u64(store->drop, 1, first);
    int code = db_run(store->drop, NULL);
    if (code < 0 || last >= store->drop_up_to)
        store->drop_up_to = 0;
}

static void finish_checkpoint(struct sqlite_store *store)
{
    int frames = 0, copied = 0;
    int result = sqlite3_wal_checkpoint_v2(store->committer_db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    // All copied: the next commit begins the log anew. Otherwise a reader is in the way, or the disk is full: try again later.
    bool whole = result == SQLITE_OK && frames == copied;
    store->checkpoint_at = CHECKPOINT_FRAMES + (whole ? 0 : store->wal_frames);
    if (whole)
        store->wal_frames = 0;
}

static void do_append(struct sqlite_store *store)
{
    struct err err = {0};
    store->append.job = JOB_UNDER_WAY;
    pthread_mutex_unlock(&store->mutex);
    int code = append(store, &store->append, &err);
    pthread_mutex_lock(&store->mutex);
    store->append.job = JOB_NONE;
    sqlite_report(store, STORE_APPEND, store->append.first_seq + store->append.n_records - 1, code, &err);
}

static void do_snapshot_row(struct sqlite_store *store)
{
    struct sqlite_snapshot *snapshot = &store->snapshot;
    struct err err = {0};
    snapshot->stage = SNAPSHOT_ROW;
    pthread_mutex_unlock(&store->mutex);
    int code = record_snapshot(store, snapshot, &err);
    if (code == 0) {
        sqlite_snapshot_clean(store, snapshot->seq);
        store->drop_up_to = snapshot->keep_after < snapshot->seq ? snapshot->keep_after : snapshot->seq;
    }
    pthread_mutex_lock(&store->mutex);
    snapshot->stage = SNAPSHOT_NONE;
    sqlite_report(store, STORE_SNAPSHOT, snapshot->seq, code, &err);
}

static void do_small_steps(struct sqlite_store *store)
{
    bool rest = store->checkpoint_rest;
    store->checkpoint_rest = false;
    pthread_mutex_unlock(&store->mutex);
    if (rest)
        finish_checkpoint(store);
    if (store->drop_up_to)
        drop_some(store);
    bool due = store->wal_frames >= store->checkpoint_at;
    if (due)
        store->checkpoint_at = store->wal_frames + CHECKPOINT_FRAMES;
    pthread_mutex_lock(&store->mutex);
    if (due && !store->checkpoint_wanted) {
        store->checkpoint_wanted = true;
        pthread_cond_signal(&store->keeper_wake);
    }
}

void *sqlite_committer_run(void *context)
{
    struct sqlite_store *store = context;
    pthread_mutex_lock(&store->mutex);
    while (!store->stop) {
        bool rest = store->checkpoint_rest || store->drop_up_to;
        if (store->append.job == JOB_WAITS)
            do_append(store);
        else if (store->snapshot.stage == SNAPSHOT_ROW_WAITS)
            do_snapshot_row(store);
        else if (!rest)
            pthread_cond_wait(&store->committer_wake, &store->mutex);
        do_small_steps(store);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}
