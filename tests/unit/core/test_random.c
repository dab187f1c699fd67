// SPDX-License-Identifier: Apache-2.0
// Thousands of random steps against agents that start, end, forget, restart, repeat and go silent. After every step all invariants of the
// core hold; now and then the log and a snapshot must each rebuild the same state; at the end, with well-behaved agents, all work ends.
#include "base/prng.h"
#include "codec/codec.h"
#include "tests/unit/core/world.h"
#include "tests/unit/test.h"

enum { AGENTS = 4, ATTEMPTS_MAX = 512, STEPS = 6000 };

struct attempt {
    uint64_t fence;
    bool running; // false: ended, not yet acknowledged
};

struct agent {
    uint64_t session; // 0: none
    int spawner;
    struct attempt attempts[ATTEMPTS_MAX];
    size_t n;
    uint64_t last_fence; // that it was ordered to start
};

struct play {
    struct world w;
    struct prng prng;
    struct agent agents[AGENTS];
};

static uint32_t dice(struct play *play, uint32_t n)
{
    return (uint32_t)prng_below(&play->prng, n);
}

static struct agent *agent_of(struct play *play, uint64_t session)
{
    for (int i = 0; i < AGENTS; i++)
        if (play->agents[i].session == session)
            return &play->agents[i];
    return NULL;
}

static void drop(struct agent *agent, uint64_t fence)
{
    for (size_t i = 0; i < agent->n; i++)
        if (agent->attempts[i].fence == fence)
            agent->attempts[i] = agent->attempts[--agent->n];
}

// The network and the agents obey, most of the time.
static void obey(struct play *play)
{
    for (size_t i = 0; i < play->w.out.n_effects; i++) {
        const struct effect *effect = play->w.out.effect[i];
        struct agent *agent = effect->session ? agent_of(play, effect->session) : NULL;
        if (!agent)
            continue;
        if (effect->kind == FX_REFUSE)
            agent->session = 0;
        for (size_t k = 0; effect->kind == FX_START && k < effect->start.n; k++) {
            assert_true(effect->start.order[k].fence > agent->last_fence); // fences only grow
            agent->last_fence = effect->start.order[k].fence;
            if (dice(play, 20) > 0 && agent->n < ATTEMPTS_MAX)
                agent->attempts[agent->n++] = (struct attempt){effect->start.order[k].fence, true};
        }
        for (size_t k = 0; effect->kind == FX_WELCOME && k < effect->welcome.n_kill; k++)
            drop(agent, effect->welcome.kill[k]);
        for (size_t k = 0; effect->kind == FX_WELCOME && k < effect->welcome.n_forget; k++)
            drop(agent, effect->welcome.forget[k]);
        for (size_t k = 0; effect->kind == FX_STOP && k < effect->stop.n; k++)
            for (size_t a = 0; a < agent->n; a++)
                if (agent->attempts[a].fence == effect->stop.fence[k])
                    agent->attempts[a].running = false;
    }
    play->w.out.n_effects = 0; // obeyed once
}

static void hello(struct play *play, int which)
{
    struct agent *agent = &play->agents[which];
    struct known_attempt known[ATTEMPTS_MAX];
    for (size_t i = 0; i < agent->n; i++)
        known[i] = (struct known_attempt){agent->attempts[i].fence, agent->attempts[i].running, play->w.wall};
    char name[16], spawner[32];
    snprintf(name, sizeof(name), "n%d", which);
    snprintf(spawner, sizeof(spawner), "spawner-%d", agent->spawner);
    agent->session = play->w.next_session + 1;
    world_hello(&play->w, name, 3000 + 1000 * (uint64_t)which, spawner, known, agent->n);
}

static void report(struct play *play, struct agent *agent, bool succeed)
{
    struct attempt_end ends[ATTEMPTS_MAX];
    struct known_attempt started[ATTEMPTS_MAX];
    size_t n_ends = 0, n_started = 0;
    static const enum outcome outcomes[] = {OUTCOME_SUCCEEDED, OUTCOME_EXIT, OUTCOME_SIGNAL, OUTCOME_OOM, OUTCOME_LOST, OUTCOME_SPAWN};
    for (size_t i = 0; i < agent->n; i++) {
        uint32_t roll = succeed ? 0 : dice(play, 4);
        if (roll == 0 || !agent->attempts[i].running) {
            enum outcome outcome = succeed ? OUTCOME_SUCCEEDED : outcomes[dice(play, 6)];
            ends[n_ends++] = (struct attempt_end){.fence = agent->attempts[i].fence, .outcome = outcome, .exit_code = outcome == OUTCOME_EXIT};
        } else if (roll == 1) {
            started[n_started++] = (struct known_attempt){agent->attempts[i].fence, true, play->w.wall};
        }
    }
    struct event event = {.kind = EV_NODE_REPORT,
                          .report = {.session = agent->session, .report_id = 1, .started = started, .n_started = n_started, .ended = ends, .n_ended = n_ends}};
    world_step(&play->w, &event);
    if (!succeed && dice(play, 10) == 0)
        world_step(&play->w, &event); // twice
    for (size_t i = 0; i < n_ends; i++)
        drop(agent, ends[i].fence);
}

static void submit(struct play *play)
{
    char name[32];
    snprintf(name, sizeof(name), "job-%u", dice(play, 50));
    struct job_spec *spec = world_spec(&play->w, name, 1 + dice(play, dice(play, 5) == 0 ? 200 : 4));
    spec->priority = (int32_t)dice(play, 3);
    spec->parallelism = dice(play, 3) == 0 ? 1 + dice(play, 3) : 0;
    spec->delivery = dice(play, 3) == 0 ? AT_MOST_ONCE : AT_LEAST_ONCE;
    if (spec->delivery == AT_LEAST_ONCE)
        spec->retry = (struct retry){.limit = dice(play, 4), .backoff_usec = dice(play, 20) * USEC_PER_SEC, .factor_permille = 1500,
                                     .backoff_max_usec = USEC_PER_MIN, .jitter_permille = 200};
    if (dice(play, 4) == 0) {
        spec->concurrency_key = dice(play, 2) ? "red" : "blue";
        spec->concurrency_limit = 1 + dice(play, 2);
    }
    if (dice(play, 6) == 0)
        spec->queue_deadline_usec = (1 + dice(play, 100)) * USEC_PER_SEC;
    if (dice(play, 8) == 0)
        spec->start_at_usec = play->w.wall + dice(play, 100) * USEC_PER_SEC;
    struct dependency *after = arena_array(&play->w.lasting, struct dependency, 2);
    struct core_stats stats;
    core_stats(play->w.core, &stats);
    struct run_view view;
    for (uint32_t i = 0; i < 2 && dice(play, 3) == 0; i++) {
        uint64_t id = 1 + dice(play, 300);
        if (core_view_run(play->w.core, id, &play->w.lasting, &view) == 0 && !run_state_terminal(view.state))
            after[spec->n_after++] = (struct dependency){id, (enum after_on)dice(play, 3)};
    }
    spec->after = after;
    char key[32];
    snprintf(key, sizeof(key), "key-%u", dice(play, 100));
    world_submit_key(&play->w, spec, dice(play, 3) == 0 ? key : NULL);
}

enum { JOBS = 6 };

// Jobs with schedules of every policy.
static void apply_job(struct play *play)
{
    struct arena *arena = &play->w.lasting;
    struct job_spec *spec = world_spec(&play->w, arena_printf(arena, "tick-%u", dice(play, JOBS)), 1 + dice(play, 2));
    spec->n_triggers = 1 + dice(play, 2);
    struct trigger *triggers = arena_array(arena, struct trigger, spec->n_triggers);
    for (size_t i = 0; i < spec->n_triggers; i++) {
        triggers[i] = (struct trigger){.kind = dice(play, 8) == 0 ? TRIGGER_AFTER_END : TRIGGER_EVERY, .text = "@every", .zone = "UTC",
                                       .every_usec = (20 + dice(play, 600)) * USEC_PER_SEC};
        if (triggers[i].kind == TRIGGER_EVERY && dice(play, 4) == 0)
            triggers[i].jitter_usec = dice(play, 60) * USEC_PER_SEC;
    }
    spec->triggers = triggers;
    spec->overlap = (enum overlap)dice(play, OVERLAP_QUEUE_ALL + 1);
    spec->misfire = (enum misfire)dice(play, MISFIRE_ALL + 1);
    spec->catch_up_window_usec = dice(play, 3) == 0 ? (1 + dice(play, 7200)) * USEC_PER_SEC : 0;
    spec->catch_up_max = dice(play, 3) == 0 ? 1 + dice(play, 10) : 0;
    spec->pause_after = dice(play, 3) == 0 ? 1 + dice(play, 3) : 0;
    struct buf packed = {0};
    spec_pack(&packed, spec);
    world_step(&play->w, &(struct event){.kind = EV_APPLY, .request = 1, .apply = {.spec = spec, .packed = {(const uint8_t *)packed.data, packed.len}}});
    buf_release(&packed);
}

static void about_job(struct play *play)
{
    const char *name = arena_printf(&play->w.lasting, "tick-%u", dice(play, JOBS));
    struct event event = {.request = 1};
    switch (dice(play, 8)) {
    case 0:
        event.kind = EV_START_JOB;
        event.start_job.namespace_name = "default";
        event.start_job.name = name;
        break;
    case 1:
        event.kind = EV_CANCEL_JOB;
        event.cancel_job = (struct ev_cancel_job){"default", name};
        break;
    case 2:
    case 3:
    case 4:
        event.kind = EV_JOB_HOLD;
        event.job_hold = (struct ev_job_hold){"default", name, dice(play, 8) == 0 ? JOB_DELETED : dice(play, 3) == 0 ? JOB_HELD : JOB_ACTIVE};
        break;
    default:
        apply_job(play);
        return;
    }
    world_step(&play->w, &event);
}

// Nobody is there for a while, or somebody sets the clock.
static void outage(struct play *play)
{
    static const usec_t longest[] = {10 * USEC_PER_MIN, 5 * USEC_PER_HOUR, 40 * USEC_PER_DAY};
    usec_t usec = prng_below(&play->prng, (uint64_t)longest[dice(play, 3)]);
    if (dice(play, 2) == 0)
        play->w.mono += usec;
    else if (dice(play, 3) == 0)
        usec = -(usec < USEC_PER_HOUR ? usec : USEC_PER_HOUR);
    play->w.wall += usec;
}

static void people(struct play *play)
{
    uint64_t run = 1 + dice(play, 400);
    struct run_view view;
    char name[16];
    snprintf(name, sizeof(name), "n%u", dice(play, AGENTS));
    struct event event = {.request = 1, .by = "people"};
    switch (dice(play, 6)) {
    case 0:
        event.kind = EV_CANCEL;
        event.cancel.run_id = run;
        break;
    case 1:
        event.kind = EV_RUN_HOLD;
        event.run_hold.run_id = run;
        event.run_hold.to = dice(play, 3) == 0 ? ADMIT_CLOSED : ADMIT_OPEN;
        break;
    case 2:
        event.kind = EV_NODE_ADMISSION;
        event.node_admission.name = name;
        event.node_admission.to = dice(play, 3) == 0 ? ADMIT_CLOSED : ADMIT_OPEN;
        break;
    case 3:
        event.kind = EV_NODE_REMOVE;
        event.node_admission.name = name;
        break;
    case 4:
        event.kind = EV_ARCHIVED;
        event.archived.seq = core_seq(play->w.core) - dice(play, 50) % core_seq(play->w.core);
        break;
    default:
        if (core_view_run(play->w.core, run, &play->w.lasting, &view) < 0)
            return;
        struct index_range range = {.first = 0, .last = dice(play, view.n_tasks), .step = 1 + dice(play, 3)};
        struct index_set set;
        assert_true(index_set_init(&set, &range, 1));
        event.kind = EV_CANCEL;
        event.cancel.run_id = run;
        event.cancel.tasks = &set;
        world_step(&play->w, &event);
        obey(play);
        return;
    }
    world_step(&play->w, &event);
    obey(play);
}

static void one_step(struct play *play)
{
    int which = (int)dice(play, AGENTS);
    struct agent *agent = &play->agents[which];
    switch (dice(play, 10)) {
    case 0:
    case 1:
        submit(play);
        break;
    case 2:
        if (dice(play, 4) == 0 && agent->session) { // the session breaks, perhaps with the spawner
            world_step(&play->w, &(struct event){.kind = EV_NODE_GONE, .session = {.session = agent->session}});
            agent->session = 0;
            if (dice(play, 3) == 0) {
                agent->spawner++;
                agent->n = 0;
            }
        } else if (!agent->session || dice(play, 10) == 0) {
            hello(play, which);
        }
        break;
    case 3:
    case 4:
        if (agent->session)
            report(play, agent, false);
        break;
    case 5:
        people(play);
        break;
    case 6:
        about_job(play);
        if (dice(play, 30) == 0)
            outage(play);
        for (int i = 0; i < AGENTS; i++)
            if (play->agents[i].session && dice(play, 8) > 0)
                world_step(&play->w, &(struct event){.kind = EV_NODE_HEARTBEAT, .session = {.session = play->agents[i].session}});
        play->w.wall += dice(play, 8000000);
        play->w.mono += dice(play, 8000000);
        world_step(&play->w, &(struct event){.kind = EV_TICK});
        break;
    default:
        world_plan(&play->w);
        break;
    }
    obey(play);
}

// Healed: everything is open and answers; within bounded rounds nothing is left to do.
static void settle(struct play *play)
{
    struct core_stats stats;
    for (unsigned i = 0; i < JOBS; i++) {
        const char *name = arena_printf(&play->w.lasting, "tick-%u", i);
        world_step(&play->w, &(struct event){.kind = EV_JOB_HOLD, .request = 1, .job_hold = {"default", name, JOB_HELD}});
        obey(play);
        world_step(&play->w, &(struct event){.kind = EV_CANCEL_JOB, .request = 1, .cancel_job = {"default", name}});
        obey(play);
    }
    for (uint64_t run = 1; run < 6000; run++)
        world_step(&play->w, &(struct event){.kind = EV_RUN_HOLD, .request = 1, .run_hold = {run, ADMIT_OPEN}});
    for (int round = 0; round < 4000; round++) {
        core_stats(play->w.core, &stats);
        if (stats.runs_live == 0)
            return;
        for (int i = 0; i < AGENTS; i++) {
            char name[16];
            snprintf(name, sizeof(name), "n%d", i);
            if (!play->agents[i].session)
                hello(play, i);
            obey(play);
            world_step(&play->w, &(struct event){.kind = EV_NODE_ADMISSION, .request = 1, .node_admission = {name, ADMIT_OPEN}});
            report(play, &play->agents[i], true);
            world_step(&play->w, &(struct event){.kind = EV_NODE_HEARTBEAT, .session = {.session = play->agents[i].session}});
        }
        play->w.wall += USEC_PER_SEC;
        play->w.mono += USEC_PER_SEC;
        world_step(&play->w, &(struct event){.kind = EV_TICK});
        obey(play);
        world_plan(&play->w);
        obey(play);
        // What was ordered and dropped on the way is only noticed when a session opens.
        if (round % 50 == 49)
            for (int i = 0; i < AGENTS; i++) {
                hello(play, i);
                obey(play);
            }
    }
    core_stats(play->w.core, &stats);
    fail_msg("%llu runs did not end", (unsigned long long)stats.runs_live);
}

static void play_seed(uint64_t seed)
{
    struct play *play = calloc(1, sizeof(*play));
    assert_non_null(play);
    world_init(&play->w);
    prng_init(&play->prng, seed);
    for (int step = 0; step < STEPS; step++) {
        one_step(play);
        if (step % 500 == 499)
            world_check_replay(&play->w);
    }
    struct core_stats stats;
    core_stats(play->w.core, &stats);
    assert_true(core_seq(play->w.core) > STEPS / 10); // something happened
    settle(play);
    world_check_replay(&play->w);
    world_release(&play->w);
    free(play);
}

static void test_random_worlds(void **state)
{
    (void)state;
    const char *wish = getenv("MUSTER_TEST_SEED");
    if (wish) {
        play_seed(strtoull(wish, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= 3; seed++) {
        printf("seed %llu\n", (unsigned long long)seed);
        play_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_worlds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
