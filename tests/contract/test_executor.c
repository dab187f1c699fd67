// SPDX-License-Identifier: Apache-2.0
// The contract of executors over the spawner: starts, ends, limits, output, and what survives.

#include "exec_world.h"

static int set_up(void **state)
{
    struct world *world = world_new();
    world_attach(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

static void test_exit_codes(void **state)
{
    struct world *world = *state;
    const struct told *good = world_run(world, "exit 0");
    assert_int_equal(good->end.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(good->started, 1);
    assert_int_equal(good->ended, 1);
    assert_true(good->end.start_usec > 0);
    const struct told *bad = world_run(world, "exit 7");
    assert_int_equal(bad->end.outcome, OUTCOME_EXIT);
    assert_int_equal(bad->end.exit_code, 7);
    const struct told *killed = world_run(world, "kill -SEGV $$");
    assert_int_equal(killed->end.outcome, OUTCOME_SIGNAL);
    assert_int_equal(killed->end.signal, SIGSEGV);
}

static void test_output_is_kept_apart(void **state)
{
    struct world *world = *state;
    uint64_t fence = world_start(world, "echo to out; echo to err >&2; echo more");
    const struct told *told = world_end(world, fence);
    assert_int_equal(told->end.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(told->end.usage.output_bytes, 7 + 7 + 5);
    assert_log(world, fence, LOG_STDOUT, "to out\nmore\n");
    assert_log(world, fence, LOG_STDERR, "to err\n");
    uint64_t silent = world_start(world, "exit 0");
    world_end(world, silent);
    assert_log(world, silent, LOG_STDOUT, NULL);
}

static void test_many(void **state)
{
    struct world *world = *state;
    enum { N = 500 };
    for (int i = 0; i < N; i++)
        (void)world_start(world, "exit 3");
    assert_true(world_until(world, world->n_ended >= N, 60 * USEC_PER_SEC));
    for (uint64_t fence = 1; fence <= N; fence++) {
        assert_int_equal(world->told[fence].ended, 1);
        assert_int_equal(world->told[fence].end.exit_code, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exit_codes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_output_is_kept_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("executor", tests, NULL, NULL);
}
