// SPDX-License-Identifier: Apache-2.0
// Shapes that records, snapshots and messages share.
#include "codec/shapes.h"

#include <string.h>

#include "base/assert.h"
#include "codec/spec.h"

void calendar_pack(struct arena *arena, Muster__Calendar *message, const struct calendar *calendar)
{
    must(calendar_fault(calendar) == NULL);
    size_t n = calendar->n_dates;
    int32_t *first = arena_array(arena, int32_t, n);
    uint32_t *span = arena_array(arena, uint32_t, n), *label = arena_array(arena, uint32_t, n);
    muster__calendar__init(message);
    message->name = pb_text(calendar->name);
    message->description = pb_text(calendar->description);
    message->labels = arena_array(arena, char *, n);
    for (size_t i = 0; i < n; i++) {
        const struct calendar_dates *dates = &calendar->dates[i];
        first[i] = dates->first_day;
        span[i] = (uint32_t)(dates->last_day - dates->first_day);
        if (dates->label == NULL)
            continue;
        if (message->n_labels == 0 || strcmp(message->labels[message->n_labels - 1], dates->label) != 0)
            message->labels[message->n_labels++] = pb_text(dates->label);
        label[i] = (uint32_t)message->n_labels;
    }
    message->first = column32_pack(arena, &message->n_first, first, sizeof(*first), n, COLUMN_KEY);
    message->span = column32_pack(arena, &message->n_span, span, sizeof(*span), n, COLUMN_PLAIN);
    message->label = column32_pack(arena, &message->n_label, label, sizeof(*label), n, COLUMN_PLAIN);
}

// The columns of the dates, each of which n entries long is asked for.
struct date_columns {
    uint32_t span, label;
};

int calendar_unpack(struct unpacker *u, const Muster__Calendar *from, const struct calendar **ret_calendar)
{
    if (from == NULL)
        return unpack_bad(u, "it has no calendar");
    size_t n = from->n_first;
    int rc = entries_check(u, n);
    if (rc < 0)
        return rc;
    const uint32_t *first = key32_unpack(from->first, n);
    struct date_columns *columns = arena_array(u->arena, struct date_columns, n);
    struct calendar_dates *dates = arena_array(u->arena, struct calendar_dates, n);
    rc = column32_unpack(u, "span", from->span, from->n_span, &columns->span, sizeof(*columns), n, COLUMN_PLAIN);
    if (rc == 0)
        rc = column32_unpack(u, "label", from->label, from->n_label, &columns->label, sizeof(*columns), n, COLUMN_PLAIN);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (first[i] > CALENDAR_DAY_LAST || columns[i].span > CALENDAR_DAY_LAST - first[i] || columns[i].label > from->n_labels)
            return unpack_bad(u, "a date of a calendar is out of its range");
        dates[i] = (struct calendar_dates){.first_day = (int32_t)first[i], .last_day = (int32_t)(first[i] + columns[i].span)};
        if (columns[i].label > 0)
            dates[i].label = from->labels[columns[i].label - 1];
    }
    if (rc < 0)
        return rc;
    struct calendar *calendar = arena_new(u->arena, struct calendar);
    *calendar = (struct calendar){.name = from->name, .description = text_or_null(from->description), .dates = dates, .n_dates = n};
    const char *fault = calendar_fault(calendar);
    if (fault != NULL)
        return unpack_bad(u, "%s", fault);
    *ret_calendar = calendar;
    return 0;
}

void node_info_pack(struct arena *arena, Muster__NodeInfo *message, const struct node_info *info)
{
    must(needs_sorted(info->capacity, info->n_capacity));
    must(pairs_sorted(info->labels, info->n_labels));
    muster__node_info__init(message);
    message->name = pb_text(info->name);
    message->identity = pb_text(info->identity);
    message->spawner = pb_text(info->spawner);
    message->boot_id = pb_text(info->boot_id);
    message->version = pb_text(info->version);
    message->tasks_max = info->tasks_max;
    message->n_warnings = info->n_warnings;
    message->warnings = (char **)info->warnings;
    message->n_capacity_name = message->n_capacity_amount = info->n_capacity;
    message->capacity_name = arena_array(arena, char *, info->n_capacity);
    message->capacity_amount = arena_array(arena, uint64_t, info->n_capacity);
    for (size_t i = 0; i < info->n_capacity; i++) {
        message->capacity_name[i] = pb_text(info->capacity[i].name);
        message->capacity_amount[i] = info->capacity[i].amount;
    }
    message->n_label_key = message->n_label_value = info->n_labels;
    message->label_key = arena_array(arena, char *, info->n_labels);
    message->label_value = arena_array(arena, char *, info->n_labels);
    for (size_t i = 0; i < info->n_labels; i++) {
        message->label_key[i] = pb_text(info->labels[i].key);
        message->label_value[i] = pb_text(info->labels[i].value);
    }
}

int node_info_unpack(struct unpacker *u, const Muster__NodeInfo *from, struct node_info *ret_info)
{
    if (from == NULL || from->name[0] == '\0')
        return unpack_bad(u, "it does not name the node");
    if (from->n_capacity_name != from->n_capacity_amount)
        return unpack_bad(u, "its capacity has %zu names and %zu amounts", from->n_capacity_name, from->n_capacity_amount);
    if (from->n_label_key != from->n_label_value)
        return unpack_bad(u, "its labels have %zu keys and %zu values", from->n_label_key, from->n_label_value);
    struct resource_need *capacity = arena_array(u->arena, struct resource_need, from->n_capacity_name);
    for (size_t i = 0; i < from->n_capacity_name; i++)
        capacity[i] = (struct resource_need){.name = from->capacity_name[i], .amount = from->capacity_amount[i]};
    struct pair *label = arena_array(u->arena, struct pair, from->n_label_key);
    for (size_t i = 0; i < from->n_label_key; i++)
        label[i] = (struct pair){.key = from->label_key[i], .value = from->label_value[i]};
    if (!needs_sorted(capacity, from->n_capacity_name) || !pairs_sorted(label, from->n_label_key))
        return unpack_bad(u, "the resources or labels of its node are not sorted");
    *ret_info = (struct node_info){
        .name = from->name,
        .identity = from->identity,
        .spawner = from->spawner,
        .boot_id = from->boot_id,
        .version = from->version,
        .capacity = capacity,
        .n_capacity = from->n_capacity_name,
        .labels = label,
        .n_labels = from->n_label_key,
        .tasks_max = from->tasks_max,
        .warnings = (const char *const *)from->warnings,
        .n_warnings = from->n_warnings,
    };
    return 0;
}

int entries_check(struct unpacker *u, size_t n)
{
    if (n > UNPACK_ENTRIES_MAX)
        return unpack_bad(u, "it has %zu entries, more than %d", n, UNPACK_ENTRIES_MAX);
    return 0;
}

// Message texts repeat: one text is often that of a thousand ends in a row. Equal neighbours and the same pointer are found.
static void messages_pack(struct arena *arena, Muster__AttemptEnds *message, const char *first, size_t stride_bytes, size_t n)
{
    size_t n_texts = 0;
    for (size_t i = 0; i < n; i++) {
        const struct attempt_end *end = (const struct attempt_end *)(first + i * stride_bytes);
        n_texts += end->message != NULL && end->message[0] != '\0';
    }
    if (n_texts == 0)
        return;
    uint32_t *number = arena_array(arena, uint32_t, n);
    message->messages = arena_array(arena, char *, n_texts);
    uint32_t last = 0;
    for (size_t i = 0; i < n; i++) {
        const char *text = ((const struct attempt_end *)(first + i * stride_bytes))->message;
        if (text == NULL || text[0] == '\0')
            continue;
        if (last == 0 || (message->messages[last - 1] != text && strcmp(message->messages[last - 1], text) != 0))
            message->messages[last++] = pb_text(text);
        number[i] = last;
    }
    message->n_messages = last;
    message->message = column32_pack(arena, &message->n_message, number, sizeof(*number), n, COLUMN_PLAIN);
}

void attempt_ends_pack(struct arena *arena, Muster__AttemptEnds *m, const struct attempt_end *first, size_t stride_bytes, size_t n)
{
    must(n <= UNPACK_ENTRIES_MAX);
    muster__attempt_ends__init(m);
    if (n == 0)
        return;
#define PACK(width, field, list, form) \
    m->list = column##width##_pack(arena, &m->n_##list, &first->field, stride_bytes, n, form)
    PACK(64, fence, fence, COLUMN_KEY);
    PACK(32, outcome, outcome, COLUMN_PLAIN);
    PACK(32, exit_code, exit_code, COLUMN_PLAIN);
    PACK(32, signal, signal, COLUMN_PLAIN);
    PACK(64, start_usec, start_usec, COLUMN_STEPS);
    PACK(64, wall_usec, wall_usec, COLUMN_PLAIN);
    PACK(64, usage.cpu_usec, cpu_usec, COLUMN_PLAIN);
    PACK(64, usage.memory_peak_bytes, memory_peak_bytes, COLUMN_PLAIN);
    PACK(64, usage.read_bytes, read_bytes, COLUMN_PLAIN);
    PACK(64, usage.written_bytes, written_bytes, COLUMN_PLAIN);
    PACK(64, usage.output_bytes, output_bytes, COLUMN_PLAIN);
#undef PACK
    messages_pack(arena, m, (const char *)first, stride_bytes, n);
    for (size_t i = 0; i < m->n_outcome; i++)
        must((unsigned)m->outcome[i] < OUTCOMES);
}

static int messages_unpack(struct unpacker *u, const Muster__AttemptEnds *m, char *first, size_t stride_bytes, size_t n)
{
    if (m->n_message == 0)
        return 0;
    uint32_t *number = arena_array(u->arena, uint32_t, n);
    int rc = column32_unpack(u, "message", m->message, m->n_message, number, sizeof(*number), n, COLUMN_PLAIN);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (number[i] > m->n_messages)
            return unpack_bad(u, "its text %u is not there", number[i]);
        struct attempt_end *end = (struct attempt_end *)(first + i * stride_bytes);
        if (number[i] > 0)
            end->message = text_or_null(m->messages[number[i] - 1]);
    }
    return 0;
}

int attempt_ends_unpack(struct unpacker *u, const Muster__AttemptEnds *m, struct attempt_end *first, size_t stride_bytes)
{
    size_t n = m->n_fence;
    int rc = 0;
#define UNPACK(width, field, list, form) \
    rc = rc < 0 ? rc : column##width##_unpack(u, #list, m->list, m->n_##list, &first->field, stride_bytes, n, form)
    UNPACK(64, fence, fence, COLUMN_KEY);
    UNPACK(32, outcome, outcome, COLUMN_PLAIN);
    UNPACK(32, exit_code, exit_code, COLUMN_PLAIN);
    UNPACK(32, signal, signal, COLUMN_PLAIN);
    UNPACK(64, start_usec, start_usec, COLUMN_STEPS);
    UNPACK(64, wall_usec, wall_usec, COLUMN_PLAIN);
    UNPACK(64, usage.cpu_usec, cpu_usec, COLUMN_PLAIN);
    UNPACK(64, usage.memory_peak_bytes, memory_peak_bytes, COLUMN_PLAIN);
    UNPACK(64, usage.read_bytes, read_bytes, COLUMN_PLAIN);
    UNPACK(64, usage.written_bytes, written_bytes, COLUMN_PLAIN);
    UNPACK(64, usage.output_bytes, output_bytes, COLUMN_PLAIN);
#undef UNPACK
    if (rc == 0)
        rc = messages_unpack(u, m, (char *)first, stride_bytes, n);
    if (rc == 0)
        rc = column_enum_check(u, "outcome", m->outcome, m->n_outcome, OUTCOMES);
    return rc;
}

void known_attempts_pack(struct arena *arena, Muster__KnownAttempts *m, const struct known_attempt *known, size_t n)
{
    must(n <= UNPACK_ENTRIES_MAX);
    muster__known_attempts__init(m);
    if (n == 0)
        return;
    uint32_t *running = arena_array(arena, uint32_t, n);
    for (size_t i = 0; i < n; i++)
        running[i] = known[i].running;
    m->fence = column64_pack(arena, &m->n_fence, &known->fence, sizeof(*known), n, COLUMN_KEY);
    m->running = column32_pack(arena, &m->n_running, running, sizeof(*running), n, COLUMN_PLAIN);
    m->start_usec = column64_pack(arena, &m->n_start_usec, &known->start_usec, sizeof(*known), n, COLUMN_STEPS);
}

int known_attempts_unpack(struct unpacker *u, const Muster__KnownAttempts *m, const struct known_attempt **ret_known, size_t *ret_n)
{
    size_t n = m != NULL ? m->n_fence : 0;
    if (m == NULL) {
        *ret_known = NULL;
        *ret_n = 0;
        return 0;
    }
    int rc = entries_check(u, n);
    if (rc < 0)
        return rc;
    struct known_attempt *known = arena_array(u->arena, struct known_attempt, n);
    uint32_t *running = arena_array(u->arena, uint32_t, n);
    rc = column64_unpack(u, "fence", m->fence, m->n_fence, &known->fence, sizeof(*known), n, COLUMN_KEY);
    if (rc == 0)
        rc = column32_unpack(u, "running", m->running, m->n_running, running, sizeof(*running), n, COLUMN_PLAIN);
    if (rc == 0)
        rc = column64_unpack(u, "start_usec", m->start_usec, m->n_start_usec, &known->start_usec, sizeof(*known), n, COLUMN_STEPS);
    if (rc == 0)
        rc = column_enum_check(u, "running", running, n, 2);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        known[i].running = running[i] != 0;
    *ret_known = known;
    *ret_n = n;
    return 0;
}

int64_t *spans_pack(struct arena *arena, size_t *ret_len, const struct instant_span *spans, size_t n)
{
    usec_t *numbers = arena_array(arena, usec_t, 2 * n);
    for (size_t i = 0; i < n; i++) {
        numbers[2 * i] = spans[i].first_usec;
        numbers[2 * i + 1] = spans[i].last_usec;
    }
    return column64_pack(arena, ret_len, numbers, sizeof(*numbers), 2 * n, COLUMN_KEY);
}

int spans_unpack(struct unpacker *u, int64_t *column, size_t len, const struct instant_span **ret_spans, size_t *ret_n)
{
    if (len % 2 != 0)
        return unpack_bad(u, "a stretch of instants has no end");
    const uint64_t *numbers = key64_unpack(column, len);
    struct instant_span *spans = arena_array(u->arena, struct instant_span, len / 2);
    for (size_t i = 0; i < len / 2; i++) {
        spans[i] = (struct instant_span){(usec_t)numbers[2 * i], (usec_t)numbers[2 * i + 1]};
        if (spans[i].first_usec > spans[i].last_usec || (i > 0 && spans[i].first_usec <= spans[i - 1].last_usec))
            return unpack_bad(u, "its stretches of instants do not ascend");
    }
    *ret_spans = spans;
    *ret_n = len / 2;
    return 0;
}
