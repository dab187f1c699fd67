// SPDX-License-Identifier: Apache-2.0
// Interned specs: runs of one content share one struct spec, so that a million runs of one job cost one definition.
#include <stdalign.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/internal.h"

// What most specs have: one task, index 0.
static const struct index_range only_range = {.step = 1};

static bool has_only_range(const struct index_set *set)
{
    return set->n_ranges == 1 && set->ranges[0].first == 0 && set->ranges[0].last == 0 && set->ranges[0].step == 1;
}

static struct spec *spec_lookup(const struct core *core, uint64_t hash, struct bytes packed)
{
    for (struct spec *spec = map_get(&core->specs_by_hash, hash); spec; spec = spec->next_same_hash)
        if (spec->packed_len == packed.len && memcmp(spec->packed, packed.data, packed.len) == 0)
            return spec;
    return NULL;
}

// Its block, but for the name.
static size_t spec_bytes(const struct spec *spec)
{
    size_t ranges_bytes = spec->tasks.ranges == &only_range ? 0 : spec->tasks.n_ranges * sizeof(*spec->tasks.ranges);
    return sizeof(*spec) + ranges_bytes + spec->packed_len;
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
    size_t ranges_bytes = has_only_range(&from->tasks) ? 0 : from->tasks.n_ranges * sizeof(*from->tasks.ranges);
    size_t name_bytes = from->name ? strlen(from->name) + 1 : 0;
    // The ranges lie behind the bytes, where numbers may lie.
    size_t ranges_at = (sizeof(*spec) + packed.len + name_bytes + alignof(struct index_range) - 1) / alignof(struct index_range) * alignof(struct index_range);
    spec = mem_alloc(ranges_at + ranges_bytes);
    memcpy(spec->packed, packed.data, packed.len);
    spec->packed_len = (uint32_t)packed.len;
    spec->name = from->name ? memcpy(spec->packed + packed.len, from->name, name_bytes) : NULL;
    spec->tasks = from->tasks;
    spec->tasks.ranges = ranges_bytes > 0 ? memcpy((uint8_t *)spec + ranges_at, from->tasks.ranges, ranges_bytes) : &only_range;
    spec->refs = 1;
    list_add_tail(&core->specs, &spec->all);
    spec->class = class_intern(core, from);
    spec->policy = policy_intern(core, from);
    spec->next_same_hash = map_put(&core->specs_by_hash, hash, spec);
    core->n_specs++;
    core->blob_bytes += spec_bytes(spec);
    return spec;
}

void spec_ref(struct spec *spec)
{
    must(spec->refs > 0);
    spec->refs++;
}

static void spec_unlink(struct core *core, struct spec *spec)
{
    uint64_t hash = hash_bytes(spec->packed, spec->packed_len, 0);
    struct spec *first = map_get(&core->specs_by_hash, hash);
    must(first != NULL);
    if (first == spec) {
        if (spec->next_same_hash)
            map_put(&core->specs_by_hash, hash, spec->next_same_hash);
        else
            map_del(&core->specs_by_hash, hash);
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
    policy_unref(core, spec->policy);
    core->blob_bytes -= spec_bytes(spec);
    mem_free(spec);
}
