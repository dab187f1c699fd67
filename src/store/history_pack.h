// SPDX-License-Identifier: Apache-2.0
// What happened to the tasks of a run, packed: entries in the order of the log, each in a few bytes (about 25 for a task that ran).
// They stand in the column `tail` of the run until they fill a row of the table `blocks`; reading a task means folding the entries
// that name it. This shape is the history's own: it can be rebuilt, so it needs no evolution beyond the version of the schema.
#pragma once

#include "base/buf.h"
#include "model/record.h"

// Lowest and highest index that packed entries name.
struct index_span {
    uint32_t first, last; // first > last: none
};

#define INDEX_SPAN_EMPTY ((struct index_span){UINT32_MAX, 0})

// Longest message kept of an attempt; the rest is cut.
enum { HISTORY_MESSAGE_BYTES = 1000 };

// Each appends one entry for the record and widens the span.
void history_pack_placed(struct buf *, struct index_span *, const struct record *);
void history_pack_cancelled(struct buf *, struct index_span *, const struct record *);
// Entries from..to-1 of a REC_TASKS_ENDED.
void history_pack_ended(struct buf *, struct index_span *, const struct record *, size_t from, size_t to);

enum happened_kind { HAPPENED_PLACED = 1, HAPPENED_ENDED, HAPPENED_CANCELLED };

// What happened to one task, or (CANCELLED) to the tasks first..last.
struct happened {
    enum happened_kind kind;
    usec_t at_usec;
    uint32_t first, last; // PLACED, ENDED: the same
    uint32_t attempt;
    uint32_t node_id;
    bool all;             // CANCELLED: only those of first..last that are neither active nor ended
    enum task_state to;   // ENDED, CANCELLED
    usec_t retry_usec;
    uint64_t fence;
    struct attempt_end end; // ENDED; message is not filled
    const uint8_t *message; // borrowed from the bytes, without a NUL; NULL: none
    size_t message_len;
};

// Calls visit for everything in the bytes, in order. ERR_STORE_CORRUPT when they are no entries.
int history_unpack(struct bytes, void (*visit)(void *, const struct happened *), void *context, struct err *);
