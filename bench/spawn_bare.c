// SPDX-License-Identifier: Apache-2.0
// The peer of the spawn bench: a bare loop that keeps N children of posix_spawn going and waits for them. Nothing can start processes
// through a scheduler faster than this does without one.
//     spawn_bare COUNT PARALLEL [COMMAND [ARGUMENT...]]
// prints {"count":...,"parallel":...,"seconds":...,"per_second":...}

#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/str.h"

extern char **environ;

int main(int argc, char **argv)
{
    uint64_t count, parallel;
    if (argc < 3 || str_to_u64(argv[1], &count) < 0 || str_to_u64(argv[2], &parallel) < 0 || count == 0 || parallel == 0) {
        fprintf(stderr, "usage: spawn_bare COUNT PARALLEL [COMMAND [ARGUMENT...]]\n");
        return 64;
    }
    static char *const true_argv[] = {(char *)"/bin/true", NULL};
    char *const *command = argc > 3 ? argv + 3 : true_argv;
    uint64_t begun = 0, ended = 0, failed = 0;
    usec_t start = clock_mono_usec();
    while (ended < count) {
        while (begun < count && begun - ended < parallel) {
            pid_t pid;
            int rc = posix_spawn(&pid, command[0], NULL, NULL, command, environ);
            if (rc != 0) {
                fprintf(stderr, "spawn_bare: %s: %s\n", command[0], strerror(rc));
                return 71;
            }
            begun++;
        }
        int status;
        if (wait(&status) < 0) {
            if (errno == EINTR)
                continue;
            return 71;
        }
        failed += status != 0;
        ended++;
    }
    usec_t took = clock_mono_usec() - start;
    if (took < 1)
        took = 1;
    printf("{\"count\":%" PRIu64 ",\"parallel\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"seconds\":%" PRId64 ".%06" PRId64 ",\"per_second\":%" PRIu64 "}\n",
           count, parallel, failed, took / USEC_PER_SEC, took % USEC_PER_SEC, count * 1000000u / (uint64_t)took);
    return 0;
}
