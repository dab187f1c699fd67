// SPDX-License-Identifier: Apache-2.0
// protobuf-c in bufs and arenas, and columns.
#include "codec/pb.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

// What protobuf-c needs at most for honest messages: an empty argument of a command, two bytes, costs it up to 64 bytes of notes about
// the field, a pointer and a text.
enum { UNPACK_RATIO = 48, UNPACK_FLOOR_BYTES = 64 * 1024 };

static void *unpacker_alloc(void *data, size_t size_bytes)
{
    struct unpacker *u = data;
    if (size_bytes > u->left_bytes)
        return NULL;
    size_t rounded = (size_bytes + 15) & ~(size_t)15; // as the arena does
    u->left_bytes -= rounded < u->left_bytes ? rounded : u->left_bytes;
    return arena_alloc(u->arena, size_bytes);
}

static void unpacker_free(void *data, void *ptr)
{
    // The arena takes everything back at once.
}

void unpacker_init(struct unpacker *u, struct arena *arena, size_t len, int code, const char *what, struct err *err)
{
    must(arena != NULL && code < 0);
    *u = (struct unpacker){
        .allocator = {.alloc = unpacker_alloc, .free = unpacker_free, .allocator_data = u},
        .arena = arena,
        .left_bytes = UNPACK_FLOOR_BYTES + (len < SIZE_MAX / UNPACK_RATIO / 2 ? len * UNPACK_RATIO : SIZE_MAX / 2),
        .code = code,
        .what = what,
        .err = err,
    };
}

int unpack_bad(struct unpacker *u, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(u->err, u->code, "%s: %s", u->what, text);
}

int unpack_unknown_kind(struct unpacker *u, const ProtobufCMessage *message)
{
    if (message->n_unknown_fields == 0)
        return unpack_bad(u, "it has no content");
    return err_set(u->err, ERR_VERSION, "%s: kind %u is not known to this version", u->what, message->unknown_fields[0].tag);
}

void *unpack_message(struct unpacker *u, const ProtobufCMessageDescriptor *descriptor, struct bytes bytes)
{
    static const uint8_t nothing[1];
    const uint8_t *data = bytes.data != NULL ? bytes.data : nothing;
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &u->allocator, bytes.len, data);
    if (message == NULL)
        unpack_bad(u, "%zu bytes are not a valid %s", bytes.len, descriptor->short_name);
    return message;
}

void pack_message(struct buf *buf, const ProtobufCMessage *message)
{
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    buf_reserve(buf, size_bytes);
    size_t written = protobuf_c_message_pack(message, (uint8_t *)buf->data + buf->len);
    must(written == size_bytes);
    buf_grew(buf, size_bytes);
}

void pack_message_framed(struct buf *buf, const ProtobufCMessage *message)
{
    struct writer writer;
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    must(size_bytes > 0);
    writer_init(&writer, buf);
    writer_varint(&writer, size_bytes);
    buf_reserve(buf, size_bytes);
    size_t written = protobuf_c_message_pack(message, (uint8_t *)buf->data + buf->len);
    must(written == size_bytes);
    buf_grew(buf, size_bytes);
}

int unpack_frame(struct unpacker *u, struct bytes *bytes, struct bytes *ret_frame)
{
    struct reader reader;
    reader_init(&reader, bytes->data, bytes->len);
    size_t len = 0;
    const uint8_t *data = reader_blob(&reader, &len);
    if (data == NULL || len == 0)
        return unpack_bad(u, "its length does not fit the %zu bytes that are there", bytes->len);
    size_t taken = (size_t)(data - bytes->data) + len;
    must(taken <= bytes->len);
    *ret_frame = (struct bytes){.data = data, .len = len};
    *bytes = (struct bytes){.data = bytes->data + taken, .len = bytes->len - taken};
    return 0;
}

// Columns of 4 and of 8 bytes share their code, which the compiler specialises for each width.
static inline __attribute__((always_inline)) uint64_t number_load(const char *from, size_t width_bytes)
{
    if (width_bytes == sizeof(uint32_t)) {
        uint32_t number;
        memcpy(&number, from, sizeof(number));
        return number;
    }
    uint64_t number;
    memcpy(&number, from, sizeof(number));
    return number;
}

static inline __attribute__((always_inline)) void number_store(char *to, uint64_t number, size_t width_bytes)
{
    if (width_bytes == sizeof(uint32_t)) {
        uint32_t narrow = (uint32_t)number;
        memcpy(to, &narrow, sizeof(narrow));
    } else {
        memcpy(to, &number, sizeof(number));
    }
}

static inline __attribute__((always_inline)) void *column_pack(struct arena *arena, size_t *ret_len, const char *field,
                                                               size_t stride_bytes, size_t n, enum column_form form,
                                                               size_t width_bytes)
{
    size_t len = n;
    if (form != COLUMN_KEY && n > 0) {
        uint64_t head = number_load(field, width_bytes);
        size_t same = 1;
        while (same < n && number_load(field + same * stride_bytes, width_bytes) == head)
            same++;
        if (same == n)
            len = head == 0 ? 0 : 1;
    }
    *ret_len = len;
    if (len == 0)
        return NULL;
    char *column = arena_alloc_array(arena, len, width_bytes);
    uint64_t before = 0;
    for (size_t i = 0; i < len; i++) {
        uint64_t number = number_load(field + i * stride_bytes, width_bytes);
        number_store(column + i * width_bytes, form == COLUMN_PLAIN ? number : number - before, width_bytes);
        before = number;
    }
    return column;
}

void *column32_pack(struct arena *arena, size_t *ret_len, const void *first, size_t stride_bytes, size_t n, enum column_form form)
{
    return column_pack(arena, ret_len, first, stride_bytes, n, form, sizeof(uint32_t));
}

void *column64_pack(struct arena *arena, size_t *ret_len, const void *first, size_t stride_bytes, size_t n, enum column_form form)
{
    return column_pack(arena, ret_len, first, stride_bytes, n, form, sizeof(uint64_t));
}

static int column_length_bad(struct unpacker *u, const char *name, size_t len, size_t n)
{
    return unpack_bad(u, "its column %s has %zu numbers for %zu entries", name, len, n);
}

static inline __attribute__((always_inline)) void column_unpack(const char *column, bool each, char *field, size_t stride_bytes,
                                                                size_t n, enum column_form form, size_t width_bytes)
{
    uint64_t number = each ? 0 : number_load(column, width_bytes);
    for (size_t i = 0; i < n; i++) {
        if (each) {
            uint64_t read = number_load(column + i * width_bytes, width_bytes);
            number = form == COLUMN_PLAIN ? read : number + read;
        }
        number_store(field + i * stride_bytes, number, width_bytes);
    }
}

int column32_unpack(struct unpacker *u, const char *name, const void *column, size_t len, void *first, size_t stride_bytes,
                    size_t n, enum column_form form)
{
    bool each = len == n;
    if (!each && (len > 1 || n == 0 || form == COLUMN_KEY))
        return column_length_bad(u, name, len, n);
    if (len > 0)
        column_unpack(column, each, first, stride_bytes, n, form, sizeof(uint32_t));
    return 0;
}

int column64_unpack(struct unpacker *u, const char *name, const void *column, size_t len, void *first, size_t stride_bytes,
                    size_t n, enum column_form form)
{
    bool each = len == n;
    if (!each && (len > 1 || n == 0 || form == COLUMN_KEY))
        return column_length_bad(u, name, len, n);
    if (len > 0)
        column_unpack(column, each, first, stride_bytes, n, form, sizeof(uint64_t));
    return 0;
}

const uint32_t *key32_unpack(int32_t *column, size_t len)
{
    uint32_t *key = (uint32_t *)column;
    for (size_t i = 1; i < len; i++)
        key[i] += key[i - 1];
    return key;
}

const uint64_t *key64_unpack(int64_t *column, size_t len)
{
    uint64_t *key = (uint64_t *)column;
    for (size_t i = 1; i < len; i++)
        key[i] += key[i - 1];
    return key;
}

int column_enum_check(struct unpacker *u, const char *name, const void *column, size_t len, uint32_t values)
{
    const uint32_t *value = column;
    uint32_t most = 0;
    for (size_t i = 0; i < len; i++)
        most = value[i] > most ? value[i] : most;
    if (most >= values)
        return unpack_bad(u, "its column %s has the unknown value %u", name, most);
    return 0;
}

int enum_check(struct unpacker *u, const char *name, int value, int values)
{
    if (value < 0 || value >= values)
        return unpack_bad(u, "its %s has the unknown value %d", name, value);
    return 0;
}
