// SPDX-License-Identifier: Apache-2.0
// Bytes into records. What a function here fills was zeroed before.
#include "base/assert.h"
#include "codec/codec.h"
#include "codec/shapes.h"
#include "codec/spec.h"

static int unpack_epoch_began(struct unpacker *u, const Muster__EpochBegan *m, struct rec_epoch_began *r)
{
    *r = (struct rec_epoch_began){.epoch = m->epoch, .server = m->server, .version = m->version};
    return 0;
}

// One for each trigger, or none at all.
static int unpack_left_out(struct unpacker *u, const int64_t *left_out_usec, size_t n, size_t n_triggers, const usec_t **ret)
{
    if (n != 0 && n != n_triggers)
        return unpack_bad(u, "it has %zu instants that are left out for %zu triggers", n, n_triggers);
    *ret = n != 0 ? left_out_usec : NULL;
    return 0;
}

static int unpack_job_applied(struct unpacker *u, const Muster__JobApplied *m, struct rec_job_applied *r)
{
    r->job_id = m->job_id;
    r->version = m->version;
    r->packed = bytes_from_pb(m->spec);
    r->next_usec = m->next_usec;
    int rc = spec_unpack_in(u, r->packed, &r->spec);
    if (rc < 0)
        return rc;
    if (m->n_next_usec != r->spec->n_triggers)
        return unpack_bad(u, "it has %zu next instants for %zu triggers", m->n_next_usec, r->spec->n_triggers);
    return unpack_left_out(u, m->left_out_usec, m->n_left_out_usec, m->n_next_usec, &r->left_out_usec);
}

static int unpack_job_state(struct unpacker *u, const Muster__JobStateChanged *m, struct rec_job_state *r)
{
    r->job_id = m->job_id;
    r->to = (enum job_state)m->to;
    r->paused = m->paused != 0;
    r->next_usec = m->next_usec;
    r->n_next = m->n_next_usec;
    int rc = unpack_left_out(u, m->left_out_usec, m->n_left_out_usec, m->n_next_usec, &r->left_out_usec);
    return rc < 0 ? rc : enum_check(u, "job state", m->to, JOB_STATES);
}

static int unpack_job_fired(struct unpacker *u, const Muster__JobFired *m, struct rec_job_fired *r)
{
    *r = (struct rec_job_fired){
        .job_id = m->job_id,
        .trigger = m->trigger,
        .nominal_usec = m->nominal_usec,
        .outcome = (enum fire_outcome)m->outcome,
        .run_id = m->run_id,
        .n_missed = m->n_missed,
        .last_usec = m->last_usec,
        .next_usec = m->next_usec,
        .left_out_usec = m->left_out_usec,
        .why = text_or_null(m->why),
    };
    return enum_check(u, "fire outcome", m->outcome, FIRE_OUTCOMES);
}

static int unpack_run_submitted(struct unpacker *u, const Muster__RunSubmitted *m, struct rec_run_submitted *r)
{
    *r = (struct rec_run_submitted){
        .run_id = m->run_id,
        .job_id = m->job_id,
        .job_version = m->job_version,
        .nominal_usec = m->nominal_usec,
        .rerun_of = m->rerun_of,
        .packed = bytes_from_pb(m->spec),
        .idempotency_key = text_or_null(m->idempotency_key),
        .work_hash = m->work_hash,
        .submitted_by = text_or_null(m->submitted_by),
        .params = bytes_from_pb(m->params),
        .backfill_id = m->backfill_id,
        .eligible = m->eligible != 0,
        .held = m->held != 0,
    };
    return spec_unpack_in(u, r->packed, &r->spec);
}

static int unpack_run_eligible(struct unpacker *u, const Muster__RunEligible *m, struct rec_run_eligible *r)
{
    r->run_id = m->run_id;
    return 0;
}

static int unpack_run_admission(struct unpacker *u, const Muster__RunAdmissionChanged *m, struct rec_run_admission *r)
{
    r->run_id = m->run_id;
    r->to = (enum admission)m->to;
    return enum_check(u, "admission", m->to, ADMIT_CLOSED + 1);
}

static int unpack_run_cancelling(struct unpacker *u, const Muster__RunCancelling *m, struct rec_run_cancelling *r)
{
    r->run_id = m->run_id;
    r->cause = (enum cancel_cause)m->cause;
    return enum_check(u, "cause", m->cause, CANCEL_JOB_DELETED + 1);
}

static int unpack_tasks_cancelled(struct unpacker *u, const Muster__TasksCancelled *m, struct rec_tasks_cancelled *r)
{
    r->run_id = m->run_id;
    r->all = m->all != 0;
    r->to = (enum task_state)m->to;
    r->index = key32_unpack(m->index, m->n_index);
    r->n = m->n_index;
    return enum_check(u, "task state", m->to, TASK_STATES);
}

static int unpack_run_ended(struct unpacker *u, const Muster__RunEnded *m, struct rec_run_ended *r)
{
    *r = (struct rec_run_ended){
        .run_id = m->run_id,
        .to = (enum run_state)m->to,
        .n_succeeded = m->n_succeeded,
        .n_failed = m->n_failed,
        .n_cancelled = m->n_cancelled,
        .n_expired = m->n_expired,
        .n_lost = m->n_lost,
    };
    return enum_check(u, "run state", m->to, RUN_STATES);
}

static int unpack_runs_archived(struct unpacker *u, const Muster__RunsArchived *m, struct rec_runs_archived *r)
{
    r->run_id = key64_unpack(m->run_id, m->n_run_id);
    r->n = m->n_run_id;
    return 0;
}

static int unpack_tasks_placed(struct unpacker *u, const Muster__TasksPlaced *m, struct rec_tasks_placed *r)
{
    r->run_id = m->run_id;
    r->node_id = m->node_id;
    r->first_fence = m->first_fence;
    r->n = m->n_index;
    if (m->first_fence > UINT64_MAX - r->n)
        return unpack_bad(u, "its fences run over");
    r->index = key32_unpack(m->index, m->n_index);
    if (m->n_attempt == 0)
        return 0;
    uint32_t *attempt = arena_array(u->arena, uint32_t, r->n);
    int rc = column32_unpack(u, "attempt", m->attempt, m->n_attempt, attempt, sizeof(*attempt), r->n, COLUMN_PLAIN);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < r->n; i++)
        if (attempt[i] == 0)
            return unpack_bad(u, "an attempt has the number 0");
    r->attempt = attempt;
    return 0;
}

static int unpack_tasks_started(struct unpacker *u, const Muster__TasksStarted *m, struct rec_tasks_started *r)
{
    r->node_id = m->node_id;
    r->n = m->n_fence;
    r->fence = key64_unpack(m->fence, m->n_fence);
    usec_t *start_usec = arena_array(u->arena, usec_t, r->n);
    r->start_usec = start_usec;
    return column64_unpack(u, "start_usec", m->start_usec, m->n_start_usec, start_usec, sizeof(*start_usec), r->n, COLUMN_STEPS);
}

static int unpack_tasks_stopping(struct unpacker *u, const Muster__TasksStopping *m, struct rec_tasks_stopping *r)
{
    r->node_id = m->node_id;
    r->why = (enum outcome)m->why;
    r->n = m->n_fence;
    r->fence = key64_unpack(m->fence, m->n_fence);
    return enum_check(u, "outcome", m->why, OUTCOMES);
}

static int unpack_tasks_ended(struct unpacker *u, const Muster__TasksEnded *m, struct rec_tasks_ended *r)
{
    if (m->ends == NULL)
        return unpack_bad(u, "it has no ends");
    size_t n = m->ends->n_fence;
    int rc = entries_check(u, n);
    if (rc < 0)
        return rc;
    struct task_end *entry = arena_array(u->arena, struct task_end, n);
    r->run_id = m->run_id;
    r->node_id = m->node_id;
    r->n = n;
    r->entry = entry;
    size_t stride_bytes = sizeof(*entry);
    rc = attempt_ends_unpack(u, m->ends, &entry->end, stride_bytes);
    if (rc == 0)
        rc = column32_unpack(u, "index", m->index, m->n_index, &entry->index, stride_bytes, n, COLUMN_STEPS);
    if (rc == 0)
        rc = column32_unpack(u, "attempt", m->attempt, m->n_attempt, &entry->attempt, stride_bytes, n, COLUMN_PLAIN);
    if (rc == 0)
        rc = column32_unpack(u, "to", m->to, m->n_to, &entry->to, stride_bytes, n, COLUMN_PLAIN);
    if (rc == 0)
        rc = column64_unpack(u, "retry_usec", m->retry_usec, m->n_retry_usec, &entry->retry_usec, stride_bytes, n, COLUMN_STEPS);
    if (rc == 0)
        rc = column_enum_check(u, "to", m->to, m->n_to, TASK_STATES);
    return rc;
}

static int unpack_node_registered(struct unpacker *u, const Muster__NodeRegistered *m, struct rec_node_registered *r)
{
    struct node_info *info = arena_new(u->arena, struct node_info);
    r->node_id = m->node_id;
    r->info = info;
    return node_info_unpack(u, m->info, info);
}

static int unpack_node_state(struct unpacker *u, const Muster__NodeStateChanged *m, struct rec_node_state *r)
{
    r->node_id = m->node_id;
    r->to = (enum node_state)m->to;
    return enum_check(u, "node state", m->to, NODE_STATES);
}

static int unpack_node_admission(struct unpacker *u, const Muster__NodeAdmissionChanged *m, struct rec_node_admission *r)
{
    r->node_id = m->node_id;
    r->to = (enum admission)m->to;
    return enum_check(u, "admission", m->to, ADMIT_CLOSED + 1);
}

static int unpack_calendar_put(struct unpacker *u, const Muster__CalendarPut *m, struct rec_calendar_put *r)
{
    r->version = m->version;
    return m->version == 0 ? unpack_bad(u, "a calendar has the version 0") : calendar_unpack(u, m->calendar, &r->calendar);
}

static int unpack_calendar_deleted(struct unpacker *u, const Muster__CalendarDeleted *m, struct rec_calendar_deleted *r)
{
    r->name = m->name;
    return 0;
}

static int unpack_job_rescheduled(struct unpacker *u, const Muster__JobRescheduled *m, struct rec_job_rescheduled *r)
{
    r->job_id = m->job_id;
    r->next_usec = m->next_usec;
    r->n_next = m->n_next_usec;
    return unpack_left_out(u, m->left_out_usec, m->n_left_out_usec, m->n_next_usec, &r->left_out_usec);
}

static int unpack_backfill_began(struct unpacker *u, const Muster__BackfillBegan *m, struct rec_backfill_began *r)
{
    *r = (struct rec_backfill_began){
        .backfill_id = m->backfill_id,
        .job_id = m->job_id,
        .from_usec = m->from_usec,
        .to_usec = m->to_usec,
        .reverse = m->reverse != 0,
        .again = m->again != 0,
        .parallel_max = m->parallel_max,
        .n_total = m->n_total,
        .params = bytes_from_pb(m->params),
        .key = text_or_null(m->key),
        .forget_id = m->forget_id,
    };
    return spans_unpack(u, m->covered, m->n_covered, &r->covered, &r->n_covered);
}

static int unpack_backfill_fired(struct unpacker *u, const Muster__BackfillFired *m, struct rec_backfill_fired *r)
{
    *r = (struct rec_backfill_fired){
        .backfill_id = m->backfill_id, .job_id = m->job_id, .trigger = m->trigger, .nominal_usec = m->nominal_usec, .run_id = m->run_id};
    return 0;
}

static int unpack_backfill_ended(struct unpacker *u, const Muster__BackfillEnded *m, struct rec_backfill_ended *r)
{
    r->backfill_id = m->backfill_id;
    r->to = (enum backfill_state)m->to;
    return enum_check(u, "backfill state", m->to, BACKFILL_STATES);
}

static int unpack_body(struct unpacker *u, const Muster__Record *m, struct record *r)
{
    switch (r->kind) {
    case REC_EPOCH_BEGAN:
        return unpack_epoch_began(u, m->epoch_began, &r->epoch_began);
    case REC_JOB_APPLIED:
        return unpack_job_applied(u, m->job_applied, &r->job_applied);
    case REC_JOB_STATE:
        return unpack_job_state(u, m->job_state, &r->job_state);
    case REC_JOB_FIRED:
        return unpack_job_fired(u, m->job_fired, &r->job_fired);
    case REC_RUN_SUBMITTED:
        return unpack_run_submitted(u, m->run_submitted, &r->run_submitted);
    case REC_RUN_ELIGIBLE:
        return unpack_run_eligible(u, m->run_eligible, &r->run_eligible);
    case REC_RUN_ADMISSION:
        return unpack_run_admission(u, m->run_admission, &r->run_admission);
    case REC_RUN_CANCELLING:
        return unpack_run_cancelling(u, m->run_cancelling, &r->run_cancelling);
    case REC_TASKS_CANCELLED:
        return unpack_tasks_cancelled(u, m->tasks_cancelled, &r->tasks_cancelled);
    case REC_RUN_ENDED:
        return unpack_run_ended(u, m->run_ended, &r->run_ended);
    case REC_RUNS_ARCHIVED:
        return unpack_runs_archived(u, m->runs_archived, &r->runs_archived);
    case REC_TASKS_PLACED:
        return unpack_tasks_placed(u, m->tasks_placed, &r->tasks_placed);
    case REC_TASKS_STARTED:
        return unpack_tasks_started(u, m->tasks_started, &r->tasks_started);
    case REC_TASKS_STOPPING:
        return unpack_tasks_stopping(u, m->tasks_stopping, &r->tasks_stopping);
    case REC_TASKS_ENDED:
        return unpack_tasks_ended(u, m->tasks_ended, &r->tasks_ended);
    case REC_NODE_REGISTERED:
        return unpack_node_registered(u, m->node_registered, &r->node_registered);
    case REC_NODE_STATE:
        return unpack_node_state(u, m->node_state, &r->node_state);
    case REC_NODE_ADMISSION:
        return unpack_node_admission(u, m->node_admission, &r->node_admission);
    case REC_CALENDAR_PUT:
        return unpack_calendar_put(u, m->calendar_put, &r->calendar_put);
    case REC_CALENDAR_DELETED:
        return unpack_calendar_deleted(u, m->calendar_deleted, &r->calendar_deleted);
    case REC_JOB_RESCHEDULED:
        return unpack_job_rescheduled(u, m->job_rescheduled, &r->job_rescheduled);
    case REC_BACKFILL_BEGAN:
        return unpack_backfill_began(u, m->backfill_began, &r->backfill_began);
    case REC_BACKFILL_FIRED:
        return unpack_backfill_fired(u, m->backfill_fired, &r->backfill_fired);
    case REC_BACKFILL_ENDED:
        return unpack_backfill_ended(u, m->backfill_ended, &r->backfill_ended);
    case REC_KINDS:
        break;
    }
    unreachable();
}

int record_unpack(struct bytes *bytes, struct arena *arena, struct record **ret_record, struct err *err)
{
    must(bytes != NULL && arena != NULL && ret_record != NULL);
    struct unpacker u;
    struct bytes rest = *bytes;
    struct bytes frame;
    unpacker_init(&u, arena, 0, ERR_STORE_CORRUPT, "record", err);
    int rc = unpack_frame(&u, &rest, &frame);
    if (rc < 0)
        return rc;
    unpacker_init(&u, arena, frame.len, ERR_STORE_CORRUPT, "record", err);
    const Muster__Record *message = unpack_message(&u, &muster__record__descriptor, frame);
    if (message == NULL)
        return u.code;
    if (message->body_case == MUSTER__RECORD__BODY__NOT_SET)
        return unpack_unknown_kind(&u, &message->base);
    struct record *record = arena_new(arena, struct record);
    record->kind = (enum record_kind)(message->body_case - 15);
    record->seq = message->seq;
    record->at_usec = message->at_usec;
    record->by = text_or_null(message->by);
    rc = unpack_body(&u, message, record);
    if (rc < 0)
        return rc;
    *bytes = rest;
    *ret_record = record;
    return 0;
}
