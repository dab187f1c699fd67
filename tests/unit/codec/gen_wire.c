// SPDX-License-Identifier: Apache-2.0
// Messages and snapshot items of every kind.
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

static uint64_t *gen_fences(struct gen *g, size_t n)
{
    uint64_t *list = arena_array(g->arena, uint64_t, n);
    for (size_t i = 0; i < n; i++)
        list[i] = i > 0 && prng_chance(&g->prng, 900) ? list[i - 1] + 1 : gen_u64(g);
    return list;
}

const struct known_attempt *gen_known(struct gen *g, size_t n)
{
    struct known_attempt *known = arena_array(g->arena, struct known_attempt, n);
    for (size_t i = 0; i < n; i++)
        known[i] = (struct known_attempt){.fence = gen_u64(g), .running = gen_some(g), .start_usec = gen_usec(g)};
    return known;
}

static void gen_text_into(struct gen *g, char *ret, size_t size)
{
    snprintf(ret, size, "%s", g->size == GEN_MINIMAL ? "" : gen_text(g));
}

static void gen_hello(struct gen *g, struct wire_hello *w)
{
    w->version = gen_u32(g);
    w->nonce = gen_bytes(g, WIRE_NONCE_BYTES);
    w->proof = gen_bytes(g, WIRE_PROOF_BYTES);
    w->hello.info = gen_node_info(g);
    w->hello.highest_epoch = gen_u64(g);
    w->hello.n_known = gen_count(g, g->entries_max);
    w->hello.known = gen_known(g, w->hello.n_known);
}

static void gen_welcome(struct gen *g, struct wire_welcome *w)
{
    w->proof = gen_bytes(g, WIRE_PROOF_BYTES);
    w->welcome = (struct fx_welcome){
        .node_id = gen_u32(g),
        .epoch = gen_u64(g),
        .lease_usec = gen_usec(g),
        .heartbeat_usec = gen_usec(g),
        .n_kill = gen_count(g, g->entries_max),
        .n_forget = gen_count(g, g->entries_max),
    };
    w->welcome.kill = gen_fences(g, w->welcome.n_kill);
    w->welcome.forget = gen_fences(g, w->welcome.n_forget);
}

static void gen_start(struct gen *g, struct fx_start *fx)
{
    fx->n = gen_count(g, g->entries_max);
    struct start_order *order = arena_array(g->arena, struct start_order, fx->n);
    struct bytes spec[3];
    for (size_t i = 0; i < 3; i++)
        spec[i] = gen_bytes(g, 1 + (size_t)prng_below(&g->prng, 40));
    for (size_t i = 0; i < fx->n; i++) {
        order[i] = (struct start_order){
            .fence = gen_u64(g),
            .run_id = gen_u64(g),
            .index = gen_u32(g),
            .attempt = gen_u32(g),
            .position = gen_u32(g),
            .n_tasks = gen_u32(g),
            .job_id = gen_u64(g),
            .nominal_usec = gen_usec(g),
            .backfill_id = gen_u64(g),
            .params = i > 0 && prng_chance(&g->prng, 500) ? order[i - 1].params : gen_bytes(g, gen_count(g, 30)),
            .spec = spec[prng_below(&g->prng, 3)],
        };
        if (prng_chance(&g->prng, 300)) // the same content elsewhere
            order[i].spec.data = arena_memdup(g->arena, order[i].spec.data, order[i].spec.len);
    }
    fx->order = order;
}

static void gen_report(struct gen *g, struct ev_node_report *report)
{
    report->report_id = gen_u64(g);
    report->n_started = gen_count(g, g->entries_max);
    report->started = gen_known(g, report->n_started);
    report->n_ended = gen_count(g, g->entries_max);
    struct attempt_end *ended = arena_array(g->arena, struct attempt_end, report->n_ended);
    for (size_t i = 0; i < report->n_ended; i++)
        gen_attempt_end(g, &ended[i]);
    report->ended = ended;
}

static void gen_log_data(struct gen *g, struct wire_log_data *w)
{
    *w = (struct wire_log_data){
        .request = gen_u64(g),
        .code = gen_some(g) ? ERR_NOT_FOUND : 0,
        .text = gen_maybe_text(g),
        .offset = gen_u64(g) >> 1,
        .end = gen_u64(g),
        .final = gen_some(g),
        .data = gen_bytes(g, gen_count(g, 50)),
    };
}

struct wire_message *gen_wire(struct gen *g, enum wire_kind kind)
{
    struct wire_message *w = arena_new(g->arena, struct wire_message);
    w->kind = kind;
    w->epoch = gen_u64(g);
    switch (kind) {
    case WIRE_CHALLENGE:
        w->challenge = (struct wire_challenge){gen_u32(g), gen_u64(g), gen_bytes(g, WIRE_NONCE_BYTES)};
        break;
    case WIRE_HELLO:
        gen_hello(g, &w->hello);
        break;
    case WIRE_WELCOME:
        gen_welcome(g, &w->welcome);
        break;
    case WIRE_REFUSE:
        w->refuse.code = -1 - (int)gen_enum(g, 20);
        gen_text_into(g, w->refuse.text, sizeof(w->refuse.text));
        break;
    case WIRE_HEARTBEAT:
        w->heartbeat = gen_u64(g);
        break;
    case WIRE_LEASE:
        w->lease = (struct fx_lease){gen_u64(g), gen_usec(g)};
        break;
    case WIRE_START:
        gen_start(g, &w->start);
        break;
    case WIRE_STOP:
        w->stop.n = gen_count(g, g->entries_max);
        w->stop.fence = gen_fences(g, w->stop.n);
        w->stop.why = gen_enum(g, OUTCOMES);
        break;
    case WIRE_REPORT:
        gen_report(g, &w->report);
        break;
    case WIRE_ACK:
        w->ack.report_id = gen_u64(g);
        break;
    case WIRE_LOG_READ:
        w->log_read = (struct wire_log_read){
            gen_u64(g), gen_u64(g), gen_u32(g), gen_u32(g), gen_enum(g, 2), gen_u64(g), gen_u32(g)};
        break;
    case WIRE_LOG_DATA:
        gen_log_data(g, &w->log_data);
        break;
    case WIRE_KINDS:
        fail();
    }
    return w;
}

static void gen_snap_job(struct gen *g, struct snap_job *s)
{
    *s = (struct snap_job){
        .job_id = gen_u64(g),
        .version = gen_u32(g),
        .state = gen_enum(g, JOB_STATES),
        .spec = gen_spec(g),
        .last_run = gen_u64(g),
        .decided_usec = gen_usec(g),
        .failures = gen_u32(g),
        .paused = gen_some(g),
        .missed_usec = gen_usec(g),
        .missed_why = gen_enum(g, FIRE_OUTCOMES),
        .applied_usec = gen_usec(g),
        .first_usec = gen_usec(g),
    };
    s->packed = gen_packed(g, s->spec);
    s->n_next = s->spec->n_triggers;
    usec_t *next_usec = arena_array(g->arena, usec_t, s->n_next);
    for (size_t i = 0; i < s->n_next; i++)
        next_usec[i] = gen_usec(g);
    s->next_usec = next_usec;
    if (s->n_next == 0 || !gen_some(g))
        return;
    usec_t *left_out_usec = arena_array(g->arena, usec_t, s->n_next);
    uint64_t *planned_seq = arena_array(g->arena, uint64_t, s->n_next);
    for (size_t i = 0; i < s->n_next; i++) {
        left_out_usec[i] = gen_usec(g);
        planned_seq[i] = gen_u64(g);
    }
    s->left_out_usec = left_out_usec;
    s->planned_seq = planned_seq;
}

static void gen_snap_run(struct gen *g, struct snap_run *s)
{
    *s = (struct snap_run){
        .run_id = gen_u64(g),
        .job_id = gen_u64(g),
        .spec_no = gen_u64(g),
        .rerun_of = gen_u64(g),
        .job_version = gen_u32(g),
        .state = gen_enum(g, RUN_STATES),
        .admission = gen_enum(g, 2),
        .cancel_cause = gen_enum(g, CANCEL_JOB_DELETED + 1),
        .submitted_usec = gen_usec(g),
        .started_usec = gen_usec(g),
        .ended_usec = gen_usec(g),
        .nominal_usec = gen_usec(g),
        .params = gen_bytes(g, gen_count(g, 30)),
        .backfill_id = gen_u64(g),
        .cursor = gen_u32(g),
        .n_succeeded = gen_u32(g),
        .n_failed = gen_u32(g),
        .n_cancelled = gen_u32(g),
        .n_expired = gen_u32(g),
        .n_lost = gen_u32(g),
        .ended = gen_bytes(g, gen_count(g, 30)),
        .good = gen_bytes(g, gen_count(g, 30)),
        .submitted_by = gen_maybe_text(g),
        .n_waits_for = gen_count(g, g->entries_max),
        .key_held = gen_some(g),
        .ended_seq = gen_u64(g),
        .n_untouched = gen_u32(g),
        .dep_failed = gen_some(g),
    };
    s->waits_for = gen_fences(g, s->n_waits_for);
}

static void gen_snap_task(struct gen *g, struct snap_task *s)
{
    *s = (struct snap_task){
        .run_id = gen_u64(g),
        .index = gen_u32(g),
        .attempt = gen_u32(g),
        .tries = gen_u32(g),
        .state = gen_enum(g, TASK_STATES),
        .node_id = gen_u32(g),
        .fence = gen_u64(g),
        .placed_usec = gen_usec(g),
        .started_usec = gen_usec(g),
        .retry_usec = gen_usec(g),
        .stop_why = gen_enum(g, OUTCOMES),
    };
}

struct snapshot_item *gen_snapshot_item(struct gen *g, enum snapshot_kind kind)
{
    struct snapshot_item *item = arena_new(g->arena, struct snapshot_item);
    item->kind = kind;
    switch (kind) {
    case SNAP_HEAD:
        item->head = (struct snap_head){gen_u64(g), gen_u64(g), gen_u64(g), gen_u64(g), gen_u64(g), gen_u64(g) | 1, gen_u32(g)};
        break;
    case SNAP_JOB:
        gen_snap_job(g, &item->job);
        break;
    case SNAP_NODE:
        item->node = (struct snap_node){
            gen_u32(g), *gen_node_info(g), gen_enum(g, NODE_STATES), gen_enum(g, 2), gen_usec(g)};
        break;
    case SNAP_SPEC:
        item->spec = (struct snap_spec){.spec_no = gen_u64(g), .spec = gen_spec(g)};
        item->spec.packed = gen_packed(g, item->spec.spec);
        break;
    case SNAP_RUN:
        gen_snap_run(g, &item->run);
        break;
    case SNAP_TASK:
        gen_snap_task(g, &item->task);
        break;
    case SNAP_KEY:
        item->key = (struct snap_key){gen_text(g), gen_u64(g), gen_usec(g), gen_u64(g)};
        break;
    case SNAP_CALENDAR:
        item->calendar = (struct snap_calendar){gen_calendar(g), 1 + gen_u32(g) / 2, gen_usec(g), gen_u64(g)};
        break;
    case SNAP_BACKFILL:
        gen_snap_backfill(g, &item->backfill);
        break;
    case SNAP_KINDS:
        fail();
    }
    return item;
}
