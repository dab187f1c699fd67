// SPDX-License-Identifier: Apache-2.0
// Interned specs: runs of one content share one struct spec, so that a million runs of one job cost one definition.
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/internal.h"

static char *dup_or_null(const char *text)
{
    return text ? mem_strdup(text) : NULL;
}

static void *dup_array(const void *data, size_t count, size_t item_bytes)
{
    if (count == 0)
        return NULL;
    void *copy = mem_alloc_array(count, item_bytes);
    memcpy(copy, data, count * item_bytes);
    return copy;
}

// Labels as one block: the pairs, then their texts.
static struct pair *dup_labels(const struct pair *labels, size_t n)
{
    if (n == 0)
        return NULL;
    size_t bytes = n * sizeof(*labels);
    for (size_t i = 0; i < n; i++)
        bytes += strlen(labels[i].key) + strlen(labels[i].value) + 2;
    struct pair *copy = mem_alloc(bytes);
    char *text = (char *)(copy + n);
    for (size_t i = 0; i < n; i++) {
        size_t key_len = strlen(labels[i].key) + 1, value_len = strlen(labels[i].value) + 1;
        memcpy(text, labels[i].key, key_len);
        copy[i].key = text;
        text += key_len;
        memcpy(text, labels[i].value, value_len);
        copy[i].value = text;
        text += value_len;
    }
    must(text == (char *)copy + bytes);
    return copy;
}

static struct spec *spec_lookup(const struct core *core, uint64_t hash, struct bytes packed)
{
    for (struct spec *spec = map_get(&core->specs_by_hash, hash); spec; spec = spec->next_same_hash)
        if (spec->packed_len == packed.len && memcmp(spec->packed, packed.data, packed.len) == 0)
            return spec;
    return NULL;
}

struct spec *spec_intern(struct core *core, const struct job_spec *from, struct bytes packed)
{
    must(packed.data != NULL && packed.len > 0 && packed.len < UINT32_MAX);
    must(from->tasks.count > 0);
    uint64_t hash = hash_bytes(packed.data, packed.len, 0);
    struct spec *spec = spec_lookup(core, hash, packed);
    if (spec) {
        spec->refs++;
        return spec;
    }
    spec = mem_alloc(sizeof(*spec) + packed.len);
    spec->hash = hash;
    spec->refs = 1;
    spec->packed_len = (uint32_t)packed.len;
    memcpy(spec->packed, packed.data, packed.len);
    spec->no = ++core->next_spec;
    list_add_tail(&core->specs, &spec->all);
    spec->class = class_intern(core, from);
    spec->tasks = from->tasks;
    spec->tasks.ranges = dup_array(from->tasks.ranges, from->tasks.n_ranges, sizeof(*from->tasks.ranges));
    spec->retry = from->retry;
    spec->retry.exit_codes = dup_array(from->retry.exit_codes, from->retry.n_exit_codes, sizeof(*from->retry.exit_codes));
    spec->namespace_name = mem_strdup(from->namespace_name);
    spec->name = dup_or_null(from->name);
    spec->concurrency_key = dup_or_null(from->concurrency_key);
    spec->concurrency_limit = from->concurrency_limit;
    spec->parallelism = from->parallelism;
    spec->delivery = from->delivery;
    spec->queue_deadline_usec = from->queue_deadline_usec;
    spec->start_at_usec = from->start_at_usec;
    spec->labels = dup_labels(from->labels, from->n_labels);
    spec->n_labels = from->n_labels;
    spec->next_same_hash = map_put(&core->specs_by_hash, hash, spec);
    core->n_specs++;
    core->blob_bytes += sizeof(*spec) + packed.len + spec->tasks.n_ranges * sizeof(*spec->tasks.ranges);
    return spec;
}

void spec_ref(struct spec *spec)
{
    must(spec->refs > 0);
    spec->refs++;
}

static void spec_unlink(struct core *core, struct spec *spec)
{
    struct spec *first = map_get(&core->specs_by_hash, spec->hash);
    must(first != NULL);
    if (first == spec) {
        if (spec->next_same_hash)
            map_put(&core->specs_by_hash, spec->hash, spec->next_same_hash);
        else
            map_del(&core->specs_by_hash, spec->hash);
        return;
    }
    while (first->next_same_hash != spec) {
        first = first->next_same_hash;
        must(first != NULL);
    }
    first->next_same_hash = spec->next_same_hash;
}

void spec_unref(struct core *core, struct spec *spec)
{
    must(spec->refs > 0);
    if (--spec->refs > 0)
        return;
    spec_unlink(core, spec);
    list_del(&spec->all);
    class_unref(core, spec->class);
    must(core->n_specs > 0);
    core->n_specs--;
    core->blob_bytes -= sizeof(*spec) + spec->packed_len + spec->tasks.n_ranges * sizeof(*spec->tasks.ranges);
    mem_free((void *)(uintptr_t)spec->tasks.ranges);
    mem_free((void *)(uintptr_t)spec->retry.exit_codes);
    mem_free(spec->namespace_name);
    mem_free(spec->name);
    mem_free(spec->concurrency_key);
    mem_free(spec->labels);
    mem_free(spec);
}
