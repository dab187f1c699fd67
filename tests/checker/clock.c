// SPDX-License-Identifier: Apache-2.0
// Wrong clocks for the processes of Muster (never for the payload, which gets a clean environment): loaded with LD_PRELOAD, it adds
// what the harness writes into the shared file CHECKER_CLOCK.
//
//     int64 wall_offset_usec   added to the wall clock; the harness may change it at any moment
//     int64 rate_ppm           by how much the clocks that never go back run fast or slow, from the start of the process on. Waits of the kernel
//                              for an absolute time know nothing of it, so it has to stay small beside what a test waits for
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct clocks {
    _Atomic int64_t wall_offset_usec;
    _Atomic int64_t rate_ppm;
};

typedef int gettime(clockid_t, struct timespec *);

static struct clocks *clocks;
static gettime *real;
static const int64_t second = 1000000000;
static int64_t began_nsec[2]; // CLOCK_MONOTONIC and its kin; CLOCK_BOOTTIME

__attribute__((constructor)) static void begin(void)
{
    real = (gettime *)dlsym(RTLD_NEXT, "clock_gettime");
    struct timespec t;
    real(CLOCK_MONOTONIC, &t);
    began_nsec[0] = (int64_t)t.tv_sec * second + t.tv_nsec;
    real(CLOCK_BOOTTIME, &t);
    began_nsec[1] = (int64_t)t.tv_sec * second + t.tv_nsec;
    const char *path = getenv("CHECKER_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof(*clocks), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        clocks = at;
}

static void put(struct timespec *t, int64_t nsec)
{
    t->tv_sec = nsec / second;
    t->tv_nsec = nsec % second;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (!real)
        real = (gettime *)dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(clock, t);
    if (rc != 0 || !clocks)
        return rc;
    int64_t nsec = (int64_t)t->tv_sec * second + t->tv_nsec;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        put(t, nsec + clocks->wall_offset_usec * 1000);
    else if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME)
        put(t, nsec + (nsec - began_nsec[clock == CLOCK_BOOTTIME]) / 1000000 * clocks->rate_ppm);
    return 0;
}

__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    (void)tz;
    struct timespec t;
    int rc = clock_gettime(CLOCK_REALTIME, &t);
    *tv = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
    return rc;
}

__attribute__((visibility("default"))) time_t time(time_t *ret)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (ret)
        *ret = t.tv_sec;
    return t.tv_sec;
}
