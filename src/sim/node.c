// SPDX-License-Identifier: Apache-2.0
// A machine with its agent process: what agent/agent.c does around the decisions of agent_core, with simulated clocks and files.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "sim/internal.h"

static void agent_restart(void *context)
{
    struct node *node = context;
    if (node->machine_up)
        agent_start(node);
}

void node_init(struct node *node, struct sim *sim, int index, bool clone)
{
    *node = (struct node){.sim = sim, .index = index, .clone = clone};
    node->actor = (clone ? ACTOR_CLONE : ACTOR_NODE) + index;
    snprintf(node->name, sizeof(node->name), "n%d", index);
    snprintf(node->identity, sizeof(node->identity), "identity-%d", index);
    node->boots = clone ? 1000 : 1;
    snprintf(node->boot_id, sizeof(node->boot_id), "boot-%d-%u", index, node->boots);
    prng_init(&node->prng, sim_mix(sim->options->seed, 3000 + (uint64_t)node->actor));
    prng_init(&node->link.prng, sim_mix(sim->options->seed, 4000 + (uint64_t)node->actor));
    node->link.delay_usec = 50 + (usec_t)prng_below(&node->link.prng, 2000);
    node->link.jitter_usec = (usec_t)prng_below(&node->link.prng, 1500);
    machine_init(&node->machine, sim, USEC_PER_MIN + (usec_t)prng_below(&node->prng, USEC_PER_HOUR));
    node->machine_up = true;
    static const uint64_t sizes[] = {1000, 2000, 4000, 8000, 16000};
    struct prng shape; // the same for a node and its clone
    prng_init(&shape, sim_mix(sim->options->seed, 5000 + (uint64_t)index));
    node->cpu_millis = sizes[prng_below(&shape, 5)];
    node->memory_bytes = (UINT64_C(1) << 30) << prng_below(&shape, 5);
    node->licences = prng_below(&shape, 3);
    node->tasks_max = prng_chance(&shape, 300) ? 1 + (uint32_t)prng_below(&shape, 6) : 100;
    snprintf(node->zone, sizeof(node->zone), "z%d", (int)prng_below(&shape, 3));
    arena_init(&node->arena, 64 * 1024);
    buf_init(&node->old_message);
    timer_init(&node->turn, sim, agent_turn, node);
    timer_init(&node->link_timer, sim, link_timer, node);
    timer_init(&node->agent_restart, sim, agent_restart, node);
    timer_init(&node->agent_resume, sim, agent_resume, node);
    timer_init(&node->machine_resume, sim, node_resume, node);
    spawner_init(node);
}

void node_release(struct node *node)
{
    agent_crash(node);
    spawner_release(node);
    arena_release(&node->arena);
    buf_release(&node->old_message);
    mem_free(node);
}

// ---- what the core of the agent wants

static void port_send(void *context, const struct wire_message *message)
{
    struct node *node = context;
    if (node->phase == LINK_OPEN)
        conn_send(node->conn, END_AGENT, message);
}

static int port_keep_epoch(void *context, uint64_t epoch, struct err *err)
{
    struct node *node = context;
    if (node->keep_fails > 0) {
        node->keep_fails--;
        fault_count(node->sim, FAULT_AGENT_DISK);
        fault_hit(node->sim, node->actor, FAULT_AGENT_DISK, 0);
        return err_set(err, ERR_STORE_FULL, "a failure on purpose");
    }
    hold(node->sim, INV_AGENT_EPOCH, epoch >= node->kept_epoch, "node %s takes up epoch %" PRIu64 " after %" PRIu64, node->name, epoch, node->kept_epoch);
    node->kept_epoch = epoch;
    return 0;
}

static void port_end_session(void *context, const struct err *why)
{
    struct node *node = context;
    must(why->code < 0);
    node->ending = true;
}

// ---- the process

bool agent_takes(const struct node *node)
{
    return node->machine_up && !node->suspended && node->agent_up && !node->agent_paused;
}

void agent_wake(struct node *node)
{
    node->turn_pending = true;
    if (agent_takes(node) && (!timer_is_set(&node->turn) || node->turn.at.key > node->sim->now + 20))
        timer_set(&node->turn, node->sim->now + 20);
}

void agent_start(struct node *node)
{
    struct sim *sim = node->sim;
    if (node->agent_up || !node->machine_up)
        return;
    node->agent_up = true;
    node->agent_paused = node->ending = false;
    node->apart_usec = usec_max(node->apart_usec, sim->now);
    trace(sim, node->actor, TR_AGENT_START, 0, 0, 0);
    if (!node->spawner.up)
        spawner_begin(node);
    struct agent_core_options options = {
        .port = {.send = port_send, .keep_epoch = port_keep_epoch, .end_session = port_end_session, .context = node},
        .highest_epoch = node->kept_epoch,
        .report_bytes_max = 4096,
        .tasks_max = node->tasks_max,
    };
    node->core = agent_core_new(&options);
    node->executor = sim_executor_open(node, agent_core_sink(node->core));
    agent_core_attach(node->core, &node->executor->base);
    node->phase = LINK_WAITING;
    node->backoff_usec = 50 * USEC_PER_MSEC;
    timer_set(&node->link_timer, sim->now + 1000);
    agent_wake(node);
}

// The process ends, by a crash, or with its machine.
static void agent_end(struct node *node, bool silently)
{
    if (!node->agent_up)
        return;
    trace(node->sim, node->actor, TR_AGENT_DEAD, 0, 0, 0);
    node->agent_up = false;
    if (node->conn != NULL) {
        struct conn *conn = node->conn;
        node->conn = NULL;
        conn_close(conn, END_AGENT, silently);
    }
    node->phase = LINK_DOWN;
    timer_stop(&node->turn);
    timer_stop(&node->link_timer);
    timer_stop(&node->agent_resume);
    agent_core_free(node->core);
    node->core = NULL;
    node->executor->base.ops->close(&node->executor->base);
    node->executor = NULL;
}

void agent_crash(struct node *node)
{
    if (!node->agent_up)
        return;
    agent_end(node, false);
    if (node->sim->phase != PHASE_OVER)
        timer_set(&node->agent_restart, node->sim->now + 100 * USEC_PER_MSEC + (usec_t)prng_below(&node->prng, 20 * USEC_PER_SEC));
}

void agent_pause(struct node *node, usec_t usec)
{
    if (!node->agent_up || node->agent_paused)
        return;
    trace(node->sim, node->actor, TR_AGENT_PAUSE, (uint64_t)usec, 0, 0);
    node->agent_paused = true;
    timer_stop(&node->turn);
    timer_set(&node->agent_resume, node->sim->now + usec);
}

void node_clock_changed(struct node *node)
{
    struct list *pos;
    list_for_each(pos, &node->spawner.processes) {
        struct process *process = list_entry(pos, struct process, link);
        if (process->phase != PROC_ENDED && timer_is_set(&process->timer) && (process->phase == PROC_ACCEPTED || process->phase == PROC_RUNNING))
            timer_set(&process->timer, node->sim->now + 1); // it looks at the clock and sets its timer anew
    }
    if (timer_is_set(&node->spawner.lease_timer))
        timer_set(&node->spawner.lease_timer, node->sim->now + 1);
    if (agent_takes(node))
        agent_wake(node);
}

// What waited meanwhile is seen in either order: timers or sockets.
static void agent_goes_on(struct node *node)
{
    if (!agent_takes(node))
        return;
    if (prng_chance(&node->prng, 300))
        agent_wake(node);
    net_kick(node->sim, node);
    if (!timer_is_set(&node->turn))
        timer_set(&node->turn, node->sim->now + 300);
    if (!timer_is_set(&node->link_timer) && node->phase != LINK_OPEN && node->phase != LINK_DOWN)
        timer_set(&node->link_timer, node->sim->now + 300);
}

void agent_resume(void *context)
{
    struct node *node = context;
    if (!node->agent_up || !node->agent_paused)
        return;
    trace(node->sim, node->actor, TR_AGENT_RESUME, 0, 0, 0);
    node->agent_paused = false;
    node->steady_usec = node->sim->now;
    agent_goes_on(node);
}

// ---- the machine

static void node_boot(void *context, uint64_t boots)
{
    struct node *node = context;
    if (node->boots != boots || node->machine_up || node->sim->phase == PHASE_OVER)
        return;
    node->machine_up = true;
    node->suspended = false;
    usec_t wall = machine_wall(&node->machine), drift = node->machine.drift_ppm;
    machine_init(&node->machine, node->sim, 5 * USEC_PER_SEC);
    machine_jump(&node->machine, wall - machine_wall(&node->machine)); // the clock of the board went on
    machine_drift(&node->machine, drift);
    agent_start(node);
}

void node_reboot(struct node *node, usec_t down_usec)
{
    struct sim *sim = node->sim;
    if (!node->machine_up)
        return;
    trace(sim, node->actor, TR_REBOOT, 0, 0, 0);
    agent_end(node, true);
    timer_stop(&node->agent_restart);
    node->machine_up = false;
    spawner_crash(node, true);
    node->boots++;
    snprintf(node->boot_id, sizeof(node->boot_id), "boot-%d-%u", node->index, node->boots);
    sim_later(sim, down_usec, node_boot, node, node->boots);
}

void node_suspend(struct node *node, usec_t usec)
{
    if (!node->machine_up || node->suspended)
        return;
    trace(node->sim, node->actor, TR_AGENT_PAUSE, (uint64_t)usec, 0, 0);
    node->suspended = true;
    timer_stop(&node->turn);
    timer_set(&node->machine_resume, node->sim->now + usec);
}

void node_resume(void *context)
{
    struct node *node = context;
    if (!node->machine_up || !node->suspended)
        return;
    trace(node->sim, node->actor, TR_AGENT_RESUME, 0, 0, 0);
    node->suspended = false;
    node->resumed_usec = node->sim->now;
    node->apart_usec = usec_max(node->apart_usec, node->sim->now);
    node->steady_usec = node->sim->now;
    // What runs there goes on at once, and the spawner as well.
    struct list *pos;
    list_for_each(pos, &node->spawner.processes) {
        struct process *process = list_entry(pos, struct process, link);
        if (process->phase < PROC_GONE && !timer_is_set(&process->timer))
            timer_set(&process->timer, node->sim->now + 1);
    }
    timer_set(&node->spawner.lease_timer, node->sim->now + 1);
    sim_later(node->sim, STANDSTILL_END_USEC, truth_stood_still, node, (uint64_t)node->sim->now);
    agent_goes_on(node);
}

// ---- the turn

static void session_end(struct node *node)
{
    node->ending = false;
    if (node->conn == NULL)
        return;
    struct conn *conn = node->conn;
    node->conn = NULL;
    conn_close(conn, END_AGENT, false);
    link_down(node);
}

void agent_turn(void *context)
{
    struct node *node = context;
    struct sim *sim = node->sim;
    if (!agent_takes(node))
        return;
    node->turn_pending = false;
    agent_core_tick(node->core, machine_mono(&node->machine));
    struct executor *executor = &node->executor->base;
    struct err err = {0};
    if (executor->ops->deadline(executor, machine_mono(&node->machine)) <= 0)
        must(executor->ops->ready(executor, &err) == 0);
    agent_core_flush(node->core);
    if (node->ending)
        session_end(node);
    if (node->turn_pending || executor->ops->deadline(executor, machine_mono(&node->machine)) <= 0) {
        timer_set(&node->turn, sim->now + 20);
        return;
    }
    usec_t deadline = agent_core_deadline(node->core);
    if (deadline == USEC_NEVER)
        return;
    timer_set(&node->turn, usec_max(machine_after(&node->machine, deadline - machine_mono(&node->machine)), sim->now + 20));
}
