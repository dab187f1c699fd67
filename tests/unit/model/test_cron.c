// SPDX-License-Identifier: Apache-2.0
// The search for the next instant, on sets made by hand. Tables of expressions are in codec/test_cron_text, the comparison with
// an independent oracle in tests/contract/test_cron_oracle.py.

#include "model/cron.h"

#include "base/clock.h"
#include "base/tz.h"
#include "tests/unit/test.h"

static usec_t at(const char *text)
{
    usec_t usec = 0;
    assert_int_equal(time_parse(text, &usec, NULL), 0);
    return usec;
}

static struct cron every_minute(void)
{
    return (struct cron){
        .second = 1,
        .minute = (UINT64_C(1) << 60) - 1,
        .hour = (1u << 24) - 1,
        .day_of_month = 0xfffffffe,
        .month = 0x1ffe,
        .day_of_week = 0x7f,
        .day_of_month_any = true,
        .day_of_week_any = true,
        .hour_wild = true,
        .minute_wild = true,
    };
}

static void test_strictly_after(void **state)
{
    struct cron cron = every_minute();
    const struct tz *utc = tz_find("UTC");
    assert_int_equal(cron_next(&cron, utc, at("2026-11-23T06:30:00Z")), at("2026-11-23T06:31:00Z"));
    assert_int_equal(cron_next(&cron, utc, at("2026-11-23T06:30:00Z") - 1), at("2026-11-23T06:30:00Z"));
    assert_int_equal(cron_next(&cron, utc, at("2026-11-23T06:30:59.999999Z")), at("2026-11-23T06:31:00Z"));
    assert_int_equal(cron_next(&cron, utc, at("1969-12-31T23:58:59.5Z")), at("1969-12-31T23:59:00Z"));
}

static void test_never(void **state)
{
    struct cron cron = every_minute();
    cron.day_of_month = 1u << 30;
    cron.day_of_month_any = false;
    cron.month = 1u << 2;
    const struct tz *utc = tz_find("UTC");
    const struct tz *berlin = tz_find("Europe/Berlin");
    usec_t began_usec = clock_mono_usec();
    for (int i = 0; i < 20; i++) {
        assert_true(cron_next(&cron, utc, at("2026-01-01T00:00:00Z")) == USEC_NEVER);
        assert_true(cron_next(&cron, berlin, at("2026-01-01T00:00:00Z")) == USEC_NEVER);
        cron.hour_wild = cron.minute_wild = !cron.hour_wild;
    }
    assert_true(clock_mono_usec() - began_usec < 2 * USEC_PER_SEC);
    struct cron empty = {0};
    assert_true(cron_next(&empty, berlin, 0) == USEC_NEVER);
    cron = every_minute();
    cron.minute = 0;
    assert_true(cron_next(&cron, berlin, 0) == USEC_NEVER);
    assert_true(cron_next(&cron, berlin, USEC_NEVER) == USEC_NEVER);
    assert_true(cron_next(&cron, berlin, INT64_MIN) == USEC_NEVER);
}

static void test_leap_days_across_a_century(void **state)
{
    struct cron cron = every_minute();
    cron.minute = 1;
    cron.hour = 1;
    cron.month = 1u << 2;
    cron.day_of_month = 1u << 29;
    cron.day_of_month_any = false;
    cron.hour_wild = cron.minute_wild = false;
    assert_int_equal(cron_next(&cron, tz_find("UTC"), at("2096-02-29T00:00:00Z")), at("2104-02-29T00:00:00Z"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strictly_after),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_leap_days_across_a_century),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
