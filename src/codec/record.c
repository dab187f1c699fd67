// SPDX-License-Identifier: Apache-2.0
// Records into bytes. Bodies live on the stack, their arrays in an arena that is used up with the call.
#include "base/assert.h"
#include "codec/codec.h"
#include "codec/shapes.h"

// The message of a body, of which one is used.
union body {
    Muster__EpochBegan epoch_began;
    Muster__JobApplied job_applied;
    Muster__JobStateChanged job_state;
    Muster__JobFired job_fired;
    Muster__RunSubmitted run_submitted;
    Muster__RunEligible run_eligible;
    Muster__RunAdmissionChanged run_admission;
    Muster__RunCancelling run_cancelling;
    Muster__TasksCancelled tasks_cancelled;
    Muster__RunEnded run_ended;
    Muster__RunsArchived runs_archived;
    Muster__TasksPlaced tasks_placed;
    Muster__TasksStarted tasks_started;
    Muster__TasksStopping tasks_stopping;
    Muster__TasksEnded tasks_ended;
    Muster__NodeRegistered node_registered;
    Muster__NodeStateChanged node_state;
    Muster__NodeAdmissionChanged node_admission;
    Muster__CalendarPut calendar_put;
    Muster__CalendarDeleted calendar_deleted;
    Muster__JobRescheduled job_rescheduled;
    Muster__BackfillBegan backfill_began;
    Muster__BackfillFired backfill_fired;
    Muster__BackfillEnded backfill_ended;
};

static void pack_epoch_began(Muster__EpochBegan *m, const struct rec_epoch_began *r)
{
    muster__epoch_began__init(m);
    m->epoch = r->epoch;
    m->server = pb_text(r->server);
    m->version = pb_text(r->version);
}

static void pack_job_applied(Muster__JobApplied *m, const struct rec_job_applied *r)
{
    must(r->spec != NULL && r->packed.len > 0);
    must(r->next_usec != NULL || r->spec->n_triggers == 0);
    muster__job_applied__init(m);
    m->job_id = r->job_id;
    m->version = r->version;
    m->spec = pb_bytes(r->packed);
    m->n_next_usec = r->spec->n_triggers;
    m->next_usec = (int64_t *)r->next_usec;
    m->n_left_out_usec = r->left_out_usec != NULL ? r->spec->n_triggers : 0;
    m->left_out_usec = (int64_t *)r->left_out_usec;
}

static void pack_job_state(Muster__JobStateChanged *m, const struct rec_job_state *r)
{
    must((unsigned)r->to < JOB_STATES);
    muster__job_state_changed__init(m);
    m->job_id = r->job_id;
    m->to = (Muster__JobState)r->to;
    m->paused = r->paused;
    m->n_next_usec = r->n_next;
    m->next_usec = (int64_t *)r->next_usec;
    m->n_left_out_usec = r->left_out_usec != NULL ? r->n_next : 0;
    m->left_out_usec = (int64_t *)r->left_out_usec;
}

static void pack_job_fired(Muster__JobFired *m, const struct rec_job_fired *r)
{
    must((unsigned)r->outcome < FIRE_OUTCOMES);
    muster__job_fired__init(m);
    m->job_id = r->job_id;
    m->trigger = r->trigger;
    m->nominal_usec = r->nominal_usec;
    m->outcome = (Muster__FireOutcome)r->outcome;
    m->run_id = r->run_id;
    m->n_missed = r->n_missed;
    m->last_usec = r->last_usec;
    m->next_usec = r->next_usec;
    m->left_out_usec = r->left_out_usec;
    m->why = pb_text(r->why);
}

static void pack_run_submitted(Muster__RunSubmitted *m, const struct rec_run_submitted *r)
{
    must(r->packed.len > 0);
    muster__run_submitted__init(m);
    m->run_id = r->run_id;
    m->job_id = r->job_id;
    m->job_version = r->job_version;
    m->nominal_usec = r->nominal_usec;
    m->rerun_of = r->rerun_of;
    m->spec = pb_bytes(r->packed);
    m->idempotency_key = pb_text(r->idempotency_key);
    m->work_hash = r->work_hash;
    m->submitted_by = pb_text(r->submitted_by);
    m->params = pb_bytes(r->params);
    m->backfill_id = r->backfill_id;
    m->eligible = r->eligible;
    m->held = r->held;
}

static void pack_run_admission(Muster__RunAdmissionChanged *m, const struct rec_run_admission *r)
{
    must((unsigned)r->to <= ADMIT_CLOSED);
    muster__run_admission_changed__init(m);
    m->run_id = r->run_id;
    m->to = (Muster__Admission)r->to;
}

static void pack_run_cancelling(Muster__RunCancelling *m, const struct rec_run_cancelling *r)
{
    must((unsigned)r->cause <= CANCEL_JOB_DELETED);
    muster__run_cancelling__init(m);
    m->run_id = r->run_id;
    m->cause = (Muster__CancelCause)r->cause;
}

static void pack_tasks_cancelled(struct arena *arena, Muster__TasksCancelled *m, const struct rec_tasks_cancelled *r)
{
    must((unsigned)r->to < TASK_STATES);
    muster__tasks_cancelled__init(m);
    m->run_id = r->run_id;
    m->all = r->all;
    m->to = (Muster__TaskState)r->to;
    m->index = column32_pack(arena, &m->n_index, r->index, sizeof(*r->index), r->n, COLUMN_KEY);
}

static void pack_run_ended(Muster__RunEnded *m, const struct rec_run_ended *r)
{
    must((unsigned)r->to < RUN_STATES);
    muster__run_ended__init(m);
    m->run_id = r->run_id;
    m->to = (Muster__RunState)r->to;
    m->n_succeeded = r->n_succeeded;
    m->n_failed = r->n_failed;
    m->n_cancelled = r->n_cancelled;
    m->n_expired = r->n_expired;
    m->n_lost = r->n_lost;
}

static void pack_runs_archived(struct arena *arena, Muster__RunsArchived *m, const struct rec_runs_archived *r)
{
    muster__runs_archived__init(m);
    m->run_id = column64_pack(arena, &m->n_run_id, r->run_id, sizeof(*r->run_id), r->n, COLUMN_KEY);
}

static void pack_tasks_placed(struct arena *arena, Muster__TasksPlaced *m, const struct rec_tasks_placed *r)
{
    must(r->first_fence <= UINT64_MAX - r->n);
    muster__tasks_placed__init(m);
    m->run_id = r->run_id;
    m->node_id = r->node_id;
    m->first_fence = r->first_fence;
    m->index = column32_pack(arena, &m->n_index, r->index, sizeof(*r->index), r->n, COLUMN_KEY);
    if (r->attempt == NULL)
        return;
    bool later = false;
    for (size_t i = 0; i < r->n; i++) {
        must(r->attempt[i] > 0);
        later |= r->attempt[i] > 1;
    }
    if (later)
        m->attempt = column32_pack(arena, &m->n_attempt, r->attempt, sizeof(*r->attempt), r->n, COLUMN_PLAIN);
}

static void pack_tasks_started(struct arena *arena, Muster__TasksStarted *m, const struct rec_tasks_started *r)
{
    muster__tasks_started__init(m);
    m->node_id = r->node_id;
    m->fence = column64_pack(arena, &m->n_fence, r->fence, sizeof(*r->fence), r->n, COLUMN_KEY);
    if (r->start_usec != NULL)
        m->start_usec = column64_pack(arena, &m->n_start_usec, r->start_usec, sizeof(*r->start_usec), r->n, COLUMN_STEPS);
}

static void pack_tasks_stopping(struct arena *arena, Muster__TasksStopping *m, const struct rec_tasks_stopping *r)
{
    must((unsigned)r->why < OUTCOMES);
    muster__tasks_stopping__init(m);
    m->node_id = r->node_id;
    m->why = (Muster__Outcome)r->why;
    m->fence = column64_pack(arena, &m->n_fence, r->fence, sizeof(*r->fence), r->n, COLUMN_KEY);
}

static void pack_tasks_ended(struct arena *arena, Muster__TasksEnded *m, const struct rec_tasks_ended *r)
{
    muster__tasks_ended__init(m);
    m->run_id = r->run_id;
    m->node_id = r->node_id;
    m->ends = arena_new(arena, Muster__AttemptEnds);
    size_t stride_bytes = sizeof(*r->entry);
    attempt_ends_pack(arena, m->ends, r->n > 0 ? &r->entry->end : NULL, stride_bytes, r->n);
    if (r->n == 0)
        return;
    m->index = column32_pack(arena, &m->n_index, &r->entry->index, stride_bytes, r->n, COLUMN_STEPS);
    m->attempt = column32_pack(arena, &m->n_attempt, &r->entry->attempt, stride_bytes, r->n, COLUMN_PLAIN);
    m->to = column32_pack(arena, &m->n_to, &r->entry->to, stride_bytes, r->n, COLUMN_PLAIN);
    m->retry_usec = column64_pack(arena, &m->n_retry_usec, &r->entry->retry_usec, stride_bytes, r->n, COLUMN_STEPS);
    for (size_t i = 0; i < m->n_to; i++)
        must((unsigned)m->to[i] < TASK_STATES);
}

static void pack_node_registered(struct arena *arena, Muster__NodeRegistered *m, const struct rec_node_registered *r)
{
    must(r->info != NULL);
    muster__node_registered__init(m);
    m->node_id = r->node_id;
    m->info = arena_new(arena, Muster__NodeInfo);
    node_info_pack(arena, m->info, r->info);
}

static void pack_node_state(Muster__NodeStateChanged *m, const struct rec_node_state *r)
{
    must((unsigned)r->to < NODE_STATES);
    muster__node_state_changed__init(m);
    m->node_id = r->node_id;
    m->to = (Muster__NodeState)r->to;
}

static void pack_node_admission(Muster__NodeAdmissionChanged *m, const struct rec_node_admission *r)
{
    must((unsigned)r->to <= ADMIT_CLOSED);
    muster__node_admission_changed__init(m);
    m->node_id = r->node_id;
    m->to = (Muster__Admission)r->to;
}

static void pack_run_eligible(Muster__RunEligible *m, const struct rec_run_eligible *r)
{
    muster__run_eligible__init(m);
    m->run_id = r->run_id;
}

static void pack_calendar_put(struct arena *arena, Muster__CalendarPut *m, const struct rec_calendar_put *r)
{
    must(r->version > 0);
    muster__calendar_put__init(m);
    m->version = r->version;
    m->calendar = arena_new(arena, Muster__Calendar);
    calendar_pack(arena, m->calendar, r->calendar);
}

static void pack_calendar_deleted(Muster__CalendarDeleted *m, const struct rec_calendar_deleted *r)
{
    muster__calendar_deleted__init(m);
    m->name = pb_text(r->name);
}

static void pack_job_rescheduled(Muster__JobRescheduled *m, const struct rec_job_rescheduled *r)
{
    muster__job_rescheduled__init(m);
    m->job_id = r->job_id;
    m->n_next_usec = r->n_next;
    m->next_usec = (int64_t *)r->next_usec;
    m->n_left_out_usec = r->left_out_usec != NULL ? r->n_next : 0;
    m->left_out_usec = (int64_t *)r->left_out_usec;
}

static void pack_backfill_began(struct arena *arena, Muster__BackfillBegan *m, const struct rec_backfill_began *r)
{
    muster__backfill_began__init(m);
    m->backfill_id = r->backfill_id;
    m->job_id = r->job_id;
    m->from_usec = r->from_usec;
    m->to_usec = r->to_usec;
    m->reverse = r->reverse;
    m->again = r->again;
    m->parallel_max = r->parallel_max;
    m->n_total = r->n_total;
    m->covered = spans_pack(arena, &m->n_covered, r->covered, r->n_covered);
    m->params = pb_bytes(r->params);
    m->key = pb_text(r->key);
    m->forget_id = r->forget_id;
}

static void pack_backfill_fired(Muster__BackfillFired *m, const struct rec_backfill_fired *r)
{
    muster__backfill_fired__init(m);
    m->backfill_id = r->backfill_id;
    m->job_id = r->job_id;
    m->trigger = r->trigger;
    m->nominal_usec = r->nominal_usec;
    m->run_id = r->run_id;
}

static void pack_backfill_ended(Muster__BackfillEnded *m, const struct rec_backfill_ended *r)
{
    must((unsigned)r->to < BACKFILL_STATES);
    muster__backfill_ended__init(m);
    m->backfill_id = r->backfill_id;
    m->to = (Muster__BackfillState)r->to;
}

static void pack_body(struct arena *arena, union body *b, const struct record *r)
{
    switch (r->kind) {
    case REC_EPOCH_BEGAN:
        return pack_epoch_began(&b->epoch_began, &r->epoch_began);
    case REC_JOB_APPLIED:
        return pack_job_applied(&b->job_applied, &r->job_applied);
    case REC_JOB_STATE:
        return pack_job_state(&b->job_state, &r->job_state);
    case REC_JOB_FIRED:
        return pack_job_fired(&b->job_fired, &r->job_fired);
    case REC_RUN_SUBMITTED:
        return pack_run_submitted(&b->run_submitted, &r->run_submitted);
    case REC_RUN_ELIGIBLE:
        return pack_run_eligible(&b->run_eligible, &r->run_eligible);
    case REC_RUN_ADMISSION:
        return pack_run_admission(&b->run_admission, &r->run_admission);
    case REC_RUN_CANCELLING:
        return pack_run_cancelling(&b->run_cancelling, &r->run_cancelling);
    case REC_TASKS_CANCELLED:
        return pack_tasks_cancelled(arena, &b->tasks_cancelled, &r->tasks_cancelled);
    case REC_RUN_ENDED:
        return pack_run_ended(&b->run_ended, &r->run_ended);
    case REC_RUNS_ARCHIVED:
        return pack_runs_archived(arena, &b->runs_archived, &r->runs_archived);
    case REC_TASKS_PLACED:
        return pack_tasks_placed(arena, &b->tasks_placed, &r->tasks_placed);
    case REC_TASKS_STARTED:
        return pack_tasks_started(arena, &b->tasks_started, &r->tasks_started);
    case REC_TASKS_STOPPING:
        return pack_tasks_stopping(arena, &b->tasks_stopping, &r->tasks_stopping);
    case REC_TASKS_ENDED:
        return pack_tasks_ended(arena, &b->tasks_ended, &r->tasks_ended);
    case REC_NODE_REGISTERED:
        return pack_node_registered(arena, &b->node_registered, &r->node_registered);
    case REC_NODE_STATE:
        return pack_node_state(&b->node_state, &r->node_state);
    case REC_NODE_ADMISSION:
        return pack_node_admission(&b->node_admission, &r->node_admission);
    case REC_CALENDAR_PUT:
        return pack_calendar_put(arena, &b->calendar_put, &r->calendar_put);
    case REC_CALENDAR_DELETED:
        return pack_calendar_deleted(&b->calendar_deleted, &r->calendar_deleted);
    case REC_JOB_RESCHEDULED:
        return pack_job_rescheduled(&b->job_rescheduled, &r->job_rescheduled);
    case REC_BACKFILL_BEGAN:
        return pack_backfill_began(arena, &b->backfill_began, &r->backfill_began);
    case REC_BACKFILL_FIRED:
        return pack_backfill_fired(&b->backfill_fired, &r->backfill_fired);
    case REC_BACKFILL_ENDED:
        return pack_backfill_ended(&b->backfill_ended, &r->backfill_ended);
    case REC_KINDS:
        break;
    }
    unreachable();
}

void record_pack(struct buf *buf, const struct record *r)
{
    must(buf != NULL && r != NULL);
    must(r->kind > 0 && r->kind < REC_KINDS);
    struct arena arena;
    arena_init(&arena, 0);
    union body body;
    pack_body(&arena, &body, r);
    Muster__Record message;
    muster__record__init(&message);
    message.seq = r->seq;
    message.at_usec = r->at_usec;
    message.by = pb_text(r->by);
    // A body has the number of its kind and 15 (codec/enums.c), and all of them share one pointer.
    message.body_case = (Muster__Record__BodyCase)(r->kind + 15);
    message.epoch_began = &body.epoch_began;
    pack_message_framed(buf, &message.base);
    arena_release(&arena);
}
