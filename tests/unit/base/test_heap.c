// SPDX-License-Identifier: Apache-2.0
// The min-heap, also against a plain sort.

#include "base/heap.h"
#include "base/prng.h"

#include "tests/unit/test.h"

static void test_order_by_key_then_tie(void **state)
{
    struct heap heap;
    heap_init(&heap);
    assert_null(heap_top(&heap));
    assert_null(heap_pop(&heap));
    struct heap_node a = {.key = 5, .tie = 2};
    struct heap_node b = {.key = 5, .tie = 1};
    struct heap_node c = {.key = -7, .tie = 9};
    heap_push(&heap, &a);
    heap_push(&heap, &b);
    heap_push(&heap, &c);
    assert_int_equal(heap_len(&heap), 3);
    assert_true(heap_contains(&a));
    assert_ptr_equal(heap_top(&heap), &c);
    heap_update(&heap, &c, 100);
    assert_ptr_equal(heap_pop(&heap), &b);
    assert_false(heap_contains(&b));
    assert_ptr_equal(heap_pop(&heap), &a);
    heap_update(&heap, &a, 101);
    assert_ptr_equal(heap_pop(&heap), &c);
    assert_ptr_equal(heap_pop(&heap), &a);
    assert_null(heap_pop(&heap));
    heap_release(&heap);
}

static void test_remove(void **state)
{
    struct heap heap = {0};
    struct heap_node node = {.key = 1};
    heap_remove(&heap, &node);
    heap_push(&heap, &node);
    assert_aborts(heap_push(&heap, &node));
    heap_remove(&heap, &node);
    heap_remove(&heap, &node);
    assert_int_equal(heap_len(&heap), 0);
    heap_push(&heap, &node);
    heap_release(&heap);
    assert_false(heap_contains(&node));
    heap_release(&heap);
    heap_release(NULL);
}

enum { COUNT = 500 };

// The node that a look at all of them finds smallest, or NULL.
static struct heap_node *smallest(struct heap_node *nodes)
{
    struct heap_node *best = NULL;
    for (int i = 0; i < COUNT; i++) {
        struct heap_node *node = &nodes[i];
        if (!heap_contains(node))
            continue;
        if (best == NULL || node->key < best->key || (node->key == best->key && node->tie < best->tie))
            best = node;
    }
    return best;
}

static void test_random_against_a_scan(void **state)
{
    static struct heap_node nodes[COUNT];
    struct heap heap;
    struct prng prng;
    heap_init(&heap);
    prng_init(&prng, 42);
    uint32_t len = 0;
    for (int i = 0; i < COUNT; i++)
        nodes[i] = (struct heap_node){.tie = (uint64_t)i};
    for (int step = 0; step < 20000; step++) {
        struct heap_node *node = &nodes[prng_below(&prng, COUNT)];
        switch (prng_below(&prng, 4)) {
        case 0:
        case 1:
            len += !heap_contains(node);
            heap_update(&heap, node, (int64_t)prng_below(&prng, 100) - 50);
            break;
        case 2:
            len -= heap_contains(node);
            heap_remove(&heap, node);
            break;
        default:
            node = smallest(nodes);
            assert_ptr_equal(heap_pop(&heap), node);
            len -= node != NULL;
        }
        assert_int_equal(heap_len(&heap), len);
    }
    for (; len > 0; len--) {
        struct heap_node *node = smallest(nodes);
        assert_ptr_equal(heap_top(&heap), node);
        assert_ptr_equal(heap_pop(&heap), node);
    }
    heap_release(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_by_key_then_tie),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_random_against_a_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
