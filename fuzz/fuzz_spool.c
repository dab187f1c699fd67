// SPDX-License-Identifier: Apache-2.0
// The spawner's journal: arbitrary bytes, and arbitrary records in frames with right checksums. Whatever is read is sorted, without
// doubles, and comes back the same when it is written anew.

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "exec/control.h"
#include "exec/journal.h"
#include "fuzz/fuzz.h"

enum { SALT = 7 };

static void check_state(const struct journal_state *state)
{
    must(state->n_forgotten <= JOURNAL_FORGOTTEN_MAX);
    must(memchr(state->instance, 0, sizeof(state->instance)) != NULL && memchr(state->boot_id, 0, sizeof(state->boot_id)) != NULL);
    for (size_t i = 0; i < state->n_attempts; i++) {
        const struct journal_attempt *attempt = &state->attempts[i];
        must(i == 0 || state->attempts[i - 1].ident.fence < attempt->ident.fence);
        must(attempt->ident.delivery == AT_LEAST_ONCE || attempt->ident.delivery == AT_MOST_ONCE);
        must(!attempt->ended || (attempt->end.fence == attempt->ident.fence && (unsigned)attempt->end.outcome < OUTCOMES));
        must(attempt->end.message == NULL || strlen(attempt->end.message) <= JOURNAL_MESSAGE_MAX);
    }
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

static void write_anew(const struct journal_state *state)
{
    struct buf buf = {0};
    journal_header(&buf, SALT);
    journal_add_instance(&buf, SALT, state->instance, state->boot_id);
    journal_add_forgotten(&buf, SALT, state->forgotten, state->n_forgotten);
    for (size_t i = 0; i < state->n_attempts; i++) {
        const struct journal_attempt *attempt = &state->attempts[i];
        journal_add_accepted(&buf, SALT, &attempt->ident);
        if (attempt->pid > 0)
            journal_add_started(&buf, SALT, attempt->ident.fence, attempt->pid, attempt->pid_ticks, attempt->start_usec);
        if (attempt->ended)
            journal_add_ended(&buf, SALT, &attempt->ident, &attempt->end);
    }
    struct journal_state again;
    journal_read(buf.data, buf.len, &again);
    check_state(&again);
    must(!again.cut && !again.damaged && again.n_attempts == state->n_attempts && again.n_forgotten == state->n_forgotten);
    must(strcmp(again.instance, state->instance) == 0 && strcmp(again.boot_id, state->boot_id) == 0);
    for (size_t i = 0; i < state->n_attempts; i++) {
        const struct journal_attempt *a = &state->attempts[i], *b = &again.attempts[i];
        must(memcmp(&a->ident, &b->ident, sizeof(a->ident)) == 0 || a->ident.fence == b->ident.fence);
        must(a->pid == b->pid && a->pid_ticks == b->pid_ticks && a->start_usec == b->start_usec && a->ended == b->ended);
        must(a->end.outcome == b->end.outcome && a->end.wall_usec == b->end.wall_usec && same_text(a->end.message, b->end.message));
    }
    journal_state_release(&again);
    buf_release(&buf);
}

static void try_journal(const void *data, size_t len)
{
    struct journal_state state;
    journal_read(data, len, &state);
    check_state(&state);
    write_anew(&state);
    journal_state_release(&state);
}

// Chunks of the input, each behind a length byte, as records.
static void frame_records(struct buf *buf, const uint8_t *data, size_t size)
{
    journal_header(buf, SALT);
    struct writer w;
    writer_init(&w, buf);
    while (size > 1) {
        size_t len = data[0];
        data++;
        size--;
        if (len > size)
            len = size;
        writer_u32(&w, (uint32_t)len);
        writer_u32(&w, (uint32_t)hash_bytes(data, len, SALT));
        writer_bytes(&w, data, len);
        data += len;
        size -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536)
        return 0;
    try_journal(data, size);
    struct buf framed = {0};
    frame_records(&framed, data, size);
    try_journal(framed.data, framed.len);
    buf_release(&framed);
    // The frames of the control socket are read by the same reader of bytes.
    struct arena arena;
    struct control_message message;
    size_t len = 0;
    arena_init(&arena, 0);
    if (control_frame(data, size, &len, NULL) == 0 && len > 0)
        (void)control_unpack(data, len, &arena, &message, NULL);
    arena_release(&arena);
    return 0;
}
