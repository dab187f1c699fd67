// SPDX-License-Identifier: Apache-2.0
// Lifecycle tables, made from spec/states.def.
#include "model/state.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"

struct state_row {
    const char *name;
    const char *sentence;
    uint32_t next;
    bool terminal;
};

static const struct state_row run_rows[] = {
#define RUN_STATE(NAME, text, terminal, next, sentence) {text, sentence, next, terminal},
#include "spec/states.def"
};
static const struct state_row task_rows[] = {
#define TASK_STATE(NAME, text, terminal, next, sentence) {text, sentence, next, terminal},
#include "spec/states.def"
};
static const struct state_row node_rows[] = {
#define NODE_STATE(NAME, text, terminal, next, sentence) {text, sentence, next, terminal},
#include "spec/states.def"
};
static const struct state_row job_rows[] = {
#define JOB_STATE(NAME, text, terminal, next, sentence) {text, sentence, next, terminal},
#include "spec/states.def"
};

static const struct state_row backfill_rows[] = {
#define BACKFILL_STATE(NAME, text, terminal, next, sentence) {text, sentence, next, terminal},
#include "spec/states.def"
};

struct outcome_row {
    const char *name;
    const char *sentence;
    bool good;
    bool may_have_started;
};
static const struct outcome_row outcome_rows[] = {
#define OUTCOME(NAME, text, good, may_have_started, sentence) {text, sentence, good, may_have_started},
#include "spec/states.def"
};

struct reason_row {
    const char *name;
    const char *sentence;
};
static const struct reason_row reason_rows[] = {
#define REASON(NAME, text, sentence) {text, sentence},
#include "spec/states.def"
};

static const struct reason_row condition_rows[] = {
#define CONDITION(NAME, text, sentence) {text, sentence},
#include "spec/states.def"
};

static bool row_may(const struct state_row *rows, int n, int from, int to)
{
    must(from >= 0 && from < n);
    must(to >= 0 && to < n);
    return (rows[from].next >> to) & 1u;
}

static int row_find(const struct state_row *rows, int n, const char *text)
{
    must(text != NULL);
    for (int i = 0; i < n; i++)
        if (strcmp(rows[i].name, text) == 0)
            return i;
    return -1;
}

// One set of functions for each lifecycle; S is the prefix of its names, N the number of its states.
#define LIFECYCLE(S, N)                                                                     \
    const char *S##_state_name(enum S##_state state)                                        \
    {                                                                                       \
        must((int)state >= 0 && (int)state < N);                                            \
        return S##_rows[state].name;                                                        \
    }                                                                                       \
    bool S##_state_may(enum S##_state from, enum S##_state to)                              \
    {                                                                                       \
        return row_may(S##_rows, N, (int)from, (int)to);                                    \
    }                                                                                       \
    void S##_state_move(enum S##_state *state, enum S##_state to)                           \
    {                                                                                       \
        must(S##_state_may(*state, to));                                                    \
        *state = to;                                                                        \
    }

LIFECYCLE(run, RUN_STATES)
LIFECYCLE(task, TASK_STATES)
LIFECYCLE(node, NODE_STATES)
LIFECYCLE(job, JOB_STATES)
LIFECYCLE(backfill, BACKFILL_STATES)

const char *run_state_sentence(enum run_state state)
{
    must((int)state >= 0 && state < RUN_STATES);
    return run_rows[state].sentence;
}

bool run_state_terminal(enum run_state state)
{
    must((int)state >= 0 && state < RUN_STATES);
    return run_rows[state].terminal;
}

int run_state_from_name(const char *text)
{
    return row_find(run_rows, RUN_STATES, text);
}

const char *task_state_sentence(enum task_state state)
{
    must((int)state >= 0 && state < TASK_STATES);
    return task_rows[state].sentence;
}

bool task_state_terminal(enum task_state state)
{
    must((int)state >= 0 && state < TASK_STATES);
    return task_rows[state].terminal;
}

int task_state_from_name(const char *text)
{
    return row_find(task_rows, TASK_STATES, text);
}

int node_state_from_name(const char *text)
{
    return row_find(node_rows, NODE_STATES, text);
}

const char *outcome_name(enum outcome outcome)
{
    must((int)outcome >= 0 && outcome < OUTCOMES);
    return outcome_rows[outcome].name;
}

const char *outcome_sentence(enum outcome outcome)
{
    must((int)outcome >= 0 && outcome < OUTCOMES);
    return outcome_rows[outcome].sentence;
}

bool outcome_good(enum outcome outcome)
{
    must((int)outcome >= 0 && outcome < OUTCOMES);
    return outcome_rows[outcome].good;
}

bool outcome_may_have_started(enum outcome outcome)
{
    must((int)outcome >= 0 && outcome < OUTCOMES);
    return outcome_rows[outcome].may_have_started;
}

int outcome_from_name(const char *text)
{
    must(text != NULL);
    for (int i = 0; i < OUTCOMES; i++)
        if (strcmp(outcome_rows[i].name, text) == 0)
            return i;
    return -1;
}

const char *reason_name(enum reason reason)
{
    must((int)reason >= 0 && reason < REASONS);
    return reason_rows[reason].name;
}

const char *reason_sentence(enum reason reason)
{
    must((int)reason >= 0 && reason < REASONS);
    return reason_rows[reason].sentence;
}

const char *condition_name(enum condition condition)
{
    must((int)condition >= 0 && condition < CONDITIONS);
    return condition_rows[condition].name;
}

const char *condition_sentence(enum condition condition)
{
    must((int)condition >= 0 && condition < CONDITIONS);
    return condition_rows[condition].sentence;
}
