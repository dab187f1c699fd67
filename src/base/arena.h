// SPDX-License-Identifier: Apache-2.0
// An arena: memory that is handed out piece by piece and taken back all at once. For one turn, one request, one decode.
// Not for threads to share.
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct arena_chunk;

// All fields are private. A zeroed struct arena is valid and uses the default chunk size.
struct arena {
    struct arena_chunk *first; // newest standard chunk at the head
    struct arena_chunk *large; // blocks too big for a standard chunk
    size_t chunk_bytes;
    size_t used_bytes;
};

#define ARENA_CHUNK_BYTES_DEFAULT ((size_t)16 * 1024)

// `chunk_bytes` is how much to ask of the heap at a time; 0 means the default. Allocates nothing yet.
void arena_init(struct arena *arena, size_t chunk_bytes);
// Gives all memory back to the heap; the arena may be used again. NULL is allowed.
void arena_release(struct arena *arena);
// Takes back everything handed out, keeping one chunk for what comes next.
void arena_clear(struct arena *arena);

// Zeroed, aligned to 16 bytes, never NULL (aborts when memory is out). Lives until arena_clear or arena_release.
__attribute__((returns_nonnull)) void *arena_alloc(struct arena *arena, size_t size_bytes);
// `count` zeroed items of `type`; aborts when the product overflows.
#define arena_array(arena, type, count) ((type *)arena_alloc_array((arena), (count), sizeof(type)))
// One zeroed item of `type`.
#define arena_new(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
__attribute__((returns_nonnull)) void *arena_alloc_array(struct arena *arena, size_t count, size_t item_bytes);
// A copy of `text`; NULL gives NULL.
char *arena_strdup(struct arena *arena, const char *text);
// A NUL-terminated copy of at most `len` bytes of `text`.
__attribute__((returns_nonnull)) char *arena_strndup(struct arena *arena, const char *text, size_t len);
// A copy of `size_bytes` bytes; `data` may be NULL only when that is 0.
__attribute__((returns_nonnull)) void *arena_memdup(struct arena *arena, const void *data, size_t size_bytes);
__attribute__((format(printf, 2, 3), returns_nonnull)) char *arena_printf(struct arena *arena, const char *fmt, ...);
__attribute__((format(printf, 2, 0), returns_nonnull)) char *arena_vprintf(struct arena *arena, const char *fmt, va_list args);

// Bytes handed out since the last clear, rounded up to 16 each.
size_t arena_used(const struct arena *arena);
// Bytes held from the heap.
size_t arena_bytes(const struct arena *arena);
