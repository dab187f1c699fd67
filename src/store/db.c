// SPDX-License-Identifier: Apache-2.0
// SQLite as Muster uses it.
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"

// Longest wait for another connection's lock. Our own connections take turns; this is for a person's sqlite3 shell.
enum { BUSY_MILLIS = 10 * 1000 };

static bool disk_is_full(int errno_value)
{
    return errno_value == ENOSPC || errno_value == EDQUOT || errno_value == EFBIG;
}

// The errno behind an error of I/O. SQLite passes it on, except for a commit: then the file of the write-ahead log knows it.
static int system_errno(sqlite3 *db)
{
    int errno_value = sqlite3_system_errno(db);
    sqlite3_file *file = NULL;
    if (errno_value == 0 && sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK && file && file->pMethods)
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &errno_value);
    return errno_value;
}

int db_error(sqlite3 *db, struct err *err, const char *what)
{
    if (db == NULL)
        return err_set(err, ERR_NO_MEMORY, "%s: no memory", what);
    int code = ERR_IO;
    int extended = sqlite3_extended_errcode(db);
    switch (extended & 0xff) {
    case SQLITE_FULL:
        code = ERR_STORE_FULL;
        break;
    case SQLITE_IOERR:
        // SQLite calls only ENOSPC "full"; a quota and a limit on the size of files are the same to us. A sync that failed is not: what
        // it left behind is unknown.
        if ((extended == SQLITE_IOERR_WRITE || extended == SQLITE_IOERR_SHMSIZE) && disk_is_full(system_errno(db)))
            code = ERR_STORE_FULL;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = ERR_STORE_BUSY;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        code = ERR_STORE_CORRUPT;
        break;
    case SQLITE_NOMEM:
        code = ERR_NO_MEMORY;
        break;
    case SQLITE_PERM:
    case SQLITE_READONLY:
        code = ERR_DENIED;
        break;
    case SQLITE_CANTOPEN: {
        int errno_value = system_errno(db);
        code = disk_is_full(errno_value) ? ERR_STORE_FULL : errno_value ? err_from_errno(errno_value) : ERR_IO;
        break;
    }
    default:
        break;
    }
    int errno_value = (extended & 0xff) == SQLITE_IOERR ? system_errno(db) : 0;
    return err_set(err, code, "%s: %s%s%s", what, sqlite3_errmsg(db), errno_value ? ": " : "", errno_value ? strerror(errno_value) : "");
}

int db_exec(sqlite3 *db, const char *sql, struct err *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(db, err, "sqlite");
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct err *err)
{
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL) == SQLITE_OK ? 0 : db_error(db, err, "sqlite");
}

int db_row(sqlite3_stmt *statement, struct err *err)
{
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        return 1;
    int code = result == SQLITE_DONE ? 0 : db_error(sqlite3_db_handle(statement), err, "sqlite");
    sqlite3_reset(statement);
    return code;
}

int db_run(sqlite3_stmt *statement, struct err *err)
{
    int code = db_row(statement, err);
    must(code <= 0);
    return code;
}

int db_number(sqlite3 *db, const char *sql, int64_t *ret, struct err *err)
{
    cleanup_statement sqlite3_stmt *statement = NULL;
    int code = db_prepare(db, sql, &statement, err);
    if (code == 0)
        code = db_row(statement, err);
    if (code >= 0)
        *ret = code == 1 ? sqlite3_column_int64(statement, 0) : 0;
    return code < 0 ? code : 0;
}

void db_bind_i64(sqlite3_stmt *statement, int position, int64_t value)
{
    must(sqlite3_bind_int64(statement, position, value) == SQLITE_OK);
}

void db_bind_u64(sqlite3_stmt *statement, int position, uint64_t value)
{
    must(value <= INT64_MAX);
    db_bind_i64(statement, position, (int64_t)value);
}

void db_bind_text(sqlite3_stmt *statement, int position, const char *text)
{
    must(sqlite3_bind_text(statement, position, text, -1, SQLITE_STATIC) == SQLITE_OK);
}

void db_bind_blob(sqlite3_stmt *statement, int position, const void *data, size_t len)
{
    // An empty blob is bound as such: a NULL pointer would bind NULL.
    must(sqlite3_bind_blob64(statement, position, len ? data : "", len, SQLITE_STATIC) == SQLITE_OK);
}

void db_close(sqlite3 *db)
{
    if (db)
        must(sqlite3_close(db) == SQLITE_OK);
}

// SQLite would create the file with the umask's mode; it holds what people run, so it is made private first.
static int make_file(const char *path, struct err *err)
{
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, err_from_errno(errno), "open '%s'", path);
    return 0;
}

static int check_schema(sqlite3 *db, const char *path, const struct db_schema *schema, struct err *err)
{
    int64_t application_id = 0, version = 0;
    int code = db_number(db, "PRAGMA application_id", &application_id, err);
    if (code == 0)
        code = db_number(db, "PRAGMA user_version", &version, err);
    if (code < 0)
        return code;
    if (application_id != schema->application_id)
        return err_set(err, ERR_STORE_CORRUPT, "'%s' is not the %s of a Muster server", path, schema->what);
    if (version != schema->version)
        return err_set(err, ERR_VERSION, "'%s' has version %lld of the %s; this program understands version %u: use a %s program", path,
                       (long long)version, schema->what, schema->version, version > schema->version ? "newer" : "older");
    return 0;
}

// Makes the schema, all of it or nothing.
static int make_schema(sqlite3 *db, const struct db_schema *schema, struct err *err)
{
    int code = db_exec(db, "BEGIN IMMEDIATE", err);
    if (code == 0)
        code = db_exec(db, schema->sql, err);
    if (code == 0)
        code = db_exec(db, "COMMIT", err);
    if (code < 0)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

static int use_wal(sqlite3 *db, const char *path, struct err *err)
{
    cleanup_statement sqlite3_stmt *statement = NULL;
    int code = db_prepare(db, "PRAGMA journal_mode = WAL", &statement, err);
    if (code == 0)
        code = db_row(statement, err);
    if (code < 0)
        return code;
    const char *mode = (const char *)sqlite3_column_text(statement, 0);
    if (mode == NULL || strcmp(mode, "wal") != 0)
        return err_set(err, ERR_UNSUPPORTED, "the file system of '%s' does not allow a write-ahead log; use a local disk", path);
    return 0;
}

static const char *page_size_sql(uint32_t page_bytes)
{
    switch (page_bytes) {
    case 4096:
        return "PRAGMA page_size = 4096";
    case 8192:
        return "PRAGMA page_size = 8192";
    case 16384:
        return "PRAGMA page_size = 16384";
    default:
        unreachable();
    }
}

static int set_up(sqlite3 *db, const char *path, enum db_open mode, const struct db_schema *schema, struct err *err)
{
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, BUSY_MILLIS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    int64_t objects = 0;
    int code = db_number(db, "SELECT count(*) FROM sqlite_schema", &objects, err);
    if (code == 0 && mode == DB_WRITE && objects == 0) {
        code = db_exec(db, page_size_sql(schema->page_bytes), err);
        if (code == 0)
            code = use_wal(db, path, err);
        if (code == 0)
            code = make_schema(db, schema, err);
    }
    if (code == 0)
        code = check_schema(db, path, schema, err);
    if (code == 0 && mode == DB_WRITE)
        code = use_wal(db, path, err);
    if (code == 0)
        code = db_exec(db, "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY", err);
    return code;
}

int db_open(const char *path, enum db_open mode, const struct db_schema *schema, sqlite3 **ret_db, struct err *err)
{
    must(sqlite3_threadsafe() != 0);
    int code = mode == DB_WRITE ? make_file(path, err) : 0;
    if (code < 0)
        return code;
    int flags = (mode == DB_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK)
        code = db_error(db, err, "sqlite");
    if (code == 0)
        code = set_up(db, path, mode, schema, err);
    if (code < 0) {
        db_close(db);
        return err_wrap(err, code, "open '%s'", path);
    }
    *ret_db = db;
    return 0;
}
