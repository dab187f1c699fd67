// SPDX-License-Identifier: Apache-2.0
// Growable bytes.

#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

// What an empty buf points to, so that its data is always a string. Never written to.
static char buf_nothing[1];

void buf_init(struct buf *buf)
{
    *buf = (struct buf){.data = buf_nothing};
}

void buf_release(struct buf *buf)
{
    if (buf == NULL)
        return;
    if (buf->cap > 0)
        mem_free(buf->data);
    buf_init(buf);
}

void buf_clear(struct buf *buf)
{
    buf_truncate(buf, 0);
}

void buf_reserve(struct buf *buf, size_t more_bytes)
{
    must(more_bytes < SIZE_MAX / 4 && buf->len < SIZE_MAX / 4);
    size_t need = buf->len + more_bytes + 1;
    if (need <= buf->cap)
        return;
    size_t cap = buf->cap < 32 ? 32 : buf->cap;
    while (cap < need)
        cap += cap / 2;
    char *data = mem_realloc(buf->cap > 0 ? buf->data : NULL, cap);
    data[buf->len] = '\0';
    buf->data = data;
    buf->cap = cap;
}

void buf_grew(struct buf *buf, size_t more_bytes)
{
    must(buf->cap > 0 && more_bytes < buf->cap - buf->len);
    buf->len += more_bytes;
    buf->data[buf->len] = '\0';
}

void buf_truncate(struct buf *buf, size_t len)
{
    must(len <= buf->len);
    buf->len = len;
    if (buf->cap > 0)
        buf->data[len] = '\0';
}

void buf_drop_front(struct buf *buf, size_t bytes)
{
    must(bytes <= buf->len);
    if (bytes == 0)
        return;
    memmove(buf->data, buf->data + bytes, buf->len - bytes);
    buf_truncate(buf, buf->len - bytes);
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
    must(data != NULL || len == 0);
    if (len == 0)
        return;
    buf_reserve(buf, len);
    memcpy(buf->data + buf->len, data, len);
    buf_grew(buf, len);
}

void buf_adds(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_addc(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t room = buf->cap > 0 ? buf->cap - buf->len : 0;
    int len = vsnprintf(room > 0 ? buf->data + buf->len : NULL, room, fmt, args);
    must(len >= 0);
    if ((size_t)len >= room) {
        buf_reserve(buf, (size_t)len);
        int written = vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, again);
        must(written == len);
    }
    va_end(again);
    buf_grew(buf, (size_t)len);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(buf, fmt, args);
    va_end(args);
}

char *buf_detach(struct buf *buf)
{
    char *data = buf->cap > 0 ? buf->data : mem_strdup("");
    buf_init(buf);
    return data;
}
