// SPDX-License-Identifier: Apache-2.0
// What people ask of jobs, and what their schedules make due.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "core/internal.h"
#include "model/params.h"
#include "model/schedule.h"

usec_t trigger_next(const struct core *core, const struct job *job, size_t which, usec_t after, usec_t *ret_left_out)
{
    const struct job_trigger *trigger = &job->triggers[which];
    usec_t left_out = 0;
    usec_t next = schedule_next_open(trigger->rule, trigger_zone(trigger->rule), job->first_usec, days_left_out(core, job, which), after, &left_out);
    if (ret_left_out)
        *ret_left_out = left_out;
    return next;
}

// The first instant of a trigger that a job is to get.
static int first_instant(const struct core *core, const struct trigger *from, const struct tz *tz, usec_t first_usec, usec_t now, struct arena *arena,
                         usec_t *ret_next, usec_t *ret_left_out, struct err *err)
{
    struct day_set left_out;
    int rc = core_view_left_out(core, from, arena, &left_out, err);
    if (rc < 0)
        return rc;
    *ret_next = schedule_next_open(from, tz, first_usec, &left_out, now, ret_left_out);
    if (*ret_next != USEC_NEVER)
        return 0;
    // An instant that is already past when the job arrives would never come: that is a mistake to be told.
    const char *text = from->text ? from->text : "";
    if (*ret_left_out == USEC_NEVER)
        return err_set(err, ERR_INVALID, "'%s' has no instant to come", text);
    char at[40];
    return err_set(err, ERR_INVALID, "'%.60s' has no instant to come: its calendars leave out all of them, from %s on", text, time_format(at, *ret_left_out));
}

int64_t trigger_count(const struct core *core, const struct job *job, size_t which, usec_t after, usec_t upto)
{
    const struct trigger *rule = job->triggers[which].rule;
    const struct tz *tz = trigger_zone(rule);
    const struct day_set *left_out = days_left_out(core, job, which);
    int64_t n = schedule_count(rule, tz, job->first_usec, after, upto);
    return left_out ? n - schedule_count_on(rule, tz, job->first_usec, left_out, after, upto) : n;
}

int triggers_next(const struct core *core, const struct job *job, const struct job_spec *spec, usec_t first_usec, usec_t now, struct arena *arena,
                  const usec_t **ret_next,
                  const usec_t **ret_left_out, struct err *err)
{
    usec_t *next = arena_array(arena, usec_t, spec->n_triggers), *left_out = arena_array(arena, usec_t, spec->n_triggers);
    bool any = false;
    for (size_t i = 0; i < spec->n_triggers; i++) {
        const struct trigger *from = &spec->triggers[i];
        const char *zone = from->zone ? from->zone : "UTC";
        const struct tz *tz = NULL;
        left_out[i] = USEC_NEVER;
        if (from->kind == TRIGGER_CRON || from->has_between || from->n_exclude + from->n_include > 0) {
            tz = core->options.find_zone ? core->options.find_zone(core->options.zones, zone) : NULL;
            if (!tz)
                return err_set(err, ERR_INVALID, "schedule[%zu].zone: there is no time zone '%s' on this server", i, zone);
        }
        if (from->kind == TRIGGER_AFTER_END) {
            next[i] = after_end_next(job, from, now);
            continue;
        }
        int rc = first_instant(core, from, tz, first_usec, now, arena, &next[i], &left_out[i], err);
        if (rc < 0)
            return err_wrap(err, rc, "schedule[%zu]", i);
        any = any || left_out[i] != USEC_NEVER;
    }
    *ret_left_out = any ? left_out : NULL;
    *ret_next = next;
    return 0;
}

// After what instant a job that is changed or released goes on: now, but never before what has been decided already. A clock that was set back
// shows those instants again, and each is decided once.
static usec_t job_after(const struct job *job, usec_t now)
{
    return usec_max(now, job->decided_usec);
}

static struct job *find_job(const struct core *core, const char *namespace_name, const char *name, struct arena *arena)
{
    return strmap_get(&core->jobs_by_name, arena_printf(arena, "%s/%s", namespace_name, name));
}

static int need_job(struct decision *d, const char *namespace_name, const char *name, struct job **ret_job, struct err *err)
{
    *ret_job = find_job(d->core, namespace_name, name, d->out->arena);
    return *ret_job ? 0 : err_set(err, ERR_NOT_FOUND, "there is no job '%s' in namespace '%s'", name, namespace_name);
}

// Whether a job may be stored, and if it differs from what is there, when its schedules are due first.
struct apply {
    const struct job_spec *spec;
    struct bytes packed;
    struct job *job;    // NULL: a new one
    uint32_t n_new;     // that are to come with it, this one too
    usec_t now;
    bool same;
    const usec_t *next, *left_out; // set when it is not the same
};

static int apply_check(const struct core *core, struct apply *apply, struct arena *arena, struct err *err)
{
    const struct job_spec *spec = apply->spec;
    const struct job *job = apply->job;
    int rc = check_spec(core, spec, err);
    if (rc < 0)
        return rc;
    if (spec->n_after > 0)
        return err_set(err, ERR_INVALID, "after: a job that is kept starts again and again and cannot wait for single runs; submit a run that does");
    if (job == NULL)
        rc = limits_check(core->options.limits, LIMIT_JOBS, (int64_t)map_len(&core->jobs) + apply->n_new, "the number of jobs", err);
    if (rc < 0)
        return rc;
    apply->same = job && job->spec->packed_len == apply->packed.len && memcmp(job->spec->packed, apply->packed.data, apply->packed.len) == 0;
    if (apply->same)
        return 0;
    usec_t now = apply->now;
    return triggers_next(core, job, spec, job ? job->first_usec : now, job ? job_after(job, now) : now, arena, &apply->next, &apply->left_out, err);
}

int core_check_job(const struct core *core, const struct job_spec *spec, struct bytes packed, uint32_t n_new, usec_t wall_usec, struct arena *arena,
                   bool *ret_new, struct err *err)
{
    struct apply apply = {.spec = spec, .packed = packed, .job = find_job(core, spec->namespace_name, spec->name, arena), .now = wall_usec};
    *ret_new = apply.job == NULL;
    apply.n_new = n_new + 1;
    return apply_check(core, &apply, arena, err);
}

// Where the triggers of a new definition begin: what was due has been decided since they were computed, and may have started a run whose end
// a delay waits for.
static const usec_t *next_after_due(struct decision *d, const struct job *job, const struct apply *apply)
{
    size_t n = apply->spec->n_triggers;
    usec_t *next = arena_memdup(d->out->arena, apply->next, n * sizeof(*next));
    for (size_t i = 0; i < n; i++)
        if (apply->spec->triggers[i].kind == TRIGGER_AFTER_END)
            next[i] = after_end_next(job, &apply->spec->triggers[i], apply->now);
    return next;
}

void on_apply(struct decision *d)
{
    const struct ev_apply *ev = &d->event->apply;
    struct core *core = d->core;
    struct err err = {0};
    struct job *job = find_job(core, ev->spec->namespace_name, ev->spec->name, d->out->arena);
    struct apply apply = {.spec = ev->spec, .packed = ev->packed, .job = job, .n_new = 1, .now = d->event->wall_usec};
    int rc = apply_check(core, &apply, d->out->arena, &err);
    uint32_t has = job ? job->version : 0;
    if (rc == 0 && ev->expect_version != 0 && ev->expect_version != has)
        rc = err_set(&err, ERR_CONFLICT, "job '%s' has version %" PRIu32 ", not %" PRIu32, ev->spec->name, has, ev->expect_version);
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    bool same = apply.same;
    if (job && !same) {
        decide_due_before(d, job, true);
        apply.next = next_after_due(d, job, &apply);
    }
    uint64_t job_id = job ? job->id : core->next_job;
    uint32_t version = job ? job->version : 0;
    bool paused = job && job->paused;
    if (!same) {
        struct record record = {.kind = REC_JOB_APPLIED,
                                .job_applied = {
                                    .job_id = job_id,
                                    .version = ++version,
                                    .spec = ev->spec,
                                    .packed = {arena_memdup(d->out->arena, ev->packed.data, ev->packed.len), ev->packed.len},
                                    .next_usec = apply.next,
                                    .left_out_usec = apply.left_out,
                                }};
        decide_emit(d, &record);
    }
    if (!same && paused) { // what failed was another version
        struct record record = {.kind = REC_JOB_STATE,
                                .job_state = {.job_id = job_id, .to = JOB_ACTIVE, .next_usec = apply.next, .n_next = ev->spec->n_triggers,
                                              .left_out_usec = apply.left_out}};
        decide_emit(d, &record);
    }
    struct fx_reply *reply = decide_reply_ok(d);
    reply->job_id = job_id;
    reply->version = version;
    reply->existing = same;
}

struct bytes fire_params(const struct job *job, uint32_t trigger)
{
    const struct policy_params *params = job->spec->policy->params;
    must(params == NULL || trigger < params->n_fire);
    return params ? params->fire[trigger] : (struct bytes){0};
}

// The job and the values, not what it does: who asks again after a new version was stored wants the same run.
static uint64_t start_hash(struct decision *d, const struct ev_start_job *ev)
{
    const char *name = arena_printf(d->out->arena, "start %s/%s", ev->namespace_name, ev->name);
    return work_hash(name, strlen(name), 0, ev->params, ev->n_params);
}

// A run by hand, with the values that were given and the defaults of the others.
static int start_job(struct decision *d, struct job *job, const struct ev_start_job *ev, uint64_t *ret_run_id, struct err *err)
{
    const struct policy_params *params = job->spec->policy->params;
    const struct param *declared = params ? params->declared : NULL;
    size_t n_declared = params ? params->n_declared : 0;
    int rc = params_check(declared, n_declared, ev->params, ev->n_params, d->core->options.limits, err);
    if (rc < 0)
        return rc;
    struct buf packed = {0};
    params_fill(declared, n_declared, ev->params, ev->n_params, &packed);
    struct job_run how = {.params = {(const uint8_t *)packed.data, packed.len}, .idempotency_key = ev->idempotency_key, .work_hash = start_hash(d, ev),
                          .held = ev->held};
    rc = decide_job_run(d, job, &how, ret_run_id, err);
    buf_release(&packed);
    return rc;
}

void on_start_job(struct decision *d)
{
    const struct ev_start_job *ev = &d->event->start_job;
    if (idempotency_answer(d, ev->idempotency_key, start_hash(d, ev)))
        return;
    struct err err = {0};
    struct job *job = NULL;
    uint64_t run_id = 0;
    int rc = need_job(d, ev->namespace_name, ev->name, &job, &err);
    if (rc == 0)
        rc = start_job(d, job, ev, &run_id, &err);
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    decide_reply_ok(d)->run_id = run_id;
}

// The active runs of a job, copied, since cancelling one may change the list. A fire replaces no run of a backfill.
uint32_t decide_cancel_runs(struct decision *d, struct job *job, enum cancel_cause cause)
{
    struct run **runs = arena_array(d->out->arena, struct run *, job->n_active);
    uint32_t n = 0;
    struct list *pos;
    list_for_each(pos, &job->runs) {
        struct run *run = list_entry(pos, struct run, in_job);
        if (cause != CANCEL_REPLACED || run->backfill_id == 0)
            runs[n++] = run;
    }
    must(n <= job->n_active);
    for (uint32_t i = 0; i < n; i++)
        decide_cancel_run(d, runs[i], cause);
    return n;
}

void on_job_hold(struct decision *d)
{
    const struct ev_job_hold *ev = &d->event->job_hold;
    struct err err = {0};
    struct job *job = NULL;
    int rc = need_job(d, ev->namespace_name, ev->name, &job, &err);
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    uint64_t job_id = job->id;
    bool same = job->state == ev->to;
    if (!same && ev->to == JOB_HELD)
        decide_due_before(d, job, false);
    else if (!same)
        decide_job_stale(d, job);
    if (!same && ev->to == JOB_DELETED)
        decide_backfills_of(d, job);
    if (!same) {
        struct rec_job_state rec = {.job_id = job_id, .to = ev->to};
        if (ev->to == JOB_ACTIVE) { // instants that passed while it was held are not made up for
            usec_t *next = arena_array(d->out->arena, usec_t, job->n_triggers), *left_out = arena_array(d->out->arena, usec_t, job->n_triggers);
            for (size_t i = 0; i < job->n_triggers; i++) {
                left_out[i] = USEC_NEVER;
                next[i] = job->triggers[i].rule->kind == TRIGGER_AFTER_END
                              ? after_end_next(job, job->triggers[i].rule, d->event->wall_usec)
                              : trigger_next(d->core, job, i, job_after(job, d->event->wall_usec), &left_out[i]);
            }
            rec.next_usec = next;
            rec.left_out_usec = job->has_days ? left_out : NULL;
            rec.n_next = job->n_triggers;
        }
        // The runs of a job that is deleted go on: who does not want them cancels them first.
        struct record record = {.kind = REC_JOB_STATE, .job_state = rec};
        decide_emit(d, &record);
    }
    struct fx_reply *reply = decide_reply_ok(d);
    reply->job_id = job_id;
    reply->existing = same;
}

void on_cancel_job(struct decision *d)
{
    const struct ev_cancel_job *ev = &d->event->cancel_job;
    struct err err = {0};
    struct job *job = NULL;
    int rc = need_job(d, ev->namespace_name, ev->name, &job, &err);
    if (rc < 0) {
        decide_reply(d, rc, &err);
        return;
    }
    uint32_t n = decide_cancel_runs(d, job, CANCEL_USER);
    struct fx_reply *reply = decide_reply_ok(d);
    reply->job_id = job->id;
    reply->count = n;
}
