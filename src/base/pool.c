// SPDX-License-Identifier: Apache-2.0
// Pools: slabs of items, and a list through the items that were given back.

#include "base/pool.h"

#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define POOL_ALIGN ((size_t)16)
#define POOL_SLAB_BYTES ((size_t)32 * 1024)

struct pool_slab {
    struct pool_slab *next;
    _Alignas(16) char bytes[];
};

// Written into an item that is not taken. The mark catches an item that is given back twice.
struct pool_free_item {
    struct pool_free_item *next;
    uintptr_t mark; // mark_of(this)
};

_Static_assert(sizeof(struct pool_free_item) <= POOL_ALIGN, "a free item must fit in the smallest item");

static uintptr_t mark_of(const void *item)
{
    return (uintptr_t)item ^ (uintptr_t)UINT64_C(0x9e3779b97f4a7c15);
}

void pool_init(struct pool *pool, size_t item_bytes)
{
    must(item_bytes > 0 && item_bytes < (size_t)1 << 30);
    *pool = (struct pool){.item_bytes = (item_bytes + POOL_ALIGN - 1) & ~(POOL_ALIGN - 1)};
    pool->slab_items = POOL_SLAB_BYTES / pool->item_bytes;
    if (pool->slab_items == 0)
        pool->slab_items = 1;
}

void pool_release(struct pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->slabs != NULL) {
        struct pool_slab *next = pool->slabs->next;
        mem_free(pool->slabs);
        pool->slabs = next;
    }
    pool->free_items = NULL;
    pool->slab_used = 0;
    pool->live = 0;
    pool->held_bytes = 0;
}

void *pool_take(struct pool *pool)
{
    must(pool->item_bytes > 0);
    void *item = NULL;
    if (pool->free_items != NULL) {
        must(pool->free_items->mark == mark_of(pool->free_items)); // written after it was given back?
        item = pool->free_items;
        pool->free_items = pool->free_items->next;
    } else {
        if (pool->slabs == NULL || pool->slab_used == pool->slab_items) {
            size_t slab_bytes = sizeof(struct pool_slab) + pool->slab_items * pool->item_bytes;
            struct pool_slab *slab = mem_realloc(NULL, slab_bytes);
            slab->next = pool->slabs;
            pool->slabs = slab;
            pool->slab_used = 0;
            pool->held_bytes += slab_bytes;
        }
        item = pool->slabs->bytes + pool->slab_used * pool->item_bytes;
        pool->slab_used++;
    }
    memset(item, 0, pool->item_bytes);
    pool->live++;
    return item;
}

void pool_give(struct pool *pool, void *item)
{
    if (item == NULL)
        return;
    must(pool->live > 0);
    struct pool_free_item *free_item = item;
    must(free_item->mark != mark_of(item)); // given back twice?
    pool->live--;
    free_item->next = pool->free_items;
    free_item->mark = mark_of(item);
    pool->free_items = free_item;
}

size_t pool_bytes(const struct pool *pool)
{
    return pool->held_bytes;
}

size_t pool_live(const struct pool *pool)
{
    return pool->live;
}
