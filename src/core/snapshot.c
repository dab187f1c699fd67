// SPDX-License-Identifier: Apache-2.0
// The durable half as items, and back. The order is canonical (specs, jobs, nodes and runs by id, tasks by position), so that equal states
// give equal snapshots whatever way they came about.
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mem.h"
#include "base/sort.h"
#include "core/internal.h"

struct saver {
    const struct core *core;
    snapshot_sink *sink;
    void *context;
    struct arena arena; // cleared between items
    struct map numbers; // address of a spec -> the number that it has in the snapshot, as a pointer of that value
};

static int give(struct saver *saver, const struct snapshot_item *item)
{
    int rc = saver->sink(saver->context, item);
    arena_clear(&saver->arena);
    return rc;
}

static int save_head(struct saver *saver)
{
    const struct core *core = saver->core;
    return give(saver, &(struct snapshot_item){.kind = SNAP_HEAD,
                                               .head = {
                                                   .seq = core->seq,
                                                   .epoch = core->epoch,
                                                   .next_run = core->next_run,
                                                   .next_job = core->next_job,
                                                   .next_fence = core->next_fence,
                                                   .next_node = core->next_node,
                                                   .next_backfill = core->next_backfill,
                                               }});
}

// Specs are numbered in every snapshot, by their order: how many there have been before is no part of the state.
static uint64_t spec_number(const struct saver *saver, const struct spec *spec)
{
    uintptr_t number = (uintptr_t)map_get(&saver->numbers, (uintptr_t)spec);
    must(number > 0);
    return number;
}

static int save_specs(struct saver *saver)
{
    int rc = 0;
    uintptr_t number = 0;
    struct list *pos;
    list_for_each(pos, &saver->core->specs) {
        const struct spec *spec = list_entry(pos, struct spec, all);
        map_put(&saver->numbers, (uintptr_t)spec, (void *)++number);
        rc = give(saver, &(struct snapshot_item){.kind = SNAP_SPEC,
                                                 .spec = {.spec_no = number, .packed = {spec->packed, spec->packed_len}}});
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int save_calendars(struct saver *saver)
{
    int rc = 0;
    for (size_t i = 0; i < saver->core->calendars.n && rc == 0; i++) {
        const struct core_calendar *calendar = saver->core->calendars.item[i];
        rc = give(saver, &(struct snapshot_item){.kind = SNAP_CALENDAR,
                                                 .calendar = {
                                                     .calendar = &calendar->calendar,
                                                     .version = calendar->version,
                                                     .put_usec = calendar->put_usec,
                                                     .put_seq = calendar->put_seq,
                                                 }});
    }
    return rc;
}

static void save_days(struct saver *saver, const struct job *job, usec_t **ret_left_out, uint64_t **ret_planned)
{
    if (!job->has_days)
        return;
    *ret_left_out = arena_array(&saver->arena, usec_t, job->n_triggers);
    *ret_planned = arena_array(&saver->arena, uint64_t, job->n_triggers);
    for (size_t i = 0; i < job->n_triggers; i++) {
        const struct trigger_days *days = days_of(saver->core, job, i);
        (*ret_left_out)[i] = days ? days->left_out_usec : USEC_NEVER;
        (*ret_planned)[i] = days ? days->planned_seq : 0;
    }
}

static int save_jobs(struct saver *saver)
{
    struct list *pos;
    list_for_each(pos, &saver->core->jobs_by_id) {
        const struct job *job = list_entry(pos, struct job, all);
        usec_t *next = arena_array(&saver->arena, usec_t, job->n_triggers);
        for (size_t i = 0; i < job->n_triggers; i++)
            next[i] = job->triggers[i].next_usec;
        usec_t *left_out = NULL;
        uint64_t *planned = NULL;
        save_days(saver, job, &left_out, &planned);
        int rc = give(saver, &(struct snapshot_item){.kind = SNAP_JOB,
                                                     .job = {
                                                         .job_id = job->id,
                                                         .version = job->version,
                                                         .state = job->state,
                                                         .packed = {job->spec->packed, job->spec->packed_len},
                                                         .next_usec = next,
                                                         .n_next = job->n_triggers,
                                                         .last_run = job->last_run,
                                                         .decided_usec = job->decided_usec,
                                                         .failures = job->failures,
                                                         .paused = job->paused,
                                                         .missed_usec = job->missed_usec,
                                                         .missed_why = job->missed_why,
                                                         .applied_usec = job->applied_usec,
                                                         .first_usec = job->first_usec,
                                                         .left_out_usec = left_out,
                                                         .planned_seq = planned,
                                                     }});
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int save_nodes(struct saver *saver)
{
    for (size_t i = 0; i < saver->core->n_nodes; i++) {
        const struct node *node = saver->core->nodes[i];
        int rc = give(saver, &(struct snapshot_item){.kind = SNAP_NODE,
                                                     .node = {
                                                         .node_id = node->id,
                                                         .info = node->info,
                                                         .state = node->state,
                                                         .admission = node->admission,
                                                         .since_usec = node->since_usec,
                                                     }});
        if (rc < 0)
            return rc;
    }
    return 0;
}

// A bitmap as bytes, least bit first, without the zero bytes at its end.
static struct bytes bitmap_bytes(struct arena *arena, const uint64_t *words, uint32_t n_bits)
{
    if (!words)
        return (struct bytes){0};
    size_t n_words = bits_words(n_bits);
    while (n_words > 0 && words[n_words - 1] == 0) // most of a huge array is often still to come
        n_words--;
    size_t len = n_words * 8;
    uint8_t *data = arena_alloc(arena, len);
    for (size_t i = 0; i < n_words; i++)
        for (size_t byte = 0; byte < 8; byte++)
            data[8 * i + byte] = (uint8_t)(words[i] >> (8 * byte));
    while (len > 0 && data[len - 1] == 0)
        len--;
    return (struct bytes){data, len};
}

static int save_run(struct saver *saver, const struct run *run)
{
    uint64_t *waits = arena_array(&saver->arena, uint64_t, run->n_deps * 2);
    size_t n_waits = 0;
    for (uint32_t i = 0; i < run->n_deps; i++)
        if (run->deps[i].target) {
            waits[n_waits++] = run->deps[i].target->id;
            waits[n_waits++] = run->deps[i].on;
        }
    return give(saver, &(struct snapshot_item){.kind = SNAP_RUN,
                                               .run = {
                                                   .run_id = run->id,
                                                   .job_id = run->job_id,
                                                   .spec_no = spec_number(saver, run->spec),
                                                   .rerun_of = run->rerun_of,
                                                   .job_version = run->job_version,
                                                   .state = run->state,
                                                   .admission = run->admission,
                                                   .cancel_cause = run->cancel_cause,
                                                   .submitted_usec = run->submitted_usec,
                                                   .started_usec = run->started_usec,
                                                   .ended_usec = run->ended_usec,
                                                   .ended_seq = run->ended_seq,
                                                   .nominal_usec = run->nominal_usec,
                                                   .params = run_params(run),
                                                   .backfill_id = run->backfill_id,
                                                   .cursor = run->cursor,
                                                   .n_untouched = run->n_untouched,
                                                   .n_succeeded = run->count[TASK_SUCCEEDED],
                                                   .n_failed = run->count[TASK_FAILED],
                                                   .n_cancelled = run->count[TASK_CANCELLED],
                                                   .n_expired = run->count[TASK_EXPIRED],
                                                   .n_lost = run->count[TASK_LOST],
                                                   .ended = bitmap_bytes(&saver->arena, run->ended, run_n_tasks(run)),
                                                   .good = bitmap_bytes(&saver->arena, run->good, run_n_tasks(run)),
                                                   .submitted_by = run->submitted_by,
                                                   .waits_for = waits,
                                                   .n_waits_for = n_waits,
                                                   .key_held = run->key_held,
                                                   .dep_failed = run->dep_failed,
                                               }});
}

static int by_position(const void *a, const void *b)
{
    uint32_t x = (*(const struct task *const *)a)->position, y = (*(const struct task *const *)b)->position;
    return x < y ? -1 : x > y;
}

static int save_tasks(struct saver *saver, const struct run *run)
{
    size_t n = list_len(&run->tasks), at = 0;
    if (n == 0)
        return 0;
    const struct task **tasks = mem_alloc_array(n, sizeof(const struct task *));
    struct list *pos;
    list_for_each(pos, &run->tasks)
        tasks[at++] = list_entry(pos, struct task, in_run);
    sort_items(tasks, n, sizeof(*tasks), by_position);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const struct task *task = tasks[i];
        rc = give(saver, &(struct snapshot_item){.kind = SNAP_TASK,
                                                 .task = {
                                                     .run_id = run->id,
                                                     .index = index_set_at(&run->spec->tasks, task->position),
                                                     .attempt = task->attempt,
                                                     .tries = task->tries,
                                                     .state = task->state,
                                                     .node_id = task->node ? task->node->id : 0,
                                                     .fence = task->fence,
                                                     .placed_usec = task->placed_usec,
                                                     .started_usec = task->started_usec,
                                                     .retry_usec = task->retry_usec,
                                                     .stop_why = task->stop_why,
                                                 }});
    }
    mem_free(tasks);
    return rc;
}

// Runs wait for older runs only by people's habit, not by rule: all runs come before what hangs on them is linked (core_load_done).
static int save_runs(struct saver *saver)
{
    struct list *pos;
    list_for_each(pos, &saver->core->runs_by_id) {
        const struct run *run = list_entry(pos, struct run, all);
        int rc = save_run(saver, run);
        if (rc == 0)
            rc = save_tasks(saver, run);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int save_keys(struct saver *saver)
{
    struct list *pos;
    list_for_each(pos, &saver->core->idempotency_by_time) {
        const struct idempotency *entry = list_entry(pos, struct idempotency, all);
        int rc = give(saver, &(struct snapshot_item){
                                 .kind = SNAP_KEY,
                                 .key = {.key = entry->key, .run_id = entry->run_id, .until_usec = entry->until_usec, .work_hash = entry->work_hash}});
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int save_backfills(struct saver *saver)
{
    struct list *pos;
    list_for_each(pos, &saver->core->backfills_by_id) {
        const struct backfill *backfill = list_entry(pos, struct backfill, all);
        int rc = give(saver, &(struct snapshot_item){.kind = SNAP_BACKFILL,
                                                     .backfill = {
                                                         .backfill_id = backfill->id,
                                                         .job_id = backfill->job_id,
                                                         .job_name = backfill->job_name,
                                                         .from_usec = backfill->from_usec,
                                                         .to_usec = backfill->to_usec,
                                                         .reverse = backfill->reverse,
                                                         .again = backfill->again,
                                                         .parallel_max = backfill->parallel_max,
                                                         .state = backfill->state,
                                                         .done_usec = backfill->done_usec,
                                                         .done_trigger = backfill->done_trigger,
                                                         .n_total = backfill->n_total,
                                                         .n_fired = backfill->n_fired,
                                                         .n_succeeded = backfill->n_succeeded,
                                                         .n_unsuccessful = backfill->n_unsuccessful,
                                                         .began_usec = backfill->began_usec,
                                                         .ended_usec = backfill->ended_usec,
                                                         .covered = backfill->covered,
                                                         .n_covered = backfill->n_covered,
                                                         .params = {backfill->params, backfill->params_len},
                                                         .key = backfill->key,
                                                         .by = backfill->by,
                                                     }});
        if (rc < 0)
            return rc;
    }
    return 0;
}

int core_save(const struct core *core, snapshot_sink *sink, void *context)
{
    struct saver saver = {.core = core, .sink = sink, .context = context};
    arena_init(&saver.arena, 64 * 1024);
    int rc = save_head(&saver);
    if (rc == 0)
        rc = save_specs(&saver);
    if (rc == 0)
        rc = save_calendars(&saver);
    if (rc == 0)
        rc = save_jobs(&saver);
    if (rc == 0)
        rc = save_nodes(&saver);
    if (rc == 0)
        rc = save_runs(&saver);
    if (rc == 0)
        rc = save_keys(&saver);
    if (rc == 0)
        rc = save_backfills(&saver);
    arena_release(&saver.arena);
    map_release(&saver.numbers);
    return rc;
}
