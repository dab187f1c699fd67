// SPDX-License-Identifier: Apache-2.0
// The simulator: whole clusters in one process and one thread, from one seed. Core, engine, the decisions of the agent, wire encoding,
// records and snapshots are those of production; sockets, disks, clocks, processes and people are simulated. A run has two phases: faults
// of every kind while the invariants (sim/invariants.def) are checked, then everything is healed and all work must end within a bound.
//
// Two runs with the same options give the same trace, byte for byte.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/time.h"

enum fault_kind {
#define FAULT(NAME, text, scenarios, sentence) FAULT_##NAME,
#include "sim/faults.def"
    FAULTS
};

// Bugs that the simulator puts in on purpose, one at a time, to prove that it would find them.
enum plant {
    PLANT_NONE,
#define PLANT(NAME, text, scenario, sentence) PLANT_##NAME,
#include "sim/plants.def"
    PLANTS
};

// What must hold.
enum invariant {
#define INVARIANT(NAME, text, promise, when, sentence) INV_##NAME,
#include "sim/invariants.def"
    INVARIANTS
};

// What to leave out when a failure is made smaller: the occurrences from..to of a kind of fault, or (kind FAULTS) of people's actions.
struct sim_skip {
    int kind;
    uint32_t from, to;
};

enum { SIM_NODES_MAX = 200, SIM_SKIPS_MAX = 256, SIM_TEXT = 1024, SIM_TAIL = 40, SIM_TAIL_BYTES = 8192 };

struct sim_options {
    uint64_t seed;
    usec_t minutes_usec;  // length of the phase with faults; 0: drawn from the seed
    const char *scenario; // NULL: "swarm", or with a planted bug the one that suits it; "all": by the seed, every other one "swarm"
    uint32_t nodes;       // 0: drawn from the seed
    enum plant plant;
    struct sim_skip skip[SIM_SKIPS_MAX];
    size_t n_skip;
    FILE *trace;      // NULL, or where every line of the trace goes
    FILE *trace_html; // NULL, or where the picture goes
};

struct sim_result {
    bool failed;
    char invariant[64]; // name of the broken one; "assertion" when the code itself aborted
    const char *sentence; // what it says; NULL: "assertion" or "crash"
    char text[SIM_TEXT];
    char tail[SIM_TAIL_BYTES]; // the last lines of the trace
    usec_t failed_usec;
    uint64_t trace_hash;
    uint64_t events, checked[INVARIANTS];
    usec_t simulated_usec;
    uint32_t nodes;
    uint64_t actions; // of people, drawn
    uint64_t acted;   // those that were not left out
    uint64_t runs, attempts, processes, fires, restarts, snapshots, records;
    uint64_t faults[FAULTS]; // that struck
    uint32_t drawn[FAULTS];  // also those that found nothing to break: what skip counts
};

// Runs one seed in this process. A broken invariant is a result, an assertion of the code under test is not: it aborts.
void sim_run(const struct sim_options *, struct sim_result *ret_result);
// The same in a child process: an abort becomes a failed result too.
void sim_run_apart(const struct sim_options *, struct sim_result *ret_result);
// Leaves out as much as possible of a failing run while it still fails in the same way; changes minutes and skip. Returns the number of
// runs it took. out: NULL, or where progress goes.
uint32_t sim_shrink(struct sim_options *, struct sim_result *, FILE *out);

int sim_fault_find(const char *text);    // -1: no such kind
int sim_plant_find(const char *text);    // -1: no such bug
bool sim_scenario_known(const char *text);
const char *sim_scenario_of(const struct sim_options *); // never NULL or "all"
const char *sim_fault_text(int kind);                    // also FAULTS: "people"
const char *sim_plant_text(enum plant);
const char *sim_invariant_text(enum invariant);
// "net-break:3-5", "people:7", or a kind alone: all of it; ERR_INVALID.
int sim_skip_parse(const char *text, struct sim_skip *ret_skip, struct err *);
// The command that runs these options again.
void sim_command(const struct sim_options *, FILE *);

// The command `muster sim`; argv[0] is "sim". Returns the exit status.
int sim_main(int argc, char **argv);
