// SPDX-License-Identifier: Apache-2.0
// Strings and whole numbers.

#include "base/str.h"

#include "tests/unit/test.h"

static void test_comparisons(void **state)
{
    assert_true(str_eq("a", "a"));
    assert_false(str_eq("a", "b"));
    assert_true(str_eq(NULL, NULL));
    assert_false(str_eq(NULL, ""));
    assert_true(str_starts("abc", "ab"));
    assert_true(str_starts("abc", ""));
    assert_false(str_starts("ab", "abc"));
    assert_true(str_ends("abc", "bc"));
    assert_true(str_ends("abc", ""));
    assert_false(str_ends("bc", "abc"));
    assert_false(str_ends("abc", "ab"));
}

static void test_copy(void **state)
{
    char text[4] = "zzz";
    assert_int_equal(str_copy(text, sizeof(text), "abcd"), ERR_TOO_LARGE);
    assert_string_equal(text, "zzz");
    assert_int_equal(str_copy(text, sizeof(text), "abc"), 0);
    assert_string_equal(text, "abc");
    assert_int_equal(str_copy(text, 0, ""), ERR_TOO_LARGE);
}

static void test_u64(void **state)
{
    uint64_t value = 77;
    assert_int_equal(str_to_u64("0", &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(str_to_u64("18446744073709551615", &value), 0);
    assert_int_equal(value, UINT64_MAX);
    assert_int_equal(str_to_u64("18446744073709551616", &value), ERR_RANGE);
    assert_int_equal(str_to_u64("99999999999999999999999", &value), ERR_RANGE);
    static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "1x", "0x10", "1.0", "9999999999999999999999x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(str_to_u64(bad[i], &value), ERR_INVALID);
    assert_int_equal(str_to_u64(NULL, &value), ERR_INVALID);
    assert_int_equal(value, UINT64_MAX);
}

static void test_i64(void **state)
{
    int64_t value = 77;
    assert_int_equal(str_to_i64("-9223372036854775808", &value), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(str_to_i64("9223372036854775807", &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(str_to_i64("9223372036854775808", &value), ERR_RANGE);
    assert_int_equal(str_to_i64("-9223372036854775809", &value), ERR_RANGE);
    assert_int_equal(str_to_i64("-0", &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(str_to_i64("-", &value), ERR_INVALID);
    assert_int_equal(str_to_i64("--1", &value), ERR_INVALID);
    assert_int_equal(str_to_i64("+1", &value), ERR_INVALID);
    assert_int_equal(str_to_i64(NULL, &value), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_i64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
