// SPDX-License-Identifier: Apache-2.0
// Reading runs and fires. A page of runs is found in two steps: ids, by the one index that says most about the filter (the rest of the
// filter is tested on the way), newest first; then a view for each id.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/history_inside.h"

enum { LABELS_MAX = 16, KEYS_MAX = 256 };

// What an index is searched by, best first. Each is one value of a column; a filter may give several.
enum driver { BY_NAME, BY_LABEL, BY_NODE, BY_STATE, BY_ID };

// Positions of values: ?1 the driver's, ?2 and ?8 bounds of ids, the others as their texts say. Constant texts only are put together.
static const char *const driver_sql[] = {
    [BY_NAME] = "SELECT r.run_id FROM runs r INDEXED BY runs_by_name WHERE r.name_id = ?1",
    [BY_LABEL] = "SELECT r.run_id FROM run_labels d CROSS JOIN runs r ON r.run_id = d.run_id"
                 " WHERE d.label_id = ?1 AND d.run_id < ?2 AND d.run_id >= ?8",
    [BY_NODE] = "SELECT r.run_id FROM run_nodes d CROSS JOIN runs r ON r.run_id = d.run_id"
                " WHERE d.node_id = ?1 AND d.run_id < ?2 AND d.run_id >= ?8",
    [BY_STATE] = "SELECT r.run_id FROM runs r INDEXED BY runs_by_state WHERE r.state = ?1",
    [BY_ID] = "SELECT r.run_id FROM runs r NOT INDEXED WHERE ?1 = 0",
};
static const char filter_sql[] =
    " AND r.run_id < ?2 AND r.run_id >= ?8 AND (?3 = 0 OR (1 << +r.state) & ?3 <> 0) AND r.submitted_usec >= ?4 AND r.submitted_usec < ?5"
    " AND (?6 IS NULL OR +r.name_id IN (SELECT name_id FROM job_names WHERE namespace = ?6))"
    " AND (?7 IS NULL OR EXISTS (SELECT 1 FROM run_nodes t JOIN nodes m ON m.node_id = t.node_id WHERE m.name = ?7 AND t.run_id = r.run_id))";
static const char label_sql[] = " AND EXISTS (SELECT 1 FROM run_labels t WHERE t.run_id = r.run_id AND t.label_id = ?)";
static const char order_sql[] = " ORDER BY r.run_id DESC LIMIT ?9";
static const char order_driver_sql[] = " ORDER BY d.run_id DESC LIMIT ?9";
enum { FIRST_LABEL = 10 };

struct search {
    const struct run_filter *filter;
    enum driver driver;
    uint64_t key[KEYS_MAX]; // of the driver
    size_t n_keys;
    uint64_t label_id[LABELS_MAX];
    uint64_t before, from; // bounds of ids
    bool nothing;          // no run can match
};

static int find_keys(struct search *search, sqlite3_stmt *row, struct err *err)
{
    int code;
    search->n_keys = 0;
    while ((code = db_row(row, err)) == 1) {
        if (search->n_keys == KEYS_MAX) {
            sqlite3_reset(row);
            return err_set(err, ERR_LIMIT, "more than %d jobs or nodes have this name; give a namespace", KEYS_MAX);
        }
        search->key[search->n_keys++] = (uint64_t)sqlite3_column_int64(row, 0);
    }
    search->nothing |= search->n_keys == 0;
    return code;
}

static int find_labels(struct history *history, struct search *search, struct err *err)
{
    const struct run_filter *filter = search->filter;
    if (filter->n_labels > LABELS_MAX)
        return err_set(err, ERR_INVALID, "at most %d labels can be asked for at once", LABELS_MAX);
    for (size_t i = 0; i < filter->n_labels; i++) {
        sqlite3_stmt *row;
        int code = history_statement(history, H_LABEL_FIND, &row, err);
        if (code < 0)
            return code;
        db_bind_text(row, 1, filter->labels[i].key);
        db_bind_text(row, 2, filter->labels[i].value);
        code = db_row(row, err);
        if (code < 0)
            return code;
        if (code == 0) {
            search->nothing = true;
            continue;
        }
        search->label_id[i] = (uint64_t)sqlite3_column_int64(row, 0);
        sqlite3_reset(row);
    }
    return 0;
}

static int choose_driver(struct history *history, struct search *search, struct err *err)
{
    const struct run_filter *filter = search->filter;
    sqlite3_stmt *row;
    if (filter->job_name) {
        search->driver = BY_NAME;
        int code = history_statement(history, H_NAMES_BY_NAME, &row, err);
        if (code < 0)
            return code;
        db_bind_text(row, 1, filter->job_name);
        db_bind_text(row, 2, filter->namespace_name);
        return find_keys(search, row, err);
    }
    if (filter->n_labels > 0) {
        search->driver = BY_LABEL;
        search->key[search->n_keys++] = search->label_id[0];
        return 0;
    }
    if (filter->node) {
        search->driver = BY_NODE;
        int code = history_statement(history, H_NODES_BY_NAME, &row, err);
        if (code < 0)
            return code;
        db_bind_text(row, 1, filter->node);
        return find_keys(search, row, err);
    }
    search->driver = filter->states ? BY_STATE : BY_ID;
    for (uint64_t state = 0; filter->states && state < RUN_STATES; state++) {
        if (filter->states & 1u << state)
            search->key[search->n_keys++] = state;
    }
    if (!filter->states)
        search->key[search->n_keys++] = 0;
    search->nothing |= search->n_keys == 0;
    return 0;
}

// A slot gives a bound of ids: exact times are tested on each run.
static int bound_by_slot(struct history *history, enum history_statement which, usec_t time_usec, uint64_t *ret_bound, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, which, &row, err);
    if (code < 0)
        return code;
    db_bind_i64(row, 1, usec_max(time_usec, 0) / HISTORY_SLOT_USEC);
    code = db_row(row, err);
    if (code < 0)
        return code;
    // NULL, which reads as 0: no run was submitted then.
    *ret_bound = code == 1 ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    return 0;
}

static int find_bounds(struct history *history, struct search *search, struct err *err)
{
    const struct run_filter *filter = search->filter;
    search->before = filter->before && filter->before < INT64_MAX ? filter->before : INT64_MAX;
    uint64_t bound;
    int code = 0;
    if (filter->since_usec) {
        code = bound_by_slot(history, H_SLOT_SINCE, filter->since_usec, &bound, err);
        search->from = bound;
        search->nothing |= bound == 0;
    }
    if (code == 0 && filter->until_usec) {
        code = bound_by_slot(history, H_SLOT_UNTIL, filter->until_usec, &bound, err);
        if (bound + 1 < search->before)
            search->before = bound + 1;
    }
    return code;
}

static int prepare_search(struct history *history, const struct search *search, sqlite3_stmt **ret_row, struct err *err)
{
    const struct run_filter *filter = search->filter;
    size_t n_tested = search->driver == BY_LABEL ? filter->n_labels - 1 : filter->n_labels;
    struct buf sql;
    buf_init(&sql);
    buf_adds(&sql, driver_sql[search->driver]);
    buf_adds(&sql, filter_sql);
    // The numbers of these values come from their place: each `?` is one more than the highest before it, which is kept at ?9.
    buf_adds(&sql, " AND ?9 > 0");
    for (size_t i = 0; i < n_tested; i++)
        buf_adds(&sql, label_sql);
    buf_adds(&sql, search->driver == BY_LABEL || search->driver == BY_NODE ? order_driver_sql : order_sql);
    int code = db_prepare(history->db, sql.data, ret_row, err);
    buf_release(&sql);
    if (code < 0)
        return code;
    sqlite3_stmt *row = *ret_row;
    db_bind_u64(row, 2, search->before);
    db_bind_i64(row, 3, filter->states);
    db_bind_i64(row, 4, filter->since_usec ? filter->since_usec : INT64_MIN);
    db_bind_i64(row, 5, filter->until_usec ? filter->until_usec : INT64_MAX);
    db_bind_text(row, 6, filter->namespace_name);
    db_bind_text(row, 7, search->driver == BY_NODE ? NULL : filter->node);
    db_bind_u64(row, 8, search->from);
    db_bind_u64(row, 9, filter->max);
    for (size_t i = 0; i < n_tested; i++)
        db_bind_u64(row, FIRST_LABEL + (int)i, search->label_id[filter->n_labels - n_tested + i]);
    return 0;
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

// Ids of the page, newest first. Each key of the driver gives its newest; the newest of all of them are the page.
static int find_ids(struct history *history, const struct search *search, struct arena *arena, uint64_t **ret_ids, size_t *ret_n, struct err *err)
{
    size_t max = search->filter->max, n = 0;
    uint64_t *ids = arena_array(arena, uint64_t, 2 * max);
    sqlite3_stmt *row;
    int code = prepare_search(history, search, &row, err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < search->n_keys && code == 0; i++) {
        db_bind_u64(row, 1, search->key[i]);
        while (n < 2 * max && (code = db_row(row, err)) == 1)
            ids[n++] = (uint64_t)sqlite3_column_int64(row, 0);
        if (code < 0)
            break;
        code = 0;
        sqlite3_reset(row);
        if (i > 0) {
            qsort(ids, n, sizeof(ids[0]), descending);
            size_t kept = 0;
            for (size_t j = 0; j < n; j++) {
                if (kept == 0 || ids[j] != ids[kept - 1])
                    ids[kept++] = ids[j];
            }
            n = kept;
        }
        if (n > max)
            n = max;
    }
    sqlite3_finalize(row);
    *ret_ids = ids;
    *ret_n = n;
    return code;
}

static int fill_view(sqlite3_stmt *row, uint64_t run_id, struct arena *arena, struct run_view *view, struct err *err)
{
    *view = (struct run_view){.run_id = run_id};
    view->job_id = (uint64_t)sqlite3_column_int64(row, 0);
    view->namespace_name = history_column_text(row, 1, arena);
    const char *name = history_column_text(row, 2, arena);
    view->job_name = name != NULL && name[0] ? name : NULL;
    view->job_version = (uint32_t)sqlite3_column_int64(row, 3);
    // SQLite checks no contents: one damaged row is an error of whoever asks for it, not the end of the server.
    if (sqlite3_column_int64(row, 4) < 0 || sqlite3_column_int64(row, 4) >= RUN_STATES)
        return err_set(err, ERR_STORE_CORRUPT, "what the history holds of run %llu is damaged", (unsigned long long)run_id);
    view->state = (enum run_state)sqlite3_column_int(row, 4);
    view->held = sqlite3_column_int(row, 5) != 0;
    uint32_t *counts[] = {&view->n_tasks,  &view->n_placed,    &view->n_succeeded, &view->n_failed,
                          &view->n_cancelled, &view->n_expired, &view->n_lost};
    uint64_t others = 0;
    for (int i = 0; i < 7; i++) {
        *counts[i] = (uint32_t)sqlite3_column_int64(row, 6 + i);
        others += i > 0 ? *counts[i] : 0;
    }
    view->n_pending = others < view->n_tasks ? (uint32_t)(view->n_tasks - others) : 0;
    view->submitted_usec = sqlite3_column_int64(row, 13);
    view->started_usec = sqlite3_column_int64(row, 14);
    view->ended_usec = sqlite3_column_int64(row, 15);
    view->nominal_usec = sqlite3_column_int64(row, 16);
    view->rerun_of = (uint64_t)sqlite3_column_int64(row, 17);
    view->queue = history_column_text(row, 18, arena);
    view->priority = sqlite3_column_int(row, 19);
    view->submitted_by = history_column_text(row, 20, arena);
    view->backfill_id = (uint64_t)sqlite3_column_int64(row, 23);
    struct bytes params = history_column_bytes(row, 22);
    if (params.len > 0)
        view->params = (struct bytes){arena_memdup(arena, params.data, params.len), params.len};
    return history_unpack_labels(history_column_bytes(row, 21), arena, &view->labels, &view->n_labels, err);
}

static int read_view(struct history *history, uint64_t run_id, struct arena *arena, struct run_view *ret_view, struct err *err)
{
    if (run_id > INT64_MAX)
        return err_set(err, ERR_NOT_FOUND, "no run %llu", (unsigned long long)run_id);
    sqlite3_stmt *row;
    int code = history_statement(history, H_RUN_VIEW, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, run_id);
    code = db_row(row, err);
    if (code < 0)
        return code;
    if (code == 0)
        return err_set(err, ERR_NOT_FOUND, "no run %llu", (unsigned long long)run_id);
    struct run_view view;
    code = fill_view(row, run_id, arena, &view, err);
    sqlite3_reset(row);
    if (code == 0)
        *ret_view = view;
    return code;
}

static int search_runs(struct history *history, const struct run_filter *filter, struct arena *arena, struct run_view **ret_runs, size_t *ret_n,
                       struct err *err)
{
    struct search search = {.filter = filter};
    int code = find_labels(history, &search, err);
    if (code == 0)
        code = choose_driver(history, &search, err);
    if (code == 0)
        code = find_bounds(history, &search, err);
    if (code < 0)
        return code;
    uint64_t *ids = NULL;
    size_t n = 0;
    if (!search.nothing && filter->max > 0)
        code = find_ids(history, &search, arena, &ids, &n, err);
    struct run_view *runs = arena_array(arena, struct run_view, n);
    for (size_t i = 0; i < n && code == 0; i++) {
        code = read_view(history, ids[i], arena, &runs[i], err);
        if (code == ERR_STORE_CORRUPT) {
            // One bad row is missing in the page, and not the page.
            runs[i] = (struct run_view){.run_id = ids[i], .damaged = true};
            code = 0;
            err_clear(err);
        }
    }
    if (code < 0)
        return code;
    *ret_runs = runs;
    *ret_n = n;
    return 0;
}

int history_runs(struct history *history, const struct run_filter *filter, struct arena *arena, struct run_view **ret_runs, size_t *ret_n,
                 struct err *err)
{
    must(filter->max < 1000000);
    // One transaction, so that every step sees the same history beside the writer.
    int code = history_run_statement(history, H_BEGIN_READ, err);
    if (code < 0)
        return code;
    code = search_runs(history, filter, arena, ret_runs, ret_n, err);
    history_roll_back(history);
    return code;
}

int history_run(struct history *history, uint64_t run_id, struct arena *arena, struct run_view *ret_run, struct err *err)
{
    int code = history_run_statement(history, H_BEGIN_READ, err);
    if (code < 0)
        return code;
    struct run_view view;
    sqlite3_stmt *row = NULL;
    code = read_view(history, run_id, arena, &view, err);
    if (code == 0)
        code = history_statement(history, H_RUN_SPEC, &row, err);
    if (code == 0) {
        db_bind_u64(row, 1, run_id);
        code = db_row(row, err);
    }
    if (code == 1) {
        struct bytes packed = history_column_bytes(row, 0);
        view.spec = (struct bytes){arena_memdup(arena, packed.data, packed.len), packed.len};
        sqlite3_reset(row);
        code = 0;
    }
    history_roll_back(history);
    if (code == 0)
        *ret_run = view;
    return code;
}

int history_fires(struct history *history, uint64_t job_id, usec_t before, size_t max, struct arena *arena, struct fire_view **ret_fires,
                  size_t *ret_n, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, H_FIRES, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, job_id);
    db_bind_i64(row, 2, before ? before : INT64_MAX);
    size_t n = 0, cap = max > 0 && max < 64 ? max : 64;
    struct fire_view *fires = arena_array(arena, struct fire_view, cap);
    while (max > 0 && (code = db_row(row, err)) == 1) {
        usec_t nominal_usec = sqlite3_column_int64(row, 0);
        // The page key is the instant: a page never ends between the triggers that share one.
        if (n >= max && fires[n - 1].nominal_usec != nominal_usec)
            break;
        if (n == cap) {
            struct fire_view *more = arena_array(arena, struct fire_view, 2 * cap);
            memcpy(more, fires, n * sizeof(*fires));
            fires = more;
            cap *= 2;
        }
        int64_t outcome = sqlite3_column_int64(row, 3);
        fires[n++] = (struct fire_view){
            .nominal_usec = nominal_usec,
            .at_usec = sqlite3_column_int64(row, 1),
            .trigger = (uint32_t)sqlite3_column_int64(row, 2),
            .outcome = outcome >= 0 && outcome < FIRE_OUTCOMES ? (enum fire_outcome)outcome : 0,
            .damaged = outcome < 0 || outcome >= FIRE_OUTCOMES,
            .run_id = (uint64_t)sqlite3_column_int64(row, 4),
            .n_missed = (uint64_t)sqlite3_column_int64(row, 5),
            .last_usec = sqlite3_column_int64(row, 6),
            .why = arena_strdup(arena, (const char *)sqlite3_column_text(row, 7)),
            .backfill_id = (uint64_t)sqlite3_column_int64(row, 8),
        };
    }
    sqlite3_reset(row);
    if (code < 0)
        return code;
    *ret_fires = fires;
    *ret_n = n;
    return 0;
}
