// SPDX-License-Identifier: Apache-2.0
// Connections as TCP gives them: within one, bytes arrive in order or not at all; a dead link only delays them until somebody gives up; an
// end that closes is heard of later than what it sent; an end whose machine died is not heard of until it is spoken to.
#include <string.h>

#include "codec/codec.h"
#include "sim/internal.h"

static int actor_of(const struct conn *conn, enum conn_end end)
{
    return end == END_AGENT ? conn->node->actor : ACTOR_SERVER + conn->server->index;
}

static void pipe_clear(struct pipe *pipe)
{
    struct list *first;
    while ((first = list_first(&pipe->packets)) != NULL) {
        struct packet *packet = list_entry(first, struct packet, link);
        list_del(first);
        mem_free(packet);
    }
    pipe->bytes = 0;
}

static void conn_free(struct conn *conn)
{
    for (int end = 0; end < 2; end++) {
        pipe_clear(&conn->pipe[end]);
        timer_stop(&conn->pipe[end].timer);
    }
    buf_release(&conn->last_start);
    list_del(&conn->link);
    mem_free(conn);
}

void conns_free(struct sim *sim)
{
    struct list *first;
    while ((first = list_first(&sim->conns)) != NULL)
        conn_free(list_entry(first, struct conn, link));
}

// Nobody holds it and nothing travels.
static void conn_collect(void *context, uint64_t arg)
{
    struct conn *conn = context;
    (void)arg;
    conn_free(conn);
}

static void conn_maybe_free(struct conn *conn)
{
    if (conn->open[0] || conn->open[1] || conn->id == 0)
        return;
    for (int end = 0; end < 2; end++) {
        pipe_clear(&conn->pipe[end]);
        timer_stop(&conn->pipe[end].timer);
    }
    conn->id = 0; // being collected
    sim_later(conn->sim, 0, conn_collect, conn, 0);
}

bool link_blocked(const struct node *node, enum conn_end to)
{
    return node->sim->now < node->link.blocked_until[to];
}

static usec_t arrival(struct conn *conn, enum conn_end to)
{
    struct link_state *link = &conn->node->link;
    struct pipe *pipe = &conn->pipe[to];
    usec_t at = conn->sim->now + link->delay_usec + (usec_t)prng_below(&link->prng, (uint64_t)link->jitter_usec + 1);
    if (conn->sim->now < link->slow_until)
        at += link->slow_usec / 2 + (usec_t)prng_below(&link->prng, (uint64_t)link->slow_usec + 1);
    at = usec_max(at, pipe->last_usec + 1);
    pipe->last_usec = at;
    return at;
}

static void pipe_arm(struct pipe *pipe)
{
    struct list *first = list_first(&pipe->packets);
    struct conn *conn = pipe->conn;
    enum conn_end to = pipe == &conn->pipe[END_AGENT] ? END_AGENT : END_SERVER;
    if (first == NULL || link_blocked(conn->node, to)) {
        timer_stop(&pipe->timer);
        return;
    }
    usec_t at = usec_max(list_entry(first, struct packet, link)->at, pipe->stalled_until);
    if (!timer_is_set(&pipe->timer) || pipe->timer.at.key != at)
        timer_set(&pipe->timer, at);
}

static void pipe_put(struct conn *conn, enum conn_end to, enum packet_kind kind, const void *data, size_t len)
{
    struct pipe *pipe = &conn->pipe[to];
    struct packet *packet = mem_alloc(sizeof(*packet) + len);
    packet->kind = kind;
    packet->len = len;
    packet->at = arrival(conn, to);
    if (len > 0)
        memcpy(packet->data, data, len);
    list_init(&packet->link);
    list_add_tail(&pipe->packets, &packet->link);
    pipe->bytes += len;
    pipe_arm(pipe);
}

static void end_lost(struct conn *conn, enum conn_end end)
{
    if (!conn->open[end])
        return;
    conn->open[end] = false;
    if (end == END_AGENT) {
        agent_lost_conn(conn->node, conn);
    } else if (conn->user[END_SERVER] != NULL) {
        struct session *session = conn->user[END_SERVER];
        conn->user[END_SERVER] = NULL;
        server_lost_conn(conn->server, session);
    }
}

static bool end_reads(const struct conn *conn, enum conn_end end)
{
    if (conn->sim->now < conn->pipe[end].stalled_until)
        return false;
    return end == END_AGENT ? agent_takes(conn->node) : server_takes(conn->server);
}

static void arrived(struct conn *conn, enum conn_end to, struct packet *packet)
{
    struct bytes bytes = {packet->data, packet->len};
    bool machine_up = to == END_SERVER ? conn->server->up : conn->node->machine_up;
    if (!conn->open[to]) {
        // Nobody is there: a machine that lives says so.
        if (machine_up && packet->kind != PACKET_RST && conn->open[!to])
            pipe_put(conn, (enum conn_end)!to, PACKET_RST, NULL, 0);
        return;
    }
    switch (packet->kind) {
    case PACKET_SYN:
        if (!conn->server->up || conn->server->engine == NULL) {
            conn->open[END_SERVER] = false;
            trace(conn->sim, actor_of(conn, END_SERVER), TR_REFUSED, conn->id, 0, 0);
            pipe_put(conn, END_AGENT, PACKET_RST, NULL, 0);
        } else {
            server_accept(conn->server, conn);
        }
        return;
    case PACKET_DATA:
        if (to == END_AGENT)
            agent_packet(conn->node, conn, bytes);
        else if (conn->user[END_SERVER] != NULL)
            server_packet(conn->server, conn->user[END_SERVER], bytes);
        return;
    case PACKET_FIN:
    case PACKET_RST:
        trace(conn->sim, actor_of(conn, to), TR_CLOSED, conn->id, packet->kind == PACKET_RST ? 2 : !to, 0);
        end_lost(conn, to);
        return;
    }
}

static void pipe_fire(void *context)
{
    struct pipe *pipe = context;
    struct conn *conn = pipe->conn;
    enum conn_end to = pipe == &conn->pipe[END_AGENT] ? END_AGENT : END_SERVER;
    struct list *first = list_first(&pipe->packets);
    if (first == NULL || conn->id == 0)
        return;
    struct packet *packet = list_entry(first, struct packet, link);
    bool dead_end = !conn->open[to];
    if (link_blocked(conn->node, to) || (!dead_end && packet->kind != PACKET_SYN && !end_reads(conn, to)))
        return; // kicked when that changes
    if (to == END_SERVER && packet->kind == PACKET_SYN && conn->server->up && conn->server->paused)
        return; // waits in the backlog
    list_del(first);
    pipe->bytes -= packet->len;
    arrived(conn, to, packet);
    mem_free(packet);
    if (conn->id != 0)
        pipe_arm(pipe);
    conn_maybe_free(conn);
}

struct conn *conn_open(struct sim *sim, struct node *node, struct server *server)
{
    struct conn *conn = mem_alloc(sizeof(*conn));
    conn->sim = sim;
    conn->id = ++sim->next_conn;
    conn->node = node;
    conn->server = server;
    conn->open[0] = conn->open[1] = true;
    buf_init(&conn->last_start);
    list_init(&conn->link);
    list_add_tail(&sim->conns, &conn->link);
    for (int end = 0; end < 2; end++) {
        conn->pipe[end].conn = conn;
        list_init(&conn->pipe[end].packets);
        timer_init(&conn->pipe[end].timer, sim, pipe_fire, &conn->pipe[end]);
    }
    trace(sim, node->actor, TR_CONNECT, conn->id, 0, 0);
    pipe_put(conn, END_SERVER, PACKET_SYN, NULL, 0);
    return conn;
}

void conn_send_bytes(struct conn *conn, enum conn_end from, const void *data, size_t len)
{
    if (!conn->open[from])
        return;
    pipe_put(conn, (enum conn_end)!from, PACKET_DATA, data, len);
    if (conn->twice[!from] > 0) {
        conn->twice[!from]--;
        pipe_put(conn, (enum conn_end)!from, PACKET_DATA, data, len);
    }
    // As the frames of production: a peer that does not read is given up.
    size_t most = (size_t)conn->sim->limits.value[LIMIT_SESSION_QUEUE];
    hold(conn->sim, INV_QUEUES_BOUNDED, conn->pipe[!from].bytes <= most + 2 * len, "connection %llu holds %zu bytes", (unsigned long long)conn->id,
         conn->pipe[!from].bytes);
    if (conn->pipe[!from].bytes > most)
        conn_break(conn);
}

void conn_send(struct conn *conn, enum conn_end from, const struct wire_message *message)
{
    struct buf bytes;
    buf_init(&bytes);
    wire_pack(&bytes, message);
    trace(conn->sim, actor_of(conn, from), TR_SEND, (uint64_t)message->kind, conn->id, bytes.len);
    conn_send_bytes(conn, from, bytes.data, bytes.len);
    buf_release(&bytes);
}

void conn_close(struct conn *conn, enum conn_end from, bool silently)
{
    if (!conn->open[from])
        return;
    conn->open[from] = false;
    conn->silent[from] = silently;
    conn->user[from] = NULL;
    pipe_clear(&conn->pipe[from]);
    timer_stop(&conn->pipe[from].timer);
    if (!silently && conn->open[!from])
        pipe_put(conn, (enum conn_end)!from, PACKET_FIN, NULL, 0);
    conn_maybe_free(conn);
}

void conn_forget(struct conn *conn, enum conn_end end)
{
    pipe_clear(&conn->pipe[end]);
    end_lost(conn, end);
    conn_maybe_free(conn);
}

void conn_break(struct conn *conn)
{
    if (conn->id == 0)
        return;
    for (int end = 0; end < 2; end++)
        pipe_clear(&conn->pipe[end]);
    for (int end = 0; end < 2; end++)
        if (conn->open[end])
            pipe_put(conn, (enum conn_end)end, PACKET_RST, NULL, 0);
}

void conn_kick(struct conn *conn)
{
    if (conn->id == 0)
        return;
    for (int end = 0; end < 2; end++)
        pipe_arm(&conn->pipe[end]);
}

void net_kick(struct sim *sim, struct node *node)
{
    struct list *pos;
    list_for_each(pos, &sim->conns) {
        struct conn *conn = list_entry(pos, struct conn, link);
        if (node == NULL || conn->node == node)
            conn_kick(conn);
    }
}
