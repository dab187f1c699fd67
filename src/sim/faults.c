// SPDX-License-Identifier: Apache-2.0
// Faults: which kinds take part, how often, and when. Each kind has its own stream; each occurrence draws from numbers of its own, so that
// leaving one out changes none of the others.
#include <string.h>

#include "sim/internal.h"

static const struct {
    const char *text;
    const char *scenarios;
} rows[] = {
#define FAULT(NAME, text, scenarios, sentence) {text, scenarios},
#include "sim/faults.def"
};

static const char *const scenarios[] = {"swarm", "calm", "net", "partition", "crash", "disk", "clock", "cron", "pause", "exec", "poison", "outage", "array", "clone"};

static const char *const plant_scenarios[] = {
    "swarm",
#define PLANT(NAME, text, scenario, sentence) scenario,
#include "sim/plants.def"
};

bool sim_scenario_known(const char *text)
{
    if (strcmp(text, "all") == 0)
        return true;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        if (strcmp(scenarios[i], text) == 0)
            return true;
    return false;
}

const char *sim_scenario_of(const struct sim_options *options)
{
    const size_t n = sizeof(scenarios) / sizeof(*scenarios);
    if (options->scenario == NULL)
        return plant_scenarios[options->plant];
    if (strcmp(options->scenario, "all") != 0)
        return options->scenario;
    return options->seed % 2 == 0 ? "swarm" : scenarios[1 + options->seed / 2 % (n - 1)];
}

const char *sim_fault_text(int kind)
{
    return kind == FAULTS ? "people" : rows[kind].text;
}

int sim_fault_find(const char *text)
{
    for (int i = 0; i < FAULTS; i++)
        if (strcmp(rows[i].text, text) == 0)
            return i;
    return -1;
}

bool fault_in_scenario(enum fault_kind kind, const char *scenario)
{
    size_t len = strlen(scenario);
    for (const char *p = rows[kind].scenarios; *p != '\0'; p += strspn(p, " ")) {
        size_t word = strcspn(p, " ");
        if (word == len && memcmp(p, scenario, len) == 0)
            return true;
        p += word;
    }
    return false;
}

void fault_count(struct sim *sim, enum fault_kind kind)
{
    sim->result->faults[kind]++;
}

void fault_hit(struct sim *sim, int actor, enum fault_kind kind, usec_t usec)
{
    trace(sim, actor, TR_HIT, (uint64_t)kind, (uint64_t)usec, 0);
}

bool fault_happens(struct sim *sim, enum fault_kind kind)
{
    return !sim_skips(sim, (int)kind, sim->faults[kind].n++);
}

bool sim_skips(const struct sim *sim, int kind, uint32_t occurrence)
{
    for (size_t i = 0; i < sim->options->n_skip; i++) {
        const struct sim_skip *skip = &sim->options->skip[i];
        if (skip->kind == kind && occurrence >= skip->from && occurrence <= skip->to)
            return true;
    }
    return false;
}

// From least to most, each power of ten as likely as any other.
usec_t log_uniform(struct prng *prng, usec_t least, usec_t most)
{
    must(least > 0 && most >= least);
    usec_t low = least;
    int doublings = 0;
    while (low <= most / 2) {
        low *= 2;
        doublings++;
    }
    usec_t value = least << prng_below(prng, (uint64_t)doublings + 1);
    value += (usec_t)prng_below(prng, (uint64_t)value);
    return usec_min(value, most);
}

struct node *fault_node(struct sim *sim, struct prng *prng)
{
    return sim->nodes[prng_below(prng, sim->n_nodes)];
}

// Faults of processes are drawn with each process; those of a crash, when it happens.
static bool has_times(enum fault_kind kind)
{
    switch (kind) {
    case FAULT_DISK_LOST:
    case FAULT_DISK_TORN:
    case FAULT_DISK_LANDED:
    case FAULT_EXEC_SLOW_START:
    case FAULT_EXEC_SPAWN_FAIL:
    case FAULT_EXEC_IGNORE_TERM:
    case FAULT_EXEC_GRANDCHILD:
    case FAULT_EXEC_POISON:
        return false;
    default:
        return true;
    }
}

static void source_fire(void *context)
{
    struct fault_source *source = context;
    struct sim *sim = source->sim;
    uint32_t n = source->n++;
    timer_set(&source->timer, sim->now + 1 + (usec_t)prng_below(&source->prng, 2 * (uint64_t)source->mean_usec));
    if (sim_skips(sim, (int)source->kind, n))
        return;
    struct prng prng;
    prng_init(&prng, sim_mix(sim_mix(sim->options->seed, 900 + (uint64_t)source->kind), n));
    trace(sim, ACTOR_WORLD, TR_FAULT, (uint64_t)source->kind, n, 0);
    bool net = source->kind <= FAULT_NET_DUP_CONNECT;
    if (net ? fault_net(sim, source->kind, &prng) : fault_host(sim, source->kind, &prng))
        fault_count(sim, source->kind);
}

void faults_start(struct sim *sim)
{
    const char *scenario = sim->options->scenario;
    bool swarm = strcmp(scenario, "swarm") == 0;
    for (int i = 0; i < FAULTS; i++) {
        struct fault_source *source = &sim->faults[i];
        *source = (struct fault_source){.sim = sim, .kind = (enum fault_kind)i};
        prng_init(&source->prng, sim_mix(sim->options->seed, 600 + (uint64_t)i));
        timer_init(&source->timer, sim, source_fire, source);
        bool takes_part = prng_chance(&source->prng, 450);
        uint32_t often = (uint32_t)prng_below(&source->prng, 200);
        source->mean_usec = log_uniform(&source->prng, 10 * USEC_PER_SEC, 15 * USEC_PER_MIN);
        if (i == FAULT_SERVER_OUTAGE)
            source->mean_usec = 10 * source->mean_usec;
        if (!(swarm ? takes_part : fault_in_scenario((enum fault_kind)i, scenario)))
            continue;
        if (has_times((enum fault_kind)i))
            timer_set(&source->timer, sim->now + USEC_PER_SEC + (usec_t)prng_below(&source->prng, 2 * (uint64_t)source->mean_usec));
        else
            sim->exec_permille[i] = 1 + often;
    }
}

void faults_stop(struct sim *sim)
{
    for (int i = 0; i < FAULTS; i++) {
        timer_stop(&sim->faults[i].timer);
        sim->exec_permille[i] = 0;
    }
}

// Nothing is broken any more; what was down comes back.
void heal_everything(struct sim *sim)
{
    disk_heal(&sim->disk);
    for (size_t i = 0; i < sim->n_servers; i++) {
        struct server *server = &sim->servers[i];
        machine_drift(&server->machine, 0);
        machine_jump(&server->machine, sim->wall_base_usec + sim->now - machine_wall(&server->machine));
        sim->n_jumps++; // what the clock had drifted by
        sim->jumped_usec = sim->now;
        server->effects_left = server->loop_left = 0;
        server->restart_usec = 0;
        if (!server->up)
            timer_set(&server->restart, sim->now + USEC_PER_SEC);
        if (server->paused)
            timer_set(&server->resume, sim->now + 1);
        else
            timer_stop(&server->resume);
        server_wake(server);
    }
    for (size_t i = 0; i < sim->n_nodes; i++) {
        struct node *node = sim->nodes[i];
        node->link.blocked_until[0] = node->link.blocked_until[1] = node->link.slow_until = 0;
        node->keep_fails = 0;
        machine_drift(&node->machine, 0);
        machine_jump(&node->machine, sim->wall_base_usec + sim->now - machine_wall(&node->machine));
        if (node->suspended)
            timer_set(&node->machine_resume, sim->now + 1);
        if (node->agent_paused)
            timer_set(&node->agent_resume, sim->now + 1);
        if (!node->clone && node->machine_up && !node->agent_up)
            timer_set(&node->agent_restart, sim->now + USEC_PER_SEC);
        if (node->clone && !node->machine_up)
            node->boots++; // it does not come back
        else if (node->clone)
            node_reboot(node, 100 * 365 * USEC_PER_DAY); // the second machine is taken away
        node_clock_changed(node);
    }
    struct list *pos;
    list_for_each(pos, &sim->conns) {
        struct conn *conn = list_entry(pos, struct conn, link);
        conn->pipe[0].stalled_until = conn->pipe[1].stalled_until = 0;
    }
    net_kick(sim, NULL);
}
