// SPDX-License-Identifier: Apache-2.0
// The shell of the agent: clocks, sockets, files and signals around agent_core.

#include "agent/agent.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_core.h"
#include "agent/detect.h"
#include "agent/home.h"
#include "agent/link.h"
#include "agent/log_reads.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/gate.h"

// A reason for which connecting fails is logged the first time, and then once a minute.
#define COMPLAIN_USEC USEC_PER_MIN

struct agent {
    const struct agent_options *options;
    struct arena arena; // for as long as it runs
    struct home home;
    struct node_info info;
    struct loop *loop;
    struct agent_core *core;
    struct executor *executor;
    struct link *link;
    struct log_reads *logs;
    struct loop_signal sigterm, sigint;
    struct loop_watch executor_watch;
    struct loop_timer timer;
    struct loop_deferred turn; // the end of a turn in which something happened
    usec_t complained_mono_usec;
    uint64_t complained; // mask of the codes since then
    struct err failure; // what ended the agent
};

static void agent_fail(struct agent *agent, const struct err *err)
{
    if (agent->failure.code == 0)
        agent->failure = *err;
    loop_stop(agent->loop);
}

// The executor.

static void on_executor_fd(void *context, bool readable, bool writable)
{
    struct agent *agent = context;
    struct err err = {0};
    int rc = agent->executor->ops->ready(agent->executor, &err);
    if (rc < 0) {
        err.code = rc;
        agent_fail(agent, &err);
    }
    loop_defer(&agent->turn);
}

// The executor may have another descriptor than before: it connected again.
static void executor_rewatch(struct agent *agent)
{
    int fd = agent->executor->ops->fd(agent->executor);
    if (agent->executor_watch.loop != NULL && agent->executor_watch.fd == fd)
        return;
    if (agent->executor_watch.loop != NULL)
        loop_watch_release(&agent->executor_watch);
    if (fd < 0)
        return;
    loop_watch_init(&agent->executor_watch, agent->loop, fd, on_executor_fd, agent);
    loop_watch_set(&agent->executor_watch, true, false);
}

// The end of a turn: carries out what has gathered, reports, and says when to be called again.
static void agent_turn(void *context)
{
    struct agent *agent = context;
    usec_t mono = clock_mono_usec();
    struct err err = {0};
    if (agent->executor->ops->deadline(agent->executor, mono) <= 0) {
        int rc = agent->executor->ops->ready(agent->executor, &err);
        if (rc < 0) {
            err.code = rc;
            agent_fail(agent, &err);
            return;
        }
    }
    executor_rewatch(agent);
    agent_core_flush(agent->core);
    usec_t wait = agent->executor->ops->deadline(agent->executor, mono);
    usec_t boot_deadline = agent_core_deadline(agent->core);
    if (boot_deadline != USEC_NEVER)
        wait = usec_min(wait, usec_max(usec_sub(boot_deadline, clock_boot_usec()), 0));
    loop_timer_set(&agent->timer, wait == USEC_NEVER ? USEC_NEVER : usec_add(mono, usec_max(wait, 0)));
}

static void on_timer(void *context)
{
    struct agent *agent = context;
    agent_core_tick(agent->core, clock_boot_usec());
    loop_defer(&agent->turn);
}

// What the core wants.

static void port_send(void *context, const struct wire_message *message)
{
    struct agent *agent = context;
    link_send(agent->link, message);
}

static int port_keep_epoch(void *context, uint64_t epoch, struct err *err)
{
    struct agent *agent = context;
    return home_keep_epoch(&agent->home, epoch, err);
}

static void port_end_session(void *context, const struct err *why)
{
    struct agent *agent = context;
    link_end_session(agent->link, why);
}

// What the link says.

// The executor may be another instance than before; what it says of itself is borrowed until it is called again.
static void agent_describe_executor(struct agent *agent)
{
    agent->info.spawner = agent->executor->ops->instance(agent->executor);
    agent->info.n_warnings = agent->executor->ops->warnings(agent->executor, &agent->info.warnings);
}

static int on_challenge(void *context, uint64_t epoch, struct err *err)
{
    struct agent *agent = context;
    return agent_core_challenged(agent->core, epoch, err);
}

static void on_hello(void *context, struct ev_node_hello *ret_hello)
{
    struct agent *agent = context;
    agent_describe_executor(agent);
    agent_core_hello(agent->core, clock_boot_usec(), &agent->info, ret_hello);
}

static int on_message(void *context, const struct wire_message *message, struct err *err)
{
    struct agent *agent = context;
    loop_defer(&agent->turn);
    if (message->kind == WIRE_LOG_READ && agent_core_open(agent->core)) {
        log_reads_request(agent->logs, &message->log_read);
        return 0;
    }
    int rc = agent_core_receive(agent->core, clock_boot_usec(), message, err);
    if (rc == 0 && message->kind == WIRE_WELCOME) {
        char server[NET_ADDRESS_TEXT];
        agent->complained = 0;
        log_info("connected to the leader", "server=%s node=%s epoch=%" PRIu64, net_address_format(server, link_server(agent->link)),
                 agent->info.name, message->welcome.welcome.epoch);
    }
    return rc;
}

static void on_down(void *context, const struct net_address *server, bool said_hello, const struct err *why)
{
    struct agent *agent = context;
    usec_t now = clock_mono_usec();
    char text[NET_ADDRESS_TEXT];
    bool was_open = agent_core_open(agent->core);
    if (now - agent->complained_mono_usec >= COMPLAIN_USEC) {
        agent->complained = 0;
        agent->complained_mono_usec = now;
    }
    uint64_t bit = UINT64_C(1) << (-why->code & 63);
    enum log_level level = was_open || (agent->complained & bit) == 0 ? LOG_WARN : LOG_DEBUG;
    if (!was_open)
        agent->complained |= bit;
    log_at(level, was_open ? "lost the leader" : "no session with the leader", "server=%s why=\"%s\"", net_address_format(text, server), why->text);
    log_reads_clear(agent->logs);
    if (said_hello)
        agent_core_disconnected(agent->core);
    loop_defer(&agent->turn);
}

static const struct link_calls agent_link_calls = {
    .on_challenge = on_challenge, .on_hello = on_hello, .on_message = on_message, .on_down = on_down};

static void logs_send(void *context, const struct wire_message *message)
{
    port_send(context, message);
}

static size_t logs_queued(void *context)
{
    struct agent *agent = context;
    return link_queued(agent->link);
}

// Opening, in this order; closing goes back the same way and takes whatever is there.

static int name_check(const struct agent_options *options, const char *name, struct err *err)
{
    int rc = limits_check(options->limits, LIMIT_NAME_BYTES, (int64_t)strlen(name), "the length of the node's name", err);
    if (rc < 0)
        return rc;
    bool good = name[0] != '\0';
    for (const char *p = name; *p != '\0'; p++)
        good = good && (isalnum((unsigned char)*p) || strchr("._-", *p) != NULL);
    return good ? 0 : err_set(err, ERR_INVALID, "'%s' cannot be the name of a node: letters, digits, '.', '_' and '-' only", name);
}

static int agent_describe(struct agent *agent, struct err *err)
{
    const struct agent_options *options = agent->options;
    struct node_info *info = &agent->info;
    struct arena *arena = &agent->arena;
    info->name = options->name != NULL ? options->name : detect_hostname(arena);
    int rc = name_check(options, info->name, err);
    if (rc < 0)
        return rc;
    info->identity = agent->home.identity;
    info->boot_id = detect_boot_id(arena);
    info->version = MUSTER_VERSION;
    info->capacity = detect_capacity(arena, options->folder, options->capacity, options->n_capacity, &info->n_capacity);
    info->labels = detect_labels(arena, options->labels, options->n_labels, &info->n_labels);
    rc = limits_check(options->limits, LIMIT_LABELS, (int64_t)info->n_labels, "the number of labels of the node", err);
    if (rc < 0)
        return rc;
    info->tasks_max = options->tasks_max != 0 ? options->tasks_max : (uint32_t)options->limits->value[LIMIT_NODE_TASKS];
    return limits_check(options->limits, LIMIT_NODE_TASKS, info->tasks_max, "the number of tasks at a time", err);
}

static int agent_open_executor(struct agent *agent, struct err *err)
{
    const struct agent_options *options = agent->options;
    const char *program = options->program;
    if (program == NULL) {
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
        if (n < 0)
            return err_errno(err, ERR_INTERNAL, "find this program's file");
        program = arena_strndup(&agent->arena, path, (size_t)n);
    }
    struct executor_options executor_options = {
        .folder = options->folder,
        .node = agent->info.name,
        .program = program,
        .limits = options->limits,
        .sink = agent_core_sink(agent->core),
    };
    bool null = str_eq(options->executor, "null");
    if (!null && options->executor != NULL && !str_eq(options->executor, "spawner"))
        return err_set(err, ERR_INVALID, "there is no executor '%s'; there are spawner and null", options->executor);
    int rc = null ? executor_null_open(&executor_options, &agent->executor, err) : executor_spawner_open(&executor_options, &agent->executor, err);
    if (rc < 0)
        return err_wrap(err, rc, "start the executor");
    agent_describe_executor(agent);
    for (size_t i = 0; i < agent->info.n_warnings; i++)
        log_warn("this node is limited", "why=\"%s\"", agent->info.warnings[i]);
    agent_core_attach(agent->core, agent->executor);
    return 0;
}

static int agent_open_link(struct agent *agent, struct err *err)
{
    const struct agent_options *options = agent->options;
    struct handshake_key key;
    int rc = handshake_key_read(options->key_file, &key, err);
    if (rc < 0)
        return rc;
    if (options->n_servers == 0)
        return err_set(err, ERR_INVALID, "no server was given");
    struct net_address *servers = arena_array(&agent->arena, struct net_address, options->n_servers);
    for (size_t i = 0; i < options->n_servers; i++) {
        rc = net_address_parse(options->servers[i], AGENT_PORT, &servers[i], err);
        if (rc < 0)
            return rc;
    }
    uint64_t seed = 0;
    handshake_random(&seed, sizeof(seed));
    size_t message_bytes_max = (size_t)options->limits->value[LIMIT_FRAME_BYTES];
    struct link_options link_options = {
        .loop = agent->loop,
        .servers = servers,
        .n_servers = options->n_servers,
        .node = agent->info.name,
        .key = &key,
        .message_bytes_max = message_bytes_max > GATE_HELLO_BYTES_MAX ? message_bytes_max : GATE_HELLO_BYTES_MAX,
        .queue_bytes_max = (size_t)options->limits->value[LIMIT_SESSION_QUEUE],
        .seed = seed,
        .calls = &agent_link_calls,
        .context = agent,
    };
    agent->link = link_new(&link_options);
    struct log_reads_options log_reads_options = {
        .loop = agent->loop, .folder = options->folder, .send = logs_send, .queued = logs_queued, .context = agent};
    agent->logs = log_reads_new(&log_reads_options);
    return 0;
}

static void on_stop_signal(void *context)
{
    struct agent *agent = context;
    loop_stop(agent->loop);
}

static int agent_open(struct agent *agent, struct err *err)
{
    const struct agent_options *options = agent->options;
    int rc = home_open(options->folder, &agent->home, err);
    if (rc == 0)
        rc = agent_describe(agent, err);
    if (rc == 0)
        rc = loop_new(&agent->loop, err);
    if (rc < 0)
        return rc;
    loop_timer_init(&agent->timer, agent->loop, on_timer, agent);
    loop_deferred_init(&agent->turn, agent->loop, LOOP_GATHER, agent_turn, agent);
    rc = loop_signal_init(&agent->sigterm, agent->loop, SIGTERM, on_stop_signal, agent, err);
    if (rc == 0)
        rc = loop_signal_init(&agent->sigint, agent->loop, SIGINT, on_stop_signal, agent, err);
    if (rc < 0)
        return rc;
    struct agent_core_options core_options = {
        .port = {.send = port_send, .keep_epoch = port_keep_epoch, .end_session = port_end_session, .context = agent},
        .highest_epoch = agent->home.epoch,
        .report_bytes_max = (size_t)options->limits->value[LIMIT_FRAME_BYTES] / 2,
        .tasks_max = agent->info.tasks_max,
    };
    agent->core = agent_core_new(&core_options);
    rc = agent_open_executor(agent, err);
    return rc < 0 ? rc : agent_open_link(agent, err);
}

static void agent_close(struct agent *agent)
{
    link_free(agent->link);
    log_reads_free(agent->logs);
    if (agent->executor_watch.loop != NULL)
        loop_watch_release(&agent->executor_watch);
    if (agent->executor != NULL)
        agent->executor->ops->close(agent->executor);
    agent_core_free(agent->core);
    loop_signal_release(&agent->sigterm);
    loop_signal_release(&agent->sigint);
    loop_timer_release(&agent->timer);
    loop_deferred_release(&agent->turn);
    loop_free(agent->loop);
    home_close(&agent->home);
    arena_release(&agent->arena);
}

int agent_main_run(const struct agent_options *options, struct err *err)
{
    must(options != NULL && options->limits != NULL && options->folder != NULL && options->key_file != NULL);
    struct agent *agent = mem_alloc(sizeof(*agent));
    agent->options = options;
    int rc = agent_open(agent, err);
    if (rc == 0) {
        log_info("agent runs", "node=%s executor=%s folder=%s", agent->info.name, agent->executor->ops->name, options->folder);
        loop_defer(&agent->turn);
        rc = loop_run(agent->loop, err);
        if (rc == 0 && agent->failure.code < 0) {
            rc = err_set(err, agent->failure.code, "%s", agent->failure.text);
        } else if (rc == 0) {
            struct agent_stats stats;
            agent_core_stats(agent->core, &stats);
            log_info("agent ends", "node=%s tasks_that_go_on=%zu", agent->info.name, stats.alive);
        }
    }
    agent_close(agent);
    mem_free(agent);
    return rc;
}
