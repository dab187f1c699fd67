// SPDX-License-Identifier: Apache-2.0
// What the parts of the server share: the server itself, and the requests of the API that are under way. Private to server/.
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "codec/spec_parse.h"
#include "engine/engine.h"
#include "net/http.h"
#include "net/loop.h"
#include "server/agents.h"
#include "server/history_reader.h"
#include "server/history_worker.h"
#include "server/server.h"
#include "server/snapshotter.h"
#include "store/history.h"

struct watches;
struct server;

// One request of the API from its handler to its answer, whether that comes at once, from the engine, from the history or from a
// node. It outlives its connection: when the peer goes away, http becomes NULL and what is under way ends in silence.
struct request {
    struct list link; // in server->requests while it awaits a reply
    struct list all;
    uint64_t id;      // of events and effects
    struct server *server;
    struct http_request *http; // NULL: the peer is gone, or was answered
    struct arena arena;        // of the request; released with it
    usec_t deadline_mono_usec;
    bool awaits_reply; // of the engine: then the reply, or the deadline, ends it
    bool refused;      // the engine was not asked
    void (*on_reply)(struct request *, const struct fx_reply *);
    struct history_read read;
    void *state; // of the handler, in the arena
};

struct server {
    const struct server_options *options;
    const struct limits *limits;
    struct loop *loop;
    struct store *store;
    struct engine *engine;
    struct history_worker *worker;
    struct history_reader *reader;
    struct agents *agents;
    struct http_server *http;
    struct snapshotter *snapshotter;
    struct watches *watches;
    struct handshake_key agent_key;
    char name[128];
    const char *tz_version; // of the database of time zones in use
    usec_t started_wall_usec;
    struct list requests; // that wait for a reply, by deadline
    struct list all_requests;
    struct map request_by_id;
    struct list answers; // that wait for a commit
    uint64_t answers_position; // the last one at which the engine was asked to call for them
    uint64_t next_request;
    struct loop_timer request_timer;
    size_t n_fed; // batches of the log that were given to the history at the start
    bool store_full; // as it was logged last
    bool stopping;
};

// Principal of whoever holds the API token of this version.
#define PRINCIPAL_API "admin"

// ---- requests (requests.c)

// http: NULL for a part of another request.
struct request *request_new(struct server *, struct http_request *);
// Notices again by itself that the peer is gone, after somebody else did.
void request_listen(struct request *);
// Frees it; its answer has left or will not be given.
void request_free(struct request *);
// These answer, if anybody still listens, and free the request.
void request_answer(struct request *, int status, const struct buf *json);
void request_error(struct request *, int code, const char *text);
void request_err(struct request *, const struct err *);
// Answers as soon as all that has been decided up to now is durable: for what was read from the live state. Takes the bytes of json.
void request_answer_durable(struct request *, int status, struct buf *json);
// Gives the event to the engine in the name of the request; on_reply comes with the answer, from the loop.
void request_event(struct request *, struct event *, void (*on_reply)(struct request *, const struct fx_reply *));
// Runs `run` in the reader's thread, then `done` on the loop. caught_up: the history has to know all that was decided up to now.
void request_read(struct request *, bool caught_up, int (*run)(struct history_read *, struct history *, struct err *),
                  void (*done)(struct history_read *));
struct request *request_of(struct history_read *);
// on_reply is called exactly once: with the engine's answer, or with a code of this server (ERR_TIMEOUT, ERR_INTERRUPTED).
// Answers with the error of a reply, if it is one.
bool request_failed(struct request *, const struct fx_reply *);
// The engine's answer to a request.
void requests_reply(struct server *, const struct fx_reply *);
void requests_init(struct server *);
// Answers all that waits for the engine with ERR_INTERRUPTED.
void requests_end(struct server *);
// Frees what is left, once nobody can call back any more.
void requests_release(struct server *);

// Answers that the run is not in memory: ERR_CONFLICT when the history knows it (it has ended), else ERR_NOT_FOUND. Takes the request.
void request_run_missing(struct request *, uint64_t run_id);
// The job that the path names, with its spec in the request's arena; NULL, and answered, when there is none.
struct request *request_find_job(struct server *, struct http_request *, struct job_view *ret_view, const struct job_spec **ret_spec);
// Whether memory holds a run.
bool server_has_run(struct server *, uint64_t run_id);

// Refuses (and answers) when no new work can be taken: the store has no room, or the history lags too far behind.
bool server_takes_work(struct server *, struct http_request *);

// ---- reading what was asked (query.c). Each answers with an error and returns false when it is not as it must be.

bool param_u64(struct http_request *, size_t param, const char *what, uint64_t *ret);
bool query_u64(struct http_request *, const char *name, uint64_t most, uint64_t absent, uint64_t *ret);
bool query_flag(struct http_request *, const char *name, bool *ret);
bool query_duration(struct http_request *, const char *name, usec_t most, usec_t absent, usec_t *ret);
bool query_time(struct http_request *, const char *name, usec_t absent, usec_t *ret);
// Rows of a page: max, at most page_rows_max; `absent` when it is not given.
bool query_max(struct server *, struct http_request *, uint64_t absent, size_t *ret);
// Refuses parameters that are not in the list, which ends with NULL.
bool query_only(struct http_request *, const char *const *names);

// One member of a JSON body, which must be an object with no other member; an empty body has none. *ret is NULL when it is absent.
int body_text(struct http_request *, struct arena *, const char *name, const char **ret, struct err *);
int body_flag(struct http_request *, const char *name, bool *ret, struct err *);
// Several members: *ret is the object, or NULL for an empty body; a member that is not among names (ended by NULL) is refused. The caller
// gives it back with json_decref().
struct json_t;
int body_members(struct http_request *, const char *const *names, struct json_t **ret, struct err *);
// The member "params" of an object, values of parameters by name, in the arena; none when it is absent.
int json_params(const struct json_t *body, struct arena *, const struct pair **ret, size_t *ret_n, struct err *);
// The member "params", values of parameters by name, in the arena; none when it is absent.
int body_params(struct http_request *, struct arena *, const struct pair **ret, size_t *ret_n, struct err *);
// The same from the query, as param=NAME=VALUE for each, where the body is something else.
bool query_params(struct http_request *, struct arena *, const struct pair **ret, size_t *ret_n);

// ---- submitting (api_submit.c)

// Submits a spec, whose packed form this makes; answers and frees the request. Runs that it waits for and that memory does not hold
// are looked up in the history first.
struct submission {
    const struct job_spec *spec; // in the request's arena, as all of this
    const char *idempotency_key;
    uint64_t rerun_of, job_id;
    uint32_t job_version;
    bool held;
    const struct pair *params; // values of parameters
    size_t n_params;
};
void submit(struct request *, const struct submission *);
// What the body is written in, by its Content-Type. On false it has answered and freed the request; answer_spec_errors() always has.
bool body_format(struct request *, enum spec_format *ret);
void answer_spec_errors(struct request *, int code, const struct spec_errors *);
// Reads the body as job files (JSON or YAML by its Content-Type) into the request's arena. On false it has answered with everything that
// is wrong, and freed the request.
bool body_specs(struct request *, enum spec_purpose, struct job_spec ***ret_specs, size_t *ret_n);
// The field Idempotency-Key, or NULL. On false it has answered and freed the request.
bool idempotency_key(struct request *, const char **ret);

// ---- the parts that are told what has become durable

struct watches *watches_new(struct server *);
void watches_free(struct watches *);
// Records have become durable.
void watches_records(struct watches *, const struct record *const *records, size_t n);
// Answers request with the run (and its spec) when it has ended or the time is over. Takes the request.
void watches_wait(struct watches *, struct request *, uint64_t run_id, usec_t time_usec);
// Streams the run to the request each time it changes. Takes the request.
void watches_stream(struct watches *, struct request *, uint64_t run_id);

// ---- handlers, one for each row of spec/routes.def
#define ROUTE(method, path, handler, role, sentence, example) void api_##handler(void *server, struct http_request *);
#include "spec/routes.def"
#undef ROUTE
