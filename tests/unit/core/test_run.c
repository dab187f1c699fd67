// SPDX-License-Identifier: Apache-2.0
// Stories of runs: from submission to end, through retries, cancels, holds, dependencies, keys and deadlines.
#include "codec/codec.h"
#include "tests/unit/core/world.h"
#include "tests/unit/test.h"

static void test_one_task_runs_to_its_end(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 2000);
    uint64_t run = world_submit(&w, world_spec(&w, "hello", 1));
    assert_int_equal(run, 1);
    assert_int_equal(world_state(&w, run), RUN_PENDING);
    world_plan(&w);
    const struct effect *start = world_effect(&w, FX_START, 0);
    assert_non_null(start);
    assert_int_equal(start->session, session);
    assert_int_equal(start->start.n, 1);
    uint64_t fence = start->start.order[0].fence;
    assert_int_equal(world_state(&w, run), RUN_RUNNING);
    world_report_start(&w, session, fence);
    assert_int_equal(world_run(&w, run).n_running, 1);
    world_report_end(&w, session, fence, OUTCOME_SUCCEEDED, 0);
    assert_non_null(world_effect(&w, FX_ACK, 0));
    assert_int_equal(world_count(&w, REC_RUN_ENDED), 1);
    assert_int_equal(world_state(&w, run), RUN_SUCCEEDED);
    world_check_replay(&w);
    // The history has it: memory lets go.
    world_step(&w, &(struct event){.kind = EV_ARCHIVED, .archived = {core_seq(w.core)}});
    struct run_view view;
    assert_int_equal(core_view_run(w.core, run, &w.lasting, &view), ERR_NOT_FOUND);
    world_check_replay(&w);
    world_release(&w);
}

static void test_an_array_fills_what_is_free_and_no_more(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t one = world_node(&w, "n1", 2000), two = world_node(&w, "n2", 3500);
    uint64_t run = world_submit(&w, world_spec(&w, "array", 1000000));
    world_plan(&w);
    assert_int_equal(world_run(&w, run).n_placed, 5);
    const struct effect *first = world_effect(&w, FX_START, 0), *second = world_effect(&w, FX_START, 1);
    assert_int_equal(first->session, one);
    assert_int_equal(first->start.n, 2);
    assert_int_equal(second->session, two);
    assert_int_equal(second->start.n, 3);
    assert_int_equal(second->start.order[2].index, 4);
    uint64_t fence = first->start.order[1].fence;
    struct why_view why;
    assert_int_equal(core_why(w.core, run, 999, w.wall, &w.lasting, &why), 0);
    assert_int_equal(why.reason, REASON_RESOURCES);
    world_plan(&w);
    assert_int_equal(world_count(&w, REC_TASKS_PLACED), 0);
    world_report_end(&w, one, fence, OUTCOME_EXIT, 3);
    world_plan(&w);
    assert_int_equal(world_count(&w, REC_TASKS_PLACED), 1);
    assert_int_equal(world_run(&w, run).n_failed, 1);
    struct task_view task;
    assert_int_equal(core_view_task(w.core, run, 1, &w.lasting, &task), 0);
    assert_int_equal(task.state, TASK_FAILED);
    world_check_replay(&w);
    world_release(&w);
}

static void test_waiting_tasks_cost_bits(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct core_stats before, after;
    core_stats(w.core, &before);
    world_submit(&w, world_spec(&w, "million", 1000000));
    core_stats(w.core, &after);
    assert_int_equal(after.tasks_waiting, 1000000);
    assert_true(after.bytes - before.bytes < 64 * 1024); // less than one bit a task
    world_release(&w);
}

static void test_retry_counts_and_waits(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 1000);
    struct job_spec *spec = world_spec(&w, "flaky", 1);
    spec->retry = (struct retry){.limit = 2, .backoff_usec = USEC_PER_SEC, .factor_permille = 2000, .backoff_max_usec = USEC_PER_HOUR};
    uint64_t run = world_submit(&w, spec);
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        world_plan(&w);
        const struct effect *start = world_effect(&w, FX_START, 0);
        assert_non_null(start);
        assert_int_equal(start->start.order[0].attempt, attempt);
        world_report_end(&w, session, start->start.order[0].fence, OUTCOME_EXIT, 1);
        if (attempt == 3)
            break;
        assert_int_equal(world_run(&w, run).n_backoff, 1);
        world_plan(&w);
        assert_null(world_effect(&w, FX_START, 0)); // not before its time
        world_check_replay(&w);
        world_pass(&w, attempt * USEC_PER_SEC);
    }
    assert_int_equal(world_state(&w, run), RUN_FAILED);
    world_check_replay(&w);
    world_release(&w);
}

static void test_retry_only_on_listed_exit_codes(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 1000);
    struct job_spec *spec = world_spec(&w, "picky", 1);
    static const int32_t codes[] = {75};
    spec->retry = (struct retry){.limit = 5, .factor_permille = 1000, .exit_codes = codes, .n_exit_codes = 1};
    uint64_t run = world_submit(&w, spec);
    world_plan(&w);
    world_report_end(&w, session, world_effect(&w, FX_START, 0)->start.order[0].fence, OUTCOME_EXIT, 75);
    assert_int_equal(world_run(&w, run).n_pending, 1);
    world_plan(&w);
    world_report_end(&w, session, world_effect(&w, FX_START, 0)->start.order[0].fence, OUTCOME_EXIT, 1);
    assert_int_equal(world_state(&w, run), RUN_FAILED);
    world_release(&w);
}

static void test_cancel_pending_and_running(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 1000);
    uint64_t run = world_submit(&w, world_spec(&w, "a", 3)), other = world_submit(&w, world_spec(&w, "b", 3));
    world_plan(&w);
    uint64_t fence = world_effect(&w, FX_START, 0)->start.order[0].fence;
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 2, .cancel = {.run_id = other}});
    assert_int_equal(world_reply(&w)->code, 0);
    assert_int_equal(world_state(&w, other), RUN_CANCELLED);
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 3, .cancel = {.run_id = run}});
    const struct effect *stop = world_effect(&w, FX_STOP, 0);
    assert_int_equal(stop->session, session);
    assert_int_equal(stop->stop.fence[0], fence);
    assert_int_equal(world_state(&w, run), RUN_CANCELLING);
    world_check_replay(&w);
    world_report_end(&w, session, fence, OUTCOME_CANCELLED, 0);
    assert_int_equal(world_state(&w, run), RUN_CANCELLED);
    assert_int_equal(world_run(&w, run).n_cancelled, 3);
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 4, .cancel = {.run_id = run}});
    assert_int_equal(world_reply(&w)->code, ERR_CONFLICT);
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 5, .cancel = {.run_id = 99}});
    assert_int_equal(world_reply(&w)->code, ERR_NOT_FOUND);
    world_check_replay(&w);
    world_release(&w);
}

static void test_cancel_some_tasks(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 1000);
    uint64_t run = world_submit(&w, world_spec(&w, "a", 5));
    world_plan(&w);
    uint64_t fence = world_effect(&w, FX_START, 0)->start.order[0].fence;
    struct index_range ranges[] = {{.first = 0, .last = 1, .step = 1}, {.first = 3, .last = 3, .step = 1}};
    struct index_set set;
    assert_true(index_set_init(&set, ranges, 2));
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 2, .cancel = {.run_id = run, .tasks = &set}});
    assert_int_equal(world_run(&w, run).n_cancelled, 2);
    assert_int_equal(world_run(&w, run).n_stopping, 1);
    world_report_end(&w, session, fence, OUTCOME_SIGNAL, 0);
    assert_int_equal(world_run(&w, run).n_cancelled, 3);
    for (uint32_t index = 2; index <= 4; index += 2) {
        world_plan(&w);
        const struct effect *start = world_effect(&w, FX_START, 0);
        assert_int_equal(start->start.order[0].index, index); // 1 and 3 are passed over
        world_check_replay(&w);
        world_report_end(&w, session, start->start.order[0].fence, OUTCOME_SUCCEEDED, 0);
    }
    assert_int_equal(world_state(&w, run), RUN_FAILED);
    world_check_replay(&w);
    world_release(&w);
}

static void test_hold_and_release(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_node(&w, "n1", 1000);
    uint64_t run = world_submit(&w, world_spec(&w, "a", 1));
    world_step(&w, &(struct event){.kind = EV_RUN_HOLD, .request = 2, .run_hold = {run, ADMIT_CLOSED}});
    world_plan(&w);
    assert_int_equal(world_count(&w, REC_TASKS_PLACED), 0);
    struct why_view why;
    assert_int_equal(core_why(w.core, run, UINT32_MAX, w.wall, &w.lasting, &why), 0);
    assert_int_equal(why.reason, REASON_HELD);
    world_check_replay(&w);
    world_step(&w, &(struct event){.kind = EV_RUN_HOLD, .request = 3, .run_hold = {run, ADMIT_OPEN}});
    world_plan(&w);
    assert_int_equal(world_count(&w, REC_TASKS_PLACED), 1);
    world_release(&w);
}

static void test_dependencies(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 1000);
    uint64_t first = world_submit(&w, world_spec(&w, "first", 1));
    struct job_spec *good = world_spec(&w, "good", 1), *bad = world_spec(&w, "bad", 1), *chain = world_spec(&w, "chain", 1);
    good->after = &(struct dependency){first, AFTER_SUCCEEDED};
    bad->after = &(struct dependency){first, AFTER_FAILED};
    good->n_after = bad->n_after = chain->n_after = 1;
    uint64_t on_good = world_submit(&w, good), on_bad = world_submit(&w, bad);
    chain->after = &(struct dependency){on_bad, AFTER_SUCCEEDED};
    uint64_t on_chain = world_submit(&w, chain);
    assert_int_equal(world_state(&w, on_good), RUN_WAITING);
    struct why_view why;
    assert_int_equal(core_why(w.core, on_good, UINT32_MAX, w.wall, &w.lasting, &why), 0);
    assert_int_equal(why.reason, REASON_DEPENDENCY);
    assert_int_equal(why.run_id, first);
    world_plan(&w);
    world_check_replay(&w);
    world_report_end(&w, session, world_effect(&w, FX_START, 0)->start.order[0].fence, OUTCOME_SUCCEEDED, 0);
    assert_int_equal(world_state(&w, on_good), RUN_PENDING);
    assert_int_equal(world_state(&w, on_bad), RUN_SKIPPED);
    assert_int_equal(world_state(&w, on_chain), RUN_SKIPPED);
    good = world_spec(&w, "never", 1);
    good->after = &(struct dependency){on_bad, AFTER_SUCCEEDED};
    good->n_after = 1;
    assert_int_equal(world_submit(&w, good), 0);
    assert_int_equal(world_reply(&w)->code, ERR_CONFLICT);
    good->after = &(struct dependency){4711, AFTER_ENDED};
    assert_int_equal(world_submit(&w, good), 0);
    assert_int_equal(world_reply(&w)->code, ERR_INVALID);
    world_check_replay(&w);
    world_release(&w);
}

static void test_concurrency_key(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 10000);
    uint64_t run[3], fence[3];
    for (int i = 0; i < 3; i++) {
        struct job_spec *spec = world_spec(&w, "keyed", 1);
        spec->concurrency_key = "database";
        spec->concurrency_limit = 2;
        spec->priority = i; // distinct classes
        run[i] = world_submit(&w, spec);
    }
    world_plan(&w);
    const struct effect *start = world_effect(&w, FX_START, 0);
    assert_int_equal(start->start.n, 2);
    for (int i = 0; i < 2; i++)
        fence[i] = start->start.order[i].fence;
    assert_int_equal(start->start.order[0].run_id, run[2]); // the highest priority first
    struct why_view why;
    assert_int_equal(core_why(w.core, run[0], UINT32_MAX, w.wall, &w.lasting, &why), 0);
    assert_int_equal(why.reason, REASON_CONCURRENCY);
    world_check_replay(&w);
    world_report_end(&w, session, fence[0], OUTCOME_SUCCEEDED, 0);
    world_plan(&w);
    assert_int_equal(world_effect(&w, FX_START, 0)->start.order[0].run_id, run[0]);
    world_check_replay(&w);
    world_release(&w);
}

static void test_parallelism(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 10000);
    struct job_spec *spec = world_spec(&w, "two", 10);
    spec->parallelism = 2;
    uint64_t run = world_submit(&w, spec);
    world_plan(&w);
    assert_int_equal(world_run(&w, run).n_placed, 2);
    world_report_end(&w, session, 1, OUTCOME_SUCCEEDED, 0);
    world_plan(&w);
    assert_int_equal(world_run(&w, run).n_placed, 2);
    assert_int_equal(world_run(&w, run).n_succeeded, 1);
    world_release(&w);
}

static void test_queue_deadline_and_start_time(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct job_spec *spec = world_spec(&w, "late", 1);
    spec->queue_deadline_usec = 60 * USEC_PER_SEC;
    uint64_t late = world_submit(&w, spec);
    spec = world_spec(&w, "later", 1);
    spec->start_at_usec = w.wall + 30 * USEC_PER_SEC;
    uint64_t later = world_submit(&w, spec);
    assert_int_equal(world_state(&w, later), RUN_WAITING);
    world_pass(&w, 29 * USEC_PER_SEC);
    assert_int_equal(world_state(&w, later), RUN_WAITING);
    world_pass(&w, 1 * USEC_PER_SEC);
    assert_int_equal(world_state(&w, later), RUN_PENDING);
    world_check_replay(&w);
    world_pass(&w, 30 * USEC_PER_SEC);
    assert_int_equal(world_state(&w, late), RUN_EXPIRED);
    assert_int_equal(world_run(&w, late).n_expired, 1);
    assert_int_equal(world_state(&w, later), RUN_PENDING);
    world_check_replay(&w);
    world_release(&w);
}

static void test_idempotency_key(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t run = world_submit_key(&w, world_spec(&w, "a", 1), "order-17");
    assert_int_equal(world_submit_key(&w, world_spec(&w, "a", 1), "order-17"), run);
    assert_true(world_reply(&w)->existing);
    assert_int_not_equal(world_submit_key(&w, world_spec(&w, "a", 1), "order-18"), run);
    world_check_replay(&w);
    world_pass(&w, 2 * USEC_PER_DAY);
    assert_int_not_equal(world_submit_key(&w, world_spec(&w, "a", 1), "order-17"), run);
    assert_false(world_reply(&w)->existing);
    world_check_replay(&w);
    world_release(&w);
}

// The same key for other work is a mistake that must be told, not an answer about the wrong run.
static void test_a_key_belongs_to_one_work(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t run = world_submit_key(&w, world_spec(&w, "a", 1), "order-17");
    assert_int_equal(world_submit_key(&w, world_spec(&w, "a", 2), "order-17"), 0);
    assert_int_equal(world_reply(&w)->code, ERR_CONFLICT);
    assert_non_null(strstr(world_reply(&w)->text, "'order-17'"));
    assert_non_null(strstr(world_reply(&w)->text, "run 1;"));
    world_check_replay(&w);
    world_restart(&w); // another leader knows it, too
    assert_int_equal(world_submit_key(&w, world_spec(&w, "a", 2), "order-17"), 0);
    assert_int_equal(world_submit_key(&w, world_spec(&w, "a", 1), "order-17"), run);
    // Starts of jobs: the same job with the same values is the same work, whatever its version.
    const struct pair day = {"day", "monday"}, other = {"day", "sunday"};
    struct job_spec *spec = world_spec(&w, "report", 1);
    spec->params = &(struct param){.name = "day"};
    spec->n_params = 1;
    struct buf packed = {0};
    struct event start = {.kind = EV_START_JOB, .request = 1, .start_job = {.namespace_name = "default", .name = "report", .idempotency_key = "s",
                                                                           .params = &day, .n_params = 1}};
    for (int version = 1; version <= 2; version++) {
        spec->priority = version;
        buf_clear(&packed);
        spec_pack(&packed, spec);
        world_step(&w, &(struct event){.kind = EV_APPLY, .request = 1, .apply = {.spec = spec, .packed = {(const uint8_t *)packed.data, packed.len}}});
        world_step(&w, &start);
        assert_int_equal(world_reply(&w)->code, 0);
        assert_int_equal(world_reply(&w)->run_id, 2);
        assert_int_equal(world_reply(&w)->existing, version == 2);
    }
    start.start_job.params = &other;
    world_step(&w, &start);
    assert_int_equal(world_reply(&w)->code, ERR_CONFLICT);
    start.start_job.params = &day;
    start.start_job.idempotency_key = "order-17";
    world_step(&w, &start);
    assert_int_equal(world_reply(&w)->code, ERR_CONFLICT);
    buf_release(&packed);
    world_check_replay(&w);
    world_release(&w);
}

static void test_limits_refuse_by_name(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_PENDING_RUNS] = 1;
    assert_int_equal(world_submit(&w, world_spec(&w, "a", 1)), 1);
    assert_int_equal(world_submit(&w, world_spec(&w, "b", 1)), 0);
    assert_int_equal(world_reply(&w)->code, ERR_LIMIT);
    assert_non_null(strstr(world_reply(&w)->text, "pending_runs_max"));
    w.limits.value[LIMIT_PENDING_RUNS] = 100;
    w.limits.value[LIMIT_TASKS] = 10;
    assert_int_equal(world_submit(&w, world_spec(&w, "c", 11)), 0);
    assert_non_null(strstr(world_reply(&w)->text, "tasks_max"));
    w.limits.value[LIMIT_TASKS] = 1000;
    w.limits.value[LIMIT_PENDING_TASKS] = 100;
    assert_int_equal(world_submit(&w, world_spec(&w, "d", 100)), 0);
    assert_non_null(strstr(world_reply(&w)->text, "pending_tasks_max"));
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_task_runs_to_its_end),
        cmocka_unit_test(test_an_array_fills_what_is_free_and_no_more),
        cmocka_unit_test(test_waiting_tasks_cost_bits),
        cmocka_unit_test(test_retry_counts_and_waits),
        cmocka_unit_test(test_retry_only_on_listed_exit_codes),
        cmocka_unit_test(test_cancel_pending_and_running),
        cmocka_unit_test(test_cancel_some_tasks),
        cmocka_unit_test(test_hold_and_release),
        cmocka_unit_test(test_dependencies),
        cmocka_unit_test(test_concurrency_key),
        cmocka_unit_test(test_parallelism),
        cmocka_unit_test(test_queue_deadline_and_start_time),
        cmocka_unit_test(test_idempotency_key),
        cmocka_unit_test(test_a_key_belongs_to_one_work),
        cmocka_unit_test(test_limits_refuse_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
