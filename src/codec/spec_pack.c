// SPDX-License-Identifier: Apache-2.0
// Job specs into bytes, and what a spec must fulfil for that.
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "codec/codec.h"
#include "codec/spec.h"
#include "model/calendar.h"
#include "proto/job.pb-c.h"

static const char *const default_name = "default";

bool pairs_sorted(const struct pair *pair, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (strcmp(pair[i - 1].key, pair[i].key) >= 0)
            return false;
    return true;
}

bool needs_sorted(const struct resource_need *need, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (strcmp(need[i - 1].name, need[i].name) >= 0)
            return false;
    return true;
}

static const char *cron_fault(const struct cron *cron)
{
    bool fits = cron->second < UINT64_C(1) << 60 && cron->minute < UINT64_C(1) << 60 && cron->hour < 1u << 24
                && (cron->day_of_month & 1) == 0 && cron->month < 1u << 13 && (cron->month & 1) == 0
                && cron->day_of_week < 1u << 7;
    fits = fits && cron->before_last < 1u << 31 && (cron->weekday_near & 1) == 0 && cron->weekday_before_last < 1u << 31;
    for (size_t i = 0; i < 6; i++)
        fits = fits && cron->nth_weekday[i] < 1u << 7;
    return fits ? NULL : "a cron set has a value out of its range";
}

static bool names_sorted(const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (names[i][0] == '\0' || (i > 0 && strcmp(names[i - 1], names[i]) >= 0))
            return false;
    return true;
}

static const char *trigger_fault(const struct trigger *trigger)
{
    if (!pairs_sorted(trigger->params, trigger->n_params))
        return "the parameters of a trigger are not sorted by name";
    if (trigger->from_usec < 0 || trigger->until_usec < 0 || trigger->jitter_usec < 0 || trigger->jitter_usec > 366 * USEC_PER_DAY)
        return "a bound of a trigger is negative";
    if (trigger->between_first_sec < 0 || trigger->between_first_sec > 86400 || trigger->between_last_sec < 0
        || trigger->between_last_sec > 86400)
        return "a window of the day is longer than a day";
    if (trigger->n_exclude > CALENDAR_NAMES_MAX || trigger->n_include > CALENDAR_NAMES_MAX)
        return "a trigger has too many calendars";
    if (!names_sorted(trigger->exclude, trigger->n_exclude) || !names_sorted(trigger->include, trigger->n_include))
        return "the calendars of a trigger are not sorted by name";
    if (trigger->n_exclude + trigger->n_include > 0 && trigger->kind != TRIGGER_CRON && trigger->kind != TRIGGER_EVERY)
        return "a trigger without a rhythm has calendars";
    switch (trigger->kind) {
    case TRIGGER_CRON:
        return cron_fault(&trigger->cron);
    case TRIGGER_EVERY:
    case TRIGGER_AFTER_END:
        return trigger->every_usec > 0 ? NULL : "an interval is not positive";
    case TRIGGER_AT:
        return NULL;
    }
    return "the kind of a trigger is not known";
}

static const char *policy_fault(const struct job_spec *spec)
{
    if ((unsigned)spec->delivery > AT_MOST_ONCE || (unsigned)spec->overlap > OVERLAP_QUEUE_ALL || (unsigned)spec->misfire > MISFIRE_ALL)
        return "a policy is not known";
    if (spec->retry.backoff_usec < 0 || spec->retry.backoff_max_usec < 0)
        return "a backoff is negative";
    if (spec->retry.causes >> OUTCOMES != 0)
        return "a cause of retries is not known";
    for (size_t i = 0; i < spec->n_after; i++)
        if ((unsigned)spec->after[i].on > AFTER_ENDED)
            return "the condition of a dependency is not known";
    return NULL;
}

static const char *params_fault(const struct job_spec *spec)
{
    for (size_t i = 0; i < spec->n_params; i++) {
        if (i > 0 && strcmp(spec->params[i - 1].name, spec->params[i].name) >= 0)
            return "parameters are not sorted by name";
        if (spec->params[i].required && spec->params[i].value != NULL)
            return "a required parameter has a default";
    }
    return NULL;
}

const char *spec_fault(const struct job_spec *spec)
{
    if (params_fault(spec) != NULL)
        return params_fault(spec);
    if (!needs_sorted(spec->needs, spec->n_needs))
        return "resource needs are not sorted by name";
    if (!pairs_sorted(spec->labels, spec->n_labels))
        return "labels are not sorted by key";
    if (spec->time_limit_usec < 0 || spec->queue_deadline_usec < 0 || spec->kill_grace_usec < 0 || spec->catch_up_window_usec < 0
        || spec->late_after_usec < 0)
        return "a duration is negative";
    if (spec->concurrency_limit == 0)
        return "the limit of its concurrency is 0";
    if (spec->priority < -1000 || spec->priority > 1000)
        return "the priority is not within -1000 and 1000";
    for (size_t i = 0; i < spec->n_constraints; i++)
        if ((unsigned)spec->constraints[i].op > OP_NOT_EXISTS)
            return "the operator of a constraint is not known";
    for (size_t i = 0; i < spec->n_triggers; i++) {
        const char *fault = trigger_fault(&spec->triggers[i]);
        if (fault != NULL)
            return fault;
    }
    return policy_fault(spec);
}

// Everything of a packed spec that its message points to, beside the arrays.
struct spec_parts {
    Muster__IndexSet tasks;
    Muster__Retry retry;
};

static Muster__Pair **pack_pairs(struct arena *arena, const struct pair *pair, size_t n)
{
    Muster__Pair **ret = arena_array(arena, Muster__Pair *, n);
    Muster__Pair *item = arena_array(arena, Muster__Pair, n);
    for (size_t i = 0; i < n; i++) {
        muster__pair__init(&item[i]);
        item[i].key = pb_text(pair[i].key);
        item[i].value = pb_text(pair[i].value);
        ret[i] = &item[i];
    }
    return ret;
}

static void pack_needs(struct arena *arena, Muster__JobSpec *message, const struct job_spec *spec)
{
    message->n_needs = spec->n_needs;
    message->needs = arena_array(arena, Muster__ResourceNeed *, spec->n_needs);
    Muster__ResourceNeed *item = arena_array(arena, Muster__ResourceNeed, spec->n_needs);
    for (size_t i = 0; i < spec->n_needs; i++) {
        muster__resource_need__init(&item[i]);
        item[i].name = pb_text(spec->needs[i].name);
        item[i].amount = spec->needs[i].amount;
        message->needs[i] = &item[i];
    }
}

static void pack_constraints(struct arena *arena, Muster__JobSpec *message, const struct job_spec *spec)
{
    message->n_constraints = spec->n_constraints;
    message->constraints = arena_array(arena, Muster__Constraint *, spec->n_constraints);
    Muster__Constraint *item = arena_array(arena, Muster__Constraint, spec->n_constraints);
    for (size_t i = 0; i < spec->n_constraints; i++) {
        const struct constraint *constraint = &spec->constraints[i];
        muster__constraint__init(&item[i]);
        item[i].label = pb_text(constraint->label);
        item[i].op = (Muster__ConstraintOp)constraint->op;
        item[i].n_values = constraint->n_values;
        item[i].values = (char **)constraint->values;
        message->constraints[i] = &item[i];
    }
}

static bool set_is_one_task(const struct index_set *set)
{
    return set->n_ranges == 0 || (set->n_ranges == 1 && set->ranges[0].first == 0 && set->ranges[0].last == 0);
}

static void pack_tasks(struct arena *arena, Muster__JobSpec *message, Muster__IndexSet *set, const struct index_set *tasks)
{
    if (set_is_one_task(tasks))
        return;
    size_t n = tasks->n_ranges;
    muster__index_set__init(set);
    set->n_gap = set->n_span = n;
    set->gap = arena_array(arena, uint32_t, n);
    set->span = arena_array(arena, uint32_t, n);
    uint32_t *step = arena_array(arena, uint32_t, n);
    uint32_t next = 0; // the lowest index that the next range may begin with
    for (size_t i = 0; i < n; i++) {
        const struct index_range *range = &tasks->ranges[i];
        must(range->step > 0 && range->first <= range->last);
        must(range->first >= next && (i == 0 || next > 0));
        set->gap[i] = range->first - next;
        set->span[i] = range->last - range->first;
        step[i] = range->step - 1;
        next = range->last + 1;
    }
    set->step = column32_pack(arena, &set->n_step, step, sizeof(*step), n, COLUMN_PLAIN);
    message->tasks = set;
}

static bool retry_is_default(const struct retry *retry)
{
    struct job_spec usual;
    job_spec_init(&usual);
    return retry->limit == usual.retry.limit && retry->backoff_usec == usual.retry.backoff_usec
           && retry->factor_permille == usual.retry.factor_permille && retry->backoff_max_usec == usual.retry.backoff_max_usec
           && retry->jitter_permille == usual.retry.jitter_permille && retry->n_exit_codes == 0 && retry->causes == usual.retry.causes;
}

static void pack_retry(Muster__JobSpec *message, Muster__Retry *retry, const struct retry *from)
{
    if (retry_is_default(from))
        return;
    muster__retry__init(retry);
    retry->limit = from->limit;
    retry->backoff_usec = from->backoff_usec;
    retry->factor_permille = from->factor_permille;
    retry->backoff_max_usec = from->backoff_max_usec;
    retry->jitter_permille = from->jitter_permille;
    retry->n_exit_codes = from->n_exit_codes;
    retry->exit_codes = (int32_t *)from->exit_codes;
    retry->causes = from->causes;
    message->retry = retry;
}

static void pack_after(struct arena *arena, Muster__JobSpec *message, const struct job_spec *spec)
{
    message->n_after = spec->n_after;
    message->after = arena_array(arena, Muster__Dependency *, spec->n_after);
    Muster__Dependency *item = arena_array(arena, Muster__Dependency, spec->n_after);
    for (size_t i = 0; i < spec->n_after; i++) {
        muster__dependency__init(&item[i]);
        item[i].run_id = spec->after[i].run_id;
        item[i].on = (Muster__AfterOn)spec->after[i].on;
        message->after[i] = &item[i];
    }
}

static void pack_cron(struct arena *arena, Muster__Cron *message, const struct cron *cron)
{
    muster__cron__init(message);
    message->second = cron->second == 1 ? 0 : cron->second;
    message->minute = cron->minute;
    message->hour = cron->hour;
    message->day_of_month = cron->day_of_month;
    message->month = cron->month;
    message->day_of_week = cron->day_of_week;
    message->day_of_month_any = cron->day_of_month_any;
    message->day_of_week_any = cron->day_of_week_any;
    message->hour_wild = cron->hour_wild;
    message->minute_wild = cron->minute_wild;
    message->before_last = cron->before_last;
    message->weekday_near = cron->weekday_near;
    message->weekday_before_last = cron->weekday_before_last;
    uint8_t any_nth = 0;
    for (size_t i = 0; i < 6; i++)
        any_nth |= cron->nth_weekday[i];
    if (any_nth != 0) {
        message->n_nth_weekday = 6;
        message->nth_weekday = arena_array(arena, uint32_t, 6);
        for (size_t i = 0; i < 6; i++)
            message->nth_weekday[i] = cron->nth_weekday[i];
    }
    uint64_t any_year = 0;
    for (size_t i = 0; i < CRON_YEAR_WORDS; i++)
        any_year |= cron->year[i];
    if (any_year != 0) {
        message->n_year = CRON_YEAR_WORDS;
        message->year = (uint64_t *)cron->year;
    }
}

static void pack_triggers(struct arena *arena, Muster__JobSpec *message, const struct job_spec *spec)
{
    message->n_triggers = spec->n_triggers;
    message->triggers = arena_array(arena, Muster__Trigger *, spec->n_triggers);
    Muster__Trigger *item = arena_array(arena, Muster__Trigger, spec->n_triggers);
    for (size_t i = 0; i < spec->n_triggers; i++) {
        const struct trigger *trigger = &spec->triggers[i];
        muster__trigger__init(&item[i]);
        item[i].kind = (Muster__TriggerKind)trigger->kind;
        item[i].text = pb_text(trigger->text);
        item[i].zone = pb_text(str_eq(trigger->zone, "UTC") ? NULL : trigger->zone);
        if (trigger->kind == TRIGGER_CRON) {
            item[i].cron = arena_new(arena, Muster__Cron);
            pack_cron(arena, item[i].cron, &trigger->cron);
        }
        item[i].every_usec = trigger->every_usec;
        item[i].at_usec = trigger->at_usec;
        item[i].quartz = trigger->quartz;
        item[i].from_usec = trigger->from_usec;
        item[i].until_usec = trigger->until_usec;
        item[i].has_between = trigger->has_between;
        item[i].between_first_sec = (uint32_t)trigger->between_first_sec;
        item[i].between_last_sec = (uint32_t)trigger->between_last_sec;
        item[i].jitter_usec = trigger->jitter_usec;
        item[i].n_params = trigger->n_params;
        item[i].params = trigger->n_params > 0 ? pack_pairs(arena, trigger->params, trigger->n_params) : NULL;
        item[i].n_exclude = trigger->n_exclude;
        item[i].exclude = (char **)trigger->exclude;
        item[i].n_include = trigger->n_include;
        item[i].include = (char **)trigger->include;
        message->triggers[i] = &item[i];
    }
}

static void pack_params(struct arena *arena, Muster__JobSpec *message, const struct job_spec *spec)
{
    message->n_params = spec->n_params;
    message->params = arena_array(arena, Muster__Param *, spec->n_params);
    Muster__Param *item = arena_array(arena, Muster__Param, spec->n_params);
    for (size_t i = 0; i < spec->n_params; i++) {
        const struct param *param = &spec->params[i];
        muster__param__init(&item[i]);
        item[i].name = pb_text(param->name);
        item[i].value = pb_text(param->value);
        item[i].has_value = param->value != NULL;
        item[i].required = param->required;
        message->params[i] = &item[i];
    }
}

static void pack_lists(struct arena *arena, Muster__JobSpec *message, const struct job_spec *spec)
{
    message->n_command = spec->n_command;
    message->command = (char **)spec->command;
    if (spec->n_env > 0) {
        message->n_env = spec->n_env;
        message->env = pack_pairs(arena, spec->env, spec->n_env);
    }
    if (spec->n_labels > 0) {
        message->n_labels = spec->n_labels;
        message->labels = pack_pairs(arena, spec->labels, spec->n_labels);
    }
    if (spec->n_needs > 0)
        pack_needs(arena, message, spec);
    if (spec->n_constraints > 0)
        pack_constraints(arena, message, spec);
    if (spec->n_after > 0)
        pack_after(arena, message, spec);
    if (spec->n_triggers > 0)
        pack_triggers(arena, message, spec);
    if (spec->n_params > 0)
        pack_params(arena, message, spec);
}

void spec_pack(struct buf *buf, const struct job_spec *spec)
{
    must(buf != NULL && spec != NULL);
    must(spec_fault(spec) == NULL);
    struct arena arena;
    arena_init(&arena, 0);
    Muster__JobSpec message;
    struct spec_parts parts;
    muster__job_spec__init(&message);
    message.namespace_name = pb_text(str_eq(spec->namespace_name, default_name) ? NULL : spec->namespace_name);
    message.name = pb_text(spec->name);
    message.description = pb_text(spec->description);
    message.script = pb_text(spec->script);
    message.workdir = pb_text(spec->workdir);
    message.user = pb_text(spec->user);
    message.cpu_declared = spec->cpu_declared;
    message.parallelism = spec->parallelism;
    message.priority = spec->priority;
    message.queue = pb_text(str_eq(spec->queue, default_name) ? NULL : spec->queue);
    message.time_limit_usec = spec->time_limit_usec;
    message.queue_deadline_usec = spec->queue_deadline_usec;
    message.kill_grace_usec = spec->kill_grace_usec;
    message.start_at_usec = spec->start_at_usec;
    message.delivery = (Muster__Delivery)spec->delivery;
    message.concurrency_key = pb_text(spec->concurrency_key);
    message.concurrency_limit = spec->concurrency_limit;
    message.log_bytes_max = spec->log_bytes_max;
    message.overlap = (Muster__Overlap)spec->overlap;
    message.misfire = (Muster__Misfire)spec->misfire;
    message.pause_after = spec->pause_after;
    message.catch_up_window_usec = spec->catch_up_window_usec;
    message.catch_up_max = spec->catch_up_max;
    message.late_after_usec = spec->late_after_usec;
    pack_lists(&arena, &message, spec);
    pack_tasks(&arena, &message, &parts.tasks, &spec->tasks);
    pack_retry(&message, &parts.retry, &spec->retry);
    pack_message(buf, &message.base);
    arena_release(&arena);
}
