// SPDX-License-Identifier: Apache-2.0
// The contract of executors over the spawner: starts, ends, environment, output, stops.

#include "exec_world.h"

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

static void test_exit_codes(void **state)
{
    struct world *world = *state;
    const struct told *good = world_run(world, "exit 0");
    assert_int_equal(good->end.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(good->started, 1);
    assert_int_equal(good->ended, 1);
    assert_true(good->end.start_usec > 0);
    const struct told *bad = world_run(world, "exit 7");
    assert_int_equal(bad->end.outcome, OUTCOME_EXIT);
    assert_int_equal(bad->end.exit_code, 7);
    const struct told *killed = world_run(world, "kill -SEGV $$");
    assert_int_equal(killed->end.outcome, OUTCOME_SIGNAL);
    assert_int_equal(killed->end.signal, SIGSEGV);
    assert_non_null(strstr(killed->message, "signal 11"));
}

static void test_wall_and_cpu_time(void **state)
{
    struct world *world = *state;
    const struct told *told = world_run(world, "sleep 0.3; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    assert_int_equal(told->end.outcome, OUTCOME_SUCCEEDED);
    assert_true(told->end.wall_usec >= 300000);
    assert_true(told->end.usage.cpu_usec >= 20000);
    assert_true(told->end.usage.cpu_usec <= (uint64_t)told->end.wall_usec);
    assert_true(told->end.usage.memory_peak_bytes > 100000);
}

static void test_output_is_kept_apart(void **state)
{
    struct world *world = *state;
    uint64_t fence = world_start(world, "echo to out; echo to err >&2; echo more");
    const struct told *told = world_end(world, fence);
    assert_int_equal(told->end.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(told->end.usage.output_bytes, 7 + 7 + 5);
    assert_log(world, fence, LOG_STDOUT, "to out\nmore\n");
    assert_log(world, fence, LOG_STDERR, "to err\n");
    uint64_t silent = world_start(world, "exit 0");
    world_end(world, silent);
    assert_log(world, silent, LOG_STDOUT, NULL);
}

static void test_output_is_read_while_it_grows(void **state)
{
    struct world *world = *state;
    uint64_t fence = world_start(world, "echo one; sleep 0.5; echo two");
    struct buf text = {0};
    uint64_t offset, end;
    bool final = true;
    // The file is there before what was written into it.
    assert_true(world_until(world, world_log(world, fence, LOG_STDOUT, 0, &text, &offset, &end, &final) == 0 && text.len > 0,
                            5 * USEC_PER_SEC));
    assert_string_equal(text.data, "one\n");
    assert_false(final);
    world_end(world, fence);
    buf_clear(&text);
    assert_int_equal(world_log(world, fence, LOG_STDOUT, end, &text, &offset, &end, &final), 0);
    assert_string_equal(text.data, "two\n");
    assert_int_equal(offset, 4);
    assert_true(final);
    buf_release(&text);
}

static void test_many(void **state)
{
    struct world *world = *state;
    enum { N = 500 };
    for (int i = 0; i < N; i++)
        (void)world_start(world, "exit 3");
    assert_true(world_until(world, world->n_ended >= N, 60 * USEC_PER_SEC));
    for (uint64_t fence = 1; fence <= N; fence++) {
        assert_int_equal(world->told[fence].ended, 1);
        assert_int_equal(world->told[fence].started, 1);
        assert_int_equal(world->told[fence].end.exit_code, 3);
    }
}

// Runs a line and returns what it wrote; freed by the caller.
static char *output_of(struct world *world, const struct job_spec *spec)
{
    uint64_t fence = world_start_spec(world, spec);
    const struct told *told = world_end(world, fence);
    if (told->end.outcome != OUTCOME_SUCCEEDED)
        fail_msg("%s %s", outcome_name(told->end.outcome), told->message);
    struct buf text = {0};
    uint64_t offset, end;
    bool final;
    buf_init(&text);
    (void)world_log(world, fence, LOG_STDOUT, 0, &text, &offset, &end, &final);
    return buf_detach(&text);
}

static void test_environment(void **state)
{
    struct world *world = *state;
    setenv("LEAKED_FROM_THE_AGENT", "1", 1);
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "env | sort"};
    spec_shell(&spec, argv);
    const struct pair env[] = {{"MUSTER_FENCE", "999"}, {"PATH", "/bin:/usr/bin"}, {"WITH_SPACE", "a b=c"}};
    spec.env = env;
    spec.n_env = 3;
    spec.name = "a-job";
    const struct resource_need needs[] = {{"cpu", 500}, {"memory", 64 << 20}};
    spec.needs = needs;
    spec.n_needs = 2;
    cleanup_free char *text = output_of(world, &spec);
    assert_null(strstr(text, "LEAKED"));
    static const char *const wanted[] = {"MUSTER_ATTEMPT=1\n", "MUSTER_CPU_MILLIS=500\n", "MUSTER_FENCE=1\n", "MUSTER_JOB=a-job\n",
                                         "MUSTER_MEMORY_BYTES=67108864\n", "MUSTER_NAMESPACE=default\n", "MUSTER_NODE=test-node\n",
                                         "MUSTER_RUN=1000\n", "MUSTER_TASKS=1\n", "MUSTER_TASK=1\n", "MUSTER_TASK_POSITION=0\n",
                                         "LANG=C.UTF-8\n", "PATH=/bin:/usr/bin\n", "HOME=/", "USER=", "LOGNAME=", "SHELL=/", "TMPDIR=/",
                                         "WITH_SPACE=a b=c\n"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (strstr(text, wanted[i]) == NULL)
            fail_msg("%s is not in the environment:\n%s", wanted[i], text);
}

static void test_only_three_descriptors(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 30 40; do [ -e /proc/$$/fd/$i ] && echo $i; done; readlink /proc/$$/fd/0; umask; cat; ulimit -c; grep -E 'Sig(Blk|Ign)|NoNewPrivs' /proc/self/status"};
    spec_shell(&spec, argv);
    cleanup_free char *text = output_of(world, &spec);
    if (strncmp(text, "0\n1\n2\n/dev/null\n", 16) != 0)
        fail_msg("descriptors are\n%s", text);
    static const char *const wanted[] = {"\n0022\n0\n", "SigBlk:\t0000000000000000\n", "SigIgn:\t0000000000000000\n", "NoNewPrivs:\t1\n"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (strstr(text, wanted[i]) == NULL)
            fail_msg("%s is not in\n%s", wanted[i], text);
}

static void test_own_folder(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "[ \"$PWD\" = \"$TMPDIR\" ] && stat -c %a . && ls -A . && mkdir -p a/b && echo x > a/b/c && ln -s / a/root && chmod 0 a/b && pwd"};
    spec_shell(&spec, argv);
    cleanup_free char *text = output_of(world, &spec);
    assert_int_equal(strncmp(text, "700\n/", 5), 0);
    text[strlen(text) - 1] = '\0';
    const char *folder = text + 4;
    assert_int_equal(strncmp(folder, world->folder, strlen(world->folder)), 0);
    // It is removed behind the attempt, and links are not followed.
    assert_true(world_until(world, access(folder, F_OK) < 0, 5 * USEC_PER_SEC));
    assert_int_equal(access("/bin/sh", X_OK), 0);
}

static void test_given_folder(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "pwd; [ -d \"$TMPDIR\" ]"};
    spec_shell(&spec, argv);
    spec.workdir = "/usr";
    cleanup_free char *text = output_of(world, &spec);
    assert_string_equal(text, "/usr\n");
    spec.workdir = "/does/not/exist";
    const struct told *told = world_end(world, world_start_spec(world, &spec));
    assert_int_equal(told->end.outcome, OUTCOME_SPAWN);
    assert_non_null(strstr(told->message, "'/does/not/exist': No such file"));
    assert_int_equal(told->started, 0);
    assert_int_equal(told->end.start_usec, 0);
}

static void test_exec_failures(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    job_spec_init(&spec);
    const char *missing[] = {"no-such-command"};
    spec.command = missing;
    spec.n_command = 1;
    const struct told *told = world_end(world, world_start_spec(world, &spec));
    assert_int_equal(told->end.outcome, OUTCOME_SPAWN);
    assert_string_equal(told->message, "command 'no-such-command' not found in PATH");
    const char *forbidden[] = {"/etc/passwd"};
    spec.command = forbidden;
    told = world_end(world, world_start_spec(world, &spec));
    assert_int_equal(told->end.outcome, OUTCOME_SPAWN);
    assert_string_equal(told->message, "execute '/etc/passwd': Permission denied");
    const char *found[] = {"true"};
    spec.command = found;
    assert_int_equal(world_end(world, world_start_spec(world, &spec))->end.outcome, OUTCOME_SUCCEEDED);
    spec.user = "no-such-user";
    told = world_end(world, world_start_spec(world, &spec));
    assert_int_equal(told->end.outcome, OUTCOME_SPAWN);
    assert_non_null(strstr(told->message, "no-such-user"));
}

static void test_scripts(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    job_spec_init(&spec);
    spec.script = "echo plain $0 | sed 's,/.*/,,'\n";
    cleanup_free char *plain = output_of(world, &spec);
    assert_string_equal(plain, "plain .muster-script\n");
    spec.script = "#!/bin/cat\nitself\n";
    cleanup_free char *itself = output_of(world, &spec);
    assert_string_equal(itself, "#!/bin/cat\nitself\n");
    spec.script = "#!/no/such/interpreter\n";
    const struct told *told = world_end(world, world_start_spec(world, &spec));
    assert_int_equal(told->end.outcome, OUTCOME_SPAWN);
    assert_non_null(strstr(told->message, "interpreter"));
}

static void test_stop_with_grace(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    // The process in the background gets the signal too.
    const char *const argv[3] = {"/bin/sh", "-c", "(trap 'echo child; exit 0' TERM; sleep 60 & wait) & trap 'wait; echo bye; exit 5' TERM; echo up; wait"};
    spec_shell(&spec, argv);
    uint64_t fence = world_start_spec(world, &spec);
    struct buf text = {0};
    uint64_t offset, end;
    bool final;
    // The file is there before what was written into it.
    assert_true(world_until(world, world_log(world, fence, LOG_STDOUT, 0, &text, &offset, &end, &final) == 0 && text.len > 0,
                            5 * USEC_PER_SEC));
    buf_release(&text);
    world_pause(world, 100000);
    world->executor->ops->stop(world->executor, fence, OUTCOME_CANCELLED);
    world->executor->ops->stop(world->executor, fence, OUTCOME_LEASE); // the first counts
    const struct told *told = world_end(world, fence);
    assert_int_equal(told->end.outcome, OUTCOME_CANCELLED);
    assert_int_equal(told->end.exit_code, 5);
    assert_log(world, fence, LOG_STDOUT, "up\nchild\nbye\n");
}

static void test_stop_kills_what_does_not_listen(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"};
    spec_shell(&spec, argv);
    spec.kill_grace_usec = 300000;
    uint64_t fence = world_start_spec(world, &spec);
    assert_true(world_until(world, world->told[fence].started > 0, 5 * USEC_PER_SEC));
    world_pause(world, 200000);
    usec_t asked = clock_mono_usec();
    world->executor->ops->stop(world->executor, fence, OUTCOME_CANCELLED);
    const struct told *told = world_end(world, fence);
    assert_int_equal(told->end.outcome, OUTCOME_CANCELLED);
    assert_int_equal(told->end.signal, SIGKILL);
    assert_true(told->ended_mono_usec - asked >= 300000);
    assert_true(told->ended_mono_usec - asked < 3 * USEC_PER_SEC);
}

static void test_time_limit(void **state)
{
    struct world *world = *state;
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", "exec sleep 60"};
    spec_shell(&spec, argv);
    spec.time_limit_usec = 300000;
    const struct told *told = world_end(world, world_start_spec(world, &spec));
    assert_int_equal(told->end.outcome, OUTCOME_TIMEOUT);
    assert_string_equal(told->message, "time limit of 300ms exceeded");
    assert_true(told->end.wall_usec >= 300000 && told->end.wall_usec < 5 * USEC_PER_SEC);
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

static void test_grandchildren_do_not_survive(void **state)
{
    struct world *world = *state;
    // One that left the session, one in the background; both hold the pipe open.
    uint64_t fence = world_start(world, "setsid sleep 61.7531 & sleep 61.7531 & (setsid sh -c 'sleep 61.7531 & sleep 61.7531' &) ; sleep 0.2; exit 4");
    assert_true(world_until(world, count_processes("61.7531") >= 3, 5 * USEC_PER_SEC));
    const struct told *told = world_end(world, fence);
    assert_int_equal(told->end.exit_code, 4);
    assert_int_equal(count_processes("61.7531"), 0);
}

static void test_duplicates_are_refused(void **state)
{
    struct world *world = *state;
    char line[400];
    snprintf(line, sizeof(line), "echo x >> %s/evidence", world->folder);
    uint64_t fence = world_start(world, line);
    world->next_fence = fence;
    (void)world_start(world, line); // while it is on its way
    world_end(world, fence);
    world_pause(world, 100000);
    int told_before = world->told[fence].ended;
    world->next_fence = fence;
    (void)world_start(world, line); // told again, not started again
    assert_true(world_until(world, world->told[fence].ended > told_before, 5 * USEC_PER_SEC));
    world->executor->ops->forget(world->executor, fence);
    world_pause(world, 100000);
    world->next_fence = fence;
    (void)world_start(world, line); // forgotten, and still not started again
    world_pause(world, 300000);
    char path[320];
    snprintf(path, sizeof(path), "%s/evidence", world->folder);
    cleanup_buf struct buf text = {0};
    assert_int_equal(fs_read(path, 1000, &text, NULL), 0);
    assert_string_equal(text.data, "x\n");
}

static void count_attempt(void *context, const struct exec_attempt *attempt)
{
    must(attempt->fence > 0);
    ++*(size_t *)context;
}

static void test_forget(void **state)
{
    struct world *world = *state;
    uint64_t running = world_start(world, "sleep 60"), ended = world_start(world, "exit 0");
    world_end(world, ended);
    size_t n = 0;
    world->executor->ops->attempts(world->executor, count_attempt, &n);
    assert_int_equal(n, 2);
    world->executor->ops->forget(world->executor, ended);
    world->executor->ops->forget(world->executor, running); // it runs: not forgotten
    n = 0;
    world->executor->ops->attempts(world->executor, count_attempt, &n);
    assert_int_equal(n, 1);
    world->executor->ops->stop(world->executor, running, OUTCOME_CANCELLED);
    world_end(world, running);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_exit_codes),
        TEST(test_wall_and_cpu_time),
        TEST(test_output_is_kept_apart),
        TEST(test_output_is_read_while_it_grows),
        TEST(test_many),
        TEST(test_environment),
        TEST(test_only_three_descriptors),
        TEST(test_own_folder),
        TEST(test_given_folder),
        TEST(test_exec_failures),
        TEST(test_scripts),
        TEST(test_stop_with_grace),
        TEST(test_stop_kills_what_does_not_listen),
        TEST(test_time_limit),
        TEST(test_grandchildren_do_not_survive),
        TEST(test_duplicates_are_refused),
        TEST(test_forget),
    };
    return cmocka_run_group_tests_name("executor", tests, NULL, NULL);
}
