// SPDX-License-Identifier: Apache-2.0
// The one bounds-checked reader and writer for bytes. Numbers are little-endian; a varint has 7 bits a byte, low first.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

// Reads from borrowed bytes. Whatever would run over the end sets `bad`, and from then on every read gives zeros: decode
// everything first, then look at `bad` once.
struct reader {
    const uint8_t *p, *end;
    bool bad;
};

// `data` may be NULL when `len` is 0.
void reader_init(struct reader *reader, const void *data, size_t len);
uint8_t reader_u8(struct reader *reader);
uint16_t reader_u16(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
// A varint of more than 64 bits, or one not in its shortest form, is bad.
uint64_t reader_varint(struct reader *reader);
// The next `len` bytes inside the borrowed ones; NULL when they are not there.
const uint8_t *reader_bytes(struct reader *reader, size_t len);
// Copies the next `len` bytes to `ret`; zeros when they are not there.
void reader_copy(struct reader *reader, void *ret, size_t len);
// A varint length, then as many bytes. NULL (and *ret_len = 0) when they are not there.
const uint8_t *reader_blob(struct reader *reader, size_t *ret_len);
// Bytes not read yet; 0 once bad.
size_t reader_left(const struct reader *reader);
// True when everything was read and nothing was bad.
bool reader_done(const struct reader *reader);

// Appends to a borrowed buf.
struct writer {
    struct buf *buf;
};

void writer_init(struct writer *writer, struct buf *buf);
void writer_u8(struct writer *writer, uint8_t value);
void writer_u16(struct writer *writer, uint16_t value);
void writer_u32(struct writer *writer, uint32_t value);
void writer_u64(struct writer *writer, uint64_t value);
void writer_varint(struct writer *writer, uint64_t value);
void writer_bytes(struct writer *writer, const void *data, size_t len);
// A varint length, then the bytes.
void writer_blob(struct writer *writer, const void *data, size_t len);
// Overwrites 4 bytes that were written at `offset` before, for a length that is known only at the end.
void writer_patch_u32(struct writer *writer, size_t offset, uint32_t value);
