// SPDX-License-Identifier: Apache-2.0
// The process's heap.

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

// malloc(0) may answer NULL; one byte never does.
static size_t at_least_one(size_t size_bytes)
{
    return size_bytes == 0 ? 1 : size_bytes;
}

void *mem_alloc(size_t size_bytes)
{
    void *ptr = calloc(1, at_least_one(size_bytes));
    must(ptr != NULL);
    return ptr;
}

void *mem_alloc_array(size_t count, size_t item_bytes)
{
    size_t size_bytes = 0;
    must(!__builtin_mul_overflow(count, item_bytes, &size_bytes));
    return mem_alloc(size_bytes);
}

void *mem_realloc(void *ptr, size_t size_bytes)
{
    void *resized = realloc(ptr, at_least_one(size_bytes));
    must(resized != NULL);
    return resized;
}

void *mem_realloc_array(void *ptr, size_t count, size_t item_bytes)
{
    size_t size_bytes = 0;
    must(!__builtin_mul_overflow(count, item_bytes, &size_bytes));
    return mem_realloc(ptr, size_bytes);
}

void mem_free(void *ptr)
{
    free(ptr);
}

char *mem_strdup(const char *text)
{
    must(text != NULL);
    return mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *text, size_t len)
{
    size_t have = strnlen(text, len);
    char *copy = mem_alloc(have + 1);
    memcpy(copy, text, have);
    return copy;
}
