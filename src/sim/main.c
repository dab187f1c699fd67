// SPDX-License-Identifier: Apache-2.0
// The command `muster sim`: one seed, or many on all cores.
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/str.h"
#include "sim/commit.h"
#include "sim/sim.h"

enum { FAILURES_MAX = 64, JOBS_MAX = 64 };

static const char *const fault_names[] = {
#define FAULT(NAME, text, scenarios, sentence) text,
#include "sim/faults.def"
};
static const char *const plant_names[] = {
    "none",
#define PLANT(NAME, text, sentence) text,
#include "sim/plants.def"
};

static const char help[] =
    "usage: muster sim [--seed N | --seeds FIRST-LAST | --for DURATION] [OPTION...]\n"
    "Runs whole clusters in one process, from one seed, under faults of every kind, and checks after every event that Muster keeps its promises.\n"
    "  --seed N            run this seed (default: 1)\n"
    "  --seeds FIRST-LAST  run these seeds, on all cores\n"
    "  --for DURATION      run fresh seeds, from --seed on or from one taken from the clock, for so long\n"
    "  --minutes M         minutes of faults (default: drawn from the seed)\n"
    "  --scenario NAME     swarm (default), calm, net, partition, crash, disk, clock, cron, pause, exec, poison, outage, array, clone\n"
    "  --plant NAME        put a bug in on purpose (`--plant list` lists them)\n"
    "  --skip KIND:A-B     leave out faults number A to B of a kind, or of people's actions (people:A-B)\n"
    "  --shrink            when it fails: leave out as much as possible while it still fails\n"
    "  --trace FILE        write every line of the trace ('-': standard output)\n"
    "  --html FILE         write a picture of the run\n"
    "  --jobs N            processes at a time (default: number of cores)\n"
    "  --faults            count what was injected by kind; a kind that never was is an error (with --seeds or --for)\n"
    "  --invariants        list what is checked\n";

struct command {
    struct sim_options options;
    uint64_t first, last;
    bool many, seed_given, shrink, need_faults;
    usec_t for_usec;
    int jobs;
};

// What the workers share.
struct failure {
    uint64_t seed;
    struct sim_result result;
};

struct shared {
    atomic_ullong next;
    atomic_uint n_failures;
    atomic_ullong seeds, events, checks, simulated_usec, runs, processes, records, faults[FAULTS];
    struct failure failures[FAILURES_MAX];
};

int sim_plant_find(const char *text)
{
    for (int i = 0; i < PLANTS; i++)
        if (strcmp(plant_names[i], text) == 0)
            return i;
    return -1;
}

static bool parse_range(const char *text, uint64_t *ret_from, uint64_t *ret_to)
{
    char first[32];
    const char *dash = strchr(text, '-');
    if (dash == NULL) {
        int rc = str_to_u64(text, ret_from);
        *ret_to = *ret_from;
        return rc == 0;
    }
    if ((size_t)(dash - text) >= sizeof(first))
        return false;
    memcpy(first, text, (size_t)(dash - text));
    first[dash - text] = '\0';
    return str_to_u64(first, ret_from) == 0 && (dash[1] == '\0' ? (*ret_to = UINT32_MAX, true) : str_to_u64(dash + 1, ret_to) == 0);
}

int sim_skip_parse(const char *text, struct sim_skip *ret_skip, struct err *err)
{
    char kind[40];
    const char *colon = strchr(text, ':');
    uint64_t from = 0, to = UINT32_MAX;
    size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    if (len >= sizeof(kind) || (colon != NULL && !parse_range(colon + 1, &from, &to)))
        return err_set(err, ERR_INVALID, "'%s' is no KIND:FROM-TO", text);
    memcpy(kind, text, len);
    kind[len] = '\0';
    ret_skip->kind = strcmp(kind, "people") == 0 ? FAULTS : sim_fault_find(kind);
    ret_skip->from = (uint32_t)(from < UINT32_MAX ? from : UINT32_MAX);
    ret_skip->to = (uint32_t)(to < UINT32_MAX ? to : UINT32_MAX);
    return ret_skip->kind < 0 ? err_set(err, ERR_INVALID, "there is no kind of fault '%s'", kind) : 0;
}

void sim_command(const struct sim_options *options, FILE *file)
{
    fprintf(file, "muster sim --seed %" PRIu64, options->seed);
    if (options->minutes_usec > 0)
        fprintf(file, " --minutes %" PRId64 ".%06" PRId64, options->minutes_usec / USEC_PER_MIN, options->minutes_usec % USEC_PER_MIN / 60);
    if (options->scenario != NULL && strcmp(options->scenario, "swarm") != 0)
        fprintf(file, " --scenario %s", options->scenario);
    if (options->plant != PLANT_NONE)
        fprintf(file, " --plant %s", plant_names[options->plant]);
    for (size_t i = 0; i < options->n_skip; i++) {
        const struct sim_skip *skip = &options->skip[i];
        fprintf(file, " --skip %s:%u-", skip->kind == FAULTS ? "people" : fault_names[skip->kind], skip->from);
        if (skip->to != UINT32_MAX)
            fprintf(file, "%u", skip->to);
    }
    fprintf(file, "\n");
}

// "1.5" minutes, up to six decimals.
static bool parse_minutes(const char *text, usec_t *ret)
{
    usec_t whole = 0, part = 0, unit = 1000000;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && whole < 10000000; p++)
        whole = 10 * whole + (*p - '0');
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9' && unit > 1; p++) {
            unit /= 10;
            part += (*p - '0') * unit;
        }
    *ret = whole * USEC_PER_MIN + part * 60;
    return p != text && *p == '\0';
}

static void list_names(void)
{
    static const struct {
        const char *text, *sentence;
    } rows[] = {
#define PLANT(NAME, text, sentence) {text, sentence},
#include "sim/plants.def"
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        printf("%-28s %s\n", rows[i].text, rows[i].sentence);
}

static void list_invariants(void)
{
    static const struct {
        const char *text, *when, *sentence;
        int promise;
    } rows[] = {
#define INVARIANT(NAME, text, promise, when, sentence) {text, #when, sentence, promise},
#include "sim/invariants.def"
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        printf("%-22s %-8s promise %d  %s\n", rows[i].text, rows[i].when, rows[i].promise, rows[i].sentence);
}

static FILE *open_out(const char *path)
{
    return strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
}

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "muster sim: %s%s%s\n%s", what, value != NULL ? " " : "", value != NULL ? value : "", help);
    return 64;
}

// Takes one option and its value. Returns 0, or an exit status; *ret_used: words taken.
static int take_option(struct command *command, char **argv, int left, int *ret_used)
{
    struct sim_options *options = &command->options;
    const char *name = argv[0], *value = left > 1 ? argv[1] : NULL;
    struct err err = {0};
    *ret_used = 1;
    if (strcmp(name, "--shrink") == 0) {
        command->shrink = true;
        return 0;
    }
    if (strcmp(name, "--faults") == 0) {
        command->need_faults = true;
        return 0;
    }
    if (value == NULL)
        return usage("an option needs a value:", name);
    *ret_used = 2;
    uint64_t number = 0;
    if (strcmp(name, "--seed") == 0 && str_to_u64(value, &options->seed) == 0) {
        command->seed_given = true;
        command->first = options->seed;
    } else if (strcmp(name, "--seeds") == 0 && parse_range(value, &command->first, &command->last)) {
        command->many = true;
    } else if (strcmp(name, "--for") == 0 && duration_parse(value, &command->for_usec, &err) == 0) {
        command->many = true;
        command->last = UINT64_MAX;
    } else if (strcmp(name, "--minutes") == 0 && parse_minutes(value, &options->minutes_usec)) {
        ;
    } else if (strcmp(name, "--scenario") == 0 && sim_scenario_known(value)) {
        options->scenario = value;
    } else if (strcmp(name, "--plant") == 0 && sim_plant_find(value) >= 0) {
        options->plant = (enum plant)sim_plant_find(value);
    } else if (strcmp(name, "--skip") == 0 && options->n_skip < SIM_SKIPS_MAX && sim_skip_parse(value, &options->skip[options->n_skip], &err) == 0) {
        options->n_skip++;
    } else if (strcmp(name, "--trace") == 0 && (options->trace = open_out(value)) != NULL) {
        ;
    } else if (strcmp(name, "--html") == 0 && (options->trace_html = open_out(value)) != NULL) {
        ;
    } else if (strcmp(name, "--jobs") == 0 && str_to_u64(value, &number) == 0 && number > 0 && number <= JOBS_MAX) {
        command->jobs = (int)number;
    } else {
        return usage(err.code < 0 ? err.text : "an option or its value is not understood:", err.code < 0 ? NULL : name);
    }
    return 0;
}

static void print_failure(const struct sim_options *options, const struct sim_result *result)
{
    printf("FAILED seed %" PRIu64 " at %" PRId64 ".%06" PRId64 " s (commit %s): %s%s%s\n  %s\nthe last events:\n%sto see it again:\n  ", options->seed,
           result->failed_usec / USEC_PER_SEC, result->failed_usec % USEC_PER_SEC, SIM_COMMIT, result->invariant, result->sentence != NULL ? ": " : "",
           result->sentence != NULL ? result->sentence : "", result->text, result->tail);
    sim_command(options, stdout);
}

static void print_figures(const struct sim_result *result, usec_t real_usec)
{
    usec_t real = real_usec > 0 ? real_usec : 1;
    printf("simulated %" PRId64 " s in %" PRId64 " ms: %" PRId64 " x real time, %" PRIu64 " events (%" PRId64 " per second), %" PRIu64 " checks\n",
           result->simulated_usec / USEC_PER_SEC, real / USEC_PER_MSEC, result->simulated_usec / real, result->events,
           (int64_t)result->events * USEC_PER_SEC / real, result->checks);
    printf("nodes %u, actions %" PRIu64 ", runs %" PRIu64 ", attempts %" PRIu64 ", processes %" PRIu64 ", fires %" PRIu64 ", records %" PRIu64 ", server starts %" PRIu64
           ", snapshots %" PRIu64 ", trace %016" PRIx64 "\n",
           result->nodes, result->actions, result->runs, result->attempts, result->processes, result->fires, result->records, result->restarts, result->snapshots,
           result->trace_hash);
}

static int run_one(struct command *command)
{
    struct sim_result result;
    usec_t began = clock_mono_usec();
    sim_run_apart(&command->options, &result);
    usec_t took = clock_mono_usec() - began;
    print_figures(&result, took);
    if (!result.failed)
        return 0;
    if (command->shrink) {
        uint32_t runs = sim_shrink(&command->options, &result, stderr);
        printf("made smaller in %u runs\n", runs);
    }
    print_failure(&command->options, &result);
    return 1;
}

// ---- many seeds

static void add_result(struct shared *shared, uint64_t seed, const struct sim_result *result)
{
    shared->seeds++;
    shared->events += result->events;
    shared->checks += result->checks;
    shared->simulated_usec += (unsigned long long)result->simulated_usec;
    shared->runs += result->runs;
    shared->processes += result->processes;
    shared->records += result->records;
    for (int i = 0; i < FAULTS; i++)
        shared->faults[i] += result->faults[i];
    if (!result->failed)
        return;
    unsigned n = shared->n_failures++;
    if (n < FAILURES_MAX)
        shared->failures[n] = (struct failure){seed, *result};
}

static void worker(const struct command *command, struct shared *shared, usec_t until_mono_usec)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sim_options options = command->options;
    while (clock_mono_usec() < until_mono_usec && shared->n_failures < FAILURES_MAX) {
        options.seed = shared->next++;
        if (options.seed > command->last)
            break;
        struct sim_result result;
        sim_run_apart(&options, &result);
        add_result(shared, options.seed, &result);
    }
    _exit(0);
}

static int print_totals(const struct command *command, struct shared *shared, usec_t took)
{
    int64_t hours = (int64_t)(shared->simulated_usec / (unsigned long long)USEC_PER_HOUR);
    printf("%llu seeds from %" PRIu64 " on, %" PRId64 " simulated hours, %llu events, %llu checks, %llu runs, %llu processes, %llu records in %" PRId64 " s (%llu x real time)\n",
           shared->seeds, command->first, hours, shared->events, shared->checks, shared->runs, shared->processes, shared->records, took / USEC_PER_SEC,
           shared->simulated_usec / (unsigned long long)(took > 0 ? took : 1));
    int never = 0;
    for (int i = 0; i < FAULTS && command->need_faults; i++) {
        printf("  %-24s %llu\n", fault_names[i], shared->faults[i]);
        never += shared->faults[i] == 0;
    }
    if (never > 0)
        printf("%d kinds of faults were never injected\n", never);
    unsigned n = shared->n_failures < FAILURES_MAX ? shared->n_failures : FAILURES_MAX;
    for (unsigned i = 0; i < n; i++) {
        struct sim_options options = command->options;
        options.seed = shared->failures[i].seed;
        bool known = false;
        for (unsigned k = 0; k < i; k++)
            known = known || strcmp(shared->failures[k].result.invariant, shared->failures[i].result.invariant) == 0;
        if (!known)
            print_failure(&options, &shared->failures[i].result);
        else
            printf("FAILED seed %" PRIu64 ": %s: %s\n", options.seed, shared->failures[i].result.invariant, shared->failures[i].result.text);
    }
    return n > 0 || never > 0;
}

static int run_many(struct command *command)
{
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED);
    if (command->for_usec > 0 && !command->seed_given)
        command->first = (uint64_t)clock_wall_usec() % 1000000000;
    shared->next = command->first;
    usec_t began = clock_mono_usec(), until = command->for_usec > 0 ? began + command->for_usec : USEC_NEVER;
    fflush(NULL);
    for (int i = 0; i < command->jobs; i++) {
        pid_t pid = fork();
        must(pid >= 0);
        if (pid == 0)
            worker(command, shared, until);
    }
    for (int i = 0; i < command->jobs; i++)
        while (wait(NULL) < 0 && errno == EINTR)
            continue;
    int status = print_totals(command, shared, clock_mono_usec() - began);
    munmap(shared, sizeof(*shared));
    return status;
}

int sim_main(int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct command command = {.first = 1, .last = 1, .jobs = cores > 0 && cores <= JOBS_MAX ? (int)cores : 1};
    command.options.seed = 1;
    for (int i = 1; i < argc;) {
        int used = 1;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--invariants") == 0) {
            list_invariants();
            return 0;
        }
        if (strcmp(argv[i], "--plant") == 0 && i + 1 < argc && strcmp(argv[i + 1], "list") == 0) {
            list_names();
            return 0;
        }
        int status = take_option(&command, argv + i, argc - i, &used);
        if (status != 0)
            return status;
        i += used;
    }
    int status = command.many ? run_many(&command) : run_one(&command);
    if (command.options.trace != NULL && command.options.trace != stdout)
        fclose(command.options.trace);
    if (command.options.trace_html != NULL && command.options.trace_html != stdout)
        fclose(command.options.trace_html);
    return status;
}
