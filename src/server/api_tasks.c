// SPDX-License-Identifier: Apache-2.0
// The API of tasks. What has not ended is in memory, what has is in the history: a page puts the two together.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "codec/codec.h"
#include "codec/view_json.h"
#include "server/context.h"

enum { SCAN_MAX = 20000 }; // tasks looked at for one page, so that a page stays short work for the loop

struct tasks_state {
    uint64_t run_id;
    uint32_t from;
    size_t max;
    uint32_t states;   // mask; 0: any
    struct task_view *tasks; // from memory, by index; its ended ones are to be filled in
    size_t n;
    bool has_more;     // next_index is where the next page begins
    uint32_t next_index;
    bool live;         // the run is in memory
    struct task_view *ended; // from the history
    size_t n_ended;
    uint32_t ended_from;
    size_t ended_max;
    uint32_t ended_states;
};

static uint32_t terminal_states(void)
{
    uint32_t mask = 0;
    for (int state = 0; state < TASK_STATES; state++)
        if (task_state_terminal((enum task_state)state))
            mask |= 1u << state;
    return mask;
}

static int parse_states(const char *text, struct arena *arena, uint32_t *ret_mask, struct err *err)
{
    char *rest = arena_strdup(arena, text);
    while (rest != NULL) {
        char *name = rest;
        rest = strchr(name, ',');
        if (rest != NULL)
            *rest++ = '\0';
        int state = task_state_from_name(name);
        if (state < 0)
            return err_set(err, ERR_INVALID, "the parameter state: there is no state '%.32s' of a task", name);
        *ret_mask |= 1u << state;
    }
    return 0;
}

// Calls for each index of the set from `from` on, until it returns false.
static void walk_set(const struct index_set *set, uint32_t from, bool (*visit)(void *, uint32_t), void *context)
{
    for (size_t i = 0; i < set->n_ranges; i++) {
        const struct index_range *range = &set->ranges[i];
        uint64_t index = range->first;
        if (range->last < from)
            continue;
        if (index < from)
            index += ((uint64_t)from - index + range->step - 1) / range->step * range->step;
        for (; index <= range->last; index += range->step)
            if (!visit(context, (uint32_t)index))
                return;
    }
}

struct scan {
    struct request *request;
    struct tasks_state *state;
    size_t looked;
};

static bool scan_one(void *context, uint32_t index)
{
    struct scan *scan = context;
    struct tasks_state *state = scan->state;
    if (state->n == state->max || scan->looked++ == SCAN_MAX) {
        state->has_more = true;
        state->next_index = index;
        return false;
    }
    struct task_view *view = &state->tasks[state->n];
    int code = core_view_task(engine_core(scan->request->server->engine), state->run_id, index, &scan->request->arena, view);
    must(code == 0);
    if (state->states == 0 || (state->states & 1u << view->state) != 0)
        state->n++;
    return true;
}

static void answer_tasks(struct request *request)
{
    struct tasks_state *state = request->state;
    struct buf json = {0};
    buf_adds(&json, "{\"tasks\":[");
    size_t at = 0;
    for (size_t i = 0; i < state->n; i++) {
        const struct task_view *view = &state->tasks[i];
        while (at < state->n_ended && state->ended[at].index < view->index)
            at++;
        // The history tells more of a task that has ended; of one that goes on, only memory knows.
        bool better = at < state->n_ended && state->ended[at].index == view->index && task_state_terminal(view->state);
        buf_adds(&json, i > 0 ? "," : "");
        view_json_task(&json, better ? &state->ended[at] : view);
    }
    if (state->has_more)
        buf_printf(&json, "],\"next_from\":%" PRIu32 "}\n", state->next_index);
    else
        buf_adds(&json, "],\"next_from\":null}\n");
    request_answer_durable(request, 200, &json);
}

static int run_ended(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct tasks_state *state = request->state;
    int code = 0;
    if (!state->live) {
        struct run_view view;
        code = history_run(history, state->run_id, &request->arena, &view, err);
        if (code == ERR_NOT_FOUND)
            return err_set(err, code, "there is no run %" PRIu64, state->run_id);
    }
    if (code == 0)
        code = history_tasks(history, state->run_id, state->ended_from, state->ended_max, state->ended_states, &request->arena, &state->ended,
                             &state->n_ended, err);
    return code;
}

static void done_ended(struct history_read *read)
{
    struct request *request = request_of(read);
    struct tasks_state *state = request->state;
    if (read->code < 0) {
        request_err(request, &read->err);
        return;
    }
    if (state->tasks == NULL) {
        state->tasks = state->ended;
        state->n = state->n_ended;
        state->has_more = state->n == state->max && state->tasks[state->n - 1].index < UINT32_MAX;
        state->next_index = state->has_more ? state->tasks[state->n - 1].index + 1 : 0;
    }
    answer_tasks(request);
}

// A page of a run that is in memory.
static void live_tasks(struct request *request, const struct job_spec *spec)
{
    struct tasks_state *state = request->state;
    state->tasks = arena_array(&request->arena, struct task_view, state->max);
    struct scan scan = {.request = request, .state = state};
    walk_set(&spec->tasks, state->from, scan_one, &scan);
    state->ended_from = UINT32_MAX;
    state->ended_states = terminal_states();
    for (size_t i = 0; i < state->n; i++) {
        if (!task_state_terminal(state->tasks[i].state))
            continue;
        if (state->ended_max++ == 0)
            state->ended_from = state->tasks[i].index;
    }
    if (state->ended_max == 0)
        answer_tasks(request);
    else
        request_read(request, true, run_ended, done_ended);
}

void api_tasks(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"from", "max", "state", NULL};
    uint64_t run_id, from;
    size_t max;
    if (!query_only(http, names) || !param_u64(http, 0, "run", &run_id) || !query_u64(http, "from", UINT32_MAX, 0, &from) ||
        !query_max(server, http, 100, &max))
        return;
    struct request *request = request_new(server, http);
    struct tasks_state *state = arena_new(&request->arena, struct tasks_state);
    state->run_id = run_id;
    state->from = (uint32_t)from;
    state->max = max;
    request->state = state;
    struct err err = {0};
    const char *states = http_query(http, "state", 0);
    if (states != NULL && parse_states(states, &request->arena, &state->states, &err) < 0) {
        request_err(request, &err);
        return;
    }
    struct run_view view;
    const struct job_spec *spec = NULL;
    state->live = core_view_run(engine_core(server->engine), run_id, &request->arena, &view) == 0;
    bool only_ended = state->states != 0 && (state->states & ~terminal_states()) == 0;
    if (state->live && !only_ended && spec_unpack(view.spec, &request->arena, &spec, &err) < 0) {
        request_err(request, &err);
        return;
    }
    if (spec != NULL) {
        live_tasks(request, spec);
        return;
    }
    state->ended_from = state->from;
    state->ended_max = state->max;
    state->ended_states = state->states;
    request_read(request, true, run_ended, done_ended);
}

// ---- one task with its attempts

struct one_task {
    uint64_t run_id;
    uint32_t index;
    bool live;
    struct task_view view;
    struct task_view *attempts;
    size_t n;
};

// A task that never had an attempt, of a run that has ended: what became of it follows from the run.
static int view_never_started(const struct run_view *run, struct one_task *state, struct arena *arena, struct err *err)
{
    const struct job_spec *spec;
    uint32_t position;
    int code = spec_unpack(run->spec, arena, &spec, err);
    if (code < 0)
        return code;
    if (!index_set_find(&spec->tasks, state->index, &position))
        return err_set(err, ERR_NOT_FOUND, "run %" PRIu64 " has no task %" PRIu32, state->run_id, state->index);
    state->view = (struct task_view){
        .run_id = state->run_id,
        .index = state->index,
        .state = run->state == RUN_EXPIRED ? TASK_EXPIRED : TASK_CANCELLED,
    };
    return 0;
}

static int run_attempts(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct one_task *state = request->state;
    int code = history_attempts(history, state->run_id, state->index, &request->arena, &state->attempts, &state->n, err);
    if (code < 0 && code != ERR_NOT_FOUND)
        return code;
    if (code == ERR_NOT_FOUND)
        state->n = 0;
    if (state->live)
        return 0;
    if (state->n > 0) {
        state->view = state->attempts[state->n - 1];
        return 0;
    }
    struct run_view run;
    code = history_run(history, state->run_id, &request->arena, &run, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "there is no run %" PRIu64, state->run_id);
    return code < 0 ? code : view_never_started(&run, state, &request->arena, err);
}

// An attempt in the list of a task's attempts: one that has ended is over, whatever its task does next.
static void put_attempt(struct buf *json, const struct task_view *view)
{
    struct task_view attempt = *view;
    if (attempt.ended && !task_state_terminal(attempt.state))
        attempt.state = attempt.end.outcome == OUTCOME_LOST ? TASK_LOST : TASK_FAILED;
    attempt.retry_usec = 0;
    view_json_task(json, &attempt);
}

static void done_attempts(struct history_read *read)
{
    struct request *request = request_of(read);
    struct one_task *state = request->state;
    if (read->code < 0) {
        request_err(request, &read->err);
        return;
    }
    const struct task_view *last = state->n > 0 ? &state->attempts[state->n - 1] : NULL;
    bool ended = task_state_terminal(state->view.state);
    // Memory keeps no details of what has ended.
    if (state->live && ended && last != NULL)
        state->view = *last;
    bool under_way = state->live && !ended && state->view.attempt > 0 && (last == NULL || last->attempt < state->view.attempt);
    struct buf json = {0};
    view_json_task(&json, &state->view);
    must(json.len > 0 && json.data[json.len - 1] == '}');
    buf_truncate(&json, json.len - 1);
    buf_adds(&json, ",\"attempts\":[");
    for (size_t i = 0; i < state->n; i++) {
        // An attempt that is under way may stand in the history too; what memory says of it is newer. How one has ended only the history knows.
        bool newer = state->live && !ended && !state->attempts[i].ended && state->attempts[i].attempt == state->view.attempt;
        buf_adds(&json, i > 0 ? "," : "");
        put_attempt(&json, newer ? &state->view : &state->attempts[i]);
    }
    if (under_way) {
        buf_adds(&json, state->n > 0 ? "," : "");
        put_attempt(&json, &state->view);
    }
    buf_adds(&json, "]}\n");
    request_answer_durable(request, 200, &json);
}

void api_task(void *context, struct http_request *http)
{
    struct server *server = context;
    uint64_t run_id, index;
    if (!param_u64(http, 0, "run", &run_id) || !param_u64(http, 1, "task", &index))
        return;
    struct request *request = request_new(server, http);
    struct one_task *state = arena_new(&request->arena, struct one_task);
    struct err err = {0};
    state->run_id = run_id;
    state->index = (uint32_t)index;
    request->state = state;
    state->live = index <= UINT32_MAX &&
                  core_view_task(engine_core(server->engine), run_id, state->index, &request->arena, &state->view) == 0;
    if (!state->live && (index > UINT32_MAX || server_has_run(server, run_id))) {
        err_set(&err, ERR_NOT_FOUND, "run %" PRIu64 " has no task %" PRIu64, run_id, index);
        request_err(request, &err);
        return;
    }
    request_read(request, true, run_attempts, done_attempts);
}
