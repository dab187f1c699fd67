// SPDX-License-Identifier: Apache-2.0
// Framed connections, on plain non-blocking sockets: libevent 2.1's own buffers read at most 4 KiB at a time and write a turn later.

#include "net/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

enum {
    FRAME_HEADER_BYTES = 4,
    FRAME_READ_BYTES = 256 * 1024,
    FRAME_KEEP_BYTES = 1024 * 1024, // an emptied buffer larger than this is given back
};

#define FRAME_FINISH_USEC USEC_PER_SEC

struct frame_conn {
    struct frame_options options;
    struct net_address peer; // connecting: where to
    struct loop_watch watch;
    struct loop_deferred flush;  // writes what was sent in this turn
    struct loop_deferred resume; // hands out what was read before a pause
    struct loop_timer finish_timer;
    struct buf in, out;
    size_t out_pos;   // bytes of out that the kernel has taken
    size_t begun_pos; // position of the header of the message being built
    int fd;
    unsigned calls; // callbacks under way, which freeing must outlive
    bool connecting, paused, building, failed, told, freed, finishing, shut;
    struct err why; // when failed
};

static void on_ready(void *context, bool readable, bool writable);
static void on_flush(void *context);
static void on_resume(void *context);
static void on_finish_timer(void *context);

static struct frame_conn *frame_new(const struct frame_options *options, int fd)
{
    must(options != NULL && options->loop != NULL && options->calls != NULL && fd >= 0);
    must(options->message_bytes_max > 0 && options->message_bytes_max <= UINT32_MAX);
    struct frame_conn *conn = mem_alloc(sizeof(*conn));
    conn->options = *options;
    conn->fd = fd;
    loop_watch_init(&conn->watch, options->loop, fd, on_ready, conn);
    loop_deferred_init(&conn->flush, options->loop, LOOP_FLUSH, on_flush, conn);
    loop_deferred_init(&conn->resume, options->loop, LOOP_GATHER, on_resume, conn);
    loop_timer_init(&conn->finish_timer, options->loop, on_finish_timer, conn);
    return conn;
}

struct frame_conn *frame_open(const struct frame_options *options, int fd)
{
    net_tune(fd);
    struct frame_conn *conn = frame_new(options, fd);
    loop_watch_set(&conn->watch, true, false);
    return conn;
}

int frame_connect(const struct frame_options *options, const struct net_address *address, struct frame_conn **ret_conn, struct err *err)
{
    int fd = -1;
    int rc = net_connect_begin(address, &fd, err);
    if (rc < 0)
        return rc;
    struct frame_conn *conn = frame_new(options, fd);
    conn->connecting = true;
    conn->peer = *address;
    loop_watch_set(&conn->watch, false, true);
    *ret_conn = conn;
    return 0;
}

static void frame_close(struct frame_conn *conn)
{
    if (conn->fd < 0)
        return;
    loop_watch_release(&conn->watch);
    close(conn->fd);
    conn->fd = -1;
}

static void frame_destroy(struct frame_conn *conn)
{
    must(conn->calls == 0);
    frame_close(conn);
    loop_deferred_release(&conn->flush);
    loop_deferred_release(&conn->resume);
    loop_timer_release(&conn->finish_timer);
    buf_release(&conn->in);
    buf_release(&conn->out);
    mem_free(conn);
}

void frame_free(struct frame_conn *conn)
{
    if (conn == NULL)
        return;
    must(!conn->freed);
    conn->freed = true;
    if (conn->calls > 0)
        frame_close(conn); // the unwinding callback destroys it
    else
        frame_destroy(conn);
}

// Callbacks are called between these two; leave returns false when the connection is gone.
static void frame_enter(struct frame_conn *conn)
{
    conn->calls++;
}

static bool frame_leave(struct frame_conn *conn)
{
    must(conn->calls > 0);
    conn->calls--;
    if (!conn->freed)
        return true;
    if (conn->calls == 0)
        frame_destroy(conn);
    return false;
}

// Ends the connection; the owner is told at the end of the turn.
static void frame_fail(struct frame_conn *conn)
{
    must(conn->why.code < 0);
    if (conn->failed)
        return;
    conn->failed = true;
    frame_close(conn);
    loop_defer(&conn->flush);
}

static void frame_tell_closed(struct frame_conn *conn)
{
    must(conn->failed);
    if (conn->finishing) {
        frame_free(conn);
        return;
    }
    if (conn->told)
        return;
    conn->told = true;
    frame_enter(conn);
    conn->options.calls->on_closed(conn->options.context, &conn->why);
    frame_leave(conn);
}

static void frame_rewatch(struct frame_conn *conn)
{
    if (conn->fd < 0)
        return;
    bool wants_write = conn->connecting || conn->out_pos < conn->out.len;
    loop_watch_set(&conn->watch, !conn->connecting && (!conn->paused || conn->finishing), wants_write);
}

// Writes until the kernel takes no more.
static void frame_write(struct frame_conn *conn)
{
    while (conn->out_pos < conn->out.len) {
        ssize_t n = send(conn->fd, conn->out.data + conn->out_pos, conn->out.len - conn->out_pos, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0) {
            err_errno(&conn->why, errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED : ERR_IO, "send to the other side");
            frame_fail(conn);
            return;
        }
        conn->out_pos += (size_t)n;
    }
    if (conn->out_pos == conn->out.len) {
        conn->out_pos = 0;
        if (conn->out.cap > FRAME_KEEP_BYTES)
            buf_release(&conn->out);
        else
            buf_clear(&conn->out);
    } else if (conn->out_pos > conn->out.len / 2) {
        buf_drop_front(&conn->out, conn->out_pos);
        conn->out_pos = 0;
    }
    if (conn->finishing && conn->out.len == 0 && !conn->shut) {
        conn->shut = true;
        shutdown(conn->fd, SHUT_WR);
    }
    frame_rewatch(conn);
}

static void on_flush(void *context)
{
    struct frame_conn *conn = context;
    if (!conn->failed && !conn->connecting)
        frame_write(conn);
    if (conn->failed)
        frame_tell_closed(conn);
}

static uint32_t header_length(const char *data)
{
    const uint8_t *p = (const uint8_t *)data;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// Hands out the whole messages that were read. Returns false when the connection is gone or failed.
static bool frame_deliver(struct frame_conn *conn)
{
    size_t pos = 0;
    bool alive = true;
    frame_enter(conn);
    while (!conn->paused && !conn->failed && conn->in.len - pos >= FRAME_HEADER_BYTES) {
        size_t len = header_length(conn->in.data + pos);
        if (len > conn->options.message_bytes_max) {
            err_set(&conn->why, ERR_PROTOCOL, "the other side sent a message of %zu bytes, more than the %zu that are allowed here", len,
                    conn->options.message_bytes_max);
            frame_fail(conn);
            break;
        }
        if (conn->in.len - pos - FRAME_HEADER_BYTES < len)
            break;
        struct bytes message = {.data = (const uint8_t *)conn->in.data + pos + FRAME_HEADER_BYTES, .len = len};
        pos += FRAME_HEADER_BYTES + len;
        conn->options.calls->on_message(conn->options.context, message);
        if (conn->freed || conn->finishing)
            break;
    }
    if (!conn->freed) {
        if (pos > 0)
            buf_drop_front(&conn->in, pos);
        if (conn->in.len == 0 && conn->in.cap > FRAME_KEEP_BYTES)
            buf_release(&conn->in);
        alive = !conn->failed;
    }
    return frame_leave(conn) && alive;
}

static void on_resume(void *context)
{
    struct frame_conn *conn = context;
    if (!conn->failed && !conn->finishing && conn->in.len > 0)
        frame_deliver(conn);
}

static void frame_ended(struct frame_conn *conn)
{
    if (conn->in.len > 0)
        err_set(&conn->why, ERR_PROTOCOL, "the connection ended in the middle of a message");
    else
        err_set(&conn->why, ERR_CLOSED, "the other side closed the connection");
    frame_fail(conn);
}

static void frame_read(struct frame_conn *conn)
{
    // Room grows with what came, not with the length that the peer announced.
    size_t room = conn->in.len < FRAME_READ_BYTES / 4 ? FRAME_READ_BYTES / 4 : FRAME_READ_BYTES;
    buf_reserve(&conn->in, room);
    ssize_t n = recv(conn->fd, conn->in.data + conn->in.len, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n < 0) {
        err_errno(&conn->why, errno == ECONNRESET ? ERR_CLOSED : ERR_IO, "read from the other side");
        frame_fail(conn);
        return;
    }
    if (n == 0) {
        frame_ended(conn);
        return;
    }
    if (conn->finishing)
        return; // thrown away: it is not counted
    buf_grew(&conn->in, (size_t)n);
    frame_deliver(conn);
}

static void frame_connected(struct frame_conn *conn)
{
    if (net_connect_result(conn->fd, &conn->peer, &conn->why) < 0) {
        frame_fail(conn);
        return;
    }
    conn->connecting = false;
    frame_enter(conn);
    if (conn->options.calls->on_open != NULL)
        conn->options.calls->on_open(conn->options.context);
    if (frame_leave(conn)) {
        frame_rewatch(conn);
        loop_defer(&conn->flush);
    }
}

static void on_ready(void *context, bool readable, bool writable)
{
    struct frame_conn *conn = context;
    if (conn->connecting) {
        frame_connected(conn);
        return;
    }
    if (writable)
        loop_defer(&conn->flush);
    if (readable)
        frame_read(conn);
}

static void on_finish_timer(void *context)
{
    frame_free(context);
}

void frame_finish(struct frame_conn *conn)
{
    must(conn != NULL && !conn->freed && !conn->finishing && !conn->building);
    if (conn->failed || conn->connecting) {
        frame_free(conn);
        return;
    }
    conn->finishing = true;
    loop_timer_set(&conn->finish_timer, clock_mono_usec() + FRAME_FINISH_USEC);
    loop_defer(&conn->flush);
}

void frame_adopt(struct frame_conn *conn, const struct frame_options *options)
{
    must(conn != NULL && !conn->freed && !conn->building);
    must(options->loop == conn->options.loop && options->calls != NULL);
    conn->options = *options;
}

struct buf *frame_begin(struct frame_conn *conn)
{
    must(!conn->building && !conn->freed && !conn->finishing);
    conn->building = true;
    conn->begun_pos = conn->out.len;
    buf_add(&conn->out, "\0\0\0\0", FRAME_HEADER_BYTES);
    return &conn->out;
}

void frame_end(struct frame_conn *conn)
{
    must(conn->building && conn->out.len >= conn->begun_pos + FRAME_HEADER_BYTES);
    conn->building = false;
    size_t len = conn->out.len - conn->begun_pos - FRAME_HEADER_BYTES;
    if (conn->failed) {
        buf_truncate(&conn->out, conn->begun_pos);
        return;
    }
    if (len > conn->options.message_bytes_max) {
        buf_truncate(&conn->out, conn->begun_pos);
        err_set(&conn->why, ERR_TOO_LARGE, "a message of %zu bytes is more than frame_bytes_max allows (%zu)", len,
                conn->options.message_bytes_max);
        frame_fail(conn);
        return;
    }
    uint8_t header[FRAME_HEADER_BYTES] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    memcpy(conn->out.data + conn->begun_pos, header, sizeof(header));
    if (frame_queued(conn) > conn->options.queue_bytes_max) {
        err_set(&conn->why, ERR_LIMIT, "the other side does not read: %zu bytes wait to be sent, more than session_queue_bytes_max allows (%zu)",
                frame_queued(conn), conn->options.queue_bytes_max);
        frame_fail(conn);
        return;
    }
    loop_defer(&conn->flush);
}

void frame_send(struct frame_conn *conn, const void *data, size_t len)
{
    buf_add(frame_begin(conn), data, len);
    frame_end(conn);
}

void frame_pause(struct frame_conn *conn, bool pause)
{
    if (conn->paused == pause || conn->freed)
        return;
    conn->paused = pause;
    if (!pause && !conn->failed)
        loop_defer(&conn->resume);
    frame_rewatch(conn);
}

size_t frame_queued(const struct frame_conn *conn)
{
    return conn->out.len - conn->out_pos;
}
