// SPDX-License-Identifier: Apache-2.0
// Packing of what happened to tasks. Numbers that follow each other are kept as differences.
#include "store/history_pack.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

enum { HAS_EXIT = 1, HAS_SIGNAL = 2, HAS_START = 4, HAS_USAGE = 8, HAS_MESSAGE = 16, HAS_RETRY = 32, HAS_WALL = 64, HAS_ALL = 127 };

static uint64_t zigzag(uint64_t from, uint64_t to)
{
    int64_t difference = (int64_t)(to - from);
    return (uint64_t)difference << 1 ^ (uint64_t)(difference >> 63);
}

static uint64_t unzigzag(uint64_t from, uint64_t packed)
{
    return from + (packed >> 1 ^ -(packed & 1));
}

static void widen(struct index_span *span, uint32_t first, uint32_t last)
{
    if (first < span->first)
        span->first = first;
    if (last > span->last)
        span->last = last;
}

// Indexes as ranges of neighbours.
static void pack_indexes(struct writer *writer, struct index_span *span, const uint32_t *index, size_t n)
{
    uint64_t expected = 0;
    for (size_t i = 0; i < n;) {
        size_t len = 1;
        while (i + len < n && index[i + len] == index[i] + len)
            len++;
        writer_varint(writer, zigzag(expected, index[i]));
        writer_varint(writer, len);
        widen(span, index[i], (uint32_t)(index[i] + len - 1));
        expected = (uint64_t)index[i] + len;
        i += len;
    }
}

void history_pack_placed(struct buf *buf, struct index_span *span, const struct record *record)
{
    const struct rec_tasks_placed *placed = &record->tasks_placed;
    struct writer writer;
    writer_init(&writer, buf);
    writer_u8(&writer, HAPPENED_PLACED);
    writer_varint(&writer, record->at_usec);
    writer_varint(&writer, placed->node_id);
    writer_varint(&writer, placed->first_fence);
    writer_u8(&writer, placed->attempt != NULL);
    writer_varint(&writer, placed->n);
    for (size_t i = 0; placed->attempt && i < placed->n; i++)
        writer_varint(&writer, placed->attempt[i]);
    pack_indexes(&writer, span, placed->index, placed->n);
}

void history_pack_cancelled(struct buf *buf, struct index_span *span, const struct record *record)
{
    const struct rec_tasks_cancelled *cancelled = &record->tasks_cancelled;
    struct writer writer;
    writer_init(&writer, buf);
    writer_u8(&writer, HAPPENED_CANCELLED);
    writer_varint(&writer, record->at_usec);
    writer_u8(&writer, (uint8_t)cancelled->to);
    writer_u8(&writer, cancelled->all);
    if (cancelled->all) {
        *span = (struct index_span){0, UINT32_MAX};
        return;
    }
    writer_varint(&writer, cancelled->n);
    pack_indexes(&writer, span, cancelled->index, cancelled->n);
}

static uint8_t flags_of(const struct task_end *entry)
{
    const struct usage *usage = &entry->end.usage;
    bool used = usage->cpu_usec || usage->memory_peak_bytes || usage->read_bytes || usage->written_bytes || usage->output_bytes;
    return (uint8_t)((entry->end.exit_code ? HAS_EXIT : 0) | (entry->end.signal ? HAS_SIGNAL : 0) | (entry->end.start_usec ? HAS_START : 0) |
                     (used ? HAS_USAGE : 0) | (entry->end.message ? HAS_MESSAGE : 0) | (entry->retry_usec ? HAS_RETRY : 0) |
                     (entry->end.wall_usec ? HAS_WALL : 0));
}

static void pack_end(struct writer *writer, usec_t at_usec, const struct task_end *entry)
{
    const struct attempt_end *end = &entry->end;
    uint8_t flags = flags_of(entry);
    writer_u8(writer, flags);
    writer_u8(writer, (uint8_t)((unsigned)end->outcome << 4 | (unsigned)entry->to));
    writer_varint(writer, entry->attempt);
    if (flags & HAS_EXIT)
        writer_varint(writer, zigzag(0, (uint64_t)(int64_t)end->exit_code));
    if (flags & HAS_SIGNAL)
        writer_varint(writer, zigzag(0, (uint64_t)(int64_t)end->signal));
    if (flags & HAS_START)
        writer_varint(writer, zigzag(at_usec, end->start_usec));
    if (flags & HAS_WALL)
        writer_varint(writer, end->wall_usec);
    if (flags & HAS_USAGE) {
        writer_varint(writer, end->usage.cpu_usec);
        writer_varint(writer, end->usage.memory_peak_bytes);
        writer_varint(writer, end->usage.read_bytes);
        writer_varint(writer, end->usage.written_bytes);
        writer_varint(writer, end->usage.output_bytes);
    }
    if (flags & HAS_RETRY)
        writer_varint(writer, zigzag(at_usec, entry->retry_usec));
    if (flags & HAS_MESSAGE)
        writer_blob(writer, end->message, strnlen(end->message, HISTORY_MESSAGE_BYTES));
}

void history_pack_ended(struct buf *buf, struct index_span *span, const struct record *record, size_t from, size_t to)
{
    _Static_assert(OUTCOMES <= 16 && TASK_STATES <= 16, "they share a byte");
    const struct rec_tasks_ended *ended = &record->tasks_ended;
    must(from < to && to <= ended->n);
    struct writer writer;
    writer_init(&writer, buf);
    writer_u8(&writer, HAPPENED_ENDED);
    writer_varint(&writer, record->at_usec);
    writer_varint(&writer, ended->node_id);
    writer_varint(&writer, to - from);
    uint64_t index = 0, fence = 0;
    for (size_t i = from; i < to; i++) {
        const struct task_end *entry = &ended->entry[i];
        writer_varint(&writer, zigzag(index, entry->index));
        writer_varint(&writer, zigzag(fence, entry->end.fence));
        index = (uint64_t)entry->index + 1;
        fence = entry->end.fence + 1;
        pack_end(&writer, record->at_usec, entry);
        widen(span, entry->index, entry->index);
    }
}

struct unpacking {
    struct reader reader;
    void (*visit)(void *, const struct happened *);
    void *context;
};

// A number that must fit 32 bits.
static uint32_t read_u32(struct reader *reader, uint64_t value)
{
    if (value > UINT32_MAX)
        reader->bad = true;
    return (uint32_t)value;
}

// More than any node takes at a time (node_tasks_max). Without it a few damaged bytes would stand for four thousand million tasks.
enum { ENTRY_TASKS_MAX = 1000000 };

// Calls visit for n indexes given as ranges: for each range, or (single) for each index.
static void unpack_indexes(struct unpacking *unpacking, struct happened *happened, uint64_t n, bool single, struct reader *attempts)
{
    struct reader *reader = &unpacking->reader;
    uint64_t expected = 0;
    while (n > 0 && !reader->bad) {
        uint64_t first = unzigzag(expected, reader_varint(reader));
        uint64_t len = reader_varint(reader);
        if (len == 0 || len > n || first > UINT32_MAX || first + len - 1 > UINT32_MAX || (single && n > ENTRY_TASKS_MAX)) {
            reader->bad = true;
            return;
        }
        happened->first = (uint32_t)first;
        happened->last = (uint32_t)(first + len - 1);
        if (!single)
            unpacking->visit(unpacking->context, happened);
        for (uint64_t i = 0; single && i < len; i++) {
            happened->first = happened->last = (uint32_t)(first + i);
            happened->attempt = attempts ? read_u32(reader, reader_varint(attempts)) : 1;
            unpacking->visit(unpacking->context, happened);
            happened->fence++;
        }
        expected = first + len;
        n -= len;
    }
}

static void unpack_placed(struct unpacking *unpacking, struct happened *happened)
{
    struct reader *reader = &unpacking->reader;
    happened->node_id = read_u32(reader, reader_varint(reader));
    happened->fence = reader_varint(reader);
    bool has_attempts = reader_u8(reader) != 0;
    uint64_t n = reader_varint(reader);
    struct reader attempts = *reader;
    for (uint64_t i = 0; has_attempts && i < n && !reader->bad; i++)
        reader_varint(reader);
    unpack_indexes(unpacking, happened, n, true, has_attempts ? &attempts : NULL);
}

static void unpack_cancelled(struct unpacking *unpacking, struct happened *happened)
{
    struct reader *reader = &unpacking->reader;
    uint8_t to = reader_u8(reader);
    happened->all = reader_u8(reader) != 0;
    if (to >= TASK_STATES)
        reader->bad = true;
    happened->to = (enum task_state)to;
    if (!happened->all) {
        unpack_indexes(unpacking, happened, reader_varint(reader), false, NULL);
    } else if (!reader->bad) {
        happened->first = 0;
        happened->last = UINT32_MAX;
        unpacking->visit(unpacking->context, happened);
    }
}

static void unpack_end(struct reader *reader, struct happened *happened)
{
    struct attempt_end *end = &happened->end;
    uint8_t flags = reader_u8(reader);
    uint8_t both = reader_u8(reader);
    if (flags > HAS_ALL || both >> 4 >= OUTCOMES || (both & 15) >= TASK_STATES)
        reader->bad = true;
    *end = (struct attempt_end){.fence = happened->fence, .outcome = (enum outcome)(both >> 4)};
    happened->to = (enum task_state)(both & 15);
    happened->attempt = read_u32(reader, reader_varint(reader));
    if (flags & HAS_EXIT)
        end->exit_code = (int32_t)unzigzag(0, reader_varint(reader));
    if (flags & HAS_SIGNAL)
        end->signal = (int32_t)unzigzag(0, reader_varint(reader));
    if (flags & HAS_START)
        end->start_usec = unzigzag(happened->at_usec, reader_varint(reader));
    if (flags & HAS_WALL)
        end->wall_usec = reader_varint(reader);
    if (flags & HAS_USAGE) {
        end->usage.cpu_usec = reader_varint(reader);
        end->usage.memory_peak_bytes = reader_varint(reader);
        end->usage.read_bytes = reader_varint(reader);
        end->usage.written_bytes = reader_varint(reader);
        end->usage.output_bytes = reader_varint(reader);
    }
    happened->retry_usec = flags & HAS_RETRY ? unzigzag(happened->at_usec, reader_varint(reader)) : 0;
    happened->message = NULL;
    happened->message_len = 0;
    if (flags & HAS_MESSAGE)
        happened->message = reader_blob(reader, &happened->message_len);
    if (happened->message_len > HISTORY_MESSAGE_BYTES)
        reader->bad = true;
}

static void unpack_ended(struct unpacking *unpacking, struct happened *happened)
{
    struct reader *reader = &unpacking->reader;
    happened->node_id = read_u32(reader, reader_varint(reader));
    uint64_t n = reader_varint(reader);
    uint64_t index = 0, fence = 0;
    for (uint64_t i = 0; i < n && !reader->bad; i++) {
        index = unzigzag(index, reader_varint(reader));
        fence = unzigzag(fence, reader_varint(reader));
        happened->first = happened->last = read_u32(reader, index);
        happened->fence = fence;
        unpack_end(reader, happened);
        if (!reader->bad)
            unpacking->visit(unpacking->context, happened);
        index++;
        fence++;
    }
}

int history_unpack(struct bytes bytes, void (*visit)(void *, const struct happened *), void *context, struct err *err)
{
    struct unpacking unpacking = {.visit = visit, .context = context};
    reader_init(&unpacking.reader, bytes.data, bytes.len);
    while (reader_left(&unpacking.reader) > 0) {
        struct happened happened = {.kind = (enum happened_kind)reader_u8(&unpacking.reader)};
        happened.at_usec = reader_varint(&unpacking.reader);
        if (happened.kind == HAPPENED_PLACED)
            unpack_placed(&unpacking, &happened);
        else if (happened.kind == HAPPENED_ENDED)
            unpack_ended(&unpacking, &happened);
        else if (happened.kind == HAPPENED_CANCELLED)
            unpack_cancelled(&unpacking, &happened);
        else
            unpacking.reader.bad = true;
    }
    if (unpacking.reader.bad)
        return err_set(err, ERR_STORE_CORRUPT, "the history holds results of tasks that cannot be read");
    return 0;
}
