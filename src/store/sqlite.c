// SPDX-License-Identifier: Apache-2.0
// The SQLite store: one server on one machine, nothing to install. See store/sqlite_store.h for its shape.
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/sqlite_store.h"
#include "store/wal_check.h"

static const struct db_schema schema = {
    .application_id = 0x4d535452, // "MSTR"
    .version = 1,
    .page_bytes = 4096,
    .what = "store",
    .sql = "PRAGMA application_id = 0x4d535452;"
           "PRAGMA user_version = 1;"
           "CREATE TABLE leader (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, server TEXT NOT NULL);"
           "INSERT INTO leader (id, epoch, server) VALUES (1, 0, '');"
           "CREATE TABLE log (first_seq INTEGER PRIMARY KEY, n_records INTEGER NOT NULL, checksum INTEGER NOT NULL, bytes BLOB NOT NULL);"
           "CREATE TABLE snapshot (seq INTEGER PRIMARY KEY, length INTEGER NOT NULL, checksum INTEGER NOT NULL);",
};

static struct sqlite_store *sqlite_store(struct store *store)
{
    return (struct sqlite_store *)store;
}

static unsigned long long ull(uint64_t value)
{
    return value;
}

static int sqlite_lead(struct store *base, const char *server, uint64_t *ret_epoch, struct err *err)
{
    struct sqlite_store *store = sqlite_store(base);
    must(!store->appending && !store->keeping);
    cleanup_statement sqlite3_stmt *statement = NULL;
    int code = db_prepare(store->db, "UPDATE leader SET epoch = epoch + 1, server = ?1 WHERE id = 1 RETURNING epoch", &statement, err);
    if (code < 0)
        return code;
    db_bind_text(statement, 1, server);
    code = db_row(statement, err);
    if (code == 0)
        return err_set(err, ERR_STORE_CORRUPT, "the store has no row for its leader");
    if (code < 0)
        return err_wrap(err, code, "become leader");
    uint64_t epoch = (uint64_t)sqlite3_column_int64(statement, 0);
    code = db_row(statement, err); // commits
    if (code < 0)
        return err_wrap(err, code, "become leader");
    *ret_epoch = epoch;
    return 0;
}

static int read_snapshot_file(struct sqlite_store *store, uint64_t seq, size_t len, uint64_t checksum, uint8_t **ret_data, struct err *err)
{
    cleanup_free char *path = sqlite_snapshot_path(store, seq);
    struct buf data;
    buf_init(&data);
    int code = fs_read(path, len, &data, err);
    if (code == ERR_NOT_FOUND || code == ERR_TOO_LARGE)
        code = err_wrap(err, ERR_STORE_CORRUPT, "the snapshot of record %llu", ull(seq));
    else if (code == 0 && (data.len != len || sqlite_checksum(seq, 0, data.data, len) != checksum))
        code = err_set(err, ERR_STORE_CORRUPT, "'%s' is not what was written: its checksum is wrong", path);
    if (code < 0) {
        buf_release(&data);
        return code;
    }
    *ret_data = (uint8_t *)buf_detach(&data);
    return 0;
}

static int sqlite_snapshot_read(struct store *base, uint64_t *ret_seq, uint8_t **ret_data, size_t *ret_len, struct err *err)
{
    struct sqlite_store *store = sqlite_store(base);
    cleanup_statement sqlite3_stmt *statement = NULL;
    int code = db_prepare(store->db, "SELECT seq, length, checksum FROM snapshot ORDER BY seq DESC LIMIT 1", &statement, err);
    if (code == 0)
        code = db_row(statement, err);
    if (code < 0)
        return err_wrap(err, code, "read the snapshot");
    if (code == 0) {
        *ret_seq = 0;
        *ret_data = mem_alloc(0);
        *ret_len = 0;
        return 0;
    }
    uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 0);
    size_t len = (size_t)sqlite3_column_int64(statement, 1);
    code = read_snapshot_file(store, seq, len, (uint64_t)sqlite3_column_int64(statement, 2), ret_data, err);
    if (code < 0)
        return code;
    *ret_seq = seq;
    *ret_len = len;
    return 0;
}

// One row of the log, which is to begin with record `next`; 0 when that is not known yet.
static int read_batch(sqlite3_stmt *row, uint64_t next, struct store_batch *ret_batch, struct err *err)
{
    uint64_t first_seq = (uint64_t)sqlite3_column_int64(row, 0);
    int64_t n_records = sqlite3_column_int64(row, 1);
    struct bytes data = {sqlite3_column_blob(row, 3), (size_t)sqlite3_column_bytes(row, 3)};
    if (next != 0 && first_seq != next)
        return err_set(err, ERR_STORE_CORRUPT, "the log has a hole: record %llu is followed by %llu", ull(next - 1), ull(first_seq));
    if (n_records <= 0 || n_records > UINT32_MAX ||
        sqlite_checksum(first_seq, (uint64_t)n_records, data.data, data.len) != (uint64_t)sqlite3_column_int64(row, 2))
        return err_set(err, ERR_STORE_CORRUPT, "the log is damaged at record %llu: its checksum is wrong", ull(first_seq));
    *ret_batch = (struct store_batch){first_seq, (uint32_t)n_records, data};
    return 0;
}

// Reads on from the batch that holds record after + 1.
static int prepare_log(struct sqlite_store *store, uint64_t after, sqlite3_stmt **ret_statement, struct err *err)
{
    int code = db_prepare(store->db,
                          "SELECT first_seq, n_records, checksum, bytes FROM log"
                          " WHERE first_seq >= ifnull((SELECT max(first_seq) FROM log WHERE first_seq <= ?1), 0) ORDER BY first_seq",
                          ret_statement, err);
    if (code == 0)
        db_bind_u64(*ret_statement, 1, after + 1);
    return code;
}

// The log does not reach back to record after + 1: either a snapshot has replaced it, or it is damaged.
static int log_begins_late(struct sqlite_store *store, uint64_t begins, uint64_t after, struct err *err)
{
    int64_t snapshot_seq;
    int code = db_number(store->db, "SELECT max(seq) FROM snapshot", &snapshot_seq, err);
    if (code < 0)
        return code;
    return err_set(err, begins <= (uint64_t)snapshot_seq + 1 ? ERR_NOT_FOUND : ERR_STORE_CORRUPT,
                   "the log begins at record %llu, record %llu is gone", ull(begins), ull(after + 1));
}

static int sqlite_log_read(struct store *base, uint64_t after, int (*visit)(void *, const struct store_batch *, struct err *), void *context,
                           struct err *err)
{
    struct sqlite_store *store = sqlite_store(base);
    cleanup_statement sqlite3_stmt *row = NULL;
    int code = prepare_log(store, after, &row, err);
    uint64_t next = 0;
    while (code == 0 && (code = db_row(row, err)) == 1) {
        struct store_batch batch;
        code = read_batch(row, next, &batch, err);
        if (code == 0 && next == 0 && batch.first_seq > after + 1)
            code = log_begins_late(store, batch.first_seq, after, err);
        if (code < 0)
            break;
        next = batch.first_seq + batch.n_records;
        if (next > after + 1)
            code = visit(context, &batch, err);
    }
    if (code == 0 && next == 0 && store->last_seq > after)
        return log_begins_late(store, store->last_seq + 1, after, err);
    return code;
}

static int sqlite_append(struct store *base, uint64_t epoch, const struct store_batch *batch, struct err *err)
{
    struct sqlite_store *store = sqlite_store(base);
    must(batch->n_records > 0 && batch->first_seq > 0 && batch->first_seq <= (uint64_t)INT64_MAX - batch->n_records);
    if (store->appending)
        return err_set(err, ERR_AGAIN, "an append is in flight");
    if (batch->first_seq != store->last_seq + 1)
        return err_set(err, ERR_INVALID, "the batch begins at record %llu, the log ends at %llu", ull(batch->first_seq), ull(store->last_seq));
    if (batch->data.len > INT_MAX / 2)
        return err_set(err, ERR_TOO_LARGE, "a batch of %zu bytes", batch->data.len);
    struct sqlite_append *append = &store->append;
    // The committer looks at these only after the mailbox says so.
    if (append->cap < batch->data.len || append->cap > 16 * (batch->data.len + 65536)) {
        mem_free(append->data);
        append->cap = batch->data.len + 4096;
        append->data = mem_alloc(append->cap);
    }
    if (batch->data.len > 0)
        memcpy(append->data, batch->data.data, batch->data.len);
    append->len = batch->data.len;
    append->epoch = epoch;
    append->first_seq = batch->first_seq;
    append->n_records = batch->n_records;
    store->appending = true;
    pthread_mutex_lock(&store->mutex);
    must(append->job == JOB_NONE);
    append->job = JOB_WAITS;
    pthread_cond_signal(&store->committer_wake);
    pthread_mutex_unlock(&store->mutex);
    return 0;
}

static int sqlite_snapshot_write(struct store *base, uint64_t epoch, uint64_t seq, uint64_t keep_after, uint8_t *data, size_t len,
                                 struct err *err)
{
    struct sqlite_store *store = sqlite_store(base);
    int code = 0;
    if (store->keeping)
        code = err_set(err, ERR_AGAIN, "a snapshot is in flight");
    else if (seq > store->last_seq || seq <= store->snapshot_seq)
        code = err_set(err, ERR_INVALID, "a snapshot of record %llu: the last is of %llu, the log ends at %llu", ull(seq), ull(store->snapshot_seq),
                       ull(store->last_seq));
    if (code < 0) {
        mem_free(data);
        return code;
    }
    store->keeping = true;
    pthread_mutex_lock(&store->mutex);
    must(store->snapshot.stage == SNAPSHOT_NONE);
    store->snapshot = (struct sqlite_snapshot){
        .stage = SNAPSHOT_FILE_WAITS, .epoch = epoch, .seq = seq, .keep_after = keep_after, .data = data, .len = len};
    pthread_cond_signal(&store->keeper_wake);
    pthread_mutex_unlock(&store->mutex);
    return 0;
}

static int sqlite_poll(struct store *base, struct store_done *ret_done)
{
    struct sqlite_store *store = sqlite_store(base);
    if (!store->appending && !store->keeping)
        return 0;
    pthread_mutex_lock(&store->mutex);
    bool any = store->n_done > 0;
    if (any) {
        *ret_done = store->done[0];
        store->done[0] = store->done[1];
        eventfd_t count;
        if (--store->n_done == 0)
            must(eventfd_read(store->wake_fd, &count) == 0);
    }
    pthread_mutex_unlock(&store->mutex);
    if (!any)
        return 0;
    if (ret_done->op == STORE_APPEND) {
        store->appending = false;
        if (ret_done->code == 0)
            store->last_seq = ret_done->seq;
    } else {
        store->keeping = false;
        if (ret_done->code == 0)
            store->snapshot_seq = ret_done->seq;
    }
    return 1;
}

static int sqlite_wake_fd(struct store *base)
{
    return sqlite_store(base)->wake_fd;
}

static void stop_threads(struct sqlite_store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->stop = true;
    pthread_cond_signal(&store->committer_wake);
    pthread_cond_signal(&store->keeper_wake);
    pthread_mutex_unlock(&store->mutex);
    if (store->committer_runs)
        pthread_join(store->committer, NULL);
    if (store->keeper_runs)
        pthread_join(store->keeper, NULL);
}

static void sqlite_close(struct store *base)
{
    struct sqlite_store *store = sqlite_store(base);
    stop_threads(store);
    sqlite_committer_close(store);
    db_close(store->keeper_db);
    db_close(store->db);
    folder_lock_release(store->lock);
    close_fd(store->wake_fd);
    pthread_cond_destroy(&store->committer_wake);
    pthread_cond_destroy(&store->keeper_wake);
    pthread_mutex_destroy(&store->mutex);
    mem_free(store->append.data);
    mem_free(store->snapshot.data);
    mem_free(store->folder);
    mem_free(store);
}

static const struct store_ops sqlite_ops = {
    .name = "sqlite",
    .close = sqlite_close,
    .lead = sqlite_lead,
    .snapshot_read = sqlite_snapshot_read,
    .log_read = sqlite_log_read,
    .append = sqlite_append,
    .snapshot_write = sqlite_snapshot_write,
    .poll = sqlite_poll,
    .wake_fd = sqlite_wake_fd,
};

static int open_databases(struct sqlite_store *store, const char *path, struct err *err)
{
    sqlite3 **databases[] = {&store->db, &store->committer_db, &store->keeper_db};
    for (size_t i = 0; i < 3; i++) {
        int code = db_open(path, DB_WRITE, &schema, databases[i], err);
        if (code == 0)
            code = db_exec(*databases[i], "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0", err);
        if (code < 0)
            return code;
    }
    return sqlite_committer_open(store, path, err);
}

// A full check would read everything; this one looks at the ends, in constant time. Every batch is checked when it is read.
static int read_ends(struct sqlite_store *store, struct err *err)
{
    int64_t snapshot_seq = 0, oldest = 0, last = 0;
    int code = db_number(store->db, "SELECT max(seq) FROM snapshot", &snapshot_seq, err);
    if (code == 0)
        code = db_number(store->db, "SELECT min(first_seq) FROM log", &oldest, err);
    if (code == 0)
        code = db_number(store->db, "SELECT first_seq + n_records - 1 FROM log ORDER BY first_seq DESC LIMIT 1", &last, err);
    if (code < 0)
        return code;
    if (oldest > snapshot_seq + 1)
        return err_set(err, ERR_STORE_CORRUPT, "the snapshot ends at record %lld, the log begins at %lld", (long long)snapshot_seq,
                       (long long)oldest);
    store->snapshot_seq = (uint64_t)snapshot_seq;
    store->last_seq = (uint64_t)(last > snapshot_seq ? last : snapshot_seq);
    return 0;
}

static int start_threads(struct sqlite_store *store, struct err *err)
{
    sigset_t all, old;
    sigfillset(&all);
    // Signals are for the thread that runs the loop.
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int result = pthread_create(&store->committer, NULL, sqlite_committer_run, store);
    store->committer_runs = result == 0;
    if (result == 0) {
        pthread_setname_np(store->committer, "store-commit");
        result = pthread_create(&store->keeper, NULL, sqlite_keeper_run, store);
        store->keeper_runs = result == 0;
        if (result == 0)
            pthread_setname_np(store->keeper, "store-keep");
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = result;
    return result == 0 ? 0 : err_errno(err, ERR_UNAVAILABLE, "start a thread");
}

static int open_all(struct sqlite_store *store, struct err *err)
{
    store->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (store->wake_fd < 0)
        return err_errno(err, ERR_UNAVAILABLE, "make an eventfd");
    int code = folder_lock_take(store->folder, &store->lock, err);
    if (code < 0)
        return code;
    struct buf path;
    buf_init(&path);
    buf_printf(&path, "%s/muster.db", store->folder);
    code = wal_check(path.data, err);
    if (code == 0)
        code = open_databases(store, path.data, err);
    buf_release(&path);
    if (code == 0)
        code = read_ends(store, err);
    if (code == 0) {
        sqlite_snapshot_clean(store, store->snapshot_seq);
        code = start_threads(store, err);
    }
    return code;
}

int store_sqlite_open(const char *path, struct store **ret_store, struct err *err)
{
    struct sqlite_store *store = mem_alloc(sizeof(*store));
    store->base.ops = &sqlite_ops;
    store->folder = mem_strdup(path);
    store->wake_fd = -1;
    must(pthread_mutex_init(&store->mutex, NULL) == 0);
    must(pthread_cond_init(&store->committer_wake, NULL) == 0);
    must(pthread_cond_init(&store->keeper_wake, NULL) == 0);
    int code = open_all(store, err);
    if (code < 0) {
        sqlite_close(&store->base);
        return code;
    }
    *ret_store = &store->base;
    return 0;
}
