// SPDX-License-Identifier: Apache-2.0
// Stories of missed instants: after an outage of any length each is accounted for, in bounded work, and nothing floods the fleet.
#include "codec/codec.h"
#include "tests/unit/core/world.h"
#include "tests/unit/test.h"

#define YEAR_USEC (365 * USEC_PER_DAY)

static struct job_spec *every(struct world *w, const char *name, usec_t every_usec, enum misfire misfire)
{
    struct job_spec *spec = world_spec(w, name, 1);
    struct trigger *trigger = arena_new(&w->lasting, struct trigger);
    *trigger = (struct trigger){.kind = TRIGGER_EVERY, .text = "@every", .zone = "UTC", .every_usec = every_usec};
    spec->triggers = trigger;
    spec->n_triggers = 1;
    spec->misfire = misfire;
    return spec;
}

static void apply(struct world *w, const struct job_spec *spec)
{
    struct buf packed;
    buf_init(&packed);
    spec_pack(&packed, spec);
    world_step(w, &(struct event){.kind = EV_APPLY,
                                  .request = 1,
                                  .apply = {.spec = spec, .packed = {(const uint8_t *)packed.data, packed.len}}});
    buf_release(&packed);
    assert_int_equal(world_reply(w)->code, 0);
}

static struct job_view job(struct world *w, const char *name)
{
    struct job_view view;
    assert_int_equal(core_view_job(w->core, "default", name, &w->lasting, &view), 0);
    return view;
}

// Nobody is there for so long.
static void outage(struct world *w, usec_t usec)
{
    w->wall += usec;
    w->mono += usec;
}

static void tick(struct world *w)
{
    world_step(w, &(struct event){.kind = EV_TICK});
}

static void change(struct world *w, const char *name, enum job_state to)
{
    world_step(w, &(struct event){.kind = EV_JOB_HOLD, .request = 1, .job_hold = {"default", name, to}});
}

// What the records of the last step tell of.
static struct tally {
    size_t n_records, n_runs;
    uint64_t n_skipped;
    struct rec_job_fired last;
} tally(const struct world *w)
{
    struct tally t = {0};
    for (size_t i = 0; i < w->out.n_records; i++) {
        const struct record *record = w->out.record[i];
        t.n_records++;
        t.n_runs += record->kind == REC_RUN_SUBMITTED;
        if (record->kind != REC_JOB_FIRED)
            continue;
        t.last = record->job_fired;
        t.n_skipped += t.last.n_missed;
    }
    return t;
}

static void test_a_year_is_one_range(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    usec_t begin = w.wall;
    apply(&w, every(&w, "skip", 2 * USEC_PER_SEC, MISFIRE_SKIP));
    outage(&w, YEAR_USEC);
    tick(&w);
    struct tally t = tally(&w);
    assert_int_equal(t.n_records, 1);
    assert_int_equal(t.last.outcome, FIRE_SKIPPED_MISFIRE);
    assert_int_equal(t.last.nominal_usec, begin + 2 * USEC_PER_SEC);
    assert_int_equal(t.last.n_missed, 365 * 43200);
    assert_int_equal(t.last.last_usec, w.wall);
    assert_int_equal(t.last.next_usec, w.wall + 2 * USEC_PER_SEC);
    world_check_replay(&w);
    world_release(&w);
}

static void test_all_makes_up_for_the_newest(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    usec_t begin = w.wall;
    apply(&w, every(&w, "all", 2 * USEC_PER_SEC, MISFIRE_ALL));
    outage(&w, YEAR_USEC);
    tick(&w);
    struct tally t = tally(&w);
    // One range for all but the newest hundred, and the first of those.
    assert_int_equal(world_count(&w, REC_JOB_FIRED), 2);
    assert_int_equal(t.n_runs, 1);
    assert_int_equal(t.n_skipped, 365 * 43200 - 100);
    assert_int_equal(world_run(&w, 1).nominal_usec, begin + YEAR_USEC - 99 * 2 * USEC_PER_SEC);
    world_check_replay(&w);
    size_t started = 1;
    for (int i = 0; i < 30000 && job(&w, "all").next_usec <= w.wall; i++) {
        usec_t wait = core_deadline(w.core, w.wall, w.mono);
        outage(&w, wait);
        tick(&w);
        t = tally(&w);
        started += t.n_runs;
        assert_int_equal(t.n_skipped, 0);
        assert_true(t.n_runs <= 1 || t.last.nominal_usec > begin + YEAR_USEC);
    }
    // A hundred at ten in a second; the instants that come meanwhile are not late.
    assert_in_range(started, 100, 106);
    assert_in_range(w.wall - begin - YEAR_USEC, 9 * USEC_PER_SEC, 12 * USEC_PER_SEC);
    world_check_replay(&w);
    world_release(&w);
}

static void test_window_and_number_of_the_job(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    usec_t begin = w.wall;
    struct job_spec *window = every(&w, "window", USEC_PER_HOUR, MISFIRE_ALL);
    window->catch_up_window_usec = 5 * USEC_PER_HOUR;
    apply(&w, window);
    struct job_spec *number = every(&w, "number", USEC_PER_HOUR, MISFIRE_ALL);
    number->catch_up_max = 3;
    apply(&w, number);
    struct job_spec *once = every(&w, "once", 10 * USEC_PER_HOUR, MISFIRE_ONCE);
    once->catch_up_window_usec = USEC_PER_HOUR;
    apply(&w, once);
    struct job_spec *ever = every(&w, "ever", 10 * USEC_PER_HOUR, MISFIRE_ONCE);
    apply(&w, ever);
    outage(&w, 28 * USEC_PER_HOUR + USEC_PER_MIN);
    world_pass(&w, 10 * USEC_PER_SEC);
    assert_int_equal(job(&w, "window").n_active, 5); // 24 to 28
    assert_int_equal(job(&w, "number").n_active, 3);
    assert_int_equal(job(&w, "once").n_active, 0); // 20 hours is too long ago
    assert_int_equal(job(&w, "once").next_usec, begin + 30 * USEC_PER_HOUR);
    assert_int_equal(job(&w, "ever").n_active, 1); // stands for both
    assert_int_equal(world_run(&w, job(&w, "ever").last_run).nominal_usec, begin + 10 * USEC_PER_HOUR);
    world_check_replay(&w);
    world_release(&w);
}

// A thousand jobs come back from an outage: what they start is spread by the rate of all.
static void test_the_fleet_is_not_flooded(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.check = false;
    w.limits.value[LIMIT_CATCH_UP_RATE_ALL] = 50;
    char name[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "job-%d", i);
        apply(&w, every(&w, name, USEC_PER_HOUR, i % 2 ? MISFIRE_ONCE : MISFIRE_ALL));
    }
    outage(&w, USEC_PER_DAY + USEC_PER_MIN * 5);
    struct core_stats stats;
    usec_t begin = w.mono;
    for (int second = 1; second <= 20; second++) {
        world_pass(&w, USEC_PER_SEC);
        core_stats(w.core, &stats);
        assert_in_range(stats.runs_live, second * 50 - 50, second * 50 + 1);
    }
    assert_int_equal(w.mono - begin, 20 * USEC_PER_SEC);
    core_check(w.core);
    world_check_replay(&w);
    world_release(&w);
}

static void test_to_hold_ends_the_flood(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    apply(&w, every(&w, "all", USEC_PER_HOUR, MISFIRE_ALL));
    outage(&w, 3 * USEC_PER_DAY + USEC_PER_MIN * 5);
    world_pass(&w, USEC_PER_SEC);
    uint32_t before = job(&w, "all").n_active;
    assert_in_range(before, 10, 11);
    change(&w, "all", JOB_HELD);
    struct tally t = tally(&w);
    assert_int_equal(t.n_runs, 0);
    assert_int_equal(t.last.outcome, FIRE_SKIPPED_CHANGED);
    assert_int_equal(t.n_skipped, 72 - before);
    assert_int_equal(core_deadline(w.core, w.wall, w.mono), USEC_NEVER);
    change(&w, "all", JOB_ACTIVE);
    world_pass(&w, USEC_PER_MIN);
    assert_int_equal(job(&w, "all").n_active, before);
    world_check_replay(&w);
    world_release(&w);
}

// `once` owes one run, and a new version of the job does not take it away; to hold the job does.
static void test_to_change_keeps_the_one_run(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "changed" : "held";
        struct job_spec *spec = every(&w, name, USEC_PER_HOUR, MISFIRE_ONCE);
        apply(&w, spec);
        outage(&w, USEC_PER_DAY + USEC_PER_MIN * 5);
        if (i == 0) {
            spec->priority = 3;
            apply(&w, spec);
        } else {
            change(&w, name, JOB_HELD);
        }
        struct tally t = tally(&w);
        assert_int_equal(t.n_runs, i == 0);
        assert_int_equal(t.n_skipped, i == 0 ? 23 : 24);
        world_pass(&w, USEC_PER_MIN);
        assert_int_equal(job(&w, name).n_active, i == 0);
        world_check_replay(&w);
    }
    world_release(&w);
}

// A job that waits for its turn is deleted or its leader ends: nothing is left behind, and the next leader goes on from what is due.
static void test_turns_belong_to_a_leadership(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_CATCH_UP_RATE] = 1;
    apply(&w, every(&w, "all", USEC_PER_HOUR, MISFIRE_ALL));
    apply(&w, every(&w, "gone", USEC_PER_HOUR, MISFIRE_ALL));
    outage(&w, 10 * USEC_PER_HOUR);
    world_pass(&w, 3 * USEC_PER_SEC + USEC_PER_MSEC);
    assert_in_range(job(&w, "all").n_active, 3, 4);
    change(&w, "gone", JOB_DELETED);
    uint32_t before = job(&w, "all").n_active;
    struct core *next = world_replay(&w);
    core_free(w.core);
    w.core = next;
    world_step(&w, &(struct event){.kind = EV_LEAD, .lead = {.epoch = 2, .server = "s2", .version = "test"}});
    world_pass(&w, 2 * USEC_PER_SEC);
    assert_in_range(job(&w, "all").n_active, before + 2, before + 3);
    world_pass(&w, 10 * USEC_PER_SEC);
    assert_int_equal(job(&w, "all").n_active, 10);
    world_check_replay(&w);
    world_release(&w);
}

// The clock is put back while missed instants wait for their turns: what has not come by it any more waits, and nothing is lost or doubled.
static void test_a_clock_put_back_while_catching_up(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_CATCH_UP_RATE] = 1;
    usec_t begin = w.wall;
    apply(&w, every(&w, "all", USEC_PER_HOUR, MISFIRE_ALL));
    outage(&w, 10 * USEC_PER_HOUR + USEC_PER_MIN * 5);
    world_pass(&w, 2 * USEC_PER_SEC + USEC_PER_MSEC);
    assert_int_equal(job(&w, "all").n_active, 3);
    w.wall -= 6 * USEC_PER_HOUR;
    world_pass(&w, USEC_PER_MIN);
    assert_int_equal(job(&w, "all").n_active, 4); // the fifth comes in an hour by this clock
    assert_int_equal(job(&w, "all").next_usec, begin + 5 * USEC_PER_HOUR);
    world_pass(&w, 6 * USEC_PER_HOUR);
    assert_int_equal(job(&w, "all").n_active, 10);
    world_check_replay(&w);
    world_release(&w);
}

static void test_no_number_at_all(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_MISSED_FIRES] = 0;
    apply(&w, every(&w, "all", USEC_PER_HOUR, MISFIRE_ALL));
    outage(&w, USEC_PER_DAY + USEC_PER_MIN * 5);
    tick(&w);
    struct tally t = tally(&w);
    assert_int_equal(t.n_records, 1);
    assert_int_equal(t.last.outcome, FIRE_SKIPPED_CATCH_UP);
    assert_int_equal(t.n_skipped, 24);
    world_check_replay(&w);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_year_is_one_range),
        cmocka_unit_test(test_all_makes_up_for_the_newest),
        cmocka_unit_test(test_window_and_number_of_the_job),
        cmocka_unit_test(test_the_fleet_is_not_flooded),
        cmocka_unit_test(test_to_hold_ends_the_flood),
        cmocka_unit_test(test_to_change_keeps_the_one_run),
        cmocka_unit_test(test_turns_belong_to_a_leadership),
        cmocka_unit_test(test_a_clock_put_back_while_catching_up),
        cmocka_unit_test(test_no_number_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
