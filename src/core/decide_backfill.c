// SPDX-License-Identifier: Apache-2.0
// What people ask of backfills, and their instants, one after the other, as their limits let them.
//
// The schedule of the job comes first. A backfill starts nothing while its job is held; where overlap is not `allow`, it starts a run only when no other
// run of the job goes on; instants that the schedule has still to decide are not its business; and among runs of one class its own are placed last.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "core/internal.h"
#include "model/params.h"

enum {
    FIRES_PER_TICK = 16,
};

// So much of the rate may be caught up with at once.
#define BURST_USEC (USEC_PER_SEC / 10)
// When there is no room for a run, it is tried again after this.
#define ROOM_WAIT_USEC USEC_PER_SEC

// ---- beginning

static const struct backfill *by_key(const struct core *core, const char *key)
{
    struct list *pos;
    list_for_each(pos, &core->backfills_by_id) {
        const struct backfill *backfill = list_entry(pos, struct backfill, all);
        if (key && backfill->key && strcmp(backfill->key, key) == 0)
            return backfill;
    }
    return NULL;
}

// What each of them needs is given by the schedules; the values given here go before them.
static int check_params(const struct core *core, const struct job *job, const struct ev_backfill *ev, struct arena *arena, struct bytes *ret, struct err *err)
{
    const struct policy_params *params = job->spec->policy->params;
    size_t n = params ? params->n_declared : 0;
    struct param *declared = arena_array(arena, struct param, n);
    for (size_t i = 0; i < n; i++)
        declared[i] = (struct param){.name = params->declared[i].name};
    int rc = params_check(declared, n, ev->params, ev->n_params, core->options.limits, err);
    if (rc < 0)
        return rc;
    struct buf packed = {0};
    params_fill(declared, n, ev->params, ev->n_params, &packed);
    *ret = packed.len > 0 ? (struct bytes){arena_memdup(arena, packed.data, packed.len), packed.len} : (struct bytes){0};
    buf_release(&packed);
    return 0;
}

// Two at a time over the same instants would run them twice: neither would know the runs of the other.
static int check_others(const struct core *core, const struct job *job, const struct ev_backfill *ev, struct err *err)
{
    struct list *pos;
    list_for_each(pos, &core->backfills_by_id) {
        const struct backfill *other = list_entry(pos, struct backfill, all);
        if (other->state == BACKFILL_ACTIVE && other->job_id == job->id && other->from_usec < ev->to_usec && ev->from_usec < other->to_usec)
            return err_set(err, ERR_CONFLICT,
                           "backfill %" PRIu64 " of this job covers a part of that range and has not ended; wait for it, or `muster cancel --backfill %" PRIu64 "`",
                           other->id, other->id);
    }
    return 0;
}

static int check_range(const struct job *job, const struct ev_backfill *ev, usec_t now, struct err *err)
{
    if (ev->from_usec <= 0 || ev->from_usec >= ev->to_usec)
        return err_set(err, ERR_INVALID, "the range is empty: `from` must lie before `to`");
    if (ev->to_usec > now)
        return err_set(err, ERR_INVALID, "`to` lies ahead: a backfill is of instants that are past, and the schedule does the others");
    if (ev->job_version != 0 && ev->job_version != job->version)
        return err_set(err, ERR_CONFLICT, "the job was changed meanwhile, to version %" PRIu32 "; ask again", job->version);
    for (uint32_t i = 0; i < job->n_triggers; i++)
        if (job->triggers[i].rule->kind != TRIGGER_AFTER_END)
            return 0;
    return err_set(err, ERR_INVALID, "the job has no schedule that names instants, so there is nothing to run for a range of them");
}

// Stretches with no instant between them become one.
static size_t join_covered(const struct core *core, const struct job *job, const struct ev_backfill *ev, struct instant_span *to)
{
    size_t n = 0;
    for (size_t i = 0; i < ev->n_covered; i++) {
        struct instant_span span = ev->covered[i];
        if (span.last_usec < ev->from_usec || span.first_usec >= ev->to_usec)
            continue;
        if (n > 0 && backfill_count(core, job, to[n - 1].last_usec + 1, span.first_usec) == 0)
            to[n - 1].last_usec = span.last_usec;
        else
            to[n++] = span;
    }
    return n;
}

static int64_t count_left(const struct core *core, const struct job *job, const struct rec_backfill_began *rec)
{
    int64_t n = backfill_count(core, job, rec->from_usec, rec->to_usec);
    for (size_t i = 0; i < rec->n_covered; i++)
        n -= backfill_count(core, job, usec_max(rec->covered[i].first_usec, rec->from_usec), usec_min(rec->covered[i].last_usec + 1, rec->to_usec));
    return n > 0 ? n : 0;
}

// What would begin; nothing does when n_total is 0. Everything in it lives in the arena or is borrowed from the event.
static int plan(const struct core *core, const struct ev_backfill *ev, usec_t now, struct arena *arena, struct rec_backfill_began *ret, struct err *err)
{
    const struct limits *limits = core->options.limits;
    const struct job *job = strmap_get(&core->jobs_by_name, arena_printf(arena, "%s/%s", ev->namespace_name, ev->name));
    if (!job)
        return err_set(err, ERR_NOT_FOUND, "there is no job '%s' in namespace '%s'", ev->name, ev->namespace_name);
    *ret = (struct rec_backfill_began){.backfill_id = core->next_backfill, .job_id = job->id, .from_usec = ev->from_usec, .to_usec = ev->to_usec,
                                       .reverse = ev->reverse, .again = ev->again, .parallel_max = ev->parallel_max > 0 ? ev->parallel_max : 1};
    int rc = check_range(job, ev, now, err);
    if (rc == 0)
        rc = check_params(core, job, ev, arena, &ret->params, err);
    if (rc == 0)
        rc = limits_check(limits, LIMIT_BACKFILL_PARALLEL, ret->parallel_max, "the parallelism of the backfill", err);
    if (rc == 0)
        rc = limits_check(limits, LIMIT_BACKFILL_GAPS, (int64_t)ev->n_covered, "the number of separate stretches with runs in that range", err);
    if (rc == 0)
        rc = check_others(core, job, ev, err);
    if (rc < 0)
        return rc;
    if (!ev->again) {
        struct instant_span *covered = arena_array(arena, struct instant_span, ev->n_covered);
        ret->n_covered = join_covered(core, job, ev, covered);
        ret->covered = covered;
    }
    ret->n_total = (uint64_t)count_left(core, job, ret);
    return limits_check(limits, LIMIT_BACKFILL_INSTANTS, (int64_t)ret->n_total, "the number of instants to run", err);
}

int core_check_backfill(const struct core *core, const struct ev_backfill *ev, usec_t wall_usec, struct arena *arena, uint64_t *ret_instants, struct err *err)
{
    struct rec_backfill_began rec;
    int rc = plan(core, ev, wall_usec, arena, &rec, err);
    *ret_instants = rc == 0 ? rec.n_total : 0;
    return rc;
}

// The oldest that has ended makes way for a new one.
static int make_way(const struct core *core, uint64_t *ret_forget_id, struct err *err)
{
    int64_t n = (int64_t)map_len(&core->backfills) + 1;
    struct list *pos;
    *ret_forget_id = 0;
    if (limits_check(core->options.limits, LIMIT_BACKFILLS, n, "", NULL) == 0)
        return 0;
    list_for_each(pos, &core->backfills_by_id) {
        const struct backfill *backfill = list_entry(pos, struct backfill, all);
        if (backfill->state != BACKFILL_ACTIVE && backfill->n_active == 0) {
            *ret_forget_id = backfill->id;
            return 0;
        }
    }
    return limits_check(core->options.limits, LIMIT_BACKFILLS, n, "the number of backfills that go on", err);
}

void on_backfill(struct decision *d)
{
    const struct ev_backfill *ev = &d->event->backfill;
    struct core *core = d->core;
    struct arena *arena = d->out->arena;
    const struct backfill *known = by_key(core, ev->key);
    if (known) {
        struct fx_reply *reply = decide_reply_ok(d);
        reply->backfill_id = known->id;
        reply->n_instants = known->n_total;
        reply->existing = true;
        return;
    }
    struct err err = {0};
    struct rec_backfill_began rec;
    int rc = plan(core, ev, d->event->wall_usec, arena, &rec, &err);
    if (rc == 0 && rec.n_total > 0)
        rc = make_way(core, &rec.forget_id, &err);
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    if (rec.n_total > 0) {
        rec.key = ev->key ? arena_strdup(arena, ev->key) : NULL;
        struct record record = {.kind = REC_BACKFILL_BEGAN, .backfill_began = rec};
        decide_emit(d, &record);
    }
    struct fx_reply *reply = decide_reply_ok(d);
    reply->backfill_id = rec.n_total > 0 ? rec.backfill_id : 0;
    reply->n_instants = rec.n_total;
}

// ---- going on

static bool has_room(const struct core *core, const struct job *job)
{
    const struct limits *limits = core->options.limits;
    return limits_check(limits, LIMIT_PENDING_RUNS, (int64_t)core->n_runs_live + 1, "", NULL) == 0 &&
           limits_check(limits, LIMIT_PENDING_TASKS, (int64_t)(core->n_waiting_tasks + job->spec->tasks.count), "", NULL) == 0;
}

// The values of a run: those given to the backfill, then those of the schedule.
static struct bytes run_values(struct decision *d, const struct backfill *backfill, const struct job *job, uint32_t trigger)
{
    const struct policy_params *params = job->spec->policy->params;
    struct bytes fixed = fire_params(job, trigger);
    if (!params || backfill->params_len == 0)
        return fixed;
    struct arena *arena = d->out->arena;
    const struct pair *given = NULL, *others = NULL;
    size_t n_given = 0, n_others = 0;
    must(params_unpack((struct bytes){backfill->params, backfill->params_len}, arena, &given, &n_given, NULL) == 0);
    must(params_unpack(fixed, arena, &others, &n_others, NULL) == 0);
    struct pair *all = arena_array(arena, struct pair, n_given + n_others);
    for (size_t i = 0; i < n_given + n_others; i++)
        all[i] = i < n_given ? given[i] : others[i - n_given];
    struct buf packed = {0};
    params_fill(params->declared, params->n_declared, all, n_given + n_others, &packed);
    struct bytes ret = packed.len > 0 ? (struct bytes){arena_memdup(arena, packed.data, packed.len), packed.len} : (struct bytes){0};
    buf_release(&packed);
    return ret;
}

static void fire(struct decision *d, struct backfill *backfill, struct job *job, const struct backfill_place *place)
{
    struct record record = {.kind = REC_BACKFILL_FIRED,
                            .backfill_fired = {.backfill_id = backfill->id,
                                               .job_id = job->id,
                                               .trigger = place->trigger,
                                               .nominal_usec = place->nominal_usec,
                                               .run_id = d->core->next_run}};
    struct job_run how = {.nominal_usec = place->nominal_usec, .params = run_values(d, backfill, job, place->trigger), .backfill_id = backfill->id};
    decide_emit(d, &record);
    uint64_t run_id = 0;
    int rc = decide_job_run(d, job, &how, &run_id, NULL);
    must(rc == 0); // has_room() looked at the same limits
}

static void end(struct decision *d, const struct backfill *backfill, enum backfill_state to)
{
    struct record record = {.kind = REC_BACKFILL_ENDED, .backfill_ended = {.backfill_id = backfill->id, .to = to}};
    decide_emit(d, &record);
}

// One step of one backfill; what wakes it again is the end of a run, or the release of its job. Returns whether a run was started.
static bool step(struct decision *d, struct backfill *backfill)
{
    struct core *core = d->core;
    struct job *job = map_get(&core->jobs, backfill->job_id);
    must(job != NULL);
    uint32_t in_the_way = job->overlap == OVERLAP_ALLOW ? 0 : job->n_active;
    if (job->state != JOB_ACTIVE || in_the_way > 0 || backfill->n_active >= backfill->parallel_max)
        return false;
    struct backfill_place place;
    if (!backfill_next(core, backfill, job, &place)) {
        if (backfill->n_active == 0)
            end(d, backfill, BACKFILL_ENDED);
        return false;
    }
    backfill_wake(core, backfill); // behind the others
    if (!has_room(core, job)) {
        core->backfill_free_mono_usec = usec_add(d->event->mono_usec, ROOM_WAIT_USEC);
        return false;
    }
    fire(d, backfill, job, &place);
    return true;
}

void decide_backfills(struct decision *d)
{
    struct core *core = d->core;
    usec_t mono = d->event->mono_usec, gap = USEC_PER_SEC / core->options.limits->value[LIMIT_BACKFILL_RATE];
    core->backfill_free_mono_usec = usec_max(core->backfill_free_mono_usec, mono - BURST_USEC);
    for (int n = 0; n < FIRES_PER_TICK && core->backfill_free_mono_usec <= mono; n++) {
        struct list *first = list_first(&core->backfills_ready);
        if (!first)
            return;
        list_del(first);
        if (step(d, list_entry(first, struct backfill, ready)))
            core->backfill_free_mono_usec = usec_add(core->backfill_free_mono_usec, gap);
        decide_settle(d);
    }
}

// ---- ending

void decide_backfills_of(struct decision *d, const struct job *job)
{
    struct list *pos;
    list_for_each(pos, &d->core->backfills_by_id) {
        const struct backfill *backfill = list_entry(pos, struct backfill, all);
        if (backfill->state == BACKFILL_ACTIVE && backfill->job_id == job->id)
            end(d, backfill, BACKFILL_CANCELLED);
    }
}

void on_backfill_cancel(struct decision *d)
{
    struct core *core = d->core;
    struct err err = {0};
    uint64_t id = d->event->backfill_cancel;
    struct backfill *backfill = backfill_find(core, id);
    int rc = 0;
    if (!backfill)
        rc = err_set(&err, ERR_NOT_FOUND, "there is no backfill %" PRIu64, id);
    else if (backfill->state != BACKFILL_ACTIVE)
        rc = err_set(&err, ERR_CONFLICT, "backfill %" PRIu64 " has ended already: it is %s", id, backfill_state_name(backfill->state));
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    struct job *job = map_get(&core->jobs, backfill->job_id);
    must(job != NULL);
    end(d, backfill, BACKFILL_CANCELLED);
    struct run **runs = arena_array(d->out->arena, struct run *, backfill->n_active);
    uint32_t n = 0;
    struct list *pos;
    list_for_each(pos, &job->runs) {
        struct run *run = list_entry(pos, struct run, in_job);
        if (run->backfill_id == id)
            runs[n++] = run;
    }
    must(n == backfill->n_active);
    for (uint32_t i = 0; i < n; i++)
        decide_cancel_run(d, runs[i], CANCEL_USER);
    struct fx_reply *reply = decide_reply_ok(d);
    reply->backfill_id = id;
    reply->count = n;
}
