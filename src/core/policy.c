// SPDX-License-Identifier: Apache-2.0
// Policies: how runs are treated, interned. Most jobs of a cluster say nothing here or the same, so a million of them share a few.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "core/internal.h"

static void add_text(struct buf *key, const char *text)
{
    buf_addc(key, text != NULL);
    buf_adds(key, text ? text : "");
    buf_addc(key, '\0');
}

// Every field in turn, so that no two policies share a key.
static void policy_key(struct buf *key, const struct job_spec *spec)
{
    const struct retry *retry = &spec->retry;
    add_text(key, spec->namespace_name);
    add_text(key, spec->concurrency_key);
    buf_printf(key, "%" PRIu32 ",%" PRIu32 ",%d,%" PRId64 ",%" PRId64 ";", spec->concurrency_limit, spec->parallelism, (int)spec->delivery,
               spec->queue_deadline_usec, spec->start_at_usec);
    buf_printf(key, "%" PRIu32 ",%" PRId64 ",%" PRIu32 ",%" PRId64 ",%" PRIu32 ",%" PRIu32 ";", retry->limit, retry->backoff_usec,
               retry->factor_permille, retry->backoff_max_usec, retry->jitter_permille, retry->causes);
    for (size_t i = 0; i < retry->n_exit_codes; i++)
        buf_printf(key, "%" PRId32 ",", retry->exit_codes[i]);
    for (size_t i = 0; i < spec->n_labels; i++) {
        add_text(key, spec->labels[i].key);
        add_text(key, spec->labels[i].value);
    }
}

static struct pair *copy_labels(struct arena *arena, const struct pair *labels, size_t n)
{
    struct pair *copy = arena_array(arena, struct pair, n);
    for (size_t i = 0; i < n; i++)
        copy[i] = (struct pair){.key = arena_strdup(arena, labels[i].key), .value = arena_strdup(arena, labels[i].value)};
    return copy;
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
    policy->retry = spec->retry;
    policy->retry.exit_codes = arena_memdup(arena, spec->retry.exit_codes, spec->retry.n_exit_codes * sizeof(*spec->retry.exit_codes));
    policy->labels = copy_labels(arena, spec->labels, spec->n_labels);
    policy->n_labels = spec->n_labels;
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
