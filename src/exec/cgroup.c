// SPDX-License-Identifier: Apache-2.0
// Control groups for attempts: which trees can be used, the pool of slots, and what is left over from an earlier spawner.

#include "exec/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/cgroup_slot.h"

#define PROC_TEXT_MAX ((size_t)1 << 20)

static void warn(struct cgroups *cgroups, const char *sentence)
{
    must(cgroups->n_warnings < CGROUP_WARNINGS_MAX);
    cgroups->warnings[cgroups->n_warnings++] = sentence;
}

static int write_at(int dir_fd, const char *name, const char *text)
{
    cleanup_close int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t len = strlen(text);
    return write(fd, text, len) == (ssize_t)len ? 0 : -1;
}

// Opens (and creates) the top of our slots in one tree; -1 when that is not allowed or there is no such tree.
static int open_top(const char *own_path, const char *id)
{
    if (own_path[0] == '\0')
        return -1;
    cleanup_close int own_fd = open(own_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own_fd < 0 || faccessat(own_fd, "cgroup.procs", W_OK, AT_EACCESS) < 0)
        return -1;
    char name[64];
    snprintf(name, sizeof(name), "muster-%s", id);
    if (mkdirat(own_fd, name, 0755) < 0 && errno != EEXIST)
        return -1;
    return openat(own_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool has_file(int dir_fd, const char *name)
{
    return faccessat(dir_fd, name, F_OK, 0) == 0;
}

// systemd marks a group whose processes may be moved about by its owner.
static bool is_delegated(const char *path)
{
    char value[4];
    return getxattr(path, "user.delegate", value, sizeof(value)) == 1 || getxattr(path, "trusted.delegate", value, sizeof(value)) == 1;
}

// Moves what is in a delegated group into a leaf beside our slots: a group with members cannot hand controllers down.
static void make_way(const char *own_path, const char *id)
{
    cleanup_close int own_fd = open(own_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char leaf[80], procs_path[700];
    snprintf(leaf, sizeof(leaf), "muster-%s-agent", id);
    snprintf(procs_path, sizeof(procs_path), "%s/cgroup.procs", own_path);
    cleanup_buf struct buf procs = {0};
    if (own_fd < 0 || (mkdirat(own_fd, leaf, 0755) < 0 && errno != EEXIST) || fs_read(procs_path, PROC_TEXT_MAX, &procs, NULL) < 0)
        return;
    char target[120];
    snprintf(target, sizeof(target), "%s/cgroup.procs", leaf);
    for (char *line = procs.data, *end; line != NULL && *line != '\0'; line = end) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        (void)write_at(own_fd, target, line);
    }
}

// Hands the controllers down to our slots. make_room: the processes in the group may be moved out of the way.
static bool enable_controllers(const char *own_path, int top_fd, const char *id, bool make_room)
{
    static const char wanted[] = "+cpu +memory +pids";
    cleanup_close int own_fd = open(own_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_buf struct buf controllers = {0};
    char path[700];
    snprintf(path, sizeof(path), "%s/cgroup.controllers", own_path);
    buf_init(&controllers);
    if (own_fd < 0 || fs_read(path, 4096, &controllers, NULL) < 0 || strstr(controllers.data, "memory") == NULL ||
        strstr(controllers.data, "pids") == NULL)
        return false;
    if (write_at(own_fd, "cgroup.subtree_control", wanted) < 0) {
        if (errno != EBUSY || !make_room)
            return false;
        make_way(own_path, id);
        if (write_at(own_fd, "cgroup.subtree_control", wanted) < 0)
            return false;
    }
    // io is welcome, but not every kernel and delegation has it.
    if (write_at(own_fd, "cgroup.subtree_control", "+io") == 0)
        (void)write_at(top_fd, "cgroup.subtree_control", "+io");
    return write_at(top_fd, "cgroup.subtree_control", wanted) == 0;
}

static void drop_top(int *top_fd, const char *own_path, const char *id)
{
    cleanup_close int own_fd = open(own_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[64];
    snprintf(name, sizeof(name), "muster-%s", id);
    *top_fd = close_fd(*top_fd);
    if (own_fd >= 0)
        (void)unlinkat(own_fd, name, AT_REMOVEDIR);
}

// Uses v2 with its controllers below one group, if that can be.
static bool open_v2_at(struct cgroups *cgroups, const char *own_path, const char *id, bool make_room)
{
    int top_fd = open_top(own_path, id);
    if (top_fd < 0)
        return false;
    if (!enable_controllers(own_path, top_fd, id, make_room)) {
        drop_top(&top_fd, own_path, id);
        return false;
    }
    cgroups->mode = CGROUP_V2;
    cgroups->top_fd[TREE_UNIFIED] = top_fd;
    cgroups->can_kill = has_file(top_fd, "cgroup.kill");
    return true;
}

// Our own group first, which is where limits of a service or container lie. It often holds processes besides (a login session), and a group
// with members cannot hand controllers down: they are moved where that is ours to do, which is in a delegated group and in the top group of a
// container. Else root takes a group below the root of the hierarchy, which may have both.
static bool open_v2(struct cgroups *cgroups, struct cgroup_paths *paths, const char *id)
{
    const char *own = paths->path[TREE_UNIFIED], *mount = paths->unified_mount;
    if (own[0] == '\0')
        return false;
    char type[700];
    snprintf(type, sizeof(type), "%s/cgroup.type", own); // the real root has none
    bool container_top = geteuid() == 0 && strcmp(own, mount) == 0 && access(type, F_OK) == 0;
    if (open_v2_at(cgroups, own, id, container_top || is_delegated(own)))
        return true;
    if (geteuid() != 0 || strcmp(own, mount) == 0 || !open_v2_at(cgroups, mount, id, false))
        return false;
    int copied = str_copy(paths->path[TREE_UNIFIED], sizeof(paths->path[TREE_UNIFIED]), mount);
    must(copied == 0);
    return true;
}

// All tasks together weigh as much as the machine has cores, so that they are not crowded out by single processes beside them.
static void weigh_top(struct cgroups *cgroups)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 1)
        cores = 1;
    char text[32];
    if (cgroups->mode == CGROUP_V2) {
        snprintf(text, sizeof(text), "%ld", cores < 100 ? 100 * cores : 10000);
        (void)write_at(cgroups->top_fd[TREE_UNIFIED], "cpu.weight", text);
    } else if (cgroups->top_fd[TREE_CPU] >= 0) {
        snprintf(text, sizeof(text), "%ld", cores < 256 ? 1024 * cores : 262144);
        (void)write_at(cgroups->top_fd[TREE_CPU], "cpu.shares", text);
    }
}

static void open_v1(struct cgroups *cgroups, const struct cgroup_paths *paths, const char *id)
{
    static const enum cgroup_tree wanted[] = {TREE_CPU, TREE_MEMORY, TREE_PIDS};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        cgroups->top_fd[wanted[i]] = open_top(paths->path[wanted[i]], id);
    int unified = cgroups->top_fd[TREE_UNIFIED];
    cgroups->can_kill = unified >= 0 && has_file(unified, "cgroup.kill");
    if (!cgroups->can_kill)
        cgroups->top_fd[TREE_FREEZER] = open_top(paths->path[TREE_FREEZER], id);
    if (unified < 0 || !has_file(unified, "cpu.stat"))
        cgroups->top_fd[TREE_CPUACCT] = open_top(paths->path[TREE_CPUACCT], id);
    cgroups->mode = CGROUP_NONE;
    for (int i = 0; i < CGROUP_TREES; i++)
        if (cgroups->top_fd[i] >= 0)
            cgroups->mode = CGROUP_V1;
    if (cgroups->mode == CGROUP_NONE)
        return;
    if (cgroups->top_fd[TREE_MEMORY] < 0)
        warn(cgroups, "The memory of tasks is not limited: the cgroup controller memory cannot be used.");
    else if (!has_file(cgroups->top_fd[TREE_MEMORY], "memory.memsw.limit_in_bytes"))
        warn(cgroups, "The kernel does not account swap: a task may use swap beyond its memory limit.");
    if (cgroups->top_fd[TREE_CPU] < 0)
        warn(cgroups, "The cpu share of tasks is not enforced: the cgroup controller cpu cannot be used.");
    if (cgroups->top_fd[TREE_PIDS] < 0)
        warn(cgroups, "The number of processes of a task is not limited: the cgroup controller pids cannot be used.");
}

void cgroups_open(const char *id, struct cgroups **ret_cgroups)
{
    must(id != NULL && id[0] != '\0');
    struct cgroups *cgroups = mem_alloc(sizeof(*cgroups));
    pthread_mutex_init(&cgroups->lock, NULL);
    for (int i = 0; i < CGROUP_TREES; i++)
        cgroups->top_fd[i] = -1;
    cleanup_buf struct buf mountinfo = {0}, self = {0};
    buf_init(&mountinfo);
    buf_init(&self);
    (void)fs_read("/proc/self/mountinfo", PROC_TEXT_MAX, &mountinfo, NULL);
    (void)fs_read("/proc/self/cgroup", PROC_TEXT_MAX, &self, NULL);
    struct cgroup_paths *paths = mem_alloc(sizeof(*paths));
    cgroup_paths_parse(mountinfo.data, self.data, paths);
    if (!open_v2(cgroups, paths, id)) {
        cgroups->top_fd[TREE_UNIFIED] = open_top(paths->path[TREE_UNIFIED], id);
        open_v1(cgroups, paths, id);
    }
    weigh_top(cgroups);
    for (int i = 0; i < CGROUP_TREES; i++) {
        snprintf(cgroups->top_path[i], sizeof(cgroups->top_path[i]), "%s", paths->path[i]);
        snprintf(cgroups->top_name, sizeof(cgroups->top_name), "muster-%s", id);
    }
    if (cgroups->mode == CGROUP_NONE) {
        warn(cgroups, "No cgroup may be created here: cpu, memory and process limits of tasks are not enforced, and processes that leave "
                      "their task's session are found only by their environment.");
        warn(cgroups, "Usage of tasks is what the kernel reports of processes that were waited for.");
    }
    mem_free(paths);
    *ret_cgroups = cgroups;
}

enum cgroup_mode cgroups_mode(const struct cgroups *cgroups)
{
    return cgroups->mode;
}

size_t cgroups_warnings(const struct cgroups *cgroups, const char *const **ret_sentences)
{
    *ret_sentences = cgroups->warnings;
    return cgroups->n_warnings;
}

void cgroups_close(struct cgroups *cgroups)
{
    if (cgroups == NULL)
        return;
    while (cgroups->free_slots != NULL) {
        struct cgroup_slot *slot = cgroups->free_slots;
        cgroups->free_slots = slot->next;
        cgroup_slot_destroy(cgroups, slot);
    }
    for (int i = 0; i < CGROUP_TREES; i++) {
        if (cgroups->top_fd[i] < 0)
            continue;
        close_fd(cgroups->top_fd[i]);
        cleanup_close int own_fd = open(cgroups->top_path[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (own_fd >= 0)
            (void)unlinkat(own_fd, cgroups->top_name, AT_REMOVEDIR);
    }
    pthread_mutex_destroy(&cgroups->lock);
    mem_free(cgroups);
}

// One pass over the groups below a top: kills what is in them and removes those that are empty. Returns how many are left.
static size_t clear_top(int top_fd)
{
    int fd = openat(top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        close_fd(fd);
        return 0;
    }
    size_t left = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR) == 0)
            continue;
        left++;
        cgroup_kill_in(dirfd(dir), entry->d_name);
    }
    return left;
}

void cgroups_tops(const struct cgroups *cgroups, struct buf *ret)
{
    for (int i = 0; i < CGROUP_TREES; i++)
        if (cgroups->top_fd[i] >= 0)
            buf_printf(ret, "%s/%s\n", cgroups->top_path[i], cgroups->top_name);
}

// The tops that an earlier spawner named, if they are still there: where it ran in another group, they are not ours. Fills fds, at most
// CGROUP_TREES.
static size_t open_earlier(const struct cgroups *cgroups, const char *tops, int fds[static CGROUP_TREES])
{
    size_t n = 0;
    for (const char *line = tops; *line != '\0' && n < CGROUP_TREES;) {
        const char *end = strchrnul(line, '\n');
        char path[700];
        snprintf(path, sizeof(path), "%.*s", (int)(end - line), line);
        const char *name = strrchr(path, '/');
        // Only folders of ours, whatever the file says.
        if (name != NULL && strcmp(name + 1, cgroups->top_name) == 0) {
            int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (fd >= 0)
                fds[n++] = fd;
        }
        line = *end == '\n' ? end + 1 : end;
    }
    return n;
}

int cgroups_clear(struct cgroups *cgroups, const char *earlier_tops, unsigned wait_millis, struct err *err)
{
    int earlier[CGROUP_TREES];
    size_t n_earlier = open_earlier(cgroups, earlier_tops, earlier);
    size_t left;
    for (unsigned waited = 0;; waited += 2) {
        left = 0;
        for (int i = 0; i < CGROUP_TREES; i++)
            if (cgroups->top_fd[i] >= 0)
                left += clear_top(cgroups->top_fd[i]);
        for (size_t i = 0; i < n_earlier; i++)
            left += clear_top(earlier[i]);
        if (left == 0 || waited >= wait_millis)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    for (size_t i = 0; i < n_earlier; i++)
        close_fd(earlier[i]);
    if (left > 0)
        return err_set(err, ERR_TIMEOUT, "%zu cgroups of an earlier spawner still hold processes that do not die", left);
    return 0;
}
