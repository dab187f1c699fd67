// SPDX-License-Identifier: Apache-2.0
// What the tests of the history share: a book of records that grows record by record, as the core would write them, and is taken in
// by a history in a folder of its own.
#pragma once

#include "../test.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/str.h"
#include "store/history.h"
#include "store/history_inside.h"

#define START_USEC (INT64_C(1700000000) * USEC_PER_SEC)

struct book {
    char folder[64];
    struct history *history;
    struct arena arena;
    const struct record **record; // all of them, seq 1 first
    size_t n, cap;
    size_t n_taken_in; // by take_in()
    usec_t now_usec;
    uint64_t fence;
};

static inline void book_open(struct book *book, bool read_only, struct history **ret_history)
{
    struct err err = {0};
    if (history_open(book->folder, read_only, ret_history, &err) < 0)
        fail_msg("%s", err.text);
}

static inline int book_set_up(void **state)
{
    struct book *book = mem_alloc(sizeof(*book));
    book->now_usec = START_USEC;
    if (str_copy(book->folder, sizeof(book->folder), "/tmp/muster-history-XXXXXX") < 0 || mkdtemp(book->folder) == NULL)
        return -1;
    book_open(book, false, &book->history);
    *state = book;
    return 0;
}

static inline int book_tear_down(void **state)
{
    struct book *book = *state;
    history_close(book->history);
    arena_release(&book->arena);
    mem_free(book->record);
    int code = fs_remove_tree(book->folder, NULL);
    mem_free(book);
    return code;
}

static inline void reopen(struct book *book)
{
    history_close(book->history);
    book_open(book, false, &book->history);
}

// Gives what was written since the last time to the history, in calls of `at_once` records.
static inline void take_in_by(struct book *book, size_t at_once)
{
    struct err err = {0};
    while (book->n_taken_in < book->n) {
        size_t n = book->n - book->n_taken_in < at_once ? book->n - book->n_taken_in : at_once;
        if (history_write(book->history, book->record + book->n_taken_in, n, &err) < 0)
            fail_msg("%s", err.text);
        book->n_taken_in += n;
    }
}

static inline void take_in(struct book *book)
{
    take_in_by(book, SIZE_MAX);
}

static inline struct record *add(struct book *book, enum record_kind kind)
{
    if (book->n == book->cap) {
        book->cap = book->cap ? 2 * book->cap : 256;
        book->record = mem_realloc_array(book->record, book->cap, sizeof(book->record[0]));
    }
    struct record *record = arena_new(&book->arena, struct record);
    book->record[book->n++] = record;
    record->kind = kind;
    record->seq = book->n;
    record->at_usec = book->now_usec;
    book->now_usec += 1000;
    return record;
}

static inline struct index_set make_set(struct book *book, uint32_t first, uint32_t last, uint32_t step)
{
    struct index_set set;
    struct index_range *range = arena_new(&book->arena, struct index_range);
    *range = (struct index_range){.first = first, .last = last, .step = step};
    assert_true(index_set_init(&set, range, 1));
    return set;
}

// A spec of n tasks; what packs it here is as good as any bytes that differ when the spec does.
static inline struct job_spec *make_spec(struct book *book, const char *namespace_name, const char *name, uint32_t n_tasks)
{
    struct job_spec *spec = arena_new(&book->arena, struct job_spec);
    spec->namespace_name = namespace_name;
    spec->name = name;
    spec->queue = "default";
    spec->tasks = make_set(book, 0, n_tasks - 1, 1);
    return spec;
}

static inline struct bytes pack(struct book *book, const struct job_spec *spec)
{
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%s/%s/%u/%d", spec->namespace_name, spec->name ? spec->name : "", spec->tasks.count, spec->priority);
    for (size_t i = 0; i < spec->n_labels; i++)
        buf_printf(&text, "/%s=%s", spec->labels[i].key, spec->labels[i].value);
    struct bytes bytes = {arena_memdup(&book->arena, text.data, text.len), text.len};
    buf_release(&text);
    return bytes;
}

static inline struct rec_run_submitted *submit(struct book *book, uint64_t run_id, const struct job_spec *spec)
{
    struct record *record = add(book, REC_RUN_SUBMITTED);
    record->run_submitted = (struct rec_run_submitted){
        .run_id = run_id, .spec = spec, .packed = pack(book, spec), .submitted_by = "ann", .eligible = true};
    return &record->run_submitted;
}

static inline void add_node_named(struct book *book, uint32_t node_id, const char *name)
{
    struct node_info *info = arena_new(&book->arena, struct node_info);
    info->name = name;
    struct record *record = add(book, REC_NODE_REGISTERED);
    record->node_registered = (struct rec_node_registered){node_id, info};
}

// Attempt `attempt` of one task. Returns its fence.
static inline uint64_t place(struct book *book, uint64_t run_id, uint32_t node_id, uint32_t index, uint32_t attempt)
{
    struct record *record = add(book, REC_TASKS_PLACED);
    uint32_t *indexes = arena_new(&book->arena, uint32_t), *attempts = arena_new(&book->arena, uint32_t);
    *indexes = index;
    *attempts = attempt;
    book->fence++;
    record->tasks_placed = (struct rec_tasks_placed){run_id, node_id, book->fence, 1, indexes, attempt == 1 ? NULL : attempts};
    return book->fence;
}

// One attempt ended; the entry may be changed until it is taken in.
static inline struct task_end *end(struct book *book, uint64_t run_id, uint32_t node_id, uint32_t index, uint32_t attempt, uint64_t fence,
                                   enum task_state to)
{
    struct record *record = add(book, REC_TASKS_ENDED);
    struct task_end *entry = arena_new(&book->arena, struct task_end);
    *entry = (struct task_end){.index = index, .attempt = attempt, .to = to};
    entry->end = (struct attempt_end){.fence = fence, .outcome = to == TASK_SUCCEEDED ? OUTCOME_SUCCEEDED : OUTCOME_EXIT};
    record->tasks_ended = (struct rec_tasks_ended){run_id, node_id, 1, entry};
    return entry;
}

static inline void end_run(struct book *book, uint64_t run_id, enum run_state to, uint32_t n_succeeded, uint32_t n_failed)
{
    struct record *record = add(book, REC_RUN_ENDED);
    record->run_ended = (struct rec_run_ended){.run_id = run_id, .to = to, .n_succeeded = n_succeeded, .n_failed = n_failed};
}

// A run of one task from submission to its end.
static inline void whole_run(struct book *book, uint64_t run_id, const struct job_spec *spec, uint32_t node_id, bool good)
{
    submit(book, run_id, spec);
    uint64_t fence = place(book, run_id, node_id, 0, 1);
    end(book, run_id, node_id, 0, 1, fence, good ? TASK_SUCCEEDED : TASK_FAILED);
    end_run(book, run_id, good ? RUN_SUCCEEDED : RUN_FAILED, good, !good);
}

static inline int64_t count(struct book *book, const char *sql)
{
    int64_t n = -1;
    assert_int_equal(db_number(book->history->db, sql, &n, NULL), 0);
    return n;
}
