// SPDX-License-Identifier: Apache-2.0
// The command `muster sim`: one seed, or many on all cores.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "sim/command.h"

static const char help[] =
    "usage: muster sim [--seed N | --seeds FIRST-LAST | --for DURATION] [OPTION...]\n"
    "Runs whole clusters in one process, from one seed, under faults of every kind, and checks after every event that Muster keeps its promises.\n"
    "One run:\n"
    "  --seed N            run this seed (default: 1)\n"
    "  --scenario NAME     swarm (default), calm, net, partition, crash, disk, clock, cron, pause, exec, poison, outage, array, clone; all: by the\n"
    "                      seed, every other one swarm\n"
    "  --minutes M         minutes of faults (default: drawn from the seed)\n"
    "  --nodes N           nodes (default: drawn from the seed)\n"
    "  --plant NAME        put a bug in on purpose (`--plant list` lists them)\n"
    "  --skip KIND:A-B     leave out faults number A to B of a kind, or of people's actions (people:A-B)\n"
    "  --shrink            when it fails: leave out as much as possible while it still fails in the same way\n"
    "  --trace FILE        write every line of the trace ('-': standard output)\n"
    "  --html FILE         write a picture of the run\n"
    "Many:\n"
    "  --seeds FIRST-LAST  run these seeds, on all cores\n"
    "  --for DURATION      run fresh seeds, from --seed on or from one taken from the clock, for so long\n"
    "  --jobs N            processes at a time (default: number of cores)\n"
    "  --stop              stop at the first seed that fails\n"
    "  --faults            tell how often each fault was injected and each invariant was looked at; one that never was is an error\n"
    "  --json              the figures once more, as a line of JSON\n"
    "Lists:\n"
    "  --invariants        what is checked\n"
    "  --plant list        the bugs that can be put in\n";

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

// "1.5" minutes, up to two decimals.
static bool parse_minutes(const char *text, usec_t *ret)
{
    usec_t whole = 0, part = 0, unit = 100;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && whole < 10000000; p++)
        whole = 10 * whole + (*p - '0');
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9' && unit > 1; p++) {
            unit /= 10;
            part += (*p - '0') * unit;
        }
    *ret = whole * USEC_PER_MIN + part * (USEC_PER_MIN / 100);
    return p != text && *p == '\0';
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
    bool *flag = strcmp(name, "--shrink") == 0   ? &command->shrink
                 : strcmp(name, "--faults") == 0 ? &command->need_all
                 : strcmp(name, "--stop") == 0   ? &command->stop_at_first
                 : strcmp(name, "--json") == 0   ? &command->json
                                                 : NULL;
    if (flag != NULL) {
        *flag = true;
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
    } else if (strcmp(name, "--nodes") == 0 && str_to_u64(value, &number) == 0 && number > 0 && number <= SIM_NODES_MAX) {
        options->nodes = (uint32_t)number;
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

static int run_one(struct command *command)
{
    struct sim_options *options = &command->options;
    FILE *trace = options->trace, *html = options->trace_html;
    if (command->shrink) // what is made smaller first is drawn then
        options->trace = options->trace_html = NULL;
    struct sim_result result, smaller;
    usec_t began = clock_mono_usec();
    sim_run_apart(options, &result);
    report_run(&result, clock_mono_usec() - began);
    if (command->shrink) {
        uint32_t runs = 0;
        smaller = result;
        if (result.failed)
            runs = sim_shrink(options, &smaller, stderr);
        options->trace = trace;
        options->trace_html = html;
        struct sim_result again;
        if (trace != NULL || html != NULL)
            sim_run_apart(options, &again);
        if (result.failed)
            report_shrunk(options, &result, &smaller, runs);
        result = smaller;
    }
    if (result.failed)
        report_failure(options, &result);
    return result.failed ? 1 : 0;
}

static void close_out(FILE *file)
{
    if (file != NULL && file != stdout)
        fclose(file);
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
            report_invariants();
            return 0;
        }
        if (strcmp(argv[i], "--plant") == 0 && i + 1 < argc && strcmp(argv[i + 1], "list") == 0) {
            report_plants();
            return 0;
        }
        int status = take_option(&command, argv + i, argc - i, &used);
        if (status != 0)
            return status;
        i += used;
    }
    bool one_only = command.shrink || command.options.trace != NULL || command.options.trace_html != NULL;
    if (command.many && one_only)
        return usage("--shrink, --trace and --html are for one --seed", NULL);
    if (command.for_usec > 0 && !command.seed_given)
        command.first = (uint64_t)clock_wall_usec() % 1000000000;
    int status = command.many ? sim_many(&command) : run_one(&command);
    close_out(command.options.trace);
    close_out(command.options.trace_html);
    return status;
}
