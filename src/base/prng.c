// SPDX-License-Identifier: Apache-2.0
// xoshiro256** by David Blackman and Sebastiano Vigna, seeded through SplitMix64 as they advise.

#include "base/prng.h"

#include "base/assert.h"
#include "base/hash.h"

void prng_init(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        prng->state[i] = hash_u64(seed + (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t rotate_left(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

uint64_t prng_u64(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t limit)
{
    must(limit > 0);
    // Throw away the lowest 2^64 mod limit values, so that each remainder is equally likely.
    uint64_t reject_below = (0 - limit) % limit;
    uint64_t value = prng_u64(prng);
    while (value < reject_below)
        value = prng_u64(prng);
    return value % limit;
}

bool prng_chance(struct prng *prng, uint32_t permille)
{
    return prng_below(prng, 1000) < permille;
}
