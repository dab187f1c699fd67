// SPDX-License-Identifier: Apache-2.0
// Stories of calendars: versions, what schedules leave out and how that is told, changes, and what is refused.
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "base/str.h"
#include "codec/codec.h"
#include "tests/unit/core/world.h"
#include "tests/unit/test.h"

// The world begins on Tuesday 2023-11-14 at 22:13:20 UTC.
enum { TODAY = 19675 };

#define AT(day, sec) (((usec_t)(day) * 86400 + (sec)) * USEC_PER_SEC)

static int put_dates(struct world *w, const char *name, const struct calendar_dates *dates, size_t n)
{
    struct calendar calendar = {.name = name, .dates = dates, .n_dates = n};
    world_step(w, &(struct event){.kind = EV_CALENDAR_PUT, .request = 1, .by = "people", .calendar_put = {.calendar = &calendar}});
    return world_reply(w)->code;
}

// One stretch of days, counted from today.
static int put(struct world *w, const char *name, int32_t from, int32_t to)
{
    return put_dates(w, name, &(struct calendar_dates){TODAY + from, TODAY + to, "off"}, 1);
}

static int delete(struct world *w, const char *name)
{
    world_step(w, &(struct event){.kind = EV_CALENDAR_DELETE, .request = 1, .calendar_delete = {.name = name}});
    return world_reply(w)->code;
}

static int apply(struct world *w, const struct job_spec *spec)
{
    struct buf packed;
    buf_init(&packed);
    spec_pack(&packed, spec);
    world_step(w, &(struct event){.kind = EV_APPLY,
                                  .request = 1,
                                  .apply = {.spec = spec, .packed = {(const uint8_t *)packed.data, packed.len}}});
    buf_release(&packed);
    return world_reply(w)->code;
}

static void change(struct world *w, const char *name, enum job_state to)
{
    world_step(w, &(struct event){.kind = EV_JOB_HOLD, .request = 1, .job_hold = {.namespace_name = "default", .name = name, .to = to}});
    assert_int_equal(world_reply(w)->code, 0);
}

// At the given seconds, minutes and hours of every day, in UTC.
static struct job_spec *cron_job(struct world *w, const char *name, uint64_t seconds, uint64_t minutes, uint32_t hours)
{
    struct job_spec *spec = world_spec(w, name, 1);
    struct trigger *trigger = arena_new(&w->lasting, struct trigger);
    *trigger = (struct trigger){.kind = TRIGGER_CRON,
                                .text = "cron",
                                .zone = "UTC",
                                .cron = {.second = seconds, .minute = minutes, .hour = hours, .day_of_month = 0xfffffffe, .month = 0x1ffe, .day_of_week = 0x7f,
                                         .day_of_month_any = true, .day_of_week_any = true}};
    spec->triggers = trigger;
    spec->n_triggers = 1;
    return spec;
}

static const char *const holidays[] = {"holidays"};
static const char *const workdays[] = {"workdays"};

static struct job_spec *with(struct job_spec *spec, const char *const *exclude, const char *const *include)
{
    struct trigger *trigger = (struct trigger *)(uintptr_t)spec->triggers;
    trigger->exclude = exclude;
    trigger->n_exclude = exclude != NULL;
    trigger->include = include;
    trigger->n_include = include != NULL;
    return spec;
}

static struct job_spec *daily(struct world *w, const char *name)
{
    return with(cron_job(w, name, 1, 1, 1 << 12), holidays, NULL);
}

static struct job_view job(struct world *w, const char *name)
{
    struct job_view view;
    assert_int_equal(core_view_job(w->core, "default", name, &w->lasting, &view), 0);
    return view;
}

static bool calendar_is_there(struct world *w, const char *name)
{
    struct calendar_view view;
    return core_view_calendar(w->core, name, &w->lasting, &view) == 0;
}

// What was decided about the schedules of the world, as one text: "fired 12:00+0" and the like, one a line.
struct told {
    struct buf text;
    size_t n_left_out; // records
};

static void tell(struct world *w, struct told *told)
{
    for (size_t i = 0; i < w->out.n_records; i++) {
        const struct record *record = w->out.record[i];
        if (record->kind != REC_JOB_FIRED)
            continue;
        const struct rec_job_fired *rec = &record->job_fired;
        int64_t sec = rec->nominal_usec / USEC_PER_SEC - (int64_t)TODAY * 86400;
        buf_printf(&told->text, "%s %+d %02d:%02d", fire_outcome_name(rec->outcome), (int)(sec / 86400), (int)(sec / 3600 % 24), (int)(sec / 60 % 60));
        if (rec->n_missed > 0)
            buf_printf(&told->text, " n%d", (int)rec->n_missed);
        if (rec->why)
            buf_printf(&told->text, " (%s)", rec->why);
        buf_addc(&told->text, '\n');
        told->n_left_out += rec->outcome == FIRE_SKIPPED_CALENDAR;
    }
}

// Time goes on up to an instant; ended runs make room.
static void pass_to(struct world *w, usec_t until, struct told *told)
{
    while (w->wall < until) {
        usec_t wait = core_deadline(w->core, w->wall, w->mono);
        wait = wait > until - w->wall ? until - w->wall : wait;
        w->wall += wait;
        w->mono += wait;
        world_step(w, &(struct event){.kind = EV_TICK});
        tell(w, told);
    }
    world_step(w, &(struct event){.kind = EV_TICK});
    tell(w, told);
}

static void test_versions(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.limits.value[LIMIT_CALENDARS] = 2;
    w.limits.value[LIMIT_CALENDAR_DATES] = 1;
    assert_int_equal(put(&w, "holidays", 1, 2), 0);
    assert_int_equal(world_reply(&w)->version, 1);
    assert_int_equal(put(&w, "holidays", 1, 2), 0);
    assert_true(world_reply(&w)->existing); // the same dates are no new version
    assert_int_equal(w.out.n_records, 0);
    assert_int_equal(put(&w, "holidays", 1, 3), 0);
    assert_int_equal(world_reply(&w)->version, 2);
    struct calendar calendar = {.name = "holidays"};
    struct event stale = {.kind = EV_CALENDAR_PUT, .request = 1, .calendar_put = {.calendar = &calendar, .expect_version = 1}};
    world_step(&w, &stale);
    assert_int_equal(world_reply(&w)->code, ERR_CONFLICT);
    struct calendar_dates two[] = {{1, 1, NULL}, {3, 3, NULL}};
    assert_int_equal(put_dates(&w, "holidays", two, 2), ERR_LIMIT);
    assert_non_null(strstr(world_reply(&w)->text, "calendar_dates_max"));
    assert_int_equal(put(&w, "b", 1, 1), 0);
    assert_int_equal(put(&w, "c", 1, 1), ERR_LIMIT);
    assert_non_null(strstr(world_reply(&w)->text, "calendars_max"));
    struct calendar_view view, *views;
    assert_int_equal(core_view_calendar(w.core, "holidays", &w.lasting, &view), 0);
    assert_int_equal(view.version, 2);
    assert_int_equal(view.calendar.dates[0].last_day, TODAY + 3);
    assert_string_equal(view.calendar.dates[0].label, "off");
    assert_int_equal(core_view_calendars(w.core, NULL, 10, &w.lasting, &views), 2);
    assert_string_equal(views[0].calendar.name, "b");
    assert_int_equal(core_view_calendars(w.core, "b", 10, &w.lasting, &views), 1);
    assert_int_equal(core_view_calendars(w.core, "a", 10, &w.lasting, &views), 2);
    assert_int_equal(core_view_calendars(w.core, "zz", 10, &w.lasting, &views), 0);
    assert_int_equal(delete(&w, "c"), ERR_NOT_FOUND);
    assert_int_equal(delete(&w, "b"), 0);
    assert_int_equal(core_view_calendar(w.core, "b", &w.lasting, &view), ERR_NOT_FOUND);
    world_check_replay(&w);
    world_release(&w);
}

static void test_named_calendars_are_there(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    assert_int_equal(apply(&w, daily(&w, "a")), ERR_INVALID);
    assert_non_null(strstr(world_reply(&w)->text, "schedule[0]: there is no calendar 'holidays'"));
    assert_int_equal(put(&w, "holidays", 1, 2), 0);
    const char *const names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(apply(&w, daily(&w, names[i])), 0);
        assert_int_equal(delete(&w, "holidays"), ERR_CONFLICT);
    }
    assert_non_null(strstr(world_reply(&w)->text, "4 schedules, of default/a, default/b, default/c and others"));
    struct calendar_view view;
    assert_int_equal(core_view_calendar(w.core, "holidays", &w.lasting, &view), 0);
    assert_int_equal(view.n_schedules, 4);
    assert_int_equal(view.n_jobs, 4);
    assert_string_equal(view.jobs[3], "default/d");
    for (int i = 0; i < 3; i++)
        change(&w, names[i], JOB_DELETED);
    assert_int_equal(apply(&w, with(daily(&w, "d"), NULL, NULL)), 0);
    assert_int_equal(delete(&w, "holidays"), 0);
    world_check_replay(&w);
    world_release(&w);
}

static void test_days_are_left_out(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct told told = {0};
    assert_int_equal(put(&w, "holidays", 2, 4), 0);
    assert_int_equal(apply(&w, daily(&w, "a")), 0);
    assert_int_equal(job(&w, "a").next_usec, AT(TODAY + 1, 43200));
    pass_to(&w, AT(TODAY + 4, 86399), &told);
    // Nothing is said of the stretch before it is over.
    assert_string_equal(told.text.data, "started +1 12:00\n");
    assert_int_equal(job(&w, "a").next_usec, AT(TODAY + 5, 43200));
    world_check_replay(&w);
    pass_to(&w, AT(TODAY + 6, 86399), &told);
    assert_string_equal(told.text.data, "started +1 12:00\nskipped_calendar +2 12:00 n3 (calendar holidays)\nstarted +5 12:00\nstarted +6 12:00\n");
    world_check_replay(&w);
    buf_release(&told.text);
    world_release(&w);
}

// Whole days of a schedule that is due every two seconds cost one record, and it counts every instant.
static void test_a_year_is_one_record(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct told told = {0};
    assert_int_equal(put(&w, "holidays", 1, 365), 0);
    const uint64_t even = 0x555555555555555;
    assert_int_equal(apply(&w, with(cron_job(&w, "a", even, (UINT64_C(1) << 60) - 1, (1u << 24) - 1), holidays, NULL)), 0);
    change(&w, "a", JOB_HELD);
    w.wall = AT(TODAY, 86390);
    change(&w, "a", JOB_ACTIVE);
    pass_to(&w, AT(TODAY + 366, 0), &told);
    assert_int_equal(told.n_left_out, 1);
    assert_non_null(strstr(told.text.data, "skipped_calendar +1 00:00 n15768000 (calendar holidays)\nstarted +366 00:00\n"));
    buf_release(&told.text);
    world_release(&w);
}

static void test_only_included_days_count(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct told told = {0};
    assert_int_equal(put(&w, "workdays", 2, 5), 0);
    assert_int_equal(put(&w, "holidays", 3, 4), 0);
    assert_int_equal(apply(&w, with(daily(&w, "a"), holidays, workdays)), 0); // what is in both is left out
    pass_to(&w, AT(TODAY + 9, 0), &told);
    assert_string_equal(told.text.data, "skipped_calendar +1 12:00 n1 (not in calendar workdays)\nstarted +2 12:00\n"
                                        "skipped_calendar +3 12:00 n2 (calendar holidays)\nstarted +5 12:00\n");
    assert_true(job(&w, "a").next_usec == USEC_NEVER); // no further day to work on
    world_check_replay(&w);
    // What has passed since then is told of when somebody ends it.
    change(&w, "a", JOB_HELD);
    tell(&w, &told);
    assert_true(str_ends(told.text.data, "started +5 12:00\nskipped_calendar +6 12:00 n3 (not in calendar workdays)\n"));
    world_check_replay(&w);
    buf_release(&told.text);
    world_release(&w);
}

static void test_what_never_fires_is_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    assert_int_equal(put(&w, "workdays", -5, 0), 0); // over at noon
    assert_int_equal(apply(&w, with(daily(&w, "a"), NULL, workdays)), ERR_INVALID);
    assert_non_null(strstr(world_reply(&w)->text, "its calendars leave out all of them, from 2023-11-15T12:00:00"));
    struct calendar_dates all = {0, CALENDAR_DAY_LAST, NULL};
    assert_int_equal(put_dates(&w, "holidays", &all, 1), 0);
    assert_int_equal(apply(&w, daily(&w, "a")), 0); // there is one on 10000-01-01
    assert_int_equal(put_dates(&w, "workdays", NULL, 0), 0);
    assert_int_equal(apply(&w, with(daily(&w, "b"), NULL, workdays)), ERR_INVALID);
    world_release(&w);
}

static void test_a_change_is_for_the_future(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct told told = {0};
    assert_int_equal(put(&w, "holidays", 1, 3), 0);
    assert_int_equal(apply(&w, daily(&w, "a")), 0);
    assert_int_equal(job(&w, "a").next_usec, AT(TODAY + 4, 43200));
    // In the middle of the second day, before its instant, the rest is given back.
    pass_to(&w, AT(TODAY + 2, 40000), &told);
    assert_int_equal(told.text.len, 0);
    assert_int_equal(put(&w, "holidays", 10, 10), 0);
    tell(&w, &told);
    assert_string_equal(told.text.data, "skipped_calendar +1 12:00 n1 (calendar holidays)\n");
    assert_int_equal(world_count(&w, REC_JOB_RESCHEDULED), 1);
    assert_int_equal(job(&w, "a").next_usec, AT(TODAY + 2, 43200));
    world_check_replay(&w);
    // And a day is taken.
    pass_to(&w, AT(TODAY + 3, 0), &told);
    assert_int_equal(put(&w, "holidays", 3, 3), 0);
    pass_to(&w, AT(TODAY + 5, 0), &told);
    assert_string_equal(told.text.data, "skipped_calendar +1 12:00 n1 (calendar holidays)\nstarted +2 12:00\n"
                                        "skipped_calendar +3 12:00 n1 (calendar holidays)\nstarted +4 12:00\n");
    // Everything is taken: there is nothing to come, until there is again.
    struct calendar_dates all = {0, CALENDAR_DAY_LAST, NULL};
    assert_int_equal(put_dates(&w, "holidays", &all, 1), 0);
    assert_int_equal(put_dates(&w, "workdays", NULL, 0), 0);
    assert_int_equal(put(&w, "workdays", 5, 9), 0);
    assert_int_equal(apply(&w, with(daily(&w, "b"), NULL, workdays)), 0);
    assert_int_equal(put_dates(&w, "workdays", NULL, 0), 0);
    assert_true(job(&w, "b").next_usec == USEC_NEVER);
    world_check_replay(&w);
    // That is said wherever one looks; of the other job, what it waits for.
    struct why_view why;
    struct condition_view *conditions;
    uint64_t after = 0;
    assert_int_equal(core_why_job(w.core, "default", "b", w.wall, &w.lasting, &why), 0);
    assert_int_equal(why.reason, REASON_CALENDARS);
    assert_string_equal(why.sentence, "Every instant to come is left out, from 2023-11-19T12:00:00.000Z on: not in calendar workdays.");
    assert_int_equal(core_conditions(w.core, 0, 10, w.wall, &w.lasting, &conditions, &after), 1);
    assert_int_equal(conditions[0].condition, CONDITION_NEVER_DUE);
    assert_string_equal(conditions[0].job_name, "b");
    assert_int_equal(conditions[0].since_usec, w.wall);
    assert_string_equal(conditions[0].sentence, why.sentence);
    assert_int_equal(put(&w, "workdays", 7, 7), 0);
    assert_int_equal(job(&w, "b").next_usec, AT(TODAY + 7, 43200));
    assert_int_equal(core_conditions(w.core, 0, 10, w.wall, &w.lasting, &conditions, &after), 0);
    pass_to(&w, AT(TODAY + 6, 50000), &told);
    assert_int_equal(core_why_job(w.core, "default", "b", w.wall, &w.lasting, &why), 0);
    assert_int_equal(why.reason, REASON_NOT_DUE);
    assert_string_equal(why.sentence, "It is due next at 2023-11-21T12:00:00.000Z; instants before that are left out: not in calendar workdays.");
    world_check_replay(&w);
    buf_release(&told.text);
    world_release(&w);
}

// A change reaches more jobs than one turn takes: the others follow, also in a later life, and nothing fires by the old dates.
static void test_a_change_reaches_many(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct told told = {0};
    assert_int_equal(put(&w, "holidays", 5, 5), 0);
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof(name), "j%02d", i);
        assert_int_equal(apply(&w, daily(&w, name)), 0);
    }
    w.limits.value[LIMIT_TURN_EVENTS] = 10;
    assert_int_equal(put(&w, "holidays", 1, 1), 0);
    assert_int_equal(world_count(&w, REC_JOB_RESCHEDULED), 10);
    assert_int_equal(core_deadline(w.core, w.wall, w.mono), 0); // there is more to do
    world_check_replay(&w); // the log and a snapshot know that too
    assert_int_equal(put(&w, "holidays", 2, 2), ERR_AGAIN);
    assert_int_equal(world_count(&w, REC_JOB_RESCHEDULED), 10);
    // Who is asked about comes first.
    change(&w, "j49", JOB_HELD);
    assert_int_equal(world_count(&w, REC_JOB_RESCHEDULED), 1);
    // The next noon comes before the rest was reached.
    w.wall = AT(TODAY + 1, 43200);
    world_step(&w, &(struct event){.kind = EV_TICK});
    tell(&w, &told);
    assert_int_equal(told.text.len, 0);
    pass_to(&w, AT(TODAY + 1, 43300), &told);
    assert_int_equal(told.text.len, 0);
    assert_true(core_deadline(w.core, w.wall, w.mono) > 0);
    world_check_replay(&w);
    assert_int_equal(put(&w, "holidays", 2, 2), 0);
    buf_release(&told.text);
    world_release(&w);
}

// Thousands of random steps: every invariant holds after each, and the log and a snapshot give the same state. Each instant of one schedule is
// accounted for once: it fired, it was skipped, or it was left out.
static void test_random(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct prng prng;
    prng_init(&prng, 20261123);
    const char *const names[] = {"freeze", "holidays", "workdays"};
    uint64_t n_told = 0, n_fired = 0;
    usec_t first = 0, last = 0;
    for (int step = 0; step < 3000; step++) {
        struct calendar_dates dates[3];
        size_t n = prng_below(&prng, 4);
        int32_t day = (int32_t)(w.wall / USEC_PER_DAY) - 2;
        for (size_t i = 0; i < n; i++) {
            dates[i].first_day = day + (int32_t)prng_below(&prng, 3);
            dates[i].last_day = dates[i].first_day + (int32_t)prng_below(&prng, 3);
            dates[i].label = NULL;
            day = dates[i].last_day + 2;
        }
        uint64_t roll = prng_below(&prng, 20);
        const char *name = names[prng_below(&prng, 3)];
        if (roll < 4) {
            assert_int_equal(put_dates(&w, name, dates, n), 0);
        } else if (roll < 5) {
            (void)delete(&w, name);
        } else if (roll < 7) {
            struct job_spec *spec = cron_job(&w, prng_below(&prng, 2) ? "a" : "b", 1, 1 | UINT64_C(1) << prng_below(&prng, 60), (1u << 24) - 1);
            spec->misfire = (enum misfire)prng_below(&prng, 3);
            (void)apply(&w, with(spec, prng_below(&prng, 3) ? &names[prng_below(&prng, 3)] : NULL, prng_below(&prng, 4) ? NULL : &names[prng_below(&prng, 3)]));
        } else if (roll < 9) {
            const enum job_state to = prng_below(&prng, 3) ? JOB_ACTIVE : prng_below(&prng, 3) ? JOB_HELD : JOB_DELETED;
            world_step(&w, &(struct event){.kind = EV_JOB_HOLD, .request = 1, .job_hold = {.namespace_name = "default", .name = prng_below(&prng, 2) ? "a" : "b", .to = to}});
        } else {
            usec_t pass = prng_below(&prng, 10) ? (usec_t)prng_below(&prng, 3 * USEC_PER_HOUR) : (usec_t)prng_below(&prng, 9 * USEC_PER_DAY);
            w.wall += pass;
            w.mono += pass;
            world_step(&w, &(struct event){.kind = EV_TICK});
        }
        if (first == 0 && step > 20 && calendar_is_there(&w, "holidays")) {
            // This one is never changed, so that all its instants must be told of.
            struct job_spec *fixed = with(cron_job(&w, "fixed", 1, 1 | UINT64_C(1) << 30, (1u << 24) - 1), holidays, NULL);
            fixed->misfire = MISFIRE_SKIP;
            fixed->overlap = OVERLAP_FORBID;
            if (apply(&w, fixed) == 0)
                first = w.wall;
        }
        for (size_t i = 0; i < w.out.n_records; i++) {
            const struct rec_job_fired *rec = &w.out.record[i]->job_fired;
            if (w.out.record[i]->kind != REC_JOB_FIRED || first == 0 || rec->job_id != job(&w, "fixed").job_id)
                continue;
            bool range = rec->outcome == FIRE_SKIPPED_MISFIRE || rec->outcome == FIRE_SKIPPED_CALENDAR;
            n_told += rec->n_missed + !range;
            n_fired++;
            usec_t upto = rec->last_usec > rec->nominal_usec ? rec->last_usec : rec->nominal_usec;
            last = upto > last ? upto : last;
        }
        if (step % 300 == 299)
            world_check_replay(&w);
    }
    // Half-hours from the first to the last that was told of.
    assert_true(n_fired > 100);
    assert_int_equal(n_told, last / (30 * USEC_PER_MIN) - first / (30 * USEC_PER_MIN));
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_named_calendars_are_there),
        cmocka_unit_test(test_days_are_left_out),
        cmocka_unit_test(test_a_year_is_one_record),
        cmocka_unit_test(test_only_included_days_count),
        cmocka_unit_test(test_what_never_fires_is_refused),
        cmocka_unit_test(test_a_change_is_for_the_future),
        cmocka_unit_test(test_a_change_reaches_many),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
