// SPDX-License-Identifier: Apache-2.0
// The gate of the agent port: listens, challenges whoever connects, and hands over the connections that answered with the right proof.
//
// Nothing about strangers grows: at most GATE_WAITING_MAX connections are under way (a further one ends the oldest), each for at most
// GATE_TIMEOUT_USEC and with a HELLO of at most GATE_HELLO_BYTES_MAX.
#pragma once

#include "model/limits.h"
#include "net/frame.h"
#include "net/handshake.h"

struct gate;

enum { GATE_WAITING_MAX = 64, GATE_HELLO_BYTES_MAX = 4 * 1024 * 1024 };

#define GATE_TIMEOUT_USEC (5 * USEC_PER_SEC)

// An agent that proved itself. Everything is borrowed for the call, apart from the connection.
struct gate_agent {
    struct frame_conn *conn; // given: frame_adopt() it before returning, or free it
    const struct wire_hello *hello;
    uint8_t proof[WIRE_PROOF_BYTES]; // for WELCOME
};

struct gate_options {
    struct loop *loop; // borrowed
    struct net_address address;
    const struct handshake_key *key; // copied
    const struct limits *limits;     // borrowed
    usec_t timeout_usec; // 0: GATE_TIMEOUT_USEC
    uint64_t (*epoch)(void *context); // of this leader, for CHALLENGE
    void (*on_agent)(void *context, const struct gate_agent *);
    void (*on_refused)(void *context, const struct err *why); // for the log
    void *context;
};

// See net_listen() for the errors.
int gate_open(const struct gate_options *, struct gate **ret_gate, struct err *);
// Ends those that are under way, too.
void gate_close(struct gate *);
// Accepts no more connections, or goes on; those that wait stay in the kernel's queue.
void gate_pause(struct gate *, bool pause);
const struct net_address *gate_address(const struct gate *);
// Connections that have not proved themselves yet.
size_t gate_waiting(const struct gate *);
