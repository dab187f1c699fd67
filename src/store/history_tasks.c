// SPDX-License-Identifier: Apache-2.0
// Reading tasks and attempts: folding what happened, in order. Tasks are folded in windows over the positions of the run's set, so that a
// page of a large array needs neither its million tasks in memory nor all of its blocks.
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "store/history_inside.h"
#include "store/history_pack.h"

enum { WINDOW_LEAST = 1024, WINDOW_MOST = 65536 };

struct task_slot {
    uint32_t attempt;
    enum task_state state;
    uint32_t node_id;
    bool ended;
    usec_t placed_usec, ended_usec, retry_usec;
    struct attempt_end end;
};

struct run_tasks {
    struct history *history;
    uint64_t run_id;
    enum run_state state;
    struct index_set set;
    struct bytes tail; // in the arena
};

struct window {
    const struct run_tasks *run;
    struct arena *arena; // of messages
    uint32_t position, n; // positions position .. position + n - 1
    struct task_slot *slot;
};

static int load_run(struct history *history, uint64_t run_id, struct arena *arena, struct run_tasks *ret_run, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, H_RUN_TASKS, &row, err);
    if (code < 0)
        return code;
    if (run_id <= INT64_MAX) {
        db_bind_u64(row, 1, run_id);
        code = db_row(row, err);
    }
    if (code < 0)
        return code;
    if (code == 0)
        return err_set(err, ERR_NOT_FOUND, "no run %llu", (unsigned long long)run_id);
    *ret_run = (struct run_tasks){.history = history, .run_id = run_id};
    ret_run->state = (enum run_state)sqlite3_column_int(row, 0);
    struct bytes tail = history_column_bytes(row, 3);
    ret_run->tail = (struct bytes){arena_memdup(arena, tail.data, tail.len), tail.len};
    code = history_unpack_set(history_column_bytes(row, 2), (uint32_t)sqlite3_column_int64(row, 1), arena, &ret_run->set, err);
    sqlite3_reset(row);
    return code;
}

// Visits everything that may name indexes first..last.
static int visit_blocks(const struct run_tasks *run, uint32_t first, uint32_t last, void (*visit)(void *, const struct happened *),
                        void *context, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(run->history, H_BLOCKS, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, run->run_id);
    db_bind_i64(row, 2, first);
    db_bind_i64(row, 3, last);
    while ((code = db_row(row, err)) == 1) {
        code = history_unpack(history_column_bytes(row, 0), visit, context, err);
        if (code < 0) {
            sqlite3_reset(row);
            return code;
        }
    }
    return code < 0 ? code : history_unpack(run->tail, visit, context, err);
}

static bool slot_active(const struct task_slot *slot)
{
    return slot->state == TASK_PLACED;
}

static char *message_of(struct arena *arena, const struct happened *happened)
{
    return happened->message ? arena_strndup(arena, (const char *)happened->message, happened->message_len) : NULL;
}

static void fold_one(struct window *window, struct task_slot *slot, const struct happened *happened)
{
    // What an earlier attempt left behind does not touch a later one.
    if (happened->attempt < slot->attempt)
        return;
    usec_t placed_usec = happened->attempt == slot->attempt ? slot->placed_usec : 0;
    slot->attempt = happened->attempt;
    slot->node_id = happened->node_id;
    slot->ended = happened->kind == HAPPENED_ENDED;
    if (!slot->ended) {
        slot->state = TASK_PLACED;
        slot->placed_usec = happened->at_usec;
        slot->ended_usec = slot->retry_usec = 0;
        slot->end = (struct attempt_end){.fence = happened->fence};
        return;
    }
    slot->state = happened->to;
    slot->placed_usec = placed_usec;
    slot->ended_usec = happened->at_usec;
    slot->retry_usec = happened->retry_usec;
    slot->end = happened->end;
    slot->end.message = message_of(window->arena, happened);
}

static void fold_cancelled(struct window *window, const struct happened *happened)
{
    const struct index_set *set = &window->run->set;
    for (uint32_t i = 0; i < window->n; i++) {
        struct task_slot *slot = &window->slot[i];
        uint32_t index = index_set_at(set, window->position + i);
        if (index < happened->first || index > happened->last || task_state_terminal(slot->state))
            continue;
        if (!happened->all || !slot_active(slot))
            slot->state = happened->to;
    }
}

static void fold_happened(void *context, const struct happened *happened)
{
    struct window *window = context;
    if (happened->kind == HAPPENED_CANCELLED) {
        fold_cancelled(window, happened);
        return;
    }
    uint32_t position;
    if (index_set_find(&window->run->set, happened->first, &position) && position >= window->position &&
        position - window->position < window->n)
        fold_one(window, &window->slot[position - window->position], happened);
}

// The run has ended and nothing was recorded of the task: it shared what became of the run.
static void settle(struct window *window)
{
    enum run_state run = window->run->state;
    if (!run_state_terminal(run))
        return;
    for (uint32_t i = 0; i < window->n; i++) {
        struct task_slot *slot = &window->slot[i];
        if (!task_state_terminal(slot->state) && !slot_active(slot))
            slot->state = run == RUN_EXPIRED ? TASK_EXPIRED : TASK_CANCELLED;
    }
}

static int fold_window(struct window *window, struct err *err)
{
    const struct index_set *set = &window->run->set;
    memset(window->slot, 0, window->n * sizeof(window->slot[0]));
    for (uint32_t i = 0; i < window->n; i++)
        window->slot[i].state = TASK_PENDING;
    int code = visit_blocks(window->run, index_set_at(set, window->position), index_set_at(set, window->position + window->n - 1), fold_happened,
                            window, err);
    if (code == 0)
        settle(window);
    return code;
}

// Calls visit for every task from `position` on, in order of index, until it returns false.
static int visit_tasks(const struct run_tasks *run, uint32_t position, size_t window_size, struct arena *arena,
                       bool (*visit)(void *, const struct run_tasks *, uint32_t index, const struct task_slot *, struct err *), void *context,
                       struct err *err)
{
    uint32_t size = window_size < WINDOW_LEAST ? WINDOW_LEAST : window_size > WINDOW_MOST ? WINDOW_MOST : (uint32_t)window_size;
    int code = 0;
    bool more = true;
    while (more && code == 0 && position < run->set.count) {
        struct window window = {.run = run, .arena = arena, .position = position};
        window.n = run->set.count - position < size ? run->set.count - position : size;
        window.slot = mem_alloc_array(window.n, sizeof(window.slot[0]));
        code = fold_window(&window, err);
        for (uint32_t i = 0; i < window.n && more && code == 0; i++)
            more = visit(context, run, index_set_at(&run->set, position + i), &window.slot[i], err);
        mem_free(window.slot);
        position += window.n;
        // A filter that matches few: look further at once.
        size = size < WINDOW_MOST / 4 ? 4 * size : WINDOW_MOST;
    }
    return code;
}

// Name of a node; "#12" when the history does not know it.
static int node_name(struct history *history, uint32_t node_id, struct arena *arena, const char **ret_name, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, H_NODE_NAME, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, node_id);
    code = db_row(row, err);
    if (code < 0)
        return code;
    *ret_name = code == 1 ? history_column_text(row, 0, arena) : arena_printf(arena, "#%u", node_id);
    sqlite3_reset(row);
    return 0;
}

static int fill_task(const struct run_tasks *run, uint32_t index, const struct task_slot *slot, struct arena *arena, struct task_view *view,
                     struct err *err)
{
    *view = (struct task_view){
        .run_id = run->run_id,
        .index = index,
        .attempt = slot->attempt,
        .state = slot->state,
        .fence = slot->end.fence,
        .placed_usec = slot->placed_usec,
        .started_usec = slot->end.start_usec,
        .ended_usec = slot->ended_usec,
        .ended = slot->ended,
        .end = slot->end,
        .retry_usec = slot->state == TASK_BACKOFF ? slot->retry_usec : 0,
    };
    return slot->attempt > 0 ? node_name(run->history, slot->node_id, arena, &view->node, err) : 0;
}

struct page {
    struct arena *arena;
    struct task_view *task;
    size_t n, max;
    uint32_t states;
    int code;
};

static bool add_to_page(void *context, const struct run_tasks *run, uint32_t index, const struct task_slot *slot, struct err *err)
{
    struct page *page = context;
    if (page->states && !(page->states & 1u << slot->state))
        return true;
    page->code = fill_task(run, index, slot, page->arena, &page->task[page->n], err);
    page->n += page->code == 0;
    return page->code == 0 && page->n < page->max;
}

static uint32_t position_from(const struct index_set *set, uint32_t from)
{
    uint32_t low = 0, high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index_set_at(set, middle) < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int read_page(struct history *history, uint64_t run_id, uint32_t from, struct page *page, struct err *err)
{
    struct run_tasks run;
    int code = load_run(history, run_id, page->arena, &run, err);
    if (code < 0 || page->max == 0)
        return code;
    // Messages of tasks that are not in the page are left in an arena of their own.
    struct arena messages;
    arena_init(&messages, 0);
    code = visit_tasks(&run, position_from(&run.set, from), page->max, &messages, add_to_page, page, err);
    for (size_t i = 0; i < page->n; i++)
        page->task[i].end.message = arena_strdup(page->arena, page->task[i].end.message);
    arena_release(&messages);
    return code < 0 ? code : page->code;
}

int history_tasks(struct history *history, uint64_t run_id, uint32_t from, size_t max, uint32_t states, struct arena *arena,
                  struct task_view **ret_tasks, size_t *ret_n, struct err *err)
{
    must(max < 1000000);
    int code = history_run_statement(history, H_BEGIN_READ, err);
    if (code < 0)
        return code;
    struct page page = {.arena = arena, .max = max, .states = states, .task = arena_array(arena, struct task_view, max)};
    code = read_page(history, run_id, from, &page, err);
    history_roll_back(history);
    if (code < 0)
        return code;
    *ret_tasks = page.task;
    *ret_n = page.n;
    return 0;
}

struct attempts {
    struct arena *arena;
    uint32_t index;
    struct task_slot *slot;
    size_t n, cap;
};

static struct task_slot *attempt_slot(struct attempts *attempts, uint32_t attempt)
{
    for (size_t i = attempts->n; i > 0; i--) {
        if (attempts->slot[i - 1].attempt == attempt)
            return &attempts->slot[i - 1];
    }
    if (attempts->n == attempts->cap) {
        size_t cap = attempts->cap ? 2 * attempts->cap : 4;
        struct task_slot *more = arena_array(attempts->arena, struct task_slot, cap);
        if (attempts->n > 0)
            memcpy(more, attempts->slot, attempts->n * sizeof(*more));
        attempts->slot = more;
        attempts->cap = cap;
    }
    struct task_slot *slot = &attempts->slot[attempts->n++];
    *slot = (struct task_slot){.attempt = attempt};
    return slot;
}

static void collect_attempt(void *context, const struct happened *happened)
{
    struct attempts *attempts = context;
    if (happened->first != attempts->index || happened->kind == HAPPENED_CANCELLED)
        return;
    struct task_slot *slot = attempt_slot(attempts, happened->attempt);
    struct window window = {.arena = attempts->arena};
    fold_one(&window, slot, happened);
}

static int read_attempts(struct history *history, uint64_t run_id, uint32_t index, struct arena *arena, struct task_view **ret_attempts,
                         size_t *ret_n, struct err *err)
{
    struct run_tasks run;
    int code = load_run(history, run_id, arena, &run, err);
    if (code < 0)
        return code;
    uint32_t position;
    if (!index_set_find(&run.set, index, &position))
        return err_set(err, ERR_NOT_FOUND, "run %llu has no task %u", (unsigned long long)run_id, index);
    struct attempts attempts = {.arena = arena, .index = index};
    code = visit_blocks(&run, index, index, collect_attempt, &attempts, err);
    struct task_view *views = arena_array(arena, struct task_view, attempts.n);
    for (size_t i = 0; i < attempts.n && code == 0; i++)
        code = fill_task(&run, index, &attempts.slot[i], arena, &views[i], err);
    if (code < 0)
        return code;
    *ret_attempts = views;
    *ret_n = attempts.n;
    return 0;
}

int history_attempts(struct history *history, uint64_t run_id, uint32_t index, struct arena *arena, struct task_view **ret_attempts, size_t *ret_n,
                     struct err *err)
{
    int code = history_run_statement(history, H_BEGIN_READ, err);
    if (code < 0)
        return code;
    code = read_attempts(history, run_id, index, arena, ret_attempts, ret_n, err);
    history_roll_back(history);
    return code;
}

struct unsuccessful {
    struct arena *arena;
    struct index_range *range;
    size_t n, cap;
};

static bool add_unsuccessful(void *context, const struct run_tasks *run, uint32_t index, const struct task_slot *slot, struct err *err)
{
    struct unsuccessful *found = context;
    if (slot->state == TASK_SUCCEEDED)
        return true;
    struct index_range *last = found->n > 0 ? &found->range[found->n - 1] : NULL;
    if (last && index == last->last + 1 && last->step == 1) {
        last->last = index;
        return true;
    }
    if (found->n == found->cap) {
        size_t cap = found->cap ? 2 * found->cap : 16;
        struct index_range *more = arena_array(found->arena, struct index_range, cap);
        if (found->n > 0)
            memcpy(more, found->range, found->n * sizeof(*more));
        found->range = more;
        found->cap = cap;
    }
    found->range[found->n++] = (struct index_range){.first = index, .last = index, .step = 1};
    return true;
}

static int find_unsuccessful(struct history *history, uint64_t run_id, struct unsuccessful *found, struct err *err)
{
    struct run_tasks run;
    int code = load_run(history, run_id, found->arena, &run, err);
    if (code < 0)
        return code;
    struct arena messages;
    arena_init(&messages, 0);
    code = visit_tasks(&run, 0, WINDOW_MOST, &messages, add_unsuccessful, found, err);
    arena_release(&messages);
    return code;
}

int history_unsuccessful(struct history *history, uint64_t run_id, struct arena *arena, struct index_set *ret_set, struct err *err)
{
    int code = history_run_statement(history, H_BEGIN_READ, err);
    if (code < 0)
        return code;
    struct unsuccessful found = {.arena = arena};
    code = find_unsuccessful(history, run_id, &found, err);
    history_roll_back(history);
    if (code < 0)
        return code;
    *ret_set = (struct index_set){0};
    if (found.n > 0)
        must(index_set_init(ret_set, found.range, found.n));
    return 0;
}
