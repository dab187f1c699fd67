// SPDX-License-Identifier: Apache-2.0
// Runs slow reads (queries of the history, big files) in one thread, so that the loop never waits for them; results come back on
// the loop. A read may ask to wait, for a second at most, until the history has come to a position: who was answered by a write
// sees it in the next list.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "net/loop.h"

struct history;
struct history_reader;

// One read; a field of its owner's struct, who keeps it until done was called.
struct history_read {
    struct list link;
    uint64_t position; // to wait for
    usec_t until_mono_usec;
    // In the thread. It may use nothing of the loop's; it fills err when it fails.
    int (*run)(struct history_read *, struct history *, struct err *);
    // On the loop, once. read->code tells how it went; ERR_INTERRUPTED when the server ends first.
    void (*done)(struct history_read *);
    int code;
    struct err err;
};

// path: data folder, whose history exists already.
int history_reader_open(const char *path, struct loop *, struct history_reader **ret_reader, struct err *);
// Calls done of every read that was not done. NULL is allowed.
void history_reader_close(struct history_reader *);

// Takes a read with run and done set. position: as far as the history must have come (0: anywhere).
void history_reader_ask(struct history_reader *, struct history_read *, uint64_t position);
// The history has come to a position. Reads wait for the one that was told last.
void history_reader_advanced(struct history_reader *, uint64_t position);
// Whether any read waits for a position.
bool history_reader_waits(const struct history_reader *);
