// SPDX-License-Identifier: Apache-2.0
// Lines of the log.

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>

#include "tests/unit/test.h"

static char text[16 * 1024];

// Runs `statement` and leaves what it logged in `text`.
#define logged(statement) \
    do { \
        int fds_[2]; \
        assert_int_equal(pipe2(fds_, O_NONBLOCK | O_CLOEXEC), 0); \
        log_set_fd(fds_[1]); \
        statement; \
        log_set_fd(STDERR_FILENO); \
        ssize_t len_ = read(fds_[0], text, sizeof(text) - 1); \
        text[len_ < 0 ? 0 : len_] = '\0'; \
        close(fds_[0]); \
        close(fds_[1]); \
    } while (0)

static void test_a_line(void **state)
{
    logged(log_info("agent connected", "node=%s tasks=%d", "n1", 3));
    assert_memory_equal(text, "time=20", 7);
    const char *rest = strchr(text, ' ');
    assert_non_null(rest);
    assert_string_equal(rest, " level=info msg=\"agent connected\" node=n1 tasks=3\n");
    logged(log_warn("no fields"));
    assert_string_equal(strchr(text, ' '), " level=warn msg=\"no fields\"\n");
    log_set_component("server");
    logged(log_error("x"));
    log_set_component(NULL);
    assert_string_equal(strchr(text, ' '), " level=error in=server msg=\"x\"\n");
}

static void test_levels(void **state)
{
    assert_int_equal(log_level(), LOG_INFO);
    bool evaluated = false;
    logged(log_debug("hidden", "a=%d", evaluated = true));
    assert_string_equal(text, "");
    assert_false(evaluated);
    log_set_level(LOG_DEBUG);
    logged(log_debug("shown"));
    assert_non_null(strstr(text, "level=debug"));
    log_set_level(LOG_ERROR);
    logged(log_warn("hidden"));
    assert_string_equal(text, "");
    log_set_level(LOG_INFO);
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        enum log_level back = LOG_ERROR;
        assert_int_equal(log_level_from_name(log_level_name((enum log_level)level), &back), 0);
        assert_int_equal(back, level);
    }
    enum log_level level = LOG_WARN;
    assert_int_equal(log_level_from_name("loud", &level), ERR_INVALID);
    assert_int_equal(level, LOG_WARN);
}

static void test_level_from_env(void **state)
{
    setenv("MUSTER_LOG", "debug", 1);
    log_init_from_env();
    assert_int_equal(log_level(), LOG_DEBUG);
    setenv("MUSTER_LOG", "nonsense", 1);
    log_init_from_env();
    assert_int_equal(log_level(), LOG_DEBUG);
    unsetenv("MUSTER_LOG");
    log_set_level(LOG_INFO);
}

static void test_no_line_can_be_forged(void **state)
{
    logged(log_info("say \"hi\"\n", "why=\"%s\"", "a\nlevel=error\x01\t\r"));
    assert_string_equal(strchr(text, ' '), " level=info msg=\"say \\\"hi\\\"\\n\" why=\"a\\nlevel=error\\x01\\t\\r\"\n");
}

static void test_long_lines_are_cut_and_errno_is_kept(void **state)
{
    char value[3 * LOG_LINE_MAX];
    memset(value, 'x', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    logged(errno = 42; log_info("long", "value=%s", value); assert_int_equal(errno, 42));
    size_t len = strlen(text);
    assert_in_range(len, LOG_LINE_MAX - 4, LOG_LINE_MAX);
    assert_string_equal(text + len - 5, "x...\n");
    value[LOG_LINE_MAX] = '\0';
    memset(value, '\n', LOG_LINE_MAX);
    logged(log_info(value));
    len = strlen(text);
    assert_true(len <= LOG_LINE_MAX);
    assert_string_equal(text + len - 4, "...\n");
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_level_from_env),
        cmocka_unit_test(test_no_line_can_be_forged),
        cmocka_unit_test(test_long_lines_are_cut_and_errno_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
