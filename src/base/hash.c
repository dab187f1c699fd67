// SPDX-License-Identifier: Apache-2.0
// Hashes built from the finalizer of SplitMix64. Byte order is fixed, so results are the same on every machine.

#include "base/hash.h"

#include "base/assert.h"

#define HASH_ODD UINT64_C(0x9e3779b97f4a7c15)

uint64_t hash_u64(uint64_t value)
{
    value += HASH_ODD;
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static uint64_t load_le(const unsigned char *bytes, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint64_t hash_bytes(const void *data, size_t len, uint64_t seed)
{
    must(data != NULL || len == 0);
    const unsigned char *bytes = data;
    uint64_t hash = hash_u64(seed ^ ((uint64_t)len * HASH_ODD));
    while (len >= 8) {
        hash = hash_u64(hash ^ load_le(bytes, 8));
        bytes += 8;
        len -= 8;
    }
    if (len > 0)
        hash = hash_u64(hash ^ load_le(bytes, len));
    return hash;
}
