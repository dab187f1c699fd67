// SPDX-License-Identifier: Apache-2.0
// What this machine has and is: resources and labels, looked up once at start.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/node.h"

// Millis of the cores that this process may use, by its affinity and by the quota of its cgroup.
uint64_t detect_cpu_millis(void);
// Memory of the machine (or the limit of the cgroup, if lower) less what is left to the system: a twentieth, from 128 MiB to 2 GiB.
uint64_t detect_memory_bytes(void);
// Room for tasks on the file system of this folder: what is free, less a twentieth.
uint64_t detect_disk_bytes(const char *folder);
// NVIDIA devices.
uint64_t detect_gpus(void);

// All of these, by name, replaced or completed by `given` (by name; an amount of 0 takes one away). In the arena, sorted by name.
const struct resource_need *detect_capacity(struct arena *, const char *folder, const struct resource_need *given, size_t n_given, size_t *ret_n);
// os, arch, kernel, hostname, replaced or completed by `given`. In the arena, sorted by key.
const struct pair *detect_labels(struct arena *, const struct pair *given, size_t n_given, size_t *ret_n);
// The host name, in the arena.
const char *detect_hostname(struct arena *);
// The id of this boot of the machine, in the arena; "" when the kernel does not say.
const char *detect_boot_id(struct arena *);
