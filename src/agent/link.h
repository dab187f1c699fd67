// SPDX-License-Identifier: Apache-2.0
// The agent's connection to whichever server leads: tries the servers it knows in turn, proves that it holds the cluster's key and has the
// server prove the same, hands over messages, and connects again, waiting 50 ms at first and 5 s at most between rounds, with jitter.
#pragma once

#include "base/prng.h"
#include "model/wire.h"
#include "net/frame.h"
#include "net/handshake.h"

struct link;

struct link_calls {
    // Whether a server of this epoch may be obeyed.
    int (*on_challenge)(void *context, uint64_t epoch, struct err *);
    // Fills what HELLO says; borrowed until the call returns to the loop.
    void (*on_hello)(void *context, struct ev_node_hello *ret_hello);
    // A message of a server that has proved itself, WELCOME first. An error ends the session.
    int (*on_message)(void *context, const struct wire_message *, struct err *);
    // A session, or an attempt at one, ended: `said_hello` if on_hello was called for it. Another one follows by itself.
    void (*on_down)(void *context, const struct net_address *, bool said_hello, const struct err *why);
};

struct link_options {
    struct loop *loop;                  // borrowed
    const struct net_address *servers;  // copied
    size_t n_servers;                   // at least 1
    const char *node;                   // name, borrowed
    const struct handshake_key *key;    // copied
    size_t message_bytes_max, queue_bytes_max;
    uint64_t seed; // of the jitter
    const struct link_calls *calls; // borrowed
    void *context;
};

// Begins to connect in the next turn.
struct link *link_new(const struct link_options *);
// Ends the session without a call. NULL is allowed.
void link_free(struct link *);
// Sends in the open session; does nothing when there is none.
void link_send(struct link *, const struct wire_message *);
// Ends the session at the end of the turn and opens another one.
void link_end_session(struct link *, const struct err *why);
// Of the open session.
const struct net_address *link_server(const struct link *);
size_t link_queued(const struct link *);
