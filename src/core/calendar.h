// SPDX-License-Identifier: Apache-2.0
// Calendars inside the core, and what triggers have to do with them. Private to core/, included by core/internal.h.
//
// A trigger that names calendars has a *rule*: the days that it leaves out, which all triggers share that name the same. Its next instant is the
// first one that is not left out. Those that are left out before it are told of by one record, for the whole stretch, once it is over: nothing is
// said of an instant before it has come, because a calendar may change until then.
//
// When a calendar changes, its rules do at once. The next instants of their triggers are looked for again one after another, in the
// same step and in those that follow: until then a trigger is *stale*, and nothing is decided about its job.
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "model/calendar.h"
#include "model/record.h"
#include "model/snapshot.h"

struct core;
struct decision;
struct job;
struct job_trigger;
struct tz;

struct core_calendar {
    struct calendar calendar; // in the arena
    struct arena arena;
    uint32_t version;
    uint32_t refs; // rules that name it
    usec_t put_usec;  // when it got these dates
    uint64_t put_seq; // and by which record
};

struct day_rule {
    char *key; // canonical text, owned; its place in calendars.rules_by_key
    struct list all; // calendars.rules
    uint32_t refs; // triggers
    struct core_calendar *exclude[CALENDAR_NAMES_MAX], *include[CALENDAR_NAMES_MAX];
    uint32_t n_exclude, n_include;
    struct arena arena; // of left_out
    struct day_set left_out;
    usec_t changed_usec; // of its calendars, the latest
    uint64_t changed_seq;
    struct list users; // trigger_days.in_rule of those that are not stale
};

// Beside a trigger that has calendars.
struct trigger_days {
    struct job *job;
    uint32_t trigger; // its position in the job
    struct day_rule *rule;
    struct list in_rule;  // rule->users, or calendars.stale
    usec_t left_out_usec; // the first instant that is left out before its next one and not yet told of; USEC_NEVER: none
    uint64_t planned_seq; // the record that gave both; older than the rule's change: stale
};

struct calendars {
    struct core_calendar **item; // by name
    size_t n, cap;
    struct strmap rules_by_key;
    struct list rules;
    struct map by_trigger; // trigger_days
    struct list stale;     // trigger_days.in_rule
};

void calendars_init(struct calendars *);
// Once the jobs are gone.
void calendars_release(struct calendars *);
struct core_calendar *calendar_by_name(const struct core *, const char *name);
// Jobs whose schedules name it, each once, at most max; *ret_schedules (NULL: nobody asks) counts the schedules.
size_t calendar_users(const struct core *, const struct core_calendar *, const struct job **ret_jobs, size_t max, uint64_t *ret_schedules);

// What a trigger has, or NULL.
struct trigger_days *days_of(const struct core *, const struct job *, size_t trigger);
// The days that it leaves out; NULL: none.
const struct day_set *days_left_out(const struct core *, const struct job *, size_t trigger);
// Makes and ends what the triggers of a job have; the calendars that spec names are there. left_out_usec and planned_seq as in a snapshot; NULL: none
// before its next instants, and as of now.
void days_attach(struct core *, struct job *, const struct job_spec *, const usec_t *left_out_usec, const uint64_t *planned_seq);
void days_detach(struct core *, struct job *);
// The next instants were set by a record; left_out_usec NULL: with none left out before them.
void days_planned(struct core *, struct job *, const usec_t *left_out_usec);
// An instant was decided; or those that are left out before the next one are told of.
void days_fired(const struct core *, const struct job *, const struct rec_job_fired *);
bool days_stale(const struct core *, const struct job *);
// Why instants from first to last are left out, in words.
const char *days_why(const struct trigger_days *, const struct tz *, struct arena *, usec_t first, usec_t last);
bool day_rule_names(const struct day_rule *, const struct core_calendar *);

void apply_calendar_put(struct core *, const struct record *);
void apply_calendar_deleted(struct core *, const struct record *);
void apply_job_rescheduled(struct core *, const struct record *);
void calendar_load(struct core *, const struct snap_calendar *);
void check_calendars(const struct core *);

// decide_calendar.c
void on_calendar_put(struct decision *);
void on_calendar_delete(struct decision *);
// Looks again for the next instants of stale triggers, of at most so many jobs; gives what is left of the budget.
int64_t decide_stale(struct decision *, int64_t budget);
// The same for one job. Call before anything is decided about it.
void decide_job_stale(struct decision *, struct job *);
// Tells of the instants that are left out and have come before `before`, which lies not behind the next instant of the trigger.
void decide_left_out(struct decision *, struct job *, size_t trigger, usec_t before);
// Tells of all of a job that have come, before it is held or changed.
void decide_left_out_now(struct decision *, struct job *);
// Tells of those between two instants, both excluded, which are passed over together with instants that are not left out.
void decide_left_out_between(struct decision *, struct job *, size_t trigger, usec_t after, usec_t before);
