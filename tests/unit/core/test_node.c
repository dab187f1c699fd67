// SPDX-License-Identifier: Apache-2.0
// Stories of nodes: leases, loss, reconciliation, draining, and what they do to tasks of either delivery class.
#include "tests/unit/core/world.h"
#include "tests/unit/test.h"

static uint64_t place_one(struct world *w, struct job_spec *spec, uint64_t *ret_fence)
{
    uint64_t run = world_submit(w, spec);
    world_plan(w);
    const struct effect *start = world_effect(w, FX_START, 0);
    assert_non_null(start);
    *ret_fence = start->start.order[0].fence;
    return run;
}

static usec_t lease_and_grace(const struct world *w)
{
    return w->limits.value[LIMIT_NODE_LEASE] + w->limits.value[LIMIT_NODE_LOST_GRACE];
}

static void test_a_heartbeat_keeps_the_lease(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 1000), fence;
    uint64_t run = place_one(&w, world_spec(&w, "a", 1), &fence);
    for (int i = 0; i < 10; i++) {
        world_pass(&w, 10 * USEC_PER_SEC);
        world_step(&w, &(struct event){.kind = EV_NODE_HEARTBEAT, .session = {.session = session, .heartbeat = 7}});
        assert_int_equal(world_effect(&w, FX_LEASE, 0)->lease.heartbeat, 7);
    }
    assert_int_equal(world_run(&w, run).n_placed, 1);
    world_release(&w);
}

static void test_a_lost_node_gives_its_tasks_back(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_node(&w, "n1", 1000);
    uint64_t fence, other;
    struct job_spec *once = world_spec(&w, "once", 1);
    once->delivery = AT_MOST_ONCE;
    uint64_t at_most = place_one(&w, once, &fence);
    world_node(&w, "n2", 1000);
    uint64_t at_least = place_one(&w, world_spec(&w, "again", 1), &other);
    world_check_replay(&w);
    world_pass(&w, lease_and_grace(&w) - 1);
    assert_int_equal(world_run(&w, at_most).n_placed, 1);
    world_pass(&w, 1);
    assert_int_equal(world_state(&w, at_most), RUN_FAILED);
    assert_int_equal(world_run(&w, at_most).n_lost, 1);
    assert_int_equal(world_run(&w, at_least).n_pending, 1); // without a retry policy: a loss is not its fault
    struct node_view node;
    assert_int_equal(core_view_node(w.core, "n1", &w.lasting, &node), 0);
    assert_int_equal(node.state, NODE_LOST);
    world_check_replay(&w);
    // The node comes back and still runs what was given up: it must end it.
    struct known_attempt known[] = {{.fence = fence, .running = true}, {.fence = 999, .running = false}};
    world_hello(&w, "n1", 1000, "spawner-1", known, 2);
    const struct effect *welcome = world_effect(&w, FX_WELCOME, 0);
    assert_int_equal(welcome->welcome.n_kill, 1);
    assert_int_equal(welcome->welcome.kill[0], fence);
    assert_int_equal(welcome->welcome.n_forget, 1);
    // Until it has, what it uses is not given away again.
    world_plan(&w);
    assert_null(world_effect(&w, FX_START, 0));
    world_report_end(&w, w.next_session, fence, OUTCOME_LEASE, 0);
    world_plan(&w);
    assert_int_equal(world_effect(&w, FX_START, 0)->start.order[0].attempt, 2);
    world_check_replay(&w);
    world_release(&w);
}

static void test_a_task_that_keeps_being_lost_waits_longer(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t fence, run = 0;
    for (int i = 0; i < 5; i++) {
        char spawner[32];
        snprintf(spawner, sizeof(spawner), "spawner-%d", i);
        uint64_t session = world_hello(&w, "n1", 1000, spawner, NULL, 0);
        (void)session;
        if (i == 0)
            run = place_one(&w, world_spec(&w, "poison", 1), &fence);
        else if (i <= 3)
            world_plan(&w);
    }
    assert_int_equal(world_run(&w, run).n_backoff, 1);
    world_check_replay(&w);
    world_release(&w);
}

static void test_reconcile_tells_not_started_from_lost(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_node(&w, "n1", 1000);
    struct job_spec *once = world_spec(&w, "once", 1);
    once->delivery = AT_MOST_ONCE;
    uint64_t fence, run = place_one(&w, once, &fence);
    // The same spawner has never heard of it: the order was lost with the session, so it may be placed again.
    world_hello(&w, "n1", 1000, "spawner-1", NULL, 0);
    assert_int_equal(world_run(&w, run).n_pending, 1);
    world_check_replay(&w);
    world_plan(&w);
    const struct effect *start = world_effect(&w, FX_START, 0);
    assert_int_equal(start->start.order[0].attempt, 2);
    // Another spawner: nobody knows whether it ran.
    world_hello(&w, "n1", 1000, "spawner-2", NULL, 0);
    assert_int_equal(world_run(&w, run).n_lost, 1);
    world_check_replay(&w);
    world_release(&w);
}

// A HELLO that was under way on a connection which the agent gave up says what was so then: it must not undo what came after.
static void test_a_late_hello_of_an_older_session_is_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t late = ++w.next_session;
    uint64_t newer = world_node(&w, "n1", 1000), fence;
    uint64_t run = place_one(&w, world_spec(&w, "a", 1), &fence);
    world_report_start(&w, newer, fence);
    struct node_info info = {.name = "n1", .identity = "identity-of-n1", .spawner = "spawner-1", .boot_id = "boot", .version = "test"};
    for (int gone = 0; gone < 2; gone++) {
        world_step(&w, &(struct event){.kind = EV_NODE_HELLO, .hello = {.session = late, .info = &info}});
        assert_non_null(world_effect(&w, FX_REFUSE, 0));
        assert_null(world_effect(&w, FX_WELCOME, 0));
        assert_int_equal(world_run(&w, run).n_running, 1);
        world_step(&w, &(struct event){.kind = EV_NODE_GONE, .session = {.session = newer}});
    }
    world_release(&w);
}

static void test_a_reconnect_keeps_what_both_know(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t old = world_node(&w, "n1", 1000), fence;
    uint64_t run = place_one(&w, world_spec(&w, "a", 1), &fence);
    world_step(&w, &(struct event){.kind = EV_NODE_GONE, .session = {.session = old}});
    struct known_attempt known = {.fence = fence, .running = true, .start_usec = w.wall};
    uint64_t fresh = world_hello(&w, "n1", 1000, "spawner-1", &known, 1);
    assert_int_equal(world_run(&w, run).n_running, 1);
    world_report_end(&w, old, fence, OUTCOME_SUCCEEDED, 0); // a message of a session that is gone
    assert_int_equal(world_run(&w, run).n_running, 1);
    world_report_end(&w, fresh, fence, OUTCOME_SUCCEEDED, 0);
    assert_int_equal(world_state(&w, run), RUN_SUCCEEDED);
    world_report_end(&w, fresh, fence, OUTCOME_EXIT, 1); // told twice
    assert_int_equal(world_count(&w, REC_TASKS_ENDED), 0);
    assert_non_null(world_effect(&w, FX_ACK, 0));
    world_release(&w);
}

static void test_the_same_end_twice_in_one_report(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 1000), fence;
    struct job_spec *spec = world_spec(&w, "a", 1);
    spec->retry = (struct retry){.limit = 3, .factor_permille = 1000};
    uint64_t run = place_one(&w, spec, &fence);
    struct attempt_end ends[] = {{.fence = fence, .outcome = OUTCOME_EXIT, .exit_code = 1}, {.fence = fence, .outcome = OUTCOME_SUCCEEDED}};
    world_step(&w, &(struct event){.kind = EV_NODE_REPORT, .report = {.session = session, .ended = ends, .n_ended = 2}});
    assert_int_equal(world_run(&w, run).n_pending, 1);
    world_check_replay(&w);
    world_release(&w);
}

static void test_drain_keeps_running_and_places_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t session = world_node(&w, "n1", 1000), fence;
    place_one(&w, world_spec(&w, "a", 1), &fence);
    uint64_t next = world_submit(&w, world_spec(&w, "b", 1));
    world_step(&w, &(struct event){.kind = EV_NODE_ADMISSION, .request = 1, .node_admission = {"n1", ADMIT_CLOSED}});
    world_report_end(&w, session, fence, OUTCOME_SUCCEEDED, 0);
    world_plan(&w);
    assert_int_equal(world_count(&w, REC_TASKS_PLACED), 0);
    struct why_view why;
    assert_int_equal(core_why(w.core, next, UINT32_MAX, w.wall, &w.lasting, &why), 0);
    assert_int_equal(why.reason, REASON_NODES_AWAY);
    world_check_replay(&w);
    world_step(&w, &(struct event){.kind = EV_NODE_ADMISSION, .request = 1, .node_admission = {"n1", ADMIT_OPEN}});
    world_plan(&w);
    assert_int_equal(world_count(&w, REC_TASKS_PLACED), 1);
    world_release(&w);
}

static void test_remove_only_what_is_out_of_use(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_node(&w, "n1", 1000);
    world_step(&w, &(struct event){.kind = EV_NODE_REMOVE, .request = 1, .node_admission = {.name = "n1"}});
    assert_int_equal(world_reply(&w)->code, ERR_CONFLICT);
    // Drained, but its agent would bring it back at once, and open.
    world_step(&w, &(struct event){.kind = EV_NODE_ADMISSION, .request = 1, .node_admission = {"n1", ADMIT_CLOSED}});
    world_step(&w, &(struct event){.kind = EV_NODE_REMOVE, .request = 1, .node_admission = {.name = "n1"}});
    assert_int_equal(world_reply(&w)->code, ERR_CONFLICT);
    assert_non_null(strstr(world_reply(&w)->text, "still connected; stop it first"));
    world_pass(&w, lease_and_grace(&w));
    world_step(&w, &(struct event){.kind = EV_NODE_REMOVE, .request = 1, .node_admission = {.name = "n1"}});
    assert_int_equal(world_reply(&w)->code, 0);
    world_step(&w, &(struct event){.kind = EV_NODE_REMOVE, .request = 1, .node_admission = {.name = "n1"}});
    assert_int_equal(world_reply(&w)->code, ERR_NOT_FOUND);
    world_node(&w, "n1", 1000);
    struct node_view node;
    assert_int_equal(core_view_node(w.core, "n1", &w.lasting, &node), 0);
    assert_int_equal(node.node_id, 2); // ids are never reused
    world_check_replay(&w);
    world_release(&w);
}

static void test_constraints_and_size(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct job_spec *spec = world_spec(&w, "a", 1);
    const char *values[] = {"n2"};
    spec->constraints = &(struct constraint){.label = "name", .op = OP_EQ, .values = values, .n_values = 1};
    spec->n_constraints = 1;
    uint64_t run = world_submit(&w, spec);
    struct why_view why;
    assert_int_equal(core_why(w.core, run, UINT32_MAX, w.wall, &w.lasting, &why), 0);
    assert_int_equal(why.reason, REASON_NO_NODES);
    world_node(&w, "n1", 1000);
    world_plan(&w);
    assert_int_equal(core_why(w.core, run, UINT32_MAX, w.wall, &w.lasting, &why), 0);
    assert_int_equal(why.reason, REASON_NO_NODE_MATCHES);
    world_node(&w, "n2", 500);
    world_plan(&w);
    assert_int_equal(core_why(w.core, run, UINT32_MAX, w.wall, &w.lasting, &why), 0);
    assert_int_equal(why.reason, REASON_NEVER_FITS);
    world_hello(&w, "n2", 1000, "spawner-1", NULL, 0); // it came back larger
    world_plan(&w);
    assert_int_equal(world_count(&w, REC_TASKS_PLACED), 1);
    world_check_replay(&w);
    world_release(&w);
}

static void test_another_machine_with_the_name_is_refused_while_the_first_lives(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t fence;
    world_node(&w, "n1", 1000);
    uint64_t run = place_one(&w, world_spec(&w, "a", 1), &fence);
    struct node_info info = {.name = "n1", .identity = "somebody else", .spawner = "s", .boot_id = "b", .version = "v", .tasks_max = 1};
    struct event hello = {.kind = EV_NODE_HELLO, .hello = {.session = 77, .info = &info}};
    world_step(&w, &hello);
    assert_int_equal(world_effect(&w, FX_REFUSE, 0)->refuse.code, ERR_CONFLICT);
    world_pass(&w, lease_and_grace(&w));
    hello.hello.session = 78;
    world_step(&w, &hello);
    assert_int_equal(world_effect(&w, FX_WELCOME, 0)->welcome.node_id, 2);
    assert_int_equal(world_run(&w, run).n_pending, 1);
    hello.hello.session = 79;
    hello.hello.highest_epoch = 99; // it has obeyed a newer leader than this one
    world_step(&w, &hello);
    assert_int_equal(world_effect(&w, FX_REFUSE, 0)->refuse.code, ERR_CONFLICT);
    world_check_replay(&w);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_heartbeat_keeps_the_lease),
        cmocka_unit_test(test_a_lost_node_gives_its_tasks_back),
        cmocka_unit_test(test_a_task_that_keeps_being_lost_waits_longer),
        cmocka_unit_test(test_reconcile_tells_not_started_from_lost),
        cmocka_unit_test(test_a_late_hello_of_an_older_session_is_refused),
        cmocka_unit_test(test_a_reconnect_keeps_what_both_know),
        cmocka_unit_test(test_the_same_end_twice_in_one_report),
        cmocka_unit_test(test_drain_keeps_running_and_places_nothing),
        cmocka_unit_test(test_remove_only_what_is_out_of_use),
        cmocka_unit_test(test_constraints_and_size),
        cmocka_unit_test(test_another_machine_with_the_name_is_refused_while_the_first_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
