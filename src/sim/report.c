// SPDX-License-Identifier: Apache-2.0
// What `muster sim` shows to people, and to programs (--json).
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim/command.h"
#include "sim/commit.h"

static const struct {
    const char *text, *scenario, *sentence;
} plants[] = {
    {"none", "swarm", "Nothing is wrong on purpose."},
#define PLANT(NAME, text, scenario, sentence) {text, scenario, sentence},
#include "sim/plants.def"
};

static const struct {
    const char *text, *when, *sentence;
    int promise;
} invariants[] = {
#define INVARIANT(NAME, text, promise, when, sentence) {text, #when, sentence, promise},
#include "sim/invariants.def"
};

const char *sim_plant_text(enum plant plant)
{
    return plants[plant].text;
}

const char *sim_invariant_text(enum invariant invariant)
{
    return invariants[invariant].text;
}

int sim_plant_find(const char *text)
{
    for (int i = 0; i < PLANTS; i++)
        if (strcmp(plants[i].text, text) == 0)
            return i;
    return -1;
}

void report_plants(void)
{
    for (int i = 1; i < PLANTS; i++)
        printf("%-28s %-10s %s\n", plants[i].text, plants[i].scenario, plants[i].sentence);
}

void report_invariants(void)
{
    for (int i = 0; i < INVARIANTS; i++)
        printf("%-22s %-8s promise %d  %s\n", invariants[i].text, invariants[i].when, invariants[i].promise, invariants[i].sentence);
}

// ---- one run

void sim_command(const struct sim_options *options, FILE *file)
{
    const char *scenario = sim_scenario_of(options);
    struct sim_options usual = {.plant = options->plant};
    fprintf(file, "muster sim --seed %" PRIu64, options->seed);
    if (strcmp(scenario, sim_scenario_of(&usual)) != 0)
        fprintf(file, " --scenario %s", scenario);
    if (options->plant != PLANT_NONE)
        fprintf(file, " --plant %s", plants[options->plant].text);
    if (options->minutes_usec > 0)
        fprintf(file, " --minutes %" PRId64 ".%02" PRId64, options->minutes_usec / USEC_PER_MIN, options->minutes_usec % USEC_PER_MIN / (USEC_PER_MIN / 100));
    if (options->nodes > 0)
        fprintf(file, " --nodes %u", options->nodes);
    for (size_t i = 0; i < options->n_skip; i++) {
        const struct sim_skip *skip = &options->skip[i];
        fprintf(file, " --skip %s", sim_fault_text(skip->kind));
        if (skip->from > 0 || skip->to != UINT32_MAX)
            fprintf(file, skip->to == skip->from ? ":%u" : skip->to == UINT32_MAX ? ":%u-" : ":%u-%u", skip->from, skip->to);
    }
}

static const char *sentence_of(const struct sim_result *result)
{
    return result->sentence != NULL ? result->sentence : "The code under test asserts nothing that is not so, and does not crash.";
}

void report_failure_short(const struct sim_options *options, const struct sim_result *result, FILE *file)
{
    fprintf(file, "FAILED seed %" PRIu64 ", scenario %s: %s: %s\n", options->seed, sim_scenario_of(options), result->invariant, result->text);
}

void report_failure(const struct sim_options *options, const struct sim_result *result)
{
    printf("FAILED seed %" PRIu64 ", scenario %s, commit %s, at %" PRId64 ".%06" PRId64 " s\n  %s: %s\n  %s\nthe last events:\n%s", options->seed,
           sim_scenario_of(options), SIM_COMMIT, result->failed_usec / USEC_PER_SEC, result->failed_usec % USEC_PER_SEC, result->invariant, sentence_of(result),
           result->text, result->tail);
    static const struct {
        const char *why, *option;
    } commands[] = {{"to see it again", ""}, {"to make it smaller", " --shrink"}, {"to look at it", " --trace run.txt --html run.html"}};
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        printf("%s:\n  ", commands[i].why);
        sim_command(options, stdout);
        printf("%s\n", commands[i].option);
    }
}

static uint64_t ratio(usec_t simulated, usec_t real)
{
    return (uint64_t)(simulated / (real > 0 ? real : 1));
}

static uint64_t per_second(uint64_t n, usec_t usec)
{
    return (uint64_t)((double)n * (double)USEC_PER_SEC / (double)(usec > 0 ? usec : 1));
}

void report_run(const struct sim_result *result, usec_t real_usec)
{
    uint64_t checks = 0;
    for (int i = 0; i < INVARIANTS; i++)
        checks += result->checked[i];
    printf("simulated %" PRId64 " s in %" PRId64 " ms: %" PRIu64 " x real time, %" PRIu64 " events (%" PRIu64 " per second), %" PRIu64 " checks\n",
           result->simulated_usec / USEC_PER_SEC, real_usec / USEC_PER_MSEC, ratio(result->simulated_usec, real_usec), result->events,
           per_second(result->events, real_usec), checks);
    printf("nodes %u, actions %" PRIu64 ", runs %" PRIu64 ", attempts %" PRIu64 ", processes %" PRIu64 ", fires %" PRIu64 ", records %" PRIu64 ", server starts %" PRIu64
           ", snapshots %" PRIu64 ", trace %016" PRIx64 "\n",
           result->nodes, result->actions, result->runs, result->attempts, result->processes, result->fires, result->records, result->restarts, result->snapshots,
           result->trace_hash);
}

static uint64_t n_faults(const struct sim_result *result)
{
    uint64_t n = 0;
    for (int i = 0; i < FAULTS; i++)
        n += result->faults[i];
    return n;
}

void report_shrunk(const struct sim_options *options, const struct sim_result *before, const struct sim_result *after, uint32_t runs)
{
    printf("made smaller in %u runs: faults %" PRIu64 " -> %" PRIu64 ", actions of people %" PRIu64 " -> %" PRIu64 ", runs %" PRIu64 " -> %" PRIu64 ", events %" PRIu64
           " -> %" PRIu64 "\n",
           runs, n_faults(before), n_faults(after), before->acted, after->acted, before->runs, after->runs, before->events, after->events);
    for (int i = 0; i < FAULTS; i++)
        if (after->faults[i] > 0)
            printf("  left: %s %" PRIu64 "\n", sim_fault_text(i), after->faults[i]);
    printf("the smallest run that still fails:\n  ");
    sim_command(options, stdout);
    printf("\n");
}

// ---- many

void report_totals(const struct totals *totals, uint64_t first_seed, int jobs)
{
    printf("%" PRIu64 " seeds from %" PRIu64 " on, %" PRId64 " simulated hours in %" PRId64 " s of %d processes: %" PRIu64 " x real time on one core\n", totals->seeds,
           first_seed, totals->simulated_usec / USEC_PER_HOUR, totals->real_usec / USEC_PER_SEC, jobs, ratio(totals->simulated_usec, totals->cpu_usec));
    printf("%" PRIu64 " events (%" PRIu64 " per second of one core), %" PRIu64 " checks, %" PRIu64 " runs, %" PRIu64 " processes, %" PRIu64 " fires, %" PRIu64
           " records, %" PRIu64 " server starts, %" PRIu64 " snapshots\n",
           totals->events, per_second(totals->events, totals->cpu_usec), totals->checks, totals->runs, totals->processes, totals->fires, totals->records, totals->restarts,
           totals->snapshots);
}

int report_kinds(const struct totals *totals)
{
    int never = 0;
    printf("faults injected:\n");
    for (int i = 0; i < FAULTS; i++) {
        printf("  %-24s %" PRIu64 "%s\n", sim_fault_text(i), totals->faults[i], totals->faults[i] == 0 ? "  NEVER" : "");
        never += totals->faults[i] == 0;
    }
    printf("invariants checked:\n");
    for (int i = 0; i < INVARIANTS; i++) {
        printf("  %-24s %" PRIu64 "%s\n", invariants[i].text, totals->checked[i], totals->checked[i] == 0 ? "  NEVER" : "");
        never += totals->checked[i] == 0;
    }
    return never;
}

void report_json(const struct totals *totals, const struct command *command)
{
    printf("{\"commit\": \"%s\", \"first_seed\": %" PRIu64 ", \"seeds\": %" PRIu64 ", \"failures\": %" PRIu64 ", \"simulated_seconds\": %" PRId64
           ", \"cpu_seconds\": %.3f, \"times_real\": %" PRIu64 ", \"events\": %" PRIu64 ", \"events_per_second\": %" PRIu64 ", \"checks\": %" PRIu64
           ", \"runs\": %" PRIu64 ", \"processes\": %" PRIu64 ", \"records\": %" PRIu64 "}\n",
           SIM_COMMIT, command->first, totals->seeds, totals->failures, totals->simulated_usec / USEC_PER_SEC, (double)totals->cpu_usec / (double)USEC_PER_SEC,
           ratio(totals->simulated_usec, totals->cpu_usec), totals->events, per_second(totals->events, totals->cpu_usec), totals->checks, totals->runs,
           totals->processes, totals->records);
}
