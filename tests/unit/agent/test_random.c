// SPDX-License-Identifier: Apache-2.0
// The agent's decisions under random orders, ends, lost sessions, lost acknowledgements and agents that are killed, from seeds: whatever
// happens, no fence starts twice, and once the world heals the server has learned of every end and the executor holds nothing.

#include "agent/agent_core.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/prng.h"
#include "codec/codec.h"
#include "tests/unit/test.h"

enum { FENCES = 400, STEPS = 3000, SEEDS = 60, QUEUE = 4096 };

enum place { NOWHERE, RUNNING, ENDED, FORGOTTEN };

struct fence {
    // The executor's side, which survives the agent.
    enum place place;
    int starts;
    // The server's side, durable.
    bool placed, active;
    int delivered; // in which session the order arrived; 0: none
    enum outcome outcome;
};

struct world {
    struct prng prng;
    struct agent_core *core;
    struct executor executor;
    struct fence fence[FENCES + 1];
    uint64_t last_fence, kept_epoch, epoch;
    usec_t now;
    bool session, end_asked;
    bool deaf; // what the agent sends in this session no longer arrives
    uint64_t acks[QUEUE]; // on their way
    size_t n_acks;
    struct buf spec;
    int ends_told, sessions, restarts;
};

static struct world *world_of(struct executor *executor)
{
    return container_of(executor, struct world, executor);
}

static const char *sim_instance(struct executor *executor)
{
    return "spawner";
}

static void sim_attempts(struct executor *executor, void (*visit)(void *, const struct exec_attempt *), void *context)
{
    struct world *world = world_of(executor);
    for (uint64_t f = 1; f <= world->last_fence; f++) {
        struct exec_attempt attempt = {.fence = f, .running = world->fence[f].place == RUNNING, .start_usec = 5};
        attempt.end = (struct attempt_end){.fence = f, .outcome = OUTCOME_SUCCEEDED, .start_usec = 5};
        if (world->fence[f].place == RUNNING || world->fence[f].place == ENDED)
            visit(context, &attempt);
    }
}

static void sim_start(struct executor *executor, const struct exec_start *start)
{
    struct fence *fence = &world_of(executor)->fence[start->fence];
    assert_int_equal(fence->place, NOWHERE);
    assert_int_equal(fence->starts, 0);
    fence->starts++;
    fence->place = RUNNING;
}

static void sim_stop(struct executor *executor, uint64_t fence, enum outcome why)
{
    assert_true(world_of(executor)->fence[fence].starts == 1);
}

static void sim_forget(struct executor *executor, uint64_t number)
{
    struct fence *fence = &world_of(executor)->fence[number];
    assert_int_equal(fence->place, ENDED);
    assert_false(fence->active); // the server's record of its end is durable
    fence->place = FORGOTTEN;
}

static void sim_renew(struct executor *executor, usec_t until)
{
}

static const struct executor_ops sim_ops = {.name = "sim",
                                            .instance = sim_instance,
                                            .attempts = sim_attempts,
                                            .start = sim_start,
                                            .stop = sim_stop,
                                            .forget = sim_forget,
                                            .renew = sim_renew};

// The server's half of a report: the ends become durable at once, the acknowledgement travels.
static void sim_send(void *context, const struct wire_message *message)
{
    struct world *world = context;
    assert_true(world->session);
    if (message->kind != WIRE_REPORT || world->deaf)
        return;
    for (size_t i = 0; i < message->report.n_ended; i++) {
        const struct attempt_end *end = &message->report.ended[i];
        struct fence *fence = &world->fence[end->fence];
        if (!fence->active)
            continue;
        if (!outcome_may_have_started(end->outcome))
            assert_int_equal(fence->starts, 0);
        fence->active = false;
        fence->outcome = end->outcome;
        world->ends_told++;
    }
    assert_true(world->n_acks < QUEUE);
    world->acks[world->n_acks++] = message->report.report_id;
}

static int sim_keep_epoch(void *context, uint64_t epoch, struct err *err)
{
    struct world *world = context;
    assert_true(epoch > world->kept_epoch);
    world->kept_epoch = epoch;
    return 0;
}

static void sim_end_session(void *context, const struct err *why)
{
    struct world *world = context;
    world->end_asked = true;
}

static void agent_begin(struct world *world)
{
    struct agent_core_options options = {
        .port = {.send = sim_send, .keep_epoch = sim_keep_epoch, .end_session = sim_end_session, .context = world},
        .highest_epoch = world->kept_epoch,
        .report_bytes_max = 2000,
        .tasks_max = 1000,
    };
    world->core = agent_core_new(&options);
    world->executor = (struct executor){.ops = &sim_ops, .sink = agent_core_sink(world->core)};
    agent_core_attach(world->core, &world->executor);
}

static void session_end(struct world *world)
{
    if (!world->session)
        return;
    world->session = false;
    world->n_acks = 0;
    agent_core_disconnected(world->core);
}

static void receive(struct world *world, const struct wire_message *message)
{
    struct err err = {0};
    int rc = agent_core_receive(world->core, world->now, message, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
}

// As core/decide_node.c reconciles.
static void session_begin(struct world *world)
{
    session_end(world);
    world->session = true;
    world->sessions++;
    world->end_asked = false;
    world->deaf = false;
    struct node_info info = {.name = "n"};
    struct ev_node_hello hello;
    agent_core_hello(world->core, world->now, &info, &hello);
    bool known[FENCES + 1] = {false};
    uint64_t kill[FENCES], forget[FENCES];
    struct wire_message message = {.kind = WIRE_WELCOME, .epoch = world->epoch};
    struct fx_welcome *welcome = &message.welcome.welcome;
    *welcome = (struct fx_welcome){
        .epoch = world->epoch, .lease_usec = 15 * USEC_PER_SEC, .heartbeat_usec = 3 * USEC_PER_SEC, .kill = kill, .forget = forget};
    for (size_t i = 0; i < hello.n_known; i++) {
        uint64_t f = hello.known[i].fence;
        known[f] = true;
        if (world->fence[f].active)
            continue;
        if (hello.known[i].running)
            kill[welcome->n_kill++] = f;
        else
            forget[welcome->n_forget++] = f;
    }
    for (uint64_t f = 1; f <= world->last_fence; f++) {
        struct fence *fence = &world->fence[f];
        if (fence->placed && fence->active && !known[f]) { // given up as not started, which must be true
            assert_int_equal(fence->starts, 0);
            fence->active = false;
            fence->outcome = OUTCOME_NOT_STARTED;
        }
    }
    receive(world, &message);
}

static void step_place(struct world *world)
{
    struct start_order orders[8];
    size_t n = 1 + prng_below(&world->prng, 8);
    bool lost = prng_chance(&world->prng, 100);
    struct wire_message message = {.kind = WIRE_START, .epoch = world->epoch, .start = {.order = orders}};
    for (size_t i = 0; i < n && world->last_fence < FENCES; i++) {
        uint64_t f = ++world->last_fence;
        world->fence[f].placed = world->fence[f].active = true;
        orders[message.start.n++] =
            (struct start_order){.fence = f, .spec = {(const uint8_t *)world->spec.data, world->spec.len}};
    }
    if (lost) { // with the session that it was to travel on
        session_end(world);
        return;
    }
    for (size_t i = 0; i < message.start.n; i++)
        world->fence[orders[i].fence].delivered = world->sessions;
    receive(world, &message);
}

// An order comes again within its session, whatever became of its attempt.
static void step_repeat(struct world *world)
{
    uint64_t f = 1 + prng_below(&world->prng, world->last_fence);
    if (world->fence[f].delivered != world->sessions)
        return;
    struct start_order order = {.fence = f, .spec = {(const uint8_t *)world->spec.data, world->spec.len}};
    struct wire_message message = {.kind = WIRE_START, .epoch = world->epoch, .start = {.n = 1, .order = &order}};
    receive(world, &message);
}

static void step_end(struct world *world)
{
    uint64_t f = 1 + prng_below(&world->prng, world->last_fence);
    struct fence *fence = &world->fence[f];
    if (fence->place != RUNNING)
        return;
    if (prng_chance(&world->prng, 500))
        world->executor.sink.on_started(world->executor.sink.context, f, 5);
    fence->place = ENDED;
    struct attempt_end end = {.fence = f, .outcome = OUTCOME_SUCCEEDED, .start_usec = 5};
    world->executor.sink.on_ended(world->executor.sink.context, &end);
    if (prng_chance(&world->prng, 100) && fence->place == ENDED)
        world->executor.sink.on_ended(world->executor.sink.context, &end);
}

static void step_ack(struct world *world)
{
    if (world->n_acks == 0)
        return;
    struct wire_message message = {.kind = WIRE_ACK, .ack = {.report_id = world->acks[0]}};
    memmove(world->acks, world->acks + 1, --world->n_acks * sizeof(world->acks[0]));
    receive(world, &message);
}

static void step_stop(struct world *world)
{
    uint64_t f = 1 + prng_below(&world->prng, world->last_fence);
    if (!world->fence[f].active)
        return;
    struct wire_message message = {.kind = WIRE_STOP, .epoch = world->epoch, .stop = {.n = 1, .fence = &f, .why = OUTCOME_CANCELLED}};
    receive(world, &message);
}

// Something that may always happen.
static void step_any(struct world *world)
{
    if (prng_chance(&world->prng, 10)) { // the agent is killed
        session_end(world);
        agent_core_free(world->core);
        agent_begin(world);
        world->restarts++;
    }
    world->deaf = world->deaf || prng_chance(&world->prng, 20);
    if (prng_chance(&world->prng, 30))
        session_end(world);
    if (prng_chance(&world->prng, 5)) { // another server leads
        session_end(world);
        world->epoch++;
    }
    if (!world->session && prng_chance(&world->prng, 300))
        session_begin(world);
}

static void run(uint64_t seed)
{
    struct world *world = mem_alloc(sizeof(*world));
    prng_init(&world->prng, seed);
    world->now = USEC_PER_SEC;
    world->epoch = 1;
    struct job_spec spec = {0};
    job_spec_init(&spec);
    spec_pack(&world->spec, &spec);
    agent_begin(world);
    for (int i = 0; i < STEPS; i++) {
        step_any(world);
        if (world->session && world->last_fence < FENCES && prng_chance(&world->prng, 100))
            step_place(world);
        if (world->session && world->last_fence > 0 && prng_chance(&world->prng, 200))
            step_repeat(world);
        if (world->session && world->last_fence > 0 && prng_chance(&world->prng, 50))
            step_stop(world);
        if (world->last_fence > 0)
            step_end(world);
        if (world->session && prng_chance(&world->prng, 200))
            step_ack(world);
        agent_core_tick(world->core, world->now += (usec_t)prng_below(&world->prng, 100 * USEC_PER_MSEC));
        if (world->end_asked)
            session_end(world);
        agent_core_flush(world->core);
    }
    // The world heals.
    session_begin(world);
    for (uint64_t f = 1; f <= world->last_fence; f++) {
        struct attempt_end end = {.fence = f, .outcome = OUTCOME_SUCCEEDED, .start_usec = 5};
        if (world->fence[f].place == RUNNING) {
            world->fence[f].place = ENDED;
            world->executor.sink.on_ended(world->executor.sink.context, &end);
        }
    }
    for (int i = 0; i < FENCES + 10; i++) {
        agent_core_flush(world->core);
        step_ack(world);
    }
    struct agent_stats stats;
    agent_core_stats(world->core, &stats);
    assert_int_equal(stats.alive + stats.ended + stats.in_flight, 0);
    int started = 0;
    for (uint64_t f = 1; f <= world->last_fence; f++) {
        struct fence *fence = &world->fence[f];
        assert_false(fence->active);
        assert_int_equal(fence->place, fence->starts == 0 ? NOWHERE : FORGOTTEN);
        assert_int_equal(fence->outcome, fence->starts == 0 ? OUTCOME_NOT_STARTED : OUTCOME_SUCCEEDED);
        started += fence->starts;
    }
    // Something happened.
    assert_int_equal(world->last_fence, FENCES);
    assert_true(started > FENCES / 2 && started < FENCES && world->ends_told > 0 && world->sessions > 5 && world->restarts > 2);
    agent_core_free(world->core);
    buf_release(&world->spec);
    mem_free(world);
}

static void test_seeds(void **state)
{
    const char *one = getenv("MUSTER_SEED");
    if (one != NULL) {
        run(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %d\n", (int)seed);
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
