// SPDX-License-Identifier: Apache-2.0
// The heap.

#include "base/mem.h"

#include "tests/unit/test.h"

static void test_zeroed_and_never_null(void **state)
{
    char *block = mem_alloc(100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(block[i], 0);
    memset(block, 1, 100);
    block = mem_realloc(block, 1000);
    assert_int_equal(block[99], 1);
    mem_free(block);
    void *empty = mem_alloc(0);
    assert_non_null(empty);
    empty = mem_realloc(empty, 0);
    assert_non_null(empty);
    mem_free(empty);
    mem_free(NULL);
}

static void test_arrays(void **state)
{
    int *numbers = mem_alloc_array(10, sizeof(*numbers));
    numbers[9] = 9;
    numbers = mem_realloc_array(numbers, 20, sizeof(*numbers));
    assert_int_equal(numbers[9], 9);
    mem_free(numbers);
    assert_aborts((void)mem_alloc_array(SIZE_MAX / 2, 4));
    assert_aborts((void)mem_realloc_array(NULL, SIZE_MAX / 2, 4));
}

static void test_strings(void **state)
{
    char *copy = mem_strdup("abc");
    assert_string_equal(copy, "abc");
    mem_free(copy);
    copy = mem_strndup("abcdef", 2);
    assert_string_equal(copy, "ab");
    mem_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeroed_and_never_null),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
