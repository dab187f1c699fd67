// SPDX-License-Identifier: Apache-2.0
// Changes of the wall clock, by a timer that the kernel cancels for them. See server/wall_watch.h.
#include "server/wall_watch.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static void arm(struct wall_watch *w)
{
    // An instant that never comes: what counts is that it is cancelled when the clock is set.
    struct itimerspec far = {.it_value.tv_sec = INT32_MAX};
    timerfd_settime(w->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
    w->offset_usec = clock_wall_usec() - clock_mono_usec();
}

static void on_change(void *context, bool readable, bool writable)
{
    struct wall_watch *w = context;
    uint64_t count;
    if (read(w->fd, &count, sizeof(count)) < 0 && errno != ECANCELED)
        return;
    usec_t before = w->offset_usec;
    arm(w);
    log_warn("the clock of this machine was set", "by_millis=%lld", (long long)((w->offset_usec - before) / USEC_PER_MSEC));
}

int wall_watch_init(struct wall_watch *w, struct loop *loop, struct err *err)
{
    *w = (struct wall_watch){.fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK)};
    if (w->fd < 0)
        return err_errno(err, ERR_INTERNAL, "make a timer that notices changes of the clock");
    arm(w);
    loop_watch_init(&w->watch, loop, w->fd, on_change, w);
    loop_watch_set(&w->watch, true, false);
    return 0;
}

void wall_watch_release(struct wall_watch *w)
{
    if (w->watch.loop == NULL)
        return;
    loop_watch_release(&w->watch);
    close(w->fd);
}
