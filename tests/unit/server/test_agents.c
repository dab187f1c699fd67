// SPDX-License-Identifier: Apache-2.0
// Sessions of agents, seen from an agent that a test plays: who is let in, what is passed on, how output is read.
#include "tests/unit/test.h"

#include "base/clock.h"
#include "codec/codec.h"
#include "net/frame.h"
#include "server/agents.h"

enum { SEEN_MAX = 16 };

// The other side of one session.
struct peer {
    struct world *world;
    struct frame_conn *conn;
    struct arena arena;
    const struct wire_message *seen[SEEN_MAX];
    size_t n_seen;
    bool closed;
    uint8_t server_nonce[WIRE_NONCE_BYTES];
    uint8_t nonce[WIRE_NONCE_BYTES];
};

struct world {
    struct loop *loop;
    struct store *store;
    struct limits limits;
    struct engine *engine;
    struct agents *agents;
    struct handshake_key key;
    int n_log;
    int log_code;
    char log_data[64];
};

static void on_effect(void *context, const struct effect *effect)
{
    struct world *w = context;
    if (effect->kind != FX_REPLY)
        agents_effect(w->agents, effect);
}

static void pump(struct world *w)
{
    struct err err = {0};
    assert_int_equal(loop_turn(w->loop, USEC_PER_MSEC, &err), 0);
    assert_int_equal(engine_turn(w->engine, clock_wall_usec(), clock_mono_usec(), &err), 0);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    limits_init(&w->limits);
    assert_int_equal(loop_new(&w->loop, NULL), 0);
    assert_int_equal(store_memory_open(&w->store), 0);
    w->key.len = 32;
    memset(w->key.data, 'k', w->key.len);
    struct net_address address;
    assert_int_equal(net_address_parse("127.0.0.1:0", 0, &address, NULL), 0);
    struct agents_options agents = {.loop = w->loop, .limits = &w->limits, .key = &w->key, .address = &address};
    assert_int_equal(agents_open(&agents, &w->agents, NULL), 0);
    struct engine_options engine = {
        .store = w->store, .limits = &w->limits, .server = "s", .version = "1", .on_effect = on_effect, .context = w};
    assert_int_equal(engine_open(&engine, clock_wall_usec(), clock_mono_usec(), &w->engine, NULL), 0);
    agents_lead(w->agents, w->engine);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    agents_close(w->agents);
    engine_close(w->engine);
    store_close(w->store);
    assert_int_equal(loop_turn(w->loop, 0, NULL), 0);
    loop_free(w->loop);
    free(w);
    return 0;
}

static void on_message(void *context, struct bytes bytes)
{
    struct peer *peer = context;
    assert_true(peer->n_seen < SEEN_MAX);
    assert_int_equal(wire_unpack(bytes, &peer->arena, &peer->seen[peer->n_seen++], NULL), 0);
}

static void on_closed(void *context, const struct err *why)
{
    struct peer *peer = context;
    peer->closed = true;
}

static const struct frame_calls peer_calls = {.on_message = on_message, .on_closed = on_closed};

// Waits for the next message of a kind, which must be the next one at all.
static const struct wire_message *await(struct peer *peer, enum wire_kind kind)
{
    usec_t until = clock_mono_usec() + 5 * USEC_PER_SEC;
    while (peer->n_seen == 0) {
        assert_true(clock_mono_usec() < until);
        assert_false(peer->closed);
        pump(peer->world);
    }
    const struct wire_message *message = peer->seen[0];
    memmove(peer->seen, peer->seen + 1, --peer->n_seen * sizeof(peer->seen[0]));
    assert_int_equal(message->kind, kind);
    return message;
}

static void await_closed(struct peer *peer)
{
    usec_t until = clock_mono_usec() + 5 * USEC_PER_SEC;
    while (!peer->closed) {
        assert_true(clock_mono_usec() < until);
        pump(peer->world);
    }
}

static void send_message(struct peer *peer, const struct wire_message *message)
{
    wire_pack(frame_begin(peer->conn), message);
    frame_end(peer->conn);
}

// Connects and takes the challenge.
static struct peer *dial(struct world *w)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    peer->world = w;
    struct frame_options options = {
        .loop = w->loop, .message_bytes_max = 1 << 20, .queue_bytes_max = 1 << 20, .calls = &peer_calls, .context = peer};
    assert_int_equal(frame_connect(&options, agents_address(w->agents), &peer->conn, NULL), 0);
    const struct wire_message *message = await(peer, WIRE_CHALLENGE);
    assert_int_equal(message->challenge.version, WIRE_VERSION);
    assert_int_equal(message->challenge.epoch, 1);
    assert_int_equal(message->challenge.nonce.len, WIRE_NONCE_BYTES);
    memcpy(peer->server_nonce, message->challenge.nonce.data, WIRE_NONCE_BYTES);
    memset(peer->nonce, 'n', sizeof(peer->nonce));
    return peer;
}

static void hang_up(struct peer *peer)
{
    frame_free(peer->conn);
    arena_release(&peer->arena);
    free(peer);
}

// Says hello as `node`, with a proof made for `proof_node`.
static void hello(struct peer *peer, const char *node, const char *proof_node, uint32_t version)
{
    struct resource_need capacity[] = {{"cpu", 1000}, {"memory", 1 << 30}};
    struct node_info info = {
        .name = node, .identity = node, .spawner = "sp", .boot_id = "b", .version = "1", .capacity = capacity, .n_capacity = 2, .tasks_max = 4};
    uint8_t proof[WIRE_PROOF_BYTES];
    handshake_agent_proof(&peer->world->key, peer->server_nonce, peer->nonce, proof_node, proof);
    struct wire_message message = {
        .kind = WIRE_HELLO,
        .hello = {.version = version, .nonce = {peer->nonce, sizeof(peer->nonce)}, .proof = {proof, sizeof(proof)}, .hello.info = &info},
    };
    send_message(peer, &message);
}

static struct peer *welcomed(struct world *w, const char *node)
{
    struct peer *peer = dial(w);
    hello(peer, node, node, WIRE_VERSION);
    const struct wire_message *message = await(peer, WIRE_WELCOME);
    uint8_t proof[WIRE_PROOF_BYTES];
    handshake_server_proof(&w->key, peer->server_nonce, peer->nonce, proof);
    assert_true(handshake_proof_equal(message->welcome.proof, proof));
    assert_int_equal(message->welcome.welcome.lease_usec, w->limits.value[LIMIT_NODE_LEASE]);
    return peer;
}

static bool knows_node(struct world *w, const char *name)
{
    struct arena arena = {0};
    struct node_view view;
    bool knows = core_view_node(engine_core(w->engine), name, &arena, &view) == 0;
    arena_release(&arena);
    return knows;
}

static void expect_refused(struct peer *peer, int code)
{
    assert_int_equal(await(peer, WIRE_REFUSE)->refuse.code, code);
    await_closed(peer);
    assert_int_equal(agents_sessions(peer->world->agents), 0);
    hang_up(peer);
}

static void test_welcome_and_lease(void **state)
{
    struct world *w = *state;
    struct peer *peer = welcomed(w, "n1");
    assert_true(knows_node(w, "n1"));
    struct wire_message message = {.kind = WIRE_HEARTBEAT, .heartbeat = 77};
    send_message(peer, &message);
    const struct wire_message *lease = await(peer, WIRE_LEASE);
    assert_int_equal(lease->lease.heartbeat, 77);
    assert_int_equal(lease->epoch, 1);
    hang_up(peer);
    for (int i = 0; i < 100 && agents_sessions(w->agents) > 0; i++)
        pump(w);
    assert_int_equal(agents_sessions(w->agents), 0);
    assert_true(knows_node(w, "n1")); // its lease goes on
}

static void test_who_does_not_prove_the_key_is_refused(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    hello(peer, "n1", "n2", WIRE_VERSION); // a proof that was made for another name
    expect_refused(peer, ERR_UNAUTHENTICATED);
    peer = dial(w);
    memset(peer->server_nonce, 0, sizeof(peer->server_nonce)); // one for another session
    hello(peer, "n1", "n1", WIRE_VERSION);
    expect_refused(peer, ERR_UNAUTHENTICATED);
    w->key.data[0] ^= 1; // the server's key differs from the one that the proof is made with
    peer = dial(w);
    w->key.data[0] ^= 1;
    uint8_t other[WIRE_NONCE_BYTES] = {1};
    memcpy(peer->nonce, other, sizeof(other));
    struct wire_message message = {.kind = WIRE_HELLO, .hello = {.version = WIRE_VERSION}};
    struct node_info info = {.name = "n1", .identity = "i", .spawner = "s", .boot_id = "b", .version = "1"};
    message.hello.hello.info = &info;
    message.hello.nonce = (struct bytes){peer->nonce, sizeof(peer->nonce)};
    message.hello.proof = (struct bytes){other, sizeof(other)};
    send_message(peer, &message);
    expect_refused(peer, ERR_UNAUTHENTICATED);
    assert_false(knows_node(w, "n1"));
}

static void test_wrong_version_and_wrong_messages(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    hello(peer, "n1", "n1", WIRE_VERSION + 1);
    expect_refused(peer, ERR_VERSION);
    peer = dial(w);
    struct wire_message message = {.kind = WIRE_HEARTBEAT, .heartbeat = 1};
    send_message(peer, &message);
    expect_refused(peer, ERR_PROTOCOL);
    peer = dial(w);
    frame_send(peer->conn, "\xff\xff\xff", 3);
    expect_refused(peer, ERR_PROTOCOL);
    peer = welcomed(w, "n1");
    hello(peer, "n1", "n1", WIRE_VERSION); // once is enough
    expect_refused(peer, ERR_PROTOCOL);
}

static void on_log(void *context, const struct wire_log_data *data)
{
    struct world *w = context;
    w->n_log++;
    w->log_code = data->code;
    snprintf(w->log_data, sizeof(w->log_data), "%.*s", (int)data->data.len, data->data.len > 0 ? (const char *)data->data.data : "");
}

static void await_log(struct world *w, int n)
{
    usec_t until = clock_mono_usec() + 5 * USEC_PER_SEC;
    while (w->n_log < n) {
        assert_true(clock_mono_usec() < until);
        pump(w);
    }
    assert_int_equal(w->n_log, n);
}

static void test_output_is_read_from_the_node(void **state)
{
    struct world *w = *state;
    struct peer *peer = welcomed(w, "n1");
    struct wire_log_read what = {.run_id = 5, .index = 6, .attempt = 2, .stream = 1, .offset = 100, .max_bytes = 10};
    agents_log_read(w->agents, "n1", &what, on_log, w);
    uint64_t second = agents_log_read(w->agents, "n1", &what, on_log, w);
    const struct wire_log_read *asked = &await(peer, WIRE_LOG_READ)->log_read;
    assert_int_equal(asked->run_id, 5);
    assert_int_equal(asked->index, 6);
    assert_int_equal(asked->attempt, 2);
    assert_int_equal(asked->stream, 1);
    assert_int_equal(asked->offset, 100);
    assert_int_equal(asked->max_bytes, 10);
    const struct wire_log_read *other = &await(peer, WIRE_LOG_READ)->log_read;
    assert_int_equal(other->request, second);
    agents_log_forget(w->agents, second);
    // An answer that nobody waits for any more, one that nobody asked for, and the right one.
    uint64_t numbers[] = {second, 999, asked->request};
    for (int i = 0; i < 3; i++) {
        struct wire_message message = {.kind = WIRE_LOG_DATA, .log_data = {.request = numbers[i], .offset = 100, .end = 105, .data = {(const uint8_t *)"hello", 5}}};
        send_message(peer, &message);
    }
    await_log(w, 1);
    assert_int_equal(w->log_code, 0);
    assert_string_equal(w->log_data, "hello");
    hang_up(peer);
}

static void test_output_of_a_node_that_is_away(void **state)
{
    struct world *w = *state;
    struct wire_log_read what = {.run_id = 5, .max_bytes = 10};
    agents_log_read(w->agents, "n1", &what, on_log, w);
    assert_int_equal(w->n_log, 0); // never from within the call
    await_log(w, 1);
    assert_int_equal(w->log_code, ERR_UNAVAILABLE);
    struct peer *peer = welcomed(w, "n1");
    agents_log_read(w->agents, "n1", &what, on_log, w);
    await(peer, WIRE_LOG_READ);
    hang_up(peer);
    await_log(w, 2);
    assert_int_equal(w->log_code, ERR_UNAVAILABLE);
    // Another node must not answer in its place.
    peer = welcomed(w, "n1");
    struct peer *liar = welcomed(w, "n2");
    agents_log_read(w->agents, "n1", &what, on_log, w);
    uint64_t number = await(peer, WIRE_LOG_READ)->log_read.request;
    struct wire_message message = {.kind = WIRE_LOG_DATA, .log_data = {.request = number, .data = {(const uint8_t *)"lie", 3}}};
    send_message(liar, &message);
    for (int i = 0; i < 20; i++)
        pump(w);
    assert_int_equal(w->n_log, 2);
    message.log_data.data = (struct bytes){(const uint8_t *)"truth", 5};
    send_message(peer, &message);
    await_log(w, 3);
    assert_string_equal(w->log_data, "truth");
    hang_up(peer);
    hang_up(liar);
}

static void test_a_second_session_takes_over(void **state)
{
    struct world *w = *state;
    struct peer *old = welcomed(w, "n1");
    struct peer *fresh = welcomed(w, "n1");
    struct wire_log_read what = {.run_id = 5, .max_bytes = 10};
    agents_log_read(w->agents, "n1", &what, on_log, w);
    assert_int_equal(await(fresh, WIRE_LOG_READ)->log_read.run_id, 5);
    await_closed(old);
    assert_int_equal(agents_sessions(w->agents), 1);
    struct wire_message message = {.kind = WIRE_HEARTBEAT, .heartbeat = 3};
    send_message(fresh, &message);
    assert_int_equal(await(fresh, WIRE_LEASE)->lease.heartbeat, 3);
    hang_up(old);
    hang_up(fresh);
}

static void test_who_says_nothing_is_sent_away(void **state)
{
    struct world *w = *state;
    w->limits.value[LIMIT_NODE_LEASE] = 200 * USEC_PER_MSEC;
    struct peer *peer = welcomed(w, "n1");
    usec_t began = clock_mono_usec();
    await_closed(peer);
    assert_true(clock_mono_usec() - began >= 150 * USEC_PER_MSEC);
    hang_up(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_welcome_and_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_does_not_prove_the_key_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_version_and_wrong_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_is_read_from_the_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_of_a_node_that_is_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_second_session_takes_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_says_nothing_is_sent_away, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
