// SPDX-License-Identifier: Apache-2.0
// Random records and items of backfills, and whether two are the same.
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

static const struct instant_span *gen_spans(struct gen *g, size_t *ret_n)
{
    *ret_n = gen_count(g, 8);
    struct instant_span *spans = arena_array(g->arena, struct instant_span, *ret_n);
    usec_t next = gen_usec(g) / 4;
    for (size_t i = 0; i < *ret_n; i++) {
        spans[i].first_usec = next + (usec_t)prng_below(&g->prng, 1000);
        spans[i].last_usec = spans[i].first_usec + (usec_t)prng_below(&g->prng, 1000);
        next = spans[i].last_usec + 1;
    }
    return spans;
}

static void check_spans(const struct instant_span *a, size_t n_a, const struct instant_span *b, size_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++) {
        assert_int_equal(a[i].first_usec, b[i].first_usec);
        assert_int_equal(a[i].last_usec, b[i].last_usec);
    }
}

void gen_backfill_body(struct gen *g, struct record *r)
{
    if (r->kind == REC_BACKFILL_FIRED) {
        r->backfill_fired = (struct rec_backfill_fired){gen_u64(g), gen_u64(g), gen_u32(g), gen_usec(g), gen_u64(g)};
        return;
    }
    if (r->kind == REC_BACKFILL_ENDED) {
        r->backfill_ended = (struct rec_backfill_ended){gen_u64(g), gen_enum(g, BACKFILL_STATES)};
        return;
    }
    struct rec_backfill_began *began = &r->backfill_began;
    *began = (struct rec_backfill_began){
        .backfill_id = gen_u64(g), .job_id = gen_u64(g), .from_usec = gen_usec(g), .to_usec = gen_usec(g), .reverse = gen_some(g), .again = gen_some(g),
        .parallel_max = gen_u32(g), .n_total = gen_u64(g), .params = gen_bytes(g, gen_count(g, 30)), .key = gen_maybe_text(g), .forget_id = gen_u64(g),
    };
    began->covered = gen_spans(g, &began->n_covered);
}

void check_backfill_body(const struct record *a, const struct record *b)
{
    if (a->kind == REC_BACKFILL_FIRED) {
        const struct rec_backfill_fired *c = &a->backfill_fired, *d = &b->backfill_fired;
        assert_int_equal(c->backfill_id, d->backfill_id);
        assert_int_equal(c->job_id, d->job_id);
        assert_int_equal(c->trigger, d->trigger);
        assert_int_equal(c->nominal_usec, d->nominal_usec);
        assert_int_equal(c->run_id, d->run_id);
        return;
    }
    if (a->kind == REC_BACKFILL_ENDED) {
        assert_int_equal(a->backfill_ended.backfill_id, b->backfill_ended.backfill_id);
        assert_int_equal(a->backfill_ended.to, b->backfill_ended.to);
        return;
    }
    const struct rec_backfill_began *c = &a->backfill_began, *d = &b->backfill_began;
    assert_int_equal(c->backfill_id, d->backfill_id);
    assert_int_equal(c->job_id, d->job_id);
    assert_int_equal(c->from_usec, d->from_usec);
    assert_int_equal(c->to_usec, d->to_usec);
    assert_int_equal(c->reverse, d->reverse);
    assert_int_equal(c->again, d->again);
    assert_int_equal(c->parallel_max, d->parallel_max);
    assert_int_equal(c->n_total, d->n_total);
    check_spans(c->covered, c->n_covered, d->covered, d->n_covered);
    check_bytes(c->params, d->params);
    check_text(c->key, d->key);
    assert_int_equal(c->forget_id, d->forget_id);
}

void gen_snap_backfill(struct gen *g, struct snap_backfill *s)
{
    *s = (struct snap_backfill){
        .backfill_id = gen_u64(g), .job_id = gen_u64(g), .job_name = gen_text(g), .from_usec = gen_usec(g), .to_usec = gen_usec(g),
        .reverse = gen_some(g), .again = gen_some(g), .parallel_max = gen_u32(g), .state = gen_enum(g, BACKFILL_STATES), .done_usec = gen_usec(g),
        .done_trigger = gen_u32(g), .n_total = gen_u64(g), .n_fired = gen_u64(g), .n_succeeded = gen_u64(g), .n_unsuccessful = gen_u64(g),
        .began_usec = gen_usec(g), .ended_usec = gen_usec(g), .params = gen_bytes(g, gen_count(g, 30)), .key = gen_maybe_text(g),
        .by = gen_maybe_text(g),
    };
    s->covered = gen_spans(g, &s->n_covered);
}

void check_snap_backfill(const struct snap_backfill *a, const struct snap_backfill *b)
{
    assert_int_equal(a->backfill_id, b->backfill_id);
    assert_int_equal(a->job_id, b->job_id);
    check_text(a->job_name, b->job_name);
    assert_int_equal(a->from_usec, b->from_usec);
    assert_int_equal(a->to_usec, b->to_usec);
    assert_int_equal(a->reverse, b->reverse);
    assert_int_equal(a->again, b->again);
    assert_int_equal(a->parallel_max, b->parallel_max);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->done_usec, b->done_usec);
    assert_int_equal(a->done_trigger, b->done_trigger);
    assert_int_equal(a->n_total, b->n_total);
    assert_int_equal(a->n_fired, b->n_fired);
    assert_int_equal(a->n_succeeded, b->n_succeeded);
    assert_int_equal(a->n_unsuccessful, b->n_unsuccessful);
    assert_int_equal(a->began_usec, b->began_usec);
    assert_int_equal(a->ended_usec, b->ended_usec);
    check_spans(a->covered, a->n_covered, b->covered, b->n_covered);
    check_bytes(a->params, b->params);
    check_text(a->key, b->key);
    check_text(a->by, b->by);
}
