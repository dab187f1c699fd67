// SPDX-License-Identifier: Apache-2.0
// The engine over the stores that are shipped for tests: nothing leaves before it is durable, nothing overtakes, failures end the
// leadership, a full store waits, and a restart finds everything.
#include "base/mem.h"
#include "base/tz.h"
#include "codec/codec.h"
#include "engine/engine.h"
#include "tests/unit/test.h"

struct bench {
    struct limits limits;
    struct store *store;
    struct engine *engine;
    usec_t now;
    size_t n_replies;
    struct fx_reply last_reply;
    uint64_t durable_at_reply;
    uint64_t last_record;
    size_t n_starts, n_leases, n_afters;
};

static void on_effect(void *context, const struct effect *effect)
{
    struct bench *b = context;
    if (effect->kind == FX_REPLY) {
        b->n_replies++;
        b->last_reply = effect->reply;
        b->durable_at_reply = engine_durable(b->engine);
    }
    b->n_starts += effect->kind == FX_START;
    b->n_leases += effect->kind == FX_LEASE;
}

static void on_records(void *context, const struct record *const *records, size_t n, const struct store_batch *packed)
{
    struct bench *b = context;
    assert_int_equal(packed->n_records, n);
    assert_int_equal(records[0]->seq, b->last_record + 1); // without gaps
    assert_int_equal(packed->first_seq, records[0]->seq);
    b->last_record = records[n - 1]->seq;
}

static int open_engine(struct bench *b, struct err *err)
{
    return engine_open(&(struct engine_options){.store = b->store,
                                                .limits = &b->limits,
                                                .find_zone = tz_finder,
                                                .server = "s1",
                                                .version = "test",
                                                .on_records = on_records,
                                                .on_effect = on_effect,
                                                .context = b},
                       b->now, b->now, &b->engine, err);
}

static void start(struct bench *b, struct store *store)
{
    *b = (struct bench){.store = store, .now = 1700000000 * USEC_PER_SEC};
    limits_init(&b->limits);
    struct err err = {0};
    if (open_engine(b, &err) < 0)
        fail_msg("%s", err.text);
}

static int turn(struct bench *b)
{
    struct err err = {0};
    return engine_turn(b->engine, b->now, b->now, &err);
}

static void submit(struct bench *b, uint64_t request, const char *key)
{
    struct job_spec spec;
    job_spec_init(&spec);
    static const char *const command[] = {"/bin/true"};
    spec.command = command;
    spec.n_command = 1;
    struct buf packed;
    buf_init(&packed);
    spec_pack(&packed, &spec);
    engine_event(b->engine, &(struct event){.kind = EV_SUBMIT,
                                            .wall_usec = b->now,
                                            .mono_usec = b->now,
                                            .request = request,
                                            .submit = {.spec = &spec,
                                                       .packed = {(const uint8_t *)packed.data, packed.len},
                                                       .idempotency_key = key}});
    buf_release(&packed);
}

static struct store *memory(void)
{
    struct store *store = NULL;
    assert_int_equal(store_memory_open(&store), 0);
    return store;
}

static void test_a_reply_leaves_after_its_commit(void **state)
{
    (void)state;
    struct bench b;
    start(&b, memory());
    submit(&b, 1, NULL);
    assert_int_equal(b.n_replies, 0);
    uint64_t position = engine_position(b.engine);
    for (int i = 0; i < 5 && b.n_replies == 0; i++)
        assert_int_equal(turn(&b), 0);
    assert_int_equal(b.n_replies, 1);
    assert_int_equal(b.last_reply.run_id, 1);
    assert_true(b.durable_at_reply >= position);
    engine_close(b.engine);
    store_close(b.store);
}

static void count(void *context)
{
    ((struct bench *)context)->n_afters++;
}

static void test_a_read_waits_for_what_it_saw(void **state)
{
    (void)state;
    struct bench b;
    start(&b, memory());
    while (engine_durable(b.engine) < engine_position(b.engine))
        assert_int_equal(turn(&b), 0);
    engine_after(b.engine, engine_position(b.engine), count, &b);
    assert_int_equal(b.n_afters, 1); // nothing to wait for
    submit(&b, 1, NULL);
    engine_after(b.engine, engine_position(b.engine), count, &b);
    assert_int_equal(b.n_afters, 1);
    while (engine_durable(b.engine) < engine_position(b.engine))
        assert_int_equal(turn(&b), 0);
    assert_int_equal(b.n_afters, 2);
    engine_close(b.engine);
    store_close(b.store);
}

static void test_a_failed_commit_ends_the_leadership(void **state)
{
    (void)state;
    static const int codes[] = {ERR_IO, ERR_STORE_FENCED, ERR_STORE_UNKNOWN, ERR_STORE_CORRUPT};
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        struct store *store = NULL;
        assert_int_equal(store_faulty_open(memory(), &store), 0);
        struct bench b;
        start(&b, store);
        while (engine_durable(b.engine) < engine_position(b.engine))
            assert_int_equal(turn(&b), 0);
        store_faulty_plan(store, FAULT_APPEND, 1, 1, codes[i], codes[i] == ERR_STORE_UNKNOWN);
        submit(&b, 1, NULL);
        int rc = 0;
        for (int k = 0; k < 5 && rc == 0; k++)
            rc = turn(&b);
        assert_int_equal(rc, codes[i]);
        assert_int_equal(b.n_replies, 0); // nobody was told that it is durable
        engine_close(b.engine);
        store_close(b.store);
    }
}

static void test_a_full_store_keeps_the_batch(void **state)
{
    (void)state;
    struct store *store = NULL;
    assert_int_equal(store_faulty_open(memory(), &store), 0);
    struct bench b;
    start(&b, store);
    while (engine_durable(b.engine) < engine_position(b.engine))
        assert_int_equal(turn(&b), 0);
    store_faulty_plan(store, FAULT_APPEND, 1, 3, ERR_STORE_FULL, false);
    submit(&b, 1, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(turn(&b), 0);
    assert_true(engine_full(b.engine));
    assert_int_equal(b.n_replies, 0);
    for (int i = 0; i < 10 && b.n_replies == 0; i++) {
        b.now += USEC_PER_SEC;
        assert_int_equal(turn(&b), 0);
    }
    assert_int_equal(b.n_replies, 1);
    assert_int_equal(b.last_reply.run_id, 1);
    assert_false(engine_full(b.engine));
    engine_close(b.engine);
    store_close(b.store);
}

static void test_leases_do_not_wait_for_the_store(void **state)
{
    (void)state;
    struct store *store = NULL;
    assert_int_equal(store_faulty_open(memory(), &store), 0);
    struct bench b;
    start(&b, store);
    struct node_info info = {.name = "n1", .identity = "i", .spawner = "s", .boot_id = "b", .version = "v", .tasks_max = 10};
    engine_event(b.engine, &(struct event){.kind = EV_NODE_HELLO, .wall_usec = b.now, .mono_usec = b.now, .hello = {.session = 1, .info = &info}});
    while (engine_durable(b.engine) < engine_position(b.engine))
        assert_int_equal(turn(&b), 0);
    store_faulty_plan(store, FAULT_APPEND, 1, 100, ERR_STORE_FULL, false);
    submit(&b, 1, NULL);
    assert_int_equal(turn(&b), 0);
    engine_event(b.engine, &(struct event){.kind = EV_NODE_HEARTBEAT, .wall_usec = b.now, .mono_usec = b.now, .session = {.session = 1}});
    assert_int_equal(b.n_leases, 1);
    assert_int_equal(b.n_replies, 0);
    engine_close(b.engine);
    store_close(b.store);
}

static void hello(struct bench *b, const char *name, uint64_t session)
{
    struct node_info info = {.name = name, .identity = name, .spawner = "s", .boot_id = "b", .version = "v", .tasks_max = 10};
    engine_event(b->engine, &(struct event){.kind = EV_NODE_HELLO, .wall_usec = b->now, .mono_usec = b->now, .hello = {.session = session, .info = &info}});
}

static void settle(struct bench *b)
{
    while (engine_durable(b->engine) < engine_position(b->engine))
        assert_int_equal(turn(b), 0);
}

static uint64_t waiting_bytes(const struct bench *b)
{
    struct engine_stats stats;
    engine_stats(b->engine, &stats);
    return stats.waiting_bytes;
}

// A busy fleet goes on while the store has no room for an hour: its heartbeats are answered and leave nothing behind.
static void test_heartbeats_gather_nothing_in_a_full_store(void **state)
{
    (void)state;
    enum { NODES = 50, HOUR_SEC = 3600 };
    struct store *store = NULL;
    assert_int_equal(store_faulty_open(memory(), &store), 0);
    struct bench b;
    start(&b, store);
    for (uint64_t i = 1; i <= NODES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%llu", (unsigned long long)i);
        hello(&b, name, i);
    }
    settle(&b);
    store_faulty_plan(store, FAULT_APPEND, 1, 2 * HOUR_SEC, ERR_STORE_FULL, false);
    submit(&b, 1, NULL);
    assert_int_equal(turn(&b), 0);
    uint64_t before = waiting_bytes(&b);
    for (uint64_t second = 1; second <= HOUR_SEC; second++) {
        b.now += USEC_PER_SEC;
        for (uint64_t i = 1; i <= NODES; i++)
            engine_event(b.engine, &(struct event){.kind = EV_NODE_HEARTBEAT, .wall_usec = b.now, .mono_usec = b.now, .session = {.session = i}});
        assert_int_equal(turn(&b), 0);
        assert_true(engine_full(b.engine));
    }
    assert_int_equal(b.n_leases, NODES * HOUR_SEC);
    assert_true(waiting_bytes(&b) <= before);
    engine_close(b.engine);
    store_close(b.store);
}

// What cannot be welcomed comes again and again: at some point that is refused, and before it nothing new is decided.
static void test_what_waits_for_the_store_is_bounded(void **state)
{
    (void)state;
    struct store *store = NULL;
    assert_int_equal(store_faulty_open(memory(), &store), 0);
    struct bench b;
    start(&b, store);
    settle(&b);
    store_faulty_plan(store, FAULT_APPEND, 1, 1000, ERR_STORE_FULL, false);
    submit(&b, 1, NULL);
    assert_int_equal(turn(&b), 0);
    uint64_t session = 0, busy_at = 0;
    while (!engine_overfull(b.engine)) {
        hello(&b, "n1", ++session);
        if (busy_at == 0 && engine_busy(b.engine))
            busy_at = waiting_bytes(&b);
        assert_true(session < 10000000);
    }
    assert_true(busy_at > 0 && busy_at <= 80 * 1024 * 1024);
    assert_true(waiting_bytes(&b) <= 160 * 1024 * 1024);
    b.now += 3600 * USEC_PER_SEC; // its lease is long over, but nobody is given up before the store is there again
    assert_int_equal(turn(&b), 0);
    store_faulty_plan(store, FAULT_APPEND, 1000000, 1, ERR_IO, false); // there is room again
    for (int i = 0; i < 5; i++) {
        b.now += USEC_PER_SEC;
        assert_int_equal(turn(&b), 0);
    }
    assert_false(engine_full(b.engine));
    assert_false(engine_busy(b.engine));
    settle(&b);
    struct arena arena = {0};
    struct node_view node;
    assert_int_equal(core_view_node(engine_core(b.engine), "n1", &arena, &node), 0);
    assert_int_equal(node.state, NODE_ONLINE);
    arena_release(&arena);
    engine_close(b.engine);
    store_close(b.store);
}

static void test_restart_from_snapshot_and_tail(void **state)
{
    (void)state;
    struct bench b;
    start(&b, memory());
    struct err err = {0};
    struct buf before;
    for (uint64_t i = 1; i <= 50; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key-%llu", (unsigned long long)i);
        submit(&b, i, key);
        assert_int_equal(turn(&b), 0);
        if (i != 25)
            continue;
        while (engine_durable(b.engine) < engine_position(b.engine))
            assert_int_equal(turn(&b), 0);
        struct buf snapshot;
        buf_init(&snapshot);
        assert_int_equal(engine_snapshot(b.engine, &snapshot, &err), 0);
        size_t len = snapshot.len;
        uint64_t seq = engine_position(b.engine);
        assert_int_equal(engine_keep_snapshot(b.engine, seq, seq, (uint8_t *)buf_detach(&snapshot), len, &err), 0);
    }
    while (engine_durable(b.engine) < engine_position(b.engine))
        assert_int_equal(turn(&b), 0);
    buf_init(&before);
    assert_int_equal(engine_snapshot(b.engine, &before, &err), 0);
    engine_close(b.engine);
    if (open_engine(&b, &err) < 0)
        fail_msg("%s", err.text);
    struct core_stats stats;
    core_stats(engine_core(b.engine), &stats);
    assert_int_equal(stats.runs_live, 50);
    core_check(engine_core(b.engine));
    submit(&b, 99, "key-7"); // known before the restart
    while (engine_durable(b.engine) < engine_position(b.engine))
        assert_int_equal(turn(&b), 0);
    assert_int_equal(turn(&b), 0);
    assert_int_equal(b.last_reply.run_id, 7);
    assert_true(b.last_reply.existing);
    assert_int_equal(core_epoch(engine_core(b.engine)), 2);
    engine_close(b.engine);
    store_close(b.store);
    buf_release(&before);
}

static void test_what_was_not_durable_is_gone_after_a_crash(void **state)
{
    (void)state;
    struct bench b;
    start(&b, memory());
    submit(&b, 1, NULL);
    while (engine_durable(b.engine) < engine_position(b.engine))
        assert_int_equal(turn(&b), 0);
    submit(&b, 2, NULL); // decided, never committed, never answered
    size_t answered = b.n_replies;
    engine_close(b.engine);
    store_memory_crash(b.store);
    struct err err = {0};
    assert_int_equal(open_engine(&b, &err), 0);
    struct core_stats stats;
    core_stats(engine_core(b.engine), &stats);
    assert_int_equal(stats.runs_live, answered);
    engine_close(b.engine);
    store_close(b.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reply_leaves_after_its_commit),
        cmocka_unit_test(test_a_read_waits_for_what_it_saw),
        cmocka_unit_test(test_a_failed_commit_ends_the_leadership),
        cmocka_unit_test(test_a_full_store_keeps_the_batch),
        cmocka_unit_test(test_leases_do_not_wait_for_the_store),
        cmocka_unit_test(test_heartbeats_gather_nothing_in_a_full_store),
        cmocka_unit_test(test_what_waits_for_the_store_is_bounded),
        cmocka_unit_test(test_restart_from_snapshot_and_tail),
        cmocka_unit_test(test_what_was_not_durable_is_gone_after_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
