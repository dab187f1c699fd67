// SPDX-License-Identifier: Apache-2.0
// The data folder of an agent, and what it finds out about its machine.

#include "agent/home.h"

#include <sys/stat.h>

#include "agent/detect.h"
#include "base/fs.h"
#include "base/str.h"
#include "tests/unit/test.h"

static int setup(void **state)
{
    char *folder = strdup("/tmp/muster-home-XXXXXX");
    assert_non_null(mkdtemp(folder));
    *state = folder;
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(fs_remove_tree(*state, NULL), 0);
    free(*state);
    return 0;
}

static const char *below(const char *folder, const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void test_identity_and_epoch_stay(void **state)
{
    char folder[64], identity[HOME_IDENTITY_TEXT];
    snprintf(folder, sizeof(folder), "%s/deep/er", (char *)*state);
    struct home home;
    assert_int_equal(home_open(folder, &home, NULL), 0);
    assert_int_equal(home.epoch, 0);
    assert_int_equal(strlen(home.identity), 32);
    memcpy(identity, home.identity, sizeof(identity));
    struct stat info;
    assert_int_equal(stat(below(folder, "identity"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(home_keep_epoch(&home, 7, NULL), 0);
    assert_int_equal(home_keep_epoch(&home, UINT64_MAX, NULL), 0);
    home_close(&home);
    assert_int_equal(home_open(folder, &home, NULL), 0);
    assert_true(home.epoch == UINT64_MAX);
    assert_string_equal(home.identity, identity);
    home_close(&home);
}

static void test_one_at_a_time(void **state)
{
    struct home first, second;
    struct err err = {0};
    assert_int_equal(home_open(*state, &first, &err), 0);
    assert_int_equal(err.code, 0);
    assert_int_equal(home_open(*state, &second, &err), ERR_CONFLICT);
    assert_non_null(strstr(err.text, *state));
    home_close(&first);
    assert_int_equal(home_open(*state, &second, NULL), 0);
    home_close(&second);
}

static void test_what_no_agent_wrote(void **state)
{
    static const struct {
        const char *name, *text;
    } bad[] = {{"identity", ""}, {"identity", "0123"}, {"identity", "0123456789abcdef0123456789abcdeX\n"},
               {"identity", "0123456789abcdef0123456789abcdef0\n"}, {"epoch", "-1\n"}, {"epoch", ""}, {"epoch", "99999999999999999999999"}};
    struct home home;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        const char *path = below(*state, bad[i].name);
        assert_int_equal(fs_write_atomic(path, bad[i].text, strlen(bad[i].text), 0600, NULL), 0);
        assert_int_equal(home_open(*state, &home, &err), ERR_STORE_CORRUPT);
        assert_non_null(strstr(err.text, bad[i].name));
        assert_int_equal(unlink(below(*state, bad[i].name)), 0);
    }
}

static uint64_t amount(const struct resource_need *needs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(needs[i].name, name))
            return needs[i].amount;
    }
    return 0;
}

static void test_capacity(void **state)
{
    struct arena arena = {0};
    size_t n = 0;
    const struct resource_need *needs = detect_capacity(&arena, *state, NULL, 0, &n);
    uint64_t cpu = amount(needs, n, "cpu"), memory = amount(needs, n, "memory");
    assert_true(cpu >= 100 && cpu <= (uint64_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000);
    assert_true(memory > 1 << 20 && memory < (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    assert_true(amount(needs, n, "disk") > 0);
    struct resource_need given[] = {{"licence", 3}, {"cpu", 500}, {"disk", 0}, {"cpu", 700}};
    needs = detect_capacity(&arena, *state, given, 4, &n);
    assert_int_equal(amount(needs, n, "cpu"), 700);
    assert_int_equal(amount(needs, n, "licence"), 3);
    assert_int_equal(amount(needs, n, "disk"), 0);
    assert_int_equal(amount(needs, n, "memory"), memory);
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(needs[i - 1].name, needs[i].name) < 0);
    arena_release(&arena);
}

static void test_labels(void **state)
{
    struct arena arena = {0};
    struct pair given[] = {{"zone", "a"}, {"hostname", "mine"}, {"abc", ""}};
    size_t n = 0;
    const struct pair *labels = detect_labels(&arena, given, 3, &n);
    assert_int_equal(n, 6);
    static const struct pair want[] = {{"abc", ""}, {"arch", NULL}, {"hostname", "mine"}, {"kernel", NULL}, {"os", "linux"}, {"zone", "a"}};
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(labels[i].key, want[i].key);
        if (want[i].value != NULL)
            assert_string_equal(labels[i].value, want[i].value);
        else
            assert_true(labels[i].value[0] != '\0');
    }
    assert_true(detect_hostname(&arena)[0] != '\0');
    assert_null(strchr(detect_boot_id(&arena), '\n'));
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_identity_and_epoch_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_no_agent_wrote, setup, teardown),
        cmocka_unit_test_setup_teardown(test_capacity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_labels, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
