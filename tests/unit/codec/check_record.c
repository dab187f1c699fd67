// SPDX-License-Identifier: Apache-2.0
// Two records must say the same, field by field.
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

static void check_u64s(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++)
        assert_int_equal(a[i], b[i]);
}

static void check_u32s(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++)
        assert_int_equal(a[i], b[i]);
}

static void check_usecs(const usec_t *a, size_t n_a, const usec_t *b, size_t n_b)
{
    check_u64s((const uint64_t *)a, n_a, (const uint64_t *)b, n_b);
}

void check_attempt_end(const struct attempt_end *a, const struct attempt_end *b)
{
    assert_int_equal(a->fence, b->fence);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->exit_code, b->exit_code);
    assert_int_equal(a->signal, b->signal);
    assert_int_equal(a->start_usec, b->start_usec);
    assert_int_equal(a->wall_usec, b->wall_usec);
    assert_int_equal(a->usage.cpu_usec, b->usage.cpu_usec);
    assert_int_equal(a->usage.memory_peak_bytes, b->usage.memory_peak_bytes);
    assert_int_equal(a->usage.read_bytes, b->usage.read_bytes);
    assert_int_equal(a->usage.written_bytes, b->usage.written_bytes);
    assert_int_equal(a->usage.output_bytes, b->usage.output_bytes);
    check_text(a->message, b->message);
}

static void check_tasks_ended(const struct rec_tasks_ended *a, const struct rec_tasks_ended *b)
{
    assert_int_equal(a->run_id, b->run_id);
    assert_int_equal(a->node_id, b->node_id);
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        check_attempt_end(&a->entry[i].end, &b->entry[i].end);
        assert_int_equal(a->entry[i].index, b->entry[i].index);
        assert_int_equal(a->entry[i].attempt, b->entry[i].attempt);
        assert_int_equal(a->entry[i].to, b->entry[i].to);
        assert_int_equal(a->entry[i].retry_usec, b->entry[i].retry_usec);
    }
}

static void check_tasks_placed(const struct rec_tasks_placed *a, const struct rec_tasks_placed *b)
{
    assert_int_equal(a->run_id, b->run_id);
    assert_int_equal(a->node_id, b->node_id);
    assert_int_equal(a->first_fence, b->first_fence);
    check_u32s(a->index, a->n, b->index, b->n);
    // None and 1 everywhere say the same.
    for (size_t i = 0; i < a->n; i++)
        assert_int_equal(a->attempt != NULL ? a->attempt[i] : 1, b->attempt != NULL ? b->attempt[i] : 1);
}

static void check_left_out(const usec_t *a, const usec_t *b, size_t n)
{
    assert_int_equal(a != NULL, b != NULL);
    if (a != NULL)
        check_usecs(a, n, b, n);
}

static void check_job_body(const struct record *a, const struct record *b)
{
    if (a->kind == REC_JOB_APPLIED) {
        assert_int_equal(a->job_applied.job_id, b->job_applied.job_id);
        assert_int_equal(a->job_applied.version, b->job_applied.version);
        check_spec(a->job_applied.spec, b->job_applied.spec);
        check_bytes(a->job_applied.packed, b->job_applied.packed);
        size_t n = a->job_applied.spec->n_triggers;
        check_usecs(a->job_applied.next_usec, n, b->job_applied.next_usec, n);
        check_left_out(a->job_applied.left_out_usec, b->job_applied.left_out_usec, n);
    } else if (a->kind == REC_JOB_STATE) {
        assert_int_equal(a->job_state.job_id, b->job_state.job_id);
        assert_int_equal(a->job_state.to, b->job_state.to);
        assert_int_equal(a->job_state.paused, b->job_state.paused);
        check_usecs(a->job_state.next_usec, a->job_state.n_next, b->job_state.next_usec, b->job_state.n_next);
        check_left_out(a->job_state.left_out_usec, b->job_state.left_out_usec, a->job_state.n_next);
    } else if (a->kind == REC_JOB_RESCHEDULED) {
        assert_int_equal(a->job_rescheduled.job_id, b->job_rescheduled.job_id);
        check_usecs(a->job_rescheduled.next_usec, a->job_rescheduled.n_next, b->job_rescheduled.next_usec, b->job_rescheduled.n_next);
        check_left_out(a->job_rescheduled.left_out_usec, b->job_rescheduled.left_out_usec, a->job_rescheduled.n_next);
    } else {
        assert_int_equal(a->job_fired.job_id, b->job_fired.job_id);
        assert_int_equal(a->job_fired.trigger, b->job_fired.trigger);
        assert_int_equal(a->job_fired.nominal_usec, b->job_fired.nominal_usec);
        assert_int_equal(a->job_fired.outcome, b->job_fired.outcome);
        assert_int_equal(a->job_fired.run_id, b->job_fired.run_id);
        assert_int_equal(a->job_fired.n_missed, b->job_fired.n_missed);
        assert_int_equal(a->job_fired.next_usec, b->job_fired.next_usec);
        assert_int_equal(a->job_fired.last_usec, b->job_fired.last_usec);
        assert_int_equal(a->job_fired.left_out_usec, b->job_fired.left_out_usec);
        check_text(a->job_fired.why, b->job_fired.why);
    }
}

static void check_run_submitted(const struct rec_run_submitted *a, const struct rec_run_submitted *b)
{
    assert_int_equal(a->run_id, b->run_id);
    assert_int_equal(a->job_id, b->job_id);
    assert_int_equal(a->job_version, b->job_version);
    assert_int_equal(a->nominal_usec, b->nominal_usec);
    assert_int_equal(a->rerun_of, b->rerun_of);
    check_spec(a->spec, b->spec);
    check_bytes(a->packed, b->packed);
    check_text(a->idempotency_key, b->idempotency_key);
    assert_int_equal(a->work_hash, b->work_hash);
    check_text(a->submitted_by, b->submitted_by);
    check_bytes(a->params, b->params);
    assert_int_equal(a->backfill_id, b->backfill_id);
    assert_int_equal(a->eligible, b->eligible);
    assert_int_equal(a->held, b->held);
}

static void check_run_body(const struct record *a, const struct record *b)
{
    switch (a->kind) {
    case REC_RUN_SUBMITTED:
        check_run_submitted(&a->run_submitted, &b->run_submitted);
        return;
    case REC_RUN_ELIGIBLE:
        assert_int_equal(a->run_eligible.run_id, b->run_eligible.run_id);
        return;
    case REC_RUN_ADMISSION:
        assert_int_equal(a->run_admission.run_id, b->run_admission.run_id);
        assert_int_equal(a->run_admission.to, b->run_admission.to);
        return;
    case REC_RUN_CANCELLING:
        assert_int_equal(a->run_cancelling.run_id, b->run_cancelling.run_id);
        assert_int_equal(a->run_cancelling.cause, b->run_cancelling.cause);
        return;
    case REC_RUN_ENDED:
        assert_int_equal(a->run_ended.run_id, b->run_ended.run_id);
        assert_int_equal(a->run_ended.to, b->run_ended.to);
        assert_int_equal(a->run_ended.n_succeeded, b->run_ended.n_succeeded);
        assert_int_equal(a->run_ended.n_failed, b->run_ended.n_failed);
        assert_int_equal(a->run_ended.n_cancelled, b->run_ended.n_cancelled);
        assert_int_equal(a->run_ended.n_expired, b->run_ended.n_expired);
        assert_int_equal(a->run_ended.n_lost, b->run_ended.n_lost);
        return;
    default:
        check_u64s(a->runs_archived.run_id, a->runs_archived.n, b->runs_archived.run_id, b->runs_archived.n);
    }
}

static void check_task_body(const struct record *a, const struct record *b)
{
    switch (a->kind) {
    case REC_TASKS_CANCELLED:
        assert_int_equal(a->tasks_cancelled.run_id, b->tasks_cancelled.run_id);
        assert_int_equal(a->tasks_cancelled.all, b->tasks_cancelled.all);
        assert_int_equal(a->tasks_cancelled.to, b->tasks_cancelled.to);
        check_u32s(a->tasks_cancelled.index, a->tasks_cancelled.n, b->tasks_cancelled.index, b->tasks_cancelled.n);
        return;
    case REC_TASKS_PLACED:
        check_tasks_placed(&a->tasks_placed, &b->tasks_placed);
        return;
    case REC_TASKS_STARTED:
        assert_int_equal(a->tasks_started.node_id, b->tasks_started.node_id);
        check_u64s(a->tasks_started.fence, a->tasks_started.n, b->tasks_started.fence, b->tasks_started.n);
        check_usecs(a->tasks_started.start_usec, a->tasks_started.n, b->tasks_started.start_usec, b->tasks_started.n);
        return;
    case REC_TASKS_STOPPING:
        assert_int_equal(a->tasks_stopping.node_id, b->tasks_stopping.node_id);
        assert_int_equal(a->tasks_stopping.why, b->tasks_stopping.why);
        check_u64s(a->tasks_stopping.fence, a->tasks_stopping.n, b->tasks_stopping.fence, b->tasks_stopping.n);
        return;
    default:
        check_tasks_ended(&a->tasks_ended, &b->tasks_ended);
    }
}

static void check_node_body(const struct record *a, const struct record *b)
{
    if (a->kind == REC_NODE_REGISTERED) {
        assert_int_equal(a->node_registered.node_id, b->node_registered.node_id);
        check_node_info(a->node_registered.info, b->node_registered.info);
    } else if (a->kind == REC_NODE_STATE) {
        assert_int_equal(a->node_state.node_id, b->node_state.node_id);
        assert_int_equal(a->node_state.to, b->node_state.to);
    } else {
        assert_int_equal(a->node_admission.node_id, b->node_admission.node_id);
        assert_int_equal(a->node_admission.to, b->node_admission.to);
    }
}

void check_record(const struct record *a, const struct record *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->at_usec, b->at_usec);
    check_text(a->by, b->by);
    switch (a->kind) {
    case REC_EPOCH_BEGAN:
        assert_int_equal(a->epoch_began.epoch, b->epoch_began.epoch);
        check_text(a->epoch_began.server, b->epoch_began.server);
        check_text(a->epoch_began.version, b->epoch_began.version);
        return;
    case REC_JOB_APPLIED:
    case REC_JOB_STATE:
    case REC_JOB_FIRED:
    case REC_JOB_RESCHEDULED:
        check_job_body(a, b);
        return;
    case REC_RUN_SUBMITTED:
    case REC_RUN_ELIGIBLE:
    case REC_RUN_ADMISSION:
    case REC_RUN_CANCELLING:
    case REC_RUN_ENDED:
    case REC_RUNS_ARCHIVED:
        check_run_body(a, b);
        return;
    case REC_TASKS_CANCELLED:
    case REC_TASKS_PLACED:
    case REC_TASKS_STARTED:
    case REC_TASKS_STOPPING:
    case REC_TASKS_ENDED:
        check_task_body(a, b);
        return;
    case REC_NODE_REGISTERED:
    case REC_NODE_STATE:
    case REC_NODE_ADMISSION:
        check_node_body(a, b);
        return;
    case REC_CALENDAR_PUT:
        assert_int_equal(a->calendar_put.version, b->calendar_put.version);
        check_calendar(a->calendar_put.calendar, b->calendar_put.calendar);
        return;
    case REC_CALENDAR_DELETED:
        check_text(a->calendar_deleted.name, b->calendar_deleted.name);
        return;
    case REC_BACKFILL_BEGAN:
    case REC_BACKFILL_FIRED:
    case REC_BACKFILL_ENDED:
        check_backfill_body(a, b);
        return;
    case REC_KINDS:
        break;
    }
    fail();
}
