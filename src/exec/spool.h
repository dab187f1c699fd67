// SPDX-License-Identifier: Apache-2.0
// The spawner's journal as a file: <folder>/spool/journal. The caller adds records, writes them with one call a turn, and asks for
// syncs, which a thread of the spool does: while one fdatasync runs, the next ends gather. The journal is rewritten (compacted)
// beside the old one and renamed when most of it is of the past.
//
// Threads: everything here is called by the spawner's main thread.
#pragma once

#include "exec/journal.h"

struct spool;

// Reads what is there into *ret_state (to be released by the caller), keeps a damaged file beside as journal.damaged.TIME, and begins
// a new journal with all of it. Folder is the open spool folder. *ret_note gets a sentence when something was cut or damaged.
int spool_open(int folder_fd, const char *instance, const char *boot_id, struct spool **ret_spool, struct journal_state *ret_state,
               char ret_note[static 200], struct err *err);
void spool_close(struct spool *);

void spool_accepted(struct spool *, const struct exec_ident *);
void spool_started(struct spool *, uint64_t fence, int32_t pid, uint64_t pid_ticks, usec_t start_usec);
void spool_ended(struct spool *, const struct exec_ident *, const struct attempt_end *);
void spool_forgotten(struct spool *, uint64_t fence);

// Position behind everything added so far.
uint64_t spool_added(const struct spool *);
// Writes what was added. On failure the rest stays, to be written by the next call; everything up to spool_written() is in the file.
int spool_write(struct spool *, struct err *err);
uint64_t spool_written(const struct spool *);
// Asks for everything written so far to be made durable.
void spool_sync(struct spool *);
// Everything up to here survives a power cut. The descriptor becomes readable when this may have grown; spool_collect() clears it.
uint64_t spool_synced(const struct spool *);
int spool_fd(const struct spool *);
// Returns the error of a sync or a rewrite that failed. After a failed sync nothing counts as durable until a rewrite has succeeded, which
// spool_wants_compaction() then asks for; the caller tries it again and again, at its own pace.
int spool_collect(struct spool *, struct err *err);

// Room for the records of this many attempts is kept allocated, so that a full disk does not stop ends from being recorded.
int spool_reserve(struct spool *, size_t n_unended, struct err *err);

// True when a rewrite pays. fill adds the records of everything not forgotten, and the forgotten fences, to the new journal.
bool spool_wants_compaction(const struct spool *, size_t n_live);
typedef void (*spool_fill)(void *context, struct buf *, uint64_t salt);
int spool_compact(struct spool *, spool_fill, void *context, struct err *err);
