// SPDX-License-Identifier: Apache-2.0
// The loop: timers, watches, signals, wakers, and the order at the end of a turn.

#include "net/loop.h"

#include <pthread.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tests/unit/test.h"

struct fixture {
    struct loop *loop;
    int calls;
    char order[32];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_int_equal(loop_new(&fixture->loop, NULL), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static void count_and_stop(void *context)
{
    struct fixture *fixture = context;
    fixture->calls++;
    loop_stop(fixture->loop);
}

static void test_timer_is_never_early(void **state)
{
    struct fixture *fixture = *state;
    struct loop_timer timer;
    loop_timer_init(&timer, fixture->loop, count_and_stop, fixture);
    for (int i = 0; i < 20; i++) {
        usec_t due = clock_mono_usec() + 700;
        loop_timer_set(&timer, due);
        assert_int_equal(loop_run(fixture->loop, NULL), 0);
        assert_true(clock_mono_usec() >= due);
        assert_int_equal(timer.mono_usec, USEC_NEVER);
    }
    assert_int_equal(fixture->calls, 20);
    loop_timer_set(&timer, clock_mono_usec() - 5);
    loop_timer_set(&timer, USEC_NEVER);
    assert_int_equal(loop_turn(fixture->loop, 2000, NULL), 0);
    assert_int_equal(fixture->calls, 20);
    loop_timer_release(&timer);
}

static void test_stop_before_run(void **state)
{
    struct fixture *fixture = *state;
    loop_stop(fixture->loop);
    assert_true(loop_stopping(fixture->loop));
    assert_int_equal(loop_run(fixture->loop, NULL), 0);
    assert_false(loop_stopping(fixture->loop));
}

struct watched {
    struct fixture *fixture;
    struct loop_watch watch;
    int readable, writable;
};

static void on_fd(void *context, bool readable, bool writable)
{
    struct watched *watched = context;
    watched->readable += readable;
    watched->writable += writable;
    if (watched->readable + watched->writable == 3)
        loop_watch_release(&watched->watch);
}

static void test_watch(void **state)
{
    struct fixture *fixture = *state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct watched watched = {.fixture = fixture};
    loop_watch_init(&watched.watch, fixture->loop, pair[0], on_fd, &watched);
    loop_turn(fixture->loop, 0, NULL);
    assert_int_equal(watched.readable + watched.writable, 0);
    loop_watch_set(&watched.watch, true, false);
    loop_turn(fixture->loop, 0, NULL);
    assert_int_equal(watched.readable + watched.writable, 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    loop_turn(fixture->loop, 100000, NULL);
    assert_int_equal(watched.readable, 1);
    assert_int_equal(watched.writable, 0);
    loop_watch_set(&watched.watch, true, true);
    loop_turn(fixture->loop, 100000, NULL); // released by the callback: two more at once
    loop_turn(fixture->loop, 0, NULL);
    assert_int_equal(watched.readable, 2);
    assert_int_equal(watched.writable, 1);
    close(pair[0]);
    close(pair[1]);
}

struct step {
    struct fixture *fixture;
    char name;
    struct loop_deferred deferred;
    struct step *defers;
};

static void on_step(void *context)
{
    struct step *step = context;
    size_t len = strlen(step->fixture->order);
    assert_true(len + 1 < sizeof(step->fixture->order));
    step->fixture->order[len] = step->name;
    if (step->defers != NULL) {
        struct step *next = step->defers;
        step->defers = NULL;
        loop_defer(&next->deferred);
    }
}

static void test_end_of_turn_gathers_then_flushes(void **state)
{
    struct fixture *fixture = *state;
    struct step gather = {.fixture = fixture, .name = 'g'}, late = {.fixture = fixture, .name = 'l'};
    struct step flush = {.fixture = fixture, .name = 'f'}, flush2 = {.fixture = fixture, .name = 'F'};
    loop_deferred_init(&gather.deferred, fixture->loop, LOOP_GATHER, on_step, &gather);
    loop_deferred_init(&late.deferred, fixture->loop, LOOP_GATHER, on_step, &late);
    loop_deferred_init(&flush.deferred, fixture->loop, LOOP_FLUSH, on_step, &flush);
    loop_deferred_init(&flush2.deferred, fixture->loop, LOOP_FLUSH, on_step, &flush2);
    flush.defers = &late; // a gathering call that appears while flushing goes before the rest
    loop_defer(&flush.deferred);
    loop_defer(&flush2.deferred);
    loop_defer(&gather.deferred);
    loop_defer(&gather.deferred);
    loop_turn(fixture->loop, 0, NULL);
    assert_string_equal(fixture->order, "gflF");
    loop_defer(&gather.deferred);
    loop_deferred_release(&gather.deferred);
    loop_deferred_release(&gather.deferred);
    loop_turn(fixture->loop, 0, NULL);
    assert_string_equal(fixture->order, "gflF");
    loop_deferred_release(&late.deferred);
    loop_deferred_release(&flush.deferred);
    loop_deferred_release(&flush2.deferred);
}

static void test_signal(void **state)
{
    struct fixture *fixture = *state;
    struct loop_signal signal;
    assert_int_equal(loop_signal_init(&signal, fixture->loop, SIGUSR1, count_and_stop, fixture, NULL), 0);
    raise(SIGUSR1);
    assert_int_equal(loop_run(fixture->loop, NULL), 0);
    assert_int_equal(fixture->calls, 1);
    loop_signal_release(&signal);
}

static void *wake_from_thread(void *context)
{
    loop_wake(context);
    loop_wake(context);
    return NULL;
}

static void test_waker(void **state)
{
    struct fixture *fixture = *state;
    struct loop_waker waker;
    assert_int_equal(loop_waker_init(&waker, fixture->loop, count_and_stop, fixture, NULL), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_from_thread, &waker), 0);
    pthread_join(thread, NULL);
    assert_int_equal(loop_run(fixture->loop, NULL), 0);
    loop_turn(fixture->loop, 0, NULL);
    assert_int_equal(fixture->calls, 1);
    loop_waker_release(&waker);
    loop_waker_release(&waker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_timer_is_never_early, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_before_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_of_turn_gathers_then_flushes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waker, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
