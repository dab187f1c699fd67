// SPDX-License-Identifier: Apache-2.0
// A binary min-heap of intrusive nodes, counted from 1 so that position 0 can mean "in no heap".

#include "base/heap.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/mem.h"

void heap_init(struct heap *heap)
{
    *heap = (struct heap){0};
}

void heap_release(struct heap *heap)
{
    if (heap == NULL)
        return;
    for (uint32_t pos = 1; pos <= heap->len; pos++)
        heap->nodes[pos]->pos = 0;
    mem_free(heap->nodes);
    heap_init(heap);
}

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void place(struct heap *heap, struct heap_node *node, uint32_t pos)
{
    heap->nodes[pos] = node;
    node->pos = pos;
}

static void sift_up(struct heap *heap, struct heap_node *node, uint32_t pos)
{
    while (pos > 1 && before(node, heap->nodes[pos / 2])) {
        place(heap, heap->nodes[pos / 2], pos);
        pos /= 2;
    }
    place(heap, node, pos);
}

static void sift_down(struct heap *heap, struct heap_node *node, uint32_t pos)
{
    for (;;) {
        uint64_t child = (uint64_t)pos * 2;
        if (child > heap->len)
            break;
        if (child < heap->len && before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!before(heap->nodes[child], node))
            break;
        place(heap, heap->nodes[child], pos);
        pos = (uint32_t)child;
    }
    place(heap, node, pos);
}

// Finds the place of `node`, which stands at `pos` with a key that may be wrong for it.
static void settle(struct heap *heap, struct heap_node *node, uint32_t pos)
{
    if (pos > 1 && before(node, heap->nodes[pos / 2]))
        sift_up(heap, node, pos);
    else
        sift_down(heap, node, pos);
}

static void must_hold(const struct heap *heap, const struct heap_node *node)
{
    must(node->pos >= 1 && node->pos <= heap->len);
    must(heap->nodes[node->pos] == node);
}

void heap_push(struct heap *heap, struct heap_node *node)
{
    must(node->pos == 0);
    must(heap->len < UINT32_MAX / 2);
    if (heap->len + 1 >= heap->cap) {
        uint32_t cap = heap->cap == 0 ? 16 : heap->cap * 2;
        heap->nodes = mem_realloc_array(heap->nodes, cap, sizeof(struct heap_node *));
        heap->nodes[0] = NULL;
        heap->cap = cap;
    }
    heap->len++;
    sift_up(heap, node, heap->len);
}

void heap_update(struct heap *heap, struct heap_node *node, int64_t key)
{
    node->key = key;
    if (node->pos == 0) {
        heap_push(heap, node);
        return;
    }
    must_hold(heap, node);
    settle(heap, node, node->pos);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->pos == 0)
        return;
    must_hold(heap, node);
    uint32_t pos = node->pos;
    struct heap_node *last = heap->nodes[heap->len];
    heap->len--;
    node->pos = 0;
    if (last != node)
        settle(heap, last, pos);
}

struct heap_node *heap_top(const struct heap *heap)
{
    return heap->len == 0 ? NULL : heap->nodes[1];
}

struct heap_node *heap_pop(struct heap *heap)
{
    struct heap_node *top = heap_top(heap);
    if (top != NULL)
        heap_remove(heap, top);
    return top;
}

uint32_t heap_len(const struct heap *heap)
{
    return heap->len;
}
