// SPDX-License-Identifier: Apache-2.0
// Messages between agent and spawner, each behind the length that it would have. What unpacks must pack, and come back the same.

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "exec/control.h"
#include "fuzz/fuzz.h"

static bool is_known(enum control_kind kind)
{
    return (kind >= CONTROL_HELLO_AGENT && kind <= CONTROL_RENEW) || (kind >= CONTROL_HELLO_SPAWNER && kind <= CONTROL_ENDED);
}

static void check_round(const struct control_message *message, struct arena *arena)
{
    struct buf once = {0}, twice = {0};
    struct control_message again;
    size_t len = 0;
    control_pack(&once, message);
    must(control_frame(once.data, once.len, &len, NULL) == 0 && len == once.len);
    must(control_unpack(once.data, once.len, arena, &again, NULL) == 0 && again.kind == message->kind);
    control_pack(&twice, &again);
    must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    buf_release(&once);
    buf_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 65536)
        return 0;
    struct arena arena;
    arena_init(&arena, 0);
    struct buf frame = {0};
    struct writer w;
    writer_init(&w, &frame);
    writer_u32(&w, (uint32_t)size);
    writer_bytes(&w, data, size);
    size_t len = 0;
    must(control_frame(frame.data, frame.len, &len, NULL) == 0 && len == frame.len);
    must(control_frame(frame.data, frame.len - 1, &len, NULL) == 0 && len == 0);
    struct control_message message;
    struct err err = {0};
    int rc = control_unpack(frame.data, frame.len, &arena, &message, &err);
    if (rc == 0 && is_known(message.kind))
        check_round(&message, &arena);
    else
        must(rc == 0 || (rc == err.code && err.text[0] != '\0'));
    buf_release(&frame);
    arena_release(&arena);
    return 0;
}
