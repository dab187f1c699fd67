// SPDX-License-Identifier: Apache-2.0
// The simulator itself: the same seed gives the same run, byte for byte; what is left out changes nothing else; failures are results.
#include "sim/sim.h"
#include "tests/unit/test.h"

static char *traced(const struct sim_options *given, size_t *ret_len, struct sim_result *ret_result)
{
    char *text = NULL;
    struct sim_options options = *given;
    options.trace = open_memstream(&text, ret_len);
    assert_non_null(options.trace);
    sim_run(&options, ret_result);
    fclose(options.trace);
    return text;
}

static void test_same_seed_same_trace(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct sim_options options = {.seed = seed, .minutes_usec = 4 * USEC_PER_MIN};
        struct sim_result first, second;
        size_t len_first = 0, len_second = 0;
        char *a = traced(&options, &len_first, &first), *b = traced(&options, &len_second, &second);
        assert_true(len_first > 10000);
        assert_int_equal(len_first, len_second);
        assert_memory_equal(a, b, len_first);
        assert_int_equal(first.trace_hash, second.trace_hash);
        assert_int_equal(first.events, second.events);
        free(a);
        free(b);
    }
}

static void test_other_seed_other_trace(void **state)
{
    (void)state;
    struct sim_options one = {.seed = 1, .minutes_usec = USEC_PER_MIN}, two = {.seed = 2, .minutes_usec = USEC_PER_MIN};
    struct sim_result first, second;
    sim_run(&one, &first);
    sim_run(&two, &second);
    assert_true(first.trace_hash != second.trace_hash);
}

static void test_skips_are_read(void **state)
{
    (void)state;
    struct sim_skip skip;
    assert_int_equal(sim_skip_parse("people:3-7", &skip, NULL), 0);
    assert_int_equal(skip.kind, FAULTS);
    assert_int_equal(skip.from, 3);
    assert_int_equal(skip.to, 7);
    assert_int_equal(sim_skip_parse("net-break:4", &skip, NULL), 0);
    assert_int_equal(skip.kind, FAULT_NET_BREAK);
    assert_int_equal(skip.to, 4);
    assert_int_equal(sim_skip_parse("server-crash:0-", &skip, NULL), 0);
    assert_int_equal(skip.to, UINT32_MAX);
    assert_int_equal(sim_skip_parse("nothing:1-2", &skip, NULL), ERR_INVALID);
    assert_int_equal(sim_skip_parse("people:x", &skip, NULL), ERR_INVALID);
}

// Without people nothing is submitted, and without faults nothing is injected.
static void test_skips_leave_out(void **state)
{
    (void)state;
    struct sim_options options = {.seed = 3, .minutes_usec = 2 * USEC_PER_MIN, .scenario = "crash", .n_skip = 1, .skip = {{FAULTS, 0, UINT32_MAX}}};
    struct sim_result result;
    sim_run(&options, &result);
    assert_false(result.failed);
    assert_int_equal(result.runs, 0);
    assert_true(result.faults[FAULT_SERVER_CRASH] + result.faults[FAULT_AGENT_CRASH] > 0);
    for (int kind = 0; kind < FAULTS; kind++)
        options.skip[options.n_skip++] = (struct sim_skip){kind, 0, UINT32_MAX};
    sim_run(&options, &result);
    for (int kind = 0; kind < FAULTS; kind++)
        assert_int_equal(result.faults[kind], 0);
}

// A failure names what broke by its row of the table: the name and the sentence, also in the trace.
static void test_failures_name_the_invariant(void **state)
{
    (void)state;
    struct sim_options options = {.minutes_usec = 10 * USEC_PER_MIN, .plant = PLANT_WRONG_EXIT};
    struct sim_result result = {0};
    while (!result.failed && options.seed++ < 100)
        sim_run_apart(&options, &result);
    assert_true(result.failed);
    assert_string_equal(result.invariant, "end-true");
    assert_non_null(result.sentence);
    assert_string_equal(result.sentence, "A recorded exit status is the one that the process really had.");
    assert_non_null(strstr(result.tail, "world BROKEN: end-true: A recorded exit status is the one"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_trace),
        cmocka_unit_test(test_other_seed_other_trace),
        cmocka_unit_test(test_skips_are_read),
        cmocka_unit_test(test_skips_leave_out),
        cmocka_unit_test(test_failures_name_the_invariant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
