// SPDX-License-Identifier: Apache-2.0
// Snapshots by a forked child. See server/snapshotter.h.
#include "server/snapshotter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

enum { RETRY_USEC = 10000000 };

enum phase { RESTING, PACKING, READING, SETTLING };

struct snapshotter {
    struct snapshotter_options options;
    char *file;
    enum phase phase;
    pid_t child;
    int pidfd;
    struct loop_watch watch;
    usec_t began_mono_usec;
    usec_t not_before_mono_usec; // after a failure
    uint64_t seq;                // that the snapshot stands for
    struct history_read read;
    struct buf bytes;
};

static void fail(struct snapshotter *s, const char *what)
{
    log_error("no snapshot was taken; trying again later", "why=\"%s\"", what);
    unlink(s->file);
    buf_release(&s->bytes);
    s->phase = RESTING;
    s->not_before_mono_usec = clock_mono_usec() + RETRY_USEC;
}

// In the child: packs the state as it was when the parent forked. Nothing here may touch the parent's files, threads or sockets.
static void child_main(const struct snapshotter *s, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(SIGTERM, &usual, NULL);
    sigaction(SIGINT, &usual, NULL);
    if (getppid() != parent)
        _exit(1);
    // Descriptors that stay open here would hold the parent's ports and locks beyond its death.
    close_range(STDERR_FILENO + 1, ~0U, 0);
    setpriority(PRIO_PROCESS, 0, 5);
    struct err err = {0};
    struct buf bytes = {0};
    int code = engine_snapshot(s->options.engine, &bytes, &err);
    int fd = code < 0 ? -1 : open(s->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        _exit(2);
    for (size_t at = 0; at < bytes.len;) {
        ssize_t n = write(fd, bytes.data + at, bytes.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(3);
        at += (size_t)n;
    }
    _exit(0);
}

// Everything that the snapshot holds is durable now.
static void on_settled(void *context)
{
    struct snapshotter *s = context;
    must(s->phase == SETTLING);
    size_t len = s->bytes.len;
    uint8_t *data = (uint8_t *)buf_detach(&s->bytes);
    struct err err = {0};
    if (engine_keep_snapshot(s->options.engine, s->seq, history_worker_position(s->options.worker), data, len, &err) < 0) {
        fail(s, err.text);
        return;
    }
    log_info("snapshot taken", "seq=%llu bytes=%zu millis=%lld", (unsigned long long)s->seq, len,
             (long long)((clock_mono_usec() - s->began_mono_usec) / USEC_PER_MSEC));
    s->phase = RESTING;
}

static int run_read(struct history_read *read, struct history *history, struct err *err)
{
    struct snapshotter *s = container_of(read, struct snapshotter, read);
    int code = fs_read(s->file, (size_t)1 << 40, &s->bytes, err);
    unlink(s->file);
    return code;
}

static void done_read(struct history_read *read)
{
    struct snapshotter *s = container_of(read, struct snapshotter, read);
    must(s->phase == READING);
    if (read->code < 0) {
        fail(s, read->err.text);
        return;
    }
    s->phase = SETTLING;
    engine_after(s->options.engine, s->seq, on_settled, s);
}

static void on_child_ended(void *context, bool readable, bool writable)
{
    struct snapshotter *s = context;
    int status = 0;
    if (waitpid(s->child, &status, WNOHANG) != s->child)
        return;
    loop_watch_release(&s->watch);
    close(s->pidfd);
    s->child = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail(s, WIFEXITED(status) ? "the child could not pack or write it" : "the child was killed");
        return;
    }
    s->phase = READING;
    s->read = (struct history_read){.run = run_read, .done = done_read};
    history_reader_ask(s->options.reader, &s->read, 0);
}

static void begin(struct snapshotter *s)
{
    s->began_mono_usec = clock_mono_usec();
    s->seq = core_seq(engine_core(s->options.engine));
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0)
        child_main(s, parent);
    if (child < 0) {
        fail(s, "no process could be started");
        return;
    }
    s->pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (s->pidfd < 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        fail(s, "the kernel gave no descriptor of the child");
        return;
    }
    s->child = child;
    s->phase = PACKING;
    loop_watch_init(&s->watch, s->options.loop, s->pidfd, on_child_ended, s);
    loop_watch_set(&s->watch, true, false);
}

struct snapshotter *snapshotter_new(const struct snapshotter_options *options)
{
    struct snapshotter *s = mem_alloc(sizeof(*s));
    s->options = *options;
    struct buf file = {0};
    buf_printf(&file, "%s/snapshot.tmp", options->path);
    s->file = buf_detach(&file);
    unlink(s->file);
    return s;
}

void snapshotter_free(struct snapshotter *s)
{
    if (s == NULL)
        return;
    if (s->phase == PACKING) {
        loop_watch_release(&s->watch);
        close(s->pidfd);
        kill(s->child, SIGKILL);
        waitpid(s->child, NULL, 0);
    }
    unlink(s->file);
    buf_release(&s->bytes);
    mem_free(s->file);
    mem_free(s);
}

void snapshotter_turn(struct snapshotter *s)
{
    if (s->phase == RESTING && engine_snapshot_due(s->options.engine) && clock_mono_usec() >= s->not_before_mono_usec)
        begin(s);
}
