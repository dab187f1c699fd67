// SPDX-License-Identifier: Apache-2.0
// The loop of a process: one thread that waits for descriptors, timers and signals and calls back. A thin wrapper of a libevent base, so
// that libevent's own parts (HTTP) run in it too, with what libevent lacks: instants in usec on the monotonic clock, and an end of turn.
//
// A turn: libevent calls back whatever is ready, then every deferred call runs, first those of LOOP_GATHER, then those of LOOP_FLUSH.
// So a burst of messages is handled as one batch: each message only defers, the gathering step runs once, and what it sends leaves in
// one write. A deferred call may defer others; GATHER calls that appear while flushing run before the turn ends.
//
// Everything belongs to the thread of the loop, except loop_wake(). Watches, timers, signals and deferred calls are fields of their owner's
// struct: init borrows the loop and the memory until release. Release from inside any callback is allowed, its own too.
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/list.h"
#include "base/time.h"

struct event_base;
struct loop;
struct loop_source; // libevent's part of a watch, timer or signal

typedef void loop_call(void *context);

// ERR_INTERNAL when the kernel refuses what a loop needs (descriptors).
int loop_new(struct loop **ret_loop, struct err *);
// Everything that borrows the loop must have been released. NULL is allowed.
void loop_free(struct loop *);
// For libevent's own parts. Borrowed.
struct event_base *loop_base(struct loop *);

// Runs turns until loop_stop().
int loop_run(struct loop *, struct err *);
// Runs one turn, waiting at most max_wait_usec (0: not at all) for something to happen. For tests and for loops within loops.
int loop_turn(struct loop *, usec_t max_wait_usec, struct err *);
// Ends loop_run() at the end of the turn. It may be called before loop_run(), which then runs no turn.
void loop_stop(struct loop *);
bool loop_stopping(const struct loop *);

// Deferred calls: run once at the end of the turn.
enum loop_phase { LOOP_GATHER, LOOP_FLUSH, LOOP_PHASES };

struct loop_deferred {
    struct loop *loop;
    struct list link;
    enum loop_phase phase;
    loop_call *call;
    void *context;
};

void loop_deferred_init(struct loop_deferred *, struct loop *, enum loop_phase, loop_call *, void *context);
void loop_deferred_release(struct loop_deferred *);
// Runs it at the end of this turn, once however often it is asked for.
void loop_defer(struct loop_deferred *);

// Timers: one instant of clock_mono_usec(), called once when it has come, never early.
struct loop_timer {
    struct loop *loop;
    struct loop_source *source;
    usec_t mono_usec; // USEC_NEVER: not set
    loop_call *call;
    void *context;
};

void loop_timer_init(struct loop_timer *, struct loop *, loop_call *, void *context);
void loop_timer_release(struct loop_timer *);
// Replaces the instant; USEC_NEVER: none. An instant that has passed is called in the next turn.
void loop_timer_set(struct loop_timer *, usec_t mono_usec);

// Descriptors, watched level-triggered. An error or hang-up counts as both ready.
typedef void loop_fd_call(void *context, bool readable, bool writable);

struct loop_watch {
    struct loop *loop;
    struct loop_source *source; // NULL: watches nothing
    int fd;
    bool read, write;
    loop_fd_call *call;
    void *context;
};

// Watches nothing yet. The descriptor stays the caller's, who releases the watch before closing it.
void loop_watch_init(struct loop_watch *, struct loop *, int fd, loop_fd_call *, void *context);
void loop_watch_release(struct loop_watch *);
void loop_watch_set(struct loop_watch *, bool read, bool write);

// Signals, called from the loop and not in the signal's context.
struct loop_signal {
    struct loop *loop;
    struct loop_source *source;
    loop_call *call;
    void *context;
};

int loop_signal_init(struct loop_signal *, struct loop *, int signal_number, loop_call *, void *context, struct err *);
void loop_signal_release(struct loop_signal *);

// A way for other threads to wake the loop: its call runs in the loop, once for any number of loop_wake() before it.
struct loop_waker {
    struct loop_watch watch;
    int fd;
    loop_call *call;
    void *context;
};

int loop_waker_init(struct loop_waker *, struct loop *, loop_call *, void *context, struct err *);
void loop_waker_release(struct loop_waker *);
// From any thread, and from signal handlers. The waker must not be released meanwhile.
void loop_wake(struct loop_waker *);
