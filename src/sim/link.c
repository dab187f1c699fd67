// SPDX-License-Identifier: Apache-2.0
// The agent's connection to a server, as agent/link.c keeps it: waiting, connecting, hello, open; one connection at a time.
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "sim/internal.h"

static const usec_t backoff_least_usec = 50 * USEC_PER_MSEC;
static const usec_t backoff_most_usec = 5 * USEC_PER_SEC;
static const usec_t open_timeout_usec = 10 * USEC_PER_SEC;

static usec_t jitter(struct node *node, usec_t usec)
{
    return usec * 3 / 4 + (usec_t)prng_below(&node->prng, (uint64_t)usec / 2 + 1);
}

// The connection is gone; another one is tried after a while.
void link_down(struct node *node)
{
    bool said_hello = node->phase == LINK_HELLO_SENT || node->phase == LINK_OPEN;
    usec_t wait = jitter(node, backoff_least_usec);
    if (node->phase != LINK_OPEN) {
        wait = jitter(node, node->backoff_usec);
        node->backoff_usec = usec_min(node->backoff_usec * 3 / 2, backoff_most_usec);
    }
    node->phase = LINK_WAITING;
    node->ending = false;
    timer_set(&node->link_timer, machine_after(&node->machine, wait));
    if (said_hello)
        agent_core_disconnected(node->core);
    agent_wake(node);
}

void agent_lost_conn(struct node *node, struct conn *conn)
{
    if (node->conn != conn)
        return; // a connection that nobody asked for
    node->conn = NULL;
    if (node->agent_up)
        link_down(node);
}

void link_timer(void *context)
{
    struct node *node = context;
    struct sim *sim = node->sim;
    if (!agent_takes(node))
        return;
    if (node->phase == LINK_WAITING) {
        node->phase = LINK_CONNECTING;
        timer_set(&node->link_timer, machine_after(&node->machine, open_timeout_usec));
        node->conn = conn_open(sim, node, &sim->servers[0]);
        return;
    }
    if (node->conn == NULL || node->phase == LINK_OPEN)
        return;
    struct conn *conn = node->conn;
    node->conn = NULL;
    conn_close(conn, END_AGENT, false);
    link_down(node);
}

// What a node says of itself.
static void describe(const struct node *node, struct node_info *info, struct resource_need capacity[3], struct pair labels[2])
{
    capacity[0] = (struct resource_need){"cpu", node->cpu_millis};
    capacity[1] = (struct resource_need){"licence", node->licences};
    capacity[2] = (struct resource_need){"memory", node->memory_bytes};
    labels[0] = (struct pair){"os", "linux"};
    labels[1] = (struct pair){"zone", node->zone};
    *info = (struct node_info){
        .name = node->name,
        .identity = node->identity,
        .spawner = node->spawner.instance_text,
        .boot_id = node->boot_id,
        .version = "sim",
        .capacity = capacity,
        .n_capacity = 3,
        .labels = labels,
        .n_labels = 2,
        .tasks_max = node->tasks_max,
    };
}

static int on_challenge(struct node *node, const struct wire_message *message, struct err *err)
{
    static const uint8_t zero[WIRE_PROOF_BYTES];
    int rc = agent_core_challenged(node->core, message->challenge.epoch, err);
    if (rc < 0)
        return rc;
    struct node_info info;
    struct resource_need capacity[3];
    struct pair labels[2];
    describe(node, &info, capacity, labels);
    struct wire_message hello = {.kind = WIRE_HELLO};
    hello.hello = (struct wire_hello){.version = WIRE_VERSION, .nonce = {zero, WIRE_NONCE_BYTES}, .proof = {zero, sizeof(zero)}};
    node->phase = LINK_HELLO_SENT;
    agent_core_hello(node->core, machine_mono(&node->machine), &info, &hello.hello.hello);
    conn_send(node->conn, END_AGENT, &hello);
    return 0;
}

static int receive(struct node *node, struct wire_message *message, struct err *err)
{
    int rc = agent_core_receive(node->core, machine_mono(&node->machine), message, err);
    if (rc == 0 && message->kind == WIRE_WELCOME) {
        trace(node->sim, node->actor, TR_AGENT_OPEN, message->welcome.welcome.epoch, 0, 0);
        node->steady_usec = node->sim->now;
    }
    return rc;
}

// A planted bug: what the agent's decisions would refuse as known goes to the executor, which does not look either.
static void start_again(struct node *node, const struct fx_start *orders)
{
    struct executor *executor = &node->executor->base;
    for (size_t i = 0; i < orders->n; i++) {
        const struct start_order *order = &orders->order[i];
        const struct job_spec *spec = NULL;
        bool known = map_get(&node->spawner.by_fence, order->fence) != NULL || map_get(&node->spawner.forgotten, order->fence) != NULL;
        if (!known || spec_unpack(order->spec, &node->arena, &spec, NULL) < 0)
            continue;
        struct exec_start start = {.fence = order->fence, .run_id = order->run_id, .index = order->index, .attempt = order->attempt, .spec = spec,
                                   .lease_until_boot_usec = node->spawner.lease_boot_usec};
        executor->ops->start(executor, &start);
    }
}

static int dispatch(struct node *node, struct wire_message *message, struct err *err)
{
    if (planted(node->sim, PLANT_OLD_EPOCH) && message->kind != WIRE_CHALLENGE)
        message->epoch = node->kept_epoch > message->epoch ? node->kept_epoch : message->epoch;
    if (planted(node->sim, PLANT_LONG_LEASE) && message->kind == WIRE_LEASE)
        message->lease.lease_usec *= 3;
    if (planted(node->sim, PLANT_DROP_KILL) && message->kind == WIRE_WELCOME)
        message->welcome.welcome.n_kill = 0;
    if (planted(node->sim, PLANT_SKIP_FENCE_CHECK) && message->kind == WIRE_START && node->phase == LINK_OPEN)
        start_again(node, &message->start);
    if (node->phase == LINK_OPEN)
        return receive(node, message, err);
    if (message->kind == WIRE_REFUSE)
        return err_set(err, message->refuse.code < 0 ? message->refuse.code : ERR_PROTOCOL, "refused");
    if (node->phase == LINK_CONNECTING && message->kind == WIRE_CHALLENGE)
        return on_challenge(node, message, err);
    if (node->phase == LINK_HELLO_SENT && message->kind == WIRE_WELCOME) {
        node->phase = LINK_OPEN;
        node->backoff_usec = backoff_least_usec;
        timer_stop(&node->link_timer);
        return receive(node, message, err);
    }
    return err_set(err, ERR_PROTOCOL, "the server sent a message of kind %d before its proof", (int)message->kind);
}

// Keeps an order, so that it can appear again when its epoch is over.
static void remember(struct node *node, const struct wire_message *message, struct bytes bytes)
{
    if (message->kind != WIRE_START && message->kind != WIRE_STOP)
        return;
    if (node->old_message.len > 0 && !prng_chance(&node->prng, 300))
        return;
    buf_clear(&node->old_message);
    buf_add(&node->old_message, bytes.data, bytes.len);
    node->old_message_epoch = message->epoch;
}

void agent_packet(struct node *node, struct conn *conn, struct bytes bytes)
{
    struct sim *sim = node->sim;
    if (node->conn != conn || node->ending)
        return; // about to end: nothing more is obeyed
    struct err err = {0};
    const struct wire_message *message = NULL;
    arena_clear(&node->arena);
    int rc = wire_unpack(bytes, &node->arena, &message, &err);
    trace(sim, node->actor, TR_RECEIVE, message != NULL ? (uint64_t)message->kind : 0, conn->id, bytes.len);
    if (rc == 0) {
        struct wire_message copy = *message;
        uint64_t obeyed = node->kept_epoch;
        remember(node, message, bytes);
        rc = dispatch(node, &copy, &err);
        bool order = message->kind == WIRE_START || message->kind == WIRE_STOP;
        hold(sim, INV_AGENT_EPOCH, rc < 0 || !order || message->epoch >= obeyed, "node %s carries out an order of epoch %llu after it has obeyed epoch %llu", node->name,
             (unsigned long long)message->epoch, (unsigned long long)obeyed);
    }
    agent_wake(node);
    if (rc == 0)
        return;
    trace(sim, node->actor, TR_BAD_MESSAGE, conn->id, (uint64_t)(int64_t)rc, 0);
    node->ending = true;
}
