// SPDX-License-Identifier: Apache-2.0
// Whether SQLite's write-ahead log is whole. SQLite takes the first frame whose checksum is wrong for the end of the log, since a
// crash may have torn what was being written there, and forgets all that follows without a word. For a flipped bit or a lost sector in
// the middle that would mean acknowledged commits. The two can be told apart where every commit is synced before the next one
// begins (synchronous=FULL, which every writer of the store uses): behind a torn end there is never a commit with more behind it.
#pragma once

#include "base/err.h"

// Before the database is opened, with nobody else having it open. 0: the log is absent, whole, or torn at its end only.
// ERR_STORE_CORRUPT: commits are damaged, or the database that the log belongs to is gone; nothing was changed. ERR_IO, ERR_DENIED.
int wal_check(const char *db_path, struct err *err);
