// SPDX-License-Identifier: Apache-2.0
// Instants within bounds, and jitter.

#include "model/schedule.h"

#include "base/tz.h"
#include "tests/unit/test.h"

static usec_t at(const char *text)
{
    usec_t usec = 0;
    assert_int_equal(time_parse(text, &usec, NULL), 0);
    return usec;
}

static struct trigger every_minutes(int minutes)
{
    return (struct trigger){.kind = TRIGGER_EVERY, .every_usec = minutes * USEC_PER_MIN};
}

static struct trigger hourly(void)
{
    return (struct trigger){.kind = TRIGGER_CRON,
                            .cron = {.second = 1, .minute = 1, .hour = (1u << 24) - 1, .day_of_month = 0xfffffffe, .month = 0x1ffe,
                                     .day_of_week = 0x7f, .day_of_month_any = true, .day_of_week_any = true, .hour_wild = true}};
}

static void between(struct trigger *trigger, int first_hour, int last_hour)
{
    trigger->has_between = true;
    trigger->between_first_sec = first_hour * 3600;
    trigger->between_last_sec = last_hour * 3600;
}

static void test_validity(void **state)
{
    const struct tz *utc = tz_find("UTC");
    struct trigger trigger = hourly();
    trigger.from_usec = at("2026-11-23T10:00:00Z");
    trigger.until_usec = at("2026-11-23T12:00:00Z");
    assert_int_equal(schedule_next(&trigger, utc, 0, at("2026-01-01T00:00:00Z")), at("2026-11-23T10:00:00Z"));
    assert_int_equal(schedule_next(&trigger, utc, 0, at("2026-11-23T10:00:00Z")), at("2026-11-23T11:00:00Z"));
    assert_true(schedule_next(&trigger, utc, 0, at("2026-11-23T11:00:00Z")) == USEC_NEVER);
    trigger = every_minutes(45);
    trigger.from_usec = at("2026-11-23T10:00:00Z");
    // The interval goes on counting from where it began.
    assert_int_equal(schedule_next(&trigger, NULL, at("2026-11-23T00:10:00Z"), 0), at("2026-11-23T10:40:00Z"));
}

static void test_window_of_the_day(void **state)
{
    const struct tz *berlin = tz_find("Europe/Berlin");
    struct trigger trigger = hourly();
    between(&trigger, 8, 18);
    assert_int_equal(schedule_next(&trigger, berlin, 0, at("2026-07-01T00:00:00Z")), at("2026-07-01T06:00:00Z"));
    assert_int_equal(schedule_next(&trigger, berlin, 0, at("2026-07-01T15:30:00Z")), at("2026-07-01T16:00:00Z")); // 18:00 is in it
    assert_int_equal(schedule_next(&trigger, berlin, 0, at("2026-07-01T16:00:00Z")), at("2026-07-02T06:00:00Z"));
    between(&trigger, 22, 2); // over midnight
    assert_int_equal(schedule_next(&trigger, berlin, 0, at("2026-07-01T00:00:00Z")), at("2026-07-01T20:00:00Z"));
    assert_int_equal(schedule_next(&trigger, berlin, 0, at("2026-07-01T23:00:00Z")), at("2026-07-02T00:00:00Z"));
    assert_int_equal(schedule_next(&trigger, berlin, 0, at("2026-07-02T00:00:00Z")), at("2026-07-02T20:00:00Z"));
    trigger = every_minutes(7);
    between(&trigger, 9, 10);
    usec_t first = at("2026-07-01T00:00:00Z"), after = first;
    for (int i = 0; i < 60; i++) {
        usec_t next = schedule_next(&trigger, berlin, first, after);
        assert_true(next > after && (next - first) % trigger.every_usec == 0);
        int64_t of_day = (next / USEC_PER_SEC + 7200) % 86400;
        assert_in_range(of_day, 9 * 3600, 10 * 3600);
        // Nothing is left out.
        if (next - after > trigger.every_usec && i > 0) {
            int64_t missed = ((after + trigger.every_usec) / USEC_PER_SEC + 7200) % 86400;
            assert_true(missed > 10 * 3600);
        }
        after = next;
    }
}

static void test_a_window_without_instants_ends(void **state)
{
    const struct tz *berlin = tz_find("Europe/Berlin");
    struct trigger trigger = hourly();
    trigger.cron.hour = 1u << 3;
    trigger.cron.hour_wild = false;
    between(&trigger, 8, 18);
    assert_true(schedule_next(&trigger, berlin, 0, at("2026-07-01T00:00:00Z")) == USEC_NEVER);
    assert_true(schedule_next(&trigger, NULL, 0, 0) == USEC_NEVER);
    // The window opens in a gap of the clocks: its first instant is the one after.
    trigger = every_minutes(1);
    between(&trigger, 2, 4);
    trigger.between_first_sec += 1800;
    assert_int_equal(schedule_next(&trigger, berlin, at("2026-03-29T00:00:00Z"), at("2026-03-29T00:30:00Z")), at("2026-03-29T01:00:00Z"));
}

static void test_jitter(void **state)
{
    struct trigger trigger = every_minutes(1);
    assert_int_equal(schedule_jitter(&trigger, 7, 1000), 0);
    trigger.jitter_usec = 10 * USEC_PER_SEC;
    usec_t least = USEC_NEVER, most = 0;
    for (int i = 0; i < 1000; i++) {
        usec_t jitter = schedule_jitter(&trigger, 7, i * USEC_PER_MIN);
        assert_int_equal(jitter, schedule_jitter(&trigger, 7, i * USEC_PER_MIN));
        assert_in_range(jitter, 0, trigger.jitter_usec);
        least = usec_min(least, jitter);
        most = usec_max(most, jitter);
    }
    assert_true(least < USEC_PER_SEC && most > 9 * USEC_PER_SEC);
    assert_true(schedule_jitter(&trigger, 7, 0) != schedule_jitter(&trigger, 8, 0));
    assert_int_equal(schedule_jitter(&trigger, 7, USEC_NEVER), 0);
}

// Backwards it finds what it found forwards.
static void test_previous(void **state)
{
    const struct tz *berlin = tz_find("Europe/Berlin");
    struct trigger triggers[] = {hourly(), hourly(), every_minutes(7), every_minutes(7)};
    between(&triggers[1], 22, 2);
    between(&triggers[3], 1, 4);
    triggers[3].until_usec = at("2026-10-27T00:00:00Z");
    usec_t first = at("2026-10-24T00:03:00Z");
    for (size_t i = 0; i < 4; i++) {
        usec_t before = schedule_next(&triggers[i], berlin, first, first);
        for (int k = 0; k < 40; k++) {
            usec_t next = schedule_next(&triggers[i], berlin, first, before);
            if (next == USEC_NEVER)
                break;
            assert_int_equal(schedule_prev(&triggers[i], berlin, first, next), before);
            assert_int_equal(schedule_prev(&triggers[i], berlin, first, next + 1), next);
            before = next;
        }
    }
    triggers[2].from_usec = at("2026-10-25T00:00:00Z");
    assert_true(schedule_prev(&triggers[2], NULL, first, at("2026-10-25T00:00:00Z")) == USEC_NEVER);
    struct trigger once = {.kind = TRIGGER_AT, .at_usec = 5000};
    assert_int_equal(schedule_prev(&once, NULL, 0, 6000), 5000);
    assert_true(schedule_prev(&once, NULL, 0, 5000) == USEC_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validity),
        cmocka_unit_test(test_window_of_the_day),
        cmocka_unit_test(test_a_window_without_instants_ends),
        cmocka_unit_test(test_previous),
        cmocka_unit_test(test_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
