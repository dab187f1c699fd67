// SPDX-License-Identifier: Apache-2.0
// Seeded pseudo-random numbers (xoshiro256**): the same sequence from the same seed on every machine. For simulation,
// tests and jitter; never for secrets.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t state[4];
};

// Any seed is good, 0 too.
void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_u64(struct prng *prng);
// Uniform in 0..limit-1; `limit` must not be 0.
uint64_t prng_below(struct prng *prng, uint64_t limit);
// True `permille` times in a thousand; never for 0, always for 1000 and more.
bool prng_chance(struct prng *prng, uint32_t permille);
