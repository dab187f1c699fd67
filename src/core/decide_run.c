// SPDX-License-Identifier: Apache-2.0
// What people ask of runs: submit, cancel, hold, release.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/buf.h"
#include "core/internal.h"
#include "model/params.h"

#define RUN_ID "%" PRIu64

static int check_load(const struct core *core, const struct job_spec *spec, struct err *err)
{
    const struct limits *limits = core->options.limits;
    int rc = limits_check(limits, LIMIT_PENDING_RUNS, (int64_t)core->n_runs_live + 1, "the number of runs that have not ended", err);
    if (rc == 0)
        rc = limits_check(limits, LIMIT_PENDING_TASKS, (int64_t)(core->n_waiting_tasks + spec->tasks.count), "the number of waiting tasks", err);
    if (rc == 0 && spec->concurrency_key && !strmap_get(&core->keys, spec->concurrency_key))
        rc = limits_check(limits, LIMIT_CONCURRENCY_KEYS, (int64_t)strmap_len(&core->keys) + 1, "the number of concurrency keys in use", err);
    return rc;
}

// Every resource that is asked for must have a place among the kinds of this cluster.
static int check_needs(const struct core *core, const struct job_spec *spec, struct err *err)
{
    size_t fresh = 0;
    for (size_t i = 0; i < spec->n_needs; i++)
        if (spec->needs[i].amount > 0 && dim_find(core, spec->needs[i].name) < 0)
            fresh++;
    int64_t most = core->options.limits->value[LIMIT_RESOURCE_KINDS];
    must(most <= DIMS_MAX);
    return limits_check(core->options.limits, LIMIT_RESOURCE_KINDS, (int64_t)(core->n_dims + fresh), "the number of kinds of resources", err);
}

int check_spec(const struct core *core, const struct job_spec *spec, struct err *err)
{
    int rc = check_needs(core, spec, err);
    if (rc == 0)
        rc = limits_check(core->options.limits, LIMIT_TASKS, spec->tasks.count, "the number of tasks", err);
    if (rc == 0 && spec->tasks.count >= (1u << POSITION_BITS))
        rc = err_set(err, ERR_LIMIT, "a run has at most %u tasks", (1u << POSITION_BITS) - 1);
    return rc;
}

static const struct past_run *past_find(const struct past_run *past, size_t n, uint64_t run_id)
{
    for (size_t i = 0; i < n; i++)
        if (past[i].run_id == run_id)
            return &past[i];
    return NULL;
}

static bool after_met(enum after_on on, enum run_state state)
{
    return on == AFTER_ENDED || (on == AFTER_SUCCEEDED && state == RUN_SUCCEEDED) || (on == AFTER_FAILED && state == RUN_FAILED);
}

// Looks at the runs a new one waits for: how many are still to come, and whether one has ended the wrong way.
static int check_after(const struct core *core, const struct job_spec *spec, const struct past_run *past, size_t n_past, size_t *ret_open,
                       struct err *err)
{
    *ret_open = 0;
    for (size_t i = 0; i < spec->n_after; i++) {
        uint64_t id = spec->after[i].run_id;
        const struct run *target = core_run(core, id);
        const struct past_run *gone = target ? NULL : past_find(past, n_past, id);
        if (!target && !gone)
            return err_set(err, ERR_INVALID, "after: there is no run " RUN_ID, id);
        enum run_state state = target ? target->state : gone->state;
        if (!run_state_terminal(state))
            (*ret_open)++;
        else if (!after_met(spec->after[i].on, state))
            return err_set(err, ERR_CONFLICT, "after: run " RUN_ID " is %s, so the wait for '%s' can never end", id, run_state_name(state),
                           after_on_name(spec->after[i].on));
    }
    return 0;
}

uint64_t work_hash(const void *work, size_t len, uint64_t also, const struct pair *params, size_t n_params)
{
    uint64_t hash = hash_bytes(work, len, also);
    for (size_t i = 0; i < n_params; i++)
        hash += hash_bytes(params[i].value, strlen(params[i].value), hash_bytes(params[i].key, strlen(params[i].key), 1));
    return hash != 0 ? hash : 1;
}

bool idempotency_answer(struct decision *d, const char *key, uint64_t work_hash)
{
    const struct idempotency *known = key ? strmap_get(&d->core->idempotency, key) : NULL;
    if (!known || known->until_usec <= d->event->wall_usec)
        return false;
    if (known->work_hash != 0 && known->work_hash != work_hash) {
        struct err err = {0};
        int rc = err_set(&err, ERR_CONFLICT, "the idempotency key '%.80s' was given to other work, which is run " RUN_ID "; new work needs a new key", key,
                         known->run_id);
        decide_reply(d, rc, &err);
        return true;
    }
    struct fx_reply *reply = decide_reply_ok(d);
    reply->run_id = known->run_id;
    reply->existing = true;
    return true;
}

static void emit_submitted(struct decision *d, const struct rec_run_submitted *rec)
{
    struct record record = {.kind = REC_RUN_SUBMITTED, .run_submitted = *rec};
    struct rec_run_submitted *to = &record.run_submitted;
    struct arena *arena = d->out->arena;
    to->packed.data = arena_memdup(arena, rec->packed.data, rec->packed.len);
    if (rec->params.len > 0)
        to->params.data = arena_memdup(arena, rec->params.data, rec->params.len);
    to->idempotency_key = rec->idempotency_key ? arena_strdup(arena, rec->idempotency_key) : NULL;
    to->submitted_by = d->event->by ? arena_strdup(arena, d->event->by) : NULL;
    decide_emit(d, &record);
}

static int submit(struct decision *d, const struct ev_submit *ev, uint64_t hash, uint64_t *ret_run_id, struct err *err)
{
    struct core *core = d->core;
    size_t n_open = 0;
    int rc = check_spec(core, ev->spec, err);
    if (rc == 0)
        rc = check_load(core, ev->spec, err);
    if (rc == 0)
        rc = check_after(core, ev->spec, ev->past, ev->n_past, &n_open, err);
    if (rc == 0)
        rc = params_check(ev->spec->params, ev->spec->n_params, ev->params, ev->n_params, core->options.limits, err);
    if (rc == 0 && ev->idempotency_key)
        rc = limits_check(core->options.limits, LIMIT_IDEMPOTENCY_KEYS, (int64_t)strmap_len(&core->idempotency) + 1,
                          "the number of idempotency keys remembered", err);
    if (rc < 0)
        return rc;
    *ret_run_id = core->next_run;
    struct buf params = {0};
    params_fill(ev->spec->params, ev->spec->n_params, ev->params, ev->n_params, &params);
    emit_submitted(d, &(struct rec_run_submitted){
                          .run_id = core->next_run,
                          .params = {(const uint8_t *)params.data, params.len},
                          .job_id = ev->job_id,
                          .job_version = ev->job_version,
                          .rerun_of = ev->rerun_of,
                          .spec = ev->spec,
                          .packed = ev->packed,
                          .idempotency_key = ev->idempotency_key,
                          .work_hash = ev->idempotency_key ? hash : 0,
                          .eligible = n_open == 0 && ev->spec->start_at_usec <= d->event->wall_usec,
                          .held = ev->held,
                      });
    buf_release(&params);
    return 0;
}

void on_submit(struct decision *d)
{
    const struct ev_submit *ev = &d->event->submit;
    uint64_t hash = work_hash(ev->packed.data, ev->packed.len, ev->rerun_of, ev->params, ev->n_params);
    if (idempotency_answer(d, ev->idempotency_key, hash))
        return;
    struct err err = {0};
    uint64_t run_id = 0;
    int rc = submit(d, ev, hash, &run_id, &err);
    if (rc < 0)
        decide_reply(d, rc, &err);
    else
        decide_reply_ok(d)->run_id = run_id;
}

int decide_job_run(struct decision *d, struct job *job, const struct job_run *how, uint64_t *ret_run_id, struct err *err)
{
    struct core *core = d->core;
    const struct spec *spec = job->spec;
    const struct limits *limits = core->options.limits;
    int rc = limits_check(limits, LIMIT_PENDING_RUNS, (int64_t)core->n_runs_live + 1, "the number of runs that have not ended", err);
    if (rc == 0)
        rc = limits_check(limits, LIMIT_PENDING_TASKS, (int64_t)(core->n_waiting_tasks + spec->tasks.count), "the number of waiting tasks", err);
    if (rc < 0)
        return rc;
    // The spec is interned already; only what apply_run_submitted looks at besides its bytes is given.
    struct job_spec same = {.tasks = spec->tasks};
    bool waits = how->nominal_usec != 0 && job_fires_wait(job);
    *ret_run_id = core->next_run;
    emit_submitted(d, &(struct rec_run_submitted){
                          .run_id = core->next_run,
                          .job_id = job->id,
                          .job_version = job->version,
                          .nominal_usec = how->nominal_usec,
                          .spec = &same,
                          .packed = {spec->packed, spec->packed_len},
                          .params = how->params,
                          .backfill_id = how->backfill_id,
                          .idempotency_key = how->idempotency_key,
                          .work_hash = how->idempotency_key ? how->work_hash : 0,
                          .eligible = !waits && spec->policy->start_at_usec <= d->event->wall_usec,
                          .held = how->held,
                      });
    return 0;
}

static void emit_cancelled(struct decision *d, struct run *run, enum task_state to)
{
    struct record record = {.kind = REC_TASKS_CANCELLED, .tasks_cancelled = {.run_id = run->id, .all = true, .to = to}};
    decide_emit(d, &record);
}

// Orders the active tasks among `tasks` (n of them, of one run) to stop: one record and one effect for each node.
static void stop_tasks(struct decision *d, struct task **tasks, size_t n)
{
    struct arena *arena = d->out->arena;
    for (size_t first = 0; first < n; first++) {
        if (!tasks[first])
            continue;
        struct node *node = tasks[first]->node;
        uint64_t *fences = arena_array(arena, uint64_t, n - first);
        size_t n_fences = 0;
        for (size_t i = first; i < n; i++) {
            if (!tasks[i] || tasks[i]->node != node)
                continue;
            fences[n_fences++] = tasks[i]->fence;
            tasks[i] = NULL;
        }
        struct record record = {.kind = REC_TASKS_STOPPING,
                                .tasks_stopping = {.node_id = node->id, .why = OUTCOME_CANCELLED, .n = n_fences, .fence = fences}};
        decide_emit(d, &record);
        if (node->session)
            decide_effect(d, FX_STOP, node->session)->stop = (struct fx_stop){.n = n_fences, .fence = fences, .why = OUTCOME_CANCELLED};
    }
}

static void stop_active(struct decision *d, struct run *run)
{
    struct task **tasks = arena_array(d->out->arena, struct task *, run_active(run) + 1);
    size_t n = 0;
    struct list *pos;
    list_for_each(pos, &run->tasks) {
        struct task *task = list_entry(pos, struct task, in_run);
        if (task->state == TASK_PLACED || task->state == TASK_RUNNING)
            tasks[n++] = task;
    }
    stop_tasks(d, tasks, n);
}

void decide_cancel_run(struct decision *d, struct run *run, enum cancel_cause cause)
{
    must(!run_state_terminal(run->state));
    if (run->state == RUN_CANCELLING)
        return;
    if (run_active(run) > 0) {
        struct record record = {.kind = REC_RUN_CANCELLING, .run_cancelling = {.run_id = run->id, .cause = cause}};
        decide_emit(d, &record);
        if (run->count[TASK_PENDING] + run->count[TASK_BACKOFF] > 0)
            emit_cancelled(d, run, TASK_CANCELLED);
        stop_active(d, run);
        return;
    }
    enum task_state to = cause == CANCEL_EXPIRED ? TASK_EXPIRED : TASK_CANCELLED;
    if (run->state == RUN_RUNNING) {
        struct record record = {.kind = REC_RUN_CANCELLING, .run_cancelling = {.run_id = run->id, .cause = cause}};
        decide_emit(d, &record);
    }
    emit_cancelled(d, run, to); // settling ends the run
}

static int index_in(const struct index_set *set, uint32_t index)
{
    uint32_t position = 0;
    return index_set_find(set, index, &position);
}

void decide_cancel_tasks(struct decision *d, struct run *run, const struct index_set *set)
{
    struct arena *arena = d->out->arena;
    uint32_t *waiting = arena_array(arena, uint32_t, set->count);
    struct task **active = arena_array(arena, struct task *, set->count);
    size_t n_waiting = 0, n_active = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t index = index_set_at(set, i), position = 0;
        must(index_in(&run->spec->tasks, index));
        index_set_find(&run->spec->tasks, index, &position);
        struct task *task = task_find(d->core, run, position);
        if (task && (task->state == TASK_PLACED || task->state == TASK_RUNNING))
            active[n_active++] = task;
        else if ((!task && position >= run->cursor && !run_has_ended(run, position)) || (task && task->node == NULL))
            waiting[n_waiting++] = index;
    }
    if (n_waiting > 0) {
        struct record record = {.kind = REC_TASKS_CANCELLED,
                                .tasks_cancelled = {.run_id = run->id, .to = TASK_CANCELLED, .index = waiting, .n = n_waiting}};
        decide_emit(d, &record);
    }
    stop_tasks(d, active, n_active);
}

static int find_run(struct decision *d, uint64_t run_id, struct run **ret_run, struct err *err)
{
    struct run *run = core_run(d->core, run_id);
    if (!run)
        return err_set(err, ERR_NOT_FOUND, "there is no run " RUN_ID " that has not ended", run_id);
    if (run_state_terminal(run->state))
        return err_set(err, ERR_CONFLICT, "run " RUN_ID " has already ended: it is %s", run_id, run_state_name(run->state));
    *ret_run = run;
    return 0;
}

void on_cancel(struct decision *d)
{
    const struct ev_cancel *ev = &d->event->cancel;
    struct err err = {0};
    struct run *run = NULL;
    int rc = find_run(d, ev->run_id, &run, &err);
    for (uint32_t i = 0; rc == 0 && ev->tasks && i < ev->tasks->count; i++) {
        uint32_t index = index_set_at(ev->tasks, i);
        if (!index_in(&run->spec->tasks, index))
            rc = err_set(&err, ERR_NOT_FOUND, "run " RUN_ID " has no task %" PRIu32, ev->run_id, index);
    }
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    if (ev->tasks)
        decide_cancel_tasks(d, run, ev->tasks);
    else
        decide_cancel_run(d, run, CANCEL_USER);
    decide_reply_ok(d)->run_id = ev->run_id;
}

void on_run_hold(struct decision *d)
{
    const struct ev_run_hold *ev = &d->event->run_hold;
    struct err err = {0};
    struct run *run = NULL;
    int rc = find_run(d, ev->run_id, &run, &err);
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    bool changes = run->admission != ev->to;
    if (changes) {
        struct record record = {.kind = REC_RUN_ADMISSION, .run_admission = {.run_id = run->id, .to = ev->to}};
        decide_emit(d, &record);
    }
    struct fx_reply *reply = decide_reply_ok(d);
    reply->run_id = ev->run_id;
    reply->existing = !changes;
}
