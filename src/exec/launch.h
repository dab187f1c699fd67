// SPDX-License-Identifier: Apache-2.0
// Starting one attempt: folder, environment, control group, descriptors, user, exec.
//
// A launch is made by the spawner's main thread, run by a launcher thread (which may block on a slow file system without stopping
// anything else) and collected by the main thread. The child shares the launcher's memory until its exec (CLONE_VM | CLONE_VFORK), so
// starting costs the same however large this process is, and nothing is copied.
#pragma once

#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "exec/account.h"
#include "exec/cgroup.h"
#include "exec/workdir.h"
#include "model/event.h"

// A spec that several launches share.
struct launch_spec {
    struct arena arena;
    const struct job_spec *spec;
    struct bytes packed; // in the arena
    atomic_int refs;
};

void launch_spec_put(struct launch_spec *);

struct launch_times; // exec/launch_time.h

struct launch {
    struct list link; // of whoever holds it
    void *owner;      // the attempt

    // What to start; set by the maker.
    uint64_t fence, run_id, job_id;
    uint32_t index, attempt, position, n_tasks;
    usec_t nominal_usec;
    uint64_t backfill_id;     // 0: of none
    struct buf params;        // packed values of its parameters, owned
    struct launch_spec *spec; // one reference
    const char *node;         // borrowed for good
    uint64_t pids_max;
    _Atomic usec_t *lease_boot_usec; // at_most_once: not started at or after it; NULL otherwise

    // What became of it; set by launch_run(). outcome is OUTCOME_SUCCEEDED when a process was started.
    enum outcome outcome;
    struct err err; // why not
    pid_t pid;
    int pidfd, out_fd, err_fd; // non-blocking read ends
    uint64_t pid_ticks;
    usec_t start_wall_usec, start_boot_usec, start_mono_usec;
    struct cgroup_slot *slot;
    struct workdir workdir;
    uid_t uid;
};

// What all launches of a process share.
struct launcher {
    struct cgroups *cgroups;
    struct workdirs *workdirs;
    const char *instance;
    int null_fd;
    int low_fd; // two descriptors from here on belong to this launcher, below LAUNCH_LOW_FDS
    bool reset_oom_score; // this process is protected from the OOM killer, its tasks are not to be
    struct rlimit nofile; // that this process began with
};

// Descriptors below this number stay open in the child until just before exec; all others are never copied into it.
enum { LAUNCH_LOW_FDS = 16, LAUNCHERS_MAX = 4 };

void launch_run(struct launcher *, struct launch *);
// Ends with what a launch holds but its owner did not take: descriptors, spec, slot (empty).
void launch_release(struct launcher *, struct launch *);

// The environment of an attempt, NULL at its end, in the arena (spec/API: MUSTER_*, account, PATH, LANG, TMPDIR, then the spec's own).
// NULL when a variable becomes too long: launch_times_too_long().
char **launch_environment(struct arena *, const struct launch *, struct launch_times *, const struct account *, const char *instance,
                          const char *folder);
// What to try to execute, in order, NULL at its end: the command itself when it has a slash, else one path for each entry of PATH.
char **launch_candidates(struct arena *, const char *command, char *const *environment);
