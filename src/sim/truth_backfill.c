// SPDX-License-Identifier: Apache-2.0
// The truth about backfills: within its range a backfill runs every instant that had no run once, in its order, and none that the schedule of its
// job has still to decide. Instants are counted by the arithmetic of instants.c and truth_calendar.c.
#include <inttypes.h>
#include <string.h>

#include "sim/internal.h"

struct t_backfill *truth_backfill(const struct sim *sim, uint64_t id)
{
    return map_get(&sim->truth.backfills, id);
}

// Instants strictly between two that are there to run; -1: not known.
static int64_t left_between(const struct sim *sim, const struct t_backfill *backfill, const struct t_job *job, usec_t from, usec_t to)
{
    int64_t n = 0;
    for (size_t i = 0; i < job->n_triggers; i++) {
        const struct t_trigger *trigger = &job->triggers[i];
        usec_t end = usec_min(to, trigger->next_usec);
        int64_t all = from < end ? truth_count_days(sim, job, trigger, from, end, false) : 0;
        if (all < 0)
            return -1;
        n += all;
        for (size_t k = 0; k < backfill->n_covered; k++) {
            usec_t first = usec_max(from, backfill->covered[k].first_usec - 1), last = usec_min(end, backfill->covered[k].last_usec + 1);
            n -= first < last ? truth_count_days(sim, job, trigger, first, last, false) : 0;
        }
    }
    return n;
}

static void on_began(struct sim *sim, const struct record *record)
{
    const struct rec_backfill_began *rec = &record->backfill_began;
    struct truth *truth = &sim->truth;
    const struct t_job *job = truth_job(sim, rec->job_id);
    hold(sim, INV_IDS_UNIQUE, rec->backfill_id > truth->last_backfill, "backfill %" PRIu64 " comes after backfill %" PRIu64, rec->backfill_id, truth->last_backfill);
    hold(sim, INV_BACKFILL, job != NULL && rec->to_usec <= record->at_usec, "backfill %" PRIu64 " has no job, or reaches into the future", rec->backfill_id);
    if (sim->failed)
        return;
    truth->last_backfill = rec->backfill_id;
    struct t_backfill *backfill = arena_new(&truth->lasting, struct t_backfill);
    *backfill = (struct t_backfill){.id = rec->backfill_id, .job_id = rec->job_id, .job_version = job->version, .from_usec = rec->from_usec,
                                    .to_usec = rec->to_usec, .reverse = rec->reverse, .parallel_max = rec->parallel_max,
                                    .done_usec = rec->reverse ? rec->to_usec : rec->from_usec - 1, .done_trigger = rec->reverse ? 0 : UINT32_MAX,
                                    .n_covered = rec->n_covered};
    backfill->covered = arena_memdup(&truth->lasting, rec->covered, rec->n_covered * sizeof(*rec->covered));
    map_put(&truth->backfills, backfill->id, backfill);
    int64_t left = left_between(sim, backfill, job, rec->from_usec - 1, rec->to_usec);
    hold(sim, INV_BACKFILL, left < 0 || (uint64_t)left == rec->n_total, "backfill %" PRIu64 " counts %" PRIu64 " instants, there are %" PRId64, rec->backfill_id,
         rec->n_total, left);
}

static void on_fired(struct sim *sim, const struct record *record)
{
    const struct rec_backfill_fired *rec = &record->backfill_fired;
    struct t_backfill *backfill = truth_backfill(sim, rec->backfill_id);
    const struct t_job *job = truth_job(sim, rec->job_id);
    bool known = backfill != NULL && backfill->state == BACKFILL_ACTIVE && job != NULL && rec->trigger < job->n_triggers;
    hold(sim, INV_BACKFILL, known, "backfill %" PRIu64 " runs an instant, but it has ended or has no such trigger", rec->backfill_id);
    if (sim->failed)
        return;
    sim->truth.n_fires++;
    usec_t at = rec->nominal_usec;
    bool later = at > backfill->done_usec || (at == backfill->done_usec && (int64_t)rec->trigger > (int64_t)backfill->done_trigger && backfill->done_trigger != UINT32_MAX);
    bool earlier = at < backfill->done_usec || (at == backfill->done_usec && rec->trigger < backfill->done_trigger);
    hold(sim, INV_BACKFILL, backfill->reverse ? earlier : later, "backfill %" PRIu64 " runs the instant %" PRId64 " of trigger %u after %" PRId64 " of %u", backfill->id, at,
         rec->trigger, backfill->done_usec, backfill->done_trigger);
    hold(sim, INV_BACKFILL, at >= backfill->from_usec && at < backfill->to_usec && at < job->triggers[rec->trigger].next_usec,
         "backfill %" PRIu64 " runs the instant %" PRId64 ", which is not its to run", backfill->id, at);
    hold(sim, INV_BACKFILL, t_rule_has(&job->triggers[rec->trigger].rule, job->first_usec, at) && !truth_left_out(sim, &job->triggers[rec->trigger], at), "backfill %" PRIu64 " runs %" PRId64 ", which is no instant",
         backfill->id, at);
    for (size_t i = 0; i < backfill->n_covered; i++)
        hold(sim, INV_BACKFILL, at < backfill->covered[i].first_usec || at > backfill->covered[i].last_usec, "backfill %" PRIu64 " runs %" PRId64 ", which had a run",
             backfill->id, at);
    int64_t passed = backfill->reverse ? left_between(sim, backfill, job, at, backfill->done_usec) : left_between(sim, backfill, job, backfill->done_usec, at);
    hold(sim, INV_BACKFILL, passed <= 0 || job->version != backfill->job_version, "backfill %" PRIu64 " passes over %" PRId64 " instants before %" PRId64, backfill->id, passed,
         at);
    hold(sim, INV_HELD, job->state == JOB_ACTIVE, "backfill %" PRIu64 " goes on while its job is held", backfill->id);
    hold(sim, INV_OVERLAP, job->overlap == OVERLAP_ALLOW || job->n_active == 0, "backfill %" PRIu64 " starts a run beside %u others", backfill->id, job->n_active);
    backfill->done_usec = at;
    backfill->done_trigger = rec->trigger;
    backfill->n_fired++;
    backfill->expect_run = rec->run_id;
}

static void on_ended(struct sim *sim, const struct record *record)
{
    struct t_backfill *backfill = truth_backfill(sim, record->backfill_ended.backfill_id);
    hold(sim, INV_BACKFILL, backfill != NULL && backfill_state_may(backfill->state, record->backfill_ended.to), "backfill %" PRIu64 " goes to %d",
         record->backfill_ended.backfill_id, (int)record->backfill_ended.to);
    if (sim->failed)
        return;
    backfill->state = record->backfill_ended.to;
    const struct t_job *job = truth_job(sim, backfill->job_id);
    if (backfill->state != BACKFILL_ENDED || job == NULL || job->version != backfill->job_version)
        return;
    int64_t left = backfill->reverse ? left_between(sim, backfill, job, backfill->from_usec - 1, backfill->done_usec)
                                     : left_between(sim, backfill, job, backfill->done_usec, backfill->to_usec);
    hold(sim, INV_BACKFILL, left <= 0 && backfill->n_active == 0, "backfill %" PRIu64 " ends with %" PRId64 " instants left and %u runs", backfill->id, left, backfill->n_active);
}

void truth_backfill_record(struct sim *sim, const struct record *record)
{
    if (record->kind == REC_BACKFILL_BEGAN)
        on_began(sim, record);
    else if (record->kind == REC_BACKFILL_FIRED)
        on_fired(sim, record);
    else
        on_ended(sim, record);
}

void truth_backfill_run(struct sim *sim, const struct rec_run_submitted *rec)
{
    struct t_backfill *backfill = truth_backfill(sim, rec->backfill_id);
    hold(sim, INV_BACKFILL, backfill != NULL && backfill->expect_run == rec->run_id && rec->nominal_usec == backfill->done_usec,
         "run %" PRIu64 " is not the one that backfill %" PRIu64 " began", rec->run_id, rec->backfill_id);
    if (sim->failed)
        return;
    backfill->expect_run = 0;
    backfill->n_active++;
    hold(sim, INV_BACKFILL, backfill->n_active <= backfill->parallel_max, "backfill %" PRIu64 " has %u runs at a time, at most %u were asked for", backfill->id,
         backfill->n_active, backfill->parallel_max);
}
