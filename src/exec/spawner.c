// SPDX-License-Identifier: Apache-2.0
// `muster spawner`: the folder, the lock, what an earlier spawner left, and the loop.

#include "exec/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/session.h"

// How long leftovers of an earlier spawner are waited for when they do not die at once.
enum { CLEAR_MILLIS = 10000, EVENTS = 256 };
// Of its own log; a larger one is put aside at the next start.
#define LOG_BYTES_MAX ((off_t)1 << 20)
// A chance for the kernel to end a spawner that runs away with memory, but after everything else.
#define OOM_SCORE "-999"

int spawner_watch(struct spawner *spawner, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(spawner->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

// Descriptors: 0 to 2 as every program has them, those below LAUNCH_LOW_FDS for the launchers, *ready_fd at LAUNCH_LOW_FDS, and nothing
// that the agent had open.
static int arrange_fds(int *ready_fd, int folder_fd, int *ret_null_fd, struct err *err)
{
    if (*ready_fd >= 0) {
        if (*ready_fd != LAUNCH_LOW_FDS && dup3(*ready_fd, LAUNCH_LOW_FDS, O_CLOEXEC) < 0)
            return err_errno(err, ERR_IO, "arrange descriptors");
        if (*ready_fd != LAUNCH_LOW_FDS)
            close_fd(*ready_fd);
        *ready_fd = LAUNCH_LOW_FDS;
        (void)fcntl(*ready_fd, F_SETFD, FD_CLOEXEC);
    }
    struct stat st;
    if (fstatat(folder_fd, "spawner.log", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > LOG_BYTES_MAX)
        (void)renameat(folder_fd, "spawner.log", folder_fd, "spawner.log.1");
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log_fd = openat(folder_fd, "spawner.log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (null_fd < 0 || log_fd < 0)
        return err_errno(err, err_from_errno(errno), "open the spawner's log");
    if (dup2(null_fd, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0)
        return err_errno(err, ERR_IO, "arrange descriptors");
    close_fd(log_fd);
    int high = fcntl(null_fd, F_DUPFD_CLOEXEC, LAUNCH_LOW_FDS + 1);
    if (high < 0)
        return err_errno(err, ERR_IO, "arrange descriptors");
    for (int fd = 3; fd < LAUNCH_LOW_FDS; fd++)
        if (dup3(high, fd, O_CLOEXEC) < 0)
            return err_errno(err, ERR_IO, "arrange descriptors");
    *ret_null_fd = high;
    return 0;
}

static void raise_limits(struct spawner *spawner)
{
    struct rlimit *limit = &spawner->launcher.nofile;
    if (getrlimit(RLIMIT_NOFILE, limit) < 0)
        *limit = (struct rlimit){.rlim_cur = 1024, .rlim_max = 1024};
    struct rlimit more = {.rlim_cur = 1048576, .rlim_max = 1048576};
    if (geteuid() != 0 || limit->rlim_max > more.rlim_max || setrlimit(RLIMIT_NOFILE, &more) < 0) {
        more = *limit;
        more.rlim_cur = more.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &more);
    }
    cleanup_close int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    spawner->launcher.reset_oom_score = fd >= 0 && write(fd, OOM_SCORE, strlen(OOM_SCORE)) > 0;
}

// Folders of tasks that an earlier spawner ran are put aside at once and removed by the janitor.
static int fresh_workdirs(struct spawner *spawner, struct err *err)
{
    char trash[64];
    snprintf(trash, sizeof(trash), "trash-%s", spawner->instance);
    (void)renameat(spawner->work_base_fd, "work", spawner->work_base_fd, trash);
    cleanup_buf struct buf path = {0};
    buf_printf(&path, "%s/work", spawner->work_base);
    return workdirs_open(path.data, &spawner->workdirs, err);
}

// Ends every process that an earlier spawner of this folder left, before anything is reported about it.
static void end_leftovers(struct spawner *spawner, const struct journal_state *state)
{
    struct err err = {0};
    cleanup_buf struct buf path = {0}, tops = {0};
    buf_init(&tops);
    buf_printf(&path, "%s/spool/cgroups", spawner->folder);
    (void)fs_read(path.data, 65536, &tops, NULL);
    if (cgroups_clear(spawner->cgroups, tops.data, CLEAR_MILLIS, &err) < 0)
        log_error("processes of an earlier spawner stay", "why=\"%s\"", err.text);
    buf_clear(&tops);
    cgroups_tops(spawner->cgroups, &tops);
    if (fs_write_atomic(path.data, tops.data, tops.len, 0600, &err) < 0)
        log_warn("where the cgroups are cannot be kept", "why=\"%s\"", err.text);
    bool same_boot = strcmp(state->boot_id, spawner->boot_id) == 0;
    if (!same_boot || cgroups_mode(spawner->cgroups) != CGROUP_NONE)
        return;
    for (int tries = 0; tries < 500; tries++) {
        struct session_match by_environment = {.instance = state->instance};
        size_t left = session_signal(&by_environment, SIGKILL);
        for (size_t i = 0; i < state->n_attempts; i++) {
            const struct journal_attempt *attempt = &state->attempts[i];
            if (attempt->ended || attempt->pid <= 1 || attempt->pid_ticks == 0)
                continue;
            struct session_match by_session = {.session = attempt->pid, .leader_ticks = attempt->pid_ticks};
            left += session_signal(&by_session, SIGKILL);
        }
        if (left == 0)
            return;
        usleep(10000);
    }
    log_error("processes of an earlier spawner stay", "why=\"they do not die\"");
}

static int open_spool(struct spawner *spawner, struct err *err)
{
    char note[200];
    struct journal_state state;
    int rc = spool_open(spawner->spool_fd, spawner->instance, spawner->boot_id, &spawner->spool, &state, note, err);
    if (rc < 0)
        return rc;
    if (note[0] != '\0')
        log_warn("the spool was damaged", "note=\"%s\"", note);
    end_leftovers(spawner, &state);
    for (size_t i = 0; i < state.n_forgotten; i++)
        spawner_remember_forgotten(spawner, state.forgotten[i]);
    for (size_t i = 0; i < state.n_attempts; i++)
        spawner_adopt(spawner, &state.attempts[i]);
    journal_state_release(&state);
    return 0;
}

static int open_socket(struct spawner *spawner, struct err *err)
{
    spawner->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // By descriptor: the path of the folder may be longer than a socket's name can be.
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" SPAWNER_SOCKET, spawner->folder_fd);
    (void)unlinkat(spawner->folder_fd, SPAWNER_SOCKET, 0);
    if (spawner->listen_fd < 0 || bind(spawner->listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        fchmodat(spawner->folder_fd, SPAWNER_SOCKET, 0600, 0) < 0 || listen(spawner->listen_fd, 16) < 0)
        return err_errno(err, err_from_errno(errno), "listen at the control socket");
    return 0;
}

static int open_loop(struct spawner *spawner, struct err *err)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    spawner->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    spawner->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (spawner->signal_fd < 0 || spawner->timer_fd < 0 || spawner_watch(spawner, spawner->listen_fd, EPOLLIN, TAG_LISTEN) < 0 ||
        spawner_watch(spawner, spawner->signal_fd, EPOLLIN, TAG_SIGNAL) < 0 ||
        spawner_watch(spawner, spawner->timer_fd, EPOLLIN, TAG_TIMER) < 0 ||
        spawner_watch(spawner, spool_fd(spawner->spool), EPOLLIN, TAG_SPOOL) < 0 ||
        spawner_watch(spawner, logs_event_fd(spawner->logs), EPOLLIN, TAG_LOGS) < 0 ||
        spawner_watch(spawner, workers_event_fd(spawner->workers), EPOLLIN, TAG_WORKERS) < 0)
        return err_errno(err, ERR_IO, "watch the spawner's descriptors");
    return 0;
}

static size_t launcher_count(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores <= 2 ? 2 : cores >= LAUNCHERS_MAX ? LAUNCHERS_MAX : (size_t)cores;
}

static int open_workers(struct spawner *spawner, struct err *err)
{
    spawner->launcher.cgroups = spawner->cgroups;
    spawner->launcher.workdirs = spawner->workdirs;
    spawner->launcher.instance = spawner->instance;
    spawner->launcher.null_fd = spawner->null_fd;
    struct workers_options options = {
        .launcher = spawner->launcher,
        .n_launchers = launcher_count(),
        .folder_fd = spawner->work_base_fd,
        .logs_fd = spawner->logs_fd,
        .folder = spawner->work_base,
        .log_total_bytes = &spawner->log_total_bytes,
    };
    int rc = workers_open(&options, &spawner->workers, err);
    if (rc < 0)
        return rc;
    workers_purge_logs(spawner->workers, spawner->log_total_bytes_max); // counts, too
    return logs_open(spawner->logs_fd, &spawner->log_total_bytes, &spawner->logs, err);
}

static void init(struct spawner *spawner)
{
    *spawner = (struct spawner){
        .folder_fd = -1, .work_base_fd = -1, .logs_fd = -1, .spool_fd = -1, .lock_fd = -1, .listen_fd = -1, .epoll_fd = -1, .timer_fd = -1, .signal_fd = -1, .null_fd = -1,
        .retry_boot_usec = USEC_NEVER,
        .timer_set_boot_usec = USEC_NEVER,
    };
    struct limits limits;
    limits_init(&limits);
    spawner->task_pids_max = (uint64_t)limits.value[LIMIT_TASK_PIDS];
    spawner->log_bytes_max = (uint64_t)limits.value[LIMIT_LOG_BYTES];
    spawner->log_total_bytes_max = (uint64_t)limits.value[LIMIT_LOG_TOTAL];
    list_init(&spawner->all);
    list_init(&spawner->accepted);
    list_init(&spawner->ending);
    list_init(&spawner->leased);
    spawner->forgotten_ring = mem_alloc_array(JOURNAL_FORGOTTEN_MAX, sizeof(uint64_t));
    spawner_conn_init(&spawner->conn);
    spawner_conn_init(&spawner->pending);
    spawner->idle_since_boot_usec = clock_boot_usec();
}

static int open_all(struct spawner *spawner, int *ready_fd, struct err *err)
{
    spawner->folder_fd = open(spawner->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spawner->folder_fd >= 0 && spawner->folder_fd <= LAUNCH_LOW_FDS) {
        int low = spawner->folder_fd;
        spawner->folder_fd = fcntl(low, F_DUPFD_CLOEXEC, LAUNCH_LOW_FDS + 1);
        close_fd(low);
    }
    if (spawner->folder_fd < 0)
        return err_errno(err, err_from_errno(errno), "open the folder '%s'", spawner->folder);
    int rc = arrange_fds(ready_fd, spawner->folder_fd, &spawner->null_fd, err);
    char id[17];
    if (rc == 0)
        rc = spawner_open_folder(spawner, id, err);
    if (rc < 0)
        return rc;
    raise_limits(spawner);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return err_errno(err, ERR_UNSUPPORTED, "become the parent of orphans");
    cgroups_open(id, &spawner->cgroups);
    const char *const *sentences;
    size_t n = cgroups_warnings(spawner->cgroups, &sentences);
    for (size_t i = 0; i < n; i++)
        spawner_warn(spawner, sentences[i]);
    rc = spawner_find_work_base(spawner, id, err);
    if (rc < 0)
        return rc;
    if (geteuid() != 0)
        spawner_warn(spawner, "The agent does not run as root: tasks run as its own account, and a task that asks for another user cannot start.");
    spawner->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (spawner->epoll_fd < 0)
        return err_errno(err, ERR_IO, "create an epoll descriptor");
    rc = open_spool(spawner, err);
    if (rc == 0)
        rc = fresh_workdirs(spawner, err);
    if (rc == 0)
        rc = open_workers(spawner, err);
    if (rc == 0)
        rc = open_socket(spawner, err);
    return rc < 0 ? rc : open_loop(spawner, err);
}

static void on_spool(struct spawner *spawner)
{
    struct err err = {0};
    if (spool_collect(spawner->spool, &err) < 0) {
        log_error("the spool cannot be synced", "why=\"%s\"", err.text);
        spawner->retry_boot_usec = clock_boot_usec() + USEC_PER_SEC;
    }
}

static void on_signal(struct spawner *spawner)
{
    struct signalfd_siginfo info;
    if (read(spawner->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    log_info("asked to end", "signal=%u from_pid=%u", info.ssi_signo, info.ssi_pid);
    spawner->ending_all = true;
    spawner_stop_all(spawner, OUTCOME_LOST);
}

static void on_event(struct spawner *spawner, uint64_t data, uint32_t events)
{
    enum event_part part = (enum event_part)(data & 7);
    if (data > TAG_WORKERS) {
        spawner_on_part(spawner, (struct spawned *)(uintptr_t)(data - part), part, events);
        return;
    }
    switch ((enum event_tag)data) {
    case TAG_LISTEN:
        spawner_conn_on_listen(spawner);
        return;
    case TAG_CONN:
        spawner_conn_on_event(spawner, &spawner->conn, events);
        return;
    case TAG_PENDING:
        spawner_conn_on_event(spawner, &spawner->pending, events);
        return;
    case TAG_TIMER: {
        uint64_t count;
        (void)!read(spawner->timer_fd, &count, sizeof(count));
        spawner->timer_set_boot_usec = USEC_NEVER;
        return;
    }
    case TAG_SIGNAL:
        on_signal(spawner);
        return;
    case TAG_SPOOL:
        on_spool(spawner);
        return;
    case TAG_LOGS:
        spawner_on_logs(spawner);
        return;
    case TAG_WORKERS:
        spawner_on_workers(spawner);
        return;
    }
    unreachable();
}

static void set_timer(struct spawner *spawner, usec_t boot_usec)
{
    if (boot_usec == spawner->timer_set_boot_usec)
        return;
    struct itimerspec spec = {0};
    if (boot_usec != USEC_NEVER) {
        usec_t at = boot_usec > 0 ? boot_usec : 1; // zero would disarm it
        spec.it_value.tv_sec = at / USEC_PER_SEC;
        spec.it_value.tv_nsec = at % USEC_PER_SEC * 1000;
    }
    int rc = timerfd_settime(spawner->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
    must(rc == 0);
    spawner->timer_set_boot_usec = boot_usec;
}

// True when there is nothing left to do and nobody to do it for.
static bool is_done(struct spawner *spawner, usec_t now, usec_t *next)
{
    if (spawner->n_unended > 0 || !list_empty(&spawner->ending))
        return false;
    if (spawner->ending_all)
        return spawner->conn.out.len == 0 || spawner->conn.fd < 0;
    if (spawner->conn.fd >= 0)
        return false;
    usec_t at = spawner->idle_since_boot_usec + (spawner->had_agent ? SPAWNER_IDLE_USEC : SPAWNER_FIRST_USEC);
    *next = usec_min(*next, at);
    return now >= at;
}

static bool is_conn(uint64_t data)
{
    return data == TAG_CONN || data == TAG_PENDING;
}

static void run(struct spawner *spawner)
{
    struct epoll_event events[EVENTS];
    // Opening may have taken long on a slow disk; the agent can come only from now on.
    spawner->idle_since_boot_usec = clock_boot_usec();
    for (;;) {
        usec_t now = clock_boot_usec();
        usec_t next = spawner_on_time(spawner, now);
        spawner_settle(spawner);
        spawner_conn_flush(spawner);
        if (spawner->n_unended > 0 || spawner->conn.fd >= 0)
            spawner->idle_since_boot_usec = now;
        bool done = is_done(spawner, now, &next);
        if (done && spawner->ending_all)
            return;
        if (!done)
            set_timer(spawner, next);
        int n = epoll_wait(spawner->epoll_fd, events, EVENTS, done ? 0 : -1);
        if (n < 0 && errno == EINTR)
            continue;
        must(n >= 0);
        if (done && n == 0) // an agent that came while this process had to wait for a processor is not left standing
            return;
        // The agent's orders last: a FORGET may free what other events of this turn are about.
        for (int i = 0; i < n; i++)
            if (!is_conn(events[i].data.u64))
                on_event(spawner, events[i].data.u64, events[i].events);
        for (int i = 0; i < n; i++)
            if (is_conn(events[i].data.u64))
                on_event(spawner, events[i].data.u64, events[i].events);
    }
}

static void close_all(struct spawner *spawner)
{
    if (spawner->listen_fd >= 0)
        (void)unlinkat(spawner->folder_fd, SPAWNER_SOCKET, 0);
    spawner_conn_release(spawner, &spawner->pending);
    spawner_conn_release(spawner, &spawner->conn);
    workers_close(spawner->workers);
    logs_close(spawner->logs);
    spool_close(spawner->spool);
    workdirs_close(spawner->workdirs);
    if (strcmp(spawner->work_base, spawner->folder) != 0) {
        (void)unlinkat(spawner->work_base_fd, "work", AT_REMOVEDIR);
        (void)rmdir(spawner->work_base);
    }
    cgroups_close(spawner->cgroups);
    spawner_free_tasks(spawner);
    map_release(&spawner->by_fence);
    map_release(&spawner->forgotten);
    heap_release(&spawner->deadlines);
    mem_free(spawner->forgotten_ring);
    mem_free(spawner);
    // Descriptors go with the process, the lock last of all.
}

static void tell_ready(int ready_fd, int rc, const struct err *err)
{
    if (ready_fd < 0)
        return;
    char line[ERR_TEXT_MAX + 32];
    int len = rc == 0 ? snprintf(line, sizeof(line), "ready\n") : snprintf(line, sizeof(line), "%s %s\n", err_name(rc), err->text);
    (void)!write(ready_fd, line, (size_t)len);
    close(ready_fd);
}

static void reset_signals(void)
{
    // By the system call: the C library would not touch its own two, which its posix_spawn() leaves ignored in the programs it starts.
    static const unsigned char usual[64]; // no flags, an empty mask, SIG_DFL
    for (int signal = 1; signal < NSIG; signal++)
        (void)syscall(SYS_rt_sigaction, signal, usual, NULL, _NSIG / 8);
    // Blocked in every thread; SIGTERM and SIGINT are read from a descriptor, and writes that fail say so.
    sigset_t mask;
    sigfillset(&mask);
    sigdelset(&mask, SIGABRT);
    sigdelset(&mask, SIGSEGV);
    sigdelset(&mask, SIGBUS);
    sigdelset(&mask, SIGFPE);
    sigdelset(&mask, SIGILL);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
}

static int parse_arguments(int argc, char **argv, struct spawner *spawner, int *ret_ready_fd)
{
    for (int i = 2; i + 1 < argc; i += 2) {
        uint64_t number;
        if (strcmp(argv[i], "--folder") == 0) {
            if (argv[i + 1][0] != '/' || str_copy(spawner->folder, sizeof(spawner->folder), argv[i + 1]) < 0)
                return -1;
        } else if (strcmp(argv[i], "--ready-fd") == 0) {
            if (str_to_u64(argv[i + 1], &number) < 0 || number > 1024)
                return -1;
            *ret_ready_fd = (int)number;
        }
        // What a newer agent says besides is not needed here.
    }
    return spawner->folder[0] == '\0' ? -1 : 0;
}

int spawner_main(int argc, char **argv)
{
    struct spawner *spawner = mem_alloc(sizeof(*spawner));
    init(spawner);
    int ready_fd = -1;
    if (parse_arguments(argc, argv, spawner, &ready_fd) < 0) {
        fprintf(stderr, "muster spawner is started by the agent: muster spawner --folder /PATH [--ready-fd N]\n");
        return err_exit_status(ERR_INVALID);
    }
    if (ready_fd >= 0 && (syscall(SYS_close_range, 3, ready_fd - 1, 0) < 0 && ready_fd > 3))
        ready_fd = -1;
    (void)syscall(SYS_close_range, ready_fd < 0 ? 3 : ready_fd + 1, ~0u, 0);
    reset_signals();
    umask(077);
    (void)!chdir("/");
    log_init_from_env();
    log_set_component("spawner");
    struct err err = {0};
    int rc = open_all(spawner, &ready_fd, &err);
    tell_ready(ready_fd, rc, &err);
    if (rc < 0) {
        log_error("the spawner cannot run", "why=\"%s\"", err.text);
        return err_exit_status(rc);
    }
    log_info("spawner runs", "folder=\"%s\" instance=%s", spawner->folder, spawner->instance);
    run(spawner);
    close_all(spawner);
    log_info("spawner ends");
    return 0;
}
