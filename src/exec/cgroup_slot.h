// SPDX-License-Identifier: Apache-2.0
// What cgroup.c and cgroup_slot.c share; private to them.
#pragma once

#include <pthread.h>

#include "exec/cgroup.h"

enum { CGROUP_WARNINGS_MAX = 8, CGROUP_SLOT_NAME = 24 };

struct cgroups {
    enum cgroup_mode mode;
    int top_fd[CGROUP_TREES]; // muster-<id> in each tree that is used, else -1
    char top_path[CGROUP_TREES][512]; // of the folder that holds it
    char top_name[64];
    bool can_kill;   // the unified tree has cgroup.kill
    const char *warnings[CGROUP_WARNINGS_MAX];
    size_t n_warnings;
    pthread_mutex_t lock;
    struct cgroup_slot *free_slots; // below: under lock
    unsigned next_slot;
};

struct cgroup_slot {
    struct cgroup_slot *next; // in free_slots
    struct cgroups *cgroups;
    char name[CGROUP_SLOT_NAME];
    int join_fd[CGROUP_TREES];
    size_t n_join;
    int pids_fd, peak_fd, cpu_fd; // counters that are read at every end; -1: none
    int oom_fd;
    struct cgroup_limits limits; // as written; a zeroed value was never written
    uint64_t cpu_base_usec, oom_base, peak_base_bytes, read_base_bytes, written_base_bytes;
};

// Removes the folders and frees the slot. Folders that are not empty stay for cgroups_clear() of the next spawner.
void cgroup_slot_destroy(struct cgroups *, struct cgroup_slot *);
// SIGKILL to everything in the group `name` below top_fd.
void cgroup_kill_in(int top_fd, const char *name);
