// SPDX-License-Identifier: Apache-2.0
// The truth: a second reader of the durable log, which shares no code with the core's fold, and the book of what processes really did. Most
// invariants are looked at here, at the record or the process that could break them.
#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "codec/codec.h"
#include "model/params.h"
#include "sim/internal.h"

void truth_init(struct sim *sim)
{
    struct truth *truth = &sim->truth;
    *truth = (struct truth){0};
    list_init(&truth->jobs_list);
    list_init(&truth->live);
    buf_init(&truth->log);
    arena_init(&truth->arena, 64 * 1024);
    arena_init(&truth->lasting, 256 * 1024);
}

void truth_release(struct sim *sim)
{
    struct truth *truth = &sim->truth;
    struct map *maps[] = {&truth->runs, &truth->tasks, &truth->fences, &truth->jobs, &truth->backfills};
    for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
        map_release(maps[i]);
    strmap_release(&truth->keys);
    strmap_release(&truth->idempotency);
    strmap_release(&truth->jobs_by_name);
    mem_free(truth->nodes);
    buf_release(&truth->log);
    core_free(truth->standby);
    arena_release(&truth->arena);
    arena_release(&truth->lasting);
}

struct t_run *truth_run(const struct sim *sim, uint64_t run_id)
{
    return map_get(&sim->truth.runs, run_id);
}

static uint64_t task_id(uint64_t run_id, uint32_t index)
{
    return run_id << 32 | index;
}

struct t_task *truth_task(const struct sim *sim, uint64_t run_id, uint32_t index)
{
    return map_get(&sim->truth.tasks, task_id(run_id, index));
}

struct t_task *truth_task_make(struct sim *sim, uint64_t run_id, uint32_t index)
{
    struct t_task *task = truth_task(sim, run_id, index);
    if (task == NULL) {
        task = arena_new(&sim->truth.lasting, struct t_task);
        task->state = TASK_PENDING;
        map_put(&sim->truth.tasks, task_id(run_id, index), task);
    }
    return task;
}

struct t_fence *truth_fence(const struct sim *sim, uint64_t fence)
{
    return map_get(&sim->truth.fences, fence);
}

struct t_job *truth_job(const struct sim *sim, uint64_t job_id)
{
    return map_get(&sim->truth.jobs, job_id);
}

struct t_node *truth_node(struct sim *sim, uint32_t node_id)
{
    struct truth *truth = &sim->truth;
    for (size_t i = 0; i < truth->n_nodes; i++)
        if (truth->nodes[i].id == node_id)
            return &truth->nodes[i];
    return NULL;
}

void truth_batch(struct sim *sim, uint64_t epoch, const struct disk_batch *batch)
{
    struct truth *truth = &sim->truth;
    struct bytes bytes = {batch->data, batch->len};
    buf_add(&truth->log, batch->data, batch->len);
    hold(sim, INV_LOG_CONTIGUOUS, batch->first_seq == truth->seq + 1, "a batch begins at record %" PRIu64 ", the log ends at %" PRIu64, batch->first_seq,
         truth->seq);
    for (uint32_t i = 0; i < batch->n_records && !sim->failed; i++) {
        struct record *record = NULL;
        struct err err = {0};
        arena_clear(&truth->arena);
        int rc = record_unpack(&bytes, &truth->arena, &record, &err);
        hold(sim, INV_LOG_CONTIGUOUS, rc == 0, "record %" PRIu64 " cannot be read: %s", batch->first_seq + i, err.text);
        if (rc < 0)
            return;
        hold(sim, INV_LOG_CONTIGUOUS, record->seq == truth->seq + 1, "record %" PRIu64 " follows record %" PRIu64, record->seq, truth->seq);
        truth->seq = record->seq;
        truth->at_usec = record->at_usec;
        truth->n_records++;
        truth_record(sim, record);
        if (!sim->failed)
            core_apply(truth->standby, record);
    }
    truth_jobs_batch(sim);
    hold(sim, INV_EPOCHS_GROW, truth->epoch <= epoch, "a batch of epoch %" PRIu64 " lands after epoch %" PRIu64 " began", epoch, truth->epoch);
}

// ---- runs

static const char *zone_of(const struct job_spec *spec)
{
    static const char *const zones[] = {"z0", "z1", "z2"};
    for (size_t i = 0; i < spec->n_constraints; i++)
        for (int zone = 0; zone < 3; zone++)
            if (spec->constraints[i].n_values == 1 && strcmp(spec->constraints[i].values[0], zones[zone]) == 0)
                return zones[zone];
    return NULL;
}

static void fill_run(struct sim *sim, struct t_run *run, const struct job_spec *spec)
{
    struct arena *lasting = &sim->truth.lasting;
    run->n_tasks = spec->tasks.count;
    run->parallelism = spec->parallelism;
    run->delivery = spec->delivery;
    run->retry_limit = spec->retry.limit;
    run->backoff_usec = spec->retry.backoff_usec;
    run->backoff_max_usec = spec->retry.backoff_max_usec;
    run->key = arena_strdup(lasting, spec->concurrency_key);
    run->key_limit = spec->concurrency_limit;
    run->start_at_usec = spec->start_at_usec;
    run->zone = zone_of(spec);
    run->poison = spec->description != NULL && strcmp(spec->description, "poison") == 0;
    for (size_t i = 0; i < spec->n_needs; i++) {
        const struct resource_need *need = &spec->needs[i];
        uint64_t *to = strcmp(need->name, "cpu") == 0 ? &run->cpu_millis : strcmp(need->name, "memory") == 0 ? &run->memory_bytes : &run->licences;
        *to = need->amount;
    }
    run->deps = arena_array(lasting, struct t_dep, spec->n_after);
    for (size_t i = 0; i < spec->n_after; i++)
        run->deps[run->n_deps++] = (struct t_dep){spec->after[i].run_id, spec->after[i].on};
}

static void check_deps(struct sim *sim, const struct t_run *run)
{
    for (size_t i = 0; i < run->n_deps; i++) {
        const struct t_run *target = truth_run(sim, run->deps[i].run_id);
        bool met = target != NULL && run_state_terminal(target->state) &&
                   (run->deps[i].on == AFTER_ENDED || (run->deps[i].on == AFTER_SUCCEEDED && target->state == RUN_SUCCEEDED) ||
                    (run->deps[i].on == AFTER_FAILED && target->state == RUN_FAILED));
        hold(sim, INV_DEPENDENCIES, met, "run %" PRIu64 " is eligible, but run %" PRIu64 " is %s", run->id, run->deps[i].run_id,
             target != NULL ? run_state_name(target->state) : "unknown");
    }
}

static void read_params(struct sim *sim, struct t_run *run, struct bytes packed)
{
    const struct pair *values = NULL;
    size_t n = 0;
    run->params_hash = hash_bytes(packed.data, packed.len, 0);
    hold(sim, INV_PARAMS_TRUE, params_unpack(packed, &sim->truth.arena, &values, &n, NULL) == 0, "the parameters of run %" PRIu64 " cannot be read", run->id);
    for (size_t i = 0; i < n; i++)
        if (strcmp(values[i].key, "p") == 0)
            snprintf(run->param, sizeof(run->param), "%s", values[i].value);
}

// Keeps what a run does, without what it waits for, and looks whether one that does the same again really does.
static void read_again(struct sim *sim, struct t_run *run, const struct rec_run_submitted *rec)
{
    struct job_spec spec = *rec->spec;
    struct buf packed = {0};
    spec.n_after = 0;
    spec.start_at_usec = 0;
    if (run->n_tasks <= 1000)
        spec_pack(&packed, &spec);
    run->again = (struct bytes){arena_memdup(&sim->truth.lasting, packed.data, packed.len), packed.len};
    buf_release(&packed);
    run->job_version = rec->job_version;
    run->rerun_of = rec->rerun_of;
    if (rec->rerun_of == 0)
        return;
    const struct t_run *first = truth_run(sim, rec->rerun_of);
    bool same = first != NULL && first->job_id == run->job_id && first->again.len == run->again.len &&
                memcmp(first->again.data, run->again.data, run->again.len) == 0;
    hold(sim, INV_RERUN_TRUE, same, "run %" PRIu64 " runs run %" PRIu64 " again and is another", run->id, rec->rerun_of);
}

static void on_submitted(struct sim *sim, const struct record *record)
{
    struct truth *truth = &sim->truth;
    const struct rec_run_submitted *rec = &record->run_submitted;
    hold(sim, INV_IDS_UNIQUE, rec->run_id > truth->last_run, "run %" PRIu64 " comes after run %" PRIu64, rec->run_id, truth->last_run);
    truth->last_run = rec->run_id;
    struct t_run *run = arena_new(&truth->lasting, struct t_run);
    run->id = rec->run_id;
    run->job_id = rec->job_id;
    run->state = rec->eligible ? RUN_PENDING : RUN_WAITING;
    run->held = rec->held;
    run->submitted_usec = record->at_usec;
    run->nominal_usec = rec->nominal_usec;
    run->packed_len = (uint32_t)rec->packed.len;
    read_params(sim, run, rec->params);
    run->backfill_id = rec->backfill_id;
    if (rec->backfill_id != 0)
        truth_backfill_run(sim, rec);
    fill_run(sim, run, rec->spec);
    read_again(sim, run, rec);
    list_init(&run->link);
    list_add_tail(&truth->live, &run->link);
    map_put(&truth->runs, run->id, run);
    truth->n_runs++;
    truth->n_live++;
    truth->n_tasks += run->n_tasks;
    if (rec->eligible) {
        hold(sim, INV_NOT_EARLY, run->start_at_usec <= record->at_usec, "run %" PRIu64 " is eligible at once, before its start time", run->id);
        check_deps(sim, run);
    }
    if (rec->idempotency_key != NULL) {
        run->idempotency_key = arena_strdup(&truth->lasting, rec->idempotency_key);
        const struct t_run *before = strmap_get(&truth->idempotency, run->idempotency_key);
        // A key is remembered for a day of the leader's clock, which may have jumped over it.
        usec_t window = sim->limits.value[LIMIT_IDEMPOTENCY_WINDOW];
        bool excused = before != NULL && (record->at_usec - before->submitted_usec >= window || sim->skipped_usec >= window);
        hold(sim, INV_IDEMPOTENT, before == NULL || excused, "the key %s gave run %" PRIu64 " and now gives run %" PRIu64, run->idempotency_key,
             before != NULL ? before->id : 0, run->id);
        strmap_put(&truth->idempotency, run->idempotency_key, run);
    }
    struct t_job *job = rec->job_id != 0 ? truth_job(sim, rec->job_id) : NULL;
    if (job == NULL)
        return;
    if (rec->nominal_usec != 0 && job->expect_run != 0)
        hold(sim, INV_FIRE_HAS_RUN, job->expect_run == rec->run_id, "job %" PRIu64 " fired run %" PRIu64 ", but run %" PRIu64 " follows", job->id,
             job->expect_run, rec->run_id);
    job->expect_run = 0;
    run->alone = rec->nominal_usec != 0 && job->overlap != OVERLAP_ALLOW;
    job->n_active++;
}

static struct t_run *live_run(struct sim *sim, uint64_t run_id, const char *what)
{
    struct t_run *run = truth_run(sim, run_id);
    hold(sim, INV_TERMINAL, run != NULL && !run_state_terminal(run->state), "run %" PRIu64 " is %s, but it is %s", run_id, what,
         run != NULL ? run_state_name(run->state) : "unknown");
    return sim->failed ? NULL : run;
}

static void on_cancelled(struct sim *sim, const struct record *record)
{
    const struct rec_tasks_cancelled *rec = &record->tasks_cancelled;
    struct t_run *run = live_run(sim, rec->run_id, "to lose tasks");
    if (run == NULL)
        return;
    if (rec->all) {
        uint32_t n = run->n_tasks - run->n_active - run->n_ended;
        run->ended[rec->to] += n;
        run->n_ended += n;
        return;
    }
    for (size_t i = 0; i < rec->n; i++) {
        struct t_task *task = truth_task_make(sim, rec->run_id, rec->index[i]);
        hold(sim, INV_LEGAL_TASK, task->state == TASK_PENDING || task->state == TASK_BACKOFF, "task %" PRIu64 "/%u is %s and is cancelled while waiting",
             rec->run_id, rec->index[i], task_state_name(task->state));
        task->state = rec->to;
        run->ended[rec->to]++;
        run->n_ended++;
    }
}

static void give_key(struct sim *sim, struct t_run *run)
{
    if (!run->holds_key)
        return;
    run->holds_key = false;
    struct t_key *key = strmap_get(&sim->truth.keys, run->key);
    must(key != NULL && key->holders > 0);
    key->holders--;
}

static void on_run_ended(struct sim *sim, const struct record *record)
{
    const struct rec_run_ended *rec = &record->run_ended;
    struct truth *truth = &sim->truth;
    struct t_run *run = live_run(sim, rec->run_id, "to end");
    if (run == NULL)
        return;
    hold(sim, INV_LEGAL_RUN, run_state_may(run->state, rec->to) && run_state_terminal(rec->to), "run %" PRIu64 " goes from %s to %s", run->id,
         run_state_name(run->state), run_state_name(rec->to));
    const uint32_t *n = run->ended;
    hold(sim, INV_LEGAL_RUN, run->n_active == 0 && run->n_ended == run->n_tasks, "run %" PRIu64 " ends with %u tasks active and %u of %u ended", run->id,
         run->n_active, run->n_ended, run->n_tasks);
    bool counts = rec->n_succeeded == n[TASK_SUCCEEDED] && rec->n_failed == n[TASK_FAILED] && rec->n_cancelled == n[TASK_CANCELLED] &&
                  rec->n_expired == n[TASK_EXPIRED] && rec->n_lost == n[TASK_LOST];
    hold(sim, INV_LEGAL_RUN, counts, "run %" PRIu64 " counts its tasks wrongly: %u succeeded, the records say %u", run->id, rec->n_succeeded, n[TASK_SUCCEEDED]);
    hold(sim, INV_SUCCESS_TRUE, rec->to != RUN_SUCCEEDED || n[TASK_SUCCEEDED] == run->n_tasks, "run %" PRIu64 " succeeded with %u of %u tasks", run->id,
         n[TASK_SUCCEEDED], run->n_tasks);
    run->state = rec->to;
    struct t_backfill *backfill = run->backfill_id != 0 ? truth_backfill(sim, run->backfill_id) : NULL;
    if (backfill != NULL)
        backfill->n_active--;
    give_key(sim, run);
    list_del(&run->link);
    truth->n_live--;
    truth->n_ended++;
    struct t_job *job = run->job_id != 0 ? truth_job(sim, run->job_id) : NULL;
    if (job != NULL && job->state != JOB_DELETED)
        truth_job_run_ended(sim, job, rec->to, record->at_usec);
}

static void on_archived(struct sim *sim, const struct record *record)
{
    const struct rec_runs_archived *rec = &record->runs_archived;
    for (size_t i = 0; i < rec->n; i++) {
        struct t_run *run = truth_run(sim, rec->run_id[i]);
        hold(sim, INV_ARCHIVED_IN_HISTORY, run != NULL && run_state_terminal(run->state) && !run->dropped, "run %" PRIu64 " leaves memory while it is %s",
             rec->run_id[i], run == NULL ? "unknown" : run_state_name(run->state));
        if (sim->failed)
            return;
        run->dropped = true;
        sim->truth.n_archived++;
        sim->truth.n_tasks -= run->n_tasks;
    }
}

static void on_run_moves(struct sim *sim, struct t_run *run, enum run_state to)
{
    hold(sim, INV_LEGAL_RUN, run_state_may(run->state, to), "run %" PRIu64 " goes from %s to %s", run->id, run_state_name(run->state), run_state_name(to));
    run->state = to;
}

// What it is about, as the trace shows it: 1 run, 2 job, 3 node, and its id.
static uint64_t about(const struct record *record)
{
    const uint64_t run = UINT64_C(1) << 56, job = UINT64_C(2) << 56, node = UINT64_C(3) << 56;
    switch (record->kind) {
    case REC_JOB_APPLIED:
        return job | record->job_applied.job_id;
    case REC_JOB_STATE:
        return job | record->job_state.job_id;
    case REC_JOB_FIRED:
        return job | record->job_fired.job_id;
    case REC_RUN_SUBMITTED:
        return run | record->run_submitted.run_id;
    case REC_RUN_ELIGIBLE:
        return run | record->run_eligible.run_id;
    case REC_RUN_ADMISSION:
        return run | record->run_admission.run_id;
    case REC_RUN_CANCELLING:
        return run | record->run_cancelling.run_id;
    case REC_TASKS_CANCELLED:
        return run | record->tasks_cancelled.run_id;
    case REC_RUN_ENDED:
        return run | record->run_ended.run_id;
    case REC_TASKS_PLACED:
        return run | record->tasks_placed.run_id;
    case REC_TASKS_ENDED:
        return run | record->tasks_ended.run_id;
    case REC_NODE_REGISTERED:
        return node | record->node_registered.node_id;
    case REC_NODE_STATE:
        return node | record->node_state.node_id;
    case REC_NODE_ADMISSION:
        return node | record->node_admission.node_id;
    case REC_TASKS_STARTED:
        return node | record->tasks_started.node_id;
    case REC_TASKS_STOPPING:
        return node | record->tasks_stopping.node_id;
    default:
        return 0;
    }
}

void truth_record(struct sim *sim, const struct record *record)
{
    struct t_run *run = NULL;
    trace(sim, ACTOR_DISK, TR_RECORD, record->seq, (uint64_t)record->kind, about(record));
    switch (record->kind) {
    case REC_EPOCH_BEGAN:
        hold(sim, INV_EPOCHS_GROW, record->epoch_began.epoch > sim->truth.epoch, "epoch %" PRIu64 " begins after epoch %" PRIu64, record->epoch_began.epoch,
             sim->truth.epoch);
        sim->truth.epoch = record->epoch_began.epoch;
        return;
    case REC_JOB_APPLIED:
    case REC_JOB_STATE:
    case REC_JOB_FIRED:
    case REC_JOB_RESCHEDULED:
    case REC_CALENDAR_PUT:
    case REC_CALENDAR_DELETED:
        truth_job_record(sim, record);
        return;
    case REC_RUN_SUBMITTED:
        on_submitted(sim, record);
        return;
    case REC_RUN_ELIGIBLE:
        run = live_run(sim, record->run_eligible.run_id, "to become eligible");
        if (run == NULL)
            return;
        on_run_moves(sim, run, RUN_PENDING);
        check_deps(sim, run);
        hold(sim, INV_NOT_EARLY, run->start_at_usec <= record->at_usec, "run %" PRIu64 " is eligible before its start time", run->id);
        return;
    case REC_RUN_ADMISSION:
        run = live_run(sim, record->run_admission.run_id, "held or released");
        if (run != NULL)
            run->held = record->run_admission.to == ADMIT_CLOSED;
        return;
    case REC_RUN_CANCELLING:
        run = live_run(sim, record->run_cancelling.run_id, "to be cancelled");
        if (run != NULL)
            on_run_moves(sim, run, RUN_CANCELLING);
        return;
    case REC_TASKS_CANCELLED:
        on_cancelled(sim, record);
        return;
    case REC_RUN_ENDED:
        on_run_ended(sim, record);
        return;
    case REC_RUNS_ARCHIVED:
        on_archived(sim, record);
        return;
    case REC_TASKS_PLACED:
    case REC_TASKS_STARTED:
    case REC_TASKS_STOPPING:
    case REC_TASKS_ENDED:
        truth_task_record(sim, record);
        return;
    case REC_NODE_REGISTERED:
    case REC_NODE_STATE:
    case REC_NODE_ADMISSION:
        truth_node_record(sim, record);
        return;
    case REC_BACKFILL_BEGAN:
    case REC_BACKFILL_FIRED:
    case REC_BACKFILL_ENDED:
        truth_backfill_record(sim, record);
        return;
    case REC_KINDS:
        unreachable();
    }
}
