// SPDX-License-Identifier: Apache-2.0
// Cleanup at the end of a scope.

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>

#include "tests/unit/test.h"

static bool fd_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_descriptors(void **state)
{
    int fd_seen = -1;
    {
        cleanup_close int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        fd_seen = fd;
        assert_true(fd_is_open(fd_seen));
        errno = 42;
    }
    assert_int_equal(errno, 42);
    assert_false(fd_is_open(fd_seen));
    int kept = -1;
    {
        cleanup_close int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        kept = steal_fd(&fd);
        assert_int_equal(fd, -1);
    }
    assert_true(fd_is_open(kept));
    kept = close_fd(kept);
    assert_int_equal(kept, -1);
    assert_int_equal(close_fd(-1), -1);
    assert_aborts(close_fd(fd_seen));
}

static void test_memory(void **state)
{
    // What is not freed here, the sanitizers report.
    char *kept = NULL;
    {
        cleanup_free char *freed = mem_strdup("freed");
        cleanup_free char *stolen = mem_strdup("kept");
        cleanup_buf struct buf buf = {0};
        cleanup_arena struct arena arena = {0};
        buf_adds(&buf, freed);
        arena_strdup(&arena, buf.data);
        kept = steal_ptr(stolen);
        assert_null(stolen);
    }
    assert_string_equal(kept, "kept");
    mem_free(kept);
}

static void test_streams(void **state)
{
    int fd = -1;
    int dir_fd = -1;
    {
        cleanup_file FILE *file = fopen("/dev/null", "re");
        cleanup_dir DIR *dir = opendir("/");
        cleanup_file FILE *no_file = NULL;
        cleanup_dir DIR *no_dir = NULL;
        assert_true(file != NULL && dir != NULL && no_file == NULL && no_dir == NULL);
        fd = fileno(file);
        dir_fd = dirfd(dir);
    }
    assert_false(fd_is_open(fd));
    assert_false(fd_is_open(dir_fd));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
