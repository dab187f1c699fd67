// SPDX-License-Identifier: Apache-2.0
// Records of every kind.
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

static usec_t *gen_usecs(struct gen *g, size_t n)
{
    usec_t *usecs = arena_array(g->arena, usec_t, n);
    for (size_t i = 0; i < n; i++)
        usecs[i] = gen_usec(g);
    return usecs;
}

// Rising mostly, as fences are, or anything.
static uint64_t *gen_u64s(struct gen *g, size_t n)
{
    uint64_t *list = arena_array(g->arena, uint64_t, n);
    bool rising = gen_some(g);
    for (size_t i = 0; i < n; i++)
        list[i] = rising && i > 0 ? list[i - 1] + 1 + prng_below(&g->prng, 5) : gen_u64(g);
    return list;
}

static uint32_t *gen_u32s(struct gen *g, size_t n)
{
    uint32_t *list = arena_array(g->arena, uint32_t, n);
    bool rising = gen_some(g);
    for (size_t i = 0; i < n; i++)
        list[i] = rising && i > 0 ? list[i - 1] + 1 + (uint32_t)prng_below(&g->prng, 5) : gen_u32(g);
    return list;
}

void gen_attempt_end(struct gen *g, struct attempt_end *end)
{
    static const char *const frequent = "the node went away";
    *end = (struct attempt_end){
        .fence = gen_u64(g),
        .outcome = gen_enum(g, OUTCOMES),
        .exit_code = (int32_t)gen_u32(g),
        .signal = (int32_t)gen_u32(g),
        .start_usec = gen_usec(g),
        .wall_usec = gen_usec(g),
        .usage = {gen_u64(g), gen_u64(g), gen_u64(g), gen_u64(g), gen_u64(g)},
        .message = prng_chance(&g->prng, 500) && g->size != GEN_MINIMAL ? frequent : gen_maybe_text(g),
    };
}

static void gen_tasks_ended(struct gen *g, struct rec_tasks_ended *r)
{
    r->run_id = gen_u64(g);
    r->node_id = gen_u32(g);
    r->n = gen_count(g, g->entries_max);
    struct task_end *entry = arena_array(g->arena, struct task_end, r->n);
    bool alike = gen_some(g); // every entry is like the first one, but for its fence
    for (size_t i = 0; i < r->n; i++) {
        if (alike && i > 0) {
            entry[i] = entry[0];
            entry[i].end.fence += i;
            continue;
        }
        gen_attempt_end(g, &entry[i].end);
        entry[i].index = gen_u32(g);
        entry[i].attempt = gen_u32(g);
        entry[i].to = gen_enum(g, TASK_STATES);
        entry[i].retry_usec = gen_usec(g);
    }
    r->entry = entry;
}

static void gen_tasks_placed(struct gen *g, struct rec_tasks_placed *r)
{
    r->run_id = gen_u64(g);
    r->node_id = gen_u32(g);
    r->first_fence = gen_u64(g) >> 1;
    r->n = gen_count(g, g->entries_max);
    r->index = gen_u32s(g, r->n);
    if (!gen_some(g))
        return;
    uint32_t *attempt = gen_u32s(g, r->n);
    uint32_t mask = gen_some(g) ? 0 : UINT32_MAX;
    for (size_t i = 0; i < r->n; i++)
        attempt[i] = (attempt[i] & mask) == 0 ? 1 : attempt[i];
    r->attempt = attempt;
}

static void gen_run_submitted(struct gen *g, struct rec_run_submitted *r)
{
    *r = (struct rec_run_submitted){
        .run_id = gen_u64(g),
        .job_id = gen_u64(g),
        .job_version = gen_u32(g),
        .nominal_usec = gen_usec(g),
        .rerun_of = gen_u64(g),
        .backfill_id = gen_u64(g),
        .spec = gen_spec(g),
        .idempotency_key = gen_maybe_text(g),
        .work_hash = gen_u64(g),
        .submitted_by = gen_maybe_text(g),
        .params = gen_bytes(g, gen_count(g, 40)),
        .eligible = gen_some(g),
        .held = gen_some(g),
    };
    r->packed = gen_packed(g, r->spec);
}

static void gen_job_applied(struct gen *g, struct rec_job_applied *r)
{
    r->job_id = gen_u64(g);
    r->version = gen_u32(g);
    r->spec = gen_spec(g);
    r->packed = gen_packed(g, r->spec);
    r->next_usec = gen_usecs(g, r->spec->n_triggers);
    r->left_out_usec = r->spec->n_triggers > 0 && gen_some(g) ? gen_usecs(g, r->spec->n_triggers) : NULL;
}

static void gen_job_body(struct gen *g, struct record *r)
{
    if (r->kind == REC_JOB_APPLIED) {
        gen_job_applied(g, &r->job_applied);
    } else if (r->kind == REC_JOB_STATE) {
        r->job_state = (struct rec_job_state){.job_id = gen_u64(g), .to = gen_enum(g, JOB_STATES), .paused = gen_some(g), .n_next = gen_count(g, 4)};
        r->job_state.next_usec = gen_usecs(g, r->job_state.n_next);
        r->job_state.left_out_usec = r->job_state.n_next > 0 && gen_some(g) ? gen_usecs(g, r->job_state.n_next) : NULL;
    } else if (r->kind == REC_JOB_RESCHEDULED) {
        r->job_rescheduled = (struct rec_job_rescheduled){.job_id = gen_u64(g), .n_next = gen_count(g, 4)};
        r->job_rescheduled.next_usec = gen_usecs(g, r->job_rescheduled.n_next);
        r->job_rescheduled.left_out_usec = r->job_rescheduled.n_next > 0 && gen_some(g) ? gen_usecs(g, r->job_rescheduled.n_next) : NULL;
    } else {
        r->job_fired = (struct rec_job_fired){
            .job_id = gen_u64(g),
            .trigger = gen_u32(g),
            .nominal_usec = gen_usec(g),
            .outcome = gen_enum(g, FIRE_OUTCOMES),
            .run_id = gen_u64(g),
            .n_missed = gen_u64(g),
            .last_usec = gen_usec(g),
            .next_usec = gen_usec(g),
            .left_out_usec = gen_usec(g),
            .why = gen_maybe_text(g),
        };
    }
}

static void gen_run_body(struct gen *g, struct record *r)
{
    switch (r->kind) {
    case REC_RUN_SUBMITTED:
        gen_run_submitted(g, &r->run_submitted);
        return;
    case REC_RUN_ELIGIBLE:
        r->run_eligible.run_id = gen_u64(g);
        return;
    case REC_RUN_ADMISSION:
        r->run_admission = (struct rec_run_admission){gen_u64(g), gen_enum(g, 2)};
        return;
    case REC_RUN_CANCELLING:
        r->run_cancelling = (struct rec_run_cancelling){gen_u64(g), gen_enum(g, CANCEL_JOB_DELETED + 1)};
        return;
    case REC_RUN_ENDED:
        r->run_ended = (struct rec_run_ended){
            gen_u64(g), gen_enum(g, RUN_STATES), gen_u32(g), gen_u32(g), gen_u32(g), gen_u32(g), gen_u32(g)};
        return;
    default:
        r->runs_archived.n = gen_count(g, g->entries_max);
        r->runs_archived.run_id = gen_u64s(g, r->runs_archived.n);
    }
}

static void gen_task_body(struct gen *g, struct record *r)
{
    size_t n = gen_count(g, g->entries_max);
    switch (r->kind) {
    case REC_TASKS_CANCELLED:
        r->tasks_cancelled = (struct rec_tasks_cancelled){gen_u64(g), gen_some(g), gen_enum(g, TASK_STATES), gen_u32s(g, n), n};
        return;
    case REC_TASKS_PLACED:
        gen_tasks_placed(g, &r->tasks_placed);
        return;
    case REC_TASKS_STARTED:
        r->tasks_started = (struct rec_tasks_started){gen_u32(g), n, gen_u64s(g, n), gen_usecs(g, n)};
        return;
    case REC_TASKS_STOPPING:
        r->tasks_stopping = (struct rec_tasks_stopping){gen_u32(g), gen_enum(g, OUTCOMES), n, gen_u64s(g, n)};
        return;
    default:
        gen_tasks_ended(g, &r->tasks_ended);
    }
}

struct record *gen_record(struct gen *g, enum record_kind kind)
{
    struct record *r = arena_new(g->arena, struct record);
    r->kind = kind;
    r->seq = gen_u64(g);
    r->at_usec = gen_usec(g);
    r->by = gen_maybe_text(g);
    switch (kind) {
    case REC_EPOCH_BEGAN:
        r->epoch_began = (struct rec_epoch_began){gen_u64(g), gen_text(g), gen_text(g)};
        break;
    case REC_JOB_APPLIED:
    case REC_JOB_STATE:
    case REC_JOB_FIRED:
    case REC_JOB_RESCHEDULED:
        gen_job_body(g, r);
        break;
    case REC_RUN_SUBMITTED:
    case REC_RUN_ELIGIBLE:
    case REC_RUN_ADMISSION:
    case REC_RUN_CANCELLING:
    case REC_RUN_ENDED:
    case REC_RUNS_ARCHIVED:
        gen_run_body(g, r);
        break;
    case REC_TASKS_CANCELLED:
    case REC_TASKS_PLACED:
    case REC_TASKS_STARTED:
    case REC_TASKS_STOPPING:
    case REC_TASKS_ENDED:
        gen_task_body(g, r);
        break;
    case REC_NODE_REGISTERED:
        r->node_registered = (struct rec_node_registered){gen_u32(g), gen_node_info(g)};
        break;
    case REC_NODE_STATE:
        r->node_state = (struct rec_node_state){gen_u32(g), gen_enum(g, NODE_STATES)};
        break;
    case REC_NODE_ADMISSION:
        r->node_admission = (struct rec_node_admission){gen_u32(g), gen_enum(g, 2)};
        break;
    case REC_CALENDAR_PUT:
        r->calendar_put = (struct rec_calendar_put){1 + gen_u32(g) / 2, gen_calendar(g)};
        break;
    case REC_CALENDAR_DELETED:
        r->calendar_deleted = (struct rec_calendar_deleted){gen_text(g)};
        break;
    case REC_BACKFILL_BEGAN:
    case REC_BACKFILL_FIRED:
    case REC_BACKFILL_ENDED:
        gen_backfill_body(g, r);
        break;
    case REC_KINDS:
        fail();
    }
    return r;
}
