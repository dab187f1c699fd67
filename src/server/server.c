// SPDX-License-Identifier: Apache-2.0
// The server: opens everything, turns the loop, and ends in order. See server/server.h.
#include "server/server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/tz.h"
#include "server/context.h"
#include "server/folder.h"
#include "server/wall_watch.h"
#include "server/zone_watch.h"

enum {
    REQUEST_USEC = 20000000, // within which a request must have arrived
    IDLE_USEC = 90000000,    // that a connection may rest
    SLEEP_USEC_MAX = 60000000,
    STOP_USEC = 5000000,     // that an orderly stop may take for what is under way
    FLUSH_USEC = 1000000,
    HOLD_BACK_MILLIS = 20,   // one wait for the store while it has more to write than it should
    HOLD_BACK_TURNS = 10,
};

static const struct http_route routes[] = {
#define ROUTE(method, path, handler, role, sentence, example) {HTTP_##method, path, api_##handler},
#include "spec/routes.def"
#undef ROUTE
};

// ---- what the parts tell each other

static void on_records(void *context, const struct record *const *records, size_t n, const struct store_batch *packed)
{
    struct server *server = context;
    must(n > 0 && packed->n_records == n);
    history_worker_feed(server->worker, packed->data, packed->first_seq + n - 1);
    watches_records(server->watches, records, n);
}

static void on_effect(void *context, const struct effect *effect)
{
    struct server *server = context;
    if (effect->kind == FX_REPLY)
        requests_reply(server, &effect->reply);
    else
        agents_effect(server->agents, effect);
}

// The history has come further: reads that waited go on, and the core may forget what it holds.
static void on_history(void *context, uint64_t seq)
{
    struct server *server = context;
    if (server->reader == NULL)
        return; // at the end
    history_reader_advanced(server->reader, seq);
    if (history_reader_waits(server->reader))
        history_worker_hurry(server->worker);
    struct event event = {
        .kind = EV_ARCHIVED,
        .wall_usec = clock_wall_usec(),
        .mono_usec = clock_mono_usec(),
        .archived.seq = seq,
    };
    engine_event(server->engine, &event);
}

static void on_stop(void *context)
{
    struct server *server = context;
    if (!server->stopping)
        log_info("stopping");
    server->stopping = true;
}

static void on_store(void *context, bool readable, bool writable)
{
    // Nothing to be done here: the turn that follows asks the store.
}

// ---- opening

static int open_folder(struct server *server, char token[TOKEN_TEXT], struct err *err)
{
    const char *data = server->options->data;
    int code = folder_open(data, err);
    if (code < 0)
        return code;
    code = folder_token(data, "api.token", token, err);
    if (code < 0)
        return code;
    struct buf path = {0};
    buf_printf(&path, "%s/agent.token", data);
    code = handshake_key_ensure(path.data, &server->agent_key, err);
    buf_release(&path);
    return code;
}

static int open_http(struct server *server, const char token[TOKEN_TEXT], struct err *err)
{
    struct net_address address;
    int code = net_address_parse(server->options->listen_api, 0, &address, err);
    if (code < 0)
        return err_wrap(err, code, "the address of the API");
    char text[INET6_ADDRSTRLEN] = "";
    if (address.storage.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address.storage)->sin_addr, text, sizeof(text));
    else
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address.storage)->sin6_addr, text, sizeof(text));
    uint8_t digest[HTTP_DIGEST_BYTES];
    http_digest(token, digest);
    const int64_t *limit = server->limits->value;
    struct http_options options = {
        .base = loop_base(server->loop),
        .address = text,
        .port = net_address_port(&address),
        .token_digest = digest,
        .routes = routes,
        .n_routes = sizeof(routes) / sizeof(routes[0]),
        .context = server,
        .connections_max = (size_t)limit[LIMIT_CONNECTIONS],
        .request_bytes_max = (size_t)limit[LIMIT_REQUEST_BYTES],
        .stream_queue_bytes_max = (size_t)limit[LIMIT_STREAM_QUEUE],
        .request_usec = REQUEST_USEC,
        .idle_usec = IDLE_USEC,
    };
    code = http_open(&options, &server->http, err);
    return code < 0 ? err_wrap(err, code, "open the API") : 0;
}

static int open_agents(struct server *server, struct err *err)
{
    struct net_address address;
    int code = net_address_parse(server->options->listen_agents, 0, &address, err);
    if (code < 0)
        return err_wrap(err, code, "the address for agents");
    struct agents_options options = {
        .loop = server->loop,
        .limits = server->limits,
        .key = &server->agent_key,
        .address = &address,
    };
    code = agents_open(&options, &server->agents, err);
    return code < 0 ? err_wrap(err, code, "listen for agents") : 0;
}

static int feed_batch(void *context, const struct store_batch *batch, struct err *err)
{
    struct server *server = context;
    server->n_fed++;
    history_worker_feed(server->worker, batch->data, batch->first_seq + batch->n_records - 1);
    return 0;
}

static int open_store(struct server *server, struct err *err)
{
    int code = store_sqlite_open(server->options->data, &server->store, err);
    if (code < 0)
        return code;
    struct history_worker_options worker = {
        .path = server->options->data,
        .loop = server->loop,
        .retention_usec = server->limits->value[LIMIT_HISTORY_RETENTION],
        .on_position = on_history,
        .context = server,
    };
    code = history_worker_open(&worker, &server->worker, err);
    if (code == 0)
        code = history_reader_open(server->options->data, server->loop, &server->reader, err);
    if (code == ERR_STORE_CORRUPT)
        return err_wrap(err, code, "the history is damaged; restore it, or move it away to go on without the runs that have ended");
    return code < 0 ? err_wrap(err, code, "open the history") : 0;
}

// Gives the history what the log has and it has not. A history that was lost, and is empty now, must not keep the scheduler from its work:
// it goes on from the snapshot, before which the log is gone.
static int feed_history(struct server *server, uint64_t have, struct err *err)
{
    const struct store_ops *ops = server->store->ops;
    int code = ops->log_read(server->store, have, feed_batch, server, err);
    if (code != ERR_NOT_FOUND || server->n_fed > 0)
        return code;
    uint64_t snapshot_seq = 0;
    uint8_t *data = NULL;
    size_t len;
    struct err unread = {0};
    if (ops->snapshot_read(server->store, &snapshot_seq, &data, &len, &unread) < 0)
        snapshot_seq = 0;
    mem_free(data);
    if (snapshot_seq <= have)
        return code;
    log_warn("the history lacks records that the log no longer has; runs from then are unknown to it", "history_seq=%llu log_from=%llu",
             (unsigned long long)have, (unsigned long long)snapshot_seq + 1);
    err_clear(err);
    return ops->log_read(server->store, snapshot_seq, feed_batch, server, err);
}

static int open_engine(struct server *server, struct err *err)
{
    uint64_t seed;
    handshake_random(&seed, sizeof(seed));
    struct engine_options options = {
        .store = server->store,
        .limits = server->limits,
        .find_zone = tz_finder,
        .seed = seed,
        .server = server->name,
        .version = MUSTER_VERSION,
        .on_records = on_records,
        .on_effect = on_effect,
        .context = server,
    };
    usec_t began = clock_mono_usec();
    int code = engine_open(&options, clock_wall_usec(), began, &server->engine, err);
    if (code < 0)
        return code;
    uint64_t have = history_worker_position(server->worker);
    // The history is written from what is durable, so it is never ahead of a store that has kept everything. Going on would lose what
    // was acknowledged in silence, give the ids of those runs again, and leave the history deaf to all that is new.
    if (have > engine_durable(server->engine))
        return err_set(err, ERR_STORE_CORRUPT, "the store ends at record %llu, but the history knows record %llu: acknowledged work is missing "
                       "from muster.db; restore the data folder from a backup", (unsigned long long)engine_durable(server->engine),
                       (unsigned long long)have);
    history_reader_advanced(server->reader, have);
    code = feed_history(server, have, err);
    if (code < 0)
        return err_wrap(err, code, "bring the history up to date");
    struct snapshotter_options snapshots = {
        .path = server->options->data,
        .loop = server->loop,
        .engine = server->engine,
        .reader = server->reader,
        .worker = server->worker,
    };
    server->snapshotter = snapshotter_new(&snapshots);
    agents_lead(server->agents, server->engine);
    log_info("leading", "epoch=%llu seq=%llu history_seq=%llu millis=%lld", (unsigned long long)core_epoch(engine_core(server->engine)),
             (unsigned long long)engine_position(server->engine), (unsigned long long)have,
             (long long)((clock_mono_usec() - began) / USEC_PER_MSEC));
    return 0;
}

// Tells the world that the server answers.
static int announce(struct server *server, struct err *err)
{
    char agents[NET_ADDRESS_TEXT];
    char api[NET_ADDRESS_TEXT];
    const char *host = server->options->listen_api;
    const char *colon = strrchr(host, ':');
    int len = colon != NULL ? (int)(colon - host) : (int)strlen(host);
    snprintf(api, sizeof(api), "%.*s:%u", len, host, http_port(server->http));
    net_address_format(agents, agents_address(server->agents));
    int code = folder_endpoint_write(server->options->data, api, agents, getpid(), err);
    if (code < 0)
        return err_wrap(err, code, "write endpoint.json");
    log_info("serving", "api=http://%s agents=%s data=\"%s\" version=%s", api, agents, server->options->data, MUSTER_VERSION);
    if (server->options->ready_fd >= 0) {
        ssize_t written = write(server->options->ready_fd, "1", 1);
        (void)written; // whoever waited is gone
        close(server->options->ready_fd);
    }
    return 0;
}

static int server_open(struct server *server, struct err *err)
{
    char token[TOKEN_TEXT];
    int code = loop_new(&server->loop, err);
    if (code < 0)
        return code;
    requests_init(server);
    server->watches = watches_new(server);
    code = open_folder(server, token, err);
    if (code == 0)
        code = open_store(server, err);
    if (code == 0)
        code = open_http(server, token, err);
    if (code == 0)
        code = open_agents(server, err);
    if (code == 0)
        code = open_engine(server, err);
    explicit_bzero(token, sizeof(token));
    return code;
}

// Ends whatever is under way: first who may still call back, then those who would be called.
static void end_requests(struct server *server)
{
    history_reader_close(server->reader);
    server->reader = NULL;
    snapshotter_free(server->snapshotter);
    server->snapshotter = NULL;
    watches_free(server->watches);
    server->watches = NULL;
    requests_end(server);
    agents_close(server->agents);
    server->agents = NULL;
}

static void server_close(struct server *server)
{
    end_requests(server);
    http_close(server->http);
    requests_release(server);
    history_worker_close(server->worker);
    engine_close(server->engine);
    store_close(server->store);
    // Connections that were told to finish may still have put something off.
    if (server->loop != NULL)
        loop_turn(server->loop, 0, NULL);
    loop_free(server->loop);
}

// ---- the loop

// While the store has more to write than it should, sockets are left alone: peers wait, and memory stays bounded.
static int hold_back(struct server *server, struct err *err)
{
    int code = 0;
    for (int i = 0; i < HOLD_BACK_TURNS && code == 0 && engine_busy(server->engine) && !engine_full(server->engine); i++) {
        struct pollfd wake = {.fd = server->store->ops->wake_fd(server->store), .events = POLLIN};
        poll(&wake, 1, HOLD_BACK_MILLIS);
        code = engine_turn(server->engine, clock_wall_usec(), clock_mono_usec(), err);
    }
    return code;
}

// The one place that says how the store is.
static void log_store(struct server *server)
{
    bool full = engine_full(server->engine);
    if (full && !server->store_full)
        log_error("the store has no room; no new work is taken until it has", "data=\"%s\"", server->options->data);
    if (!full && server->store_full)
        log_info("the store has room again");
    server->store_full = full;
}

// Whether an orderly stop has nothing to wait for any more.
static bool settled(const struct server *server)
{
    return list_empty(&server->requests) && list_empty(&server->answers) &&
           engine_durable(server->engine) == engine_position(server->engine);
}

static int serve(struct server *server, struct wall_watch *wall, struct err *err)
{
    usec_t stop_usec = USEC_NEVER;
    int code = 0;
    while (code == 0) {
        usec_t sleep = usec_min(engine_deadline(server->engine, clock_wall_usec(), clock_mono_usec()), SLEEP_USEC_MAX);
        if (server->stopping)
            sleep = usec_min(sleep, 20 * USEC_PER_MSEC);
        code = loop_turn(server->loop, sleep, err);
        wall_watch_look(wall);
        if (code == 0)
            code = engine_turn(server->engine, clock_wall_usec(), clock_mono_usec(), err);
        if (code == 0)
            code = hold_back(server, err);
        log_store(server);
        if (!server->stopping) {
            snapshotter_turn(server->snapshotter);
            continue;
        }
        if (stop_usec == USEC_NEVER) {
            stop_usec = clock_mono_usec() + STOP_USEC;
            http_stop_accepting(server->http);
        }
        if (settled(server) || clock_mono_usec() >= stop_usec)
            break;
    }
    if (code < 0)
        return code;
    // The last answers still have to leave.
    end_requests(server);
    usec_t until = clock_mono_usec() + FLUSH_USEC;
    while (code == 0 && http_sending(server->http) && clock_mono_usec() < until)
        code = loop_turn(server->loop, 20 * USEC_PER_MSEC, err);
    return code;
}

static int run_opened(struct server *server, struct err *err)
{
    struct loop_signal terminate = {0};
    struct loop_signal interrupt = {0};
    struct loop_watch store = {0};
    struct wall_watch wall = {0};
    struct zone_watch zones = {0};
    int code = loop_signal_init(&terminate, server->loop, SIGTERM, on_stop, server, err);
    if (code == 0)
        code = loop_signal_init(&interrupt, server->loop, SIGINT, on_stop, server, err);
    if (code == 0)
        code = wall_watch_init(&wall, server->loop, err);
    if (code == 0)
        zone_watch_init(&zones, server->loop, server->limits);
    server->tz_version = zones.in_use;
    int wake_fd = server->store->ops->wake_fd(server->store);
    if (code == 0 && wake_fd >= 0) {
        loop_watch_init(&store, server->loop, wake_fd, on_store, server);
        loop_watch_set(&store, true, false);
    }
    // The epoch is durable before anybody is told where this server is.
    while (code == 0 && engine_durable(server->engine) < engine_position(server->engine) && !server->stopping) {
        code = engine_turn(server->engine, clock_wall_usec(), clock_mono_usec(), err);
        if (code == 0 && engine_durable(server->engine) < engine_position(server->engine))
            code = loop_turn(server->loop, 100 * USEC_PER_MSEC, err);
    }
    if (code == 0)
        code = announce(server, err);
    if (code == 0)
        code = serve(server, &wall, err);
    folder_endpoint_remove(server->options->data);
    wall_watch_release(&wall);
    zone_watch_release(&zones);
    loop_watch_release(&store);
    loop_signal_release(&interrupt);
    loop_signal_release(&terminate);
    return code;
}

static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int server_main_run(const struct server_options *options, struct err *err)
{
    must(options->data != NULL && options->limits != NULL);
    static struct server server;
    server = (struct server){.options = options, .limits = options->limits, .started_wall_usec = clock_wall_usec()};
    if (options->name == NULL || str_copy(server.name, sizeof(server.name), options->name) < 0)
        gethostname(server.name, sizeof(server.name) - 1);
    log_set_component("server");
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    umask(0077);
    raise_descriptors();
    int code = server_open(&server, err);
    if (code == 0)
        code = run_opened(&server, err);
    server_close(&server);
    if (code == 0)
        log_info("stopped");
    return code;
}
