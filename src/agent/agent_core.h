// SPDX-License-Identifier: Apache-2.0
// The agent's decisions, without sockets and clocks: time comes with the calls, orders go to an executor, messages to a port. The shell
// (agent/agent.c) and the simulator run it unchanged.
//
// What it holds to:
//   * It obeys no epoch lower than the highest it has obeyed, and a higher one only once that is kept durably (port.keep_epoch).
//   * It starts a fence once. A repeated order for a fence that it knows changes nothing; one for a fence that it does not know but that
//     is not above all it has seen is answered by "not started": either the leader holds its end already, or it certainly did not run here.
//   * An end is told until it is acknowledged, and only then forgotten by the executor. Reports go in batches, a few in flight; what was
//     in flight when a session ended is told again in the next one. A start whose end is known is not told apart from it.
//   * A lease counts from the moment at which the heartbeat that earned it was sent, on the clock that counts suspended time. When it ends,
//     at_most_once attempts are stopped and no new one is started; at_least_once attempts go on for as long as they like.
//   * The end of a session, or of the leader, changes nothing about what runs.
#pragma once

#include "exec/executor.h"
#include "model/wire.h"

struct agent_core;

// What it wants done outside. Calls come from within the calls below; they must not call back into the core.
struct agent_port {
    // Sends to the server of the open session. Everything is borrowed for the call.
    void (*send)(void *context, const struct wire_message *);
    // Returns 0 once the epoch is durable.
    int (*keep_epoch)(void *context, uint64_t epoch, struct err *);
    // Asks for this session to be ended soon (agent_core_disconnected follows) and another one to be opened.
    void (*end_session)(void *context, const struct err *why);
    void *context;
};

struct agent_core_options {
    struct agent_port port;
    uint64_t highest_epoch;   // kept before; 0: none
    size_t report_bytes_max;  // of one REPORT, roughly
    uint32_t tasks_max;       // attempts at a time; an order beyond it is answered by "not started"
};

struct agent_core *agent_core_new(const struct agent_core_options *);
// Leaves executor and attempts alone. NULL is allowed.
void agent_core_free(struct agent_core *);

// What the executor has to be opened with.
struct executor_sink agent_core_sink(struct agent_core *);
// Borrows the executor and learns which attempts it holds. Call once, before anything below.
void agent_core_attach(struct agent_core *, struct executor *);

// A session, in this order. boot_usec is clock_boot_usec().
//
// Whether the server that sent CHALLENGE may be obeyed: ERR_STORE_FENCED when its epoch is lower than what was obeyed already.
int agent_core_challenged(const struct agent_core *, uint64_t epoch, struct err *);
// Fills what HELLO says; the arrays live in the core until the next call. The lease of the WELCOME counts from now.
void agent_core_hello(struct agent_core *, usec_t boot_usec, const struct node_info *, struct ev_node_hello *ret_hello);
// Handles a message: WELCOME first (its sender has been authenticated), then LEASE, START, STOP, ACK. REFUSE returns its code and
// sentence. Any other error: the session must be ended; what was obeyed so far stays.
int agent_core_receive(struct agent_core *, usec_t boot_usec, const struct wire_message *, struct err *);
bool agent_core_open(const struct agent_core *);
void agent_core_disconnected(struct agent_core *);

// Time has passed: sends heartbeats, ends what a lease no longer covers. Call at the deadline; calling too often does no harm.
void agent_core_tick(struct agent_core *, usec_t boot_usec);
// On the same clock; USEC_NEVER: nothing is timed.
usec_t agent_core_deadline(const struct agent_core *);
// The end of a turn: reports what has gathered.
void agent_core_flush(struct agent_core *);

struct agent_stats {
    size_t alive;    // ordered or running
    size_t ended;    // their end is not acknowledged
    size_t in_flight; // reports
    uint64_t epoch;
    usec_t lease_until_boot_usec; // 0: never had one
};
void agent_core_stats(const struct agent_core *, struct agent_stats *ret_stats);
