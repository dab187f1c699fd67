// SPDX-License-Identifier: Apache-2.0
// The map from strings to pointers; built as map.c is, with the hash kept beside the borrowed key.

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/probe.h"

void strmap_init(struct strmap *map)
{
    *map = (struct strmap){0};
}

void strmap_release(struct strmap *map)
{
    if (map == NULL)
        return;
    mem_free(map->slots);
    strmap_init(map);
}

// Half of the bits are kept: enough to place 2^32 keys and to tell nearly all of them apart.
static uint32_t hash_of(const char *key, size_t key_len)
{
    return (uint32_t)(hash_bytes(key, key_len, 0) >> 32);
}

static size_t home_of(uint32_t hash, size_t cap)
{
    return probe_home((uint64_t)hash << 32, cap);
}

static bool holds(const struct strmap_slot *slot, const char *key, size_t key_len, uint32_t hash)
{
    return slot->hash == hash && slot->key_len == key_len && memcmp(slot->key, key, key_len) == 0;
}

// The slot that holds the key, or the free slot where it belongs. One is free: see probe_cap.
static size_t find(const struct strmap *map, const char *key, size_t key_len, uint32_t hash)
{
    size_t at = home_of(hash, map->cap);
    while (map->slots[at].value != NULL && !holds(&map->slots[at], key, key_len, hash))
        at = probe_next(at, map->cap);
    return at;
}

static void grow_to(struct strmap *map, size_t cap)
{
    must(cap > map->len);
    struct strmap old = *map;
    map->cap = cap;
    map->slots = mem_alloc_array(map->cap, sizeof(*map->slots));
    for (size_t i = 0; i < old.cap; i++) {
        const struct strmap_slot *slot = &old.slots[i];
        if (slot->value != NULL)
            map->slots[find(map, slot->key, slot->key_len, slot->hash)] = *slot;
    }
    mem_free(old.slots);
}

void *strmap_get_n(const struct strmap *map, const char *key, size_t key_len)
{
    must(key != NULL);
    if (map->len == 0)
        return NULL;
    return map->slots[find(map, key, key_len, hash_of(key, key_len))].value;
}

void *strmap_put_n(struct strmap *map, const char *key, size_t key_len, void *value)
{
    must(key != NULL && value != NULL);
    must(key_len <= UINT32_MAX);
    size_t cap = probe_cap(map->cap, map->len + 1);
    if (cap != map->cap)
        grow_to(map, cap);
    uint32_t hash = hash_of(key, key_len);
    struct strmap_slot *slot = &map->slots[find(map, key, key_len, hash)];
    void *old = slot->value;
    if (old == NULL)
        map->len++;
    *slot = (struct strmap_slot){.key = key, .key_len = (uint32_t)key_len, .hash = hash, .value = value};
    return old;
}

void *strmap_del_n(struct strmap *map, const char *key, size_t key_len)
{
    must(key != NULL);
    if (map->len == 0)
        return NULL;
    size_t hole = find(map, key, key_len, hash_of(key, key_len));
    void *old = map->slots[hole].value;
    if (old == NULL)
        return NULL;
    map->len--;
    for (size_t at = probe_next(hole, map->cap); map->slots[at].value != NULL; at = probe_next(at, map->cap)) {
        size_t home = home_of(map->slots[at].hash, map->cap);
        if (probe_distance(home, at, map->cap) >= probe_distance(hole, at, map->cap)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct strmap_slot){0};
    return old;
}

void *strmap_get(const struct strmap *map, const char *key)
{
    return strmap_get_n(map, key, strlen(key));
}

void *strmap_put(struct strmap *map, const char *key, void *value)
{
    return strmap_put_n(map, key, strlen(key), value);
}

void *strmap_del(struct strmap *map, const char *key)
{
    return strmap_del_n(map, key, strlen(key));
}

size_t strmap_len(const struct strmap *map)
{
    return map->len;
}

size_t strmap_bytes(const struct strmap *map)
{
    return map->cap * sizeof(*map->slots);
}
