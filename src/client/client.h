// SPDX-License-Identifier: Apache-2.0
// The client of the HTTP API (/v1): calls that are answered at once, and streams (output of tasks, changes of a run) that go on
// until their end and are taken up again where they broke off when the server was away.
//
// Threads: one. Everything happens inside client_call() and client_turn(); streams call back from there only.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/time.h"

struct client;
struct stream;

struct client_options {
    const char *url;   // borrowed for the call, as all below
    const char *token;
    usec_t retry_usec; // how long a call is tried again while the server is away; USEC_NEVER: for ever
    // Told once when the server does not answer and the call goes on trying, with a sentence; may be NULL.
    void (*on_away)(void *context, const char *sentence);
    void *context; // borrowed as long as the client lives
};

int client_open(const struct client_options *, struct client **ret_client, struct err *);
// Ends the client and all its streams (without calling back). NULL is allowed.
void client_close(struct client *);

// One request. Requests that may be repeated (GET, or with `repeatable`, or with an idempotency key) are tried again while the
// server is away; others are not, once they may have reached it.
struct call {
    const char *method; // "GET", "POST", "DELETE"
    const char *path;   // "/v1/runs?max=10", escaped where needed (path_escape)
    const void *body;   // NULL: none
    size_t body_len;
    const char *content_type;    // NULL: application/json
    const char *idempotency_key; // NULL: none
    bool repeatable;             // asking twice is the same as asking once
    usec_t wait_usec;            // how long the server may take to answer beyond the usual (for ?wait=)
};

// Asks and waits for the answer. Gives the JSON of the answer in *ret_json (json_decref it), or NULL for an answer without a body;
// ret_json may be NULL. An error of the API becomes its code and sentence; its details are kept for client_details().
int client_call(struct client *, const struct call *, json_t **ret_json, struct err *);
// As client_call, for answers that are text and for what their headers say.
struct text_reply {
    struct buf text;  // released by the caller
    uint64_t offset;  // Muster-Offset: of the first byte of text
    uint64_t end;     // Muster-End
    bool final;       // Muster-Final: no more can come
};
int client_text(struct client *, const char *path, struct text_reply *ret, struct err *);
// GET of a path made like printf's. The path must be escaped already.
__attribute__((format(printf, 4, 5))) int client_get(struct client *, json_t **ret_json, struct err *, const char *fmt, ...);
// POST without a body, or with `body` (borrowed) when it is not NULL; tried again while the server is away.
__attribute__((format(printf, 5, 6))) int client_post(struct client *, json_t *body, json_t **ret_json, struct err *, const char *fmt,
                                                      ...);
// From now on: how long calls are tried again while the server is away, and a descriptor that ends the trying with ERR_INTERRUPTED
// when it is readable (-1: none).
void client_patience(struct client *, usec_t retry_usec, int wake_fd);
// The details of the last error (an array of objects), or NULL. Borrowed until the next call.
const json_t *client_details(const struct client *);
// Forgets them, once they have been told.
void client_details_clear(struct client *);
// HTTP status of the last answer, 0 when there was none.
int client_status(const struct client *);

// What a stream hands over. `on_end` comes once, as the last thing: code 0 when everything has been given, else an error that
// trying again does not mend. The stream is gone afterwards.
struct stream_sink {
    void (*on_bytes)(void *context, const char *data, size_t len);
    // offset: where the following bytes begin, told when it is not where the last ones ended (its beginning was dropped). May be NULL.
    void (*on_gap)(void *context, uint64_t from, uint64_t to);
    void (*on_end)(void *context, const struct err *err);
    void *context;
};

enum stream_kind {
    STREAM_LOG,  // bytes by offset; done when an answer said final and all its bytes came
    STREAM_LINES // whole lines, told again from the present on reconnect; done when the server ends it
};

// Begins a stream of `path` (which has a query already, or ends in '?'). Copies path and sink.
struct stream *client_stream(struct client *, enum stream_kind, const char *path, uint64_t offset, const struct stream_sink *);
// Ends a stream without calling back.
void stream_close(struct stream *);
// Lets the streams go on for at most `timeout_usec`, or until something was handed over or `wake_fd` (-1: none) is readable.
int client_turn(struct client *, usec_t timeout_usec, int wake_fd, struct err *);

// Appends text with everything but letters, digits and -._~ as %XX.
void path_escape(struct buf *, const char *text);
// 32 hex digits from the system's generator, for an idempotency key.
void random_key(char ret[static 33]);
