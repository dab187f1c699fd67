// SPDX-License-Identifier: Apache-2.0
// Building blocks of random values, and job specs.
#include <inttypes.h>

#include "codec/codec.h"
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

bool gen_some(struct gen *g)
{
    return g->size == GEN_FULL || (g->size == GEN_RANDOM && prng_chance(&g->prng, 500));
}

uint64_t gen_u64(struct gen *g)
{
    if (g->size == GEN_MINIMAL)
        return 0;
    uint64_t value = prng_u64(&g->prng) >> prng_below(&g->prng, 64);
    return g->size == GEN_FULL && value == 0 ? 1 : value;
}

uint32_t gen_u32(struct gen *g)
{
    if (g->size == GEN_MINIMAL)
        return 0;
    uint32_t value = (uint32_t)prng_u64(&g->prng) >> prng_below(&g->prng, 32);
    return g->size == GEN_FULL && value == 0 ? 1 : value;
}

usec_t gen_usec(struct gen *g)
{
    if (g->size != GEN_MINIMAL && prng_chance(&g->prng, 50))
        return USEC_NEVER;
    return (usec_t)(gen_u64(g) >> 1);
}

uint32_t gen_enum(struct gen *g, uint32_t values)
{
    return g->size == GEN_MINIMAL ? 0 : (uint32_t)prng_below(&g->prng, values);
}

size_t gen_count(struct gen *g, size_t most)
{
    if (g->size == GEN_MINIMAL)
        return 0;
    return g->size == GEN_FULL ? most : (size_t)prng_below(&g->prng, most + 1);
}

const char *gen_text(struct gen *g)
{
    size_t len = g->size == GEN_MINIMAL ? 1 : 1 + (size_t)prng_below(&g->prng, 20);
    char *text = arena_alloc(g->arena, len + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(1 + prng_below(&g->prng, 127));
    return text;
}

const char *gen_maybe_text(struct gen *g)
{
    return gen_some(g) ? gen_text(g) : NULL;
}

struct bytes gen_bytes(struct gen *g, size_t len)
{
    uint8_t *data = arena_alloc(g->arena, len);
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)prng_u64(&g->prng);
    return (struct bytes){.data = data, .len = len};
}

static const char *const *gen_texts(struct gen *g, size_t *ret_n, size_t most)
{
    *ret_n = gen_count(g, most);
    const char **texts = arena_array(g->arena, const char *, *ret_n);
    for (size_t i = 0; i < *ret_n; i++)
        texts[i] = prng_chance(&g->prng, 100) ? "" : gen_text(g);
    return texts;
}

static const struct pair *gen_pairs(struct gen *g, size_t *ret_n)
{
    *ret_n = gen_count(g, 6);
    struct pair *pair = arena_array(g->arena, struct pair, *ret_n);
    for (size_t i = 0; i < *ret_n; i++)
        pair[i] = (struct pair){
            .key = arena_printf(g->arena, "%02zu%s", i, gen_text(g)), // sorted
            .value = prng_chance(&g->prng, 100) ? "" : gen_text(g),
        };
    return pair;
}

static const struct resource_need *gen_needs(struct gen *g, size_t *ret_n)
{
    static const char *const names[] = {"cpu", "disk", "gpu", "license", "memory"};
    *ret_n = gen_count(g, 5);
    struct resource_need *need = arena_array(g->arena, struct resource_need, *ret_n);
    for (size_t i = 0; i < *ret_n; i++)
        need[i] = (struct resource_need){.name = names[i], .amount = gen_u64(g)};
    return need;
}

static struct index_set gen_tasks(struct gen *g)
{
    size_t n = g->size == GEN_MINIMAL ? 1 : 1 + gen_count(g, 20);
    struct index_range *range = arena_array(g->arena, struct index_range, n);
    uint64_t next = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t step = gen_some(g) ? 1 + (uint32_t)prng_below(&g->prng, 1000) : 1;
        uint64_t first = g->size == GEN_MINIMAL ? 0 : next + prng_below(&g->prng, 1u << 26);
        uint64_t span = g->size == GEN_MINIMAL ? 0 : prng_below(&g->prng, 1u << 26);
        range[i] = (struct index_range){.first = (uint32_t)first, .last = (uint32_t)(first + span), .step = step};
        next = first + span + 1;
    }
    assert_true(next <= UINT32_MAX);
    struct index_set set;
    assert_true(index_set_init(&set, range, n));
    return set;
}

static const struct constraint *gen_constraints(struct gen *g, size_t *ret_n)
{
    *ret_n = gen_count(g, 4);
    struct constraint *constraint = arena_array(g->arena, struct constraint, *ret_n);
    for (size_t i = 0; i < *ret_n; i++) {
        constraint[i].label = gen_text(g);
        constraint[i].op = gen_enum(g, OP_NOT_EXISTS + 1);
        constraint[i].values = gen_texts(g, &constraint[i].n_values, 3);
    }
    return constraint;
}

static struct cron gen_cron(struct gen *g)
{
    return (struct cron){
        .second = (gen_u64(g) & ((UINT64_C(1) << 60) - 1)) | UINT64_C(1) << prng_below(&g->prng, 60), // a set is never empty
        .minute = gen_u64(g) & ((UINT64_C(1) << 60) - 1),
        .hour = gen_u32(g) & 0xffffff,
        .day_of_month = gen_u32(g) & ~1u,
        .month = (uint16_t)(gen_u32(g) & 0x1ffe),
        .day_of_week = (uint8_t)(gen_u32(g) & 0x7f),
        .day_of_month_any = gen_some(g),
        .day_of_week_any = gen_some(g),
        .hour_wild = gen_some(g),
        .minute_wild = gen_some(g),
        .before_last = gen_some(g) ? gen_u32(g) & 0x7fffffff : 0,
        .weekday_near = gen_some(g) ? gen_u32(g) & ~1u : 0,
        .weekday_before_last = gen_some(g) ? gen_u32(g) & 0x7fffffff : 0,
        .nth_weekday = {gen_some(g) ? gen_u32(g) & 0x7f : 0, 0, 0, 0, 0, gen_some(g) ? gen_u32(g) & 0x7f : 0},
        .year = {gen_some(g) ? gen_u64(g) : 0, 0, gen_some(g) ? gen_u64(g) : 0},
    };
}

static const struct trigger *gen_triggers(struct gen *g, size_t *ret_n)
{
    *ret_n = gen_count(g, 4);
    struct trigger *trigger = arena_array(g->arena, struct trigger, *ret_n);
    for (size_t i = 0; i < *ret_n; i++) {
        trigger[i].kind = gen_enum(g, TRIGGER_AFTER_END + 1);
        trigger[i].text = gen_text(g);
        trigger[i].zone = gen_some(g) ? gen_text(g) : "UTC";
        if (trigger[i].kind == TRIGGER_CRON) {
            trigger[i].cron = gen_cron(g);
            trigger[i].quartz = gen_some(g);
        }
        if (trigger[i].kind == TRIGGER_EVERY || trigger[i].kind == TRIGGER_AFTER_END)
            trigger[i].every_usec = 1 + gen_usec(g) / 2;
        trigger[i].from_usec = gen_some(g) ? gen_usec(g) / 2 : 0;
        trigger[i].until_usec = gen_some(g) ? gen_usec(g) / 2 : 0;
        trigger[i].has_between = gen_some(g);
        trigger[i].between_first_sec = (int32_t)(gen_u32(g) % 86401);
        trigger[i].between_last_sec = (int32_t)(gen_u32(g) % 86401);
        trigger[i].jitter_usec = gen_some(g) ? (usec_t)(gen_u32(g) % USEC_PER_DAY) : 0;
        if (trigger[i].kind == TRIGGER_CRON || trigger[i].kind == TRIGGER_EVERY) {
            static const char *const names[] = {"freeze", "holidays", "zz"};
            trigger[i].exclude = names;
            trigger[i].n_exclude = (uint32_t)gen_count(g, 3);
            trigger[i].include = names + 1;
            trigger[i].n_include = (uint32_t)gen_count(g, 2);
        }
        if (trigger[i].kind == TRIGGER_AT)
            trigger[i].at_usec = gen_usec(g);
        trigger[i].params = gen_pairs(g, &trigger[i].n_params);
    }
    return trigger;
}

static const struct param *gen_params(struct gen *g, size_t *ret_n)
{
    *ret_n = gen_count(g, 4);
    struct param *param = arena_array(g->arena, struct param, *ret_n);
    for (size_t i = 0; i < *ret_n; i++) {
        param[i].name = arena_printf(g->arena, "p%02zu%s", i, gen_text(g)); // sorted
        param[i].required = gen_some(g);
        param[i].value = param[i].required ? NULL : prng_chance(&g->prng, 200) ? "" : gen_maybe_text(g);
    }
    return param;
}

static struct retry gen_retry(struct gen *g)
{
    struct retry retry = {
        .limit = gen_u32(g),
        .backoff_usec = gen_usec(g),
        .factor_permille = gen_u32(g),
        .backoff_max_usec = gen_usec(g),
        .jitter_permille = gen_u32(g),
        .causes = gen_u32(g) & ((1u << OUTCOMES) - 1),
    };
    retry.n_exit_codes = gen_count(g, 5);
    int32_t *codes = arena_array(g->arena, int32_t, retry.n_exit_codes);
    for (size_t i = 0; i < retry.n_exit_codes; i++)
        codes[i] = (int32_t)gen_u32(g);
    retry.exit_codes = codes;
    return retry;
}

const struct job_spec *gen_spec(struct gen *g)
{
    struct job_spec *spec = arena_new(g->arena, struct job_spec);
    *spec = (struct job_spec){
        .namespace_name = gen_some(g) ? gen_text(g) : "default",
        .name = gen_maybe_text(g),
        .description = gen_maybe_text(g),
        .script = gen_maybe_text(g),
        .workdir = gen_maybe_text(g),
        .user = gen_maybe_text(g),
        .cpu_declared = gen_some(g),
        .tasks = gen_tasks(g),
        .parallelism = gen_u32(g),
        .priority = g->size == GEN_MINIMAL ? 0 : (int32_t)prng_below(&g->prng, 2001) - 1000,
        .queue = gen_some(g) ? gen_text(g) : "default",
        .time_limit_usec = gen_usec(g),
        .queue_deadline_usec = gen_usec(g),
        .kill_grace_usec = gen_usec(g),
        .start_at_usec = gen_usec(g),
        .retry = gen_retry(g),
        .delivery = gen_enum(g, AT_MOST_ONCE + 1),
        .concurrency_key = gen_maybe_text(g),
        .concurrency_limit = gen_u32(g) | 1,
        .log_bytes_max = gen_u64(g),
        .overlap = gen_enum(g, OVERLAP_QUEUE_ALL + 1),
        .misfire = gen_enum(g, MISFIRE_ALL + 1),
        .catch_up_window_usec = gen_usec(g),
        .catch_up_max = gen_u32(g),
        .late_after_usec = gen_usec(g),
    };
    spec->command = gen_texts(g, &spec->n_command, 8);
    spec->env = gen_pairs(g, &spec->n_env);
    spec->labels = gen_pairs(g, &spec->n_labels);
    spec->needs = gen_needs(g, &spec->n_needs);
    spec->constraints = gen_constraints(g, &spec->n_constraints);
    spec->triggers = gen_triggers(g, &spec->n_triggers);
    spec->params = gen_params(g, &spec->n_params);
    spec->n_after = gen_count(g, 5);
    struct dependency *after = arena_array(g->arena, struct dependency, spec->n_after);
    for (size_t i = 0; i < spec->n_after; i++)
        after[i] = (struct dependency){.run_id = gen_u64(g), .on = gen_enum(g, AFTER_ENDED + 1)};
    spec->after = after;
    return spec;
}

struct bytes gen_packed(struct gen *g, const struct job_spec *spec)
{
    struct buf buf = {0};
    spec_pack(&buf, spec);
    struct bytes packed = {.data = arena_memdup(g->arena, buf.data, buf.len), .len = buf.len};
    buf_release(&buf);
    return packed;
}

const struct node_info *gen_node_info(struct gen *g)
{
    struct node_info *info = arena_new(g->arena, struct node_info);
    info->name = gen_text(g);
    info->identity = gen_text(g);
    info->spawner = gen_text(g);
    info->boot_id = gen_text(g);
    info->version = gen_text(g);
    info->capacity = gen_needs(g, &info->n_capacity);
    info->labels = gen_pairs(g, &info->n_labels);
    info->tasks_max = gen_u32(g);
    info->warnings = gen_texts(g, &info->n_warnings, 3);
    return info;
}

void check_text(const char *a, const char *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a != NULL)
        assert_string_equal(a, b);
}

void check_bytes(struct bytes a, struct bytes b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0)
        assert_memory_equal(a.data, b.data, a.len);
}

static void check_texts(const char *const *a, size_t n_a, const char *const *b, size_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++)
        assert_string_equal(a[i], b[i]);
}

static void check_pairs(const struct pair *a, size_t n_a, const struct pair *b, size_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++) {
        assert_string_equal(a[i].key, b[i].key);
        assert_string_equal(a[i].value, b[i].value);
    }
}

static void check_needs(const struct resource_need *a, size_t n_a, const struct resource_need *b, size_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++) {
        assert_string_equal(a[i].name, b[i].name);
        assert_int_equal(a[i].amount, b[i].amount);
    }
}

static void check_tasks(const struct index_set *a, const struct index_set *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->n_ranges, b->n_ranges);
    for (size_t i = 0; i < a->n_ranges; i++) {
        assert_int_equal(a->ranges[i].first, b->ranges[i].first);
        assert_int_equal(a->ranges[i].last, b->ranges[i].last);
        assert_int_equal(a->ranges[i].position, b->ranges[i].position);
        if (a->n_ranges > 1 || a->ranges[0].last > 0)
            assert_int_equal(a->ranges[i].step, b->ranges[i].step);
    }
}

static void check_retry(const struct retry *a, const struct retry *b)
{
    assert_int_equal(a->limit, b->limit);
    assert_int_equal(a->backoff_usec, b->backoff_usec);
    assert_int_equal(a->factor_permille, b->factor_permille);
    assert_int_equal(a->backoff_max_usec, b->backoff_max_usec);
    assert_int_equal(a->jitter_permille, b->jitter_permille);
    assert_int_equal(a->causes, b->causes);
    assert_int_equal(a->n_exit_codes, b->n_exit_codes);
    for (size_t i = 0; i < a->n_exit_codes; i++)
        assert_int_equal(a->exit_codes[i], b->exit_codes[i]);
}

static void check_trigger(const struct trigger *a, const struct trigger *b)
{
    assert_int_equal(a->n_exclude, b->n_exclude);
    assert_int_equal(a->n_include, b->n_include);
    for (uint32_t i = 0; i < a->n_exclude; i++)
        assert_string_equal(a->exclude[i], b->exclude[i]);
    for (uint32_t i = 0; i < a->n_include; i++)
        assert_string_equal(a->include[i], b->include[i]);
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->text, b->text);
    assert_string_equal(a->zone, b->zone);
    assert_int_equal(a->every_usec, b->every_usec);
    assert_int_equal(a->at_usec, b->at_usec);
    assert_int_equal(a->quartz, b->quartz);
    assert_int_equal(a->from_usec, b->from_usec);
    assert_int_equal(a->until_usec, b->until_usec);
    assert_int_equal(a->has_between, b->has_between);
    assert_int_equal(a->between_first_sec, b->between_first_sec);
    assert_int_equal(a->between_last_sec, b->between_last_sec);
    assert_int_equal(a->jitter_usec, b->jitter_usec);
    check_pairs(a->params, a->n_params, b->params, b->n_params);
    assert_int_equal(a->cron.second, b->cron.second);
    assert_int_equal(a->cron.minute, b->cron.minute);
    assert_int_equal(a->cron.hour, b->cron.hour);
    assert_int_equal(a->cron.day_of_month, b->cron.day_of_month);
    assert_int_equal(a->cron.month, b->cron.month);
    assert_int_equal(a->cron.day_of_week, b->cron.day_of_week);
    assert_int_equal(a->cron.day_of_month_any, b->cron.day_of_month_any);
    assert_int_equal(a->cron.day_of_week_any, b->cron.day_of_week_any);
    assert_int_equal(a->cron.hour_wild, b->cron.hour_wild);
    assert_int_equal(a->cron.minute_wild, b->cron.minute_wild);
    assert_int_equal(a->cron.before_last, b->cron.before_last);
    assert_int_equal(a->cron.weekday_near, b->cron.weekday_near);
    assert_int_equal(a->cron.weekday_before_last, b->cron.weekday_before_last);
    assert_memory_equal(a->cron.nth_weekday, b->cron.nth_weekday, sizeof(a->cron.nth_weekday));
    assert_memory_equal(a->cron.year, b->cron.year, sizeof(a->cron.year));
}

static void check_spec_lists(const struct job_spec *a, const struct job_spec *b)
{
    check_texts(a->command, a->n_command, b->command, b->n_command);
    check_pairs(a->env, a->n_env, b->env, b->n_env);
    check_pairs(a->labels, a->n_labels, b->labels, b->n_labels);
    check_needs(a->needs, a->n_needs, b->needs, b->n_needs);
    assert_int_equal(a->n_constraints, b->n_constraints);
    for (size_t i = 0; i < a->n_constraints; i++) {
        const struct constraint *c = &a->constraints[i], *d = &b->constraints[i];
        assert_string_equal(c->label, d->label);
        assert_int_equal(c->op, d->op);
        check_texts(c->values, c->n_values, d->values, d->n_values);
    }
    assert_int_equal(a->n_after, b->n_after);
    for (size_t i = 0; i < a->n_after; i++) {
        assert_int_equal(a->after[i].run_id, b->after[i].run_id);
        assert_int_equal(a->after[i].on, b->after[i].on);
    }
    assert_int_equal(a->n_triggers, b->n_triggers);
    for (size_t i = 0; i < a->n_triggers; i++)
        check_trigger(&a->triggers[i], &b->triggers[i]);
    assert_int_equal(a->n_params, b->n_params);
    for (size_t i = 0; i < a->n_params; i++) {
        assert_string_equal(a->params[i].name, b->params[i].name);
        check_text(a->params[i].value, b->params[i].value);
        assert_int_equal(a->params[i].required, b->params[i].required);
    }
}

void check_spec(const struct job_spec *a, const struct job_spec *b)
{
    assert_non_null(a);
    assert_non_null(b);
    check_text(a->namespace_name, b->namespace_name);
    check_text(a->name, b->name);
    check_text(a->description, b->description);
    check_text(a->script, b->script);
    check_text(a->workdir, b->workdir);
    check_text(a->user, b->user);
    check_text(a->queue, b->queue);
    check_text(a->concurrency_key, b->concurrency_key);
    assert_int_equal(a->cpu_declared, b->cpu_declared);
    assert_int_equal(a->parallelism, b->parallelism);
    assert_int_equal(a->priority, b->priority);
    assert_int_equal(a->time_limit_usec, b->time_limit_usec);
    assert_int_equal(a->queue_deadline_usec, b->queue_deadline_usec);
    assert_int_equal(a->kill_grace_usec, b->kill_grace_usec);
    assert_int_equal(a->start_at_usec, b->start_at_usec);
    assert_int_equal(a->delivery, b->delivery);
    assert_int_equal(a->concurrency_limit, b->concurrency_limit);
    assert_int_equal(a->log_bytes_max, b->log_bytes_max);
    assert_int_equal(a->overlap, b->overlap);
    assert_int_equal(a->misfire, b->misfire);
    assert_int_equal(a->catch_up_window_usec, b->catch_up_window_usec);
    assert_int_equal(a->catch_up_max, b->catch_up_max);
    assert_int_equal(a->late_after_usec, b->late_after_usec);
    check_tasks(&a->tasks, &b->tasks);
    check_retry(&a->retry, &b->retry);
    check_spec_lists(a, b);
}

void check_node_info(const struct node_info *a, const struct node_info *b)
{
    assert_non_null(a);
    assert_non_null(b);
    check_text(a->name, b->name);
    check_text(a->identity, b->identity);
    check_text(a->spawner, b->spawner);
    check_text(a->boot_id, b->boot_id);
    check_text(a->version, b->version);
    check_needs(a->capacity, a->n_capacity, b->capacity, b->n_capacity);
    check_pairs(a->labels, a->n_labels, b->labels, b->n_labels);
    assert_int_equal(a->tasks_max, b->tasks_max);
    check_texts(a->warnings, a->n_warnings, b->warnings, b->n_warnings);
}
