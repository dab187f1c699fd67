// SPDX-License-Identifier: Apache-2.0
// What becomes of the instants of schedules that have come: they start a run, wait, or are skipped for a reason.
//
// An instant that is decided later than the setting misfire_after was missed, and the job's misfire policy says what is done about it. However
// many there are, they are never walked through: what is skipped is counted (model/schedule) and becomes one record, and what is made
// up for is bounded by a window and a number, and starts one by one, not faster than the rates (core/catch_up.c).
#include <inttypes.h>

#include "base/assert.h"
#include "core/internal.h"
#include "model/schedule.h"

enum { FIRES_PER_TICK = 64 }; // of one job in one step; the rest follows in the next

// What is decided about one due instant, and those behind it that share its fate.
struct fire {
    struct job *job;
    uint32_t which;
    const struct job_trigger *trigger;
    usec_t nominal_usec;
    enum fire_outcome outcome;
    usec_t next_usec;
    usec_t left_out_usec; // the first instant that calendars leave out before it; USEC_NEVER: none
    uint64_t n_missed;
    usec_t last_usec;
};

static void emit_fired(struct decision *d, const struct fire *fire)
{
    bool run = fire->outcome == FIRE_STARTED || fire->outcome == FIRE_QUEUED;
    must((fire->n_missed > 0) == (fire->last_usec != 0));
    must(fire->next_usec > usec_max(fire->nominal_usec, fire->last_usec));
    struct record record = {.kind = REC_JOB_FIRED,
                            .job_fired = {
                                .job_id = fire->job->id,
                                .trigger = fire->which,
                                .nominal_usec = fire->nominal_usec,
                                .outcome = fire->outcome,
                                .run_id = run ? d->core->next_run : 0,
                                .n_missed = fire->n_missed,
                                .last_usec = fire->last_usec,
                                .next_usec = fire->next_usec,
                                .left_out_usec = fire->left_out_usec != USEC_NEVER ? fire->left_out_usec : 0,
                            }};
    decide_emit(d, &record);
}

static bool has_room(const struct core *core, const struct job *job)
{
    const struct limits *limits = core->options.limits;
    return limits_check(limits, LIMIT_PENDING_RUNS, (int64_t)core->n_runs_live + 1, "", NULL) == 0 &&
           limits_check(limits, LIMIT_PENDING_TASKS, (int64_t)(core->n_waiting_tasks + job->spec->tasks.count), "", NULL) == 0;
}

// Whether as many instants wait for the runs of the job as may.
static bool queue_is_full(const struct core *core, const struct job *job)
{
    int64_t most = job->overlap == OVERLAP_QUEUE_ALL ? core->options.limits->value[LIMIT_QUEUED_FIRES] : 1;
    int64_t n = 0;
    struct list *pos;
    list_for_each(pos, &job->runs) {
        const struct run *run = list_entry(pos, struct run, in_job);
        n += run->state == RUN_WAITING && run->nominal_usec != 0 && run->backfill_id == 0;
        if (n == most)
            return true;
    }
    return false;
}

// A run of a backfill is in nobody's way: what finds only such ones waits for their end, whatever overlap says.
static enum fire_outcome outcome_of(const struct core *core, const struct job *job)
{
    uint32_t backfills = job->n_active > 0 ? job_backfill_runs(core, job) : 0, others = job->n_active - backfills;
    if (others > 0 && job->overlap == OVERLAP_FORBID)
        return FIRE_SKIPPED_OVERLAP;
    bool queues = job->overlap == OVERLAP_QUEUE || job->overlap == OVERLAP_QUEUE_ALL;
    bool queue = (queues && job->n_active > 0) || (job->overlap != OVERLAP_ALLOW && backfills > 0);
    if (queues && job->n_active > 0 && queue_is_full(core, job))
        return FIRE_SKIPPED_QUEUE;
    if (!has_room(core, job))
        return FIRE_SKIPPED_LIMIT;
    return queue ? FIRE_QUEUED : FIRE_STARTED;
}

static bool starts_run(enum fire_outcome outcome)
{
    return outcome == FIRE_STARTED || outcome == FIRE_QUEUED;
}

static void start_run(struct decision *d, const struct fire *fire)
{
    if (starts_run(fire->outcome) && fire->job->n_active > 0 && fire->job->overlap == OVERLAP_REPLACE)
        decide_cancel_runs(d, fire->job, CANCEL_REPLACED);
    emit_fired(d, fire);
    if (!starts_run(fire->outcome))
        return;
    uint64_t run_id = 0;
    int rc = decide_job_run(d, fire->job, &(struct job_run){.nominal_usec = fire->nominal_usec, .params = fire_params(fire->job, fire->which)}, &run_id, NULL);
    must(rc == 0); // has_room() looked at the same limits
}

// A delay after the last end has come: there is one instant at a time, so none is ever missed, and the end of the run brings the next.
static void decide_after_end(struct decision *d, struct fire *fire)
{
    usec_t now = d->event->wall_usec;
    fire->outcome = fire->job->n_active > 0 ? FIRE_SKIPPED_OVERLAP : has_room(d->core, fire->job) ? FIRE_STARTED : FIRE_SKIPPED_LIMIT;
    fire->next_usec = fire->outcome == FIRE_SKIPPED_LIMIT ? usec_add(now, fire->trigger->rule->every_usec) : USEC_NEVER;
    start_run(d, fire);
}

static void find_next(const struct core *core, struct fire *fire, usec_t after)
{
    fire->next_usec = trigger_next(core, fire->job, fire->which, after, &fire->left_out_usec);
}

// Instants in after < t <= upto that calendars do not leave out.
static int64_t count_open(const struct core *core, const struct fire *fire, usec_t after, usec_t upto)
{
    return schedule_count_open(fire->trigger->rule, trigger_zone(fire->trigger->rule), fire->job->first_usec, days_left_out(core, fire->job, fire->which), after,
                               upto);
}

// The first of the last n of them.
static usec_t newest_open(const struct core *core, const struct fire *fire, usec_t after, usec_t upto, int64_t n)
{
    return schedule_newest_open(fire->trigger->rule, trigger_zone(fire->trigger->rule), fire->job->first_usec, days_left_out(core, fire->job, fire->which), after,
                                upto, n);
}

// Tells of the instant `from` and all behind it up to and including upto as missed. `from` counts although the zone's rules may have changed
// since it was found.
static void tell_missed(struct decision *d, struct fire *fire, usec_t from, usec_t upto)
{
    must(from <= upto);
    int64_t n = count_open(d->core, fire, from, upto);
    fire->n_missed = 1 + (uint64_t)n;
    fire->last_usec = n > 0 ? newest_open(d->core, fire, from, upto, 1) : from;
    find_next(d->core, fire, upto);
    decide_left_out_between(d, fire->job, fire->which, fire->nominal_usec, upto + 1);
}

// One record for the instants from the due one on up to and including upto.
static void skip_range(struct decision *d, struct fire *fire, enum fire_outcome outcome, usec_t upto)
{
    fire->outcome = outcome;
    tell_missed(d, fire, fire->nominal_usec, upto);
    emit_fired(d, fire);
}

// The first instant that the job makes up for; USEC_NEVER: none of those that have come.
static usec_t first_made_up(const struct core *core, const struct fire *fire, usec_t now)
{
    const struct job *job = fire->job;
    usec_t window = job->spec->policy->catch_up_window_usec;
    int64_t most = INT64_MAX;
    if (job->misfire == MISFIRE_ALL) {
        most = core->options.limits->value[LIMIT_MISSED_FIRES];
        if (job->spec->policy->catch_up_max > 0 && job->spec->policy->catch_up_max < most)
            most = job->spec->policy->catch_up_max;
        window = window > 0 ? window : core->options.limits->value[LIMIT_CATCH_UP_WINDOW];
    }
    if (most == 0)
        return USEC_NEVER;
    usec_t nominal = fire->nominal_usec, oldest = window > 0 ? usec_sub(now, window) : nominal;
    if (nominal >= oldest && count_open(core, fire, nominal, now) < most)
        return nominal;
    return newest_open(core, fire, usec_max(nominal, oldest - 1), now, most);
}

// An instant was missed. False: it waits for its turn to be made up for.
static bool decide_missed(struct decision *d, struct fire *fire, bool no_turn)
{
    struct core *core = d->core;
    struct job *job = fire->job;
    usec_t now = d->event->wall_usec;
    if (job->misfire == MISFIRE_SKIP) {
        skip_range(d, fire, FIRE_SKIPPED_MISFIRE, now);
        return true;
    }
    // Once an instant is among those to be made up for, it stays so: its wait makes it no older.
    if (fire->nominal_usec > catch_up_chosen(job, fire->which)) {
        usec_t first = first_made_up(core, fire, now);
        if (first == USEC_NEVER || first > fire->nominal_usec) {
            skip_range(d, fire, FIRE_SKIPPED_CATCH_UP, first == USEC_NEVER ? now : first - 1);
            return true;
        }
        catch_up_choose(job, fire->which, now);
    }
    fire->outcome = outcome_of(core, job);
    if (starts_run(fire->outcome) && !no_turn && !catch_up_turn(core, job, d->event->mono_usec))
        return false;
    find_next(core, fire, fire->nominal_usec);
    if (job->misfire == MISFIRE_ONCE && fire->next_usec <= now)
        tell_missed(d, fire, fire->next_usec, now);
    start_run(d, fire);
    return true;
}

// Decided later than it may be; or among those that are made up for, which go one by one to the last of them.
static bool was_missed(const struct core *core, const struct job *job, const struct job_trigger *trigger, usec_t now)
{
    if (trigger->rule->kind == TRIGGER_AFTER_END)
        return false;
    if (trigger->next_usec <= catch_up_chosen(job, (uint32_t)(trigger - job->triggers)))
        return true;
    return usec_sub(now - trigger->next_usec, trigger->rule->jitter_usec) > core->options.limits->value[LIMIT_MISFIRE_AFTER];
}

// Decides one due instant of one trigger. False: it is not its turn yet.
static bool decide_fire(struct decision *d, struct job *job, uint32_t which, bool no_turn)
{
    const struct job_trigger *trigger = &job->triggers[which];
    struct fire fire = {.job = job, .which = which, .trigger = trigger, .nominal_usec = trigger->next_usec, .left_out_usec = USEC_NEVER};
    must(fire.nominal_usec <= d->event->wall_usec);
    if (trigger->rule->kind == TRIGGER_AFTER_END) {
        decide_after_end(d, &fire);
        return true;
    }
    decide_left_out(d, job, which, fire.nominal_usec);
    if (was_missed(d->core, job, trigger, d->event->wall_usec))
        return decide_missed(d, &fire, no_turn);
    fire.outcome = outcome_of(d->core, job);
    find_next(d->core, &fire, fire.nominal_usec);
    start_run(d, &fire);
    return true;
}

// The trigger whose instant comes first among those that are to be decided now; NULL: none. at_once: also what jitter still puts off.
static const struct job_trigger *first_due(const struct job *job, usec_t now, bool at_once)
{
    const struct job_trigger *due = NULL;
    for (size_t i = 0; i < job->n_triggers; i++) {
        const struct job_trigger *trigger = &job->triggers[i];
        usec_t when = at_once ? trigger->next_usec : trigger_due_usec(job, trigger);
        if (when <= now && (due == NULL || trigger->next_usec < due->next_usec))
            due = trigger;
    }
    return due;
}

void decide_due_fires(struct decision *d, struct job *job)
{
    decide_job_stale(d, job);
    for (int fires = 0; fires < FIRES_PER_TICK; fires++) {
        const struct job_trigger *due = first_due(job, d->event->wall_usec, false);
        if (due == NULL) {
            catch_up_end(d->core, job);
            return;
        }
        if (!decide_fire(d, job, (uint32_t)(due - job->triggers), false))
            return;
    }
}

void decide_due_before(struct decision *d, struct job *job, bool goes_on)
{
    const struct job_trigger *due;
    decide_job_stale(d, job);
    while (job->state == JOB_ACTIVE && (due = first_due(job, d->event->wall_usec, true)) != NULL) {
        uint32_t which = (uint32_t)(due - job->triggers);
        bool made_up = was_missed(d->core, job, due, d->event->wall_usec) && job->misfire != MISFIRE_SKIP;
        if (made_up && !(goes_on && job->misfire == MISFIRE_ONCE)) {
            // Many runs at once are the last thing that somebody wants who holds a job or brings another version of it.
            struct fire fire = {.job = job, .which = which, .trigger = due, .nominal_usec = due->next_usec, .left_out_usec = USEC_NEVER};
            decide_left_out(d, job, which, fire.nominal_usec);
            skip_range(d, &fire, FIRE_SKIPPED_CHANGED, d->event->wall_usec);
            continue;
        }
        (void)decide_fire(d, job, which, true);
    }
    decide_left_out_now(d, job);
}
