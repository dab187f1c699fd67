// SPDX-License-Identifier: Apache-2.0
// What the outside may see of the state, as copies.
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/sort.h"
#include "core/internal.h"

static struct bytes bytes_copy(struct arena *arena, struct bytes from)
{
    return from.len > 0 ? (struct bytes){arena_memdup(arena, from.data, from.len), from.len} : (struct bytes){0};
}

static const char *text(struct arena *arena, const char *from)
{
    return from ? arena_strdup(arena, from) : NULL;
}

static const struct pair *labels(struct arena *arena, const struct pair *from, size_t n)
{
    struct pair *to = arena_array(arena, struct pair, n);
    for (size_t i = 0; i < n; i++)
        to[i] = (struct pair){arena_strdup(arena, from[i].key), arena_strdup(arena, from[i].value)};
    return to;
}

int core_view_run(const struct core *core, uint64_t run_id, struct arena *arena, struct run_view *ret_view)
{
    const struct run *run = core_run(core, run_id);
    if (!run)
        return ERR_NOT_FOUND;
    const struct spec *spec = run->spec;
    *ret_view = (struct run_view){
        .run_id = run->id,
        .job_id = run->job_id,
        .namespace_name = text(arena, spec->policy->namespace_name),
        .job_name = text(arena, spec->name),
        .job_version = run->job_version,
        .state = run->state,
        .held = run->admission == ADMIT_CLOSED,
        .n_tasks = run_n_tasks(run),
        .n_pending = run->count[TASK_PENDING],
        .n_backoff = run->count[TASK_BACKOFF],
        .n_placed = run->count[TASK_PLACED],
        .n_running = run->count[TASK_RUNNING],
        .n_stopping = run->count[TASK_STOPPING],
        .n_succeeded = run->count[TASK_SUCCEEDED],
        .n_failed = run->count[TASK_FAILED],
        .n_cancelled = run->count[TASK_CANCELLED],
        .n_expired = run->count[TASK_EXPIRED],
        .n_lost = run->count[TASK_LOST],
        .submitted_usec = run->submitted_usec,
        .started_usec = run->started_usec,
        .ended_usec = run->ended_usec,
        .nominal_usec = run->nominal_usec,
        .params = bytes_copy(arena, run_params(run)),
        .rerun_of = run->rerun_of,
        .backfill_id = run->backfill_id,
        .queue = text(arena, spec->class->queue),
        .priority = spec->class->priority,
        .submitted_by = text(arena, run->submitted_by),
        .labels = labels(arena, spec->policy->labels, spec->policy->n_labels),
        .n_labels = spec->policy->n_labels,
        .spec = {arena_memdup(arena, spec->packed, spec->packed_len), spec->packed_len},
        .live = true,
    };
    return 0;
}

static void view_active(const struct task *task, struct arena *arena, struct task_view *view)
{
    view->attempt = task->attempt;
    view->state = task->state;
    view->fence = task->fence;
    view->placed_usec = task->placed_usec;
    view->started_usec = task->started_usec;
    view->retry_usec = task->state == TASK_BACKOFF ? task->retry_usec : 0;
    view->node = task->node ? text(arena, task->node->info.name) : NULL;
}

// A task without a struct: a bit tells how it ended, the history tells the rest.
static enum task_state state_of_bits(const struct run *run, uint32_t position)
{
    if (run_has_ended(run, position) && bits_get(run->good, position))
        return TASK_SUCCEEDED;
    if (run_has_ended(run, position))
        return run->count[TASK_FAILED] + run->count[TASK_LOST] > 0 ? TASK_FAILED : TASK_CANCELLED;
    if (position >= run->cursor)
        return TASK_PENDING;
    return run->state == RUN_EXPIRED ? TASK_EXPIRED : TASK_CANCELLED;
}

int core_view_task(const struct core *core, uint64_t run_id, uint32_t index, struct arena *arena, struct task_view *ret_view)
{
    const struct run *run = core_run(core, run_id);
    uint32_t position = 0;
    if (!run || !index_set_find(&run->spec->tasks, index, &position))
        return ERR_NOT_FOUND;
    *ret_view = (struct task_view){.run_id = run_id, .index = index};
    const struct task *task = task_find(core, run, position);
    if (task)
        view_active(task, arena, ret_view);
    else
        ret_view->state = state_of_bits(run, position);
    return 0;
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = ((const struct task_view *)a)->index, y = ((const struct task_view *)b)->index;
    return x < y ? -1 : x > y;
}

size_t core_view_active(const struct core *core, uint64_t run_id, uint32_t from, size_t max, struct arena *arena, struct task_view **ret_views)
{
    const struct run *run = core_run(core, run_id);
    *ret_views = NULL;
    if (!run)
        return 0;
    size_t n = 0;
    struct task_view *views = arena_array(arena, struct task_view, list_len(&run->tasks));
    struct list *pos;
    list_for_each(pos, &run->tasks) {
        const struct task *task = list_entry(pos, struct task, in_run);
        uint32_t index = index_set_at(&run->spec->tasks, task->position);
        if (index < from)
            continue;
        views[n] = (struct task_view){.run_id = run_id, .index = index};
        view_active(task, arena, &views[n++]);
    }
    sort_items(views, n, sizeof(*views), by_index);
    *ret_views = views;
    return n < max ? n : max;
}

static void view_job(const struct core *core, const struct job *job, struct arena *arena, struct job_view *view)
{
    usec_t next = USEC_NEVER;
    for (size_t i = 0; i < job->n_triggers && job->state == JOB_ACTIVE; i++)
        if (job->triggers[i].next_usec < next)
            next = job->triggers[i].next_usec;
    usec_t *each = arena_array(arena, usec_t, job->n_triggers);
    usec_t *left_out = arena_array(arena, usec_t, job->n_triggers);
    for (size_t i = 0; i < job->n_triggers; i++) {
        const struct trigger_days *days = days_of(core, job, i);
        each[i] = job->triggers[i].next_usec;
        left_out[i] = days ? days->left_out_usec : USEC_NEVER;
    }
    *view = (struct job_view){
        .job_id = job->id,
        .version = job->version,
        .state = job->state,
        .namespace_name = text(arena, job->spec->policy->namespace_name),
        .name = text(arena, job->spec->name),
        .spec = {arena_memdup(arena, job->spec->packed, job->spec->packed_len), job->spec->packed_len},
        .next_usec = next,
        .next_each_usec = each,
        .left_out_each_usec = left_out,
        .n_next = job->n_triggers,
        .applied_usec = job->applied_usec,
        .last_run = job->last_run,
        .n_active = job->n_active,
        .failures = job->failures,
        .paused = job->paused,
    };
}

int core_view_job(const struct core *core, const char *namespace_name, const char *name, struct arena *arena, struct job_view *ret_view)
{
    const struct job *job = strmap_get(&core->jobs_by_name, arena_printf(arena, "%s/%s", namespace_name, name));
    if (!job)
        return ERR_NOT_FOUND;
    view_job(core, job, arena, ret_view);
    return 0;
}

size_t core_view_jobs(const struct core *core, uint64_t after, size_t max, struct arena *arena, struct job_view **ret_views)
{
    struct job_view *views = arena_array(arena, struct job_view, max);
    size_t n = 0;
    // The job after which the page begins may be gone; its neighbours are found by walking only then.
    const struct job *last = after ? map_get(&core->jobs, after) : NULL;
    struct list *pos = last ? last->all.next : core->jobs_by_id.next;
    for (; pos != &core->jobs_by_id && n < max; pos = pos->next) {
        const struct job *job = list_entry(pos, struct job, all);
        if (job->id > after)
            view_job(core, job, arena, &views[n++]);
    }
    *ret_views = views;
    return n;
}

static void view_node(const struct core *core, const struct node *node, struct arena *arena, struct node_view *view)
{
    *view = (struct node_view){
        .node_id = node->id,
        .state = node->state,
        .admission = node->admission,
        .n_tasks = node->n_tasks,
        .since_usec = node->since_usec,
    };
    node_info_copy(arena, &view->info, &node->info);
    struct resource_need *used = arena_array(arena, struct resource_need, view->info.n_capacity);
    for (size_t i = 0; i < view->info.n_capacity; i++) {
        int dim = dim_find(core, view->info.capacity[i].name);
        must(dim >= 0);
        used[i] = (struct resource_need){view->info.capacity[i].name, node->used.v[dim]};
    }
    view->used = used;
}

int core_view_node(const struct core *core, const char *name, struct arena *arena, struct node_view *ret_view)
{
    const struct node *node = core_node_by_name(core, name);
    if (!node)
        return ERR_NOT_FOUND;
    view_node(core, node, arena, ret_view);
    return 0;
}

size_t core_view_nodes(const struct core *core, struct arena *arena, struct node_view **ret_views)
{
    *ret_views = arena_array(arena, struct node_view, core->n_nodes);
    for (size_t i = 0; i < core->n_nodes; i++)
        view_node(core, core->nodes[i], arena, &(*ret_views)[i]);
    return core->n_nodes;
}

static struct backfill_view backfill_view(const struct core *core, const struct backfill *backfill, struct arena *arena)
{
    const struct job *job = map_get(&core->jobs, backfill->job_id);
    const char *slash = strchr(backfill->job_name, '/');
    must(slash != NULL);
    return (struct backfill_view){
        .backfill_id = backfill->id,
        .job_id = backfill->job_id,
        .namespace_name = arena_strndup(arena, backfill->job_name, (size_t)(slash - backfill->job_name)),
        .job_name = arena_strdup(arena, slash + 1),
        .state = backfill->state,
        .held = backfill->state == BACKFILL_ACTIVE && job != NULL && job->state != JOB_ACTIVE,
        .from_usec = backfill->from_usec,
        .to_usec = backfill->to_usec,
        .reverse = backfill->reverse,
        .again = backfill->again,
        .parallel_max = backfill->parallel_max,
        .n_total = backfill->n_total,
        .n_fired = backfill->n_fired,
        .n_succeeded = backfill->n_succeeded,
        .n_unsuccessful = backfill->n_unsuccessful,
        .n_active = backfill->n_active,
        .done_usec = backfill->n_fired > 0 ? backfill->done_usec : 0,
        .began_usec = backfill->began_usec,
        .ended_usec = backfill->ended_usec,
        .params = bytes_copy(arena, (struct bytes){backfill->params, backfill->params_len}),
        .by = text(arena, backfill->by),
    };
}

int core_view_backfill(const struct core *core, uint64_t id, struct arena *arena, struct backfill_view *ret_view)
{
    const struct backfill *backfill = backfill_find(core, id);
    if (!backfill)
        return ERR_NOT_FOUND;
    *ret_view = backfill_view(core, backfill, arena);
    return 0;
}

size_t core_view_backfills(const struct core *core, uint64_t before, size_t max, struct arena *arena, struct backfill_view **ret_views)
{
    struct backfill_view *views = arena_array(arena, struct backfill_view, max);
    size_t n = 0;
    for (struct list *pos = core->backfills_by_id.prev; pos != &core->backfills_by_id && n < max; pos = pos->prev) {
        const struct backfill *backfill = list_entry(pos, struct backfill, all);
        if (backfill->id < before)
            views[n++] = backfill_view(core, backfill, arena);
    }
    *ret_views = views;
    return n;
}
