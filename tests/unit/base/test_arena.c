// SPDX-License-Identifier: Apache-2.0
// Arenas.

#include "base/arena.h"

#include "tests/unit/test.h"

static void test_blocks_are_zeroed_and_aligned(void **state)
{
    struct arena arena;
    arena_init(&arena, 256);
    for (size_t size = 0; size < 300; size++) {
        unsigned char *block = arena_alloc(&arena, size);
        assert_int_equal((uintptr_t)block % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(block[i], 0);
        memset(block, 0xff, size);
    }
    arena_release(&arena);
    assert_int_equal(arena_bytes(&arena), 0);
}

static void test_clear_keeps_one_chunk_and_zeroes_again(void **state)
{
    struct arena arena;
    arena_init(&arena, 1024);
    for (int i = 0; i < 100; i++)
        memset(arena_alloc(&arena, 100), 0xaa, 100);
    arena_alloc(&arena, 100000);
    assert_true(arena_used(&arena) >= 110000);
    size_t held = arena_bytes(&arena);
    arena_clear(&arena);
    assert_int_equal(arena_used(&arena), 0);
    assert_true(arena_bytes(&arena) < held && arena_bytes(&arena) >= 1024 && arena_bytes(&arena) < 1200);
    size_t kept = arena_bytes(&arena);
    for (int i = 0; i < 9; i++) {
        unsigned char *block = arena_alloc(&arena, 100);
        for (int j = 0; j < 100; j++)
            assert_int_equal(block[j], 0);
    }
    assert_int_equal(arena_bytes(&arena), kept);
    arena_release(&arena);
}

static void test_a_zeroed_arena_is_valid(void **state)
{
    struct arena arena = {0};
    assert_non_null(arena_alloc(&arena, 1));
    arena_clear(&arena);
    arena_release(&arena);
    arena_release(&arena);
    arena_release(NULL);
}

static void test_copies(void **state)
{
    struct arena arena = {0};
    assert_string_equal(arena_strdup(&arena, "abc"), "abc");
    assert_null(arena_strdup(&arena, NULL));
    assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&arena, "ab", 30), "ab");
    assert_string_equal(arena_strndup(&arena, NULL, 0), "");
    assert_memory_equal(arena_memdup(&arena, "a\0b", 3), "a\0b", 3);
    assert_non_null(arena_memdup(&arena, NULL, 0));
    assert_string_equal(arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    char *wide = arena_printf(&arena, "%05000d", 7);
    assert_int_equal(strlen(wide), 5000);
    int *numbers = arena_array(&arena, int, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(numbers[i], 0);
    arena_release(&arena);
}

static void test_overflow_aborts(void **state)
{
    struct arena arena = {0};
    assert_aborts((void)arena_array(&arena, uint64_t, SIZE_MAX / 4));
    assert_aborts((void)arena_alloc(&arena, SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_zeroed_and_aligned),
        cmocka_unit_test(test_clear_keeps_one_chunk_and_zeroes_again),
        cmocka_unit_test(test_a_zeroed_arena_is_valid),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_overflow_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
