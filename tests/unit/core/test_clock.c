// SPDX-License-Identifier: Apache-2.0
// What the clocks of the leader may do to leases and waits.
#include "tests/unit/core/world.h"
#include "tests/unit/test.h"

static enum node_state state_of(struct world *w, const char *name)
{
    struct node_view node;
    assert_int_equal(core_view_node(w->core, name, &w->lasting, &node), 0);
    return node.state;
}

// A leader that stood still heard nobody: that does not cost the nodes their lease, but silence afterwards does.
static void test_time_in_which_the_leader_stood_still_does_not_count(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_node(&w, "n1", 1000);
    w.wall += USEC_PER_HOUR;
    w.mono += USEC_PER_HOUR;
    world_step(&w, &(struct event){.kind = EV_TICK});
    assert_int_equal(state_of(&w, "n1"), NODE_ONLINE);
    world_pass(&w, w.limits.value[LIMIT_NODE_LEASE] + w.limits.value[LIMIT_NODE_LOST_GRACE]);
    assert_int_equal(state_of(&w, "n1"), NODE_LOST);
    world_release(&w);
}

// A lease begins when the welcome leaves: a store that takes long until then costs the node nothing. A session that ends before begins it, too.
static void test_a_lease_begins_with_the_welcome(void **state)
{
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        struct world w;
        world_init(&w);
        usec_t lease = w.limits.value[LIMIT_NODE_LEASE] + w.limits.value[LIMIT_NODE_LOST_GRACE];
        world_node(&w, "n1", 1000);
        struct node_view view;
        assert_int_equal(core_view_node(w.core, "n1", &w.lasting, &view), 0);
        struct node_info info = view.info;
        world_step(&w, &(struct event){.kind = EV_NODE_HELLO, .hello = {.session = 77, .info = &info}});
        assert_non_null(world_effect(&w, FX_WELCOME, 0));
        for (int i = 0; i < 20; i++)
            world_pass(&w, lease / 4);
        assert_int_equal(state_of(&w, "n1"), NODE_ONLINE);
        if (gone)
            world_step(&w, &(struct event){.kind = EV_NODE_GONE, .session = {.session = 77}});
        else
            world_welcomed(&w, 77);
        world_pass(&w, lease / 2);
        assert_int_equal(state_of(&w, "n1"), NODE_ONLINE);
        world_pass(&w, lease - lease / 2);
        assert_int_equal(state_of(&w, "n1"), NODE_LOST);
        world_check_replay(&w);
        world_release(&w);
    }
}

static uint64_t failed_once(struct world *w, uint64_t session)
{
    struct job_spec *spec = world_spec(w, "flaky", 1);
    spec->retry = (struct retry){.limit = 3, .backoff_usec = 10 * USEC_PER_SEC, .factor_permille = 1000, .backoff_max_usec = 10 * USEC_PER_SEC};
    uint64_t run = world_submit(w, spec);
    world_plan(w);
    world_report_end(w, session, world_effect(w, FX_START, 0)->start.order[0].fence, OUTCOME_EXIT, 1);
    assert_int_equal(world_run(w, run).n_backoff, 1);
    return run;
}

// Ten seconds stay ten seconds, whatever somebody does to the wall clock meanwhile.
static void test_a_backoff_moves_with_the_clock(void **state)
{
    (void)state;
    for (int back = 0; back < 2; back++) {
        struct world w;
        world_init(&w);
        uint64_t session = world_node(&w, "n1", 1000);
        failed_once(&w, session);
        w.wall += back ? -365 * USEC_PER_DAY : 365 * USEC_PER_DAY;
        world_step(&w, &(struct event){.kind = EV_TICK});
        world_pass(&w, 9 * USEC_PER_SEC);
        world_plan(&w);
        assert_null(world_effect(&w, FX_START, 0));
        world_pass(&w, USEC_PER_SEC);
        world_plan(&w);
        assert_non_null(world_effect(&w, FX_START, 0));
        world_check_replay(&w);
        world_release(&w);
    }
}

// A run whose start time had come and has to come again, since the clock was put back, is not forgotten.
static void test_a_start_time_comes_again(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 1000);
    uint64_t first = world_submit(&w, world_spec(&w, "first", 1));
    world_plan(&w);
    uint64_t fence = world_effect(&w, FX_START, 0)->start.order[0].fence;
    struct job_spec *spec = world_spec(&w, "second", 1);
    struct dependency after = {first, AFTER_ENDED};
    spec->after = &after;
    spec->n_after = 1;
    spec->start_at_usec = w.wall + 10 * USEC_PER_SEC;
    uint64_t second = world_submit(&w, spec);
    w.wall += 11 * USEC_PER_SEC;
    world_step(&w, &(struct event){.kind = EV_TICK});
    w.wall -= USEC_PER_MIN;
    world_report_end(&w, session, fence, OUTCOME_SUCCEEDED, 0);
    assert_int_equal(world_state(&w, second), RUN_WAITING);
    world_pass(&w, 2 * USEC_PER_MIN);
    assert_int_equal(world_state(&w, second), RUN_PENDING);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_in_which_the_leader_stood_still_does_not_count),
        cmocka_unit_test(test_a_lease_begins_with_the_welcome),
        cmocka_unit_test(test_a_backoff_moves_with_the_clock),
        cmocka_unit_test(test_a_start_time_comes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
