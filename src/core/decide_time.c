// SPDX-License-Identifier: Apache-2.0
// What time alone makes due: start times, queue deadlines, backoffs, fires, leases; and the beginning of a leadership.
#include "base/assert.h"
#include "core/internal.h"

static struct heap_node *due(struct heap *heap, usec_t now)
{
    struct heap_node *top = heap_top(heap);
    return top && top->key <= now ? top : NULL;
}

static void run_timer(struct decision *d, struct run *run)
{
    usec_t now = d->event->wall_usec;
    usec_t deadline = run->spec->policy->queue_deadline_usec > 0 ? usec_add(run->submitted_usec, run->spec->policy->queue_deadline_usec) : USEC_NEVER;
    if (deadline <= now) {
        decide_cancel_run(d, run, CANCEL_EXPIRED);
        return;
    }
    if (run->state == RUN_WAITING && run->n_waits == 0) {
        struct record record = {.kind = REC_RUN_ELIGIBLE, .run_eligible = {.run_id = run->id}};
        decide_emit(d, &record);
        return;
    }
    // Its start time has come but others are still awaited: only the deadline remains.
    heap_remove(&d->core->run_timers, &run->timer);
    if (deadline == USEC_NEVER)
        return;
    run->timer.key = deadline;
    heap_push(&d->core->run_timers, &run->timer);
}

void on_tick(struct decision *d)
{
    struct core *core = d->core;
    usec_t wall = d->event->wall_usec;
    int64_t budget = core->options.limits->value[LIMIT_TURN_EVENTS];
    struct heap_node *top;
    clock_tick(core, d->event->mono_usec);
    for (; budget > 0 && (top = due(&core->run_timers, wall)); budget--) {
        run_timer(d, container_of(top, struct run, timer));
        decide_settle(d);
    }
    for (; budget > 0 && (top = due(&core->task_timers, wall)); budget--) {
        // The wait is over: no record, since placing it is what counts.
        struct task *task = container_of(top, struct task, timer);
        must(task->state == TASK_BACKOFF);
        heap_remove(&core->task_timers, top);
        task->again.key = task->position;
        task->again.tie = task->position;
        heap_push(&task->run->again, &task->again);
        run_index(core, task->run);
    }
    budget = decide_stale(d, budget);
    for (; budget > 0 && (top = due(&core->job_timers, wall)); budget--) {
        decide_due_fires(d, container_of(top, struct job, timer));
        decide_settle(d);
    }
    struct job *job;
    for (; budget > 0 && (job = catch_up_next(core, d->event->mono_usec)); budget--) {
        decide_due_fires(d, job);
        decide_settle(d);
    }
    decide_backfills(d);
    for (; budget > 0 && (top = due(&core->leases, d->event->mono_usec)); budget--) {
        struct node *node = container_of(top, struct node, lease);
        heap_remove(&core->leases, top);
        if (node->session) {
            struct fx_refuse *refuse = &decide_effect(d, FX_REFUSE, node->session)->refuse;
            struct err err;
            refuse->code = err_set(&err, ERR_TIMEOUT, "the lease of node %s ran out", node->info.name);
            _Static_assert(sizeof(refuse->text) == sizeof(err.text), "an error's sentence fits");
            __builtin_memcpy(refuse->text, err.text, sizeof(refuse->text));
            map_del(&core->sessions, node->session);
            node->session = 0;
        }
        struct record record = {.kind = REC_NODE_STATE, .node_state = {.node_id = node->id, .to = NODE_LOST}};
        decide_emit(d, &record);
        decide_give_up(d, node, OUTCOME_LOST, NULL, 0);
        decide_settle(d);
    }
}

void on_lead(struct decision *d)
{
    const struct ev_lead *ev = &d->event->lead;
    struct core *core = d->core;
    struct arena *arena = d->out->arena;
    struct record record = {.kind = REC_EPOCH_BEGAN,
                            .epoch_began = {.epoch = ev->epoch,
                                            .server = arena_strdup(arena, ev->server ? ev->server : ""),
                                            .version = arena_strdup(arena, ev->version ? ev->version : "")}};
    decide_emit(d, &record);
    // Nobody's lease is known to this leader. An agent may hold one for its whole length from now on, so no node is given up before.
    const struct limits *limits = core->options.limits;
    usec_t until = usec_add(d->event->mono_usec, limits->value[LIMIT_NODE_LEASE] + limits->value[LIMIT_NODE_LOST_GRACE]);
    for (size_t i = 0; i < core->n_nodes; i++) {
        struct node *node = core->nodes[i];
        must(node->session == 0 && !heap_contains(&node->lease));
        if (node->state != NODE_ONLINE)
            continue;
        node->lease.key = until;
        node->lease.tie = node->id;
        heap_push(&core->leases, &node->lease);
    }
}

static bool archivable(const struct core *core, uint64_t seq)
{
    struct list *first = list_first(&core->to_archive);
    return first && list_entry(first, struct run, archive)->ended_seq <= seq;
}

void on_archived(struct decision *d)
{
    struct core *core = d->core;
    uint64_t seq = d->event->archived.seq;
    enum { AT_ONCE = 1000 };
    while (archivable(core, seq)) {
        uint64_t *ids = arena_array(d->out->arena, uint64_t, AT_ONCE);
        size_t n = 0;
        struct list *pos;
        list_for_each(pos, &core->to_archive) {
            const struct run *run = list_entry(pos, struct run, archive);
            if (n == AT_ONCE || run->ended_seq > seq)
                break;
            ids[n++] = run->id;
        }
        struct record record = {.kind = REC_RUNS_ARCHIVED, .runs_archived = {.run_id = ids, .n = n}};
        decide_emit(d, &record);
    }
}
