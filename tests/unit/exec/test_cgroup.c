// SPDX-License-Identifier: Apache-2.0
// Where control groups are, from texts as several systems write them.

#include "../test.h"

#include "exec/cgroup.h"

static void test_v2_only(void **state)
{
    (void)state;
    struct cgroup_paths paths;
    cgroup_paths_parse("22 28 0:20 / /proc rw,nosuid shared:13 - proc proc rw\n"
                       "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n",
                       "0::/system.slice/muster.service\n", &paths);
    assert_string_equal(paths.path[TREE_UNIFIED], "/sys/fs/cgroup/system.slice/muster.service");
    assert_string_equal(paths.unified_mount, "/sys/fs/cgroup");
    assert_string_equal(paths.path[TREE_MEMORY], "");
    assert_string_equal(paths.path[TREE_PIDS], "");
}

static void test_v1_with_an_empty_v2(void **state)
{
    (void)state;
    struct cgroup_paths paths;
    cgroup_paths_parse("32 31 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
                       "33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 master:4 - cgroup cgroup rw,cpu,cpuacct\n"
                       "34 31 0:30 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
                       "35 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
                       "36 31 0:32 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n",
                       "9:name=systemd:/\n5:pids:/\n4:memory:/process_api/abc\n3:cpuset:/\n2:cpu,cpuacct:/a b\n0::/\n", &paths);
    assert_string_equal(paths.path[TREE_UNIFIED], "/sys/fs/cgroup/unified");
    assert_string_equal(paths.path[TREE_CPU], "/sys/fs/cgroup/cpu,cpuacct/a b");
    assert_string_equal(paths.path[TREE_CPUACCT], "/sys/fs/cgroup/cpu,cpuacct/a b");
    assert_string_equal(paths.path[TREE_MEMORY], "/sys/fs/cgroup/memory/process_api/abc");
    assert_string_equal(paths.path[TREE_PIDS], "/sys/fs/cgroup/pids");
    assert_string_equal(paths.path[TREE_FREEZER], "");
}

static void test_container(void **state)
{
    (void)state;
    struct cgroup_paths paths;
    // The mount shows a part of the hierarchy; the group is told from its top.
    cgroup_paths_parse("34 31 0:30 /docker/123 /sys/fs/cgroup/memory\\040x ro,relatime - cgroup cgroup rw,memory\n"
                       "36 31 0:32 /docker/123 /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
                       "4:memory:/docker/123/sub\n5:pids:/elsewhere\n", &paths);
    assert_string_equal(paths.path[TREE_MEMORY], "/sys/fs/cgroup/memory x/sub");
    assert_string_equal(paths.path[TREE_PIDS], "/sys/fs/cgroup/pids");
}

static void test_garbage(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n\n", "a b c", "1 2 3 4 5 6 - cgroup\n", "1 2 3 4 5 6 - cgroup x\n", "0::", "::::", "0::relative\n", "0::/../..\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++) {
            struct cgroup_paths paths;
            cgroup_paths_parse(texts[i], texts[j], &paths);
            for (int tree = 0; tree < CGROUP_TREES; tree++)
                assert_string_equal(paths.path[tree], "");
        }
    }
    struct cgroup_paths paths;
    cgroup_paths_parse("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/a/../../etc\n", &paths);
    assert_string_equal(paths.path[TREE_UNIFIED], "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2_only),
        cmocka_unit_test(test_v1_with_an_empty_v2),
        cmocka_unit_test(test_container),
        cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
