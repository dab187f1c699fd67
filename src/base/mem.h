// SPDX-License-Identifier: Apache-2.0
// The process's heap. Running out of memory aborts: limits on everything a peer can grow keep that from happening.
#pragma once

#include <stddef.h>

// Gives zeroed memory, never NULL (also for 0 bytes). End it with mem_free().
__attribute__((malloc, returns_nonnull)) void *mem_alloc(size_t size_bytes);
// Gives zeroed memory for `count` items; aborts when the product overflows.
__attribute__((malloc, returns_nonnull)) void *mem_alloc_array(size_t count, size_t item_bytes);
// Takes `ptr` (or NULL), gives the resized block. Bytes beyond the old size are not zeroed.
__attribute__((returns_nonnull)) void *mem_realloc(void *ptr, size_t size_bytes);
// As mem_realloc, for `count` items; aborts when the product overflows.
__attribute__((returns_nonnull)) void *mem_realloc_array(void *ptr, size_t count, size_t item_bytes);
// Takes `ptr`; NULL is allowed.
void mem_free(void *ptr);
// Gives a copy of `text`, which must not be NULL.
__attribute__((malloc, returns_nonnull)) char *mem_strdup(const char *text);
// Gives a NUL-terminated copy of at most `len` bytes.
__attribute__((malloc, returns_nonnull)) char *mem_strndup(const char *text, size_t len);
