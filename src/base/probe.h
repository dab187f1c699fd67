// SPDX-License-Identifier: Apache-2.0
// Linear probing as map.c and strmap.c do it: a table of any size, at most 4 slots of 5 in use, growing by half. Tables of a power of two
// leave more than half of their slots empty most of the time, and a million jobs pay for each.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

#define PROBE_CAP_MIN ((size_t)16)

// Where a hash belongs: its high bits scaled to the table (Lemire, "Fast random integer generation in an interval", 2019).
static inline size_t probe_home(uint64_t hash, size_t cap)
{
    return (size_t)(((unsigned __int128)hash * cap) >> 64);
}

static inline size_t probe_next(size_t at, size_t cap)
{
    return at + 1 == cap ? 0 : at + 1;
}

// Steps from one slot on to another.
static inline size_t probe_distance(size_t from, size_t to, size_t cap)
{
    return to >= from ? to - from : to + cap - from;
}

// The table for `len` items, which is `cap` itself while they have room in it.
static inline size_t probe_cap(size_t cap, size_t len)
{
    must(len <= SIZE_MAX / 256);
    size_t need = len + len / 4 + 1;
    if (cap >= need)
        return cap;
    size_t half_more = cap + cap / 2;
    size_t more = half_more > need ? half_more : need;
    return more > PROBE_CAP_MIN ? more : PROBE_CAP_MIN;
}
