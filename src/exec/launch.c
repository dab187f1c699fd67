// SPDX-License-Identifier: Apache-2.0
// Starting one attempt.

#include "exec/launch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "exec/launch_time.h"

// Soft limits that a task begins with; what is hard stays as the agent has it. No core files: they would fill the task's folder.
enum { NOFILE_SOFT = 1024 };

enum child_step {
    STEP_NONE,
    STEP_CGROUP,
    STEP_FDS,
    STEP_USER,
    STEP_PRIVILEGES,
    STEP_WORKDIR,
    STEP_EXEC,
};

// All that the child needs, laid out before it exists: between clone and exec it only makes system calls.
struct child {
    const int *join_fds;
    size_t n_join;
    int low_fd;      // + 0 is stdout's pipe, + 1 stderr's
    int folder_fd;   // to begin in
    const char *workdir; // then, as the user; NULL: stay in the folder
    const struct account *account;
    char **candidates, **argv, **envp;
    bool shell_fallback; // a script without #!
    char **shell_argv;
    struct rlimit nofile;
    bool reset_oom_score;
    // The answer, in memory shared until exec.
    enum child_step step;
    int error;
};

void launch_spec_put(struct launch_spec *spec)
{
    if (spec == NULL || atomic_fetch_sub(&spec->refs, 1) > 1)
        return;
    arena_release(&spec->arena);
    mem_free(spec);
}

static int fail(struct child *child, enum child_step step)
{
    child->error = errno;
    child->step = step;
    return -1;
}

// Raw system calls: those of libc would tell every thread of the process, whose memory is shared, to switch too.
static int become_user(struct child *child)
{
    const struct account *account = child->account;
    if (!account->switch_user)
        return 0;
    if (syscall(SYS_setgroups, account->n_groups, account->groups) < 0 ||
        syscall(SYS_setresgid, account->gid, account->gid, account->gid) < 0 ||
        syscall(SYS_setresuid, account->uid, account->uid, account->uid) < 0)
        return fail(child, STEP_USER);
    return 0;
}

static void reset_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "0", 1);
    close(fd);
}

static int set_up_fds(struct child *child)
{
    // The table is shared with the spawner until here. Only its low part is copied, so that thousands of other descriptors cost
    // nothing, now or at exec. (The kernel copies up to 64 and closes those above LAUNCH_LOW_FDS at once.)
    if (syscall(SYS_close_range, LAUNCH_LOW_FDS, UINT_MAX, CLOSE_RANGE_UNSHARE) < 0)
        return fail(child, STEP_FDS);
    // 0 is /dev/null in the spawner already.
    if (dup2(child->low_fd, 1) < 0 || dup2(child->low_fd + 1, 2) < 0)
        return fail(child, STEP_FDS);
    if (syscall(SYS_close_range, 3, UINT_MAX, 0) < 0)
        return fail(child, STEP_FDS);
    return 0;
}

static void set_up_process(struct child *child)
{
    umask(022);
    (void)setpriority(PRIO_PROCESS, 0, 0);
    (void)setrlimit(RLIMIT_NOFILE, &child->nofile);
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) == 0) {
        core.rlim_cur = 0;
        (void)setrlimit(RLIMIT_CORE, &core);
    }
}

static void try_exec(struct child *child)
{
    int error = ENOENT;
    for (char **path = child->candidates; *path != NULL; path++) {
        execve(*path, child->argv, child->envp);
        if (errno == ENOEXEC && child->shell_fallback)
            execve("/bin/sh", child->shell_argv, child->envp);
        // One entry of PATH that may not be read does not hide the command in the next.
        if (errno != ENOENT && errno != ENOTDIR)
            error = errno;
        if (error != ENOENT && error != EACCES)
            break;
    }
    errno = error;
}

static int child_main(void *context)
{
    struct child *child = context;
    syscall(SYS_setsid);
    for (size_t i = 0; i < child->n_join; i++) {
        if (write(child->join_fds[i], "0", 1) != 1) {
            fail(child, STEP_CGROUP);
            _exit(127);
        }
    }
    if (child->reset_oom_score)
        reset_oom_score();
    // The working directory is not shared; its descriptor goes with the others.
    if (child->folder_fd >= 0 && fchdir(child->folder_fd) < 0) {
        fail(child, STEP_WORKDIR);
        _exit(127);
    }
    if (set_up_fds(child) < 0)
        _exit(127);
    set_up_process(child);
    if (become_user(child) < 0)
        _exit(127);
    // Changing the user clears the death signal, so it is set behind that.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        fail(child, STEP_PRIVILEGES);
        _exit(127);
    }
    if (child->workdir != NULL && chdir(child->workdir) < 0) {
        fail(child, STEP_WORKDIR);
        _exit(127);
    }
    sigset_t none;
    sigemptyset(&none);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, _NSIG / 8);
    try_exec(child);
    fail(child, STEP_EXEC);
    _exit(127);
}

static int write_script(struct launcher *launcher, struct launch *launch, const struct account *account, const char *name)
{
    cleanup_close int dir_fd = workdir_open(launcher->workdirs, &launch->workdir);
    cleanup_close int fd = dir_fd < 0 ? -1 : openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0500);
    const char *script = launch->spec->spec->script;
    size_t len = strlen(script);
    if (fd < 0 || write(fd, script, len) != (ssize_t)len || fchmod(fd, 0500) < 0 ||
        (account->switch_user && fchown(fd, account->uid, account->gid) < 0))
        return err_errno(&launch->err, err_from_errno(errno), "write the task's script");
    return 0;
}

static char **copy_list(struct arena *arena, const char *const *list, size_t n)
{
    char **copy = arena_array(arena, char *, n + 1);
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_strdup(arena, list[i]);
    return copy;
}

#define SCRIPT_NAME ".muster-script"

static int prepare_command(struct launcher *launcher, struct launch *launch, struct arena *arena, struct launch_times *times, const char *folder,
                           struct child *child)
{
    const struct job_spec *spec = launch->spec->spec;
    if (spec->script != NULL) {
        if (write_script(launcher, launch, child->account, SCRIPT_NAME) < 0)
            return -1;
        char *path = arena_printf(arena, "%s/" SCRIPT_NAME, folder);
        child->argv = copy_list(arena, (const char *const[]){path}, 1);
        child->candidates = child->argv;
        child->shell_fallback = true;
        child->shell_argv = copy_list(arena, (const char *const[]){"/bin/sh", path}, 2);
        return 0;
    }
    if (spec->n_command == 0)
        return err_set(&launch->err, ERR_INVALID, "there is no command to run");
    child->argv = copy_list(arena, spec->command, spec->n_command);
    for (size_t i = 0; i < spec->n_command; i++) {
        child->argv[i] = (char *)launch_times_expand(times, arena, child->argv[i]);
        if (child->argv[i] == NULL)
            return launch_times_too_long(&launch->err);
    }
    child->candidates = launch_candidates(arena, child->argv[0], child->envp);
    return 0;
}

static bool first_line_ends_in_cr(const char *script)
{
    size_t len = strcspn(script, "\n");
    return len > 0 && script[len - 1] == '\r';
}

static void describe_failure(struct launch *launch, const struct child *child)
{
    const struct job_spec *spec = launch->spec->spec;
    const char *command = spec->script != NULL ? "the script" : spec->command[0];
    struct err *err = &launch->err;
    errno = child->error;
    switch (child->step) {
    case STEP_EXEC:
        if (spec->script == NULL && strchr(command, '/') == NULL && child->error == ENOENT)
            err_set(err, ERR_NOT_FOUND, "command '%s' not found in PATH", command);
        else if (spec->script != NULL && child->error == ENOENT && first_line_ends_in_cr(spec->script))
            err_set(err, ERR_NOT_FOUND, "the script's lines end as on Windows (CR LF), so its interpreter is not found; save it with LF");
        else if (spec->script != NULL && child->error == ENOENT)
            err_set(err, ERR_NOT_FOUND, "the interpreter in the script's first line does not exist on this node");
        else if (spec->script != NULL && child->error == EACCES && child->account->switch_user)
            err_set(err, ERR_DENIED, "the user '%s' may not run the script: its interpreter, or a folder above the agent's folder, is closed to it",
                    child->account->name);
        else
            err_errno(err, err_from_errno(errno), "execute '%s'", command);
        return;
    case STEP_WORKDIR:
        err_errno(err, err_from_errno(errno), "enter the working directory '%s'", child->workdir == NULL ? "of the task" : child->workdir);
        return;
    case STEP_USER:
        err_errno(err, err_from_errno(errno), "become the user '%s'", child->account->name);
        return;
    case STEP_CGROUP:
        err_errno(err, err_from_errno(errno), "enter the task's cgroup");
        return;
    case STEP_FDS:
    case STEP_PRIVILEGES:
    case STEP_NONE:
        err_errno(err, err_from_errno(errno), "prepare the process of the task");
        return;
    }
    unreachable();
}

// Ticks since boot at which a process began: with the pid, they name a process for good.
static uint64_t read_pid_ticks(pid_t pid)
{
    char path[40], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *p = strrchr(text, ')'); // the name before it may hold anything
    for (int field = 2; p != NULL && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p == NULL ? 0 : strtoull(p + 1, NULL, 10);
}

// A stack for the child: 64 KiB, guarded below by a page that cannot be touched.
enum { STACK_BYTES = 64 * 1024, GUARD_BYTES = 4096 };

static char *child_stack(void)
{
    static _Thread_local char *stack;
    if (stack == NULL) {
        char *mapped = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (mapped == MAP_FAILED)
            return NULL;
        (void)mprotect(mapped, GUARD_BYTES, PROT_NONE);
        stack = mapped;
    }
    return stack + GUARD_BYTES + STACK_BYTES;
}

static int make_pipes(struct launcher *launcher, struct launch *launch)
{
    int *const read_end[2] = {&launch->out_fd, &launch->err_fd};
    for (int i = 0; i < 2; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return err_errno(&launch->err, err_from_errno(errno), "create a pipe for the task's output");
        *read_end[i] = ends[0];
        int rc = dup3(ends[1], launcher->low_fd + i, O_CLOEXEC);
        close_fd(ends[1]);
        if (rc < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
            return err_errno(&launch->err, err_from_errno(errno), "prepare a pipe for the task's output");
    }
    return 0;
}

// The write ends of the pipes are the child's alone.
static void drop_low_fds(struct launcher *launcher)
{
    for (int i = 0; i < 2; i++) {
        int rc = dup3(launcher->null_fd, launcher->low_fd + i, O_CLOEXEC);
        must(rc >= 0);
    }
}

static int clone_child(struct launcher *launcher, struct launch *launch, struct child *child)
{
    char *stack = child_stack();
    if (stack == NULL)
        return err_errno(&launch->err, ERR_NO_MEMORY, "map a stack for the task's process");
    if (make_pipes(launcher, launch) < 0) {
        drop_low_fds(launcher);
        return -1;
    }
    child->low_fd = launcher->low_fd;
    launch->start_wall_usec = clock_wall_usec();
    launch->start_boot_usec = clock_boot_usec();
    launch->start_mono_usec = clock_mono_usec();
    int pidfd = -1;
    pid_t pid = clone(child_main, stack, CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD | SIGCHLD, child, &pidfd);
    int saved_errno = errno;
    drop_low_fds(launcher);
    if (pid < 0) {
        errno = saved_errno;
        return err_errno(&launch->err, err_from_errno(errno), "create the task's process");
    }
    launch->pid = pid;
    launch->pidfd = pidfd;
    if (child->step != STEP_NONE) {
        siginfo_t info;
        (void)waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL);
        launch->pidfd = close_fd(pidfd);
        describe_failure(launch, child);
        return -1;
    }
    // A process that has died already is a zombie until it is collected, so this cannot be about another one.
    launch->pid_ticks = launcher->cgroups == NULL || cgroups_mode(launcher->cgroups) == CGROUP_NONE ? read_pid_ticks(pid) : 0;
    return 0;
}

static void limits_of(const struct launch *launch, struct cgroup_limits *ret)
{
    const struct job_spec *spec = launch->spec->spec;
    *ret = (struct cgroup_limits){.cpu_millis = 1000, .cpu_quota = spec->cpu_declared, .pids_max = launch->pids_max};
    for (size_t i = 0; i < spec->n_needs; i++) {
        if (strcmp(spec->needs[i].name, "cpu") == 0)
            ret->cpu_millis = spec->needs[i].amount;
        else if (strcmp(spec->needs[i].name, "memory") == 0)
            ret->memory_bytes = spec->needs[i].amount;
    }
}

static int prepare_and_clone(struct launcher *launcher, struct launch *launch, struct arena *arena, const struct account *account)
{
    struct child child = {.account = account, .folder_fd = -1, .reset_oom_score = launcher->reset_oom_score};
    launch->uid = account->uid;
    if (workdir_take(launcher->workdirs, account->uid, account->gid, &launch->workdir, &launch->err) < 0)
        return -1;
    char folder[WORKDIR_PATH_MAX];
    workdir_path(launcher->workdirs, &launch->workdir, folder);
    struct launch_times times;
    launch_times_init(&times, launch->spec->spec, launch->nominal_usec);
    if (launch_times_params(&times, arena, (struct bytes){(const uint8_t *)launch->params.data, launch->params.len}, &launch->err) < 0)
        return -1;
    child.envp = launch_environment(arena, launch, &times, account, launcher->instance, folder);
    if (child.envp == NULL)
        return launch_times_too_long(&launch->err);
    if (prepare_command(launcher, launch, arena, &times, folder, &child) < 0)
        return -1;
    cleanup_close int folder_fd = workdir_open(launcher->workdirs, &launch->workdir);
    if (folder_fd < 0)
        return err_errno(&launch->err, err_from_errno(errno), "open the folder of the task");
    child.folder_fd = folder_fd;
    child.workdir = launch->spec->spec->workdir;
    if (cgroups_mode(launcher->cgroups) != CGROUP_NONE) {
        struct cgroup_limits limits;
        limits_of(launch, &limits);
        if (cgroup_slot_take(launcher->cgroups, &limits, &launch->slot, &launch->err) < 0)
            return -1;
        child.n_join = cgroup_slot_join_fds(launch->slot, &child.join_fds);
    }
    child.nofile = launcher->nofile;
    if (child.nofile.rlim_cur > NOFILE_SOFT)
        child.nofile.rlim_cur = NOFILE_SOFT;
    if (launch->lease_boot_usec != NULL && clock_boot_usec() >= atomic_load(launch->lease_boot_usec)) {
        launch->outcome = OUTCOME_NOT_STARTED;
        return err_set(&launch->err, ERR_TIMEOUT, "the node's lease ran out before the command was started");
    }
    return clone_child(launcher, launch, &child);
}

void launch_run(struct launcher *launcher, struct launch *launch)
{
    must(launcher->low_fd >= 3 && launcher->low_fd + 1 < LAUNCH_LOW_FDS);
    launch->outcome = OUTCOME_SPAWN;
    launch->pidfd = launch->out_fd = launch->err_fd = -1;
    struct account *account = NULL;
    if (account_get(launch->spec->spec->user, &account, &launch->err) < 0)
        return;
    cleanup_arena struct arena arena;
    arena_init(&arena, 0);
    if (prepare_and_clone(launcher, launch, &arena, account) == 0)
        launch->outcome = OUTCOME_SUCCEEDED;
    account_put(account);
}

void launch_release(struct launcher *launcher, struct launch *launch)
{
    launch->pidfd = close_fd(launch->pidfd);
    launch->out_fd = close_fd(launch->out_fd);
    launch->err_fd = close_fd(launch->err_fd);
    buf_release(&launch->params);
    launch_spec_put(launch->spec);
    launch->spec = NULL;
    cgroup_slot_give(launcher->cgroups, launch->slot, true);
    launch->slot = NULL;
}
