// SPDX-License-Identifier: Apache-2.0
// Bitmaps against a loop over single bits.

#include "base/bits.h"
#include "base/prng.h"

#include "tests/unit/test.h"

static void test_single_bits(void **state)
{
    uint64_t words[3] = {0};
    bits_set(words, 0);
    bits_set(words, 63);
    bits_set(words, 64);
    bits_set(words, 130);
    assert_int_equal(words[0], UINT64_C(0x8000000000000001));
    assert_int_equal(words[1], 1);
    assert_true(bits_get(words, 130));
    assert_false(bits_get(words, 129));
    bits_clear(words, 63);
    assert_int_equal(words[0], 1);
    assert_int_equal(bits_words(0), 0);
    assert_int_equal(bits_words(1), 1);
    assert_int_equal(bits_words(64), 1);
    assert_int_equal(bits_words(65), 2);
}

static void test_searches_against_a_loop(void **state)
{
    struct prng prng;
    prng_init(&prng, 5);
    for (int round = 0; round < 400; round++) {
        uint64_t words[4];
        uint32_t density = (uint32_t)prng_below(&prng, 1001);
        for (uint64_t bit = 0; bit < 256; bit++)
            if (prng_chance(&prng, density))
                bits_set(words, bit);
            else
                bits_clear(words, bit);
        uint64_t bit_count = prng_below(&prng, 257);
        uint64_t count = 0;
        for (uint64_t bit = 0; bit < bit_count; bit++)
            count += bits_get(words, bit);
        assert_int_equal(bits_count(words, bit_count), count);
        for (uint64_t from = 0; from < 260; from += 1 + prng_below(&prng, 9)) {
            uint64_t set = from < bit_count ? from : bit_count;
            uint64_t clear = set;
            while (set < bit_count && !bits_get(words, set))
                set++;
            while (clear < bit_count && bits_get(words, clear))
                clear++;
            assert_int_equal(bits_next_set(words, bit_count, from), set);
            assert_int_equal(bits_next_clear(words, bit_count, from), clear);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_bits),
        cmocka_unit_test(test_searches_against_a_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
