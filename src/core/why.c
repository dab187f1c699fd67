// SPDX-License-Identifier: Apache-2.0
// Why a task waits, or why it was placed where it is: the same questions as the planner's, asked again and answered in words.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "core/internal.h"
#include "core/placement.h"

struct look {
    uint32_t n_nodes, n_matching, n_large_enough, n_open;
};

static struct look look_at_nodes(const struct core *core, const struct class *class)
{
    static const struct amounts none;
    struct look look = {.n_nodes = (uint32_t)core->n_nodes};
    for (size_t i = 0; i < core->n_nodes; i++) {
        const struct node *node = core->nodes[i];
        if (!class_matches(class, &node->info))
            continue;
        look.n_matching++;
        if (!amounts_fit(&class->needs, class->dims, &node->capacity, &none))
            continue;
        look.n_large_enough++;
        if (node_open(node))
            look.n_open++;
    }
    return look;
}

static void say(struct why_view *why, enum reason reason, const char *sentence)
{
    why->reason = reason;
    size_t len = strlen(sentence);
    if (len >= sizeof(why->sentence))
        len = sizeof(why->sentence) - 1;
    memcpy(why->sentence, sentence, len);
    why->sentence[len] = '\0';
}

// "1 core, 64 MiB of memory, 2 ansys": what one task of the class asks.
static const char *needs_text(const struct core *core, const struct class *class, struct arena *arena)
{
    const char *text = "";
    for (uint32_t rest = class->dims; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctz(rest);
        const char *comma = text[0] ? ", " : "";
        char amount[32];
        if (i == RES_CPU_MILLIS)
            text = arena_printf(arena, "%s%s%s cpu", text, comma, cpu_format(amount, class->needs.v[i]));
        else if (i == RES_MEMORY_BYTES || i == RES_DISK_BYTES)
            text = arena_printf(arena, "%s%s%s of %s", text, comma, size_format(amount, class->needs.v[i]), core->dim_names[i]);
        else
            text = arena_printf(arena, "%s%s%" PRIu64 " %s", text, comma, class->needs.v[i], core->dim_names[i]);
    }
    return text[0] ? text : "nothing";
}

static void why_no_room(const struct core *core, const struct class *class, const struct look *look, struct arena *arena, struct why_view *why)
{
    const char *needs = needs_text(core, class, arena);
    if (look->n_nodes == 0)
        say(why, REASON_NO_NODES, reason_sentence(REASON_NO_NODES));
    else if (look->n_matching == 0)
        say(why, REASON_NO_NODE_MATCHES, arena_printf(arena, "No node (of %" PRIu32 ") satisfies its constraints.", look->n_nodes));
    else if (look->n_large_enough == 0)
        say(why, REASON_NEVER_FITS,
            arena_printf(arena, "One task asks for %s; none of the nodes that match (%" PRIu32 ") is large enough, even when empty.", needs,
                         look->n_matching));
    else if (look->n_open == 0)
        say(why, REASON_NODES_AWAY,
            arena_printf(arena, "Every node that could run it (%" PRIu32 ") is lost, draining or without a session.", look->n_large_enough));
    else
        say(why, REASON_RESOURCES,
            arena_printf(arena, "One task asks for %s; every node that could run it (%" PRIu32 ") is busy.", needs, look->n_open));
}

static void why_active(const struct core *core, const struct task *task, struct arena *arena, struct why_view *why)
{
    const char *node = task->node->info.name;
    why->node = arena_strdup(arena, node);
    enum reason reason = task->state == TASK_PLACED ? REASON_ORDERED : REASON_NONE;
    say(why, reason,
        arena_printf(arena, "It is %s on node %s, chosen by %s: %s.", task_state_name(task->state), node, core->policy->name,
                     core->policy->sentence));
}

static void why_waiting_run(const struct run *run, usec_t wall_usec, struct arena *arena, struct why_view *why)
{
    for (uint32_t i = 0; i < run->n_deps; i++) {
        const struct dep *dep = &run->deps[i];
        if (!dep->target)
            continue;
        why->run_id = dep->target->id;
        say(why, REASON_DEPENDENCY,
            arena_printf(arena, "It waits for %" PRIu32 " run%s to end; the first is run %" PRIu64 ", which is %s.", run->n_waits,
                         run->n_waits == 1 ? "" : "s", dep->target->id, run_state_name(dep->target->state)));
        return;
    }
    char when[40];
    why->until_usec = run->spec->policy->start_at_usec;
    must(run->spec->policy->start_at_usec > 0 || wall_usec >= 0);
    say(why, REASON_START_TIME, arena_printf(arena, "It starts at %s.", time_format(when, run->spec->policy->start_at_usec)));
}

static void why_pending(const struct core *core, const struct run *run, const struct task *task, usec_t wall_usec, struct arena *arena,
                        struct why_view *why)
{
    const struct spec *spec = run->spec;
    char when[40];
    if (run->admission == ADMIT_CLOSED) {
        say(why, REASON_HELD, reason_sentence(REASON_HELD));
    } else if (run->state == RUN_WAITING) {
        why_waiting_run(run, wall_usec, arena, why);
    } else if (task && task->state == TASK_BACKOFF && heap_contains(&task->timer)) {
        why->until_usec = task->timer.key; // the wait moves with the clock, the record of it does not
        say(why, REASON_BACKOFF,
            arena_printf(arena, "Attempt %" PRIu32 " failed; the next one comes at %s.", task->attempt, time_format(when, task->timer.key)));
    } else if (run->key && !run->key_held && run->key->holders >= spec->policy->concurrency_limit) {
        say(why, REASON_CONCURRENCY,
            arena_printf(arena, "Concurrency key '%s' is held by %" PRIu32 " run%s, as many as its limit allows.", run->key->name,
                         run->key->holders, run->key->holders == 1 ? "" : "s"));
    } else if (spec->policy->parallelism > 0 && run_active(run) >= spec->policy->parallelism) {
        say(why, REASON_PARALLELISM,
            arena_printf(arena, "%" PRIu32 " of its tasks %s under way, as many as its parallelism allows.", run_active(run),
                         run_active(run) == 1 ? "is" : "are"));
    } else {
        why_no_room(core, spec->class, &(struct look){why->n_nodes, why->n_matching, why->n_large_enough, why->n_open}, arena, why);
    }
}

int core_why(const struct core *core, uint64_t run_id, uint32_t index, usec_t wall_usec, struct arena *arena, struct why_view *ret_why)
{
    const struct run *run = core_run(core, run_id);
    uint32_t position = 0;
    if (!run)
        return ERR_NOT_FOUND;
    const struct task *task = NULL;
    if (index == UINT32_MAX) {
        struct list *first = list_first(&run->tasks);
        if (run->n_untouched == 0 && first)
            task = list_entry(first, struct task, in_run);
    } else if (!index_set_find(&run->spec->tasks, index, &position)) {
        return ERR_NOT_FOUND;
    } else {
        task = task_find(core, run, position);
    }
    *ret_why = (struct why_view){0};
    struct look look = look_at_nodes(core, run->spec->class);
    ret_why->n_nodes = look.n_nodes;
    ret_why->n_matching = look.n_matching;
    ret_why->n_large_enough = look.n_large_enough;
    ret_why->n_open = look.n_open;
    if (task && task->node)
        why_active(core, task, arena, ret_why);
    else if (run_open(run) == 0 || (index != UINT32_MAX && !task && position < run->cursor))
        say(ret_why, REASON_NONE, "It has ended.");
    else
        why_pending(core, run, task, wall_usec, arena, ret_why);
    return 0;
}
