// SPDX-License-Identifier: Apache-2.0
// The pace at which missed instants are made up for: each start takes a turn, turns of one job and turns of all jobs are so far apart as the
// rates say, and a job whose turn has not come leaves the timers of the wall clock for those of the monotonic one. All of it is
// transient: a new leader begins anew, from what is still due.
#include "base/assert.h"
#include "base/mem.h"
#include "core/internal.h"

struct catch_up {
    struct heap_node turn; // in core.turns, by monotonic time, while the job waits
    struct job *job;
    bool has_turn;         // it has come
    usec_t free_mono_usec; // when the next turn of the job may be
    size_t n;
    usec_t chosen_usec[];  // of each trigger: instants up to here are made up for
};

static struct catch_up *catch_up_get(struct job *job)
{
    if (!job->catch_up) {
        job->catch_up = mem_alloc(sizeof(*job->catch_up) + job->n_triggers * sizeof(job->catch_up->chosen_usec[0]));
        job->catch_up->job = job;
        job->catch_up->n = job->n_triggers;
    }
    must(job->catch_up->n == job->n_triggers);
    return job->catch_up;
}

usec_t catch_up_chosen(const struct job *job, uint32_t which)
{
    must(which < job->n_triggers);
    return job->catch_up ? job->catch_up->chosen_usec[which] : 0;
}

void catch_up_choose(struct job *job, uint32_t which, usec_t upto_usec)
{
    must(which < job->n_triggers);
    catch_up_get(job)->chosen_usec[which] = upto_usec;
}

bool catch_up_turn(struct core *core, struct job *job, usec_t mono_usec)
{
    struct catch_up *c = catch_up_get(job);
    const int64_t *rates = core->options.limits->value;
    if (c->has_turn) {
        c->has_turn = false;
        return true;
    }
    if (heap_contains(&c->turn))
        return false;
    usec_t at = usec_max(usec_max(mono_usec, core->turn_free_mono_usec), c->free_mono_usec);
    core->turn_free_mono_usec = usec_max(mono_usec, core->turn_free_mono_usec) + USEC_PER_SEC / rates[LIMIT_CATCH_UP_RATE_ALL];
    c->free_mono_usec = at + USEC_PER_SEC / rates[LIMIT_CATCH_UP_RATE];
    if (at <= mono_usec)
        return true;
    c->turn.key = at;
    c->turn.tie = job->id;
    heap_push(&core->turns, &c->turn);
    job_arm(core, job);
    return false;
}

bool catch_up_waits(const struct job *job)
{
    return job->catch_up && heap_contains(&job->catch_up->turn);
}

struct job *catch_up_next(struct core *core, usec_t mono_usec)
{
    struct heap_node *top = heap_top(&core->turns);
    if (!top || top->key > mono_usec)
        return NULL;
    struct catch_up *c = container_of(top, struct catch_up, turn);
    heap_remove(&core->turns, top);
    c->has_turn = true;
    job_arm(core, c->job);
    return c->job;
}

void catch_up_end(struct core *core, struct job *job)
{
    struct catch_up *c = job->catch_up;
    if (!c)
        return;
    if (heap_contains(&c->turn))
        heap_remove(&core->turns, &c->turn);
    mem_free(c);
    job->catch_up = NULL;
}
