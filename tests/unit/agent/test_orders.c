// SPDX-License-Identifier: Apache-2.0
// The agent's decisions: orders, reports, acknowledgements.

#include "tests/unit/agent/world.h"

static void test_a_task_from_order_to_acknowledged_end(void **state)
{
    struct world *world = *state;
    open_session(world);
    expect(world, "renew 1015000;");
    assert_int_equal(start(world, 7), 0);
    started(world, 7);
    flush(world);
    expect(world, "start 7;report 1 +7;");
    ended(world, 7);
    flush(world);
    expect(world, "report 2 -7:succeeded;");
    ack(world, 1);
    expect(world, "");
    ack(world, 2);
    expect(world, "forget 7;");
    ack(world, 2); // again
    ack(world, 99);
    expect(world, "");
    struct agent_stats stats;
    agent_core_stats(world->core, &stats);
    assert_int_equal(stats.alive + stats.ended + stats.in_flight, 0);
}

static void test_an_end_tells_its_start(void **state)
{
    struct world *world = *state;
    open_session(world);
    start(world, 7);
    started(world, 7);
    ended(world, 7);
    flush(world);
    expect(world, "renew 1015000;start 7;report 1 -7:succeeded;");
}

static void test_a_repeated_order_changes_nothing(void **state)
{
    struct world *world = *state;
    open_session(world);
    start(world, 7);
    start(world, 7);
    started(world, 7);
    start(world, 7);
    ended(world, 7);
    flush(world);
    start(world, 7);
    expect(world, "renew 1015000;start 7;report 1 +7;report 2 -7:succeeded;");
}

static void test_a_forgotten_fence_never_runs_again(void **state)
{
    struct world *world = *state;
    open_session(world);
    start(world, 7);
    ended(world, 7);
    flush(world);
    ack(world, 1);
    expect(world, "renew 1015000;start 7;report 1 -7:succeeded;forget 7;");
    start(world, 7);
    expect(world, "report 2 -7:not_started;"); // the server has its end and takes no other
    ack(world, 2);
    expect(world, ""); // the executor never heard of it again
    start(world, 6);
    expect(world, "report 3 -6:not_started;");
    start(world, 8);
    expect(world, "start 8;");
}

static void test_orders_of_one_message_may_come_in_any_order(void **state)
{
    struct world *world = *state;
    open_session(world);
    struct bytes spec = {(const uint8_t *)world->least.data, world->least.len};
    struct start_order orders[] = {{.fence = 9, .spec = spec}, {.fence = 7, .spec = spec}, {.fence = 9, .spec = spec}, {.fence = 8, .spec = spec}};
    struct wire_message message = {.kind = WIRE_START, .epoch = 5, .start = {.n = 4, .order = orders}};
    assert_int_equal(receive(world, &message), 0);
    expect(world, "renew 1015000;start 9;start 7;start 8;");
}

static void test_stop(void **state)
{
    struct world *world = *state;
    open_session(world);
    start(world, 7);
    stop_as(world, 5, 7);
    stop_as(world, 5, 7);
    ended(world, 7);
    flush(world);
    stop_as(world, 5, 7);
    expect(world, "renew 1015000;start 7;stop 7 cancelled;stop 7 cancelled;report 1 -7:succeeded;");
    stop_as(world, 5, 9); // whose order never came
    expect(world, "report 2 -9:not_started;");
    start(world, 9); // and must not count any more
    expect(world, "");
    ack(world, 2);
    start(world, 9);
    expect(world, "report 3 -9:not_started;");
}

static void test_an_unknown_end_is_told_and_forgotten(void **state)
{
    struct world *world = *state;
    open_session(world);
    ended(world, 40);
    flush(world);
    ack(world, 1);
    expect(world, "renew 1015000;report 1 -40:succeeded;forget 40;");
    started(world, 41); // of nothing
    flush(world);
    expect(world, "");
}

static void test_reports_gather_while_the_window_is_full(void **state)
{
    struct world *world = *state;
    open_session(world);
    for (uint64_t fence = 1; fence <= 8; fence++)
        start(world, fence);
    buf_clear(&world->log);
    for (uint64_t fence = 1; fence <= 8; fence++) {
        ended(world, fence);
        flush(world);
    }
    expect(world, "report 1 -1:succeeded;report 2 -2:succeeded;report 3 -3:succeeded;report 4 -4:succeeded;");
    ack(world, 2);
    expect(world, "forget 2;report 5 -5:succeeded -6:succeeded -7:succeeded -8:succeeded;");
}

static void test_reports_are_bounded(void **state)
{
    struct world *world = *state;
    struct agent_core_options options = {
        .port = {.send = port_send, .keep_epoch = port_keep_epoch, .end_session = port_end_session, .context = world},
        .highest_epoch = 5,
        .report_bytes_max = 300,
        .tasks_max = 100,
    };
    world->core = agent_core_new(&options);
    world->executor = (struct executor){.ops = &fake_ops, .sink = agent_core_sink(world->core)};
    agent_core_attach(world->core, &world->executor);
    open_session(world);
    for (uint64_t fence = 1; fence <= 5; fence++)
        start(world, fence);
    buf_clear(&world->log);
    for (uint64_t fence = 1; fence <= 5; fence++)
        ended(world, fence);
    flush(world);
    expect(world, "report 1 -1:succeeded -2:succeeded;report 2 -3:succeeded -4:succeeded;report 3 -5:succeeded;");
}

static void test_more_orders_than_the_node_takes(void **state)
{
    struct world *world = *state;
    open_core(world, 5, 2);
    open_session(world);
    for (uint64_t fence = 1; fence <= 3; fence++)
        start(world, fence);
    expect(world, "renew 1015000;start 1;start 2;report 1 -3:not_started;");
    ended(world, 1);
    flush(world);
    start(world, 4);
    expect(world, "report 2 -1:succeeded;start 4;");
}

static void test_an_order_that_cannot_be_read_fails_alone(void **state)
{
    struct world *world = *state;
    open_session(world);
    struct buf garbage = {0};
    buf_add(&garbage, "\xff\xff\xff\xff", 4);
    struct start_order orders[] = {{.fence = 1, .spec = {(const uint8_t *)garbage.data, garbage.len}},
                                   {.fence = 2, .spec = {(const uint8_t *)world->least.data, world->least.len}}};
    struct wire_message message = {.kind = WIRE_START, .epoch = 5, .start = {.n = 2, .order = orders}};
    assert_int_equal(receive(world, &message), 0);
    expect(world, "renew 1015000;start 2;report 1 -1:spawn;");
    buf_release(&garbage);
}

static void test_messages_out_of_place(void **state)
{
    struct world *world = *state;
    open_core(world, 5, 100);
    assert_int_equal(welcome(world, 5, NULL, 0, NULL, 0), ERR_PROTOCOL);
    hello(world, NULL);
    assert_int_equal(start(world, 1), ERR_PROTOCOL);
    assert_int_equal(welcome(world, 5, NULL, 0, NULL, 0), 0);
    assert_int_equal(welcome(world, 5, NULL, 0, NULL, 0), ERR_PROTOCOL);
    struct wire_message message = {.kind = WIRE_HELLO};
    assert_int_equal(receive(world, &message), ERR_PROTOCOL);
    message.kind = WIRE_KINDS;
    assert_int_equal(receive(world, &message), ERR_PROTOCOL);
    message = (struct wire_message){.kind = WIRE_REFUSE, .refuse = {.code = ERR_DENIED, .text = "removed"}};
    assert_int_equal(receive(world, &message), ERR_DENIED);
    expect(world, "renew 1015000;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(test_a_task_from_order_to_acknowledged_end),
        world_test(test_an_end_tells_its_start),
        world_test(test_a_repeated_order_changes_nothing),
        world_test(test_a_forgotten_fence_never_runs_again),
        world_test(test_orders_of_one_message_may_come_in_any_order),
        world_test(test_stop),
        world_test(test_an_unknown_end_is_told_and_forgotten),
        world_test(test_reports_gather_while_the_window_is_full),
        world_test(test_reports_are_bounded),
        world_test(test_more_orders_than_the_node_takes),
        world_test(test_an_order_that_cannot_be_read_fails_alone),
        world_test(test_messages_out_of_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
