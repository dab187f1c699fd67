// SPDX-License-Identifier: Apache-2.0
// Stories of backfills: each instant of a range once, in order, within limits, behind the schedule; through restarts, changes and the end of the job.
#include "base/prng.h"
#include "codec/codec.h"
#include "model/params.h"
#include "model/schedule.h"
#include "tests/unit/core/world.h"
#include "tests/unit/test.h"

// A world with a job whose every-minute schedule has passed n of its instants, all skipped because nobody was there: it was held.
struct fixture {
    struct world w;
    usec_t first; // instant of the job
    uint64_t session;
};

static int apply(struct world *w, const struct job_spec *spec)
{
    struct buf packed = {0};
    spec_pack(&packed, spec);
    world_step(w, &(struct event){.kind = EV_APPLY, .request = 1, .apply = {.spec = spec, .packed = {(const uint8_t *)packed.data, packed.len}}});
    buf_release(&packed);
    return world_reply(w)->code;
}

static struct job_spec *minutely(struct world *w, const char *name)
{
    struct job_spec *spec = world_spec(w, name, 1);
    struct trigger *trigger = arena_new(&w->lasting, struct trigger);
    *trigger = (struct trigger){.kind = TRIGGER_EVERY, .text = "@every 1m", .zone = "UTC", .every_usec = USEC_PER_MIN};
    spec->triggers = trigger;
    spec->n_triggers = 1;
    return spec;
}

static void hold(struct world *w, enum job_state to)
{
    world_step(w, &(struct event){.kind = EV_JOB_HOLD, .request = 1, .job_hold = {.namespace_name = "default", .name = "j", .to = to}});
    assert_int_equal(world_reply(w)->code, 0);
}

// Passes n minutes while the job is held, so that it has n instants without a run, and its schedule does the later ones.
static void setup(struct fixture *f, struct job_spec *(*make)(struct world *), int minutes)
{
    world_init(&f->w);
    f->first = f->w.wall;
    assert_int_equal(apply(&f->w, make(&f->w)), 0);
    hold(&f->w, JOB_HELD);
    world_pass(&f->w, minutes * USEC_PER_MIN);
    hold(&f->w, JOB_ACTIVE);
    f->session = world_node(&f->w, "n1", 1000000);
}

static struct job_spec *plain(struct world *w)
{
    return minutely(w, "j");
}

static const struct fx_reply *ask(struct world *w, struct ev_backfill ev)
{
    ev.namespace_name = "default";
    ev.name = "j";
    world_step(w, &(struct event){.kind = EV_BACKFILL, .request = 1, .by = "tester", .backfill = ev});
    return world_reply(w);
}

static struct backfill_view view(struct world *w, uint64_t id)
{
    struct backfill_view view;
    assert_int_equal(core_view_backfill(w->core, id, &w->lasting, &view), 0);
    return view;
}

// Time goes on a little; the runs that were placed succeed. Notes the nominal times of new runs of backfills.
static size_t play(struct fixture *f, usec_t *nominal, size_t n, size_t max)
{
    struct world *w = &f->w;
    world_pass(w, 100 * USEC_PER_MSEC);
    for (size_t i = 0; i < w->out.n_records; i++)
        if (w->out.record[i]->kind == REC_BACKFILL_FIRED && n < max)
            nominal[n++] = w->out.record[i]->backfill_fired.nominal_usec;
    world_plan(w);
    for (size_t e = 0; world_effect(w, FX_START, e) != NULL; e++) {
        struct fx_start start = world_effect(w, FX_START, e)->start;
        uint64_t *fences = arena_array(&w->lasting, uint64_t, start.n);
        for (size_t i = 0; i < start.n; i++)
            fences[i] = start.order[i].fence;
        for (size_t i = 0; i < start.n; i++)
            world_report_end(w, f->session, fences[i], OUTCOME_SUCCEEDED, 0);
        break; // the world's step has replaced the effects
    }
    return n;
}

static size_t play_all(struct fixture *f, uint64_t id, usec_t *nominal, size_t max)
{
    size_t n = 0;
    for (int turns = 0; view(&f->w, id).state == BACKFILL_ACTIVE; turns++) {
        assert_true(turns < 2000);
        n = play(f, nominal, n, max);
    }
    return n;
}

static void test_each_instant_once_in_order(void **state)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        struct fixture f;
        setup(&f, plain, 60);
        struct world *w = &f.w;
        usec_t nominal[100];
        // From the 10th to the 40th minute; instants 10..39.
        const struct fx_reply *reply = ask(w, (struct ev_backfill){
            .from_usec = f.first + 10 * USEC_PER_MIN, .to_usec = f.first + 40 * USEC_PER_MIN, .reverse = reverse != 0, .parallel_max = 3});
        assert_int_equal(reply->code, 0);
        assert_int_equal(reply->n_instants, 30);
        uint64_t id = reply->backfill_id;
        assert_int_equal(id, 1);
        size_t n = play_all(&f, id, nominal, 100);
        assert_int_equal(n, 30);
        for (int i = 0; i < 30; i++)
            assert_int_equal(nominal[i], f.first + (reverse ? 39 - i : 10 + i) * USEC_PER_MIN);
        struct backfill_view end = view(w, id);
        assert_int_equal(end.state, BACKFILL_ENDED);
        assert_int_equal(end.n_succeeded, 30);
        assert_int_equal(end.n_active, 0);
        world_check_replay(w);
        world_release(w);
    }
}

static void test_limits_and_what_it_costs(void **state)
{
    struct fixture f;
    setup(&f, plain, 600);
    struct world *w = &f.w;
    w->limits.value[LIMIT_BACKFILL_INSTANTS] = 100;
    usec_t from = f.first, to = f.first + 600 * USEC_PER_MIN;
    assert_int_equal(ask(w, (struct ev_backfill){.from_usec = from, .to_usec = to})->code, ERR_LIMIT);
    assert_non_null(strstr(world_reply(w)->text, "the number of instants to run is 600, more than backfill_instants_max allows (100)"));
    w->limits.value[LIMIT_BACKFILL_INSTANTS] = 1000;
    assert_int_equal(ask(w, (struct ev_backfill){.from_usec = from, .to_usec = to, .parallel_max = 101})->code, ERR_LIMIT);
    // Instants that had a run are left out; stretches that touch become one.
    struct instant_span covered[] = {{f.first, f.first + 99 * USEC_PER_MIN}, {f.first + 100 * USEC_PER_MIN, f.first + 100 * USEC_PER_MIN},
                                     {f.first + 200 * USEC_PER_MIN, f.first + 299 * USEC_PER_MIN}};
    const struct fx_reply *reply = ask(w, (struct ev_backfill){.from_usec = from, .to_usec = to, .parallel_max = 4, .covered = covered, .n_covered = 3});
    assert_int_equal(reply->code, 0);
    assert_int_equal(reply->n_instants, 600 - 101 - 100);
    assert_int_equal(w->out.n_records, 1);
    assert_int_equal(w->out.record[0]->backfill_began.n_covered, 2);
    // Never more at a time than asked for, though nothing ends.
    for (int i = 0; i < 20; i++)
        world_pass(w, 100 * USEC_PER_MSEC);
    assert_int_equal(view(w, 1).n_active, 4);
    assert_int_equal(view(w, 1).n_fired, 4);
    // And never faster than the setting: with 2 a second and all ending at once, 10 s bring 20 and a burst.
    w->limits.value[LIMIT_BACKFILL_RATE] = 2;
    usec_t nominal[1000];
    uint64_t before = view(w, 1).n_fired;
    for (int i = 0; i < 100; i++)
        (void)play(&f, nominal, 0, 1000);
    uint64_t brought = view(w, 1).n_fired - before;
    assert_in_range(brought, 18, 22);
    world_check_replay(w);
    world_release(w);
}

static void test_refused_with_a_reason(void **state)
{
    struct fixture f;
    setup(&f, plain, 60);
    struct world *w = &f.w;
    usec_t from = f.first, to = f.first + 10 * USEC_PER_MIN;
    struct ev_backfill good = {.from_usec = from, .to_usec = to, .key = "k"};
    struct ev_backfill bad = good;
    bad.to_usec = from;
    assert_int_equal(ask(w, bad)->code, ERR_INVALID);
    bad.to_usec = w->wall + 1;
    assert_int_equal(ask(w, bad)->code, ERR_INVALID);
    bad = good;
    bad.job_version = 7;
    assert_int_equal(ask(w, bad)->code, ERR_CONFLICT);
    bad = good;
    bad.params = &(struct pair){"x", "1"};
    bad.n_params = 1;
    assert_int_equal(ask(w, bad)->code, ERR_INVALID);
    world_step(w, &(struct event){.kind = EV_BACKFILL, .request = 1, .backfill = {.namespace_name = "default", .name = "none", .from_usec = from, .to_usec = to}});
    assert_int_equal(world_reply(w)->code, ERR_NOT_FOUND);
    assert_int_equal(ask(w, good)->code, 0);
    // Asked for again with its key it is the same; another over the same instants has to wait.
    assert_true(ask(w, good)->existing);
    assert_int_equal(world_reply(w)->backfill_id, 1);
    bad = good;
    bad.key = NULL;
    bad.from_usec = to - 1;
    bad.to_usec = to + USEC_PER_MIN;
    assert_int_equal(ask(w, bad)->code, ERR_CONFLICT);
    bad.from_usec = to;
    assert_int_equal(ask(w, bad)->code, 0);
    world_step(w, &(struct event){.kind = EV_BACKFILL_CANCEL, .request = 1, .backfill_cancel = 9});
    assert_int_equal(world_reply(w)->code, ERR_NOT_FOUND);
    // Nothing to run is no backfill.
    struct instant_span all = {from, to};
    bad = (struct ev_backfill){.from_usec = from, .to_usec = from + USEC_PER_MIN, .covered = &all, .n_covered = 1};
    world_step(w, &(struct event){.kind = EV_BACKFILL_CANCEL, .request = 1, .backfill_cancel = 1});
    assert_int_equal(world_reply(w)->code, 0);
    assert_int_equal(ask(w, bad)->code, 0);
    assert_int_equal(world_reply(w)->backfill_id, 0);
    assert_int_equal(w->out.n_records, 0);
    world_release(w);
}

static struct job_spec *forbidding(struct world *w)
{
    struct job_spec *spec = minutely(w, "j");
    spec->overlap = OVERLAP_FORBID;
    return spec;
}

// Where runs may not overlap, the backfill gives way, and the schedule loses no instant to it.
static void test_the_schedule_comes_first(void **state)
{
    struct fixture f;
    setup(&f, forbidding, 60);
    struct world *w = &f.w;
    assert_int_equal(ask(w, (struct ev_backfill){.from_usec = f.first, .to_usec = f.first + 30 * USEC_PER_MIN, .parallel_max = 5})->code, 0);
    world_pass(w, 30 * USEC_PER_SEC);
    assert_int_equal(view(w, 1).n_active, 1);
    // The next instant of the schedule comes while that run goes on: it waits, and is not skipped.
    world_pass(w, USEC_PER_MIN);
    assert_int_equal(world_count(w, REC_JOB_FIRED), 1);
    for (size_t i = 0; i < w->out.n_records; i++)
        if (w->out.record[i]->kind == REC_JOB_FIRED)
            assert_int_equal(w->out.record[i]->job_fired.outcome, FIRE_QUEUED);
    const uint64_t live = 2; // the second run that there ever was
    assert_int_equal(world_run(w, live).backfill_id, 0);
    assert_int_equal(world_state(w, live), RUN_WAITING);
    // When the run of the backfill has ended, the fire goes, and the backfill waits for it.
    f.session = world_node(w, "n1", 1000000); // its lease had ended
    world_plan(w);
    world_report_end(w, f.session, world_effect(w, FX_START, 0)->start.order[0].fence, OUTCOME_SUCCEEDED, 0);
    world_pass(w, USEC_PER_SEC);
    assert_int_equal(world_state(w, live), RUN_PENDING);
    assert_int_equal(view(w, 1).n_active, 0);
    assert_int_equal(view(w, 1).n_fired, 1);
    world_plan(w);
    world_report_end(w, f.session, world_effect(w, FX_START, 0)->start.order[0].fence, OUTCOME_SUCCEEDED, 0);
    world_pass(w, USEC_PER_SEC);
    assert_int_equal(view(w, 1).n_active, 1);
    world_check_replay(w);
    world_release(w);
}

// Among equal work what belongs to backfills is placed last.
static void test_placed_behind_others(void **state)
{
    struct fixture f;
    setup(&f, plain, 60);
    struct world *w = &f.w;
    assert_int_equal(ask(w, (struct ev_backfill){.from_usec = f.first, .to_usec = f.first + 30 * USEC_PER_MIN, .parallel_max = 2})->code, 0);
    world_pass(w, USEC_PER_SEC);
    world_step(w, &(struct event){.kind = EV_START_JOB, .request = 1, .start_job = {.namespace_name = "default", .name = "j"}});
    uint64_t by_hand = world_reply(w)->run_id;
    world_plan(w);
    const struct fx_start *start = &world_effect(w, FX_START, 0)->start;
    assert_int_equal(start->n, 3);
    assert_int_equal(start->order[0].run_id, by_hand);
    assert_int_equal(start->order[0].backfill_id, 0);
    assert_int_equal(start->order[1].backfill_id, 1);
    assert_int_equal(start->order[1].nominal_usec, f.first);
    world_release(w);
}

static struct job_spec *prompt(struct world *w)
{
    struct job_spec *spec = minutely(w, "j");
    spec->late_after_usec = 30 * USEC_PER_SEC;
    return spec;
}

// Its instants are of the past, so its runs are not late: only those of the schedule can be.
static void test_makes_no_job_late(void **state)
{
    struct fixture f;
    setup(&f, prompt, 60);
    struct world *w = &f.w;
    struct job_view job;
    assert_int_equal(ask(w, (struct ev_backfill){.from_usec = f.first, .to_usec = f.first + 30 * USEC_PER_MIN, .parallel_max = 2})->code, 0);
    world_pass(w, 20 * USEC_PER_SEC);
    assert_int_equal(view(w, 1).n_active, 2);
    assert_int_equal(core_view_job(w->core, "default", "j", &w->lasting, &job), 0);
    core_view_conditions(w->core, w->wall, &w->lasting, &job);
    for (size_t i = 0; i < job.n_conditions; i++)
        assert_int_not_equal(job.conditions[i].condition, CONDITION_LATE);
    // An instant of the schedule that waits as long is.
    world_pass(w, 2 * USEC_PER_MIN);
    core_view_conditions(w->core, w->wall, &w->lasting, &job);
    bool late = false;
    for (size_t i = 0; i < job.n_conditions; i++)
        late = late || job.conditions[i].condition == CONDITION_LATE;
    assert_true(late);
    world_release(w);
}

static void test_hold_release_delete_cancel(void **state)
{
    struct fixture f;
    setup(&f, plain, 60);
    struct world *w = &f.w;
    assert_int_equal(ask(w, (struct ev_backfill){.from_usec = f.first, .to_usec = f.first + 20 * USEC_PER_MIN, .parallel_max = 1})->code, 0);
    usec_t nominal[100];
    size_t n = 0;
    for (int i = 0; i < 5; i++)
        n = play(&f, nominal, n, 100);
    assert_true(n >= 4);
    hold(w, JOB_HELD);
    assert_true(view(w, 1).held);
    uint64_t fired = view(w, 1).n_fired;
    for (int i = 0; i < 10; i++)
        n = play(&f, nominal, n, 100);
    assert_int_equal(view(w, 1).n_fired, fired);
    hold(w, JOB_ACTIVE);
    for (int i = 0; i < 3; i++)
        n = play(&f, nominal, n, 100);
    assert_true(view(w, 1).n_fired > fired);
    // Cancelled, it runs nothing more, and what runs is stopped.
    world_pass(w, USEC_PER_SEC);
    fired = view(w, 1).n_fired;
    assert_int_equal(view(w, 1).n_active, 1);
    world_step(w, &(struct event){.kind = EV_BACKFILL_CANCEL, .request = 1, .backfill_cancel = 1});
    assert_int_equal(world_reply(w)->count, 1);
    assert_int_equal(view(w, 1).state, BACKFILL_CANCELLED);
    world_pass(w, USEC_PER_MIN / 2);
    assert_int_equal(view(w, 1).n_fired, fired);
    assert_int_equal(view(w, 1).n_active, 0);
    world_step(w, &(struct event){.kind = EV_BACKFILL_CANCEL, .request = 1, .backfill_cancel = 1});
    assert_int_equal(world_reply(w)->code, ERR_CONFLICT);
    // Another one ends with its job.
    assert_int_equal(ask(w, (struct ev_backfill){.from_usec = f.first, .to_usec = f.first + 20 * USEC_PER_MIN})->code, 0);
    world_pass(w, USEC_PER_SEC);
    hold(w, JOB_DELETED);
    assert_int_equal(view(w, 2).state, BACKFILL_CANCELLED);
    assert_string_equal(view(w, 2).job_name, "j");
    world_pass(w, USEC_PER_MIN);
    world_check_replay(w);
    world_release(w);
}

// A new version of the job: what is left is run by its triggers, each instant still once.
static void test_the_job_changes_on_the_way(void **state)
{
    struct fixture f;
    setup(&f, plain, 60);
    struct world *w = &f.w;
    assert_int_equal(ask(w, (struct ev_backfill){.from_usec = f.first, .to_usec = f.first + 40 * USEC_PER_MIN, .parallel_max = 1})->code, 0);
    usec_t nominal[100];
    size_t n = 0;
    while (view(w, 1).n_fired < 10)
        n = play(&f, nominal, n, 100);
    struct job_spec *spec = minutely(w, "j");
    ((struct trigger *)(uintptr_t)spec->triggers)->every_usec = 5 * USEC_PER_MIN;
    assert_int_equal(apply(w, spec), 0);
    while (view(w, 1).state == BACKFILL_ACTIVE)
        n = play(&f, nominal, n, 100);
    assert_int_equal(n, 10 + 6); // 0..9, then 10, 15, .. 35
    for (size_t i = 1; i < n; i++)
        assert_true(nominal[i] > nominal[i - 1]);
    assert_int_equal(nominal[n - 1], f.first + 35 * USEC_PER_MIN);
    world_check_replay(w);
    world_release(w);
}

static struct job_spec *two_regions(struct world *w)
{
    static const struct param declared[] = {{"mode", "full", false}, {"region", NULL, true}};
    static const struct pair eu = {"region", "eu"}, us = {"region", "us"};
    struct job_spec *spec = minutely(w, "j");
    struct trigger *triggers = arena_array(&w->lasting, struct trigger, 2);
    triggers[0] = triggers[1] = spec->triggers[0];
    triggers[0].params = &eu;
    triggers[1].params = &us;
    triggers[0].n_params = triggers[1].n_params = 1;
    spec->triggers = triggers;
    spec->n_triggers = 2;
    spec->params = declared;
    spec->n_params = 2;
    return spec;
}

// Two schedules with one instant are two runs, with the values of each; what is given goes before both.
static void test_triggers_and_parameters(void **state)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        struct fixture f;
        setup(&f, two_regions, 60);
        struct world *w = &f.w;
        struct pair given = {"mode", "quick"};
        const struct fx_reply *reply = ask(w, (struct ev_backfill){.from_usec = f.first, .to_usec = f.first + 2 * USEC_PER_MIN, .reverse = reverse != 0,
                                                                   .parallel_max = 10, .params = &given, .n_params = 1});
        assert_int_equal(reply->n_instants, 4);
        world_pass(w, USEC_PER_SEC);
        assert_int_equal(view(w, 1).n_fired, 4);
        for (uint64_t run = 1; run <= 4; run++) {
            const struct pair *values = NULL;
            size_t n = 0;
            bool first_minute = (run <= 2) == !reverse, eu = (run % 2 == 1) == !reverse;
            assert_int_equal(world_run(w, run).nominal_usec, f.first + (first_minute ? 0 : 1) * USEC_PER_MIN);
            assert_int_equal(params_unpack(world_run(w, run).params, &w->lasting, &values, &n, NULL), 0);
            assert_int_equal(n, 2);
            assert_string_equal(values[0].value, "quick");
            assert_string_equal(values[1].value, eu ? "eu" : "us");
        }
        world_check_replay(w);
        world_release(w);
    }
}

// A random walk over ranges, stretches, directions and restarts against counting by hand.
static void test_random_ranges(void **state)
{
    struct prng prng;
    prng_init(&prng, 9);
    for (int round = 0; round < 60; round++) {
        struct fixture f;
        setup(&f, plain, 50);
        struct world *w = &f.w;
        bool wanted[50] = {0};
        struct instant_span covered[20];
        size_t n_covered = 0;
        int from = (int)prng_below(&prng, 40), to = from + 1 + (int)prng_below(&prng, (uint64_t)(49 - from));
        for (int i = from; i < to; i++)
            wanted[i] = true;
        for (int i = (int)prng_below(&prng, 10); i < 50 && n_covered < 20;) {
            int last = i + (int)prng_below(&prng, 4);
            covered[n_covered++] = (struct instant_span){f.first + i * USEC_PER_MIN, f.first + last * USEC_PER_MIN};
            for (int k = i; k <= last && k < 50; k++)
                wanted[k] = false;
            i = last + 1 + (int)prng_below(&prng, 6);
        }
        size_t n_wanted = 0;
        for (int i = 0; i < 50; i++)
            n_wanted += wanted[i];
        bool reverse = prng_chance(&prng, 500);
        const struct fx_reply *reply = ask(w, (struct ev_backfill){.from_usec = f.first + from * USEC_PER_MIN, .to_usec = f.first + to * USEC_PER_MIN - 1,
                                                                   .reverse = reverse, .parallel_max = 1 + (uint32_t)prng_below(&prng, 4),
                                                                   .covered = covered, .n_covered = n_covered});
        assert_int_equal(reply->n_instants, n_wanted);
        usec_t nominal[100];
        size_t n = reply->backfill_id != 0 ? play_all(&f, reply->backfill_id, nominal, 100) : 0;
        assert_int_equal(n, n_wanted);
        for (size_t i = 0; i < n; i++) {
            int minute = (int)((nominal[i] - f.first) / USEC_PER_MIN);
            assert_true(wanted[minute]);
            wanted[minute] = false;
            assert_true(i == 0 || (nominal[i] > nominal[i - 1]) == !reverse);
        }
        world_check_replay(w);
        world_release(w);
    }
}

// Only so many are remembered.
static void test_old_ones_are_forgotten(void **state)
{
    struct fixture f;
    setup(&f, plain, 60);
    struct world *w = &f.w;
    w->limits.value[LIMIT_BACKFILLS] = 2;
    usec_t nominal[10];
    for (int i = 0; i < 4; i++) {
        uint64_t id = ask(w, (struct ev_backfill){.from_usec = f.first + i * USEC_PER_MIN, .to_usec = f.first + (i + 1) * USEC_PER_MIN})->backfill_id;
        assert_int_equal(id, i + 1);
        (void)play_all(&f, id, nominal, 10);
    }
    struct backfill_view *views;
    assert_int_equal(core_view_backfills(w->core, UINT64_MAX, 10, &w->lasting, &views), 2);
    assert_int_equal(views[0].backfill_id, 4);
    assert_int_equal(views[1].backfill_id, 3);
    world_check_replay(w);
    world_release(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_instant_once_in_order),
        cmocka_unit_test(test_limits_and_what_it_costs),
        cmocka_unit_test(test_refused_with_a_reason),
        cmocka_unit_test(test_the_schedule_comes_first),
        cmocka_unit_test(test_placed_behind_others),
        cmocka_unit_test(test_makes_no_job_late),
        cmocka_unit_test(test_hold_release_delete_cancel),
        cmocka_unit_test(test_the_job_changes_on_the_way),
        cmocka_unit_test(test_triggers_and_parameters),
        cmocka_unit_test(test_random_ranges),
        cmocka_unit_test(test_old_ones_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
