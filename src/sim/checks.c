// SPDX-License-Identifier: Apache-2.0
// Invariants that look at the whole: after every event (cheap), now and then and at the end of a phase, after a restart, and at the end.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/tz.h"
#include "codec/codec.h"
#include "sim/internal.h"

static const struct {
    const char *name, *sentence;
} rows[] = {
#define INVARIANT(NAME, text, promise, when, sentence) {text, sentence},
#include "sim/invariants.def"
};

const char *invariant_name(enum invariant invariant)
{
    return rows[invariant].name;
}

const char *invariant_sentence(enum invariant invariant)
{
    return rows[invariant].sentence;
}

void broken(struct sim *sim, enum invariant invariant, const char *fmt, ...)
{
    if (sim->failed)
        return; // the first one counts
    va_list args;
    va_start(args, fmt);
    vsnprintf(sim->result->text, sizeof(sim->result->text), fmt, args);
    va_end(args);
    sim->failed = true;
    sim->result->failed = true;
    sim->result->failed_usec = sim->now;
    snprintf(sim->result->invariant, sizeof(sim->result->invariant), "%s", rows[invariant].name);
    sim->result->sentence = rows[invariant].sentence;
    trace(sim, ACTOR_WORLD, TR_BROKEN, (uint64_t)invariant, 0, 0);
}

// ---- the state as bytes

static int pack_item(void *context, const struct snapshot_item *item)
{
    snapshot_item_pack(context, item);
    return 0;
}

static void pack_state(const struct core *core, struct buf *bytes)
{
    buf_init(bytes);
    snapshot_begin(bytes);
    must(core_save(core, pack_item, bytes) == 0);
    snapshot_end(bytes);
}

// The first item in which two states differ, for people.
struct items {
    struct buf *item;
    enum snapshot_kind *kind;
    uint64_t *id;
    size_t n, cap;
};

static int collect_item(void *context, const struct snapshot_item *item)
{
    struct items *items = context;
    if (items->n == items->cap) {
        items->cap = items->cap > 0 ? 2 * items->cap : 64;
        items->item = mem_realloc_array(items->item, items->cap, sizeof(*items->item));
        items->kind = mem_realloc_array(items->kind, items->cap, sizeof(*items->kind));
        items->id = mem_realloc_array(items->id, items->cap, sizeof(*items->id));
    }
    buf_init(&items->item[items->n]);
    snapshot_begin(&items->item[items->n]);
    snapshot_item_pack(&items->item[items->n], item);
    items->kind[items->n] = item->kind;
    items->id[items->n++] = item->kind == SNAP_RUN ? item->run.run_id : item->kind == SNAP_TASK ? item->task.run_id : item->kind == SNAP_JOB ? item->job.job_id
                            : item->kind == SNAP_NODE ? item->node.node_id
                            : item->kind == SNAP_SPEC ? item->spec.spec_no : 0;
    return 0;
}

static void items_release(struct items *items)
{
    for (size_t i = 0; i < items->n; i++)
        buf_release(&items->item[i]);
    mem_free(items->item);
    mem_free(items->kind);
    mem_free(items->id);
}

static const char *difference(struct sim *sim, const struct core *a, const struct core *b)
{
    static const char *const kinds[SNAP_KINDS] = {"?", "head", "job", "node", "spec", "run", "task", "key"};
    struct items x = {0}, y = {0};
    core_save(a, collect_item, &x);
    core_save(b, collect_item, &y);
    size_t i = 0;
    while (i < x.n && i < y.n && x.item[i].len == y.item[i].len && memcmp(x.item[i].data, y.item[i].data, x.item[i].len) == 0)
        i++;
    const struct items *from = i < x.n ? &x : &y;
    const char *text = i == from->n ? "none" : arena_printf(&sim->arena, "item %zu, %s %" PRIu64, i, kinds[from->kind[i]], from->id[i]);
    if (i < x.n && i < y.n && x.kind[i] == y.kind[i]) {
        size_t at = 0;
        while (at < x.item[i].len && at < y.item[i].len && x.item[i].data[at] == y.item[i].data[at])
            at++;
        text = arena_printf(&sim->arena, "%s, byte %zu of %zu", text, at, x.item[i].len);
    }
    items_release(&x);
    items_release(&y);
    return text;
}

static struct core *replay(struct sim *sim)
{
    struct core *core = core_new(&(struct core_options){.limits = &sim->limits, .find_zone = tz_finder, .seed = 1});
    struct bytes bytes = {(const uint8_t *)sim->truth.log.data, sim->truth.log.len};
    struct arena arena;
    arena_init(&arena, 64 * 1024);
    struct record *record = NULL;
    while (bytes.len > 0) {
        must(record_unpack(&bytes, &arena, &record, NULL) == 0);
        core_apply(core, record);
        arena_clear(&arena);
    }
    arena_release(&arena);
    return core;
}

// Whether two cores have the same state, byte for byte.
static void check_same(struct sim *sim, enum invariant invariant, const char *what, const struct core *one, const struct core *other)
{
    struct buf here, there;
    pack_state(one, &here);
    pack_state(other, &there);
    bool equal = here.len == there.len && memcmp(here.data, there.data, here.len) == 0;
    hold(sim, invariant, equal, "at record %" PRIu64 " %s differ (%zu and %zu bytes): %s", sim->truth.seq, what, here.len, there.len,
         equal ? "" : difference(sim, one, other));
    if (invariant == INV_REPLAY_EQUAL)
        trace(sim, ACTOR_WORLD, TR_VERIFY, sim->truth.n_records, here.len, 0);
    buf_release(&here);
    buf_release(&there);
}

// ---- views against the truth

static void check_views(struct sim *sim, const struct core *core)
{
    struct list *pos;
    list_for_each(pos, &sim->truth.live) {
        const struct t_run *run = list_entry(pos, struct t_run, link);
        struct run_view view;
        arena_clear(&sim->arena);
        int rc = core_view_run(core, run->id, &sim->arena, &view);
        hold(sim, INV_STATE_AGREES, rc == 0, "run %" PRIu64 " is %s, but the core does not know it", run->id, run_state_name(run->state));
        if (rc < 0)
            return;
        bool same = view.state == run->state && view.n_tasks == run->n_tasks && view.held == run->held &&
                    view.n_placed + view.n_running + view.n_stopping == run->n_active && view.n_succeeded == run->ended[TASK_SUCCEEDED];
        hold(sim, INV_STATE_AGREES, same, "run %" PRIu64 " is %s with %u tasks active by the records, %s with %u by the core", run->id, run_state_name(run->state),
             run->n_active, run_state_name(view.state), view.n_placed + view.n_running + view.n_stopping);
    }
}

static void check_accounts(struct sim *sim, const struct core *core)
{
    struct core_stats stats;
    core_stats(core, &stats);
    const struct truth *truth = &sim->truth;
    hold(sim, INV_ALL_ACCOUNTED, truth->n_runs == truth->n_live + truth->n_ended, "%" PRIu64 " runs were submitted, %" PRIu64 " live and %" PRIu64 " ended",
         truth->n_runs, truth->n_live, truth->n_ended);
    hold(sim, INV_ALL_ACCOUNTED, stats.runs_live == truth->n_live && stats.runs == truth->n_live + truth->n_ended - truth->n_archived,
         "the core holds %" PRIu64 " runs, %" PRIu64 " of them live; the records say %" PRIu64 " and %" PRIu64, stats.runs, stats.runs_live,
         truth->n_live + truth->n_ended - truth->n_archived, truth->n_live);
    uint64_t most = (UINT64_C(1) << 20) + 4096 * stats.runs + 512 * stats.tasks_active;
    struct list *pos;
    list_for_each(pos, &truth->live) {
        const struct t_run *run = list_entry(pos, struct t_run, link);
        most += run->packed_len + run->n_tasks / 4 + 256 * (uint64_t)(run->n_active + run->n_ended > 100000 ? 100000 : run->n_active + run->n_ended);
    }
    hold(sim, INV_MEMORY_BOUNDED, stats.bytes <= 4 * most, "the core takes %" PRIu64 " bytes for %" PRIu64 " runs and %" PRIu64 " active tasks", stats.bytes, stats.runs,
         stats.tasks_active);
}

static void check_acks(struct sim *sim)
{
    for (size_t i = 0; i < sim->n_acks; i++) {
        const struct ack *ack = &sim->acks[i];
        const struct t_run *run = truth_run(sim, ack->id);
        const struct t_job *job = ack->kind == EV_APPLY ? truth_job(sim, ack->id) : NULL;
        if (ack->kind == EV_SUBMIT || ack->kind == EV_START_JOB)
            hold(sim, INV_ACKS_KEPT, run != NULL, "run %" PRIu64 " was acknowledged and is gone", ack->id);
        if (ack->kind == EV_CANCEL)
            hold(sim, INV_ACKS_KEPT, run != NULL && (run->state == RUN_CANCELLING || run_state_terminal(run->state)),
                 "run %" PRIu64 " was cancelled and is %s", ack->id, run != NULL ? run_state_name(run->state) : "gone");
        if (ack->kind == EV_APPLY)
            hold(sim, INV_ACKS_KEPT, job != NULL && job->version >= ack->version, "version %u of job %" PRIu64 " was acknowledged and is gone", ack->version, ack->id);
    }
}

void check_state(struct sim *sim, struct server *server)
{
    // The core is ahead of the log while a commit is under way.
    if (sim->failed || !server->up || server->engine == NULL || engine_position(server->engine) != sim->truth.seq)
        return;
    const struct core *core = engine_core(server->engine);
    core_check(core);
    check_views(sim, core);
    check_accounts(sim, core);
    check_acks(sim);
    if (!sim->failed && sim->truth.verified_seq != sim->truth.seq)
        check_same(sim, INV_REPLAY_EQUAL, "the states of the leader and of a standby", core, sim->truth.standby);
    sim->truth.verified_seq = sim->truth.seq;
}

// At the end: the standby is what reading the whole log gives.
void check_replay(struct sim *sim)
{
    if (sim->failed)
        return;
    struct core *again = replay(sim);
    check_same(sim, INV_REPLAY_EQUAL, "the states of a standby and the replay of all records", sim->truth.standby, again);
    core_free(again);
}

// Cheap: looked at after every event, and does the rest when it is due.
void check_often(struct sim *sim)
{
    if (sim->now >= sim->next_stops_usec) {
        sim->next_stops_usec = sim->now + 2 * USEC_PER_SEC;
        truth_stops(sim);
    }
    if (sim->events < sim->next_check_events)
        return;
    if (sim->servers[0].engine == NULL) {
        sim->next_check_events = sim->events + 100;
        return;
    }
    // The whole is looked at the more seldom, the more there is of it.
    uint64_t cost = 3000 + sim->truth.n_records / 2 + sim->truth.n_tasks / 20;
    if (sim->truth.seq == sim->truth.verified_seq || engine_position(sim->servers[0].engine) != sim->truth.seq) {
        sim->next_check_events = sim->events + 100;
        return;
    }
    sim->next_check_events = sim->events + cost;
    check_state(sim, &sim->servers[0]);
}

static int load_item(void *context, const struct snapshot_item *item)
{
    core_load(context, item);
    return 0;
}

// What is on the disk: the newest snapshot and the tail of the log.
static struct core *load_disk(struct sim *sim, const struct disk *disk)
{
    struct core *core = core_new(&(struct core_options){.limits = &sim->limits, .find_zone = tz_finder, .seed = 1});
    if (disk->snapshot_seq > 0) {
        must(snapshot_unpack((struct bytes){disk->snapshot, disk->snapshot_len}, load_item, core, NULL) == 0);
        core_load_done(core);
    }
    struct arena arena;
    arena_init(&arena, 64 * 1024);
    for (size_t i = 0; i < disk->n_log; i++) {
        struct bytes bytes = {disk->log[i].data, disk->log[i].len};
        struct record *record = NULL;
        while (bytes.len > 0) {
            must(record_unpack(&bytes, &arena, &record, NULL) == 0);
            if (record->seq > core_seq(core))
                core_apply(core, record);
            arena_clear(&arena);
        }
    }
    arena_release(&arena);
    return core;
}

void check_restart(struct sim *sim, struct server *server)
{
    const struct core *opened = engine_core(server->engine);
    hold(sim, INV_SNAPSHOT_EQUAL, core_seq(opened) > sim->truth.seq, "the log ends at record %" PRIu64 ", the restarted server at %" PRIu64, sim->truth.seq,
         core_seq(opened));
    // Reading everything at every start would make restarts in a loop slow.
    if (server->life % (1 + sim->truth.n_records / 1000 + sim->truth.n_tasks / 50000) != 0)
        return;
    core_check(opened);
    struct core *core = load_disk(sim, server->disk);
    core_check(core);
    check_same(sim, INV_SNAPSHOT_EQUAL, "the states of the newest snapshot with the tail of the log, and of the whole log,", core, sim->truth.standby);
    core_free(core);
}

// ---- the end

static const char *why(struct sim *sim, const struct core *core, const struct t_run *run)
{
    struct why_view view;
    arena_clear(&sim->arena);
    if (core_why(core, run->id, UINT32_MAX, machine_wall(&sim->servers[0].machine), &sim->arena, &view) == 0)
        return arena_strdup(&sim->arena, view.sentence);
    return "the core does not know it";
}

static void check_progress(struct sim *sim, const struct core *core)
{
    if (sim->truth.n_live == 0)
        return;
    const struct t_run *run = list_entry(list_first(&sim->truth.live), struct t_run, link);
    uint64_t fence = 0;
    for (uint64_t i = 1; i <= sim->truth.last_fence && fence == 0; i++) {
        const struct t_fence *entry = truth_fence(sim, i);
        if (entry != NULL && entry->run_id == run->id && !entry->ended)
            fence = i;
    }
    hold(sim, INV_PROGRESS, false, "%" PRIu64 " runs have not ended, the first is run %" PRIu64 ": %s, %u of %u tasks ended, %u active (fence %" PRIu64 "): %s",
         sim->truth.n_live, run->id, run_state_name(run->state), run->n_ended, run->n_tasks, run->n_active, fence, why(sim, core, run));
}

void check_end(struct sim *sim)
{
    struct server *server = &sim->servers[0];
    hold(sim, INV_PROGRESS, server->up && server->engine != NULL && !server->paused, "the server does not lead");
    if (sim->failed)
        return;
    check_progress(sim, engine_core(server->engine));
    for (size_t i = 0; i < sim->n_nodes && !sim->failed; i++) {
        struct node *node = sim->nodes[i];
        if (node->clone)
            continue;
        hold(sim, INV_PROGRESS, node->agent_up && node->phase == LINK_OPEN, "the agent of node %s has no session", node->name);
        hold(sim, INV_NO_ORPHANS, node->alive == 0, "%u processes are left on node %s", node->alive, node->name);
        hold(sim, INV_SPOOLS_EMPTY, list_empty(&node->spawner.processes), "node %s still keeps %zu ends, the first of fence %" PRIu64, node->name,
             list_len(&node->spawner.processes), list_entry(list_first(&node->spawner.processes) != NULL ? list_first(&node->spawner.processes) : &node->spawner.processes,
                                                            struct process, link)->fence);
    }
    bool able = sim->result->faults[FAULT_DISK_FULL] == 0 && sim->result->faults[FAULT_SERVER_OUTAGE] == 0; // they may last all the time
    able = able && sim->healed_usec >= 10 * USEC_PER_MIN; // and so may all others, for minutes
    bool meant_to = able && sim->actions > 20 && sim->options->n_skip == 0;
    hold(sim, INV_HAPPENED, !meant_to || sim->truth.n_runs > 0, "nobody submitted anything");
    check_state(sim, server);
}
