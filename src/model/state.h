// SPDX-License-Identifier: Apache-2.0
// The lifecycles of runs, tasks, nodes and jobs, the outcomes of attempts and the reasons for waiting, made from spec/states.def.
// Nothing changes a state by assignment: the *_move functions assert that the table has the edge.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum run_state {
#define RUN_STATE(NAME, text, terminal, next, sentence) RUN_##NAME,
#include "spec/states.def"
    RUN_STATES
};

enum task_state {
#define TASK_STATE(NAME, text, terminal, next, sentence) TASK_##NAME,
#include "spec/states.def"
    TASK_STATES
};

enum node_state {
#define NODE_STATE(NAME, text, terminal, next, sentence) NODE_##NAME,
#include "spec/states.def"
    NODE_STATES
};

enum job_state {
#define JOB_STATE(NAME, text, terminal, next, sentence) JOB_##NAME,
#include "spec/states.def"
    JOB_STATES
};

enum backfill_state {
#define BACKFILL_STATE(NAME, text, terminal, next, sentence) BACKFILL_##NAME,
#include "spec/states.def"
    BACKFILL_STATES
};

enum outcome {
#define OUTCOME(NAME, text, good, may_have_started, sentence) OUTCOME_##NAME,
#include "spec/states.def"
    OUTCOMES
};

enum reason {
#define REASON(NAME, text, sentence) REASON_##NAME,
#include "spec/states.def"
    REASONS
};

// What is not as it should be with a job.
enum condition {
#define CONDITION(NAME, text, sentence) CONDITION_##NAME,
#include "spec/states.def"
    CONDITIONS
};

// Whether new work may go to a node, or tasks of a run may be placed. A second, small lifecycle beside presence.
enum admission { ADMIT_OPEN, ADMIT_CLOSED };

const char *run_state_name(enum run_state);
const char *run_state_sentence(enum run_state);
bool run_state_terminal(enum run_state);
bool run_state_may(enum run_state from, enum run_state to);
void run_state_move(enum run_state *, enum run_state to);
// Returns the state called text, or -1.
int run_state_from_name(const char *text);

const char *task_state_name(enum task_state);
const char *task_state_sentence(enum task_state);
bool task_state_terminal(enum task_state);
bool task_state_may(enum task_state from, enum task_state to);
void task_state_move(enum task_state *, enum task_state to);
int task_state_from_name(const char *text);

const char *node_state_name(enum node_state);
bool node_state_may(enum node_state from, enum node_state to);
void node_state_move(enum node_state *, enum node_state to);
int node_state_from_name(const char *text);

const char *job_state_name(enum job_state);
bool job_state_may(enum job_state from, enum job_state to);
void job_state_move(enum job_state *, enum job_state to);
const char *backfill_state_name(enum backfill_state);
bool backfill_state_may(enum backfill_state from, enum backfill_state to);
void backfill_state_move(enum backfill_state *, enum backfill_state to);

const char *outcome_name(enum outcome);
const char *outcome_sentence(enum outcome);
bool outcome_good(enum outcome);
// False when it is certain that no process of the task ran in this attempt.
bool outcome_may_have_started(enum outcome);
int outcome_from_name(const char *text);

const char *reason_name(enum reason);
const char *reason_sentence(enum reason);
const char *condition_name(enum condition);
const char *condition_sentence(enum condition);
