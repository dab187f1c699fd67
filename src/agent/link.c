// SPDX-License-Identifier: Apache-2.0
// The agent's connection to whichever server leads.

#include "agent/link.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/codec.h"

#define BACKOFF_LEAST_USEC (50 * USEC_PER_MSEC)
#define BACKOFF_MOST_USEC (5 * USEC_PER_SEC)
// From the connection to WELCOME, which waits for a commit of the server.
#define OPEN_TIMEOUT_USEC (10 * USEC_PER_SEC)

enum link_state { LINK_WAITING, LINK_CONNECTING, LINK_HELLO_SENT, LINK_OPEN };

struct link {
    struct link_options options;
    struct handshake_key key;
    struct net_address *servers;
    size_t at; // the server that is tried, or talked to
    enum link_state state;
    struct frame_conn *conn;
    struct loop_timer timer; // LINK_WAITING: when to try again; otherwise, until open: when to give up
    struct loop_deferred ending;
    struct err end_why;
    bool said_hello;
    usec_t backoff_usec;
    struct prng prng;
    uint8_t server_nonce[WIRE_NONCE_BYTES], nonce[WIRE_NONCE_BYTES];
    struct arena arena; // of one message
};

static void link_message(void *context, struct bytes message);
static void link_closed(void *context, const struct err *why);

static const struct frame_calls link_frame_calls = {.on_message = link_message, .on_closed = link_closed};

// A wait around `usec`, from three quarters of it to five quarters: agents that lost one server do not come back as one.
static usec_t link_jitter(struct link *link, usec_t usec)
{
    return usec * 3 / 4 + (usec_t)prng_below(&link->prng, (uint64_t)usec / 2 + 1);
}

static void link_down(struct link *link, const struct err *why)
{
    struct net_address server = link->servers[link->at];
    bool said_hello = link->said_hello, was_open = link->state == LINK_OPEN;
    frame_free(link->conn);
    link->conn = NULL;
    link->state = LINK_WAITING;
    link->said_hello = false;
    // The next server at once; once round all of them, after a wait. The one that was lost comes first again: it may only have restarted.
    usec_t wait = link_jitter(link, BACKOFF_LEAST_USEC);
    if (!was_open) {
        link->at = (link->at + 1) % link->options.n_servers;
        if (link->at == 0) {
            wait = link_jitter(link, link->backoff_usec);
            link->backoff_usec = usec_min(link->backoff_usec * 3 / 2, BACKOFF_MOST_USEC);
        } else {
            wait = 0;
        }
    }
    loop_timer_set(&link->timer, clock_mono_usec() + wait);
    link->options.calls->on_down(link->options.context, &server, said_hello, why);
}

static void link_connect(struct link *link)
{
    must(link->state == LINK_WAITING && link->conn == NULL);
    struct frame_options options = {
        .loop = link->options.loop,
        .message_bytes_max = link->options.message_bytes_max,
        .queue_bytes_max = link->options.queue_bytes_max,
        .calls = &link_frame_calls,
        .context = link,
    };
    struct err err = {0};
    if (frame_connect(&options, &link->servers[link->at], &link->conn, &err) < 0) {
        link_down(link, &err);
        return;
    }
    link->state = LINK_CONNECTING;
    loop_timer_set(&link->timer, clock_mono_usec() + OPEN_TIMEOUT_USEC);
}

static void link_timer(void *context)
{
    struct link *link = context;
    if (link->state == LINK_WAITING) {
        link_connect(link);
        return;
    }
    struct err err = {0};
    err_set(&err, ERR_TIMEOUT, "the server did not open the session in time");
    link_down(link, &err);
}

static void link_ending(void *context)
{
    struct link *link = context;
    if (link->state != LINK_WAITING)
        link_down(link, &link->end_why);
}

static void link_pack(struct link *link, const struct wire_message *message)
{
    wire_pack(frame_begin(link->conn), message);
    frame_end(link->conn);
}

static int link_challenged(struct link *link, const struct wire_message *message, struct err *err)
{
    const struct wire_challenge *challenge = &message->challenge;
    if (challenge->version != WIRE_VERSION)
        return err_set(err, ERR_VERSION, "the server speaks version %u of the protocol, this agent version %d", challenge->version, WIRE_VERSION);
    if (challenge->nonce.len != WIRE_NONCE_BYTES)
        return err_set(err, ERR_PROTOCOL, "the server's CHALLENGE has no nonce");
    int rc = link->options.calls->on_challenge(link->options.context, challenge->epoch, err);
    if (rc < 0)
        return rc;
    memcpy(link->server_nonce, challenge->nonce.data, WIRE_NONCE_BYTES);
    handshake_random(link->nonce, sizeof(link->nonce));
    uint8_t proof[WIRE_PROOF_BYTES];
    handshake_agent_proof(&link->key, link->server_nonce, link->nonce, link->options.node, proof);
    struct wire_message hello = {.kind = WIRE_HELLO};
    hello.hello = (struct wire_hello){
        .version = WIRE_VERSION, .nonce = {link->nonce, sizeof(link->nonce)}, .proof = {proof, sizeof(proof)}};
    link->state = LINK_HELLO_SENT;
    link->said_hello = true;
    link->options.calls->on_hello(link->options.context, &hello.hello.hello);
    link_pack(link, &hello);
    return 0;
}

static int link_welcomed(struct link *link, const struct wire_message *message, struct err *err)
{
    uint8_t proof[WIRE_PROOF_BYTES];
    handshake_server_proof(&link->key, link->server_nonce, link->nonce, proof);
    if (!handshake_proof_equal(message->welcome.proof, proof))
        return err_set(err, ERR_UNAUTHENTICATED, "the server does not hold this cluster's agent key");
    link->state = LINK_OPEN;
    link->backoff_usec = BACKOFF_LEAST_USEC;
    loop_timer_set(&link->timer, USEC_NEVER);
    return link->options.calls->on_message(link->options.context, message, err);
}

static int link_dispatch(struct link *link, const struct wire_message *message, struct err *err)
{
    if (link->state == LINK_OPEN)
        return link->options.calls->on_message(link->options.context, message, err);
    if (message->kind == WIRE_REFUSE) {
        int code = message->refuse.code < 0 ? message->refuse.code : ERR_PROTOCOL;
        return err_set(err, code, "the server refused: %.*s", (int)sizeof(message->refuse.text), message->refuse.text);
    }
    if (link->state == LINK_CONNECTING && message->kind == WIRE_CHALLENGE)
        return link_challenged(link, message, err);
    if (link->state == LINK_HELLO_SENT && message->kind == WIRE_WELCOME)
        return link_welcomed(link, message, err);
    return err_set(err, ERR_PROTOCOL, "the server sent a message of kind %d before its proof", (int)message->kind);
}

static void link_message(void *context, struct bytes bytes)
{
    struct link *link = context;
    if (!list_empty(&link->ending.link))
        return; // about to end: nothing more is obeyed
    struct err err = {0};
    const struct wire_message *message = NULL;
    int rc = wire_unpack(bytes, &link->arena, &message, &err);
    if (rc == ERR_VERSION && link->state == LINK_OPEN)
        rc = 0; // a kind of message that a newer server knows: it is no order to this agent
    else if (rc == 0)
        rc = link_dispatch(link, message, &err);
    arena_clear(&link->arena);
    if (rc < 0) {
        err.code = rc;
        link_end_session(link, &err);
    }
}

static void link_closed(void *context, const struct err *why)
{
    link_down(context, why);
}

struct link *link_new(const struct link_options *options)
{
    must(options != NULL && options->n_servers > 0 && options->node != NULL && options->calls != NULL);
    must(options->key->len >= HANDSHAKE_KEY_MIN);
    struct link *link = mem_alloc(sizeof(*link));
    link->options = *options;
    link->key = *options->key;
    link->options.key = &link->key;
    link->servers = mem_alloc_array(options->n_servers, sizeof(link->servers[0]));
    memcpy(link->servers, options->servers, options->n_servers * sizeof(link->servers[0]));
    link->options.servers = link->servers;
    link->backoff_usec = BACKOFF_LEAST_USEC;
    prng_init(&link->prng, options->seed);
    arena_init(&link->arena, 256 * 1024);
    loop_timer_init(&link->timer, options->loop, link_timer, link);
    loop_deferred_init(&link->ending, options->loop, LOOP_FLUSH, link_ending, link);
    loop_timer_set(&link->timer, clock_mono_usec());
    return link;
}

void link_free(struct link *link)
{
    if (link == NULL)
        return;
    frame_free(link->conn);
    loop_timer_release(&link->timer);
    loop_deferred_release(&link->ending);
    arena_release(&link->arena);
    OPENSSL_cleanse(&link->key, sizeof(link->key));
    mem_free(link->servers);
    mem_free(link);
}

void link_send(struct link *link, const struct wire_message *message)
{
    if (link->state == LINK_OPEN)
        link_pack(link, message);
}

void link_end_session(struct link *link, const struct err *why)
{
    must(why->code < 0);
    if (link->state == LINK_WAITING || !list_empty(&link->ending.link))
        return;
    link->end_why = *why;
    loop_defer(&link->ending);
}

const struct net_address *link_server(const struct link *link)
{
    return &link->servers[link->at];
}

size_t link_queued(const struct link *link)
{
    return link->state == LINK_OPEN ? frame_queued(link->conn) : 0;
}
