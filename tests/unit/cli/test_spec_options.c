// SPDX-License-Identifier: Apache-2.0
// Options of `muster run` as a job.

#include "cli/spec_options.h"

#include "tests/unit/test.h"

// The job of these words as compact JSON with sorted keys, or the sentence of the error.
static char *spec_of(char **argv)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    struct args args;
    struct err err = {0};
    assert_int_equal(args_parse(&args, command_find("run"), argc, argv, &err), 0);
    json_t *spec = NULL;
    char *text = NULL;
    if (spec_from_options(&args, &spec, &err) == 0)
        text = json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);
    else
        text = strdup(err.text);
    json_decref(spec);
    args_release(&args);
    return text;
}

#define expect(wanted, ...) \
    do { \
        char *argv_[] = {__VA_ARGS__, NULL}; \
        char *text_ = spec_of(argv_); \
        assert_string_equal(text_, wanted); \
        free(text_); \
    } while (0)

static void test_plain(void **state)
{
    expect("{\"command\":[\"echo\",\"a b\"]}", "--", "echo", "a b");
    expect("{\"command\":[\"true\"],\"name\":\"n\",\"resources\":{\"cpu\":\"500m\",\"gpu\":2,\"licence\":3,\"memory\":\"1GiB\"}}", "--name", "n",
           "--cpu", "500m", "--memory", "1GiB", "--gpu", "2", "--resource", "licence=3", "true");
    expect("{\"command\":[\"true\"],\"parallelism\":3,\"tasks\":\"0-9:2\"}", "-n", "0-9:2", "-p", "3", "true");
    expect("{\"command\":[\"true\"],\"priority\":-5,\"tasks\":10}", "-n", "10", "--priority", "-5", "true");
}

static void test_lists_and_maps(void **state)
{
    expect("{\"command\":[\"true\"],\"env\":{\"A\":\"1=2\",\"B\":\"\"},\"labels\":{\"team\":\"data\"}}", "-e", "A=1=2", "--env", "B=", "-l",
           "team=data", "true");
    expect("{\"after\":[{\"on\":\"succeeded\",\"run\":12},{\"on\":\"failed\",\"run\":13},{\"on\":\"ended\",\"run\":14}],\"command\":[\"true\"]}",
           "--after", "12,13:failed", "--after", "14:ended", "true");
    expect("{\"command\":[\"true\"],\"retry\":{\"backoff\":\"5s\",\"causes\":[\"oom\",\"lost\"],\"exit_codes\":[75,111],\"factor\":1.5,\"limit\":3}}",
           "--retry", "3", "--backoff", "5s", "--backoff-factor", "1.5", "--retry-exit-codes", "75,111", "--retry-causes", "oom,lost", "true");
    expect("{\"command\":[\"true\"],\"concurrency\":{\"key\":\"db\",\"limit\":2},\"constraints\":[\"zone == eu\",\"has gpu\"]}", "--key", "db",
           "--key-limit", "2", "--constraint", "zone == eu", "--constraint", "has gpu", "true");
}

static void test_environment_of_here(void **state)
{
    setenv("MUSTER_TEST_VALUE", "here", 1);
    expect("{\"command\":[\"true\"],\"env\":{\"MUSTER_TEST_VALUE\":\"here\"}}", "-e", "MUSTER_TEST_VALUE", "true");
    unsetenv("MUSTER_TEST_VALUE");
    expect("--env: 'MUSTER_TEST_VALUE' is not KEY=VALUE, nor a variable that is set here", "-e", "MUSTER_TEST_VALUE", "true");
}

static void test_mistakes(void **state)
{
    expect("run: which command? write it as: muster run [OPTIONS] -- COMMAND [ARGUMENT...]", "--cpu", "1");
    expect("run: give a command or --script, not both", "--script", "x.sh", "true");
    expect("--label: 'a' is given twice; give one value", "-l", "a=1", "-l", "b=1", "--label", "a=1", "true");
    expect("--env: 'A' is given twice; give one value", "-e", "A=1", "-e", "A=2", "true");
    expect("--resource: 'cpu' is given twice; give one value", "--cpu", "2", "--resource", "cpu=3", "true");
    expect("--label: '=x' is not KEY=VALUE", "-l", "=x", "true");
    expect("--after: 'job' is not the id of a run, or RUN:succeeded, RUN:failed, RUN:ended", "--after", "job", "true");
    expect("--start-at: 'noon' is neither a time (2026-11-23T06:30:00Z) nor a span of time (2d)", "--start-at", "noon", "true");
    expect("run: '\xff' is not valid UTF-8", "true", "\xff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_lists_and_maps),
        cmocka_unit_test(test_environment_of_here),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
