// SPDX-License-Identifier: Apache-2.0
// The null executor: tells a start and an end for every order, once, from ready() only.

#include "../test.h"

#include "exec/executor.h"

struct seen {
    struct executor *executor;
    int started, ended, calls;
    bool forget;
    enum outcome last;
};

static void on_started(void *context, uint64_t fence, usec_t start_usec)
{
    struct seen *seen = context;
    assert_true(fence > 0 && start_usec > 0);
    seen->started++;
}

static void on_ended(void *context, const struct attempt_end *end)
{
    struct seen *seen = context;
    seen->ended++;
    seen->last = end->outcome;
    if (seen->forget)
        seen->executor->ops->forget(seen->executor, end->fence);
}

static void on_reset(void *context, const char *instance)
{
    (void)context;
    fail_msg("it was reset to %s", instance);
}

static void count(void *context, const struct exec_attempt *attempt)
{
    struct seen *seen = context;
    assert_true(attempt->fence > 0);
    seen->calls++;
}

static void test_everything(void **state)
{
    (void)state;
    struct seen seen = {.forget = false};
    struct executor_options options = {.folder = "/", .sink = {.on_started = on_started, .on_ended = on_ended, .on_reset = on_reset, .context = &seen}};
    assert_int_equal(executor_null_open(&options, &seen.executor, NULL), 0);
    struct executor *executor = seen.executor;
    struct job_spec spec;
    job_spec_init(&spec);
    assert_int_equal(executor->ops->deadline(executor, 0), USEC_NEVER);
    for (uint64_t fence = 1; fence <= 3; fence++)
        executor->ops->start(executor, &(struct exec_start){.fence = fence, .run_id = 1, .spec = &spec});
    executor->ops->start(executor, &(struct exec_start){.fence = 2, .run_id = 1, .spec = &spec}); // a duplicate
    executor->ops->stop(executor, 3, OUTCOME_CANCELLED);
    executor->ops->forget(executor, 1); // it has not ended
    assert_int_equal(seen.started, 0);
    assert_int_equal(executor->ops->deadline(executor, 0), 0);
    assert_int_equal(executor->ops->ready(executor, NULL), 0);
    assert_int_equal(seen.started, 3);
    assert_int_equal(seen.ended, 3);
    assert_int_equal(seen.last, OUTCOME_CANCELLED);
    executor->ops->attempts(executor, count, &seen);
    assert_int_equal(seen.calls, 3);
    seen.forget = true; // from within the callback, too
    executor->ops->start(executor, &(struct exec_start){.fence = 4, .run_id = 1, .spec = &spec});
    assert_int_equal(executor->ops->ready(executor, NULL), 0);
    executor->ops->forget(executor, 1);
    seen.calls = 0;
    executor->ops->attempts(executor, count, &seen);
    assert_int_equal(seen.calls, 2);
    executor->ops->close(executor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything)};
    return cmocka_run_group_tests_name("null", tests, NULL, NULL);
}
