// SPDX-License-Identifier: Apache-2.0
// Backfills: what there is of them, and which instant is the next. An instant of a trigger is looked for when its turn comes, by the triggers
// that the job has then, so that a backfill of a million instants is one small object with a place to go on from.
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/internal.h"

struct backfill *backfill_find(const struct core *core, uint64_t id)
{
    return map_get(&core->backfills, id);
}

void backfill_wake(struct core *core, struct backfill *backfill)
{
    if (backfill->state == BACKFILL_ACTIVE && list_empty(&backfill->ready))
        list_add_tail(&core->backfills_ready, &backfill->ready);
}

void backfills_wake_job(struct core *core, uint64_t job_id)
{
    struct list *pos;
    if (core->n_backfills_active == 0)
        return;
    list_for_each(pos, &core->backfills_by_id) {
        struct backfill *backfill = list_entry(pos, struct backfill, all);
        if (backfill->job_id == job_id)
            backfill_wake(core, backfill);
    }
}

uint32_t job_backfill_runs(const struct core *core, const struct job *job)
{
    uint32_t n = 0;
    struct list *pos;
    if (core->n_backfill_runs == 0)
        return 0;
    list_for_each(pos, &core->backfills_by_id) {
        const struct backfill *backfill = list_entry(pos, struct backfill, all);
        n += backfill->job_id == job->id ? backfill->n_active : 0;
    }
    return n;
}

// The first instant of the trigger that its schedule itself has still to decide bounds the range: what is due fires by the schedule.
static usec_t range_end(const struct job *job, uint32_t which, usec_t to_usec)
{
    return usec_min(to_usec, job->triggers[which].next_usec);
}

static bool has_instants(const struct job *job, uint32_t which)
{
    return job->triggers[which].rule->kind != TRIGGER_AFTER_END;
}

// The stretch that holds the instant, or NULL.
static const struct instant_span *covering(const struct backfill *backfill, usec_t instant)
{
    size_t low = 0, high = backfill->n_covered;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (backfill->covered[middle].last_usec < instant)
            low = middle + 1;
        else
            high = middle;
    }
    return low < backfill->n_covered && backfill->covered[low].first_usec <= instant ? &backfill->covered[low] : NULL;
}

static bool next_forward(const struct core *core, const struct backfill *backfill, const struct job *job, struct backfill_place *place)
{
    usec_t after = backfill->done_usec;
    uint32_t after_trigger = backfill->done_trigger;
    for (;;) {
        struct backfill_place best = {.nominal_usec = USEC_NEVER};
        for (uint32_t i = 0; i < job->n_triggers; i++) {
            if (!has_instants(job, i))
                continue;
            usec_t at = trigger_next(core, job, i, i > after_trigger ? after - 1 : after, NULL);
            if (at < range_end(job, i, backfill->to_usec) && at < best.nominal_usec)
                best = (struct backfill_place){at, i};
        }
        if (best.nominal_usec == USEC_NEVER)
            return false;
        const struct instant_span *span = covering(backfill, best.nominal_usec);
        *place = best;
        if (!span)
            return true;
        after = span->last_usec;
        after_trigger = UINT32_MAX;
    }
}

// The last instant in from <= t < before; USEC_NEVER: there is none. trigger_next() never goes back as its argument grows, so the last argument
// that gives something before `before` leads to it: looked for near the end first, then by halves.
static usec_t last_before(const struct core *core, const struct job *job, uint32_t which, usec_t from, usec_t before)
{
    usec_t yes = from - 1, no = before;
    if (before <= from || trigger_next(core, job, which, yes, NULL) >= before)
        return USEC_NEVER;
    for (usec_t stride = USEC_PER_MIN; usec_sub(before, stride) > yes; stride *= 4) {
        usec_t probe = usec_sub(before, stride);
        if (trigger_next(core, job, which, probe, NULL) < before) {
            yes = probe;
            break;
        }
        no = probe;
    }
    while (no - yes > 1) {
        usec_t first = trigger_next(core, job, which, yes, NULL);
        must(first > yes && first < before);
        if (trigger_next(core, job, which, first, NULL) >= before)
            return first;
        yes = first;
        usec_t middle = yes + (no - yes) / 2;
        if (trigger_next(core, job, which, middle, NULL) < before)
            yes = middle;
        else
            no = middle;
    }
    return trigger_next(core, job, which, yes, NULL);
}

static bool next_backward(const struct core *core, const struct backfill *backfill, const struct job *job, struct backfill_place *place)
{
    usec_t before = backfill->done_usec;
    uint32_t before_trigger = backfill->done_trigger;
    for (;;) {
        struct backfill_place best = {.nominal_usec = USEC_NEVER};
        for (uint32_t i = 0; i < job->n_triggers; i++) {
            if (!has_instants(job, i))
                continue;
            usec_t end = usec_min(range_end(job, i, backfill->to_usec), i < before_trigger ? before + 1 : before);
            usec_t at = last_before(core, job, i, backfill->from_usec, end);
            if (at != USEC_NEVER && (best.nominal_usec == USEC_NEVER || at >= best.nominal_usec))
                best = (struct backfill_place){at, i};
        }
        if (best.nominal_usec == USEC_NEVER)
            return false;
        const struct instant_span *span = covering(backfill, best.nominal_usec);
        *place = best;
        if (!span)
            return true;
        before = span->first_usec;
        before_trigger = 0;
    }
}

bool backfill_next(const struct core *core, const struct backfill *backfill, const struct job *job, struct backfill_place *ret_place)
{
    return backfill->reverse ? next_backward(core, backfill, job, ret_place) : next_forward(core, backfill, job, ret_place);
}

// How many instants of the job lie in from <= t < to, its schedules' own ones left out.
int64_t backfill_count(const struct core *core, const struct job *job, usec_t from_usec, usec_t to_usec)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < job->n_triggers; i++) {
        usec_t end = range_end(job, i, to_usec);
        if (has_instants(job, i) && from_usec < end)
            n += trigger_count(core, job, i, from_usec - 1, end - 1);
    }
    return n;
}

void backfill_free(struct backfill *backfill)
{
    mem_free(backfill->job_name);
    mem_free(backfill->covered);
    mem_free(backfill->params);
    mem_free(backfill->key);
    mem_free(backfill->by);
    mem_free(backfill);
}
