// SPDX-License-Identifier: Apache-2.0
// Control groups for attempts: found, pooled, limited, read, killed.
//
// Three levels, from what this machine allows:
//   v2      one hierarchy with the controllers cpu, memory and pids (and io)
//   v1      the controllers cpu, memory and pids as mounted; a v2 hierarchy without controllers, where there is one, gives the group its
//           atomic kill and its cpu time, else freezer and cpuacct do
//   none    nothing may be created: the caller falls back on sessions
//
// A group of one attempt is a "slot": one folder in each hierarchy used, kept and used again, because creating folders costs ten times
// what moving a process into them does. Slots live below <own group>/muster-<id>/, id being that of the data folder, so that the next
// spawner of the folder finds what an earlier one left.
//
// Threads: cgroup_slot_take() may be called by several threads; the rest by one.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum cgroup_mode { CGROUP_NONE, CGROUP_V1, CGROUP_V2 };
enum cgroup_tree { TREE_UNIFIED, TREE_CPU, TREE_MEMORY, TREE_PIDS, TREE_CPUACCT, TREE_FREEZER, CGROUP_TREES };

// Where the hierarchies are and which group this process is in, from /proc/self/mountinfo and /proc/self/cgroup. A path is "" when there
// is no such hierarchy. Several v1 controllers may share one mount.
struct cgroup_paths {
    char path[CGROUP_TREES][512]; // of this process's own group
    char unified_mount[512];      // where the v2 hierarchy begins
};

// Pure: reads the two texts.
void cgroup_paths_parse(const char *mountinfo, const char *self_cgroup, struct cgroup_paths *ret);

struct cgroups;
struct cgroup_slot;

struct cgroup_limits {
    uint64_t cpu_millis;      // weight
    bool cpu_quota;           // cpu_millis is a ceiling too
    uint64_t memory_bytes;    // 0: no limit
    uint64_t pids_max;
};

struct cgroup_usage {
    bool has_cpu, has_memory, has_io;
    uint64_t cpu_usec, memory_peak_bytes, read_bytes, written_bytes;
    uint64_t oom_kills;
};

// Never fails: when nothing is usable the mode is CGROUP_NONE. id names the folder's groups.
void cgroups_open(const char *id, struct cgroups **ret_cgroups);
// Removes the groups that are empty.
void cgroups_close(struct cgroups *);
enum cgroup_mode cgroups_mode(const struct cgroups *);
// Sentences about what cannot be enforced here.
size_t cgroups_warnings(const struct cgroups *, const char *const **ret_sentences);

// The folders that hold all our groups, one a line: to be kept, and given to cgroups_clear() by the next spawner, which may run in another
// group than this one.
void cgroups_tops(const struct cgroups *, struct buf *ret);
// Kills every process in the groups that an earlier spawner left, waits until they are gone (at most wait_millis) and removes the
// groups. ERR_TIMEOUT when some process does not go.
int cgroups_clear(struct cgroups *, const char *earlier_tops, unsigned wait_millis, struct err *err);

// A slot with these limits and fresh counters. ERR_*: a sentence for the attempt's message.
int cgroup_slot_take(struct cgroups *, const struct cgroup_limits *, struct cgroup_slot **ret_slot, struct err *err);
// Takes the slot back. reusable: it is empty.
void cgroup_slot_give(struct cgroups *, struct cgroup_slot *, bool reusable);
// Descriptors into which the child writes "0" to become a member; async-signal-safe to use.
size_t cgroup_slot_join_fds(const struct cgroup_slot *, const int **ret_fds);
// Readable when the group ran out of memory and the whole of it is to be killed; -1 when the kernel does that itself or cannot tell.
int cgroup_slot_oom_fd(const struct cgroup_slot *);
bool cgroup_slot_empty(struct cgroup_slot *);
// SIGKILL to every process in it; repeat until it is empty.
void cgroup_slot_kill(struct cgroup_slot *);
void cgroup_slot_signal(struct cgroup_slot *, int signal);
// look_for_oom: oom_kills is wanted (it costs a little more).
void cgroup_slot_usage(struct cgroup_slot *, bool look_for_oom, struct cgroup_usage *ret);
