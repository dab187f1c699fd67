// SPDX-License-Identifier: Apache-2.0
// The contract of executors over the spawner: what happens when the agent, the spawner or its files go away. Run as root it runs a second
// time as nobody, where there are no cgroups.

#include "exec_world.h"

#include <grp.h>
#include <pwd.h>

#include "exec/cgroup.h"

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

static size_t count_processes(const char *marker)
{
    size_t found = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char name[300], text[512] = "";
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        snprintf(name, sizeof(name), "/proc/%.20s/cmdline", entry->d_name);
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
        close_fd(fd);
        found += n > 0 && memmem(text, (size_t)n, marker, strlen(marker)) != NULL;
    }
    closedir(dir);
    return found;
}

// A number of seconds that no other process sleeps.
static const char *marker(void)
{
    static char text[32];
    snprintf(text, sizeof(text), "97.%06d", (int)getpid());
    return text;
}

static void test_agent_goes_and_comes_back(void **state)
{
    struct world *world = *state;
    char instance[64];
    snprintf(instance, sizeof(instance), "%s", world->executor->ops->instance(world->executor));
    uint64_t quick = world_start(world, "exit 6"), slow = world_start(world, "sleep 1; exit 9"), slower = world_start(world, "sleep 2; exit 8");
    world_end(world, quick);
    assert_true(world_until(world, world->told[slower].started > 0 && world->told[slow].started > 0, 5 * USEC_PER_SEC));
    world_detach(world);
    usleep(1300000); // longer than an idle spawner stays; slow ends meanwhile
    memset(world->told, 0, WORLD_ATTEMPTS * sizeof(struct told));
    world_attach(world);
    assert_string_equal(world->executor->ops->instance(world->executor), instance);
    assert_int_equal(world_end(world, quick)->end.exit_code, 6); // told again: nobody forgot it
    assert_int_equal(world_end(world, slow)->end.exit_code, 9);
    assert_int_equal(world_end(world, slower)->end.exit_code, 8);
    assert_int_equal(world->resets, 0);
    world->executor->ops->forget(world->executor, quick);
    world_pause(world, 100000);
    world_detach(world);
    memset(world->told, 0, WORLD_ATTEMPTS * sizeof(struct told));
    world_attach(world);
    assert_int_equal(world_end(world, slow)->end.exit_code, 9);
    assert_int_equal(world->told[quick].ended, 0);
}

static void test_ends_outlive_an_idle_spawner(void **state)
{
    struct world *world = *state;
    uint64_t fence = world_start(world, "exit 6");
    world_end(world, fence);
    world_detach(world);
    for (int i = 0; i < 500 && world_spawner(world) != 0; i++)
        usleep(10000);
    assert_int_equal(world_spawner(world), 0);
    memset(world->told, 0, WORLD_ATTEMPTS * sizeof(struct told));
    world_attach(world);
    const struct told *told = world_end(world, fence);
    assert_int_equal(told->end.outcome, OUTCOME_EXIT);
    assert_int_equal(told->end.exit_code, 6);
}

static void test_time_limit_without_an_agent(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "sleep 60"};
    spec_shell(&spec, argv);
    spec.time_limit_usec = 500000;
    spec.kill_grace_usec = 100000;
    uint64_t fence = world_start_spec(world, &spec);
    assert_true(world_until(world, world->told[fence].started > 0, 5 * USEC_PER_SEC));
    world_detach(world);
    usleep(1000000);
    world_attach(world);
    const struct told *told = world_end(world, fence);
    assert_int_equal(told->end.outcome, OUTCOME_TIMEOUT);
    assert_true(told->end.wall_usec < 900000);
}

static void test_spawner_is_killed(void **state)
{
    struct world *world = *state;
    char line[300], instance[64];
    snprintf(instance, sizeof(instance), "%s", world->executor->ops->instance(world->executor));
    // Children in the background, and one that left the session.
    snprintf(line, sizeof(line), "sleep %s & setsid sleep %s & echo up; sleep %s", marker(), marker(), marker());
    uint64_t ended = world_start(world, "exit 6");
    world_end(world, ended);
    uint64_t lost[5];
    for (int i = 0; i < 5; i++)
        lost[i] = world_start(world, line);
    assert_true(world_until(world, count_processes(marker()) >= 15, 10 * USEC_PER_SEC));
    struct buf text = {0};
    uint64_t offset, end;
    bool final;
    assert_true(world_until(world, world_log(world, lost[0], LOG_STDOUT, 0, &text, &offset, &end, &final) == 0 && text.len > 0, 10 * USEC_PER_SEC));
    assert_false(final);
    buf_release(&text);
    assert_int_equal(kill(world_spawner(world), SIGKILL), 0);
    assert_true(world_until(world, world->resets > 0, 20 * USEC_PER_SEC));
    assert_int_equal(count_processes(marker()), 0); // gone before it is told
    assert_string_not_equal(world->instance, instance);
    assert_string_equal(world->instance, world->executor->ops->instance(world->executor));
    for (int i = 0; i < 5; i++) {
        const struct told *told = world_end(world, lost[i]);
        assert_int_equal(told->end.outcome, OUTCOME_LOST);
        assert_non_null(strstr(told->message, "spawner"));
    }
    assert_int_equal(world->told[ended].end.exit_code, 6);
    // The output that was written is there and complete.
    assert_log(world, lost[0], LOG_STDOUT, "up\n");
    assert_int_equal(world_run(world, "exit 5")->end.exit_code, 5);
    // The fence of an attempt that was lost is not started again.
    world->next_fence = lost[0];
    (void)world_start(world, "exit 0");
    world_pause(world, 300000);
    assert_int_equal(world->told[lost[0]].end.outcome, OUTCOME_LOST);
}

// With a disk on which each sync takes longer than an idle spawner would stay, it is there all the same, and comes again.
static void test_slow_disk(void **state)
{
    struct world *world = *state;
    char program[600];
    snprintf(program, sizeof(program), "%s-slow", test_program());
    world_free(world);
    world = *state = world_new();
    world->program = program;
    world_attach(world);
    uint64_t fence = world_start(world, "sleep 60");
    assert_true(world_until(world, world->told[fence].started > 0, 20 * USEC_PER_SEC));
    assert_int_equal(kill(world_spawner(world), SIGKILL), 0);
    assert_int_equal(world_end(world, fence)->end.outcome, OUTCOME_LOST);
    assert_int_equal(world_run(world, "exit 5")->end.exit_code, 5);
    // Two were started, and none of them left before its agent came.
    char path[320];
    snprintf(path, sizeof(path), "%s/spawner.log", world->folder);
    cleanup_buf struct buf text = {0};
    assert_int_equal(fs_read(path, 1 << 20, &text, NULL), 0);
    int started = 0;
    for (const char *p = text.data; (p = strstr(p, "spawner runs")) != NULL; p++)
        started++;
    assert_int_equal(started, 2);
    world_detach(world); // before the name of the program goes out of scope
}

static void test_both_are_killed(void **state)
{
    struct world *world = *state;
    char line[300];
    snprintf(line, sizeof(line), "sleep %s & sleep %s", marker(), marker());
    uint64_t fence = world_start(world, line), other = world_start(world, "exit 6");
    world_end(world, other);
    assert_true(world_until(world, count_processes(marker()) >= 2, 10 * USEC_PER_SEC));
    kill(world_spawner(world), SIGKILL);
    world_detach(world);
    memset(world->told, 0, WORLD_ATTEMPTS * sizeof(struct told));
    world_attach(world);
    assert_int_equal(world_end(world, fence)->end.outcome, OUTCOME_LOST);
    assert_int_equal(world_end(world, other)->end.exit_code, 6);
    assert_int_equal(count_processes(marker()), 0);
}

// Moves this process, and so whatever it starts, into a group of its own in every hierarchy, or back. False when that may not be done.
static bool move_to_group(const struct cgroup_paths *paths, const char *name)
{
    bool moved = false;
    for (int i = 0; i < CGROUP_TREES; i++) {
        char path[800];
        if (paths->path[i][0] == '\0')
            continue;
        snprintf(path, sizeof(path), "%s/%s", paths->path[i], name);
        if (name[0] != '\0' && mkdir(path, 0755) < 0)
            return false;
        snprintf(path, sizeof(path), "%s/%s/cgroup.procs", paths->path[i], name);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        moved = fd >= 0 && write(fd, "0", 1) == 1;
        close_fd(fd);
        if (!moved)
            return false;
    }
    return moved;
}

// The next spawner runs in another control group than the one that was killed, as after a restart from another session.
static void test_spawner_of_another_group(void **state)
{
    struct world *world = *state;
    struct buf mounts = {0}, self = {0};
    must(fs_read("/proc/self/mountinfo", 1 << 20, &mounts, NULL) == 0 && fs_read("/proc/self/cgroup", 1 << 20, &self, NULL) == 0);
    struct cgroup_paths paths;
    cgroup_paths_parse(mounts.data, self.data, &paths);
    // At once: skip() leaves without what ends a scope.
    buf_release(&mounts);
    buf_release(&self);
    world_free(world);
    char name[64];
    snprintf(name, sizeof(name), "muster-test-%d", (int)getpid());
    bool moved = move_to_group(&paths, name);
    world = *state = world_new();
    world_attach(world);
    if (moved)
        assert_true(move_to_group(&paths, ""));
    char line[300];
    snprintf(line, sizeof(line), "setsid sleep %s & sleep %s", marker(), marker());
    uint64_t fence = world_start(world, line);
    assert_true(world_until(world, count_processes(marker()) >= 2, 10 * USEC_PER_SEC));
    assert_int_equal(kill(world_spawner(world), SIGKILL), 0);
    assert_int_equal(world_end(world, fence)->end.outcome, OUTCOME_LOST);
    assert_int_equal(count_processes(marker()), 0);
    for (int i = 0; i < CGROUP_TREES; i++) {
        char path[900];
        if (paths.path[i][0] == '\0')
            continue;
        cleanup_dir DIR *dir = NULL;
        snprintf(path, sizeof(path), "%s/%s", paths.path[i], name);
        dir = opendir(path);
        for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
            if (str_starts(entry->d_name, "muster-"))
                (void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
        (void)rmdir(path);
    }
    if (!moved) {
        print_message("skipped in part: this user may not make control groups\n");
        skip();
    }
}

static void test_spawner_is_killed_under_load(void **state)
{
    struct world *world = *state;
    // Every attempt leaves evidence outside; what is told must agree with it.
    char line[400];
    snprintf(line, sizeof(line), "echo $MUSTER_FENCE >> %s/evidence", world->folder);
    uint64_t first = world->next_fence;
    char stays[500];
    snprintf(stays, sizeof(stays), "%s; sleep 60", line);
    for (int round = 0; round < 4; round++) {
        // However fast or slow the machine is: one runs when the spawner is killed, and what is ordered behind a reset is done.
        uint64_t running = world_start(world, stays);
        assert_true(world_until(world, world->told[running].started > 0, 20 * USEC_PER_SEC));
        for (int i = 0; i < 100; i++)
            (void)world_start(world, line);
        world_pause(world, 40000 + 30000 * round);
        assert_int_equal(kill(world_spawner(world), SIGKILL), 0);
        assert_true(world_until(world, world->resets > round, 20 * USEC_PER_SEC));
        assert_int_equal(world->resets, round + 1);
        assert_int_equal(world_end(world, running)->end.outcome, OUTCOME_LOST);
        for (int i = 0; i < 20; i++)
            assert_int_equal(world_run(world, line)->end.outcome, OUTCOME_SUCCEEDED);
    }
    uint64_t behind = world->next_fence;
    for (uint64_t fence = first; fence < behind; fence++)
        (void)world_end(world, fence);
    char path[320];
    snprintf(path, sizeof(path), "%s/evidence", world->folder);
    cleanup_buf struct buf text = {0};
    assert_int_equal(fs_read(path, 1 << 20, &text, NULL), 0);
    int *seen = mem_alloc_array(behind, sizeof(int));
    for (char *p = text.data; *p != '\0'; p = strchr(p, '\n') + 1) {
        uint64_t fence = strtoull(p, NULL, 10);
        assert_true(fence >= first && fence < behind);
        seen[fence]++;
    }
    size_t good = 0, lost = 0, unstarted = 0;
    for (uint64_t fence = first; fence < behind; fence++) {
        enum outcome outcome = world->told[fence].end.outcome;
        assert_true(seen[fence] <= 1);
        if (outcome == OUTCOME_SUCCEEDED)
            assert_int_equal(seen[fence], 1);
        else if (outcome == OUTCOME_NOT_STARTED)
            assert_int_equal(seen[fence], 0);
        else
            assert_true(outcome == OUTCOME_LOST);
        good += outcome == OUTCOME_SUCCEEDED;
        lost += outcome == OUTCOME_LOST;
        unstarted += outcome == OUTCOME_NOT_STARTED;
    }
    mem_free(seen);
    print_message("%zu succeeded, %zu lost, %zu not started\n", good, lost, unstarted);
    assert_true(good >= 80 && lost >= 4);
}

static void spoil(struct world *world, off_t at, bool cut)
{
    char path[320];
    snprintf(path, sizeof(path), "%s/spool/journal", world->folder);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        fail_msg("open %s: %s", path, strerror(errno));
    struct stat st;
    must(fstat(fd, &st) == 0);
    if (cut)
        must(ftruncate(fd, st.st_size - 3) == 0);
    else
        must(pwrite(fd, "spoiled", 7, at) == 7);
    close_fd(fd);
}

static void test_damaged_journal(void **state)
{
    struct world *world = *state;
    uint64_t first = world_start(world, "exit 1");
    world_end(world, first);
    uint64_t second = world_start(world, "exit 2");
    world_end(world, second);
    world_detach(world);
    for (int i = 0; i < 500 && world_spawner(world) != 0; i++)
        usleep(10000);
    spoil(world, 120, false); // in the middle
    memset(world->told, 0, WORLD_ATTEMPTS * sizeof(struct told));
    world_attach(world);
    assert_int_equal(world_end(world, second)->end.exit_code, 2);
    assert_int_equal(world_run(world, "exit 3")->end.exit_code, 3);
    char spool[320];
    snprintf(spool, sizeof(spool), "%s/spool", world->folder);
    DIR *dir = opendir(spool);
    size_t kept = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        kept += str_starts(entry->d_name, "journal.damaged.");
    closedir(dir);
    assert_int_equal(kept, 1);
    // Garbage altogether: it starts all the same.
    world_detach(world);
    for (int i = 0; i < 500 && world_spawner(world) != 0; i++)
        usleep(10000);
    spoil(world, 0, false);
    world_attach(world);
    assert_int_equal(world_run(world, "exit 4")->end.exit_code, 4);
}

static void test_torn_journal(void **state)
{
    struct world *world = *state;
    uint64_t first = world_start(world, "exit 1");
    world_end(world, first);
    uint64_t second = world_start(world, "exit 2");
    world_end(world, second);
    world_detach(world);
    for (int i = 0; i < 500 && world_spawner(world) != 0; i++)
        usleep(10000);
    spoil(world, 0, true);
    memset(world->told, 0, WORLD_ATTEMPTS * sizeof(struct told));
    world_attach(world);
    assert_int_equal(world_end(world, first)->end.exit_code, 1);
    assert_int_equal(world_end(world, second)->end.outcome, OUTCOME_LOST); // its end was what was torn off
}

static void test_one_spawner_per_folder(void **state)
{
    struct world *world = *state;
    uint64_t fence = world_start(world, "sleep 1; exit 3");
    assert_true(world_until(world, world->told[fence].started > 0, 5 * USEC_PER_SEC));
    // A second agent takes over the spawner that is there; the first loses it and then gets it back.
    struct world *second = mem_alloc(sizeof(*second));
    memcpy(second, world, sizeof(*second));
    second->told = mem_alloc_array(WORLD_ATTEMPTS, sizeof(struct told));
    world_attach(second);
    assert_string_equal(second->executor->ops->instance(second->executor), world->executor->ops->instance(world->executor));
    assert_int_equal(world_end(second, fence)->end.exit_code, 3);
    world_detach(second);
    mem_free(second->told);
    mem_free(second);
    assert_int_equal(world_end(world, fence)->end.exit_code, 3);
    assert_int_equal(world->resets, 0);
}

static int run_all(const char *name)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_agent_goes_and_comes_back),
        TEST(test_ends_outlive_an_idle_spawner),
        TEST(test_time_limit_without_an_agent),
        TEST(test_spawner_is_killed),
        TEST(test_slow_disk),
        TEST(test_both_are_killed),
        TEST(test_spawner_of_another_group),
        TEST(test_spawner_is_killed_under_load),
        TEST(test_damaged_journal),
        TEST(test_torn_journal),
        TEST(test_one_spawner_per_folder),
    };
    return _cmocka_run_group_tests(name, tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}

static void copy_program(const char *from, const char *to)
{
    cleanup_buf struct buf bytes = {0};
    must(fs_read(from, 256 << 20, &bytes, NULL) == 0);
    must(fs_write_atomic(to, bytes.data, bytes.len, 0755, NULL) == 0);
}

// The same as a user who may do nothing special. The programs are copied to where that user can reach them.
static int run_as_nobody(void)
{
    struct passwd *nobody = getpwnam("nobody");
    if (nobody == NULL)
        return 0;
    char folder[] = "/tmp/muster-nobody-XXXXXX", program[64], slow[80], slow_from[600];
    must(mkdtemp(folder) != NULL);
    snprintf(program, sizeof(program), "%s/spawner", folder);
    snprintf(slow, sizeof(slow), "%s-slow", program);
    snprintf(slow_from, sizeof(slow_from), "%s-slow", test_program());
    copy_program(test_program(), program);
    copy_program(slow_from, slow);
    must(chown(folder, nobody->pw_uid, nobody->pw_gid) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        must(setgroups(0, NULL) == 0 && setgid(nobody->pw_gid) == 0 && setuid(nobody->pw_uid) == 0);
        setenv("MUSTER_TEST_SPAWNER", program, 1);
        setenv("MUSTER_TEST_TMP", folder, 1);
        exit(run_all("executor survival as nobody") == 0 ? 0 : 1);
    }
    int status = 0;
    must(waitpid(pid, &status, 0) == pid);
    (void)fs_remove_tree(folder, NULL);
    return status;
}

int main(void)
{
    int failed = run_all("executor survival");
    if (geteuid() == 0)
        failed += run_as_nobody() != 0;
    return failed;
}
