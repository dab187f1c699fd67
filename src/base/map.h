// SPDX-License-Identifier: Apache-2.0
// Maps from numbers and from strings to pointers: open addressing, linear probing, deletion by shifting back (so there
// are no tombstones). There is no way to iterate, on purpose: the order of a hash must never decide anything. Keep a list
// or a heap beside the map where order is needed. Values are borrowed and never NULL. Any key is allowed, 0 too.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct map_slot {
    uint64_t key;
    void *value; // NULL = the slot is free
};

// Fields are private. A zeroed struct map is a valid empty map.
struct map {
    struct map_slot *slots;
    size_t len;
    size_t cap; // 0 before the first item
};

void map_init(struct map *map);
// Frees the map's own memory, not the values. NULL is allowed.
void map_release(struct map *map);
// Makes room for `count` items at once, so that no later put up to there has to grow the map.
void map_reserve(struct map *map, size_t count);
// The value, or NULL when there is none.
void *map_get(const struct map *map, uint64_t key);
// Sets the value of `key`; returns the value that was there before, or NULL.
void *map_put(struct map *map, uint64_t key, void *value);
// Removes `key`; returns the value that was there, or NULL.
void *map_del(struct map *map, uint64_t key);
size_t map_len(const struct map *map);
// Bytes held from the heap.
size_t map_bytes(const struct map *map);

struct strmap_slot {
    const char *key;
    uint32_t key_len;
    uint32_t hash;
    void *value; // NULL = the slot is free
};

// Fields are private. A zeroed struct strmap is a valid empty map.
struct strmap {
    struct strmap_slot *slots;
    size_t len;
    size_t cap; // 0 before the first item
};

// The map borrows its keys: a key must live, unchanged, as long as it is in the map. A key usually is a field of its value.
// The _n variants take keys of `key_len` bytes, which need not end in NUL, may hold any bytes, and are shorter than 4 GiB.
void strmap_init(struct strmap *map);
void strmap_release(struct strmap *map);
void *strmap_get(const struct strmap *map, const char *key);
void *strmap_get_n(const struct strmap *map, const char *key, size_t key_len);
// Sets the value of `key`; returns the value that was there before, or NULL. From then on the map borrows the new `key`,
// and the old one may go.
void *strmap_put(struct strmap *map, const char *key, void *value);
void *strmap_put_n(struct strmap *map, const char *key, size_t key_len, void *value);
void *strmap_del(struct strmap *map, const char *key);
void *strmap_del_n(struct strmap *map, const char *key, size_t key_len);
size_t strmap_len(const struct strmap *map);
// Bytes held from the heap, keys and values not counted.
size_t strmap_bytes(const struct strmap *map);
