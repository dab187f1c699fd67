// SPDX-License-Identifier: Apache-2.0
// A small world for tests of the core.
#include "tests/unit/core/world.h"

#include "base/tz.h"
#include "codec/codec.h"
#include "tests/unit/test.h"

static struct core *new_core(const struct limits *limits)
{
    return core_new(&(struct core_options){.limits = limits, .find_zone = tz_finder, .seed = 7});
}

void world_init(struct world *world)
{
    *world = (struct world){.wall = 1700000000 * USEC_PER_SEC, .mono = USEC_PER_HOUR, .check = true};
    limits_init(&world->limits);
    arena_init(&world->arena, 64 * 1024);
    arena_init(&world->lasting, 64 * 1024);
    buf_init(&world->log);
    world->core = new_core(&world->limits);
    world_step(world, &(struct event){.kind = EV_LEAD, .lead = {.epoch = 1, .server = "s1", .version = "test"}});
}

void world_release(struct world *world)
{
    core_free(world->core);
    arena_release(&world->arena);
    arena_release(&world->lasting);
    buf_release(&world->log);
}

void world_step(struct world *world, struct event *event)
{
    arena_clear(&world->arena);
    outbox_init(&world->out, &world->arena);
    event->wall_usec = world->wall;
    event->mono_usec = world->mono;
    core_step(world->core, event, &world->out);
    for (size_t i = 0; i < world->out.n_records; i++)
        record_pack(&world->log, world->out.record[i]);
    if (world->check)
        core_check(world->core);
}

void world_pass(struct world *world, usec_t usec)
{
    usec_t end = world->wall + usec;
    for (;;) {
        usec_t wait = core_deadline(world->core, world->wall, world->mono);
        if (wait == USEC_NEVER || world->wall + wait > end)
            break;
        world->wall += wait;
        world->mono += wait;
        world_step(world, &(struct event){.kind = EV_TICK});
    }
    world->mono += end - world->wall;
    world->wall = end;
}

void world_plan(struct world *world)
{
    world_step(world, &(struct event){.kind = EV_PLAN});
}

struct job_spec *world_spec(struct world *world, const char *name, uint32_t n_tasks)
{
    struct job_spec *spec = arena_new(&world->lasting, struct job_spec);
    job_spec_init(spec);
    const char **command = arena_array(&world->lasting, const char *, 1);
    command[0] = "/bin/true";
    spec->name = arena_strdup(&world->lasting, name);
    spec->command = command;
    spec->n_command = 1;
    struct resource_need *needs = arena_array(&world->lasting, struct resource_need, 1);
    needs[0] = (struct resource_need){"cpu", 1000};
    spec->needs = needs;
    spec->n_needs = 1;
    struct index_range *range = arena_array(&world->lasting, struct index_range, 1);
    *range = (struct index_range){.first = 0, .last = n_tasks - 1, .step = 1};
    assert_true(index_set_init(&spec->tasks, range, 1));
    return spec;
}

uint64_t world_submit_key(struct world *world, const struct job_spec *spec, const char *idempotency_key)
{
    struct buf packed;
    buf_init(&packed);
    spec_pack(&packed, spec);
    world_step(world, &(struct event){.kind = EV_SUBMIT,
                                      .request = 1,
                                      .by = "tester",
                                      .submit = {.spec = spec,
                                                 .packed = {(const uint8_t *)packed.data, packed.len},
                                                 .idempotency_key = idempotency_key}});
    buf_release(&packed);
    return world_reply(world)->run_id;
}

uint64_t world_submit(struct world *world, const struct job_spec *spec)
{
    return world_submit_key(world, spec, NULL);
}

const struct effect *world_effect(const struct world *world, enum effect_kind kind, size_t nth)
{
    for (size_t i = 0; i < world->out.n_effects; i++)
        if (world->out.effect[i]->kind == kind && nth-- == 0)
            return world->out.effect[i];
    return NULL;
}

const struct fx_reply *world_reply(const struct world *world)
{
    const struct effect *effect = world_effect(world, FX_REPLY, 0);
    assert_non_null(effect);
    return &effect->reply;
}

size_t world_count(const struct world *world, enum record_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < world->out.n_records; i++)
        n += world->out.record[i]->kind == kind;
    return n;
}

void world_welcomed(struct world *world, uint64_t session)
{
    struct arena arena = {0};
    struct outbox out;
    outbox_init(&out, &arena);
    core_step(world->core, &(struct event){.kind = EV_NODE_WELCOMED, .wall_usec = world->wall, .mono_usec = world->mono, .session = {.session = session}}, &out);
    assert_int_equal(out.n_records + out.n_effects, 0);
    arena_release(&arena);
}

uint64_t world_hello(struct world *world, const char *name, uint64_t cpu_millis, const char *spawner, const struct known_attempt *known, size_t n)
{
    struct resource_need capacity[] = {{"cpu", cpu_millis}, {"memory", UINT64_C(1) << 34}};
    struct pair labels[] = {{"name", name}, {"os", "linux"}};
    struct node_info info = {
        .name = name,
        .identity = arena_printf(&world->lasting, "identity-of-%s", name),
        .spawner = spawner,
        .boot_id = "boot",
        .version = "test",
        .capacity = capacity,
        .n_capacity = 2,
        .labels = labels,
        .n_labels = 2,
        .tasks_max = 1000,
    };
    uint64_t session = ++world->next_session;
    world_step(world, &(struct event){.kind = EV_NODE_HELLO, .hello = {.session = session, .info = &info, .known = known, .n_known = n}});
    world_welcomed(world, session);
    return session;
}

uint64_t world_node(struct world *world, const char *name, uint64_t cpu_millis)
{
    uint64_t session = world_hello(world, name, cpu_millis, "spawner-1", NULL, 0);
    assert_non_null(world_effect(world, FX_WELCOME, 0));
    return session;
}

void world_report_end(struct world *world, uint64_t session, uint64_t fence, enum outcome outcome, int exit_code)
{
    struct attempt_end end = {.fence = fence, .outcome = outcome, .exit_code = exit_code, .start_usec = world->wall, .wall_usec = 5};
    world_step(world, &(struct event){.kind = EV_NODE_REPORT, .report = {.session = session, .report_id = 1, .ended = &end, .n_ended = 1}});
}

void world_report_start(struct world *world, uint64_t session, uint64_t fence)
{
    struct known_attempt started = {.fence = fence, .running = true, .start_usec = world->wall};
    world_step(world, &(struct event){.kind = EV_NODE_REPORT,
                                      .report = {.session = session, .report_id = 1, .started = &started, .n_started = 1}});
}

struct run_view world_run(struct world *world, uint64_t run_id)
{
    struct run_view view;
    assert_int_equal(core_view_run(world->core, run_id, &world->lasting, &view), 0);
    return view;
}

enum run_state world_state(struct world *world, uint64_t run_id)
{
    return world_run(world, run_id).state;
}

static int pack_item(void *context, const struct snapshot_item *item)
{
    snapshot_item_pack(context, item);
    return 0;
}

void world_snapshot(const struct core *core, struct buf *bytes)
{
    snapshot_begin(bytes);
    assert_int_equal(core_save(core, pack_item, bytes), 0);
    snapshot_end(bytes);
}

struct core *world_replay(const struct world *world)
{
    struct core *core = new_core(&world->limits);
    struct bytes bytes = {(const uint8_t *)world->log.data, world->log.len};
    struct arena arena;
    arena_init(&arena, 4096);
    while (bytes.len > 0) {
        struct record *record = NULL;
        struct err err = {0};
        if (record_unpack(&bytes, &arena, &record, &err) < 0)
            fail_msg("%s", err.text);
        core_apply(core, record);
        arena_clear(&arena);
    }
    arena_release(&arena);
    return core;
}

static int load_item(void *context, const struct snapshot_item *item)
{
    core_load(context, item);
    return 0;
}

static struct core *load(const struct world *world, const struct buf *snapshot)
{
    struct core *core = new_core(&world->limits);
    struct err err = {0};
    if (snapshot_unpack((struct bytes){(const uint8_t *)snapshot->data, snapshot->len}, load_item, core, &err) < 0)
        fail_msg("%s", err.text);
    core_load_done(core);
    core_check(core);
    return core;
}

void world_restart(struct world *world)
{
    struct buf snapshot;
    buf_init(&snapshot);
    world_snapshot(world->core, &snapshot);
    struct core *core = load(world, &snapshot);
    buf_release(&snapshot);
    uint64_t epoch = core_epoch(world->core) + 1;
    core_free(world->core);
    world->core = core;
    world_step(world, &(struct event){.kind = EV_LEAD, .lead = {.epoch = epoch, .server = "s2", .version = "test"}});
}

// The log alone, and a snapshot alone, must both give the state that the live core has.
void world_check_replay(const struct world *world)
{
    struct buf live, replayed, loaded;
    buf_init(&live);
    buf_init(&replayed);
    buf_init(&loaded);
    world_snapshot(world->core, &live);
    struct core *core = world_replay(world);
    core_check(core);
    world_snapshot(core, &replayed);
    core_free(core);
    assert_int_equal(live.len, replayed.len);
    assert_memory_equal(live.data, replayed.data, live.len);
    core = load(world, &live);
    world_snapshot(core, &loaded);
    core_free(core);
    assert_int_equal(live.len, loaded.len);
    assert_memory_equal(live.data, loaded.data, live.len);
    buf_release(&live);
    buf_release(&replayed);
    buf_release(&loaded);
}
