// SPDX-License-Identifier: Apache-2.0
// The parts of HTTP/1.1 that are pure: heads of requests, chunk sizes, percent encoding, routes. Input is untrusted.
#pragma once

#include "net/http.h"

struct http_pair {
    const char *name;
    const char *value;
};

struct http_head {
    const char *method_text;
    int method; // enum http_method, or -1: none that any route uses
    const char *segment[8]; // of the path, decoded
    size_t n_segments;
    bool path_too_deep; // more segments than any route has
    struct http_pair field[HTTP_FIELDS_MAX];
    size_t n_fields;
    struct http_pair query[HTTP_QUERY_MAX];
    size_t n_query;
    const char *host, *origin, *authorization;
    uint64_t body_bytes; // Content-Length; 0 when chunked
    bool chunked;
    bool keep_alive;
    bool expects_continue;
    bool minor_0; // HTTP/1.0
};

// text: the head up to and including its empty line, changed in place and borrowed by *ret_head. ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED.
int http_head_parse(char *text, size_t len, struct http_head *ret_head, struct err *);

// "1a;ext" -> 26. ERR_INVALID; more than max is ERR_TOO_LARGE.
int http_chunk_size_parse(const char *line, size_t max, size_t *ret_size);

// Whether a Host value ("localhost:7420", "127.0.0.1", "[::1]:80") names the loopback of this machine.
bool http_host_is_loopback(const char *host);
// Whether a browser page of this origin may call: none, or one of this machine's loopback.
bool http_origin_is_loopback(const char *origin);

// Looks the head up: the row of the table, or NULL with *ret_allowed the mask of methods (1 << enum http_method) that the path has.
const struct http_route *http_route_find(const struct http_route *routes, size_t n_routes, const struct http_head *,
                                         const char *ret_params[HTTP_PARAMS_MAX], unsigned *ret_allowed);
const char *http_method_name(enum http_method);
const char *http_status_text(int status);
