// SPDX-License-Identifier: Apache-2.0
// The history of runs: lifecycles, filters and paging against a plain model, retention, restart, crash, a reader beside the writer.
#include "book.h"

#include <pthread.h>

static void test_lifecycle(void **state)
{
    struct book *book = *state;
    cleanup_arena struct arena arena = {0};
    struct job_spec *spec = make_spec(book, "ops", "backup", 3);
    struct pair labels[] = {{"team", "red"}, {"tier", ""}};
    spec->labels = labels;
    spec->n_labels = 2;
    spec->queue = "night";
    spec->priority = -7;
    struct rec_run_submitted *submitted = submit(book, 12, spec);
    submitted->job_id = 4;
    submitted->job_version = 9;
    submitted->nominal_usec = START_USEC - 5;
    submitted->rerun_of = 11;
    submitted->params = (struct bytes){(const uint8_t *)"\1a\1x", 4};
    submitted->eligible = false;
    submitted->held = true;
    take_in(book);
    struct run_view view;
    assert_int_equal(history_run(book->history, 12, &arena, &view, NULL), 0);
    assert_int_equal(view.run_id, 12);
    assert_int_equal(view.job_id, 4);
    assert_int_equal(view.job_version, 9);
    assert_string_equal(view.namespace_name, "ops");
    assert_string_equal(view.job_name, "backup");
    assert_int_equal(view.state, RUN_WAITING);
    assert_true(view.held);
    assert_false(view.live);
    assert_int_equal(view.n_tasks, 3);
    assert_int_equal(view.n_pending, 3);
    assert_int_equal(view.submitted_usec, START_USEC);
    assert_int_equal(view.started_usec, 0);
    assert_int_equal(view.ended_usec, 0);
    assert_int_equal(view.nominal_usec, START_USEC - 5);
    assert_int_equal(view.rerun_of, 11);
    assert_int_equal(view.params.len, 4);
    assert_memory_equal(view.params.data, "\1a\1x", 4);
    assert_string_equal(view.queue, "night");
    assert_int_equal(view.priority, -7);
    assert_string_equal(view.submitted_by, "ann");
    assert_int_equal(view.n_labels, 2);
    assert_string_equal(view.labels[0].key, "team");
    assert_string_equal(view.labels[0].value, "red");
    assert_string_equal(view.labels[1].value, "");
    struct bytes packed = pack(book, spec);
    assert_int_equal(view.spec.len, packed.len);
    assert_memory_equal(view.spec.data, packed.data, packed.len);

    add(book, REC_RUN_ELIGIBLE)->run_eligible.run_id = 12;
    add(book, REC_RUN_ADMISSION)->run_admission = (struct rec_run_admission){12, ADMIT_OPEN};
    take_in(book);
    assert_int_equal(history_run(book->history, 12, &arena, &view, NULL), 0);
    assert_int_equal(view.state, RUN_PENDING);
    assert_false(view.held);

    usec_t placed_usec = book->now_usec;
    uint64_t fence = place(book, 12, 1, 0, 1);
    uint64_t other = place(book, 12, 1, 1, 1);
    end(book, 12, 1, 0, 1, fence, TASK_SUCCEEDED);
    take_in(book);
    assert_int_equal(history_run(book->history, 12, &arena, &view, NULL), 0);
    assert_int_equal(view.state, RUN_RUNNING);
    assert_int_equal(view.started_usec, placed_usec);
    assert_int_equal(view.n_pending, 1);
    assert_int_equal(view.n_placed, 1);
    assert_int_equal(view.n_succeeded, 1);

    add(book, REC_RUN_CANCELLING)->run_cancelling = (struct rec_run_cancelling){12, CANCEL_USER};
    add(book, REC_TASKS_CANCELLED)->tasks_cancelled = (struct rec_tasks_cancelled){.run_id = 12, .all = true, .to = TASK_CANCELLED};
    take_in(book);
    assert_int_equal(history_run(book->history, 12, &arena, &view, NULL), 0);
    assert_int_equal(view.state, RUN_CANCELLING);
    assert_int_equal(view.n_pending, 0);
    assert_int_equal(view.n_cancelled, 1);
    end(book, 12, 1, 1, 1, other, TASK_CANCELLED);
    usec_t ended_usec = book->now_usec;
    add(book, REC_RUN_ENDED)->run_ended = (struct rec_run_ended){12, RUN_CANCELLED, .n_succeeded = 1, .n_cancelled = 2};
    take_in(book);
    assert_int_equal(history_run(book->history, 12, &arena, &view, NULL), 0);
    assert_int_equal(view.state, RUN_CANCELLED);
    assert_int_equal(view.ended_usec, ended_usec);
    assert_int_equal(view.n_cancelled, 2);
    assert_int_equal(view.n_succeeded, 1);
    assert_int_equal(view.n_placed, 0);

    assert_int_equal(history_run(book->history, 13, &arena, &view, NULL), ERR_NOT_FOUND);
    assert_int_equal(history_run(book->history, UINT64_MAX, &arena, &view, NULL), ERR_NOT_FOUND);
    uint64_t seq;
    assert_int_equal(history_seq(book->history, &seq, NULL), 0);
    assert_int_equal(seq, book->n);
}

// A plain model of what the filters test.
enum { MODEL_RUNS = 700 };
static const char *const model_jobs[] = {"a", "b", NULL};
static const char *const model_namespaces[] = {"default", "ops"};
static const char *const model_nodes[] = {"n1", "n2", "n3"};

struct model_run {
    const char *namespace_name, *name;
    enum run_state state;
    uint32_t nodes;  // bit i: ran on node i
    uint32_t labels; // bit i: has label i
    usec_t submitted_usec;
};

static struct pair model_labels[] = {{"k", "1"}, {"k2", "1"}, {"k2", "2"}};

static void model_run_add(struct book *book, struct prng *dice, uint64_t run_id, struct model_run *run)
{
    struct job_spec *spec = make_spec(book, model_namespaces[prng_below(dice, 2)], model_jobs[prng_below(dice, 3)], 3);
    struct pair *labels = arena_array(&book->arena, struct pair, 3);
    spec->labels = labels;
    run->namespace_name = spec->namespace_name;
    run->name = spec->name;
    for (size_t i = 0; i < 3; i++) {
        if (prng_chance(dice, 300)) {
            run->labels |= 1u << i;
            labels[spec->n_labels++] = model_labels[i];
        }
    }
    // Time mostly goes forward, now and then it jumps back.
    book->now_usec += prng_chance(dice, 50) ? -400 * USEC_PER_SEC : (usec_t)prng_below(dice, 60) * USEC_PER_SEC;
    run->submitted_usec = book->now_usec;
    submit(book, run_id, spec);
    run->state = RUN_PENDING;
    uint32_t n_tasks = (uint32_t)prng_below(dice, 4);
    for (uint32_t i = 0; i < n_tasks; i++) {
        uint32_t node = (uint32_t)prng_below(dice, 3);
        run->nodes |= 1u << node;
        uint64_t fence = place(book, run_id, node + 1, i, 1);
        end(book, run_id, node + 1, i, 1, fence, TASK_SUCCEEDED);
        run->state = RUN_RUNNING;
    }
    if (n_tasks == 3) {
        run->state = prng_chance(dice, 200) ? RUN_FAILED : RUN_SUCCEEDED;
        end_run(book, run_id, run->state, 3, 0);
    }
}

static bool model_matches(const struct model_run *run, const struct run_filter *filter, uint32_t labels)
{
    if (filter->namespace_name && !str_eq(filter->namespace_name, run->namespace_name))
        return false;
    if (filter->job_name && (run->name == NULL || !str_eq(filter->job_name, run->name)))
        return false;
    if (filter->states && !(filter->states & 1u << run->state))
        return false;
    for (uint32_t i = 0; filter->node && i < 3; i++) {
        if (str_eq(filter->node, model_nodes[i]) && !(run->nodes & 1u << i))
            return false;
    }
    if (filter->since_usec && run->submitted_usec < filter->since_usec)
        return false;
    if (filter->until_usec && run->submitted_usec >= filter->until_usec)
        return false;
    return (run->labels & labels) == labels;
}

static void random_filter(struct prng *dice, const struct book *book, struct run_filter *filter, struct pair *labels, uint32_t *ret_labels)
{
    *filter = (struct run_filter){.labels = labels, .max = 1 + prng_below(dice, 40)};
    *ret_labels = 0;
    if (prng_chance(dice, 300))
        filter->namespace_name = model_namespaces[prng_below(dice, 2)];
    if (prng_chance(dice, 300))
        filter->job_name = model_jobs[prng_below(dice, 2)];
    if (prng_chance(dice, 400))
        filter->states = (uint32_t)prng_below(dice, 1u << RUN_STATES);
    if (prng_chance(dice, 300))
        filter->node = model_nodes[prng_below(dice, 3)];
    usec_t range_usec = book->now_usec - START_USEC;
    if (prng_chance(dice, 300))
        filter->since_usec = START_USEC + (usec_t)prng_below(dice, (uint64_t)range_usec);
    if (prng_chance(dice, 300))
        filter->until_usec = START_USEC + (usec_t)prng_below(dice, (uint64_t)range_usec);
    for (size_t i = 0; i < 3; i++) {
        if (prng_chance(dice, 200)) {
            *ret_labels |= 1u << i;
            labels[filter->n_labels++] = model_labels[i];
        }
    }
}

static void test_filters(void **state)
{
    struct book *book = *state;
    struct prng dice;
    prng_init(&dice, 3);
    struct model_run *runs = arena_array(&book->arena, struct model_run, MODEL_RUNS + 1);
    for (uint32_t i = 0; i < 3; i++)
        add_node_named(book, i + 1, model_nodes[i]);
    for (uint64_t id = 1; id <= MODEL_RUNS; id++)
        model_run_add(book, &dice, id, &runs[id]);
    take_in_by(book, 37);
    size_t total = 0;
    for (int round = 0; round < 400; round++) {
        cleanup_arena struct arena arena = {0};
        struct run_filter filter;
        struct pair labels[3];
        uint32_t label_mask;
        random_filter(&dice, book, &filter, labels, &label_mask);
        uint64_t expected = MODEL_RUNS;
        // Page by page, every run that matches, newest first, and no other.
        for (;;) {
            struct run_view *views;
            size_t n;
            struct err err = {0};
            if (history_runs(book->history, &filter, &arena, &views, &n, &err) < 0)
                fail_msg("%s", err.text);
            assert_true(n <= filter.max);
            for (size_t i = 0; i < n; i++) {
                while (expected > 0 && !model_matches(&runs[expected], &filter, label_mask))
                    expected--;
                assert_int_equal(views[i].run_id, expected);
                assert_int_equal(views[i].state, runs[expected].state);
                assert_true(str_eq(views[i].job_name, runs[expected].name));
                assert_int_equal(views[i].spec.len, 0);
                expected--;
                total++;
            }
            if (n < filter.max)
                break;
            filter.before = views[n - 1].run_id;
        }
        while (expected > 0 && !model_matches(&runs[expected], &filter, label_mask))
            expected--;
        assert_int_equal(expected, 0);
    }
    assert_true(total > 1000);
}

static void test_filter_limits(void **state)
{
    struct book *book = *state;
    cleanup_arena struct arena arena = {0};
    struct run_view *views;
    size_t n = 99;
    struct run_filter filter = {.max = 10};
    assert_int_equal(history_runs(book->history, &filter, &arena, &views, &n, NULL), 0);
    assert_int_equal(n, 0);
    whole_run(book, 1, make_spec(book, "default", "it's \"quoted\"; DROP TABLE runs", 1), 1, true);
    take_in(book);
    filter.job_name = "it's \"quoted\"; DROP TABLE runs";
    assert_int_equal(history_runs(book->history, &filter, &arena, &views, &n, NULL), 0);
    assert_int_equal(n, 1);
    filter.max = 0;
    assert_int_equal(history_runs(book->history, &filter, &arena, &views, &n, NULL), 0);
    assert_int_equal(n, 0);
    struct pair labels[17] = {0};
    filter = (struct run_filter){.max = 1, .labels = labels, .n_labels = 17};
    assert_int_equal(history_runs(book->history, &filter, &arena, &views, &n, NULL), ERR_INVALID);
    filter = (struct run_filter){.max = 1, .job_name = "no such"};
    assert_int_equal(history_runs(book->history, &filter, &arena, &views, &n, NULL), 0);
    assert_int_equal(n, 0);
    filter = (struct run_filter){.max = 1, .node = "no such"};
    assert_int_equal(history_runs(book->history, &filter, &arena, &views, &n, NULL), 0);
    assert_int_equal(n, 0);
}

static void test_purge(void **state)
{
    struct book *book = *state;
    struct pair label = {"unique", "1"};
    struct job_spec *shared = make_spec(book, "default", "shared", 1), *own = make_spec(book, "default", "own", 1);
    own->labels = &label;
    own->n_labels = 1;
    add_node_named(book, 1, "n1");
    for (uint64_t id = 1; id <= 10; id++)
        whole_run(book, id, id == 5 ? own : shared, 1, true);
    usec_t middle_usec = book->now_usec;
    struct record *fired = add(book, REC_JOB_FIRED);
    fired->at_usec = START_USEC;
    fired->job_fired = (struct rec_job_fired){.job_id = 1, .nominal_usec = START_USEC, .run_id = 1};
    whole_run(book, 11, shared, 1, true);
    submit(book, 12, shared); // still goes on
    take_in(book);
    assert_int_equal(count(book, "SELECT count(*) FROM specs"), 2);
    assert_int_equal(count(book, "SELECT n_runs FROM specs WHERE n_runs > 1"), 11);
    size_t dropped;
    assert_int_equal(history_purge(book->history, START_USEC, 100, &dropped, NULL), 0);
    assert_int_equal(dropped, 0);
    assert_int_equal(history_purge(book->history, middle_usec, 4, &dropped, NULL), 0);
    assert_int_equal(dropped, 4);
    assert_int_equal(count(book, "SELECT min(run_id) FROM runs"), 5);
    assert_int_equal(count(book, "SELECT count(*) FROM labels"), 1);
    assert_int_equal(history_purge(book->history, middle_usec, 100, &dropped, NULL), 0);
    assert_int_equal(dropped, 6);
    assert_int_equal(history_purge(book->history, INT64_MAX, 100, &dropped, NULL), 0);
    assert_int_equal(dropped, 1);
    assert_int_equal(count(book, "SELECT count(*) FROM runs"), 1);
    assert_int_equal(count(book, "SELECT count(*) FROM specs"), 1);
    assert_int_equal(count(book, "SELECT n_runs FROM specs"), 1);
    const char *const empty[] = {"SELECT count(*) FROM labels", "SELECT count(*) FROM run_labels", "SELECT count(*) FROM run_nodes",
                                 "SELECT count(*) FROM blocks", "SELECT count(*) FROM fires",
                                 "SELECT count(*) FROM job_names WHERE name = 'own'"};
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
        assert_int_equal(count(book, empty[i]), 0);
    // What was remembered of the dropped is not used again.
    whole_run(book, 13, own, 1, false);
    take_in(book);
    struct run_view *views;
    size_t n;
    struct run_filter filter = {.max = 10, .labels = &label, .n_labels = 1};
    assert_int_equal(history_runs(book->history, &filter, &book->arena, &views, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_string_equal(views[0].job_name, "own");
}

static void test_same_spec_is_kept_once(void **state)
{
    struct book *book = *state;
    struct job_spec *spec = make_spec(book, "default", NULL, 1);
    for (uint64_t id = 1; id <= 500; id++)
        whole_run(book, id, spec, 1, true);
    take_in_by(book, 100);
    reopen(book);
    for (uint64_t id = 501; id <= 600; id++)
        whole_run(book, id, spec, 1, true);
    take_in(book);
    assert_int_equal(count(book, "SELECT count(*) FROM specs"), 1);
    assert_int_equal(count(book, "SELECT n_runs FROM specs"), 600);
    assert_int_equal(count(book, "SELECT count(*) FROM blocks"), 0);
}

static void test_restart_and_repeat(void **state)
{
    struct book *book = *state;
    struct job_spec *spec = make_spec(book, "default", "x", 1);
    for (uint64_t id = 1; id <= 50; id++)
        whole_run(book, id, spec, 1, id % 3 != 0);
    take_in_by(book, 7);
    reopen(book);
    uint64_t seq;
    assert_int_equal(history_seq(book->history, &seq, NULL), 0);
    assert_int_equal(seq, book->n);
    int64_t tails = count(book, "SELECT sum(length(tail)) FROM runs");
    // Everything again, and a little more: only the new counts.
    whole_run(book, 51, spec, 1, true);
    book->n_taken_in = 0;
    take_in_by(book, 64);
    assert_int_equal(history_seq(book->history, &seq, NULL), 0);
    assert_int_equal(seq, book->n);
    assert_int_equal(count(book, "SELECT count(*) FROM runs"), 51);
    assert_int_equal(count(book, "SELECT n_runs FROM specs"), 51);
    assert_int_equal(count(book, "SELECT sum(n_succeeded) FROM runs"), 35);
    assert_int_equal(count(book, "SELECT sum(length(tail)) FROM runs WHERE run_id <= 50"), tails);
    // Older ones alone do not move the position back.
    assert_int_equal(history_write(book->history, book->record, 3, NULL), 0);
    assert_int_equal(history_seq(book->history, &seq, NULL), 0);
    assert_int_equal(seq, book->n);
}

static void test_missing_submission(void **state)
{
    struct book *book = *state;
    struct job_spec *spec = make_spec(book, "default", "x", 2);
    submit(book, 1, spec);
    uint64_t fence = place(book, 1, 1, 0, 1);
    end(book, 1, 1, 0, 1, fence, TASK_SUCCEEDED);
    add(book, REC_TASKS_CANCELLED)->tasks_cancelled = (struct rec_tasks_cancelled){.run_id = 1, .all = true, .to = TASK_CANCELLED};
    end_run(book, 1, RUN_CANCELLED, 1, 0);
    whole_run(book, 2, spec, 1, true);
    book->n_taken_in = 1; // the log begins behind the submission of run 1
    take_in_by(book, 2);
    struct run_view view;
    assert_int_equal(history_run(book->history, 1, &book->arena, &view, NULL), ERR_NOT_FOUND);
    assert_int_equal(history_run(book->history, 2, &book->arena, &view, NULL), 0);
    assert_int_equal(count(book, "SELECT count(*) FROM runs"), 1);
    assert_int_equal(count(book, "SELECT count(*) FROM run_nodes"), 1);
    struct task_view *tasks;
    size_t n;
    assert_int_equal(history_tasks(book->history, 2, 0, 10, 0, &book->arena, &tasks, &n, NULL), 0);
    assert_string_equal(tasks[0].node, "#1"); // its registration is gone, too
}

static void test_kill(void **state)
{
    struct book *book = *state;
    struct job_spec *spec = make_spec(book, "default", "x", 1);
    for (uint64_t id = 1; id <= 5000; id++)
        whole_run(book, id, spec, 1, true);
    struct prng dice;
    prng_init(&dice, 11);
    uint64_t seq = 0;
    for (int round = 0; round < 6; round++) {
        history_close(book->history);
        pid_t pid = fork();
        if (pid == 0) {
            book_open(book, false, &book->history);
            book->n_taken_in = seq;
            take_in_by(book, 40);
            _exit(0);
        }
        usleep(3000 + (useconds_t)prng_below(&dice, 15000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        book_open(book, false, &book->history);
        uint64_t before = seq;
        assert_int_equal(history_seq(book->history, &seq, NULL), 0);
        assert_true(seq >= before && seq <= book->n);
    }
    book->n_taken_in = seq;
    take_in_by(book, 1000);
    assert_int_equal(count(book, "SELECT count(*) FROM runs WHERE n_succeeded = 1 AND length(tail) > 0"), 5000);
    assert_int_equal(count(book, "SELECT n_runs FROM specs"), 5000);
    assert_int_equal(count(book, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}

struct reading {
    struct book *book;
    bool stop;
    uint64_t n_reads;
    int code;
};

// Each page shows the history as it was at one moment: the newest runs, without a gap.
static void *read_on(void *context)
{
    struct reading *reading = context;
    struct history *history = NULL;
    reading->code = history_open(reading->book->folder, true, &history, NULL);
    uint64_t newest = 0;
    while (reading->code == 0 && !__atomic_load_n(&reading->stop, __ATOMIC_ACQUIRE)) {
        cleanup_arena struct arena arena = {0};
        struct run_view *views;
        size_t n = 0;
        struct run_filter filter = {.max = 50};
        reading->code = history_runs(history, &filter, &arena, &views, &n, NULL);
        for (size_t i = 0; i < n && reading->code == 0; i++) {
            if (views[i].run_id != views[0].run_id - i || views[i].state != RUN_SUCCEEDED)
                reading->code = ERR_INTERNAL;
        }
        if (n > 0 && views[0].run_id < newest)
            reading->code = ERR_INTERNAL;
        newest = n > 0 ? views[0].run_id : 0;
        reading->n_reads++;
    }
    history_close(history);
    return NULL;
}

static void test_reader_beside_writer(void **state)
{
    struct book *book = *state;
    struct job_spec *spec = make_spec(book, "default", "x", 1);
    struct reading reading = {.book = book};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_on, &reading), 0);
    for (uint64_t id = 1; id <= 4000; id++) {
        whole_run(book, id, spec, 1, true);
        if (id % 20 == 0)
            take_in(book);
    }
    __atomic_store_n(&reading.stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    assert_int_equal(reading.code, 0);
    assert_true(reading.n_reads > 5);
}

static void test_full(void **state)
{
    struct book *book = *state;
    struct job_spec *spec = make_spec(book, "default", "x", 1);
    whole_run(book, 1, spec, 1, true);
    take_in(book);
    uint64_t before = book->n, seq;
    assert_int_equal(db_exec(book->history->db, "PRAGMA max_page_count = 40", NULL), 0);
    for (uint64_t id = 2; id <= 3000; id++)
        whole_run(book, id, make_spec(book, "default", id % 2 ? "x" : "y", 1), 1, true);
    struct err err = {0};
    assert_int_equal(history_write(book->history, book->record + before, book->n - before, &err), ERR_STORE_FULL);
    assert_int_equal(history_seq(book->history, &seq, NULL), 0);
    assert_int_equal(seq, before);
    assert_int_equal(count(book, "SELECT count(*) FROM runs"), 1);
    assert_int_equal(db_exec(book->history->db, "PRAGMA max_page_count = 1000000", NULL), 0);
    take_in(book);
    assert_int_equal(count(book, "SELECT count(*) FROM runs"), 3000);
    assert_int_equal(count(book, "SELECT n_runs FROM specs JOIN job_names USING (name_id) WHERE name = 'y'"), 1500);
}

static void test_open(void **state)
{
    struct book *book = *state;
    struct history *other;
    struct err err = {0};
    assert_int_equal(history_open("/tmp/there-is-no-such-folder", false, &other, &err), ERR_NOT_FOUND);
    assert_int_equal(history_open("/tmp/there-is-no-such-folder", true, &other, &err), ERR_NOT_FOUND);
    assert_int_equal(db_exec(book->history->db, "PRAGMA user_version = 7", NULL), 0);
    assert_int_equal(history_open(book->folder, true, &other, &err), ERR_VERSION);
    assert_non_null(strstr(err.text, "newer"));
}

#define TEST(name) {#name, name, book_set_up, book_tear_down, NULL}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lifecycle),
        TEST(test_filters),
        TEST(test_filter_limits),
        TEST(test_purge),
        TEST(test_same_spec_is_kept_once),
        TEST(test_restart_and_repeat),
        TEST(test_missing_submission),
        TEST(test_kill),
        TEST(test_reader_beside_writer),
        TEST(test_full),
        TEST(test_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
