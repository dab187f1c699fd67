// SPDX-License-Identifier: Apache-2.0
// The bytes of the spawner's journal and their fold.

#include "exec/journal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

static const char journal_magic[8] = {'M', 'S', 'P', 'O', 'O', 'L', '0', '1'};

enum journal_kind { J_INSTANCE = 1, J_ACCEPTED, J_STARTED, J_ENDED, J_FORGOTTEN, J_KINDS };

enum { FRAME_BYTES = 8 };

void journal_header(struct buf *buf, uint64_t salt)
{
    struct writer w;
    writer_init(&w, buf);
    writer_bytes(&w, journal_magic, sizeof(journal_magic));
    writer_u64(&w, salt);
}

static uint32_t record_check(const void *payload, size_t len, uint64_t salt)
{
    return (uint32_t)hash_bytes(payload, len, salt);
}

static size_t record_begin(struct writer *w, struct buf *buf, enum journal_kind kind)
{
    writer_init(w, buf);
    size_t at = buf->len;
    writer_u32(w, 0);
    writer_u32(w, 0);
    writer_u8(w, (uint8_t)kind);
    return at;
}

static void record_end(struct writer *w, struct buf *buf, size_t at, uint64_t salt)
{
    size_t len = buf->len - at - FRAME_BYTES;
    must(len > 0 && len <= JOURNAL_RECORD_MAX);
    writer_patch_u32(w, at, (uint32_t)len);
    writer_patch_u32(w, at + 4, record_check(buf->data + at + FRAME_BYTES, len, salt));
}

void journal_add_instance(struct buf *buf, uint64_t salt, const char *instance, const char *boot_id)
{
    struct writer w;
    size_t at = record_begin(&w, buf, J_INSTANCE);
    writer_blob(&w, instance, strlen(instance));
    writer_blob(&w, boot_id, strlen(boot_id));
    record_end(&w, buf, at, salt);
}

static void add_ident(struct writer *w, const struct exec_ident *ident)
{
    must(ident->fence != 0);
    writer_varint(w, ident->fence);
    writer_varint(w, ident->run_id);
    writer_varint(w, ident->index);
    writer_varint(w, ident->attempt);
    writer_u8(w, (uint8_t)ident->delivery);
}

void journal_add_accepted(struct buf *buf, uint64_t salt, const struct exec_ident *ident)
{
    struct writer w;
    size_t at = record_begin(&w, buf, J_ACCEPTED);
    add_ident(&w, ident);
    record_end(&w, buf, at, salt);
}

void journal_add_started(struct buf *buf, uint64_t salt, uint64_t fence, int32_t pid, uint64_t pid_ticks, usec_t start_usec)
{
    struct writer w;
    size_t at = record_begin(&w, buf, J_STARTED);
    writer_varint(&w, fence);
    writer_u32(&w, (uint32_t)pid);
    writer_varint(&w, pid_ticks);
    writer_u64(&w, (uint64_t)start_usec);
    record_end(&w, buf, at, salt);
}

void journal_add_ended(struct buf *buf, uint64_t salt, const struct exec_ident *ident, const struct attempt_end *end)
{
    must(ident->fence == end->fence);
    struct writer w;
    size_t at = record_begin(&w, buf, J_ENDED);
    add_ident(&w, ident);
    writer_u8(&w, (uint8_t)end->outcome);
    writer_u32(&w, (uint32_t)end->exit_code);
    writer_u32(&w, (uint32_t)end->signal);
    writer_u64(&w, (uint64_t)end->start_usec);
    writer_u64(&w, (uint64_t)end->wall_usec);
    writer_varint(&w, end->usage.cpu_usec);
    writer_varint(&w, end->usage.memory_peak_bytes);
    writer_varint(&w, end->usage.read_bytes);
    writer_varint(&w, end->usage.written_bytes);
    writer_varint(&w, end->usage.output_bytes);
    size_t len = end->message == NULL ? 0 : strlen(end->message);
    writer_blob(&w, end->message, len < JOURNAL_MESSAGE_MAX ? len : JOURNAL_MESSAGE_MAX);
    record_end(&w, buf, at, salt);
}

void journal_add_forgotten(struct buf *buf, uint64_t salt, const uint64_t *fences, size_t n)
{
    while (n > 0) {
        size_t some = n < 512 ? n : 512; // 512 of at most 10 bytes each stay below the longest record
        struct writer w;
        size_t at = record_begin(&w, buf, J_FORGOTTEN);
        writer_varint(&w, some);
        for (size_t i = 0; i < some; i++)
            writer_varint(&w, fences[i]);
        record_end(&w, buf, at, salt);
        fences += some;
        n -= some;
    }
}

// The fold while it is made.
struct fold {
    struct journal_state *state;
    struct map by_fence; // -> index in attempts + 1
    size_t attempts_cap, forgotten_cap;
};

static struct journal_attempt *fold_attempt(struct fold *fold, uint64_t fence, bool make)
{
    struct journal_state *state = fold->state;
    uintptr_t found = (uintptr_t)map_get(&fold->by_fence, fence);
    if (found != 0)
        return &state->attempts[found - 1];
    if (!make)
        return NULL;
    if (state->n_attempts == fold->attempts_cap) {
        fold->attempts_cap = fold->attempts_cap == 0 ? 64 : 2 * fold->attempts_cap;
        state->attempts = mem_realloc_array(state->attempts, fold->attempts_cap, sizeof(*state->attempts));
    }
    struct journal_attempt *attempt = &state->attempts[state->n_attempts++];
    *attempt = (struct journal_attempt){.ident.fence = fence};
    map_put(&fold->by_fence, fence, (void *)(uintptr_t)state->n_attempts);
    return attempt;
}

static void fold_forget(struct fold *fold, uint64_t fence)
{
    struct journal_state *state = fold->state;
    if (state->n_forgotten == fold->forgotten_cap) {
        fold->forgotten_cap = fold->forgotten_cap == 0 ? 64 : 2 * fold->forgotten_cap;
        state->forgotten = mem_realloc_array(state->forgotten, fold->forgotten_cap, sizeof(*state->forgotten));
    }
    state->forgotten[state->n_forgotten++] = fence;
    uintptr_t found = (uintptr_t)map_del(&fold->by_fence, fence);
    if (found == 0)
        return;
    size_t last = --state->n_attempts, at = found - 1;
    mem_free((void *)state->attempts[at].end.message);
    if (at == last)
        return;
    state->attempts[at] = state->attempts[last];
    map_put(&fold->by_fence, state->attempts[at].ident.fence, (void *)(uintptr_t)(at + 1));
}

static bool read_ident(struct reader *r, struct exec_ident *ret)
{
    ret->fence = reader_varint(r);
    ret->run_id = reader_varint(r);
    uint64_t index = reader_varint(r), attempt = reader_varint(r);
    uint8_t delivery = reader_u8(r);
    ret->index = (uint32_t)index;
    ret->attempt = (uint32_t)attempt;
    ret->delivery = (enum delivery)delivery;
    return !r->bad && ret->fence != 0 && index <= UINT32_MAX && attempt <= UINT32_MAX && delivery <= AT_MOST_ONCE;
}

static bool fold_ended(struct fold *fold, struct reader *r)
{
    struct exec_ident ident;
    if (!read_ident(r, &ident))
        return false;
    struct attempt_end end = {.fence = ident.fence};
    uint8_t outcome = reader_u8(r);
    end.outcome = (enum outcome)outcome;
    end.exit_code = (int32_t)reader_u32(r);
    end.signal = (int32_t)reader_u32(r);
    end.start_usec = (usec_t)reader_u64(r);
    end.wall_usec = (usec_t)reader_u64(r);
    end.usage.cpu_usec = reader_varint(r);
    end.usage.memory_peak_bytes = reader_varint(r);
    end.usage.read_bytes = reader_varint(r);
    end.usage.written_bytes = reader_varint(r);
    end.usage.output_bytes = reader_varint(r);
    size_t len;
    const uint8_t *message = reader_blob(r, &len);
    if (!reader_done(r) || outcome >= OUTCOMES || len > JOURNAL_MESSAGE_MAX)
        return false;
    struct journal_attempt *attempt = fold_attempt(fold, ident.fence, true);
    attempt->ident = ident;
    if (attempt->ended)
        return true; // the first end counts: it may have been told
    attempt->ended = true;
    attempt->end = end;
    if (len > 0)
        attempt->end.message = mem_strndup((const char *)message, len);
    return true;
}

static bool fold_text(struct reader *r, char *ret, size_t size)
{
    size_t len;
    const uint8_t *text = reader_blob(r, &len);
    if (text == NULL || len >= size || memchr(text, 0, len) != NULL)
        return false;
    memcpy(ret, text, len);
    ret[len] = '\0';
    return true;
}

static bool fold_started(struct fold *fold, struct reader *r)
{
    uint64_t fence = reader_varint(r);
    int32_t pid = (int32_t)reader_u32(r);
    uint64_t pid_ticks = reader_varint(r);
    usec_t start_usec = (usec_t)reader_u64(r);
    if (!reader_done(r) || pid <= 0)
        return false;
    struct journal_attempt *attempt = fold_attempt(fold, fence, false);
    if (attempt != NULL) {
        attempt->pid = pid;
        attempt->pid_ticks = pid_ticks;
        attempt->start_usec = start_usec;
    }
    return true;
}

// Takes one record in; false when its bytes make no sense although their checksum is right.
static bool fold_record(struct fold *fold, const uint8_t *payload, size_t len)
{
    struct reader r;
    reader_init(&r, payload, len);
    switch ((enum journal_kind)reader_u8(&r)) {
    case J_INSTANCE:
        return fold_text(&r, fold->state->instance, sizeof(fold->state->instance)) &&
               fold_text(&r, fold->state->boot_id, sizeof(fold->state->boot_id));
    case J_ACCEPTED: {
        struct exec_ident ident;
        if (!read_ident(&r, &ident) || !reader_done(&r))
            return false;
        fold_attempt(fold, ident.fence, true)->ident = ident;
        return true;
    }
    case J_STARTED:
        return fold_started(fold, &r);
    case J_ENDED:
        return fold_ended(fold, &r);
    case J_FORGOTTEN: {
        uint64_t n = reader_varint(&r);
        for (uint64_t i = 0; i < n && !r.bad; i++) {
            uint64_t fence = reader_varint(&r);
            if (!r.bad)
                fold_forget(fold, fence);
        }
        return reader_done(&r);
    }
    case J_KINDS:
        break;
    }
    return false;
}

// Length of the payload of the record at `data`, or 0 when there is none whole and right.
static size_t record_at(const uint8_t *data, size_t len, uint64_t salt)
{
    struct reader r;
    reader_init(&r, data, len);
    uint32_t payload_len = reader_u32(&r);
    uint32_t check = reader_u32(&r);
    if (payload_len == 0 || payload_len > JOURNAL_RECORD_MAX)
        return 0;
    const uint8_t *payload = reader_bytes(&r, payload_len);
    if (payload == NULL || payload[0] == 0 || payload[0] >= J_KINDS || record_check(payload, payload_len, salt) != check)
        return 0;
    return payload_len;
}

static bool all_zero(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != 0)
            return false;
    return true;
}

static int attempt_order(const void *a, const void *b)
{
    const struct journal_attempt *x = a, *y = b;
    return (x->ident.fence > y->ident.fence) - (x->ident.fence < y->ident.fence);
}

static void fold_records(struct fold *fold, const uint8_t *data, size_t len, uint64_t salt)
{
    struct journal_state *state = fold->state;
    for (size_t pos = JOURNAL_HEADER_BYTES; pos < len;) {
        size_t payload_len = record_at(data + pos, len - pos, salt);
        if (payload_len > 0) {
            if (!fold_record(fold, data + pos + FRAME_BYTES, payload_len))
                state->damaged = true;
            pos += FRAME_BYTES + payload_len;
            continue;
        }
        // Nothing whole is here. Either the file ends so, or something whole comes behind the damage.
        size_t next = pos + 1;
        while (next < len && record_at(data + next, len - next, salt) == 0)
            next++;
        if (next >= len) {
            state->cut = !all_zero(data + pos, len - pos);
            return;
        }
        state->damaged = true;
        pos = next;
    }
}

void journal_read(const void *data, size_t len, struct journal_state *ret)
{
    must(data != NULL || len == 0);
    *ret = (struct journal_state){0};
    if (len == 0)
        return;
    struct reader r;
    reader_init(&r, data, len);
    const uint8_t *magic = reader_bytes(&r, sizeof(journal_magic));
    uint64_t salt = reader_u64(&r);
    if (r.bad || memcmp(magic, journal_magic, sizeof(journal_magic)) != 0) {
        ret->damaged = len >= JOURNAL_HEADER_BYTES;
        ret->cut = !ret->damaged;
        return;
    }
    struct fold fold = {.state = ret};
    fold_records(&fold, data, len, salt);
    map_release(&fold.by_fence);
    if (ret->n_attempts > 0)
        qsort(ret->attempts, ret->n_attempts, sizeof(*ret->attempts), attempt_order);
    if (ret->n_forgotten > JOURNAL_FORGOTTEN_MAX) {
        size_t drop = ret->n_forgotten - JOURNAL_FORGOTTEN_MAX;
        memmove(ret->forgotten, ret->forgotten + drop, JOURNAL_FORGOTTEN_MAX * sizeof(*ret->forgotten));
        ret->n_forgotten = JOURNAL_FORGOTTEN_MAX;
    }
}

void journal_state_release(struct journal_state *state)
{
    if (state == NULL)
        return;
    for (size_t i = 0; i < state->n_attempts; i++)
        mem_free((void *)state->attempts[i].end.message);
    mem_free(state->attempts);
    mem_free(state->forgotten);
    *state = (struct journal_state){0};
}
