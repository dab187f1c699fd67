// SPDX-License-Identifier: Apache-2.0
// The thread that reads the pipes of attempts that write, and keeps what they say. Attempts that write nothing never come here.
//
// A slow or full disk holds up this thread and, through their full pipes, the tasks that write; nothing else of the spawner.
//
// Threads: everything here is called by the spawner's main thread.
#pragma once

#include "exec/log_file.h"

struct logs;
struct log_source;

// logs_fd: the open logs folder, borrowed. total: bytes of all logs, kept up to date.
int logs_open(int logs_fd, atomic_llong *total_bytes, struct logs **ret_logs, struct err *err);
void logs_close(struct logs *);

// Takes a non-blocking read end. Gives a source, to be ended with logs_finish().
struct log_source *logs_add(struct logs *, const struct log_key *, int pipe_fd, uint64_t cap_bytes);
// The writers are gone: what is left in the pipe is read, the file is finished, and the end is told by logs_collect() with the context.
void logs_finish(struct logs *, struct log_source *, void *context);

// Readable when something has finished.
int logs_event_fd(const struct logs *);
void logs_collect(struct logs *, void (*finished)(void *owner, void *context, uint64_t output_bytes, uint64_t lost_bytes), void *owner);
