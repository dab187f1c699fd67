// SPDX-License-Identifier: Apache-2.0
// Kinds of resources and the arithmetic of reservations. Amounts are vectors; what a class needs is mostly zeros, hence the masks.
#include "core/internal.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

int dim_find(const struct core *core, const char *name)
{
    must(name != NULL);
    must(core->n_dims <= DIMS_MAX);
    for (size_t i = 0; i < core->n_dims; i++)
        if (strcmp(core->dim_names[i], name) == 0)
            return (int)i;
    return -1;
}

int dim_take(struct core *core, const char *name)
{
    int dim = dim_find(core, name);
    if (dim >= 0)
        return dim;
    if (core->n_dims == DIMS_MAX)
        return -1;
    core->dim_names[core->n_dims] = mem_strdup(name);
    return (int)core->n_dims++;
}

// What is free of one kind. A node that came back smaller may hold more than it has: then nothing is.
static uint64_t amount_free(const struct amounts *capacity, const struct amounts *used, int dim)
{
    return capacity->v[dim] > used->v[dim] ? capacity->v[dim] - used->v[dim] : 0;
}

bool amounts_fit(const struct amounts *needs, uint32_t dims, const struct amounts *capacity, const struct amounts *used)
{
    for (uint32_t rest = dims; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctz(rest);
        if (needs->v[i] > amount_free(capacity, used, i))
            return false;
    }
    return true;
}

uint64_t amounts_times(const struct amounts *needs, uint32_t dims, const struct amounts *capacity, const struct amounts *used, uint64_t most)
{
    for (uint32_t rest = dims; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctz(rest);
        must(needs->v[i] > 0);
        uint64_t times = amount_free(capacity, used, i) / needs->v[i];
        if (times < most)
            most = times;
    }
    return most;
}
