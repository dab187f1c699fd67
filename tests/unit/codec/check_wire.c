// SPDX-License-Identifier: Apache-2.0
// Two messages, or two items of snapshots, must say the same, field by field.
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

static void check_u64s(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++)
        assert_int_equal(a[i], b[i]);
}

void check_known(const struct known_attempt *a, const struct known_attempt *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a[i].fence, b[i].fence);
        assert_int_equal(a[i].running, b[i].running);
        assert_int_equal(a[i].start_usec, b[i].start_usec);
    }
}

static void check_hello(const struct wire_hello *a, const struct wire_hello *b)
{
    assert_int_equal(a->version, b->version);
    check_bytes(a->nonce, b->nonce);
    check_bytes(a->proof, b->proof);
    check_node_info(a->hello.info, b->hello.info);
    assert_int_equal(a->hello.highest_epoch, b->hello.highest_epoch);
    assert_int_equal(a->hello.n_known, b->hello.n_known);
    check_known(a->hello.known, b->hello.known, a->hello.n_known);
}

static void check_welcome(const struct wire_welcome *a, const struct wire_welcome *b)
{
    check_bytes(a->proof, b->proof);
    assert_int_equal(a->welcome.node_id, b->welcome.node_id);
    assert_int_equal(a->welcome.epoch, b->welcome.epoch);
    assert_int_equal(a->welcome.lease_usec, b->welcome.lease_usec);
    assert_int_equal(a->welcome.heartbeat_usec, b->welcome.heartbeat_usec);
    check_u64s(a->welcome.kill, a->welcome.n_kill, b->welcome.kill, b->welcome.n_kill);
    check_u64s(a->welcome.forget, a->welcome.n_forget, b->welcome.forget, b->welcome.n_forget);
}

static void check_start(const struct fx_start *a, const struct fx_start *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct start_order *o = &a->order[i], *p = &b->order[i];
        assert_int_equal(o->fence, p->fence);
        assert_int_equal(o->run_id, p->run_id);
        assert_int_equal(o->index, p->index);
        assert_int_equal(o->attempt, p->attempt);
        assert_int_equal(o->position, p->position);
        assert_int_equal(o->n_tasks, p->n_tasks);
        assert_int_equal(o->job_id, p->job_id);
        assert_int_equal(o->nominal_usec, p->nominal_usec);
        check_bytes(o->params, p->params);
        assert_int_equal(o->backfill_id, p->backfill_id);
        check_bytes(o->spec, p->spec);
    }
}

static void check_report(const struct ev_node_report *a, const struct ev_node_report *b)
{
    assert_int_equal(a->report_id, b->report_id);
    assert_int_equal(a->n_started, b->n_started);
    check_known(a->started, b->started, a->n_started);
    assert_int_equal(a->n_ended, b->n_ended);
    for (size_t i = 0; i < a->n_ended; i++)
        check_attempt_end(&a->ended[i], &b->ended[i]);
}

static void check_log_read(const struct wire_log_read *a, const struct wire_log_read *b)
{
    assert_int_equal(a->request, b->request);
    assert_int_equal(a->run_id, b->run_id);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->stream, b->stream);
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->max_bytes, b->max_bytes);
}

static void check_log_data(const struct wire_log_data *a, const struct wire_log_data *b)
{
    assert_int_equal(a->request, b->request);
    assert_int_equal(a->code, b->code);
    check_text(a->text, b->text);
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->end, b->end);
    assert_int_equal(a->final, b->final);
    check_bytes(a->data, b->data);
}

void check_wire(const struct wire_message *a, const struct wire_message *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->epoch, b->epoch);
    switch (a->kind) {
    case WIRE_CHALLENGE:
        assert_int_equal(a->challenge.version, b->challenge.version);
        assert_int_equal(a->challenge.epoch, b->challenge.epoch);
        check_bytes(a->challenge.nonce, b->challenge.nonce);
        return;
    case WIRE_HELLO:
        check_hello(&a->hello, &b->hello);
        return;
    case WIRE_WELCOME:
        check_welcome(&a->welcome, &b->welcome);
        return;
    case WIRE_REFUSE:
        assert_int_equal(a->refuse.code, b->refuse.code);
        assert_string_equal(a->refuse.text, b->refuse.text);
        return;
    case WIRE_HEARTBEAT:
        assert_int_equal(a->heartbeat, b->heartbeat);
        return;
    case WIRE_LEASE:
        assert_int_equal(a->lease.heartbeat, b->lease.heartbeat);
        assert_int_equal(a->lease.lease_usec, b->lease.lease_usec);
        return;
    case WIRE_START:
        check_start(&a->start, &b->start);
        return;
    case WIRE_STOP:
        check_u64s(a->stop.fence, a->stop.n, b->stop.fence, b->stop.n);
        assert_int_equal(a->stop.why, b->stop.why);
        return;
    case WIRE_REPORT:
        check_report(&a->report, &b->report);
        return;
    case WIRE_ACK:
        assert_int_equal(a->ack.report_id, b->ack.report_id);
        return;
    case WIRE_LOG_READ:
        check_log_read(&a->log_read, &b->log_read);
        return;
    case WIRE_LOG_DATA:
        check_log_data(&a->log_data, &b->log_data);
        return;
    case WIRE_KINDS:
        break;
    }
    fail();
}

static void check_snap_head(const struct snap_head *a, const struct snap_head *b)
{
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->next_run, b->next_run);
    assert_int_equal(a->next_job, b->next_job);
    assert_int_equal(a->next_fence, b->next_fence);
    assert_int_equal(a->next_node, b->next_node);
}

static void check_snap_job(const struct snap_job *a, const struct snap_job *b)
{
    assert_int_equal(a->job_id, b->job_id);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->state, b->state);
    check_spec(a->spec, b->spec);
    check_bytes(a->packed, b->packed);
    check_u64s((const uint64_t *)a->next_usec, a->n_next, (const uint64_t *)b->next_usec, b->n_next);
    assert_int_equal(a->left_out_usec != NULL, b->left_out_usec != NULL);
    if (a->left_out_usec != NULL) {
        check_u64s((const uint64_t *)a->left_out_usec, a->n_next, (const uint64_t *)b->left_out_usec, b->n_next);
        check_u64s(a->planned_seq, a->n_next, b->planned_seq, b->n_next);
    }
    assert_int_equal(a->last_run, b->last_run);
    assert_int_equal(a->decided_usec, b->decided_usec);
    assert_int_equal(a->failures, b->failures);
    assert_int_equal(a->paused, b->paused);
    assert_int_equal(a->missed_usec, b->missed_usec);
    assert_int_equal(a->missed_why, b->missed_why);
    assert_int_equal(a->applied_usec, b->applied_usec);
    assert_int_equal(a->first_usec, b->first_usec);
}

static void check_snap_run(const struct snap_run *a, const struct snap_run *b)
{
    assert_int_equal(a->run_id, b->run_id);
    assert_int_equal(a->job_id, b->job_id);
    assert_int_equal(a->spec_no, b->spec_no);
    assert_int_equal(a->rerun_of, b->rerun_of);
    assert_int_equal(a->job_version, b->job_version);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->admission, b->admission);
    assert_int_equal(a->cancel_cause, b->cancel_cause);
    assert_int_equal(a->submitted_usec, b->submitted_usec);
    assert_int_equal(a->started_usec, b->started_usec);
    assert_int_equal(a->ended_usec, b->ended_usec);
    assert_int_equal(a->nominal_usec, b->nominal_usec);
    check_bytes(a->params, b->params);
    assert_int_equal(a->backfill_id, b->backfill_id);
    assert_int_equal(a->cursor, b->cursor);
    assert_int_equal(a->n_succeeded, b->n_succeeded);
    assert_int_equal(a->n_failed, b->n_failed);
    assert_int_equal(a->n_cancelled, b->n_cancelled);
    assert_int_equal(a->n_expired, b->n_expired);
    assert_int_equal(a->n_lost, b->n_lost);
    check_bytes(a->ended, b->ended);
    check_bytes(a->good, b->good);
    check_text(a->submitted_by, b->submitted_by);
    check_u64s(a->waits_for, a->n_waits_for, b->waits_for, b->n_waits_for);
    assert_int_equal(a->key_held, b->key_held);
    assert_int_equal(a->ended_seq, b->ended_seq);
    assert_int_equal(a->n_untouched, b->n_untouched);
    assert_int_equal(a->dep_failed, b->dep_failed);
}

static void check_snap_task(const struct snap_task *a, const struct snap_task *b)
{
    assert_int_equal(a->run_id, b->run_id);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->tries, b->tries);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->node_id, b->node_id);
    assert_int_equal(a->fence, b->fence);
    assert_int_equal(a->placed_usec, b->placed_usec);
    assert_int_equal(a->started_usec, b->started_usec);
    assert_int_equal(a->retry_usec, b->retry_usec);
    assert_int_equal(a->stop_why, b->stop_why);
}

void check_snapshot_item(const struct snapshot_item *a, const struct snapshot_item *b)
{
    assert_int_equal(a->kind, b->kind);
    switch (a->kind) {
    case SNAP_HEAD:
        check_snap_head(&a->head, &b->head);
        return;
    case SNAP_JOB:
        check_snap_job(&a->job, &b->job);
        return;
    case SNAP_NODE:
        assert_int_equal(a->node.node_id, b->node.node_id);
        check_node_info(&a->node.info, &b->node.info);
        assert_int_equal(a->node.state, b->node.state);
        assert_int_equal(a->node.admission, b->node.admission);
        assert_int_equal(a->node.since_usec, b->node.since_usec);
        return;
    case SNAP_SPEC:
        assert_int_equal(a->spec.spec_no, b->spec.spec_no);
        check_spec(a->spec.spec, b->spec.spec);
        check_bytes(a->spec.packed, b->spec.packed);
        return;
    case SNAP_RUN:
        check_snap_run(&a->run, &b->run);
        return;
    case SNAP_TASK:
        check_snap_task(&a->task, &b->task);
        return;
    case SNAP_KEY:
        check_text(a->key.key, b->key.key);
        assert_int_equal(a->key.run_id, b->key.run_id);
        assert_int_equal(a->key.until_usec, b->key.until_usec);
        assert_int_equal(a->key.work_hash, b->key.work_hash);
        return;
    case SNAP_CALENDAR:
        check_calendar(a->calendar.calendar, b->calendar.calendar);
        assert_int_equal(a->calendar.version, b->calendar.version);
        assert_int_equal(a->calendar.put_usec, b->calendar.put_usec);
        assert_int_equal(a->calendar.put_seq, b->calendar.put_seq);
        return;
    case SNAP_BACKFILL:
        check_snap_backfill(&a->backfill, &b->backfill);
        return;
    case SNAP_KINDS:
        break;
    }
    fail();
}
