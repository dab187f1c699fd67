// SPDX-License-Identifier: Apache-2.0
// Retention: drops old runs with everything that only they refer to.
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "store/history_inside.h"

struct old_run {
    uint64_t run_id, spec_id, name_id;
    struct bytes nodes;
    const struct pair *labels;
    size_t n_labels;
};

static int run_with(struct history *history, enum history_statement which, uint64_t first, uint64_t second, int n_values, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, which, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, first);
    if (n_values == 2)
        db_bind_u64(row, 2, second);
    return db_run(row, err);
}

static int find_old(struct history *history, usec_t ended_before_usec, size_t max, struct arena *arena, struct old_run **ret_runs, size_t *ret_n,
                    struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, H_PURGE_RUNS, &row, err);
    if (code < 0)
        return code;
    struct old_run *runs = arena_array(arena, struct old_run, max);
    size_t n = 0;
    db_bind_i64(row, 1, ended_before_usec);
    db_bind_u64(row, 2, max);
    while ((code = db_row(row, err)) == 1) {
        must(n < max);
        struct old_run *run = &runs[n++];
        run->run_id = (uint64_t)sqlite3_column_int64(row, 0);
        run->spec_id = (uint64_t)sqlite3_column_int64(row, 1);
        run->name_id = (uint64_t)sqlite3_column_int64(row, 2);
        struct bytes nodes = history_column_bytes(row, 3);
        run->nodes = (struct bytes){arena_memdup(arena, nodes.data, nodes.len), nodes.len};
        code = history_unpack_labels(history_column_bytes(row, 4), arena, &run->labels, &run->n_labels, err);
        if (code < 0) {
            sqlite3_reset(row);
            return code;
        }
    }
    *ret_runs = runs;
    *ret_n = n;
    return code;
}

static int drop_label(struct history *history, const struct pair *label, uint64_t run_id, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, H_LABEL_FIND, &row, err);
    if (code < 0)
        return code;
    db_bind_text(row, 1, label->key);
    db_bind_text(row, 2, label->value);
    code = db_row(row, err);
    if (code != 1)
        return code;
    uint64_t label_id = (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_reset(row);
    code = run_with(history, H_PURGE_LABEL, label_id, run_id, 2, err);
    return code < 0 ? code : run_with(history, H_PURGE_LABEL_NAME, label_id, 0, 1, err);
}

static int drop_run(struct history *history, const struct old_run *run, struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < run->nodes.len && code == 0; i += sizeof(uint32_t)) {
        uint32_t node_id;
        memcpy(&node_id, run->nodes.data + i, sizeof(node_id));
        code = run_with(history, H_PURGE_NODE, node_id, run->run_id, 2, err);
    }
    for (size_t i = 0; i < run->n_labels && code == 0; i++)
        code = drop_label(history, &run->labels[i], run->run_id, err);
    if (code == 0)
        code = run_with(history, H_PURGE_BLOCKS, run->run_id, 0, 1, err);
    if (code == 0)
        code = run_with(history, H_PURGE_RUN, run->run_id, 0, 1, err);
    return code;
}

// One fewer run refers to the spec and to the name.
static int drop_shared(struct history *history, const struct old_run *run, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, H_SPEC_COUNT, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, run->spec_id);
    db_bind_i64(row, 2, -1);
    code = db_run(row, err);
    if (code == 0)
        code = run_with(history, H_PURGE_SPEC, run->spec_id, 0, 1, err);
    if (code == 0)
        code = run_with(history, H_PURGE_NAME, run->name_id, 0, 1, err);
    return code;
}

static int purge(struct history *history, usec_t ended_before_usec, size_t max, struct arena *arena, size_t *ret_dropped, struct err *err)
{
    struct old_run *runs = NULL;
    size_t n = 0;
    int code = find_old(history, ended_before_usec, max, arena, &runs, &n, err);
    for (size_t i = 0; i < n && code == 0; i++) {
        code = drop_run(history, &runs[i], err);
        if (code == 0)
            code = drop_shared(history, &runs[i], err);
    }
    static const enum history_statement fires[] = {H_PURGE_FIRES, H_PURGE_BACKFILLED};
    sqlite3_stmt *row;
    for (int i = 0; i < 2 && code == 0; i++) {
        code = history_statement(history, fires[i], &row, err);
        if (code < 0)
            break;
        db_bind_i64(row, 1, ended_before_usec);
        db_bind_u64(row, 2, max);
        code = db_run(row, err);
    }
    if (code == 0 && n > 0)
        code = history_run_statement(history, H_PURGE_SLOTS, err);
    *ret_dropped = n;
    return code;
}

int history_purge(struct history *history, usec_t ended_before_usec, size_t max, size_t *ret_dropped, struct err *err)
{
    must(!history->read_only && max > 0 && max < 1000000);
    int code = history_run_statement(history, H_BEGIN, err);
    if (code < 0)
        return code;
    cleanup_arena struct arena arena = {0};
    size_t dropped = 0;
    code = purge(history, ended_before_usec, max, &arena, &dropped, err);
    if (code == 0)
        code = history_run_statement(history, H_COMMIT, err);
    if (code < 0)
        history_roll_back(history);
    if (code < 0 || dropped > 0)
        history_fold_forget(history->fold); // ids of what was dropped may be given again
    if (code == 0)
        *ret_dropped = dropped;
    return code;
}
