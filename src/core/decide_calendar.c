// SPDX-License-Identifier: Apache-2.0
// What people ask of calendars, and what a change of one means for the schedules that name it. See core/calendar.h.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "core/internal.h"
#include "model/schedule.h"

enum { NAMED_MAX = 3 }; // jobs that a refusal names

// ---- left out

// "calendar holidays", or both reasons where those of the first and the last day differ. When a calendar has changed since, what it held is gone, and
// all are named that the schedule names.
const char *days_why(const struct trigger_days *days, const struct tz *tz, struct arena *arena, usec_t first, usec_t last)
{
    const struct day_rule *rule = days->rule;
    const struct calendar *exclude[CALENDAR_NAMES_MAX], *include[CALENDAR_NAMES_MAX];
    const char *text = NULL;
    for (uint32_t i = 0; i < rule->n_exclude; i++) {
        exclude[i] = &rule->exclude[i]->calendar;
        text = text ? arena_printf(arena, "%s, %s", text, exclude[i]->name) : exclude[i]->name;
    }
    for (uint32_t i = 0; i < rule->n_include; i++) {
        include[i] = &rule->include[i]->calendar;
        text = text ? arena_printf(arena, "%s, %s", text, include[i]->name) : include[i]->name;
    }
    if (days->planned_seq < rule->changed_seq)
        return arena_printf(arena, "calendar%s %s", rule->n_exclude + rule->n_include > 1 ? "s" : "", text);
    const char *a = calendar_why(arena, exclude, rule->n_exclude, include, rule->n_include, schedule_day(tz, first), false);
    const char *b = calendar_why(arena, exclude, rule->n_exclude, include, rule->n_include, schedule_day(tz, last), false);
    must(a && b);
    return strcmp(a, b) == 0 ? a : arena_printf(arena, "%s; %s", a, b);
}

// One record for all of them. Nothing else changes by it: the next instant stays.
static void emit_left_out(struct decision *d, const struct trigger_days *days, usec_t first, usec_t last, int64_t n)
{
    const struct job_trigger *trigger = &days->job->triggers[days->trigger];
    must(n > 0 && first <= last);
    struct record record = {.kind = REC_JOB_FIRED,
                            .job_fired = {.job_id = days->job->id,
                                          .trigger = days->trigger,
                                          .nominal_usec = first,
                                          .outcome = FIRE_SKIPPED_CALENDAR,
                                          .n_missed = (uint64_t)n,
                                          .last_usec = last,
                                          .next_usec = trigger->next_usec,
                                          .why = days_why(days, trigger_zone(trigger->rule), d->out->arena, first, last)}};
    decide_emit(d, &record);
}

void decide_left_out(struct decision *d, struct job *job, size_t which, usec_t before)
{
    const struct trigger_days *days = days_of(d->core, job, which);
    const struct trigger *rule = job->triggers[which].rule;
    must(!days || before <= job->triggers[which].next_usec);
    if (!days || days->left_out_usec >= before)
        return;
    // Everything from there to the next instant is left out, whatever the calendars say by now.
    usec_t first = days->left_out_usec;
    usec_t last = schedule_newest(rule, trigger_zone(rule), job->first_usec, first - 1, before - 1, 1);
    must(last != USEC_NEVER && last >= first);
    emit_left_out(d, days, first, last, schedule_count(rule, trigger_zone(rule), job->first_usec, first - 1, last));
}

void decide_left_out_now(struct decision *d, struct job *job)
{
    decide_job_stale(d, job);
    for (size_t i = 0; i < job->n_triggers && job->state == JOB_ACTIVE; i++)
        decide_left_out(d, job, i, usec_min(usec_add(d->event->wall_usec, 1), job->triggers[i].next_usec));
}

void decide_left_out_between(struct decision *d, struct job *job, size_t which, usec_t after, usec_t before)
{
    const struct trigger_days *days = days_of(d->core, job, which);
    if (!days || after >= before - 1)
        return;
    const struct trigger *rule = job->triggers[which].rule;
    const struct tz *tz = trigger_zone(rule);
    const struct day_set *set = &days->rule->left_out;
    int64_t n = schedule_count_on(rule, tz, job->first_usec, set, after, before - 1);
    if (n > 0)
        emit_left_out(d, days, schedule_next_on(rule, tz, job->first_usec, set, after),
                      schedule_prev_on(rule, tz, job->first_usec, set, true, before), n);
}

// ---- a changed calendar

static void reschedule(struct decision *d, struct job *job)
{
    struct core *core = d->core;
    usec_t *next = arena_array(d->out->arena, usec_t, job->n_triggers), *left_out = arena_array(d->out->arena, usec_t, job->n_triggers);
    for (size_t i = 0; i < job->n_triggers; i++) {
        const struct trigger_days *days = days_of(core, job, i);
        next[i] = job->triggers[i].next_usec;
        left_out[i] = days ? days->left_out_usec : USEC_NEVER;
        if (!days || days->planned_seq >= days->rule->changed_seq)
            continue;
        usec_t changed = usec_add(days->rule->changed_usec, 1);
        // What had come when the calendar changed stays as it was; what is due and not decided is looked at anew.
        bool due = next[i] < changed;
        if (job->state == JOB_ACTIVE)
            decide_left_out(d, job, i, usec_min(next[i], changed));
        usec_t after = due ? next[i] - 1 : usec_max(changed - 1, job->decided_usec);
        next[i] = schedule_next_open(job->triggers[i].rule, trigger_zone(job->triggers[i].rule), job->first_usec, &days->rule->left_out, after, &left_out[i]);
    }
    struct record record = {.kind = REC_JOB_RESCHEDULED,
                            .job_rescheduled = {.job_id = job->id, .next_usec = next, .n_next = job->n_triggers, .left_out_usec = left_out}};
    decide_emit(d, &record);
    must(!days_stale(core, job));
}

void decide_job_stale(struct decision *d, struct job *job)
{
    if (job->has_days && days_stale(d->core, job))
        reschedule(d, job);
}

int64_t decide_stale(struct decision *d, int64_t budget)
{
    struct list *first;
    for (; budget > 0 && (first = list_first(&d->core->calendars.stale)); budget--)
        reschedule(d, list_entry(first, struct trigger_days, in_rule)->job);
    return budget;
}

// ---- what people ask

static int check_put(struct decision *d, const struct calendar *calendar, const struct core_calendar *there, struct err *err)
{
    const struct limits *limits = d->core->options.limits;
    int rc = limits_check(limits, LIMIT_CALENDAR_DATES, (int64_t)calendar->n_dates, "the number of dates", err);
    if (rc == 0 && !there)
        rc = limits_check(limits, LIMIT_CALENDARS, (int64_t)d->core->calendars.n + 1, "the number of calendars", err);
    if (rc < 0)
        return rc;
    // One change at a time, so that what each of them left out is told of as it was.
    decide_stale(d, limits->value[LIMIT_TURN_EVENTS]);
    if (!list_empty(&d->core->calendars.stale))
        return err_set(err, ERR_AGAIN, "schedules are still being looked through for the last change of a calendar");
    return 0;
}

void on_calendar_put(struct decision *d)
{
    const struct ev_calendar_put *ev = &d->event->calendar_put;
    struct err err = {0};
    must(calendar_fault(ev->calendar) == NULL);
    struct core_calendar *there = calendar_by_name(d->core, ev->calendar->name);
    bool same = there && calendar_same(&there->calendar, ev->calendar);
    uint32_t version = there ? there->version : 0;
    int rc = same ? 0 : check_put(d, ev->calendar, there, &err);
    if (rc == 0 && ev->expect_version != 0 && ev->expect_version != version)
        rc = err_set(&err, ERR_CONFLICT, "calendar '%.128s' has version %" PRIu32 ", not %" PRIu32, ev->calendar->name, version, ev->expect_version);
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    if (!same) {
        struct calendar *kept = arena_new(d->out->arena, struct calendar);
        calendar_copy(d->out->arena, kept, ev->calendar);
        struct record record = {.kind = REC_CALENDAR_PUT, .calendar_put = {.version = ++version, .calendar = kept}};
        decide_emit(d, &record);
        decide_stale(d, d->core->options.limits->value[LIMIT_TURN_EVENTS]);
    }
    struct fx_reply *reply = decide_reply_ok(d);
    reply->version = version;
    reply->existing = same;
}

void on_calendar_delete(struct decision *d)
{
    const char *name = d->event->calendar_delete.name;
    struct err err = {0};
    int rc = 0;
    const struct core_calendar *calendar = calendar_by_name(d->core, name);
    if (!calendar)
        rc = err_set(&err, ERR_NOT_FOUND, "there is no calendar '%.128s'", name);
    if (calendar && calendar->refs > 0) {
        const struct job *jobs[NAMED_MAX];
        uint64_t n_schedules = 0;
        size_t n = calendar_users(d->core, calendar, jobs, NAMED_MAX, &n_schedules);
        struct buf names;
        buf_init(&names);
        for (size_t i = 0; i < n; i++)
            buf_printf(&names, "%s%.40s", i > 0 ? ", " : "", jobs[i]->full_name);
        rc = err_set(&err, ERR_CONFLICT, "calendar '%.40s' is named by %" PRIu64 " schedule%s, of %s%s", name, n_schedules, n_schedules == 1 ? "" : "s",
                     names.data, n < n_schedules && n == NAMED_MAX ? " and others" : "");
        buf_release(&names);
    }
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    struct record record = {.kind = REC_CALENDAR_DELETED, .calendar_deleted = {.name = arena_strdup(d->out->arena, name)}};
    decide_emit(d, &record);
    decide_reply_ok(d);
}
