// SPDX-License-Identifier: Apache-2.0
// The agent: the process on a node that keeps a session with the leader, has its orders carried out by an executor and reports. It holds no
// task itself: when it ends, whatever way, tasks live on under the spawner and the next agent takes them up.
#pragma once

#include "base/err.h"
#include "model/limits.h"
#include "model/node.h"

// The port of the agent session on servers.
enum { AGENT_PORT = 7421 };

struct agent_options {
    const char *const *servers; // "127.0.0.1:7421"; the port may be missing
    size_t n_servers;
    const char *name;     // NULL: the host name
    const char *folder;   // data folder; one agent uses it at a time
    const char *key_file; // of the cluster's agent key
    const char *executor; // "spawner" (NULL too) or "null"
    const char *program;  // path of this binary; NULL: found out
    const struct pair *labels; // beside os, arch, kernel and hostname
    size_t n_labels;
    const struct resource_need *capacity; // instead of, and beside, what is detected
    size_t n_capacity;
    uint32_t tasks_max; // at a time; 0: node_tasks_max
    const struct limits *limits;
};

// Runs until SIGTERM or SIGINT, then returns 0. Logs to stderr. Servers that cannot be reached are no error: it goes on trying.
// ERR_CONFLICT: another agent uses the folder. ERR_INVALID, ERR_DENIED and so on: the options, the key or the folder are not usable.
int agent_main_run(const struct agent_options *, struct err *);
