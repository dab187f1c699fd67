// SPDX-License-Identifier: Apache-2.0
// The history of tasks and attempts: every field of an attempt, arrays against a plain model, fires, and packed bytes that are damaged.
#include "book.h"

#include "base/bytes.h"
#include "store/db.h"
#include "store/history_pack.h"

static void test_attempts(void **state)
{
    struct book *book = *state;
    cleanup_arena struct arena arena = {0};
    add_node_named(book, 1, "n1");
    add_node_named(book, 2, "n2");
    submit(book, 5, make_spec(book, "default", NULL, 1));
    usec_t placed_usec = book->now_usec;
    uint64_t first = place(book, 5, 1, 0, 1);
    usec_t ended_usec = book->now_usec;
    struct task_end *entry = end(book, 5, 1, 0, 1, first, TASK_BACKOFF);
    entry->retry_usec = book->now_usec + 30 * USEC_PER_SEC;
    entry->end.outcome = OUTCOME_OOM;
    entry->end.exit_code = -3;
    entry->end.signal = 9;
    entry->end.start_usec = placed_usec + 77;
    entry->end.wall_usec = 123456;
    entry->end.usage = (struct usage){1, 1ull << 40, 3, 4, 5};
    entry->end.message = "memory limit of 64 MiB exceeded";
    take_in(book);
    struct task_view *views;
    size_t n;
    assert_int_equal(history_tasks(book->history, 5, 0, 10, 0, &arena, &views, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(views[0].state, TASK_BACKOFF);
    assert_int_equal(views[0].retry_usec, entry->retry_usec);

    uint64_t second = place(book, 5, 2, 0, 2);
    take_in(book);
    assert_int_equal(history_tasks(book->history, 5, 0, 10, 0, &arena, &views, &n, NULL), 0);
    assert_int_equal(views[0].state, TASK_PLACED);
    assert_int_equal(views[0].attempt, 2);
    assert_false(views[0].ended);
    assert_int_equal(views[0].fence, second);
    assert_string_equal(views[0].node, "n2");
    assert_int_equal(views[0].retry_usec, 0);
    assert_null(views[0].end.message);

    end(book, 5, 2, 0, 2, second, TASK_SUCCEEDED);
    end_run(book, 5, RUN_SUCCEEDED, 1, 0);
    take_in(book);
    assert_int_equal(history_attempts(book->history, 5, 0, &arena, &views, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(views[0].run_id, 5);
    assert_int_equal(views[0].attempt, 1);
    assert_string_equal(views[0].node, "n1");
    assert_int_equal(views[0].fence, first);
    assert_int_equal(views[0].placed_usec, placed_usec);
    assert_int_equal(views[0].started_usec, placed_usec + 77);
    assert_int_equal(views[0].ended_usec, ended_usec);
    assert_true(views[0].ended);
    const struct attempt_end *got = &views[0].end;
    assert_int_equal(got->fence, first);
    assert_int_equal(got->outcome, OUTCOME_OOM);
    assert_int_equal(got->exit_code, -3);
    assert_int_equal(got->signal, 9);
    assert_int_equal(got->wall_usec, 123456);
    assert_memory_equal(&got->usage, &entry->end.usage, sizeof(got->usage));
    assert_string_equal(got->message, "memory limit of 64 MiB exceeded");
    assert_int_equal(views[1].attempt, 2);
    assert_int_equal(views[1].state, TASK_SUCCEEDED);
    assert_string_equal(views[1].node, "n2");
    assert_null(views[1].end.message);

    assert_int_equal(history_attempts(book->history, 5, 1, &arena, &views, &n, NULL), ERR_NOT_FOUND);
    assert_int_equal(history_attempts(book->history, 6, 0, &arena, &views, &n, NULL), ERR_NOT_FOUND);
    assert_int_equal(history_tasks(book->history, 6, 0, 1, 0, &arena, &views, &n, NULL), ERR_NOT_FOUND);
    struct index_set set;
    assert_int_equal(history_unsuccessful(book->history, 6, &arena, &set, NULL), ERR_NOT_FOUND);
    assert_int_equal(history_unsuccessful(book->history, 5, &arena, &set, NULL), 0);
    assert_int_equal(set.count, 0);
}

static void test_late_end_of_an_earlier_attempt(void **state)
{
    struct book *book = *state;
    submit(book, 1, make_spec(book, "default", NULL, 1));
    uint64_t first = place(book, 1, 1, 0, 1), second = place(book, 1, 1, 0, 2);
    end(book, 1, 1, 0, 1, first, TASK_FAILED);
    take_in(book);
    struct task_view *views;
    size_t n;
    assert_int_equal(history_tasks(book->history, 1, 0, 1, 0, &book->arena, &views, &n, NULL), 0);
    assert_int_equal(views[0].state, TASK_PLACED);
    assert_int_equal(views[0].fence, second);
}

static void test_long_message_is_cut(void **state)
{
    struct book *book = *state;
    char *message = arena_alloc(&book->arena, 5001);
    memset(message, 'm', 5000);
    submit(book, 1, make_spec(book, "default", NULL, 1));
    end(book, 1, 1, 0, 1, place(book, 1, 1, 0, 1), TASK_FAILED)->end.message = message;
    take_in(book);
    struct task_view *views;
    size_t n;
    assert_int_equal(history_tasks(book->history, 1, 0, 1, 0, &book->arena, &views, &n, NULL), 0);
    assert_int_equal(strlen(views[0].end.message), HISTORY_MESSAGE_BYTES);
}

// A task of the model.
struct model_task {
    uint32_t attempt;
    enum task_state state;
    uint64_t fence;
    int32_t exit_code;
    usec_t placed_usec;
};

static uint32_t model_index(uint32_t position)
{
    return 10 + 3 * position;
}

static bool model_active(const struct model_task *task)
{
    return task->state == TASK_PLACED;
}

// Up to n tasks that may be placed go to one node.
static void model_place(struct book *book, struct prng *dice, struct model_task *tasks, uint32_t count, size_t n)
{
    uint32_t *index = arena_array(&book->arena, uint32_t, n), *attempt = arena_array(&book->arena, uint32_t, n);
    uint32_t position = (uint32_t)prng_below(dice, count);
    size_t found = 0;
    bool first = true;
    for (uint32_t i = 0; i < count && found < n; i++, position = (position + 1) % count) {
        struct model_task *task = &tasks[position];
        if (task->state != TASK_PENDING && task->state != TASK_BACKOFF)
            continue;
        index[found] = model_index(position);
        attempt[found++] = ++task->attempt;
        first &= task->attempt == 1;
        task->state = TASK_PLACED;
        task->fence = ++book->fence;
        task->exit_code = 0;
        task->placed_usec = book->now_usec;
    }
    if (found == 0)
        return;
    struct record *record = add(book, REC_TASKS_PLACED);
    record->tasks_placed = (struct rec_tasks_placed){1, 1, book->fence - found + 1, found, index, first ? NULL : attempt};
}

static void model_end(struct book *book, struct prng *dice, struct model_task *tasks, uint32_t count, size_t n)
{
    static const enum task_state to[] = {TASK_SUCCEEDED, TASK_SUCCEEDED, TASK_FAILED, TASK_BACKOFF, TASK_PENDING, TASK_LOST, TASK_CANCELLED};
    struct task_end *entry = arena_array(&book->arena, struct task_end, n);
    uint32_t position = (uint32_t)prng_below(dice, count);
    size_t found = 0;
    for (uint32_t i = 0; i < count && found < n; i++, position = (position + 1) % count) {
        struct model_task *task = &tasks[position];
        if (!model_active(task) || prng_chance(dice, 300))
            continue;
        task->state = to[prng_below(dice, sizeof(to) / sizeof(to[0]))];
        task->exit_code = (int32_t)prng_below(dice, 256);
        entry[found] = (struct task_end){.index = model_index(position), .attempt = task->attempt, .to = task->state};
        entry[found++].end = (struct attempt_end){.fence = task->fence, .outcome = OUTCOME_EXIT, .exit_code = task->exit_code};
    }
    if (found == 0)
        return;
    struct record *record = add(book, REC_TASKS_ENDED);
    record->tasks_ended = (struct rec_tasks_ended){1, 1, found, entry};
}

static void model_cancel(struct book *book, struct prng *dice, struct model_task *tasks, uint32_t count, bool all)
{
    uint32_t *index = arena_array(&book->arena, uint32_t, count);
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (task_state_terminal(tasks[i].state) || model_active(&tasks[i]) || (!all && prng_chance(dice, 950)))
            continue;
        index[n++] = model_index(i);
        tasks[i].state = TASK_CANCELLED;
    }
    if (n == 0 && !all)
        return;
    struct record *record = add(book, REC_TASKS_CANCELLED);
    record->tasks_cancelled = (struct rec_tasks_cancelled){1, all, TASK_CANCELLED, all ? NULL : index, all ? 0 : n};
}

static void check_task(const struct task_view *view, const struct model_task *task, uint32_t position)
{
    assert_int_equal(view->index, model_index(position));
    assert_int_equal(view->attempt, task->attempt);
    assert_int_equal(view->state, task->state);
    assert_int_equal(view->fence, task->fence);
    assert_int_equal(view->end.exit_code, task->exit_code);
    assert_int_equal(view->placed_usec, task->placed_usec);
    if (task->attempt > 0)
        assert_string_equal(view->node, "n1");
    else
        assert_null(view->node);
}

// Every page, for every task, in order; and the set of those that did not succeed.
static void check_array(struct book *book, const struct model_task *tasks, uint32_t count, uint32_t states, size_t max)
{
    cleanup_arena struct arena arena = {0};
    uint32_t position = 0, from = 0;
    size_t n;
    do {
        struct task_view *views;
        assert_int_equal(history_tasks(book->history, 1, from, max, states, &arena, &views, &n, NULL), 0);
        assert_true(n <= max);
        for (size_t i = 0; i < n; i++, position++) {
            while (states && position < count && !(states & 1u << tasks[position].state))
                position++;
            assert_true(position < count);
            check_task(&views[i], &tasks[position], position);
        }
        if (n > 0)
            from = views[n - 1].index + 1;
    } while (n == max);
    while (states && position < count && !(states & 1u << tasks[position].state))
        position++;
    assert_int_equal(position, count);
    struct index_set set;
    assert_int_equal(history_unsuccessful(book->history, 1, &arena, &set, NULL), 0);
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at;
        assert_int_equal(index_set_find(&set, model_index(i), &at), tasks[i].state != TASK_SUCCEEDED);
        found += tasks[i].state != TASK_SUCCEEDED;
    }
    assert_int_equal(set.count, found);
}

static void array_story(struct book *book, uint64_t seed, uint32_t n_tasks, size_t at_once)
{
    struct prng dice;
    prng_init(&dice, seed);
    struct model_task *tasks = arena_array(&book->arena, struct model_task, n_tasks);
    for (uint32_t i = 0; i < n_tasks; i++)
        tasks[i].state = TASK_PENDING;
    add_node_named(book, 1, "n1");
    struct job_spec *spec = make_spec(book, "default", NULL, 1);
    spec->tasks = make_set(book, 10, model_index(n_tasks - 1), 3);
    submit(book, 1, spec);
    take_in(book);
    check_array(book, tasks, n_tasks, 0, 1000);
    for (int round = 0; round < 60; round++) {
        model_place(book, &dice, tasks, n_tasks, 1 + prng_below(&dice, n_tasks / 8 + 1));
        model_end(book, &dice, tasks, n_tasks, 1 + prng_below(&dice, n_tasks / 8 + 1));
        if (prng_chance(&dice, 100))
            model_cancel(book, &dice, tasks, n_tasks, false);
        if (round == 10)
            model_cancel(book, &dice, tasks, n_tasks, true);
        if (round % 20 == 19 || round == 10) {
            take_in_by(book, at_once);
            check_array(book, tasks, n_tasks, 0, 997);
            check_array(book, tasks, n_tasks, 1u << TASK_FAILED | 1u << TASK_BACKOFF, 5 + prng_below(&dice, n_tasks));
        }
    }
    model_cancel(book, &dice, tasks, n_tasks, true);
    model_end(book, &dice, tasks, n_tasks, n_tasks);
    take_in_by(book, at_once);
    check_array(book, tasks, n_tasks, 0, 1000);
    reopen(book);
    check_array(book, tasks, n_tasks, 1u << TASK_CANCELLED, 64);
}

static void test_small_array(void **state)
{
    array_story(*state, 1, 20, 1);
}

static void test_array(void **state)
{
    struct book *book = *state;
    array_story(book, 2, 5000, 8);
    assert_true(count(book, "SELECT count(*) FROM blocks") > 3);
}

static void test_large_record(void **state)
{
    struct book *book = *state;
    enum { N = 200000 };
    add_node_named(book, 1, "n1");
    submit(book, 1, make_spec(book, "default", NULL, N));
    uint32_t *index = arena_array(&book->arena, uint32_t, N);
    struct task_end *entry = arena_array(&book->arena, struct task_end, N);
    for (uint32_t i = 0; i < N; i++) {
        index[i] = i;
        entry[i] = (struct task_end){.index = i, .attempt = 1, .to = i == 150001 ? TASK_FAILED : TASK_SUCCEEDED};
        entry[i].end = (struct attempt_end){.fence = i + 1, .outcome = OUTCOME_SUCCEEDED, .wall_usec = i};
    }
    add(book, REC_TASKS_PLACED)->tasks_placed = (struct rec_tasks_placed){1, 1, 1, N, index, NULL};
    add(book, REC_TASKS_ENDED)->tasks_ended = (struct rec_tasks_ended){1, 1, N, entry};
    end_run(book, 1, RUN_FAILED, N - 1, 1);
    take_in(book);
    assert_true(count(book, "SELECT max(length(bytes)) FROM blocks") < 128 * 1024);
    struct task_view *views;
    size_t n;
    assert_int_equal(history_tasks(book->history, 1, 199998, 100, 0, &book->arena, &views, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(views[1].index, 199999);
    assert_int_equal(views[1].end.wall_usec, 199999);
    assert_int_equal(history_tasks(book->history, 1, 0, 100, 1u << TASK_FAILED, &book->arena, &views, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(views[0].index, 150001);
    struct index_set set;
    assert_int_equal(history_unsuccessful(book->history, 1, &book->arena, &set, NULL), 0);
    assert_int_equal(set.count, 1);
}

static void test_run_that_never_ran(void **state)
{
    struct book *book = *state;
    submit(book, 1, make_spec(book, "default", NULL, 4));
    end_run(book, 1, RUN_SKIPPED, 0, 0);
    submit(book, 2, make_spec(book, "default", NULL, 4));
    add(book, REC_TASKS_CANCELLED)->tasks_cancelled = (struct rec_tasks_cancelled){.run_id = 2, .all = true, .to = TASK_EXPIRED};
    add(book, REC_RUN_ENDED)->run_ended = (struct rec_run_ended){.run_id = 2, .to = RUN_EXPIRED, .n_expired = 4};
    take_in(book);
    struct task_view *views;
    size_t n;
    assert_int_equal(history_tasks(book->history, 1, 2, 10, 0, &book->arena, &views, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(views[0].state, TASK_CANCELLED);
    assert_int_equal(history_tasks(book->history, 2, 0, 10, 0, &book->arena, &views, &n, NULL), 0);
    assert_int_equal(n, 4);
    assert_int_equal(views[3].state, TASK_EXPIRED);
    assert_int_equal(history_attempts(book->history, 2, 3, &book->arena, &views, &n, NULL), 0);
    assert_int_equal(n, 0);
}

// Which instants have a run: those that the schedule started and those that backfills ran, as stretches.
static void test_covered(void **state)
{
    struct book *book = *state;
    cleanup_arena struct arena arena = {0};
    static const int minutes[] = {0, 1, 2, 5, 6, 9};
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++)
        add(book, REC_JOB_FIRED)->job_fired =
            (struct rec_job_fired){.job_id = 3, .nominal_usec = START_USEC + minutes[i] * USEC_PER_MIN, .outcome = FIRE_STARTED, .run_id = i + 1};
    add(book, REC_JOB_FIRED)->job_fired = (struct rec_job_fired){.job_id = 3, .nominal_usec = START_USEC + 3 * USEC_PER_MIN, .outcome = FIRE_SKIPPED_OVERLAP};
    add(book, REC_BACKFILL_FIRED)->backfill_fired =
        (struct rec_backfill_fired){.backfill_id = 7, .job_id = 3, .nominal_usec = START_USEC + 4 * USEC_PER_MIN, .run_id = 90};
    add(book, REC_JOB_FIRED)->job_fired = (struct rec_job_fired){.job_id = 4, .nominal_usec = START_USEC + 3 * USEC_PER_MIN, .run_id = 91};
    take_in(book);
    struct trigger every = {.kind = TRIGGER_EVERY, .every_usec = USEC_PER_MIN};
    struct job_spec spec = {.triggers = &every, .n_triggers = 1};
    usec_t next = START_USEC + 20 * USEC_PER_MIN;
    struct run_instants of = {.job_id = 3, .from_usec = START_USEC + USEC_PER_MIN, .to_usec = START_USEC + 9 * USEC_PER_MIN, .spec = &spec, .next_usec = &next};
    struct instant_span *spans;
    size_t n = 0;
    assert_int_equal(history_covered(book->history, &of, 10, &arena, &spans, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(spans[0].first_usec, START_USEC + USEC_PER_MIN);
    assert_int_equal(spans[0].last_usec, START_USEC + 2 * USEC_PER_MIN);
    assert_int_equal(spans[1].first_usec, START_USEC + 4 * USEC_PER_MIN);
    assert_int_equal(spans[1].last_usec, START_USEC + 6 * USEC_PER_MIN);
    struct err err = {0};
    assert_int_equal(history_covered(book->history, &of, 1, &arena, &spans, &n, &err), ERR_LIMIT);
    // The instant shows both fates, and old ones are dropped with the runs.
    struct fire_view *fires;
    assert_int_equal(history_fires(book->history, 3, 0, 20, &arena, &fires, &n, NULL), 0);
    assert_int_equal(n, 8);
    assert_int_equal(fires[3].backfill_id, 7);
    assert_int_equal(fires[3].run_id, 90);
    size_t dropped;
    assert_int_equal(history_purge(book->history, INT64_MAX, 100, &dropped, NULL), 0);
    assert_int_equal(history_fires(book->history, 3, 0, 20, &arena, &fires, &n, NULL), 0);
    assert_int_equal(n, 0);
}

static void test_fires(void **state)
{
    struct book *book = *state;
    cleanup_arena struct arena arena = {0};
    for (uint64_t i = 0; i < 100; i++) {
        // Two triggers share every tenth instant.
        for (uint32_t trigger = 0; trigger < (i % 10 == 0 ? 2 : 1); trigger++) {
            struct record *record = add(book, REC_JOB_FIRED);
            record->job_fired = (struct rec_job_fired){.job_id = 3,
                                                       .trigger = trigger,
                                                       .nominal_usec = START_USEC + (usec_t)i * 60 * USEC_PER_SEC,
                                                       .outcome = i % 2 ? FIRE_STARTED : i % 4 ? FIRE_SKIPPED_MISFIRE : FIRE_SKIPPED_CALENDAR,
                                                       .why = i % 4 ? NULL : "calendar holidays",
                                                       .run_id = i % 2 ? i : 0,
                                                       .n_missed = i % 2 ? 0 : (uint32_t)i};
        }
    }
    take_in(book);
    usec_t before = 0;
    size_t seen = 0, n;
    struct fire_view last = {.nominal_usec = INT64_MAX};
    do {
        struct fire_view *fires;
        assert_int_equal(history_fires(book->history, 3, before, 9, &arena, &fires, &n, NULL), 0);
        for (size_t i = 0; i < n; i++) {
            bool same = fires[i].nominal_usec == last.nominal_usec;
            assert_true(fires[i].nominal_usec < last.nominal_usec || (same && fires[i].trigger == last.trigger + 1));
            uint64_t number = (uint64_t)(fires[i].nominal_usec - START_USEC) / (60 * USEC_PER_SEC);
            assert_int_equal(fires[i].run_id, number % 2 ? number : 0);
            assert_int_equal(fires[i].n_missed, number % 2 ? 0 : number);
            assert_int_equal(fires[i].outcome, number % 2 ? FIRE_STARTED : number % 4 ? FIRE_SKIPPED_MISFIRE : FIRE_SKIPPED_CALENDAR);
            if (number % 4 == 0)
                assert_string_equal(fires[i].why, "calendar holidays");
            else
                assert_null(fires[i].why);
            last = fires[i];
            seen++;
        }
        before = last.nominal_usec;
    } while (n > 0);
    assert_int_equal(seen, 110);
    struct fire_view *fires;
    // One that cannot be read is marked, and harms none beside it.
    assert_int_equal(db_exec(book->history->db, "UPDATE fires SET outcome = 99 WHERE trigger_no = 1", NULL), 0);
    assert_int_equal(history_fires(book->history, 3, 0, 1000, &arena, &fires, &n, NULL), 0);
    assert_int_equal(n, 110);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(fires[i].damaged, fires[i].trigger == 1);
    assert_int_equal(history_fires(book->history, 4, 0, 9, &arena, &fires, &n, NULL), 0);
    assert_int_equal(n, 0);
    assert_int_equal(history_fires(book->history, 3, 0, 0, &arena, &fires, &n, NULL), 0);
    assert_int_equal(n, 0);
}

static void ignore(void *context, const struct happened *happened)
{
    assert_true(happened->first <= happened->last);
    (*(size_t *)context)++;
}

static void test_damaged_bytes(void **state)
{
    struct book *book = *state;
    cleanup_buf struct buf bytes = {0};
    struct index_span span = INDEX_SPAN_EMPTY;
    uint32_t indexes[] = {1, 2, 3, 9};
    uint32_t attempts[] = {1, 2, 1, 1};
    struct record record = {.kind = REC_TASKS_PLACED, .at_usec = START_USEC, .tasks_placed = {1, 1, 500, 4, indexes, attempts}};
    history_pack_placed(&bytes, &span, &record);
    struct task_end entry = {.end = {.fence = 77, .exit_code = 5, .message = "message"}, .index = 3, .attempt = 1, .to = TASK_FAILED};
    record = (struct record){.kind = REC_TASKS_ENDED, .at_usec = START_USEC, .tasks_ended = {1, 1, 1, &entry}};
    history_pack_ended(&bytes, &span, &record, 0, 1);
    record = (struct record){.kind = REC_TASKS_CANCELLED, .tasks_cancelled = {1, false, TASK_CANCELLED, indexes, 4}};
    history_pack_cancelled(&bytes, &span, &record);
    assert_int_equal(span.first, 1);
    assert_int_equal(span.last, 9);
    size_t n = 0;
    struct bytes whole = {(uint8_t *)bytes.data, bytes.len};
    assert_int_equal(history_unpack(whole, ignore, &n, NULL), 0);
    assert_int_equal(n, 4 + 1 + 2);
    // Cut anywhere but between entries it is an error; changed at random it is an error or something else, and never a crash.
    size_t errors = 0;
    for (size_t len = 0; len < bytes.len; len++)
        errors += history_unpack((struct bytes){whole.data, len}, ignore, &n, NULL) == ERR_STORE_CORRUPT;
    assert_int_equal(errors, bytes.len - 3);
    struct prng dice;
    prng_init(&dice, 5);
    for (int i = 0; i < 20000; i++) {
        uint8_t *copy = arena_memdup(&book->arena, bytes.data, bytes.len);
        for (uint64_t k = prng_below(&dice, 4) + 1; k > 0; k--)
            copy[prng_below(&dice, bytes.len)] = (uint8_t)prng_u64(&dice);
        int code = history_unpack((struct bytes){copy, bytes.len}, ignore, &n, NULL);
        assert_true(code == 0 || code == ERR_STORE_CORRUPT);
    }
}

// A few bytes do not stand for four thousand million tasks.
static void test_bytes_that_claim_much(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes = {0};
    struct writer w;
    writer_init(&w, &bytes);
    writer_u8(&w, HAPPENED_PLACED);
    writer_varint(&w, 1); // at
    writer_varint(&w, 1); // node
    writer_varint(&w, 1); // fence
    writer_u8(&w, 0);
    writer_varint(&w, UINT32_MAX);
    writer_varint(&w, 0); // first
    writer_varint(&w, UINT32_MAX);
    size_t n = 0;
    assert_int_equal(history_unpack((struct bytes){(uint8_t *)bytes.data, bytes.len}, ignore, &n, NULL), ERR_STORE_CORRUPT);
    assert_int_equal(n, 0);
}

#define TEST(name) {#name, name, book_set_up, book_tear_down, NULL}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attempts),
        TEST(test_late_end_of_an_earlier_attempt),
        TEST(test_long_message_is_cut),
        TEST(test_small_array),
        TEST(test_array),
        TEST(test_large_record),
        TEST(test_run_that_never_ran),
        TEST(test_fires),
        TEST(test_covered),
        TEST(test_damaged_bytes),
        TEST(test_bytes_that_claim_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
