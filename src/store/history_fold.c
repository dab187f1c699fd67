// SPDX-License-Identifier: Apache-2.0
// Rows of the history in memory, from their first touch in a call to the end of it, and the ids that the writer remembers.
#include "store/history_fold.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"

enum {
    TAIL_BYTES = 512, // packed results that stay in the row of the run
    POOL_RUNS = 16384,
    POOL_BUF_BYTES = 1024,
    SPECS_MAX = 16384,
    IDS_MAX = 65536,
};

struct history_fold *history_fold_new(void)
{
    return mem_alloc(sizeof(struct history_fold));
}

static void free_run(struct fold_run *run)
{
    buf_release(&run->nodes);
    buf_release(&run->tail);
    mem_free(run);
}

void history_fold_forget(struct history_fold *fold)
{
    for (size_t i = 0; i < fold->n_specs; i++)
        mem_free(fold->spec[i]);
    fold->n_specs = 0;
    map_release(&fold->spec_by_hash);
    map_init(&fold->spec_by_hash);
    strmap_release(&fold->ids);
    strmap_init(&fold->ids);
    arena_release(&fold->ids_arena);
}

void history_fold_free(struct history_fold *fold)
{
    if (fold == NULL)
        return;
    history_fold_forget(fold);
    for (size_t i = 0; i < fold->n_pool; i++)
        free_run(fold->run[i]);
    mem_free(fold->run);
    mem_free(fold->spec);
    map_release(&fold->run_by_id);
    buf_release(&fold->key);
    buf_release(&fold->set);
    buf_release(&fold->labels);
    mem_free(fold);
}

void fold_clear(struct history_fold *fold)
{
    while (fold->n_pool > POOL_RUNS)
        free_run(fold->run[--fold->n_pool]);
    fold->n_runs = 0;
    fold->slot_last = 0;
    map_release(&fold->run_by_id);
    map_init(&fold->run_by_id);
    if (fold->n_specs > SPECS_MAX || strmap_len(&fold->ids) > IDS_MAX)
        history_fold_forget(fold);
}

static void reuse_buf(struct buf *buf)
{
    if (buf->cap > POOL_BUF_BYTES)
        buf_release(buf);
    else
        buf_clear(buf);
}

struct fold_run *fold_run_add(struct history_fold *fold, uint64_t run_id)
{
    if (fold->n_runs == fold->cap_runs) {
        fold->cap_runs = fold->cap_runs ? 2 * fold->cap_runs : 256;
        fold->run = mem_realloc_array(fold->run, fold->cap_runs, sizeof(fold->run[0]));
    }
    if (fold->n_runs == fold->n_pool)
        fold->run[fold->n_pool++] = mem_alloc(sizeof(struct fold_run));
    struct fold_run *run = fold->run[fold->n_runs++];
    reuse_buf(&run->nodes);
    reuse_buf(&run->tail);
    *run = (struct fold_run){.run_id = run_id, .nodes = run->nodes, .tail = run->tail, .span = INDEX_SPAN_EMPTY};
    map_put(&fold->run_by_id, run_id, run);
    return run;
}

int fold_run_get(struct history *history, uint64_t run_id, struct fold_run **ret_run, struct err *err)
{
    struct fold_run *run = map_get(&history->fold->run_by_id, run_id);
    if (run) {
        *ret_run = run;
        return 0;
    }
    sqlite3_stmt *row;
    int code = history_statement(history, H_RUN_LOAD, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, run_id);
    code = db_row(row, err);
    if (code < 0)
        return code;
    run = fold_run_add(history->fold, run_id);
    *ret_run = run;
    if (code == 0)
        return 0;
    run->exists = true;
    run->state = (enum run_state)sqlite3_column_int(row, 0);
    run->held = sqlite3_column_int(row, 1) != 0;
    uint32_t *counts[] = {&run->n_active, &run->n_succeeded, &run->n_failed, &run->n_cancelled, &run->n_expired, &run->n_lost};
    for (int i = 0; i < 6; i++)
        *counts[i] = (uint32_t)sqlite3_column_int64(row, 2 + i);
    run->started_usec = sqlite3_column_int64(row, 8);
    run->ended_usec = sqlite3_column_int64(row, 9);
    run->span = (struct index_span){(uint32_t)sqlite3_column_int64(row, 10), (uint32_t)sqlite3_column_int64(row, 11)};
    struct bytes nodes = history_column_bytes(row, 12), tail = history_column_bytes(row, 13);
    buf_add(&run->nodes, nodes.data, nodes.len);
    buf_add(&run->tail, tail.data, tail.len);
    run->n_tasks = (uint32_t)sqlite3_column_int64(row, 14);
    sqlite3_reset(row);
    return 0;
}

// The id of a pair of texts in a table with the two statements; inserted if it is new.
static int get_id(struct history *history, enum history_statement find, enum history_statement insert, const char *first, const char *second,
                  uint64_t *ret_id, struct err *err)
{
    struct history_fold *fold = history->fold;
    buf_clear(&fold->key);
    buf_addc(&fold->key, (char)find);
    buf_adds(&fold->key, first);
    buf_addc(&fold->key, '\0');
    buf_adds(&fold->key, second);
    void *known = strmap_get_n(&fold->ids, fold->key.data, fold->key.len);
    if (known) {
        *ret_id = (uint64_t)(uintptr_t)known;
        return 0;
    }
    sqlite3_stmt *row;
    int code = history_statement(history, find, &row, err);
    if (code < 0)
        return code;
    db_bind_text(row, 1, first);
    db_bind_text(row, 2, second);
    code = db_row(row, err);
    if (code < 0)
        return code;
    if (code == 1) {
        *ret_id = (uint64_t)sqlite3_column_int64(row, 0);
        sqlite3_reset(row);
    } else {
        code = history_statement(history, insert, &row, err);
        if (code < 0)
            return code;
        db_bind_text(row, 1, first);
        db_bind_text(row, 2, second);
        code = db_run(row, err);
        if (code < 0)
            return code;
        *ret_id = (uint64_t)sqlite3_last_insert_rowid(history->db);
    }
    must(*ret_id > 0);
    strmap_put_n(&fold->ids, arena_memdup(&fold->ids_arena, fold->key.data, fold->key.len), fold->key.len, (void *)(uintptr_t)*ret_id);
    return 0;
}

static int insert_spec(struct history *history, struct fold_spec *known, const struct job_spec *spec, struct bytes packed, struct err *err)
{
    struct history_fold *fold = history->fold;
    sqlite3_stmt *row;
    int code = history_statement(history, H_SPEC_INSERT, &row, err);
    if (code < 0)
        return code;
    buf_clear(&fold->set);
    buf_clear(&fold->labels);
    history_pack_set(&fold->set, &spec->tasks);
    history_pack_labels(&fold->labels, spec->labels, spec->n_labels);
    db_bind_blob(row, 1, known->hash, SPEC_HASH_BYTES);
    db_bind_u64(row, 2, known->name_id);
    db_bind_text(row, 3, spec->queue);
    db_bind_i64(row, 4, spec->priority);
    db_bind_i64(row, 5, spec->tasks.count);
    db_bind_blob(row, 6, fold->set.data, fold->set.len);
    db_bind_blob(row, 7, fold->labels.data, fold->labels.len);
    db_bind_blob(row, 8, packed.data, packed.len);
    code = db_run(row, err);
    if (code < 0)
        return code;
    known->spec_id = (uint64_t)sqlite3_last_insert_rowid(history->db);
    return 0;
}

// Finds or makes the ids of a spec that the writer does not remember.
static int learn_spec(struct history *history, struct fold_spec *known, const struct job_spec *spec, struct bytes packed, struct err *err)
{
    int code = get_id(history, H_NAME_FIND, H_NAME_INSERT, spec->name ? spec->name : "", spec->namespace_name, &known->name_id, err);
    for (size_t i = 0; i < known->n_labels && code == 0; i++)
        code = get_id(history, H_LABEL_FIND, H_LABEL_INSERT, spec->labels[i].key, spec->labels[i].value, &known->label_id[i], err);
    sqlite3_stmt *row;
    if (code == 0)
        code = history_statement(history, H_SPEC_FIND, &row, err);
    if (code < 0)
        return code;
    db_bind_blob(row, 1, known->hash, SPEC_HASH_BYTES);
    code = db_row(row, err);
    if (code < 0)
        return code;
    if (code == 0)
        return insert_spec(history, known, spec, packed, err);
    known->spec_id = (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_reset(row);
    return 0;
}

int fold_spec_get(struct history *history, const struct job_spec *spec, struct bytes packed, struct fold_spec **ret_spec, struct err *err)
{
    struct history_fold *fold = history->fold;
    uint8_t hash[SPEC_HASH_BYTES];
    uint64_t key;
    SHA256(packed.data, packed.len, hash);
    memcpy(&key, hash, sizeof(key));
    struct fold_spec *known = map_get(&fold->spec_by_hash, key);
    if (known && memcmp(known->hash, hash, sizeof(hash)) == 0) {
        known->n_new_runs++;
        *ret_spec = known;
        return 0;
    }
    known = mem_alloc(sizeof(*known) + spec->n_labels * sizeof(known->label_id[0]));
    memcpy(known->hash, hash, sizeof(hash));
    known->n_tasks = spec->tasks.count;
    known->n_labels = spec->n_labels;
    int code = learn_spec(history, known, spec, packed, err);
    if (code < 0) {
        mem_free(known);
        return code;
    }
    if (fold->n_specs == fold->cap_specs) {
        fold->cap_specs = fold->cap_specs ? 2 * fold->cap_specs : 64;
        fold->spec = mem_realloc_array(fold->spec, fold->cap_specs, sizeof(fold->spec[0]));
    }
    fold->spec[fold->n_specs++] = known;
    map_put(&fold->spec_by_hash, key, known);
    known->n_new_runs = 1;
    *ret_spec = known;
    return 0;
}

int fold_block_write(struct history *history, struct fold_run *run, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, H_BLOCK_INSERT, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, run->run_id);
    db_bind_u64(row, 2, run->span.first);
    db_bind_u64(row, 3, run->span.last);
    db_bind_blob(row, 4, run->tail.data, run->tail.len);
    code = db_run(row, err);
    if (code < 0)
        return code;
    buf_clear(&run->tail);
    run->span = INDEX_SPAN_EMPTY;
    return 0;
}

static void bind_run(sqlite3_stmt *row, const struct fold_run *run)
{
    db_bind_u64(row, 1, run->run_id);
    db_bind_i64(row, 2, run->held);
    const uint32_t counts[] = {run->n_active, run->n_succeeded, run->n_failed, run->n_cancelled, run->n_expired, run->n_lost};
    for (int i = 0; i < 6; i++)
        db_bind_i64(row, 3 + i, counts[i]);
    db_bind_i64(row, 9, run->started_usec);
    db_bind_i64(row, 10, run->span.first);
    db_bind_i64(row, 11, run->span.last);
    db_bind_blob(row, 12, run->nodes.data, run->nodes.len);
    db_bind_blob(row, 13, run->tail.data, run->tail.len);
}

static int insert_run(struct history *history, const struct fold_run *run, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, H_RUN_INSERT, &row, err);
    if (code < 0)
        return code;
    bind_run(row, run);
    db_bind_i64(row, 14, run->state);
    db_bind_i64(row, 15, run->ended_usec);
    db_bind_u64(row, 16, run->spec->spec_id);
    db_bind_u64(row, 17, run->spec->name_id);
    db_bind_u64(row, 18, run->submitted->job_id);
    db_bind_i64(row, 19, run->submitted->job_version);
    db_bind_i64(row, 20, run->submitted_usec);
    db_bind_i64(row, 21, run->submitted->nominal_usec);
    db_bind_u64(row, 22, run->submitted->rerun_of);
    db_bind_text(row, 23, run->submitted->submitted_by);
    db_bind_blob(row, 24, run->submitted->params.data, run->submitted->params.len);
    db_bind_u64(row, 25, run->submitted->backfill_id);
    code = db_run(row, err);
    for (size_t i = 0; i < run->spec->n_labels && code == 0; i++) {
        code = history_statement(history, H_RUN_LABEL_INSERT, &row, err);
        if (code < 0)
            break;
        db_bind_u64(row, 1, run->spec->label_id[i]);
        db_bind_u64(row, 2, run->run_id);
        code = db_run(row, err);
    }
    return code;
}

static int write_run(struct history *history, struct fold_run *run, struct err *err)
{
    if (!run->exists)
        return 0;
    int code = run->tail.len > TAIL_BYTES ? fold_block_write(history, run, err) : 0;
    if (code < 0)
        return code;
    if (run->is_new)
        return insert_run(history, run, err);
    sqlite3_stmt *row;
    code = history_statement(history, run->state_changed ? H_RUN_UPDATE_STATE : H_RUN_UPDATE, &row, err);
    if (code < 0)
        return code;
    bind_run(row, run);
    if (run->state_changed) {
        db_bind_i64(row, 14, run->state);
        db_bind_i64(row, 15, run->ended_usec);
    }
    return db_run(row, err);
}

static int by_id(const void *a, const void *b)
{
    const struct fold_run *const *x = a, *const *y = b;
    return ((*x)->run_id > (*y)->run_id) - ((*x)->run_id < (*y)->run_id);
}

static int write_slot(struct history *history, struct err *err)
{
    const struct history_fold *fold = history->fold;
    if (fold->slot_last == 0)
        return 0;
    sqlite3_stmt *row;
    int code = history_statement(history, H_SLOT_SET, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, fold->slot);
    db_bind_u64(row, 2, fold->slot_first);
    db_bind_u64(row, 3, fold->slot_last);
    return db_run(row, err);
}

// Widens the bounds of a slot of submission time.
static int add_to_slot(struct history *history, const struct fold_run *run, struct err *err)
{
    struct history_fold *fold = history->fold;
    uint64_t slot = (uint64_t)usec_max(run->submitted_usec, 0) / HISTORY_SLOT_USEC;
    if (fold->slot_last != 0 && fold->slot != slot) {
        int code = write_slot(history, err);
        if (code < 0)
            return code;
        fold->slot_last = 0;
    }
    if (fold->slot_last == 0) {
        fold->slot = slot;
        fold->slot_first = fold->slot_last = run->run_id;
    }
    if (run->run_id < fold->slot_first)
        fold->slot_first = run->run_id;
    if (run->run_id > fold->slot_last)
        fold->slot_last = run->run_id;
    return 0;
}

static int write_spec_counts(struct history *history, struct err *err)
{
    struct history_fold *fold = history->fold;
    for (size_t i = 0; i < fold->n_specs; i++) {
        struct fold_spec *spec = fold->spec[i];
        if (spec->n_new_runs == 0)
            continue;
        sqlite3_stmt *row;
        int code = history_statement(history, H_SPEC_COUNT, &row, err);
        if (code < 0)
            return code;
        db_bind_u64(row, 1, spec->spec_id);
        db_bind_i64(row, 2, spec->n_new_runs);
        code = db_run(row, err);
        if (code < 0)
            return code;
        spec->n_new_runs = 0;
    }
    return 0;
}

int fold_write(struct history *history, struct err *err)
{
    struct history_fold *fold = history->fold;
    // In order of id, so that neighbours in the tables are written together.
    if (fold->n_runs > 0)
        qsort(fold->run, fold->n_runs, sizeof(fold->run[0]), by_id);
    int code = 0;
    for (size_t i = 0; i < fold->n_runs && code == 0; i++) {
        code = write_run(history, fold->run[i], err);
        if (code == 0 && fold->run[i]->is_new)
            code = add_to_slot(history, fold->run[i], err);
    }
    if (code == 0)
        code = write_slot(history, err);
    if (code == 0)
        code = write_spec_counts(history, err);
    return code;
}
