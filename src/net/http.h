// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server on a libevent loop, for the API. It parses HTTP itself (http_parse.c) on top of libevent's buffered sockets:
// evhttp reads a whole body before anybody can look at the credential, bounds no request in time as a whole, does not notice
// that the peer of a deferred reply is gone, and answers its own errors in HTML.
//
// What a connection has to pass, in this order: a place below connections_max; a head of at most HTTP_HEAD_BYTES_MAX that is
// there within the time of a request; a Host (and an Origin, if any) that names this machine's loopback, against DNS rebinding; the
// bearer token, compared in constant time; a route; a body of at most request_bytes_max within the time of a request. Only then
// the handler is called. Every error is answered as {"error":{"code":...,"message":...}}; there is no CORS, on purpose.
//
// A handler answers at once or later (the request is its own until it has answered), with one reply or with a stream. When
// the peer goes away first, the on_gone function of the request is called, and the request must not be used again.
// Everything runs on the thread of the loop.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/time.h"

struct event_base;
struct http_server;
struct http_request;

enum { HTTP_HEAD_BYTES_MAX = 16384, HTTP_FIELDS_MAX = 64, HTTP_QUERY_MAX = 64, HTTP_PARAMS_MAX = 4, HTTP_DIGEST_BYTES = 32 };

enum http_method { HTTP_GET, HTTP_POST, HTTP_DELETE, HTTP_METHODS };

typedef void http_handler(void *context, struct http_request *);

// One row of the table of routes. path: segments; one that begins with ':' takes any text ("/v1/runs/:id").
struct http_route {
    enum http_method method;
    const char *path;
    http_handler *handler;
};

struct http_options {
    struct event_base *base;
    const char *address; // only a loopback address is accepted
    uint16_t port;       // 0: any free one
    const uint8_t *token_digest; // SHA-256 of the token that every request must carry; copied
    const struct http_route *routes; // borrowed for the life of the server
    size_t n_routes;
    void *context; // of the handlers
    size_t connections_max;
    size_t request_bytes_max;
    size_t stream_queue_bytes_max;
    usec_t request_usec; // within which a request must have arrived, from its first byte on
    usec_t idle_usec;    // that a connection may stay open between requests, or without taking any byte of an answer
};

// ERR_INVALID for an address that is not loopback, ERR_CONFLICT when the port is taken.
int http_open(const struct http_options *, struct http_server **ret_server, struct err *);
// Closes every connection; calls on_gone of unanswered requests. NULL is allowed.
void http_close(struct http_server *);
// Takes no new connections and refuses requests on open ones (ERR_UNAVAILABLE); answers under way go on.
void http_stop_accepting(struct http_server *);
uint16_t http_port(const struct http_server *);
size_t http_connections(const struct http_server *);
// Whether any answer still waits to be sent.
bool http_sending(const struct http_server *);

void http_digest(const char *token, uint8_t ret_digest[HTTP_DIGEST_BYTES]);

// What was asked. Texts live as long as the request. Parameters are those of the path, in order, decoded.
struct arena *http_arena(struct http_request *);
const char *http_param(const struct http_request *, size_t i);
// The value of the n-th (0: the first) query parameter of that name, or NULL.
const char *http_query(const struct http_request *, const char *name, size_t n);
// The name of the i-th query parameter of all, or NULL behind the last.
const char *http_query_name(const struct http_request *, size_t i);
const char *http_field(const struct http_request *, const char *name); // a header field, or NULL
const char *http_body(const struct http_request *, size_t *ret_len);   // NUL-terminated

// Calls back once when the peer goes away before the answer is complete. call may be NULL, to call nobody.
void http_on_gone(struct http_request *, void (*call)(void *context), void *context);

// One field of the answer to come; text without control characters, or the field is left out.
void http_add_field(struct http_request *, const char *name, const char *value);

// These end the request: it must not be used afterwards.
void http_reply(struct http_request *, int status, const char *content_type, const void *data, size_t len);
void http_reply_json(struct http_request *, int status, const char *json, size_t len);
// code: ERR_*; text: its sentence (NULL: the code's own).
void http_reply_error(struct http_request *, int code, const char *text);

// A stream (chunked). Between begin and end, write as often as wanted. write returns false when the peer is too slow (more than
// stream_queue_bytes_max would wait): then the connection has been closed, on_gone is not called, and the request is gone.
void http_stream_begin(struct http_request *, int status, const char *content_type);
bool http_stream_write(struct http_request *, const void *data, size_t len);
size_t http_stream_queued(const struct http_request *);
// Calls back, once, when at most half of the queue's bytes wait, at the earliest in the next turn of the loop.
void http_stream_when_drained(struct http_request *, void (*call)(void *context), void *context);
void http_stream_end(struct http_request *);
// Closes the connection without the final chunk, so that the peer sees a broken stream. on_gone is not called.
void http_stream_abort(struct http_request *);
