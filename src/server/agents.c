// SPDX-License-Identifier: Apache-2.0
// Sessions of the agents. See server/agents.h.
#include "server/agents.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/codec.h"
#include "net/frame.h"
#include "net/gate.h"

enum {
    WELCOME_USEC = 10000000, // for the commit that carries it
    SPARE_SESSIONS = 256,    // beyond one for each node: nodes that come back before their old session was seen to end
    LOG_READ_USEC = 10000000,
    START_SPEC_BYTES = 1024 * 1024, // of different specs in one START message
};

// GREETED: it came through the gate, the core decides. OPEN: welcomed.
enum session_state { GREETED, OPEN };

struct session {
    struct list link;
    struct agents *agents;
    uint64_t id;
    struct frame_conn *conn;
    enum session_state state;
    char *node;
    uint8_t proof[WIRE_PROOF_BYTES]; // for WELCOME
    struct loop_timer timer;
    usec_t heard_mono_usec;
};

struct log_request {
    struct list link; // by deadline
    uint64_t number;
    uint64_t session; // 0: the node had none
    usec_t until_mono_usec;
    agents_log_call *done;
    void *context;
};

struct agents {
    struct agents_options options;
    struct gate *gate;
    struct list sessions;
    size_t n_sessions;
    uint64_t next_session;
    struct map by_id;       // session id -> struct session
    struct strmap by_node;  // node name -> open session
    struct map log_by_number;
    struct list log_requests; // by deadline
    uint64_t next_log;
    struct loop_timer log_timer;
    struct arena arena; // of one message
    bool paused;
    bool closing; // the gate is gone
};

static void session_event(struct session *session, struct event *event)
{
    event->wall_usec = clock_wall_usec();
    event->mono_usec = clock_mono_usec();
    engine_event(session->agents->options.engine, event);
}

static void log_end(struct agents *agents, struct log_request *request, const struct wire_log_data *data)
{
    agents_log_call *done = request->done;
    void *context = request->context;
    map_del(&agents->log_by_number, request->number);
    list_del(&request->link);
    mem_free(request);
    done(context, data);
}

static void log_fail(struct agents *agents, struct log_request *request, int code, const char *text)
{
    struct wire_log_data data = {.request = request->number, .code = code, .text = text};
    log_end(agents, request, &data);
}

static void accept_more(struct agents *agents)
{
    if (agents->closing)
        return;
    bool pause = agents->options.engine == NULL || agents->n_sessions >= (size_t)agents->options.limits->value[LIMIT_NODES] + SPARE_SESSIONS;
    if (pause != agents->paused)
        gate_pause(agents->gate, pause);
    agents->paused = pause;
}

// Ends a session for this side; the core is told by its caller where it does not know yet. finish: what was sent may still leave.
static void session_end(struct session *session, bool finish)
{
    struct agents *agents = session->agents;
    if (strmap_get(&agents->by_node, session->node) == session)
        strmap_del(&agents->by_node, session->node);
    map_del(&agents->by_id, session->id);
    list_del(&session->link);
    agents->n_sessions--;
    loop_timer_release(&session->timer);
    if (finish)
        frame_finish(session->conn);
    else
        frame_free(session->conn);
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &agents->log_requests) {
        struct log_request *request = list_entry(pos, struct log_request, link);
        if (request->session == session->id)
            request->until_mono_usec = 0; // ended by the timer, not from here
    }
    loop_timer_set(&agents->log_timer, clock_mono_usec());
    mem_free(session->node);
    mem_free(session);
    accept_more(agents);
}

static void session_gone(struct session *session, bool finish)
{
    struct event event = {.kind = EV_NODE_GONE, .session.session = session->id};
    session_event(session, &event);
    session_end(session, finish);
}

static void send_message(struct session *session, const struct wire_message *message)
{
    wire_pack(frame_begin(session->conn), message);
    frame_end(session->conn);
}

static uint64_t epoch_of(const struct agents *agents)
{
    return core_epoch(engine_core(agents->options.engine));
}

// Tells why, then ends the session.
static void refuse(struct session *session, int code, const char *text)
{
    log_warn("agent refused", "session=%llu node=\"%s\" error=%s why=\"%s\"", (unsigned long long)session->id,
             session->node, err_name(code), text);
    struct wire_message message = {.kind = WIRE_REFUSE, .epoch = epoch_of(session->agents), .refuse.code = code};
    snprintf(message.refuse.text, sizeof(message.refuse.text), "%s", text);
    send_message(session, &message);
}

static void on_log_data(struct session *session, const struct wire_log_data *data)
{
    struct log_request *request = map_get(&session->agents->log_by_number, data->request);
    if (request != NULL && request->session == session->id)
        log_end(session->agents, request, data);
}

// Returns false when a message of this kind may not come now.
static bool take_message(struct session *session, const struct wire_message *message)
{
    struct event event = {0};
    if (session->state != OPEN)
        return false;
    switch (message->kind) {
    case WIRE_HEARTBEAT:
        event.kind = EV_NODE_HEARTBEAT;
        event.session = (struct ev_node_session){.session = session->id, .heartbeat = message->heartbeat};
        session_event(session, &event);
        return true;
    case WIRE_REPORT:
        event.kind = EV_NODE_REPORT;
        event.report = message->report;
        event.report.session = session->id;
        session_event(session, &event);
        return true;
    case WIRE_LOG_DATA:
        on_log_data(session, &message->log_data);
        return true;
    default:
        return false;
    }
}

static void on_message(void *context, struct bytes bytes)
{
    struct session *session = context;
    struct agents *agents = session->agents;
    struct err err = {0};
    const struct wire_message *message;
    session->heard_mono_usec = clock_mono_usec();
    arena_clear(&agents->arena);
    if (wire_unpack(bytes, &agents->arena, &message, &err) < 0) {
        refuse(session, err.code, err.text);
        session_gone(session, true);
    } else if (!take_message(session, message)) {
        refuse(session, ERR_PROTOCOL, "the message is not one that may come now");
        session_gone(session, true);
    }
}

static void on_closed(void *context, const struct err *why)
{
    struct session *session = context;
    log_info("agent disconnected", "node=\"%s\" session=%llu why=\"%s\"", session->node, (unsigned long long)session->id, why->text);
    session_gone(session, false);
}

static const struct frame_calls session_calls = {.on_message = on_message, .on_closed = on_closed};

// No welcome for too long, or no heartbeat for as long as its lease.
static void on_session_timer(void *context)
{
    struct session *session = context;
    usec_t patience = session->state == OPEN ? session->agents->options.limits->value[LIMIT_NODE_LEASE] : WELCOME_USEC;
    usec_t until = usec_add(session->heard_mono_usec, patience);
    if (clock_mono_usec() < until) {
        loop_timer_set(&session->timer, until);
        return;
    }
    log_warn("agent is silent", "node=\"%s\" session=%llu", session->node, (unsigned long long)session->id);
    session_gone(session, false);
}

static uint64_t on_gate_epoch(void *context)
{
    return epoch_of(context);
}

// An agent that holds the cluster's key.
static void on_agent(void *context, const struct gate_agent *agent)
{
    struct agents *agents = context;
    struct session *session = mem_alloc(sizeof(*session));
    session->agents = agents;
    session->id = ++agents->next_session;
    session->heard_mono_usec = clock_mono_usec();
    session->node = mem_strdup(agent->hello->hello.info->name);
    memcpy(session->proof, agent->proof, sizeof(session->proof));
    list_init(&session->link);
    list_add_tail(&agents->sessions, &session->link);
    agents->n_sessions++;
    map_put(&agents->by_id, session->id, session);
    struct frame_options options = {
        .loop = agents->options.loop,
        .message_bytes_max = (size_t)agents->options.limits->value[LIMIT_FRAME_BYTES],
        .queue_bytes_max = (size_t)agents->options.limits->value[LIMIT_SESSION_QUEUE],
        .calls = &session_calls,
        .context = session,
    };
    session->conn = agent->conn;
    frame_adopt(session->conn, &options);
    loop_timer_init(&session->timer, agents->options.loop, on_session_timer, session);
    loop_timer_set(&session->timer, session->heard_mono_usec + WELCOME_USEC);
    if (engine_overfull(agents->options.engine)) {
        // Its welcome would have to wait as well, and it will ask again.
        refuse(session, ERR_UNAVAILABLE, "too much waits for the store of the server; no session is opened until it has caught up");
        session_end(session, true);
        return;
    }
    struct event event = {.kind = EV_NODE_HELLO, .hello = agent->hello->hello};
    event.hello.session = session->id;
    session_event(session, &event);
    accept_more(agents);
}

static void on_refused(void *context, const struct err *why)
{
    // Connections that come and go, or are cut, are nothing to report; an agent that cannot join is.
    if (why->code == ERR_UNAUTHENTICATED || why->code == ERR_VERSION)
        log_warn("agent refused", "error=%s why=\"%s\"", err_name(why->code), why->text);
    else
        log_debug("connection to the agent port ended", "error=%s why=\"%s\"", err_name(why->code), why->text);
}

// ---- effects

static void welcome(struct session *session, const struct fx_welcome *fx)
{
    struct agents *agents = session->agents;
    must(session->state == GREETED);
    session->state = OPEN;
    // A node that comes back before its old session was noticed to be gone has two for a moment: the newer one counts.
    strmap_put(&agents->by_node, session->node, session);
    loop_timer_set(&session->timer, clock_mono_usec() + agents->options.limits->value[LIMIT_NODE_LEASE]);
    struct wire_message message = {.kind = WIRE_WELCOME, .epoch = fx->epoch, .welcome = {.proof = {session->proof, sizeof(session->proof)}, .welcome = *fx}};
    send_message(session, &message);
    log_info("agent connected", "node=\"%s\" session=%llu node_id=%u", session->node, (unsigned long long)session->id, fx->node_id);
    accept_more(agents);
}

// Orders leave in messages that stay far below the largest frame, whatever their specs are.
static void start(struct session *session, const struct fx_start *fx)
{
    size_t first = 0;
    size_t spec_bytes = 0;
    for (size_t i = 0; i < fx->n; i++) {
        bool same = i > first && fx->order[i].spec.len == fx->order[i - 1].spec.len &&
                    memcmp(fx->order[i].spec.data, fx->order[i - 1].spec.data, fx->order[i].spec.len) == 0;
        size_t more = same ? 0 : fx->order[i].spec.len;
        if (i > first && spec_bytes + more > START_SPEC_BYTES) {
            struct wire_message message = {.kind = WIRE_START, .epoch = epoch_of(session->agents), .start = {i - first, fx->order + first}};
            send_message(session, &message);
            first = i;
            spec_bytes = 0;
            more = fx->order[i].spec.len;
        }
        spec_bytes += more;
    }
    if (first == fx->n)
        return;
    struct wire_message message = {.kind = WIRE_START, .epoch = epoch_of(session->agents), .start = {fx->n - first, fx->order + first}};
    send_message(session, &message);
}

void agents_effect(struct agents *agents, const struct effect *effect)
{
    struct session *session = map_get(&agents->by_id, effect->session);
    if (session == NULL)
        return;
    struct wire_message message;
    switch (effect->kind) {
    case FX_WELCOME:
        welcome(session, &effect->welcome);
        return;
    case FX_REFUSE:
        refuse(session, effect->refuse.code, effect->refuse.text);
        session_end(session, true);
        return;
    case FX_START:
        start(session, &effect->start);
        return;
    case FX_LEASE:
    case FX_STOP:
    case FX_ACK:
        must(effect_message(effect, epoch_of(agents), &message));
        break;
    case FX_REPLY:
    case FX_KINDS:
        unreachable();
    }
    send_message(session, &message);
}

// ---- output of tasks

static void on_log_timer(void *context)
{
    struct agents *agents = context;
    usec_t now = clock_mono_usec();
    usec_t next = USEC_NEVER;
    for (bool again = true; again;) {
        again = false;
        next = USEC_NEVER;
        struct list *pos;
        list_for_each(pos, &agents->log_requests) {
            struct log_request *request = list_entry(pos, struct log_request, link);
            if (request->until_mono_usec > now) {
                next = usec_min(next, request->until_mono_usec);
                continue;
            }
            // Whoever is told may ask again at once, and so change the list.
            if (request->until_mono_usec == 0)
                log_fail(agents, request, ERR_UNAVAILABLE, "the node that has this output is not connected");
            else
                log_fail(agents, request, ERR_TIMEOUT, "the node that has this output did not answer");
            again = true;
            break;
        }
    }
    if (!list_empty(&agents->log_requests) && next != USEC_NEVER)
        loop_timer_set(&agents->log_timer, next);
}

uint64_t agents_log_read(struct agents *agents, const char *node, const struct wire_log_read *what, agents_log_call *done, void *context)
{
    struct session *session = strmap_get(&agents->by_node, node);
    struct log_request *request = mem_alloc(sizeof(*request));
    request->number = ++agents->next_log;
    request->session = session != NULL ? session->id : 0;
    request->until_mono_usec = session != NULL ? clock_mono_usec() + LOG_READ_USEC : 0;
    request->done = done;
    request->context = context;
    list_init(&request->link);
    list_add_tail(&agents->log_requests, &request->link);
    map_put(&agents->log_by_number, request->number, request);
    if (session == NULL) {
        loop_timer_set(&agents->log_timer, clock_mono_usec());
        return request->number;
    }
    if (agents->log_timer.mono_usec == USEC_NEVER)
        loop_timer_set(&agents->log_timer, request->until_mono_usec);
    struct wire_message message = {.kind = WIRE_LOG_READ, .epoch = epoch_of(agents), .log_read = *what};
    message.log_read.request = request->number;
    send_message(session, &message);
    return request->number;
}

void agents_log_forget(struct agents *agents, uint64_t number)
{
    struct log_request *request = map_del(&agents->log_by_number, number);
    if (request == NULL)
        return;
    list_del(&request->link);
    mem_free(request);
}

// ---- life

int agents_open(const struct agents_options *options, struct agents **ret_agents, struct err *err)
{
    struct agents *agents = mem_alloc(sizeof(*agents));
    agents->options = *options;
    list_init(&agents->sessions);
    list_init(&agents->log_requests);
    loop_timer_init(&agents->log_timer, options->loop, on_log_timer, agents);
    struct gate_options gate_options = {
        .loop = options->loop,
        .address = *options->address,
        .key = options->key,
        .limits = options->limits,
        .epoch = on_gate_epoch,
        .on_agent = on_agent,
        .on_refused = on_refused,
        .context = agents,
    };
    int code = gate_open(&gate_options, &agents->gate, err);
    if (code < 0) {
        agents_close(agents);
        return code;
    }
    accept_more(agents);
    *ret_agents = agents;
    return 0;
}

void agents_close(struct agents *agents)
{
    if (agents == NULL)
        return;
    gate_close(agents->gate);
    struct list *first;
    while ((first = list_first(&agents->log_requests)) != NULL)
        log_fail(agents, list_entry(first, struct log_request, link), ERR_CLOSED, "the server ends");
    agents->closing = true;
    while ((first = list_first(&agents->sessions)) != NULL)
        session_end(list_entry(first, struct session, link), false);
    loop_timer_release(&agents->log_timer);
    map_release(&agents->by_id);
    strmap_release(&agents->by_node);
    map_release(&agents->log_by_number);
    arena_release(&agents->arena);
    mem_free(agents);
}

void agents_lead(struct agents *agents, struct engine *engine)
{
    agents->options.engine = engine;
    accept_more(agents);
}

const struct net_address *agents_address(const struct agents *agents)
{
    return gate_address(agents->gate);
}

size_t agents_sessions(const struct agents *agents)
{
    return agents->n_sessions;
}
