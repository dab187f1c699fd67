// SPDX-License-Identifier: Apache-2.0
// The clocks of this machine.

#include "base/clock.h"

#include <time.h>

#include "base/assert.h"

static usec_t read_clock(clockid_t clock)
{
    struct timespec now;
    must(clock_gettime(clock, &now) == 0);
    return (usec_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000;
}

usec_t clock_wall_usec(void)
{
    return read_clock(CLOCK_REALTIME);
}

usec_t clock_mono_usec(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

usec_t clock_boot_usec(void)
{
    return read_clock(CLOCK_BOOTTIME);
}
