// SPDX-License-Identifier: Apache-2.0
// Intrusive doubly linked lists. The head and the links are the same struct; a link that is in no list points to itself,
// so that list_del may be called on it again. Put a link into a list only while it is in none.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct list {
    struct list *next, *prev;
};

// The object that holds `ptr` as its field `member`.
#define container_of(ptr, type, member) \
    ({ \
        __typeof__(((type *)0)->member) *container_of_ptr_ = (ptr); \
        (type *)(void *)((char *)container_of_ptr_ - offsetof(type, member)); \
    })
#define list_entry(ptr, type, member) container_of(ptr, type, member)

// `pos` is a struct list *. The list must not change while it is walked, except with _safe, where `pos` may be removed.
#define list_for_each(pos, head) for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)
#define list_for_each_safe(pos, tmp, head) \
    for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head); (pos) = (tmp), (tmp) = (pos)->next)

// Makes an empty head, or a link that is in no list.
static inline void list_init(struct list *list)
{
    list->next = list;
    list->prev = list;
}

// True for an empty head, and for a link that is in no list.
static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_between_(struct list *item, struct list *prev, struct list *next)
{
    must(prev->next == next && next->prev == prev);
    item->prev = prev;
    item->next = next;
    prev->next = item;
    next->prev = item;
}

static inline void list_add_tail(struct list *head, struct list *item)
{
    list_insert_between_(item, head->prev, head);
}

static inline void list_add_head(struct list *head, struct list *item)
{
    list_insert_between_(item, head, head->next);
}

// Takes `item` out of whatever list it is in and leaves it ready for another.
static inline void list_del(struct list *item)
{
    must(item->next->prev == item && item->prev->next == item);
    item->next->prev = item->prev;
    item->prev->next = item->next;
    list_init(item);
}

// The first link, or NULL when the list is empty.
static inline struct list *list_first(const struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

// The last link, or NULL when the list is empty.
static inline struct list *list_last(const struct list *head)
{
    return list_empty(head) ? NULL : head->prev;
}

// Moves all that is in `from` to the end of `head`; `from` is empty afterwards.
static inline void list_join(struct list *head, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    list_init(from);
}

// Walks the whole list: for tests and checks only.
static inline size_t list_len(const struct list *head)
{
    size_t len = 0;
    for (const struct list *pos = head->next; pos != head; pos = pos->next)
        len++;
    return len;
}
