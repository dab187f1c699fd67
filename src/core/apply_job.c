// SPDX-License-Identifier: Apache-2.0
// Records of jobs.
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/internal.h"
#include "model/schedule.h"

static void job_free_triggers(struct core *core, struct job *job)
{
    for (size_t i = 0; i < job->n_triggers; i++)
        trigger_unref(core, job->triggers[i].rule);
    if (job->triggers != &job->one)
        mem_free(job->triggers);
    job->triggers = NULL;
    job->n_triggers = 0;
}

static void job_set_triggers(struct core *core, struct job *job, const struct job_spec *spec, const usec_t *next_usec)
{
    catch_up_end(core, job);
    // The new ones first: what both have in common is not given up in between.
    struct job_trigger one = {0}, *made = spec->n_triggers <= 1 ? &one : mem_alloc_array(spec->n_triggers, sizeof(*made));
    for (size_t i = 0; i < spec->n_triggers; i++) {
        made[i].rule = trigger_intern(core, &spec->triggers[i]);
        made[i].next_usec = next_usec[i];
    }
    days_detach(core, job);
    job_free_triggers(core, job);
    job->one = one;
    job->triggers = made == &one ? &job->one : made;
    must(spec->n_triggers <= UINT16_MAX);
    job->n_triggers = (uint16_t)spec->n_triggers;
}

usec_t trigger_due_usec(const struct job *job, const struct job_trigger *trigger)
{
    return usec_add(trigger->next_usec, schedule_jitter(trigger->rule, job->id, trigger->next_usec));
}

void job_arm(struct core *core, struct job *job)
{
    if (core->loading)
        return;
    usec_t when = USEC_NEVER;
    for (size_t i = 0; i < job->n_triggers && job->state == JOB_ACTIVE && !catch_up_waits(job); i++)
        when = usec_min(when, trigger_due_usec(job, &job->triggers[i]));
    if (heap_contains(&job->timer))
        heap_remove(&core->job_timers, &job->timer);
    if (when == USEC_NEVER)
        return;
    job->timer.key = when;
    job->timer.tie = job->id;
    heap_push(&core->job_timers, &job->timer);
}

static struct job *job_new(struct core *core, uint64_t id, const struct job_spec *spec)
{
    must(spec->namespace_name != NULL && spec->name != NULL);
    must(id >= core->next_job);
    size_t namespace_len = strlen(spec->namespace_name), name_bytes = strlen(spec->name) + 1;
    struct job *job = mem_alloc(sizeof(*job) + namespace_len + 1 + name_bytes);
    memcpy(job->full_name, spec->namespace_name, namespace_len);
    job->full_name[namespace_len] = '/';
    memcpy(job->full_name + namespace_len + 1, spec->name, name_bytes);
    job->id = id;
    job->state = JOB_ACTIVE;
    list_init(&job->runs);
    list_add_tail(&core->jobs_by_id, &job->all);
    must(map_put(&core->jobs, id, job) == NULL);
    must(strmap_put(&core->jobs_by_name, job->full_name, job) == NULL);
    core->next_job = id + 1;
    return job;
}

void apply_job(struct core *core, const struct record *record)
{
    const struct rec_job_applied *rec = &record->job_applied;
    struct job *job = map_get(&core->jobs, rec->job_id);
    if (!job) {
        must(rec->version == 1);
        job = job_new(core, rec->job_id, rec->spec);
        job->first_usec = record->at_usec;
    } else {
        must(rec->version == job->version + 1);
    }
    struct spec *old = job->spec;
    job->spec = spec_intern(core, rec->spec, rec->packed);
    if (old)
        spec_unref(core, old);
    job->version = rec->version;
    job->applied_usec = record->at_usec;
    job->overlap = rec->spec->overlap;
    job->misfire = rec->spec->misfire;
    job->failures = 0;
    job_set_triggers(core, job, rec->spec, rec->next_usec);
    days_attach(core, job, rec->spec, rec->left_out_usec, NULL);
    job_arm(core, job);
    backfills_wake_job(core, job->id);
}

static void job_delete(struct core *core, struct job *job)
{
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &job->runs) {
        struct run *run = list_entry(pos, struct run, in_job);
        run->job = NULL;
        list_del(&run->in_job);
    }
    catch_up_end(core, job);
    days_detach(core, job);
    job_free_triggers(core, job);
    if (heap_contains(&job->timer))
        heap_remove(&core->job_timers, &job->timer);
    list_del(&job->all);
    must(map_del(&core->jobs, job->id) == job);
    must(strmap_del(&core->jobs_by_name, job->full_name) == job);
    spec_unref(core, job->spec);
    mem_free(job);
}

void apply_job_state(struct core *core, const struct record *record)
{
    const struct rec_job_state *rec = &record->job_state;
    struct job *job = map_get(&core->jobs, rec->job_id);
    must(job != NULL);
    enum job_state state = job->state;
    job_state_move(&state, rec->to);
    job->state = state;
    if (rec->to == JOB_DELETED) {
        job_delete(core, job);
        return;
    }
    catch_up_end(core, job);
    job->paused = rec->to == JOB_HELD && rec->paused;
    if (rec->to == JOB_ACTIVE) {
        must(rec->n_next == job->n_triggers);
        job->failures = 0;
        job->missed_usec = 0;
        for (size_t i = 0; i < rec->n_next; i++)
            job->triggers[i].next_usec = rec->next_usec[i];
        days_planned(core, job, rec->left_out_usec);
        backfills_wake_job(core, job->id);
    }
    job_arm(core, job);
}

usec_t after_end_next(const struct job *job, const struct trigger *trigger, usec_t now)
{
    must(trigger->kind == TRIGGER_AFTER_END);
    if (job && job->n_active > 0)
        return USEC_NEVER;
    // A clock that was set back brings no instant twice.
    return usec_add(job ? usec_max(now, job->decided_usec) : now, trigger->every_usec);
}

void job_run_ended(struct core *core, struct job *job, usec_t at_usec)
{
    bool changed = false;
    for (size_t i = 0; i < job->n_triggers && job->n_active == 0; i++) {
        if (job->triggers[i].rule->kind != TRIGGER_AFTER_END)
            continue;
        job->triggers[i].next_usec = after_end_next(job, job->triggers[i].rule, at_usec);
        changed = true;
    }
    if (changed)
        job_arm(core, job);
}

void job_run_began(struct job *job, usec_t nominal_usec)
{
    // By hand is as good as any; what makes up for an older instant says nothing about a newer one.
    if (nominal_usec == 0 || nominal_usec >= job->missed_usec)
        job->missed_usec = 0;
}

void job_missed(struct job *job, usec_t nominal_usec, enum fire_outcome why)
{
    // The first since the last beginning: who skips an instant each minute would otherwise never be late.
    if (job->missed_usec != 0)
        return;
    job->missed_usec = nominal_usec;
    job->missed_why = why;
}

bool job_wants_pause(const struct job *job)
{
    uint32_t pause_after = job->spec->policy->pause_after;
    return job->state == JOB_ACTIVE && pause_after > 0 && job->failures >= pause_after;
}

void apply_job_fired(struct core *core, const struct record *record)
{
    const struct rec_job_fired *rec = &record->job_fired;
    struct job *job = map_get(&core->jobs, rec->job_id);
    must(job != NULL);
    must(rec->trigger < job->n_triggers);
    struct job_trigger *trigger = &job->triggers[rec->trigger];
    days_fired(core, job, rec);
    if (rec->outcome == FIRE_SKIPPED_CALENDAR) { // that is said beside the instant that is due next
        must(rec->next_usec == trigger->next_usec);
        job->decided_usec = usec_max(job->decided_usec, rec->last_usec);
        return;
    }
    must(rec->next_usec > usec_max(rec->nominal_usec, rec->last_usec));
    trigger->next_usec = rec->next_usec;
    job->decided_usec = usec_max(job->decided_usec, usec_max(rec->nominal_usec, rec->last_usec));
    if (rec->outcome != FIRE_STARTED && rec->outcome != FIRE_QUEUED)
        job_missed(job, rec->nominal_usec, rec->outcome);
    job_arm(core, job);
}

struct job *job_load(struct core *core, const struct snap_job *snap)
{
    struct job *job = job_new(core, snap->job_id, snap->spec);
    job->version = snap->version;
    job->state = snap->state;
    job->spec = spec_intern(core, snap->spec, snap->packed);
    job->overlap = snap->spec->overlap;
    job->misfire = snap->spec->misfire;
    job->applied_usec = snap->applied_usec;
    job->first_usec = snap->first_usec;
    job->last_run = snap->last_run;
    job->decided_usec = snap->decided_usec;
    job->failures = snap->failures;
    job->paused = snap->paused;
    job->missed_usec = snap->missed_usec;
    job->missed_why = snap->missed_why;
    must(snap->n_next == snap->spec->n_triggers);
    job_set_triggers(core, job, snap->spec, snap->next_usec);
    days_attach(core, job, snap->spec, snap->left_out_usec, snap->planned_seq);
    return job;
}

void job_load_done(struct core *core, struct job *job)
{
    job_arm(core, job);
}

void job_free(struct core *core, struct job *job)
{
    days_detach(core, job);
    job_free_triggers(core, job);
    mem_free(job->catch_up); // its heap was given up before
    mem_free(job);
}
