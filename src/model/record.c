// SPDX-License-Identifier: Apache-2.0
// Names of the kinds of records and of their causes, as people and JSON see them.
#include "model/record.h"

#include "base/assert.h"

const char *record_kind_name(enum record_kind kind)
{
    static const char *const names[REC_KINDS] = {
        [REC_EPOCH_BEGAN] = "epoch_began",
        [REC_JOB_APPLIED] = "job_applied",
        [REC_JOB_STATE] = "job_state",
        [REC_JOB_FIRED] = "job_fired",
        [REC_RUN_SUBMITTED] = "run_submitted",
        [REC_RUN_ELIGIBLE] = "run_eligible",
        [REC_RUN_ADMISSION] = "run_admission",
        [REC_RUN_CANCELLING] = "run_cancelling",
        [REC_TASKS_CANCELLED] = "tasks_cancelled",
        [REC_RUN_ENDED] = "run_ended",
        [REC_RUNS_ARCHIVED] = "runs_archived",
        [REC_TASKS_PLACED] = "tasks_placed",
        [REC_TASKS_STARTED] = "tasks_started",
        [REC_TASKS_STOPPING] = "tasks_stopping",
        [REC_TASKS_ENDED] = "tasks_ended",
        [REC_NODE_REGISTERED] = "node_registered",
        [REC_NODE_STATE] = "node_state",
        [REC_NODE_ADMISSION] = "node_admission",
        [REC_CALENDAR_PUT] = "calendar_put",
        [REC_CALENDAR_DELETED] = "calendar_deleted",
        [REC_JOB_RESCHEDULED] = "job_rescheduled",
        [REC_BACKFILL_BEGAN] = "backfill_began",
        [REC_BACKFILL_FIRED] = "backfill_fired",
        [REC_BACKFILL_ENDED] = "backfill_ended",
    };
    must(kind > 0 && kind < REC_KINDS);
    must(names[kind] != NULL);
    return names[kind];
}

const char *fire_outcome_name(enum fire_outcome outcome)
{
    switch (outcome) {
    case FIRE_STARTED:
        return "started";
    case FIRE_SKIPPED_OVERLAP:
        return "skipped_overlap";
    case FIRE_SKIPPED_MISFIRE:
        return "skipped_misfire";
    case FIRE_QUEUED:
        return "queued";
    case FIRE_SKIPPED_LIMIT:
        return "skipped_limit";
    case FIRE_SKIPPED_CATCH_UP:
        return "skipped_catch_up";
    case FIRE_SKIPPED_CHANGED:
        return "skipped_changed";
    case FIRE_SKIPPED_QUEUE:
        return "skipped_queue";
    case FIRE_SKIPPED_CALENDAR:
        return "skipped_calendar";
    case FIRE_OUTCOMES:
        break;
    }
    unreachable();
}

const char *cancel_cause_name(enum cancel_cause cause)
{
    switch (cause) {
    case CANCEL_USER:
        return "user";
    case CANCEL_EXPIRED:
        return "expired";
    case CANCEL_REPLACED:
        return "replaced";
    case CANCEL_JOB_DELETED:
        return "job_deleted";
    }
    unreachable();
}
