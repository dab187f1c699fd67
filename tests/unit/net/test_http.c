// SPDX-License-Identifier: Apache-2.0
// The HTTP server against a client of raw sockets: gates, limits, slow and broken clients, deferred and streamed answers.
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/http.h"
#include "net/http_parse.h"
#include "net/loop.h"

#define TOKEN "0123456789abcdef0123456789abcdef"
#define GOOD "Host: localhost\r\nAuthorization: Bearer " TOKEN "\r\n"

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct http_request *held; // of /hold, not answered yet
    int n_gone;
    int n_handled;
    int n_drained;
    bool too_slow;
};

static void on_echo(void *context, struct http_request *request)
{
    struct fixture *f = context;
    f->n_handled++;
    size_t len;
    const char *body = http_body(request, &len);
    http_add_field(request, "X-Seen", http_query(request, "q", 0) != NULL ? http_query(request, "q", 0) : "none");
    http_add_field(request, "X-Bad", "a\r\nInjected: yes");
    http_reply(request, 200, "text/plain", body, len);
}

static void on_item(void *context, struct http_request *request)
{
    http_reply(request, 200, "text/plain", http_param(request, 0), strlen(http_param(request, 0)));
}

static void on_held_gone(void *context)
{
    struct fixture *f = context;
    f->n_gone++;
    f->held = NULL;
}

static void on_hold(void *context, struct http_request *request)
{
    struct fixture *f = context;
    f->held = request;
    http_on_gone(request, on_held_gone, f);
}

static void on_stream(void *context, struct http_request *request)
{
    on_hold(context, request);
    http_stream_begin(request, 200, "text/plain");
}

static void on_fail(void *context, struct http_request *request)
{
    http_reply_error(request, ERR_CONFLICT, "a \"quoted\"\nname \xff");
}

static const struct http_route routes[] = {
    {HTTP_POST, "/echo", on_echo},       {HTTP_GET, "/items/:id", on_item}, {HTTP_DELETE, "/items/:id", on_item},
    {HTTP_GET, "/hold", on_hold},        {HTTP_GET, "/stream", on_stream},  {HTTP_GET, "/fail", on_fail},
};

static void open_server(struct fixture *f, size_t connections_max, usec_t request_usec, usec_t idle_usec)
{
    uint8_t digest[HTTP_DIGEST_BYTES];
    http_digest(TOKEN, digest);
    struct http_options options = {
        .base = loop_base(f->loop),
        .address = "127.0.0.1",
        .token_digest = digest,
        .routes = routes,
        .n_routes = sizeof(routes) / sizeof(routes[0]),
        .context = f,
        .connections_max = connections_max,
        .request_bytes_max = 10000,
        .stream_queue_bytes_max = 65536,
        .request_usec = request_usec,
        .idle_usec = idle_usec,
    };
    assert_int_equal(http_open(&options, &f->server, NULL), 0);
    assert_true(http_port(f->server) > 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(loop_new(&f->loop, NULL), 0);
    open_server(f, 4, 10 * USEC_PER_SEC, 10 * USEC_PER_SEC);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_close(f->server);
    loop_free(f->loop);
    free(f);
    return 0;
}

static int dial(struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(http_port(f->server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void give(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void turn(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(loop_turn(f->loop, 1000, NULL), 0);
}

// Runs the loop until `what` has come (NULL: until the server closes); gives everything that was read.
static char *await(struct fixture *f, int fd, const char *what)
{
    struct buf in = {0};
    buf_init(&in);
    usec_t until = clock_mono_usec() + 5 * USEC_PER_SEC;
    for (;;) {
        assert_true(clock_mono_usec() < until);
        assert_int_equal(loop_turn(f->loop, 1000, NULL), 0);
        char bytes[4096];
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0)
            buf_add(&in, bytes, (size_t)n);
        if (n == 0) {
            assert_null(what);
            return buf_detach(&in);
        }
        if (what != NULL && strstr(in.data, what) != NULL)
            return buf_detach(&in);
    }
}

static void expect_has(struct fixture *f, int fd, const char *until, const char *first, const char *second)
{
    char *got = await(f, fd, until);
    if (strstr(got, first) == NULL || (second != NULL && strstr(got, second) == NULL))
        fail_msg("no '%s' or no '%s' in: %s", first, second != NULL ? second : "", got);
    free(got);
}

// One request on a connection of its own, answered and closed.
static void expect_refused(struct fixture *f, const char *request, const char *status, const char *code)
{
    int handled = f->n_handled;
    int fd = dial(f);
    give(fd, request);
    expect_has(f, fd, NULL, status, code);
    assert_int_equal(f->n_handled, handled);
    close(fd);
    turn(f, 3);
}

static void test_answers(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    // Two on one connection, the second with a body in chunks, then one that ends it.
    give(fd, "POST /echo?q=a%20b+c&r HTTP/1.1\r\n" GOOD "Content-Length: 5\r\n\r\nhello");
    char *got = await(f, fd, "hello");
    assert_non_null(strstr(got, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(got, "X-Seen: a b c\r\n"));
    assert_null(strstr(got, "Injected"));
    free(got);
    give(fd, "\r\nPOST /echo HTTP/1.1\r\n" GOOD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n");
    expect_has(f, fd, "abc0123456789", "Content-Length: 13\r\n", "X-Seen: none");
    give(fd, "GET /items/a%2Fb HTTP/1.1\r\n" GOOD "Connection: close\r\n\r\n");
    expect_has(f, fd, NULL, "Connection: close\r\n", "\r\n\r\na/b");
    close(fd);
    assert_int_equal(f->n_handled, 2);
    turn(f, 3);
    assert_int_equal(http_connections(f->server), 0);
}

static void test_pipelined_and_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    give(fd, "GET /items/1 HTTP/1.1\r\n" GOOD "\r\nGET /items/2 HTTP/1.1\r\n" GOOD "\r\nGET /hold HTTP/1.1\r\n" GOOD "\r\nGET /items/3 HTTP/1.1\r\n" GOOD "\r\n");
    expect_has(f, fd, "\r\n\r\n2", "\r\n\r\n1", NULL);
    assert_non_null(f->held);
    turn(f, 5);
    http_reply_json(f->held, 201, "{}", 2);
    expect_has(f, fd, "\r\n\r\n3", "201 Created", "\r\n\r\n{}");
    const char *slow = "POST /echo HTTP/1.1\r\n" GOOD "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    for (const char *c = slow; *c != '\0'; c++) {
        char one[2] = {*c, '\0'};
        give(fd, one);
        turn(f, 1);
    }
    expect_has(f, fd, NULL, "200 OK", "\r\n\r\nab");
    close(fd);
}

static void test_gates(void **state)
{
    struct fixture *f = *state;
    expect_refused(f, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n", "401 Unauthorized", "\"unauthenticated\"");
    expect_refused(f, "POST /echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " TOKEN "0\r\nContent-Length: 5\r\n\r\n", "401 ", "WWW-Authenticate: Bearer");
    expect_refused(f, "GET /items/1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " TOKEN "\r\n\r\n", "401 ", "unauthenticated");
    expect_refused(f, "GET /items/1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \r\n\r\n", "401 ", "unauthenticated");
    // A name that somebody made resolve to 127.0.0.1, and a page of somebody else's.
    expect_refused(f, "GET /items/1 HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer " TOKEN "\r\n\r\n", "403 ", "\"denied\"");
    expect_refused(f, "GET /items/1 HTTP/1.1\r\n" GOOD "Origin: http://evil.example\r\n\r\n", "403 ", "\"denied\"");
    expect_refused(f, "GET /nothing HTTP/1.1\r\n" GOOD "\r\n", "404 ", "\"not_found\"");
    expect_refused(f, "GET /items/ HTTP/1.1\r\n" GOOD "\r\n", "404 ", "\"not_found\"");
    expect_refused(f, "GET /items/1/2/3/4/5/6/7/8/9/10 HTTP/1.1\r\n" GOOD "\r\n", "404 ", "\"not_found\"");
    expect_refused(f, "POST /items/1 HTTP/1.1\r\n" GOOD "\r\n", "405 ", "Allow: GET, DELETE\r\n");
    expect_refused(f, "BREW /items/1 HTTP/1.1\r\n" GOOD "\r\n", "405 ", "Allow: GET, DELETE\r\n");
    // Nobody without the token learns which addresses exist.
    expect_refused(f, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", "401 ", "unauthenticated");
}

static void test_bad_requests(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        "GET\r\n\r\n",
        "\r\nGET /items/1\r\n\r\n",
        "GET items/1 HTTP/1.1\r\n" GOOD "\r\n",
        "GET /items/1 HTTP/2.0\r\n" GOOD "\r\n",
        "GET /items/1  HTTP/1.1\r\n" GOOD "\r\n",
        "G(T /items/1 HTTP/1.1\r\n" GOOD "\r\n",
        "GET /items/%zz HTTP/1.1\r\n" GOOD "\r\n",
        "GET /items/%00 HTTP/1.1\r\n" GOOD "\r\n",
        "GET /items/%4 HTTP/1.1\r\n" GOOD "\r\n",
        "GET /items/1?a=%x1 HTTP/1.1\r\n" GOOD "\r\n",
        "GET /items/1 HTTP/1.1\r\n" GOOD "Bad Name: 1\r\n\r\n",
        "GET /items/1 HTTP/1.1\r\n" GOOD " folded: 1\r\n\r\n",
        "GET /items/1 HTTP/1.1\r\n" GOOD "NoColon\r\n\r\n",
        "GET /items/1 HTTP/1.1\r\n" GOOD "A: \x01\r\n\r\n",
        "GET /items/1 HTTP/1.1\r\n" GOOD "A: b\rc\r\n\r\n",
        "GET /items/1 HTTP/1.1\r\n" GOOD "A: b\nc: d\r\n\r\n",
        "GET /items/1 HTTP/1.1\r\n" GOOD "Host: localhost\r\n\r\n",
        "GET /items/1 HTTP/1.1\r\nAuthorization: Bearer " TOKEN "\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" GOOD "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" GOOD "Content-Length: +5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" GOOD "Content-Length: 5x\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" GOOD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" GOOD "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "POST /echo HTTP/1.1\r\n" GOOD "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        "POST /echo HTTP/1.1\r\n" GOOD "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused(f, bad[i], "HTTP/1.1 400 ", "\"invalid\"");
    expect_refused(f, "POST /echo HTTP/1.1\r\n" GOOD "Transfer-Encoding: gzip, chunked\r\n\r\n", "501 ", "\"unsupported\"");
    expect_refused(f, "POST /echo HTTP/1.1\r\n" GOOD "Expect: miracles\r\n\r\n", "501 ", "\"unsupported\"");
    assert_int_equal(f->n_handled, 0);
}

static void test_too_large(void **state)
{
    struct fixture *f = *state;
    expect_refused(f, "POST /echo HTTP/1.1\r\n" GOOD "Content-Length: 10001\r\n\r\n", "413 ", "request_bytes_max");
    expect_refused(f, "POST /echo HTTP/1.1\r\n" GOOD "Content-Length: 18446744073709551615\r\n\r\n", "413 ", "request_bytes_max");
    expect_refused(f, "POST /echo HTTP/1.1\r\n" GOOD "Transfer-Encoding: chunked\r\n\r\n2711\r\n", "413 ", "request_bytes_max");
    expect_refused(f, "POST /echo HTTP/1.1\r\n" GOOD "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "413 ", "request_bytes_max");
    struct buf head = {0};
    buf_adds(&head, "GET /items/1 HTTP/1.1\r\n" GOOD "A: ");
    for (int i = 0; i < 17000; i++)
        buf_addc(&head, 'x');
    expect_refused(f, head.data, "413 ", "16384");
    buf_clear(&head);
    buf_adds(&head, "GET /items/1 HTTP/1.1\r\n" GOOD);
    for (int i = 0; i < HTTP_FIELDS_MAX; i++)
        buf_printf(&head, "A%d: x\r\n", i);
    buf_adds(&head, "\r\n");
    expect_refused(f, head.data, "429 ", "header fields");
    buf_release(&head);
    assert_int_equal(f->n_handled, 0);
    // As much as is allowed passes.
    int fd = dial(f);
    give(fd, "POST /echo HTTP/1.1\r\n" GOOD "Expect: 100-continue\r\nContent-Length: 10000\r\n\r\n");
    expect_has(f, fd, "\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", NULL);
    char *block = calloc(1, 10001);
    memset(block, 'y', 10000);
    block[9999] = 'z';
    give(fd, block);
    expect_has(f, fd, "yz", "200 OK", "Content-Length: 10000");
    free(block);
    close(fd);
}

static void test_too_many_connections(void **state)
{
    struct fixture *f = *state;
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = dial(f);
    turn(f, 5);
    assert_int_equal(http_connections(f->server), 4);
    expect_refused(f, "GET /items/1 HTTP/1.1\r\n" GOOD "\r\n", "429 ", "connections_max");
    close(fds[0]);
    turn(f, 5);
    give(fds[1], "GET /items/1 HTTP/1.1\r\n" GOOD "\r\n");
    expect_has(f, fds[1], "\r\n\r\n1", "200 OK", NULL);
    int fd = dial(f);
    give(fd, "GET /items/7 HTTP/1.1\r\n" GOOD "\r\n");
    expect_has(f, fd, "\r\n\r\n7", "200 OK", NULL);
    close(fd);
    for (int i = 1; i < 4; i++)
        close(fds[i]);
}

static void test_slow_clients(void **state)
{
    struct fixture *f = *state;
    http_close(f->server);
    open_server(f, 4, 100 * USEC_PER_MSEC, 200 * USEC_PER_MSEC);
    // A byte now and then does not keep a request alive, neither in its head nor in its body.
    for (int body = 0; body < 2; body++) {
        int fd = dial(f);
        give(fd, body ? "POST /echo HTTP/1.1\r\n" GOOD "Content-Length: 1000\r\n\r\n" : "GET /items");
        usec_t began = clock_mono_usec();
        bool ended = false;
        for (int i = 0; i < 1000 && !ended; i++) {
            turn(f, 2);
            char bytes[1000];
            ssize_t n = recv(fd, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);
            if (n > 0) {
                bytes[n] = '\0';
                assert_non_null(strstr(bytes, "504 "));
                ended = true;
            } else if (i % 4 == 0) {
                give(fd, "x");
            }
        }
        assert_true(ended);
        assert_true(clock_mono_usec() - began < 2 * USEC_PER_SEC);
        close(fd);
        turn(f, 3);
    }
    // One that says nothing is closed, a deferred answer is not.
    int silent = dial(f);
    int waiting = dial(f);
    give(waiting, "GET /hold HTTP/1.1\r\n" GOOD "\r\n");
    char *got = await(f, silent, NULL);
    assert_string_equal(got, "");
    free(got);
    usec_t until = clock_mono_usec() + 400 * USEC_PER_MSEC;
    while (clock_mono_usec() < until)
        turn(f, 1);
    assert_non_null(f->held);
    http_reply_json(f->held, 200, "{}", 2);
    expect_has(f, waiting, "{}", "200 OK", NULL);
    close(silent);
    close(waiting);
}

static void test_peer_goes_away(void **state)
{
    struct fixture *f = *state;
    static const char *const requests[] = {"GET /hold HTTP/1.1\r\n" GOOD "\r\n", "GET /stream HTTP/1.1\r\n" GOOD "\r\n"};
    for (int i = 0; i < 2; i++) {
        int fd = dial(f);
        give(fd, requests[i]);
        for (int n = 0; n < 100 && f->held == NULL; n++)
            turn(f, 1);
        assert_non_null(f->held);
        close(fd);
        for (int n = 0; n < 100 && f->held != NULL; n++)
            turn(f, 1);
        assert_int_equal(f->n_gone, i + 1);
        assert_int_equal(http_connections(f->server), 0);
    }
    // The end of the server tells as well.
    int fd = dial(f);
    give(fd, requests[0]);
    for (int n = 0; n < 100 && f->held == NULL; n++)
        turn(f, 1);
    http_close(f->server);
    assert_int_equal(f->n_gone, 3);
    close(fd);
    open_server(f, 4, USEC_PER_SEC, USEC_PER_SEC);
}

static void on_drained(void *context)
{
    struct fixture *f = context;
    f->n_drained++;
}

static void test_stream(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    give(fd, "GET /stream HTTP/1.1\r\n" GOOD "\r\n");
    expect_has(f, fd, "\r\n\r\n", "Transfer-Encoding: chunked", NULL);
    assert_true(http_stream_write(f->held, "one\n", 4));
    expect_has(f, fd, "one\n\r\n", "4\r\n", NULL);
    assert_int_equal(f->n_drained, 0);
    http_stream_when_drained(f->held, on_drained, f);
    assert_int_equal(f->n_drained, 0);
    turn(f, 3);
    assert_int_equal(f->n_drained, 1);
    http_stream_end(f->held);
    expect_has(f, fd, "0\r\n\r\n", "0", NULL);
    give(fd, "GET /items/5 HTTP/1.1\r\n" GOOD "\r\n");
    expect_has(f, fd, "\r\n\r\n5", "200 OK", NULL);
    close(fd);
    // HTTP/1.0 gets no chunks, and the end is the end of the connection.
    fd = dial(f);
    give(fd, "GET /stream HTTP/1.0\r\n" GOOD "\r\n");
    expect_has(f, fd, "\r\n\r\n", "Connection: close", NULL);
    assert_true(http_stream_write(f->held, "two", 3));
    turn(f, 3);
    http_stream_end(f->held);
    char *got = await(f, fd, NULL);
    assert_string_equal(got, "two");
    free(got);
    close(fd);
    assert_int_equal(f->n_gone, 0);
}

static void test_stream_reader_too_slow(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    give(fd, "GET /stream HTTP/1.1\r\n" GOOD "\r\n");
    for (int n = 0; n < 100 && f->held == NULL; n++)
        turn(f, 1);
    char block[1000] = {0};
    int n = 0;
    for (; n < 100000 && http_stream_write(f->held, block, sizeof(block)); n++)
        if (n % 10 == 0)
            turn(f, 1);
    assert_true(n < 100000);
    assert_true(n >= 60);
    assert_int_equal(f->n_gone, 0); // the writer was told by the return value
    turn(f, 2);
    assert_int_equal(http_connections(f->server), 0);
    close(fd);
}

static void test_error_text_is_json(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    give(fd, "GET /fail HTTP/1.1\r\n" GOOD "\r\n");
    expect_has(f, fd, "}}", "409 Conflict", "{\"error\":{\"code\":\"conflict\",\"message\":\"a \\\"quoted\\\"\\u000aname \xef\xbf\xbd\"}}");
    close(fd);
}

static void test_only_loopback(void **state)
{
    struct fixture *f = *state;
    uint8_t digest[HTTP_DIGEST_BYTES] = {0};
    struct http_options options = {.base = loop_base(f->loop), .token_digest = digest, .connections_max = 1, .request_usec = 1, .idle_usec = 1};
    struct http_server *server = NULL;
    struct err err = {0};
    static const char *const refused[] = {"0.0.0.0", "::", "10.0.0.1", "localhost", ""};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        options.address = refused[i];
        assert_int_equal(http_open(&options, &server, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "not a loopback address"));
    }
    options.address = "127.0.0.1";
    options.port = http_port(f->server);
    assert_int_equal(http_open(&options, &server, &err), ERR_CONFLICT);
    assert_null(server);
}

static void test_stops(void **state)
{
    struct fixture *f = *state;
    int waiting = dial(f);
    int open = dial(f);
    give(waiting, "GET /hold HTTP/1.1\r\n" GOOD "\r\n");
    for (int n = 0; n < 100 && f->held == NULL; n++)
        turn(f, 1);
    http_stop_accepting(f->server);
    give(open, "GET /items/1 HTTP/1.1\r\n" GOOD "\r\n");
    expect_has(f, open, NULL, "503 ", "stopping");
    assert_false(http_sending(f->server));
    http_reply_json(f->held, 200, "{}", 2);
    assert_true(http_sending(f->server));
    expect_has(f, waiting, "{}", "200 OK", NULL);
    assert_false(http_sending(f->server));
    close(open);
    int late = dial(f);
    turn(f, 3);
    assert_int_equal(http_connections(f->server), 1);
    close(late);
    close(waiting);
}

static void test_hosts(void **state)
{
    assert_true(http_host_is_loopback("localhost"));
    assert_true(http_host_is_loopback("LOCALHOST:7420"));
    assert_true(http_host_is_loopback("127.0.0.1:80"));
    assert_true(http_host_is_loopback("127.1.2.3"));
    assert_true(http_host_is_loopback("[::1]"));
    assert_true(http_host_is_loopback("[::1]:7420"));
    static const char *const bad[] = {"", "localhost.evil.example", "127.0.0.1.evil.example", "128.0.0.1", "localhost:x", "localhost:99999", "::1", "[::2]", "127.1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(http_host_is_loopback(bad[i]));
    assert_false(http_host_is_loopback(NULL));
    assert_true(http_origin_is_loopback(NULL));
    assert_true(http_origin_is_loopback("http://localhost:3000"));
    assert_false(http_origin_is_loopback("null"));
    assert_false(http_origin_is_loopback("https://evil.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipelined_and_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_goes_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_reader_too_slow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_text_is_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_loopback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stops, setup, teardown),
        cmocka_unit_test(test_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
