// SPDX-License-Identifier: Apache-2.0
// What people ask for: all of it drawn from the seed, each action with numbers of its own, so that one can be left out.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "sim/internal.h"

enum action {
    ACT_SMALL, ACT_ARRAY, ACT_HUGE, ACT_AFTER, ACT_KEYED, ACT_LATER, ACT_POISON, ACT_APPLY, ACT_START, ACT_CANCEL, ACT_CANCEL_TASKS, ACT_CANCEL_JOB,
    ACT_HOLD, ACT_RELEASE, ACT_JOB_HOLD, ACT_JOB_RELEASE, ACT_JOB_DELETE, ACT_DRAIN, ACT_UNDRAIN, ACT_REMOVE, ACT_BURST, ACT_TWICE, ACT_RERUN,
    ACT_RACE, ACT_BACKFILL, ACTIONS
};
_Static_assert((int)ACTIONS <= (int)(sizeof(((struct work_shape *)0)->weights) / sizeof(uint32_t)), "every action has a weight");

static uint64_t draw(struct prng *prng, uint64_t n)
{
    return prng_below(prng, n);
}

// ---- specs

static const uint64_t cpus[] = {50, 100, 100, 250, 500, 1000, 1000, 2000, 4000};

static void draw_needs(struct sim *sim, struct prng *prng, struct job_spec *spec)
{
    struct resource_need *needs = arena_array(&sim->arena, struct resource_need, 3);
    size_t n = 0;
    needs[n++] = (struct resource_need){"cpu", cpus[draw(prng, sizeof(cpus) / sizeof(cpus[0]))]};
    if (prng_chance(prng, 80))
        needs[n++] = (struct resource_need){"licence", 1};
    if (prng_chance(prng, 400))
        needs[n++] = (struct resource_need){"memory", (UINT64_C(64) << 20) << draw(prng, 5)};
    spec->needs = needs;
    spec->n_needs = n;
    if (!prng_chance(prng, 100))
        return;
    struct constraint *constraint = arena_new(&sim->arena, struct constraint);
    const char **values = arena_array(&sim->arena, const char *, 1);
    values[0] = arena_printf(&sim->arena, "z%d", (int)draw(prng, 3));
    *constraint = (struct constraint){.label = "zone", .op = OP_EQ, .values = values, .n_values = 1};
    spec->constraints = constraint;
    spec->n_constraints = 1;
}

static void draw_rules(struct sim *sim, struct prng *prng, struct job_spec *spec)
{
    spec->delivery = prng_chance(prng, sim->shape.amo_permille) ? AT_MOST_ONCE : AT_LEAST_ONCE;
    if (spec->delivery == AT_LEAST_ONCE && prng_chance(prng, 700))
        spec->retry = (struct retry){.limit = (uint32_t)draw(prng, 5),
                                     .backoff_usec = (usec_t)draw(prng, 10) * USEC_PER_SEC,
                                     .factor_permille = 1000 + (uint32_t)draw(prng, 1500),
                                     .backoff_max_usec = USEC_PER_MIN,
                                     .jitter_permille = (uint32_t)draw(prng, 500)};
    spec->kill_grace_usec = prng_chance(prng, 300) ? 0 : (usec_t)draw(prng, 15) * USEC_PER_SEC;
    if (prng_chance(prng, 100))
        spec->time_limit_usec = USEC_PER_SEC + (usec_t)draw(prng, 60 * USEC_PER_SEC);
    if (prng_chance(prng, 60))
        spec->queue_deadline_usec = USEC_PER_SEC + (usec_t)draw(prng, 300 * USEC_PER_SEC);
    spec->priority = (int32_t)draw(prng, 3);
}

struct job_spec *workload_spec(struct sim *sim, struct prng *prng, uint32_t n_tasks)
{
    struct job_spec *spec = arena_new(&sim->arena, struct job_spec);
    job_spec_init(spec);
    const char **command = arena_array(&sim->arena, const char *, 1);
    command[0] = "/bin/true";
    spec->command = command;
    spec->n_command = 1;
    struct index_range *range = arena_new(&sim->arena, struct index_range);
    uint32_t step = prng_chance(prng, 100) ? 1 + (uint32_t)draw(prng, 4) : 1, first = prng_chance(prng, 100) ? (uint32_t)draw(prng, 100) : 0;
    *range = (struct index_range){.first = first, .last = first + (n_tasks - 1) * step, .step = step};
    must(index_set_init(&spec->tasks, range, 1));
    if (n_tasks > 1 && prng_chance(prng, 300))
        spec->parallelism = 1 + (uint32_t)draw(prng, 8);
    draw_needs(sim, prng, spec);
    draw_rules(sim, prng, spec);
    static const struct param optional = {"p", "default", false}, required = {"p", NULL, true};
    if (prng_chance(prng, 200)) {
        spec->params = prng_chance(prng, 700) ? &optional : &required;
        spec->n_params = 1;
    }
    return spec;
}

void workload_key(struct sim *sim, struct prng *prng, struct job_spec *spec)
{
    // One limit for each key, as people who share a key would agree on.
    uint64_t key = draw(prng, 4);
    spec->concurrency_key = arena_printf(&sim->arena, "key-%" PRIu64, key);
    spec->concurrency_limit = 1 + (uint32_t)(key % 3);
}

static void draw_after(struct sim *sim, struct prng *prng, struct job_spec *spec)
{
    uint64_t last = sim->truth.last_run;
    size_t n = last == 0 ? 0 : 1 + draw(prng, 3);
    struct dependency *after = arena_array(&sim->arena, struct dependency, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t back = draw(prng, 8);
        after[i] = (struct dependency){last > back ? last - back : 1, prng_chance(prng, 600) ? AFTER_ENDED : (enum after_on)draw(prng, 3)};
    }
    spec->after = after;
    spec->n_after = n;
}

// Whoever asks gives the parameter by which its value is known again.
static void draw_param(struct sim *sim, struct prng *prng, struct request *request, const struct job_spec *spec)
{
    bool declared = spec == NULL || spec->n_params > 0, required = spec != NULL && declared && spec->params[0].required;
    if (required || (declared && prng_chance(prng, 500)))
        snprintf(request->param, sizeof(request->param), "v%" PRIu64, sim->next_key);
}

static void submit(struct sim *sim, struct prng *prng, const struct job_spec *spec)
{
    struct request *request = client_request_new(sim, EV_SUBMIT);
    draw_param(sim, prng, request, spec);
    spec_pack(&request->packed, spec);
    request->held = prng_chance(prng, 30);
    // Without a key a lost answer would rightly give a second run, so everybody uses one.
    snprintf(request->key, sizeof(request->key), "k%" PRIu64, ++sim->next_key);
    client_request(request);
}

static uint32_t array_size(struct prng *prng)
{
    return 2 + (uint32_t)draw(prng, prng_chance(prng, 200) ? 300 : 30);
}

// ---- the rest

static void about_run(struct sim *sim, enum event_kind kind, uint64_t run_id, int to)
{
    struct request *request = client_request_new(sim, kind);
    request->run_id = run_id;
    request->to = to;
    client_request(request);
}

void workload_about(struct sim *sim, enum event_kind kind, const char *name, int to)
{
    struct request *request = client_request_new(sim, kind);
    snprintf(request->name, sizeof(request->name), "%s", name);
    request->to = to;
    client_request(request);
}

void workload_start_job(struct sim *sim, struct prng *prng, const char *name)
{
    struct request *request = client_request_new(sim, EV_START_JOB);
    snprintf(request->name, sizeof(request->name), "%s", name);
    snprintf(request->key, sizeof(request->key), "k%" PRIu64, ++sim->next_key);
    draw_param(sim, prng, request, NULL);
    client_request(request);
}

static uint64_t some_run(struct sim *sim, struct prng *prng)
{
    uint64_t last = sim->truth.last_run, back = draw(prng, prng_chance(prng, 700) ? 10 : 100);
    return last > back ? last - back : last + 1 + draw(prng, 2);
}

static void cancel_tasks(struct sim *sim, struct prng *prng)
{
    uint64_t run_id = some_run(sim, prng);
    const struct t_run *run = truth_run(sim, run_id);
    if (run == NULL)
        return;
    struct request *request = client_request_new(sim, EV_CANCEL);
    request->run_id = run_id;
    request->tasks_only = true;
    uint32_t first = (uint32_t)draw(prng, run->n_tasks);
    request->range = (struct index_range){.first = first, .last = first + (uint32_t)draw(prng, 5), .step = 1};
    client_request(request);
}

// Does again what an earlier run did, as the API would: with its spec and job, but without what it waited for.
static void rerun(struct sim *sim, struct prng *prng)
{
    uint64_t run_id = some_run(sim, prng);
    const struct t_run *run = truth_run(sim, run_id);
    if (run == NULL || run->n_tasks > 1000 || run->poison)
        return;
    struct request *request = client_request_new(sim, EV_SUBMIT);
    buf_add(&request->packed, run->again.data, run->again.len);
    request->rerun_of = run_id;
    request->job_id = run->job_id;
    request->job_version = run->job_version;
    snprintf(request->key, sizeof(request->key), "k%" PRIu64, ++sim->next_key);
    snprintf(request->param, sizeof(request->param), "%s", run->param);
    client_request(request);
}

// The same submission by two clients at once: one run, two answers.
static void submit_twice(struct sim *sim, struct prng *prng)
{
    struct job_spec *spec = workload_spec(sim, prng, 1 + (uint32_t)draw(prng, 3));
    uint64_t key = ++sim->next_key;
    for (int i = 0; i < 2; i++) {
        struct request *request = client_request_new(sim, EV_SUBMIT);
        spec_pack(&request->packed, spec);
        snprintf(request->key, sizeof(request->key), "k%" PRIu64, key);
        client_request(request);
    }
}

static void backfill(struct sim *sim, struct prng *prng, const char *name)
{
    if (sim->truth.last_backfill > 0 && prng_chance(prng, 200)) {
        struct request *cancel = client_request_new(sim, EV_BACKFILL_CANCEL);
        cancel->run_id = 1 + draw(prng, sim->truth.last_backfill);
        client_request(cancel);
        return;
    }
    struct request *request = client_request_new(sim, EV_BACKFILL);
    snprintf(request->name, sizeof(request->name), "%s", name);
    snprintf(request->key, sizeof(request->key), "b%" PRIu64, ++sim->next_key);
    request->from_usec = WALL_BASE_USEC + sim->now - (usec_t)draw(prng, 40) * USEC_PER_MIN - (usec_t)draw(prng, 600) * USEC_PER_SEC;
    request->to_usec = request->from_usec + (1 + (usec_t)draw(prng, 1200)) * USEC_PER_SEC;
    request->reverse = prng_chance(prng, 400);
    request->again = prng_chance(prng, 300);
    request->parallel = 1 + (uint32_t)draw(prng, 4);
    client_request(request);
}

static void act(struct sim *sim, enum action action, struct prng *prng)
{
    char job[32], node[32];
    snprintf(job, sizeof(job), "job-%d", (int)draw(prng, WORKLOAD_JOBS));
    snprintf(node, sizeof(node), "n%d", (int)draw(prng, sim->n_nodes - sim->n_clones));
    struct job_spec *spec = NULL;
    switch (action) {
    case ACT_SMALL:
        submit(sim, prng, workload_spec(sim, prng, 1 + (uint32_t)draw(prng, 3)));
        return;
    case ACT_ARRAY:
        submit(sim, prng, workload_spec(sim, prng, array_size(prng)));
        return;
    case ACT_HUGE:
        spec = workload_spec(sim, prng, 10000 + (uint32_t)draw(prng, 990000));
        spec->parallelism = 1 + (uint32_t)draw(prng, 8);
        submit(sim, prng, spec);
        return;
    case ACT_AFTER:
    case ACT_KEYED:
        spec = workload_spec(sim, prng, 1 + (uint32_t)draw(prng, 4));
        if (action == ACT_AFTER)
            draw_after(sim, prng, spec);
        else
            workload_key(sim, prng, spec);
        submit(sim, prng, spec);
        return;
    case ACT_LATER:
        spec = workload_spec(sim, prng, 1);
        spec->start_at_usec = sim->wall_base_usec + sim->now + (usec_t)draw(prng, 600 * USEC_PER_SEC);
        if (prng_chance(prng, 300))
            draw_after(sim, prng, spec);
        submit(sim, prng, spec);
        return;
    case ACT_POISON:
        spec = workload_spec(sim, prng, 1);
        spec->description = "poison";
        submit(sim, prng, spec);
        return;
    case ACT_APPLY:
        workload_apply(sim, prng, (uint32_t)draw(prng, WORKLOAD_JOBS));
        return;
    case ACT_RERUN:
        rerun(sim, prng);
        return;
    case ACT_RACE:
        workload_race(sim, prng);
        return;
    case ACT_START:
        workload_start_job(sim, prng, job);
        return;
    case ACT_CANCEL:
        about_run(sim, EV_CANCEL, some_run(sim, prng), 0);
        return;
    case ACT_CANCEL_TASKS:
        cancel_tasks(sim, prng);
        return;
    case ACT_CANCEL_JOB:
        workload_about(sim, EV_CANCEL_JOB, job, 0);
        return;
    case ACT_HOLD:
    case ACT_RELEASE:
        about_run(sim, EV_RUN_HOLD, some_run(sim, prng), action == ACT_HOLD ? ADMIT_CLOSED : ADMIT_OPEN);
        return;
    case ACT_JOB_HOLD:
    case ACT_JOB_RELEASE:
    case ACT_JOB_DELETE:
        workload_about(sim, EV_JOB_HOLD, job, action == ACT_JOB_HOLD ? JOB_HELD : action == ACT_JOB_DELETE ? JOB_DELETED : JOB_ACTIVE);
        return;
    case ACT_DRAIN:
    case ACT_UNDRAIN:
        workload_about(sim, EV_NODE_ADMISSION, node, action == ACT_DRAIN ? ADMIT_CLOSED : ADMIT_OPEN);
        return;
    case ACT_REMOVE:
        workload_about(sim, EV_NODE_REMOVE, node, 0);
        return;
    case ACT_BURST:
        for (uint64_t n = 5 + draw(prng, 40); n > 0; n--)
            submit(sim, prng, workload_spec(sim, prng, 1));
        return;
    case ACT_TWICE:
        submit_twice(sim, prng);
        return;
    case ACT_BACKFILL:
        backfill(sim, prng, job);
        return;
    case ACTIONS:
        unreachable();
    }
}

static void work_fire(void *context)
{
    struct sim *sim = context;
    uint32_t sum = 0;
    uint32_t number = sim->actions++;
    struct prng prng;
    prng_init(&prng, sim_mix(sim_mix(sim->options->seed, 77), number));
    for (int i = 0; i < ACTIONS; i++)
        sum += sim->shape.weights[i];
    uint64_t roll = prng_below(&prng, sum);
    int action = 0;
    for (; roll >= sim->shape.weights[action]; action++)
        roll -= sim->shape.weights[action];
    usec_t wait = (usec_t)prng_below(&prng, 2 * (uint64_t)sim->shape.mean_usec) + 1;
    timer_set(&sim->work_timer, sim->now + wait);
    arena_clear(&sim->arena);
    if (sim_skips(sim, FAULTS, number))
        return;
    sim->acted++;
    act(sim, (enum action)action, &prng);
    prng_init(&prng, sim_mix(sim_mix(sim->options->seed, 92), number));
    if (prng_chance(&prng, sim->shape.calendar_permille))
        workload_calendar(sim, &prng);
}

void workload_start(struct sim *sim)
{
    timer_init(&sim->work_timer, sim, work_fire, sim);
    timer_set(&sim->work_timer, sim->now + USEC_PER_SEC);
}

void workload_stop(struct sim *sim)
{
    timer_stop(&sim->work_timer);
}

// Whether some node could ever take a task of the run.
static bool feasible(const struct sim *sim, const struct t_run *run)
{
    for (size_t i = 0; i < sim->n_nodes; i++) {
        const struct node *node = sim->nodes[i];
        if (!node->clone && node->cpu_millis >= run->cpu_millis && node->memory_bytes >= run->memory_bytes && node->licences >= run->licences &&
            (run->zone == NULL || strcmp(run->zone, node->zone) == 0))
            return true;
    }
    return false;
}

// People help too: what is poison, can never fit or would take for ever is cancelled, what is held is released, drained nodes are opened.
// Schedules are held, so that there is an end.
void workload_heal(struct sim *sim)
{
    for (size_t i = 0; i < sim->truth.n_nodes; i++)
        if (!sim->truth.nodes[i].removed && sim->truth.nodes[i].closed)
            workload_about(sim, EV_NODE_ADMISSION, sim->truth.nodes[i].name, ADMIT_OPEN);
    struct list *pos;
    list_for_each(pos, &sim->truth.jobs_list) {
        const struct t_job *job = list_entry(pos, struct t_job, link);
        if (job->state == JOB_ACTIVE)
            workload_about(sim, EV_JOB_HOLD, job->name, JOB_HELD);
    }
    list_for_each(pos, &sim->truth.live) {
        const struct t_run *run = list_entry(pos, struct t_run, link);
        if (run->state == RUN_CANCELLING)
            continue;
        if (run->poison || !feasible(sim, run) || run->n_tasks > 1000)
            about_run(sim, EV_CANCEL, run->id, 0);
        else if (run->held)
            about_run(sim, EV_RUN_HOLD, run->id, ADMIT_OPEN);
    }
}

// ---- processes

static bool exec_fault(struct sim *sim, struct prng *prng, enum fault_kind kind)
{
    return prng_chance(prng, sim->exec_permille[kind]) && fault_happens(sim, kind);
}

struct plan plan_of(struct sim *sim, uint64_t run_id, uint32_t index, uint32_t attempt)
{
    struct prng prng;
    prng_init(&prng, sim_mix(sim_mix(sim->options->seed, run_id), (uint64_t)index << 32 | attempt));
    struct plan plan = {.start_delay_usec = 500 + (usec_t)draw(&prng, 5000), .linger_usec = 100 + (usec_t)draw(&prng, 2000)};
    usec_t most = prng_chance(&prng, 50) ? 20 * sim->shape.run_usec : 2 * sim->shape.run_usec;
    plan.run_usec = 1000 + (usec_t)draw(&prng, (uint64_t)most);
    const struct t_run *run = truth_run(sim, run_id);
    if (run != NULL && run->n_tasks > 1000) // of a huge array few tasks are meant to be placed
        plan.run_usec += 20 * USEC_PER_SEC;
    if (sim->phase != PHASE_FAULTS) {
        plan.run_usec = usec_min(plan.run_usec, 2 * USEC_PER_SEC);
        return plan;
    }
    plan.poison = run != NULL && run->poison && fault_happens(sim, FAULT_EXEC_POISON);
    if (prng_chance(&prng, sim->shape.fail_permille)) {
        plan.exit_code = 1 + (int)draw(&prng, 5);
        if (prng_chance(&prng, 200))
            plan.signal = 11;
        plan.oom = plan.signal == 0 && prng_chance(&prng, 100);
    }
    usec_t late = (usec_t)draw(&prng, 30 * USEC_PER_SEC), linger = (usec_t)draw(&prng, 2 * USEC_PER_SEC);
    if (exec_fault(sim, &prng, FAULT_EXEC_SLOW_START)) {
        fault_count(sim, FAULT_EXEC_SLOW_START);
        plan.start_delay_usec += late;
    }
    plan.spawn_fails = exec_fault(sim, &prng, FAULT_EXEC_SPAWN_FAIL);
    plan.ignores_term = exec_fault(sim, &prng, FAULT_EXEC_IGNORE_TERM);
    if (exec_fault(sim, &prng, FAULT_EXEC_GRANDCHILD)) {
        fault_count(sim, FAULT_EXEC_GRANDCHILD);
        plan.linger_usec += linger;
    }
    return plan;
}
