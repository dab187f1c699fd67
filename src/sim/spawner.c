// SPDX-License-Identifier: Apache-2.0
// The spawner of a node and the processes it holds: what survives the agent. It keeps the rules of the real one: an attempt is in the
// journal before it starts, its end is durable before it is told, at_most_once attempts end before their lease does.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "sim/internal.h"

static const usec_t lease_term_margin_usec = 3 * USEC_PER_SEC;
static const usec_t lease_kill_margin_usec = 1 * USEC_PER_SEC;

static usec_t boot_now(const struct node *node)
{
    return machine_mono(&node->machine);
}

// ---- notes for the agent

static struct exec_note *note_new(struct node *node, int kind)
{
    if (node->executor == NULL)
        return NULL;
    struct exec_note *note = mem_alloc(sizeof(*note));
    note->kind = (__typeof__(note->kind))kind;
    list_init(&note->link);
    list_add_tail(&node->executor->notes, &note->link);
    agent_wake(node);
    return note;
}

static void note_end(struct node *node, const struct attempt_end *end)
{
    struct exec_note *note = note_new(node, NOTE_ENDED);
    if (note == NULL)
        return;
    note->fence = end->fence;
    note->end = *end;
}

// ---- processes

static void arm(struct process *process, usec_t boot_usec)
{
    timer_set(&process->timer, machine_after(&process->node->machine, boot_usec - boot_now(process->node)));
}

static void arm_running(struct process *process)
{
    arm(process, usec_min(process->exit_at, usec_min(process->limit_at, process->kill_at)));
}

static void process_free(struct process *process)
{
    timer_stop(&process->timer);
    map_del(&process->node->spawner.by_fence, process->fence);
    list_del(&process->link);
    mem_free(process);
}

// The end is known; it is durable, and told, after a sync.
static void process_ending(struct process *process)
{
    process->phase = PROC_SYNCING;
    process->end.fence = process->fence;
    arm(process, boot_now(process->node) + USEC_PER_MSEC + (usec_t)prng_below(&process->node->prng, 20 * USEC_PER_MSEC));
}

static void unstarted(struct process *process, enum outcome why)
{
    must(process->phase == PROC_ACCEPTED);
    trace(process->node->sim, process->node->actor, TR_UNSTARTED, process->fence, (uint64_t)why, 0);
    process->end = (struct attempt_end){.outcome = why, .message = "it did not start"};
    process_ending(process);
}

static void process_gone(struct process *process)
{
    struct node *node = process->node;
    must(node->alive > 0 && node->used_cpu >= process->cpu_millis);
    node->alive--;
    node->used_cpu -= process->cpu_millis;
    node->used_memory -= process->memory_bytes;
    node->used_licences -= process->licences;
    trace(node->sim, node->actor, TR_EXITED, process->fence, (uint64_t)process->end.outcome, (uint64_t)process->end.exit_code);
    truth_exited(node->sim, process, process->end.outcome, process->end.exit_code);
}

// Its own process has ended; what it left behind is killed before the end counts.
static void process_exited(struct process *process, int signal)
{
    struct node *node = process->node;
    struct plan *plan = &process->plan;
    struct attempt_end *end = &process->end;
    end->start_usec = process->start_wall_usec;
    end->wall_usec = boot_now(node) - process->start_boot_usec;
    if (signal == 0)
        signal = plan->signal;
    end->signal = signal;
    end->exit_code = signal != 0 ? 0 : plan->exit_code;
    end->outcome = signal != 0 ? OUTCOME_SIGNAL : end->exit_code == 0 ? OUTCOME_SUCCEEDED : OUTCOME_EXIT;
    if (plan->oom)
        end->outcome = OUTCOME_OOM;
    else if (process->stop_asked)
        end->outcome = process->stop_why;
    process->phase = PROC_EMPTYING;
    process->exit_at = process->limit_at = process->kill_at = USEC_NEVER;
    arm(process, boot_now(node) + plan->linger_usec);
}

static void process_emptied(struct process *process)
{
    struct sim *sim = process->node->sim;
    process_gone(process);
    if (planted(sim, PLANT_LIE_NOT_STARTED) && process->end.outcome == OUTCOME_EXIT && prng_chance(&process->node->prng, 200))
        process->end = (struct attempt_end){.fence = process->fence, .outcome = OUTCOME_NOT_STARTED};
    if (planted(sim, PLANT_WRONG_EXIT) && process->end.outcome == OUTCOME_EXIT && prng_chance(&process->node->prng, 200)) {
        process->end.outcome = OUTCOME_SUCCEEDED;
        process->end.exit_code = 0;
    }
    process_ending(process);
}

static void process_launch(struct process *process)
{
    struct node *node = process->node;
    struct sim *sim = node->sim;
    struct spawner *spawner = &node->spawner;
    usec_t now = boot_now(node);
    if (process->delivery == AT_MOST_ONCE && now >= spawner->lease_boot_usec - lease_term_margin_usec) {
        unstarted(process, OUTCOME_NOT_STARTED);
        return;
    }
    if (process->plan.spawn_fails) {
        fault_count(sim, FAULT_EXEC_SPAWN_FAIL);
        unstarted(process, OUTCOME_SPAWN);
        return;
    }
    process->phase = PROC_RUNNING;
    process->start_boot_usec = now;
    process->start_wall_usec = machine_wall(&node->machine);
    process->exit_at = now + process->plan.run_usec;
    process->limit_at = process->time_limit_usec > 0 ? now + process->time_limit_usec : USEC_NEVER;
    node->alive++;
    node->used_cpu += process->cpu_millis;
    node->used_memory += process->memory_bytes;
    node->used_licences += process->licences;
    trace(sim, node->actor, TR_PROCESS, process->fence, process->run_id, process->index);
    truth_started(sim, process);
    struct exec_note *note = note_new(node, NOTE_STARTED);
    if (note != NULL) {
        note->fence = process->fence;
        note->start_usec = process->start_wall_usec;
    }
    arm_running(process);
    if (process->plan.poison && sim->phase == PHASE_FAULTS) {
        fault_count(sim, FAULT_EXEC_POISON);
        spawner_crash(node, false);
    }
}

static void process_stop(struct process *process, enum outcome why)
{
    struct node *node = process->node;
    if (process->stop_asked || process->phase >= PROC_EMPTYING)
        return;
    process->stop_asked = true;
    process->stop_why = why;
    if (process->phase == PROC_ACCEPTED) {
        unstarted(process, why);
        return;
    }
    usec_t now = boot_now(node);
    process->limit_at = USEC_NEVER;
    process->kill_at = usec_min(process->kill_at, now + process->kill_grace_usec);
    trace(node->sim, node->actor, TR_SIGNALLED, process->fence, 15, 0);
    if (!process->plan.ignores_term)
        process->exit_at = usec_min(process->exit_at, now + 1000 + (usec_t)prng_below(&node->prng, USEC_PER_SEC));
    else
        fault_count(node->sim, FAULT_EXEC_IGNORE_TERM);
    arm_running(process);
}

static void process_fire(void *context)
{
    struct process *process = context;
    struct node *node = process->node;
    usec_t now = boot_now(node);
    if (node->suspended)
        return; // goes on with its machine
    switch (process->phase) {
    case PROC_ACCEPTED:
        if (now < process->start_at)
            arm(process, process->start_at);
        else
            process_launch(process);
        return;
    case PROC_RUNNING:
        if (process->kill_at <= now) {
            trace(node->sim, node->actor, TR_SIGNALLED, process->fence, 9, 0);
            process_exited(process, 9);
        } else if (process->exit_at <= now) {
            process_exited(process, process->stop_asked && !process->plan.ignores_term ? 15 : 0);
        } else if (process->limit_at <= now) {
            process_stop(process, OUTCOME_TIMEOUT);
        } else {
            arm_running(process);
        }
        return;
    case PROC_EMPTYING:
        process_emptied(process);
        return;
    case PROC_SYNCING:
        process->phase = PROC_ENDED;
        note_end(node, &process->end);
        return;
    case PROC_GONE:
    case PROC_ENDED:
        unreachable();
    }
}

// ---- the lease of at_most_once attempts

static void lease_fire(void *context)
{
    struct node *node = context;
    struct spawner *spawner = &node->spawner;
    if (!spawner->up || node->suspended)
        return;
    usec_t now = boot_now(node), term = spawner->lease_boot_usec - lease_term_margin_usec, kill = spawner->lease_boot_usec - lease_kill_margin_usec;
    if (now < term) {
        timer_set(&spawner->lease_timer, machine_after(&node->machine, term - now));
        return;
    }
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &spawner->processes) {
        struct process *process = list_entry(pos, struct process, link);
        if (process->delivery != AT_MOST_ONCE || process->phase >= PROC_EMPTYING)
            continue;
        process_stop(process, OUTCOME_LEASE);
        if (process->phase == PROC_RUNNING && process->kill_at > kill) {
            process->kill_at = usec_max(kill, now);
            arm_running(process);
        }
    }
}

static void renew(struct node *node, usec_t until)
{
    struct spawner *spawner = &node->spawner;
    if (until <= spawner->lease_boot_usec)
        return;
    spawner->lease_boot_usec = until;
    if (!node->suspended)
        timer_set(&spawner->lease_timer, machine_after(&node->machine, until - lease_term_margin_usec - boot_now(node)));
}

// ---- the executor that an agent holds

static struct node *node_of(struct executor *executor)
{
    return container_of(executor, struct sim_executor, base)->node;
}

static void exec_close(struct executor *executor)
{
    struct sim_executor *own = container_of(executor, struct sim_executor, base);
    struct list *first;
    while ((first = list_first(&own->notes)) != NULL) {
        list_del(first);
        mem_free(list_entry(first, struct exec_note, link));
    }
    mem_free(own);
}

static const char *exec_instance(struct executor *executor)
{
    return node_of(executor)->spawner.instance_text;
}

static void exec_attempts(struct executor *executor, void (*visit)(void *, const struct exec_attempt *), void *context)
{
    struct node *node = node_of(executor);
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &node->spawner.processes) {
        struct process *process = list_entry(pos, struct process, link);
        if (planted(node->sim, PLANT_LOSE_SPOOL) && process->phase == PROC_ENDED && process->end.start_usec != 0) {
            process_free(process);
            continue;
        }
        struct exec_attempt attempt = {
            .fence = process->fence,
            .run_id = process->run_id,
            .index = process->index,
            .attempt = process->attempt,
            .delivery = process->delivery,
            .running = process->phase != PROC_ENDED,
            .start_usec = process->start_wall_usec,
            .end = process->end,
        };
        visit(context, &attempt);
    }
}

static void exec_start(struct executor *executor, const struct exec_start *start)
{
    struct node *node = node_of(executor);
    struct sim *sim = node->sim;
    struct spawner *spawner = &node->spawner;
    trace(sim, node->actor, TR_ORDER, start->fence, start->run_id, start->index);
    bool known = map_get(&spawner->by_fence, start->fence) != NULL || map_get(&spawner->forgotten, start->fence) != NULL;
    if (known && !planted(sim, PLANT_SKIP_FENCE_CHECK))
        return;
    if (!spawner->up) {
        note_end(node, &(struct attempt_end){.fence = start->fence, .outcome = OUTCOME_NOT_STARTED, .message = "the spawner is not there"});
        return;
    }
    const struct t_run *run = truth_run(sim, start->run_id);
    hold(sim, INV_PARAMS_TRUE, run == NULL || run->params_hash == hash_bytes(start->params.data, start->params.len, 0),
         "a process of run %" PRIu64 " begins with other values of parameters", start->run_id);
    struct process *process = mem_alloc(sizeof(*process));
    process->node = node;
    process->fence = start->fence;
    process->run_id = start->run_id;
    process->index = start->index;
    process->attempt = start->attempt;
    process->delivery = start->spec->delivery;
    process->time_limit_usec = start->spec->time_limit_usec;
    process->kill_grace_usec = start->spec->kill_grace_usec;
    for (size_t i = 0; i < start->spec->n_needs; i++) {
        const struct resource_need *need = &start->spec->needs[i];
        uint64_t *to = strcmp(need->name, "cpu") == 0 ? &process->cpu_millis : strcmp(need->name, "memory") == 0 ? &process->memory_bytes : &process->licences;
        *to = need->amount;
    }
    process->exit_at = process->limit_at = process->kill_at = USEC_NEVER;
    process->plan = plan_of(sim, start->run_id, start->index, start->attempt);
    timer_init(&process->timer, sim, process_fire, process);
    list_init(&process->link);
    list_add_tail(&spawner->processes, &process->link);
    map_put(&spawner->by_fence, process->fence, process);
    if (process->delivery == AT_MOST_ONCE)
        renew(node, start->lease_until_boot_usec);
    process->start_at = boot_now(node) + process->plan.start_delay_usec;
    arm(process, process->start_at);
}

static void exec_stop(struct executor *executor, uint64_t fence, enum outcome why)
{
    struct node *node = node_of(executor);
    struct process *process = map_get(&node->spawner.by_fence, fence);
    trace(node->sim, node->actor, TR_STOP, fence, (uint64_t)why, 0);
    const struct t_fence *truth = truth_fence(node->sim, fence);
    bool wanted = why == OUTCOME_LEASE || (truth != NULL && (truth->stopping || truth->ended));
    hold(node->sim, INV_STOP_WANTED, wanted, "node %s stops fence %llu, which nobody asked for", node->name, (unsigned long long)fence);
    if (process != NULL)
        process_stop(process, why);
}

static void exec_forget(struct executor *executor, uint64_t fence)
{
    struct node *node = node_of(executor);
    struct process *process = map_get(&node->spawner.by_fence, fence);
    if (process == NULL || process->phase != PROC_ENDED)
        return;
    trace(node->sim, node->actor, TR_FORGET, fence, 0, 0);
    const struct t_fence *truth = truth_fence(node->sim, fence);
    hold(node->sim, INV_FORGET_DURABLE, truth == NULL || truth->ended, "node %s may forget fence %llu, whose end is not durable", node->name,
         (unsigned long long)fence);
    map_put(&node->spawner.forgotten, fence, node);
    process_free(process);
}

static void exec_renew(struct executor *executor, usec_t until)
{
    renew(node_of(executor), until);
}

static int exec_fd(struct executor *executor)
{
    (void)executor;
    return -1;
}

static usec_t exec_deadline(struct executor *executor, usec_t mono_usec)
{
    struct sim_executor *own = container_of(executor, struct sim_executor, base);
    (void)mono_usec;
    return list_empty(&own->notes) ? USEC_NEVER : 0;
}

static int exec_ready(struct executor *executor, struct err *err)
{
    struct sim_executor *own = container_of(executor, struct sim_executor, base);
    const struct executor_sink *sink = &executor->sink;
    (void)err;
    struct list *first;
    while ((first = list_first(&own->notes)) != NULL) {
        struct exec_note *note = list_entry(first, struct exec_note, link);
        list_del(first);
        if (note->kind == NOTE_STARTED)
            sink->on_started(sink->context, note->fence, note->start_usec);
        else if (note->kind == NOTE_ENDED)
            sink->on_ended(sink->context, &note->end);
        else
            sink->on_reset(sink->context, own->node->spawner.instance_text);
        mem_free(note);
    }
    return 0;
}

static size_t exec_warnings(struct executor *executor, const char *const **ret_sentences)
{
    (void)executor;
    *ret_sentences = NULL;
    return 0;
}

static const struct executor_ops sim_executor_ops = {
    .name = "simulated",
    .close = exec_close,
    .instance = exec_instance,
    .attempts = exec_attempts,
    .start = exec_start,
    .stop = exec_stop,
    .forget = exec_forget,
    .renew = exec_renew,
    .fd = exec_fd,
    .deadline = exec_deadline,
    .ready = exec_ready,
    .warnings = exec_warnings,
};

struct sim_executor *sim_executor_open(struct node *node, struct executor_sink sink)
{
    struct sim_executor *own = mem_alloc(sizeof(*own));
    own->base = (struct executor){.ops = &sim_executor_ops, .sink = sink};
    own->node = node;
    list_init(&own->notes);
    return own;
}

// ---- life and death

static void spawner_restart(void *context)
{
    struct node *node = context;
    if (node->machine_up && !node->spawner.up && node->agent_up)
        spawner_begin(node);
}

void spawner_init(struct node *node)
{
    struct spawner *spawner = &node->spawner;
    spawner->instance = node->clone ? 1000 : 0;
    list_init(&spawner->processes);
    map_init(&spawner->by_fence);
    map_init(&spawner->forgotten);
    timer_init(&spawner->lease_timer, node->sim, lease_fire, node);
    timer_init(&spawner->restart, node->sim, spawner_restart, node);
}

void spawner_release(struct node *node)
{
    struct list *first;
    while ((first = list_first(&node->spawner.processes)) != NULL)
        process_free(list_entry(first, struct process, link));
    map_release(&node->spawner.by_fence);
    map_release(&node->spawner.forgotten);
    timer_stop(&node->spawner.lease_timer);
    timer_stop(&node->spawner.restart);
}

// What an older instance held has ended, and the journal tells of it.
void spawner_begin(struct node *node)
{
    struct spawner *spawner = &node->spawner;
    must(!spawner->up);
    spawner->up = true;
    spawner->instance++;
    spawner->lease_boot_usec = 0;
    snprintf(spawner->instance_text, sizeof(spawner->instance_text), "spawner-%d-%u", node->index, spawner->instance);
    trace(node->sim, node->actor, TR_SPAWNER_START, spawner->instance, 0, 0);
    note_new(node, NOTE_RESET);
    struct list *pos;
    list_for_each(pos, &spawner->processes) {
        struct process *process = list_entry(pos, struct process, link);
        if (process->phase != PROC_ENDED) {
            process->end = (struct attempt_end){.fence = process->fence, .outcome = OUTCOME_LOST, .start_usec = process->start_wall_usec,
                                                .message = "the spawner of the node died while it held this attempt"};
            process->phase = PROC_ENDED;
        }
        note_end(node, &process->end);
    }
}

// Ends everything that runs there. machine: with the machine, so that what was not synced is gone.
void spawner_crash(struct node *node, bool machine)
{
    struct spawner *spawner = &node->spawner;
    if (!spawner->up)
        return;
    trace(node->sim, node->actor, TR_SPAWNER_DEAD, 0, 0, 0);
    spawner->up = false;
    timer_stop(&spawner->lease_timer);
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &spawner->processes) {
        struct process *process = list_entry(pos, struct process, link);
        timer_stop(&process->timer);
        if (process->phase == PROC_RUNNING || process->phase == PROC_EMPTYING) {
            process->end = (struct attempt_end){.fence = process->fence, .outcome = OUTCOME_LOST};
            process_gone(process);
        }
        if (process->phase == PROC_ENDED)
            continue;
        bool synced = !machine || process->phase != PROC_ACCEPTED || prng_chance(&node->prng, 700);
        process->phase = PROC_GONE;
        if (!synced)
            process_free(process); // not even the order was in the journal
    }
    if (!machine)
        timer_set(&spawner->restart, node->sim->now + 50 * USEC_PER_MSEC + (usec_t)prng_below(&node->prng, 3 * USEC_PER_SEC));
}
