// SPDX-License-Identifier: Apache-2.0
// What is not as it should be with jobs, and when they are due: told from the durable state and the time, so that every server that has the
// state tells the same, and nothing has to be cleared when it is over.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "core/internal.h"

enum {
    RUNS_LOOKED_AT = 1000,  // of one job, the oldest
    JOBS_LOOKED_AT = 10000, // in one call
};

// The run or the due instant that has waited longest for its beginning.
struct waiting {
    usec_t nominal_usec; // USEC_NEVER: none
    usec_t due_usec;     // with what jitter puts it off by
    uint64_t run_id;
};

static struct waiting longest_waiting(const struct job *job)
{
    struct waiting waiting = {.nominal_usec = USEC_NEVER};
    for (size_t i = 0; i < job->n_triggers && job->state == JOB_ACTIVE; i++)
        if (job->triggers[i].next_usec < waiting.nominal_usec)
            waiting = (struct waiting){job->triggers[i].next_usec, trigger_due_usec(job, &job->triggers[i]), 0};
    int n = 0;
    struct list *pos;
    list_for_each(pos, &job->runs) {
        const struct run *run = list_entry(pos, struct run, in_job);
        if (n++ == RUNS_LOOKED_AT)
            break;
        // Those of a backfill are of the past and wait for their turn.
        bool waits = run->nominal_usec != 0 && run->backfill_id == 0 && run->started_usec == 0 && run->state != RUN_CANCELLING;
        if (waits && run->nominal_usec < waiting.nominal_usec)
            waiting = (struct waiting){run->nominal_usec, run->nominal_usec, run->id};
    }
    return waiting;
}

static struct condition_view *add(const struct job *job, struct arena *arena, struct condition_view *views, size_t *n, enum condition condition)
{
    struct condition_view *view = &views[(*n)++];
    *view = (struct condition_view){.job_id = job->id,
                                    .namespace_name = arena_strdup(arena, job->spec->policy->namespace_name),
                                    .job_name = arena_strdup(arena, job->spec->name),
                                    .condition = condition};
    return view;
}

static void look_late(const struct job *job, usec_t wall_usec, struct arena *arena, struct condition_view *views, size_t *n)
{
    usec_t late_after = job->spec->policy->late_after_usec;
    struct waiting waiting = longest_waiting(job);
    usec_t since = usec_add(usec_max(waiting.due_usec, waiting.nominal_usec), late_after);
    if (waiting.nominal_usec == USEC_NEVER || since > wall_usec)
        return;
    char when[40], ago[32];
    struct condition_view *view = add(job, arena, views, n, CONDITION_LATE);
    view->since_usec = since;
    view->nominal_usec = waiting.nominal_usec;
    view->run_id = waiting.run_id;
    time_format(when, waiting.nominal_usec);
    duration_format(ago, late_after);
    view->sentence = waiting.run_id != 0 ? arena_printf(arena, "Run %" PRIu64 " for %s has not begun within %s.", waiting.run_id, when, ago)
                                         : arena_printf(arena, "The instant %s is not decided yet, %s after it came.", when, ago);
}

static void look_missed(const struct job *job, usec_t wall_usec, struct arena *arena, struct condition_view *views, size_t *n)
{
    usec_t since = usec_add(job->missed_usec, job->spec->policy->late_after_usec);
    // What was held by somebody is not expected to run.
    if (job->missed_usec == 0 || job->state != JOB_ACTIVE || since > wall_usec)
        return;
    char when[40];
    enum fire_outcome why = job->missed_why;
    bool had_run = why == FIRE_STARTED || why == FIRE_QUEUED;
    struct condition_view *view = add(job, arena, views, n, CONDITION_DID_NOT_RUN);
    view->since_usec = since;
    view->nominal_usec = job->missed_usec;
    view->sentence = arena_printf(arena, "Nothing has run since the instant %s: %s.", time_format(when, job->missed_usec),
                                  had_run ? "its run ended before it began" : fire_outcome_name(why));
}

// The trigger whose calendars leave it nothing to come, when no other has anything; NULL: there is none.
static const struct trigger_days *left_with_nothing(const struct core *core, const struct job *job)
{
    const struct trigger_days *found = NULL;
    for (size_t i = 0; i < job->n_triggers && job->state == JOB_ACTIVE; i++) {
        const struct trigger_days *days = days_of(core, job, i);
        if (job->triggers[i].next_usec != USEC_NEVER)
            return NULL;
        if (days && days->left_out_usec != USEC_NEVER && !found)
            found = days;
    }
    return found;
}

static const char *why_left_out(const struct trigger_days *days, struct arena *arena)
{
    return days_why(days, trigger_zone(days->job->triggers[days->trigger].rule), arena, days->left_out_usec, days->left_out_usec);
}

static void look_never(const struct core *core, const struct job *job, struct arena *arena, struct condition_view *views, size_t *n)
{
    const struct trigger_days *days = left_with_nothing(core, job);
    if (!days)
        return;
    char when[40];
    struct condition_view *view = add(job, arena, views, n, CONDITION_NEVER_DUE);
    view->since_usec = days->rule->changed_usec;
    view->nominal_usec = days->left_out_usec;
    view->sentence = arena_printf(arena, "Every instant to come is left out, from %s on: %s.", time_format(when, days->left_out_usec), why_left_out(days, arena));
}

static size_t look(const struct core *core, const struct job *job, usec_t wall_usec, struct arena *arena, struct condition_view *views)
{
    size_t n = 0;
    look_never(core, job, arena, views, &n);
    if (job->paused)
        add(job, arena, views, &n, CONDITION_PAUSED)->sentence =
            arena_printf(arena, "%" PRIu32 " run%s in a row failed, so the job is held; `muster release %s` lets it go on.", job->failures,
                         job->failures == 1 ? "" : "s", job->spec->name);
    if (job->spec->policy->late_after_usec > 0) {
        look_late(job, wall_usec, arena, views, &n);
        look_missed(job, wall_usec, arena, views, &n);
    }
    must(n <= CONDITIONS);
    return n;
}

void core_view_conditions(const struct core *core, usec_t wall_usec, struct arena *arena, struct job_view *view)
{
    const struct job *job = map_get(&core->jobs, view->job_id);
    must(job != NULL);
    struct condition_view *views = arena_array(arena, struct condition_view, CONDITIONS);
    view->n_conditions = look(core, job, wall_usec, arena, views);
    view->conditions = views;
}

size_t core_conditions(const struct core *core, uint64_t after, size_t max, usec_t wall_usec, struct arena *arena, struct condition_view **ret_views,
                       uint64_t *ret_after)
{
    must(max > 0);
    struct condition_view *views = arena_array(arena, struct condition_view, max + CONDITIONS);
    size_t n = 0;
    int looked_at = 0;
    *ret_after = 0;
    // The job after which the page begins may be gone; its neighbours are found by walking only then.
    const struct job *last = after ? map_get(&core->jobs, after) : NULL;
    struct list *pos = last ? last->all.next : core->jobs_by_id.next;
    for (uint64_t at = after; pos != &core->jobs_by_id; pos = pos->next) {
        const struct job *job = list_entry(pos, struct job, all);
        if (job->id <= after)
            continue;
        if (n >= max || looked_at++ == JOBS_LOOKED_AT) {
            *ret_after = at;
            break;
        }
        n += look(core, job, wall_usec, arena, &views[n]);
        at = job->id;
    }
    *ret_views = views;
    return n;
}

static void say(struct why_view *why, enum reason reason, const char *sentence)
{
    why->reason = reason;
    (void)str_copy(why->sentence, sizeof(why->sentence), sentence);
}

int core_why_job(const struct core *core, const char *namespace_name, const char *name, usec_t wall_usec, struct arena *arena, struct why_view *ret_why)
{
    const struct job *job = strmap_get(&core->jobs_by_name, arena_printf(arena, "%s/%s", namespace_name, name));
    if (!job)
        return ERR_NOT_FOUND;
    *ret_why = (struct why_view){0};
    char when[40];
    usec_t next = USEC_NEVER;
    const struct trigger_days *left_out = NULL; // what calendars leave out now
    for (size_t i = 0; i < job->n_triggers; i++) {
        const struct trigger_days *days = days_of(core, job, i);
        next = usec_min(next, job->triggers[i].next_usec);
        if (days && days->left_out_usec <= wall_usec && !left_out)
            left_out = days;
    }
    const struct trigger_days *nothing = left_with_nothing(core, job);
    if (job->paused) {
        say(ret_why, REASON_JOB_PAUSED,
            arena_printf(arena, "%" PRIu32 " run%s in a row failed (pause_after: %" PRIu32 "), so it is held until it is released or changed.", job->failures,
                         job->failures == 1 ? "" : "s", job->spec->policy->pause_after));
    } else if (job->state == JOB_HELD) {
        say(ret_why, REASON_JOB_HELD, reason_sentence(REASON_JOB_HELD));
    } else if (next == USEC_NEVER && job->n_active > 0 && job->n_triggers > 0) {
        const struct run *run = list_entry(list_last(&job->runs), struct run, in_job);
        ret_why->run_id = run->id;
        say(ret_why, REASON_NO_INSTANT, arena_printf(arena, "No instant is known before run %" PRIu64 " has ended.", run->id));
    } else if (nothing) {
        say(ret_why, REASON_CALENDARS,
            arena_printf(arena, "Every instant to come is left out, from %s on: %s.", time_format(when, nothing->left_out_usec), why_left_out(nothing, arena)));
    } else if (next == USEC_NEVER) {
        say(ret_why, REASON_NO_INSTANT, job->n_triggers > 0 ? reason_sentence(REASON_NO_INSTANT) : "It has no schedule and starts by hand.");
    } else if (next <= wall_usec && catch_up_waits(job)) {
        say(ret_why, REASON_CATCHING_UP, arena_printf(arena, "It makes up for missed instants one by one; the next is that of %s.", time_format(when, next)));
    } else {
        ret_why->until_usec = next;
        say(ret_why, REASON_NOT_DUE,
            arena_printf(arena, "It is due next at %s%s%s.", time_format(when, next), left_out ? "; instants before that are left out: " : "",
                         left_out ? why_left_out(left_out, arena) : ""));
    }
    return 0;
}
