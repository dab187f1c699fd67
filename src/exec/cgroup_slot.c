// SPDX-License-Identifier: Apache-2.0
// One slot: the groups of one attempt.

#include "exec/cgroup_slot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/mem.h"

// A group that still holds more than this after its last task (page cache, mostly) is emptied before it is used again, so that
// the next task's peak is its own.
#define LEFTOVER_BYTES ((uint64_t)1 << 20)
// Where peaks cannot be set back, a slot whose peak is above this is not used again: below it, the difference matters little.
#define PEAK_KEEP_BYTES ((uint64_t)8 << 20)
// Of a list of processes; a group has at most as many as the machine.
#define PROCS_BYTES_MAX ((size_t)64 << 20)
// The period over which a cpu ceiling is kept.
#define CPU_PERIOD_USEC 100000

static int open_in(int top_fd, const char *slot, const char *file, int flags)
{
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", slot, file);
    return top_fd < 0 ? -1 : openat(top_fd, path, flags | O_CLOEXEC);
}

static int open_file(const struct cgroups *cgroups, enum cgroup_tree tree, const char *slot, const char *file, int flags)
{
    return open_in(cgroups->top_fd[tree], slot, file, flags);
}

static int write_file(const struct cgroup_slot *slot, enum cgroup_tree tree, const char *file, const char *text)
{
    cleanup_close int fd = open_file(slot->cgroups, tree, slot->name, file, O_WRONLY);
    if (fd < 0)
        return -1;
    size_t len = strlen(text);
    return write(fd, text, len) == (ssize_t)len ? 0 : -1;
}

static int write_number(const struct cgroup_slot *slot, enum cgroup_tree tree, const char *file, int64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64, number);
    return write_file(slot, tree, file, text);
}

// Text of an open or named file; "" when it cannot be read.
static void pread_text(int fd, char *ret, size_t size)
{
    ssize_t n = fd < 0 ? -1 : pread(fd, ret, size - 1, 0);
    ret[n < 0 ? 0 : n] = '\0';
}

static void read_text(const struct cgroup_slot *slot, enum cgroup_tree tree, const char *file, char *ret, size_t size)
{
    cleanup_close int fd = open_file(slot->cgroups, tree, slot->name, file, O_RDONLY);
    pread_text(fd, ret, size);
}

// The number behind `key ` at the start of a line; 0 when there is none.
static uint64_t keyed_number(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            return strtoull(line + len + 1, NULL, 10);
    }
    return 0;
}

void cgroup_slot_destroy(struct cgroups *cgroups, struct cgroup_slot *slot)
{
    for (size_t i = 0; i < slot->n_join; i++)
        close_fd(slot->join_fd[i]);
    close_fd(slot->pids_fd);
    close_fd(slot->peak_fd);
    close_fd(slot->cpu_fd);
    close_fd(slot->oom_fd);
    for (int i = 0; i < CGROUP_TREES; i++)
        if (cgroups->top_fd[i] >= 0)
            (void)unlinkat(cgroups->top_fd[i], slot->name, AT_REMOVEDIR);
    mem_free(slot);
}

static int slot_create(struct cgroups *cgroups, unsigned number, struct cgroup_slot **ret_slot, struct err *err)
{
    struct cgroup_slot *slot = mem_alloc(sizeof(*slot));
    *slot = (struct cgroup_slot){.cgroups = cgroups, .pids_fd = -1, .peak_fd = -1, .cpu_fd = -1, .oom_fd = -1};
    snprintf(slot->name, sizeof(slot->name), "%u", number);
    for (int i = 0; i < CGROUP_TREES; i++) {
        if (cgroups->top_fd[i] < 0)
            continue;
        int fd = -1;
        if (mkdirat(cgroups->top_fd[i], slot->name, 0755) == 0 || errno == EEXIST)
            fd = open_file(cgroups, (enum cgroup_tree)i, slot->name, "cgroup.procs", O_WRONLY);
        if (fd < 0) {
            int saved_errno = errno;
            cgroup_slot_destroy(cgroups, slot);
            errno = saved_errno;
            return err_errno(err, err_from_errno(saved_errno), "create a cgroup for the task");
        }
        slot->join_fd[slot->n_join++] = fd;
    }
    bool v2 = cgroups->mode == CGROUP_V2;
    slot->pids_fd = open_file(cgroups, v2 ? TREE_UNIFIED : TREE_PIDS, slot->name, "pids.current", O_RDONLY);
    slot->peak_fd = v2 ? open_file(cgroups, TREE_UNIFIED, slot->name, "memory.peak", O_RDWR)
                       : open_file(cgroups, TREE_MEMORY, slot->name, "memory.max_usage_in_bytes", O_RDWR);
    if (v2 && slot->peak_fd < 0)
        slot->peak_fd = open_file(cgroups, TREE_UNIFIED, slot->name, "memory.peak", O_RDONLY);
    slot->cpu_fd = cgroups->top_fd[TREE_CPUACCT] >= 0 ? open_file(cgroups, TREE_CPUACCT, slot->name, "cpuacct.usage", O_RDONLY)
                                                      : open_file(cgroups, TREE_UNIFIED, slot->name, "cpu.stat", O_RDONLY);
    *ret_slot = slot;
    return 0;
}

static uint64_t read_cpu_usec(const struct cgroup_slot *slot)
{
    char text[1024];
    pread_text(slot->cpu_fd, text, sizeof(text));
    if (slot->cgroups->top_fd[TREE_CPUACCT] >= 0)
        return strtoull(text, NULL, 10) / 1000;
    return keyed_number(text, "usage_usec");
}

static uint64_t read_oom_kills(const struct cgroup_slot *slot)
{
    char text[512];
    if (slot->cgroups->mode == CGROUP_V2)
        read_text(slot, TREE_UNIFIED, "memory.events", text, sizeof(text));
    else
        read_text(slot, TREE_MEMORY, "memory.oom_control", text, sizeof(text));
    return keyed_number(text, "oom_kill");
}

static uint64_t read_peak(const struct cgroup_slot *slot)
{
    char text[64];
    pread_text(slot->peak_fd, text, sizeof(text));
    return strtoull(text, NULL, 10);
}

// Sets the counters back for the next attempt.
static void reset_counters(struct cgroup_slot *slot)
{
    if (slot->peak_fd < 0)
        return;
    if (slot->cgroups->mode == CGROUP_V2) {
        bool reset = pwrite(slot->peak_fd, "r", 1, 0) == 1; // since Linux 6.12
        slot->peak_base_bytes = reset ? 0 : read_peak(slot);
        return;
    }
    (void)!pwrite(slot->peak_fd, "0", 1, 0);
    if (read_peak(slot) > LEFTOVER_BYTES) {
        (void)write_file(slot, TREE_MEMORY, "memory.force_empty", "0");
        (void)!pwrite(slot->peak_fd, "0", 1, 0);
    }
}

// The kernel tells of a group that ran out of memory through an event descriptor; the task is then killed as a whole.
static void watch_oom_v1(struct cgroup_slot *slot)
{
    if (slot->oom_fd >= 0)
        return;
    cleanup_close int control_fd = open_file(slot->cgroups, TREE_MEMORY, slot->name, "memory.oom_control", O_RDONLY);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    char text[64];
    snprintf(text, sizeof(text), "%d %d", fd, control_fd);
    if (control_fd < 0 || fd < 0 || write_file(slot, TREE_MEMORY, "cgroup.event_control", text) < 0)
        close_fd(fd);
    else
        slot->oom_fd = fd;
}

static int limit_memory(struct cgroup_slot *slot, uint64_t bytes)
{
    if (slot->limits.memory_bytes == bytes)
        return 0;
    if (slot->cgroups->mode == CGROUP_V2) {
        if (bytes == 0)
            return write_file(slot, TREE_UNIFIED, "memory.max", "max");
        (void)write_file(slot, TREE_UNIFIED, "memory.oom.group", "1");
        (void)write_file(slot, TREE_UNIFIED, "memory.swap.max", "0");
        return write_number(slot, TREE_UNIFIED, "memory.max", (int64_t)bytes);
    }
    if (slot->cgroups->top_fd[TREE_MEMORY] < 0)
        return 0;
    // memory + swap must never be below memory, so the old limits are lifted first.
    if (slot->limits.memory_bytes != 0) {
        (void)write_file(slot, TREE_MEMORY, "memory.memsw.limit_in_bytes", "-1");
        if (write_file(slot, TREE_MEMORY, "memory.limit_in_bytes", "-1") < 0)
            return -1;
    }
    if (bytes == 0)
        return 0;
    watch_oom_v1(slot);
    if (write_number(slot, TREE_MEMORY, "memory.limit_in_bytes", (int64_t)bytes) < 0)
        return -1;
    if (write_number(slot, TREE_MEMORY, "memory.memsw.limit_in_bytes", (int64_t)bytes) < 0)
        (void)write_file(slot, TREE_MEMORY, "memory.swappiness", "0");
    return 0;
}

static int limit_cpu(struct cgroup_slot *slot, uint64_t millis, bool quota)
{
    if (slot->limits.cpu_millis == millis && slot->limits.cpu_quota == quota)
        return 0;
    uint64_t quota_usec = millis * (CPU_PERIOD_USEC / 1000);
    if (quota_usec < 1000)
        quota_usec = 1000;
    if (slot->cgroups->mode == CGROUP_V2) {
        uint64_t weight = millis / 10 < 1 ? 1 : millis / 10 > 10000 ? 10000 : millis / 10;
        char text[64];
        if (quota)
            snprintf(text, sizeof(text), "%" PRIu64 " %d", quota_usec, CPU_PERIOD_USEC);
        else
            snprintf(text, sizeof(text), "max %d", CPU_PERIOD_USEC);
        return write_number(slot, TREE_UNIFIED, "cpu.weight", (int64_t)weight) < 0 || write_file(slot, TREE_UNIFIED, "cpu.max", text) < 0 ? -1 : 0;
    }
    if (slot->cgroups->top_fd[TREE_CPU] < 0)
        return 0;
    uint64_t shares = millis * 1024 / 1000;
    shares = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
    if (write_number(slot, TREE_CPU, "cpu.shares", (int64_t)shares) < 0)
        return -1;
    if (slot->limits.cpu_quota || quota)
        return write_number(slot, TREE_CPU, "cpu.cfs_quota_us", quota ? (int64_t)quota_usec : -1);
    return 0;
}

static int limit_pids(struct cgroup_slot *slot, uint64_t pids_max)
{
    if (slot->limits.pids_max == pids_max)
        return 0;
    enum cgroup_tree tree = slot->cgroups->mode == CGROUP_V2 ? TREE_UNIFIED : TREE_PIDS;
    if (slot->cgroups->top_fd[tree] < 0)
        return 0;
    return write_number(slot, tree, "pids.max", (int64_t)pids_max);
}

static int apply_limits(struct cgroup_slot *slot, const struct cgroup_limits *limits, struct err *err)
{
    const char *what = NULL;
    if (limit_memory(slot, limits->memory_bytes) < 0)
        what = "memory";
    else if (limit_cpu(slot, limits->cpu_millis, limits->cpu_quota) < 0)
        what = "cpu";
    else if (limit_pids(slot, limits->pids_max) < 0)
        what = "process";
    if (what != NULL)
        return err_errno(err, err_from_errno(errno), "set the %s limit of the task's cgroup", what);
    slot->limits = *limits;
    return 0;
}

// A slot that was used before, or NULL and the number of a new one.
static struct cgroup_slot *pop_slot(struct cgroups *cgroups, bool fresh, unsigned *ret_number)
{
    pthread_mutex_lock(&cgroups->lock);
    struct cgroup_slot *slot = fresh ? NULL : cgroups->free_slots;
    if (slot != NULL)
        cgroups->free_slots = slot->next;
    else
        *ret_number = cgroups->next_slot++;
    pthread_mutex_unlock(&cgroups->lock);
    return slot;
}

static int take_slot(struct cgroups *cgroups, const struct cgroup_limits *limits, bool fresh, struct cgroup_slot **ret_slot, struct err *err)
{
    unsigned number = 0;
    struct cgroup_slot *slot = pop_slot(cgroups, fresh, &number);
    bool used = slot != NULL;
    if (!used) {
        int rc = slot_create(cgroups, number, &slot, err);
        if (rc < 0)
            return rc;
    }
    slot->next = NULL;
    if (used)
        reset_counters(slot);
    int rc = apply_limits(slot, limits, err);
    if (rc < 0) {
        cgroup_slot_destroy(cgroups, slot);
        return rc;
    }
    if (used && limits->memory_bytes != 0)
        slot->oom_base = read_oom_kills(slot);
    uint64_t stale; // what an earlier attempt ran into is not this one's
    if (slot->oom_fd >= 0)
        (void)!read(slot->oom_fd, &stale, sizeof(stale));
    *ret_slot = slot;
    return 0;
}

int cgroup_slot_take(struct cgroups *cgroups, const struct cgroup_limits *limits, struct cgroup_slot **ret_slot, struct err *err)
{
    must(cgroups->mode != CGROUP_NONE && limits->pids_max > 0);
    int rc = take_slot(cgroups, limits, false, ret_slot, err);
    // A group that was used may still hold more than a small limit allows; a fresh one does not.
    return rc < 0 ? take_slot(cgroups, limits, true, ret_slot, err) : rc;
}

// Small peaks do not hide much of what comes next.
static bool worth_keeping(const struct cgroup_slot *slot)
{
    return slot->cgroups->mode != CGROUP_V2 || slot->peak_fd < 0 || slot->peak_base_bytes <= PEAK_KEEP_BYTES;
}

void cgroup_slot_give(struct cgroups *cgroups, struct cgroup_slot *slot, bool reusable)
{
    if (slot == NULL)
        return;
    if (!reusable || !worth_keeping(slot)) {
        cgroup_slot_destroy(cgroups, slot);
        return;
    }
    pthread_mutex_lock(&cgroups->lock);
    slot->next = cgroups->free_slots;
    cgroups->free_slots = slot;
    pthread_mutex_unlock(&cgroups->lock);
}

size_t cgroup_slot_join_fds(const struct cgroup_slot *slot, const int **ret_fds)
{
    *ret_fds = slot->join_fd;
    return slot->n_join;
}

int cgroup_slot_oom_fd(const struct cgroup_slot *slot)
{
    return slot->limits.memory_bytes == 0 ? -1 : slot->oom_fd;
}

// Some tree that is used: they all hold the same processes.
static enum cgroup_tree any_tree(const struct cgroups *cgroups)
{
    for (int i = 0; i < CGROUP_TREES; i++)
        if (cgroups->top_fd[i] >= 0)
            return (enum cgroup_tree)i;
    unreachable();
}

bool cgroup_slot_empty(struct cgroup_slot *slot)
{
    char text[256];
    if (slot->pids_fd >= 0) {
        pread_text(slot->pids_fd, text, sizeof(text));
        return strcmp(text, "0\n") == 0;
    }
    read_text(slot, any_tree(slot->cgroups), "cgroup.procs", text, sizeof(text));
    return text[0] == '\0';
}

// Sends a signal to every process in a group; those that appear meanwhile are found by the next call.
static void signal_in(int top_fd, const char *name, int signal)
{
    cleanup_close int fd = open_in(top_fd, name, "cgroup.procs", O_RDONLY);
    cleanup_buf struct buf procs = {0};
    while (fd >= 0 && procs.len < PROCS_BYTES_MAX) {
        buf_reserve(&procs, 4096);
        ssize_t n = read(fd, procs.data + procs.len, 4096);
        if (n <= 0)
            break;
        buf_grew(&procs, (size_t)n);
    }
    for (char *p = procs.data; p != NULL && *p != '\0';) {
        char *end = NULL;
        long pid = strtol(p, &end, 10);
        if (end == p)
            break;
        if (pid > 1)
            (void)kill((pid_t)pid, signal);
        p = *end == '\n' ? end + 1 : end;
    }
}

static bool write_in(int top_fd, const char *name, const char *file, const char *text)
{
    cleanup_close int fd = open_in(top_fd, name, file, O_WRONLY);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

void cgroup_kill_in(int top_fd, const char *name)
{
    if (write_in(top_fd, name, "cgroup.kill", "1"))
        return;
    // Frozen processes cannot fork away from under the loop; the signal is delivered when they thaw.
    bool frozen = write_in(top_fd, name, "freezer.state", "FROZEN");
    signal_in(top_fd, name, SIGKILL);
    if (frozen)
        (void)write_in(top_fd, name, "freezer.state", "THAWED");
}

void cgroup_slot_kill(struct cgroup_slot *slot)
{
    struct cgroups *cgroups = slot->cgroups;
    enum cgroup_tree tree = cgroups->top_fd[TREE_UNIFIED] >= 0 && cgroups->can_kill ? TREE_UNIFIED
                            : cgroups->top_fd[TREE_FREEZER] >= 0                    ? TREE_FREEZER
                                                                                    : any_tree(cgroups);
    cgroup_kill_in(cgroups->top_fd[tree], slot->name);
}

void cgroup_slot_signal(struct cgroup_slot *slot, int signal)
{
    signal_in(slot->cgroups->top_fd[any_tree(slot->cgroups)], slot->name, signal);
}

static uint64_t sum_behind(const char *text, const char *key)
{
    uint64_t sum = 0;
    for (const char *p = text; (p = strstr(p, key)) != NULL; p += strlen(key))
        sum += strtoull(p + strlen(key), NULL, 10);
    return sum;
}

static uint64_t since(uint64_t *base, uint64_t now)
{
    uint64_t more = now > *base ? now - *base : 0;
    *base = now;
    return more;
}

void cgroup_slot_usage(struct cgroup_slot *slot, bool look_for_oom, struct cgroup_usage *ret)
{
    *ret = (struct cgroup_usage){0};
    if (slot->cpu_fd >= 0) {
        ret->has_cpu = true;
        ret->cpu_usec = since(&slot->cpu_base_usec, read_cpu_usec(slot));
    }
    if (slot->peak_fd >= 0) {
        // A peak that is not above that of the attempts before is theirs; the caller has another, rougher one.
        ret->memory_peak_bytes = read_peak(slot);
        ret->has_memory = ret->memory_peak_bytes > slot->peak_base_bytes;
        if (ret->has_memory && slot->cgroups->mode == CGROUP_V2)
            slot->peak_base_bytes = ret->memory_peak_bytes;
    }
    if (look_for_oom)
        ret->oom_kills = since(&slot->oom_base, read_oom_kills(slot));
    if (slot->cgroups->mode == CGROUP_V2) {
        char text[4096];
        read_text(slot, TREE_UNIFIED, "io.stat", text, sizeof(text));
        ret->has_io = text[0] != '\0';
        ret->read_bytes = since(&slot->read_base_bytes, sum_behind(text, " rbytes="));
        ret->written_bytes = since(&slot->written_base_bytes, sum_behind(text, " wbytes="));
    }
}
