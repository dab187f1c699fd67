// SPDX-License-Identifier: Apache-2.0
// A run in a process of its own, so that an assertion that fails in the code under test is a result like any other.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sim/internal.h"

enum { ABORTED_STATUS = 3 };

// Not async-signal-safe, which matters little: abort() calls it from the place that failed, and the process ends with it.
static void on_abort(int signal)
{
    static bool again;
    struct sim *sim = sim_current;
    if (sim == NULL || again)
        _exit(4);
    again = true;
    sim->result->failed = true;
    sim->result->failed_usec = sim->now;
    if (signal == SIGABRT)
        memcpy(sim->result->invariant, "assertion", 10);
    else
        memcpy(sim->result->invariant, "crash", 6);
    fill_result(sim);
    _exit(ABORTED_STATUS);
}

static void run_child(const struct sim_options *options, struct sim_result *shared, int err_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(err_fd, STDERR_FILENO);
    struct sigaction action = {.sa_handler = on_abort};
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sim_run(options, shared);
    fflush(NULL);
    _exit(0);
}

static void read_text(int fd, struct sim_result *result)
{
    ssize_t n = pread(fd, result->text, sizeof(result->text) - 1, 0);
    result->text[n > 0 ? n : 0] = '\0';
    size_t len = strlen(result->text);
    while (len > 0 && result->text[len - 1] == '\n')
        result->text[--len] = '\0';
}

void sim_run_apart(const struct sim_options *options, struct sim_result *ret_result)
{
    struct sim_result *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED);
    cleanup_close int err_fd = memfd_create("sim-stderr", MFD_CLOEXEC);
    must(err_fd >= 0);
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0)
        run_child(options, shared, err_fd);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    *ret_result = *shared;
    munmap(shared, sizeof(*shared));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    ret_result->failed = true;
    if (ret_result->invariant[0] == '\0')
        memcpy(ret_result->invariant, "crash", 6);
    read_text(err_fd, ret_result);
}
