// SPDX-License-Identifier: Apache-2.0
// Reading a snapshot into an empty core. Items come in the order in which core_save() gave them; core_load_done() links what needs all of
// them and builds the indexes. A snapshot is checked by its checksum before it comes here, so what does not fit is a bug.
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mem.h"
#include "base/sort.h"
#include "core/internal.h"

static void load_head(struct core *core, const struct snap_head *head)
{
    must(core->seq == 0 && !core->loading);
    core->loading = true;
    core->seq = head->seq;
    core->epoch = head->epoch;
    core->load_next_run = head->next_run;
    core->load_next_job = head->next_job;
    core->next_fence = head->next_fence;
    core->load_next_node = head->next_node;
    core->load_next_backfill = head->next_backfill;
}

// Specs are kept alive by the reader's own reference until core_load_done(), since their runs and jobs come later.
static void load_spec(struct core *core, const struct snap_spec *snap)
{
    struct spec *spec = spec_intern(core, snap->spec, snap->packed);
    must(map_put(&core->load_specs, snap->spec_no, spec) == NULL);
}

static void load_node(struct core *core, const struct snap_node *snap)
{
    struct node *node = node_add(core, snap->node_id);
    node->state = snap->state;
    node->admission = snap->admission;
    node->since_usec = snap->since_usec;
    node_describe(core, node, &snap->info);
}

static void load_bits(struct core *core, struct run *run, const struct snap_run *snap)
{
    uint32_t n = run_n_tasks(run);
    for (uint32_t i = 0; i < n && i / 8 < snap->ended.len; i++) {
        if (!(snap->ended.data[i / 8] >> (i % 8) & 1))
            continue;
        bool good = i / 8 < snap->good.len && (snap->good.data[i / 8] >> (i % 8) & 1);
        run->cursor = n; // so that the mark counts nothing: the counts come with the item
        run_mark_ended(core, run, i, good);
    }
}

static void load_run(struct core *core, const struct snap_run *snap)
{
    struct spec *spec = map_get(&core->load_specs, snap->spec_no);
    must(spec != NULL);
    spec_ref(spec);
    struct run *run = run_new(core, snap->run_id, spec);
    run->job_id = snap->job_id;
    run->job_version = snap->job_version;
    run->rerun_of = snap->rerun_of;
    run->state = snap->state;
    run->admission = snap->admission;
    run->cancel_cause = snap->cancel_cause;
    run->submitted_usec = snap->submitted_usec;
    run->started_usec = snap->started_usec;
    run->ended_usec = snap->ended_usec;
    run->ended_seq = snap->ended_seq;
    run->nominal_usec = snap->nominal_usec;
    run->submitted_by = snap->submitted_by ? mem_strdup(snap->submitted_by) : NULL;
    run_set_params(core, run, snap->params);
    run->backfill_id = snap->backfill_id;
    run->dep_failed = snap->dep_failed;
    load_bits(core, run, snap);
    run->cursor = snap->cursor;
    run->n_untouched = snap->n_untouched;
    memset(run->count, 0, sizeof(run->count));
    run->count[TASK_PENDING] = snap->n_untouched; // tasks with a struct are added as they come
    run->count[TASK_SUCCEEDED] = snap->n_succeeded;
    run->count[TASK_FAILED] = snap->n_failed;
    run->count[TASK_CANCELLED] = snap->n_cancelled;
    run->count[TASK_EXPIRED] = snap->n_expired;
    run->count[TASK_LOST] = snap->n_lost;
    core->n_waiting_tasks += snap->n_untouched;
    must(snap->n_waits_for % 2 == 0);
    run->n_deps = (uint32_t)(snap->n_waits_for / 2);
    run->deps = run->n_deps ? mem_alloc_array(run->n_deps, sizeof(*run->deps)) : NULL;
    for (uint32_t i = 0; i < run->n_deps; i++) {
        run->deps[i].target_id = snap->waits_for[2 * i];
        run->deps[i].on = (enum after_on)snap->waits_for[2 * i + 1];
    }
    run->key_held = snap->key_held;
    if (run->key_held) {
        must(run->key != NULL);
        run->key->holders++;
    }
    core->n_runs_in[run->state]++;
    if (run_state_terminal(run->state))
        return;
    core->n_runs_live++;
    struct job *job = run->job_id ? map_get(&core->jobs, run->job_id) : NULL;
    if (job)
        run_join_job(run, job);
}

static void load_task(struct core *core, const struct snap_task *snap)
{
    struct run *run = core_run(core, snap->run_id);
    uint32_t position = 0;
    must(run != NULL);
    must(index_set_find(&run->spec->tasks, snap->index, &position));
    struct task *task = pool_take(&core->task_pool);
    task->run = run;
    task->position = position;
    task->attempt = snap->attempt;
    task->tries = snap->tries;
    task->state = snap->state;
    task->fence = snap->fence;
    task->placed_usec = snap->placed_usec;
    task->started_usec = snap->started_usec;
    task->retry_usec = snap->retry_usec;
    task->stop_why = snap->stop_why;
    task->load_node = snap->node_id;
    list_init(&task->in_node);
    list_add_tail(&run->tasks, &task->in_run);
    must(map_put(&core->tasks, task_key(run, position), task) == NULL);
    run->count[task->state]++;
    if (snap->node_id == 0) {
        core->n_waiting_tasks++;
        return;
    }
    // Linked by fence once all are known.
    if (core->n_load_tasks == core->cap_load_tasks) {
        core->cap_load_tasks = core->cap_load_tasks ? 2 * core->cap_load_tasks : 1024;
        core->load_tasks = mem_realloc_array(core->load_tasks, core->cap_load_tasks, sizeof(*core->load_tasks));
    }
    core->load_tasks[core->n_load_tasks++] = task;
}

void core_load(struct core *core, const struct snapshot_item *item)
{
    must(core->loading || item->kind == SNAP_HEAD);
    switch (item->kind) {
    case SNAP_HEAD:
        load_head(core, &item->head);
        return;
    case SNAP_SPEC:
        load_spec(core, &item->spec);
        return;
    case SNAP_JOB:
        job_load(core, &item->job);
        return;
    case SNAP_NODE:
        load_node(core, &item->node);
        return;
    case SNAP_RUN:
        load_run(core, &item->run);
        return;
    case SNAP_TASK:
        load_task(core, &item->task);
        return;
    case SNAP_KEY:
        idempotency_load(core, &item->key);
        return;
    case SNAP_CALENDAR:
        calendar_load(core, &item->calendar);
        return;
    case SNAP_BACKFILL:
        backfill_load(core, &item->backfill);
        return;
    case SNAP_KINDS:
        break;
    }
    unreachable();
}

static int by_fence(const void *a, const void *b)
{
    uint64_t x = (*(struct task *const *)a)->fence, y = (*(struct task *const *)b)->fence;
    return x < y ? -1 : x > y;
}

static void link_tasks(struct core *core)
{
    sort_items(core->load_tasks, core->n_load_tasks, sizeof(*core->load_tasks), by_fence);
    for (size_t i = 0; i < core->n_load_tasks; i++) {
        struct task *task = core->load_tasks[i];
        struct node *node = core_node(core, task->load_node);
        must(node != NULL);
        task_hold_resources(core, task, node);
    }
    mem_free(core->load_tasks);
    core->load_tasks = NULL;
    core->n_load_tasks = core->cap_load_tasks = 0;
}

static int by_end(const void *a, const void *b)
{
    const struct run *x = *(struct run *const *)a, *y = *(struct run *const *)b;
    return x->ended_seq < y->ended_seq ? -1 : x->ended_seq > y->ended_seq;
}

// Ended runs leave memory in the order in which they ended.
static void link_ended(struct core *core)
{
    size_t n = map_len(&core->runs) - core->n_runs_live, at = 0;
    struct run **ended = mem_alloc_array(n, sizeof(struct run *));
    struct list *pos;
    list_for_each(pos, &core->runs_by_id) {
        struct run *run = list_entry(pos, struct run, all);
        if (run_state_terminal(run->state))
            ended[at++] = run;
    }
    must(at == n);
    sort_items(ended, n, sizeof(*ended), by_end);
    for (size_t i = 0; i < n; i++)
        list_add_tail(&core->to_archive, &ended[i]->archive);
    mem_free(ended);
}

static void index_task(struct core *core, struct task *task)
{
    if (task->state == TASK_PENDING) {
        task->again.key = task->position;
        task->again.tie = task->position;
        heap_push(&task->run->again, &task->again);
    } else if (task->state == TASK_BACKOFF) {
        task->timer.key = task->retry_usec;
        task->timer.tie = task_key(task->run, task->position);
        heap_push(&core->task_timers, &task->timer);
    }
}

static void link_run(struct core *core, struct run *run)
{
    if (run->backfill_id != 0 && !run_state_terminal(run->state))
        backfill_run_joins(core, run);
    for (uint32_t i = 0; i < run->n_deps; i++) {
        struct run *target = core_run(core, run->deps[i].target_id);
        must(target != NULL);
        run_wait_for(run, i, target, run->deps[i].on);
    }
    struct list *pos;
    list_for_each(pos, &run->tasks)
        index_task(core, list_entry(pos, struct task, in_run));
    run_arm(core, run);
    run_index(core, run);
}

static void drop_spec_refs(struct core *core)
{
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &core->specs)
        spec_unref(core, list_entry(pos, struct spec, all));
    map_release(&core->load_specs);
    map_init(&core->load_specs);
}

void core_load_done(struct core *core)
{
    must(core->loading);
    core->loading = false;
    core->next_run = core->load_next_run;
    core->next_job = core->load_next_job;
    core->next_node = core->load_next_node;
    core->next_backfill = core->load_next_backfill;
    link_tasks(core);
    link_ended(core);
    struct list *pos;
    list_for_each(pos, &core->runs_by_id)
        link_run(core, list_entry(pos, struct run, all));
    list_for_each(pos, &core->jobs_by_id)
        job_load_done(core, list_entry(pos, struct job, all));
    drop_spec_refs(core);
}
