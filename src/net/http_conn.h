// SPDX-License-Identifier: Apache-2.0
// Inside of the HTTP server: what its files share. http.c accepts, http_conn.c reads and lets in, http_reply.c answers.
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "net/http.h"
#include "net/http_parse.h"

struct bufferevent;
struct evconnlistener;
struct event;

// HEAD to TRAILER: head and body of the next request arrive. HANDLING: its handler owns it. STREAMING: as HANDLING, with the head of the
// answer sent. FLUSHING: the last answer leaves, then the connection ends. LINGERING: all was sent; input is thrown away for a moment,
// because closing with unread input would reset the connection and could destroy the answer. DEAD: waits to be freed.
enum http_state { IDLE, HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, HANDLING, STREAMING, FLUSHING, LINGERING, DEAD };

enum { LINE_BYTES_MAX = 256, LINGER_USEC = 2000000, SURPLUS_MAX = 64, INPUT_BYTES_MAX = 128 * 1024 };

// A connection, and the one request that it carries at a time.
struct http_request {
    struct list link;
    struct http_server *server;
    struct bufferevent *bev;
    enum http_state state;
    bool stepping;    // conn_run() is on the stack: only it may free the connection
    bool linger;      // input may be unread when the answer is out
    bool surplus;     // beyond connections_max: it only gets its refusal
    usec_t deadline_mono_usec; // of the present state; USEC_NEVER: none
    struct arena arena;
    struct http_head head;
    const char *param[HTTP_PARAMS_MAX];
    const struct http_route *route;
    struct buf body;
    size_t chunk_left;
    size_t trailer_bytes;
    struct buf fields; // of the answer to come
    void (*on_gone)(void *context);
    void *gone_context;
    void (*on_drained)(void *context);
    void *drained_context;
};

struct http_server {
    struct http_options options;
    uint8_t token_digest[HTTP_DIGEST_BYTES];
    struct evconnlistener *listener;
    struct event *sweep;
    struct list connections;
    size_t n_connections;
    size_t n_surplus;
    bool stopping;
    bool resting; // the listener, after it found no free descriptor
    uint16_t port;
};

// Takes fd; `surplus`: beyond connections_max, it only gets its refusal.
void conn_new(struct http_server *, int fd);
// Ends the connection; its memory goes once nobody on the stack uses it.
void conn_kill(struct http_request *);
// The peer is gone: tells whoever works on the answer, and ends the connection.
void conn_gone(struct http_request *);
// Sets the instant at which the present state has lasted too long, from now on.
void conn_deadline(struct http_request *, usec_t after);
// The answer is complete: gets ready for the next request, which may be in the input already.
void conn_answered(struct http_request *);
// Answers before the request was read to its end, after which the connection cannot go on.
void conn_refuse(struct http_request *, int code, const char *text);
void conn_refuse_method(struct http_request *, unsigned allowed);
