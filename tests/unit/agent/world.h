// SPDX-License-Identifier: Apache-2.0
// The world of an agent_core in tests: a scripted executor, a recording port and a virtual clock.
#pragma once

#include "agent/agent_core.h"

#include "base/mem.h"
#include "codec/codec.h"
#include "tests/unit/test.h"

#define SECOND USEC_PER_SEC

// Everything that the core did outside, as one line of text each: "start 7", "stop 7 lease", "heartbeat 1", "report 1 +7 -8:lost".
struct world {
    struct agent_core *core;
    struct executor executor;
    struct exec_attempt held[8]; // what the executor holds when the agent attaches
    size_t n_held;
    struct buf log;
    usec_t now; // CLOCK_BOOTTIME
    uint64_t kept_epoch;
    bool keep_fails, end_asked;
    struct err end_why;
    struct buf once, least; // packed specs
    struct node_info info;
    uint64_t last_report;
};

static struct world *the_world;

static const char *fake_instance(struct executor *executor)
{
    return "spawner-1";
}

static inline void fake_attempts(struct executor *executor, void (*visit)(void *, const struct exec_attempt *), void *context)
{
    for (size_t i = 0; i < the_world->n_held; i++)
        visit(context, &the_world->held[i]);
}

static inline void fake_start(struct executor *executor, const struct exec_start *start)
{
    assert_non_null(start->spec);
    buf_printf(&the_world->log, "start %d;", (int)start->fence);
}

static inline void fake_stop(struct executor *executor, uint64_t fence, enum outcome why)
{
    buf_printf(&the_world->log, "stop %d %s;", (int)fence, outcome_name(why));
}

static inline void fake_forget(struct executor *executor, uint64_t fence)
{
    buf_printf(&the_world->log, "forget %d;", (int)fence);
}

static inline void fake_renew(struct executor *executor, usec_t until)
{
    buf_printf(&the_world->log, "renew %d;", (int)(until / USEC_PER_MSEC));
}

static const struct executor_ops fake_ops = {
    .name = "fake",
    .instance = fake_instance,
    .attempts = fake_attempts,
    .start = fake_start,
    .stop = fake_stop,
    .forget = fake_forget,
    .renew = fake_renew,
};

static inline void port_send(void *context, const struct wire_message *message)
{
    struct world *world = context;
    if (message->kind == WIRE_HEARTBEAT) {
        buf_printf(&world->log, "heartbeat %d;", (int)message->heartbeat);
        return;
    }
    assert_int_equal(message->kind, WIRE_REPORT);
    const struct ev_node_report *report = &message->report;
    assert_true(report->report_id > world->last_report);
    world->last_report = report->report_id;
    buf_printf(&world->log, "report %d", (int)report->report_id);
    for (size_t i = 0; i < report->n_started && i < 10; i++)
        buf_printf(&world->log, " +%d", (int)report->started[i].fence);
    for (size_t i = 0; i < report->n_ended && i < 10; i++)
        buf_printf(&world->log, " -%d:%s", (int)report->ended[i].fence, outcome_name(report->ended[i].outcome));
    buf_addc(&world->log, ';');
}

static inline int port_keep_epoch(void *context, uint64_t epoch, struct err *err)
{
    struct world *world = context;
    if (world->keep_fails)
        return err_set(err, ERR_STORE_FULL, "no room");
    world->kept_epoch = epoch;
    buf_printf(&world->log, "epoch %d;", (int)epoch);
    return 0;
}

static inline void port_end_session(void *context, const struct err *why)
{
    struct world *world = context;
    world->end_asked = true;
    world->end_why = *why;
    buf_adds(&world->log, "end;");
}

static inline void pack(struct buf *buf, enum delivery delivery)
{
    static const char *const command[] = {"/bin/true"};
    static const struct resource_need needs[] = {{"cpu", 1000}};
    static const struct index_range one = {.first = 0, .last = 0, .step = 1};
    struct job_spec spec = {0};
    job_spec_init(&spec);
    spec.command = command;
    spec.n_command = 1;
    spec.needs = needs;
    spec.n_needs = 1;
    spec.tasks = (struct index_set){&one, 1, 1};
    spec.delivery = delivery;
    spec_pack(buf, &spec);
}

static inline void open_core(struct world *world, uint64_t epoch, uint32_t tasks_max)
{
    struct agent_core_options options = {
        .port = {.send = port_send, .keep_epoch = port_keep_epoch, .end_session = port_end_session, .context = world},
        .highest_epoch = epoch,
        .report_bytes_max = 1 << 20,
        .tasks_max = tasks_max,
    };
    world->core = agent_core_new(&options);
    world->executor = (struct executor){.ops = &fake_ops, .sink = agent_core_sink(world->core)};
    agent_core_attach(world->core, &world->executor);
}

static inline int setup(void **state)
{
    struct world *world = mem_alloc(sizeof(*world));
    the_world = world;
    world->now = 1000 * SECOND;
    world->info = (struct node_info){.name = "n", .identity = "i", .spawner = "spawner-1"};
    buf_init(&world->log);
    pack(&world->once, AT_MOST_ONCE);
    pack(&world->least, AT_LEAST_ONCE);
    *state = world;
    return 0;
}

static inline int teardown(void **state)
{
    struct world *world = *state;
    agent_core_free(world->core);
    buf_release(&world->log);
    buf_release(&world->once);
    buf_release(&world->least);
    mem_free(world);
    return 0;
}

// What happened since the last call.
static inline void expect(struct world *world, const char *lines)
{
    assert_string_equal(world->log.data, lines);
    buf_clear(&world->log);
    buf_adds(&world->log, "");
}

static inline int receive(struct world *world, const struct wire_message *message)
{
    struct err err = {0};
    int rc = agent_core_receive(world->core, world->now, message, &err);
    assert_int_equal(rc, err.code);
    agent_core_flush(world->core);
    return rc;
}

static inline size_t hello(struct world *world, struct ev_node_hello *ret)
{
    struct ev_node_hello hello;
    agent_core_hello(world->core, world->now, &world->info, &hello);
    assert_ptr_equal(hello.info, &world->info);
    if (ret != NULL)
        *ret = hello;
    return hello.n_known;
}

static inline int welcome(struct world *world, uint64_t epoch, const uint64_t *kill, size_t n_kill, const uint64_t *forget, size_t n_forget)
{
    struct wire_message message = {.kind = WIRE_WELCOME, .epoch = epoch};
    message.welcome.welcome = (struct fx_welcome){.node_id = 1,
                                                  .epoch = epoch,
                                                  .lease_usec = 15 * SECOND,
                                                  .heartbeat_usec = 3 * SECOND,
                                                  .kill = kill,
                                                  .n_kill = n_kill,
                                                  .forget = forget,
                                                  .n_forget = n_forget};
    return receive(world, &message);
}

static inline int start_as(struct world *world, uint64_t epoch, uint64_t fence, const struct buf *spec)
{
    struct start_order order = {
        .fence = fence, .run_id = 5, .attempt = 1, .n_tasks = 1, .spec = {(const uint8_t *)spec->data, spec->len}};
    struct wire_message message = {.kind = WIRE_START, .epoch = epoch, .start = {.n = 1, .order = &order}};
    return receive(world, &message);
}

static inline int start(struct world *world, uint64_t fence)
{
    return start_as(world, 5, fence, &world->least);
}

static inline int stop_as(struct world *world, uint64_t epoch, uint64_t fence)
{
    struct wire_message message = {.kind = WIRE_STOP, .epoch = epoch, .stop = {.n = 1, .fence = &fence, .why = OUTCOME_CANCELLED}};
    return receive(world, &message);
}

static inline void ack(struct world *world, uint64_t report)
{
    struct wire_message message = {.kind = WIRE_ACK, .ack = {.report_id = report}};
    assert_int_equal(receive(world, &message), 0);
}

static inline void lease(struct world *world, uint64_t heartbeat)
{
    struct wire_message message = {.kind = WIRE_LEASE, .lease = {.heartbeat = heartbeat, .lease_usec = 15 * SECOND}};
    assert_int_equal(receive(world, &message), 0);
}

static inline void tick(struct world *world, usec_t after_usec)
{
    world->now += after_usec;
    agent_core_tick(world->core, world->now);
    agent_core_flush(world->core);
}

static inline void started(struct world *world, uint64_t fence)
{
    world->executor.sink.on_started(world->executor.sink.context, fence, 77);
}

static inline void ended(struct world *world, uint64_t fence)
{
    struct attempt_end end = {.fence = fence, .outcome = OUTCOME_SUCCEEDED, .start_usec = 77};
    world->executor.sink.on_ended(world->executor.sink.context, &end);
}

static inline void flush(struct world *world)
{
    agent_core_flush(world->core);
}

static inline void open_session(struct world *world)
{
    if (world->core == NULL)
        open_core(world, 5, 100);
    hello(world, NULL);
    assert_int_equal(welcome(world, 5, NULL, 0, NULL, 0), 0);
}

static inline void reconnect(struct world *world, size_t n_known)
{
    agent_core_disconnected(world->core);
    assert_int_equal(hello(world, NULL), n_known);
    assert_int_equal(welcome(world, 5, NULL, 0, NULL, 0), 0);
}

#define world_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
