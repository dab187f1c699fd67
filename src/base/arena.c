// SPDX-License-Identifier: Apache-2.0
// Arenas: a chain of chunks, of which the newest is filled from the front.

#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define ARENA_ALIGN ((size_t)16)

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap_bytes;
    size_t used_bytes;
    _Alignas(16) char bytes[];
};

void arena_init(struct arena *arena, size_t chunk_bytes)
{
    *arena = (struct arena){.chunk_bytes = chunk_bytes};
}

static struct arena_chunk *chunk_new(size_t cap_bytes)
{
    // Not zeroed here: arena_alloc zeroes what it hands out, and a chunk may be used again.
    struct arena_chunk *chunk = mem_realloc(NULL, sizeof(*chunk) + cap_bytes);
    chunk->next = NULL;
    chunk->cap_bytes = cap_bytes;
    chunk->used_bytes = 0;
    return chunk;
}

static void chunks_free(struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        mem_free(chunk);
        chunk = next;
    }
}

void arena_release(struct arena *arena)
{
    if (arena == NULL)
        return;
    chunks_free(arena->first);
    chunks_free(arena->large);
    arena_init(arena, arena->chunk_bytes);
}

void arena_clear(struct arena *arena)
{
    chunks_free(arena->large);
    arena->large = NULL;
    if (arena->first != NULL) {
        chunks_free(arena->first->next);
        arena->first->next = NULL;
        arena->first->used_bytes = 0;
    }
    arena->used_bytes = 0;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    must(size_bytes <= SIZE_MAX / 2);
    size_t rounded = (size_bytes + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    if (rounded == 0)
        rounded = ARENA_ALIGN;
    size_t chunk_bytes = arena->chunk_bytes != 0 ? arena->chunk_bytes : ARENA_CHUNK_BYTES_DEFAULT;
    chunk_bytes = (chunk_bytes + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);

    struct arena_chunk *chunk = arena->first;
    if (chunk == NULL || chunk->cap_bytes - chunk->used_bytes < rounded) {
        // A big block gets a chunk of its own, so that it does not waste the rest of the current one.
        if (rounded > chunk_bytes / 4) {
            chunk = chunk_new(rounded);
            chunk->next = arena->large;
            arena->large = chunk;
        } else {
            chunk = chunk_new(chunk_bytes);
            chunk->next = arena->first;
            arena->first = chunk;
        }
    }
    void *block = chunk->bytes + chunk->used_bytes;
    chunk->used_bytes += rounded;
    must(chunk->used_bytes <= chunk->cap_bytes);
    arena->used_bytes += rounded;
    memset(block, 0, rounded);
    return block;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t item_bytes)
{
    size_t size_bytes = 0;
    must(!__builtin_mul_overflow(count, item_bytes, &size_bytes));
    return arena_alloc(arena, size_bytes);
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_strndup(arena, text, strlen(text));
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    size_t have = len == 0 ? 0 : strnlen(text, len);
    char *copy = arena_alloc(arena, have + 1);
    if (have > 0)
        memcpy(copy, text, have);
    return copy;
}

void *arena_memdup(struct arena *arena, const void *data, size_t size_bytes)
{
    must(data != NULL || size_bytes == 0);
    void *copy = arena_alloc(arena, size_bytes);
    if (size_bytes > 0)
        memcpy(copy, data, size_bytes);
    return copy;
}

char *arena_vprintf(struct arena *arena, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    must(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    int written = vsnprintf(text, (size_t)len + 1, fmt, args);
    must(written == len);
    return text;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = arena_vprintf(arena, fmt, args);
    va_end(args);
    return text;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used_bytes;
}

size_t arena_bytes(const struct arena *arena)
{
    size_t held = 0;
    for (const struct arena_chunk *chunk = arena->first; chunk != NULL; chunk = chunk->next)
        held += sizeof(*chunk) + chunk->cap_bytes;
    for (const struct arena_chunk *chunk = arena->large; chunk != NULL; chunk = chunk->next)
        held += sizeof(*chunk) + chunk->cap_bytes;
    return held;
}
