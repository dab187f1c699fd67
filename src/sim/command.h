// SPDX-License-Identifier: Apache-2.0
// The command `muster sim`: what was asked for, and what people are shown. main.c reads it, many.c runs many seeds, report.c prints.
#pragma once

#include "sim/sim.h"

enum { JOBS_MAX = 64, FAILURES_MAX = 256 };

struct command {
    struct sim_options options;
    uint64_t first, last;
    bool many, seed_given, scenario_given, shrink, need_all, stop_at_first, json;
    usec_t for_usec; // 0: until the last seed
    int jobs;
};

// What a number of runs came to.
struct totals {
    uint64_t seeds, failures, events, checks, runs, attempts, processes, fires, records, restarts, snapshots;
    usec_t simulated_usec, real_usec, cpu_usec;
    uint64_t faults[FAULTS], checked[INVARIANTS];
};

// Runs the seeds of a command on several cores. Returns the exit status: 0, 1 something failed, 130 interrupted.
int sim_many(const struct command *);

// The whole report of a failing run: what broke, where, what happened before, how to see it again.
void report_failure(const struct sim_options *, const struct sim_result *);
// One line.
void report_failure_short(const struct sim_options *, const struct sim_result *, FILE *);
void report_run(const struct sim_result *, usec_t real_usec);
// After a failing run was made smaller.
void report_shrunk(const struct sim_options *, const struct sim_result *before, const struct sim_result *after, uint32_t runs);
void report_totals(const struct totals *, uint64_t first_seed, int jobs);
// How often each kind of fault struck and each invariant was looked at. Returns how many never were.
int report_kinds(const struct totals *);
void report_json(const struct totals *, const struct command *);
void report_plants(void);
void report_invariants(void);
