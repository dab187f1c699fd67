// SPDX-License-Identifier: Apache-2.0
// Faults of the network.
#include "sim/internal.h"

static usec_t some_time(struct prng *prng)
{
    return log_uniform(prng, 100 * USEC_PER_MSEC, 4 * USEC_PER_MIN);
}

static void apart(struct node *node, usec_t until)
{
    node->apart_usec = usec_max(node->apart_usec, until);
}

static void unblock(void *context, uint64_t arg)
{
    (void)arg;
    net_kick(((struct node *)context)->sim, context);
}

static void block(struct node *node, enum fault_kind kind, bool to_agent, bool to_server, usec_t usec)
{
    fault_hit(node->sim, node->actor, kind, usec);
    struct sim *sim = node->sim;
    usec_t until = sim->now + usec;
    if (to_agent)
        node->link.blocked_until[END_AGENT] = usec_max(node->link.blocked_until[END_AGENT], until);
    if (to_server)
        node->link.blocked_until[END_SERVER] = usec_max(node->link.blocked_until[END_SERVER], until);
    apart(node, until);
    sim_later(sim, usec + 1, unblock, node, 0);
}

// Some connection that an agent holds, or NULL.
static struct conn *some_conn(struct sim *sim, struct prng *prng)
{
    struct node *node = fault_node(sim, prng);
    if (node->conn == NULL || node->conn->id == 0 || !node->conn->open[END_AGENT])
        return NULL;
    apart(node, sim->now + 10 * USEC_PER_SEC);
    return node->conn;
}

static void unstall(void *context, uint64_t id)
{
    struct sim *sim = context;
    struct list *pos;
    list_for_each(pos, &sim->conns) {
        struct conn *conn = list_entry(pos, struct conn, link);
        if (conn->id == id)
            conn_kick(conn);
    }
}

static bool replay_old(struct sim *sim, struct prng *prng)
{
    struct node *node = fault_node(sim, prng);
    struct conn *conn = node->conn;
    if (conn == NULL || !conn->open[END_SERVER] || node->old_message.len == 0 || node->old_message_epoch >= sim->disk.epoch)
        return false;
    apart(node, sim->now + 10 * USEC_PER_SEC);
    fault_hit(sim, node->actor, FAULT_NET_REPLAY_OLD, 0);
    conn_send_bytes(conn, END_SERVER, node->old_message.data, node->old_message.len);
    return true;
}

bool fault_net(struct sim *sim, enum fault_kind kind, struct prng *prng)
{
    struct node *node = fault_node(sim, prng);
    struct conn *conn = some_conn(sim, prng);
    enum conn_end end = (enum conn_end)prng_below(prng, 2);
    usec_t usec = some_time(prng);
    switch (kind) {
    case FAULT_NET_DELAY:
        fault_hit(sim, node->actor, kind, usec);
        node->link.slow_usec = log_uniform(prng, USEC_PER_MSEC, 10 * USEC_PER_SEC);
        node->link.slow_until = sim->now + usec;
        apart(node, sim->now + usec + 2 * node->link.slow_usec);
        return true;
    case FAULT_NET_BREAK:
        if (conn == NULL)
            return false;
        fault_hit(sim, conn->node->actor, kind, 0);
        conn_break(conn);
        return true;
    case FAULT_NET_PARTITION:
        block(node, kind, true, true, usec);
        return true;
    case FAULT_NET_ONE_WAY:
        block(node, kind, end == END_AGENT, end == END_SERVER, usec);
        return true;
    case FAULT_NET_SPLIT:
        for (size_t i = 0; i < sim->n_nodes; i++)
            if (prng_chance(prng, 500))
                block(sim->nodes[i], kind, true, true, usec);
        return true;
    case FAULT_NET_HALF_OPEN:
        // Only somebody who runs can be told that his connection is gone.
        if (conn == NULL || !conn->open[end] || !(end == END_AGENT ? agent_takes(conn->node) : server_takes(conn->server)))
            return false;
        fault_hit(sim, conn->node->actor, kind, 0);
        conn_forget(conn, end);
        return true;
    case FAULT_NET_SLOW_READER:
        if (conn == NULL)
            return false;
        fault_hit(sim, conn->node->actor, kind, usec);
        conn->pipe[end].stalled_until = sim->now + usec;
        apart(conn->node, sim->now + usec);
        sim_later(sim, usec + 1, unstall, sim, conn->id);
        return true;
    case FAULT_NET_REPLAY_OLD:
        return replay_old(sim, prng);
    case FAULT_NET_DUPLICATE:
        if (conn == NULL)
            return false;
        fault_hit(sim, conn->node->actor, kind, 0);
        conn->twice[END_AGENT] += 1 + (uint32_t)prng_below(prng, 3);
        return true;
    case FAULT_NET_DUP_CONNECT:
        if (!agent_takes(node))
            return false;
        fault_hit(sim, node->actor, kind, 0);
        struct conn *second = conn_open(sim, node, &sim->servers[0]);
        second->open[END_AGENT] = prng_chance(prng, 500); // an end that nobody reads, or none
        return true;
    default:
        unreachable();
    }
}
