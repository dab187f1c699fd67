// SPDX-License-Identifier: Apache-2.0
// What the readers of YAML and JSON share.
#include "codec/doc.h"

#include "base/assert.h"
#include "base/map.h"

struct doc_item *doc_items_add(struct doc_items *items, struct arena *arena)
{
    if (items->n == items->cap) {
        size_t cap = items->cap > 0 ? items->cap * 2 : 8;
        struct doc_item *grown = arena_array(arena, struct doc_item, cap);
        for (size_t i = 0; i < items->n; i++)
            grown[i] = items->item[i];
        items->item = grown;
        items->cap = cap;
    }
    return &items->item[items->n++];
}

size_t doc_drop_doubles(struct doc_node *map, struct spec_errors *errors)
{
    must(map->kind == DOC_MAP);
    struct strmap seen = {0};
    size_t kept = 0;
    for (size_t i = 0; i < map->n; i++) {
        const struct doc_item *item = &map->items[i];
        const struct doc_item *first = strmap_get(&seen, item->key);
        if (first != NULL) {
            spec_errors_add(errors, item->line, item->column, item->key, NULL, "it is given twice, first in line %u", first->line);
            continue;
        }
        map->items[kept] = *item;
        (void)strmap_put(&seen, item->key, &map->items[kept++]);
    }
    strmap_release(&seen);
    size_t dropped = map->n - kept;
    map->n = kept;
    return dropped;
}
