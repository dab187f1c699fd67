// SPDX-License-Identifier: Apache-2.0
// Agents: sessions, leases, reports, and the reconciliation when a session opens.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/sort.h"
#include "core/internal.h"

static void renew_lease(struct decision *d, struct node *node)
{
    struct core *core = d->core;
    const struct limits *limits = core->options.limits;
    // The agent counts its lease from when it asked, this leader from now on and adds a grace: the agent's always ends first.
    usec_t until = usec_add(d->event->mono_usec, limits->value[LIMIT_NODE_LEASE] + limits->value[LIMIT_NODE_LOST_GRACE]);
    if (heap_contains(&node->lease)) {
        heap_update(&core->leases, &node->lease, until);
        return;
    }
    node->lease.key = until;
    node->lease.tie = node->id;
    heap_push(&core->leases, &node->lease);
}

static void refuse(struct decision *d, uint64_t session, int code, const struct err *err)
{
    struct fx_refuse *refuse = &decide_effect(d, FX_REFUSE, session)->refuse;
    refuse->code = code;
    memcpy(refuse->text, err->text, sizeof(refuse->text));
}

static int check_info(const struct core *core, const struct node_info *info, struct err *err)
{
    const struct limits *limits = core->options.limits;
    if (!info->name || info->name[0] == '\0' || !info->identity || info->identity[0] == '\0')
        return err_set(err, ERR_INVALID, "a node must say its name and its identity");
    size_t fresh = 0;
    for (size_t i = 0; i < info->n_capacity; i++)
        if (dim_find(core, info->capacity[i].name) < 0)
            fresh++;
    int rc = limits_check(limits, LIMIT_RESOURCE_KINDS, (int64_t)(core->n_dims + fresh), "the number of kinds of resources", err);
    if (rc == 0)
        rc = limits_check(limits, LIMIT_LABELS, (int64_t)info->n_labels, "the number of labels of a node", err);
    if (rc == 0)
        rc = limits_check(limits, LIMIT_NODE_TASKS, info->tasks_max, "tasks_max of the node", err);
    return rc;
}

static void emit_registered(struct decision *d, uint32_t node_id, const struct node_info *info)
{
    struct node_info *copy = arena_new(d->out->arena, struct node_info);
    node_info_copy(d->out->arena, copy, info);
    struct record record = {.kind = REC_NODE_REGISTERED, .node_registered = {.node_id = node_id, .info = copy}};
    decide_emit(d, &record);
}

static void emit_node_state(struct decision *d, struct node *node, enum node_state to)
{
    struct record record = {.kind = REC_NODE_STATE, .node_state = {.node_id = node->id, .to = to}};
    decide_emit(d, &record);
}

static void drop_session(struct decision *d, struct node *node)
{
    if (!node->session)
        return;
    map_del(&d->core->sessions, node->session);
    node->session = 0;
    d->core->nodes_changed = true;
}

// Another machine took the name: what the old one held is given up, and it is gone.
static void replace_identity(struct decision *d, struct node *old)
{
    drop_session(d, old);
    if (old->state == NODE_ONLINE)
        emit_node_state(d, old, NODE_LOST);
    decide_give_up(d, old, OUTCOME_LOST, NULL, 0);
    emit_node_state(d, old, NODE_REMOVED);
}

static int by_fence(const void *a, const void *b)
{
    uint64_t x = ((const struct known_attempt *)a)->fence, y = ((const struct known_attempt *)b)->fence;
    return x < y ? -1 : x > y;
}

// Both sides compare what they know. What the agent has and the leader does not want is killed or forgotten; what the leader counts on and
// the agent has never heard of is given up: it did not start if the spawner is still the one that would have started it.
static void reconcile(struct decision *d, struct node *node, const struct ev_node_hello *hello, bool same_spawner, struct fx_welcome *welcome)
{
    struct arena *arena = d->out->arena;
    size_t n = hello->n_known;
    struct known_attempt *known = arena_array(arena, struct known_attempt, n);
    if (n > 0)
        memcpy(known, hello->known, n * sizeof(*known));
    sort_items(known, n, sizeof(*known), by_fence);
    uint64_t *keep = arena_array(arena, uint64_t, n), *kill = arena_array(arena, uint64_t, n), *forget = arena_array(arena, uint64_t, n);
    uint64_t *started = arena_array(arena, uint64_t, n);
    usec_t *start_usec = arena_array(arena, usec_t, n);
    size_t n_keep = 0, n_kill = 0, n_forget = 0, n_started = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && known[i].fence == known[i - 1].fence)
            continue;
        const struct task *task = map_get(&d->core->fences, known[i].fence);
        if (!task || task->node != node) {
            if (known[i].running)
                kill[n_kill++] = known[i].fence;
            else
                forget[n_forget++] = known[i].fence;
            continue;
        }
        keep[n_keep++] = known[i].fence;
        if (known[i].running && task->state == TASK_PLACED && known[i].start_usec > 0) {
            started[n_started] = known[i].fence;
            start_usec[n_started++] = known[i].start_usec;
        }
    }
    if (n_started > 0) {
        struct record record = {.kind = REC_TASKS_STARTED,
                                .tasks_started = {.node_id = node->id, .n = n_started, .fence = started, .start_usec = start_usec}};
        decide_emit(d, &record);
    }
    decide_give_up(d, node, same_spawner ? OUTCOME_NOT_STARTED : OUTCOME_LOST, keep, n_keep);
    // What still runs there uses what was freed here when it was given up.
    node_set_unwanted(d->core, node, kill, n_kill);
    welcome->kill = kill;
    welcome->n_kill = n_kill;
    welcome->forget = forget;
    welcome->n_forget = n_forget;
}

// Stops that were ordered in an earlier session may not have arrived.
static void repeat_stops(struct decision *d, struct node *node)
{
    uint64_t *fences = arena_array(d->out->arena, uint64_t, node->n_tasks);
    size_t n = 0;
    struct list *pos;
    list_for_each(pos, &node->tasks) {
        const struct task *task = list_entry(pos, struct task, in_node);
        if (task->state == TASK_STOPPING)
            fences[n++] = task->fence;
    }
    if (n > 0)
        decide_effect(d, FX_STOP, node->session)->stop = (struct fx_stop){.n = n, .fence = fences, .why = OUTCOME_CANCELLED};
}

static int check_hello(struct decision *d, const struct ev_node_hello *hello, struct node *node, struct err *err)
{
    struct core *core = d->core;
    int rc = check_info(core, hello->info, err);
    if (rc < 0)
        return rc;
    if (hello->highest_epoch > core->epoch)
        return err_set(err, ERR_CONFLICT, "this server leads epoch %" PRIu64 ", but node %s has obeyed epoch %" PRIu64, core->epoch,
                       hello->info->name, hello->highest_epoch);
    // An agent has one connection at a time, so a HELLO on an older one was sent before and is late: what it says is no longer so.
    if (node && hello->session < node->last_session)
        return err_set(err, ERR_CLOSED, "node %s has opened a newer session since", hello->info->name);
    if (!node)
        return limits_check(core->options.limits, LIMIT_NODES, (int64_t)core->n_nodes + 1, "the number of nodes", err);
    if (strcmp(node->info.identity, hello->info->identity) != 0 && node->state == NODE_ONLINE)
        return err_set(err, ERR_CONFLICT, "another machine holds the name %s; give this node another name, or wait until the other is lost",
                       hello->info->name);
    return 0;
}

// Brings the durable half up to what the agent says of itself. *ret_same_spawner: the processes of its attempts may still be there.
static struct node *register_node(struct decision *d, const struct ev_node_hello *hello, struct node *node, bool *ret_same_spawner)
{
    struct core *core = d->core;
    *ret_same_spawner = false;
    if (node && strcmp(node->info.identity, hello->info->identity) != 0) {
        replace_identity(d, node);
        node = NULL;
    }
    if (!node) {
        uint32_t node_id = core->next_node;
        emit_registered(d, node_id, hello->info);
        return core_node(core, node_id);
    }
    *ret_same_spawner = strcmp(node->info.spawner, hello->info->spawner ? hello->info->spawner : "") == 0;
    if (!node_info_equal(&node->info, hello->info))
        emit_registered(d, node->id, hello->info);
    if (node->state == NODE_LOST)
        emit_node_state(d, node, NODE_ONLINE);
    return node;
}

void on_node_hello(struct decision *d)
{
    const struct ev_node_hello *hello = &d->event->hello;
    struct core *core = d->core;
    struct err err = {0};
    must(hello->session != 0);
    struct node *node = hello->info->name ? core_node_by_name(core, hello->info->name) : NULL;
    int rc = check_hello(d, hello, node, &err);
    if (rc < 0) {
        refuse(d, hello->session, rc, &err);
        return;
    }
    bool same_spawner = false;
    node = register_node(d, hello, node, &same_spawner);
    if (node->session && node->session != hello->session) {
        err_set(&err, ERR_CLOSED, "node %s opened a newer session", node->info.name);
        refuse(d, node->session, ERR_CLOSED, &err);
        drop_session(d, node);
    }
    node->session = node->last_session = hello->session;
    map_put(&core->sessions, node->session, node);
    core->nodes_changed = true;
    node->freed = true;
    // Its lease begins when the welcome leaves: however long the store takes until then, it costs the node nothing.
    if (heap_contains(&node->lease))
        heap_remove(&core->leases, &node->lease);
    struct effect *effect = decide_effect(d, FX_WELCOME, node->session);
    effect->welcome = (struct fx_welcome){
        .node_id = node->id,
        .epoch = core->epoch,
        .lease_usec = core->options.limits->value[LIMIT_NODE_LEASE],
        .heartbeat_usec = core->options.limits->value[LIMIT_NODE_HEARTBEAT],
    };
    reconcile(d, node, hello, same_spawner, &effect->welcome);
    repeat_stops(d, node);
}

void on_node_welcomed(struct decision *d)
{
    struct node *node = core_node_by_session(d->core, d->event->session.session);
    if (node)
        renew_lease(d, node);
}

void on_node_heartbeat(struct decision *d)
{
    const struct ev_node_session *ev = &d->event->session;
    struct node *node = core_node_by_session(d->core, ev->session);
    if (!node)
        return; // a session that was replaced or refused: its close is on the way
    renew_lease(d, node);
    decide_effect(d, FX_LEASE, ev->session)->lease =
        (struct fx_lease){.heartbeat = ev->heartbeat, .lease_usec = d->core->options.limits->value[LIMIT_NODE_LEASE]};
}

void on_node_gone(struct decision *d)
{
    struct node *node = core_node_by_session(d->core, d->event->session.session);
    if (!node)
        return;
    drop_session(d, node); // the lease goes on: its tasks may come back with the next session
    if (!heap_contains(&node->lease))
        renew_lease(d, node); // it gave up waiting for its welcome, and will ask again
}

static void report_started(struct decision *d, struct node *node, const struct ev_node_report *report)
{
    uint64_t *fences = arena_array(d->out->arena, uint64_t, report->n_started);
    usec_t *start_usec = arena_array(d->out->arena, usec_t, report->n_started);
    size_t n = 0;
    for (size_t i = 0; i < report->n_started; i++) {
        const struct task *task = map_get(&d->core->fences, report->started[i].fence);
        if (!task || task->node != node || task->started_usec != 0)
            continue;
        fences[n] = report->started[i].fence;
        start_usec[n++] = report->started[i].start_usec;
    }
    if (n == 0)
        return;
    struct record record = {.kind = REC_TASKS_STARTED,
                            .tasks_started = {.node_id = node->id, .n = n, .fence = fences, .start_usec = start_usec}};
    decide_emit(d, &record);
}

void on_node_report(struct decision *d)
{
    const struct ev_node_report *report = &d->event->report;
    struct node *node = core_node_by_session(d->core, report->session);
    if (!node)
        return;
    report_started(d, node, report);
    for (size_t i = 0; node->n_unwanted > 0 && i < report->n_ended; i++)
        node_unwanted_ended(d->core, node, report->ended[i].fence);
    decide_ends(d, node, report->ended, report->n_ended);
    decide_effect(d, FX_ACK, report->session)->ack.report_id = report->report_id;
}

static int need_node(struct decision *d, const char *name, struct node **ret_node, struct err *err)
{
    *ret_node = core_node_by_name(d->core, name);
    return *ret_node ? 0 : err_set(err, ERR_NOT_FOUND, "there is no node '%s'", name);
}

void on_node_admission(struct decision *d)
{
    const struct ev_node_admission *ev = &d->event->node_admission;
    struct err err = {0};
    struct node *node = NULL;
    int rc = need_node(d, ev->name, &node, &err);
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    bool same = node->admission == ev->to;
    if (!same) {
        struct record record = {.kind = REC_NODE_ADMISSION, .node_admission = {.node_id = node->id, .to = ev->to}};
        decide_emit(d, &record);
    }
    decide_reply_ok(d)->existing = same;
}

void on_node_remove(struct decision *d)
{
    struct err err = {0};
    struct node *node = NULL;
    const char *name = d->event->node_admission.name;
    int rc = need_node(d, name, &node, &err);
    if (rc == 0 && node->state == NODE_ONLINE && (node->admission == ADMIT_OPEN || node->n_tasks > 0))
        rc = err_set(&err, ERR_CONFLICT, "node %s is online; drain it first and wait until its tasks have ended", name);
    // It would be back at once, as a new node that is open for work.
    if (rc == 0 && node->session != 0)
        rc = err_set(&err, ERR_CONFLICT, "the agent of node %s is still connected; stop it first, then remove the node", name);
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    must(node->n_tasks == 0); // a lost node has given up what it held
    emit_node_state(d, node, NODE_REMOVED);
    decide_reply_ok(d);
}
