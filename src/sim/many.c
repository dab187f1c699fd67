// SPDX-License-Identifier: Apache-2.0
// Many seeds on all cores. Each worker is a process that takes the next seed from shared memory and runs it in a child of its own; a seed that
// fails stops no other. The parent tells the progress and sums up, also when it is interrupted.
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "sim/command.h"

// With fewer seeds a kind of fault that never struck is no error.
enum { SEEDS_FOR_ALL = 200 };

struct failure {
    uint64_t seed;
    struct sim_result result;
    atomic_bool done; // the rest is filled
};

// What the workers share.
struct shared {
    atomic_ullong next;
    atomic_uint n_failures;
    atomic_bool stop;
    atomic_ullong seeds, events, runs, attempts, processes, fires, records, restarts, snapshots, simulated_usec, cpu_usec, faults[FAULTS], checked[INVARIANTS];
    struct failure failures[FAILURES_MAX];
};

static struct shared *interrupted;

static void on_signal(int signal)
{
    (void)signal;
    interrupted->stop = true;
}

static void add_result(struct shared *shared, const struct command *command, uint64_t seed, const struct sim_result *result)
{
    shared->events += result->events;
    shared->runs += result->runs;
    shared->attempts += result->attempts;
    shared->processes += result->processes;
    shared->fires += result->fires;
    shared->records += result->records;
    shared->restarts += result->restarts;
    shared->snapshots += result->snapshots;
    shared->simulated_usec += (unsigned long long)result->simulated_usec;
    for (int i = 0; i < FAULTS; i++)
        shared->faults[i] += result->faults[i];
    for (int i = 0; i < INVARIANTS; i++)
        shared->checked[i] += result->checked[i];
    shared->seeds++;
    if (!result->failed)
        return;
    unsigned n = shared->n_failures++;
    if (n < FAILURES_MAX) {
        shared->failures[n].seed = seed;
        shared->failures[n].result = *result;
        shared->failures[n].done = true;
    }
    if (command->stop_at_first || n + 1 >= FAILURES_MAX)
        shared->stop = true;
}

static usec_t cpu_of_children(void)
{
    struct rusage usage;
    must(getrusage(RUSAGE_CHILDREN, &usage) == 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * USEC_PER_SEC + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void worker(const struct command *command, struct shared *shared, usec_t until_mono_usec)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The parent is told, and lets the seeds under way come to their end.
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGTERM, &ignore, NULL);
    struct sim_options options = command->options;
    while (clock_mono_usec() < until_mono_usec && !shared->stop) {
        options.seed = shared->next++;
        if (options.seed > command->last)
            break;
        struct sim_result result;
        sim_run_apart(&options, &result);
        add_result(shared, command, options.seed, &result);
    }
    shared->cpu_usec += (unsigned long long)cpu_of_children();
    _exit(0);
}

static void tell_progress(const struct command *command, struct shared *shared, usec_t took, unsigned *ret_told)
{
    fprintf(stderr, "sim: %" PRId64 " s, %llu seeds, %llu simulated hours, %u failed\n", took / USEC_PER_SEC, shared->seeds,
            shared->simulated_usec / (unsigned long long)USEC_PER_HOUR, shared->n_failures);
    for (unsigned n = shared->n_failures < FAILURES_MAX ? shared->n_failures : FAILURES_MAX; *ret_told < n && shared->failures[*ret_told].done; ++*ret_told) {
        struct sim_options options = command->options;
        options.seed = shared->failures[*ret_told].seed;
        report_failure_short(&options, &shared->failures[*ret_told].result, stderr);
    }
}

static void sum_up(const struct shared *shared, usec_t took, struct totals *totals)
{
    *totals = (struct totals){
        .seeds = shared->seeds,
        .failures = shared->n_failures,
        .events = shared->events,
        .runs = shared->runs,
        .attempts = shared->attempts,
        .processes = shared->processes,
        .fires = shared->fires,
        .records = shared->records,
        .restarts = shared->restarts,
        .snapshots = shared->snapshots,
        .simulated_usec = (usec_t)shared->simulated_usec,
        .cpu_usec = (usec_t)shared->cpu_usec,
        .real_usec = took,
    };
    for (int i = 0; i < FAULTS; i++)
        totals->faults[i] = shared->faults[i];
    for (int i = 0; i < INVARIANTS; i++) {
        totals->checked[i] = shared->checked[i];
        totals->checks += shared->checked[i];
    }
}

static int by_seed(const void *a, const void *b)
{
    uint64_t x = ((const struct failure *)a)->seed, y = ((const struct failure *)b)->seed;
    return x < y ? -1 : x > y;
}

// Every failing seed; the first one of each invariant as a whole.
static void print_failures(const struct command *command, struct shared *shared)
{
    unsigned n = shared->n_failures < FAILURES_MAX ? shared->n_failures : FAILURES_MAX;
    qsort(shared->failures, n, sizeof(shared->failures[0]), by_seed);
    struct sim_options options = command->options;
    for (unsigned i = 0; i < n; i++) {
        bool known = false;
        for (unsigned k = 0; k < i; k++)
            known = known || strcmp(shared->failures[k].result.invariant, shared->failures[i].result.invariant) == 0;
        options.seed = shared->failures[i].seed;
        if (!known)
            report_failure(&options, &shared->failures[i].result);
    }
    if (n > 0)
        printf("failing seeds: %u%s\n", (unsigned)shared->n_failures, n == FAILURES_MAX ? ", enough to stop" : "");
    for (unsigned i = 0; i < n; i++) {
        options.seed = shared->failures[i].seed;
        report_failure_short(&options, &shared->failures[i].result, stdout);
    }
}

static void wait_for_workers(const struct command *command, struct shared *shared, usec_t began)
{
    const usec_t every = 10 * USEC_PER_SEC;
    unsigned told = 0;
    usec_t next = began + every;
    for (int left = command->jobs; left > 0;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid > 0) {
            left--;
            continue;
        }
        must(pid == 0 || errno == EINTR);
        usleep(20000);
        if (clock_mono_usec() < next)
            continue;
        tell_progress(command, shared, clock_mono_usec() - began, &told);
        next += every;
    }
}

int sim_many(const struct command *command)
{
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED);
    shared->next = command->first;
    usec_t began = clock_mono_usec(), until = command->for_usec > 0 ? began + command->for_usec : USEC_NEVER;
    fflush(NULL);
    for (int i = 0; i < command->jobs; i++) {
        pid_t pid = fork();
        must(pid >= 0);
        if (pid == 0)
            worker(command, shared, until);
    }
    interrupted = shared;
    struct sigaction action = {.sa_handler = on_signal}, old_int, old_term;
    sigaction(SIGINT, &action, &old_int);
    sigaction(SIGTERM, &action, &old_term);
    wait_for_workers(command, shared, began);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    struct totals totals;
    sum_up(shared, clock_mono_usec() - began, &totals);
    bool failed = totals.failures > 0, cut = shared->stop && !failed;
    print_failures(command, shared);
    if (cut)
        printf("interrupted; so far:\n");
    report_totals(&totals, command->first, command->jobs);
    int never = command->need_all ? report_kinds(&totals) : 0;
    if (never > 0)
        printf("%d kinds of faults or invariants never came up%s\n", never, totals.seeds < SEEDS_FOR_ALL ? ", which is no error with so few seeds" : "");
    if (command->json)
        report_json(&totals, command);
    munmap(shared, sizeof(*shared));
    return failed || (never > 0 && !cut && totals.seeds >= SEEDS_FOR_ALL) ? 1 : cut ? 130 : 0;
}
