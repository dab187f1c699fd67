// SPDX-License-Identifier: Apache-2.0
// Calendars, sets of days, and the instants that fall on them.
#include <string.h>

#include "base/prng.h"
#include "base/tz.h"
#include "model/calendar.h"
#include "model/schedule.h"
#include "tests/unit/test.h"

static int32_t day(const char *text)
{
    int32_t ret = 0;
    assert_int_equal(date_parse(text, &ret, NULL), 0);
    return ret;
}

static usec_t at(const char *text)
{
    usec_t ret = 0;
    assert_int_equal(time_parse(text, &ret, NULL), 0);
    return ret;
}

static void test_dates(void **state)
{
    (void)state;
    char text[16];
    assert_int_equal(day("1970-01-01"), 0);
    assert_int_equal(day("9999-12-31"), CALENDAR_DAY_LAST);
    assert_string_equal(date_format(text, day("2028-02-29")), "2028-02-29");
    static const char *const wrong[] = {"", "2026", "2026-2-3", "2026-02-30", "1969-12-31", "2026-13-01", "2026-12-25 ", "2026/12/25", "20261225", "-026-01-01"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int32_t ret = 7;
        struct err err = {0};
        assert_int_equal(date_parse(wrong[i], &ret, &err), ERR_INVALID);
        assert_int_equal(ret, 7);
    }
}

static void test_tidy(void **state)
{
    (void)state;
    struct calendar_dates dates[] = {{30, 40, "late"}, {1, 5, "early"}, {3, 8, "over"}, {9, 9, "over"}, {4, 4, "inside"}, {20, 20, NULL}, {21, 22, NULL}};
    size_t n = calendar_tidy(dates, 7);
    assert_int_equal(n, 4);
    assert_int_equal(dates[0].last_day, 5);
    assert_int_equal(dates[1].first_day, 6); // what "early" did not have already, and the neighbour of the same name
    assert_int_equal(dates[1].last_day, 9);
    assert_string_equal(dates[1].label, "over");
    assert_int_equal(dates[2].first_day, 20);
    assert_int_equal(dates[2].last_day, 22);
    struct calendar calendar = {.name = "c", .dates = dates, .n_dates = n}, same = calendar;
    assert_null(calendar_fault(&calendar));
    assert_true(calendar_same(&calendar, &same));
    same.description = "other";
    assert_false(calendar_same(&calendar, &same));
    assert_null(calendar_find(&calendar, 10));
    assert_null(calendar_find(&calendar, 0));
    assert_null(calendar_find(&calendar, 41));
    assert_string_equal(calendar_find(&calendar, 40)->label, "late");
    assert_string_equal(calendar_find(&calendar, 7)->label, "over");
    struct calendar_dates crossed[] = {{5, 9, NULL}, {9, 10, NULL}};
    assert_non_null(calendar_fault(&(struct calendar){.name = "c", .dates = crossed, .n_dates = 2}));
    struct calendar_dates far[] = {{5, CALENDAR_DAY_LAST + 1, NULL}};
    assert_non_null(calendar_fault(&(struct calendar){.name = "c", .dates = far, .n_dates = 1}));
    struct arena arena = {0};
    struct calendar copy;
    calendar_copy(&arena, &copy, &calendar);
    assert_true(calendar_same(&copy, &calendar));
    assert_ptr_not_equal(copy.dates[0].label, calendar.dates[0].label);
    arena_release(&arena);
}

static void test_left_out(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct calendar_dates work[] = {{10, 20, NULL}, {30, 40, NULL}}, off[] = {{15, 16, NULL}, {38, 50, NULL}, {0, 0, NULL}};
    const struct calendar works = {.name = "work", .dates = work, .n_dates = 2}, offs = {.name = "off", .dates = off, .n_dates = 2};
    const struct calendar none = {.name = "none"};
    const struct calendar *include[] = {&works}, *exclude[] = {&offs}, *empty[] = {&none};
    struct day_set set;
    day_set_left_out(&arena, exclude, 1, include, 1, &set);
    for (int32_t d = -5; d < 60; d++) {
        bool kept = ((d >= 10 && d <= 20) || (d >= 30 && d <= 40)) && !(d == 15 || d == 16 || d >= 38);
        assert_int_equal(day_set_has(&set, d), !kept); // excluded wins over included
    }
    assert_int_equal(set.spans[0].first, INT32_MIN);
    assert_int_equal(set.spans[set.n - 1].last, INT32_MAX);
    day_set_left_out(&arena, exclude, 1, NULL, 0, &set);
    assert_int_equal(set.n, 2);
    day_set_left_out(&arena, NULL, 0, empty, 1, &set); // nothing to keep to
    assert_int_equal(set.n, 1);
    assert_true(day_set_has(&set, 0));
    day_set_left_out(&arena, empty, 1, NULL, 0, &set);
    assert_int_equal(set.n, 0);
    arena_release(&arena);
}

static struct cron every_second(void)
{
    struct cron cron = {.second = (UINT64_C(1) << 60) - 1, .minute = (UINT64_C(1) << 60) - 1, .hour = (1u << 24) - 1, .day_of_month = 0xfffffffe,
                        .month = 0x1ffe, .day_of_week = 0x7f, .day_of_month_any = true, .day_of_week_any = true, .hour_wild = true, .minute_wild = true};
    return cron;
}

static void test_next_open(void **state)
{
    (void)state;
    const struct tz *tokyo = tz_find("Asia/Tokyo");
    struct trigger trigger = {.kind = TRIGGER_CRON, .zone = "Asia/Tokyo", .cron = every_second()};
    trigger.cron.second = trigger.cron.minute = 1;
    trigger.cron.hour = 1 << 3; // 03:00 in Tokyo is 18:00 of the day before in UTC
    trigger.cron.hour_wild = trigger.cron.minute_wild = false;
    struct day_span spans[] = {{day("2026-12-25"), day("2026-12-26")}};
    struct day_set set = {spans, 1};
    usec_t left_out = 0;
    assert_int_equal(schedule_next_open(&trigger, tokyo, 0, &set, at("2026-12-23T18:00:00Z"), &left_out), at("2026-12-26T18:00:00Z"));
    assert_int_equal(left_out, at("2026-12-24T18:00:00Z"));
    assert_int_equal(schedule_next_open(&trigger, tokyo, 0, &set, at("2026-12-22T18:00:00Z"), &left_out), at("2026-12-23T18:00:00Z"));
    assert_true(left_out == USEC_NEVER);
    assert_int_equal(schedule_next_open(&trigger, tokyo, 0, NULL, at("2026-12-23T18:00:00Z"), &left_out), at("2026-12-24T18:00:00Z"));
    // A set without an end leaves nothing; the search ends at once, also for every second of it.
    struct day_span all[] = {{INT32_MIN, day("2026-12-20")}, {day("2026-12-22"), INT32_MAX}};
    struct day_set always = {all, 2};
    struct trigger fast = {.kind = TRIGGER_CRON, .zone = "UTC", .cron = every_second()};
    assert_true(schedule_next_open(&fast, tz_find("UTC"), 0, &always, at("2026-12-21T23:59:59Z"), &left_out) == USEC_NEVER);
    assert_int_equal(left_out, at("2026-12-22T00:00:00Z"));
    assert_int_equal(schedule_next_open(&fast, tz_find("UTC"), 0, &always, 0, &left_out), at("2026-12-21T00:00:00Z"));
    assert_int_equal(left_out, USEC_PER_SEC);
    assert_int_equal(schedule_prev_on(&fast, tz_find("UTC"), 0, &always, false, at("2027-12-22T00:00:00Z")), at("2026-12-21T23:59:59Z"));
    assert_int_equal(schedule_prev_on(&fast, tz_find("UTC"), 0, &always, true, at("2026-12-21T12:00:00Z")), at("2026-12-20T23:59:59Z"));
    assert_true(schedule_prev_on(&fast, tz_find("UTC"), 0, &always, false, at("2026-12-21T00:00:00Z")) == USEC_NEVER);
    assert_int_equal(schedule_count_on(&fast, tz_find("UTC"), 0, &always, at("2026-12-21T00:00:00Z"), at("2027-12-21T23:59:59Z")), 365 * 86400);
}

// Any trigger, set of days and stretch of time: what is counted and found is what one sees who looks at every instant.
static void try_any(struct prng *prng)
{
    static const char *const zones[] = {"UTC", "Europe/Berlin", "America/St_Johns", "America/Havana", "Asia/Beirut", "Pacific/Apia", "Australia/Lord_Howe",
                                        "America/Sao_Paulo", "Asia/Tehran"};
    const char *zone = zones[prng_below(prng, sizeof(zones) / sizeof(zones[0]))];
    const struct tz *tz = tz_find(zone);
    struct trigger trigger = {.kind = TRIGGER_CRON, .zone = zone, .cron = every_second()};
    usec_t first_usec = 0;
    if (prng_chance(prng, 300)) {
        trigger.kind = TRIGGER_EVERY;
        trigger.every_usec = (1 + (usec_t)prng_below(prng, 40000)) * USEC_PER_SEC;
        first_usec = (usec_t)prng_below(prng, 2000000000) * USEC_PER_SEC + (usec_t)prng_below(prng, 2) * 500000;
    } else {
        trigger.cron.second = UINT64_C(1) << prng_below(prng, 60);
        trigger.cron.minute = prng_u64(prng) & prng_u64(prng) & ((UINT64_C(1) << 60) - 1);
        trigger.cron.hour_wild = prng_chance(prng, 400);
        trigger.cron.minute_wild = prng_chance(prng, 300);
        if (!trigger.cron.hour_wild)
            trigger.cron.hour = (uint32_t)prng_u64(prng) & ((1u << 24) - 1);
        if (prng_chance(prng, 300)) {
            trigger.cron.day_of_week_any = false;
            trigger.cron.day_of_week = 1u << prng_below(prng, 7);
        }
    }
    if (prng_chance(prng, 300)) {
        trigger.has_between = true;
        trigger.between_first_sec = (int32_t)prng_below(prng, 86401);
        trigger.between_last_sec = prng_chance(prng, 200) ? 86400 : (int32_t)prng_below(prng, 86401);
    }
    // Around one of the changes of the clocks, most often.
    int64_t sec = (int64_t)prng_below(prng, 2000000000);
    struct tz_segment segment;
    tz_segment_at(tz, sec, &segment);
    if (segment.end_sec < INT64_C(4000000000) && prng_chance(prng, 800))
        sec = segment.end_sec - (int64_t)prng_below(prng, 3 * 86400);
    usec_t from = sec * USEC_PER_SEC, to = from + (usec_t)prng_below(prng, 6 * 86400) * USEC_PER_SEC + (usec_t)prng_below(prng, 2) * 500000;
    int32_t base = (int32_t)(sec / 86400);
    struct day_span spans[3];
    size_t n = prng_below(prng, 4);
    int32_t d = base - 2 + (int32_t)prng_below(prng, 3);
    for (size_t i = 0; i < n; i++) {
        spans[i].first = d;
        spans[i].last = d + (int32_t)prng_below(prng, 3);
        d = spans[i].last + 2 + (int32_t)prng_below(prng, 2);
    }
    if (n > 0 && prng_chance(prng, 100))
        spans[n - 1].last = INT32_MAX;
    if (n > 0 && prng_chance(prng, 100))
        spans[0].first = INT32_MIN;
    struct day_set set = {spans, n};
    uint64_t in_set = 0, all = 0;
    usec_t last_in = USEC_NEVER, last_out = USEC_NEVER, first_in = USEC_NEVER, first_out = USEC_NEVER;
    for (usec_t t = schedule_next(&trigger, tz, first_usec, from - 1); t <= to; t = schedule_next(&trigger, tz, first_usec, t)) {
        bool has = day_set_has(&set, schedule_day(tz, t));
        in_set += has;
        all++;
        *(has ? &last_in : &last_out) = t;
        if (!has && first_out == USEC_NEVER)
            first_out = t;
        if (has && first_in == USEC_NEVER && first_out == USEC_NEVER)
            first_in = t;
    }
    assert_int_equal(schedule_count(&trigger, tz, first_usec, from - 1, to), all);
    assert_int_equal(schedule_count_on(&trigger, tz, first_usec, &set, from - 1, to), in_set);
    assert_int_equal(schedule_count_open(&trigger, tz, first_usec, &set, from - 1, to), all - in_set);
    if (all > in_set) {
        int64_t n = 1 + (int64_t)prng_below(prng, all - in_set);
        usec_t newest = schedule_newest_open(&trigger, tz, first_usec, &set, from - 1, to, n);
        assert_int_equal(schedule_count_open(&trigger, tz, first_usec, &set, newest - 1, to), n);
        assert_int_equal(schedule_count_open(&trigger, tz, first_usec, &set, newest, to), n - 1);
    }
    usec_t left_out = 0, next = schedule_next_open(&trigger, tz, first_usec, &set, from - 1, &left_out);
    assert_true(first_out == USEC_NEVER ? next > to : next == first_out);
    if (first_in != USEC_NEVER)
        assert_int_equal(left_out, first_in);
    else
        assert_true(left_out == USEC_NEVER || left_out > to);
    usec_t in = schedule_next_on(&trigger, tz, first_usec, &set, from - 1), seen = USEC_NEVER;
    for (usec_t t = schedule_next(&trigger, tz, first_usec, from - 1); t <= to && seen == USEC_NEVER; t = schedule_next(&trigger, tz, first_usec, t))
        if (day_set_has(&set, schedule_day(tz, t)))
            seen = t;
    assert_true(seen == USEC_NEVER ? in > to : in == seen);
    usec_t prev = schedule_prev_on(&trigger, tz, first_usec, &set, true, to + 1);
    assert_true(last_in == USEC_NEVER ? prev == USEC_NEVER || prev < from : prev == last_in);
    prev = schedule_prev_on(&trigger, tz, first_usec, &set, false, to + 1);
    assert_true(last_out == USEC_NEVER ? prev == USEC_NEVER || prev < from : prev == last_out);
}

static void test_any(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 20261123);
    for (int i = 0; i < 20000; i++)
        try_any(&prng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates), cmocka_unit_test(test_tidy), cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_next_open), cmocka_unit_test(test_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
