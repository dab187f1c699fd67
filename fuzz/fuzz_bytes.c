// SPDX-License-Identifier: Apache-2.0
// The reader of bytes: the first half of the input says what to read from the second. What is read as a varint or a blob
// must come back the same when it is written again.

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "fuzz/fuzz.h"

static void read_varint(struct reader *reader, struct writer *writer)
{
    const uint8_t *start = reader->p;
    uint64_t value = reader_varint(reader);
    if (reader->bad) {
        must(value == 0);
        return;
    }
    buf_clear(writer->buf);
    writer_varint(writer, value);
    must(writer->buf->len == (size_t)(reader->p - start));
    must(memcmp(writer->buf->data, start, writer->buf->len) == 0);
}

static void read_blob(struct reader *reader, struct writer *writer)
{
    const uint8_t *start = reader->p;
    size_t len = 0;
    const uint8_t *blob = reader_blob(reader, &len);
    if (blob == NULL) {
        must(reader->bad && len == 0);
        return;
    }
    buf_clear(writer->buf);
    writer_blob(writer, blob, len);
    must(writer->buf->len == (size_t)(reader->p - start));
    must(memcmp(writer->buf->data, start, writer->buf->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf buf = {0};
    struct writer writer;
    struct reader reader;
    writer_init(&writer, &buf);
    size_t half = size / 2;
    reader_init(&reader, data + half, size - half);
    for (size_t i = 0; i < half; i++) {
        uint8_t copy[16];
        switch (data[i] % 7) {
        case 0:
            reader_u8(&reader);
            break;
        case 1:
            reader_u16(&reader);
            break;
        case 2:
            reader_u32(&reader);
            break;
        case 3:
            reader_u64(&reader);
            break;
        case 4:
            read_varint(&reader, &writer);
            break;
        case 5:
            read_blob(&reader, &writer);
            break;
        default:
            reader_copy(&reader, copy, data[i] / 16);
        }
        must(reader.p <= reader.end);
    }
    buf_release(&buf);
    return 0;
}
