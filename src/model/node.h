// SPDX-License-Identifier: Apache-2.0
// What a node says of itself.
#pragma once

#include "model/job_spec.h"

struct node_info {
    const char *name;     // unique; the host name unless set
    const char *identity; // made at the agent's first start and kept in its folder; another identity is another node
    const char *spawner;  // instance of the spawner; a new one means that what the old one held is gone
    const char *boot_id;
    const char *version; // of the agent's program
    const struct resource_need *capacity; // sorted by name
    size_t n_capacity;
    const struct pair *labels; // sorted by key
    size_t n_labels;
    uint32_t tasks_max; // tasks at a time
    const char *const *warnings; // what this agent cannot enforce or measure, in sentences
    size_t n_warnings;
};
