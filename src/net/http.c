// SPDX-License-Identifier: Apache-2.0
// The HTTP server: its listener, its places and its clock. See net/http.h.
#include "net/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <openssl/sha.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/http_conn.h"

void http_digest(const char *token, uint8_t ret_digest[HTTP_DIGEST_BYTES])
{
    SHA256((const unsigned char *)token, strlen(token), ret_digest);
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
    struct http_server *server = context;
    usec_t now = clock_mono_usec();
    if (server->resting) {
        server->resting = false;
        evconnlistener_enable(server->listener);
    }
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &server->connections) {
        struct http_request *c = list_entry(pos, struct http_request, link);
        if (c->deadline_mono_usec > now)
            continue;
        bool reading = c->state >= HEAD && c->state <= TRAILER;
        if (reading)
            conn_refuse(c, ERR_TIMEOUT, "the request did not arrive in time");
        else
            conn_gone(c);
    }
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len, void *context)
{
    struct http_server *server = context;
    if (server->n_connections >= server->options.connections_max && server->n_surplus >= SURPLUS_MAX) {
        close(fd);
        return;
    }
    conn_new(server, fd);
}

// Out of descriptors: rests until the next sweep, so that the loop does not spin on a listener that stays readable.
static void on_accept_error(struct evconnlistener *listener, void *context)
{
    struct http_server *server = context;
    evconnlistener_disable(listener);
    server->resting = true;
}

static int fill_address(const struct http_options *options, struct sockaddr_storage *ret, socklen_t *ret_len, struct err *err)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    if (inet_pton(AF_INET, options->address, &in->sin_addr) == 1 && (ntohl(in->sin_addr.s_addr) >> 24) == 127) {
        in->sin_family = AF_INET;
        in->sin_port = htons(options->port);
        *ret_len = sizeof(*in);
        return 0;
    }
    if (inet_pton(AF_INET6, options->address, &in6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr)) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(options->port);
        *ret_len = sizeof(*in6);
        return 0;
    }
    return err_set(err, ERR_INVALID,
                   "the address '%s' is not a loopback address (127.0.0.1 or ::1); others are refused until connections are encrypted",
                   options->address);
}

static int listen_at(struct http_server *server, struct err *err)
{
    const struct http_options *options = &server->options;
    struct sockaddr_storage address = {0};
    socklen_t len;
    int code = fill_address(options, &address, &len, err);
    if (code < 0)
        return code;
    server->listener = evconnlistener_new_bind(options->base, on_accept, server, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                               1024, (struct sockaddr *)&address, (int)len);
    if (server->listener == NULL && errno == EADDRINUSE)
        return err_set(err, ERR_CONFLICT, "port %u of %s is in use by another program", options->port, options->address);
    if (server->listener == NULL)
        return err_errno(err, ERR_IO, "listen on %s port %u", options->address, options->port);
    evconnlistener_set_error_cb(server->listener, on_accept_error);
    len = sizeof(address);
    if (getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&address, &len) < 0)
        return err_errno(err, ERR_IO, "ask for the port of the listener");
    server->port = ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port : ((struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

int http_open(const struct http_options *options, struct http_server **ret_server, struct err *err)
{
    must(options->token_digest != NULL && options->connections_max > 0 && options->request_usec > 0 && options->idle_usec > 0);
    struct http_server *server = mem_alloc(sizeof(*server));
    server->options = *options;
    memcpy(server->token_digest, options->token_digest, HTTP_DIGEST_BYTES);
    server->options.token_digest = server->token_digest;
    list_init(&server->connections);
    int code = listen_at(server, err);
    if (code < 0) {
        http_close(server);
        return code;
    }
    usec_t every = usec_min(USEC_PER_SEC, usec_max(usec_min(options->request_usec, options->idle_usec) / 4, 10 * USEC_PER_MSEC));
    struct timeval interval = {.tv_sec = every / USEC_PER_SEC, .tv_usec = every % USEC_PER_SEC};
    server->sweep = event_new(options->base, -1, EV_PERSIST, on_sweep, server);
    must(server->sweep != NULL);
    event_add(server->sweep, &interval);
    *ret_server = server;
    return 0;
}

void http_stop_accepting(struct http_server *server)
{
    server->stopping = true;
    server->resting = false;
    evconnlistener_disable(server->listener);
}

void http_close(struct http_server *server)
{
    if (server == NULL)
        return;
    struct list *first;
    while ((first = list_first(&server->connections)) != NULL)
        conn_gone(list_entry(first, struct http_request, link));
    if (server->sweep != NULL)
        event_free(server->sweep);
    if (server->listener != NULL)
        evconnlistener_free(server->listener);
    mem_free(server);
}

uint16_t http_port(const struct http_server *server)
{
    return server->port;
}

bool http_sending(const struct http_server *server)
{
    const struct list *pos;
    list_for_each(pos, &server->connections)
        if (http_stream_queued(list_entry((struct list *)pos, struct http_request, link)) > 0)
            return true;
    return false;
}

size_t http_connections(const struct http_server *server)
{
    return server->n_connections;
}
