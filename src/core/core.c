// SPDX-License-Identifier: Apache-2.0
// The core's life, its one door for events, and what it says about itself.
#include "core/core.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/internal.h"
#include "core/placement.h"

struct core *core_new(const struct core_options *options)
{
    must(options->limits != NULL);
    struct core *core = mem_alloc(sizeof(*core));
    core->options = *options;
    core->next_run = core->next_job = core->next_fence = core->next_backfill = 1;
    core->next_node = 1;
    struct map *maps[] = {&core->runs, &core->tasks, &core->fences, &core->jobs, &core->specs_by_hash, &core->sessions, &core->load_specs, &core->backfills};
    for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
        map_init(maps[i]);
    struct strmap *strmaps[] = {&core->jobs_by_name, &core->nodes_by_name, &core->keys, &core->idempotency,
                                &core->classes_by_key, &core->policies_by_key, &core->triggers_by_key};
    for (size_t i = 0; i < sizeof(strmaps) / sizeof(*strmaps); i++)
        strmap_init(strmaps[i]);
    struct list *lists[] = {&core->runs_by_id,     &core->jobs_by_id, &core->specs,         &core->idempotency_by_time, &core->to_archive,
                            &core->parked_classes, &core->to_settle,  &core->backfills_by_id, &core->backfills_ready};
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        list_init(lists[i]);
    struct heap *heaps[] = {&core->run_timers, &core->task_timers, &core->job_timers, &core->leases, &core->turns, &core->ready_classes};
    for (size_t i = 0; i < sizeof(heaps) / sizeof(*heaps); i++)
        heap_init(heaps[i]);
    calendars_init(&core->calendars);
    pool_init(&core->run_pool, sizeof(struct run));
    pool_init(&core->task_pool, sizeof(struct task));
    prng_init(&core->prng, options->seed);
    core->policy = &placement_first_fit;
    static const char *const builtin[RES_BUILTIN] = {"cpu", "memory", "disk", "gpu"};
    for (int i = 0; i < RES_BUILTIN; i++)
        must(dim_take(core, builtin[i]) == i);
    return core;
}

// Everything is given up at once: the order of the parts does not matter, so nothing is unlinked.
static void free_runs(struct core *core)
{
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &core->runs_by_id) {
        struct run *run = list_entry(pos, struct run, all);
        if (run->ended && run->ended != &run->bits_inline[0]) {
            mem_free(run->ended);
            mem_free(run->good);
        }
        heap_release(&run->again);
        mem_free(run->deps);
        mem_free(run->submitted_by);
        mem_free(run->params);
        if (run->key && --run->key->refs == 0) {
            heap_release(&run->key->waiting);
            mem_free(run->key->name);
            mem_free(run->key);
        }
    }
}

static void free_specs(struct core *core)
{
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &core->specs) {
        struct spec *spec = list_entry(pos, struct spec, all);
        if (--spec->class->refs == 0)
            class_free(spec->class);
        if (--spec->policy->refs == 0)
            policy_free(spec->policy);
        mem_free(spec);
    }
}

static void free_small(struct core *core)
{
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &core->jobs_by_id)
        job_free(core, list_entry(pos, struct job, all));
    calendars_release(&core->calendars);
    list_for_each_safe(pos, tmp, &core->idempotency_by_time) {
        struct idempotency *entry = list_entry(pos, struct idempotency, all);
        mem_free(entry->key);
        mem_free(entry);
    }
    list_for_each_safe(pos, tmp, &core->backfills_by_id)
        backfill_free(list_entry(pos, struct backfill, all));
    for (size_t i = 0; i < core->n_nodes; i++)
        node_free(core->nodes[i]);
    mem_free(core->nodes);
    for (size_t i = 0; i < core->n_dims; i++)
        mem_free(core->dim_names[i]);
}

void core_free(struct core *core)
{
    if (!core)
        return;
    // Heaps first: to release one touches what is in it.
    struct heap *heaps[] = {&core->run_timers, &core->task_timers, &core->job_timers, &core->leases, &core->turns, &core->ready_classes};
    for (size_t i = 0; i < sizeof(heaps) / sizeof(*heaps); i++)
        heap_release(heaps[i]);
    free_runs(core);
    free_specs(core);
    free_small(core);
    struct map *maps[] = {&core->runs, &core->tasks, &core->fences, &core->jobs, &core->specs_by_hash, &core->sessions, &core->load_specs, &core->backfills};
    for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
        map_release(maps[i]);
    struct strmap *strmaps[] = {&core->jobs_by_name, &core->nodes_by_name, &core->keys, &core->idempotency,
                                &core->classes_by_key, &core->policies_by_key, &core->triggers_by_key};
    for (size_t i = 0; i < sizeof(strmaps) / sizeof(*strmaps); i++)
        strmap_release(strmaps[i]);
    pool_release(&core->run_pool);
    pool_release(&core->task_pool);
    mem_free(core);
}

typedef void decide_function(struct decision *);

static decide_function *const functions[EV_KINDS] = {
    [EV_TICK] = on_tick,
    [EV_PLAN] = on_plan,
    [EV_LEAD] = on_lead,
    [EV_SUBMIT] = on_submit,
    [EV_APPLY] = on_apply,
    [EV_START_JOB] = on_start_job,
    [EV_JOB_HOLD] = on_job_hold,
    [EV_CANCEL] = on_cancel,
    [EV_CANCEL_JOB] = on_cancel_job,
    [EV_RUN_HOLD] = on_run_hold,
    [EV_NODE_HELLO] = on_node_hello,
    [EV_NODE_WELCOMED] = on_node_welcomed,
    [EV_NODE_HEARTBEAT] = on_node_heartbeat,
    [EV_NODE_GONE] = on_node_gone,
    [EV_NODE_REPORT] = on_node_report,
    [EV_NODE_ADMISSION] = on_node_admission,
    [EV_NODE_REMOVE] = on_node_remove,
    [EV_ARCHIVED] = on_archived,
    [EV_CALENDAR_PUT] = on_calendar_put,
    [EV_CALENDAR_DELETE] = on_calendar_delete,
    [EV_BACKFILL] = on_backfill,
    [EV_BACKFILL_CANCEL] = on_backfill_cancel,
};

void core_step(struct core *core, const struct event *event, struct outbox *out)
{
    must(event->kind > 0 && event->kind < EV_KINDS);
    must(!core->loading);
    must(core->epoch > 0 || event->kind == EV_LEAD);
    clock_look(core, event);
    struct decision decision = {.core = core, .out = out, .event = event};
    functions[event->kind](&decision);
    decide_settle(&decision);
}

static usec_t until(const struct heap *heap, usec_t now, usec_t most)
{
    const struct heap_node *top = heap_top(heap);
    if (!top)
        return most;
    usec_t wait = top->key > now ? top->key - now : 0;
    return wait < most ? wait : most;
}

usec_t core_deadline(const struct core *core, usec_t wall_usec, usec_t mono_usec)
{
    if (!list_empty(&core->calendars.stale))
        return 0;
    usec_t wait = USEC_NEVER;
    wait = until(&core->run_timers, wall_usec, wait);
    wait = until(&core->task_timers, wall_usec, wait);
    wait = until(&core->job_timers, wall_usec, wait);
    wait = until(&core->leases, mono_usec, wait);
    wait = until(&core->turns, mono_usec, wait);
    if (!list_empty(&core->backfills_ready))
        wait = usec_min(wait, usec_max(core->backfill_free_mono_usec - mono_usec, 0));
    usec_t watch = clock_watch_usec(core);
    if (watch != USEC_NEVER)
        wait = usec_min(wait, usec_max(watch - mono_usec, 0));
    return wait;
}

bool core_wants_plan(const struct core *core)
{
    return heap_len(&core->ready_classes) > 0 || (core->nodes_changed && !list_empty(&core->parked_classes));
}

uint64_t core_seq(const struct core *core)
{
    return core->seq;
}

uint64_t core_epoch(const struct core *core)
{
    return core->epoch;
}

void core_stats(const struct core *core, struct core_stats *ret_stats)
{
    *ret_stats = (struct core_stats){
        .runs = map_len(&core->runs),
        .runs_live = core->n_runs_live,
        .tasks_waiting = core->n_waiting_tasks,
        .tasks_active = map_len(&core->fences),
        .nodes = core->n_nodes,
        .jobs = map_len(&core->jobs),
        .classes = core->n_classes,
        .classes_parked = list_len(&core->parked_classes),
        .specs = core->n_specs,
        .bytes = pool_bytes(&core->run_pool) + pool_bytes(&core->task_pool) + map_bytes(&core->runs) + map_bytes(&core->tasks) +
                 map_bytes(&core->fences) + map_bytes(&core->specs_by_hash) + core->blob_bytes +
                 map_bytes(&core->calendars.by_trigger) + map_len(&core->calendars.by_trigger) * sizeof(struct trigger_days),
    };
    memcpy(ret_stats->runs_in, core->n_runs_in, sizeof(ret_stats->runs_in));
}
