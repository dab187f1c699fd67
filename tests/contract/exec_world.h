// SPDX-License-Identifier: Apache-2.0
// A world for tests of executors: a fresh data folder, an executor over it, and a sink that remembers what it was told.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "codec/codec.h"
#include "exec/executor.h"

enum { WORLD_ATTEMPTS = 20000 };

struct told {
    int started, ended;
    usec_t ended_mono_usec;
    struct attempt_end end;
    char message[1200];
};

struct world {
    char folder[256];
    const char *program; // NULL: the usual spawner
    struct limits limits;
    struct executor *executor;
    struct told *told; // by fence
    size_t n_started, n_ended;
    int resets;
    char instance[64];
    uint64_t next_fence;
};

static void world_started(void *context, uint64_t fence, usec_t start_usec)
{
    struct world *world = context;
    must(fence < WORLD_ATTEMPTS && start_usec > 0);
    world->told[fence].started++;
    world->n_started++;
}

static void world_ended(void *context, const struct attempt_end *end)
{
    struct world *world = context;
    must(end->fence < WORLD_ATTEMPTS);
    struct told *told = &world->told[end->fence];
    told->ended++;
    told->ended_mono_usec = clock_mono_usec();
    told->end = *end;
    snprintf(told->message, sizeof(told->message), "%s", end->message == NULL ? "" : end->message);
    told->end.message = told->message;
    world->n_ended++;
}

static void world_reset(void *context, const char *instance)
{
    struct world *world = context;
    world->resets++;
    snprintf(world->instance, sizeof(world->instance), "%s", instance);
}

static inline const char *test_program(void)
{
    static char beside[512];
    const char *path = getenv("MUSTER_TEST_SPAWNER");
    if (path != NULL)
        return path;
    ssize_t n = readlink("/proc/self/exe", beside, sizeof(beside) - 32);
    must(n > 0);
    beside[n] = '\0';
    char *slash = strrchr(beside, '/');
    memcpy(slash, "/contract-spawner", sizeof("/contract-spawner"));
    return beside;
}

static inline void world_attach(struct world *world)
{
    struct executor_options options = {
        .folder = world->folder,
        .node = "test-node",
        .program = world->program == NULL ? test_program() : world->program,
        .limits = &world->limits,
        .sink = {.on_started = world_started, .on_ended = world_ended, .on_reset = world_reset, .context = world},
    };
    struct err err = {0};
    int rc = executor_spawner_open(&options, &world->executor, &err);
    if (rc < 0)
        fail_msg("open: %s", err.text);
}

static inline void world_detach(struct world *world)
{
    world->executor->ops->close(world->executor);
    world->executor = NULL;
}

static inline struct world *world_new(void)
{
    struct world *world = mem_alloc(sizeof(*world));
    const char *base = getenv("MUSTER_TEST_TMP");
    snprintf(world->folder, sizeof(world->folder), "%s/muster-exec-XXXXXX", base == NULL ? "/tmp" : base);
    must(mkdtemp(world->folder) != NULL);
    limits_init(&world->limits);
    world->told = mem_alloc_array(WORLD_ATTEMPTS, sizeof(struct told));
    world->next_fence = 1;
    return world;
}

// Lets the executor work for at most this long, or until a condition holds.
#define world_until(world, condition, within_usec) \
    ({ \
        usec_t until_ = clock_mono_usec() + (within_usec); \
        bool holds_ = false; \
        while (!(holds_ = (condition)) && clock_mono_usec() < until_) \
            world_turn(world, until_); \
        holds_; \
    })

static inline void world_turn(struct world *world, usec_t until_mono_usec)
{
    struct executor *executor = world->executor;
    struct err err = {0};
    usec_t now = clock_mono_usec();
    usec_t wait = usec_min(executor->ops->deadline(executor, now), usec_max(0, until_mono_usec - now));
    wait = usec_min(wait, 20000);
    struct pollfd item = {.fd = executor->ops->fd(executor), .events = POLLIN};
    (void)poll(&item, 1, (int)((wait + 999) / 1000));
    must(executor->ops->ready(executor, &err) == 0);
}

static inline void world_pause(struct world *world, usec_t usec)
{
    (void)world_until(world, false, usec);
}

static inline bool is_spawner_of(const char *folder, const char *pid_text, pid_t *ret_parent)
{
    char name[300], text[1024] = "";
    snprintf(name, sizeof(name), "/proc/%.20s/cmdline", pid_text);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    close_fd(fd);
    bool is_spawner = false, is_ours = false;
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(text + at) + 1) {
        is_spawner |= strcmp(text + at, "spawner") == 0;
        is_ours |= strcmp(text + at, folder) == 0;
    }
    snprintf(name, sizeof(name), "/proc/%.20s/stat", pid_text);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    close_fd(fd);
    text[n < 0 ? 0 : n] = '\0';
    const char *p = strrchr(text, ')');
    *ret_parent = p == NULL ? 0 : (pid_t)strtol(p + 4, NULL, 10);
    return is_spawner && is_ours && p != NULL; // one that has gone meanwhile has no parent to tell it from a child by
}

// The pid of the spawner of this folder; 0 when there is none. A child of it on its way to exec looks the same, but for its parent.
static inline pid_t world_spawner(struct world *world)
{
    DIR *dir = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        pid_t parent, grandparent;
        char parent_text[16];
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !is_spawner_of(world->folder, entry->d_name, &parent))
            continue;
        snprintf(parent_text, sizeof(parent_text), "%d", (int)parent);
        if (!is_spawner_of(world->folder, parent_text, &grandparent))
            found = (pid_t)strtol(entry->d_name, NULL, 10);
    }
    closedir(dir);
    return found;
}

static inline void world_free(struct world *world)
{
    if (world->executor != NULL)
        world_detach(world);
    // Without an agent and without work it would go by itself, in a second.
    pid_t pid = world_spawner(world);
    for (int i = 0; pid > 0 && i < 1000; i++) {
        if (i == 0)
            kill(pid, SIGTERM);
        if (i == 800)
            kill(pid, SIGKILL);
        usleep(10000);
        pid = world_spawner(world);
    }
    must(pid == 0);
    (void)umount2(world->folder, MNT_DETACH); // one test mounts something small there
    if (getenv("MUSTER_TEST_KEEP") == NULL)
        (void)fs_remove_tree(world->folder, NULL);
    mem_free(world->told);
    mem_free(world);
}

// A spec that runs a shell line.
static inline void spec_shell(struct job_spec *spec, const char *const argv[3])
{
    job_spec_init(spec);
    spec->command = argv;
    spec->n_command = 3;
}

static inline uint64_t world_start_spec(struct world *world, const struct job_spec *spec)
{
    struct buf packed = {0};
    spec_pack(&packed, spec);
    uint64_t fence = world->next_fence++;
    struct exec_start start = {
        .fence = fence,
        .run_id = 1000 + fence / 1000,
        .job_id = 0,
        .index = (uint32_t)(fence % 1000),
        .attempt = 1,
        .position = 0,
        .n_tasks = 1,
        .spec = spec,
        .packed = {.data = (const uint8_t *)packed.data, .len = packed.len},
        .lease_until_boot_usec = clock_boot_usec() + 15 * USEC_PER_SEC,
    };
    world->executor->ops->start(world->executor, &start);
    buf_release(&packed);
    return fence;
}

static inline uint64_t world_start(struct world *world, const char *line)
{
    struct job_spec spec;
    const char *const argv[3] = {"/bin/sh", "-c", line};
    spec_shell(&spec, argv);
    return world_start_spec(world, &spec);
}

static inline const struct told *world_end(struct world *world, uint64_t fence)
{
    if (!world_until(world, world->told[fence].ended > 0, 20 * USEC_PER_SEC))
        fail_msg("attempt %" PRIu64 " has not ended", fence);
    return &world->told[fence];
}

static inline const struct told *world_run(struct world *world, const char *line)
{
    return world_end(world, world_start(world, line));
}

static inline uint64_t run_of(uint64_t fence)
{
    return 1000 + fence / 1000;
}

// All output of one stream, from an offset on.
static inline int world_log(struct world *world, uint64_t fence, enum log_stream stream, uint64_t offset, struct buf *ret, uint64_t *ret_offset,
                            uint64_t *ret_end, bool *ret_final)
{
    struct err err = {0};
    return log_read(world->folder, run_of(fence), (uint32_t)(fence % 1000), 1, stream, offset, (size_t)64 << 20, ret, ret_offset, ret_end,
                    ret_final, &err);
}

static inline void assert_log(struct world *world, uint64_t fence, enum log_stream stream, const char *expected)
{
    cleanup_buf struct buf text;
    buf_init(&text);
    uint64_t offset, end;
    bool final;
    int rc = world_log(world, fence, stream, 0, &text, &offset, &end, &final);
    if (expected == NULL) {
        assert_int_equal(rc, ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(rc, 0);
    assert_string_equal(text.data, expected);
    assert_int_equal(offset, 0);
    assert_int_equal(end, strlen(expected));
    assert_true(final);
}
