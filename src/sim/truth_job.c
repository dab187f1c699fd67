// SPDX-License-Identifier: Apache-2.0
// The truth about jobs: every due instant of every trigger is decided exactly once. Instants are counted by sim/instants.c.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim/internal.h"

// What is made up for starts no faster than the rate. Seconds are told by the clock of the leader, so that they begin anew with another leader, and
// when its clock is put back.
static void count_late_start(struct sim *sim, struct t_job *job, usec_t at_usec)
{
    bool anew = job->late_epoch != sim->truth.epoch || at_usec < job->late_last_usec || at_usec >= job->late_first_usec + USEC_PER_SEC;
    if (anew) {
        job->late_epoch = sim->truth.epoch;
        job->late_first_usec = at_usec;
        job->n_late = 0;
    }
    job->late_last_usec = at_usec;
    job->n_late++;
    // A drifting clock may show more than a second as one.
    int64_t most = sim->limits.value[LIMIT_CATCH_UP_RATE] * 11 / 10 + 2;
    hold(sim, INV_CATCH_UP_RATE, job->n_late <= most, "job %" PRIu64 " starts %" PRId64 " missed instants within a second, %" PRId64 " at most are allowed", job->id,
         job->n_late, most);
}

// As many instants wait for a job's runs as its policy allows, and none is turned away before.
static void check_queue(struct sim *sim, const struct t_job *job, const struct rec_job_fired *rec)
{
    if (rec->outcome != FIRE_QUEUED && rec->outcome != FIRE_SKIPPED_QUEUE && rec->outcome != FIRE_SKIPPED_OVERLAP)
        return;
    uint32_t backfills = 0;
    int64_t waiting = 0, most = job->overlap == OVERLAP_QUEUE_ALL ? sim->limits.value[LIMIT_QUEUED_FIRES] : 1;
    for (struct list *pos = sim->truth.live.next; pos != &sim->truth.live; pos = pos->next) {
        const struct t_run *run = list_entry(pos, struct t_run, link);
        waiting += run->job_id == job->id && run->nominal_usec != 0 && run->state == RUN_WAITING;
        backfills += run->job_id == job->id && run->backfill_id != 0;
    }
    bool queues = job->overlap == OVERLAP_QUEUE || job->overlap == OVERLAP_QUEUE_ALL;
    // Runs of backfills are in nobody's way: what finds them waits, whatever overlap says. A delay after the end has its next instant at their end.
    if (rec->outcome == FIRE_SKIPPED_OVERLAP) {
        bool delay = job->triggers[rec->trigger].rule.kind == TRIGGER_AFTER_END;
        hold(sim, INV_OVERLAP, delay || job->n_active > backfills, "job %" PRIu64 " skips an instant for the sake of runs of backfills", job->id);
        return;
    }
    if (!queues && job->overlap != OVERLAP_ALLOW && backfills > 0)
        return;
    hold(sim, INV_OVERLAP, queues && job->n_active > 0 && (rec->outcome == FIRE_QUEUED) == (waiting < most),
         "job %" PRIu64 " (overlap %s) decides %s while %" PRId64 " of %" PRId64 " wait", job->id, overlap_name(job->overlap), fire_outcome_name(rec->outcome),
         waiting, most);
}

static void on_fired(struct sim *sim, const struct record *record)
{
    const struct rec_job_fired *rec = &record->job_fired;
    struct t_job *job = truth_job(sim, rec->job_id);
    hold(sim, INV_FIRE_ONCE, job != NULL && rec->trigger < job->n_triggers, "job %" PRIu64 " fires an unknown trigger", rec->job_id);
    if (sim->failed)
        return;
    struct t_trigger *trigger = &job->triggers[rec->trigger];
    sim->truth.n_fires++;
    sim->truth.fired_usec = sim->now;
    hold(sim, INV_HELD, job->state == JOB_ACTIVE, "job %" PRIu64 " fires while it is held", job->id);
    hold(sim, INV_FIRE_NOT_EARLY, rec->nominal_usec <= record->at_usec, "job %" PRIu64 " decides an instant %" PRId64 " usec before it comes", job->id,
         rec->nominal_usec - record->at_usec);
    if (rec->outcome == FIRE_SKIPPED_CALENDAR) {
        truth_days_told(sim, job, trigger, record);
        return;
    }
    bool days = trigger->exclude != 0 || trigger->include != 0;
    hold(sim, INV_CALENDAR, !days || !truth_left_out(sim, trigger, rec->nominal_usec), "job %" PRIu64 " decides the instant %" PRId64 ", which is left out", job->id,
         rec->nominal_usec);
    truth_days_over(sim, job, trigger, rec->nominal_usec, "at its next instant");
    hold(sim, INV_FIRE_ONCE, rec->nominal_usec > trigger->last_usec && rec->nominal_usec == trigger->next_usec,
         "job %" PRIu64 " decides the instant %" PRId64 ", after %" PRId64 "; due was %" PRId64, job->id, rec->nominal_usec, trigger->last_usec, trigger->next_usec);
    hold(sim, INV_FIRE_TRUE, t_rule_has(&trigger->rule, job->first_usec, rec->nominal_usec), "job %" PRIu64 " decides %" PRId64 ", which is no instant of its schedule",
         job->id, rec->nominal_usec);
    bool range = rec->outcome == FIRE_SKIPPED_MISFIRE || rec->outcome == FIRE_SKIPPED_CATCH_UP || rec->outcome == FIRE_SKIPPED_CHANGED;
    int64_t told = (int64_t)rec->n_missed - range;
    // With calendars: up to the last that is told of; truth_days_planned() looks at the rest.
    usec_t upto = days ? usec_max(rec->nominal_usec, rec->last_usec) + 1 : rec->next_usec;
    int64_t skipped = truth_count_days(sim, job, trigger, rec->nominal_usec, upto, false);
    hold(sim, INV_FIRES_ACCOUNTED, skipped < 0 || skipped == told, "between the instants %" PRId64 " and %" PRId64 " of job %" PRIu64 " lie %" PRId64 " that were not decided, %" PRId64 " are told of",
         rec->nominal_usec, rec->next_usec, job->id, skipped, told);
    bool late = record->at_usec - rec->nominal_usec > sim->limits.value[LIMIT_MISFIRE_AFTER];
    hold(sim, INV_FIRES_ACCOUNTED, late || told <= 0 || rec->outcome == FIRE_SKIPPED_CHANGED, "job %" PRIu64 " skips instants although it is not late", job->id);
    hold(sim, INV_FIRES_ACCOUNTED, rec->next_usec > rec->nominal_usec, "job %" PRIu64 " goes back to the instant %" PRId64, job->id, rec->next_usec);
    if (rec->outcome == FIRE_STARTED) {
        uint32_t going_on = 0;
        for (struct list *pos = sim->truth.live.next; pos != &sim->truth.live; pos = pos->next) {
            const struct t_run *run = list_entry(pos, struct t_run, link);
            going_on += run->job_id == job->id && run->state != RUN_CANCELLING && run->n_ended < run->n_tasks;
        }
        hold(sim, INV_OVERLAP, job->overlap == OVERLAP_ALLOW || going_on == 0, "job %" PRIu64 " (overlap %s) starts a run beside %u others", job->id,
             overlap_name(job->overlap), going_on);
        hold(sim, INV_OVERLAP, job->overlap == OVERLAP_ALLOW || job->overlap == OVERLAP_REPLACE || job->n_active == 0,
             "job %" PRIu64 " (overlap %s) starts a run beside %u others", job->id, overlap_name(job->overlap), job->n_active);
    }
    check_queue(sim, job, rec);
    if (rec->outcome == FIRE_STARTED || rec->outcome == FIRE_QUEUED)
        job->expect_run = rec->run_id;
    hold(sim, INV_FIRES_ACCOUNTED, rec->last_usec < rec->next_usec && rec->last_usec <= record->at_usec && (rec->n_missed > 0) == (rec->last_usec > 0),
         "job %" PRIu64 " tells of %" PRIu64 " missed instants up to %" PRId64, job->id, rec->n_missed, rec->last_usec);
    bool missed = record->at_usec - rec->nominal_usec - trigger->rule.jitter_usec > sim->limits.value[LIMIT_MISFIRE_AFTER];
    if (missed && (rec->outcome == FIRE_STARTED || rec->outcome == FIRE_QUEUED))
        count_late_start(sim, job, record->at_usec);
    job->decided_usec = usec_max(job->decided_usec, usec_max(rec->nominal_usec, rec->last_usec));
    if (days) // what is left out behind the nominal instant is told of, up to where the next stretch begins
        truth_days_planned(sim, job, trigger, rec->nominal_usec, usec_max(rec->nominal_usec, rec->last_usec), rec->next_usec, rec->left_out_usec, trigger->planned_seq);
    trigger->last_usec = rec->nominal_usec;
    trigger->next_usec = rec->next_usec;
    if (trigger->rule.kind == TRIGGER_AFTER_END) {
        usec_t next = rec->outcome == FIRE_SKIPPED_LIMIT ? usec_add(record->at_usec, trigger->rule.every_usec) : USEC_NEVER;
        hold(sim, INV_AFTER_END, rec->next_usec == next, "job %" PRIu64 " has the instant %" PRId64 " before a run of it has ended", job->id, rec->next_usec);
    }
}

// The instant of a delay after the last end, in a job that nobody told of another.
static usec_t after_end(const struct t_job *job, const struct t_rule *rule, usec_t at_usec)
{
    return job->n_active > 0 ? USEC_NEVER : usec_add(usec_max(at_usec, job->decided_usec), rule->every_usec);
}

void truth_job_run_ended(struct sim *sim, struct t_job *job, enum run_state how, usec_t at_usec)
{
    hold(sim, INV_ALL_ACCOUNTED, job->n_active > 0, "job %" PRIu64 " loses a run that it did not have", job->id);
    job->n_active--;
    job->failures = how == RUN_FAILED ? job->failures + 1 : how == RUN_SUCCEEDED ? 0 : job->failures;
    for (size_t i = 0; i < job->n_triggers && job->n_active == 0; i++)
        if (job->triggers[i].rule.kind == TRIGGER_AFTER_END)
            job->triggers[i].next_usec = after_end(job, &job->triggers[i].rule, at_usec);
}

// What a whole batch must have brought.
void truth_jobs_batch(struct sim *sim)
{
    struct list *pos;
    list_for_each(pos, &sim->truth.jobs_list) {
        const struct t_job *job = list_entry(pos, struct t_job, link);
        hold(sim, INV_FIRE_HAS_RUN, job->expect_run == 0, "job %" PRIu64 " fired run %" PRIu64 ", which its batch does not hold", job->id, job->expect_run);
        hold(sim, INV_PAUSE_AFTER, job->pause_after == 0 || job->failures < job->pause_after || job->state != JOB_ACTIVE,
             "%u runs of job %" PRIu64 " have failed in a row, and it goes on", job->failures, job->id);
    }
}

// A while after all was healed, before people hold the jobs.
void truth_jobs_healed(struct sim *sim, usec_t wall_usec)
{
    struct list *pos;
    list_for_each(pos, &sim->truth.jobs_list) {
        const struct t_job *job = list_entry(pos, struct t_job, link);
        for (size_t i = 0; i < job->n_triggers && job->state == JOB_ACTIVE; i++) {
            const struct t_trigger *trigger = &job->triggers[i];
            // What is made up for goes at its rate, one job after the other.
            bool made_up = job->misfire != MISFIRE_SKIP && sim->now - sim->truth.fired_usec < FIRE_PROMPT_USEC / 2;
            hold(sim, INV_FIRES_PROMPT, made_up || trigger->next_usec > wall_usec - FIRE_PROMPT_USEC - trigger->rule.jitter_usec,
                 "the instant %" PRId64 " of job %" PRIu64 " came %" PRId64 " ms before and is not decided", trigger->next_usec, job->id,
                 (wall_usec - trigger->next_usec) / USEC_PER_MSEC);
        }
    }
}

// Instants that have come and are dropped without a word.
static void check_due(struct sim *sim, const struct t_job *job, usec_t at_usec, const char *what)
{
    for (size_t i = 0; i < job->n_triggers && job->state == JOB_ACTIVE; i++)
        hold(sim, INV_FIRES_ACCOUNTED, job->triggers[i].next_usec > at_usec, "job %" PRIu64 " is %s, and its instant %" PRId64 ", which came %" PRId64 " ms before, is forgotten",
             job->id, what, job->triggers[i].next_usec, (at_usec - job->triggers[i].next_usec) / USEC_PER_MSEC);
    for (size_t i = 0; i < job->n_triggers && job->state == JOB_ACTIVE; i++)
        truth_days_over(sim, job, &job->triggers[i], at_usec, what);
}

// The instant with which a trigger begins or goes on.
static void check_first(struct sim *sim, const struct t_job *job, struct t_trigger *trigger, usec_t at_usec, usec_t left_out_usec, uint64_t seq)
{
    const struct t_rule *rule = &trigger->rule;
    usec_t from = usec_max(at_usec, job->decided_usec);
    hold(sim, INV_AFTER_END, rule->kind != TRIGGER_AFTER_END || trigger->next_usec == after_end(job, rule, at_usec),
         "job %" PRIu64 " has the instant %" PRId64 ", with %u runs going on", job->id, trigger->next_usec, job->n_active);
    truth_days_planned(sim, job, trigger, from, from, trigger->next_usec, left_out_usec, seq);
    hold(sim, INV_FIRES_ACCOUNTED, truth_count_days(sim, job, trigger, from, trigger->next_usec, false) <= 0,
         "job %" PRIu64 " begins with the instant %" PRId64 ", but one before it is due", job->id, trigger->next_usec);
}

static void on_applied(struct sim *sim, const struct record *record)
{
    struct truth *truth = &sim->truth;
    const struct rec_job_applied *rec = &record->job_applied;
    struct t_job *job = truth_job(sim, rec->job_id);
    if (job == NULL) {
        hold(sim, INV_IDS_UNIQUE, rec->job_id > truth->last_job && rec->version == 1, "job %" PRIu64 " version %u comes after job %" PRIu64, rec->job_id,
             rec->version, truth->last_job);
        truth->last_job = rec->job_id;
        job = arena_new(&truth->lasting, struct t_job);
        job->id = rec->job_id;
        job->state = JOB_ACTIVE;
        job->first_usec = record->at_usec;
        snprintf(job->name, sizeof(job->name), "%s", rec->spec->name);
        list_init(&job->link);
        list_add_tail(&truth->jobs_list, &job->link);
        map_put(&truth->jobs, job->id, job);
    } else {
        hold(sim, INV_IDS_UNIQUE, rec->version == job->version + 1, "job %" PRIu64 " gets version %u after %u", job->id, rec->version, job->version);
        check_due(sim, job, record->at_usec, "updated");
    }
    strmap_put(&truth->jobs_by_name, job->name, job);
    job->version = rec->version;
    job->overlap = rec->spec->overlap;
    job->misfire = rec->spec->misfire;
    job->pause_after = rec->spec->pause_after;
    job->failures = 0;
    must(rec->spec->n_triggers <= sizeof(job->triggers) / sizeof(job->triggers[0]));
    job->n_triggers = rec->spec->n_triggers;
    for (size_t i = 0; i < job->n_triggers; i++) {
        const struct trigger *from = &rec->spec->triggers[i];
        struct t_trigger *trigger = &job->triggers[i];
        // Whatever was decided before, also by another definition while the clock was ahead, is not decided again.
        *trigger = (struct t_trigger){.next_usec = rec->next_usec[i], .last_usec = job->decided_usec};
        t_rule_read(&trigger->rule, from);
        truth_days_read(sim, job, trigger, from);
        check_first(sim, job, trigger, record->at_usec, rec->left_out_usec != NULL ? rec->left_out_usec[i] : USEC_NEVER, record->seq);
    }
}

static void on_state(struct sim *sim, const struct record *record)
{
    const struct rec_job_state *rec = &record->job_state;
    struct t_job *job = truth_job(sim, rec->job_id);
    hold(sim, INV_TERMINAL, job != NULL && job_state_may(job->state, rec->to), "job %" PRIu64 " goes to %d", rec->job_id, (int)rec->to);
    if (sim->failed)
        return;
    bool by_people = record->by != NULL;
    hold(sim, INV_PAUSE_AFTER, rec->to != JOB_HELD || by_people || (job->pause_after > 0 && job->failures >= job->pause_after),
         "job %" PRIu64 " is held although only %u runs have failed in a row", job->id, job->failures);
    if (rec->to == JOB_HELD)
        check_due(sim, job, record->at_usec, "held");
    for (size_t i = 0; i < job->n_triggers && rec->to == JOB_HELD; i++)
        truth_days_over(sim, job, &job->triggers[i], record->at_usec, "held");
    job->state = rec->to;
    if (rec->to == JOB_ACTIVE)
        job->failures = 0;
    for (size_t i = 0; i < rec->n_next && i < job->n_triggers; i++) {
        job->triggers[i].next_usec = rec->next_usec[i];
        check_first(sim, job, &job->triggers[i], record->at_usec, rec->left_out_usec != NULL ? rec->left_out_usec[i] : USEC_NEVER, record->seq);
    }
    if (rec->to == JOB_DELETED) {
        strmap_del(&sim->truth.jobs_by_name, job->name);
        list_del(&job->link);
    }
}

void truth_job_record(struct sim *sim, const struct record *record)
{
    if (record->kind == REC_JOB_APPLIED)
        on_applied(sim, record);
    else if (record->kind == REC_JOB_FIRED)
        on_fired(sim, record);
    else if (record->kind == REC_JOB_RESCHEDULED)
        truth_rescheduled(sim, record);
    else if (record->kind == REC_JOB_STATE)
        on_state(sim, record);
    else
        truth_calendar_record(sim, record);
}
