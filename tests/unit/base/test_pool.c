// SPDX-License-Identifier: Apache-2.0
// Pools.

#include "base/pool.h"

#include "tests/unit/test.h"

static void test_take_give_take(void **state)
{
    struct pool pool;
    pool_init(&pool, 40);
    unsigned char *item = pool_take(&pool);
    assert_int_equal((uintptr_t)item % 16, 0);
    memset(item, 0xff, 40);
    assert_int_equal(pool_live(&pool), 1);
    pool_give(&pool, item);
    pool_give(&pool, NULL);
    assert_int_equal(pool_live(&pool), 0);
    unsigned char *again = pool_take(&pool);
    assert_ptr_equal(again, item);
    for (int i = 0; i < 40; i++)
        assert_int_equal(again[i], 0);
    pool_release(&pool);
    assert_int_equal(pool_bytes(&pool), 0);
}

static void test_many_items_do_not_overlap(void **state)
{
    enum { COUNT = 10000 };
    static uint64_t *items[COUNT];
    struct pool pool;
    pool_init(&pool, sizeof(uint64_t) * 3);
    for (uint64_t i = 0; i < COUNT; i++) {
        items[i] = pool_take(&pool);
        items[i][0] = items[i][2] = i;
    }
    size_t held = pool_bytes(&pool);
    assert_true(held >= COUNT * 24 && held < COUNT * 48);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(items[i][0], i);
        assert_int_equal(items[i][2], i);
        pool_give(&pool, items[i]);
    }
    for (uint64_t i = 0; i < COUNT; i++)
        items[i] = pool_take(&pool);
    assert_int_equal(pool_bytes(&pool), held);
    assert_int_equal(pool_live(&pool), COUNT);
    pool_release(&pool);
    pool_release(&pool);
    pool_release(NULL);
}

static void test_items_larger_than_a_slab(void **state)
{
    struct pool pool;
    pool_init(&pool, 100000);
    memset(pool_take(&pool), 1, 100000);
    memset(pool_take(&pool), 2, 100000);
    assert_int_equal(pool_live(&pool), 2);
    pool_release(&pool);
}

static void test_misuse_aborts(void **state)
{
    struct pool pool;
    pool_init(&pool, 32);
    void *first = pool_take(&pool);
    pool_take(&pool);
    pool_give(&pool, first);
    assert_aborts(pool_give(&pool, first));
    assert_aborts(pool_init(&pool, 0));
    pool_release(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_give_take),
        cmocka_unit_test(test_many_items_do_not_overlap),
        cmocka_unit_test(test_items_larger_than_a_slab),
        cmocka_unit_test(test_misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
