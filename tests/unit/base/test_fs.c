// SPDX-License-Identifier: Apache-2.0
// Files and folders.

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/test.h"

static char root[64];

static int make_root(void **state)
{
    snprintf(root, sizeof(root), "/tmp/muster-test-fs-XXXXXX");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_root(void **state)
{
    return fs_remove_tree(root, NULL);
}

static const char *below(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *ret = path[next++ % 4];
    snprintf(ret, sizeof(path[0]), "%s/%s", root, name);
    return ret;
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void test_write_and_read(void **state)
{
    struct err err = {0};
    struct buf buf = {0};
    buf_adds(&buf, "before:");
    assert_int_equal(fs_write_atomic(below("f"), "hello", 5, 0600, &err), 0);
    assert_int_equal(fs_read(below("f"), 5, &buf, &err), 0);
    assert_string_equal(buf.data, "before:hello");
    assert_int_equal(fs_read(below("f"), 4, &buf, &err), ERR_TOO_LARGE);
    assert_string_equal(buf.data, "before:hello");
    struct stat st;
    assert_int_equal(stat(below("f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    mode_t old_mask = umask(077);
    assert_int_equal(fs_write_atomic(below("f"), NULL, 0, 0644, &err), 0);
    umask(old_mask);
    assert_int_equal(stat(below("f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(st.st_size, 0);
    assert_int_equal(fs_read(below("missing"), 5, &buf, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "missing"));
    buf_release(&buf);
}

static void test_read_large_and_proc(void **state)
{
    struct err err = {0};
    struct buf out = {0};
    struct buf in = {0};
    for (int i = 0; i < 100000; i++)
        buf_printf(&out, "%d,", i);
    assert_int_equal(fs_write_atomic(below("large"), out.data, out.len, 0600, &err), 0);
    assert_int_equal(fs_read(below("large"), out.len, &in, &err), 0);
    assert_int_equal(in.len, out.len);
    assert_memory_equal(in.data, out.data, out.len);
    buf_clear(&in);
    assert_int_equal(fs_read("/proc/self/status", 64 * 1024, &in, &err), 0);
    assert_true(in.len > 10);
    assert_int_equal(fs_read(root, 100, &in, &err), ERR_IO);
    buf_release(&out);
    buf_release(&in);
}

static void test_a_failed_write_leaves_nothing(void **state)
{
    struct err err = {0};
    assert_int_equal(mkdir(below("d"), 0700), 0);
    assert_int_equal(mkdir(below("d/target"), 0700), 0);
    assert_true(fs_write_atomic(below("d/target"), "x", 1, 0600, &err) < 0);
    assert_non_null(strstr(err.text, "target"));
    assert_int_equal(rmdir(below("d/target")), 0);
    assert_int_equal(rmdir(below("d")), 0); // empty: no temporary file is left
    assert_int_equal(fs_write_atomic(below("no/such/f"), "x", 1, 0600, &err), ERR_NOT_FOUND);
}

static void test_mkdirs(void **state)
{
    struct err err = {0};
    assert_int_equal(fs_mkdirs(below("a/b//c/"), 0700, &err), 0);
    assert_true(exists(below("a/b/c")));
    assert_int_equal(fs_mkdirs(below("a/b/c"), 0700, &err), 0);
    assert_int_equal(fs_write_atomic(below("a/file"), "", 0, 0600, &err), 0);
    assert_int_equal(fs_mkdirs(below("a/file"), 0700, &err), ERR_EXISTS);
    assert_true(fs_mkdirs(below("a/file/x"), 0700, &err) < 0);
    assert_int_equal(symlink("b", below("a/link")), 0);
    assert_int_equal(fs_mkdirs(below("a/link/d"), 0700, &err), 0);
    assert_true(exists(below("a/b/d")));
    assert_int_equal(fs_mkdirs("/", 0700, &err), 0);
}

static void test_remove_follows_no_links(void **state)
{
    struct err err = {0};
    assert_int_equal(fs_mkdirs(below("keep"), 0700, &err), 0);
    assert_int_equal(fs_write_atomic(below("keep/f"), "x", 1, 0600, &err), 0);
    assert_int_equal(fs_mkdirs(below("go/sub/locked"), 0700, &err), 0);
    assert_int_equal(fs_write_atomic(below("go/sub/locked/f"), "x", 1, 0600, &err), 0);
    assert_int_equal(symlink("../keep", below("go/link")), 0);
    assert_int_equal(symlink("go", below("root-link")), 0);
    assert_int_equal(mkfifo(below("go/fifo"), 0600), 0);
    assert_int_equal(chmod(below("go/sub/locked"), 0), 0);
    assert_int_equal(chmod(below("go/sub"), 0500), 0);
    assert_int_equal(fs_remove_tree(below("root-link"), &err), 0);
    assert_true(exists(below("go/link")));
    assert_int_equal(fs_remove_tree(below("go"), &err), 0);
    assert_false(exists(below("go")));
    assert_true(exists(below("keep/f")));
    assert_int_equal(fs_remove_tree(below("go"), &err), 0);
    assert_int_equal(fs_remove_tree(below("keep/f"), &err), 0);
    assert_false(exists(below("keep/f")));
}

static void test_remove_a_very_deep_tree(void **state)
{
    struct err err = {0};
    assert_int_equal(mkdir(below("deep"), 0700), 0);
    int fd = open(below("deep"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int depth = 0; depth < 3000; depth++) {
        assert_true(fd >= 0);
        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        assert_int_equal(mkdirat(fd, ".removed-0", 0700), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = next;
    }
    close(fd);
    assert_int_equal(fs_remove_tree(below("deep"), &err), 0);
    assert_false(exists(below("deep")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_read_large_and_proc),
        cmocka_unit_test(test_a_failed_write_leaves_nothing),
        cmocka_unit_test(test_mkdirs),
        cmocka_unit_test(test_remove_follows_no_links),
        cmocka_unit_test(test_remove_a_very_deep_tree),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
