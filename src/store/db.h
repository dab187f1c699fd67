// SPDX-License-Identifier: Apache-2.0
// What the store and the history share of SQLite: opening with the settings that every connection of Muster has, the mapping of its
// results to codes of spec/errors.def, and a few short ways to run statements. Values are always bound, never written into SQL.
//
// Threads: a connection and its statements belong to one thread at a time.
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum db_open { DB_WRITE, DB_READ_ONLY };

// What a database of Muster says about itself.
struct db_schema {
    uint32_t application_id; // of the file, so that a foreign database is refused
    uint32_t version;        // user_version: a newer one is refused with ERR_VERSION
    uint32_t page_bytes;
    const char *sql;         // makes an empty database of this version
    const char *what;        // "store", "history": for sentences
};

// Opens (DB_WRITE: and creates, mode 0600) a database in WAL mode and makes or checks its schema. Gives a connection (db_close).
int db_open(const char *path, enum db_open, const struct db_schema *, sqlite3 **ret_db, struct err *);
// Finalizes nothing: every statement must be gone. NULL is allowed.
void db_close(sqlite3 *);

// The code for what the connection has just answered with: ERR_STORE_FULL (no space, quota or file size), ERR_STORE_BUSY,
// ERR_STORE_CORRUPT, ERR_NO_MEMORY, ERR_DENIED, else ERR_IO; never 0.
int db_error(sqlite3 *, struct err *, const char *what);

// Runs constant SQL without values.
int db_exec(sqlite3 *, const char *sql, struct err *);
// A statement for many uses, or (flags 0) for one. Gives it (sqlite3_finalize).
int db_prepare(sqlite3 *, const char *sql, sqlite3_stmt **ret_statement, struct err *);
// Steps a statement that answers with no row, and resets it.
int db_run(sqlite3_stmt *, struct err *);
// Steps: 1 a row, 0 no more (reset), or a code (reset).
int db_row(sqlite3_stmt *, struct err *);
// The single number that a statement without values answers with; 0 when there is no row.
int db_number(sqlite3 *, const char *sql, int64_t *ret, struct err *);

// Bindings by position, from 1. Borrowed until the statement is reset. u64 must be below 2^63.
void db_bind_u64(sqlite3_stmt *, int position, uint64_t);
void db_bind_i64(sqlite3_stmt *, int position, int64_t);
void db_bind_text(sqlite3_stmt *, int position, const char *text); // NULL binds NULL
void db_bind_blob(sqlite3_stmt *, int position, const void *data, size_t len);

static inline void db_finalize_(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
}
#define cleanup_statement __attribute__((cleanup(db_finalize_)))
