// SPDX-License-Identifier: Apache-2.0
// Records: the input is a batch. What unpacks must pack, and what was packed must come back as the same bytes.
#include <string.h>

#include "base/assert.h"
#include "codec/codec.h"
#include "fuzz/fuzz.h"

static void again(const struct record *record)
{
    struct arena arena = {0};
    struct buf once = {0}, twice = {0};
    struct record *read = NULL;
    record_pack(&once, record);
    struct bytes bytes = {.data = (const uint8_t *)once.data, .len = once.len};
    must(record_unpack(&bytes, &arena, &read, NULL) == 0);
    must(bytes.len == 0);
    record_pack(&twice, read);
    must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    buf_release(&once);
    buf_release(&twice);
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct bytes bytes = {.data = data, .len = size};
    struct record *record = NULL;
    struct err err = {0};
    while (record_unpack(&bytes, &arena, &record, &err) == 0)
        again(record);
    must(err.code < 0 && err.text[0] != '\0');
    arena_release(&arena);
    return 0;
}
