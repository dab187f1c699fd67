// SPDX-License-Identifier: Apache-2.0
// Bitmaps over arrays of uint64_t. `bit_count` is the number of bits that count; bits beyond it in the last word are ignored.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How many words hold `bit_count` bits.
static inline size_t bits_words(uint64_t bit_count)
{
    return (size_t)(bit_count / 64 + (bit_count % 64 != 0));
}

static inline bool bits_get(const uint64_t *words, uint64_t bit)
{
    return (words[bit / 64] >> (bit % 64)) & 1;
}

static inline void bits_set(uint64_t *words, uint64_t bit)
{
    words[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline void bits_clear(uint64_t *words, uint64_t bit)
{
    words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

// How many of the first `bit_count` bits are set.
static inline uint64_t bits_count(const uint64_t *words, uint64_t bit_count)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < bit_count / 64; i++)
        count += (uint64_t)__builtin_popcountll(words[i]);
    if (bit_count % 64 != 0)
        count += (uint64_t)__builtin_popcountll(words[bit_count / 64] & ((UINT64_C(1) << (bit_count % 64)) - 1));
    return count;
}

// The first bit at or after `from` that, inverted by `flip` (all ones or 0), is set; `bit_count` when there is none.
static inline uint64_t bits_next_(const uint64_t *words, uint64_t bit_count, uint64_t from, uint64_t flip)
{
    if (from >= bit_count)
        return bit_count;
    size_t last = bits_words(bit_count) - 1;
    size_t index = (size_t)(from / 64);
    uint64_t word = (words[index] ^ flip) & (~UINT64_C(0) << (from % 64));
    while (word == 0 && index < last) {
        index++;
        word = words[index] ^ flip;
    }
    if (word == 0)
        return bit_count;
    uint64_t bit = (uint64_t)index * 64 + (uint64_t)__builtin_ctzll(word);
    return bit < bit_count ? bit : bit_count;
}

// The first set bit at or after `from`; `bit_count` when there is none.
static inline uint64_t bits_next_set(const uint64_t *words, uint64_t bit_count, uint64_t from)
{
    return bits_next_(words, bit_count, from, 0);
}

// The first clear bit at or after `from`; `bit_count` when there is none.
static inline uint64_t bits_next_clear(const uint64_t *words, uint64_t bit_count, uint64_t from)
{
    return bits_next_(words, bit_count, from, ~UINT64_C(0));
}
