// SPDX-License-Identifier: Apache-2.0
// The contract of executors over the spawner: limits of memory, processes and output, users, leases, full disks.

#include "exec_world.h"

#include <ftw.h>
#include <pwd.h>

static int set_up(void **state)
{
    struct world *world = world_new();
    world_attach(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

static void need_root(void)
{
    if (geteuid() != 0) {
        print_message("skipped: only root may do this\n");
        skip();
    }
}

// Tests of what only cgroups can do.
static void need_cgroups(struct world *world)
{
    const char *const *sentences;
    size_t n = world->executor->ops->warnings(world->executor, &sentences);
    for (size_t i = 0; i < n; i++) {
        if (strstr(sentences[i], "cgroup") != NULL) {
            print_message("skipped: %s\n", sentences[i]);
            skip();
        }
    }
}


static void test_memory_limit(void **state)
{
    struct world *world = *state;
    need_cgroups(world);
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=300M count=1"};
    spec_shell(&spec, argv);
    const struct resource_need needs[] = {{"cpu", 1000}, {"memory", 64 << 20}};
    spec.needs = needs;
    spec.n_needs = 2;
    for (int i = 0; i < 3; i++) { // in a group that is used again, too
        const struct told *told = world_end(world, world_start_spec(world, &spec));
        assert_int_equal(told->end.outcome, OUTCOME_OOM);
        assert_int_equal(told->end.signal, SIGKILL);
        assert_non_null(strstr(told->message, "memory limit of 64MiB exceeded (peak 6"));
        assert_true(told->end.usage.memory_peak_bytes <= 64 << 20);
        assert_true(told->end.usage.memory_peak_bytes > 60 << 20);
        // The next one in the same group does well, and its peak is its own.
        const char *const small[3] = {"/bin/sh", "-c", "exit 0"};
        spec.command = small;
        told = world_end(world, world_start_spec(world, &spec));
        assert_int_equal(told->end.outcome, OUTCOME_SUCCEEDED);
        assert_true(told->end.usage.memory_peak_bytes < 16 << 20);
        spec.command = argv;
    }
}

static void test_memory_limit_ends_the_whole_task(void **state)
{
    struct world *world = *state;
    need_cgroups(world);
    struct job_spec spec;
    // The process that breaks the limit is not the first one, which would go on for a minute.
    const char *const argv[3] = {"/bin/sh", "-c", "(dd if=/dev/zero of=/dev/null bs=300M count=1) & wait; sleep 60"};
    spec_shell(&spec, argv);
    const struct resource_need needs[] = {{"cpu", 1000}, {"memory", 32 << 20}};
    spec.needs = needs;
    spec.n_needs = 2;
    const struct told *told = world_end(world, world_start_spec(world, &spec));
    assert_int_equal(told->end.outcome, OUTCOME_OOM);
    assert_true(told->end.wall_usec < 20 * USEC_PER_SEC);
}

static void test_process_limit(void **state)
{
    struct world *world = *state;
    need_cgroups(world);
    world_detach(world);
    world->limits.value[LIMIT_TASK_PIDS] = 20;
    world_attach(world);
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 60"};
    spec_shell(&spec, argv);
    spec.time_limit_usec = USEC_PER_SEC;
    spec.kill_grace_usec = 100000;
    uint64_t fence = world_start_spec(world, &spec);
    // Others are not disturbed.
    assert_int_equal(world_run(world, "exit 0")->end.outcome, OUTCOME_SUCCEEDED);
    const struct told *told = world_end(world, fence);
    assert_true(told->end.outcome == OUTCOME_TIMEOUT || told->end.outcome == OUTCOME_EXIT);
    assert_true(told->end.wall_usec < 10 * USEC_PER_SEC);
}

static void test_cpu_quota(void **state)
{
    struct world *world = *state;
    need_cgroups(world);
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "while :; do :; done"};
    spec_shell(&spec, argv);
    const struct resource_need needs[] = {{"cpu", 100}};
    spec.needs = needs;
    spec.n_needs = 1;
    spec.cpu_declared = true;
    spec.time_limit_usec = 2 * USEC_PER_SEC;
    const struct told *told = world_end(world, world_start_spec(world, &spec));
    assert_int_equal(told->end.outcome, OUTCOME_TIMEOUT);
    assert_true(told->end.usage.cpu_usec < 600000); // a tenth of a core for two seconds, with room
    assert_true(told->end.usage.cpu_usec > 20000);
}

static void test_user(void **state)
{
    need_root();
    struct world *world = *state;
    struct passwd *nobody = getpwnam("nobody");
    if (nobody == NULL)
        skip();
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "id -u; id -g; id -G; echo $USER; touch here && stat -c %u . here; grep Cap /proc/self/status | sort -u | cut -f2 | head -1; cat /proc/1/environ 2>/dev/null; kill -0 $PPID 2>/dev/null && echo may kill the spawner; exit 0"};
    spec_shell(&spec, argv);
    spec.user = "nobody";
    // The folder of this test is closed to others; only the working directory itself is reached.
    uint64_t fence = world_start_spec(world, &spec);
    assert_int_equal(world_end(world, fence)->end.outcome, OUTCOME_SUCCEEDED);
    char expected[200];
    snprintf(expected, sizeof(expected), "%u\n%u\n%u\nnobody\n%u\n%u\n0000000000000000\n", nobody->pw_uid, nobody->pw_gid, nobody->pw_gid, nobody->pw_uid,
             nobody->pw_uid);
    cleanup_buf struct buf text = {0};
    uint64_t offset, end;
    bool final;
    assert_int_equal(world_log(world, fence, LOG_STDOUT, 0, &text, &offset, &end, &final), 0);
    // The bounding set is the kernel's; only the sets that give anything count, and the smallest of them comes first.
    assert_string_equal(text.data, expected);
    // A script of that user runs too.
    spec.command = NULL;
    spec.n_command = 0;
    spec.script = "#!/bin/sh\nid -un\n";
    fence = world_start_spec(world, &spec);
    assert_int_equal(world_end(world, fence)->end.outcome, OUTCOME_SUCCEEDED);
    assert_log(world, fence, LOG_STDOUT, "nobody\n");
}

// As under `up` by root: the data folder lies in one that is closed to others.
static void test_user_below_a_closed_folder(void **state)
{
    need_root();
    struct world *world = *state;
    if (getpwnam("nobody") == NULL)
        skip();
    world_free(world);
    world = *state = world_new();
    char closed[256];
    snprintf(closed, sizeof(closed), "%s", world->folder);
    must(strlen(world->folder) + strlen("/agent") < sizeof(world->folder));
    memcpy(world->folder + strlen(world->folder), "/agent", sizeof("/agent"));
    must(mkdir(world->folder, 0700) == 0);
    world_attach(world);
    struct job_spec spec;
    job_spec_init(&spec);
    spec.script = "f=$(mktemp) && echo kept > $f && cat $f && dirname $f && [ $(dirname $f) = $TMPDIR ]\n";
    spec.user = "nobody";
    uint64_t fence = world_start_spec(world, &spec);
    const struct told *told = world_end(world, fence);
    if (told->end.outcome != OUTCOME_SUCCEEDED)
        fail_msg("%s %s", outcome_name(told->end.outcome), told->message);
    cleanup_buf struct buf text = {0};
    uint64_t offset, end;
    bool final;
    assert_int_equal(world_log(world, fence, LOG_STDOUT, 0, &text, &offset, &end, &final), 0);
    assert_int_equal(strncmp(text.data, "kept\n/var/tmp/muster-", 21), 0);
    text.data[text.len - 1] = '\0';
    assert_true(world_until(world, access(text.data + 5, F_OK) < 0, 5 * USEC_PER_SEC));
    // Nothing of it stays.
    char base[64];
    snprintf(base, sizeof(base), "%.32s", text.data + 5);
    world_free(world);
    assert_int_equal(access(base, F_OK), -1);
    (void)fs_remove_tree(closed, NULL);
    *state = world_new();
    world_attach(*state);
}

static void test_output_keeps_the_newest(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do printf '%09d\\n' $i; i=$((i+1)); done"};
    spec_shell(&spec, argv);
    spec.log_bytes_max = 40000;
    uint64_t fence = world_start_spec(world, &spec);
    assert_int_equal(world_end(world, fence)->end.usage.output_bytes, 200000);
    cleanup_buf struct buf text = {0};
    uint64_t offset, end;
    bool final;
    assert_int_equal(world_log(world, fence, LOG_STDOUT, 0, &text, &offset, &end, &final), 0);
    assert_true(final);
    assert_int_equal(end, 200000);
    assert_int_equal(offset + text.len, end);
    assert_true(text.len <= 40000 && text.len >= 30000);
    char first[24];
    snprintf(first, sizeof(first), "%09" PRIu64 "\n", offset / 10);
    assert_int_equal(offset % 10, 0);
    assert_memory_equal(text.data, first, 10);
    // From the middle, with the true offset.
    buf_clear(&text);
    assert_int_equal(world_log(world, fence, LOG_STDOUT, 199990, &text, &offset, &end, &final), 0);
    assert_string_equal(text.data, "000019999\n");
    assert_int_equal(offset, 199990);
}

static uint64_t counted_bytes;

static int count_bytes(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)path;
    (void)where;
    counted_bytes += type == FTW_F ? (uint64_t)st->st_size : 0;
    return 0;
}

static uint64_t folder_bytes(const char *folder)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/logs", folder);
    counted_bytes = 0;
    (void)nftw(path, count_bytes, 16, FTW_PHYS);
    return counted_bytes;
}

static void test_flood_does_not_starve_others(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "exec cat /dev/zero"};
    spec_shell(&spec, argv);
    spec.log_bytes_max = 1 << 20;
    spec.kill_grace_usec = 100000;
    uint64_t fence = world_start_spec(world, &spec);
    assert_true(world_until(world, world->told[fence].started > 0, 5 * USEC_PER_SEC));
    usec_t begun = clock_mono_usec();
    for (int i = 0; i < 20; i++)
        assert_int_equal(world_run(world, "echo hello")->end.outcome, OUTCOME_SUCCEEDED);
    assert_true(clock_mono_usec() - begun < 10 * USEC_PER_SEC);
    assert_int_equal(world->told[fence].ended, 0);
    world->executor->ops->stop(world->executor, fence, OUTCOME_CANCELLED);
    const struct told *told = world_end(world, fence);
    assert_true(told->end.usage.output_bytes > 2 << 20);
    assert_true(folder_bytes(world->folder) < 3 << 20);
}

static void test_old_logs_make_room(void **state)
{
    struct world *world = *state;
    world_detach(world);
    world->limits.value[LIMIT_LOG_TOTAL] = 2 << 20;
    world_attach(world);
    uint64_t first = 0, last = 0;
    for (int i = 0; i < 8; i++) {
        last = world_start(world, "head -c 500000 /dev/zero");
        first = first == 0 ? last : first;
        world_end(world, last);
    }
    assert_true(world_until(world, folder_bytes(world->folder) < (2 << 20) + 300000, 10 * USEC_PER_SEC));
    struct buf text = {0};
    uint64_t offset, end;
    bool final;
    assert_int_equal(world_log(world, first, LOG_STDOUT, 0, &text, &offset, &end, &final), ERR_NOT_FOUND);
    assert_int_equal(world_log(world, last, LOG_STDOUT, 0, &text, &offset, &end, &final), 0);
    assert_int_equal(text.len, 500000);
    buf_release(&text);
}

static void test_lease_runs_out(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"};
    spec_shell(&spec, argv);
    spec.delivery = AT_MOST_ONCE;
    spec.kill_grace_usec = 60 * USEC_PER_SEC; // longer than the lease, which wins
    cleanup_buf struct buf packed = {0};
    spec_pack(&packed, &spec);
    usec_t until = clock_boot_usec() + 2 * USEC_PER_SEC;
    struct exec_start start = {.fence = 50, .run_id = 1, .n_tasks = 1, .attempt = 1, .spec = &spec,
                               .packed = {.data = (const uint8_t *)packed.data, .len = packed.len}, .lease_until_boot_usec = until};
    world->executor->ops->start(world->executor, &start);
    world_pause(world, 500000);
    until += USEC_PER_SEC;
    world->executor->ops->renew(world->executor, until);
    uint64_t other = world_start(world, "sleep 30"); // at_least_once: it stays
    const struct told *told = world_end(world, 50);
    assert_int_equal(told->end.outcome, OUTCOME_LEASE);
    assert_true(clock_boot_usec() < until);
    assert_true(clock_boot_usec() > until - 2 * USEC_PER_SEC);
    assert_int_equal(world->told[other].ended, 0);
    // Nothing of that class starts without a lease.
    start.fence = 51;
    start.lease_until_boot_usec = clock_boot_usec();
    world->executor->ops->start(world->executor, &start);
    assert_int_equal(world_end(world, 51)->end.outcome, OUTCOME_NOT_STARTED);
    world->executor->ops->stop(world->executor, other, OUTCOME_CANCELLED);
    world_end(world, other);
}

static void test_full_disk(void **state)
{
    need_root();
    struct world *world = *state;
    world_free(world);
    world = *state = world_new();
    if (mount("none", world->folder, "tmpfs", 0, "size=4m") < 0) {
        world_attach(world);
        print_message("skipped: no tmpfs may be mounted here\n");
        skip();
    }
    world_attach(world);
    char line[800];
    snprintf(line, sizeof(line), "echo begin; sleep 0.5; head -c 9000000 /dev/zero > %s/ballast 2>/dev/null; head -c 200000 /dev/zero; rm %s/ballast; sleep 1.2; echo end", world->folder,
             world->folder);
    uint64_t fence = world_start(world, line);
    const struct told *told = world_end(world, fence);
    assert_int_equal(told->end.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(told->end.usage.output_bytes, 6 + 200000 + 4);
    assert_non_null(strstr(told->message, "could not be kept"));
    cleanup_buf struct buf text = {0};
    uint64_t offset, end;
    bool final;
    assert_int_equal(world_log(world, fence, LOG_STDOUT, 0, &text, &offset, &end, &final), 0);
    assert_int_equal(end, 200010);
    assert_true(final);
    assert_memory_equal(text.data, "begin\n", 6);
    buf_clear(&text);
    assert_int_equal(world_log(world, fence, LOG_STDOUT, 150000, &text, &offset, &end, &final), 0);
    assert_int_equal(offset, 200006); // the gap shows
    assert_string_equal(text.data, "end\n");
    // Full: nothing new starts, and that is said.
    snprintf(line, sizeof(line), "%s/ballast", world->folder);
    int fd = open(line, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char block[4096] = {1};
    while (write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
        continue;
    while (write(fd, block, 1) == 1)
        continue;
    told = world_run(world, "exit 0");
    // What is reserved of the journal may still be enough for it.
    assert_true(told->end.outcome == OUTCOME_NOT_STARTED || told->end.outcome == OUTCOME_SUCCEEDED || told->end.outcome == OUTCOME_SPAWN);
    close_fd(fd);
    unlink(line);
    assert_int_equal(world_run(world, "exit 0")->end.outcome, OUTCOME_SUCCEEDED);
    world_detach(world);
    assert_true(({
        int i = 0;
        for (; i < 300 && umount(world->folder) < 0; i++)
            usleep(20000);
        i < 300;
    }));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_memory_limit),
        TEST(test_memory_limit_ends_the_whole_task),
        TEST(test_process_limit),
        TEST(test_cpu_quota),
        TEST(test_user),
        TEST(test_user_below_a_closed_folder),
        TEST(test_output_keeps_the_newest),
        TEST(test_flood_does_not_starve_others),
        TEST(test_old_logs_make_room),
        TEST(test_lease_runs_out),
        TEST(test_full_disk),
    };
    return cmocka_run_group_tests_name("executor limits", tests, NULL, NULL);
}
