// SPDX-License-Identifier: Apache-2.0
// Stories of jobs that are not as they should be: paused after failures, late, without a run for their instant.
#include "tests/unit/core/job_world.h"

static struct job_view look(struct world *w, const char *name)
{
    struct job_view view = job(w, name);
    core_view_conditions(w->core, w->wall, &w->lasting, &view);
    return view;
}

static struct why_view why(struct world *w, const char *name)
{
    struct why_view view;
    assert_int_equal(core_why_job(w->core, "default", name, w->wall, &w->lasting, &view), 0);
    return view;
}

static void only(struct world *w, const char *name, enum condition condition, usec_t since_usec)
{
    struct job_view view = look(w, name);
    assert_int_equal(view.n_conditions, 1);
    assert_int_equal(view.conditions[0].condition, condition);
    assert_int_equal(view.conditions[0].since_usec, since_usec);
    assert_string_equal(view.conditions[0].job_name, name);
    world_check_replay(w);
}

static void none(struct world *w, const char *name)
{
    assert_int_equal(look(w, name).n_conditions, 0);
    world_check_replay(w);
}

static void change(struct world *w, const char *name, enum job_state to)
{
    world_step(w, &(struct event){.kind = EV_JOB_HOLD, .request = 1, .job_hold = {"default", name, to}});
}

static void start(struct world *w, const char *name)
{
    world_step(w, &(struct event){.kind = EV_START_JOB, .request = 1, .start_job = {.namespace_name = "default", .name = name}});
}

// The last attempt that was ordered in this step, ended with this status.
static void end_run(struct world *w, uint64_t session, int exit_code)
{
    world_plan(w);
    const struct effect *fx = world_effect(w, FX_START, 0);
    assert_non_null(fx);
    uint64_t fence = fx->start.order[0].fence;
    world_report_start(w, session, fence);
    world_report_end(w, session, fence, exit_code == 0 ? OUTCOME_SUCCEEDED : OUTCOME_EXIT, exit_code);
}

static void test_late_until_it_begins(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_NODE_LEASE] = USEC_PER_DAY;
    usec_t begin = w.wall;
    struct job_spec *spec = every(&w, "tick", USEC_PER_HOUR);
    spec->late_after_usec = 5 * USEC_PER_MIN;
    assert_int_equal(apply(&w, spec), 0);
    none(&w, "tick");
    world_pass(&w, USEC_PER_HOUR + 5 * USEC_PER_MIN - 1);
    none(&w, "tick"); // there is no node, but some time is left
    world_pass(&w, 1);
    only(&w, "tick", CONDITION_LATE, begin + USEC_PER_HOUR + 5 * USEC_PER_MIN);
    assert_int_equal(look(&w, "tick").conditions[0].run_id, 1);
    assert_int_equal(look(&w, "tick").conditions[0].nominal_usec, begin + USEC_PER_HOUR);
    uint64_t session = world_node(&w, "n1", 1000);
    world_plan(&w);
    none(&w, "tick"); // it clears itself
    world_report_start(&w, session, 1);
    // One core: the next waits behind it.
    world_pass(&w, USEC_PER_HOUR);
    only(&w, "tick", CONDITION_LATE, begin + 2 * USEC_PER_HOUR + 5 * USEC_PER_MIN);
    world_report_end(&w, session, 1, OUTCOME_SUCCEEDED, 0);
    world_plan(&w);
    none(&w, "tick");
    world_release(&w);
}

// Nobody decides: the instant itself is late, for whoever looks at the state first after the outage.
static void test_an_instant_that_nobody_decided_is_late(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    usec_t begin = w.wall;
    struct job_spec *spec = every(&w, "tick", USEC_PER_HOUR);
    struct trigger trigger = spec->triggers[0];
    trigger.jitter_usec = USEC_PER_MIN;
    spec->triggers = &trigger;
    spec->late_after_usec = USEC_PER_MIN;
    assert_int_equal(apply(&w, spec), 0);
    w.wall += USEC_PER_HOUR + 2 * USEC_PER_MIN;
    struct job_view view = look(&w, "tick");
    assert_int_equal(view.n_conditions, 1);
    assert_int_equal(view.conditions[0].condition, CONDITION_LATE);
    assert_int_equal(view.conditions[0].run_id, 0);
    assert_in_range(view.conditions[0].since_usec, begin + USEC_PER_HOUR + USEC_PER_MIN, begin + USEC_PER_HOUR + 2 * USEC_PER_MIN);
    w.wall = begin + USEC_PER_HOUR + USEC_PER_MIN - 1;
    none(&w, "tick"); // what jitter puts off is not late
    world_release(&w);
}

static void test_did_not_run_until_something_runs(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_NODE_LEASE] = USEC_PER_DAY;
    usec_t begin = w.wall;
    uint64_t session = world_node(&w, "n1", 4000);
    struct job_spec *spec = every(&w, "tick", USEC_PER_HOUR);
    spec->overlap = OVERLAP_FORBID;
    spec->late_after_usec = 5 * USEC_PER_MIN;
    assert_int_equal(apply(&w, spec), 0);
    world_pass(&w, USEC_PER_HOUR);
    world_plan(&w);
    world_report_start(&w, session, 1);
    world_pass(&w, USEC_PER_HOUR + USEC_PER_MIN); // skipped: the first goes on
    none(&w, "tick");
    world_pass(&w, 4 * USEC_PER_MIN);
    only(&w, "tick", CONDITION_DID_NOT_RUN, begin + 2 * USEC_PER_HOUR + 5 * USEC_PER_MIN);
    assert_non_null(strstr(look(&w, "tick").conditions[0].sentence, "skipped_overlap"));
    world_pass(&w, USEC_PER_HOUR); // another is skipped: the first tells since when
    only(&w, "tick", CONDITION_DID_NOT_RUN, begin + 2 * USEC_PER_HOUR + 5 * USEC_PER_MIN);
    world_report_end(&w, session, 1, OUTCOME_SUCCEEDED, 0);
    only(&w, "tick", CONDITION_DID_NOT_RUN, begin + 2 * USEC_PER_HOUR + 5 * USEC_PER_MIN);
    start(&w, "tick"); // by hand is as good
    end_run(&w, session, 0);
    none(&w, "tick");
    // A run that ends before it has begun is none.
    world_step(&w, &(struct event){.kind = EV_NODE_ADMISSION, .request = 1, .node_admission = {"n1", ADMIT_CLOSED}});
    world_pass(&w, 55 * USEC_PER_MIN);
    world_step(&w, &(struct event){.kind = EV_CANCEL_JOB, .request = 1, .cancel_job = {"default", "tick"}});
    world_pass(&w, 5 * USEC_PER_MIN);
    only(&w, "tick", CONDITION_DID_NOT_RUN, begin + 4 * USEC_PER_HOUR + 5 * USEC_PER_MIN);
    assert_non_null(strstr(look(&w, "tick").conditions[0].sentence, "ended before it began"));
    world_step(&w, &(struct event){.kind = EV_NODE_ADMISSION, .request = 1, .node_admission = {"n1", ADMIT_OPEN}});
    change(&w, "tick", JOB_HELD); // who holds it does not expect it to run
    none(&w, "tick");
    change(&w, "tick", JOB_ACTIVE);
    none(&w, "tick");
    world_pass(&w, 55 * USEC_PER_MIN);
    world_plan(&w);
    none(&w, "tick");
    world_release(&w);
}

// Who makes up for an old instant has not run for the newest.
static void test_an_older_run_clears_nothing_newer(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_NODE_LEASE] = USEC_PER_DAY;
    usec_t begin = w.wall;
    uint64_t session = world_node(&w, "n1", 1000);
    struct job_spec *spec = every(&w, "tick", USEC_PER_HOUR);
    spec->overlap = OVERLAP_QUEUE;
    spec->late_after_usec = USEC_PER_MIN;
    assert_int_equal(apply(&w, spec), 0);
    world_pass(&w, USEC_PER_HOUR);
    world_plan(&w);
    world_report_start(&w, session, 1);
    world_pass(&w, 2 * USEC_PER_HOUR + USEC_PER_MIN); // the second waits, the third finds no place
    assert_int_equal(look(&w, "tick").n_conditions, 2);
    world_report_end(&w, session, 1, OUTCOME_SUCCEEDED, 0);
    world_plan(&w);
    only(&w, "tick", CONDITION_DID_NOT_RUN, begin + 3 * USEC_PER_HOUR + USEC_PER_MIN);
    world_release(&w);
}

static void test_paused_says_so_and_goes_on(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_NODE_LEASE] = USEC_PER_DAY;
    uint64_t session = world_node(&w, "n1", 4000);
    struct job_spec *spec = every(&w, "frail", USEC_PER_HOUR);
    spec->pause_after = 2;
    assert_int_equal(apply(&w, spec), 0);
    assert_int_equal(why(&w, "frail").reason, REASON_NOT_DUE);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) {
            none(&w, "frail");
            start(&w, "frail");
            end_run(&w, session, 1);
        }
        only(&w, "frail", CONDITION_PAUSED, 0);
        assert_int_equal(why(&w, "frail").reason, REASON_JOB_PAUSED);
        assert_non_null(strstr(why(&w, "frail").sentence, "2 runs in a row failed"));
        if (round == 0) {
            change(&w, "frail", JOB_ACTIVE);
        } else { // another version is another chance
            spec->priority = 5;
            assert_int_equal(apply(&w, spec), 0);
        }
        assert_int_equal(look(&w, "frail").failures, 0);
        assert_int_equal(job(&w, "frail").state, JOB_ACTIVE);
        assert_true(job(&w, "frail").next_usec > w.wall && job(&w, "frail").next_usec <= w.wall + USEC_PER_HOUR);
    }
    // Who holds a job by hand keeps it held, whatever its runs and versions do.
    change(&w, "frail", JOB_HELD);
    for (int i = 0; i < 2; i++) {
        start(&w, "frail");
        end_run(&w, session, 1);
    }
    none(&w, "frail");
    assert_int_equal(why(&w, "frail").reason, REASON_JOB_HELD);
    spec->priority = 6;
    assert_int_equal(apply(&w, spec), 0);
    assert_int_equal(job(&w, "frail").state, JOB_HELD);
    world_check_replay(&w);
    world_release(&w);
}

// What has come due when a failure pauses the job is decided before.
static void test_a_pause_forgets_no_instant(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_NODE_LEASE] = 100 * USEC_PER_DAY;
    uint64_t session = world_node(&w, "n1", 4000);
    struct job_spec *spec = every(&w, "frail", USEC_PER_HOUR);
    spec->pause_after = 1;
    spec->misfire = MISFIRE_ALL;
    assert_int_equal(apply(&w, spec), 0);
    start(&w, "frail");
    world_plan(&w);
    world_report_start(&w, session, 1);
    w.wall += 30 * USEC_PER_HOUR;
    w.mono += 30 * USEC_PER_HOUR;
    world_report_end(&w, session, 1, OUTCOME_EXIT, 1);
    assert_int_equal(job(&w, "frail").state, JOB_HELD);
    const struct rec_job_fired *fired = NULL;
    for (size_t i = 0; i < w.out.n_records; i++)
        if (w.out.record[i]->kind == REC_JOB_FIRED)
            fired = &w.out.record[i]->job_fired;
    assert_non_null(fired);
    assert_int_equal(fired->outcome, FIRE_SKIPPED_CHANGED);
    assert_int_equal(fired->n_missed, 30);
    only(&w, "frail", CONDITION_PAUSED, 0);
    world_release(&w);
}

// A snapshot keeps what conditions are told from.
static void test_conditions_survive_a_restart(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    usec_t begin = w.wall;
    uint64_t session = world_node(&w, "n1", 4000);
    struct job_spec *frail = every(&w, "frail", 100 * USEC_PER_DAY);
    frail->pause_after = 1;
    assert_int_equal(apply(&w, frail), 0);
    start(&w, "frail");
    end_run(&w, session, 1);
    struct job_spec *spec = every(&w, "tick", USEC_PER_HOUR);
    spec->late_after_usec = 5 * USEC_PER_MIN;
    spec->misfire = MISFIRE_SKIP;
    assert_int_equal(apply(&w, spec), 0);
    w.wall += USEC_PER_HOUR + 10 * USEC_PER_MIN;
    world_step(&w, &(struct event){.kind = EV_TICK});
    for (int i = 0; i < 2; i++) {
        only(&w, "tick", CONDITION_DID_NOT_RUN, begin + USEC_PER_HOUR + 5 * USEC_PER_MIN);
        assert_non_null(strstr(look(&w, "tick").conditions[0].sentence, "skipped_misfire"));
        only(&w, "frail", CONDITION_PAUSED, 0);
        world_restart(&w);
    }
    world_release(&w);
}

static void test_pages_of_conditions(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.check = false;
    char name[32];
    for (int i = 0; i < 25000; i++) {
        snprintf(name, sizeof(name), "job-%d", i);
        struct job_spec *spec = every(&w, name, USEC_PER_HOUR);
        spec->late_after_usec = i % 100 == 7 ? USEC_PER_MIN : 0;
        assert_int_equal(apply(&w, spec), 0);
    }
    w.wall += 2 * USEC_PER_HOUR;
    size_t found = 0, calls = 0;
    uint64_t after = 0;
    do {
        struct condition_view *views;
        size_t n = core_conditions(w.core, after, 90, w.wall, &w.lasting, &views, &after);
        for (size_t i = 0; i < n; i++) {
            snprintf(name, sizeof(name), "job-%zu", 7 + 100 * (found + i));
            assert_string_equal(views[i].job_name, name);
        }
        found += n;
        calls++;
    } while (after != 0);
    assert_int_equal(found, 250);
    assert_int_equal(calls, 3);
    assert_int_equal(core_why_job(w.core, "default", "nobody", w.wall, &w.lasting, &(struct why_view){0}), ERR_NOT_FOUND);
    world_release(&w);
}

static void test_why_a_job_does_not_fire(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    assert_int_equal(apply(&w, world_spec(&w, "hand", 1)), 0);
    assert_int_equal(why(&w, "hand").reason, REASON_NO_INSTANT);
    assert_non_null(strstr(why(&w, "hand").sentence, "by hand"));
    struct job_spec *chain = every(&w, "chain", 30 * USEC_PER_SEC);
    struct trigger trigger = chain->triggers[0];
    trigger.kind = TRIGGER_AFTER_END;
    chain->triggers = &trigger;
    assert_int_equal(apply(&w, chain), 0);
    assert_int_equal(why(&w, "chain").reason, REASON_NOT_DUE);
    world_pass(&w, 30 * USEC_PER_SEC);
    assert_int_equal(why(&w, "chain").reason, REASON_NO_INSTANT);
    assert_int_equal(why(&w, "chain").run_id, 1);
    struct job_spec *all = every(&w, "all", USEC_PER_HOUR);
    all->misfire = MISFIRE_ALL;
    assert_int_equal(apply(&w, all), 0);
    w.wall += USEC_PER_DAY;
    w.mono += USEC_PER_DAY;
    world_step(&w, &(struct event){.kind = EV_TICK});
    assert_int_equal(why(&w, "all").reason, REASON_CATCHING_UP);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late_until_it_begins),
        cmocka_unit_test(test_an_instant_that_nobody_decided_is_late),
        cmocka_unit_test(test_did_not_run_until_something_runs),
        cmocka_unit_test(test_an_older_run_clears_nothing_newer),
        cmocka_unit_test(test_paused_says_so_and_goes_on),
        cmocka_unit_test(test_a_pause_forgets_no_instant),
        cmocka_unit_test(test_conditions_survive_a_restart),
        cmocka_unit_test(test_pages_of_conditions),
        cmocka_unit_test(test_why_a_job_does_not_fire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
