// SPDX-License-Identifier: Apache-2.0
// The clocks.

#include "base/clock.h"

#include <time.h>

#include "tests/unit/test.h"

static void test_clocks_go_forward(void **state)
{
    usec_t mono = clock_mono_usec();
    usec_t boot = clock_boot_usec();
    assert_true(mono > 0 && boot >= mono);
    struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
    assert_true(clock_mono_usec() >= mono + 2000);
    assert_true(clock_boot_usec() >= boot + 2000);
}

static void test_wall_is_the_time_of_day(void **state)
{
    usec_t before = (usec_t)time(NULL) * USEC_PER_SEC;
    usec_t wall = clock_wall_usec();
    // time() may lag by the length of a tick.
    assert_true(wall >= before && wall < before + 60 * USEC_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks_go_forward),
        cmocka_unit_test(test_wall_is_the_time_of_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
