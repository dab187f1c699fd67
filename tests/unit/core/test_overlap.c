// SPDX-License-Identifier: Apache-2.0
// Stories of instants that come while a run of their job goes on.
#include "tests/unit/core/job_world.h"

static void test_overlap(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct job_spec *spec = every(&w, "forbid", 10 * USEC_PER_SEC);
    spec->overlap = OVERLAP_FORBID;
    assert_int_equal(apply(&w, spec), 0);
    spec = every(&w, "replace", 10 * USEC_PER_SEC);
    spec->overlap = OVERLAP_REPLACE;
    assert_int_equal(apply(&w, spec), 0);
    spec = every(&w, "queue", 10 * USEC_PER_SEC);
    spec->overlap = OVERLAP_QUEUE_ALL;
    assert_int_equal(apply(&w, spec), 0);
    world_pass(&w, 35 * USEC_PER_SEC);
    assert_int_equal(job(&w, "forbid").n_active, 1);
    assert_int_equal(job(&w, "replace").n_active, 1);
    assert_int_equal(job(&w, "queue").n_active, 3); // one may start, two wait for it
    world_check_replay(&w);
    struct core_stats stats;
    core_stats(w.core, &stats);
    uint64_t live = stats.runs_live;
    assert_int_equal(live, 5);
    uint64_t last = job(&w, "queue").last_run;
    assert_int_equal(world_state(&w, last), RUN_WAITING);
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 1, .cancel = {.run_id = last}});
    assert_int_equal(job(&w, "queue").n_active, 2);
    world_check_replay(&w);
    world_release(&w);
}

// The runs of a job with this policy, fired every 10 s from `begin` on, on a node that is there.
static uint64_t begin_overlap(struct world *w, enum overlap overlap)
{
    w->limits.value[LIMIT_NODE_LEASE] = USEC_PER_HOUR;
    uint64_t session = world_node(w, "n1", 8000);
    struct job_spec *spec = every(w, "tick", 10 * USEC_PER_SEC);
    spec->overlap = overlap;
    assert_int_equal(apply(w, spec), 0);
    world_pass(w, 10 * USEC_PER_SEC);
    world_plan(w);
    world_report_start(w, session, 1);
    assert_int_equal(world_state(w, 1), RUN_RUNNING);
    return session;
}

static void test_queued_instants_wait_and_keep_their_time(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    usec_t begin = w.wall;
    uint64_t session = begin_overlap(&w, OVERLAP_QUEUE);
    world_pass(&w, 15 * USEC_PER_SEC);
    world_plan(&w);
    assert_int_equal(job(&w, "tick").last_run, 2);
    assert_int_equal(world_state(&w, 2), RUN_WAITING);
    assert_int_equal(world_run(&w, 2).nominal_usec, begin + 20 * USEC_PER_SEC);
    world_check_replay(&w);
    world_report_end(&w, session, 1, OUTCOME_SUCCEEDED, 0);
    world_plan(&w);
    assert_int_equal(world_state(&w, 2), RUN_RUNNING);
    assert_int_equal(world_run(&w, 2).nominal_usec, begin + 20 * USEC_PER_SEC);
    world_check_replay(&w);
    world_release(&w);
}

// The most recent instant of the job, and what became of it.
static enum fire_outcome last_outcome(const struct world *w)
{
    enum fire_outcome outcome = FIRE_OUTCOMES;
    for (size_t i = 0; i < w->out.n_records; i++)
        if (w->out.record[i]->kind == REC_JOB_FIRED)
            outcome = w->out.record[i]->job_fired.outcome;
    return outcome;
}

// `queue`: one instant waits, whatever its run waits for; the next is skipped until its place is free.
static void test_one_waits_in_the_queue(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    usec_t begin = w.wall;
    uint64_t session = begin_overlap(&w, OVERLAP_QUEUE);
    world_pass(&w, 10 * USEC_PER_SEC);
    assert_int_equal(last_outcome(&w), FIRE_QUEUED);
    world_pass(&w, 10 * USEC_PER_SEC);
    assert_int_equal(last_outcome(&w), FIRE_SKIPPED_QUEUE);
    assert_int_equal(job(&w, "tick").n_active, 2);
    world_check_replay(&w);
    // Another leader finds the queue as it was; the run that goes on is cancelled, and the one that waits begins.
    struct core *next = world_replay(&w);
    core_free(w.core);
    w.core = next;
    world_step(&w, &(struct event){.kind = EV_LEAD, .lead = {.epoch = 2, .server = "s2", .version = "test"}});
    const struct known_attempt known = {.fence = 1, .running = true, .start_usec = w.wall};
    session = world_hello(&w, "n1", 8000, "spawner-1", &known, 1);
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 1, .cancel = {.run_id = 1}});
    assert_int_equal(world_reply(&w)->code, 0);
    assert_int_equal(world_state(&w, 2), RUN_WAITING); // until the process is gone
    world_report_end(&w, session, 1, OUTCOME_CANCELLED, 0);
    world_plan(&w);
    assert_int_equal(world_state(&w, 2), RUN_RUNNING);
    assert_int_equal(world_run(&w, 2).nominal_usec, begin + 20 * USEC_PER_SEC);
    world_pass(&w, 10 * USEC_PER_SEC);
    assert_int_equal(last_outcome(&w), FIRE_QUEUED); // its place is free again
    world_check_replay(&w);
    world_release(&w);
}

static void test_the_queue_has_an_end(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_QUEUED_FIRES] = 3;
    uint64_t session = begin_overlap(&w, OVERLAP_QUEUE_ALL);
    for (int i = 0; i < 3; i++) {
        world_pass(&w, 10 * USEC_PER_SEC);
        assert_int_equal(last_outcome(&w), FIRE_QUEUED);
    }
    // Runs by hand do not wait, and count for nothing here.
    world_step(&w, &(struct event){.kind = EV_START_JOB, .request = 1, .start_job = {.namespace_name = "default", .name = "tick"}});
    world_pass(&w, 10 * USEC_PER_SEC);
    assert_int_equal(last_outcome(&w), FIRE_SKIPPED_QUEUE);
    world_check_replay(&w);
    world_step(&w, &(struct event){.kind = EV_CANCEL, .request = 1, .cancel = {.run_id = 3}}); // one of those that wait
    world_pass(&w, 10 * USEC_PER_SEC);
    assert_int_equal(last_outcome(&w), FIRE_QUEUED);
    world_report_end(&w, session, 1, OUTCOME_SUCCEEDED, 0);
    world_plan(&w);
    assert_int_equal(world_state(&w, 5), RUN_RUNNING); // by hand
    assert_int_equal(world_state(&w, 2), RUN_RUNNING); // it came before that one and does not wait for it
    assert_int_equal(world_state(&w, 4), RUN_WAITING);
    world_check_replay(&w);
    world_release(&w);
}

static void test_a_run_that_replaces_another_waits_for_its_end(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = begin_overlap(&w, OVERLAP_REPLACE);
    world_pass(&w, 10 * USEC_PER_SEC);
    world_plan(&w);
    assert_int_equal(world_state(&w, 1), RUN_CANCELLING); // its process is still there
    assert_int_equal(world_state(&w, 2), RUN_WAITING);
    world_check_replay(&w);
    world_pass(&w, 10 * USEC_PER_SEC);
    world_plan(&w);
    assert_int_equal(world_state(&w, 2), RUN_CANCELLED); // replaced before it could begin
    assert_int_equal(world_state(&w, 3), RUN_WAITING);
    world_report_end(&w, session, 1, OUTCOME_CANCELLED, 0);
    world_plan(&w);
    assert_int_equal(world_state(&w, 1), RUN_CANCELLED);
    assert_int_equal(world_state(&w, 3), RUN_RUNNING);
    world_check_replay(&w);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_queued_instants_wait_and_keep_their_time),
        cmocka_unit_test(test_one_waits_in_the_queue),
        cmocka_unit_test(test_the_queue_has_an_end),
        cmocka_unit_test(test_a_run_that_replaces_another_waits_for_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
