// SPDX-License-Identifier: Apache-2.0
// The gate of the agent port.

#include "net/gate.h"

#include <openssl/crypto.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/codec.h"
#include "net/listener.h"

struct gate {
    struct gate_options options;
    struct handshake_key key;
    struct listener *listener;
    struct loop_timer timer;
    struct list waiting; // oldest first, so that the first is the next to time out
    size_t n_waiting;
};

struct stranger {
    struct gate *gate;
    struct list link;
    struct frame_conn *conn;
    usec_t until_mono_usec;
    uint8_t nonce[WIRE_NONCE_BYTES];
};

static void stranger_message(void *context, struct bytes message);
static void stranger_closed(void *context, const struct err *why);

static const struct frame_calls stranger_calls = {.on_message = stranger_message, .on_closed = stranger_closed};

static void gate_rearm(struct gate *gate)
{
    struct list *first = list_first(&gate->waiting);
    loop_timer_set(&gate->timer, first == NULL ? USEC_NEVER : list_entry(first, struct stranger, link)->until_mono_usec);
}

// Forgets a stranger and returns its connection.
static struct frame_conn *stranger_drop(struct stranger *stranger)
{
    struct gate *gate = stranger->gate;
    struct frame_conn *conn = stranger->conn;
    list_del(&stranger->link);
    must(gate->n_waiting > 0);
    gate->n_waiting--;
    mem_free(stranger);
    gate_rearm(gate);
    return conn;
}

static void conn_send(struct frame_conn *conn, const struct wire_message *message)
{
    wire_pack(frame_begin(conn), message);
    frame_end(conn);
}

// Says why, and ends the connection.
static void stranger_refuse(struct stranger *stranger, const struct err *why)
{
    struct gate *gate = stranger->gate;
    struct frame_conn *conn = stranger_drop(stranger);
    struct wire_message message = {.kind = WIRE_REFUSE, .refuse = {.code = why->code}};
    must(sizeof(message.refuse.text) >= sizeof(why->text));
    memcpy(message.refuse.text, why->text, sizeof(why->text));
    conn_send(conn, &message);
    frame_finish(conn);
    gate->options.on_refused(gate->options.context, why);
}

static int hello_check(const struct stranger *stranger, const struct wire_message *message, struct err *err)
{
    if (message->kind != WIRE_HELLO)
        return err_set(err, ERR_PROTOCOL, "an agent must say HELLO first");
    const struct wire_hello *hello = &message->hello;
    if (hello->version != WIRE_VERSION)
        return err_set(err, ERR_VERSION, "the agent speaks version %u of the protocol, this server version %d", hello->version, WIRE_VERSION);
    const struct node_info *info = hello->hello.info;
    if (info == NULL || info->name == NULL || info->name[0] == '\0' || info->identity == NULL || hello->nonce.len != WIRE_NONCE_BYTES)
        return err_set(err, ERR_PROTOCOL, "the agent's HELLO is incomplete");
    uint8_t proof[WIRE_PROOF_BYTES];
    handshake_agent_proof(&stranger->gate->key, stranger->nonce, hello->nonce.data, info->name, proof);
    if (!handshake_proof_equal(hello->proof, proof))
        return err_set(err, ERR_UNAUTHENTICATED, "the agent that calls itself '%.100s' does not hold this cluster's agent key", info->name);
    return 0;
}

static void stranger_message(void *context, struct bytes bytes)
{
    struct stranger *stranger = context;
    struct gate *gate = stranger->gate;
    struct arena arena = {0};
    struct err why = {0};
    const struct wire_message *message = NULL;
    int rc = wire_unpack(bytes, &arena, &message, &why);
    if (rc == 0)
        rc = hello_check(stranger, message, &why);
    if (rc < 0) {
        why.code = rc;
        stranger_refuse(stranger, &why);
    } else {
        struct gate_agent agent = {.hello = &message->hello};
        handshake_server_proof(&gate->key, stranger->nonce, message->hello.nonce.data, agent.proof);
        agent.conn = stranger_drop(stranger);
        gate->options.on_agent(gate->options.context, &agent);
    }
    arena_release(&arena);
}

static void stranger_closed(void *context, const struct err *why)
{
    struct stranger *stranger = context;
    struct gate *gate = stranger->gate;
    frame_free(stranger_drop(stranger));
    gate->options.on_refused(gate->options.context, why);
}

static void gate_expire(void *context)
{
    struct gate *gate = context;
    usec_t now = clock_mono_usec();
    for (struct list *first = list_first(&gate->waiting); first != NULL; first = list_first(&gate->waiting)) {
        struct stranger *stranger = list_entry(first, struct stranger, link);
        if (stranger->until_mono_usec > now)
            break;
        struct err why = {0};
        err_set(&why, ERR_TIMEOUT, "a connection to the agent port did not prove itself in time");
        stranger_refuse(stranger, &why);
    }
    gate_rearm(gate);
}

static void gate_accept(void *context, int fd)
{
    struct gate *gate = context;
    if (gate->n_waiting >= GATE_WAITING_MAX) {
        struct err why = {0};
        err_set(&why, ERR_LIMIT, "too many connections to the agent port have not proved themselves");
        stranger_refuse(list_entry(list_first(&gate->waiting), struct stranger, link), &why);
    }
    struct stranger *stranger = mem_alloc(sizeof(*stranger));
    stranger->gate = gate;
    stranger->until_mono_usec = clock_mono_usec() + gate->options.timeout_usec;
    handshake_random(stranger->nonce, sizeof(stranger->nonce));
    struct frame_options options = {
        .loop = gate->options.loop,
        .message_bytes_max = GATE_HELLO_BYTES_MAX,
        .queue_bytes_max = GATE_HELLO_BYTES_MAX,
        .calls = &stranger_calls,
        .context = stranger,
    };
    stranger->conn = frame_open(&options, fd);
    list_add_tail(&gate->waiting, &stranger->link);
    gate->n_waiting++;
    gate_rearm(gate);

    struct wire_message challenge = {.kind = WIRE_CHALLENGE, .epoch = gate->options.epoch(gate->options.context)};
    challenge.challenge = (struct wire_challenge){.version = WIRE_VERSION,
                                                  .epoch = challenge.epoch,
                                                  .nonce = {.data = stranger->nonce, .len = sizeof(stranger->nonce)}};
    conn_send(stranger->conn, &challenge);
}

int gate_open(const struct gate_options *options, struct gate **ret_gate, struct err *err)
{
    must(options != NULL && options->loop != NULL && options->limits != NULL && options->key != NULL && ret_gate != NULL);
    must(options->epoch != NULL && options->on_agent != NULL && options->on_refused != NULL);
    must(options->key->len >= HANDSHAKE_KEY_MIN);
    struct gate *gate = mem_alloc(sizeof(*gate));
    gate->options = *options;
    gate->key = *options->key;
    gate->options.key = &gate->key;
    if (gate->options.timeout_usec == 0)
        gate->options.timeout_usec = GATE_TIMEOUT_USEC;
    list_init(&gate->waiting);
    int rc = listener_open(options->loop, &options->address, gate_accept, gate, &gate->listener, err);
    if (rc < 0) {
        mem_free(gate);
        return rc;
    }
    loop_timer_init(&gate->timer, options->loop, gate_expire, gate);
    *ret_gate = gate;
    return 0;
}

void gate_close(struct gate *gate)
{
    if (gate == NULL)
        return;
    listener_close(gate->listener);
    for (struct list *first = list_first(&gate->waiting); first != NULL; first = list_first(&gate->waiting))
        frame_free(stranger_drop(list_entry(first, struct stranger, link)));
    loop_timer_release(&gate->timer);
    OPENSSL_cleanse(&gate->key, sizeof(gate->key));
    mem_free(gate);
}

void gate_pause(struct gate *gate, bool pause)
{
    listener_pause(gate->listener, pause);
}

const struct net_address *gate_address(const struct gate *gate)
{
    return listener_address(gate->listener);
}

size_t gate_waiting(const struct gate *gate)
{
    return gate->n_waiting;
}
