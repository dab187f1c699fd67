// SPDX-License-Identifier: Apache-2.0
// Takes snapshots without stopping the loop: when one is due it forks, the child packs the state as it was at that moment into a file
// of the data folder and ends; the file is read by the reader's thread, and its bytes are handed to the engine once everything that
// the snapshot holds is durable.
#pragma once

#include "base/err.h"
#include "engine/engine.h"
#include "net/loop.h"
#include "server/history_reader.h"
#include "server/history_worker.h"

struct snapshotter;

struct snapshotter_options {
    const char *path; // data folder
    struct loop *loop;
    struct engine *engine;
    struct history_reader *reader;
    struct history_worker *worker; // asked how far the history is: the log that it needs is kept
};

// Borrows all of its options. Removes what an earlier process may have left.
struct snapshotter *snapshotter_new(const struct snapshotter_options *);
// Ends a child that is at work. Call after the reader was closed and before the engine is. NULL is allowed.
void snapshotter_free(struct snapshotter *);
// Call once a turn: begins a snapshot if one is due and none is under way.
void snapshotter_turn(struct snapshotter *);
