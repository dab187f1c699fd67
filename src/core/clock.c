// SPDX-License-Identifier: Apache-2.0
// What the clocks of the leader tell besides the time: that it was away, and that somebody set its wall clock.
//
// Away: a leader that stood still (a suspended machine, a stopped process) could hear nobody, and one whose store had no room could welcome
// nobody. That time does not count against the nodes: as after a restart, none is given up before a whole lease has passed. Nothing is
// given up but in a tick, so the time between two ticks shows it; core_deadline() asks for one at least every heartbeat while a lease runs.
//
// Set: a backoff is a span of time that is kept as an instant of the wall clock. When that clock is set, the waits of this leadership move
// with it; and no wait that an earlier leadership left is longer than the longest there is.
#include "base/assert.h"
#include "core/internal.h"

// Steps of the wall clock below this are slewing.
static const usec_t step_usec = USEC_PER_SEC;

usec_t clock_watch_usec(const struct core *core)
{
    if (heap_len(&core->leases) == 0)
        return USEC_NEVER;
    return usec_add(core->ticked_mono_usec, core->options.limits->value[LIMIT_NODE_HEARTBEAT]);
}

void clock_tick(struct core *core, usec_t mono_usec)
{
    const int64_t *limit = core->options.limits->value;
    bool away = mono_usec - core->ticked_mono_usec > 2 * limit[LIMIT_NODE_HEARTBEAT];
    core->ticked_mono_usec = mono_usec;
    if (!away)
        return;
    usec_t until = usec_add(mono_usec, limit[LIMIT_NODE_LEASE] + limit[LIMIT_NODE_LOST_GRACE]);
    for (size_t i = 0; i < core->n_nodes; i++) {
        struct node *node = core->nodes[i];
        if (heap_contains(&node->lease) && node->lease.key < until)
            heap_update(&core->leases, &node->lease, until);
    }
}

// The longest that a task may have to wait for its next attempt.
static usec_t longest_wait(const struct task *task)
{
    const struct retry *retry = &task->run->spec->policy->retry;
    usec_t backoff = retry->limit > 0 ? usec_max(retry->backoff_usec, retry->backoff_max_usec) : 0;
    backoff = usec_add(backoff, backoff / 1000 * retry->jitter_permille);
    return usec_max(backoff, UNCOUNTED_WAIT_MAX_USEC);
}

// Moves the ends of all waits, none beyond the longest wait from now on.
static void move_waits(struct core *core, usec_t by, usec_t wall_usec)
{
    struct list *pos, *at;
    list_for_each(pos, &core->runs_by_id) {
        const struct run *run = list_entry(pos, struct run, all);
        if (run->count[TASK_BACKOFF] == 0)
            continue;
        list_for_each(at, &run->tasks) {
            struct task *task = list_entry(at, struct task, in_run);
            if (!heap_contains(&task->timer))
                continue;
            usec_t until = usec_min(usec_add(task->timer.key, by), usec_add(wall_usec, longest_wait(task)));
            if (until != task->timer.key)
                heap_update(&core->task_timers, &task->timer, until);
        }
    }
}

void clock_look(struct core *core, const struct event *event)
{
    usec_t offset = event->wall_usec - event->mono_usec;
    if (event->kind == EV_LEAD) {
        core->ticked_mono_usec = event->mono_usec;
        move_waits(core, 0, event->wall_usec);
    } else {
        usec_t step = offset - core->wall_offset_usec;
        if (step > step_usec || step < -step_usec)
            move_waits(core, step, event->wall_usec);
    }
    core->wall_offset_usec = offset;
}
