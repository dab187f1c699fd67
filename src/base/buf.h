// SPDX-License-Identifier: Apache-2.0
// Growable bytes or text. `data` is always NUL-terminated after buf_init (the NUL is not counted in `len`). A zeroed
// struct buf is valid too, only its `data` is NULL until something is added. Running out of memory aborts; whoever fills
// a buf from the world bounds it.
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct buf {
    char *data; // owned by the buf when cap > 0
    size_t len;
    size_t cap;
};

void buf_init(struct buf *buf);
// Frees the bytes; the buf is empty and usable again. NULL is allowed.
void buf_release(struct buf *buf);
// Empties the buf, keeping its memory.
void buf_clear(struct buf *buf);
// Makes room for `more_bytes` bytes beyond `len` (and the NUL). They may be written in place, then counted by buf_grew.
void buf_reserve(struct buf *buf, size_t more_bytes);
// Counts `more_bytes` bytes that the caller wrote at data + len, after buf_reserve of at least as many.
void buf_grew(struct buf *buf, size_t more_bytes);
// Shortens to `len` bytes, which is at most the present length.
void buf_truncate(struct buf *buf, size_t len);
// Drops the first `bytes` bytes, which is at most the present length. Moves the rest: O(rest).
void buf_drop_front(struct buf *buf, size_t bytes);

// `data` must not point into the buf itself. It may be NULL when `len` is 0.
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_adds(struct buf *buf, const char *text);
void buf_addc(struct buf *buf, char c);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *buf, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) void buf_vprintf(struct buf *buf, const char *fmt, va_list args);

// Gives the bytes (end them with mem_free), never NULL; the buf is empty afterwards.
__attribute__((returns_nonnull)) char *buf_detach(struct buf *buf);
