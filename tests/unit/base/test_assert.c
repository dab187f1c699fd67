// SPDX-License-Identifier: Apache-2.0
// Assertions abort, and only when they fail.

#include "base/assert.h"

#include "tests/unit/test.h"

static void test_true_goes_on(void **state)
{
    int evaluated = 0;
    must(++evaluated == 1);
    assert_int_equal(evaluated, 1);
}

static void test_false_aborts(void **state)
{
    assert_aborts(must(1 == 2));
    assert_aborts(unreachable());
}

static void test_says_where(void **state)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(pipe_fds[1], STDERR_FILENO);
        must(pid == 12345);
        _exit(0);
    }
    close(pipe_fds[1]);
    char text[512] = "";
    assert_true(read(pipe_fds[0], text, sizeof(text) - 1) > 0);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_non_null(strstr(text, "test_assert.c:"));
    assert_non_null(strstr(text, "pid == 12345"));
    assert_int_equal(text[strlen(text) - 1], '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_true_goes_on),
        cmocka_unit_test(test_false_aborts),
        cmocka_unit_test(test_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
