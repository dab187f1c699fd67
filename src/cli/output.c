// SPDX-License-Identifier: Apache-2.0
// Printing the output of tasks, and what their ends mean for the exit status.

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/api.h"
#include "cli/follow.h"

// A line longer than this is printed in pieces.
#define LINE_BYTES_MAX ((size_t)65536)

static void line_print(struct output *output, const char *data, size_t len)
{
    FILE *file = output->to_stderr ? stderr : stdout;
    fprintf(file, "[%u] ", output->index);
    if (output->line.len > 0)
        fwrite(output->line.data, 1, output->line.len, file);
    fwrite(data, 1, len, file);
    fputc('\n', file);
    buf_truncate(&output->line, 0);
}

void output_write(struct output *output, const char *data, size_t len)
{
    FILE *file = output->to_stderr ? stderr : stdout;
    if (!output->prefix) {
        fwrite(data, 1, len, file);
        fflush(file);
        return;
    }
    const char *end;
    while (len > 0 && (end = memchr(data, '\n', len)) != NULL) {
        line_print(output, data, (size_t)(end - data));
        len -= (size_t)(end - data) + 1;
        data = end + 1;
    }
    buf_add(&output->line, data, len);
    if (output->line.len > LINE_BYTES_MAX)
        line_print(output, "", 0);
    fflush(file);
}

void output_end(struct output *output)
{
    if (output->line.len > 0)
        line_print(output, "", 0);
    fflush(output->to_stderr ? stderr : stdout);
    buf_release(&output->line);
}

int work_exit_status(const json_t *run, const json_t *task)
{
    if (str_eq(answer_text(run, "state"), "succeeded"))
        return 0;
    const char *outcome = answer_text(task, "outcome");
    if (str_eq(outcome, "spawn"))
        return 127;
    int64_t exit_code = answer_number(task, "exit_code");
    int64_t signal = answer_number(task, "signal");
    if (signal > 0 && signal < 128)
        return 128 + (int)signal;
    return exit_code > 0 && exit_code < 256 ? (int)exit_code : 1;
}
