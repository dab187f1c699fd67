// SPDX-License-Identifier: Apache-2.0
// The loop, over libevent 2.1. Only this file knows that libevent's events are called struct event, as those of the core are.

#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

struct loop {
    struct event_base *base;
    struct list deferred[LOOP_PHASES];
    struct event *turn_timer; // bounds the wait of loop_turn()
    bool stopping;
    bool running; // a turn is under way
};

static struct event *event_of(struct loop_source *source)
{
    return (struct event *)(void *)source;
}

static struct loop_source *source_of(struct event *event)
{
    return (struct loop_source *)(void *)event;
}

static struct event *event_take(struct loop *loop, int fd, short what, event_callback_fn call, void *context)
{
    struct event *event = event_new(loop->base, fd, what, call, context);
    must(event != NULL); // only when memory is out
    return event;
}

static struct timeval timeval_of(usec_t duration_usec)
{
    usec_t bounded = usec_min(usec_max(duration_usec, 0), USEC_PER_DAY);
    return (struct timeval){.tv_sec = bounded / USEC_PER_SEC, .tv_usec = bounded % USEC_PER_SEC};
}

static void on_turn_timer(evutil_socket_t fd, short what, void *context)
{
}

int loop_new(struct loop **ret_loop, struct err *err)
{
    must(ret_loop != NULL);
    struct event_config *config = event_config_new();
    must(config != NULL);
    // No locks: the loop belongs to one thread and wakers use an eventfd. Precise: timers are not rounded up to milliseconds.
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (base == NULL)
        return err_errno(err, ERR_INTERNAL, "start the event loop");
    struct loop *loop = mem_alloc(sizeof(*loop));
    loop->base = base;
    for (int i = 0; i < LOOP_PHASES; i++)
        list_init(&loop->deferred[i]);
    loop->turn_timer = event_take(loop, -1, 0, on_turn_timer, NULL);
    *ret_loop = loop;
    return 0;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    must(!loop->running);
    for (int i = 0; i < LOOP_PHASES; i++)
        must(list_empty(&loop->deferred[i]));
    event_free(loop->turn_timer);
    event_base_free(loop->base);
    mem_free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

// Runs what was deferred, later phases only while earlier ones are empty.
static void loop_run_deferred(struct loop *loop)
{
    for (int phase = 0; phase < LOOP_PHASES;) {
        struct list *link = list_first(&loop->deferred[phase]);
        if (link == NULL) {
            phase++;
            continue;
        }
        struct loop_deferred *deferred = list_entry(link, struct loop_deferred, link);
        list_del(link);
        deferred->call(deferred->context);
        phase = 0;
    }
}

static int loop_dispatch(struct loop *loop, int flags, struct err *err)
{
    must(!loop->running);
    loop->running = true;
    // Deferred before the first turn, or outside of any.
    loop_run_deferred(loop);
    int rc = loop->stopping ? 0 : event_base_loop(loop->base, flags);
    if (rc >= 0)
        loop_run_deferred(loop);
    loop->running = false;
    return rc < 0 ? err_errno(err, ERR_INTERNAL, "wait for events") : 0;
}

int loop_run(struct loop *loop, struct err *err)
{
    int rc = 0;
    while (!loop->stopping && rc == 0)
        rc = loop_dispatch(loop, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY, err);
    loop->stopping = false;
    return rc;
}

int loop_turn(struct loop *loop, usec_t max_wait_usec, struct err *err)
{
    if (max_wait_usec <= 0)
        return loop_dispatch(loop, EVLOOP_ONCE | EVLOOP_NONBLOCK, err);
    struct timeval wait = timeval_of(max_wait_usec);
    evtimer_add(loop->turn_timer, &wait);
    int rc = loop_dispatch(loop, EVLOOP_ONCE, err);
    evtimer_del(loop->turn_timer);
    return rc;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

bool loop_stopping(const struct loop *loop)
{
    return loop->stopping;
}

void loop_deferred_init(struct loop_deferred *deferred, struct loop *loop, enum loop_phase phase, loop_call *call, void *context)
{
    must(loop != NULL && call != NULL && (int)phase >= 0 && phase < LOOP_PHASES);
    *deferred = (struct loop_deferred){.loop = loop, .phase = phase, .call = call, .context = context};
    list_init(&deferred->link);
}

void loop_deferred_release(struct loop_deferred *deferred)
{
    if (deferred->loop == NULL)
        return;
    list_del(&deferred->link);
    deferred->loop = NULL;
}

void loop_defer(struct loop_deferred *deferred)
{
    must(deferred->loop != NULL);
    if (list_empty(&deferred->link))
        list_add_tail(&deferred->loop->deferred[deferred->phase], &deferred->link);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct loop_timer *timer = context;
    usec_t due_usec = timer->mono_usec;
    if (clock_mono_usec() < due_usec) {
        // libevent counts from the time it cached at the start of the turn, and waits at most a day at once.
        loop_timer_set(timer, due_usec);
        return;
    }
    timer->mono_usec = USEC_NEVER;
    timer->call(timer->context);
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_call *call, void *context)
{
    must(loop != NULL && call != NULL);
    *timer = (struct loop_timer){.loop = loop, .mono_usec = USEC_NEVER, .call = call, .context = context};
    timer->source = source_of(event_take(loop, -1, 0, on_timer, timer));
}

void loop_timer_release(struct loop_timer *timer)
{
    if (timer->source != NULL)
        event_free(event_of(timer->source));
    timer->source = NULL;
    timer->mono_usec = USEC_NEVER;
}

void loop_timer_set(struct loop_timer *timer, usec_t mono_usec)
{
    must(timer->source != NULL);
    timer->mono_usec = mono_usec;
    if (mono_usec == USEC_NEVER) {
        evtimer_del(event_of(timer->source));
        return;
    }
    struct timeval wait = timeval_of(usec_sub(mono_usec, clock_mono_usec()));
    int rc = evtimer_add(event_of(timer->source), &wait);
    must(rc == 0);
}

static void on_watch(evutil_socket_t fd, short what, void *context)
{
    struct loop_watch *watch = context;
    watch->call(watch->context, (what & EV_READ) != 0, (what & EV_WRITE) != 0);
}

void loop_watch_init(struct loop_watch *watch, struct loop *loop, int fd, loop_fd_call *call, void *context)
{
    must(loop != NULL && fd >= 0 && call != NULL);
    *watch = (struct loop_watch){.loop = loop, .fd = fd, .call = call, .context = context};
}

void loop_watch_release(struct loop_watch *watch)
{
    if (watch->source != NULL)
        event_free(event_of(watch->source));
    watch->source = NULL;
    watch->read = watch->write = false;
    watch->loop = NULL;
}

void loop_watch_set(struct loop_watch *watch, bool read, bool write)
{
    must(watch->loop != NULL);
    if (watch->read == read && watch->write == write)
        return;
    short what = (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0) | EV_PERSIST);
    if (watch->source == NULL) {
        watch->source = source_of(event_take(watch->loop, watch->fd, what, on_watch, watch));
    } else {
        event_del(event_of(watch->source));
        int rc = event_assign(event_of(watch->source), watch->loop->base, watch->fd, what, on_watch, watch);
        must(rc == 0);
    }
    watch->read = read;
    watch->write = write;
    if (read || write) {
        int rc = event_add(event_of(watch->source), NULL);
        must(rc == 0);
    }
}

static void on_signal(evutil_socket_t fd, short what, void *context)
{
    struct loop_signal *signal = context;
    signal->call(signal->context);
}

int loop_signal_init(struct loop_signal *signal, struct loop *loop, int signal_number, loop_call *call, void *context, struct err *err)
{
    must(loop != NULL && signal_number > 0 && call != NULL);
    struct event *event = event_take(loop, signal_number, EV_SIGNAL | EV_PERSIST, on_signal, signal);
    *signal = (struct loop_signal){.loop = loop, .source = source_of(event), .call = call, .context = context};
    if (event_add(event, NULL) == 0)
        return 0;
    loop_signal_release(signal);
    return err_errno(err, ERR_INTERNAL, "handle signal %d", signal_number);
}

void loop_signal_release(struct loop_signal *signal)
{
    if (signal->source != NULL)
        event_free(event_of(signal->source));
    signal->source = NULL;
}

static void on_waker(void *context, bool readable, bool writable)
{
    struct loop_waker *waker = context;
    uint64_t count = 0;
    if (read(waker->fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
        waker->call(waker->context);
}

int loop_waker_init(struct loop_waker *waker, struct loop *loop, loop_call *call, void *context, struct err *err)
{
    must(loop != NULL && call != NULL);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return err_errno(err, ERR_INTERNAL, "make a waker of the event loop");
    *waker = (struct loop_waker){.fd = fd, .call = call, .context = context};
    loop_watch_init(&waker->watch, loop, fd, on_waker, waker);
    loop_watch_set(&waker->watch, true, false);
    return 0;
}

void loop_waker_release(struct loop_waker *waker)
{
    if (waker->watch.loop == NULL)
        return;
    loop_watch_release(&waker->watch);
    close(waker->fd);
    waker->fd = -1;
}

void loop_wake(struct loop_waker *waker)
{
    int saved_errno = errno;
    uint64_t one = 1;
    // The only failure is a count that is full, which wakes the loop as well.
    ssize_t written = write(waker->fd, &one, sizeof(one));
    (void)written;
    errno = saved_errno;
}
