// SPDX-License-Identifier: Apache-2.0
// Runs: their tasks as bits and counts, and their place in the queues.
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mem.h"
#include "core/internal.h"

enum { INLINE_TASKS = 64 };

struct run *core_run(const struct core *core, uint64_t run_id)
{
    return map_get(&core->runs, run_id);
}

uint32_t run_n_tasks(const struct run *run)
{
    return run->spec->tasks.count;
}

uint32_t run_active(const struct run *run)
{
    return run->count[TASK_PLACED] + run->count[TASK_RUNNING] + run->count[TASK_STOPPING];
}

uint32_t run_open(const struct run *run)
{
    return run_active(run) + run->count[TASK_PENDING] + run->count[TASK_BACKOFF];
}

bool run_has_ended(const struct run *run, uint32_t position)
{
    must(position < run_n_tasks(run));
    return run->ended && bits_get(run->ended, position);
}

void run_mark_ended(struct core *core, struct run *run, uint32_t position, bool good)
{
    uint32_t n = run_n_tasks(run);
    must(position < n);
    if (!run->ended && n <= INLINE_TASKS) {
        run->ended = &run->bits_inline[0];
        run->good = &run->bits_inline[1];
    } else if (!run->ended) {
        run->ended = mem_alloc_array(bits_words(n), sizeof(uint64_t));
        run->good = mem_alloc_array(bits_words(n), sizeof(uint64_t));
        core->blob_bytes += 2 * bits_words(n) * sizeof(uint64_t);
    }
    must(!bits_get(run->ended, position));
    bits_set(run->ended, position);
    if (good)
        bits_set(run->good, position);
    if (position < run->cursor)
        return;
    must(run->n_untouched > 0);
    run->n_untouched--;
    while (run->cursor < n && bits_get(run->ended, run->cursor))
        run->cursor++;
}

uint32_t run_placeable(const struct run *run)
{
    if (run->state != RUN_PENDING && run->state != RUN_RUNNING)
        return 0;
    if (run->admission != ADMIT_OPEN)
        return 0;
    uint32_t n = run->n_untouched + heap_len(&run->again);
    if (run->spec->policy->parallelism == 0)
        return n;
    uint32_t active = run_active(run);
    uint32_t room = active < run->spec->policy->parallelism ? run->spec->policy->parallelism - active : 0;
    return n < room ? n : room;
}

static bool run_key_free(const struct run *run)
{
    return !run->key || run->key_held || run->key->holders < run->spec->policy->concurrency_limit;
}

// The heap in which the run belongs now: its class when it has something to place, its key when it waits for that, or none.
static struct heap *run_place_of(const struct run *run)
{
    if (run_placeable(run) == 0)
        return NULL;
    if (!run_key_free(run))
        return &run->key->waiting;
    return &run->spec->class->runs;
}

// Lets the oldest of the runs that wait for the key go to its class; the planner takes the key for the one it places first.
static void key_promote(struct core *core, struct key *key)
{
    struct heap_node *oldest = heap_top(&key->waiting);
    if (oldest)
        run_index(core, container_of(oldest, struct run, ready));
}

void run_index(struct core *core, struct run *run)
{
    if (core->loading)
        return;
    struct heap *to = run_place_of(run);
    if (to == run->ready_in)
        return;
    if (run->ready_in)
        heap_remove(run->ready_in, &run->ready);
    bool gave_way = run->ready_in == &run->spec->class->runs && to == NULL;
    run->ready_in = to;
    if (to) {
        // Among runs of one class those of backfills go last.
        run->ready.key = (int64_t)run->id + (run->backfill_id != 0 ? INT64_C(1) << 62 : 0);
        run->ready.tie = run->id;
        heap_push(to, &run->ready);
    }
    class_update(core, run->spec->class);
    // It may have left a key free that another was waiting for.
    if (gave_way && run->key && !run->key_held)
        key_promote(core, run->key);
}

void run_arm(struct core *core, struct run *run)
{
    if (core->loading)
        return;
    usec_t when = USEC_NEVER;
    if (run->state == RUN_WAITING && run->spec->policy->start_at_usec > 0)
        when = run->spec->policy->start_at_usec;
    if ((run->state == RUN_WAITING || run->state == RUN_PENDING) && run->spec->policy->queue_deadline_usec > 0) {
        usec_t deadline = usec_add(run->submitted_usec, run->spec->policy->queue_deadline_usec);
        when = deadline < when ? deadline : when;
    }
    if (heap_contains(&run->timer))
        heap_remove(&core->run_timers, &run->timer);
    if (when == USEC_NEVER)
        return;
    run->timer.key = when;
    run->timer.tie = run->id;
    heap_push(&core->run_timers, &run->timer);
}

struct key *key_take(struct core *core, const char *name)
{
    must(name != NULL);
    struct key *key = strmap_get(&core->keys, name);
    if (!key) {
        key = mem_alloc(sizeof(*key));
        key->name = mem_strdup(name);
        heap_init(&key->waiting);
        strmap_put(&core->keys, key->name, key);
    }
    key->refs++;
    return key;
}

void key_drop(struct core *core, struct key *key)
{
    must(key->refs > 0);
    if (--key->refs > 0)
        return;
    must(key->holders == 0);
    must(heap_len(&key->waiting) == 0);
    strmap_del(&core->keys, key->name);
    heap_release(&key->waiting);
    mem_free(key->name);
    mem_free(key);
}

void key_release(struct core *core, struct run *run)
{
    if (!run->key || !run->key_held)
        return;
    struct key *key = run->key;
    must(key->holders > 0);
    key->holders--;
    run->key_held = false;
    key_promote(core, key);
}

void run_move(struct core *core, struct run *run, enum run_state to)
{
    must(core->n_runs_in[run->state] > 0);
    core->n_runs_in[run->state]--;
    run_state_move(&run->state, to);
    core->n_runs_in[to]++;
}

struct bytes run_params(const struct run *run)
{
    return run->params ? (struct bytes){run->params->data, run->params->len} : (struct bytes){0};
}

void run_set_params(struct core *core, struct run *run, struct bytes params)
{
    must(run->params == NULL && params.len < UINT32_MAX);
    if (params.len == 0)
        return;
    run->params = mem_alloc(sizeof(*run->params) + params.len);
    run->params->len = (uint32_t)params.len;
    memcpy(run->params->data, params.data, params.len);
    core->blob_bytes += sizeof(*run->params) + params.len;
}

void run_free(struct core *core, struct run *run)
{
    must(run_state_terminal(run->state));
    must(list_empty(&run->tasks));
    must(list_empty(&run->dependents));
    must(!run->ready_in);
    must(core->n_runs_in[run->state] > 0);
    core->n_runs_in[run->state]--;
    if (heap_contains(&run->timer))
        heap_remove(&core->run_timers, &run->timer);
    heap_release(&run->again);
    list_del(&run->all);
    list_del(&run->archive);
    list_del(&run->settle);
    must(map_del(&core->runs, run->id) == run);
    if (run->ended && run->ended != &run->bits_inline[0]) {
        core->blob_bytes -= 2 * bits_words(run_n_tasks(run)) * sizeof(uint64_t);
        mem_free(run->ended);
        mem_free(run->good);
    }
    if (run->key)
        key_drop(core, run->key);
    mem_free(run->deps);
    mem_free(run->submitted_by);
    if (run->params)
        core->blob_bytes -= sizeof(*run->params) + run->params->len;
    mem_free(run->params);
    spec_unref(core, run->spec);
    pool_give(&core->run_pool, run);
}
