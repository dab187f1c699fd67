// SPDX-License-Identifier: Apache-2.0
// Following a run: its output as it comes, through restarts of the server, until it has ended.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/cli.h"

enum { FOLLOW_STDOUT = 1, FOLLOW_STDERR = 2 };

struct follow_options {
    uint64_t run_id;
    bool one_task;   // only the task `index`, and only until it has ended
    uint32_t index;
    unsigned streams; // FOLLOW_STDOUT | FOLLOW_STDERR
    bool owns_run;    // Ctrl-C and SIGTERM are about the run: ask, or cancel it
};

// Prints the output of every attempt: standard output to standard output, standard error to standard error, as it is for a single task,
// each line after "[INDEX] " for an array. With owns_run cli->exit_status becomes that of the work.
int follow_run(struct cli *, const struct follow_options *, struct err *);

// The exit status of ended work, as `muster help exit-statuses` says. `task` is that of a run of one task, else NULL.
int work_exit_status(const json_t *run, const json_t *task);

// Output of one stream of a task, printed. With `prefix` every line begins with the index of its task.
struct output {
    bool to_stderr;
    bool prefix;
    uint32_t index;
    struct buf line; // begun and not ended yet
};
void output_write(struct output *, const char *data, size_t len);
// Ends a line that was begun and releases what it holds.
void output_end(struct output *);
