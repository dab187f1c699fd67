// SPDX-License-Identifier: Apache-2.0
// The agent's decisions: epochs, leases, sessions that end, executors that come and go.

#include "tests/unit/agent/world.h"

static void test_lower_epochs_are_refused(void **state)
{
    struct world *world = *state;
    open_core(world, 5, 100);
    assert_int_equal(agent_core_challenged(world->core, 4, NULL), ERR_STORE_FENCED);
    assert_int_equal(agent_core_challenged(world->core, 5, NULL), 0);
    hello(world, NULL);
    assert_int_equal(welcome(world, 4, NULL, 0, NULL, 0), ERR_STORE_FENCED);
    assert_false(agent_core_open(world->core));
    expect(world, "");
    agent_core_disconnected(world->core);
    open_session(world);
    start(world, 7);
    expect(world, "renew 1015000;start 7;");
    assert_int_equal(start_as(world, 4, 8, &world->least), ERR_STORE_FENCED);
    assert_int_equal(stop_as(world, 4, 7), ERR_STORE_FENCED);
    expect(world, "");
}

static void test_a_higher_epoch_is_kept_before_it_is_obeyed(void **state)
{
    struct world *world = *state;
    open_core(world, 5, 100);
    hello(world, NULL);
    world->keep_fails = true;
    assert_int_equal(welcome(world, 6, NULL, 0, NULL, 0), ERR_STORE_FULL);
    assert_false(agent_core_open(world->core));
    agent_core_disconnected(world->core);
    hello(world, NULL);
    world->keep_fails = false;
    assert_int_equal(welcome(world, 6, NULL, 0, NULL, 0), 0);
    expect(world, "epoch 6;renew 1015000;");
    assert_int_equal(start_as(world, 5, 7, &world->least), ERR_STORE_FENCED);
    expect(world, "");
    assert_int_equal(start_as(world, 7, 7, &world->least), 0);
    expect(world, "epoch 7;start 7;");
    agent_core_disconnected(world->core);
    struct ev_node_hello said;
    hello(world, &said);
    assert_int_equal(said.highest_epoch, 7);
}

static void test_what_was_in_flight_is_told_again(void **state)
{
    struct world *world = *state;
    open_session(world);
    for (uint64_t fence = 1; fence <= 4; fence++)
        start(world, fence);
    started(world, 1);
    started(world, 2);
    flush(world);
    ended(world, 1);
    flush(world);
    ended(world, 3);
    expect(world, "renew 1015000;start 1;start 2;start 3;start 4;report 1 +1 +2;report 2 -1:succeeded;");
    agent_core_disconnected(world->core);
    ended(world, 2); // while nobody listens
    flush(world);
    expect(world, "");
    struct ev_node_hello said;
    assert_int_equal(hello(world, &said), 4);
    unsigned running = 0;
    for (size_t i = 0; i < said.n_known; i++)
        running += said.known[i].running ? 1u << said.known[i].fence : 0;
    assert_int_equal(running, 1u << 4);
    started(world, 4); // between HELLO and WELCOME
    flush(world);
    expect(world, "");
    assert_int_equal(welcome(world, 5, NULL, 0, NULL, 0), 0);
    expect(world, "report 3 +4 -1:succeeded -3:succeeded -2:succeeded;");
    ack(world, 1); // of the session before
    ack(world, 2);
    expect(world, "");
    ack(world, 3);
    expect(world, "forget 1;forget 3;forget 2;");
}

static void test_reconnect_in_each_state(void **state)
{
    struct world *world = *state;
    open_session(world);
    start(world, 7); // ordered
    reconnect(world, 1);
    expect(world, "renew 1015000;start 7;");
    started(world, 7); // running, not told
    reconnect(world, 1);
    expect(world, "");
    flush(world); // HELLO told it
    expect(world, "");
    ended(world, 7); // ended, not told
    reconnect(world, 1);
    expect(world, "report 1 -7:succeeded;");
    reconnect(world, 1); // in flight
    expect(world, "report 2 -7:succeeded;");
    ack(world, 2); // acknowledged
    expect(world, "forget 7;");
    reconnect(world, 0);
    expect(world, "");
}

static void test_verdicts_of_the_leader(void **state)
{
    struct world *world = *state;
    open_session(world);
    for (uint64_t fence = 1; fence <= 4; fence++)
        start(world, fence);
    started(world, 1);
    ended(world, 3);
    ended(world, 4);
    agent_core_disconnected(world->core);
    expect(world, "renew 1015000;start 1;start 2;start 3;start 4;");
    assert_int_equal(hello(world, NULL), 4);
    uint64_t kill[] = {1, 2, 3, 50}, forget[] = {4, 51};
    assert_int_equal(welcome(world, 5, kill, 4, forget, 2), 0);
    // The leader sends nothing else before it has heard of every end, whatever became of it.
    expect(world, "forget 4;stop 1 lease;stop 2 lease;report 1 -3:succeeded -50:not_started;");
    started(world, 2);
    ended(world, 1);
    ended(world, 2);
    flush(world);
    expect(world, "report 2 -1:succeeded -2:succeeded;");
    ack(world, 1);
    ack(world, 2);
    expect(world, "forget 3;forget 1;forget 2;");
    reconnect(world, 0);
}

static void test_a_new_leader_may_take_a_verdict_back(void **state)
{
    struct world *world = *state;
    open_session(world);
    start(world, 1);
    started(world, 1);
    agent_core_disconnected(world->core);
    hello(world, NULL);
    uint64_t kill[] = {1};
    welcome(world, 5, kill, 1, NULL, 0);
    expect(world, "renew 1015000;start 1;stop 1 lease;");
    reconnect(world, 1);
    ended(world, 1);
    flush(world);
    expect(world, "report 1 -1:succeeded;");
}

static void test_a_lease_counts_from_the_sending_of_the_heartbeat(void **state)
{
    struct world *world = *state;
    open_session(world);
    expect(world, "renew 1015000;");
    assert_int_equal(agent_core_deadline(world->core), 1003 * SECOND);
    tick(world, 3 * SECOND - 1);
    expect(world, "");
    tick(world, 1);
    expect(world, "heartbeat 1;");
    world->now += 2 * SECOND; // the answer takes its time
    lease(world, 1);
    expect(world, "renew 1018000;");
    tick(world, SECOND);
    tick(world, 0);
    expect(world, "heartbeat 2;");
    tick(world, 3 * SECOND);
    expect(world, "heartbeat 3;");
    lease(world, 3);
    expect(world, "renew 1024000;");
    lease(world, 2); // overtaken: never shortens
    lease(world, 77); // never sent
    lease(world, 0);
    expect(world, "");
}

static void test_the_lease_of_a_welcome_counts_from_hello(void **state)
{
    struct world *world = *state;
    open_core(world, 5, 100);
    hello(world, NULL);
    world->now += 4 * SECOND;
    welcome(world, 5, NULL, 0, NULL, 0);
    expect(world, "renew 1015000;");
}

static void test_a_lease_that_ends_stops_at_most_once(void **state)
{
    struct world *world = *state;
    open_session(world);
    start_as(world, 5, 1, &world->once);
    start_as(world, 5, 2, &world->least);
    start_as(world, 5, 3, &world->once);
    start_as(world, 5, 4, &world->once);
    started(world, 1);
    ended(world, 4);
    agent_core_disconnected(world->core);
    buf_clear(&world->log);
    assert_int_equal(agent_core_deadline(world->core), 1015 * SECOND);
    tick(world, 15 * SECOND - 1);
    expect(world, "");
    tick(world, 1);
    expect(world, "stop 1 lease;stop 3 lease;");
    tick(world, 1);
    expect(world, ""); // once
    assert_int_equal(agent_core_deadline(world->core), USEC_NEVER);
    reconnect(world, 4);
    expect(world, "renew 1030000;report 1 -4:succeeded;");
    start_as(world, 5, 5, &world->once);
    expect(world, "start 5;");
    agent_core_disconnected(world->core);
    tick(world, 20 * SECOND);
    expect(world, "stop 1 lease;stop 3 lease;stop 5 lease;");
}

static void test_no_at_most_once_start_without_a_lease(void **state)
{
    struct world *world = *state;
    open_session(world);
    world->now += 15 * SECOND; // the machine was suspended, and the orders waited in the socket
    start_as(world, 5, 1, &world->once);
    start_as(world, 5, 2, &world->least);
    expect(world, "renew 1015000;report 1 -1:not_started;start 2;");
}

static void test_a_silent_server_is_given_up(void **state)
{
    struct world *world = *state;
    open_session(world);
    tick(world, 3 * SECOND);
    tick(world, 3 * SECOND);
    assert_false(world->end_asked);
    assert_int_equal(agent_core_deadline(world->core), 1007 * SECOND + SECOND / 2);
    tick(world, 3 * SECOND / 2);
    assert_true(world->end_asked);
    assert_int_equal(world->end_why.code, ERR_TIMEOUT);
    expect(world, "renew 1015000;heartbeat 1;heartbeat 2;end;");
    tick(world, 3 * SECOND);
    expect(world, "");
}

static void test_reset_of_the_spawner(void **state)
{
    struct world *world = *state;
    open_session(world);
    for (uint64_t fence = 1; fence <= 3; fence++)
        start(world, fence);
    started(world, 1);
    ended(world, 3);
    flush(world);
    expect(world, "renew 1015000;start 1;start 2;start 3;report 1 +1 -3:succeeded;");
    world->executor.sink.on_reset(world->executor.sink.context, "spawner-2");
    flush(world);
    expect(world, "end;report 2 -1:lost -2:lost;");
    assert_true(world->end_asked);
    ended(world, 1); // cannot come, and would not count
    reconnect(world, 3);
    expect(world, "report 3 -3:succeeded -1:lost -2:lost;");
    ack(world, 3);
    expect(world, "forget 3;forget 1;");
    start(world, 4);
    expect(world, "start 4;");
}

static void test_a_new_spawner_tells_the_ends_that_were_durable(void **state)
{
    struct world *world = *state;
    open_session(world);
    for (uint64_t fence = 1; fence <= 3; fence++)
        start(world, fence);
    buf_clear(&world->log);
    world->held[0] = (struct exec_attempt){.fence = 1, .end = {.fence = 1, .outcome = OUTCOME_EXIT, .exit_code = 3}};
    world->held[1] = (struct exec_attempt){.fence = 2, .running = true, .start_usec = 7}; // being ended
    world->n_held = 2;
    world->executor.sink.on_reset(world->executor.sink.context, "spawner-2");
    flush(world);
    expect(world, "end;report 1 +2 -1:exit -3:lost;");
    struct attempt_end end = {.fence = 2, .outcome = OUTCOME_LOST};
    world->executor.sink.on_ended(world->executor.sink.context, &end);
    flush(world);
    expect(world, "report 2 -2:lost;");
    ack(world, 1);
    ack(world, 2);
    expect(world, "forget 1;forget 2;"); // the third was not held any more
}

static void test_a_new_agent_adopts_what_the_executor_holds(void **state)
{
    struct world *world = *state;
    world->held[0] = (struct exec_attempt){.fence = 11, .delivery = AT_MOST_ONCE, .running = true, .start_usec = 70};
    world->held[1] = (struct exec_attempt){
        .fence = 12, .running = false, .start_usec = 71, .end = {.fence = 12, .outcome = OUTCOME_EXIT, .exit_code = 3, .message = "m"}};
    world->held[2] = (struct exec_attempt){.fence = 13, .running = true};
    world->n_held = 3;
    open_core(world, 5, 100);
    struct ev_node_hello said;
    assert_int_equal(hello(world, &said), 3);
    assert_int_equal(said.known[0].start_usec, 70);
    welcome(world, 5, NULL, 0, NULL, 0);
    expect(world, "renew 1015000;report 1 -12:exit;");
    struct attempt_end again = {.fence = 12, .outcome = OUTCOME_EXIT};
    world->executor.sink.on_ended(world->executor.sink.context, &again);
    flush(world);
    start(world, 11);
    start(world, 13);
    expect(world, "");
    start(world, 10); // older than what runs here
    expect(world, "report 2 -10:not_started;");
    started(world, 13);
    flush(world);
    expect(world, "report 3 +13;");
    agent_core_disconnected(world->core);
    tick(world, 16 * SECOND);
    expect(world, "stop 11 lease;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(test_lower_epochs_are_refused),
        world_test(test_a_higher_epoch_is_kept_before_it_is_obeyed),
        world_test(test_what_was_in_flight_is_told_again),
        world_test(test_reconnect_in_each_state),
        world_test(test_verdicts_of_the_leader),
        world_test(test_a_new_leader_may_take_a_verdict_back),
        world_test(test_a_lease_counts_from_the_sending_of_the_heartbeat),
        world_test(test_the_lease_of_a_welcome_counts_from_hello),
        world_test(test_a_lease_that_ends_stops_at_most_once),
        world_test(test_no_at_most_once_start_without_a_lease),
        world_test(test_a_silent_server_is_given_up),
        world_test(test_reset_of_the_spawner),
        world_test(test_a_new_spawner_tells_the_ends_that_were_durable),
        world_test(test_a_new_agent_adopts_what_the_executor_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
