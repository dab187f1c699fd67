// SPDX-License-Identifier: Apache-2.0
// A program that is nothing but `muster spawner`, for the tests of executors; with SYNC_SLEEP_USEC, one on a slow disk.

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exec/executor.h"

#ifdef SYNC_SLEEP_USEC
int fsync(int fd)
{
    usleep(SYNC_SLEEP_USEC);
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    usleep(SYNC_SLEEP_USEC);
    return (int)syscall(SYS_fdatasync, fd);
}
#endif

int main(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "spawner") == 0 ? spawner_main(argc, argv) : 2;
}
