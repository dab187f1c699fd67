// SPDX-License-Identifier: Apache-2.0
// Messages between server and agent. What unpacks must pack, and what was packed must come back and not grow.
#include "base/assert.h"
#include "codec/codec.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct buf once = {0}, twice = {0};
    const struct wire_message *message = NULL;
    struct err err = {0};
    int rc = wire_unpack((struct bytes){.data = data, .len = size}, &arena, &message, &err);
    if (rc == 0) {
        const struct wire_message *read = NULL;
        wire_pack(&once, message);
        must(wire_unpack((struct bytes){.data = (const uint8_t *)once.data, .len = once.len}, &arena, &read, NULL) == 0);
        must(read->kind == message->kind);
        wire_pack(&twice, read);
        must(twice.len <= once.len);
    } else {
        must(rc == err.code && message == NULL);
    }
    buf_release(&once);
    buf_release(&twice);
    arena_release(&arena);
    return 0;
}
