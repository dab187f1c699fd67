// SPDX-License-Identifier: Apache-2.0
// An intrusive binary min-heap, for deadlines and for order by priority. The order is (key, tie), smallest first: with
// ties that are unique (an id) the order is total, and the same on every machine.
//
// Memory must not hold a node that is still in a heap: call heap_remove before it goes.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct heap_node {
    int64_t key;  // set before heap_push; change it afterwards only through heap_update
    uint64_t tie; // set before heap_push; not to be changed while in a heap
    uint32_t pos; // owned by the heap; 0 = in no heap
};

// All fields are private. A zeroed struct heap is a valid empty heap.
struct heap {
    struct heap_node **nodes; // nodes[0] is not used
    uint32_t len;
    uint32_t cap;
};

void heap_init(struct heap *heap);
// Frees the heap's own array, not the nodes; those that were in it are then in no heap. NULL is allowed.
void heap_release(struct heap *heap);

// Borrows `node` until it is removed. It must be in no heap. O(log n).
void heap_push(struct heap *heap, struct heap_node *node);
// Gives `node` a new key. A node that is in no heap is pushed with it. O(log n).
void heap_update(struct heap *heap, struct heap_node *node, int64_t key);
// Takes `node` out; nothing happens when it is in no heap. O(log n).
void heap_remove(struct heap *heap, struct heap_node *node);
// The smallest node, or NULL. It stays in the heap.
struct heap_node *heap_top(const struct heap *heap);
// Takes the smallest node out and returns it, or NULL.
struct heap_node *heap_pop(struct heap *heap);
uint32_t heap_len(const struct heap *heap);

static inline bool heap_contains(const struct heap_node *node)
{
    return node->pos != 0;
}
