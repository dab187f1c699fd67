// SPDX-License-Identifier: Apache-2.0
// The fold. Each kind of record has one function that changes the state, in apply_job.c, apply_run.c, apply_task.c and apply_node.c;
// they assert that what they read is possible, because the log holds only what a core decided.
#include "base/assert.h"
#include "core/internal.h"

static void apply_epoch_began(struct core *core, const struct record *record)
{
    must(record->epoch_began.epoch > core->epoch);
    core->epoch = record->epoch_began.epoch;
}

typedef void apply_function(struct core *, const struct record *);

static apply_function *const functions[REC_KINDS] = {
    [REC_EPOCH_BEGAN] = apply_epoch_began,
    [REC_JOB_APPLIED] = apply_job,
    [REC_JOB_STATE] = apply_job_state,
    [REC_JOB_FIRED] = apply_job_fired,
    [REC_RUN_SUBMITTED] = apply_run_submitted,
    [REC_RUN_ELIGIBLE] = apply_run_eligible,
    [REC_RUN_ADMISSION] = apply_run_admission,
    [REC_RUN_CANCELLING] = apply_run_cancelling,
    [REC_TASKS_CANCELLED] = apply_tasks_cancelled,
    [REC_RUN_ENDED] = apply_run_ended,
    [REC_RUNS_ARCHIVED] = apply_runs_archived,
    [REC_TASKS_PLACED] = apply_tasks_placed,
    [REC_TASKS_STARTED] = apply_tasks_started,
    [REC_TASKS_STOPPING] = apply_tasks_stopping,
    [REC_TASKS_ENDED] = apply_tasks_ended,
    [REC_NODE_REGISTERED] = apply_node_registered,
    [REC_NODE_STATE] = apply_node_state,
    [REC_NODE_ADMISSION] = apply_node_admission,
    [REC_CALENDAR_PUT] = apply_calendar_put,
    [REC_CALENDAR_DELETED] = apply_calendar_deleted,
    [REC_JOB_RESCHEDULED] = apply_job_rescheduled,
    [REC_BACKFILL_BEGAN] = apply_backfill_began,
    [REC_BACKFILL_FIRED] = apply_backfill_fired,
    [REC_BACKFILL_ENDED] = apply_backfill_ended,
};

void core_apply(struct core *core, const struct record *record)
{
    must(record->kind > 0 && record->kind < REC_KINDS);
    must(record->seq == core->seq + 1);
    core->seq = record->seq;
    functions[record->kind](core, record);
}
