// SPDX-License-Identifier: Apache-2.0
// Sorting for the folders that may not include <stdlib.h>. Not stable: compare must tell any two items apart whose order matters.
#pragma once

#include <stddef.h>

void sort_items(void *items, size_t count, size_t item_bytes, int (*compare)(const void *, const void *));
