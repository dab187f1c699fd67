// SPDX-License-Identifier: Apache-2.0
// up: a server and agents as processes of this program, for as long as it runs. Each child is in a process group of its own, so that
// Ctrl-C reaches `up` alone, which then ends them in order: agents with their tasks first, the server last.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/term.h"
#include "client/discover.h"

#define AGENTS_MAX 64
#define READY_USEC (60 * USEC_PER_SEC)
#define END_USEC (20 * USEC_PER_SEC)
#define LOG_BYTES_KEPT ((off_t)16 * 1024 * 1024)
#define LOG_LINES_SHOWN 8
#define POLL_USEC (20 * USEC_PER_MSEC)

struct child {
    char name[32];     // "server", "agent-1"
    struct buf folder; // of an agent
    struct buf log;
    size_t log_from;   // where its own lines begin in it
    pid_t pid;         // 0: not running
    int status;        // as waitpid gives it
};

struct up {
    struct cli *cli;
    struct buf data;
    struct buf agents_address; // "127.0.0.1:7421"
    struct child server;
    struct child *agents;
    size_t n_agents;
    sigset_t signals;
};

// A list of words for exec, built by pieces.
struct words {
    char *list[64];
    size_t count;
};

static void word_add(struct words *words, const char *text)
{
    must(words->count + 1 < sizeof(words->list) / sizeof(words->list[0]));
    words->list[words->count++] = mem_strdup(text);
}

static void words_release(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        mem_free(words->list[i]);
}

// Passes an option of `up` on, as often as it was given.
static void word_pass(struct words *words, const struct cli *cli, enum option_id id)
{
    cleanup_buf struct buf option = {0};
    buf_printf(&option, "--%s", option_rows[id].name);
    size_t cursor = 0;
    const char *text;
    while ((text = args_next(cli->args, id, &cursor)) != NULL) {
        word_add(words, option.data);
        word_add(words, text);
    }
}

// Where a child logs; what an earlier one left there is kept once when it is large.
static int log_open(const char *path, struct err *err)
{
    struct stat info;
    cleanup_buf struct buf before = {0};
    buf_printf(&before, "%s.1", path);
    if (stat(path, &info) == 0 && info.st_size > LOG_BYTES_KEPT)
        rename(path, before.data);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : err_errno(err, err_from_errno(errno), "open '%.150s'", path);
}

static int child_start(struct child *child, struct words *words, const char *data, const sigset_t *signals, struct err *err)
{
    pid_t parent = getpid();
    buf_clear(&child->log);
    buf_printf(&child->log, "%s/%s.log", data, child->name);
    cleanup_close int log_fd = log_open(child->log.data, err);
    if (log_fd < 0)
        return log_fd;
    child->log_from = (size_t)lseek(log_fd, 0, SEEK_END);
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, ERR_NO_MEMORY, "start %s", child->name);
    if (pid > 0) {
        child->pid = pid;
        return 0;
    }
    sigprocmask(SIG_UNBLOCK, signals, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(EXIT_FAILURE); // `up` died before the line above
    if (dup2(log_fd, STDERR_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0)
        _exit(EXIT_FAILURE);
    execv("/proc/self/exe", words->list);
    _exit(127);
}

// Notes which children have ended.
static void children_reap(struct up *up)
{
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct child *child = pid == up->server.pid ? &up->server : NULL;
        for (size_t i = 0; i < up->n_agents; i++)
            child = pid == up->agents[i].pid ? &up->agents[i] : child;
        if (child == NULL)
            continue;
        child->pid = 0;
        child->status = status;
    }
}

// Shows the last lines of a child's log.
static void log_show(const struct child *child)
{
    cleanup_buf struct buf text = {0};
    if (fs_read(child->log.data, (size_t)2 * LOG_BYTES_KEPT, &text, NULL) < 0 || text.len <= child->log_from)
        return;
    size_t at = text.len - 1;
    for (int lines = 0; at > child->log_from; at--) {
        lines += text.data[at - 1] == '\n';
        if (lines == LOG_LINES_SHOWN)
            break;
    }
    term_print(stderr, text.data + at);
}

static int child_ended(const struct child *child, struct err *err)
{
    log_show(child);
    if (WIFSIGNALED(child->status))
        return err_set(err, ERR_CLOSED, "the %s was ended by signal %d; everything else is stopped", child->name, WTERMSIG(child->status));
    return err_set(err, ERR_CLOSED, "the %s ended with exit status %d (the end of %.100s is above); everything else is stopped", child->name,
                   WEXITSTATUS(child->status), child->log.data);
}

// ERR_CLOSED when a child that should run does not.
static int children_check(struct up *up, struct err *err)
{
    children_reap(up);
    if (up->server.pid == 0)
        return child_ended(&up->server, err);
    for (size_t i = 0; i < up->n_agents; i++)
        if (up->agents[i].pid == 0 && up->agents[i].name[0] != '\0')
            return child_ended(&up->agents[i], err);
    return 0;
}

// Waits a moment; ERR_INTERRUPTED when a signal says to stop.
static int pause_for(struct up *up, usec_t usec, struct err *err)
{
    struct timespec span = {.tv_sec = usec / USEC_PER_SEC, .tv_nsec = usec % USEC_PER_SEC * 1000};
    int number = sigtimedwait(&up->signals, NULL, &span);
    if (number == SIGINT || number == SIGTERM || number == SIGHUP)
        return err_set(err, ERR_INTERRUPTED, "stopped by a signal");
    return 0;
}

static int server_start(struct up *up, struct err *err)
{
    struct words words = {0};
    snprintf(up->server.name, sizeof(up->server.name), "server");
    word_add(&words, "muster");
    word_add(&words, "server");
    word_add(&words, "--data");
    word_add(&words, up->data.data);
    word_pass(&words, up->cli, OPT_PORT);
    word_pass(&words, up->cli, OPT_AGENT_PORT);
    // A free port for the API means that others may run here: then the one for agents is free to choose too.
    if (str_eq(args_get(up->cli->args, OPT_PORT), "0") && !args_has(up->cli->args, OPT_AGENT_PORT)) {
        word_add(&words, "--agent-port");
        word_add(&words, "0");
    }
    word_pass(&words, up->cli, OPT_SET);
    int rc = child_start(&up->server, &words, up->data.data, &up->signals, err);
    words_release(&words);
    return rc;
}

// Whether endpoint.json is the one of our server; fills where agents connect.
static bool endpoint_is_ours(struct up *up)
{
    cleanup_buf struct buf path = {0};
    cleanup_buf struct buf text = {0};
    buf_printf(&path, "%s/endpoint.json", up->data.data);
    if (fs_read(path.data, 65536, &text, NULL) < 0)
        return false;
    json_t *root = json_loadb(text.data, text.len, 0, NULL);
    const char *agents = answer_text(root, "agents");
    bool ours = agents != NULL && answer_number(root, "pid") == up->server.pid;
    if (ours) {
        buf_clear(&up->agents_address);
        buf_adds(&up->agents_address, agents);
    }
    json_decref(root);
    return ours;
}

static int client_of(struct up *up, struct err *err)
{
    struct discover_options options = {.data = up->data.data};
    struct endpoint endpoint = {0};
    int rc = endpoint_discover(&options, &endpoint, err);
    if (rc < 0)
        return rc;
    struct client_options client_options = {.url = endpoint.url.data, .token = endpoint.token.data, .retry_usec = 0};
    rc = client_open(&client_options, &up->cli->client, err);
    if (rc == 0)
        cli_remark(up->cli, "the server listens on %s and keeps its data in %s", endpoint.url.data, up->data.data);
    endpoint_release(&endpoint);
    return rc;
}

static int server_await(struct up *up, struct err *err)
{
    usec_t until_usec = usec_add(clock_mono_usec(), READY_USEC);
    while (!endpoint_is_ours(up)) {
        int rc = children_check(up, err);
        if (rc == 0)
            rc = pause_for(up, POLL_USEC, err);
        if (rc < 0)
            return rc;
        if (clock_mono_usec() > until_usec)
            return err_set(err, ERR_TIMEOUT, "the server does not get ready");
    }
    int rc = client_of(up, err);
    while (rc == 0 && client_get(up->cli->client, NULL, err, "/v1/version") < 0) {
        rc = children_check(up, err);
        if (rc == 0)
            rc = pause_for(up, POLL_USEC, err);
        if (rc == 0 && clock_mono_usec() > until_usec)
            rc = err_set(err, ERR_TIMEOUT, "the server does not answer");
    }
    return rc;
}

// An equal part of this machine, unless the command line says how much each agent offers.
static void agent_share(const struct up *up, struct words *words)
{
    word_pass(words, up->cli, OPT_CPU);
    word_pass(words, up->cli, OPT_MEMORY);
    if (up->n_agents == 1)
        return;
    cpu_set_t cpus;
    struct sysinfo info;
    char text[32];
    if (!args_has(up->cli->args, OPT_CPU) && sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
        uint64_t millis = (uint64_t)CPU_COUNT(&cpus) * 1000 / up->n_agents;
        word_add(words, "--cpu");
        // What names no cpu needs one core: an agent that offers less could never run it.
        word_add(words, cpu_format(text, millis > 1000 ? millis : 1000));
    }
    if (!args_has(up->cli->args, OPT_MEMORY) && sysinfo(&info) == 0) {
        // A tenth is left to everything else on the machine.
        uint64_t bytes = (uint64_t)info.totalram * info.mem_unit / 10 * 9 / up->n_agents;
        cleanup_buf struct buf memory = {0};
        buf_printf(&memory, "%llu", (unsigned long long)bytes);
        word_add(words, "--memory");
        word_add(words, memory.data);
    }
}

static int agent_start(struct up *up, size_t number, struct err *err)
{
    struct child *child = &up->agents[number];
    struct words words = {0};
    cleanup_buf struct buf token = {0};
    snprintf(child->name, sizeof(child->name), "agent-%zu", number + 1);
    buf_printf(&child->folder, "%s/%s", up->data.data, child->name);
    buf_printf(&token, "%s/agent.token", up->data.data);
    const char *const fixed[] = {"muster",  "agent",          "--connect", up->agents_address.data, "--token-file", token.data,
                                 "--name", child->name, "--folder",  child->folder.data};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        word_add(&words, fixed[i]);
    agent_share(up, &words);
    word_pass(&words, up->cli, OPT_EXECUTOR);
    word_pass(&words, up->cli, OPT_SET);
    int rc = child_start(child, &words, up->data.data, &up->signals, err);
    words_release(&words);
    return rc;
}

// How many of our agents are online; tells the warnings of the first one that is, since all are on this machine.
static size_t agents_online(struct up *up, bool tell)
{
    json_t *answer = NULL;
    size_t online = 0;
    if (client_get(up->cli->client, &answer, NULL, "/v1/nodes") < 0)
        return 0;
    size_t i = 0;
    const json_t *node = NULL;
    json_array_foreach(json_object_get(answer, "nodes"), i, node)
    {
        bool ours = false;
        for (size_t k = 0; k < up->n_agents; k++)
            ours |= str_eq(answer_text(node, "node"), up->agents[k].name);
        if (!ours || !str_eq(answer_text(node, "state"), "online"))
            continue;
        size_t j = 0;
        const json_t *warning = NULL;
        json_array_foreach(json_object_get(node, "warnings"), j, warning)
            if (tell && online == 0 && json_is_string(warning))
                cli_remark(up->cli, "limited here: %s", json_string_value(warning));
        online++;
    }
    json_decref(answer);
    return online;
}

static int agents_await(struct up *up, struct err *err)
{
    usec_t until_usec = usec_add(clock_mono_usec(), READY_USEC);
    while (agents_online(up, false) < up->n_agents) {
        int rc = children_check(up, err);
        if (rc == 0)
            rc = pause_for(up, POLL_USEC, err);
        if (rc < 0)
            return rc;
        if (clock_mono_usec() > until_usec)
            return err_set(err, ERR_TIMEOUT, "the agents do not get ready");
    }
    agents_online(up, true);
    cli_remark(up->cli, "%zu agent%s online; Ctrl-C stops everything", up->n_agents, up->n_agents == 1 ? " is" : "s are");
    const char *named = args_get(up->cli->args, OPT_DATA);
    cli_remark(up->cli, "try in another terminal: muster run %s%s%s-- echo hello", named != NULL ? "--data " : "",
               named != NULL ? named : "", named != NULL ? " " : "");
    return 0;
}

// Asks one child to end and waits for it; SIGKILL when it does not.
static void child_stop(struct up *up, struct child *child, usec_t until_usec)
{
    while (child->pid > 0) {
        children_reap(up);
        if (child->pid == 0)
            return;
        if (clock_mono_usec() > until_usec) {
            cli_remark(up->cli, "the %s does not end; it is killed", child->name);
            kill(child->pid, SIGKILL);
            until_usec = USEC_NEVER;
        }
        struct timespec moment = {.tv_nsec = POLL_USEC * 1000};
        nanosleep(&moment, NULL);
    }
}

static void stop_all(struct up *up)
{
    usec_t until_usec = usec_add(clock_mono_usec(), END_USEC);
    bool keep = args_has(up->cli->args, OPT_KEEP_TASKS);
    for (size_t i = 0; i < up->n_agents; i++)
        if (up->agents[i].pid > 0)
            kill(up->agents[i].pid, SIGTERM);
    for (size_t i = 0; i < up->n_agents; i++)
        child_stop(up, &up->agents[i], until_usec);
    for (size_t i = 0; i < up->n_agents && !keep; i++) {
        struct err problem = {0};
        if (up->agents[i].folder.len > 0 && up->cli->hooks->spawner_end(up->agents[i].folder.data, &problem) < 0)
            cli_remark(up->cli, "%s: %s", up->agents[i].name, problem.text);
    }
    if (up->server.pid > 0)
        kill(up->server.pid, SIGTERM);
    child_stop(up, &up->server, until_usec);
}

// Makes the data folder, and its name one that holds wherever a child goes.
static int data_make(struct up *up, struct err *err)
{
    // As the server would make it.
    mode_t mode = geteuid() == 0 ? 0711 : 0700;
    bool fresh = access(up->data.data, F_OK) < 0;
    int rc = fs_mkdirs(up->data.data, mode, err);
    if (rc < 0)
        return rc;
    if (fresh)
        (void)chmod(up->data.data, mode); // whatever the umask
    cleanup_free char *whole = realpath(up->data.data, NULL);
    if (whole == NULL)
        return err_errno(err, err_from_errno(errno), "find '%.150s'", up->data.data);
    buf_clear(&up->data);
    buf_adds(&up->data, whole);
    return 0;
}

static int up_run(struct up *up, struct err *err)
{
    int rc = data_make(up, err);
    if (rc == 0)
        rc = server_start(up, err);
    if (rc == 0)
        rc = server_await(up, err);
    for (size_t i = 0; rc == 0 && i < up->n_agents; i++)
        rc = agent_start(up, i, err);
    if (rc == 0)
        rc = agents_await(up, err);
    while (rc == 0) {
        rc = children_check(up, err);
        if (rc == 0)
            rc = pause_for(up, 3600 * USEC_PER_SEC, err);
    }
    return rc;
}

int cmd_up(struct cli *cli, struct err *err)
{
    int64_t n_agents = 0;
    int64_t port = 0;
    struct up up = {.cli = cli};
    int rc = args_words(cli->args, 0, 0, err);
    if (rc == 0)
        rc = args_number(cli->args, OPT_AGENTS, 1, 1, AGENTS_MAX, &n_agents, err);
    if (rc == 0)
        rc = args_number(cli->args, OPT_PORT, 0, 0, 65535, &port, err);
    if (rc == 0)
        rc = args_number(cli->args, OPT_AGENT_PORT, 0, 0, 65535, &port, err);
    if (rc == 0)
        rc = data_folder(args_get(cli->args, OPT_DATA), &up.data, err);
    if (rc < 0)
        return rc;
    up.n_agents = (size_t)n_agents;
    up.agents = mem_alloc_array(up.n_agents, sizeof(up.agents[0]));
    sigemptyset(&up.signals);
    sigaddset(&up.signals, SIGINT);
    sigaddset(&up.signals, SIGTERM);
    sigaddset(&up.signals, SIGHUP);
    sigaddset(&up.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &up.signals, NULL);
    rc = up_run(&up, err);
    bool asked = rc == ERR_INTERRUPTED;
    if (asked)
        cli_remark(cli, args_has(cli->args, OPT_KEEP_TASKS) ? "stopping; running tasks go on and are adopted at the next start"
                                                            : "stopping; running tasks are ended");
    stop_all(&up);
    if (asked)
        cli_remark(cli, "everything has been stopped; the next `muster up` goes on from here");
    for (size_t i = 0; i < up.n_agents; i++) {
        buf_release(&up.agents[i].folder);
        buf_release(&up.agents[i].log);
    }
    buf_release(&up.server.log);
    mem_free(up.agents);
    buf_release(&up.data);
    buf_release(&up.agents_address);
    return asked ? 0 : rc;
}
