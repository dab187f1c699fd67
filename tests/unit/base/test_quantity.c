// SPDX-License-Identifier: Apache-2.0
// Sizes, durations and cpus.

#include "base/prng.h"
#include "base/str.h"

#include "tests/unit/test.h"

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"512", 512},
        {"512B", 512},
        {"64K", 65536},
        {"64k", 65536},
        {"64Ki", 65536},
        {"64KiB", 65536},
        {"64KB", 64000},
        {"100MB", 100000000},
        {"1.5GiB", 1610612736},
        {"0.1GiB", 107374182},
        {"2T", UINT64_C(2) << 40},
        {"1P", UINT64_C(1) << 50},
        {"15E", UINT64_C(15) << 60},
        {"18446744073709551615", UINT64_MAX},
        {"0.999999999K", 1023},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t bytes = 1;
        assert_int_equal(size_parse(good[i].text, &bytes, NULL), 0);
        assert_int_equal(bytes, good[i].bytes);
    }
    static const char *const bad[] = {"", "K", "-1", "1.", ".5", "1 K", "1Kx", "1KiBs", "1Z", "1.5.5", " 1", "1e3", "B"};
    struct err err = {0};
    uint64_t bytes = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(size_parse(bad[i], &bytes, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "'B'"));
    assert_int_equal(size_parse("16E", &bytes, &err), ERR_RANGE);
    assert_int_equal(size_parse("99999999999999999999", &bytes, &err), ERR_RANGE);
    assert_int_equal(size_parse("0.0123456789K", &bytes, &err), ERR_RANGE);
    assert_int_equal(size_parse(NULL, &bytes, &err), ERR_INVALID);
    assert_int_equal(bytes, 77);
}

static void test_size_format(void **state)
{
    char text[32];
    assert_string_equal(size_format(text, 0), "0B");
    assert_string_equal(size_format(text, 1023), "1023B");
    assert_string_equal(size_format(text, 1024), "1KiB");
    assert_string_equal(size_format(text, 1536), "1.5KiB");
    assert_string_equal(size_format(text, 1024 * 1024 - 1), "1023.9KiB");
    assert_string_equal(size_format(text, UINT64_C(3) << 30), "3GiB");
    assert_string_equal(size_format(text, UINT64_MAX), "15.9EiB");
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        usec_t usec;
    } good[] = {
        {"0", 0},
        {"90", 90 * USEC_PER_SEC},
        {"1.5", 1500000},
        {"90s", 90 * USEC_PER_SEC},
        {"1h30m", 90 * USEC_PER_MIN},
        {"2d", 2 * USEC_PER_DAY},
        {"1w", 7 * USEC_PER_DAY},
        {"250ms", 250000},
        {"100us", 100},
        {"1.5h", 90 * USEC_PER_MIN},
        {"1m3.25s", 63250000},
        {"0.0000019s", 1},
        {"9223372036854775806us", INT64_MAX - 1},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        usec_t usec = -1;
        assert_int_equal(duration_parse(good[i].text, &usec, NULL), 0);
        assert_true(usec == good[i].usec);
    }
    static const char *const bad[] = {"", "s", "-1s", "1x", "1h30", "1 h", "1hour", "h1", "1S", "1.s", "never"};
    struct err err = {0};
    usec_t usec = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(duration_parse(bad[i], &usec, &err), ERR_INVALID);
    assert_int_equal(duration_parse("9223372036854775807us", &usec, &err), ERR_RANGE);
    assert_int_equal(duration_parse("9223372036854775806us1us", &usec, &err), ERR_RANGE);
    assert_int_equal(duration_parse("99999999999w", &usec, &err), ERR_RANGE);
    assert_int_equal(duration_parse(NULL, &usec, &err), ERR_INVALID);
    assert_true(usec == 77);
}

static void test_duration_format(void **state)
{
    char text[32];
    assert_string_equal(duration_format(text, 0), "0s");
    assert_string_equal(duration_format(text, 17), "17us");
    assert_string_equal(duration_format(text, 250000), "250ms");
    assert_string_equal(duration_format(text, 1250), "1.25ms");
    assert_string_equal(duration_format(text, 1500000), "1.5s");
    assert_string_equal(duration_format(text, 63250000), "1m3.25s");
    assert_string_equal(duration_format(text, 90 * USEC_PER_MIN), "1h30m");
    assert_string_equal(duration_format(text, 2 * USEC_PER_DAY), "2d");
    assert_string_equal(duration_format(text, USEC_PER_DAY + 1), "1d0.000001s");
    assert_string_equal(duration_format(text, USEC_NEVER), "never");
    assert_string_equal(duration_format(text, -1500000), "-1.5s");
    assert_string_equal(duration_format(text, INT64_MIN), "-106751991d4h54.775807s");
}

static void test_durations_come_back(void **state)
{
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < 20000; i++) {
        usec_t usec = (usec_t)(prng_u64(&prng) >> (1 + prng_below(&prng, 62)));
        if (usec == USEC_NEVER)
            continue;
        char text[32];
        usec_t back = -1;
        assert_int_equal(duration_parse(duration_format(text, usec), &back, NULL), 0);
        assert_true(back == usec);
    }
}

static void test_cpus(void **state)
{
    static const struct {
        const char *text;
        uint64_t millis;
        const char *written;
    } good[] = {
        {"0", 0, "0"},
        {"1.5", 1500, "1.5"},
        {"250m", 250, "250m"},
        {"2", 2000, "2"},
        {"0.25", 250, "250m"},
        {"1.001", 1001, "1.001"},
        {"1500m", 1500, "1.5"},
        {"64", 64000, "64"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t millis = 1;
        char text[32];
        assert_int_equal(cpu_parse(good[i].text, &millis, NULL), 0);
        assert_int_equal(millis, good[i].millis);
        assert_string_equal(cpu_format(text, millis), good[i].written);
    }
    static const char *const bad[] = {"", "m", "-1", "1.5m", "0.0001", "1x", "1 ", "all"};
    struct err err = {0};
    uint64_t millis = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(cpu_parse(bad[i], &millis, &err), ERR_INVALID);
    assert_int_equal(cpu_parse("18446744073709551615", &millis, &err), ERR_RANGE);
    assert_int_equal(cpu_parse(NULL, &millis, &err), ERR_INVALID);
    assert_int_equal(millis, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_size_format),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_duration_format),
        cmocka_unit_test(test_durations_come_back),
        cmocka_unit_test(test_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
