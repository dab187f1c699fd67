// SPDX-License-Identifier: Apache-2.0
// Records into the history. Each kind has a short function that changes the run in memory; fold_write() then writes its row.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/history_fold.h"

enum {
    BLOCK_BYTES = 32 * 1024, // of packed results that become a row in the middle of a call
    ENTRIES_AT_ONCE = 512,
};

static void move(struct fold_run *run, enum run_state to)
{
    run->state_changed |= run->state != to;
    run->state = to;
}

static int on_run_submitted(struct history *history, const struct record *record, struct err *err)
{
    const struct rec_run_submitted *submitted = &record->run_submitted;
    struct fold_run *run;
    int code = fold_run_get(history, submitted->run_id, &run, err);
    if (code < 0 || run->exists)
        return code;
    struct fold_spec *spec;
    code = fold_spec_get(history, submitted->spec, submitted->packed, &spec, err);
    if (code < 0)
        return code;
    run->exists = run->is_new = true;
    run->submitted = submitted;
    run->submitted_usec = record->at_usec;
    run->spec = spec;
    run->n_tasks = spec->n_tasks;
    run->held = submitted->held;
    run->state = submitted->eligible ? RUN_PENDING : RUN_WAITING;
    return 0;
}

static void on_run_ended(struct fold_run *run, const struct record *record)
{
    const struct rec_run_ended *ended = &record->run_ended;
    move(run, ended->to);
    run->state_changed = true; // its row gets the time, too
    run->ended_usec = record->at_usec;
    run->n_active = 0;
    run->n_succeeded = ended->n_succeeded;
    run->n_failed = ended->n_failed;
    run->n_cancelled = ended->n_cancelled;
    run->n_expired = ended->n_expired;
    run->n_lost = ended->n_lost;
}

static void on_tasks_cancelled(struct fold_run *run, const struct record *record)
{
    const struct rec_tasks_cancelled *cancelled = &record->tasks_cancelled;
    size_t n = cancelled->n;
    if (cancelled->all) {
        uint64_t others = (uint64_t)run->n_active + run->n_succeeded + run->n_failed + run->n_cancelled + run->n_expired + run->n_lost;
        n = others < run->n_tasks ? run->n_tasks - others : 0;
    }
    if (cancelled->to == TASK_EXPIRED)
        run->n_expired += (uint32_t)n;
    else
        run->n_cancelled += (uint32_t)n;
    history_pack_cancelled(&run->tail, &run->span, record);
}

static int add_node(struct history *history, struct fold_run *run, uint32_t node_id, struct err *err)
{
    for (size_t i = 0; i < run->nodes.len; i += sizeof(node_id)) {
        if (memcmp(run->nodes.data + i, &node_id, sizeof(node_id)) == 0)
            return 0;
    }
    sqlite3_stmt *row;
    int code = history_statement(history, H_RUN_NODE_INSERT, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, node_id);
    db_bind_u64(row, 2, run->run_id);
    code = db_run(row, err);
    if (code == 0)
        buf_add(&run->nodes, &node_id, sizeof(node_id));
    return code;
}

static int on_tasks_placed(struct history *history, struct fold_run *run, const struct record *record, struct err *err)
{
    const struct rec_tasks_placed *placed = &record->tasks_placed;
    if (run->state == RUN_WAITING || run->state == RUN_PENDING)
        move(run, RUN_RUNNING);
    if (run->started_usec == 0)
        run->started_usec = record->at_usec;
    run->n_active += (uint32_t)placed->n;
    history_pack_placed(&run->tail, &run->span, record);
    int code = run->tail.len >= BLOCK_BYTES ? fold_block_write(history, run, err) : 0;
    return code < 0 ? code : add_node(history, run, placed->node_id, err);
}

static void count_end(struct fold_run *run, enum task_state to)
{
    run->n_active -= run->n_active > 0;
    run->n_succeeded += to == TASK_SUCCEEDED;
    run->n_failed += to == TASK_FAILED;
    run->n_cancelled += to == TASK_CANCELLED;
    run->n_expired += to == TASK_EXPIRED;
    run->n_lost += to == TASK_LOST;
}

static int on_tasks_ended(struct history *history, struct fold_run *run, const struct record *record, struct err *err)
{
    const struct rec_tasks_ended *ended = &record->tasks_ended;
    for (size_t from = 0; from < ended->n;) {
        size_t to = from + ENTRIES_AT_ONCE < ended->n ? from + ENTRIES_AT_ONCE : ended->n;
        for (size_t i = from; i < to; i++)
            count_end(run, ended->entry[i].to);
        history_pack_ended(&run->tail, &run->span, record, from, to);
        int code = run->tail.len >= BLOCK_BYTES ? fold_block_write(history, run, err) : 0;
        if (code < 0)
            return code;
        from = to;
    }
    return 0;
}

static int on_job_fired(struct history *history, const struct record *record, struct err *err)
{
    const struct rec_job_fired *fired = &record->job_fired;
    sqlite3_stmt *row;
    int code = history_statement(history, H_FIRE_SET, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, fired->job_id);
    db_bind_i64(row, 2, fired->nominal_usec);
    db_bind_i64(row, 3, fired->trigger);
    db_bind_i64(row, 4, record->at_usec);
    db_bind_i64(row, 5, fired->outcome);
    db_bind_u64(row, 6, fired->run_id);
    db_bind_u64(row, 7, fired->n_missed);
    db_bind_i64(row, 8, fired->last_usec);
    db_bind_text(row, 9, fired->why);
    return db_run(row, err);
}

static int on_node_registered(struct history *history, const struct record *record, struct err *err)
{
    sqlite3_stmt *row;
    int code = history_statement(history, H_NODE_SET, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, record->node_registered.node_id);
    db_bind_text(row, 2, record->node_registered.info->name);
    return db_run(row, err);
}

// Records about one run that is there.
static int on_run_record(struct history *history, struct fold_run *run, const struct record *record, struct err *err)
{
    switch (record->kind) {
    case REC_RUN_ELIGIBLE:
        if (run->state == RUN_WAITING)
            move(run, RUN_PENDING);
        return 0;
    case REC_RUN_ADMISSION:
        run->held = record->run_admission.to == ADMIT_CLOSED;
        return 0;
    case REC_RUN_CANCELLING:
        move(run, RUN_CANCELLING);
        return 0;
    case REC_TASKS_CANCELLED:
        on_tasks_cancelled(run, record);
        return 0;
    case REC_RUN_ENDED:
        on_run_ended(run, record);
        return 0;
    case REC_TASKS_PLACED:
        return on_tasks_placed(history, run, record, err);
    case REC_TASKS_ENDED:
        return on_tasks_ended(history, run, record, err);
    default:
        unreachable();
    }
}

// The run of a record that changes one that is there; 0: it is of another kind.
static uint64_t run_of(const struct record *record)
{
    switch (record->kind) {
    case REC_RUN_ELIGIBLE:
        return record->run_eligible.run_id;
    case REC_RUN_ADMISSION:
        return record->run_admission.run_id;
    case REC_RUN_CANCELLING:
        return record->run_cancelling.run_id;
    case REC_TASKS_CANCELLED:
        return record->tasks_cancelled.run_id;
    case REC_RUN_ENDED:
        return record->run_ended.run_id;
    case REC_TASKS_PLACED:
        return record->tasks_placed.run_id;
    case REC_TASKS_ENDED:
        return record->tasks_ended.run_id;
    default:
        return 0;
    }
}

static int on_record(struct history *history, const struct record *record, struct err *err)
{
    if (record->kind == REC_RUN_SUBMITTED)
        return on_run_submitted(history, record, err);
    if (record->kind == REC_JOB_FIRED)
        return on_job_fired(history, record, err);
    if (record->kind == REC_BACKFILL_FIRED)
        return history_backfill_fired(history, record, err);
    if (record->kind == REC_NODE_REGISTERED)
        return on_node_registered(history, record, err);
    uint64_t run_id = run_of(record);
    if (run_id == 0)
        return 0;
    struct fold_run *run;
    int code = fold_run_get(history, run_id, &run, err);
    return code < 0 || !run->exists ? code : on_run_record(history, run, record, err);
}

static int take_in(struct history *history, const struct record *const *records, size_t n, struct err *err)
{
    uint64_t seq;
    int code = history_seq(history, &seq, err);
    for (size_t i = 0; i < n && code == 0; i++) {
        must(i == 0 || records[i]->seq == records[i - 1]->seq + 1);
        if (records[i]->seq > seq)
            code = on_record(history, records[i], err);
    }
    if (code == 0)
        code = fold_write(history, err);
    if (code < 0)
        return code;
    if (records[n - 1]->seq <= seq)
        return 0;
    sqlite3_stmt *row;
    code = history_statement(history, H_POSITION_SET, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, records[n - 1]->seq);
    return db_run(row, err);
}

int history_write(struct history *history, const struct record *const *records, size_t n, struct err *err)
{
    must(!history->read_only);
    if (n == 0)
        return 0;
    int code = history_run_statement(history, H_BEGIN, err);
    if (code < 0)
        return code;
    code = take_in(history, records, n, err);
    if (code == 0)
        code = history_run_statement(history, H_COMMIT, err);
    if (code < 0) {
        history_roll_back(history);
        history_fold_forget(history->fold); // ids that were just made are gone
    }
    fold_clear(history->fold);
    return code;
}
