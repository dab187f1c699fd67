// SPDX-License-Identifier: Apache-2.0
// A listening socket in the loop.

#include "net/listener.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

enum { LISTENER_BATCH = 64 }; // connections accepted in one turn

// How long it waits when the process has no descriptor left: the pending connection would be announced again and again.
#define LISTENER_REST_USEC (100 * USEC_PER_MSEC)

struct listener {
    struct net_address address;
    struct loop_watch watch;
    struct loop_timer rest;
    int fd;
    bool paused;
    bool accepting, closed; // closed from within its callback: freed when that returns
    listener_call *call;
    void *context;
};

static void listener_accept(void *context, bool readable, bool writable)
{
    struct listener *listener = context;
    listener->accepting = true;
    for (int i = 0; i < LISTENER_BATCH && !listener->closed && !listener->paused; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            listener->call(listener->context, fd);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            loop_watch_set(&listener->watch, false, false);
            loop_timer_set(&listener->rest, clock_mono_usec() + LISTENER_REST_USEC);
            break;
        }
        // The rest are failures of that one connection (ECONNABORTED and its kin).
    }
    listener->accepting = false;
    if (listener->closed)
        listener_close(listener);
}

static void listener_rested(void *context)
{
    struct listener *listener = context;
    loop_watch_set(&listener->watch, !listener->paused, false);
}

int listener_open(struct loop *loop, const struct net_address *address, listener_call *call, void *context, struct listener **ret_listener,
                  struct err *err)
{
    must(call != NULL && ret_listener != NULL);
    int fd = -1;
    struct net_address bound;
    int rc = net_listen(address, &fd, &bound, err);
    if (rc < 0)
        return rc;
    struct listener *listener = mem_alloc(sizeof(*listener));
    listener->fd = fd;
    listener->address = bound;
    listener->call = call;
    listener->context = context;
    loop_watch_init(&listener->watch, loop, fd, listener_accept, listener);
    loop_watch_set(&listener->watch, true, false);
    loop_timer_init(&listener->rest, loop, listener_rested, listener);
    *ret_listener = listener;
    return 0;
}

void listener_close(struct listener *listener)
{
    if (listener == NULL)
        return;
    loop_watch_release(&listener->watch);
    loop_timer_release(&listener->rest);
    listener->fd = close_fd(listener->fd);
    listener->closed = true;
    if (listener->accepting)
        return;
    mem_free(listener);
}

const struct net_address *listener_address(const struct listener *listener)
{
    return &listener->address;
}

void listener_pause(struct listener *listener, bool pause)
{
    listener->paused = pause;
    loop_timer_set(&listener->rest, USEC_NEVER);
    loop_watch_set(&listener->watch, !pause, false);
}
