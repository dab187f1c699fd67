// SPDX-License-Identifier: Apache-2.0
// Instants within bounds, and jitter.

#include "model/schedule.h"

#include "base/prng.h"
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
    // A time of the window that comes twice, with one between that is outside: the clocks of Berlin go from 03:00 back to 02:00.
    struct trigger wild = hourly();
    wild.cron.minute = 1 | UINT64_C(1) << 45;
    wild.cron.minute_wild = true;
    between(&wild, 11, 2);
    wild.between_last_sec += 1800;
    assert_int_equal(schedule_next(&wild, berlin, 0, at("2026-10-25T00:00:00Z")), at("2026-10-25T01:00:00Z"));
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

static uint64_t bits_of(struct prng *prng, unsigned n, unsigned one_in)
{
    uint64_t set = 0;
    for (unsigned i = 0; i < n; i++)
        set |= prng_below(prng, one_in) == 0 ? UINT64_C(1) << i : 0;
    return set != 0 ? set : UINT64_C(1) << prng_below(prng, n);
}

static struct trigger random_trigger(struct prng *prng)
{
    struct trigger trigger = {.kind = prng_below(prng, 3) == 0 ? TRIGGER_EVERY : TRIGGER_CRON};
    if (prng_below(prng, 3) == 0) {
        trigger.has_between = true;
        trigger.between_first_sec = (int32_t)prng_below(prng, 97) * 900;
        trigger.between_last_sec = prng_below(prng, 4) == 0 ? 86399 : (int32_t)prng_below(prng, 97) * 900;
    }
    if (trigger.kind == TRIGGER_EVERY) {
        trigger.every_usec = (usec_t)(1 + prng_below(prng, 10000)) * (prng_below(prng, 2) == 0 ? USEC_PER_SEC : 123457);
        trigger.every_usec += 10 * USEC_PER_SEC;
        return trigger;
    }
    struct cron *cron = &trigger.cron;
    cron->second = prng_below(prng, 4) == 0 ? bits_of(prng, 60, 20) : 1;
    cron->minute = bits_of(prng, 60, 1 + (unsigned)prng_below(prng, 30));
    cron->hour = (uint32_t)bits_of(prng, 24, 1 + (unsigned)prng_below(prng, 12));
    cron->hour_wild = prng_below(prng, 3) == 0;
    cron->minute_wild = prng_below(prng, 3) == 0;
    cron->month = (uint16_t)(bits_of(prng, 12, 1 + (unsigned)prng_below(prng, 2)) << 1);
    cron->day_of_month_any = prng_below(prng, 2) == 0;
    cron->day_of_week_any = prng_below(prng, 2) == 0;
    cron->day_of_month = cron->day_of_month_any ? 0xfffffffe : (uint32_t)(bits_of(prng, 31, 4) << 1);
    cron->day_of_week = cron->day_of_week_any ? 0x7f : (uint8_t)bits_of(prng, 7, 3);
    if (prng_below(prng, 8) == 0)
        cron->before_last = 1;
    if (prng_below(prng, 8) == 0)
        cron->nth_weekday[prng_below(prng, 6)] = 1u << prng_below(prng, 7);
    return trigger;
}

static const char *const zones[] = {"UTC",          "Europe/Berlin",    "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca",
                                    "Asia/Tehran",  "America/St_Johns", "Antarctica/Troll", "Asia/Pyongyang",      "Europe/Dublin", "America/Caracas"};

// Counting sees what a walk from instant to instant sees, in any zone, around changes of the clocks and far from them.
static void test_counting_agrees_with_walking(void **state)
{
    struct prng prng;
    prng_init(&prng, 4711);
    int64_t walked = 0;
    for (int round = 0; round < 6000; round++) {
        struct trigger trigger = random_trigger(&prng);
        const struct tz *tz = tz_find(zones[prng_below(&prng, sizeof(zones) / sizeof(zones[0]))]);
        assert_non_null(tz);
        usec_t after = at("1985-01-01T00:00:00Z") + (usec_t)prng_below(&prng, 50 * 366) * USEC_PER_DAY + (usec_t)prng_below(&prng, USEC_PER_DAY);
        struct tz_segment segment;
        tz_segment_at(tz, after / USEC_PER_SEC, &segment);
        if (prng_below(&prng, 2) == 0 && segment.end_sec != INT64_MAX)
            after = segment.end_sec * USEC_PER_SEC - (usec_t)prng_below(&prng, 2 * USEC_PER_HOUR);
        if (prng_below(&prng, 8) == 0 && segment.end_sec != INT64_MAX)
            after = segment.end_sec * USEC_PER_SEC - 1;
        usec_t upto = after + (usec_t)prng_below(&prng, prng_below(&prng, 4) == 0 ? 40 * USEC_PER_DAY : 2 * USEC_PER_DAY);
        usec_t first = after - (usec_t)prng_below(&prng, 3 * USEC_PER_HOUR) + (usec_t)prng_below(&prng, USEC_PER_HOUR);
        if (prng_below(&prng, 6) == 0)
            trigger.until_usec = upto - (usec_t)prng_below(&prng, USEC_PER_HOUR);
        if (prng_below(&prng, 6) == 0)
            trigger.from_usec = after + (usec_t)prng_below(&prng, USEC_PER_HOUR);
        usec_t seen[8] = {0}, begin = after;
        int64_t n = 0;
        for (usec_t next = after; (next = schedule_next(&trigger, tz, first, begin)) <= upto && n < 3000; n++) {
            seen[n % 8] = next;
            begin = next;
        }
        if (n == 3000)
            upto = begin;
        walked += n;
        int64_t counted = schedule_count(&trigger, tz, first, after, upto);
        if (counted != n)
            fail_msg("round %d, zone %s: walked %lld, counted %lld", round, tz_name(tz), (long long)n, (long long)counted);
        usec_t newest = schedule_newest(&trigger, tz, first, after, upto, 5);
        if (n == 0)
            assert_true(newest == USEC_NEVER);
        else
            assert_int_equal(newest, n >= 5 ? seen[(n - 5) % 8] : schedule_next(&trigger, tz, first, after));
    }
    assert_true(walked > 300000);
}

static void test_a_year_of_seconds_is_counted_at_once(void **state)
{
    const struct tz *berlin = tz_find("Europe/Berlin");
    struct trigger trigger = hourly();
    trigger.cron.minute = trigger.cron.second = (UINT64_C(1) << 60) - 1;
    usec_t begin = at("2026-01-01T00:00:00Z"), end = at("2027-01-01T00:00:00Z");
    assert_int_equal(schedule_count(&trigger, berlin, 0, begin, end), 365 * 86400);
    assert_int_equal(schedule_newest(&trigger, berlin, 0, begin, end, 100), end - 99 * USEC_PER_SEC);
    struct trigger two = {.kind = TRIGGER_EVERY, .every_usec = 2 * USEC_PER_SEC};
    assert_int_equal(schedule_count(&two, NULL, begin, begin, end), 365 * 43200);
    struct trigger once = {.kind = TRIGGER_AT, .at_usec = begin + 5};
    assert_int_equal(schedule_count(&once, NULL, 0, begin, end), 1);
    assert_int_equal(schedule_count(&once, NULL, 0, begin + 5, end), 0);
    assert_int_equal(schedule_count(&two, NULL, begin, end, begin), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validity),
        cmocka_unit_test(test_window_of_the_day),
        cmocka_unit_test(test_a_window_without_instants_ends),
        cmocka_unit_test(test_previous),
        cmocka_unit_test(test_counting_agrees_with_walking),
        cmocka_unit_test(test_a_year_of_seconds_is_counted_at_once),
        cmocka_unit_test(test_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
