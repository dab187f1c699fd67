// SPDX-License-Identifier: Apache-2.0
// The map of strings.

#include "base/map.h"
#include "base/prng.h"

#include "tests/unit/test.h"

static void test_put_get_del(void **state)
{
    struct strmap map;
    int a = 0;
    int b = 0;
    strmap_init(&map);
    assert_null(strmap_get(&map, "x"));
    assert_null(strmap_put(&map, "", &a));
    assert_null(strmap_put(&map, "job", &b));
    assert_ptr_equal(strmap_get(&map, ""), &a);
    assert_ptr_equal(strmap_get_n(&map, "jobs", 3), &b);
    assert_null(strmap_get(&map, "jobs"));
    assert_null(strmap_get_n(&map, "job", 2));
    assert_ptr_equal(strmap_del_n(&map, "jobs", 3), &b);
    assert_null(strmap_del(&map, "job"));
    assert_int_equal(strmap_len(&map), 1);
    assert_null(strmap_put_n(&map, "a\0b", 3, &a));
    assert_null(strmap_get_n(&map, "a\0c", 3));
    assert_ptr_equal(strmap_get_n(&map, "a\0b", 3), &a);
    strmap_release(&map);
    assert_int_equal(strmap_bytes(&map), 0);
    strmap_release(NULL);
}

static void test_a_new_key_replaces_the_old_pointer(void **state)
{
    struct strmap map = {0};
    char old_key[] = "node-1";
    char new_key[] = "node-1";
    int value = 0;
    strmap_put(&map, old_key, &value);
    assert_ptr_equal(strmap_put(&map, new_key, &value), &value);
    memset(old_key, 'z', 6);
    assert_ptr_equal(strmap_get(&map, "node-1"), &value);
    assert_int_equal(strmap_len(&map), 1);
    strmap_release(&map);
}

static void test_random_against_an_array(void **state)
{
    enum { KEYS = 2000 };
    static char keys[KEYS][16];
    static bool present[KEYS];
    struct strmap map = {0};
    struct prng prng;
    prng_init(&prng, 3);
    size_t len = 0;
    for (int i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof(keys[i]), "key-%d", i);
    for (int step = 0; step < 100000; step++) {
        uint64_t i = prng_below(&prng, (step / 10000) % 2 == 0 ? KEYS : 30);
        void *old = present[i] ? keys[i] : NULL;
        if (prng_chance(&prng, 550)) {
            assert_ptr_equal(strmap_put(&map, keys[i], keys[i]), old);
            len += !present[i];
            present[i] = true;
        } else {
            assert_ptr_equal(strmap_del(&map, keys[i]), old);
            len -= present[i];
            present[i] = false;
        }
        assert_int_equal(strmap_len(&map), len);
    }
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(strmap_get(&map, keys[i]), present[i] ? keys[i] : NULL);
    strmap_release(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get_del),
        cmocka_unit_test(test_a_new_key_replaces_the_old_pointer),
        cmocka_unit_test(test_random_against_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
