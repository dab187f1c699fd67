// SPDX-License-Identifier: Apache-2.0
// The agent's decisions. The attempts and what is told about them: agent/attempts.c.

#include "agent/agent_core.h"

#include <string.h>

#include "agent/attempts.h"
#include "base/arena.h"
#include "base/assert.h"
#include "base/mem.h"
#include "codec/codec.h"

enum { HEARTBEATS_REMEMBERED = 16 };

#define HEARTBEAT_LEAST_USEC (10 * USEC_PER_MSEC)

enum session_state { SESSION_NONE, SESSION_HELLO_SENT, SESSION_OPEN };

struct heartbeat {
    uint64_t number; // 0: none
    usec_t sent_boot_usec;
};

struct agent_core {
    struct agent_core_options options;
    struct executor *executor;
    struct attempts attempts;
    uint64_t highest_epoch;
    uint64_t floor; // highest fence that was ever ordered here
    uint32_t resets; // of the executor

    enum session_state session;
    bool ending; // end_session was asked for
    usec_t hello_boot_usec;
    usec_t heartbeat_usec; // between two
    usec_t next_heartbeat_boot_usec;
    usec_t silence_usec; // after which a server that does not answer is given up
    usec_t heard_boot_usec;
    uint64_t last_heartbeat;
    struct heartbeat heartbeats[HEARTBEATS_REMEMBERED];

    usec_t lease_until_boot_usec; // 0: none yet
    bool lease_ended;             // and what it covered has been stopped

    struct arena arena; // of one message: unpacked specs
};

struct agent_core *agent_core_new(const struct agent_core_options *options)
{
    must(options != NULL && options->port.send != NULL && options->port.keep_epoch != NULL && options->port.end_session != NULL);
    must(options->report_bytes_max > 0 && options->tasks_max > 0);
    struct agent_core *core = mem_alloc(sizeof(*core));
    core->options = *options;
    core->highest_epoch = options->highest_epoch;
    attempts_init(&core->attempts, options->report_bytes_max);
    return core;
}

void agent_core_free(struct agent_core *core)
{
    if (core == NULL)
        return;
    attempts_release(&core->attempts);
    arena_release(&core->arena);
    mem_free(core);
}

static void core_end_session(struct agent_core *core, int code, const char *why)
{
    if (core->session == SESSION_NONE || core->ending)
        return;
    core->ending = true;
    struct err err = {0};
    err_set(&err, code, "%s", why);
    core->options.port.end_session(core->options.port.context, &err);
}

// The executor forgets an attempt, and so does the core.
static void core_forget(struct agent_core *core, struct attempt *attempt)
{
    if (attempt->held)
        core->executor->ops->forget(core->executor, attempt->fence);
    attempts_drop(&core->attempts, attempt);
}

static void core_stop(struct agent_core *core, struct attempt *attempt, enum outcome why)
{
    must(attempt->phase != PHASE_ENDED && attempt->held);
    core->executor->ops->stop(core->executor, attempt->fence, why);
}

// Records that a fence did not start here, so that it is reported.
static void core_not_started(struct agent_core *core, uint64_t fence, enum outcome outcome, const char *why)
{
    must(!outcome_may_have_started(outcome));
    struct attempt *attempt = attempts_add(&core->attempts, fence);
    struct attempt_end end = {.fence = fence, .outcome = outcome, .message = why};
    attempts_end(&core->attempts, attempt, &end);
}

// What the executor calls.

static void on_started(void *context, uint64_t fence, usec_t start_usec)
{
    struct agent_core *core = context;
    struct attempt *attempt = attempts_find(&core->attempts, fence);
    if (attempt != NULL && attempt->phase == PHASE_ORDERED)
        attempts_start(&core->attempts, attempt, start_usec);
}

static void on_ended(void *context, const struct attempt_end *end)
{
    struct agent_core *core = context;
    struct attempt *attempt = attempts_find(&core->attempts, end->fence);
    if (attempt == NULL)
        attempt = attempts_add(&core->attempts, end->fence);
    attempt->held = true;
    if (attempt->phase == PHASE_ENDED)
        return; // told again
    if (attempt->silent)
        core_forget(core, attempt);
    else
        attempts_end(&core->attempts, attempt, end);
}

static void on_held(void *context, const struct exec_attempt *held)
{
    struct agent_core *core = context;
    struct attempt *attempt = attempts_find(&core->attempts, held->fence);
    if (attempt == NULL)
        attempt = attempts_add(&core->attempts, held->fence);
    attempt->held = true;
    attempt->resets = core->resets;
    attempt->delivery = held->delivery;
    if (held->fence > core->floor)
        core->floor = held->fence;
    if (attempt->silent)
        return;
    if (!held->running && attempt->phase != PHASE_ENDED) {
        struct attempt_end end = held->end;
        end.fence = held->fence;
        attempts_end(&core->attempts, attempt, &end);
    } else if (held->running && attempt->phase == PHASE_ORDERED && held->start_usec != 0) {
        attempts_start(&core->attempts, attempt, held->start_usec);
    }
}

// What the new instance holds, with ends that the old one had made durable, stays; the rest is gone.
static void on_reset(void *context, const char *instance)
{
    struct agent_core *core = context;
    core->resets++;
    core->executor->ops->attempts(core->executor, on_held, core);
    struct attempt *next = NULL;
    for (struct attempt *attempt = attempts_first(&core->attempts, ATTEMPTS_ALIVE); attempt != NULL; attempt = next) {
        next = attempts_next(&core->attempts, ATTEMPTS_ALIVE, attempt);
        if (attempt->silent) { // the server wants to hear nothing of it; if it ends only now, that is told, and acknowledged like any end
            core_forget(core, attempt);
            continue;
        }
        if (attempt->resets == core->resets)
            continue;
        attempt->held = false;
        struct attempt_end end = {.fence = attempt->fence,
                                  .outcome = OUTCOME_LOST,
                                  .start_usec = attempt->start_usec,
                                  .message = "the spawner of the node ended unexpectedly, and its tasks with it"};
        attempts_end(&core->attempts, attempt, &end);
    }
    // The server learns of the new spawner before it relies on it.
    core_end_session(core, ERR_CLOSED, "the spawner was started again");
}

struct executor_sink agent_core_sink(struct agent_core *core)
{
    return (struct executor_sink){.on_started = on_started, .on_ended = on_ended, .on_reset = on_reset, .context = core};
}

void agent_core_attach(struct agent_core *core, struct executor *executor)
{
    must(core->executor == NULL && executor != NULL);
    core->executor = executor;
    executor->ops->attempts(executor, on_held, core);
}

// The session.

// Takes up an epoch before anything of it is obeyed.
static int core_obey(struct agent_core *core, uint64_t epoch, struct err *err)
{
    if (epoch < core->highest_epoch)
        return err_set(err, ERR_STORE_FENCED, "the server has epoch %llu, but this agent has obeyed epoch %llu", (unsigned long long)epoch,
                       (unsigned long long)core->highest_epoch);
    if (epoch == core->highest_epoch)
        return 0;
    int rc = core->options.port.keep_epoch(core->options.port.context, epoch, err);
    if (rc < 0)
        return err_wrap(err, rc, "keep epoch %llu", (unsigned long long)epoch);
    core->highest_epoch = epoch;
    return 0;
}

int agent_core_challenged(const struct agent_core *core, uint64_t epoch, struct err *err)
{
    if (epoch >= core->highest_epoch)
        return 0;
    return err_set(err, ERR_STORE_FENCED, "the server has epoch %llu, but this agent has obeyed epoch %llu", (unsigned long long)epoch,
                   (unsigned long long)core->highest_epoch);
}

void agent_core_hello(struct agent_core *core, usec_t boot_usec, const struct node_info *info, struct ev_node_hello *ret_hello)
{
    must(core->executor != NULL && core->session == SESSION_NONE && boot_usec > 0 && info != NULL);
    core->session = SESSION_HELLO_SENT;
    core->ending = false;
    core->hello_boot_usec = boot_usec;
    *ret_hello = (struct ev_node_hello){.info = info, .highest_epoch = core->highest_epoch};
    ret_hello->known = attempts_known(&core->attempts, &ret_hello->n_known);
}

static void core_renew(struct agent_core *core, usec_t sent_boot_usec, usec_t lease_usec)
{
    usec_t until = usec_add(sent_boot_usec, usec_max(lease_usec, 0));
    if (until <= core->lease_until_boot_usec)
        return; // a lease is never shortened, and answers may overtake each other
    core->lease_until_boot_usec = until;
    core->lease_ended = false;
    core->executor->ops->renew(core->executor, until);
}

// The leader wants no report of this fence: its end is durable, or it was given up. It ends here too, if it has not.
static void core_verdict_forget(struct agent_core *core, uint64_t fence)
{
    struct attempt *attempt = attempts_find(&core->attempts, fence);
    if (attempt == NULL)
        return;
    if (attempt->phase == PHASE_ENDED) {
        core_forget(core, attempt);
        return;
    }
    attempts_silence(&core->attempts, attempt, true);
    core_stop(core, attempt, OUTCOME_LEASE);
}

// The leader has given this fence up and sends no other work until it hears that it has ended, so its end is told whatever happens.
static void core_verdict_kill(struct agent_core *core, uint64_t fence)
{
    struct attempt *attempt = attempts_find(&core->attempts, fence);
    if (attempt == NULL)
        core_not_started(core, fence, OUTCOME_NOT_STARTED, "it is not here");
    else if (attempt->phase != PHASE_ENDED)
        core_stop(core, attempt, OUTCOME_LEASE);
}

static void core_verdicts(struct agent_core *core, const struct fx_welcome *welcome)
{
    // An earlier verdict counts no more: this leader may hold the attempt.
    for (struct attempt *attempt = attempts_first(&core->attempts, ATTEMPTS_ALIVE); attempt != NULL;
         attempt = attempts_next(&core->attempts, ATTEMPTS_ALIVE, attempt))
        attempts_silence(&core->attempts, attempt, false);
    for (size_t i = 0; i < welcome->n_forget; i++)
        core_verdict_forget(core, welcome->forget[i]);
    for (size_t i = 0; i < welcome->n_kill; i++)
        core_verdict_kill(core, welcome->kill[i]);
}

static int on_welcome(struct agent_core *core, usec_t boot_usec, const struct wire_message *message, struct err *err)
{
    const struct fx_welcome *welcome = &message->welcome.welcome;
    if (core->session != SESSION_HELLO_SENT)
        return err_set(err, ERR_PROTOCOL, "the server sent a WELCOME that was not asked for");
    if (welcome->lease_usec <= 0 || welcome->heartbeat_usec <= 0)
        return err_set(err, ERR_PROTOCOL, "the server's WELCOME has no lease");
    int rc = core_obey(core, welcome->epoch, err);
    if (rc < 0)
        return rc;
    core->session = SESSION_OPEN;
    core->heartbeat_usec = usec_max(welcome->heartbeat_usec, HEARTBEAT_LEAST_USEC);
    core->silence_usec = usec_max(welcome->lease_usec / 2, 2 * core->heartbeat_usec);
    core->next_heartbeat_boot_usec = boot_usec + core->heartbeat_usec;
    core->heard_boot_usec = boot_usec;
    memset(core->heartbeats, 0, sizeof(core->heartbeats));
    // What the server gave up goes before the lease would cover it again.
    core_verdicts(core, welcome);
    core_renew(core, core->hello_boot_usec, welcome->lease_usec);
    return 0;
}

static int on_lease(struct agent_core *core, usec_t boot_usec, const struct wire_message *message, struct err *err)
{
    const struct heartbeat *heartbeat = &core->heartbeats[message->lease.heartbeat % HEARTBEATS_REMEMBERED];
    core->heard_boot_usec = boot_usec;
    if (message->lease.heartbeat != 0 && heartbeat->number == message->lease.heartbeat)
        core_renew(core, heartbeat->sent_boot_usec, message->lease.lease_usec);
    return 0;
}

// Why an order must not be carried out, or NULL. Nothing of it has run here.
static const char *order_refusal(const struct agent_core *core, usec_t boot_usec, const struct start_order *order, uint64_t floor,
                                 const struct job_spec *spec)
{
    if (order->fence <= floor)
        return "the order came behind a later one";
    if (attempts_alive(&core->attempts) >= core->options.tasks_max)
        return "the node has as many tasks as it takes at a time";
    if (spec->delivery == AT_MOST_ONCE && boot_usec >= core->lease_until_boot_usec)
        return "the node's lease had ended when the order came";
    return NULL;
}

static void core_start(struct agent_core *core, const struct start_order *order, const struct job_spec *spec)
{
    struct attempt *attempt = attempts_add(&core->attempts, order->fence);
    attempt->held = true;
    attempt->resets = core->resets;
    attempt->delivery = spec->delivery;
    struct exec_start start = {
        .fence = order->fence,
        .run_id = order->run_id,
        .job_id = order->job_id,
        .index = order->index,
        .attempt = order->attempt,
        .position = order->position,
        .n_tasks = order->n_tasks,
        .nominal_usec = order->nominal_usec,
        .backfill_id = order->backfill_id,
        .params = order->params,
        .spec = spec,
        .packed = order->spec,
        .lease_until_boot_usec = core->lease_until_boot_usec,
    };
    core->executor->ops->start(core->executor, &start);
}

static int on_start(struct agent_core *core, usec_t boot_usec, const struct wire_message *message, struct err *err)
{
    int rc = core_obey(core, message->epoch, err);
    if (rc < 0)
        return rc;
    const struct fx_start *orders = &message->start;
    // Within one message the order does not matter.
    uint64_t floor = core->floor;
    const struct job_spec *spec = NULL;
    struct bytes unpacked = {0};
    bool any = false;
    struct err unreadable = {0};
    for (size_t i = 0; i < orders->n; i++) {
        const struct start_order *order = &orders->order[i];
        if (order->fence > core->floor)
            core->floor = order->fence;
        if (attempts_find(&core->attempts, order->fence) != NULL)
            continue;
        // The tasks of an array share their spec, which is then unpacked once.
        if (!any || order->spec.data != unpacked.data || order->spec.len != unpacked.len) {
            arena_clear(&core->arena);
            unpacked = order->spec;
            any = true;
            if (spec_unpack(unpacked, &core->arena, &spec, &unreadable) < 0)
                spec = NULL;
        }
        const char *refusal = spec == NULL ? NULL : order_refusal(core, boot_usec, order, floor, spec);
        if (spec == NULL) // it would be so again: the attempt failed
            core_not_started(core, order->fence, OUTCOME_SPAWN, unreadable.text);
        else if (refusal != NULL)
            core_not_started(core, order->fence, OUTCOME_NOT_STARTED, refusal);
        else
            core_start(core, order, spec);
    }
    arena_clear(&core->arena);
    return 0;
}

static int on_stop(struct agent_core *core, usec_t boot_usec, const struct wire_message *message, struct err *err)
{
    int rc = core_obey(core, message->epoch, err);
    if (rc < 0)
        return rc;
    const struct fx_stop *stop = &message->stop;
    for (size_t i = 0; i < stop->n; i++) {
        struct attempt *attempt = attempts_find(&core->attempts, stop->fence[i]);
        if (attempt == NULL) {
            // Its end is durable with the server, or its order never came and must not be obeyed any more.
            if (stop->fence[i] > core->floor)
                core->floor = stop->fence[i];
            core_not_started(core, stop->fence[i], OUTCOME_NOT_STARTED, "it was stopped before its order came");
        } else if (attempt->phase != PHASE_ENDED) {
            core_stop(core, attempt, stop->why);
        }
    }
    return 0;
}

static int on_ack(struct agent_core *core, usec_t boot_usec, const struct wire_message *message, struct err *err)
{
    struct attempt *attempt = NULL;
    while ((attempt = attempts_acknowledged(&core->attempts, message->ack.report_id)) != NULL)
        core_forget(core, attempt);
    return 0;
}

int agent_core_receive(struct agent_core *core, usec_t boot_usec, const struct wire_message *message, struct err *err)
{
    static int (*const handlers[WIRE_KINDS])(struct agent_core *, usec_t, const struct wire_message *, struct err *) = {
        [WIRE_WELCOME] = on_welcome, [WIRE_LEASE] = on_lease, [WIRE_START] = on_start, [WIRE_STOP] = on_stop, [WIRE_ACK] = on_ack,
    };
    must(core->executor != NULL && message != NULL);
    if (message->kind == WIRE_REFUSE) {
        int code = message->refuse.code < 0 ? message->refuse.code : ERR_PROTOCOL;
        return err_set(err, code, "the server refused: %.*s", (int)sizeof(message->refuse.text), message->refuse.text);
    }
    if ((int)message->kind < 0 || message->kind >= WIRE_KINDS || handlers[message->kind] == NULL)
        return err_set(err, ERR_PROTOCOL, "the server sent a message of kind %d, which is not for agents", (int)message->kind);
    if (message->kind != WIRE_WELCOME && core->session != SESSION_OPEN)
        return err_set(err, ERR_PROTOCOL, "the server sent a message of kind %d before its WELCOME", (int)message->kind);
    return handlers[message->kind](core, boot_usec, message, err);
}

bool agent_core_open(const struct agent_core *core)
{
    return core->session == SESSION_OPEN;
}

void agent_core_disconnected(struct agent_core *core)
{
    core->session = SESSION_NONE;
    core->ending = false;
    attempts_unsend(&core->attempts);
}

// Time.

static void core_stop_leased(struct agent_core *core)
{
    core->lease_ended = true;
    for (struct attempt *attempt = attempts_first(&core->attempts, ATTEMPTS_ALIVE); attempt != NULL;
         attempt = attempts_next(&core->attempts, ATTEMPTS_ALIVE, attempt)) {
        if (attempt->delivery == AT_MOST_ONCE)
            core_stop(core, attempt, OUTCOME_LEASE);
    }
}

static void core_heartbeat(struct agent_core *core, usec_t boot_usec)
{
    uint64_t number = ++core->last_heartbeat;
    core->heartbeats[number % HEARTBEATS_REMEMBERED] = (struct heartbeat){.number = number, .sent_boot_usec = boot_usec};
    // Beats that were missed, on a suspended machine, are not made up for.
    core->next_heartbeat_boot_usec = boot_usec + core->heartbeat_usec;
    struct wire_message message = {.kind = WIRE_HEARTBEAT, .epoch = core->highest_epoch, .heartbeat = number};
    core->options.port.send(core->options.port.context, &message);
}

void agent_core_tick(struct agent_core *core, usec_t boot_usec)
{
    if (core->lease_until_boot_usec != 0 && !core->lease_ended && boot_usec >= core->lease_until_boot_usec)
        core_stop_leased(core);
    if (core->session != SESSION_OPEN || core->ending)
        return;
    if (boot_usec - core->heard_boot_usec >= core->silence_usec)
        core_end_session(core, ERR_TIMEOUT, "the server does not answer");
    else if (boot_usec >= core->next_heartbeat_boot_usec)
        core_heartbeat(core, boot_usec);
}

usec_t agent_core_deadline(const struct agent_core *core)
{
    usec_t deadline = USEC_NEVER;
    if (core->lease_until_boot_usec != 0 && !core->lease_ended)
        deadline = core->lease_until_boot_usec;
    if (core->session == SESSION_OPEN && !core->ending) {
        deadline = usec_min(deadline, core->next_heartbeat_boot_usec);
        deadline = usec_min(deadline, usec_add(core->heard_boot_usec, core->silence_usec));
    }
    return deadline;
}

void agent_core_flush(struct agent_core *core)
{
    struct wire_message message = {.kind = WIRE_REPORT};
    while (core->session == SESSION_OPEN && attempts_report(&core->attempts, &message.report)) {
        message.epoch = core->highest_epoch;
        core->options.port.send(core->options.port.context, &message);
    }
}

void agent_core_stats(const struct agent_core *core, struct agent_stats *ret_stats)
{
    *ret_stats = (struct agent_stats){
        .alive = attempts_alive(&core->attempts),
        .ended = attempts_ended(&core->attempts),
        .in_flight = attempts_in_flight(&core->attempts),
        .epoch = core->highest_epoch,
        .lease_until_boot_usec = core->lease_until_boot_usec,
    };
}
