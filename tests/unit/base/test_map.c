// SPDX-License-Identifier: Apache-2.0
// The map of numbers, also against a plain array.

#include "base/map.h"
#include "base/prng.h"

#include "tests/unit/test.h"

static void test_put_get_del(void **state)
{
    struct map map;
    int a = 0;
    int b = 0;
    map_init(&map);
    assert_null(map_get(&map, 0));
    assert_null(map_del(&map, 0));
    assert_null(map_put(&map, 0, &a));
    assert_null(map_put(&map, UINT64_MAX, &b));
    assert_ptr_equal(map_get(&map, 0), &a);
    assert_ptr_equal(map_get(&map, UINT64_MAX), &b);
    assert_null(map_get(&map, 1));
    assert_ptr_equal(map_put(&map, 0, &b), &a);
    assert_int_equal(map_len(&map), 2);
    assert_ptr_equal(map_del(&map, 0), &b);
    assert_null(map_get(&map, 0));
    assert_int_equal(map_len(&map), 1);
    assert_aborts(map_put(&map, 1, NULL));
    map_release(&map);
    assert_int_equal(map_bytes(&map), 0);
    map_release(NULL);
}

static void test_random_against_an_array(void **state)
{
    enum { KEYS = 3000 };
    static char *expected[KEYS];
    static char values[8];
    struct map map = {0};
    struct prng prng;
    prng_init(&prng, 7);
    size_t len = 0;
    for (int step = 0; step < 200000; step++) {
        // The working set grows and shrinks, so that clusters form and dissolve.
        uint64_t range = (step / 20000) % 2 == 0 ? KEYS : 40;
        uint64_t key = prng_below(&prng, range);
        if (prng_chance(&prng, 500)) {
            char *value = &values[prng_below(&prng, sizeof(values))];
            assert_ptr_equal(map_put(&map, key * 64, value), expected[key]);
            len += expected[key] == NULL;
            expected[key] = value;
        } else {
            assert_ptr_equal(map_del(&map, key * 64), expected[key]);
            len -= expected[key] != NULL;
            expected[key] = NULL;
        }
        assert_int_equal(map_len(&map), len);
        uint64_t other = prng_below(&prng, KEYS);
        assert_ptr_equal(map_get(&map, other * 64), expected[other]);
    }
    for (uint64_t key = 0; key < KEYS; key++)
        assert_ptr_equal(map_get(&map, key * 64), expected[key]);
    map_release(&map);
}

static void test_reserve(void **state)
{
    struct map map = {0};
    int value = 0;
    map_reserve(&map, 1000);
    size_t held = map_bytes(&map);
    for (uint64_t key = 0; key < 1000; key++)
        map_put(&map, key, &value);
    assert_int_equal(map_bytes(&map), held);
    assert_true(held <= 2048 * 16);
    map_release(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get_del),
        cmocka_unit_test(test_random_against_an_array),
        cmocka_unit_test(test_reserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
