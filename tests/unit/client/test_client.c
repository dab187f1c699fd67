// SPDX-License-Identifier: Apache-2.0
// The client against a scripted HTTP server in a child process: each connection is answered by the next row of a script, so that
// broken connections, errors and streams that break off can be played.

#include "client/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/str.h"
#include "tests/unit/test.h"

// What to do with the next connection: its request must contain `wants`, then `answer` is sent (NULL: just close), then it is closed.
struct row {
    const char *wants;
    const char *answer;
};

#define JSON_OK(body) "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n" body
#define JSON_ERROR(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n" body

static int listen_fd = -1;
static pid_t server_pid;
static char url[64];

static void serve(const struct row *rows)
{
    for (; rows->wants != NULL; rows++) {
        int fd = accept(listen_fd, NULL, NULL);
        char request[8192] = "";
        size_t len = 0;
        while (len < sizeof(request) - 1) {
            ssize_t got = read(fd, request + len, sizeof(request) - 1 - len);
            if (got <= 0)
                break;
            len += (size_t)got;
            request[len] = '\0';
            const char *end = strstr(request, "\r\n\r\n");
            const char *length = strstr(request, "Content-Length: ");
            if (end != NULL && (length == NULL || strlen(end + 4) >= (size_t)strtoul(length + 16, NULL, 10)))
                break;
        }
        bool good = strstr(request, rows->wants) != NULL && strstr(request, "Authorization: Bearer t0ken\r\n") != NULL;
        if (!good) {
            fprintf(stderr, "wanted '%s' in:\n%s\n", rows->wants, request);
            _exit(1);
        }
        if (rows->answer != NULL && write(fd, rows->answer, strlen(rows->answer)) < 0)
            _exit(2);
        close(fd);
    }
    _exit(0);
}

static struct client *start(const struct row *rows, usec_t retry_usec)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listen_fd, 16), 0);
    assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&address, &len), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(address.sin_port));
    server_pid = fork();
    if (server_pid == 0) {
        alarm(60);
        serve(rows);
    }
    close(listen_fd);
    struct client_options options = {.url = url, .token = "t0ken", .retry_usec = retry_usec};
    struct client *client = NULL;
    assert_int_equal(client_open(&options, &client, NULL), 0);
    return client;
}

// Every row of the script must have been played, as it wanted to be.
static void finish(struct client *client)
{
    client_close(client);
    int status = 0;
    assert_int_equal(waitpid(server_pid, &status, 0), server_pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_answers_and_errors(void **state)
{
    static const struct row rows[] = {
        {"GET /v1/runs/7 ", JSON_OK("{\"run_id\":7}")},
        {"POST /v1/runs/7/cancel ", JSON_ERROR("404 Not Found", "{\"error\":{\"code\":\"not_found\",\"message\":\"no run 7\"}}")},
        {"GET /v1/x ", JSON_ERROR("400 Bad Request", "{\"error\":{\"code\":\"invalid\",\"message\":\"bad\",\"details\":[{\"line\":3}]}}")},
        {"GET /v1/x ", JSON_ERROR("507 Full", "nonsense")},
        {"GET /v1/x ", JSON_OK("not json")},
        {NULL, NULL},
    };
    struct client *client = start(rows, 5 * USEC_PER_SEC);
    struct err err = {0};
    json_t *answer = NULL;
    assert_int_equal(client_get(client, &answer, &err, "/v1/runs/%d", 7), 0);
    assert_int_equal(json_integer_value(json_object_get(answer, "run_id")), 7);
    json_decref(answer);
    assert_int_equal(client_post(client, NULL, NULL, &err, "/v1/runs/7/cancel"), ERR_NOT_FOUND);
    assert_string_equal(err.text, "no run 7");
    assert_null(client_details(client));
    assert_int_equal(client_get(client, NULL, &err, "/v1/x"), ERR_INVALID);
    assert_int_equal(json_array_size(client_details(client)), 1);
    client_details_clear(client);
    assert_null(client_details(client));
    assert_int_equal(client_get(client, NULL, &err, "/v1/x"), ERR_STORE_FULL);
    assert_int_equal(client_get(client, &answer, &err, "/v1/x"), ERR_PROTOCOL);
    finish(client);
}

static void test_trying_again(void **state)
{
    static const struct row rows[] = {
        {"GET /v1/a ", NULL}, // the connection breaks
        {"GET /v1/a ", JSON_ERROR("503 Away", "{\"error\":{\"code\":\"unavailable\",\"message\":\"no leader\"}}")},
        {"GET /v1/a ", JSON_OK("{}")},
        {"Idempotency-Key: k1\r\n", NULL},
        {"Idempotency-Key: k1\r\n", JSON_OK("{}")},
        {"DELETE /v1/b ", NULL}, // not to be repeated
        {NULL, NULL},
    };
    struct client *client = start(rows, 10 * USEC_PER_SEC);
    struct err err = {0};
    assert_int_equal(client_get(client, NULL, &err, "/v1/a"), 0);
    struct call post = {.method = "POST", .path = "/v1/runs", .body = "{}", .body_len = 2, .idempotency_key = "k1"};
    assert_int_equal(client_call(client, &post, NULL, &err), 0);
    struct call delete = {.method = "DELETE", .path = "/v1/b"};
    assert_int_equal(client_call(client, &delete, NULL, &err), ERR_UNAVAILABLE);
    finish(client);
}

static void test_nobody_there(void **state)
{
    static const struct row rows[] = {{NULL, NULL}};
    struct client *client = start(rows, 0);
    int status = 0;
    waitpid(server_pid, &status, 0);
    struct err err = {0};
    assert_int_equal(client_get(client, NULL, &err, "/v1/a"), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "does not answer"));
    assert_int_equal(client_status(client), 0);
    client_close(client);
}

struct heard {
    struct buf bytes;
    uint64_t gap;
    int ends;
    int code;
};

static void on_bytes(void *context, const char *data, size_t len)
{
    struct heard *heard = context;
    buf_add(&heard->bytes, data, len);
    buf_addc(&heard->bytes, '|');
}

static void on_gap(void *context, uint64_t from, uint64_t to)
{
    ((struct heard *)context)->gap += to - from;
}

static void on_end(void *context, const struct err *err)
{
    struct heard *heard = context;
    heard->ends++;
    heard->code = err->code;
}

#define LOG(offset, end, final, body) \
    "HTTP/1.1 200 OK\r\nConnection: close\r\nMuster-Offset: " offset "\r\nMuster-End: " end "\r\nMuster-Final: " final "\r\n\r\n" body

static void listen_to(struct client *client, enum stream_kind kind, const char *path, struct heard *heard)
{
    struct stream_sink sink = {.on_bytes = on_bytes, .on_gap = on_gap, .on_end = on_end, .context = heard};
    client_stream(client, kind, path, 0, &sink);
    for (int i = 0; i < 200 && heard->ends == 0; i++)
        assert_int_equal(client_turn(client, 100 * USEC_PER_MSEC, -1, NULL), 0);
    assert_int_equal(heard->ends, 1);
}

static void test_log_goes_on_by_offset(void **state)
{
    static const struct row rows[] = {
        {"GET /log?follow=1&offset=0 ", LOG("0", "5", "0", "hello")},
        {"GET /log?follow=1&offset=5 ", NULL},
        {"GET /log?follow=1&offset=5 ", JSON_ERROR("503 Away", "{\"error\":{\"code\":\"unavailable\",\"message\":\"away\"}}")},
        {"GET /log?follow=1&offset=5 ", LOG("9", "14", "1", "world")}, // four bytes were dropped meanwhile
        {NULL, NULL},
    };
    struct client *client = start(rows, 0);
    struct heard heard = {0};
    listen_to(client, STREAM_LOG, "/log?follow=1", &heard);
    assert_string_equal(heard.bytes.data, "hello|world|");
    assert_int_equal(heard.gap, 4);
    assert_int_equal(heard.code, 0);
    buf_release(&heard.bytes);
    finish(client);
}

static void test_lines_and_refusals(void **state)
{
    static const struct row rows[] = {
        {"GET /watch ", JSON_OK("{\"a\":1}\n\n{\"b\":2}\n")},
        {"GET /watch ", JSON_ERROR("404 No", "{\"error\":{\"code\":\"not_found\",\"message\":\"no run\"}}")},
        {NULL, NULL},
    };
    struct client *client = start(rows, 0);
    struct heard heard = {0};
    listen_to(client, STREAM_LINES, "/watch", &heard);
    assert_string_equal(heard.bytes.data, "{\"a\":1}|{\"b\":2}|");
    assert_int_equal(heard.code, 0);
    buf_release(&heard.bytes);
    heard = (struct heard){0};
    listen_to(client, STREAM_LINES, "/watch", &heard);
    assert_int_equal(heard.code, ERR_NOT_FOUND);
    assert_null(heard.bytes.data);
    finish(client);
}

static void test_turn_ends_when_woken(void **state)
{
    static const struct row rows[] = {{NULL, NULL}};
    struct client *client = start(rows, 0);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(client_turn(client, 3600 * USEC_PER_SEC, fds[0], NULL), 0);
    close(fds[0]);
    close(fds[1]);
    finish(client);
}

static void test_escape_and_keys(void **state)
{
    struct buf buf = {0};
    path_escape(&buf, "a b/ü-._~");
    assert_string_equal(buf.data, "a%20b%2F%C3%BC-._~");
    buf_release(&buf);
    char one[33];
    char two[33];
    random_key(one);
    random_key(two);
    assert_int_equal(strlen(one), 32);
    assert_string_not_equal(one, two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_and_errors),
        cmocka_unit_test(test_trying_again),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_log_goes_on_by_offset),
        cmocka_unit_test(test_lines_and_refusals),
        cmocka_unit_test(test_turn_ends_when_woken),
        cmocka_unit_test(test_escape_and_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
