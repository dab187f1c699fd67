// SPDX-License-Identifier: Apache-2.0
// Policies: how runs are treated, interned. Most jobs of a cluster say nothing here or the same, so a million of them share a few.
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "core/internal.h"
#include "model/params.h"

static void add_text(struct buf *key, const char *text)
{
    buf_addc(key, text != NULL);
    buf_adds(key, text ? text : "");
    buf_addc(key, '\0');
}

// What is declared, and what each schedule fixes; behind a byte that no text begins with.
static void params_key(struct buf *key, const struct job_spec *spec)
{
    buf_printf(key, "\x02%zu,", spec->n_params);
    for (size_t i = 0; i < spec->n_params; i++) {
        add_text(key, spec->params[i].name);
        add_text(key, spec->params[i].value);
        buf_addc(key, spec->params[i].required);
    }
    for (size_t i = 0; i < spec->n_triggers; i++) {
        buf_printf(key, "%zu,", spec->triggers[i].n_params);
        for (size_t k = 0; k < spec->triggers[i].n_params; k++) {
            add_text(key, spec->triggers[i].params[k].key);
            add_text(key, spec->triggers[i].params[k].value);
        }
    }
}

// Every field in turn, so that no two policies share a key.
static void policy_key(struct buf *key, const struct job_spec *spec)
{
    const struct retry *retry = &spec->retry;
    add_text(key, spec->namespace_name);
    add_text(key, spec->concurrency_key);
    // Numbers as they lie in memory: the key never leaves it, and a million jobs are loaded through here.
    const int64_t numbers[] = {spec->concurrency_limit, spec->parallelism, (int64_t)spec->delivery, spec->queue_deadline_usec, spec->start_at_usec,
                               spec->catch_up_window_usec, spec->catch_up_max, spec->late_after_usec, spec->pause_after, retry->limit, retry->backoff_usec,
                               retry->factor_permille, retry->backoff_max_usec, retry->jitter_permille, retry->causes,
                               (int64_t)retry->n_exit_codes};
    buf_add(key, numbers, sizeof(numbers));
    buf_add(key, retry->exit_codes, retry->n_exit_codes * sizeof(*retry->exit_codes));
    for (size_t i = 0; i < spec->n_labels; i++) {
        add_text(key, spec->labels[i].key);
        add_text(key, spec->labels[i].value);
    }
    if (spec->n_params > 0)
        params_key(key, spec);
}

static struct pair *copy_labels(struct arena *arena, const struct pair *labels, size_t n)
{
    struct pair *copy = arena_array(arena, struct pair, n);
    for (size_t i = 0; i < n; i++)
        copy[i] = (struct pair){.key = arena_strdup(arena, labels[i].key), .value = arena_strdup(arena, labels[i].value)};
    return copy;
}

static const char *text_or_null(struct arena *arena, const char *text)
{
    return text ? arena_strdup(arena, text) : NULL;
}

static struct policy_params *copy_params(struct arena *arena, const struct job_spec *spec)
{
    if (spec->n_params == 0)
        return NULL;
    struct param *declared = arena_array(arena, struct param, spec->n_params);
    for (size_t i = 0; i < spec->n_params; i++)
        declared[i] = (struct param){.name = arena_strdup(arena, spec->params[i].name),
                                     .value = text_or_null(arena, spec->params[i].value),
                                     .required = spec->params[i].required};
    struct bytes *fire = arena_array(arena, struct bytes, spec->n_triggers);
    for (size_t i = 0; i < spec->n_triggers; i++) {
        struct buf packed = {0};
        params_fill(declared, spec->n_params, spec->triggers[i].params, spec->triggers[i].n_params, &packed);
        if (packed.len > 0)
            fire[i] = (struct bytes){arena_memdup(arena, packed.data, packed.len), packed.len};
        buf_release(&packed);
    }
    struct policy_params *params = arena_new(arena, struct policy_params);
    *params = (struct policy_params){.declared = declared, .n_declared = spec->n_params, .fire = fire, .n_fire = spec->n_triggers};
    return params;
}

struct policy *policy_intern(struct core *core, const struct job_spec *spec)
{
    must(spec->namespace_name != NULL);
    struct buf key;
    buf_init(&key);
    policy_key(&key, spec);
    struct policy *policy = strmap_get_n(&core->policies_by_key, key.data, key.len);
    if (policy) {
        buf_release(&key);
        policy->refs++;
        return policy;
    }
    policy = mem_alloc(sizeof(*policy));
    policy->refs = 1;
    struct arena *arena = &policy->arena;
    arena_init(arena, 64);
    policy->namespace_name = arena_strdup(arena, spec->namespace_name);
    policy->concurrency_key = spec->concurrency_key ? arena_strdup(arena, spec->concurrency_key) : NULL;
    policy->concurrency_limit = spec->concurrency_limit;
    policy->parallelism = spec->parallelism;
    policy->delivery = spec->delivery;
    policy->queue_deadline_usec = spec->queue_deadline_usec;
    policy->start_at_usec = spec->start_at_usec;
    policy->catch_up_window_usec = spec->catch_up_window_usec;
    policy->catch_up_max = spec->catch_up_max;
    policy->late_after_usec = spec->late_after_usec;
    policy->pause_after = spec->pause_after;
    policy->retry = spec->retry;
    policy->retry.exit_codes = arena_memdup(arena, spec->retry.exit_codes, spec->retry.n_exit_codes * sizeof(*spec->retry.exit_codes));
    policy->labels = copy_labels(arena, spec->labels, spec->n_labels);
    policy->n_labels = spec->n_labels;
    policy->params = copy_params(arena, spec);
    policy->key_len = key.len;
    policy->key = buf_detach(&key);
    strmap_put_n(&core->policies_by_key, policy->key, policy->key_len, policy);
    return policy;
}

void policy_free(struct policy *policy)
{
    arena_release(&policy->arena);
    mem_free(policy->key);
    mem_free(policy);
}

void policy_unref(struct core *core, struct policy *policy)
{
    must(policy->refs > 0);
    if (--policy->refs > 0)
        return;
    must(strmap_del_n(&core->policies_by_key, policy->key, policy->key_len) == policy);
    policy_free(policy);
}
