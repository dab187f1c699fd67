// SPDX-License-Identifier: Apache-2.0
// Tasks that have been placed at least once and have not ended. All others are a bit of their run.
#include "base/assert.h"
#include "core/internal.h"

uint64_t task_key(const struct run *run, uint32_t position)
{
    must(position < (1u << POSITION_BITS));
    must(run->id < (UINT64_C(1) << (64 - POSITION_BITS)));
    return run->id << POSITION_BITS | position;
}

struct task *task_find(const struct core *core, const struct run *run, uint32_t position)
{
    return map_get(&core->tasks, task_key(run, position));
}

struct task *task_new(struct core *core, struct run *run, uint32_t position)
{
    must(position >= run->cursor);
    must(!run_has_ended(run, position));
    must(run->n_untouched > 0);
    struct task *task = pool_take(&core->task_pool);
    task->run = run;
    task->position = position;
    task->state = TASK_PENDING;
    list_init(&task->in_node);
    list_add_tail(&run->tasks, &task->in_run);
    must(map_put(&core->tasks, task_key(run, position), task) == NULL);
    run->n_untouched--;
    for (run->cursor = position + 1; run->cursor < run_n_tasks(run) && run_has_ended(run, run->cursor);)
        run->cursor++;
    return task;
}

void task_free(struct core *core, struct task *task)
{
    must(task->node == NULL);
    must(task_state_terminal(task->state));
    if (heap_contains(&task->timer))
        heap_remove(&core->task_timers, &task->timer);
    if (heap_contains(&task->again))
        heap_remove(&task->run->again, &task->again);
    list_del(&task->in_run);
    must(map_del(&core->tasks, task_key(task->run, task->position)) == task);
    pool_give(&core->task_pool, task);
}

static bool waits(enum task_state state)
{
    return state == TASK_PENDING || state == TASK_BACKOFF;
}

// Changes the state, keeps the counts of the run and of the core, and the indexes of waiting tasks.
void task_move(struct core *core, struct task *task, enum task_state to)
{
    struct run *run = task->run;
    enum task_state from = task->state;
    task_state_move(&task->state, to);
    must(run->count[from] > 0);
    run->count[from]--;
    run->count[to]++;
    if (waits(from) && !waits(to)) {
        must(core->n_waiting_tasks > 0);
        core->n_waiting_tasks--;
    }
    if (waits(to) && !waits(from))
        core->n_waiting_tasks++;
    if (heap_contains(&task->timer))
        heap_remove(&core->task_timers, &task->timer);
    if (heap_contains(&task->again))
        heap_remove(&run->again, &task->again);
    if (to == TASK_PENDING && !core->loading) {
        task->again.key = task->position;
        task->again.tie = task->position;
        heap_push(&run->again, &task->again);
    }
    if (to == TASK_BACKOFF && !core->loading) {
        task->timer.key = task->retry_usec;
        task->timer.tie = task_key(run, task->position);
        heap_push(&core->task_timers, &task->timer);
    }
}

void task_hold_resources(struct core *core, struct task *task, struct node *node)
{
    const struct class *class = task->run->spec->class;
    must(task->node == NULL);
    must(task->fence > 0);
    for (uint32_t rest = class->dims; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctz(rest);
        node->used.v[i] += class->needs.v[i];
    }
    node->n_tasks++;
    task->node = node;
    list_add_tail(&node->tasks, &task->in_node);
    must(map_put(&core->fences, task->fence, task) == NULL);
}

void task_free_resources(struct core *core, struct task *task)
{
    struct node *node = task->node;
    const struct class *class = task->run->spec->class;
    must(node != NULL);
    for (uint32_t rest = class->dims; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctz(rest);
        must(node->used.v[i] >= class->needs.v[i]);
        node->used.v[i] -= class->needs.v[i];
    }
    must(node->n_tasks > 0);
    node->n_tasks--;
    node->freed = true;
    core->nodes_changed = true;
    task->node = NULL;
    list_del(&task->in_node);
    must(map_del(&core->fences, task->fence) == task);
}
