// SPDX-License-Identifier: Apache-2.0
// What one history_write() has folded so far: rows are written once, at its end, however many records touched them. Also the ids of
// names, labels and specs that the writer remembers from call to call.
#pragma once

#include "base/map.h"
#include "store/history_inside.h"
#include "store/history_pack.h"

enum { SPEC_HASH_BYTES = 32 };

// A spec whose id is known.
struct fold_spec {
    uint8_t hash[SPEC_HASH_BYTES];
    uint64_t spec_id, name_id;
    uint32_t n_tasks;
    uint32_t n_new_runs; // in this call, not counted in its row yet
    size_t n_labels;
    uint64_t label_id[]; // n_labels
};

// A run that this call has touched.
struct fold_run {
    uint64_t run_id;
    bool exists; // false: its submission is not in the history (the log before it was gone); everything about it is passed over
    bool is_new; // submitted in this call: to be inserted
    bool state_changed;
    bool held;
    enum run_state state;
    uint32_t n_tasks, n_active, n_succeeded, n_failed, n_cancelled, n_expired, n_lost;
    usec_t started_usec, ended_usec;
    struct buf nodes; // node ids, 4 bytes each
    struct buf tail;
    struct index_span span; // of tail
    // Of a new run; borrowed from its record.
    const struct rec_run_submitted *submitted;
    usec_t submitted_usec;
    const struct fold_spec *spec;
};

struct history_fold {
    struct fold_run **run; // n_runs of this call; those up to n_pool are kept for the next one
    size_t n_runs, n_pool, cap_runs;
    struct map run_by_id;
    struct fold_spec **spec;
    size_t n_specs, cap_specs;
    struct map spec_by_hash; // first 8 bytes; of two that share them the newer
    struct strmap ids;       // of names and labels
    struct arena ids_arena;
    struct buf key, set, labels; // scratch
    uint64_t slot, slot_first, slot_last; // of submissions; slot_last 0: none
};

// The run, loaded from its row at its first use.
int fold_run_get(struct history *, uint64_t run_id, struct fold_run **ret_run, struct err *);
// A run that does not exist yet.
struct fold_run *fold_run_add(struct history_fold *, uint64_t run_id);
// The spec with its id, inserted if it is new; counts one more run.
int fold_spec_get(struct history *, const struct job_spec *, struct bytes packed, struct fold_spec **ret_spec, struct err *);
// Moves the packed results of the run into a row of blocks.
int fold_block_write(struct history *, struct fold_run *, struct err *);
// Writes every row that was touched.
int fold_write(struct history *, struct err *);
// Ready for the next call.
void fold_clear(struct history_fold *);
