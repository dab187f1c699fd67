// SPDX-License-Identifier: Apache-2.0
// The spawner alone: real processes per second through the executor, from the order to the durable end, beside a bare posix_spawn loop of
// the same count and parallelism in the same run. What agent, server and store add is the spawn bench's business.
//     exec_spawn PROGRAM COUNT PARALLEL          (PROGRAM: a muster, for `PROGRAM spawner`)

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "codec/codec.h"
#include "exec/executor.h"

extern char **environ;

struct bench {
    struct executor *executor;
    uint64_t begun, ended, bad;
    bool null;
};

static void on_started(void *context, uint64_t fence, usec_t start_usec)
{
    (void)context;
    must(fence > 0 && start_usec > 0);
}

static void on_ended(void *context, const struct attempt_end *end)
{
    struct bench *bench = context;
    bench->ended++;
    if (end->outcome != OUTCOME_SUCCEEDED && bench->bad++ == 0)
        fprintf(stderr, "exec_spawn: an attempt ended as %s: %s\n", outcome_name(end->outcome), end->message == NULL ? "" : end->message);
    bench->executor->ops->forget(bench->executor, end->fence);
}

static void on_reset(void *context, const char *instance)
{
    (void)context;
    fprintf(stderr, "exec_spawn: the spawner died; now it is %s\n", instance);
    exit(70);
}

static uint64_t rate(uint64_t count, usec_t took)
{
    return count * 1000000u / (uint64_t)(took < 1 ? 1 : took);
}

static uint64_t run_bare(uint64_t count, uint64_t parallel)
{
    static char *const argv[] = {(char *)"/bin/true", NULL};
    uint64_t begun = 0, ended = 0;
    usec_t start = clock_mono_usec();
    while (ended < count) {
        for (; begun < count && begun - ended < parallel; begun++) {
            pid_t pid;
            int rc = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
            must(rc == 0);
        }
        if (wait(NULL) > 0)
            ended++;
    }
    return rate(count, clock_mono_usec() - start);
}

static uint64_t run_executor(struct bench *bench, uint64_t count, uint64_t parallel)
{
    struct job_spec spec;
    job_spec_init(&spec);
    const char *const command[] = {"/bin/true"};
    spec.command = command;
    spec.n_command = 1;
    struct buf packed = {0};
    spec_pack(&packed, &spec);
    struct executor *executor = bench->executor;
    uint64_t first = (uint64_t)clock_wall_usec();
    bench->begun = bench->ended = 0;
    usec_t start = clock_mono_usec();
    while (bench->ended < count) {
        for (; bench->begun < count && bench->begun - bench->ended < parallel; bench->begun++) {
            struct exec_start order = {
                .fence = first + bench->begun,
                .run_id = 1,
                .index = (uint32_t)bench->begun,
                .attempt = 1,
                .n_tasks = (uint32_t)count,
                .spec = &spec,
                .packed = {.data = (const uint8_t *)packed.data, .len = packed.len},
            };
            executor->ops->start(executor, &order);
        }
        struct pollfd item = {.fd = executor->ops->fd(executor), .events = POLLIN};
        if (executor->ops->deadline(executor, clock_mono_usec()) > 0)
            (void)poll(&item, item.fd < 0 ? 0 : 1, 100);
        struct err err = {0};
        int rc = executor->ops->ready(executor, &err);
        must(rc == 0);
    }
    usec_t took = clock_mono_usec() - start;
    buf_release(&packed);
    return rate(count, took);
}

int main(int argc, char **argv)
{
    uint64_t count, parallel;
    if (argc != 4 || str_to_u64(argv[2], &count) < 0 || str_to_u64(argv[3], &parallel) < 0 || count == 0 || parallel == 0) {
        fprintf(stderr, "usage: exec_spawn PROGRAM COUNT PARALLEL\n");
        return 64;
    }
    char folder[] = "/tmp/muster-bench-XXXXXX";
    if (mkdtemp(folder) == NULL)
        return 73;
    struct limits limits;
    limits_init(&limits);
    struct bench bench = {0};
    struct executor_options options = {
        .folder = folder, .node = "bench", .program = argv[1], .limits = &limits,
        .sink = {.on_started = on_started, .on_ended = on_ended, .on_reset = on_reset, .context = &bench},
    };
    struct err err = {0};
    if (executor_null_open(&options, &bench.executor, &err) < 0)
        return 70;
    uint64_t null_rate = run_executor(&bench, 400000, 20000);
    bench.executor->ops->close(bench.executor);
    printf("{\"bench\":\"exec_null\",\"value\":%" PRIu64 ",\"unit\":\"tasks/s\"}\n", null_rate);
    if (executor_spawner_open(&options, &bench.executor, &err) < 0) {
        fprintf(stderr, "exec_spawn: %s\n", err.text);
        return err_exit_status(err.code);
    }
    (void)run_executor(&bench, parallel, parallel); // control groups and folders are made once
    // Half of the bare loop before and half behind, so that a machine that changes its mind meanwhile shows in both.
    uint64_t before = run_bare(count / 2 + 1, parallel);
    uint64_t spawned = run_executor(&bench, count, parallel);
    uint64_t bare = (before + run_bare(count / 2 + 1, parallel)) / 2;
    bench.executor->ops->close(bench.executor);
    printf("{\"bench\":\"exec_spawn\",\"value\":%" PRIu64 ",\"unit\":\"tasks/s\",\"versus\":\"posix_spawn and wait: %" PRIu64
           "/s\",\"ratio\":%" PRIu64 ".%02" PRIu64 "}\n",
           spawned, bare, spawned * 100 / bare / 100, spawned * 100 / bare % 100);
    usleep(1500000); // the spawner goes by itself when nobody needs it
    (void)fs_remove_tree(folder, NULL);
    return bench.bad == 0 ? 0 : 70;
}
