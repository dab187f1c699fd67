// SPDX-License-Identifier: Apache-2.0
// Intrusive lists.

#include "base/list.h"

#include "tests/unit/test.h"

struct item {
    int value;
    struct list link;
};

static void expect(const struct list *head, const int *values, size_t count)
{
    size_t i = 0;
    const struct list *pos;
    list_for_each(pos, head) {
        assert_true(i < count);
        const struct item *item = list_entry((struct list *)pos, struct item, link);
        assert_int_equal(item->value, values[i++]);
    }
    assert_int_equal(i, count);
    assert_int_equal(list_len(head), count);
}

static void test_order(void **state)
{
    struct list head;
    struct item items[3] = {{.value = 1}, {.value = 2}, {.value = 3}};
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_first(&head));
    assert_null(list_last(&head));
    list_add_tail(&head, &items[0].link);
    list_add_tail(&head, &items[1].link);
    list_add_head(&head, &items[2].link);
    expect(&head, (int[]){3, 1, 2}, 3);
    assert_ptr_equal(list_first(&head), &items[2].link);
    assert_ptr_equal(list_last(&head), &items[1].link);
    list_del(&items[0].link);
    expect(&head, (int[]){3, 2}, 2);
    list_del(&items[0].link);
    list_add_tail(&head, &items[0].link);
    expect(&head, (int[]){3, 2, 1}, 3);
}

static void test_removal_while_walking(void **state)
{
    struct list head;
    struct item items[10];
    list_init(&head);
    for (int i = 0; i < 10; i++) {
        items[i].value = i;
        list_add_tail(&head, &items[i].link);
    }
    struct list *pos;
    struct list *tmp;
    list_for_each_safe(pos, tmp, &head)
        if (list_entry(pos, struct item, link)->value % 2 == 0)
            list_del(pos);
    expect(&head, (int[]){1, 3, 5, 7, 9}, 5);
}

static void test_broken_links_abort(void **state)
{
    struct list head;
    struct list other;
    struct list item;
    list_init(&head);
    list_init(&other);
    list_add_tail(&head, &item);
    item.next = &other;
    assert_aborts(list_del(&item));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_removal_while_walking),
        cmocka_unit_test(test_broken_links_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
