// SPDX-License-Identifier: Apache-2.0
// Nodes.
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/internal.h"

struct node *core_node(const struct core *core, uint32_t node_id)
{
    size_t low = 0, high = core->n_nodes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (core->nodes[middle]->id < node_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < core->n_nodes && core->nodes[low]->id == node_id ? core->nodes[low] : NULL;
}

struct node *core_node_by_name(const struct core *core, const char *name)
{
    return strmap_get(&core->nodes_by_name, name);
}

struct node *core_node_by_session(const struct core *core, uint64_t session)
{
    return session ? map_get(&core->sessions, session) : NULL;
}

struct node *node_add(struct core *core, uint32_t node_id)
{
    must(node_id > 0);
    must(core->n_nodes == 0 || core->nodes[core->n_nodes - 1]->id < node_id);
    if (core->n_nodes == core->cap_nodes) {
        core->cap_nodes = core->cap_nodes ? 2 * core->cap_nodes : 16;
        core->nodes = mem_realloc_array(core->nodes, core->cap_nodes, sizeof(*core->nodes));
    }
    struct node *node = mem_alloc(sizeof(*node));
    node->id = node_id;
    node->state = NODE_ONLINE;
    list_init(&node->tasks);
    core->nodes[core->n_nodes++] = node;
    return node;
}

static const char *copy_text(struct arena *arena, const char *text)
{
    return arena_strdup(arena, text ? text : "");
}

void node_info_copy(struct arena *arena, struct node_info *to, const struct node_info *from)
{
    *to = (struct node_info){
        .name = copy_text(arena, from->name),
        .identity = copy_text(arena, from->identity),
        .spawner = copy_text(arena, from->spawner),
        .boot_id = copy_text(arena, from->boot_id),
        .version = copy_text(arena, from->version),
        .n_capacity = from->n_capacity,
        .n_labels = from->n_labels,
        .tasks_max = from->tasks_max,
        .n_warnings = from->n_warnings,
    };
    struct resource_need *capacity = arena_array(arena, struct resource_need, from->n_capacity);
    for (size_t i = 0; i < from->n_capacity; i++)
        capacity[i] = (struct resource_need){copy_text(arena, from->capacity[i].name), from->capacity[i].amount};
    struct pair *labels = arena_array(arena, struct pair, from->n_labels);
    for (size_t i = 0; i < from->n_labels; i++)
        labels[i] = (struct pair){copy_text(arena, from->labels[i].key), copy_text(arena, from->labels[i].value)};
    const char **warnings = arena_array(arena, const char *, from->n_warnings);
    for (size_t i = 0; i < from->n_warnings; i++)
        warnings[i] = copy_text(arena, from->warnings[i]);
    to->capacity = capacity;
    to->labels = labels;
    to->warnings = warnings;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

bool node_info_equal(const struct node_info *a, const struct node_info *b)
{
    if (!same_text(a->name, b->name) || !same_text(a->identity, b->identity) || !same_text(a->spawner, b->spawner) ||
        !same_text(a->boot_id, b->boot_id) || !same_text(a->version, b->version) || a->tasks_max != b->tasks_max ||
        a->n_capacity != b->n_capacity || a->n_labels != b->n_labels || a->n_warnings != b->n_warnings)
        return false;
    for (size_t i = 0; i < a->n_capacity; i++)
        if (!same_text(a->capacity[i].name, b->capacity[i].name) || a->capacity[i].amount != b->capacity[i].amount)
            return false;
    for (size_t i = 0; i < a->n_labels; i++)
        if (!same_text(a->labels[i].key, b->labels[i].key) || !same_text(a->labels[i].value, b->labels[i].value))
            return false;
    for (size_t i = 0; i < a->n_warnings; i++)
        if (!same_text(a->warnings[i], b->warnings[i]))
            return false;
    return true;
}

void node_describe(struct core *core, struct node *node, const struct node_info *info)
{
    struct arena fresh;
    arena_init(&fresh, 1024);
    struct node_info copy;
    node_info_copy(&fresh, &copy, info);
    if (node->info.name) {
        strmap_del(&core->nodes_by_name, node->info.name);
        arena_release(&node->arena);
    }
    node->arena = fresh;
    node->info = copy;
    must(strmap_put(&core->nodes_by_name, node->info.name, node) == NULL);
    memset(&node->capacity, 0, sizeof(node->capacity));
    for (size_t i = 0; i < copy.n_capacity; i++) {
        int dim = dim_take(core, copy.capacity[i].name);
        must(dim >= 0); // checked before the record was written
        node->capacity.v[dim] = copy.capacity[i].amount;
    }
    node->freed = true;
    core->nodes_changed = true;
}

void node_set_unwanted(struct core *core, struct node *node, const uint64_t *fences, size_t n)
{
    mem_free(node->unwanted);
    node->unwanted = NULL;
    node->n_unwanted = n;
    if (n > 0) {
        node->unwanted = mem_alloc_array(n, sizeof(*fences));
        memcpy(node->unwanted, fences, n * sizeof(*fences));
    }
    node->freed = true;
    core->nodes_changed = true;
}

void node_unwanted_ended(struct core *core, struct node *node, uint64_t fence)
{
    for (size_t i = 0; i < node->n_unwanted; i++) {
        if (node->unwanted[i] != fence)
            continue;
        node->unwanted[i] = node->unwanted[--node->n_unwanted];
        node->freed = true;
        core->nodes_changed = true;
        return;
    }
}

void node_free(struct node *node)
{
    mem_free(node->unwanted);
    if (node->info.name)
        arena_release(&node->arena);
    mem_free(node);
}

void node_remove(struct core *core, struct node *node)
{
    must(node->state == NODE_REMOVED);
    must(list_empty(&node->tasks));
    strmap_del(&core->nodes_by_name, node->info.name);
    if (node->session)
        map_del(&core->sessions, node->session);
    if (heap_contains(&node->lease))
        heap_remove(&core->leases, &node->lease);
    size_t at = 0;
    while (core->nodes[at] != node)
        at++;
    core->n_nodes--;
    memmove(&core->nodes[at], &core->nodes[at + 1], (core->n_nodes - at) * sizeof(*core->nodes));
    core->nodes_changed = true;
    node_free(node);
}
