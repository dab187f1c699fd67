// SPDX-License-Identifier: Apache-2.0
// Changes of the wall clock, by a timer that the kernel cancels for them. See server/wall_watch.h.
#include "server/wall_watch.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

// Below this it is a clock that is being slewed, looked at again after a long sleep.
#define STEP_USEC USEC_PER_SEC
// What the kernel tells of was set, however little; below this nobody needs to know.
#define TOLD_STEP_USEC (100 * USEC_PER_MSEC)

static usec_t offset(void)
{
    return clock_wall_usec() - clock_mono_usec();
}

static void look(struct wall_watch *w, usec_t least_usec)
{
    usec_t now = offset(), by = now - w->offset_usec;
    w->offset_usec = now;
    if (by >= least_usec || by <= -least_usec)
        log_warn("the clock of this machine was set; schedules follow it, and nothing fires twice", "by_millis=%lld", (long long)(by / USEC_PER_MSEC));
}

void wall_watch_look(struct wall_watch *w)
{
    look(w, STEP_USEC);
}

static void arm(struct wall_watch *w)
{
    // An instant that never comes: what counts is that it is cancelled when the clock is set.
    struct itimerspec far = {.it_value.tv_sec = INT32_MAX};
    timerfd_settime(w->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

static void on_change(void *context, bool readable, bool writable)
{
    struct wall_watch *w = context;
    uint64_t count;
    if (read(w->fd, &count, sizeof(count)) < 0 && errno != ECANCELED)
        return;
    arm(w);
    look(w, TOLD_STEP_USEC);
}

int wall_watch_init(struct wall_watch *w, struct loop *loop, struct err *err)
{
    *w = (struct wall_watch){.fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK)};
    if (w->fd < 0)
        return err_errno(err, ERR_INTERNAL, "make a timer that notices changes of the clock");
    w->offset_usec = offset();
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
