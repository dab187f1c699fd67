// SPDX-License-Identifier: Apache-2.0
// A pool of items of one size, for long-lived objects: items never move, taking and giving are O(1), memory is held in
// slabs until pool_release. Not for threads to share.
#pragma once

#include <stddef.h>

struct pool_slab;
struct pool_free_item;

// All fields are private.
struct pool {
    struct pool_slab *slabs;
    struct pool_free_item *free_items;
    size_t item_bytes; // rounded up to 16
    size_t slab_items;
    size_t slab_used; // items of the newest slab that were ever handed out
    size_t live;
    size_t held_bytes;
};

// Items are aligned to 16 bytes. `item_bytes` must not be 0.
void pool_init(struct pool *pool, size_t item_bytes);
// Gives all memory back to the heap, with whatever items are still taken. NULL and a zeroed pool are allowed.
void pool_release(struct pool *pool);

// Gives a zeroed item, never NULL.
__attribute__((returns_nonnull)) void *pool_take(struct pool *pool);
// Takes an item back; NULL is allowed. It must have come from this pool and is not to be used afterwards.
void pool_give(struct pool *pool, void *item);

// Bytes held from the heap.
size_t pool_bytes(const struct pool *pool);
// Items taken and not given back.
size_t pool_live(const struct pool *pool);
