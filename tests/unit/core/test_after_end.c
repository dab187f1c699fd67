// SPDX-License-Identifier: Apache-2.0
// Stories of jobs whose next instant comes after the end of their last run.
#include "tests/unit/core/job_world.h"
#include "tests/unit/test.h"

// An update decides what is due under the old definition first: a run that this starts goes on, and only its end begins the delay.
static void test_an_update_that_fires_begins_no_delay(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct job_spec *spec = every(&w, "chain", USEC_PER_MIN);
    assert_int_equal(apply(&w, spec), 0);
    w.wall += USEC_PER_MIN; // due, and nobody looked yet
    w.mono += USEC_PER_MIN;
    struct trigger trigger = spec->triggers[0];
    trigger.kind = TRIGGER_AFTER_END;
    trigger.every_usec = 30 * USEC_PER_SEC;
    spec->triggers = &trigger;
    assert_int_equal(apply(&w, spec), 0);
    assert_int_equal(job(&w, "chain").n_active, 1);
    uint64_t run = job(&w, "chain").last_run;
    assert_int_equal(job(&w, "chain").next_usec, USEC_NEVER);
    world_pass(&w, 40 * USEC_PER_SEC);
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 1, .cancel = {.run_id = run}});
    usec_t ended = w.wall;
    world_pass(&w, 30 * USEC_PER_SEC);
    assert_int_equal(world_run(&w, job(&w, "chain").last_run).nominal_usec, ended + 30 * USEC_PER_SEC);
    world_check_replay(&w);
    world_release(&w);
}

// The next run comes so long after the end of the last one, whatever ended it, and replay agrees.
static void test_after_end(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct job_spec *spec = every(&w, "chain", 30 * USEC_PER_SEC);
    struct trigger trigger = spec->triggers[0];
    trigger.kind = TRIGGER_AFTER_END;
    spec->triggers = &trigger;
    assert_int_equal(apply(&w, spec), 0);
    usec_t begin = w.wall;
    world_pass(&w, 29 * USEC_PER_SEC);
    assert_int_equal(job(&w, "chain").last_run, 0);
    world_pass(&w, USEC_PER_SEC);
    assert_int_equal(job(&w, "chain").last_run, 1);
    assert_int_equal(world_run(&w, 1).nominal_usec, begin + 30 * USEC_PER_SEC);
    world_check_replay(&w);
    // However long it takes, no second one comes beside it.
    world_pass(&w, USEC_PER_HOUR);
    assert_int_equal(job(&w, "chain").last_run, 1);
    uint64_t session = world_node(&w, "n", 4000);
    world_plan(&w);
    const struct effect *fx = world_effect(&w, FX_START, 0);
    assert_non_null(fx);
    uint64_t fence = fx->start.order[0].fence;
    world_report_start(&w, session, fence);
    world_pass(&w, 10 * USEC_PER_SEC);
    world_report_end(&w, session, fence, OUTCOME_EXIT, 1); // a failed run has ended, too
    usec_t ended = w.wall;
    world_check_replay(&w);
    world_pass(&w, 30 * USEC_PER_SEC);
    assert_int_equal(job(&w, "chain").last_run, 2);
    assert_int_equal(world_run(&w, 2).nominal_usec, ended + 30 * USEC_PER_SEC);
    // Updated while a run goes on: its end counts.
    trigger.every_usec = 50 * USEC_PER_SEC;
    assert_int_equal(apply(&w, spec), 0);
    world_pass(&w, USEC_PER_HOUR);
    assert_int_equal(job(&w, "chain").last_run, 2);
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 1, .cancel = {.run_id = 2}});
    world_check_replay(&w);
    world_pass(&w, 49 * USEC_PER_SEC);
    assert_int_equal(job(&w, "chain").last_run, 2);
    world_pass(&w, USEC_PER_SEC);
    assert_int_equal(job(&w, "chain").last_run, 3);
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 1, .cancel = {.run_id = 3}});
    // A run by hand puts it off.
    world_pass(&w, 40 * USEC_PER_SEC);
    world_step(&w, &(struct event){.kind = EV_START_JOB, .request = 1, .start_job = {.namespace_name = "default", .name = "chain"}});
    world_pass(&w, 20 * USEC_PER_SEC);
    assert_int_equal(job(&w, "chain").last_run, 4);
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 1, .cancel = {.run_id = 4}});
    // Held and released it begins anew.
    world_step(&w, &(struct event){.kind = EV_JOB_HOLD, .request = 1, .job_hold = {.namespace_name = "default", .name = "chain", .to = JOB_HELD}});
    world_pass(&w, USEC_PER_HOUR);
    assert_int_equal(job(&w, "chain").last_run, 4);
    world_step(&w, &(struct event){.kind = EV_JOB_HOLD, .request = 1, .job_hold = {.namespace_name = "default", .name = "chain", .to = JOB_ACTIVE}});
    world_pass(&w, 50 * USEC_PER_SEC);
    assert_int_equal(job(&w, "chain").last_run, 5);
    world_check_replay(&w);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_end),
        cmocka_unit_test(test_an_update_that_fires_begins_no_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
