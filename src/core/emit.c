// SPDX-License-Identifier: Apache-2.0
// What a decision gives: records, applied at once, and effects.
#include <string.h>

#include "base/assert.h"
#include "core/internal.h"

void outbox_init(struct outbox *out, struct arena *arena)
{
    must(arena != NULL);
    *out = (struct outbox){.arena = arena};
}

// Grows an array of pointers in the arena; what is left behind goes with the arena.
static void *grow(struct arena *arena, void *items, size_t len, size_t *cap)
{
    if (len < *cap)
        return items;
    size_t fresh_cap = *cap ? 2 * *cap : 64;
    void **fresh = arena_array(arena, void *, fresh_cap);
    if (len > 0)
        memcpy(fresh, items, len * sizeof(*fresh));
    *cap = fresh_cap;
    return fresh;
}

void decide_emit(struct decision *d, struct record *record)
{
    struct outbox *out = d->out;
    record->seq = d->core->seq + 1;
    record->at_usec = d->event->wall_usec;
    if (!record->by && d->event->by)
        record->by = arena_strdup(out->arena, d->event->by);
    struct record *kept = arena_memdup(out->arena, record, sizeof(*record));
    out->record = grow(out->arena, out->record, out->n_records, &out->cap_records);
    out->record[out->n_records++] = kept;
    core_apply(d->core, kept);
    must(d->core->seq == kept->seq);
}

struct effect *decide_effect(struct decision *d, enum effect_kind kind, uint64_t session)
{
    struct outbox *out = d->out;
    must(kind > 0 && kind < FX_KINDS);
    struct effect *effect = arena_new(out->arena, struct effect);
    effect->kind = kind;
    effect->session = session;
    out->effect = grow(out->arena, out->effect, out->n_effects, &out->cap_effects);
    out->effect[out->n_effects++] = effect;
    return effect;
}

struct fx_reply *decide_reply_ok(struct decision *d)
{
    struct effect *effect = decide_effect(d, FX_REPLY, 0);
    effect->reply.request = d->event->request;
    return &effect->reply;
}

_Static_assert(sizeof(((struct fx_reply *)0)->text) == sizeof(((struct err *)0)->text), "an error's sentence fits a reply");

void decide_reply(struct decision *d, int code, const struct err *err)
{
    must(code <= 0);
    struct fx_reply *reply = decide_reply_ok(d);
    reply->code = code;
    if (err)
        memcpy(reply->text, err->text, sizeof(reply->text));
}
