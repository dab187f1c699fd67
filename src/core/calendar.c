// SPDX-License-Identifier: Apache-2.0
// Calendars: the durable half, and the fold of their records. See core/calendar.h.
#include "core/calendar.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "core/internal.h"

enum { TRIGGER_BITS = 10 }; // of a key of by_trigger

void calendars_init(struct calendars *calendars)
{
    *calendars = (struct calendars){0};
    strmap_init(&calendars->rules_by_key);
    map_init(&calendars->by_trigger);
    list_init(&calendars->rules);
    list_init(&calendars->stale);
}

static void calendar_free(struct core_calendar *calendar)
{
    arena_release(&calendar->arena);
    mem_free(calendar);
}

void calendars_release(struct calendars *calendars)
{
    must(list_empty(&calendars->rules) && list_empty(&calendars->stale));
    for (size_t i = 0; i < calendars->n; i++)
        calendar_free(calendars->item[i]);
    mem_free(calendars->item);
    strmap_release(&calendars->rules_by_key);
    map_release(&calendars->by_trigger);
}

// Where the name is, or would be.
static size_t place_of(const struct calendars *calendars, const char *name, bool *ret_found)
{
    size_t low = 0, high = calendars->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(calendars->item[middle]->calendar.name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = low < calendars->n && strcmp(calendars->item[low]->calendar.name, name) == 0;
    return low;
}

struct core_calendar *calendar_by_name(const struct core *core, const char *name)
{
    bool found = false;
    size_t at = place_of(&core->calendars, name, &found);
    return found ? core->calendars.item[at] : NULL;
}

// ---- rules

// From what its calendars hold now.
static void rule_build(struct day_rule *rule)
{
    const struct calendar *exclude[CALENDAR_NAMES_MAX], *include[CALENDAR_NAMES_MAX];
    rule->changed_seq = 0;
    rule->changed_usec = 0;
    for (uint32_t i = 0; i < rule->n_exclude + rule->n_include; i++) {
        const struct core_calendar *calendar = i < rule->n_exclude ? rule->exclude[i] : rule->include[i - rule->n_exclude];
        if (i < rule->n_exclude)
            exclude[i] = &calendar->calendar;
        else
            include[i - rule->n_exclude] = &calendar->calendar;
        if (calendar->put_seq > rule->changed_seq) {
            rule->changed_seq = calendar->put_seq;
            rule->changed_usec = calendar->put_usec;
        }
    }
    arena_clear(&rule->arena);
    day_set_left_out(&rule->arena, exclude, rule->n_exclude, include, rule->n_include, &rule->left_out);
}

static void rule_key(const struct trigger *trigger, struct buf *key)
{
    for (uint32_t i = 0; i < trigger->n_exclude; i++)
        buf_printf(key, "-%s\n", trigger->exclude[i]);
    for (uint32_t i = 0; i < trigger->n_include; i++)
        buf_printf(key, "+%s\n", trigger->include[i]);
}

static struct day_rule *rule_intern(struct core *core, const struct trigger *trigger)
{
    struct calendars *calendars = &core->calendars;
    must(trigger->n_exclude <= CALENDAR_NAMES_MAX && trigger->n_include <= CALENDAR_NAMES_MAX);
    struct buf key;
    buf_init(&key);
    rule_key(trigger, &key);
    struct day_rule *rule = strmap_get(&calendars->rules_by_key, key.data);
    if (rule) {
        buf_release(&key);
        rule->refs++;
        return rule;
    }
    rule = mem_alloc(sizeof(*rule));
    rule->key = buf_detach(&key);
    rule->refs = 1;
    rule->n_exclude = trigger->n_exclude;
    rule->n_include = trigger->n_include;
    for (uint32_t i = 0; i < rule->n_exclude + rule->n_include; i++) {
        bool excluded = i < rule->n_exclude;
        struct core_calendar *calendar = calendar_by_name(core, excluded ? trigger->exclude[i] : trigger->include[i - rule->n_exclude]);
        must(calendar != NULL);
        calendar->refs++;
        *(excluded ? &rule->exclude[i] : &rule->include[i - rule->n_exclude]) = calendar;
    }
    arena_init(&rule->arena, 0);
    list_init(&rule->users);
    list_init(&rule->all);
    list_add_tail(&calendars->rules, &rule->all);
    must(strmap_put(&calendars->rules_by_key, rule->key, rule) == NULL);
    rule_build(rule);
    return rule;
}

static void rule_unref(struct core *core, struct day_rule *rule)
{
    must(rule->refs > 0);
    if (--rule->refs > 0)
        return;
    must(list_empty(&rule->users));
    for (uint32_t i = 0; i < rule->n_exclude; i++)
        rule->exclude[i]->refs--;
    for (uint32_t i = 0; i < rule->n_include; i++)
        rule->include[i]->refs--;
    list_del(&rule->all);
    must(strmap_del(&core->calendars.rules_by_key, rule->key) == rule);
    arena_release(&rule->arena);
    mem_free(rule->key);
    mem_free(rule);
}

bool day_rule_names(const struct day_rule *rule, const struct core_calendar *calendar)
{
    for (uint32_t i = 0; i < rule->n_exclude; i++)
        if (rule->exclude[i] == calendar)
            return true;
    for (uint32_t i = 0; i < rule->n_include; i++)
        if (rule->include[i] == calendar)
            return true;
    return false;
}

static size_t add_user(const struct job **jobs, size_t n, size_t max, const struct job *job)
{
    for (size_t i = 0; i < n; i++)
        if (jobs[i] == job)
            return n;
    if (n < max)
        jobs[n++] = job;
    return n;
}

size_t calendar_users(const struct core *core, const struct core_calendar *calendar, const struct job **ret_jobs, size_t max, uint64_t *ret_schedules)
{
    size_t n = 0;
    uint64_t n_schedules = 0;
    struct list *pos, *at;
    list_for_each(pos, &core->calendars.rules) {
        const struct day_rule *rule = list_entry(pos, struct day_rule, all);
        if (!day_rule_names(rule, calendar))
            continue;
        n_schedules += rule->refs;
        for (at = rule->users.next; at != &rule->users && n < max; at = at->next)
            n = add_user(ret_jobs, n, max, list_entry(at, struct trigger_days, in_rule)->job);
    }
    for (at = core->calendars.stale.next; at != &core->calendars.stale && n < max; at = at->next) {
        const struct trigger_days *days = list_entry(at, struct trigger_days, in_rule);
        if (day_rule_names(days->rule, calendar))
            n = add_user(ret_jobs, n, max, days->job);
    }
    if (ret_schedules)
        *ret_schedules = n_schedules;
    return n;
}

// ---- triggers

static uint64_t days_key(const struct job *job, size_t trigger)
{
    must(trigger < 1u << TRIGGER_BITS && job->id < UINT64_C(1) << (64 - TRIGGER_BITS));
    return job->id << TRIGGER_BITS | trigger;
}

struct trigger_days *days_of(const struct core *core, const struct job *job, size_t trigger)
{
    return job->has_days ? map_get(&core->calendars.by_trigger, days_key(job, trigger)) : NULL;
}

const struct day_set *days_left_out(const struct core *core, const struct job *job, size_t trigger)
{
    const struct trigger_days *days = days_of(core, job, trigger);
    return days ? &days->rule->left_out : NULL;
}

// Into the list that it belongs to.
static void days_place(struct core *core, struct trigger_days *days)
{
    list_del(&days->in_rule);
    bool stale = days->planned_seq < days->rule->changed_seq;
    list_add_tail(stale ? &core->calendars.stale : &days->rule->users, &days->in_rule);
}

void days_attach(struct core *core, struct job *job, const struct job_spec *spec, const usec_t *left_out_usec, const uint64_t *planned_seq)
{
    must(!job->has_days);
    for (size_t i = 0; i < spec->n_triggers; i++) {
        if (spec->triggers[i].n_exclude + spec->triggers[i].n_include == 0)
            continue;
        struct trigger_days *days = mem_alloc(sizeof(*days));
        *days = (struct trigger_days){.job = job,
                                      .trigger = (uint32_t)i,
                                      .rule = rule_intern(core, &spec->triggers[i]),
                                      .left_out_usec = left_out_usec ? left_out_usec[i] : USEC_NEVER,
                                      .planned_seq = planned_seq ? planned_seq[i] : core->seq};
        list_init(&days->in_rule);
        days_place(core, days);
        must(map_put(&core->calendars.by_trigger, days_key(job, i), days) == NULL);
        job->has_days = true;
    }
}

void days_detach(struct core *core, struct job *job)
{
    for (size_t i = 0; job->has_days && i < job->n_triggers; i++) {
        struct trigger_days *days = map_del(&core->calendars.by_trigger, days_key(job, i));
        if (!days)
            continue;
        list_del(&days->in_rule);
        rule_unref(core, days->rule);
        mem_free(days);
    }
    job->has_days = false;
}

void days_planned(struct core *core, struct job *job, const usec_t *left_out_usec)
{
    for (size_t i = 0; i < job->n_triggers; i++) {
        struct trigger_days *days = days_of(core, job, i);
        if (!days)
            continue;
        days->left_out_usec = left_out_usec ? left_out_usec[i] : USEC_NEVER;
        days->planned_seq = core->seq;
        days_place(core, days);
    }
}

void days_fired(const struct core *core, const struct job *job, const struct rec_job_fired *rec)
{
    struct trigger_days *days = days_of(core, job, rec->trigger);
    must(days || (rec->left_out_usec == 0 && rec->outcome != FIRE_SKIPPED_CALENDAR));
    if (!days)
        return;
    must(days->left_out_usec == USEC_NEVER || rec->outcome == FIRE_SKIPPED_CALENDAR);
    days->left_out_usec = rec->left_out_usec != 0 ? rec->left_out_usec : USEC_NEVER;
}

bool days_stale(const struct core *core, const struct job *job)
{
    for (size_t i = 0; i < job->n_triggers; i++) {
        const struct trigger_days *days = days_of(core, job, i);
        if (days && days->planned_seq < days->rule->changed_seq)
            return true;
    }
    return false;
}

// The calendars that a trigger of a spec names.
struct named {
    const struct calendar *exclude[CALENDAR_NAMES_MAX], *include[CALENDAR_NAMES_MAX];
};

static int find_named(const struct core *core, const struct trigger *trigger, struct named *ret, struct err *err)
{
    for (uint32_t i = 0; i < trigger->n_exclude + trigger->n_include; i++) {
        bool excluded = i < trigger->n_exclude;
        const char *name = excluded ? trigger->exclude[i] : trigger->include[i - trigger->n_exclude];
        const struct core_calendar *calendar = calendar_by_name(core, name);
        if (!calendar)
            return err_set(err, ERR_INVALID, "there is no calendar '%.128s'", name);
        *(excluded ? &ret->exclude[i] : &ret->include[i - trigger->n_exclude]) = &calendar->calendar;
    }
    return 0;
}

int core_view_left_out(const struct core *core, const struct trigger *trigger, struct arena *arena, struct day_set *ret, struct err *err)
{
    struct named named;
    *ret = (struct day_set){0};
    int rc = find_named(core, trigger, &named, err);
    if (rc == 0)
        day_set_left_out(arena, named.exclude, trigger->n_exclude, named.include, trigger->n_include, ret);
    return rc;
}

const char *core_view_why_left_out(const struct core *core, const struct trigger *trigger, int32_t day, struct arena *arena)
{
    struct named named;
    if (find_named(core, trigger, &named, NULL) < 0)
        return NULL;
    return calendar_why(arena, named.exclude, trigger->n_exclude, named.include, trigger->n_include, day, true);
}

// ---- the fold

static struct core_calendar *calendar_add(struct core *core, const char *name)
{
    struct calendars *calendars = &core->calendars;
    bool found = false;
    size_t at = place_of(calendars, name, &found);
    if (found)
        return calendars->item[at];
    if (calendars->n == calendars->cap) {
        calendars->cap = calendars->cap ? 2 * calendars->cap : 16;
        calendars->item = mem_realloc_array(calendars->item, calendars->cap, sizeof(*calendars->item));
    }
    memmove(&calendars->item[at + 1], &calendars->item[at], (calendars->n - at) * sizeof(*calendars->item));
    struct core_calendar *calendar = mem_alloc(sizeof(*calendar));
    arena_init(&calendar->arena, 0);
    calendars->item[at] = calendar;
    calendars->n++;
    return calendar;
}

static void calendar_set(struct core_calendar *calendar, const struct calendar *content)
{
    arena_clear(&calendar->arena);
    calendar_copy(&calendar->arena, &calendar->calendar, content);
}

void apply_calendar_put(struct core *core, const struct record *record)
{
    const struct rec_calendar_put *rec = &record->calendar_put;
    struct core_calendar *calendar = calendar_add(core, rec->calendar->name);
    must(rec->version == calendar->version + 1);
    calendar_set(calendar, rec->calendar);
    calendar->version = rec->version;
    calendar->put_usec = record->at_usec;
    calendar->put_seq = record->seq;
    struct list *pos;
    list_for_each(pos, &core->calendars.rules) {
        struct day_rule *rule = list_entry(pos, struct day_rule, all);
        if (!day_rule_names(rule, calendar))
            continue;
        rule_build(rule);
        list_join(&core->calendars.stale, &rule->users);
    }
}

void apply_calendar_deleted(struct core *core, const struct record *record)
{
    struct calendars *calendars = &core->calendars;
    bool found = false;
    size_t at = place_of(calendars, record->calendar_deleted.name, &found);
    must(found && calendars->item[at]->refs == 0);
    calendar_free(calendars->item[at]);
    calendars->n--;
    memmove(&calendars->item[at], &calendars->item[at + 1], (calendars->n - at) * sizeof(*calendars->item));
}

void apply_job_rescheduled(struct core *core, const struct record *record)
{
    const struct rec_job_rescheduled *rec = &record->job_rescheduled;
    struct job *job = map_get(&core->jobs, rec->job_id);
    must(job != NULL);
    must(rec->n_next == job->n_triggers);
    for (size_t i = 0; i < rec->n_next; i++)
        job->triggers[i].next_usec = rec->next_usec[i];
    days_planned(core, job, rec->left_out_usec);
    job_arm(core, job);
}

void calendar_load(struct core *core, const struct snap_calendar *snap)
{
    struct core_calendar *calendar = calendar_add(core, snap->calendar->name);
    calendar_set(calendar, snap->calendar);
    calendar->version = snap->version;
    calendar->put_usec = snap->put_usec;
    calendar->put_seq = snap->put_seq;
}

// Calendars are in order, and their rules and those who use them are counted.
void check_calendars(const struct core *core)
{
    const struct calendars *calendars = &core->calendars;
    size_t n_users = 0, n_refs = 0, n_named = 0;
    for (size_t i = 0; i < calendars->n; i++) {
        must(calendar_fault(&calendars->item[i]->calendar) == NULL);
        must(i == 0 || strcmp(calendars->item[i - 1]->calendar.name, calendars->item[i]->calendar.name) < 0);
        must(calendars->item[i]->version > 0 && calendars->item[i]->put_seq <= core->seq);
        n_named += calendars->item[i]->refs;
    }
    struct list *pos, *at;
    list_for_each(pos, &calendars->rules) {
        const struct day_rule *rule = list_entry(pos, struct day_rule, all);
        must(rule->refs > 0);
        n_refs += rule->refs;
        n_named -= rule->n_exclude + rule->n_include;
        list_for_each(at, &rule->users) {
            const struct trigger_days *days = list_entry(at, struct trigger_days, in_rule);
            must(days->rule == rule && days->planned_seq >= rule->changed_seq);
            n_users++;
        }
    }
    must(n_named == 0);
    list_for_each(at, &calendars->stale) {
        const struct trigger_days *days = list_entry(at, struct trigger_days, in_rule);
        must(days->planned_seq < days->rule->changed_seq);
        n_users++;
    }
    must(n_users == n_refs && n_users == map_len(&calendars->by_trigger));
    list_for_each(pos, &core->jobs_by_id) {
        const struct job *job = list_entry(pos, struct job, all);
        for (size_t i = 0; i < job->n_triggers; i++) {
            const struct trigger_days *days = days_of(core, job, i);
            n_users -= days != NULL;
            must(!days || (days->job == job && days->trigger == i));
            // What is left out lies before what is due next.
            must(!days || days->left_out_usec == USEC_NEVER || days->left_out_usec < job->triggers[i].next_usec);
        }
    }
    must(n_users == 0);
}

// ---- views

enum { VIEW_JOBS = 100 };

static void view_calendar(const struct core *core, const struct core_calendar *calendar, size_t max, struct arena *arena, struct calendar_view *view)
{
    const struct job **jobs = arena_array(arena, const struct job *, max);
    const char **names = arena_array(arena, const char *, max);
    *view = (struct calendar_view){.version = calendar->version, .put_usec = calendar->put_usec, .jobs = names};
    view->n_jobs = calendar_users(core, calendar, jobs, max, &view->n_schedules);
    for (size_t i = 0; i < view->n_jobs; i++)
        names[i] = arena_strdup(arena, jobs[i]->full_name);
}

int core_view_calendar(const struct core *core, const char *name, struct arena *arena, struct calendar_view *ret_view)
{
    const struct core_calendar *calendar = calendar_by_name(core, name);
    if (!calendar)
        return ERR_NOT_FOUND;
    view_calendar(core, calendar, VIEW_JOBS, arena, ret_view);
    calendar_copy(arena, &ret_view->calendar, &calendar->calendar);
    return 0;
}

size_t core_view_calendars(const struct core *core, const char *after, size_t max, struct arena *arena, struct calendar_view **ret_views)
{
    const struct calendars *calendars = &core->calendars;
    bool found = false;
    size_t at = after ? place_of(calendars, after, &found) : 0, n = 0;
    *ret_views = arena_array(arena, struct calendar_view, max);
    for (at += found; at < calendars->n && n < max; at++, n++) {
        struct calendar_view *view = &(*ret_views)[n];
        view_calendar(core, calendars->item[at], 0, arena, view);
        view->calendar = (struct calendar){.name = arena_strdup(arena, calendars->item[at]->calendar.name),
                                           .description = arena_strdup(arena, calendars->item[at]->calendar.description),
                                           .n_dates = calendars->item[at]->calendar.n_dates};
    }
    return n;
}
