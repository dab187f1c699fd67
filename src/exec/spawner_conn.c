// SPDX-License-Identifier: Apache-2.0
// The spawner's side of the control socket: one agent at a time, the newest.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "codec/codec.h"
#include "exec/spawner.h"

// An agent that does not read what it is told is dropped; when it comes back it is told everything anew.
#define OUT_BYTES_MAX ((size_t)64 << 20)
enum { READ_BYTES = 256 * 1024 };

void spawner_conn_init(struct spawner_conn *conn)
{
    *conn = (struct spawner_conn){.fd = -1};
}

void spawner_conn_release(struct spawner *spawner, struct spawner_conn *conn)
{
    if (conn->fd >= 0)
        (void)epoll_ctl(spawner->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
    conn->fd = close_fd(conn->fd);
    buf_release(&conn->in);
    buf_release(&conn->out);
    launch_spec_put(conn->last_spec);
    spawner_conn_init(conn);
    spawner->idle_since_boot_usec = clock_boot_usec();
}

static void conn_drop(struct spawner *spawner, struct spawner_conn *conn, const char *why)
{
    if (conn->greeted)
        log_info("the agent's connection ends", "why=\"%s\"", why);
    spawner_conn_release(spawner, conn);
}

static bool peer_is_allowed(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    return peer.uid == geteuid() || peer.uid == 0;
}

void spawner_conn_on_listen(struct spawner *spawner)
{
    cleanup_close int fd = accept4(spawner->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (!peer_is_allowed(fd)) {
        log_warn("a process of another user was refused at the control socket");
        return;
    }
    // Looking whether a spawner is there does not cost the agent its connection: only a hello does.
    spawner_conn_release(spawner, &spawner->pending);
    if (spawner_watch(spawner, fd, EPOLLIN, TAG_PENDING) < 0) {
        log_error("the agent cannot be watched", "why=\"%s\"", strerror(errno));
        return;
    }
    spawner->pending.fd = steal_fd(&fd);
}

static void conn_send(struct spawner *spawner, const struct control_message *message)
{
    if (spawner->conn.fd < 0 || !spawner->conn.greeted)
        return;
    control_pack(&spawner->conn.out, message);
}

void spawner_conn_tell_started(struct spawner *spawner, const struct spawned *task)
{
    conn_send(spawner, &(struct control_message){.kind = CONTROL_STARTED,
                                                 .started = {.fence = task->ident.fence, .start_usec = task->launch.start_wall_usec}});
}

void spawner_conn_tell_ended(struct spawner *spawner, const struct spawned *task)
{
    must(task->phase == PHASE_ENDED);
    conn_send(spawner, &(struct control_message){.kind = CONTROL_ENDED, .ended = task->end});
}

static int fence_order(const void *a, const void *b)
{
    const struct spawned *x = *(const struct spawned *const *)a, *y = *(const struct spawned *const *)b;
    return (x->ident.fence > y->ident.fence) - (x->ident.fence < y->ident.fence);
}

static void tell_all(struct spawner *spawner)
{
    size_t n = 0, max = map_len(&spawner->by_fence);
    const struct spawned **tasks = mem_alloc_array(max, sizeof(*tasks));
    struct list *pos;
    list_for_each(pos, &spawner->all)
        tasks[n++] = list_entry(pos, struct spawned, link);
    must(n == max);
    if (n > 0)
        qsort(tasks, n, sizeof(*tasks), fence_order);
    for (size_t i = 0; i < n; i++) {
        const struct spawned *task = tasks[i];
        bool ended = task->phase == PHASE_ENDED;
        struct control_message message = {
            .kind = CONTROL_ATTEMPT,
            .attempt = {.fence = task->ident.fence, .run_id = task->ident.run_id, .index = task->ident.index, .attempt = task->ident.attempt,
                        .delivery = task->ident.delivery, .running = !ended, .start_usec = ended ? task->end.start_usec : 0},
        };
        if (ended)
            message.attempt.end = task->end;
        else if (task->phase >= PHASE_RUNNING)
            message.attempt.start_usec = task->phase >= PHASE_ENDING ? task->end.start_usec : task->launch.start_wall_usec;
        conn_send(spawner, &message);
    }
    mem_free(tasks);
    conn_send(spawner, &(struct control_message){.kind = CONTROL_LISTED});
}

// Puts the pending connection in the place of the agent's.
static int take_place(struct spawner *spawner, struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = TAG_CONN};
    if (epoll_ctl(spawner->epoll_fd, EPOLL_CTL_MOD, spawner->pending.fd, &event) < 0)
        return err_errno(err, ERR_IO, "watch the agent's connection");
    if (spawner->conn.fd >= 0)
        conn_drop(spawner, &spawner->conn, "another agent has come");
    spawner->conn = spawner->pending;
    spawner_conn_init(&spawner->pending);
    spawner->conn.greeted = true;
    spawner->had_agent = true;
    return 0;
}

static int on_hello(struct spawner *spawner, const struct control_hello_agent *hello, struct err *err)
{
    if (hello->version < 1)
        return err_set(err, ERR_PROTOCOL, "an agent's hello is not right");
    int rc = take_place(spawner, err);
    if (rc < 0)
        return rc;
    // The name is read by launchers, so it changes only while nothing is under way.
    if (spawner->node[0] == '\0' || spawner->n_unended == 0)
        (void)str_copy(spawner->node, sizeof(spawner->node), hello->node);
    if (hello->task_pids_max > 0)
        spawner->task_pids_max = hello->task_pids_max;
    if (hello->log_bytes_max > 0)
        spawner->log_bytes_max = hello->log_bytes_max;
    if (hello->log_total_bytes_max > 0)
        spawner->log_total_bytes_max = hello->log_total_bytes_max;
    struct control_message answer = {
        .kind = CONTROL_HELLO_SPAWNER,
        .hello_spawner = {.version = CONTROL_VERSION, .instance = spawner->instance, .warnings = spawner->warnings, .n_warnings = spawner->n_warnings},
    };
    conn_send(spawner, &answer);
    tell_all(spawner);
    return 0;
}

// The spec of an order, shared with the orders before it when it is the same; NULL when it cannot be read.
static struct launch_spec *find_spec(struct spawner_conn *conn, struct bytes packed)
{
    struct launch_spec *last = conn->last_spec;
    if (packed.len == 0)
        return last;
    if (last != NULL && last->packed.len == packed.len && memcmp(last->packed.data, packed.data, packed.len) == 0)
        return last;
    struct launch_spec *spec = mem_alloc(sizeof(*spec));
    arena_init(&spec->arena, 0);
    atomic_store(&spec->refs, 1);
    struct err err = {0};
    spec->packed = (struct bytes){.data = arena_memdup(&spec->arena, packed.data, packed.len), .len = packed.len};
    if (spec_unpack(spec->packed, &spec->arena, &spec->spec, &err) < 0) {
        log_error("a specification cannot be read", "why=\"%s\"", err.text);
        launch_spec_put(spec);
        spec = NULL;
    }
    launch_spec_put(conn->last_spec);
    conn->last_spec = spec;
    return spec;
}

static int on_message(struct spawner *spawner, const struct control_message *message)
{
    switch (message->kind) {
    case CONTROL_START:
        spawner_start(spawner, &message->start, find_spec(&spawner->conn, message->start.packed));
        return 0;
    case CONTROL_STOP: {
        struct spawned *task = map_get(&spawner->by_fence, message->stop.fence);
        if (task != NULL)
            spawner_stop(spawner, task, message->stop.why);
        return 0;
    }
    case CONTROL_FORGET:
        spawner_forget(spawner, message->forget);
        return 0;
    case CONTROL_RENEW:
        spawner_renew(spawner, message->renew);
        return 0;
    case CONTROL_HELLO_AGENT:
        return ERR_PROTOCOL; // it said so before
    default:
        return 0; // a newer agent knows more than we do
    }
}

// Takes one whole frame off the front of what came, if there is one. Returns 1 when it did, 0 when not, or an error.
static int take_frame(struct spawner_conn *conn, size_t *at, struct arena *arena, struct control_message *ret, struct err *err)
{
    size_t len;
    int rc = control_frame(conn->in.data + *at, conn->in.len - *at, &len, err);
    if (rc < 0 || len == 0)
        return rc;
    rc = control_unpack(conn->in.data + *at, len, arena, ret, err);
    *at += len;
    return rc < 0 ? rc : 1;
}

static int take_frames(struct spawner *spawner, struct spawner_conn *conn, struct err *err)
{
    cleanup_arena struct arena arena;
    arena_init(&arena, 0);
    size_t at = 0;
    struct control_message message;
    int rc;
    while ((rc = take_frame(conn, &at, &arena, &message, err)) > 0) {
        if (conn == &spawner->pending) {
            if (message.kind != CONTROL_HELLO_AGENT)
                return err_set(err, ERR_PROTOCOL, "somebody spoke before the hello");
            rc = on_hello(spawner, &message.hello_agent, err);
            conn = &spawner->conn;
        } else {
            rc = on_message(spawner, &message);
        }
        if (rc < 0)
            break;
        arena_clear(&arena);
    }
    buf_drop_front(&conn->in, at < conn->in.len ? at : conn->in.len);
    return rc;
}

void spawner_conn_on_event(struct spawner *spawner, struct spawner_conn *conn, uint32_t events)
{
    if (conn->fd < 0)
        return;
    if (events & EPOLLOUT)
        spawner_conn_flush(spawner);
    if (conn->fd < 0 || (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
        return;
    buf_reserve(&conn->in, READ_BYTES);
    ssize_t n = read(conn->fd, conn->in.data + conn->in.len, READ_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_drop(spawner, conn, n == 0 ? "it was closed" : strerror(errno));
        return;
    }
    buf_grew(&conn->in, (size_t)n);
    struct err err = {0};
    if (take_frames(spawner, conn, &err) < 0) {
        log_warn("what came over the control socket is not right", "why=\"%s\"", err.text);
        // A hello may have moved it.
        conn_drop(spawner, conn->fd >= 0 ? conn : &spawner->conn, "it broke the protocol");
    }
}

static void watch_writable(struct spawner *spawner, bool wanted)
{
    struct spawner_conn *conn = &spawner->conn;
    if (conn->writable_watched == wanted)
        return;
    struct epoll_event event = {.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.u64 = TAG_CONN};
    if (epoll_ctl(spawner->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) == 0)
        conn->writable_watched = wanted;
}

void spawner_conn_flush(struct spawner *spawner)
{
    struct spawner_conn *conn = &spawner->conn;
    if (conn->fd < 0 || (conn->out.len == 0 && !conn->writable_watched))
        return;
    size_t sent = 0;
    while (sent < conn->out.len) {
        ssize_t n = send(conn->fd, conn->out.data + sent, conn->out.len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            conn_drop(spawner, conn, strerror(errno));
            return;
        }
        sent += (size_t)n;
    }
    buf_drop_front(&conn->out, sent);
    if (conn->out.len > OUT_BYTES_MAX) {
        conn_drop(spawner, conn, "it does not read");
        return;
    }
    watch_writable(spawner, conn->out.len > 0);
}
