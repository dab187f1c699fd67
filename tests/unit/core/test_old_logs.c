// SPDX-License-Identifier: Apache-2.0
// Logs and snapshots that older builds have written are read by this one, and give the state that those builds had: tests/unit/core/old.
#include <stdio.h>

#include "base/tz.h"
#include "model/limits.h"
#include "tests/unit/core/digest.h"
#include "tests/unit/test.h"

static const char *const names[] = {"01f8223-crash", "01f8223-cron"};

static struct limits limits;

static char *read_file(const char *name, const char *what, size_t *ret_len)
{
    char path[512];
    const char *root = getenv("MUSTER_SOURCE_DIR");
    snprintf(path, sizeof(path), "%s/tests/unit/core/old/%s.%s", root != NULL ? root : ".", name, what);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *data = mem_alloc(1 << 20);
    *ret_len = fread(data, 1, (1 << 20) - 1, file);
    assert_true(*ret_len > 0 && feof(file));
    fclose(file);
    return data;
}

static struct core *new_core(void)
{
    limits_init(&limits);
    return core_new(&(struct core_options){.limits = &limits, .find_zone = tz_finder, .seed = 1});
}

static void check_state(const struct core *core, const char *name)
{
    size_t len = 0;
    char *expected = read_file(name, "expect", &len), *is = digest_core(core);
    core_check(core);
    assert_string_equal(is, expected);
    mem_free(expected);
    mem_free(is);
}

static void test_logs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        size_t len = 0;
        char *data = read_file(names[i], "log", &len);
        struct bytes bytes = {(const uint8_t *)data, len};
        struct core *core = new_core();
        struct arena arena;
        arena_init(&arena, 4096);
        while (bytes.len > 0) {
            struct record *record = NULL;
            assert_int_equal(record_unpack(&bytes, &arena, &record, NULL), 0);
            core_apply(core, record);
            arena_clear(&arena);
        }
        check_state(core, names[i]);
        arena_release(&arena);
        core_free(core);
        mem_free(data);
    }
}

static int load(void *context, const struct snapshot_item *item)
{
    core_load(context, item);
    return 0;
}

static void test_snapshots(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        size_t len = 0;
        char *data = read_file(names[i], "snapshot", &len);
        struct core *core = new_core();
        assert_int_equal(snapshot_unpack((struct bytes){(const uint8_t *)data, len}, load, core, NULL), 0);
        core_load_done(core);
        check_state(core, names[i]);
        core_free(core);
        mem_free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
