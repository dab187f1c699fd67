// SPDX-License-Identifier: Apache-2.0
// Sessions of the agents that have proved to hold the cluster's agent key: messages of agents as
// events of the core (EV_NODE_*), effects of the core as messages (all but FX_REPLY), and reads of task output, which the core does
// not know. Nothing here is done per task: a message is unpacked, given to the engine, and that is all.
//
// A session begins behind the gate (net/gate.h); it must be welcomed before it says more, and say something at least every lease of a node.
#pragma once

#include "base/err.h"
#include "engine/engine.h"
#include "model/limits.h"
#include "model/wire.h"
#include "net/address.h"
#include "net/handshake.h"
#include "net/loop.h"

struct agents;

struct agents_options {
    struct loop *loop;
    struct engine *engine; // may be set later, before the loop runs: agents_lead()
    const struct limits *limits;
    const struct handshake_key *key;
    const struct net_address *address;
};

// Listens; accepts once agents_lead() was called. Borrows all of its options.
int agents_open(const struct agents_options *, struct agents **ret_agents, struct err *);
// Closes every session and ends every read of output with ERR_CLOSED. NULL is allowed.
void agents_close(struct agents *);
// The engine leads: sessions may begin.
void agents_lead(struct agents *, struct engine *);
const struct net_address *agents_address(const struct agents *);

// Sends what the core wants done (not FX_REPLY). A session that is gone meanwhile is passed over.
void agents_effect(struct agents *, const struct effect *);

// Reads output of an attempt that ran on a node. done is called once, from the loop and not from within this call: with the answer, or
// with a code: ERR_UNAVAILABLE when the node has no session, ERR_TIMEOUT, ERR_CLOSED. *message is borrowed. Returns the number by
// which the read may be given up.
typedef void agents_log_call(void *context, const struct wire_log_data *);
uint64_t agents_log_read(struct agents *, const char *node, const struct wire_log_read *, agents_log_call *done, void *context);
// done will not be called any more. Fine when the read has ended.
void agents_log_forget(struct agents *, uint64_t number);

size_t agents_sessions(const struct agents *);
