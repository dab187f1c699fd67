// SPDX-License-Identifier: Apache-2.0
// The map from strings to pointers; built as map.c is, with the hash kept beside the borrowed key.

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#define STRMAP_CAP_MIN ((size_t)16)

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

static bool holds(const struct strmap_slot *slot, const char *key, size_t key_len, uint64_t hash)
{
    return slot->hash == hash && slot->key_len == key_len && memcmp(slot->key, key, key_len) == 0;
}

// The slot that holds the key, or the free slot where it belongs. At most 3 slots of 4 are in use, so one is free.
static size_t find(const struct strmap *map, const char *key, size_t key_len, uint64_t hash)
{
    size_t at = (size_t)hash & (map->cap - 1);
    while (map->slots[at].value != NULL && !holds(&map->slots[at], key, key_len, hash))
        at = (at + 1) & (map->cap - 1);
    return at;
}

static void grow(struct strmap *map)
{
    struct strmap old = *map;
    must(old.cap <= SIZE_MAX / 4);
    map->cap = old.cap == 0 ? STRMAP_CAP_MIN : old.cap * 2;
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
    return map->slots[find(map, key, key_len, hash_bytes(key, key_len, 0))].value;
}

void *strmap_put_n(struct strmap *map, const char *key, size_t key_len, void *value)
{
    must(key != NULL && value != NULL);
    if (map->len + 1 > map->cap / 4 * 3)
        grow(map);
    uint64_t hash = hash_bytes(key, key_len, 0);
    struct strmap_slot *slot = &map->slots[find(map, key, key_len, hash)];
    void *old = slot->value;
    if (old == NULL)
        map->len++;
    *slot = (struct strmap_slot){.key = key, .key_len = key_len, .hash = hash, .value = value};
    return old;
}

void *strmap_del_n(struct strmap *map, const char *key, size_t key_len)
{
    must(key != NULL);
    if (map->len == 0)
        return NULL;
    size_t hole = find(map, key, key_len, hash_bytes(key, key_len, 0));
    void *old = map->slots[hole].value;
    if (old == NULL)
        return NULL;
    map->len--;
    size_t mask = map->cap - 1;
    for (size_t at = (hole + 1) & mask; map->slots[at].value != NULL; at = (at + 1) & mask) {
        size_t home = (size_t)map->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
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
