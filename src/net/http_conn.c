// SPDX-License-Identifier: Apache-2.0
// One HTTP connection: reads requests, lets them in gate by gate, and ends. See net/http.h.
#include "net/http_conn.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

static void conn_free(struct http_request *c)
{
    must(!c->stepping);
    list_del(&c->link);
    if (c->surplus)
        c->server->n_surplus--;
    else
        c->server->n_connections--;
    bufferevent_free(c->bev);
    arena_release(&c->arena);
    buf_release(&c->body);
    buf_release(&c->fields);
    mem_free(c);
}

void conn_kill(struct http_request *c)
{
    c->state = DEAD;
    c->on_gone = NULL;
    c->on_drained = NULL;
    bufferevent_disable(c->bev, EV_READ | EV_WRITE);
    if (!c->stepping)
        conn_free(c);
}

void conn_gone(struct http_request *c)
{
    void (*call)(void *) = c->on_gone;
    void *context = c->gone_context;
    conn_kill(c);
    if (call != NULL)
        call(context);
}

void conn_deadline(struct http_request *c, usec_t after)
{
    c->deadline_mono_usec = usec_add(clock_mono_usec(), after);
}

static void conn_flush(struct http_request *c)
{
    c->state = FLUSHING;
    conn_deadline(c, c->server->options.idle_usec);
    bufferevent_trigger(c->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS); // in case nothing is left to be written
}

void conn_answered(struct http_request *c)
{
    c->on_gone = NULL;
    c->on_drained = NULL;
    bufferevent_setwatermark(c->bev, EV_WRITE, 0, 0);
    buf_clear(&c->fields);
    if (!c->head.keep_alive) {
        conn_flush(c);
        return;
    }
    c->state = IDLE;
    conn_deadline(c, c->server->options.idle_usec);
    arena_clear(&c->arena);
    buf_clear(&c->body);
    // Not from here: the caller may stand in the middle of something that a handler must not enter again.
    if (!c->stepping && evbuffer_get_length(bufferevent_get_input(c->bev)) > 0)
        bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static bool token_is_right(const struct http_request *c)
{
    const char *value = c->head.authorization;
    if (value == NULL || strncasecmp(value, "Bearer ", 7) != 0)
        return false;
    uint8_t digest[HTTP_DIGEST_BYTES];
    http_digest(value + 7 + strspn(value + 7, " "), digest);
    return CRYPTO_memcmp(digest, c->server->token_digest, sizeof(digest)) == 0;
}

static void refuse_large(struct http_request *c)
{
    char text[160];
    snprintf(text, sizeof(text), "the request is larger than request_bytes_max allows (%zu bytes)", c->server->options.request_bytes_max);
    conn_refuse(c, ERR_TOO_LARGE, text);
}

// Every gate between the head and the body. The one place where a request is let in.
static void admit(struct http_request *c)
{
    if (!http_host_is_loopback(c->head.host) || !http_origin_is_loopback(c->head.origin)) {
        conn_refuse(c, ERR_DENIED, "the fields Host and Origin must name this machine's loopback (localhost, 127.0.0.1 or [::1])");
        return;
    }
    if (!token_is_right(c)) {
        http_add_field(c, "WWW-Authenticate", "Bearer");
        conn_refuse(c, ERR_UNAUTHENTICATED, "the request needs the field 'Authorization: Bearer TOKEN' with the token of this server");
        return;
    }
    unsigned allowed;
    c->route = http_route_find(c->server->options.routes, c->server->options.n_routes, &c->head, c->param, &allowed);
    if (c->route == NULL && allowed != 0) {
        conn_refuse_method(c, allowed);
        return;
    }
    if (c->route == NULL) {
        conn_refuse(c, ERR_NOT_FOUND, "no such address in this API");
        return;
    }
    if (c->head.body_bytes > c->server->options.request_bytes_max) {
        refuse_large(c);
        return;
    }
    if (c->head.expects_continue && !c->head.minor_0 && (c->head.chunked || c->head.body_bytes > 0))
        evbuffer_add_printf(bufferevent_get_output(c->bev), "HTTP/1.1 100 Continue\r\n\r\n");
    c->state = c->head.chunked ? CHUNK_SIZE : BODY;
}

static bool step_head(struct http_request *c, struct evbuffer *in)
{
    size_t len = evbuffer_get_length(in);
    if (len == 0)
        return false;
    if (c->state == IDLE) {
        c->state = HEAD;
        c->head = (struct http_head){0};
        conn_deadline(c, c->server->options.request_usec);
    }
    char start[2];
    if (evbuffer_copyout(in, start, 2) == 2 && start[0] == '\r' && start[1] == '\n') {
        evbuffer_drain(in, 2); // an empty line before a request is ignored (RFC 9112, 2.2)
        return true;
    }
    struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    size_t head_bytes = end.pos < 0 ? len : (size_t)end.pos + 4;
    if (head_bytes > HTTP_HEAD_BYTES_MAX) {
        conn_refuse(c, ERR_TOO_LARGE, "the head of the request is larger than 16384 bytes");
        return true;
    }
    if (end.pos < 0)
        return false;
    char *text = arena_alloc(&c->arena, head_bytes + 1);
    evbuffer_remove(in, text, head_bytes);
    struct err err = {0};
    if (http_head_parse(text, head_bytes, &c->head, &err) < 0)
        conn_refuse(c, err.code, err.text);
    else
        admit(c);
    return true;
}

static void handle(struct http_request *c)
{
    if (c->server->stopping) {
        conn_refuse(c, ERR_UNAVAILABLE, "the server is stopping");
        return;
    }
    c->state = HANDLING;
    c->deadline_mono_usec = USEC_NEVER;
    c->route->handler(c->server->options.context, c);
}

// Moves up to `most` bytes from the input to the body.
static size_t take_body(struct http_request *c, struct evbuffer *in, size_t most)
{
    size_t len = evbuffer_get_length(in);
    if (len > most)
        len = most;
    buf_reserve(&c->body, len);
    evbuffer_remove(in, c->body.data + c->body.len, len);
    buf_grew(&c->body, len);
    return len;
}

// One line of the chunked framing into a fixed buffer: 1, 0 when it is not there yet, or an error.
static int take_line(struct evbuffer *in, char line[LINE_BYTES_MAX])
{
    struct evbuffer_ptr end = evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_CRLF_STRICT);
    if (end.pos < 0)
        return evbuffer_get_length(in) >= LINE_BYTES_MAX ? ERR_INVALID : 0;
    if (end.pos >= LINE_BYTES_MAX)
        return ERR_INVALID;
    evbuffer_remove(in, line, (size_t)end.pos);
    line[end.pos] = '\0';
    evbuffer_drain(in, 2);
    return 1;
}

static bool step_chunked(struct http_request *c, struct evbuffer *in)
{
    char line[LINE_BYTES_MAX];
    if (c->state == CHUNK_DATA) {
        c->chunk_left -= take_body(c, in, c->chunk_left);
        if (c->chunk_left > 0)
            return false;
        c->state = CHUNK_END;
    }
    int code = take_line(in, line);
    if (code == 0)
        return false;
    if (code > 0 && c->state == CHUNK_END) {
        code = line[0] == '\0' ? 1 : ERR_INVALID;
        c->state = CHUNK_SIZE;
    } else if (code > 0 && c->state == TRAILER) {
        c->trailer_bytes += strlen(line) + 2;
        if (line[0] == '\0') {
            handle(c);
            return true;
        }
        code = c->trailer_bytes > HTTP_HEAD_BYTES_MAX ? ERR_INVALID : 1;
    } else if (code > 0) {
        code = http_chunk_size_parse(line, c->server->options.request_bytes_max - c->body.len, &c->chunk_left);
        c->state = c->chunk_left > 0 ? CHUNK_DATA : TRAILER;
        c->trailer_bytes = 0;
    }
    if (code == ERR_TOO_LARGE)
        refuse_large(c);
    else if (code < 0)
        conn_refuse(c, ERR_INVALID, "the chunks of the body are malformed");
    return true;
}

// One step with what has arrived; false when it has to wait for more.
static bool conn_step(struct http_request *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    switch (c->state) {
    case IDLE:
    case HEAD:
        return step_head(c, in);
    case BODY:
        take_body(c, in, c->head.body_bytes - c->body.len);
        if (c->body.len < c->head.body_bytes)
            return false;
        handle(c);
        return true;
    case CHUNK_SIZE:
    case CHUNK_DATA:
    case CHUNK_END:
    case TRAILER:
        return step_chunked(c, in);
    case FLUSHING:
    case LINGERING:
        evbuffer_drain(in, evbuffer_get_length(in));
        return false;
    case HANDLING:
    case STREAMING:
    case DEAD:
        return false;
    }
    unreachable();
}

static void conn_run(struct http_request *c)
{
    must(!c->stepping);
    c->stepping = true;
    while (conn_step(c))
        continue;
    c->stepping = false;
    if (c->state == DEAD)
        conn_free(c);
}

static void on_readable(struct bufferevent *bev, void *context)
{
    conn_run(context);
}

static void on_written(struct bufferevent *bev, void *context)
{
    struct http_request *c = context;
    if (c->on_drained != NULL && evbuffer_get_length(bufferevent_get_output(bev)) <= c->server->options.stream_queue_bytes_max / 2) {
        void (*call)(void *) = c->on_drained;
        c->on_drained = NULL;
        bufferevent_setwatermark(bev, EV_WRITE, 0, 0);
        call(c->drained_context);
        return;
    }
    if (c->state != FLUSHING || evbuffer_get_length(bufferevent_get_output(bev)) > 0)
        return;
    if (!c->linger) {
        conn_kill(c);
        return;
    }
    shutdown(bufferevent_getfd(bev), SHUT_WR);
    c->state = LINGERING;
    conn_deadline(c, LINGER_USEC);
}

static void on_socket_event(struct bufferevent *bev, short what, void *context)
{
    struct http_request *c = context;
    bool output_waits = evbuffer_get_length(bufferevent_get_output(bev)) > 0;
    bool only_eof = (what & BEV_EVENT_EOF) && !(what & (BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT));
    // A peer that sends no more may still read what it has been answered.
    if (only_eof && output_waits && (c->state == IDLE || c->state == FLUSHING)) {
        c->linger = false;
        conn_flush(c);
        return;
    }
    conn_gone(c);
}

void conn_new(struct http_server *server, int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct http_request *c = mem_alloc(sizeof(*c));
    c->server = server;
    c->bev = bufferevent_socket_new(server->options.base, fd, BEV_OPT_CLOSE_ON_FREE);
    must(c->bev != NULL);
    list_init(&c->link);
    list_add_tail(&server->connections, &c->link);
    c->surplus = server->n_connections >= server->options.connections_max;
    if (c->surplus)
        server->n_surplus++;
    else
        server->n_connections++;
    conn_deadline(c, server->options.request_usec);
    bufferevent_setcb(c->bev, on_readable, on_written, on_socket_event, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_BYTES_MAX);
    struct timeval stalled = {.tv_sec = server->options.idle_usec / USEC_PER_SEC, .tv_usec = server->options.idle_usec % USEC_PER_SEC};
    bufferevent_set_timeouts(c->bev, NULL, &stalled);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    if (!c->surplus)
        return;
    char text[160];
    snprintf(text, sizeof(text), "as many connections are open as connections_max allows (%zu)", server->options.connections_max);
    conn_refuse(c, ERR_LIMIT, text);
}
