// SPDX-License-Identifier: Apache-2.0
// Bytes into messages between server and agent. What a function here fills was zeroed before.
#include <string.h>

#include "base/assert.h"
#include "codec/codec.h"
#include "codec/shapes.h"

static int length_check(struct unpacker *u, const char *name, ProtobufCBinaryData data, size_t len)
{
    if (data.len != len)
        return unpack_bad(u, "its %s has %zu bytes, not %zu", name, data.len, len);
    return 0;
}

static int unpack_challenge(struct unpacker *u, const Muster__Challenge *m, struct wire_challenge *w)
{
    w->version = m->version;
    w->epoch = m->epoch;
    w->nonce = bytes_from_pb(m->nonce);
    return length_check(u, "nonce", m->nonce, WIRE_NONCE_BYTES);
}

static int unpack_hello(struct unpacker *u, const Muster__Hello *m, struct wire_hello *w)
{
    struct node_info *info = arena_new(u->arena, struct node_info);
    w->version = m->version;
    w->nonce = bytes_from_pb(m->nonce);
    w->proof = bytes_from_pb(m->proof);
    w->hello.info = info;
    w->hello.highest_epoch = m->highest_epoch;
    int rc = length_check(u, "nonce", m->nonce, WIRE_NONCE_BYTES);
    if (rc == 0)
        rc = length_check(u, "proof", m->proof, WIRE_PROOF_BYTES);
    if (rc == 0)
        rc = node_info_unpack(u, m->info, info);
    if (rc == 0)
        rc = known_attempts_unpack(u, m->known, &w->hello.known, &w->hello.n_known);
    return rc;
}

static int unpack_welcome(struct unpacker *u, const Muster__Welcome *m, struct wire_welcome *w)
{
    w->proof = bytes_from_pb(m->proof);
    w->welcome = (struct fx_welcome){
        .node_id = m->node_id,
        .epoch = m->epoch,
        .lease_usec = m->lease_usec,
        .heartbeat_usec = m->heartbeat_usec,
        .kill = key64_unpack(m->kill, m->n_kill),
        .n_kill = m->n_kill,
        .forget = key64_unpack(m->forget, m->n_forget),
        .n_forget = m->n_forget,
    };
    if (m->lease_usec < 0 || m->heartbeat_usec < 0)
        return unpack_bad(u, "its lease or heartbeat is negative");
    return length_check(u, "proof", m->proof, WIRE_PROOF_BYTES);
}

static int unpack_refuse(struct unpacker *u, const Muster__Refuse *m, struct fx_refuse *fx)
{
    if (m->code >= 0)
        return unpack_bad(u, "it refuses with the code %d", m->code);
    fx->code = m->code;
    size_t len = strnlen(m->text, sizeof(fx->text));
    if (len == sizeof(fx->text)) {
        // Cut before a character of UTF-8 that would not be whole.
        len--;
        while (len > 0 && ((unsigned char)m->text[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(fx->text, m->text, len);
    return 0;
}

static int unpack_lease(struct unpacker *u, const Muster__Lease *m, struct fx_lease *fx)
{
    fx->heartbeat = m->heartbeat;
    fx->lease_usec = m->lease_usec;
    return m->lease_usec < 0 ? unpack_bad(u, "its lease is negative") : 0;
}

static int unpack_specs(struct unpacker *u, const Muster__Start *m, struct start_order *order, size_t n)
{
    uint32_t *number = arena_array(u->arena, uint32_t, n);
    int rc = column32_unpack(u, "spec", m->spec, m->n_spec, number, sizeof(*number), n, COLUMN_PLAIN);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (number[i] >= m->n_specs || m->specs[number[i]].len == 0)
            return unpack_bad(u, "its spec %u is not there", number[i]);
        order[i].spec = bytes_from_pb(m->specs[number[i]]);
    }
    return 0;
}

static int unpack_params(struct unpacker *u, const Muster__Start *m, struct start_order *order, size_t n)
{
    uint32_t *number = arena_array(u->arena, uint32_t, n);
    int rc = column32_unpack(u, "params", m->params, m->n_params, number, sizeof(*number), n, COLUMN_PLAIN);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (number[i] > m->n_params_sets)
            return unpack_bad(u, "its set of parameters %u is not there", number[i]);
        if (number[i] > 0)
            order[i].params = bytes_from_pb(m->params_sets[number[i] - 1]);
    }
    return 0;
}

static int unpack_start(struct unpacker *u, const Muster__Start *m, struct fx_start *fx)
{
    size_t n = m->n_fence;
    int rc = entries_check(u, n);
    if (rc < 0)
        return rc;
    struct start_order *order = arena_array(u->arena, struct start_order, n);
    fx->n = n;
    fx->order = order;
#define UNPACK(width, field, form) \
    rc = rc < 0 ? rc : column##width##_unpack(u, #field, m->field, m->n_##field, &order->field, sizeof(*order), n, form)
    UNPACK(64, fence, COLUMN_KEY);
    UNPACK(64, run_id, COLUMN_STEPS);
    UNPACK(32, index, COLUMN_STEPS);
    UNPACK(32, attempt, COLUMN_PLAIN);
    UNPACK(32, position, COLUMN_STEPS);
    UNPACK(32, n_tasks, COLUMN_PLAIN);
    UNPACK(64, job_id, COLUMN_STEPS);
    UNPACK(64, nominal_usec, COLUMN_STEPS);
    UNPACK(64, backfill_id, COLUMN_STEPS);
#undef UNPACK
    rc = rc < 0 ? rc : unpack_specs(u, m, order, n);
    return rc < 0 ? rc : unpack_params(u, m, order, n);
}

static int unpack_stop(struct unpacker *u, const Muster__Stop *m, struct fx_stop *fx)
{
    fx->n = m->n_fence;
    fx->fence = key64_unpack(m->fence, m->n_fence);
    fx->why = (enum outcome)m->why;
    return enum_check(u, "outcome", m->why, OUTCOMES);
}

static int unpack_report(struct unpacker *u, const Muster__Report *m, struct ev_node_report *report)
{
    report->report_id = m->report_id;
    int rc = known_attempts_unpack(u, m->started, &report->started, &report->n_started);
    if (rc < 0 || m->ended == NULL)
        return rc;
    size_t n = m->ended->n_fence;
    rc = entries_check(u, n);
    if (rc < 0)
        return rc;
    struct attempt_end *ended = arena_array(u->arena, struct attempt_end, n);
    report->ended = ended;
    report->n_ended = n;
    return attempt_ends_unpack(u, m->ended, ended, sizeof(*ended));
}

static int unpack_log_read(struct unpacker *u, const Muster__LogRead *m, struct wire_log_read *w)
{
    *w = (struct wire_log_read){
        .request = m->request,
        .run_id = m->run_id,
        .index = m->index,
        .attempt = m->attempt,
        .stream = m->stream,
        .offset = m->offset,
        .max_bytes = m->max_bytes,
    };
    return m->stream > 1 ? unpack_bad(u, "it asks for the stream %u", m->stream) : 0;
}

static int unpack_log_data(struct unpacker *u, const Muster__LogData *m, struct wire_log_data *w)
{
    *w = (struct wire_log_data){
        .request = m->request,
        .code = m->code,
        .text = text_or_null(m->text),
        .offset = m->offset,
        .end = m->end,
        .final = m->final != 0,
        .data = bytes_from_pb(m->data),
    };
    if (m->code > 0)
        return unpack_bad(u, "it answers with the code %d", m->code);
    if (m->offset > UINT64_MAX - m->data.len)
        return unpack_bad(u, "its data run over");
    return 0;
}

static int unpack_body(struct unpacker *u, const Muster__WireMessage *m, struct wire_message *w)
{
    switch (w->kind) {
    case WIRE_CHALLENGE:
        return unpack_challenge(u, m->challenge, &w->challenge);
    case WIRE_HELLO:
        return unpack_hello(u, m->hello, &w->hello);
    case WIRE_WELCOME:
        return unpack_welcome(u, m->welcome, &w->welcome);
    case WIRE_REFUSE:
        return unpack_refuse(u, m->refuse, &w->refuse);
    case WIRE_HEARTBEAT:
        w->heartbeat = m->heartbeat->heartbeat;
        return 0;
    case WIRE_LEASE:
        return unpack_lease(u, m->lease, &w->lease);
    case WIRE_START:
        return unpack_start(u, m->start, &w->start);
    case WIRE_STOP:
        return unpack_stop(u, m->stop, &w->stop);
    case WIRE_REPORT:
        return unpack_report(u, m->report, &w->report);
    case WIRE_ACK:
        w->ack.report_id = m->ack->report_id;
        return 0;
    case WIRE_LOG_READ:
        return unpack_log_read(u, m->log_read, &w->log_read);
    case WIRE_LOG_DATA:
        return unpack_log_data(u, m->log_data, &w->log_data);
    case WIRE_KINDS:
        break;
    }
    unreachable();
}

int wire_unpack(struct bytes bytes, struct arena *arena, const struct wire_message **ret_message, struct err *err)
{
    must(arena != NULL && ret_message != NULL);
    struct unpacker u;
    unpacker_init(&u, arena, bytes.len, ERR_PROTOCOL, "message", err);
    const Muster__WireMessage *message = unpack_message(&u, &muster__wire_message__descriptor, bytes);
    if (message == NULL)
        return u.code;
    if (message->body_case == MUSTER__WIRE_MESSAGE__BODY__NOT_SET)
        return unpack_unknown_kind(&u, &message->base);
    struct wire_message *w = arena_new(arena, struct wire_message);
    w->kind = (enum wire_kind)(message->body_case - 1);
    w->epoch = message->epoch;
    int rc = unpack_body(&u, message, w);
    if (rc < 0)
        return rc;
    *ret_message = w;
    return 0;
}
