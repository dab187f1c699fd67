// SPDX-License-Identifier: Apache-2.0
// What becomes of a task when one of its attempts has ended: the retry rules, in one place.
#include "base/assert.h"
#include "core/internal.h"

// Lost attempts of an at_least_once task come again by themselves; after a few of them with growing waits, in case it is the task that
// brings its nodes down.
static enum task_state again(const struct task *task, usec_t now, usec_t *ret_retry)
{
    uint32_t uncounted = task->attempt - task->tries;
    must(uncounted > 0);
    if (uncounted <= UNCOUNTED_AT_ONCE)
        return TASK_PENDING;
    uint32_t doublings = uncounted - UNCOUNTED_AT_ONCE < 9 ? uncounted - UNCOUNTED_AT_ONCE : 9;
    *ret_retry = usec_add(now, usec_min(USEC_PER_SEC << doublings, UNCOUNTED_WAIT_MAX_USEC));
    return TASK_BACKOFF;
}

static enum task_state after_end(struct decision *d, const struct task *task, const struct attempt_end *end, usec_t *ret_retry)
{
    const struct spec *spec = task->run->spec;
    usec_t now = d->event->wall_usec;
    enum outcome outcome = end->outcome;
    if (outcome_good(outcome))
        return TASK_SUCCEEDED;
    if (task->run->state == RUN_CANCELLING || (task->state == TASK_STOPPING && task->stop_why == OUTCOME_CANCELLED))
        return TASK_CANCELLED;
    bool spent = task->attempt >= (uint32_t)d->core->options.limits->value[LIMIT_ATTEMPTS];
    if (outcome == OUTCOME_NOT_STARTED)
        return spent ? TASK_FAILED : again(task, now, ret_retry);
    if (outcome == OUTCOME_LOST || outcome == OUTCOME_LEASE) {
        if (spec->policy->delivery == AT_MOST_ONCE)
            return TASK_LOST;
        return spent ? TASK_FAILED : again(task, now, ret_retry);
    }
    if (spent || spec->policy->delivery == AT_MOST_ONCE || !retry_wants(&spec->policy->retry, task->tries + 1, outcome, end->exit_code))
        return TASK_FAILED;
    usec_t backoff = retry_backoff(&spec->policy->retry, task->tries + 1, prng_u64(&d->core->prng));
    if (backoff == 0)
        return TASK_PENDING;
    *ret_retry = usec_add(now, backoff);
    return TASK_BACKOFF;
}

static void emit_ends(struct decision *d, struct run *run, struct node *node, const struct task_end *entries, size_t n)
{
    struct record record = {.kind = REC_TASKS_ENDED,
                            .tasks_ended = {.run_id = run->id, .node_id = node->id, .n = n, .entry = entries}};
    decide_emit(d, &record);
}

void decide_ends(struct decision *d, struct node *node, const struct attempt_end *ends, size_t n)
{
    struct arena *arena = d->out->arena;
    struct task_end *entries = NULL;
    size_t n_entries = 0;
    struct run *run = NULL; // of the entries gathered so far
    for (size_t i = 0; i < n; i++) {
        struct task *task = map_get(&d->core->fences, ends[i].fence);
        if (!task || task->node != node || task->ending)
            continue; // told before, or given up
        if (run && run != task->run) {
            emit_ends(d, run, node, entries, n_entries);
            entries = NULL;
        }
        if (!entries) {
            run = task->run;
            n_entries = 0;
            size_t room = n - i < run_active(run) ? n - i : run_active(run);
            entries = arena_array(arena, struct task_end, room);
        }
        task->ending = true;
        struct task_end *entry = &entries[n_entries];
        entry->end = ends[i];
        entry->end.message = ends[i].message && ends[i].message[0] ? arena_strdup(arena, ends[i].message) : NULL;
        entry->index = index_set_at(&run->spec->tasks, task->position);
        entry->attempt = task->attempt;
        entry->to = after_end(d, task, &ends[i], &entry->retry_usec);
        n_entries++;
    }
    if (entries)
        emit_ends(d, run, node, entries, n_entries);
}

static bool among(const uint64_t *sorted, size_t n, uint64_t value)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && sorted[low] == value;
}

void decide_give_up(struct decision *d, struct node *node, enum outcome outcome, const uint64_t *keep, size_t n_keep)
{
    must(outcome == OUTCOME_LOST || outcome == OUTCOME_NOT_STARTED);
    if (node->n_tasks == 0)
        return;
    struct attempt_end *ends = arena_array(d->out->arena, struct attempt_end, node->n_tasks);
    size_t n = 0;
    struct list *pos;
    list_for_each(pos, &node->tasks) {
        const struct task *task = list_entry(pos, struct task, in_node);
        if (among(keep, n_keep, task->fence))
            continue;
        ends[n++] = (struct attempt_end){.fence = task->fence, .outcome = outcome, .start_usec = task->started_usec};
    }
    decide_ends(d, node, ends, n);
}
