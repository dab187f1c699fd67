// SPDX-License-Identifier: Apache-2.0
// Records of backfills, and their items of a snapshot.
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/internal.h"

static char *text_copy(const char *text)
{
    return text ? mem_strdup(text) : NULL;
}

static struct backfill *backfill_add(struct core *core, uint64_t id)
{
    must(id >= core->next_backfill);
    struct backfill *backfill = mem_alloc(sizeof(*backfill));
    backfill->id = id;
    list_init(&backfill->ready);
    list_add_tail(&core->backfills_by_id, &backfill->all);
    must(map_put(&core->backfills, id, backfill) == NULL);
    core->next_backfill = id + 1;
    return backfill;
}

static void copy_covered(struct backfill *backfill, const struct instant_span *covered, size_t n)
{
    if (n == 0)
        return;
    backfill->covered = mem_alloc_array(n, sizeof(*covered));
    memcpy(backfill->covered, covered, n * sizeof(*covered));
    backfill->n_covered = n;
}

static void copy_params(struct backfill *backfill, struct bytes params)
{
    if (params.len == 0)
        return;
    backfill->params = mem_alloc(params.len);
    memcpy(backfill->params, params.data, params.len);
    backfill->params_len = params.len;
}

static void forget(struct core *core, uint64_t id)
{
    struct backfill *backfill = backfill_find(core, id);
    must(backfill != NULL && backfill->state != BACKFILL_ACTIVE && backfill->n_active == 0);
    must(map_del(&core->backfills, id) == backfill);
    list_del(&backfill->all);
    backfill_free(backfill);
}

void apply_backfill_began(struct core *core, const struct record *record)
{
    const struct rec_backfill_began *rec = &record->backfill_began;
    const struct job *job = map_get(&core->jobs, rec->job_id);
    must(job != NULL && rec->from_usec < rec->to_usec && rec->parallel_max > 0);
    if (rec->forget_id != 0)
        forget(core, rec->forget_id);
    struct backfill *backfill = backfill_add(core, rec->backfill_id);
    backfill->job_id = rec->job_id;
    backfill->job_name = mem_strdup(job->full_name);
    backfill->from_usec = rec->from_usec;
    backfill->to_usec = rec->to_usec;
    backfill->reverse = rec->reverse;
    backfill->again = rec->again;
    backfill->parallel_max = rec->parallel_max;
    backfill->done_usec = rec->reverse ? rec->to_usec : rec->from_usec - 1;
    backfill->done_trigger = rec->reverse ? 0 : UINT32_MAX;
    backfill->n_total = rec->n_total;
    backfill->began_usec = record->at_usec;
    backfill->key = text_copy(rec->key);
    backfill->by = text_copy(record->by);
    copy_covered(backfill, rec->covered, rec->n_covered);
    copy_params(backfill, rec->params);
    core->n_backfills_active++;
    backfill_wake(core, backfill);
}

void apply_backfill_fired(struct core *core, const struct record *record)
{
    const struct rec_backfill_fired *rec = &record->backfill_fired;
    struct backfill *backfill = backfill_find(core, rec->backfill_id);
    must(backfill != NULL && backfill->state == BACKFILL_ACTIVE);
    must(rec->job_id == backfill->job_id && rec->run_id == core->next_run);
    must(rec->nominal_usec >= backfill->from_usec && rec->nominal_usec < backfill->to_usec);
    backfill->done_usec = rec->nominal_usec;
    backfill->done_trigger = rec->trigger;
    backfill->n_fired++;
}

void apply_backfill_ended(struct core *core, const struct record *record)
{
    struct backfill *backfill = backfill_find(core, record->backfill_ended.backfill_id);
    must(backfill != NULL);
    backfill_state_move(&backfill->state, record->backfill_ended.to);
    backfill->ended_usec = record->at_usec;
    list_del(&backfill->ready);
    must(core->n_backfills_active > 0);
    core->n_backfills_active--;
}

void backfill_run_joins(struct core *core, const struct run *run)
{
    struct backfill *backfill = backfill_find(core, run->backfill_id);
    must(backfill != NULL);
    backfill->n_active++;
    core->n_backfill_runs++;
}

void backfill_run_ended(struct core *core, const struct run *run)
{
    struct backfill *backfill = backfill_find(core, run->backfill_id);
    must(backfill != NULL && backfill->n_active > 0 && core->n_backfill_runs > 0);
    backfill->n_active--;
    core->n_backfill_runs--;
    if (run->state == RUN_SUCCEEDED)
        backfill->n_succeeded++;
    else
        backfill->n_unsuccessful++;
    backfill_wake(core, backfill);
}

void backfill_load(struct core *core, const struct snap_backfill *snap)
{
    struct backfill *backfill = backfill_add(core, snap->backfill_id);
    backfill->job_id = snap->job_id;
    backfill->job_name = mem_strdup(snap->job_name);
    backfill->from_usec = snap->from_usec;
    backfill->to_usec = snap->to_usec;
    backfill->reverse = snap->reverse;
    backfill->again = snap->again;
    backfill->parallel_max = snap->parallel_max;
    backfill->state = snap->state;
    backfill->done_usec = snap->done_usec;
    backfill->done_trigger = snap->done_trigger;
    backfill->n_total = snap->n_total;
    backfill->n_fired = snap->n_fired;
    backfill->n_succeeded = snap->n_succeeded;
    backfill->n_unsuccessful = snap->n_unsuccessful;
    backfill->began_usec = snap->began_usec;
    backfill->ended_usec = snap->ended_usec;
    backfill->key = text_copy(snap->key);
    backfill->by = text_copy(snap->by);
    copy_covered(backfill, snap->covered, snap->n_covered);
    copy_params(backfill, snap->params);
    core->n_backfills_active += snap->state == BACKFILL_ACTIVE;
    backfill_wake(core, backfill);
}
