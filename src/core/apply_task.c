// SPDX-License-Identifier: Apache-2.0
// Records of tasks.
#include "base/assert.h"
#include "core/internal.h"

static struct task *task_for_attempt(struct core *core, struct run *run, uint32_t index, uint32_t attempt)
{
    uint32_t position = 0;
    must(index_set_find(&run->spec->tasks, index, &position));
    struct task *task = task_find(core, run, position);
    if (!task)
        task = task_new(core, run, position);
    must(attempt == task->attempt + 1);
    task->attempt = attempt;
    return task;
}

static void take_key(struct run *run)
{
    if (!run->key || run->key_held)
        return;
    must(run->key->holders < run->spec->policy->concurrency_limit);
    run->key->holders++;
    run->key_held = true;
}

void apply_tasks_placed(struct core *core, const struct record *record)
{
    const struct rec_tasks_placed *rec = &record->tasks_placed;
    struct run *run = core_run(core, rec->run_id);
    struct node *node = core_node(core, rec->node_id);
    must(run != NULL && node != NULL);
    must(rec->n > 0);
    must(rec->first_fence == core->next_fence);
    if (run->state == RUN_PENDING) {
        run_move(core, run, RUN_RUNNING);
        run->started_usec = record->at_usec;
        if (run->job)
            job_run_began(run->job, run->nominal_usec);
        run_arm(core, run);
    }
    must(run->state == RUN_RUNNING);
    take_key(run);
    for (size_t i = 0; i < rec->n; i++) {
        struct task *task = task_for_attempt(core, run, rec->index[i], rec->attempt ? rec->attempt[i] : 1);
        task->fence = core->next_fence++;
        task->placed_usec = record->at_usec;
        task->started_usec = 0;
        task_move(core, task, TASK_PLACED);
        task_hold_resources(core, task, node);
    }
    run_index(core, run);
}

void apply_tasks_started(struct core *core, const struct record *record)
{
    const struct rec_tasks_started *rec = &record->tasks_started;
    for (size_t i = 0; i < rec->n; i++) {
        struct task *task = map_get(&core->fences, rec->fence[i]);
        must(task != NULL);
        must(task->node->id == rec->node_id);
        task->started_usec = rec->start_usec[i];
        if (task->state == TASK_PLACED)
            task_move(core, task, TASK_RUNNING);
    }
}

void apply_tasks_stopping(struct core *core, const struct record *record)
{
    const struct rec_tasks_stopping *rec = &record->tasks_stopping;
    for (size_t i = 0; i < rec->n; i++) {
        struct task *task = map_get(&core->fences, rec->fence[i]);
        must(task != NULL);
        must(task->node->id == rec->node_id);
        task_move(core, task, TASK_STOPPING);
        task->stop_why = rec->why;
    }
}

static void apply_task_end(struct core *core, struct run *run, const struct task_end *entry)
{
    struct task *task = map_get(&core->fences, entry->end.fence);
    must(task != NULL);
    must(task->run == run);
    must(task->attempt == entry->attempt);
    task_free_resources(core, task);
    task->ending = false;
    // An attempt that certainly did not start, or was lost, is not the task's fault: it does not count against the retry limit.
    enum outcome outcome = entry->end.outcome;
    if (outcome != OUTCOME_NOT_STARTED && outcome != OUTCOME_LOST && outcome != OUTCOME_LEASE)
        task->tries++;
    task->retry_usec = entry->to == TASK_BACKOFF ? entry->retry_usec : 0;
    task_move(core, task, entry->to);
    if (!task_state_terminal(entry->to))
        return;
    uint32_t position = task->position;
    task_free(core, task);
    run_mark_ended(core, run, position, entry->to == TASK_SUCCEEDED);
}

void apply_tasks_ended(struct core *core, const struct record *record)
{
    const struct rec_tasks_ended *rec = &record->tasks_ended;
    struct run *run = core_run(core, rec->run_id);
    must(run != NULL);
    must(core_node(core, rec->node_id) != NULL);
    for (size_t i = 0; i < rec->n; i++)
        apply_task_end(core, run, &rec->entry[i]);
    run_index(core, run);
    if (run_open(run) == 0 && !core->loading)
        run_wants_settling(core, run);
}
