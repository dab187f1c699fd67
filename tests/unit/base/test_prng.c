// SPDX-License-Identifier: Apache-2.0
// Seeded random numbers.

#include "base/prng.h"

#include "tests/unit/test.h"

static void test_known_sequence(void **state)
{
    // The reference code of xoshiro256**, from the state {1, 2, 3, 4}.
    struct prng prng = {.state = {1, 2, 3, 4}};
    assert_int_equal(prng_u64(&prng), 11520);
    assert_int_equal(prng_u64(&prng), 0);
    assert_int_equal(prng_u64(&prng), 1509978240);
    assert_int_equal(prng_u64(&prng), UINT64_C(1215971899390074240));
}

static void test_seeds(void **state)
{
    struct prng a;
    struct prng b;
    struct prng c;
    prng_init(&a, 0);
    prng_init(&b, 0);
    prng_init(&c, 1);
    uint64_t first = prng_u64(&a);
    assert_int_equal(first, prng_u64(&b));
    assert_int_not_equal(first, prng_u64(&c));
    assert_int_not_equal(first, 0);
}

static void test_below_is_even(void **state)
{
    struct prng prng;
    unsigned seen[7] = {0};
    prng_init(&prng, 2);
    for (int i = 0; i < 70000; i++) {
        uint64_t value = prng_below(&prng, 7);
        assert_true(value < 7);
        seen[value]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 9500, 10500);
    assert_int_equal(prng_below(&prng, 1), 0);
    assert_true(prng_below(&prng, UINT64_MAX) < UINT64_MAX);
    assert_aborts(prng_below(&prng, 0));
}

static void test_chance(void **state)
{
    struct prng prng;
    unsigned hits = 0;
    prng_init(&prng, 3);
    for (int i = 0; i < 10000; i++) {
        assert_false(prng_chance(&prng, 0));
        assert_true(prng_chance(&prng, 1000));
        hits += prng_chance(&prng, 250);
    }
    assert_in_range(hits, 2300, 2700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_sequence),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_below_is_even),
        cmocka_unit_test(test_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
