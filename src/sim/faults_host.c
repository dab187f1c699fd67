// SPDX-License-Identifier: Apache-2.0
// Faults of processes, machines, disks and clocks.
#include <string.h>

#include "sim/internal.h"

static usec_t some_time(struct prng *prng)
{
    return log_uniform(prng, 50 * USEC_PER_MSEC, 3 * USEC_PER_MIN);
}

static void jump_server(struct sim *sim, usec_t by)
{
    if (by > 0)
        sim->skipped_usec = usec_add(sim->skipped_usec, by);
    sim->n_jumps++;
    sim->jumped_usec = sim->now;
    machine_jump(&sim->servers[0].machine, by);
    trace(sim, ACTOR_SERVER, TR_CLOCK, (uint64_t)by, 0, 0);
    server_wake(&sim->servers[0]);
}

static void jump_node(struct node *node, usec_t by)
{
    machine_jump(&node->machine, by);
    trace(node->sim, node->actor, TR_CLOCK, (uint64_t)by, 0, 0);
}

static usec_t some_jump(struct prng *prng, usec_t most)
{
    usec_t usec = log_uniform(prng, USEC_PER_SEC, most);
    return prng_chance(prng, 500) ? usec : -usec;
}

struct strobe {
    struct sim *sim;
    struct prng prng;
    uint32_t left;
    usec_t off_usec;
};

static void strobe_fire(void *context, uint64_t arg)
{
    struct strobe *strobe = context;
    struct sim *sim = strobe->sim;
    (void)arg;
    bool over = strobe->left == 0 || sim->phase != PHASE_FAULTS;
    usec_t off = over ? 0 : some_jump(&strobe->prng, 5 * USEC_PER_MIN);
    if (sim->phase == PHASE_FAULTS)
        jump_server(sim, off - strobe->off_usec);
    strobe->off_usec = off;
    if (over)
        return;
    strobe->left--;
    sim_later(sim, 1000 + (usec_t)prng_below(&strobe->prng, USEC_PER_SEC), strobe_fire, strobe, 0);
}

static void begin_strobe(struct sim *sim, struct prng *prng)
{
    struct strobe *strobe = arena_new(&sim->truth.lasting, struct strobe);
    strobe->sim = sim;
    strobe->left = 3 + (uint32_t)prng_below(prng, 40);
    prng_init(&strobe->prng, prng_u64(prng));
    strobe_fire(strobe, 0);
}

static bool begin_clone(struct sim *sim, struct prng *prng)
{
    struct node *node = fault_node(sim, prng);
    if (node->clone || sim->n_clones >= 2)
        return false;
    for (size_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i]->clone && sim->nodes[i]->index == node->index)
            return false;
    struct node *clone = mem_alloc(sizeof(*clone));
    node_init(clone, sim, node->index, true);
    clone->kept_epoch = node->kept_epoch; // its disk was copied
    sim->nodes[sim->n_nodes++] = clone;
    sim->n_clones++;
    agent_start(clone);
    return true;
}

static void drift(struct sim *sim, struct prng *prng)
{
    int64_t ppm = (int64_t)prng_below(prng, 100001) - 50000;
    if (prng_chance(prng, 300)) {
        machine_drift(&sim->servers[0].machine, ppm);
        fault_hit(sim, ACTOR_SERVER, FAULT_CLOCK_DRIFT, 0);
        server_wake(&sim->servers[0]);
        return;
    }
    struct node *node = fault_node(sim, prng);
    machine_drift(&node->machine, ppm);
    fault_hit(sim, node->actor, FAULT_CLOCK_DRIFT, 0);
    node_clock_changed(node);
}

// Outages last up to more than a day where schedules are looked at; the phase with faults then is as much longer, so that their end is seen.
static usec_t draw_outage(struct sim *sim, struct prng *prng)
{
    bool cron = strcmp(sim->options->scenario, "cron") == 0;
    if (!prng_chance(prng, cron ? 300 : 50))
        return log_uniform(prng, USEC_PER_MIN, USEC_PER_HOUR);
    usec_t usec = log_uniform(prng, USEC_PER_HOUR, 30 * USEC_PER_HOUR);
    if (cron && sim->options->minutes_usec == 0)
        sim->safety_usec = usec_add(sim->safety_usec, usec);
    return usec;
}

static bool fault_server(struct sim *sim, enum fault_kind kind, struct prng *prng)
{
    struct server *server = &sim->servers[0];
    bool was_up = server->up;
    switch (kind) {
    case FAULT_SERVER_CRASH:
        server_crash(server);
        return was_up;
    case FAULT_SERVER_CRASH_AT_STORE:
        sim->disk.crash_call = 1 + (uint32_t)prng_below(prng, 10);
        return false; // counted when it strikes
    case FAULT_SERVER_CRASH_AT_EFFECT:
        server->effects_left = 1 + (uint32_t)prng_below(prng, 30);
        return false;
    case FAULT_SERVER_LOOP:
        server->loop_left = 2 + (uint32_t)prng_below(prng, 6);
        server_crash(server);
        return was_up;
    case FAULT_SERVER_PAUSE:
        was_up = was_up && !server->paused;
        server_pause(server, some_time(prng));
        return was_up;
    case FAULT_SERVER_OUTAGE:
        server->restart_usec = draw_outage(sim, prng);
        server_crash(server);
        return was_up;
    default:
        unreachable();
    }
}

static bool fault_disk(struct sim *sim, enum fault_kind kind, struct prng *prng)
{
    struct disk *disk = &sim->disk;
    usec_t until = sim->now + some_time(prng);
    switch (kind) {
    case FAULT_DISK_FULL:
        disk->full_until = prng_chance(prng, 150) ? sim->now + log_uniform(prng, 3 * USEC_PER_MIN, USEC_PER_HOUR) : until;
        fault_hit(sim, ACTOR_DISK, kind, disk->full_until - sim->now);
        return true;
    case FAULT_DISK_UNKNOWN:
        disk->unknown_next = 1 + (uint32_t)prng_below(prng, 2);
        return false; // counted when it strikes
    case FAULT_DISK_ERROR:
        disk->fail_call = 1 + (uint32_t)prng_below(prng, 12);
        return false;
    case FAULT_DISK_SLOW:
        disk->slow_until = until;
        fault_hit(sim, ACTOR_DISK, kind, until - sim->now);
        disk->slow_usec = log_uniform(prng, 10 * USEC_PER_MSEC, prng_chance(prng, 200) ? USEC_PER_MIN : 5 * USEC_PER_SEC);
        return true;
    case FAULT_HISTORY_STALL:
        disk->history_stalled_until = until;
        fault_hit(sim, ACTOR_DISK, kind, until - sim->now);
        return true;
    default:
        unreachable();
    }
}

bool fault_host(struct sim *sim, enum fault_kind kind, struct prng *prng)
{
    struct node *node = fault_node(sim, prng);
    usec_t year = 365 * USEC_PER_DAY;
    bool able = true; // to break
    switch (kind) {
    case FAULT_AGENT_CRASH:
        able = node->agent_up;
        agent_crash(node);
        return able;
    case FAULT_AGENT_PAUSE:
        able = node->agent_up && !node->agent_paused;
        agent_pause(node, some_time(prng));
        node->apart_usec = usec_max(node->apart_usec, sim->now + 3 * USEC_PER_MIN);
        return able;
    case FAULT_AGENT_CLONE:
        return begin_clone(sim, prng);
    case FAULT_AGENT_DISK:
        node->keep_fails = 1 + (uint32_t)prng_below(prng, 20);
        return false; // counted when it strikes
    case FAULT_SPAWNER_CRASH:
        able = node->machine_up && node->spawner.up;
        if (able)
            spawner_crash(node, false);
        return able;
    case FAULT_NODE_REBOOT:
        able = node->machine_up;
        node_reboot(node, log_uniform(prng, USEC_PER_SEC, 5 * USEC_PER_MIN));
        return able;
    case FAULT_NODE_SUSPEND:
        able = node->machine_up && !node->suspended;
        node_suspend(node, some_time(prng));
        return able;
    case FAULT_CLOCK_JUMP:
        jump_server(sim, some_jump(prng, year));
        return true;
    case FAULT_CLOCK_JUMP_NODE:
        jump_node(node, some_jump(prng, year));
        return true;
    case FAULT_CLOCK_DRIFT:
        drift(sim, prng);
        return true;
    case FAULT_CLOCK_STROBE:
        begin_strobe(sim, prng);
        return true;
    case FAULT_SERVER_CRASH:
    case FAULT_SERVER_CRASH_AT_STORE:
    case FAULT_SERVER_CRASH_AT_EFFECT:
    case FAULT_SERVER_LOOP:
    case FAULT_SERVER_PAUSE:
    case FAULT_SERVER_OUTAGE:
        return fault_server(sim, kind, prng);
    default:
        return fault_disk(sim, kind, prng);
    }
}
