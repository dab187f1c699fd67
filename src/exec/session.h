// SPDX-License-Identifier: Apache-2.0
// Finding the processes of an attempt without control groups: by their session, and by the environment that they were born with.
// A process that has left its session and wiped its environment is not found; that is why cgroups are preferred.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct session_match {
    pid_t session;         // 0: any
    uint64_t leader_ticks; // 0: not checked; otherwise a leader that is there must have begun then
    uint64_t fence;        // 0: any
    const char *instance;  // MUSTER_SPAWNER of the environment
};

// Sends a signal (0: none) to every process that matches by session or by environment; returns how many there are.
size_t session_signal(const struct session_match *, int signal);
// Collects processes whose parents have died and that came to the calling thread. Returns true when none is left alive.
bool session_reap_orphans(void);
// SIGKILL to every child of the calling thread of that sort.
void session_kill_orphans(void);
