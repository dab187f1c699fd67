// SPDX-License-Identifier: Apache-2.0
// The truth about attempts and nodes: what the records say of them, and what their processes really did.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim/internal.h"

// ---- placement

static void check_alone(struct sim *sim, const struct t_run *run)
{
    for (struct list *pos = sim->truth.live.next; pos != &sim->truth.live && run->alone; pos = pos->next) {
        const struct t_run *other = list_entry(pos, struct t_run, link);
        hold(sim, INV_OVERLAP, other->job_id != run->job_id || other->id >= run->id, "run %" PRIu64 " of job %" PRIu64 " starts beside run %" PRIu64, run->id,
             run->job_id, other->id);
    }
}

static void check_may_place(struct sim *sim, const struct t_run *run, const struct t_node *node, usec_t at_usec)
{
    hold(sim, INV_CANCEL_FINAL, run->state == RUN_PENDING || run->state == RUN_RUNNING, "a task of run %" PRIu64 ", which is %s, is placed", run->id,
         run_state_name(run->state));
    hold(sim, INV_HELD, !run->held, "a task of run %" PRIu64 ", which is held, is placed", run->id);
    // Started before is started: the clock may have gone back since.
    hold(sim, INV_NOT_EARLY, run->start_at_usec <= at_usec || run->state == RUN_RUNNING || sim->n_jumps > 0, "run %" PRIu64 " is placed before its start time", run->id);
    hold(sim, INV_DRAINED, node->state == NODE_ONLINE && !node->closed && !node->removed, "a task of run %" PRIu64 " is placed on node %s, which is %s%s",
         run->id, node->name, node_state_name(node->state), node->closed ? " and drained" : "");
    hold(sim, INV_CONSTRAINTS, run->zone == NULL || strcmp(run->zone, node->zone) == 0, "run %" PRIu64 " wants zone %s and gets node %s of zone %s", run->id,
         run->zone, node->name, node->zone);
}

static void hold_room(struct sim *sim, struct t_node *node, const struct t_run *run)
{
    node->used_cpu += run->cpu_millis;
    node->used_memory += run->memory_bytes;
    node->used_licences += run->licences;
    node->n_tasks++;
    bool fits = node->used_cpu <= node->cpu && node->used_memory <= node->memory && node->used_licences <= node->licences && node->n_tasks <= node->tasks_max;
    hold(sim, INV_NODE_ROOM_RECORD, fits,
         "node %s has cpu %" PRIu64 " memory %" PRIu64 " licences %" PRIu64 " tasks %u, and gives away %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %u", node->name,
         node->cpu, node->memory, node->licences, node->tasks_max, node->used_cpu, node->used_memory, node->used_licences, node->n_tasks);
}

static void free_room(struct t_node *node, const struct t_run *run)
{
    must(node->n_tasks > 0);
    node->used_cpu -= run->cpu_millis;
    node->used_memory -= run->memory_bytes;
    node->used_licences -= run->licences;
    node->n_tasks--;
}

static void take_key(struct sim *sim, struct t_run *run)
{
    if (run->key == NULL || run->holds_key)
        return;
    struct t_key *key = strmap_get(&sim->truth.keys, run->key);
    if (key == NULL) {
        key = arena_new(&sim->truth.lasting, struct t_key);
        key->name = run->key;
        strmap_put(&sim->truth.keys, key->name, key);
    }
    key->holders++;
    run->holds_key = true;
    hold(sim, INV_KEY_RECORD, key->holders <= run->key_limit, "run %" PRIu64 " takes key %s, which %u runs hold, its limit is %u", run->id, run->key,
         key->holders, run->key_limit);
}

static void place_one(struct sim *sim, struct t_run *run, struct t_node *node, uint32_t index, uint32_t attempt, uint64_t fence, usec_t at_usec)
{
    struct truth *truth = &sim->truth;
    struct t_task *task = truth_task_make(sim, run->id, index);
    hold(sim, INV_LEGAL_TASK, task->state == TASK_PENDING || task->state == TASK_BACKOFF, "task %" PRIu64 "/%u is %s and is placed", run->id, index,
         task_state_name(task->state));
    hold(sim, INV_ATTEMPT_NUMBERS, attempt == task->attempt + 1, "task %" PRIu64 "/%u gets attempt %u after attempt %u", run->id, index, attempt, task->attempt);
    bool jumps = sim->n_jumps > 0;
    // A clock that is set by a second at most is taken for one that goes a little wrong.
    usec_t slack = (sim->n_jumps - task->retry_jumps) * USEC_PER_SEC;
    bool over = jumps ? task->retry_true_usec - slack <= server_decided_usec(&sim->servers[0], truth->seq) || sim->servers[0].life > 1 : task->retry_usec <= at_usec;
    hold(sim, INV_BACKOFF_KEPT, task->state != TASK_BACKOFF || over,
         "task %" PRIu64 "/%u is placed %" PRId64 " usec before its backoff ends (%" PRId64 " of true time at least)", run->id, index, task->retry_usec - at_usec,
         task->retry_true_usec - server_decided_usec(&sim->servers[0], truth->seq));
    hold(sim, INV_FENCES_GROW, fence > truth->last_fence, "fence %" PRIu64 " comes after fence %" PRIu64, fence, truth->last_fence);
    hold(sim, INV_AMO_NOT_AGAIN, run->delivery != AT_MOST_ONCE || task->may_have_started == 0,
         "at_most_once task %" PRIu64 "/%u is placed again although an attempt of it may have started", run->id, index);
    hold(sim, INV_RETRY_LIMIT, task->tries <= run->retry_limit, "task %" PRIu64 "/%u tries again after %u tries, its retry limit is %u", run->id, index,
         task->tries, run->retry_limit);
    hold(sim, INV_RETRY_LIMIT, attempt <= (uint32_t)sim->limits.value[LIMIT_ATTEMPTS], "task %" PRIu64 "/%u has attempt %u", run->id, index, attempt);
    truth->last_fence = fence;
    truth->n_attempts++;
    task->state = TASK_PLACED;
    task->attempt = attempt;
    task->fence = fence;
    struct t_fence *entry = arena_new(&truth->lasting, struct t_fence);
    *entry = (struct t_fence){.run_id = run->id, .index = index, .attempt = attempt, .node_id = node->id, .placed_usec = sim->now};
    map_put(&truth->fences, fence, entry);
    run->n_active++;
    hold_room(sim, node, run);
}

static void on_placed(struct sim *sim, const struct record *record)
{
    const struct rec_tasks_placed *rec = &record->tasks_placed;
    struct t_run *run = truth_run(sim, rec->run_id);
    struct t_node *node = truth_node(sim, rec->node_id);
    hold(sim, INV_TERMINAL, run != NULL && node != NULL, "run %" PRIu64 " is placed on node %u, one of which is unknown", rec->run_id, rec->node_id);
    if (sim->failed)
        return;
    check_may_place(sim, run, node, record->at_usec);
    if (run->state == RUN_PENDING)
        check_alone(sim, run);
    run->state = RUN_RUNNING;
    take_key(sim, run);
    for (size_t i = 0; i < rec->n && !sim->failed; i++)
        place_one(sim, run, node, rec->index[i], rec->attempt != NULL ? rec->attempt[i] : 1, rec->first_fence + i, record->at_usec);
    hold(sim, INV_PARALLELISM, run->parallelism == 0 || run->n_active <= run->parallelism, "run %" PRIu64 " has %u tasks active, its parallelism is %u",
         run->id, run->n_active, run->parallelism);
}

static struct t_fence *active_fence(struct sim *sim, uint64_t fence, uint32_t node_id, const char *what)
{
    struct t_fence *entry = truth_fence(sim, fence);
    hold(sim, INV_ONE_END, entry != NULL && !entry->ended && entry->node_id == node_id, "fence %" PRIu64 " is %s on node %u, but it is %s", fence, what, node_id,
         entry == NULL ? "unknown" : entry->ended ? "over" : "elsewhere");
    return sim->failed ? NULL : entry;
}

static void on_started(struct sim *sim, const struct record *record)
{
    const struct rec_tasks_started *rec = &record->tasks_started;
    for (size_t i = 0; i < rec->n; i++) {
        struct t_fence *entry = active_fence(sim, rec->fence[i], rec->node_id, "started");
        if (entry == NULL)
            return;
        hold(sim, INV_STARTED_TRUE, entry->starts > 0, "fence %" PRIu64 " is recorded as started, but no process of it ran", rec->fence[i]);
        entry->started_told = true;
        struct t_task *task = truth_task(sim, entry->run_id, entry->index);
        if (task->state == TASK_PLACED)
            task->state = TASK_RUNNING;
    }
}

static void on_stopping(struct sim *sim, const struct record *record)
{
    const struct rec_tasks_stopping *rec = &record->tasks_stopping;
    for (size_t i = 0; i < rec->n; i++) {
        struct t_fence *entry = active_fence(sim, rec->fence[i], rec->node_id, "to stop");
        if (entry == NULL)
            return;
        entry->stopping = true;
        entry->stop_usec = sim->now;
        truth_task(sim, entry->run_id, entry->index)->state = TASK_STOPPING;
    }
}

// ---- ends

static void check_end_true(struct sim *sim, const struct t_fence *entry, const struct attempt_end *end)
{
    switch (end->outcome) {
    case OUTCOME_NOT_STARTED:
    case OUTCOME_SPAWN:
        hold(sim, INV_NOT_STARTED_TRUE, entry->starts == 0, "fence %" PRIu64 " is recorded as %s, but a process of it ran", end->fence, outcome_name(end->outcome));
        break;
    case OUTCOME_SUCCEEDED:
    case OUTCOME_EXIT:
    case OUTCOME_SIGNAL:
    case OUTCOME_OOM:
    case OUTCOME_TIMEOUT:
        hold(sim, INV_END_TRUE, entry->over && entry->real == end->outcome && entry->real_exit == end->exit_code,
             "fence %" PRIu64 " is recorded as %s with status %d, it really was %s with status %d", end->fence, outcome_name(end->outcome), end->exit_code,
             entry->over ? outcome_name(entry->real) : "still running", entry->real_exit);
        break;
    default: // given up, or stopped: a process may have ended in any way
        break;
    }
}

static void end_one(struct sim *sim, struct t_run *run, struct t_node *node, const struct task_end *end)
{
    struct t_fence *entry = active_fence(sim, end->end.fence, node->id, "ended");
    if (entry == NULL)
        return;
    struct t_task *task = truth_task(sim, run->id, end->index);
    hold(sim, INV_ONE_END, entry->run_id == run->id && entry->index == end->index && entry->attempt == end->attempt && task != NULL,
         "the end of fence %" PRIu64 " is recorded for task %" PRIu64 "/%u attempt %u", end->end.fence, run->id, end->index, end->attempt);
    check_end_true(sim, entry, &end->end);
    if (sim->failed)
        return;
    entry->ended = true;
    if (!entry->stopping)
        entry->stop_usec = sim->now;
    entry->outcome = end->end.outcome;
    entry->exit_code = end->end.exit_code;
    entry->ended_usec = sim->now;
    enum outcome outcome = end->end.outcome;
    if (outcome != OUTCOME_NOT_STARTED && outcome != OUTCOME_SPAWN)
        task->may_have_started++;
    if (outcome != OUTCOME_NOT_STARTED && outcome != OUTCOME_LOST && outcome != OUTCOME_LEASE)
        task->tries++;
    hold(sim, INV_LEGAL_TASK, task_state_may(task->state, end->to), "task %" PRIu64 "/%u goes from %s to %s", run->id, end->index,
         task_state_name(task->state), task_state_name(end->to));
    hold(sim, INV_SUCCESS_TRUE, end->to != TASK_SUCCEEDED || (outcome == OUTCOME_SUCCEEDED && task->good_exits > 0),
         "task %" PRIu64 "/%u succeeded without a process that ended well", run->id, end->index);
    task->state = end->to;
    task->retry_usec = end->retry_usec;
    // By a clock that is fast by at most a twentieth.
    usec_t decided_usec = server_decided_usec(&sim->servers[0], sim->truth.seq);
    bool jumped = sim->n_jumps > 0 && decided_usec <= sim->jumped_usec; // between its decision and now
    task->retry_jumps = sim->n_jumps - jumped;
    task->retry_true_usec = decided_usec + (end->retry_usec - sim->truth.at_usec) / 100 * 94;
    run->n_active--;
    free_room(node, run);
    if (task_state_terminal(end->to)) {
        run->ended[end->to]++;
        run->n_ended++;
    }
}

static void on_ended(struct sim *sim, const struct record *record)
{
    const struct rec_tasks_ended *rec = &record->tasks_ended;
    struct t_run *run = truth_run(sim, rec->run_id);
    struct t_node *node = truth_node(sim, rec->node_id);
    hold(sim, INV_TERMINAL, run != NULL && node != NULL && !run_state_terminal(run->state), "attempts of run %" PRIu64 " end on node %u", rec->run_id, rec->node_id);
    for (size_t i = 0; i < rec->n && !sim->failed; i++)
        end_one(sim, run, node, &rec->entry[i]);
}

void truth_task_record(struct sim *sim, const struct record *record)
{
    if (record->kind == REC_TASKS_PLACED)
        on_placed(sim, record);
    else if (record->kind == REC_TASKS_STARTED)
        on_started(sim, record);
    else if (record->kind == REC_TASKS_STOPPING)
        on_stopping(sim, record);
    else
        on_ended(sim, record);
}

// ---- nodes

static void on_registered(struct sim *sim, const struct record *record)
{
    struct truth *truth = &sim->truth;
    const struct node_info *info = record->node_registered.info;
    struct t_node *node = truth_node(sim, record->node_registered.node_id);
    if (node == NULL) {
        if (truth->n_nodes == truth->cap_nodes) {
            truth->cap_nodes = truth->cap_nodes > 0 ? 2 * truth->cap_nodes : 64;
            truth->nodes = mem_realloc_array(truth->nodes, truth->cap_nodes, sizeof(*truth->nodes));
        }
        node = &truth->nodes[truth->n_nodes++];
        *node = (struct t_node){0};
        node->id = record->node_registered.node_id;
        node->state = NODE_ONLINE;
    }
    snprintf(node->name, sizeof(node->name), "%s", info->name);
    snprintf(node->identity, sizeof(node->identity), "%s", info->identity);
    snprintf(node->spawner, sizeof(node->spawner), "%s", info->spawner);
    node->tasks_max = info->tasks_max;
    for (size_t i = 0; i < info->n_capacity; i++) {
        const struct resource_need *has = &info->capacity[i];
        uint64_t *to = strcmp(has->name, "cpu") == 0 ? &node->cpu : strcmp(has->name, "memory") == 0 ? &node->memory : &node->licences;
        *to = has->amount;
    }
    for (size_t i = 0; i < info->n_labels; i++)
        if (strcmp(info->labels[i].key, "zone") == 0)
            snprintf(node->zone, sizeof(node->zone), "%s", info->labels[i].value);
}

static struct node *machine_of(const struct sim *sim, const struct t_node *node)
{
    for (size_t i = 0; i < sim->n_nodes; i++)
        if (!sim->nodes[i]->clone && strcmp(sim->nodes[i]->name, node->name) == 0)
            return sim->nodes[i];
    return NULL;
}

static bool has_clone(const struct sim *sim, const struct node *node)
{
    for (size_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i]->clone && sim->nodes[i]->index == node->index)
            return true;
    return false;
}

// A node is given up: nothing that must run once may be alive there, and it must really have been away.
static void check_lost(struct sim *sim, const struct t_node *lost)
{
    const struct node *node = machine_of(sim, lost);
    if (node == NULL || has_clone(sim, node))
        return;
    struct list *pos;
    list_for_each(pos, &node->spawner.processes) {
        const struct process *process = list_entry(pos, struct process, link);
        // A machine that stands still has processes that do not run.
        bool alive = process->phase == PROC_RUNNING && !node->suspended;
        hold(sim, INV_LEASE_ENDS_FIRST, !alive || process->delivery != AT_MOST_ONCE,
             "node %s is given up while the at_most_once process of fence %" PRIu64 " is alive", node->name, process->fence);
    }
    const struct server *server = &sim->servers[0];
    usec_t grant = sim->limits.value[LIMIT_NODE_LEASE] + sim->limits.value[LIMIT_NODE_LOST_GRACE];
    // A server whose store has no room can welcome nobody, and is away as well.
    usec_t back_usec = sim->disk.full_until > sim->now ? sim->now : usec_max(server->resumed_usec, sim->disk.full_until);
    bool server_was_away = sim->now - back_usec < grant / 2;
    // It may have been decided long before, and have waited for room since.
    usec_t decided_usec = server_decided_usec(server, sim->truth.seq);
    bool node_was_there = node->machine_up && !node->suspended && node->agent_up && !node->agent_paused && decided_usec - node->apart_usec > grant;
    hold(sim, INV_OUTAGE_KILLS_NONE, !(server_was_away && node_was_there),
         "node %s, which was there all the time, is given up %" PRId64 " ms after the server came back", node->name, (sim->now - back_usec) / USEC_PER_MSEC);
}

// ---- stops

// Since when everything has been there that a stop needs: the server, the link, the agent.
static usec_t in_touch_since(const struct sim *sim, const struct node *node)
{
    const struct server *server = &sim->servers[0];
    if (!server->up || server->paused || node->phase != LINK_OPEN || !agent_takes(node) || !node->spawner.up)
        return USEC_NEVER;
    usec_t link = sim->phase == PHASE_FAULTS ? node->apart_usec : sim->healed_usec + 10 * USEC_PER_SEC;
    return usec_max(usec_max(node->steady_usec, server->resumed_usec), link);
}

void truth_stops(struct sim *sim)
{
    const usec_t patience = 15 * USEC_PER_SEC;
    for (size_t i = 0; i < sim->n_nodes && sim->n_clones == 0; i++) {
        const struct node *node = sim->nodes[i];
        usec_t since = in_touch_since(sim, node);
        if (since > sim->now - patience)
            continue;
        struct list *pos;
        list_for_each(pos, &node->spawner.processes) {
            const struct process *process = list_entry(pos, struct process, link);
            const struct t_fence *entry = truth_fence(sim, process->fence);
            bool shall = entry != NULL && (entry->stopping || entry->ended);
            bool alive = process->phase == PROC_RUNNING || process->phase == PROC_EMPTYING;
            if (!shall || !alive)
                continue;
            usec_t asked = usec_max(entry->stop_usec, since), allowed = patience + process->kill_grace_usec + process->plan.linger_usec;
            hold(sim, INV_STOPS_HAPPEN, sim->now - asked <= allowed, "fence %" PRIu64 " is %s, but %" PRId64 " s later its process goes on on node %s", process->fence,
                 entry->ended ? outcome_name(entry->outcome) : "to be stopped", (sim->now - asked) / USEC_PER_SEC, node->name);
        }
    }
}

void truth_node_record(struct sim *sim, const struct record *record)
{
    if (record->kind == REC_NODE_REGISTERED) {
        on_registered(sim, record);
        return;
    }
    bool is_state = record->kind == REC_NODE_STATE;
    struct t_node *node = truth_node(sim, is_state ? record->node_state.node_id : record->node_admission.node_id);
    hold(sim, INV_DRAINED, node != NULL && !node->removed, "a node that is unknown or removed changes its state");
    if (sim->failed)
        return;
    if (!is_state) {
        node->closed = record->node_admission.to == ADMIT_CLOSED;
        return;
    }
    node->state = record->node_state.to;
    node->removed = node->state == NODE_REMOVED;
    if (node->state == NODE_LOST)
        check_lost(sim, node);
}

// ---- what really happens

static void check_real_room(struct sim *sim, const struct node *node)
{
    bool fits = node->used_cpu <= node->cpu_millis && node->used_memory <= node->memory_bytes && node->used_licences <= node->licences;
    hold(sim, INV_NODE_ROOM_REAL, fits, "the %u processes on node %s need cpu %" PRIu64 " of %" PRIu64 ", memory %" PRIu64 " of %" PRIu64 ", licences %" PRIu64 " of %" PRIu64,
         node->alive, node->name, node->used_cpu, node->cpu_millis, node->used_memory, node->memory_bytes, node->used_licences, node->licences);
}

// Nothing on a machine can end what stands still with it, and no server can know whether it will ever go on. What it holds does not run
// meanwhile; the moment it goes on, everything whose lease is over ends (INV_STOOD_STILL).
static bool runs(const struct sim *sim, const struct process *process)
{
    const struct node *node = process->node;
    bool ending = process->delivery == AT_MOST_ONCE && process->start_boot_usec < node->spawner.lease_boot_usec &&
                  node->spawner.lease_boot_usec <= machine_mono(&node->machine);
    return !node->suspended && (process->phase == PROC_RUNNING || process->phase == PROC_EMPTYING) &&
           !(ending && node->resumed_usec > 0 && sim->now - node->resumed_usec <= STANDSTILL_END_USEC + process->plan.linger_usec);
}

void truth_stood_still(void *context, uint64_t resumed_usec)
{
    const struct node *node = context;
    struct sim *sim = node->sim;
    usec_t lease_over_usec = node->spawner.lease_boot_usec;
    if (!node->machine_up || node->suspended || node->resumed_usec != (usec_t)resumed_usec || machine_mono(&node->machine) - STANDSTILL_END_USEC < lease_over_usec)
        return;
    struct list *pos;
    list_for_each(pos, &node->spawner.processes) {
        const struct process *process = list_entry(pos, struct process, link);
        hold(sim, INV_STOOD_STILL, process->delivery != AT_MOST_ONCE || process->phase != PROC_RUNNING,
             "node %s went on %" PRId64 " ms after its lease ended, and the at_most_once process of fence %" PRIu64 " still runs", node->name,
             (machine_mono(&node->machine) - lease_over_usec) / USEC_PER_MSEC, process->fence);
    }
}

static uint32_t runs_with_key(const struct sim *sim, const char *key)
{
    uint64_t seen[64];
    uint32_t n = 0;
    for (size_t i = 0; i < sim->n_nodes; i++) {
        struct list *pos;
        list_for_each(pos, &sim->nodes[i]->spawner.processes) {
            const struct process *process = list_entry(pos, struct process, link);
            const struct t_run *run = truth_run(sim, process->run_id);
            bool counts = process->delivery == AT_MOST_ONCE && run != NULL && run->key != NULL && strcmp(run->key, key) == 0 && runs(sim, process);
            for (uint32_t k = 0; k < n && counts; k++)
                counts = seen[k] != process->run_id;
            if (counts && n < sizeof(seen) / sizeof(*seen))
                seen[n++] = process->run_id;
        }
    }
    return n;
}

void truth_started(struct sim *sim, struct process *process)
{
    struct node *node = process->node;
    struct t_fence *entry = truth_fence(sim, process->fence);
    struct t_node *placed = entry != NULL ? truth_node(sim, entry->node_id) : NULL;
    hold(sim, INV_START_ORDERED, placed != NULL && strcmp(placed->name, node->name) == 0, "node %s starts fence %" PRIu64 ", which is not placed there", node->name,
         process->fence);
    if (sim->failed)
        return;
    struct t_run *run = truth_run(sim, entry->run_id);
    struct t_task *task = truth_task(sim, entry->run_id, entry->index);
    hold(sim, INV_FENCE_ONCE, entry->starts == 0, "fence %" PRIu64 " starts a second process", process->fence);
    hold(sim, INV_AMO_ONCE, run->delivery != AT_MOST_ONCE || task->starts == 0, "at_most_once task %" PRIu64 "/%u starts a second process (fence %" PRIu64 ")",
         run->id, entry->index, process->fence);
    hold(sim, INV_NOT_STARTED_TRUE, !entry->ended || (entry->outcome != OUTCOME_NOT_STARTED && entry->outcome != OUTCOME_SPAWN),
         "fence %" PRIu64 " starts a process after it was recorded as %s", process->fence, outcome_name(entry->outcome));
    entry->starts++;
    entry->alive = true;
    entry->where = node;
    task->starts++;
    sim->truth.n_processes++;
    if (run->alive++ == 0 && run->key != NULL && run->delivery == AT_MOST_ONCE && sim->n_clones == 0) {
        uint32_t n = runs_with_key(sim, run->key);
        hold(sim, INV_KEY_REAL, n <= run->key_limit, "%u at_most_once runs with key %s have processes that run, its limit is %u", n, run->key, run->key_limit);
    }
    check_real_room(sim, node);
}

void truth_exited(struct sim *sim, struct process *process, enum outcome outcome, int exit_code)
{
    struct t_fence *entry = truth_fence(sim, process->fence);
    if (entry == NULL || !entry->alive)
        return;
    entry->alive = false;
    entry->over = true;
    entry->real = outcome;
    entry->real_exit = exit_code;
    entry->exited_usec = sim->now;
    struct t_run *run = truth_run(sim, entry->run_id);
    if (outcome == OUTCOME_SUCCEEDED)
        truth_task(sim, entry->run_id, entry->index)->good_exits++;
    must(run->alive > 0);
    run->alive--;
}
