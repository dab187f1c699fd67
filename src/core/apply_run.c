// SPDX-License-Identifier: Apache-2.0
// Records of runs.
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mem.h"
#include "core/internal.h"

static bool dep_satisfied(enum after_on on, enum run_state state)
{
    switch (on) {
    case AFTER_SUCCEEDED:
        return state == RUN_SUCCEEDED;
    case AFTER_FAILED:
        return state == RUN_FAILED;
    case AFTER_ENDED:
        return true;
    }
    unreachable();
}

struct run *run_new(struct core *core, uint64_t id, struct spec *spec)
{
    must(id >= core->next_run);
    struct run *run = pool_take(&core->run_pool);
    run->id = id;
    run->spec = spec;
    run->count[TASK_PENDING] = run_n_tasks(run);
    run->n_untouched = run_n_tasks(run);
    list_init(&run->in_job);
    list_init(&run->dependents);
    list_init(&run->tasks);
    list_init(&run->settle);
    list_init(&run->archive);
    heap_init(&run->again);
    list_add_tail(&core->runs_by_id, &run->all);
    must(map_put(&core->runs, id, run) == NULL);
    core->next_run = id + 1;
    if (spec->policy->concurrency_key)
        run->key = key_take(core, spec->policy->concurrency_key);
    return run;
}

void run_wait_for(struct run *run, size_t at, struct run *target, enum after_on on)
{
    must(at < run->n_deps);
    struct dep *dep = &run->deps[at];
    dep->run = run;
    dep->target = target;
    dep->on = on;
    list_init(&dep->in_target);
    if (!target)
        return;
    list_add_tail(&target->dependents, &dep->in_target);
    run->n_waits++;
}

// Only what is in memory and has not ended is waited for; the decider has looked at everything else.
static void run_set_deps(struct core *core, struct run *run, const struct job_spec *spec)
{
    if (spec->n_after == 0)
        return;
    must(run->n_deps == 0);
    run->deps = mem_alloc_array(spec->n_after, sizeof(*run->deps));
    run->n_deps = (uint32_t)spec->n_after;
    for (size_t i = 0; i < spec->n_after; i++) {
        struct run *target = core_run(core, spec->after[i].run_id);
        if (target && run_state_terminal(target->state))
            target = NULL;
        run_wait_for(run, i, target, spec->after[i].on);
    }
}

void run_join_job(struct run *run, struct job *job)
{
    run->job = job;
    job->n_active++;
    list_add_tail(&job->runs, &run->in_job);
}

bool job_fires_wait(const struct job *job)
{
    return job->n_active > 0 && job->overlap != OVERLAP_ALLOW;
}

// The run waits for every run of its job that has not ended, however that ends.
static void run_wait_for_job(struct run *run, struct job *job)
{
    must(run->n_deps == 0);
    run->deps = mem_alloc_array(job->n_active, sizeof(*run->deps));
    run->n_deps = job->n_active;
    size_t i = 0;
    struct list *pos;
    list_for_each(pos, &job->runs)
        run_wait_for(run, i++, list_entry(pos, struct run, in_job), AFTER_ENDED);
    must(i == run->n_deps);
}

static void idempotency_add(struct core *core, const char *key, uint64_t run_id, usec_t until_usec, uint64_t work_hash)
{
    struct idempotency *entry = mem_alloc(sizeof(*entry));
    entry->key = mem_strdup(key);
    entry->run_id = run_id;
    entry->until_usec = until_usec;
    entry->work_hash = work_hash;
    list_add_tail(&core->idempotency_by_time, &entry->all);
    struct idempotency *old = strmap_put(&core->idempotency, entry->key, entry);
    if (old) { // expired, and not yet swept
        list_del(&old->all);
        mem_free(old->key);
        mem_free(old);
    }
}

void idempotency_load(struct core *core, const struct snap_key *snap)
{
    idempotency_add(core, snap->key, snap->run_id, snap->until_usec, snap->work_hash);
}

// Forgets keys whose window has passed by the time of this record; the fold does it, so that every copy of the state agrees.
static void idempotency_sweep(struct core *core, usec_t now_usec)
{
    for (;;) {
        struct list *first = list_first(&core->idempotency_by_time);
        if (!first)
            return;
        struct idempotency *entry = list_entry(first, struct idempotency, all);
        if (entry->until_usec > now_usec)
            return;
        list_del(&entry->all);
        strmap_del(&core->idempotency, entry->key);
        mem_free(entry->key);
        mem_free(entry);
    }
}

void apply_run_submitted(struct core *core, const struct record *record)
{
    const struct rec_run_submitted *rec = &record->run_submitted;
    must(rec->run_id == core->next_run);
    struct run *run = run_new(core, rec->run_id, spec_intern(core, rec->spec, rec->packed));
    run->job_id = rec->job_id;
    run->job_version = rec->job_version;
    run->state = rec->eligible ? RUN_PENDING : RUN_WAITING;
    run->admission = rec->held ? ADMIT_CLOSED : ADMIT_OPEN;
    run->nominal_usec = rec->nominal_usec;
    run->rerun_of = rec->rerun_of;
    run->submitted_usec = record->at_usec;
    run->submitted_by = rec->submitted_by ? mem_strdup(rec->submitted_by) : NULL;
    run_set_params(core, run, rec->params);
    run->backfill_id = rec->backfill_id;
    if (run->backfill_id != 0)
        backfill_run_joins(core, run);
    core->n_runs_live++;
    core->n_runs_in[run->state]++;
    core->n_waiting_tasks += run_n_tasks(run);
    struct job *job = rec->job_id ? map_get(&core->jobs, rec->job_id) : NULL;
    if (job) {
        if (!rec->eligible && rec->nominal_usec != 0 && job_fires_wait(job))
            run_wait_for_job(run, job);
        run_join_job(run, job);
        job->last_run = run->id;
    }
    run_set_deps(core, run, rec->spec);
    must(!rec->eligible || run->n_waits == 0);
    idempotency_sweep(core, record->at_usec);
    if (rec->idempotency_key)
        idempotency_add(core, rec->idempotency_key, run->id,
                        usec_add(record->at_usec, core->options.limits->value[LIMIT_IDEMPOTENCY_WINDOW]), rec->work_hash);
    run_arm(core, run);
    run_index(core, run);
}

void apply_run_eligible(struct core *core, const struct record *record)
{
    struct run *run = core_run(core, record->run_eligible.run_id);
    must(run != NULL);
    must(run->n_waits == 0);
    run_move(core, run, RUN_PENDING);
    run_arm(core, run);
    run_index(core, run);
}

void apply_run_admission(struct core *core, const struct record *record)
{
    struct run *run = core_run(core, record->run_admission.run_id);
    must(run != NULL);
    must(run->admission != record->run_admission.to);
    run->admission = record->run_admission.to;
    run_index(core, run);
}

void apply_run_cancelling(struct core *core, const struct record *record)
{
    struct run *run = core_run(core, record->run_cancelling.run_id);
    must(run != NULL);
    run_move(core, run, RUN_CANCELLING);
    run->cancel_cause = record->run_cancelling.cause;
    run_index(core, run);
}

// Untouched tasks are only bits: their counts move without a struct task.
static void cancel_untouched(struct core *core, struct run *run, uint32_t position, enum task_state to)
{
    must(run->count[TASK_PENDING] > 0);
    must(core->n_waiting_tasks > 0);
    run->count[TASK_PENDING]--;
    run->count[to]++;
    core->n_waiting_tasks--;
    run_mark_ended(core, run, position, false);
}

static void cancel_waiting(struct core *core, struct task *task, enum task_state to)
{
    struct run *run = task->run;
    uint32_t position = task->position;
    must(task->node == NULL);
    task_move(core, task, to);
    task_free(core, task);
    run_mark_ended(core, run, position, false);
}

static void cancel_all(struct core *core, struct run *run, enum task_state to)
{
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &run->tasks) {
        struct task *task = list_entry(pos, struct task, in_run);
        if (task->state == TASK_PENDING || task->state == TASK_BACKOFF)
            cancel_waiting(core, task, to);
    }
    // The rest of a run that nobody will look into is only counted: a million waiting tasks end without a million bits.
    must(run->count[TASK_PENDING] == run->n_untouched);
    run->count[to] += run->n_untouched;
    run->count[TASK_PENDING] = 0;
    core->n_waiting_tasks -= run->n_untouched;
    run->n_untouched = 0;
    run->cursor = run_n_tasks(run);
}

void apply_tasks_cancelled(struct core *core, const struct record *record)
{
    const struct rec_tasks_cancelled *rec = &record->tasks_cancelled;
    struct run *run = core_run(core, rec->run_id);
    must(run != NULL);
    must(rec->to == TASK_CANCELLED || rec->to == TASK_EXPIRED);
    if (rec->all)
        cancel_all(core, run, rec->to);
    for (size_t i = 0; i < rec->n; i++) {
        uint32_t position = 0;
        must(index_set_find(&run->spec->tasks, rec->index[i], &position));
        struct task *task = task_find(core, run, position);
        if (task)
            cancel_waiting(core, task, rec->to);
        else
            cancel_untouched(core, run, position, rec->to);
    }
    run_index(core, run);
    if (run_open(run) == 0 && !core->loading)
        run_wants_settling(core, run);
}

void run_wants_settling(struct core *core, struct run *run)
{
    if (list_empty(&run->settle))
        list_add_tail(&core->to_settle, &run->settle);
}

static void settle_dependents(struct core *core, struct run *target)
{
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &target->dependents) {
        struct dep *dep = list_entry(pos, struct dep, in_target);
        struct run *run = dep->run;
        list_del(&dep->in_target);
        dep->target = NULL;
        must(run->n_waits > 0);
        run->n_waits--;
        if (!dep_satisfied(dep->on, target->state))
            run->dep_failed = true;
        run_wants_settling(core, run);
    }
}

// A run that ended while it waited no longer counts among the dependents of others.
static void run_drop_deps(struct run *run)
{
    for (uint32_t i = 0; i < run->n_deps; i++)
        if (run->deps[i].target)
            list_del(&run->deps[i].in_target);
    mem_free(run->deps);
    run->deps = NULL;
    run->n_deps = 0;
    run->n_waits = 0;
}

void apply_run_ended(struct core *core, const struct record *record)
{
    const struct rec_run_ended *rec = &record->run_ended;
    struct run *run = core_run(core, rec->run_id);
    must(run != NULL);
    must(run_open(run) == 0);
    run_move(core, run, rec->to);
    run->ended_usec = record->at_usec;
    run->ended_seq = record->seq;
    must(core->n_runs_live > 0);
    core->n_runs_live--;
    run_arm(core, run);
    run_index(core, run);
    list_del(&run->settle);
    run_drop_deps(run);
    key_release(core, run);
    list_add_tail(&core->to_archive, &run->archive);
    if (run->job) {
        struct job *job = run->job;
        must(job->n_active > 0);
        job->n_active--;
        list_del(&run->in_job);
        if (record->run_ended.to == RUN_FAILED)
            job->failures += job->failures < UINT32_MAX;
        else if (record->run_ended.to == RUN_SUCCEEDED)
            job->failures = 0;
        if (run->started_usec == 0 && run->nominal_usec != 0 && run->backfill_id == 0)
            job_missed(job, run->nominal_usec, FIRE_STARTED);
        job_run_ended(core, job, record->at_usec);
        backfills_wake_job(core, job->id);
    }
    if (run->backfill_id != 0)
        backfill_run_ended(core, run);
    settle_dependents(core, run);
}

void apply_runs_archived(struct core *core, const struct record *record)
{
    for (size_t i = 0; i < record->runs_archived.n; i++) {
        struct run *run = core_run(core, record->runs_archived.run_id[i]);
        must(run != NULL);
        run_free(core, run);
    }
}
