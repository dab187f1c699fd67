// SPDX-License-Identifier: Apache-2.0
// What people do with jobs: schedules of every kind, in zones whose clocks change, and changes that race their instants.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/cron_text.h"
#include "sim/internal.h"

static uint64_t draw(struct prng *prng, uint64_t n)
{
    return prng_below(prng, n);
}

static usec_t wall(const struct sim *sim)
{
    return sim->wall_base_usec + sim->now;
}

static void draw_cron(struct sim *sim, struct prng *prng, struct trigger *trigger)
{
    static const unsigned steps[] = {1, 1, 2, 5, 15, 30};
    bool change = sim->wall_zone != T_UTC && prng_chance(prng, 500); // at the hour at which clocks are about to change
    unsigned roll = change ? 6 + (unsigned)draw(prng, 4) : (unsigned)draw(prng, 10);
    if (roll < 6)
        trigger->text = arena_printf(&sim->arena, "*/%u * * * *", steps[draw(prng, 5)]);
    else if (roll < 8) // hours in which clocks change
        trigger->text = arena_printf(&sim->arena, "*/%u %u * * *", steps[1 + draw(prng, 5)], (unsigned)draw(prng, 4));
    else
        trigger->text = arena_printf(&sim->arena, "%u %u * * *", 5 * (unsigned)draw(prng, 12), (unsigned)draw(prng, prng_chance(prng, 700) ? 4 : 24));
    trigger->zone = t_zone_names[change ? (uint64_t)sim->wall_zone : draw(prng, prng_chance(prng, 500) ? T_ZONES : 1)];
    struct err err = {0};
    must(schedule_text_parse(trigger->text, "default/job", trigger, &err) == 0);
}

// Instants are left out: before and after, and by the time of the day.
static void draw_bounds(struct sim *sim, struct prng *prng, struct trigger *trigger)
{
    if (prng_chance(prng, 100))
        trigger->from_usec = wall(sim) + (usec_t)draw(prng, 600 * USEC_PER_SEC);
    if (prng_chance(prng, 100))
        trigger->until_usec = wall(sim) + USEC_PER_MIN + (usec_t)draw(prng, 2 * USEC_PER_HOUR);
    if (!prng_chance(prng, 150))
        return;
    trigger->has_between = true;
    trigger->zone = t_zone_names[draw(prng, T_ZONES)];
    trigger->between_first_sec = (int32_t)(draw(prng, 48) * 1800);
    trigger->between_last_sec = (int32_t)(draw(prng, 49) * 1800);
}

static void draw_trigger(struct sim *sim, struct prng *prng, struct trigger *trigger)
{
    uint64_t kind = draw(prng, 12);
    trigger->zone = "UTC";
    if (kind < 4) {
        trigger->kind = TRIGGER_EVERY;
        trigger->every_usec = (2 + (usec_t)draw(prng, 300)) * USEC_PER_SEC;
        trigger->text = arena_printf(&sim->arena, "@every %" PRId64 "s", trigger->every_usec / USEC_PER_SEC);
    } else if (kind < 5) {
        trigger->kind = TRIGGER_AT;
        trigger->at_usec = wall(sim) + (1 + (usec_t)draw(prng, 600)) * USEC_PER_SEC;
        trigger->text = "at";
        return;
    } else if (kind < 7) {
        trigger->kind = TRIGGER_AFTER_END;
        trigger->every_usec = (1 + (usec_t)draw(prng, 60)) * USEC_PER_SEC;
        trigger->text = "after_end";
        return;
    } else {
        draw_cron(sim, prng, trigger);
    }
    draw_bounds(sim, prng, trigger);
    if (prng_chance(prng, 250))
        trigger->jitter_usec = log_uniform(prng, USEC_PER_SEC, 10 * USEC_PER_MIN);
}

// Calendars have numbers of their own: what others draw stays.
static const char *const calendar_names[] = {"cal-0", "cal-1", "cal-2"};

static void draw_days(struct sim *sim, struct prng *prng, struct trigger *trigger)
{
    if (sim->shape.calendar_permille == 0 || (trigger->kind != TRIGGER_CRON && trigger->kind != TRIGGER_EVERY) || prng_chance(prng, 300))
        return;
    trigger->exclude = &calendar_names[draw(prng, 3)];
    trigger->n_exclude = 1 + (trigger->exclude < &calendar_names[2] && prng_chance(prng, 200));
    if (!prng_chance(prng, 250))
        return;
    trigger->include = &calendar_names[draw(prng, 3)];
    trigger->n_include = 1;
    if (prng_chance(prng, 500))
        trigger->n_exclude = 0;
}

// Days around today: the clocks of a server may show others.
void workload_calendar(struct sim *sim, struct prng *prng)
{
    bool gone = prng_chance(prng, 50);
    struct request *request = client_request_new(sim, gone ? EV_CALENDAR_DELETE : EV_CALENDAR_PUT);
    snprintf(request->name, sizeof(request->name), "%s", calendar_names[draw(prng, 3)]);
    int32_t today = (int32_t)(wall(sim) / USEC_PER_DAY);
    int32_t day = today - (int32_t)draw(prng, 3);
    for (uint64_t n = gone ? 0 : draw(prng, 5); n > 0; n--) {
        int32_t last = day + (prng_chance(prng, 100) ? (int32_t)draw(prng, 400) : (int32_t)draw(prng, 2));
        request->dates[request->n_dates++] = (struct calendar_dates){day, last, NULL};
        day = last + 2 + (int32_t)draw(prng, 3);
    }
    must(request->n_dates <= sizeof(request->dates) / sizeof(request->dates[0]));
    client_request(request);
}

void workload_apply(struct sim *sim, struct prng *prng, uint32_t job)
{
    struct job_spec *spec = workload_spec(sim, prng, prng_chance(prng, 800) ? 1 : 1 + (uint32_t)draw(prng, 6));
    spec->name = arena_printf(&sim->arena, "job-%u", job);
    if (prng_chance(prng, 200))
        workload_key(sim, prng, spec);
    size_t n = 1 + draw(prng, 2);
    struct trigger *triggers = arena_array(&sim->arena, struct trigger, n);
    static const struct pair fixed = {"p", "fixed"};
    struct prng days;
    prng_init(&days, sim_mix(sim_mix(sim->options->seed, 91), sim->actions));
    for (size_t i = 0; i < n; i++) {
        draw_trigger(sim, prng, &triggers[i]);
        draw_days(sim, &days, &triggers[i]);
        triggers[i].n_params = spec->n_params > 0 && (spec->params->required || prng_chance(prng, 500)) ? 1 : 0;
        triggers[i].params = &fixed;
    }
    spec->triggers = triggers;
    spec->n_triggers = n;
    spec->overlap = (enum overlap)draw(prng, 4);
    if (spec->overlap == OVERLAP_QUEUE && prng_chance(prng, 500))
        spec->overlap = OVERLAP_QUEUE_ALL;
    spec->misfire = (enum misfire)draw(prng, 3);
    if (prng_chance(prng, 300))
        spec->catch_up_window_usec = USEC_PER_SEC + (usec_t)draw(prng, USEC_PER_HOUR);
    if (prng_chance(prng, 300))
        spec->catch_up_max = 1 + (uint32_t)draw(prng, 20);
    if (prng_chance(prng, 200))
        spec->pause_after = 1 + (uint32_t)draw(prng, 3);
    struct request *request = client_request_new(sim, EV_APPLY);
    spec_pack(&request->packed, spec);
    client_request(request);
}

// ---- changes that race instants

static void race_fire(void *context, uint64_t dice)
{
    struct sim *sim = context;
    struct prng prng;
    if (sim->phase != PHASE_FAULTS)
        return;
    arena_clear(&sim->arena);
    prng_init(&prng, dice);
    uint32_t job = (uint32_t)draw(&prng, WORKLOAD_JOBS);
    char name[32];
    snprintf(name, sizeof(name), "job-%u", job);
    switch (draw(&prng, 6)) {
    case 0:
    case 1:
        workload_apply(sim, &prng, job);
        return;
    case 2:
        workload_about(sim, EV_JOB_HOLD, name, JOB_HELD);
        return;
    case 3:
        workload_about(sim, EV_JOB_HOLD, name, JOB_ACTIVE);
        return;
    case 4:
        workload_about(sim, EV_CANCEL_JOB, name, 0);
        return;
    default:
        workload_start_job(sim, &prng, name);
        return;
    }
}

// Something happens to a job at the moment at which one of its instants comes, give or take a few milliseconds.
void workload_race(struct sim *sim, struct prng *prng)
{
    struct list *pos;
    usec_t now = machine_wall(&sim->servers[0].machine), next = USEC_NEVER;
    list_for_each(pos, &sim->truth.jobs_list) {
        const struct t_job *job = list_entry(pos, struct t_job, link);
        for (size_t i = 0; i < job->n_triggers && job->state == JOB_ACTIVE; i++)
            if (job->triggers[i].next_usec > now)
                next = usec_min(next, job->triggers[i].next_usec);
    }
    if (next - now > 5 * USEC_PER_MIN)
        return;
    usec_t at = machine_after(&sim->servers[0].machine, next - now) - sim->now, off = (usec_t)draw(prng, 8000);
    for (uint64_t n = 1 + draw(prng, 4); n > 0; n--)
        sim_later(sim, at > off ? at - off : 0, race_fire, sim, prng_u64(prng));
}
