// SPDX-License-Identifier: Apache-2.0
// First fit: nodes in the order in which they registered, as many tasks on each as fit. Every node is looked at.
#include "base/assert.h"
#include "core/placement.h"

static size_t place(const struct core *core, const struct class *class, uint32_t want, struct placement *ret, size_t max)
{
    size_t n = 0;
    must(want > 0);
    for (size_t i = 0; i < core->n_nodes && want > 0 && n < max; i++) {
        struct node *node = core->nodes[i];
        if (!node_open(node) || node->n_tasks >= node->info.tasks_max || !class_matches(class, &node->info))
            continue;
        uint64_t most = node->info.tasks_max - node->n_tasks;
        most = amounts_times(&class->needs, class->dims, &node->capacity, &node->used, most < want ? most : want);
        if (most == 0)
            continue;
        ret[n++] = (struct placement){.node = node, .n = (uint32_t)most};
        want -= (uint32_t)most;
    }
    return n;
}

const struct placement_policy placement_first_fit = {
    .name = "first_fit",
    .sentence = "the first node, in the order of their registration, that satisfies the constraints and has room",
    .place = place,
};
