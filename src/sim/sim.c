// SPDX-License-Identifier: Apache-2.0
// One run: building the cluster that the seed asks for, the phase with faults, the phase without.
#include <string.h>

#include "base/tz.h"
#include "sim/internal.h"

enum { EVENTS_MAX = 600000, RECORDS_MAX = 300000 };

static void draw_limits(struct sim *sim, struct prng *prng)
{
    limits_init(&sim->limits);
    int64_t *value = sim->limits.value;
    // Short leases make more of them end; the proportions stay those of production.
    if (prng_chance(prng, 500)) {
        value[LIMIT_NODE_LEASE] = (5 + (int64_t)prng_below(prng, 15)) * USEC_PER_SEC;
        value[LIMIT_NODE_HEARTBEAT] = value[LIMIT_NODE_LEASE] / 5;
        value[LIMIT_NODE_LOST_GRACE] = value[LIMIT_NODE_LEASE] / 4 + (int64_t)prng_below(prng, 5) * USEC_PER_SEC;
    }
    value[LIMIT_SNAPSHOT_RECORDS_BYTES] = log_uniform(prng, 4096, 256 * 1024);
    if (prng_chance(prng, 200))
        value[LIMIT_PLACE_BATCH] = 1 + (int64_t)prng_below(prng, 8);
    if (prng_chance(prng, 200))
        value[LIMIT_TURN_EVENTS] = 1 + (int64_t)prng_below(prng, 8);
    if (prng_chance(prng, 100))
        value[LIMIT_PENDING_RUNS] = 3 + (int64_t)prng_below(prng, 40);
    if (prng_chance(prng, 200))
        value[LIMIT_MISSED_FIRES] = (int64_t)prng_below(prng, 10);
    struct prng more; // numbers of its own: what was drawn before stays
    prng_init(&more, sim_mix(sim->options->seed, 88));
    if (prng_chance(&more, 500))
        value[LIMIT_CATCH_UP_RATE] = 1 + (int64_t)prng_below(&more, 5);
    if (prng_chance(&more, 200))
        value[LIMIT_CATCH_UP_RATE_ALL] = 1 + (int64_t)prng_below(&more, 50);
    if (prng_chance(&more, 300))
        value[LIMIT_CATCH_UP_WINDOW] = log_uniform(&more, USEC_PER_MIN, USEC_PER_DAY);
    if (prng_chance(&more, 300))
        value[LIMIT_QUEUED_FIRES] = 1 + (int64_t)prng_below(&more, 5);
    if (prng_chance(&more, 300))
        value[LIMIT_MISFIRE_AFTER] = log_uniform(&more, USEC_PER_SEC, USEC_PER_MIN);
    if (prng_chance(&more, 200))
        value[LIMIT_SESSION_QUEUE] = log_uniform(&more, 2048, 256 * 1024);
}

static void draw_shape(struct sim *sim, struct prng *prng)
{
    struct work_shape *shape = &sim->shape;
    static const uint32_t usual[] = {30, 12, 2, 10, 12, 6, 2, 10, 6, 12, 6, 3, 5, 5, 4, 4, 2, 4, 6, 2, 3, 4, 4, 4, 4};
    static const uint32_t cron[] = {4, 1, 0, 2, 2, 2, 0, 40, 10, 4, 1, 6, 1, 1, 10, 14, 6, 1, 1, 0, 1, 1, 2, 14, 12};
    static const uint32_t array[] = {4, 40, 10, 6, 6, 2, 0, 2, 2, 20, 20, 2, 4, 6, 1, 2, 1, 3, 4, 1, 2, 2, 4, 1, 1};
    const uint32_t *weights = usual;
    const char *scenario = sim->options->scenario;
    uint64_t roll = prng_below(prng, 10);
    if (strcmp(scenario, "cron") == 0 || strcmp(scenario, "clock") == 0 || strcmp(scenario, "outage") == 0 || roll == 0)
        weights = cron;
    else if (strcmp(scenario, "array") == 0 || roll == 1)
        weights = array;
    memcpy(shape->weights, weights, sizeof(usual));
    if (strcmp(scenario, "poison") == 0)
        shape->weights[6] = 30;
    shape->mean_usec = log_uniform(prng, 500 * USEC_PER_MSEC, 20 * USEC_PER_SEC);
    shape->run_usec = log_uniform(prng, 20 * USEC_PER_MSEC, 60 * USEC_PER_SEC);
    shape->fail_permille = (uint32_t)prng_below(prng, 400);
    shape->amo_permille = (uint32_t)prng_below(prng, 600);
    struct prng more; // numbers of its own: what was drawn before stays
    prng_init(&more, sim_mix(sim->options->seed, 90));
    if (prng_chance(&more, 300))
        shape->calendar_permille = 20 + (uint32_t)prng_below(&more, 200);
    sim->loss_permille = prng_chance(prng, 500) ? (uint32_t)prng_below(prng, 250) : 0;
}

// Schedules are at work where clocks change: many runs begin shortly before that.
static void draw_wall(struct sim *sim)
{
    struct prng prng;
    prng_init(&prng, sim_mix(sim->options->seed, 21));
    const char *scenario = sim->options->scenario;
    bool about_time = strcmp(scenario, "cron") == 0 || strcmp(scenario, "clock") == 0 || strcmp(scenario, "outage") == 0;
    sim->wall_base_usec = WALL_BASE_USEC;
    if (!prng_chance(&prng, about_time ? 600 : 150))
        return;
    uint64_t change = prng_below(&prng, T_CHANGES);
    sim->wall_base_usec = t_changes[change].sec * USEC_PER_SEC - log_uniform(&prng, USEC_PER_MIN, 3 * USEC_PER_HOUR);
    sim->wall_zone = t_changes[change].zone;
}

static void build(struct sim *sim)
{
    struct prng prng;
    prng_init(&prng, sim_mix(sim->options->seed, 1));
    prng_init(&sim->prng_world, sim_mix(sim->options->seed, 2));
    prng_init(&sim->prng_client, sim_mix(sim->options->seed, 3));
    draw_wall(sim);
    draw_limits(sim, &prng);
    draw_shape(sim, &prng);
    usec_t drawn = log_uniform(&prng, 2 * USEC_PER_MIN, USEC_PER_HOUR);
    sim->safety_usec = sim->options->minutes_usec > 0 ? sim->options->minutes_usec : drawn;
    size_t n_nodes = 1 + prng_below(&prng, prng_chance(&prng, 300) ? 20 : 6);
    if (sim->options->nodes > 0)
        n_nodes = sim->options->nodes;
    must(n_nodes <= SIM_NODES_MAX);
    sim->truth.standby = core_new(&(struct core_options){.limits = &sim->limits, .find_zone = tz_finder, .seed = 1});
    disk_init(&sim->disk, sim);
    sim->n_servers = 1;
    server_init(&sim->servers[0], sim, 0, &sim->disk);
    for (size_t i = 0; i < n_nodes; i++) {
        sim->nodes[i] = mem_alloc(sizeof(struct node));
        node_init(sim->nodes[i], sim, (int)i, false);
        sim->n_nodes++;
    }
    server_start(&sim->servers[0]);
    for (size_t i = 0; i < n_nodes; i++)
        agent_start(sim->nodes[i]);
}

static void run_until(struct sim *sim, usec_t until)
{
    while (!sim->failed && sim_next(sim, until))
        check_often(sim);
}

static bool all_done(const struct sim *sim)
{
    if (sim->truth.n_live > 0 || !list_empty(&sim->requests) || !sim->servers[0].up)
        return false;
    for (size_t i = 0; i < sim->n_nodes; i++) {
        const struct node *node = sim->nodes[i];
        if (!node->clone && (node->phase != LINK_OPEN || !list_empty(&node->spawner.processes)))
            return false;
    }
    return true;
}

// After this long everything must have ended: the longest waits that were decided before (a lost node, the longest growing wait between
// lost attempts, the longest backoff, a start time of ten minutes), and a few seconds for every task that is left.
static usec_t bound(const struct sim *sim)
{
    usec_t usec = 40 * USEC_PER_MIN;
    struct list *pos;
    list_for_each(pos, &sim->truth.live) {
        const struct t_run *run = list_entry(pos, struct t_run, link);
        if (run->n_tasks <= 1000)
            usec += (run->n_tasks - run->n_ended) * 4 * USEC_PER_SEC;
    }
    return usec;
}

static void heal(struct sim *sim)
{
    sim->phase = PHASE_HEALED;
    sim->healed_usec = sim->now;
    trace(sim, ACTOR_WORLD, TR_PHASE, PHASE_HEALED, 0, 0);
    faults_stop(sim);
    workload_stop(sim);
    clients_give_up(sim);
    heal_everything(sim);
    // A queue that is shorter than the orders of one node ends its session with every burst of them, again and again.
    struct limits usual;
    limits_init(&usual);
    sim->limits.value[LIMIT_SESSION_QUEUE] = usual.value[LIMIT_SESSION_QUEUE];
    usec_t until = sim->now + bound(sim);
    run_until(sim, sim->now + 5 * USEC_PER_SEC + FIRE_PROMPT_USEC);
    if (!sim->failed)
        truth_jobs_healed(sim, machine_wall(&sim->servers[0].machine));
    while (!sim->failed && sim->now < until) {
        workload_heal(sim);
        usec_t round = sim->now + USEC_PER_MIN;
        while (!sim->failed && sim->now < round && !all_done(sim))
            run_until(sim, usec_min(sim->now + 2 * USEC_PER_SEC, round));
        if (all_done(sim))
            break;
    }
    // A moment for the last commit.
    run_until(sim, sim->now + 2 * USEC_PER_SEC);
    if (!sim->failed)
        check_end(sim);
    check_replay(sim);
}

static void release(struct sim *sim)
{
    sim->phase = PHASE_OVER;
    clients_release(sim);
    server_release(&sim->servers[0]);
    for (size_t i = 0; i < sim->n_nodes; i++)
        node_release(sim->nodes[i]);
    conns_free(sim);
    disk_release(&sim->disk);
    truth_release(sim);
    sim_drop_laters(sim);
    heap_release(&sim->timers);
    arena_release(&sim->arena);
    mem_free(sim->kept);
    mem_free(sim);
}

void fill_result(struct sim *sim)
{
    struct sim_result *result = sim->result;
    result->trace_hash = sim->hash;
    result->events = sim->events;
    memcpy(result->checked, sim->checked, sizeof(result->checked));
    for (int i = 0; i < FAULTS; i++)
        result->drawn[i] = sim->faults[i].n;
    result->simulated_usec = sim->now;
    result->nodes = (uint32_t)sim->n_nodes;
    result->actions = sim->actions;
    result->acted = sim->acted;
    result->runs = sim->truth.n_runs;
    result->attempts = sim->truth.n_attempts;
    result->processes = sim->truth.n_processes;
    result->fires = sim->truth.n_fires;
    result->records = sim->truth.n_records;
    FILE *tail = fmemopen(result->tail, sizeof(result->tail), "w");
    if (tail == NULL)
        return;
    trace_tail(sim, tail);
    fclose(tail);
    result->tail[sizeof(result->tail) - 1] = '\0';
}

struct sim *sim_current;

void sim_run(const struct sim_options *given, struct sim_result *ret_result)
{
    struct sim_options options = *given;
    options.scenario = sim_scenario_of(given);
    *ret_result = (struct sim_result){0};
    struct sim *sim = mem_alloc(sizeof(*sim));
    sim_current = sim;
    sim->options = &options;
    sim->result = ret_result;
    sim->phase = PHASE_FAULTS;
    list_init(&sim->conns);
    list_init(&sim->requests);
    arena_init(&sim->arena, 64 * 1024);
    truth_init(sim);
    build(sim);
    trace(sim, ACTOR_WORLD, TR_PHASE, PHASE_FAULTS, 0, 0);
    faults_start(sim);
    workload_start(sim);
    // A run with much work ends its first phase sooner: many seeds find more than long ones.
    while (!sim->failed && sim->now < sim->safety_usec && sim->events < EVENTS_MAX && sim->truth.n_records < RECORDS_MAX)
        run_until(sim, usec_min(sim->now + USEC_PER_SEC, sim->safety_usec));
    if (!sim->failed)
        check_state(sim, &sim->servers[0]);
    if (!sim->failed)
        heal(sim);
    fill_result(sim);
    if (options.trace_html != NULL)
        trace_html(sim, options.trace_html);
    sim_current = NULL;
    options.trace = options.trace_html = NULL; // what follows is no part of the run
    release(sim);
}
