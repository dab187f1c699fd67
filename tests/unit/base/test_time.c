// SPDX-License-Identifier: Apache-2.0
// Instants and the calendar.

#include "base/time.h"
#include "base/prng.h"

#include <time.h>

#include "tests/unit/test.h"

static void test_saturation(void **state)
{
    assert_true(usec_add(1, 2) == 3);
    assert_true(usec_add(USEC_NEVER, -5) == USEC_NEVER);
    assert_true(usec_add(INT64_MAX - 1, 5) == USEC_NEVER);
    assert_true(usec_add(INT64_MIN, -1) == INT64_MIN);
    assert_true(usec_sub(1, 2) == -1);
    assert_true(usec_sub(USEC_NEVER, 5) == USEC_NEVER);
    assert_true(usec_sub(INT64_MIN, 1) == INT64_MIN);
    assert_true(usec_sub(5, INT64_MIN) == USEC_NEVER);
    assert_true(usec_min(1, 2) == 1 && usec_max(1, 2) == 2);
}

static void test_calendar_walks_day_by_day(void **state)
{
    int64_t year = 1599;
    int month = 12;
    int day = 31;
    int weekday = weekday_from_days(days_from_civil(year, month, day));
    for (int64_t days = days_from_civil(year, month, day); year < 2450; days++) {
        int64_t got_year = 0;
        int got_month = 0;
        int got_day = 0;
        civil_from_days(days, &got_year, &got_month, &got_day);
        assert_true(got_year == year && got_month == month && got_day == day);
        assert_true(days_from_civil(year, month, day) == days);
        assert_int_equal(weekday_from_days(days), weekday);
        weekday = (weekday + 1) % 7;
        if (++day > month_days(year, month)) {
            day = 1;
            month = month == 12 ? 1 : month + 1;
            year += month == 1;
        }
    }
}

static void test_calendar_against_libc(void **state)
{
    struct prng prng;
    prng_init(&prng, 9);
    for (int i = 0; i < 20000; i++) {
        int64_t days = (int64_t)prng_below(&prng, 4000000) - 2000000;
        time_t seconds = (time_t)days * 86400;
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        int64_t year = 0;
        int month = 0;
        int day = 0;
        civil_from_days(days, &year, &month, &day);
        assert_true(year == tm.tm_year + 1900 && month == tm.tm_mon + 1 && day == tm.tm_mday);
        assert_int_equal(weekday_from_days(days), tm.tm_wday);
    }
    assert_true(days_from_civil(1970, 1, 1) == 0);
    assert_aborts(days_from_civil(2000, 13, 1));
}

static void test_format(void **state)
{
    char text[40];
    assert_string_equal(time_format(text, 0), "1970-01-01T00:00:00.000Z");
    assert_string_equal(time_format(text, -1), "1969-12-31T23:59:59.999Z");
    assert_string_equal(time_format(text, INT64_C(1795415400123999)), "2026-11-23T06:30:00.123Z");
    assert_string_equal(time_format(text, USEC_NEVER), "never");
    assert_true(strlen(time_format(text, INT64_MIN)) < 40);
    assert_true(strlen(time_format(text, INT64_MAX - 1)) < 40);
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        usec_t wall;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-23T06:30:00.123999Z", INT64_C(1795415400123999)},
        {"2026-11-23T06:30:00.1239991Z", INT64_C(1795415400123999)},
        {"2026-11-23t07:30:00+01:00", INT64_C(1795415400000000)},
        {"2026-11-23 01:00:00-05:30", INT64_C(1795415400000000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
        {"2024-02-29T00:00:00z", INT64_C(1709164800000000)},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        usec_t wall = 1;
        assert_int_equal(time_parse(good[i].text, &wall, NULL), 0);
        assert_true(wall == good[i].wall);
    }
    static const char *const bad[] = {
        "", "now", "2026-11-23", "2026-11-23T06:30:00", "2026-11-23T06:30Z", "2026-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T06:60:00Z", "2026-11-23T06:30:61Z",
        "2026-11-23T06:30:00.Z", "2026-11-23T06:30:00.1234567891Z", "2026-11-23T06:30:00Zx",
        "2026-11-23T06:30:00+0100", "2026-11-23T06:30:00+24:00", "2026-11-23T06:30:00+01:60",
        "26-11-23T06:30:00Z", "2026-11-00T06:30:00Z", "2026-11-23X06:30:00Z", " 2026-11-23T06:30:00Z",
    };
    struct err err = {0};
    usec_t wall = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(time_parse(bad[i], &wall, &err), ERR_INVALID);
    assert_int_equal(time_parse(NULL, &wall, &err), ERR_INVALID);
    assert_true(wall == 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_saturation),
        cmocka_unit_test(test_calendar_walks_day_by_day),
        cmocka_unit_test(test_calendar_against_libc),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
