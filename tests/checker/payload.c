// SPDX-License-Identifier: Apache-2.0
// What the black-box checker lets Muster run: it writes down, outside of Muster, that it started, that it is alive, and that it ends.
//
//     payload EVIDENCE LABEL VERSION MILLIS [exit=N] [first-exit=N] [stubborn] [slow-stop]
//
// EVIDENCE is a file of the harness, appended to with one write(2) of one record, O_APPEND. LABEL and VERSION are numbers of the harness: which
// piece of work this is, and which version of its definition. It runs for MILLIS and exits with 0, with exit=N, or with first-exit=N on the
// first attempt of its task. Asked to stop, it goes at once; slow-stop takes a while and goes on writing, stubborn has to be killed.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BEAT_MILLIS = 20, SLOW_STOP_MILLIS = 400, MAGIC = 0x4556494d };

enum phase { PHASE_START = 1, PHASE_BEAT, PHASE_END, PHASE_TERM };

// tests/checker/evidence.py reads it.
struct record {
    uint32_t magic;
    uint32_t label;
    uint32_t version;
    uint32_t phase;
    uint64_t run;
    uint64_t fence;
    uint32_t task;
    uint32_t attempt;
    int32_t exit;
    uint32_t pid;
    int64_t ref_nsec;  // CLOCK_MONOTONIC of the host: no fault touches it
    int64_t wall_nsec; // CLOCK_REALTIME of the host
    char node[24];
    char nominal[40]; // as Muster told it
};

_Static_assert(sizeof(struct record) == 128, "records have the size that evidence.py reads");

static volatile sig_atomic_t asked_to_stop;

static void on_term(int signal)
{
    (void)signal;
    asked_to_stop = 1;
}

static uint64_t number(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

static void text(char *to, size_t size, const char *name)
{
    const char *from = getenv(name);
    snprintf(to, size, "%s", from ? from : "");
}

static int64_t nsec(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void note(int fd, struct record *record, enum phase phase, int exit)
{
    record->phase = phase;
    record->exit = exit;
    record->ref_nsec = nsec(CLOCK_MONOTONIC);
    record->wall_nsec = nsec(CLOCK_REALTIME);
    ssize_t n;
    do
        n = write(fd, record, sizeof(*record));
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(*record))
        _exit(99);
}

// Lives until then, with a sign of life every BEAT_MILLIS. False: it was asked to stop.
static bool live(int fd, struct record *record, int64_t until)
{
    for (;;) {
        int64_t left = until - nsec(CLOCK_MONOTONIC);
        if (left <= 0)
            return true;
        int64_t nap = left < BEAT_MILLIS * 1000000 ? left : BEAT_MILLIS * 1000000;
        nanosleep(&(struct timespec){.tv_nsec = nap}, NULL);
        if (asked_to_stop)
            return false;
        note(fd, record, PHASE_BEAT, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 98;
    int fd = open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return 97;
    struct record record = {.magic = MAGIC, .label = (uint32_t)strtoul(argv[2], NULL, 10), .version = (uint32_t)strtoul(argv[3], NULL, 10)};
    record.run = number("MUSTER_RUN");
    record.task = (uint32_t)number("MUSTER_TASK");
    record.attempt = (uint32_t)number("MUSTER_ATTEMPT");
    record.fence = number("MUSTER_FENCE");
    record.pid = (uint32_t)getpid();
    text(record.node, sizeof(record.node), "MUSTER_NODE");
    text(record.nominal, sizeof(record.nominal), "MUSTER_NOMINAL_TIME");
    int status = 0;
    bool slow_stop = false;
    for (int i = 5; i < argc; i++) {
        if (strncmp(argv[i], "exit=", 5) == 0)
            status = (int)strtol(argv[i] + 5, NULL, 10);
        else if (strncmp(argv[i], "first-exit=", 11) == 0 && record.attempt == 1)
            status = (int)strtol(argv[i] + 11, NULL, 10);
        else if (strcmp(argv[i], "stubborn") == 0)
            signal(SIGTERM, SIG_IGN);
        else if (strcmp(argv[i], "slow-stop") == 0) {
            slow_stop = true;
            sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
        }
    }
    note(fd, &record, PHASE_START, 0);
    bool whole = live(fd, &record, record.ref_nsec + strtol(argv[4], NULL, 10) * 1000000);
    if (!whole && slow_stop) {
        asked_to_stop = 0;
        live(fd, &record, nsec(CLOCK_MONOTONIC) + (int64_t)SLOW_STOP_MILLIS * 1000000);
        note(fd, &record, PHASE_TERM, 143);
        return 143;
    }
    note(fd, &record, PHASE_END, status);
    return status;
}
