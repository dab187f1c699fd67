// SPDX-License-Identifier: Apache-2.0
// Every invariant over the whole state. Each check is a function with the sentence of what it guards; core_check() runs them all. Slow: for
// tests and the simulator.
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "core/internal.h"

// Every task of a run is in exactly one state, and the counts say so.
static void check_run_counts(const struct core *core)
{
    uint64_t live = 0, waiting = 0, in_state[RUN_STATES] = {0};
    struct list *pos, *at;
    list_for_each(pos, &core->runs_by_id) {
        const struct run *run = list_entry(pos, struct run, all);
        uint64_t sum = 0, with_struct[TASK_STATES] = {0};
        for (int state = 0; state < TASK_STATES; state++)
            sum += run->count[state];
        must(sum == run_n_tasks(run));
        list_for_each(at, &run->tasks)
            with_struct[list_entry(at, struct task, in_run)->state]++;
        for (int state = 0; state < TASK_STATES; state++) {
            if (task_state_terminal((enum task_state)state))
                must(with_struct[state] == 0);
            else if (state != TASK_PENDING)
                must(with_struct[state] == run->count[state]);
        }
        must(with_struct[TASK_PENDING] + run->n_untouched == run->count[TASK_PENDING]);
        in_state[run->state]++;
        must(run_state_terminal(run->state) == (run->ended_seq != 0));
        must(!run_state_terminal(run->state) || run_open(run) == 0);
        if (!run_state_terminal(run->state)) {
            live++;
            waiting += run->count[TASK_PENDING] + run->count[TASK_BACKOFF];
        }
    }
    must(live == core->n_runs_live);
    for (int state = 0; state < RUN_STATES; state++)
        must(in_state[state] == core->n_runs_in[state]);
    must(waiting == core->n_waiting_tasks);
}

// The bits of a run agree with its counts: an ended task is never waiting, a good one has ended.
static void check_run_bits(const struct core *core)
{
    struct list *pos;
    list_for_each(pos, &core->runs_by_id) {
        const struct run *run = list_entry(pos, struct run, all);
        uint32_t n = run_n_tasks(run), untouched = 0;
        if (run->ended) {
            must(bits_count(run->good, n) == run->count[TASK_SUCCEEDED]);
            uint64_t bad = run->count[TASK_FAILED] + run->count[TASK_CANCELLED] + run->count[TASK_EXPIRED] + run->count[TASK_LOST];
            must(bits_count(run->ended, n) - run->count[TASK_SUCCEEDED] <= bad);
        }
        untouched = n - run->cursor;
        if (run->ended)
            untouched -= (uint32_t)(bits_count(run->ended, n) - bits_count(run->ended, run->cursor));
        must(untouched == run->n_untouched);
        must(run->cursor == n || !run_has_ended(run, run->cursor));
    }
}

// What a node has given away is the sum of what its tasks hold, each task is on one node, and no open node is over-committed.
static void check_resources(const struct core *core)
{
    size_t active = 0;
    for (size_t i = 0; i < core->n_nodes; i++) {
        const struct node *node = core->nodes[i];
        struct amounts sum = {0};
        uint32_t n = 0;
        uint64_t last_fence = 0;
        struct list *pos;
        list_for_each(pos, &node->tasks) {
            const struct task *task = list_entry(pos, struct task, in_node);
            must(task->node == node);
            must(task->fence > last_fence);
            must(map_get(&core->fences, task->fence) == task);
            last_fence = task->fence;
            for (int dim = 0; dim < DIMS_MAX; dim++)
                sum.v[dim] += task->run->spec->class->needs.v[dim];
            n++;
        }
        must(n == node->n_tasks);
        must(memcmp(&sum, &node->used, sizeof(sum)) == 0);
        must(node->state == NODE_ONLINE || n == 0);
        active += n;
    }
    must(active == map_len(&core->fences));
}

// A key is held by as many runs as it counts, and never by more than the limit of any of them that took it last.
// Every node that counts as online either may be given up in time, or waits for its welcome. Only a leader has leases.
static void check_leases(const struct core *core)
{
    for (size_t i = 0; i < core->n_nodes && core->ticked_mono_usec != 0; i++) {
        const struct node *node = core->nodes[i];
        must(node->state != NODE_ONLINE || node->session != 0 || heap_contains(&node->lease));
    }
}

static void check_keys(const struct core *core)
{
    struct list *pos;
    list_for_each(pos, &core->runs_by_id) {
        const struct run *run = list_entry(pos, struct run, all);
        must(!run->key_held || (run->key && run->key->holders > 0));
        must(!run->key_held || !run_state_terminal(run->state));
        must(!run->key || run->key->holders <= run->key->refs);
    }
}

// A run that may place something is where the planner finds it, and one that may not is not.
static void check_queues(const struct core *core)
{
    struct list *pos;
    list_for_each(pos, &core->runs_by_id) {
        const struct run *run = list_entry(pos, struct run, all);
        must((run->ready_in != NULL) == (run_placeable(run) > 0));
        must((run->ready_in != NULL) == heap_contains(&run->ready));
        const struct class *class = run->spec->class;
        if (run->ready_in == &class->runs)
            must(class->is_parked != heap_contains(&class->ready));
    }
}

// A waiting run waits for something; what it waits for is in memory and has not ended.
static void check_dependencies(const struct core *core)
{
    struct list *pos;
    list_for_each(pos, &core->runs_by_id) {
        const struct run *run = list_entry(pos, struct run, all);
        uint32_t waits = 0;
        for (uint32_t i = 0; i < run->n_deps; i++) {
            const struct run *target = run->deps[i].target;
            must(!target || !run_state_terminal(target->state));
            waits += target != NULL;
        }
        must(waits == run->n_waits);
        must(run->n_waits == 0 || run->state == RUN_WAITING);
        must(run->state != RUN_WAITING || run->n_waits > 0 || run->spec->policy->start_at_usec > 0);
    }
}

// A job counts the runs of it that have not ended.
static void check_jobs(const struct core *core)
{
    struct list *pos, *at;
    uint64_t last = 0;
    list_for_each(pos, &core->jobs_by_id) {
        const struct job *job = list_entry(pos, struct job, all);
        must(job->id > last);
        last = job->id;
        must(list_len(&job->runs) == job->n_active);
        list_for_each(at, &job->runs) {
            const struct run *run = list_entry(at, struct run, in_job);
            must(run->job == job);
            must(!run_state_terminal(run->state));
        }
        must(job->state != JOB_DELETED);
    }
}

// A backfill counts the runs of it that have not ended, its end comes after theirs, and it stands within its range.
static void check_backfills(const struct core *core)
{
    size_t active = 0, runs = 0, live = 0;
    uint64_t last = 0;
    struct list *pos, *at;
    list_for_each(pos, &core->backfills_by_id) {
        const struct backfill *backfill = list_entry(pos, struct backfill, all);
        uint32_t n = 0;
        must(backfill->id > last && backfill->id < core->next_backfill);
        last = backfill->id;
        list_for_each(at, &core->runs_by_id) {
            const struct run *run = list_entry(at, struct run, all);
            n += run->backfill_id == backfill->id && !run_state_terminal(run->state);
        }
        must(n == backfill->n_active);
        must(n <= backfill->parallel_max);
        must(backfill->state != BACKFILL_ENDED || n == 0);
        must(backfill->n_fired == backfill->n_succeeded + backfill->n_unsuccessful + n);
        must(backfill->state != BACKFILL_ACTIVE || map_get(&core->jobs, backfill->job_id) != NULL);
        must(backfill->state == BACKFILL_ACTIVE || list_empty(&backfill->ready));
        active += backfill->state == BACKFILL_ACTIVE;
        runs += n;
    }
    list_for_each(at, &core->runs_by_id) {
        const struct run *run = list_entry(at, struct run, all);
        live += run->backfill_id != 0 && !run_state_terminal(run->state);
    }
    must(active == core->n_backfills_active);
    must(runs == core->n_backfill_runs && live == runs);
}

// Numbers only grow: every id in use is below the next one.
static void check_numbers(const struct core *core)
{
    uint64_t last = 0;
    struct list *pos;
    list_for_each(pos, &core->runs_by_id) {
        const struct run *run = list_entry(pos, struct run, all);
        must(run->id > last);
        must(run->id < core->next_run);
        last = run->id;
    }
    for (size_t i = 0; i < core->n_nodes; i++) {
        must(core->nodes[i]->id < core->next_node);
        must(i == 0 || core->nodes[i - 1]->id < core->nodes[i]->id);
        must(list_empty(&core->nodes[i]->tasks) ||
             list_entry(list_last(&core->nodes[i]->tasks), struct task, in_node)->fence < core->next_fence);
    }
}

void core_check(const struct core *core)
{
    must(!core->loading);
    check_run_counts(core);
    check_run_bits(core);
    check_resources(core);
    check_leases(core);
    check_keys(core);
    check_queues(core);
    check_dependencies(core);
    check_jobs(core);
    check_numbers(core);
    check_calendars(core);
    check_backfills(core);
}
