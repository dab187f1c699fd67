// SPDX-License-Identifier: Apache-2.0
// Records of nodes.
#include "base/assert.h"
#include "core/internal.h"

void apply_node_registered(struct core *core, const struct record *record)
{
    const struct rec_node_registered *rec = &record->node_registered;
    struct node *node = core_node(core, rec->node_id);
    if (!node) {
        must(rec->node_id == core->next_node);
        core->next_node++;
        node = node_add(core, rec->node_id);
        node->since_usec = record->at_usec;
    }
    node_describe(core, node, rec->info);
}

void apply_node_state(struct core *core, const struct record *record)
{
    const struct rec_node_state *rec = &record->node_state;
    struct node *node = core_node(core, rec->node_id);
    must(node != NULL);
    node_state_move(&node->state, rec->to);
    node->since_usec = record->at_usec;
    core->nodes_changed = true;
    node->freed = true;
    if (rec->to == NODE_REMOVED)
        node_remove(core, node);
}

void apply_node_admission(struct core *core, const struct record *record)
{
    const struct rec_node_admission *rec = &record->node_admission;
    struct node *node = core_node(core, rec->node_id);
    must(node != NULL);
    must(node->admission != rec->to);
    node->admission = rec->to;
    core->nodes_changed = true;
    node->freed = true;
}
