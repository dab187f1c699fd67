// SPDX-License-Identifier: Apache-2.0
// The map from numbers to pointers.

#include "base/map.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/probe.h"

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_release(struct map *map)
{
    if (map == NULL)
        return;
    mem_free(map->slots);
    map_init(map);
}

// The slot that holds `key`, or the free slot where it belongs. There is always a free slot: see probe_cap.
static size_t find(const struct map *map, uint64_t key)
{
    size_t at = probe_home(hash_u64(key), map->cap);
    while (map->slots[at].value != NULL && map->slots[at].key != key)
        at = probe_next(at, map->cap);
    return at;
}

static void grow_to(struct map *map, size_t cap)
{
    must(cap > map->len);
    struct map old = *map;
    map->slots = mem_alloc_array(cap, sizeof(*map->slots));
    map->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value != NULL)
            map->slots[find(map, old.slots[i].key)] = old.slots[i];
    mem_free(old.slots);
}

void map_reserve(struct map *map, size_t count)
{
    size_t cap = probe_cap(map->cap, count);
    if (cap != map->cap)
        grow_to(map, cap);
}

void *map_get(const struct map *map, uint64_t key)
{
    return map->len == 0 ? NULL : map->slots[find(map, key)].value;
}

void *map_put(struct map *map, uint64_t key, void *value)
{
    must(value != NULL);
    map_reserve(map, map->len + 1);
    struct map_slot *slot = &map->slots[find(map, key)];
    void *old = slot->value;
    if (old == NULL)
        map->len++;
    slot->key = key;
    slot->value = value;
    return old;
}

void *map_del(struct map *map, uint64_t key)
{
    if (map->len == 0)
        return NULL;
    size_t hole = find(map, key);
    void *old = map->slots[hole].value;
    if (old == NULL)
        return NULL;
    map->len--;
    // Move back whoever was pushed past the hole, so that a search never meets a gap before its key.
    for (size_t at = probe_next(hole, map->cap); map->slots[at].value != NULL; at = probe_next(at, map->cap)) {
        size_t home = probe_home(hash_u64(map->slots[at].key), map->cap);
        if (probe_distance(home, at, map->cap) >= probe_distance(hole, at, map->cap)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct map_slot){0};
    return old;
}

size_t map_len(const struct map *map)
{
    return map->len;
}

size_t map_bytes(const struct map *map)
{
    return map->cap * sizeof(*map->slots);
}
