// SPDX-License-Identifier: Apache-2.0
// The history projection: its database and its statements. Each transaction is synced (synchronous=FULL): with less, a crash of the
// machine could take back what the log, truncated up to the history's position, no longer holds.
#include "store/history.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "store/history_inside.h"

static const struct db_schema schema = {
    .application_id = 0x4d535448, // "MSTH"
    .version = 4,
    .page_bytes = 4096,
    .what = "history",
    .sql = "PRAGMA application_id = 0x4d535448;"
           "PRAGMA user_version = 4;"
           "CREATE TABLE position (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL);"
           "INSERT INTO position (id, seq) VALUES (1, 0);"
           "CREATE TABLE job_names (name_id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (name, namespace));"
           "CREATE TABLE labels (label_id INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (key, value));"
           "CREATE TABLE nodes (node_id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
           "CREATE INDEX nodes_by_name ON nodes (name);"
           "CREATE TABLE specs (spec_id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, n_runs INTEGER NOT NULL, name_id INTEGER NOT NULL,"
           " queue TEXT NOT NULL, priority INTEGER NOT NULL, n_tasks INTEGER NOT NULL, tasks BLOB NOT NULL, labels BLOB NOT NULL,"
           " packed BLOB NOT NULL);"
           "CREATE TABLE runs (run_id INTEGER PRIMARY KEY, spec_id INTEGER NOT NULL, name_id INTEGER NOT NULL, job_id INTEGER NOT NULL,"
           " job_version INTEGER NOT NULL, state INTEGER NOT NULL, held INTEGER NOT NULL, n_active INTEGER NOT NULL,"
           " n_succeeded INTEGER NOT NULL, n_failed INTEGER NOT NULL, n_cancelled INTEGER NOT NULL, n_expired INTEGER NOT NULL,"
           " n_lost INTEGER NOT NULL, submitted_usec INTEGER NOT NULL, started_usec INTEGER NOT NULL, ended_usec INTEGER NOT NULL,"
           " nominal_usec INTEGER NOT NULL, rerun_of INTEGER NOT NULL, submitted_by TEXT, tail_first INTEGER NOT NULL,"
           " tail_last INTEGER NOT NULL, nodes BLOB NOT NULL, tail BLOB NOT NULL, params BLOB NOT NULL,"
           " backfill_id INTEGER NOT NULL);"
           "CREATE INDEX runs_by_name ON runs (name_id);"
           "CREATE INDEX runs_by_state ON runs (state);"
           "CREATE INDEX runs_by_end ON runs (ended_usec) WHERE ended_usec > 0;"
           "CREATE TABLE blocks (block_id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, first_index INTEGER NOT NULL,"
           " last_index INTEGER NOT NULL, bytes BLOB NOT NULL);"
           "CREATE INDEX blocks_by_run ON blocks (run_id);"
           "CREATE TABLE run_labels (label_id INTEGER NOT NULL, run_id INTEGER NOT NULL, PRIMARY KEY (label_id, run_id)) WITHOUT ROWID;"
           "CREATE TABLE run_nodes (node_id INTEGER NOT NULL, run_id INTEGER NOT NULL, PRIMARY KEY (node_id, run_id)) WITHOUT ROWID;"
           "CREATE TABLE slots (slot INTEGER PRIMARY KEY, first_run INTEGER NOT NULL, last_run INTEGER NOT NULL);"
           "CREATE TABLE fires (job_id INTEGER NOT NULL, nominal_usec INTEGER NOT NULL, trigger_no INTEGER NOT NULL,"
           " at_usec INTEGER NOT NULL, outcome INTEGER NOT NULL, run_id INTEGER NOT NULL, n_missed INTEGER NOT NULL,"
           " last_usec INTEGER NOT NULL, why TEXT,"
           " PRIMARY KEY (job_id, nominal_usec, trigger_no)) WITHOUT ROWID;"
           "CREATE INDEX fires_by_time ON fires (at_usec);"
           "CREATE TABLE backfilled (job_id INTEGER NOT NULL, nominal_usec INTEGER NOT NULL, trigger_no INTEGER NOT NULL,"
           " at_usec INTEGER NOT NULL, backfill_id INTEGER NOT NULL, run_id INTEGER NOT NULL,"
           " PRIMARY KEY (job_id, nominal_usec, trigger_no)) WITHOUT ROWID;"
           "CREATE INDEX backfilled_by_time ON backfilled (at_usec);",
};

static const char *const statements[H_STATEMENTS] = {
    [H_BEGIN] = "BEGIN IMMEDIATE",
    [H_BEGIN_READ] = "BEGIN",
    [H_COMMIT] = "COMMIT",
    [H_ROLLBACK] = "ROLLBACK",
    [H_POSITION] = "SELECT seq FROM position WHERE id = 1",
    [H_POSITION_SET] = "UPDATE position SET seq = ?1 WHERE id = 1",
    [H_NAME_FIND] = "SELECT name_id FROM job_names WHERE name = ?1 AND namespace = ?2",
    [H_NAME_INSERT] = "INSERT INTO job_names (name, namespace) VALUES (?1, ?2)",
    [H_LABEL_FIND] = "SELECT label_id FROM labels WHERE key = ?1 AND value = ?2",
    [H_LABEL_INSERT] = "INSERT INTO labels (key, value) VALUES (?1, ?2)",
    [H_NODE_SET] = "INSERT OR REPLACE INTO nodes (node_id, name) VALUES (?1, ?2)",
    [H_SPEC_FIND] = "SELECT spec_id FROM specs WHERE hash = ?1",
    [H_SPEC_INSERT] = "INSERT INTO specs (hash, n_runs, name_id, queue, priority, n_tasks, tasks, labels, packed)"
                      " VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [H_SPEC_COUNT] = "UPDATE specs SET n_runs = n_runs + ?2 WHERE spec_id = ?1",
    [H_RUN_LOAD] = "SELECT r.state, r.held, r.n_active, r.n_succeeded, r.n_failed, r.n_cancelled, r.n_expired, r.n_lost, r.started_usec,"
                   " r.ended_usec, r.tail_first, r.tail_last, r.nodes, r.tail, s.n_tasks FROM runs r JOIN specs s ON s.spec_id = r.spec_id"
                   " WHERE r.run_id = ?1",
    // The first 14 values are those of the updates.
    [H_RUN_INSERT] = "INSERT OR REPLACE INTO runs (run_id, held, n_active, n_succeeded, n_failed, n_cancelled, n_expired, n_lost, started_usec,"
                     " tail_first, tail_last, nodes, tail, state, ended_usec, spec_id, name_id, job_id, job_version, submitted_usec,"
                     " nominal_usec, rerun_of, submitted_by, params, backfill_id)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,"
                     " ?24, ?25)",
    // Without the columns that have an index.
    [H_RUN_UPDATE] = "UPDATE runs SET held = ?2, n_active = ?3, n_succeeded = ?4, n_failed = ?5, n_cancelled = ?6, n_expired = ?7,"
                     " n_lost = ?8, started_usec = ?9, tail_first = ?10, tail_last = ?11, nodes = ?12, tail = ?13 WHERE run_id = ?1",
    [H_RUN_UPDATE_STATE] = "UPDATE runs SET held = ?2, n_active = ?3, n_succeeded = ?4, n_failed = ?5, n_cancelled = ?6, n_expired = ?7,"
                           " n_lost = ?8, started_usec = ?9, tail_first = ?10, tail_last = ?11, nodes = ?12, tail = ?13, state = ?14,"
                           " ended_usec = ?15 WHERE run_id = ?1",
    [H_RUN_LABEL_INSERT] = "INSERT OR IGNORE INTO run_labels (label_id, run_id) VALUES (?1, ?2)",
    [H_RUN_NODE_INSERT] = "INSERT OR IGNORE INTO run_nodes (node_id, run_id) VALUES (?1, ?2)",
    [H_BLOCK_INSERT] = "INSERT INTO blocks (run_id, first_index, last_index, bytes) VALUES (?1, ?2, ?3, ?4)",
    [H_SLOT_SET] = "INSERT INTO slots (slot, first_run, last_run) VALUES (?1, ?2, ?3) ON CONFLICT (slot) DO UPDATE"
                   " SET first_run = min(first_run, excluded.first_run), last_run = max(last_run, excluded.last_run)",
    [H_FIRE_SET] = "INSERT OR REPLACE INTO fires (job_id, nominal_usec, trigger_no, at_usec, outcome, run_id, n_missed, last_usec, why)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [H_BACKFILLED_SET] = "INSERT OR REPLACE INTO backfilled (job_id, nominal_usec, trigger_no, at_usec, backfill_id, run_id)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [H_INSTANTS_RUN] = "SELECT nominal_usec FROM fires WHERE job_id = ?1 AND nominal_usec >= ?2 AND nominal_usec < ?3 AND run_id != 0"
                       " UNION SELECT nominal_usec FROM backfilled WHERE job_id = ?1 AND nominal_usec >= ?2 AND nominal_usec < ?3 ORDER BY 1",
    [H_PURGE_BACKFILLED] = "DELETE FROM backfilled WHERE (job_id, nominal_usec, trigger_no) IN"
                           " (SELECT job_id, nominal_usec, trigger_no FROM backfilled WHERE at_usec < ?1 ORDER BY at_usec LIMIT ?2)",
    [H_PURGE_RUNS] = "SELECT r.run_id, r.spec_id, r.name_id, r.nodes, s.labels FROM runs r INDEXED BY runs_by_end"
                     " LEFT JOIN specs s ON s.spec_id = r.spec_id WHERE r.ended_usec > 0 AND r.ended_usec < ?1"
                     " ORDER BY r.ended_usec LIMIT ?2",
    [H_PURGE_NODE] = "DELETE FROM run_nodes WHERE node_id = ?1 AND run_id = ?2",
    [H_PURGE_LABEL] = "DELETE FROM run_labels WHERE label_id = ?1 AND run_id = ?2",
    [H_PURGE_BLOCKS] = "DELETE FROM blocks WHERE run_id = ?1",
    [H_PURGE_RUN] = "DELETE FROM runs WHERE run_id = ?1",
    [H_PURGE_SPEC] = "DELETE FROM specs WHERE spec_id = ?1 AND n_runs <= 0",
    [H_PURGE_NAME] = "DELETE FROM job_names WHERE name_id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE name_id = ?1)",
    [H_PURGE_LABEL_NAME] = "DELETE FROM labels WHERE label_id = ?1 AND NOT EXISTS (SELECT 1 FROM run_labels WHERE label_id = ?1)",
    [H_PURGE_FIRES] = "DELETE FROM fires WHERE (job_id, nominal_usec, trigger_no) IN"
                      " (SELECT job_id, nominal_usec, trigger_no FROM fires WHERE at_usec < ?1 ORDER BY at_usec LIMIT ?2)",
    [H_PURGE_SLOTS] = "DELETE FROM slots WHERE last_run < ifnull((SELECT min(run_id) FROM runs), 0)",
    [H_NAMES_BY_NAME] = "SELECT name_id FROM job_names WHERE name = ?1 AND (?2 IS NULL OR namespace = ?2)",
    [H_NODES_BY_NAME] = "SELECT node_id FROM nodes WHERE name = ?1",
    [H_SLOT_SINCE] = "SELECT min(first_run) FROM slots WHERE slot >= ?1",
    [H_SLOT_UNTIL] = "SELECT max(last_run) FROM slots WHERE slot <= ?1",
    [H_RUN_VIEW] = "SELECT r.job_id, n.namespace, n.name, r.job_version, r.state, r.held, s.n_tasks, r.n_active, r.n_succeeded, r.n_failed,"
                   " r.n_cancelled, r.n_expired, r.n_lost, r.submitted_usec, r.started_usec, r.ended_usec, r.nominal_usec, r.rerun_of,"
                   " s.queue, s.priority, r.submitted_by, s.labels, r.params, r.backfill_id FROM runs r JOIN specs s ON s.spec_id = r.spec_id"
                   " JOIN job_names n ON n.name_id = r.name_id WHERE r.run_id = ?1",
    [H_RUN_SPEC] = "SELECT s.packed FROM runs r JOIN specs s ON s.spec_id = r.spec_id WHERE r.run_id = ?1",
    [H_RUN_TASKS] = "SELECT r.state, s.n_tasks, s.tasks, r.tail FROM runs r JOIN specs s ON s.spec_id = r.spec_id WHERE r.run_id = ?1",
    [H_BLOCKS] = "SELECT bytes FROM blocks WHERE run_id = ?1 AND first_index <= ?3 AND last_index >= ?2 ORDER BY block_id",
    [H_NODE_NAME] = "SELECT name FROM nodes WHERE node_id = ?1",
    [H_FIRES] = "SELECT nominal_usec, at_usec, trigger_no, outcome, run_id, n_missed, last_usec, why, 0 FROM fires WHERE job_id = ?1 AND nominal_usec < ?2"
                " UNION ALL SELECT nominal_usec, at_usec, trigger_no, 0, run_id, 0, 0, NULL, backfill_id FROM backfilled"
                " WHERE job_id = ?1 AND nominal_usec < ?2 ORDER BY 1 DESC, 3, 9",
};

int history_statement(struct history *history, enum history_statement which, sqlite3_stmt **ret_statement, struct err *err)
{
    must(which < H_STATEMENTS && statements[which]);
    if (history->statement[which] == NULL) {
        int code = db_prepare(history->db, statements[which], &history->statement[which], err);
        if (code < 0)
            return err_wrap(err, code, "history");
    }
    *ret_statement = history->statement[which];
    return 0;
}

int history_run_statement(struct history *history, enum history_statement which, struct err *err)
{
    sqlite3_stmt *statement;
    int code = history_statement(history, which, &statement, err);
    return code < 0 ? code : db_run(statement, err);
}

void history_roll_back(struct history *history)
{
    if (!sqlite3_get_autocommit(history->db))
        history_run_statement(history, H_ROLLBACK, NULL);
}

struct bytes history_column_bytes(sqlite3_stmt *row, int column)
{
    const void *data = sqlite3_column_blob(row, column);
    return (struct bytes){data, (size_t)sqlite3_column_bytes(row, column)};
}

char *history_column_text(sqlite3_stmt *row, int column, struct arena *arena)
{
    return arena_strdup(arena, (const char *)sqlite3_column_text(row, column));
}

void history_pack_labels(struct buf *buf, const struct pair *labels, size_t n)
{
    struct writer writer;
    writer_init(&writer, buf);
    for (size_t i = 0; i < n; i++) {
        writer_blob(&writer, labels[i].key, strlen(labels[i].key));
        writer_blob(&writer, labels[i].value, strlen(labels[i].value));
    }
}

int history_unpack_labels(struct bytes bytes, struct arena *arena, const struct pair **ret_labels, size_t *ret_n, struct err *err)
{
    struct reader reader;
    reader_init(&reader, bytes.data, bytes.len);
    size_t n = 0, cap = 4;
    struct pair *labels = arena_array(arena, struct pair, cap);
    while (reader_left(&reader) > 0) {
        if (n == cap) {
            struct pair *more = arena_array(arena, struct pair, 2 * cap);
            memcpy(more, labels, cap * sizeof(*labels));
            labels = more;
            cap *= 2;
        }
        size_t key_len, value_len;
        const char *key = (const char *)reader_blob(&reader, &key_len);
        const char *value = (const char *)reader_blob(&reader, &value_len);
        if (reader.bad)
            break;
        labels[n].key = arena_strndup(arena, key_len ? key : "", key_len);
        labels[n++].value = arena_strndup(arena, value_len ? value : "", value_len);
    }
    if (reader.bad)
        return err_set(err, ERR_STORE_CORRUPT, "the history holds labels that cannot be read");
    *ret_labels = labels;
    *ret_n = n;
    return 0;
}

void history_pack_set(struct buf *buf, const struct index_set *set)
{
    if (set->n_ranges == 1 && set->ranges[0].first == 0 && (set->ranges[0].step == 1 || set->count == 1))
        return;
    struct writer writer;
    writer_init(&writer, buf);
    for (size_t i = 0; i < set->n_ranges; i++) {
        writer_varint(&writer, set->ranges[i].first);
        writer_varint(&writer, set->ranges[i].last);
        writer_varint(&writer, set->ranges[i].step);
    }
}

int history_unpack_set(struct bytes bytes, uint32_t n_tasks, struct arena *arena, struct index_set *ret_set, struct err *err)
{
    struct reader reader;
    reader_init(&reader, bytes.data, bytes.len);
    // Each range takes at least three bytes.
    size_t n = 0, cap = bytes.len / 3 + 1;
    struct index_range *ranges = arena_array(arena, struct index_range, cap);
    if (bytes.len == 0 && n_tasks > 0)
        ranges[n++] = (struct index_range){.first = 0, .last = n_tasks - 1, .step = 1};
    while (reader_left(&reader) > 0) {
        uint64_t first = reader_varint(&reader), last = reader_varint(&reader), step = reader_varint(&reader);
        if (reader.bad || first > last || last > UINT32_MAX || step == 0 || step > UINT32_MAX)
            break;
        ranges[n++] = (struct index_range){.first = (uint32_t)first, .last = (uint32_t)last, .step = (uint32_t)step};
    }
    if (!reader_done(&reader) || !index_set_init(ret_set, ranges, n) || ret_set->count != n_tasks)
        return err_set(err, ERR_STORE_CORRUPT, "the history holds a set of tasks that cannot be read");
    return 0;
}

int history_open(const char *path, bool read_only, struct history **ret_history, struct err *err)
{
    struct history *history = mem_alloc(sizeof(*history));
    history->read_only = read_only;
    struct buf file;
    buf_init(&file);
    buf_printf(&file, "%s/history.db", path);
    int code = db_open(file.data, read_only ? DB_READ_ONLY : DB_WRITE, &schema, &history->db, err);
    buf_release(&file);
    // A reader that dawdles keeps the write-ahead log from shrinking; its size is cut when that is over.
    if (code == 0 && !read_only)
        code = db_exec(history->db, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;"
                                    "PRAGMA cache_size = -16384", err);
    if (code < 0) {
        history_close(history);
        return code;
    }
    if (!read_only)
        history->fold = history_fold_new();
    *ret_history = history;
    return 0;
}

void history_close(struct history *history)
{
    if (history == NULL)
        return;
    for (size_t i = 0; i < H_STATEMENTS; i++)
        sqlite3_finalize(history->statement[i]);
    db_close(history->db);
    history_fold_free(history->fold);
    mem_free(history);
}

int history_seq(struct history *history, uint64_t *ret_seq, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, H_POSITION, &row, err);
    if (code == 0)
        code = db_row(row, err);
    if (code < 0)
        return code;
    if (code == 0)
        return err_set(err, ERR_STORE_CORRUPT, "the history has lost its position");
    *ret_seq = (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_reset(row);
    return 0;
}
