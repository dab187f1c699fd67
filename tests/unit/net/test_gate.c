// SPDX-License-Identifier: Apache-2.0
// The gate of the agent port against agents with the wrong key, garbage, silence and floods, over real sockets.

#include "net/gate.h"

#include <poll.h>

#include "base/arena.h"
#include "base/clock.h"
#include "codec/codec.h"
#include "tests/unit/test.h"

#define TIMEOUT_USEC (400 * USEC_PER_MSEC)

struct world {
    struct loop *loop;
    struct gate *gate;
    struct handshake_key key;
    struct limits limits;
    struct frame_conn *conn; // of the agent that came through
    int agents, refused;
    struct err why;
    uint8_t proof[WIRE_PROOF_BYTES];
    char name[32];
    struct arena arena;
};

static uint64_t epoch(void *context)
{
    return 9;
}

static void on_message(void *context, struct bytes message)
{
}

static void on_closed(void *context, const struct err *why)
{
}

static const struct frame_calls agent_calls = {.on_message = on_message, .on_closed = on_closed};

static void on_agent(void *context, const struct gate_agent *agent)
{
    struct world *world = context;
    struct frame_options options = {
        .loop = world->loop, .message_bytes_max = 1 << 20, .queue_bytes_max = 1 << 20, .calls = &agent_calls, .context = world};
    frame_free(world->conn);
    frame_adopt(agent->conn, &options);
    world->conn = agent->conn;
    world->agents++;
    snprintf(world->name, sizeof(world->name), "%s", agent->hello->hello.info->name);
    memcpy(world->proof, agent->proof, sizeof(world->proof));
}

static void on_refused(void *context, const struct err *why)
{
    struct world *world = context;
    world->refused++;
    world->why = *why;
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    limits_init(&world->limits);
    world->key.len = 40;
    memset(world->key.data, 'k', 40);
    assert_int_equal(loop_new(&world->loop, NULL), 0);
    struct gate_options options = {.loop = world->loop,
                                   .key = &world->key,
                                   .limits = &world->limits,
                                   .timeout_usec = TIMEOUT_USEC,
                                   .epoch = epoch,
                                   .on_agent = on_agent,
                                   .on_refused = on_refused,
                                   .context = world};
    assert_int_equal(net_address_parse("127.0.0.1:0", 0, &options.address, NULL), 0);
    assert_int_equal(gate_open(&options, &world->gate, NULL), 0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    frame_free(world->conn);
    gate_close(world->gate);
    for (int i = 0; i < 10; i++)
        loop_turn(world->loop, 1000, NULL); // those that are being finished see that the clients have gone
    loop_free(world->loop);
    arena_release(&world->arena);
    free(world);
    return 0;
}

static void turns(struct world *world, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(loop_turn(world->loop, 1000, NULL), 0);
}

// A client: a plain blocking socket.
static int dial(struct world *world)
{
    const struct net_address *address = gate_address(world->gate);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&address->storage, address->len), 0);
    return fd;
}

// The next message that the gate sends, or NULL at the end of the connection.
static const struct wire_message *next_message(struct world *world, int fd)
{
    uint8_t bytes[4096];
    size_t len = 0, want = 4;
    while (len < want) {
        for (struct pollfd p = {.fd = fd, .events = POLLIN}; poll(&p, 1, 0) == 0;)
            loop_turn(world->loop, 1000, NULL);
        ssize_t n = recv(fd, bytes + len, want - len, 0);
        if (n <= 0)
            return NULL;
        len += (size_t)n;
        if (len == 4)
            want = 4 + ((size_t)bytes[2] << 8 | bytes[3]);
    }
    const struct wire_message *message = NULL;
    assert_int_equal(wire_unpack((struct bytes){bytes + 4, len - 4}, &world->arena, &message, NULL), 0);
    return message;
}

static void say(int fd, const struct wire_message *message)
{
    struct buf buf = {0};
    buf_add(&buf, "\0\0\0\0", 4);
    wire_pack(&buf, message);
    size_t len = buf.len - 4;
    buf.data[2] = (char)(len >> 8);
    buf.data[3] = (char)len;
    assert_int_equal(write(fd, buf.data, buf.len), (ssize_t)buf.len);
    buf_release(&buf);
}

static void say_hello(int fd, const struct wire_message *challenge, const struct handshake_key *key, const uint8_t nonce[32], uint32_t version)
{
    uint8_t proof[WIRE_PROOF_BYTES];
    handshake_agent_proof(key, challenge->challenge.nonce.data, nonce, "node-1", proof);
    struct node_info info = {.name = "node-1", .identity = "id", .spawner = "s", .boot_id = "b", .version = "v"};
    struct wire_message hello = {.kind = WIRE_HELLO};
    hello.hello = (struct wire_hello){.version = version, .nonce = {nonce, 32}, .proof = {proof, 32}};
    hello.hello.hello.info = &info;
    say(fd, &hello);
}

static const struct wire_message *challenged(struct world *world, int fd)
{
    const struct wire_message *challenge = next_message(world, fd);
    assert_non_null(challenge);
    assert_int_equal(challenge->kind, WIRE_CHALLENGE);
    assert_int_equal(challenge->challenge.epoch, 9);
    assert_int_equal(challenge->challenge.version, WIRE_VERSION);
    assert_int_equal(challenge->challenge.nonce.len, WIRE_NONCE_BYTES);
    return challenge;
}

static void expect_refusal(struct world *world, int fd, int code)
{
    const struct wire_message *refusal = next_message(world, fd);
    assert_non_null(refusal);
    assert_int_equal(refusal->kind, WIRE_REFUSE);
    assert_int_equal(refusal->refuse.code, code);
    assert_null(next_message(world, fd));
    assert_int_equal(world->refused, 1);
    assert_int_equal(world->why.code, code);
    assert_int_equal(world->agents, 0);
    assert_int_equal(gate_waiting(world->gate), 0);
    close(fd);
}

static void test_right_key(void **state)
{
    struct world *world = *state;
    int fd = dial(world);
    const struct wire_message *challenge = challenged(world, fd);
    uint8_t nonce[32] = {1, 2, 3}, proof[WIRE_PROOF_BYTES];
    assert_int_equal(gate_waiting(world->gate), 1);
    say_hello(fd, challenge, &world->key, nonce, WIRE_VERSION);
    turns(world, 5);
    assert_int_equal(world->agents, 1);
    assert_int_equal(world->refused, 0);
    assert_int_equal(gate_waiting(world->gate), 0);
    assert_string_equal(world->name, "node-1");
    handshake_server_proof(&world->key, challenge->challenge.nonce.data, nonce, proof);
    assert_memory_equal(proof, world->proof, sizeof(proof));
    close(fd);
}

static void test_wrong_key(void **state)
{
    struct world *world = *state;
    int fd = dial(world);
    struct handshake_key key = world->key;
    key.data[39] = 'K';
    uint8_t nonce[32] = {0};
    say_hello(fd, challenged(world, fd), &key, nonce, WIRE_VERSION);
    expect_refusal(world, fd, ERR_UNAUTHENTICATED);
}

static void test_a_replayed_hello_is_refused(void **state)
{
    struct world *world = *state;
    int first = dial(world), second = dial(world);
    const struct wire_message *challenge = challenged(world, first);
    challenged(world, second);
    uint8_t nonce[32] = {0};
    say_hello(second, challenge, &world->key, nonce, WIRE_VERSION); // an answer to another connection's challenge
    turns(world, 5);
    assert_int_equal(world->agents, 0);
    assert_int_equal(world->why.code, ERR_UNAUTHENTICATED);
    close(first);
    close(second);
    turns(world, 5);
}

static void test_another_version(void **state)
{
    struct world *world = *state;
    int fd = dial(world);
    uint8_t nonce[32] = {0};
    say_hello(fd, challenged(world, fd), &world->key, nonce, WIRE_VERSION + 1);
    expect_refusal(world, fd, ERR_VERSION);
}

static void test_garbage_and_other_messages(void **state)
{
    struct world *world = *state;
    int fd = dial(world);
    challenged(world, fd);
    struct wire_message message = {.kind = WIRE_HEARTBEAT, .heartbeat = 1};
    say(fd, &message);
    expect_refusal(world, fd, ERR_PROTOCOL);
    world->refused = 0;
    fd = dial(world);
    challenged(world, fd);
    assert_int_equal(write(fd, "\0\0\0\4\xff\xff\xff\xff", 8), 8);
    expect_refusal(world, fd, ERR_PROTOCOL);
}

static void test_oversized_and_cut(void **state)
{
    struct world *world = *state;
    int fd = dial(world);
    challenged(world, fd);
    assert_int_equal(write(fd, "\0\x40\0\1", 4), 4); // one byte more than a HELLO may have
    assert_null(next_message(world, fd));
    turns(world, 2);
    assert_int_equal(world->why.code, ERR_PROTOCOL);
    close(fd);
    fd = dial(world);
    challenged(world, fd);
    assert_int_equal(write(fd, "\0\0\1\0half", 8), 8);
    close(fd);
    turns(world, 5);
    assert_int_equal(world->refused, 2);
    assert_int_equal(world->why.code, ERR_PROTOCOL);
    assert_int_equal(gate_waiting(world->gate), 0);
}

static void test_silence_ends(void **state)
{
    struct world *world = *state;
    int fd = dial(world);
    usec_t begin = clock_mono_usec();
    challenged(world, fd);
    assert_int_equal(write(fd, "\0\x3f\0\0", 4), 4); // a slow one: it may not buy itself time
    while (world->refused == 0 && clock_mono_usec() < begin + 50 * TIMEOUT_USEC) {
        loop_turn(world->loop, 100000, NULL);
        if (clock_mono_usec() < begin + TIMEOUT_USEC / 2)
            assert_int_equal(write(fd, "\0", 1), 1);
    }
    assert_true(clock_mono_usec() >= begin + TIMEOUT_USEC - USEC_PER_MSEC);
    expect_refusal(world, fd, ERR_TIMEOUT);
}

static void test_a_flood_is_bounded_and_lets_agents_through(void **state)
{
    struct world *world = *state;
    int fds[GATE_WAITING_MAX * 2];
    for (int i = 0; i < GATE_WAITING_MAX * 2; i++) {
        fds[i] = dial(world);
        turns(world, 1);
    }
    turns(world, 5);
    assert_int_equal(gate_waiting(world->gate), GATE_WAITING_MAX);
    assert_int_equal(world->why.code, ERR_LIMIT);
    int fd = dial(world);
    uint8_t nonce[32] = {0};
    say_hello(fd, challenged(world, fd), &world->key, nonce, WIRE_VERSION);
    turns(world, 5);
    assert_int_equal(world->agents, 1);
    for (int i = 0; i < GATE_WAITING_MAX * 2; i++)
        close(fds[i]);
    close(fd);
    turns(world, 10);
    assert_int_equal(gate_waiting(world->gate), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_right_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_replayed_hello_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage_and_other_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_oversized_and_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flood_is_bounded_and_lets_agents_through, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
