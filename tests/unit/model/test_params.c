// SPDX-License-Identifier: Apache-2.0
// Values of parameters: what is refused and why, defaults, and the packed form.

#include "model/params.h"

#include "base/prng.h"
#include "tests/unit/test.h"

static const struct param declared[] = {{"day", NULL, true}, {"mode", NULL, false}, {"region", "eu", false}};

static void refused(const struct pair *given, size_t n, int code, const char *text)
{
    struct limits limits;
    limits_init(&limits);
    limits.value[LIMIT_PARAM_BYTES] = 5;
    struct err err = {0};
    assert_int_equal(params_check(declared, 3, given, n, &limits, &err), code);
    assert_string_equal(err.text, text);
}

static void test_checks(void **state)
{
    struct limits limits;
    limits_init(&limits);
    assert_int_equal(params_check(declared, 3, (struct pair[]){{"day", "a\n\tb"}}, 1, &limits, NULL), 0);
    assert_int_equal(params_check(NULL, 0, NULL, 0, &limits, NULL), 0);
    refused(NULL, 0, ERR_INVALID,
            "params: 'day' is required; give it a value: --param day=VALUE, the field params of a request, or params of a schedule");
    refused((struct pair[]){{"day", "1"}, {"dya", "2"}}, 2, ERR_INVALID, "params: there is no parameter 'dya'; the job has day, mode, region");
    refused((struct pair[]){{"day", "1"}, {"day", "1"}}, 2, ERR_INVALID, "params: 'day' is given twice; give one value");
    refused((struct pair[]){{"day", "a\x1b"}}, 1, ERR_INVALID,
            "params: the value of 'day' holds a control character; only tabs and line ends may be in it");
    assert_int_equal(params_check(declared, 3, (struct pair[]){{"day", "12345"}}, 1, &limits, NULL), 0);
    refused((struct pair[]){{"day", "123456"}}, 1, ERR_LIMIT,
            "params: 'day': its value is 6B, more than param_bytes_max allows (5B); pass the name of a file instead");
    struct err err = {0};
    assert_int_equal(params_check(NULL, 0, (struct pair[]){{"x", ""}}, 1, &limits, &err), ERR_INVALID);
    assert_string_equal(err.text, "params: there is no parameter 'x'; the job declares none (its field params would)");
}

static void test_names(void **state)
{
    assert_null(param_name_problem("a", 8));
    assert_null(param_name_problem("_A1_", 8));
    assert_non_null(param_name_problem("", 8));
    assert_non_null(param_name_problem("1a", 8));
    assert_non_null(param_name_problem("a-b", 8));
    assert_null(param_name_problem("abcdefgh", 8));
    assert_non_null(param_name_problem("abcdefghi", 8));
}

static void test_fill(void **state)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct buf packed = {0};
    // Given in any order; names that are not declared are left out; defaults stand in.
    struct pair given[] = {{"zone", "x"}, {"mode", ""}, {"day", "2026"}};
    params_fill(declared, 3, given, 3, &packed);
    const struct pair *values = NULL;
    size_t n = 0;
    assert_int_equal(params_unpack((struct bytes){(const uint8_t *)packed.data, packed.len}, &arena, &values, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_string_equal(values[0].key, "day");
    assert_string_equal(values[0].value, "2026");
    assert_string_equal(values[1].key, "mode");
    assert_string_equal(values[1].value, "");
    assert_string_equal(values[2].key, "region");
    assert_string_equal(values[2].value, "eu");
    // Without a default there is no value.
    buf_clear(&packed);
    params_fill(declared, 3, &(struct pair){"region", "us"}, 1, &packed);
    assert_int_equal(params_unpack((struct bytes){(const uint8_t *)packed.data, packed.len}, &arena, &values, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_string_equal(values[0].value, "us");
    buf_clear(&packed);
    params_fill(declared, 2, NULL, 0, &packed);
    assert_int_equal(packed.len, 0);
    assert_int_equal(params_unpack((struct bytes){0}, &arena, &values, &n, NULL), 0);
    assert_int_equal(n, 0);
    buf_release(&packed);
    arena_release(&arena);
}

// Bytes that are none are refused, whatever they are; those of a cut or changed set never run over the end.
static void test_damage(void **state)
{
    struct arena arena;
    arena_init(&arena, 0);
    static const char *const bad[] = {"\x01", "\x01" "a", "\x00\x01" "a", "\x05" "a\x01" "b", "\x01" "b\x01" "x\x01" "a\x01" "x",
                                      "\x01" "a\x01" "x\x01" "a\x01" "x"};
    static const size_t len[] = {1, 2, 3, 4, 8, 8};
    const struct pair *values = NULL;
    size_t n = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(params_unpack((struct bytes){(const uint8_t *)bad[i], len[i]}, &arena, &values, &n, NULL), ERR_PROTOCOL);
    struct prng prng;
    prng_init(&prng, 1);
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[24];
        size_t size = (size_t)prng_below(&prng, sizeof(bytes) + 1);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)prng_below(&prng, prng_chance(&prng, 500) ? 4 : 256);
        arena_clear(&arena);
        if (params_unpack((struct bytes){bytes, size}, &arena, &values, &n, NULL) < 0)
            continue;
        for (size_t i = 1; i < n; i++)
            assert_true(strcmp(values[i - 1].key, values[i].key) < 0);
    }
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
