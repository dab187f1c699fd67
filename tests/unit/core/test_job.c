// SPDX-License-Identifier: Apache-2.0
// Stories of jobs: versions, schedules, overlap, misfires, hold and delete.
#include "model/params.h"
#include "tests/unit/core/job_world.h"
#include "tests/unit/test.h"

static void test_versions(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    assert_int_equal(apply(&w, world_spec(&w, "report", 1)), 0);
    assert_int_equal(world_reply(&w)->version, 1);
    assert_int_equal(apply(&w, world_spec(&w, "report", 1)), 0);
    assert_true(world_reply(&w)->existing); // nothing changed
    assert_int_equal(apply(&w, world_spec(&w, "report", 2)), 0);
    assert_int_equal(world_reply(&w)->version, 2);
    struct event start = {.kind = EV_START_JOB, .request = 1, .start_job = {.namespace_name = "default", .name = "report"}};
    world_step(&w, &start);
    uint64_t run = world_reply(&w)->run_id;
    assert_int_equal(world_run(&w, run).n_tasks, 2);
    assert_int_equal(world_run(&w, run).job_version, 2);
    start.start_job.name = "nothing";
    world_step(&w, &start);
    assert_int_equal(world_reply(&w)->code, ERR_NOT_FOUND);
    world_check_replay(&w);
    world_release(&w);
}

static void expect_params(struct bytes params, const char *wanted)
{
    struct arena arena;
    arena_init(&arena, 0);
    const struct pair *values = NULL;
    size_t n = 0;
    struct buf text = {0};
    assert_int_equal(params_unpack(params, &arena, &values, &n, NULL), 0);
    buf_adds(&text, "");
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s=%s;", values[i].key, values[i].value);
    assert_string_equal(n > 0 ? text.data : "", wanted);
    buf_release(&text);
    arena_release(&arena);
}

static void test_parameters(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    static const struct param declared[] = {{"day", NULL, true}, {"region", "eu", false}};
    static const struct pair fixed[] = {{"day", "x"}, {"region", "us"}};
    struct job_spec *spec = every(&w, "report", USEC_PER_MIN);
    spec->params = declared;
    spec->n_params = 2;
    struct trigger *trigger = (struct trigger *)(uintptr_t)spec->triggers;
    trigger->params = fixed;
    trigger->n_params = 2;
    assert_int_equal(apply(&w, spec), 0);
    struct pair given = {"day", "2026-11-23"};
    struct event start = {.kind = EV_START_JOB, .request = 1, .start_job = {.namespace_name = "default", .name = "report"}};
    world_step(&w, &start);
    assert_int_equal(world_reply(&w)->code, ERR_INVALID);
    assert_int_equal(world_count(&w, REC_RUN_SUBMITTED), 0);
    start.start_job.params = &given;
    start.start_job.n_params = 1;
    world_step(&w, &start);
    uint64_t by_hand = world_reply(&w)->run_id;
    expect_params(world_run(&w, by_hand).params, "day=2026-11-23;region=eu;");
    // What the schedule fixes goes to its fires, and every order carries the values.
    world_pass(&w, USEC_PER_MIN);
    expect_params(world_run(&w, by_hand + 1).params, "day=x;region=us;");
    world_node(&w, "n1", 4000);
    world_plan(&w);
    const struct fx_start *orders = &world_effect(&w, FX_START, 0)->start;
    assert_int_equal(orders->n, 2);
    expect_params(orders->order[0].params, "day=2026-11-23;region=eu;");
    expect_params(orders->order[1].params, "day=x;region=us;");
    // A run of its own declares and gives at once; without values it has the defaults.
    struct job_spec *own = world_spec(&w, "own", 1);
    own->params = declared + 1;
    own->n_params = 1;
    expect_params(world_run(&w, world_submit(&w, own)).params, "region=eu;");
    own = world_spec(&w, "none", 1);
    expect_params(world_run(&w, world_submit(&w, own)).params, "");
    world_check_replay(&w);
    world_release(&w);
}

static void test_a_schedule_fires_each_instant_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    usec_t begin = w.wall;
    assert_int_equal(apply(&w, every(&w, "tick", 10 * USEC_PER_SEC)), 0);
    world_pass(&w, 9 * USEC_PER_SEC);
    assert_int_equal(job(&w, "tick").last_run, 0);
    world_pass(&w, 1 * USEC_PER_SEC);
    assert_int_equal(job(&w, "tick").last_run, 1);
    assert_int_equal(world_run(&w, 1).nominal_usec, begin + 10 * USEC_PER_SEC);
    world_pass(&w, 90 * USEC_PER_SEC);
    assert_int_equal(job(&w, "tick").last_run, 10);
    world_check_replay(&w);
    world_release(&w);
}

static void test_a_clock_set_back_brings_no_instant_twice(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    usec_t begin = w.wall;
    assert_int_equal(apply(&w, every(&w, "tick", 10 * USEC_PER_SEC)), 0);
    world_pass(&w, 60 * USEC_PER_SEC);
    assert_int_equal(job(&w, "tick").last_run, 6);
    w.wall -= 45 * USEC_PER_SEC;
    struct event hold = {.kind = EV_JOB_HOLD, .request = 1, .job_hold = {"default", "tick", JOB_HELD}};
    world_step(&w, &hold);
    hold.job_hold.to = JOB_ACTIVE;
    world_step(&w, &hold);
    assert_int_equal(job(&w, "tick").next_usec, begin + 70 * USEC_PER_SEC);
    struct job_spec *spec = every(&w, "tick", 5 * USEC_PER_SEC);
    assert_int_equal(apply(&w, spec), 0);
    assert_int_equal(job(&w, "tick").next_usec, begin + 65 * USEC_PER_SEC);
    world_check_replay(&w);
    world_release(&w);
}

static void test_a_job_cannot_wait_for_a_run(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t run = world_submit(&w, world_spec(&w, NULL, 1));
    struct job_spec *spec = every(&w, "tick", USEC_PER_SEC);
    spec->after = &(struct dependency){.run_id = run, .on = AFTER_ENDED};
    spec->n_after = 1;
    assert_int_equal(apply(&w, spec), ERR_INVALID);
    assert_non_null(strstr(world_reply(&w)->text, "after"));
    world_release(&w);
}

static void test_misfire_after_an_outage(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    static const enum misfire policies[] = {MISFIRE_SKIP, MISFIRE_ONCE, MISFIRE_ALL};
    static const char *const names[] = {"skip", "once", "all"};
    for (int i = 0; i < 3; i++) {
        struct job_spec *spec = every(&w, names[i], USEC_PER_HOUR);
        spec->misfire = policies[i];
        assert_int_equal(apply(&w, spec), 0);
    }
    world_pass(&w, USEC_PER_MIN);
    w.wall += 5 * USEC_PER_HOUR; // nobody was there
    w.mono += 5 * USEC_PER_HOUR;
    uint64_t before = job(&w, "all").last_run;
    world_step(&w, &(struct event){.kind = EV_TICK});
    size_t fired[3] = {0};
    for (size_t i = 0; i < w.out.n_records; i++)
        if (w.out.record[i]->kind == REC_RUN_SUBMITTED)
            fired[w.out.record[i]->run_submitted.job_id - 1]++;
    assert_int_equal(fired[0], 0);
    assert_int_equal(fired[1], 1);
    world_pass(&w, USEC_PER_SEC); // those of `all` follow one by one
    assert_int_equal(job(&w, "all").n_active, 5);
    assert_true(job(&w, "all").last_run > before);
    assert_true(job(&w, "skip").next_usec > w.wall);
    assert_true(job(&w, "once").next_usec > w.wall);
    world_check_replay(&w);
    world_release(&w);
}

static void test_misfire_after_is_a_setting(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct job_spec *spec = every(&w, "tick", USEC_PER_SEC);
    spec->misfire = MISFIRE_SKIP;
    assert_int_equal(apply(&w, spec), 0);
    w.wall += 10 * USEC_PER_SEC;
    w.mono += 10 * USEC_PER_SEC;
    world_step(&w, &(struct event){.kind = EV_TICK});
    assert_int_equal(job(&w, "tick").last_run, 10); // a delay of seconds is no misfire
    w.limits.value[LIMIT_MISFIRE_AFTER] = 4 * USEC_PER_SEC;
    w.wall += 10 * USEC_PER_SEC;
    w.mono += 10 * USEC_PER_SEC;
    world_step(&w, &(struct event){.kind = EV_TICK});
    assert_int_equal(job(&w, "tick").last_run, 10); // unless the setting says so
    world_check_replay(&w);
    world_release(&w);
}

static void test_hold_and_delete(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    assert_int_equal(apply(&w, every(&w, "tick", 10 * USEC_PER_SEC)), 0);
    world_pass(&w, 10 * USEC_PER_SEC);
    struct event hold = {.kind = EV_JOB_HOLD, .request = 1, .job_hold = {"default", "tick", JOB_HELD}};
    world_step(&w, &hold);
    world_pass(&w, USEC_PER_HOUR);
    assert_int_equal(job(&w, "tick").last_run, 1);
    hold.job_hold.to = JOB_ACTIVE;
    world_step(&w, &hold);
    world_check_replay(&w);
    world_pass(&w, 10 * USEC_PER_SEC);
    assert_int_equal(job(&w, "tick").last_run, 2);
    hold.job_hold.to = JOB_DELETED;
    world_step(&w, &hold);
    assert_int_equal(world_state(&w, 2), RUN_PENDING); // what was started goes on
    world_step(&w, &hold);
    assert_int_equal(world_reply(&w)->code, ERR_NOT_FOUND);
    assert_int_equal(core_deadline(w.core, w.wall, w.mono), USEC_NEVER);
    world_check_replay(&w);
    world_release(&w);
}

// What has come due before somebody holds or changes the job is decided first, by the definition under which it came due.
static void test_due_instants_survive_hold_and_update(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    apply(&w, every(&w, "tick", 10 * USEC_PER_SEC));
    w.wall += 15 * USEC_PER_SEC;
    struct job_spec *changed = every(&w, "tick", 10 * USEC_PER_SEC);
    changed->priority = 7;
    apply(&w, changed);
    assert_int_equal(world_count(&w, REC_JOB_FIRED), 1);
    w.wall += 10 * USEC_PER_SEC;
    struct event hold = {.kind = EV_JOB_HOLD, .request = 1, .job_hold = {"default", "tick", JOB_HELD}};
    world_step(&w, &hold);
    assert_int_equal(world_count(&w, REC_JOB_FIRED), 1);
    assert_int_equal(job(&w, "tick").state, JOB_HELD);
    world_check_replay(&w);
    world_release(&w);
}

// An instant that was decided is not decided again when the clock is put back, whatever people do to the job meanwhile.
static void test_a_clock_put_back_fires_nothing_twice(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    apply(&w, every(&w, "tick", 10 * USEC_PER_SEC));
    world_pass(&w, 100 * USEC_PER_SEC);
    usec_t next = job(&w, "tick").next_usec;
    w.wall -= 60 * USEC_PER_SEC;
    struct event hold = {.kind = EV_JOB_HOLD, .request = 1, .job_hold = {"default", "tick", JOB_HELD}};
    world_step(&w, &hold);
    hold.job_hold.to = JOB_ACTIVE;
    world_step(&w, &hold);
    assert_int_equal(job(&w, "tick").next_usec, next);
    struct job_spec *changed = every(&w, "tick", 10 * USEC_PER_SEC);
    changed->priority = 7;
    apply(&w, changed);
    assert_int_equal(job(&w, "tick").next_usec, next);
    world_check_replay(&w);
    world_release(&w);
}

static void test_a_schedule_that_never_fires_is_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct job_spec *spec = world_spec(&w, "past", 1);
    spec->triggers = &(struct trigger){.kind = TRIGGER_AT, .text = "yesterday", .zone = "UTC", .at_usec = w.wall - 1};
    spec->n_triggers = 1;
    assert_int_equal(apply(&w, spec), ERR_INVALID);
    assert_non_null(strstr(world_reply(&w)->text, "no instant to come"));
    spec->triggers = &(struct trigger){.kind = TRIGGER_CRON, .text = "* * * * *", .zone = "Mars/Base", .cron = {.minute = 1}};
    assert_int_equal(apply(&w, spec), ERR_INVALID);
    assert_non_null(strstr(world_reply(&w)->text, "Mars/Base"));
    world_release(&w);
}

// Fires are put off, never early, never lost, and replay agrees.
static void test_jitter(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct job_spec *spec = every(&w, "jittery", USEC_PER_MIN);
    struct trigger trigger = spec->triggers[0];
    trigger.jitter_usec = 50 * USEC_PER_SEC;
    spec->triggers = &trigger;
    usec_t begin = w.wall;
    assert_int_equal(apply(&w, spec), 0);
    size_t fired = 0, put_off = 0;
    for (int i = 0; i < 10 * 60 + 50; i++) {
        w.wall += USEC_PER_SEC;
        w.mono += USEC_PER_SEC;
        world_step(&w, &(struct event){.kind = EV_TICK});
        for (size_t k = 0; k < w.out.n_records; k++) {
            if (w.out.record[k]->kind != REC_JOB_FIRED)
                continue;
            usec_t nominal = w.out.record[k]->job_fired.nominal_usec;
            assert_int_equal(nominal, begin + (usec_t)(++fired) * USEC_PER_MIN);
            assert_in_range(w.wall - nominal, 0, 51 * USEC_PER_SEC);
            put_off += w.wall - nominal > USEC_PER_SEC;
        }
    }
    assert_int_equal(fired, 10);
    assert_true(put_off > 5);
    world_check_replay(&w);
    world_release(&w);
}

// An instant that jitter puts off is not forgotten when the job is held or changed meanwhile.
static void test_jitter_and_changes(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct job_spec *spec = every(&w, "jittery", USEC_PER_HOUR);
    struct trigger trigger = spec->triggers[0];
    trigger.jitter_usec = 50 * USEC_PER_MIN;
    spec->triggers = &trigger;
    assert_int_equal(apply(&w, spec), 0);
    w.wall += USEC_PER_HOUR;
    w.mono += USEC_PER_HOUR;
    world_step(&w, &(struct event){.kind = EV_TICK});
    assert_int_equal(world_count(&w, REC_JOB_FIRED), 0); // it waits
    trigger.jitter_usec = 40 * USEC_PER_MIN;
    assert_int_equal(apply(&w, spec), 0);
    assert_int_equal(world_count(&w, REC_JOB_FIRED), 1);
    w.wall += USEC_PER_HOUR;
    w.mono += USEC_PER_HOUR;
    world_step(&w, &(struct event){.kind = EV_JOB_HOLD, .request = 1, .job_hold = {.namespace_name = "default", .name = "jittery", .to = JOB_HELD}});
    assert_int_equal(world_count(&w, REC_JOB_FIRED), 1);
    assert_int_equal(job(&w, "jittery").state, JOB_HELD);
    world_check_replay(&w);
    world_release(&w);
}

static void fail_run(struct world *w, uint64_t session, const char *name, int exit_code)
{
    world_step(w, &(struct event){.kind = EV_START_JOB, .request = 1, .start_job = {.namespace_name = "default", .name = name}});
    world_plan(w);
    const struct effect *fx = world_effect(w, FX_START, 0);
    assert_non_null(fx);
    uint64_t fence = fx->start.order[0].fence;
    world_report_start(w, session, fence);
    world_report_end(w, session, fence, exit_code == 0 ? OUTCOME_SUCCEEDED : OUTCOME_EXIT, exit_code);
}

static void test_pause_after_failures(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n", 4000);
    struct job_spec *spec = every(&w, "frail", USEC_PER_HOUR);
    spec->pause_after = 3;
    assert_int_equal(apply(&w, spec), 0);
    fail_run(&w, session, "frail", 1);
    fail_run(&w, session, "frail", 1);
    fail_run(&w, session, "frail", 0); // a success begins the count anew
    fail_run(&w, session, "frail", 1);
    fail_run(&w, session, "frail", 1);
    assert_int_equal(job(&w, "frail").state, JOB_ACTIVE);
    world_check_replay(&w);
    fail_run(&w, session, "frail", 1);
    assert_int_equal(job(&w, "frail").state, JOB_HELD);
    assert_int_equal(world_count(&w, REC_JOB_STATE), 1);
    world_check_replay(&w);
    world_step(&w, &(struct event){.kind = EV_JOB_HOLD, .request = 1, .job_hold = {.namespace_name = "default", .name = "frail", .to = JOB_ACTIVE}});
    assert_int_equal(job(&w, "frail").state, JOB_ACTIVE);
    fail_run(&w, session, "frail", 1);
    assert_int_equal(job(&w, "frail").state, JOB_ACTIVE);
    world_check_replay(&w);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_a_schedule_fires_each_instant_once),
        cmocka_unit_test(test_a_clock_set_back_brings_no_instant_twice),
        cmocka_unit_test(test_a_job_cannot_wait_for_a_run),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_jitter_and_changes),
        cmocka_unit_test(test_pause_after_failures),
        cmocka_unit_test(test_misfire_after_an_outage),
        cmocka_unit_test(test_misfire_after_is_a_setting),
        cmocka_unit_test(test_hold_and_delete),
        cmocka_unit_test(test_due_instants_survive_hold_and_update),
        cmocka_unit_test(test_a_clock_put_back_fires_nothing_twice),
        cmocka_unit_test(test_a_schedule_that_never_fires_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
