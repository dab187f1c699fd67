// SPDX-License-Identifier: Apache-2.0
// The server: HTTP API, sessions of the agents, and the engine with its store, in one loop.
#pragma once

#include "base/err.h"
#include "model/limits.h"

struct server_options {
    const char *data;          // the data folder; made when it does not exist
    const char *listen_api;    // "127.0.0.1:7420"; port 0: any free one (endpoint.json tells)
    const char *listen_agents; // "127.0.0.1:7421"
    const char *name;          // of this server in the records; NULL: the host name
    const struct limits *limits;
    int ready_fd; // -1, or a descriptor that gets one byte, and is closed, once the server answers
};

// Where the command line looks for a server when nothing else is said.
#define SERVER_LISTEN_API "127.0.0.1:7420"
#define SERVER_LISTEN_AGENTS "127.0.0.1:7421"

// Serves until SIGTERM or SIGINT (0), or until the leadership ends by an error: then the process has to end with
// err_exit_status(), and whoever supervises it starts it again. Logs; called once in a process.
int server_main_run(const struct server_options *, struct err *);
