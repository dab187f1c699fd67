// SPDX-License-Identifier: Apache-2.0
// The spawner's helping threads: launchers start attempts (exec may wait for a slow file system), the janitor removes folders and old
// logs. The main thread only hands over and collects.
#pragma once

#include "exec/launch.h"

struct workers;

struct workers_options {
    struct launcher launcher; // a pattern: each launcher thread gets its own low_fd
    size_t n_launchers;
    int folder_fd; // that holds the folder of the tasks' folders, borrowed
    int logs_fd;   // borrowed
    const char *folder; // its path
    atomic_llong *log_total_bytes;
};

int workers_open(const struct workers_options *, struct workers **ret_workers, struct err *err);
// Waits for what is under way.
void workers_close(struct workers *);

// Hands a launch over; it comes back through workers_collect().
void workers_launch(struct workers *, struct launch *);
int workers_event_fd(const struct workers *);
void workers_collect(struct workers *, void (*launched)(void *owner, struct launch *), void *owner);

void workers_remove_workdir(struct workers *, const struct workdir *);
// Looks at the logs soon and removes the oldest when they are more than this.
void workers_purge_logs(struct workers *, uint64_t total_bytes_max);
