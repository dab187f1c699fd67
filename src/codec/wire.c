// SPDX-License-Identifier: Apache-2.0
// Messages between server and agent into bytes.
#include <string.h>

#include "base/assert.h"
#include "codec/codec.h"
#include "codec/shapes.h"

// The message of a body, of which one is used.
union body {
    Muster__Challenge challenge;
    Muster__Hello hello;
    Muster__Welcome welcome;
    Muster__Refuse refuse;
    Muster__Heartbeat heartbeat;
    Muster__Lease lease;
    Muster__Start start;
    Muster__Stop stop;
    Muster__Report report;
    Muster__Ack ack;
    Muster__LogRead log_read;
    Muster__LogData log_data;
};

// How many of the specs before are looked at to find one again: orders come run by run.
enum { SPECS_LOOKED_AT = 8 };

static void pack_challenge(Muster__Challenge *m, const struct wire_challenge *w)
{
    must(w->nonce.len == WIRE_NONCE_BYTES);
    muster__challenge__init(m);
    m->version = w->version;
    m->epoch = w->epoch;
    m->nonce = pb_bytes(w->nonce);
}

static void pack_hello(struct arena *arena, Muster__Hello *m, const struct wire_hello *w)
{
    must(w->nonce.len == WIRE_NONCE_BYTES && w->proof.len == WIRE_PROOF_BYTES);
    must(w->hello.info != NULL);
    muster__hello__init(m);
    m->version = w->version;
    m->nonce = pb_bytes(w->nonce);
    m->proof = pb_bytes(w->proof);
    m->info = arena_new(arena, Muster__NodeInfo);
    node_info_pack(arena, m->info, w->hello.info);
    m->highest_epoch = w->hello.highest_epoch;
    m->known = arena_new(arena, Muster__KnownAttempts);
    known_attempts_pack(arena, m->known, w->hello.known, w->hello.n_known);
}

static void pack_welcome(struct arena *arena, Muster__Welcome *m, const struct wire_welcome *w)
{
    must(w->proof.len == WIRE_PROOF_BYTES);
    const struct fx_welcome *fx = &w->welcome;
    must(fx->lease_usec >= 0 && fx->heartbeat_usec >= 0);
    muster__welcome__init(m);
    m->proof = pb_bytes(w->proof);
    m->node_id = fx->node_id;
    m->epoch = fx->epoch;
    m->lease_usec = fx->lease_usec;
    m->heartbeat_usec = fx->heartbeat_usec;
    m->kill = column64_pack(arena, &m->n_kill, fx->kill, sizeof(*fx->kill), fx->n_kill, COLUMN_KEY);
    m->forget = column64_pack(arena, &m->n_forget, fx->forget, sizeof(*fx->forget), fx->n_forget, COLUMN_KEY);
}

static void pack_refuse(Muster__Refuse *m, const struct fx_refuse *fx)
{
    must(fx->code < 0);
    muster__refuse__init(m);
    m->code = fx->code;
    m->text = pb_text(fx->text);
}

static void pack_heartbeat(Muster__Heartbeat *m, uint64_t heartbeat)
{
    muster__heartbeat__init(m);
    m->heartbeat = heartbeat;
}

static void pack_lease(Muster__Lease *m, const struct fx_lease *fx)
{
    must(fx->lease_usec >= 0);
    muster__lease__init(m);
    m->heartbeat = fx->heartbeat;
    m->lease_usec = fx->lease_usec;
}

static bool specs_equal(ProtobufCBinaryData a, struct bytes b)
{
    return a.len == b.len && (a.data == b.data || memcmp(a.data, b.data, b.len) == 0);
}

// Each spec once: the one before is found by its content, some more by their place in memory.
static void pack_specs(struct arena *arena, Muster__Start *m, const struct start_order *order, size_t n)
{
    uint32_t *number = arena_array(arena, uint32_t, n);
    m->specs = arena_array(arena, ProtobufCBinaryData, n);
    for (size_t i = 0; i < n; i++) {
        struct bytes spec = order[i].spec;
        must(spec.len > 0);
        size_t found = m->n_specs;
        if (i > 0 && specs_equal(m->specs[number[i - 1]], spec))
            found = number[i - 1];
        for (size_t back = 1; found == m->n_specs && back <= m->n_specs && back <= SPECS_LOOKED_AT; back++) {
            const ProtobufCBinaryData *other = &m->specs[m->n_specs - back];
            if (other->data == spec.data && other->len == spec.len)
                found = m->n_specs - back;
        }
        if (found == m->n_specs)
            m->specs[m->n_specs++] = pb_bytes(spec);
        number[i] = (uint32_t)found;
    }
    m->spec = column32_pack(arena, &m->n_spec, number, sizeof(*number), n, COLUMN_PLAIN);
}

// Runs of one job often have the same values, so the set before is looked at.
static void pack_params(struct arena *arena, Muster__Start *m, const struct start_order *order, size_t n)
{
    uint32_t *number = arena_array(arena, uint32_t, n);
    m->params_sets = arena_array(arena, ProtobufCBinaryData, n);
    for (size_t i = 0; i < n; i++) {
        struct bytes params = order[i].params;
        if (params.len == 0)
            continue;
        if (m->n_params_sets == 0 || !specs_equal(m->params_sets[m->n_params_sets - 1], params))
            m->params_sets[m->n_params_sets++] = pb_bytes(params);
        number[i] = (uint32_t)m->n_params_sets;
    }
    m->params = column32_pack(arena, &m->n_params, number, sizeof(*number), n, COLUMN_PLAIN);
}

static void pack_start(struct arena *arena, Muster__Start *m, const struct fx_start *fx)
{
    must(fx->n <= UNPACK_ENTRIES_MAX);
    muster__start__init(m);
    if (fx->n == 0)
        return;
    size_t stride_bytes = sizeof(*fx->order);
    m->fence = column64_pack(arena, &m->n_fence, &fx->order->fence, stride_bytes, fx->n, COLUMN_KEY);
    m->run_id = column64_pack(arena, &m->n_run_id, &fx->order->run_id, stride_bytes, fx->n, COLUMN_STEPS);
    m->index = column32_pack(arena, &m->n_index, &fx->order->index, stride_bytes, fx->n, COLUMN_STEPS);
    m->attempt = column32_pack(arena, &m->n_attempt, &fx->order->attempt, stride_bytes, fx->n, COLUMN_PLAIN);
    m->position = column32_pack(arena, &m->n_position, &fx->order->position, stride_bytes, fx->n, COLUMN_STEPS);
    m->n_tasks = column32_pack(arena, &m->n_n_tasks, &fx->order->n_tasks, stride_bytes, fx->n, COLUMN_PLAIN);
    m->job_id = column64_pack(arena, &m->n_job_id, &fx->order->job_id, stride_bytes, fx->n, COLUMN_STEPS);
    m->nominal_usec = column64_pack(arena, &m->n_nominal_usec, &fx->order->nominal_usec, stride_bytes, fx->n, COLUMN_STEPS);
    m->backfill_id = column64_pack(arena, &m->n_backfill_id, &fx->order->backfill_id, stride_bytes, fx->n, COLUMN_STEPS);
    pack_specs(arena, m, fx->order, fx->n);
    pack_params(arena, m, fx->order, fx->n);
}

static void pack_stop(struct arena *arena, Muster__Stop *m, const struct fx_stop *fx)
{
    must((unsigned)fx->why < OUTCOMES);
    muster__stop__init(m);
    m->fence = column64_pack(arena, &m->n_fence, fx->fence, sizeof(*fx->fence), fx->n, COLUMN_KEY);
    m->why = (Muster__Outcome)fx->why;
}

static void pack_report(struct arena *arena, Muster__Report *m, const struct ev_node_report *report)
{
    muster__report__init(m);
    m->report_id = report->report_id;
    m->started = arena_new(arena, Muster__KnownAttempts);
    known_attempts_pack(arena, m->started, report->started, report->n_started);
    m->ended = arena_new(arena, Muster__AttemptEnds);
    attempt_ends_pack(arena, m->ended, report->ended, sizeof(*report->ended), report->n_ended);
}

static void pack_ack(Muster__Ack *m, const struct fx_ack *fx)
{
    muster__ack__init(m);
    m->report_id = fx->report_id;
}

static void pack_log_read(Muster__LogRead *m, const struct wire_log_read *w)
{
    must(w->stream <= 1);
    muster__log_read__init(m);
    m->request = w->request;
    m->run_id = w->run_id;
    m->index = w->index;
    m->attempt = w->attempt;
    m->stream = w->stream;
    m->offset = w->offset;
    m->max_bytes = w->max_bytes;
}

static void pack_log_data(Muster__LogData *m, const struct wire_log_data *w)
{
    must(w->code <= 0);
    muster__log_data__init(m);
    m->request = w->request;
    m->code = w->code;
    m->text = pb_text(w->text);
    m->offset = w->offset;
    m->end = w->end;
    m->final = w->final;
    m->data = pb_bytes(w->data);
}

static void pack_body(struct arena *arena, union body *b, const struct wire_message *w)
{
    switch (w->kind) {
    case WIRE_CHALLENGE:
        return pack_challenge(&b->challenge, &w->challenge);
    case WIRE_HELLO:
        return pack_hello(arena, &b->hello, &w->hello);
    case WIRE_WELCOME:
        return pack_welcome(arena, &b->welcome, &w->welcome);
    case WIRE_REFUSE:
        return pack_refuse(&b->refuse, &w->refuse);
    case WIRE_HEARTBEAT:
        return pack_heartbeat(&b->heartbeat, w->heartbeat);
    case WIRE_LEASE:
        return pack_lease(&b->lease, &w->lease);
    case WIRE_START:
        return pack_start(arena, &b->start, &w->start);
    case WIRE_STOP:
        return pack_stop(arena, &b->stop, &w->stop);
    case WIRE_REPORT:
        return pack_report(arena, &b->report, &w->report);
    case WIRE_ACK:
        return pack_ack(&b->ack, &w->ack);
    case WIRE_LOG_READ:
        return pack_log_read(&b->log_read, &w->log_read);
    case WIRE_LOG_DATA:
        return pack_log_data(&b->log_data, &w->log_data);
    case WIRE_KINDS:
        break;
    }
    unreachable();
}

void wire_pack(struct buf *buf, const struct wire_message *w)
{
    must(buf != NULL && w != NULL);
    must(w->kind > 0 && w->kind < WIRE_KINDS);
    struct arena arena;
    arena_init(&arena, 0);
    union body body;
    pack_body(&arena, &body, w);
    Muster__WireMessage message;
    muster__wire_message__init(&message);
    message.epoch = w->epoch;
    // A body has the number of its kind and 1 (codec/enums.c), and all of them share one pointer.
    message.body_case = (Muster__WireMessage__BodyCase)(w->kind + 1);
    message.challenge = &body.challenge;
    pack_message(buf, &message.base);
    arena_release(&arena);
}
