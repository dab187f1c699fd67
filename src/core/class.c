// SPDX-License-Identifier: Apache-2.0
// Classes of equal work. Borg, HyperQueue and others place one task of a class and then the rest without looking again; here a class is
// the unit of the planner. Two specs fall into one class when they need the same resources, under the same constraints, in the same queue, at
// the same priority.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "core/internal.h"

// The canonical text of what makes a class; every part is delimited so that no two classes share a text.
static void class_key(struct buf *key, const struct job_spec *spec)
{
    buf_printf(key, "%" PRId32 "\x1f%s\x1e", spec->priority, spec->queue);
    for (size_t i = 0; i < spec->n_needs; i++)
        if (spec->needs[i].amount > 0)
            buf_printf(key, "%s\x1f%" PRIu64 "\x1e", spec->needs[i].name, spec->needs[i].amount);
    for (size_t i = 0; i < spec->n_constraints; i++) {
        const struct constraint *c = &spec->constraints[i];
        buf_printf(key, "\x1d%s\x1f%d", c->label, (int)c->op);
        for (size_t v = 0; v < c->n_values; v++)
            buf_printf(key, "\x1f%s", c->values[v]);
    }
}

static void class_copy_constraints(struct class *class, const struct job_spec *spec)
{
    class->n_constraints = spec->n_constraints;
    class->constraints = arena_array(&class->arena, struct constraint, spec->n_constraints);
    for (size_t i = 0; i < spec->n_constraints; i++) {
        const struct constraint *from = &spec->constraints[i];
        const char **values = arena_array(&class->arena, const char *, from->n_values);
        for (size_t v = 0; v < from->n_values; v++)
            values[v] = arena_strdup(&class->arena, from->values[v]);
        class->constraints[i] = (struct constraint){
            .label = arena_strdup(&class->arena, from->label), .op = from->op, .values = values, .n_values = from->n_values};
    }
}

struct class *class_intern(struct core *core, const struct job_spec *spec)
{
    must(spec->queue != NULL);
    struct buf key;
    buf_init(&key);
    class_key(&key, spec);
    struct class *class = strmap_get_n(&core->classes_by_key, key.data, key.len);
    if (class) {
        buf_release(&key);
        class->refs++;
        return class;
    }
    class = mem_alloc(sizeof(*class));
    class->refs = 1;
    arena_init(&class->arena, 256);
    for (size_t i = 0; i < spec->n_needs; i++) {
        if (spec->needs[i].amount == 0)
            continue;
        int dim = dim_take(core, spec->needs[i].name);
        must(dim >= 0); // checked before the record was written
        class->needs.v[dim] = spec->needs[i].amount;
        class->dims |= 1u << dim;
    }
    class_copy_constraints(class, spec);
    class->queue = arena_strdup(&class->arena, spec->queue);
    class->priority = spec->priority;
    heap_init(&class->runs);
    list_init(&class->parked);
    size_t len = key.len;
    class->key = buf_detach(&key);
    strmap_put_n(&core->classes_by_key, class->key, len, class);
    core->n_classes++;
    return class;
}

void class_free(struct class *class)
{
    heap_release(&class->runs);
    arena_release(&class->arena);
    mem_free(class->key);
    mem_free(class);
}

void class_unref(struct core *core, struct class *class)
{
    must(class->refs > 0);
    if (--class->refs > 0)
        return;
    must(heap_len(&class->runs) == 0);
    if (heap_contains(&class->ready))
        heap_remove(&core->ready_classes, &class->ready);
    if (class->is_parked)
        list_del(&class->parked);
    must(strmap_del_n(&core->classes_by_key, class->key, strlen(class->key)) == class);
    must(core->n_classes > 0);
    core->n_classes--;
    class_free(class);
}

void class_update(struct core *core, struct class *class)
{
    if (heap_contains(&class->ready))
        heap_remove(&core->ready_classes, &class->ready);
    struct heap_node *oldest = heap_top(&class->runs);
    if (!oldest) {
        if (class->is_parked) {
            class->is_parked = false;
            list_del(&class->parked);
        }
        return;
    }
    if (class->is_parked)
        return;
    class->ready.key = -(int64_t)class->priority;
    class->ready.tie = (uint64_t)oldest->key;
    heap_push(&core->ready_classes, &class->ready);
}

void class_park(struct core *core, struct class *class, enum reason reason)
{
    must(!class->is_parked);
    if (heap_contains(&class->ready))
        heap_remove(&core->ready_classes, &class->ready);
    class->is_parked = true;
    class->parked_for = reason;
    list_add_tail(&core->parked_classes, &class->parked);
}

void class_wake(struct core *core, struct class *class)
{
    must(class->is_parked);
    class->is_parked = false;
    list_del(&class->parked);
    class_update(core, class);
}

static const char *label_value(const struct node_info *info, const char *label)
{
    for (size_t i = 0; i < info->n_labels; i++)
        if (strcmp(info->labels[i].key, label) == 0)
            return info->labels[i].value;
    return NULL;
}

static bool constraint_holds(const struct constraint *constraint, const struct node_info *info)
{
    const char *value = label_value(info, constraint->label);
    bool among = false;
    for (size_t i = 0; value && i < constraint->n_values && !among; i++)
        among = strcmp(constraint->values[i], value) == 0;
    switch (constraint->op) {
    case OP_EQ:
    case OP_IN:
        return among;
    case OP_NE:
    case OP_NOT_IN:
        return !among;
    case OP_EXISTS:
        return value != NULL;
    case OP_NOT_EXISTS:
        return value == NULL;
    }
    unreachable();
}

bool class_matches(const struct class *class, const struct node_info *info)
{
    for (size_t i = 0; i < class->n_constraints; i++)
        if (!constraint_holds(&class->constraints[i], info))
            return false;
    return true;
}
