// SPDX-License-Identifier: Apache-2.0
// The spawner's journal as bytes: what it accepted, started, saw end and may forget. Pure: exec/spool.h has the file.
//
// A file is a header (magic, a random salt) and records: length u32, checksum u32 (over the bytes, the length and the salt), then
// one kind byte and its fields. A record is never changed; what it says is undone by a later one. Zeros end a file.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "exec/instance.h"
#include "model/record.h"

enum { JOURNAL_HEADER_BYTES = 16, JOURNAL_RECORD_MAX = 8192, JOURNAL_MESSAGE_MAX = 1024 };

// Who an attempt is.
struct exec_ident {
    uint64_t fence, run_id;
    uint32_t index, attempt;
    enum delivery delivery;
};

// What a journal says of one attempt that was not forgotten.
struct journal_attempt {
    struct exec_ident ident;
    int32_t pid;        // 0: not known to have started
    uint64_t pid_ticks; // start of that process in ticks since boot, as in /proc/PID/stat
    usec_t start_usec;  // wall
    bool ended;
    struct attempt_end end; // when ended; end.message is owned by the state's list
};

// The fold of a journal.
struct journal_state {
    struct journal_attempt *attempts; // by fence
    size_t n_attempts;
    uint64_t *forgotten; // fences, oldest first, at most JOURNAL_FORGOTTEN_MAX
    size_t n_forgotten;
    char instance[INSTANCE_TEXT]; // of the last spawner that wrote; "" when none did
    char boot_id[40];
    bool cut;     // the end was torn: normal after a crash
    bool damaged; // records in the middle could not be read
};

// How many forgotten fences are remembered, so that an order that comes again is not obeyed again.
#define JOURNAL_FORGOTTEN_MAX 65536

void journal_header(struct buf *, uint64_t salt);
void journal_add_instance(struct buf *, uint64_t salt, const char *instance, const char *boot_id);
void journal_add_accepted(struct buf *, uint64_t salt, const struct exec_ident *);
void journal_add_started(struct buf *, uint64_t salt, uint64_t fence, int32_t pid, uint64_t pid_ticks, usec_t start_usec);
// A message is cut at JOURNAL_MESSAGE_MAX bytes.
void journal_add_ended(struct buf *, uint64_t salt, const struct exec_ident *, const struct attempt_end *);
void journal_add_forgotten(struct buf *, uint64_t salt, const uint64_t *fences, size_t n);

// Reads any bytes at all: whatever cannot be read is skipped and shows in cut or damaged. Fills *ret, to be released.
void journal_read(const void *data, size_t len, struct journal_state *ret);
void journal_state_release(struct journal_state *);
