// SPDX-License-Identifier: Apache-2.0
// A server process: starting, dying, standing still, and the sessions of agents as server/agents.c keeps them.
#include <string.h>

#include "base/tz.h"
#include "codec/codec.h"
#include "sim/internal.h"

static const usec_t hello_usec = 10 * USEC_PER_SEC;

static void session_timer(void *context);

void server_wake(struct server *server)
{
    if (!server->up || server->paused)
        return;
    if (!timer_is_set(&server->turn) || server->turn.at.key > server->sim->now + 20)
        timer_set(&server->turn, server->sim->now + 20);
}

bool server_takes(const struct server *server)
{
    return server->up && !server->paused && server->engine != NULL && !engine_busy(server->engine);
}

void server_event(struct server *server, struct event *event)
{
    event->wall_usec = machine_wall(&server->machine);
    event->mono_usec = machine_mono(&server->machine);
    server->events_waiting[0] += event->kind != EV_NODE_HEARTBEAT;
    engine_event(server->engine, event);
    server_decided(server);
    server_wake(server);
}

// ---- sessions

static void session_free(struct session *session)
{
    map_del(&session->server->by_session, session->id);
    list_del(&session->link);
    timer_stop(&session->timer);
    mem_free(session);
}

void session_gone(struct session *session, bool tell_core)
{
    struct server *server = session->server;
    if (tell_core && session->state != SESSION_ASKED) {
        struct event event = {.kind = EV_NODE_GONE, .session.session = session->id};
        server_event(server, &event);
    }
    if (session->conn != NULL)
        conn_close(session->conn, END_SERVER, false);
    session_free(session);
}

void session_send(struct session *session, const struct wire_message *message)
{
    conn_send(session->conn, END_SERVER, message);
}

void session_refuse(struct session *session, int code, const char *text)
{
    struct wire_message message = {.kind = WIRE_REFUSE, .epoch = core_epoch(engine_core(session->server->engine)), .refuse.code = code};
    size_t len = strlen(text) < sizeof(message.refuse.text) ? strlen(text) : sizeof(message.refuse.text) - 1;
    memcpy(message.refuse.text, text, len);
    session_send(session, &message);
}

void server_accept(struct server *server, struct conn *conn)
{
    static const uint8_t nonce[WIRE_NONCE_BYTES];
    struct session *session = mem_alloc(sizeof(*session));
    session->server = server;
    session->id = ++server->next_session;
    session->conn = conn;
    session->heard_mono_usec = machine_mono(&server->machine);
    list_init(&session->link);
    list_add_tail(&server->sessions, &session->link);
    map_put(&server->by_session, session->id, session);
    conn->user[END_SERVER] = session;
    timer_init(&session->timer, server->sim, session_timer, session);
    timer_set(&session->timer, machine_after(&server->machine, hello_usec));
    uint64_t epoch = core_epoch(engine_core(server->engine));
    struct wire_message message = {
        .kind = WIRE_CHALLENGE, .epoch = epoch, .challenge = {.version = WIRE_VERSION, .epoch = epoch, .nonce = {nonce, sizeof(nonce)}}};
    session_send(session, &message);
}

void server_lost_conn(struct server *server, struct session *session)
{
    session->conn = NULL;
    if (server->up)
        session_gone(session, true);
}

// Says nothing for too long.
static void session_timer(void *context)
{
    struct session *session = context;
    struct server *server = session->server;
    if (server->paused)
        return; // looked at again when it goes on
    usec_t patience = session->state == SESSION_OPEN ? server->sim->limits.value[LIMIT_NODE_LEASE] : hello_usec;
    usec_t left = session->heard_mono_usec + patience - machine_mono(&server->machine);
    if (left > 0)
        timer_set(&session->timer, machine_after(&server->machine, left));
    else
        session_gone(session, true);
}

// Returns false when a message of this kind may not come now.
static bool take_message(struct session *session, const struct wire_message *message)
{
    struct server *server = session->server;
    struct event event = {0};
    if (session->state == SESSION_ASKED) {
        if (message->kind != WIRE_HELLO)
            return false;
        if (engine_overfull(server->engine))
            return false;
        session->state = SESSION_GREETED;
        event.kind = EV_NODE_HELLO;
        event.hello = message->hello.hello;
        event.hello.session = session->id;
        server_event(server, &event);
        return true;
    }
    if (session->state != SESSION_OPEN)
        return false;
    if (message->kind == WIRE_HEARTBEAT) {
        event.kind = EV_NODE_HEARTBEAT;
        event.session = (struct ev_node_session){.session = session->id, .heartbeat = message->heartbeat};
    } else if (message->kind == WIRE_REPORT) {
        event.kind = EV_NODE_REPORT;
        event.report = message->report;
        event.report.session = session->id;
    } else {
        return message->kind == WIRE_LOG_DATA;
    }
    server_event(server, &event);
    if (message->kind == WIRE_REPORT && planted(server->sim, PLANT_ACK_BEFORE_DURABLE)) {
        struct wire_message ack = {.kind = WIRE_ACK, .epoch = core_epoch(engine_core(server->engine)), .ack.report_id = message->report.report_id};
        session_send(session, &ack);
    }
    return true;
}

void server_packet(struct server *server, struct session *session, struct bytes bytes)
{
    struct err err = {0};
    const struct wire_message *message = NULL;
    session->heard_mono_usec = machine_mono(&server->machine);
    arena_clear(&server->arena);
    int rc = wire_unpack(bytes, &server->arena, &message, &err);
    trace(server->sim, ACTOR_SERVER + server->index, TR_RECEIVE, message != NULL ? (uint64_t)message->kind : 0, session->conn->id, bytes.len);
    if (rc == 0 && take_message(session, message))
        return;
    int code = rc < 0 ? rc : ERR_PROTOCOL;
    trace(server->sim, ACTOR_SERVER + server->index, TR_BAD_MESSAGE, session->conn->id, (uint64_t)(int64_t)code, 0);
    session_refuse(session, code, "the message is not one that may come now");
    session_gone(session, true);
}

// ---- life and death

static void server_restart(void *context)
{
    server_start(context);
}

static void server_resumed(void *context)
{
    server_resume(context);
}

void server_init(struct server *server, struct sim *sim, int index, struct disk *disk)
{
    *server = (struct server){.sim = sim, .index = index, .disk = disk};
    must(index < 10);
    memcpy(server->name, "s1", 3);
    server->name[1] = (char)('1' + index);
    machine_init(&server->machine, sim, USEC_PER_HOUR);
    arena_init(&server->arena, 64 * 1024);
    buf_init(&server->snapshot);
    list_init(&server->sessions);
    map_init(&server->by_session);
    timer_init(&server->turn, sim, server_turn, server);
    timer_init(&server->restart, sim, server_restart, server);
    timer_init(&server->resume, sim, server_resumed, server);
    timer_init(&server->history_timer, sim, server_history, server);
    timer_init(&server->snapshot_timer, sim, server_snapshot_packed, server);
}

void server_release(struct server *server)
{
    if (server->up)
        server_crash(server);
    timer_stop(&server->restart);
    timer_stop(&server->resume);
    arena_release(&server->arena);
    mem_free(server->decided);
    buf_release(&server->snapshot);
    map_release(&server->by_session);
}

static void retry_start(struct server *server, int code)
{
    struct sim *sim = server->sim;
    trace(sim, ACTOR_SERVER + server->index, TR_SERVER_FAILS, (uint64_t)(int64_t)code, 0, 0);
    if (server->store != NULL)
        disk_crash(server->store);
    server->store = NULL;
    server->up = false;
    server->doomed = false;
    timer_set(&server->restart, sim->now + USEC_PER_SEC / 2 + (usec_t)prng_below(&sim->prng_world, USEC_PER_SEC));
}

void server_start(struct server *server)
{
    struct sim *sim = server->sim;
    if (server->up)
        return;
    server->up = true;
    server->paused = server->doomed = false;
    server->life++;
    server->n_decided = 0;
    server->events_waiting[0] = server->events_waiting[1] = 0;
    server->next_session = 0;
    server->idle_turns = 0;
    server->packing = false;
    server->snapshot_retry = 0;
    server->history_fed = server->history_writing = server->disk->history_seq;
    server->resumed_usec = sim->now;
    trace(sim, ACTOR_SERVER + server->index, TR_SERVER_START, server->life, 0, 0);
    sim->result->restarts++;
    server->store = disk_open(server->disk, server);
    if (server->store == NULL) {
        retry_start(server, ERR_STORE_BUSY);
        return;
    }
    struct engine_options options = {
        .store = server->store,
        .limits = &sim->limits,
        .find_zone = tz_finder,
        .seed = sim_mix(sim->options->seed, 1000 + server->life),
        .server = server->name,
        .version = "sim",
        .on_records = server_on_records,
        .on_effect = server_on_effect,
        .context = server,
    };
    struct err err = {0};
    int rc = engine_open(&options, machine_wall(&server->machine), machine_mono(&server->machine), &server->engine, &err);
    if (rc < 0) {
        bool meant = rc == ERR_IO; // the only failure that the disk injects while a server opens
        hold(sim, INV_RESTARTS, meant, "the server cannot start: %s", err.text);
        server->engine = NULL;
        retry_start(server, rc);
        return;
    }
    if (server->doomed) {
        server_crash(server);
        return;
    }
    hold(sim, INV_HISTORY_REACHABLE, server->disk->n_log == 0 || server->disk->log[0].first_seq <= server->disk->history_seq + 1,
         "the history is at record %llu, the log begins at %llu", (unsigned long long)server->disk->history_seq,
         (unsigned long long)server->disk->log[0].first_seq);
    check_restart(sim, server);
    trace(sim, ACTOR_SERVER + server->index, TR_SERVER_LEADS, core_epoch(engine_core(server->engine)), engine_position(server->engine), 0);
    timer_set(&server->history_timer, sim->now + 50 * USEC_PER_MSEC);
    server_wake(server);
    if (server->loop_left > 0) {
        server->loop_left--;
        server->restart_usec = 200 * USEC_PER_MSEC;
        timer_set(&server->resume, sim->now + 1 + (usec_t)prng_below(&sim->prng_world, 2 * USEC_PER_SEC));
    }
}

void server_crash(struct server *server)
{
    struct sim *sim = server->sim;
    if (!server->up)
        return;
    trace(sim, ACTOR_SERVER + server->index, TR_SERVER_DEAD, 1, 0, 0);
    server->up = server->paused = server->doomed = false;
    server->effects_left = 0;
    struct list *first;
    while ((first = list_first(&server->sessions)) != NULL) {
        struct session *session = list_entry(first, struct session, link);
        if (session->conn != NULL)
            conn_close(session->conn, END_SERVER, false);
        session_free(session);
    }
    timer_stop(&server->turn);
    timer_stop(&server->resume);
    timer_stop(&server->history_timer);
    timer_stop(&server->snapshot_timer);
    buf_clear(&server->snapshot);
    clients_forget_server(sim, server);
    engine_close(server->engine);
    server->engine = NULL;
    if (server->store != NULL)
        disk_crash(server->store);
    server->store = NULL;
    usec_t down = server->restart_usec > 0 ? server->restart_usec : 100 * USEC_PER_MSEC + (usec_t)prng_below(&sim->prng_world, 3 * USEC_PER_SEC);
    server->restart_usec = 0;
    timer_set(&server->restart, sim->now + down);
}

void server_pause(struct server *server, usec_t usec)
{
    if (!server->up || server->paused)
        return;
    trace(server->sim, ACTOR_SERVER + server->index, TR_SERVER_PAUSE, (uint64_t)usec, 0, 0);
    server->paused = true;
    timer_stop(&server->turn);
    timer_set(&server->resume, server->sim->now + usec);
}

// Also the end of a short life in a loop of restarts.
void server_resume(struct server *server)
{
    if (!server->up)
        return;
    if (!server->paused) {
        server_crash(server);
        return;
    }
    struct sim *sim = server->sim;
    trace(sim, ACTOR_SERVER + server->index, TR_SERVER_RESUME, 0, 0, 0);
    server->paused = false;
    server->resumed_usec = sim->now;
    // Timers that ran out meanwhile and sockets that filled are seen in either order.
    bool timers_first = prng_chance(&sim->prng_world, 300);
    if (timers_first)
        server_wake(server);
    net_kick(sim, NULL);
    struct list *pos;
    list_for_each(pos, &server->sessions) {
        struct session *session = list_entry(pos, struct session, link);
        if (!timer_is_set(&session->timer))
            timer_set(&session->timer, sim->now + 1000);
    }
    if (!timer_is_set(&server->turn))
        timer_set(&server->turn, sim->now + 500);
    if (!timer_is_set(&server->history_timer))
        timer_set(&server->history_timer, sim->now + 1000);
}
