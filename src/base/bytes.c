// SPDX-License-Identifier: Apache-2.0
// Reading and writing bytes with every bound checked.

#include "base/bytes.h"

#include <string.h>

#include "base/assert.h"

void reader_init(struct reader *reader, const void *data, size_t len)
{
    must(data != NULL || len == 0);
    static const uint8_t nothing[1];
    const uint8_t *bytes = data != NULL ? data : nothing;
    *reader = (struct reader){.p = bytes, .end = bytes + len};
}

size_t reader_left(const struct reader *reader)
{
    return reader->bad ? 0 : (size_t)(reader->end - reader->p);
}

bool reader_done(const struct reader *reader)
{
    return !reader->bad && reader->p == reader->end;
}

const uint8_t *reader_bytes(struct reader *reader, size_t len)
{
    if (reader->bad || len > reader_left(reader)) {
        reader->bad = true;
        return NULL;
    }
    const uint8_t *bytes = reader->p;
    reader->p += len;
    return bytes;
}

static uint64_t read_le(struct reader *reader, size_t len)
{
    const uint8_t *bytes = reader_bytes(reader, len);
    uint64_t value = 0;
    if (bytes != NULL)
        for (size_t i = 0; i < len; i++)
            value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint8_t reader_u8(struct reader *reader)
{
    return (uint8_t)read_le(reader, 1);
}

uint16_t reader_u16(struct reader *reader)
{
    return (uint16_t)read_le(reader, 2);
}

uint32_t reader_u32(struct reader *reader)
{
    return (uint32_t)read_le(reader, 4);
}

uint64_t reader_u64(struct reader *reader)
{
    return read_le(reader, 8);
}

uint64_t reader_varint(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(reader);
        if (reader->bad)
            return 0;
        uint64_t bits = byte & 0x7f;
        bool overflows = shift == 63 && bits > 1;
        bool padded = shift > 0 && byte == 0;
        if (overflows || padded)
            break;
        value |= bits << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    reader->bad = true;
    return 0;
}

void reader_copy(struct reader *reader, void *ret, size_t len)
{
    const uint8_t *bytes = reader_bytes(reader, len);
    if (len == 0)
        return;
    if (bytes != NULL)
        memcpy(ret, bytes, len);
    else
        memset(ret, 0, len);
}

const uint8_t *reader_blob(struct reader *reader, size_t *ret_len)
{
    uint64_t len = reader_varint(reader);
    const uint8_t *bytes = NULL;
    if (len <= SIZE_MAX && !reader->bad)
        bytes = reader_bytes(reader, (size_t)len);
    *ret_len = bytes != NULL ? (size_t)len : 0;
    return bytes;
}

void writer_init(struct writer *writer, struct buf *buf)
{
    must(buf != NULL);
    writer->buf = buf;
}

static void write_le(struct writer *writer, uint64_t value, size_t len)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    buf_add(writer->buf, bytes, len);
}

void writer_u8(struct writer *writer, uint8_t value)
{
    write_le(writer, value, 1);
}

void writer_u16(struct writer *writer, uint16_t value)
{
    write_le(writer, value, 2);
}

void writer_u32(struct writer *writer, uint32_t value)
{
    write_le(writer, value, 4);
}

void writer_u64(struct writer *writer, uint64_t value)
{
    write_le(writer, value, 8);
}

void writer_varint(struct writer *writer, uint64_t value)
{
    uint8_t bytes[10];
    size_t len = 0;
    while (value >= 0x80) {
        bytes[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[len++] = (uint8_t)value;
    buf_add(writer->buf, bytes, len);
}

void writer_bytes(struct writer *writer, const void *data, size_t len)
{
    buf_add(writer->buf, data, len);
}

void writer_blob(struct writer *writer, const void *data, size_t len)
{
    writer_varint(writer, len);
    buf_add(writer->buf, data, len);
}

void writer_patch_u32(struct writer *writer, size_t offset, uint32_t value)
{
    must(offset <= writer->buf->len && writer->buf->len - offset >= 4);
    for (size_t i = 0; i < 4; i++)
        writer->buf->data[offset + i] = (char)(uint8_t)(value >> (8 * i));
}
