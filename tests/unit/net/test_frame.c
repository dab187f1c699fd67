// SPDX-License-Identifier: Apache-2.0
// Framed connections: whole, cut and oversized messages, the limit of the queue, pauses, freeing from within callbacks.

#include "net/frame.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "net/listener.h"
#include "tests/unit/test.h"

enum { MESSAGE_MAX = 1000, QUEUE_MAX = 3 * 1024 * 1024 };

struct peer {
    struct loop *loop;
    struct frame_conn *conn;
    int fd; // the other end, raw
    int messages, opened, closed;
    size_t bytes;
    char last[64];
    struct err why;
    bool free_on_message, pause_on_message, finish_on_message;
};

static void on_open(void *context)
{
    struct peer *peer = context;
    peer->opened++;
}

static void on_message(void *context, struct bytes message)
{
    struct peer *peer = context;
    peer->messages++;
    peer->bytes += message.len;
    snprintf(peer->last, sizeof(peer->last), "%.*s", (int)message.len, (const char *)message.data);
    if (peer->pause_on_message)
        frame_pause(peer->conn, true);
    if (peer->finish_on_message) {
        frame_send(peer->conn, "bye", 3);
        frame_finish(peer->conn);
        peer->conn = NULL;
    }
    if (peer->free_on_message) {
        frame_free(peer->conn);
        peer->conn = NULL;
    }
}

static void on_closed(void *context, const struct err *why)
{
    struct peer *peer = context;
    peer->closed++;
    peer->why = *why;
}

static const struct frame_calls calls = {.on_open = on_open, .on_message = on_message, .on_closed = on_closed};

static struct frame_options options_of(struct peer *peer)
{
    return (struct frame_options){
        .loop = peer->loop, .message_bytes_max = MESSAGE_MAX, .queue_bytes_max = QUEUE_MAX, .calls = &calls, .context = peer};
}

static int setup(void **state)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(loop_new(&peer->loop, NULL), 0);
    struct frame_options options = options_of(peer);
    peer->conn = frame_open(&options, pair[0]);
    peer->fd = pair[1];
    *state = peer;
    return 0;
}

static int teardown(void **state)
{
    struct peer *peer = *state;
    frame_free(peer->conn);
    if (peer->fd >= 0)
        close(peer->fd);
    loop_free(peer->loop);
    free(peer);
    return 0;
}

static void turns(struct peer *peer, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(loop_turn(peer->loop, 0, NULL), 0);
}

static void put(struct peer *peer, const void *data, size_t len)
{
    assert_int_equal(write(peer->fd, data, len), (ssize_t)len);
}

static void test_messages_come_whole(void **state)
{
    struct peer *peer = *state;
    put(peer, "\0\0\0\3one\0\0\0\3two\0\0", 16);
    turns(peer, 2);
    assert_int_equal(peer->messages, 2);
    assert_string_equal(peer->last, "two");
    put(peer, "\0\5th", 4);
    turns(peer, 2);
    assert_int_equal(peer->messages, 2);
    put(peer, "ree\0\0\0\0", 7);
    turns(peer, 2);
    assert_int_equal(peer->messages, 4);
    assert_string_equal(peer->last, "");
    assert_int_equal(peer->bytes, 11);
}

static void test_one_byte_at_a_time(void **state)
{
    struct peer *peer = *state;
    const char frame[] = "\0\0\0\4slow";
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(peer->messages, 0);
        put(peer, frame + i, 1);
        turns(peer, 1);
    }
    assert_int_equal(peer->messages, 1);
    assert_string_equal(peer->last, "slow");
}

static void test_oversized_ends_the_connection(void **state)
{
    struct peer *peer = *state;
    put(peer, "\0\0\0\1x\0\0\3\351", 9); // 1001
    turns(peer, 3);
    assert_int_equal(peer->messages, 1);
    assert_int_equal(peer->closed, 1);
    assert_int_equal(peer->why.code, ERR_PROTOCOL);
    assert_non_null(strstr(peer->why.text, "1001"));
    frame_send(peer->conn, "late", 4); // does nothing
    turns(peer, 2);
    assert_int_equal(peer->closed, 1);
}

static void test_largest_passes(void **state)
{
    struct peer *peer = *state;
    char frame[4 + MESSAGE_MAX] = "\0\0\3\350";
    put(peer, frame, sizeof(frame));
    turns(peer, 2);
    assert_int_equal(peer->messages, 1);
    assert_int_equal(peer->bytes, MESSAGE_MAX);
    assert_int_equal(peer->closed, 0);
}

static void test_end_between_and_within_messages(void **state)
{
    struct peer *peer = *state;
    put(peer, "\0\0\0\1x\0\0", 7);
    close(peer->fd);
    peer->fd = -1;
    turns(peer, 3);
    assert_int_equal(peer->messages, 1);
    assert_int_equal(peer->why.code, ERR_PROTOCOL);
}

static void test_end_between_messages(void **state)
{
    struct peer *peer = *state;
    put(peer, "\0\0\0\1x", 5);
    close(peer->fd);
    peer->fd = -1;
    turns(peer, 3);
    assert_int_equal(peer->messages, 1);
    assert_int_equal(peer->closed, 1);
    assert_int_equal(peer->why.code, ERR_CLOSED);
}

static void test_messages_of_a_turn_leave_together(void **state)
{
    struct peer *peer = *state;
    char got[64];
    frame_send(peer->conn, "one", 3);
    buf_adds(frame_begin(peer->conn), "second");
    frame_end(peer->conn);
    assert_int_equal(recv(peer->fd, got, sizeof(got), 0), -1); // not before the end of the turn
    turns(peer, 1);
    assert_int_equal(recv(peer->fd, got, sizeof(got), 0), 17);
    assert_memory_equal(got, "\0\0\0\3one\0\0\0\6second", 17);
    assert_int_equal(frame_queued(peer->conn), 0);
}

static void test_too_large_to_send(void **state)
{
    struct peer *peer = *state;
    char text[MESSAGE_MAX + 1] = {0};
    frame_send(peer->conn, text, MESSAGE_MAX);
    frame_send(peer->conn, text, MESSAGE_MAX + 1);
    assert_int_equal(peer->closed, 0); // never from within a call
    turns(peer, 1);
    assert_int_equal(peer->closed, 1);
    assert_int_equal(peer->why.code, ERR_TOO_LARGE);
}

static void test_reader_that_does_not_read(void **state)
{
    struct peer *peer = *state;
    char text[MESSAGE_MAX] = {0};
    size_t sent = 0;
    for (; peer->closed == 0 && sent < 100 * (size_t)QUEUE_MAX; sent += sizeof(text)) {
        frame_send(peer->conn, text, sizeof(text));
        if (sent % 64000 == 0)
            turns(peer, 1);
        assert_true(frame_queued(peer->conn) <= QUEUE_MAX + sizeof(text) + 4);
    }
    assert_int_equal(peer->closed, 1);
    assert_int_equal(peer->why.code, ERR_LIMIT);
    assert_non_null(strstr(peer->why.text, "session_queue_bytes_max"));
}

static void test_slow_reader_gets_everything(void **state)
{
    struct peer *peer = *state;
    char text[MESSAGE_MAX];
    for (int i = 0; i < 2000; i++) {
        memset(text, i % 251, sizeof(text));
        frame_send(peer->conn, text, sizeof(text));
    }
    static uint8_t got[2000 * (MESSAGE_MAX + 4)];
    size_t len = 0;
    for (int i = 0; i < 100000 && len < sizeof(got); i++) {
        turns(peer, 1);
        ssize_t n = recv(peer->fd, got + len, sizeof(got) - len < 7777 ? sizeof(got) - len : 7777, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(len, sizeof(got));
    for (int i = 0; i < 2000; i++) {
        assert_memory_equal(got + i * (MESSAGE_MAX + 4), "\0\0\3\350", 4);
        assert_int_equal(got[i * (MESSAGE_MAX + 4) + 4], i % 251);
        assert_int_equal(got[i * (MESSAGE_MAX + 4) + 1003], i % 251);
    }
}

static void test_pause_holds_messages(void **state)
{
    struct peer *peer = *state;
    peer->pause_on_message = true;
    put(peer, "\0\0\0\1a\0\0\0\1b\0\0\0\1c", 15);
    turns(peer, 3);
    assert_int_equal(peer->messages, 1);
    frame_pause(peer->conn, false);
    turns(peer, 3);
    assert_int_equal(peer->messages, 2);
    assert_string_equal(peer->last, "b");
    peer->pause_on_message = false;
    put(peer, "\0\0\0\1d", 5);
    frame_pause(peer->conn, false);
    turns(peer, 3);
    assert_int_equal(peer->messages, 4);
    assert_string_equal(peer->last, "d");
}

static void test_free_and_finish_from_within(void **state)
{
    struct peer *peer = *state;
    peer->free_on_message = true;
    put(peer, "\0\0\0\1a\0\0\0\1b", 10);
    turns(peer, 3);
    assert_int_equal(peer->messages, 1);
    assert_int_equal(peer->closed, 0);
    char got[8];
    ssize_t n = recv(peer->fd, got, sizeof(got), 0);
    assert_true(n <= 0);
}

static void test_finish_sends_what_waits(void **state)
{
    struct peer *peer = *state;
    peer->finish_on_message = true;
    put(peer, "\0\0\0\1a\0\0\0\1b", 10);
    turns(peer, 3);
    assert_int_equal(peer->messages, 1);
    char got[16];
    assert_int_equal(recv(peer->fd, got, sizeof(got), 0), 7);
    assert_memory_equal(got, "\0\0\0\3bye", 7);
    assert_int_equal(recv(peer->fd, got, sizeof(got), 0), 0); // the end
    put(peer, "\0\0\0\1b", 5);                                // read and thrown away
    close(peer->fd);
    peer->fd = -1;
    turns(peer, 3);
    assert_int_equal(peer->closed, 0);
}

static void on_accept(void *context, int fd)
{
    *(int *)context = fd;
}

static void test_connect(void **state)
{
    struct peer *peer = *state;
    int accepted = -1;
    struct net_address address;
    struct listener *listener = NULL;
    assert_int_equal(net_address_parse("127.0.0.1:0", 0, &address, NULL), 0);
    assert_int_equal(listener_open(peer->loop, &address, on_accept, &accepted, &listener, NULL), 0);
    address = *listener_address(listener);
    assert_int_not_equal(net_address_port(&address), 0);
    struct frame_options options = options_of(peer);
    struct frame_conn *conn = NULL;
    assert_int_equal(frame_connect(&options, &address, &conn, NULL), 0);
    frame_send(conn, "early", 5); // waits for the connection
    for (int i = 0; i < 50 && (accepted < 0 || peer->opened == 0); i++)
        loop_turn(peer->loop, 100000, NULL);
    assert_int_equal(peer->opened, 1);
    turns(peer, 2);
    char got[16];
    assert_int_equal(recv(accepted, got, sizeof(got), 0), 9);
    close(accepted);
    frame_free(conn);
    listener_close(listener);

    assert_int_equal(frame_connect(&options, &address, &conn, NULL), 0); // nobody listens any more
    for (int i = 0; i < 50 && peer->closed == 0; i++)
        loop_turn(peer->loop, 100000, NULL);
    assert_int_equal(peer->closed, 1);
    assert_int_equal(peer->why.code, ERR_UNAVAILABLE);
    assert_int_equal(peer->opened, 1);
    frame_free(conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages_come_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_byte_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_oversized_ends_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_largest_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_between_and_within_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_between_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages_of_a_turn_leave_together, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large_to_send, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reader_that_does_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_reader_gets_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pause_holds_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_and_finish_from_within, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finish_sends_what_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connect, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
