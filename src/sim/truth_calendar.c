// SPDX-License-Identifier: Apache-2.0
// The truth about calendars: which instants they leave out, by other arithmetic than the core's (sim/instants.h), and that each of
// those is told of once.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim/internal.h"

enum { LOOK_DAYS = 366 }; // ahead, where there is no next instant

static struct t_calendar *find_calendar(struct sim *sim, const char *name)
{
    for (size_t i = 0; i < CALENDARS_MAX; i++)
        if (strcmp(sim->truth.calendars[i].name, name) == 0)
            return &sim->truth.calendars[i];
    return NULL;
}

const struct t_calendar *truth_calendar(struct sim *sim, const char *name)
{
    return find_calendar(sim, name);
}

static void on_put(struct sim *sim, const struct record *record)
{
    const struct rec_calendar_put *rec = &record->calendar_put;
    struct t_calendar *calendar = find_calendar(sim, rec->calendar->name);
    if (calendar == NULL) {
        calendar = find_calendar(sim, "");
        must(calendar != NULL);
        snprintf(calendar->name, sizeof(calendar->name), "%s", rec->calendar->name);
    }
    hold(sim, INV_IDS_UNIQUE, rec->version == calendar->version + 1, "calendar %s gets version %u after %u", calendar->name, rec->version, calendar->version);
    must(rec->calendar->n_dates <= sizeof(calendar->dates) / sizeof(calendar->dates[0]));
    calendar->version = rec->version;
    calendar->put_usec = record->at_usec;
    calendar->put_seq = record->seq;
    calendar->n_dates = rec->calendar->n_dates;
    for (size_t i = 0; i < calendar->n_dates; i++)
        calendar->dates[i] = (struct calendar_dates){rec->calendar->dates[i].first_day, rec->calendar->dates[i].last_day, NULL};
}

static void on_deleted(struct sim *sim, const struct record *record)
{
    struct t_calendar *calendar = find_calendar(sim, record->calendar_deleted.name);
    hold(sim, INV_CALENDAR, calendar != NULL, "calendar %s is deleted and was not there", record->calendar_deleted.name);
    if (sim->failed)
        return;
    uint32_t bit = 1u << (calendar - sim->truth.calendars);
    for (struct list *pos = sim->truth.jobs_list.next; pos != &sim->truth.jobs_list; pos = pos->next) {
        const struct t_job *job = list_entry(pos, struct t_job, link);
        for (size_t i = 0; i < job->n_triggers; i++)
            hold(sim, INV_CALENDAR, !((job->triggers[i].exclude | job->triggers[i].include) & bit), "calendar %s is deleted, and job %" PRIu64 " names it",
                 calendar->name, job->id);
    }
    *calendar = (struct t_calendar){0};
}

void truth_calendar_record(struct sim *sim, const struct record *record)
{
    if (record->kind == REC_CALENDAR_PUT)
        on_put(sim, record);
    else
        on_deleted(sim, record);
}

static uint32_t mask_of(struct sim *sim, const struct t_job *job, const char *const *names, size_t n)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < n; i++) {
        const struct t_calendar *calendar = find_calendar(sim, names[i]);
        hold(sim, INV_CALENDAR, calendar != NULL, "job %" PRIu64 " names the calendar %s, which is not there", job->id, names[i]);
        if (calendar != NULL)
            mask |= 1u << (calendar - sim->truth.calendars);
    }
    return mask;
}

void truth_days_read(struct sim *sim, const struct t_job *job, struct t_trigger *trigger, const struct trigger *from)
{
    trigger->exclude = mask_of(sim, job, from->exclude, from->n_exclude);
    trigger->include = mask_of(sim, job, from->include, from->n_include);
}

static bool any_has(const struct sim *sim, uint32_t mask, int64_t day)
{
    for (size_t i = 0; i < CALENDARS_MAX; i++)
        for (size_t k = 0; (mask >> i & 1) && k < sim->truth.calendars[i].n_dates; k++)
            if (sim->truth.calendars[i].dates[k].first_day <= day && day <= sim->truth.calendars[i].dates[k].last_day)
                return true;
    return false;
}

static bool day_left_out(const struct sim *sim, const struct t_trigger *trigger, int64_t day)
{
    return any_has(sim, trigger->exclude, day) || (trigger->include != 0 && !any_has(sim, trigger->include, day));
}

static bool has_days(const struct t_trigger *trigger)
{
    return trigger->exclude != 0 || trigger->include != 0;
}

bool truth_left_out(const struct sim *sim, const struct t_trigger *trigger, usec_t at)
{
    int64_t day = t_rule_day(&trigger->rule, at);
    return has_days(trigger) && day >= 0 && day_left_out(sim, trigger, day);
}

struct wanted {
    const struct sim *sim;
    const struct t_trigger *trigger;
    bool left_out;
};

static bool is_wanted(const void *context, int64_t day)
{
    const struct wanted *wanted = context;
    return day_left_out(wanted->sim, wanted->trigger, day) == wanted->left_out;
}

int64_t truth_count_all(const struct t_job *job, const struct t_trigger *trigger, usec_t from, usec_t to)
{
    return t_rule_count(&trigger->rule, job->first_usec, from, to, INT64_MAX);
}

int64_t truth_count_days(const struct sim *sim, const struct t_job *job, const struct t_trigger *trigger, usec_t from, usec_t to, bool left_out)
{
    if (!has_days(trigger))
        return left_out ? 0 : truth_count_all(job, trigger, from, to);
    if (to == USEC_NEVER)
        to = from + LOOK_DAYS * USEC_PER_DAY;
    return t_rule_count_days(&trigger->rule, job->first_usec, from, to, is_wanted, &(struct wanted){sim, trigger, left_out});
}

// Whether a count that may not be known is that.
static bool agrees(int64_t count, int64_t told)
{
    return count < 0 || count == told;
}

// When the calendars of a trigger changed last, if that is after its next instants were found; 0: it is not.
static usec_t changed_since(const struct sim *sim, const struct t_trigger *trigger)
{
    const struct t_calendar *latest = NULL;
    for (size_t i = 0; i < CALENDARS_MAX; i++)
        if (((trigger->exclude | trigger->include) >> i & 1) && (latest == NULL || sim->truth.calendars[i].put_seq > latest->put_seq))
            latest = &sim->truth.calendars[i];
    return latest != NULL && latest->put_seq > trigger->planned_seq ? latest->put_usec : 0;
}

void truth_days_planned(struct sim *sim, const struct t_job *job, struct t_trigger *trigger, usec_t after, usec_t decided, usec_t next_usec, usec_t left_out_usec,
                        uint64_t seq)
{
    if (!has_days(trigger))
        return;
    hold(sim, INV_CALENDAR, truth_count_days(sim, job, trigger, decided, next_usec, false) <= 0,
         "job %" PRIu64 " goes on with the instant %" PRId64 " after %" PRId64 ", but one before it is not left out", job->id, next_usec, decided);
    hold(sim, INV_CALENDAR, next_usec == USEC_NEVER || !truth_left_out(sim, trigger, next_usec), "job %" PRIu64 " goes on with the instant %" PRId64 ", which is left out",
         job->id, next_usec);
    bool any = left_out_usec != USEC_NEVER && left_out_usec != 0;
    usec_t upto = any ? left_out_usec : next_usec;
    if (upto == USEC_NEVER) // what was decided may be long after the instant that it was decided with
        upto = decided + LOOK_DAYS * USEC_PER_DAY;
    hold(sim, INV_CALENDAR, agrees(truth_count_days(sim, job, trigger, after, upto, true), trigger->told),
         "job %" PRIu64 ": instants that are left out after %" PRId64 " are not told of (%" PRId64 " were)", job->id, after, trigger->told);
    hold(sim, INV_CALENDAR, !any || (left_out_usec > after && left_out_usec < next_usec && (truth_left_out(sim, trigger, left_out_usec) || t_rule_day(&trigger->rule, left_out_usec) < 0)),
         "job %" PRIu64 ": the instant %" PRId64 " is not left out between %" PRId64 " and %" PRId64, job->id, left_out_usec, after, next_usec);
    trigger->left_out_usec = any ? left_out_usec : USEC_NEVER;
    trigger->told = 0;
    trigger->planned_seq = seq;
}

void truth_days_told(struct sim *sim, struct t_job *job, struct t_trigger *trigger, const struct record *record)
{
    const struct rec_job_fired *rec = &record->job_fired;
    usec_t last = rec->last_usec;
    hold(sim, INV_CALENDAR, last >= rec->nominal_usec && last <= record->at_usec, "job %" PRIu64 " tells of instants that are left out up to %" PRId64 ", at %" PRId64,
         job->id, last, record->at_usec);
    hold(sim, INV_CALENDAR, rec->next_usec == trigger->next_usec, "job %" PRIu64 " tells of what is left out and goes on with another instant", job->id);
    job->decided_usec = usec_max(job->decided_usec, last);
    if (rec->nominal_usec > trigger->next_usec) { // passed over together with others that are not left out
        hold(sim, INV_CALENDAR, agrees(truth_count_days(sim, job, trigger, rec->nominal_usec - 1, last + 1, true), (int64_t)rec->n_missed),
             "job %" PRIu64 " tells of %" PRIu64 " instants that are left out from %" PRId64 " to %" PRId64, job->id, rec->n_missed, rec->nominal_usec, last);
        trigger->told += (int64_t)rec->n_missed;
        return;
    }
    hold(sim, INV_CALENDAR, rec->nominal_usec == trigger->left_out_usec, "job %" PRIu64 " tells of what is left out from %" PRId64 " on; it began at %" PRId64, job->id,
         rec->nominal_usec, trigger->left_out_usec);
    hold(sim, INV_CALENDAR, agrees(truth_count_all(job, trigger, rec->nominal_usec - 1, last + 1), (int64_t)rec->n_missed),
         "job %" PRIu64 " tells of %" PRIu64 " instants that are left out from %" PRId64 " to %" PRId64, job->id, rec->n_missed, rec->nominal_usec, last);
    usec_t changed = changed_since(sim, trigger), upto = usec_min(trigger->next_usec, (changed != 0 ? changed : record->at_usec) + 1);
    hold(sim, INV_CALENDAR, truth_count_all(job, trigger, last, upto) <= 0, "job %" PRIu64 " tells of what is left out up to %" PRId64 ", and not of more",
         job->id, last);
    trigger->left_out_usec = USEC_NEVER;
}

void truth_days_over(struct sim *sim, const struct t_job *job, const struct t_trigger *trigger, usec_t at_usec, const char *what)
{
    hold(sim, INV_CALENDAR, !has_days(trigger) || trigger->left_out_usec > at_usec,
         "job %" PRIu64 " is %s, and its instant %" PRId64 ", which is left out, is not told of", job->id, what, trigger->left_out_usec);
}

void truth_rescheduled(struct sim *sim, const struct record *record)
{
    const struct rec_job_rescheduled *rec = &record->job_rescheduled;
    struct t_job *job = truth_job(sim, rec->job_id);
    hold(sim, INV_CALENDAR, job != NULL && job->n_triggers == rec->n_next, "job %" PRIu64 " gets other instants and is not there", rec->job_id);
    for (size_t i = 0; !sim->failed && i < rec->n_next; i++) {
        struct t_trigger *trigger = &job->triggers[i];
        usec_t changed = changed_since(sim, trigger), left_out = rec->left_out_usec != NULL ? rec->left_out_usec[i] : USEC_NEVER;
        if (changed == 0) {
            hold(sim, INV_CALENDAR, rec->next_usec[i] == trigger->next_usec, "job %" PRIu64 ": trigger %zu goes from instant %" PRId64 " to %" PRId64 " for no reason",
                 job->id, i, trigger->next_usec, rec->next_usec[i]);
            continue;
        }
        if (job->state == JOB_ACTIVE)
            truth_days_over(sim, job, trigger, usec_min(changed, trigger->next_usec - 1), "changed");
        // What was due and not decided when the calendar changed is not forgotten.
        usec_t after = trigger->next_usec <= changed ? trigger->next_usec - 1 : usec_max(changed, job->decided_usec);
        trigger->told = 0;
        truth_days_planned(sim, job, trigger, after, after, rec->next_usec[i], left_out, record->seq);
        trigger->next_usec = rec->next_usec[i];
    }
}
