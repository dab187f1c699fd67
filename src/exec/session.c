// SPDX-License-Identifier: Apache-2.0
// Processes without control groups, by /proc.

#include "exec/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/cleanup.h"

// What is read of a process's environment at most; ours comes first in it.
#define ENVIRONMENT_BYTES_MAX ((size_t)256 * 1024)

struct process {
    pid_t pid, session;
    uint64_t ticks;
    char state;
};

static bool read_process(int proc_fd, const char *name, struct process *ret)
{
    char path[40], text[1024];
    snprintf(path, sizeof(path), "%.16s/stat", name);
    cleanup_close int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    const char *p = strrchr(text, ')'); // the name before it may hold anything
    *ret = (struct process){.pid = (pid_t)strtol(name, NULL, 10)};
    for (int field = 3; p != NULL && field <= 22; field++) {
        p = strchr(p + 1, ' ');
        if (p == NULL)
            return false;
        if (field == 3)
            ret->state = p[1];
        else if (field == 6)
            ret->session = (pid_t)strtol(p + 1, NULL, 10);
        else if (field == 22)
            ret->ticks = strtoull(p + 1, NULL, 10);
    }
    return p != NULL;
}

static bool has_line(const struct buf *environment, const char *line)
{
    for (size_t at = 0; at < environment->len; at += strlen(environment->data + at) + 1)
        if (strcmp(environment->data + at, line) == 0)
            return true;
    return false;
}

static bool environment_matches(int proc_fd, const char *name, const struct session_match *match)
{
    if (match->instance == NULL)
        return false;
    char path[40];
    snprintf(path, sizeof(path), "%.16s/environ", name);
    cleanup_close int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    cleanup_buf struct buf environment = {0};
    while (fd >= 0 && environment.len < ENVIRONMENT_BYTES_MAX) {
        buf_reserve(&environment, 4096);
        ssize_t n = read(fd, environment.data + environment.len, 4096);
        if (n <= 0)
            break;
        buf_grew(&environment, (size_t)n);
    }
    if (environment.len == 0)
        return false;
    buf_addc(&environment, '\0');
    char line[96];
    snprintf(line, sizeof(line), "MUSTER_SPAWNER=%.64s", match->instance);
    if (!has_line(&environment, line))
        return false;
    snprintf(line, sizeof(line), "MUSTER_FENCE=%" PRIu64, match->fence);
    return match->fence == 0 || has_line(&environment, line);
}

// The number of a session stays taken while any process is in it, so a leader that began at another time leads another session.
static bool session_is_ours(int proc_fd, const struct session_match *match)
{
    if (match->session <= 1)
        return false;
    if (match->leader_ticks == 0)
        return true;
    char name[16];
    snprintf(name, sizeof(name), "%d", (int)match->session);
    struct process leader;
    return read_process(proc_fd, name, &leader) && leader.ticks == match->leader_ticks;
}

size_t session_signal(const struct session_match *match, int signal)
{
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        close_fd(fd);
        return 0;
    }
    bool by_session = session_is_ours(dirfd(dir), match);
    size_t found = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct process process;
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !read_process(dirfd(dir), entry->d_name, &process))
            continue;
        if (process.pid == getpid() || process.state == 'Z' || process.state == 'X')
            continue;
        bool in_session = by_session && process.session == match->session;
        if (!in_session && !environment_matches(dirfd(dir), entry->d_name, match))
            continue;
        if (signal == 0 || kill(process.pid, signal) == 0 || errno == EPERM)
            found++;
    }
    return found;
}

bool session_reap_orphans(void)
{
    for (;;) {
        // Tasks themselves are children of other threads, which __WNOTHREAD leaves alone.
        pid_t pid = waitpid(-1, NULL, WNOHANG | __WNOTHREAD | __WALL);
        if (pid == 0)
            return false;
        if (pid < 0)
            return true;
    }
}

void session_kill_orphans(void)
{
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)gettid());
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return;
    text[n] = '\0';
    for (char *p = text, *end;; p = end) {
        long pid = strtol(p, &end, 10);
        if (end == p || pid <= 1)
            return;
        if (*end == ' ') // the last number may be cut off
            (void)kill((pid_t)pid, SIGKILL);
    }
}
