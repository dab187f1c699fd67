// SPDX-License-Identifier: Apache-2.0
// Frames between agent and spawner.

#include "exec/control.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

enum { LENGTH_BYTES = 4, WARNINGS_MAX = 64 };

static void put_text(struct writer *w, const char *text)
{
    writer_blob(w, text, text == NULL ? 0 : strlen(text));
}

static const char *get_text(struct reader *r, struct arena *arena)
{
    size_t len;
    const uint8_t *text = reader_blob(r, &len);
    return text == NULL ? "" : arena_strndup(arena, (const char *)text, len);
}

static void put_end(struct writer *w, const struct attempt_end *end)
{
    writer_varint(w, end->fence);
    writer_u8(w, (uint8_t)end->outcome);
    writer_u32(w, (uint32_t)end->exit_code);
    writer_u32(w, (uint32_t)end->signal);
    writer_u64(w, (uint64_t)end->start_usec);
    writer_u64(w, (uint64_t)end->wall_usec);
    writer_varint(w, end->usage.cpu_usec);
    writer_varint(w, end->usage.memory_peak_bytes);
    writer_varint(w, end->usage.read_bytes);
    writer_varint(w, end->usage.written_bytes);
    writer_varint(w, end->usage.output_bytes);
    put_text(w, end->message);
}

static enum outcome get_outcome(struct reader *r)
{
    uint8_t outcome = reader_u8(r);
    if (outcome >= OUTCOMES)
        r->bad = true;
    return r->bad ? OUTCOME_LOST : (enum outcome)outcome;
}

static enum delivery get_delivery(struct reader *r)
{
    uint8_t delivery = reader_u8(r);
    if (delivery > AT_MOST_ONCE)
        r->bad = true;
    return delivery == AT_MOST_ONCE ? AT_MOST_ONCE : AT_LEAST_ONCE;
}

static uint32_t get_u32(struct reader *r)
{
    uint64_t number = reader_varint(r);
    if (number > UINT32_MAX)
        r->bad = true;
    return (uint32_t)number;
}

static void get_end(struct reader *r, struct arena *arena, struct attempt_end *ret)
{
    ret->fence = reader_varint(r);
    ret->outcome = get_outcome(r);
    ret->exit_code = (int32_t)reader_u32(r);
    ret->signal = (int32_t)reader_u32(r);
    ret->start_usec = (usec_t)reader_u64(r);
    ret->wall_usec = (usec_t)reader_u64(r);
    ret->usage.cpu_usec = reader_varint(r);
    ret->usage.memory_peak_bytes = reader_varint(r);
    ret->usage.read_bytes = reader_varint(r);
    ret->usage.written_bytes = reader_varint(r);
    ret->usage.output_bytes = reader_varint(r);
    const char *message = get_text(r, arena);
    ret->message = message[0] == '\0' ? NULL : message;
}

static void put_start(struct writer *w, const struct control_start *start)
{
    writer_varint(w, start->fence);
    writer_varint(w, start->run_id);
    writer_varint(w, start->job_id);
    writer_varint(w, start->index);
    writer_varint(w, start->attempt);
    writer_varint(w, start->position);
    writer_varint(w, start->n_tasks);
    writer_u64(w, (uint64_t)start->nominal_usec);
    writer_u64(w, (uint64_t)start->lease_until_boot_usec);
    writer_u8(w, (uint8_t)start->delivery);
    writer_blob(w, start->packed.data, start->packed.len);
    writer_blob(w, start->params.data, start->params.len);
    writer_varint(w, start->backfill_id);
}

static void get_start(struct reader *r, struct control_start *ret)
{
    ret->fence = reader_varint(r);
    ret->run_id = reader_varint(r);
    ret->job_id = reader_varint(r);
    ret->index = get_u32(r);
    ret->attempt = get_u32(r);
    ret->position = get_u32(r);
    ret->n_tasks = get_u32(r);
    ret->nominal_usec = (usec_t)reader_u64(r);
    ret->lease_until_boot_usec = (usec_t)reader_u64(r);
    ret->delivery = get_delivery(r);
    ret->packed.data = reader_blob(r, &ret->packed.len);
    if (!r->bad && reader_left(r) > 0)
        ret->params.data = reader_blob(r, &ret->params.len);
    if (!r->bad && reader_left(r) > 0)
        ret->backfill_id = reader_varint(r);
    if (ret->fence == 0)
        r->bad = true;
}

static void put_attempt(struct writer *w, const struct exec_attempt *attempt)
{
    writer_varint(w, attempt->fence);
    writer_varint(w, attempt->run_id);
    writer_varint(w, attempt->index);
    writer_varint(w, attempt->attempt);
    writer_u8(w, (uint8_t)attempt->delivery);
    writer_u8(w, attempt->running);
    writer_u64(w, (uint64_t)attempt->start_usec);
    if (!attempt->running)
        put_end(w, &attempt->end);
}

static void get_attempt(struct reader *r, struct arena *arena, struct exec_attempt *ret)
{
    ret->fence = reader_varint(r);
    ret->run_id = reader_varint(r);
    ret->index = get_u32(r);
    ret->attempt = get_u32(r);
    ret->delivery = get_delivery(r);
    ret->running = reader_u8(r) != 0;
    ret->start_usec = (usec_t)reader_u64(r);
    if (!ret->running)
        get_end(r, arena, &ret->end);
}

void control_pack(struct buf *buf, const struct control_message *message)
{
    struct writer w;
    writer_init(&w, buf);
    size_t at = buf->len;
    writer_u32(&w, 0);
    writer_u8(&w, (uint8_t)message->kind);
    switch (message->kind) {
    case CONTROL_HELLO_AGENT:
        writer_varint(&w, message->hello_agent.version);
        put_text(&w, message->hello_agent.node);
        writer_varint(&w, message->hello_agent.task_pids_max);
        writer_varint(&w, message->hello_agent.log_bytes_max);
        writer_varint(&w, message->hello_agent.log_total_bytes_max);
        break;
    case CONTROL_START:
        put_start(&w, &message->start);
        break;
    case CONTROL_STOP:
        writer_varint(&w, message->stop.fence);
        writer_u8(&w, (uint8_t)message->stop.why);
        break;
    case CONTROL_FORGET:
        writer_varint(&w, message->forget);
        break;
    case CONTROL_RENEW:
        writer_u64(&w, (uint64_t)message->renew);
        break;
    case CONTROL_HELLO_SPAWNER:
        writer_varint(&w, message->hello_spawner.version);
        put_text(&w, message->hello_spawner.instance);
        writer_varint(&w, message->hello_spawner.n_warnings);
        for (size_t i = 0; i < message->hello_spawner.n_warnings; i++)
            put_text(&w, message->hello_spawner.warnings[i]);
        break;
    case CONTROL_ATTEMPT:
        put_attempt(&w, &message->attempt);
        break;
    case CONTROL_LISTED:
        break;
    case CONTROL_STARTED:
        writer_varint(&w, message->started.fence);
        writer_u64(&w, (uint64_t)message->started.start_usec);
        break;
    case CONTROL_ENDED:
        put_end(&w, &message->ended);
        break;
    default:
        unreachable();
    }
    size_t len = buf->len - at - LENGTH_BYTES;
    must(len <= CONTROL_FRAME_MAX);
    writer_patch_u32(&w, at, (uint32_t)len);
}

int control_frame(const void *data, size_t len, size_t *ret_len, struct err *err)
{
    *ret_len = 0;
    if (len < LENGTH_BYTES)
        return 0;
    struct reader r;
    reader_init(&r, data, len);
    uint32_t body = reader_u32(&r);
    if (body == 0 || body > CONTROL_FRAME_MAX)
        return err_set(err, ERR_PROTOCOL, "a frame of %u bytes came over the control socket", body);
    if (reader_left(&r) >= body)
        *ret_len = LENGTH_BYTES + (size_t)body;
    return 0;
}

static void get_hello_spawner(struct reader *r, struct arena *arena, struct control_hello_spawner *ret)
{
    ret->version = get_u32(r);
    ret->instance = get_text(r, arena);
    uint64_t n = reader_varint(r);
    if (n > WARNINGS_MAX)
        r->bad = true;
    if (r->bad)
        return;
    const char **warnings = arena_array(arena, const char *, n + 1);
    for (uint64_t i = 0; i < n; i++)
        warnings[i] = get_text(r, arena);
    ret->warnings = warnings;
    ret->n_warnings = (size_t)n;
}

int control_unpack(const void *frame, size_t len, struct arena *arena, struct control_message *ret, struct err *err)
{
    struct reader r;
    reader_init(&r, frame, len);
    (void)reader_u32(&r);
    *ret = (struct control_message){.kind = (enum control_kind)reader_u8(&r)};
    switch (ret->kind) {
    case CONTROL_HELLO_AGENT:
        ret->hello_agent.version = get_u32(&r);
        ret->hello_agent.node = get_text(&r, arena);
        ret->hello_agent.task_pids_max = reader_varint(&r);
        ret->hello_agent.log_bytes_max = reader_varint(&r);
        ret->hello_agent.log_total_bytes_max = reader_varint(&r);
        break;
    case CONTROL_START:
        get_start(&r, &ret->start);
        break;
    case CONTROL_STOP:
        ret->stop.fence = reader_varint(&r);
        ret->stop.why = get_outcome(&r);
        break;
    case CONTROL_FORGET:
        ret->forget = reader_varint(&r);
        break;
    case CONTROL_RENEW:
        ret->renew = (usec_t)reader_u64(&r);
        break;
    case CONTROL_HELLO_SPAWNER:
        get_hello_spawner(&r, arena, &ret->hello_spawner);
        break;
    case CONTROL_ATTEMPT:
        get_attempt(&r, arena, &ret->attempt);
        break;
    case CONTROL_LISTED:
        break;
    case CONTROL_STARTED:
        ret->started.fence = reader_varint(&r);
        ret->started.start_usec = (usec_t)reader_u64(&r);
        break;
    case CONTROL_ENDED:
        get_end(&r, arena, &ret->ended);
        break;
    default:
        break; // of a newer version
    }
    if (r.bad)
        return err_set(err, ERR_PROTOCOL, "a message of kind %d over the control socket cannot be read", (int)ret->kind);
    return 0;
}
