// SPDX-License-Identifier: Apache-2.0
// Hashes never change: their results may be stored.

#include "base/hash.h"

#include "tests/unit/test.h"

static void test_known_values(void **state)
{
    // SplitMix64 started at 0 and at 1, from its reference code.
    assert_int_equal(hash_u64(0), UINT64_C(0xe220a8397b1dcdaf));
    assert_int_equal(hash_u64(UINT64_C(0x9e3779b97f4a7c15)), UINT64_C(0x6e789e6aa1b965f4));
    assert_int_equal(hash_bytes(NULL, 0, 0), hash_bytes("", 0, 0));
    assert_int_equal(hash_bytes("12345678", 8, 0), UINT64_C(0xfb0429a15a6aae6a));
    assert_int_equal(hash_bytes("hello, world", 12, 7), UINT64_C(0x8e89f58b730641df));
}

static void test_every_byte_length_and_seed_counts(void **state)
{
    unsigned char bytes[40] = {0};
    uint64_t before = hash_bytes(bytes, sizeof(bytes), 0);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = 1;
        assert_int_not_equal(hash_bytes(bytes, sizeof(bytes), 0), before);
        bytes[i] = 0;
        assert_int_not_equal(hash_bytes(bytes, i, 0), before);
    }
    assert_int_not_equal(hash_bytes(bytes, sizeof(bytes), 1), before);
    assert_int_equal(hash_bytes(bytes, sizeof(bytes), 0), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_every_byte_length_and_seed_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
