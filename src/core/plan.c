// SPDX-License-Identifier: Apache-2.0
// The planner's pass: classes in order of priority and age, each asked once for places; what finds none parks on what blocks it.
#include "core/placement.h"

#include <string.h>

#include "base/assert.h"
#include "core/internal.h"

enum { PLACEMENTS_AT_ONCE = 256 };

static bool could_take(const struct node *node, const struct class *class)
{
    return node->n_tasks < node->info.tasks_max && amounts_fit(&class->needs, class->dims, &node->capacity, &node->used) &&
           class_matches(class, &node->info);
}

// Parked classes look again when one of the nodes that changed since the last pass could take one of their tasks.
static void wake_classes(struct core *core, struct arena *arena)
{
    if (!core->nodes_changed)
        return;
    struct node **freed = arena_array(arena, struct node *, core->n_nodes);
    size_t n_freed = 0;
    for (size_t i = 0; i < core->n_nodes; i++) {
        if (core->nodes[i]->freed && node_open(core->nodes[i]))
            freed[n_freed++] = core->nodes[i];
        core->nodes[i]->freed = false;
    }
    core->nodes_changed = false;
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &core->parked_classes) {
        struct class *class = list_entry(pos, struct class, parked);
        size_t i = 0;
        while (i < n_freed && !could_take(freed[i], class))
            i++;
        if (i < n_freed)
            class_wake(core, class);
    }
}

// Takes the next n tasks of the run that may be placed: those that come again first, then the untouched ones, in order.
static void choose_tasks(struct arena *arena, const struct core *core, struct run *run, uint32_t n, uint32_t *index, uint32_t **ret_attempt)
{
    const struct index_set *set = &run->spec->tasks;
    uint32_t again = heap_len(&run->again);
    uint32_t *attempt = NULL;
    uint32_t from_again = n < again ? n : again;
    if (from_again > 0)
        attempt = arena_array(arena, uint32_t, n);
    for (uint32_t i = 0; i < from_again; i++) {
        // Popped here, pushed back by nobody: the record that follows at once moves them out of the waiting states.
        struct task *task = container_of(heap_pop(&run->again), struct task, again);
        index[i] = index_set_at(set, task->position);
        attempt[i] = task->attempt + 1;
    }
    uint32_t position = run->cursor;
    for (uint32_t i = from_again; i < n; i++, position++) {
        while (run_has_ended(run, position))
            position++;
        must(task_find(core, run, position) == NULL);
        index[i] = index_set_at(set, position);
        if (attempt)
            attempt[i] = 1;
    }
    *ret_attempt = attempt;
}

static void add_orders(struct decision *d, struct run *run, struct node *node, const struct rec_tasks_placed *placed)
{
    struct arena *arena = d->out->arena;
    if (node->n_orders + placed->n > node->cap_orders) {
        size_t cap = 2 * node->cap_orders > node->n_orders + placed->n ? 2 * node->cap_orders : node->n_orders + placed->n;
        struct start_order *orders = arena_array(arena, struct start_order, cap);
        if (node->n_orders > 0)
            memcpy(orders, node->orders, node->n_orders * sizeof(*orders));
        node->orders = orders;
        node->cap_orders = cap;
    }
    struct bytes params = run_params(run);
    if (params.len > 0)
        params.data = arena_memdup(arena, params.data, params.len);
    for (size_t i = 0; i < placed->n; i++) {
        uint32_t position = 0;
        must(index_set_find(&run->spec->tasks, placed->index[i], &position));
        node->orders[node->n_orders++] = (struct start_order){
            .fence = placed->first_fence + i,
            .run_id = run->id,
            .index = placed->index[i],
            .attempt = placed->attempt ? placed->attempt[i] : 1,
            .position = position,
            .n_tasks = run_n_tasks(run),
            .job_id = run->job_id,
            .nominal_usec = run->nominal_usec,
            .backfill_id = run->backfill_id,
            .params = params,
            .spec = {run->spec->packed, run->spec->packed_len},
        };
    }
}

static void place_on(struct decision *d, struct run *run, struct node *node, uint32_t n)
{
    struct arena *arena = d->out->arena;
    uint32_t *index = arena_array(arena, uint32_t, n), *attempt = NULL;
    choose_tasks(arena, d->core, run, n, index, &attempt);
    struct record record = {.kind = REC_TASKS_PLACED,
                            .tasks_placed = {
                                .run_id = run->id,
                                .node_id = node->id,
                                .first_fence = d->core->next_fence,
                                .n = n,
                                .index = index,
                                .attempt = attempt,
                            }};
    decide_emit(d, &record);
    add_orders(d, run, node, &record.tasks_placed);
}

// The oldest run of the class that really may place something; runs that turn out not to (their key was taken) go where they belong.
static struct run *next_run(struct core *core, struct class *class)
{
    for (;;) {
        struct heap_node *top = heap_top(&class->runs);
        if (!top)
            return NULL;
        struct run *run = container_of(top, struct run, ready);
        run_index(core, run);
        if (run->ready_in == &class->runs)
            return run;
    }
}

// How many tasks the runs of the class could place, up to most: what the policy is asked for.
static uint32_t wanted(struct core *core, struct class *class, uint32_t most)
{
    const struct run *run = next_run(core, class);
    if (!run)
        return 0;
    if (heap_len(&class->runs) == 1) {
        uint32_t n = run_placeable(run);
        return n < most ? n : most;
    }
    return most;
}

static uint32_t place_class(struct decision *d, struct class *class, uint32_t budget)
{
    struct core *core = d->core;
    struct placement places[PLACEMENTS_AT_ONCE];
    uint32_t placed = 0;
    while (placed < budget) {
        uint32_t want = wanted(core, class, budget - placed);
        if (want == 0)
            return placed;
        size_t n = core->policy->place(core, class, want, places, PLACEMENTS_AT_ONCE);
        if (n == 0) {
            class_park(core, class, REASON_RESOURCES);
            return placed;
        }
        for (size_t i = 0; i < n; i++) {
            must(node_open(places[i].node));
            uint32_t room = places[i].n;
            must(room > 0);
            struct run *run;
            while (room > 0 && (run = next_run(core, class))) {
                uint32_t take = run_placeable(run) < room ? run_placeable(run) : room;
                place_on(d, run, places[i].node, take);
                room -= take;
                placed += take;
            }
        }
    }
    return placed;
}

void on_plan(struct decision *d)
{
    struct core *core = d->core;
    wake_classes(core, d->out->arena);
    for (size_t i = 0; i < core->n_nodes; i++) {
        core->nodes[i]->orders = NULL;
        core->nodes[i]->n_orders = core->nodes[i]->cap_orders = 0;
    }
    uint32_t budget = (uint32_t)core->options.limits->value[LIMIT_PLACE_BATCH];
    struct heap_node *top;
    while (budget > 0 && (top = heap_top(&core->ready_classes))) {
        struct class *class = container_of(top, struct class, ready);
        uint32_t placed = place_class(d, class, budget);
        must(placed <= budget);
        budget -= placed;
    }
    for (size_t i = 0; i < core->n_nodes; i++) {
        struct node *node = core->nodes[i];
        if (node->n_orders == 0)
            continue;
        decide_effect(d, FX_START, node->session)->start = (struct fx_start){.n = node->n_orders, .order = node->orders};
        node->orders = NULL;
        node->n_orders = node->cap_orders = 0;
    }
}
