// SPDX-License-Identifier: Apache-2.0
// Sorting.
#include "base/sort.h"

#include <stdlib.h>

#include "base/assert.h"

void sort_items(void *items, size_t count, size_t item_bytes, int (*compare)(const void *, const void *))
{
    must(item_bytes > 0 && compare != NULL);
    if (count > 1)
        qsort(items, count, item_bytes, compare);
}
