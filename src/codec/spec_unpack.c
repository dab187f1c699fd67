// SPDX-License-Identifier: Apache-2.0
// Bytes into job specs. The texts are those that protobuf-c copied into the arena.
#include "base/assert.h"
#include "codec/codec.h"
#include "codec/spec.h"
#include "proto/job.pb-c.h"

static const char *text_or_default(const char *text)
{
    return text[0] != '\0' ? text : "default";
}

static const struct pair *unpack_pairs(struct arena *arena, Muster__Pair **from, size_t n)
{
    struct pair *pair = arena_array(arena, struct pair, n);
    for (size_t i = 0; i < n; i++)
        pair[i] = (struct pair){.key = from[i]->key, .value = from[i]->value};
    return pair;
}

static const struct resource_need *unpack_needs(struct arena *arena, Muster__ResourceNeed **from, size_t n)
{
    struct resource_need *need = arena_array(arena, struct resource_need, n);
    for (size_t i = 0; i < n; i++)
        need[i] = (struct resource_need){.name = from[i]->name, .amount = from[i]->amount};
    return need;
}

static const struct constraint *unpack_constraints(struct arena *arena, Muster__Constraint **from, size_t n)
{
    struct constraint *constraint = arena_array(arena, struct constraint, n);
    for (size_t i = 0; i < n; i++)
        constraint[i] = (struct constraint){
            .label = from[i]->label,
            .op = (enum constraint_op)from[i]->op,
            .values = (const char *const *)from[i]->values,
            .n_values = from[i]->n_values,
        };
    return constraint;
}

static const struct dependency *unpack_after(struct arena *arena, Muster__Dependency **from, size_t n)
{
    struct dependency *after = arena_array(arena, struct dependency, n);
    for (size_t i = 0; i < n; i++)
        after[i] = (struct dependency){.run_id = from[i]->run_id, .on = (enum after_on)from[i]->on};
    return after;
}

static void unpack_cron(const Muster__Cron *from, struct cron *cron)
{
    *cron = (struct cron){
        .second = from->second == 0 ? 1 : from->second,
        .minute = from->minute,
        .hour = from->hour,
        .day_of_month = from->day_of_month,
        // Clamped so that what does not fit stays a fault.
        .month = from->month > UINT16_MAX ? UINT16_MAX : (uint16_t)from->month,
        .day_of_week = from->day_of_week > UINT8_MAX ? UINT8_MAX : (uint8_t)from->day_of_week,
        .day_of_month_any = from->day_of_month_any != 0,
        .day_of_week_any = from->day_of_week_any != 0,
        .hour_wild = from->hour_wild != 0,
        .minute_wild = from->minute_wild != 0,
        .before_last = from->before_last,
        .weekday_near = from->weekday_near,
        .weekday_before_last = from->weekday_before_last,
    };
    for (size_t i = 0; i < from->n_nth_weekday && i < 6; i++)
        cron->nth_weekday[i] = from->nth_weekday[i] > UINT8_MAX ? UINT8_MAX : (uint8_t)from->nth_weekday[i];
    for (size_t i = 0; i < from->n_year && i < CRON_YEAR_WORDS; i++)
        cron->year[i] = from->year[i];
}

static const struct trigger *unpack_triggers(struct arena *arena, Muster__Trigger **from, size_t n)
{
    struct trigger *trigger = arena_array(arena, struct trigger, n);
    for (size_t i = 0; i < n; i++) {
        trigger[i] = (struct trigger){
            .kind = (enum trigger_kind)from[i]->kind,
            .text = from[i]->text,
            .zone = from[i]->zone[0] != '\0' ? from[i]->zone : "UTC",
            .every_usec = from[i]->every_usec,
            .at_usec = from[i]->at_usec,
            .quartz = from[i]->quartz != 0,
            .from_usec = from[i]->from_usec,
            .until_usec = from[i]->until_usec,
            .has_between = from[i]->has_between != 0,
            // Clamped so that what does not fit stays a fault.
            .between_first_sec = from[i]->between_first_sec > INT32_MAX ? INT32_MAX : (int32_t)from[i]->between_first_sec,
            .between_last_sec = from[i]->between_last_sec > INT32_MAX ? INT32_MAX : (int32_t)from[i]->between_last_sec,
            .jitter_usec = from[i]->jitter_usec,
            .n_params = from[i]->n_params,
            .params = unpack_pairs(arena, from[i]->params, from[i]->n_params),
            .exclude = (const char *const *)from[i]->exclude,
            .n_exclude = (uint32_t)from[i]->n_exclude,
            .include = (const char *const *)from[i]->include,
            .n_include = (uint32_t)from[i]->n_include,
        };
        if (from[i]->cron != NULL)
            unpack_cron(from[i]->cron, &trigger[i].cron);
    }
    return trigger;
}

static const struct param *unpack_params(struct arena *arena, Muster__Param **from, size_t n)
{
    struct param *param = arena_array(arena, struct param, n);
    for (size_t i = 0; i < n; i++)
        param[i] = (struct param){
            .name = from[i]->name, .value = from[i]->has_value ? from[i]->value : NULL, .required = from[i]->required != 0};
    return param;
}

static int unpack_tasks(struct unpacker *u, const Muster__IndexSet *from, struct index_set *ret_set)
{
    size_t n = from != NULL ? from->n_gap : 0;
    struct index_range *range = arena_array(u->arena, struct index_range, n > 0 ? n : 1);
    if (n == 0) {
        range[0].step = 1;
        bool good = index_set_init(ret_set, range, 1);
        must(good);
        return 0;
    }
    if (from->n_span != n)
        return unpack_bad(u, "its tasks have %zu gaps and %zu spans", n, from->n_span);
    int rc = column32_unpack(u, "step", from->step, from->n_step, &range[0].step, sizeof(range[0]), n, COLUMN_PLAIN);
    if (rc < 0)
        return rc;
    uint64_t next = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t first = next + from->gap[i];
        uint64_t last = first + from->span[i];
        if (last > UINT32_MAX || range[i].step == UINT32_MAX)
            return unpack_bad(u, "its tasks have an index that is too large");
        range[i].first = (uint32_t)first;
        range[i].last = (uint32_t)last;
        range[i].step++;
        next = last + 1;
    }
    if (!index_set_init(ret_set, range, n))
        return unpack_bad(u, "its tasks are no set of indexes");
    return 0;
}

static void unpack_retry(const Muster__Retry *from, struct retry *retry)
{
    if (from == NULL) {
        struct job_spec usual;
        job_spec_init(&usual);
        *retry = usual.retry;
        return;
    }
    *retry = (struct retry){
        .limit = from->limit,
        .backoff_usec = from->backoff_usec,
        .factor_permille = from->factor_permille,
        .backoff_max_usec = from->backoff_max_usec,
        .jitter_permille = from->jitter_permille,
        .exit_codes = from->exit_codes,
        .n_exit_codes = from->n_exit_codes,
        .causes = from->causes,
    };
}

static void unpack_scalars(const Muster__JobSpec *from, struct job_spec *spec)
{
    *spec = (struct job_spec){
        .namespace_name = text_or_default(from->namespace_name),
        .name = text_or_null(from->name),
        .description = text_or_null(from->description),
        .command = (const char *const *)from->command,
        .n_command = from->n_command,
        .script = text_or_null(from->script),
        .workdir = text_or_null(from->workdir),
        .user = text_or_null(from->user),
        .cpu_declared = from->cpu_declared != 0,
        .parallelism = from->parallelism,
        .priority = from->priority,
        .queue = text_or_default(from->queue),
        .time_limit_usec = from->time_limit_usec,
        .queue_deadline_usec = from->queue_deadline_usec,
        .kill_grace_usec = from->kill_grace_usec,
        .start_at_usec = from->start_at_usec,
        .delivery = (enum delivery)from->delivery,
        .concurrency_key = text_or_null(from->concurrency_key),
        .concurrency_limit = from->concurrency_limit,
        .log_bytes_max = from->log_bytes_max,
        .overlap = (enum overlap)from->overlap,
        .misfire = (enum misfire)from->misfire,
        .pause_after = from->pause_after,
        .catch_up_window_usec = from->catch_up_window_usec,
        .catch_up_max = from->catch_up_max,
        .late_after_usec = from->late_after_usec,
    };
}

int spec_unpack_in(struct unpacker *u, struct bytes bytes, const struct job_spec **ret_spec)
{
    struct arena *arena = u->arena;
    if (bytes.len == 0)
        return unpack_bad(u, "it has no job spec"); // every spec has a limit of its concurrency, if nothing else
    Muster__JobSpec *from = unpack_message(u, &muster__job_spec__descriptor, bytes);
    if (from == NULL)
        return u->code;
    struct job_spec *spec = arena_new(arena, struct job_spec);
    unpack_scalars(from, spec);
    spec->n_env = from->n_env;
    spec->env = unpack_pairs(arena, from->env, from->n_env);
    spec->n_needs = from->n_needs;
    spec->needs = unpack_needs(arena, from->needs, from->n_needs);
    spec->n_constraints = from->n_constraints;
    spec->constraints = unpack_constraints(arena, from->constraints, from->n_constraints);
    spec->n_after = from->n_after;
    spec->after = unpack_after(arena, from->after, from->n_after);
    spec->n_triggers = from->n_triggers;
    spec->triggers = unpack_triggers(arena, from->triggers, from->n_triggers);
    spec->n_labels = from->n_labels;
    spec->labels = unpack_pairs(arena, from->labels, from->n_labels);
    spec->n_params = from->n_params;
    spec->params = unpack_params(arena, from->params, from->n_params);
    unpack_retry(from->retry, &spec->retry);
    int rc = unpack_tasks(u, from->tasks, &spec->tasks);
    if (rc < 0)
        return rc;
    const char *fault = spec_fault(spec);
    if (fault != NULL)
        return unpack_bad(u, "its job spec is not valid: %s", fault);
    *ret_spec = spec;
    return 0;
}

int spec_unpack(struct bytes bytes, struct arena *arena, const struct job_spec **ret_spec, struct err *err)
{
    must(arena != NULL && ret_spec != NULL);
    struct unpacker u;
    unpacker_init(&u, arena, bytes.len, ERR_PROTOCOL, "job spec", err);
    return spec_unpack_in(&u, bytes, ret_spec);
}
