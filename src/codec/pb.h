// SPDX-License-Identifier: Apache-2.0
// What the binary codecs share: messages of protobuf-c in bufs and arenas, and columns (proto/record.proto has their rule).
// Private to codec/.
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/job_spec.h"

// One unpacking: where its memory comes from and what it answers when the bytes are wrong. The memory has a ceiling in proportion
// to the bytes (protobuf-c allocates per field of its input), so that a small hostile message cannot ask for much. Entries that
// are unfolded from columns come on top; their number is at most UNPACK_ENTRIES_MAX in one message.
struct unpacker {
    ProtobufCAllocator allocator;
    struct arena *arena; // borrowed
    size_t left_bytes;
    int code;            // ERR_PROTOCOL or ERR_STORE_CORRUPT
    const char *what;    // "record", for sentences
    struct err *err;     // borrowed, may be NULL
};

enum { UNPACK_ENTRIES_MAX = 1 << 20 };

// For unpacking `len` bytes in all.
void unpacker_init(struct unpacker *, struct arena *, size_t len, int code, const char *what, struct err *);
// The message, in the arena; NULL (and err is set) when the bytes are no such message.
void *unpack_message(struct unpacker *, const ProtobufCMessageDescriptor *, struct bytes);
// Sets err to "<what>: <sentence>" and returns the code.
__attribute__((format(printf, 2, 3))) int unpack_bad(struct unpacker *, const char *fmt, ...);
// As unpack_bad for a kind that this version does not know: ERR_VERSION.
int unpack_unknown_kind(struct unpacker *, const ProtobufCMessage *);

// Appends the message.
void pack_message(struct buf *, const ProtobufCMessage *);
// Appends its length as a varint, then the message.
void pack_message_framed(struct buf *, const ProtobufCMessage *);
// Takes a length and as many bytes off the front of *bytes. Fails when they are not there, and *bytes stays.
int unpack_frame(struct unpacker *, struct bytes *bytes, struct bytes *ret_frame);

// protobuf-c wants texts and bytes that it may write, though packing never does.
static inline char *pb_text(const char *text)
{
    return (char *)(text != NULL ? text : "");
}

static inline ProtobufCBinaryData pb_bytes(struct bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)bytes.data};
}

static inline struct bytes bytes_from_pb(ProtobufCBinaryData data)
{
    return (struct bytes){.data = data.data, .len = data.len};
}

// Empty stands for none.
static inline const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

// How a column writes its numbers.
enum column_form {
    COLUMN_PLAIN,
    COLUMN_STEPS, // the difference to the number before
    COLUMN_KEY,   // steps, and always one number per entry
};

// The column of a field of n entries: `first` is the field in the first entry, `stride_bytes` the size of an entry. The column
// lives in the arena; NULL when none is needed.
void *column32_pack(struct arena *, size_t *ret_len, const void *first, size_t stride_bytes, size_t n, enum column_form);
void *column64_pack(struct arena *, size_t *ret_len, const void *first, size_t stride_bytes, size_t n, enum column_form);

// Writes a column back into the field of n entries, which are zeroed before. Fails when the column has a wrong length.
int column32_unpack(struct unpacker *, const char *name, const void *column, size_t len, void *first, size_t stride_bytes,
                    size_t n, enum column_form);
int column64_unpack(struct unpacker *, const char *name, const void *column, size_t len, void *first, size_t stride_bytes,
                    size_t n, enum column_form);
// Key columns into plain arrays: the numbers replace the steps in place.
const uint32_t *key32_unpack(int32_t *column, size_t len);
const uint64_t *key64_unpack(int64_t *column, size_t len);

// Fails unless every value of the column (of an enum, with `values` values from 0 on) is in range.
int column_enum_check(struct unpacker *, const char *name, const void *column, size_t len, uint32_t values);
// The same for one value.
int enum_check(struct unpacker *, const char *name, int value, int values);
