// SPDX-License-Identifier: Apache-2.0
// What follows from records by itself: a run whose last task has ended ends; one whose dependencies are met may run; one whose dependencies
// can no longer be met is skipped. Each consequence is a record of its own, in the same batch.
#include "base/assert.h"
#include "core/internal.h"

static void end_run(struct decision *d, struct run *run, enum run_state to)
{
    struct record record = {.kind = REC_RUN_ENDED,
                            .run_ended = {
                                .run_id = run->id,
                                .to = to,
                                .n_succeeded = run->count[TASK_SUCCEEDED],
                                .n_failed = run->count[TASK_FAILED],
                                .n_cancelled = run->count[TASK_CANCELLED],
                                .n_expired = run->count[TASK_EXPIRED],
                                .n_lost = run->count[TASK_LOST],
                            }};
    struct job *job = run->job;
    decide_emit(d, &record);
    if (job == NULL || !job_wants_pause(job))
        return;
    decide_due_before(d, job, false);
    struct record hold = {.kind = REC_JOB_STATE, .job_state = {.job_id = job->id, .to = JOB_HELD, .paused = true}};
    decide_emit(d, &hold);
}

static enum run_state final_state(const struct run *run)
{
    switch (run->state) {
    case RUN_CANCELLING:
        return RUN_CANCELLED;
    case RUN_RUNNING:
        if (run->count[TASK_FAILED] + run->count[TASK_LOST] > 0)
            return RUN_FAILED;
        return run->count[TASK_CANCELLED] + run->count[TASK_EXPIRED] > 0 ? RUN_FAILED : RUN_SUCCEEDED;
    default: // nothing of it was ever placed
        return run->count[TASK_EXPIRED] > 0 ? RUN_EXPIRED : RUN_CANCELLED;
    }
}

static void settle_run(struct decision *d, struct run *run)
{
    if (run_open(run) == 0) {
        end_run(d, run, run->dep_failed ? RUN_SKIPPED : final_state(run));
        return;
    }
    if (run->state != RUN_WAITING)
        return;
    if (run->dep_failed) {
        struct record record = {.kind = REC_TASKS_CANCELLED,
                                .tasks_cancelled = {.run_id = run->id, .all = true, .to = TASK_CANCELLED}};
        decide_emit(d, &record); // puts it on the list again, without open tasks
        return;
    }
    if (run->n_waits == 0 && run->spec->policy->start_at_usec <= d->event->wall_usec) {
        struct record record = {.kind = REC_RUN_ELIGIBLE, .run_eligible = {.run_id = run->id}};
        decide_emit(d, &record);
        return;
    }
    // Its start time is still to come, or again, since the clock was put back.
    if (run->n_waits == 0)
        run_arm(d->core, run);
}

void decide_settle(struct decision *d)
{
    struct list *first;
    while ((first = list_first(&d->core->to_settle))) {
        list_del(first);
        settle_run(d, list_entry(first, struct run, settle));
    }
}
