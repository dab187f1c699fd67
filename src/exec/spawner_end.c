// SPDX-License-Identifier: Apache-2.0
// How an attempt ended, in a code and a sentence.

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/spawner.h"

static void say(struct spawned *task, struct buf *text)
{
    mem_free((void *)task->end.message);
    task->end.message = text->len == 0 ? NULL : buf_detach(text);
    buf_release(text);
}

static void read_usage(struct spawner *spawner, struct spawned *task, struct cgroup_usage *ret)
{
    *ret = (struct cgroup_usage){0};
    bool limited = task->memory_limit_bytes != 0;
    if (task->launch.slot != NULL)
        cgroup_slot_usage(task->launch.slot, limited, ret);
    struct usage *usage = &task->end.usage;
    usage->cpu_usec = ret->has_cpu ? ret->cpu_usec : task->rusage_cpu_usec;
    usage->memory_peak_bytes = ret->has_memory ? ret->memory_peak_bytes : task->rusage_peak_bytes;
    usage->read_bytes = ret->has_io ? ret->read_bytes : task->rusage_read_bytes;
    usage->written_bytes = ret->has_io ? ret->written_bytes : task->rusage_written_bytes;
    usage->output_bytes = task->output_bytes;
    (void)spawner;
}

static void describe(struct spawned *task, struct buf *text)
{
    const struct attempt_end *end = &task->end;
    char limit[32], peak[32];
    switch (end->outcome) {
    case OUTCOME_OOM:
        buf_printf(text, "memory limit of %s exceeded (peak %s)", size_format(limit, task->memory_limit_bytes),
                   size_format(peak, end->usage.memory_peak_bytes));
        break;
    case OUTCOME_TIMEOUT:
        buf_printf(text, "time limit of %s exceeded", duration_format(limit, task->time_limit_usec));
        break;
    case OUTCOME_LEASE:
        buf_adds(text, "the node lost its lease, and this work may not run without one");
        break;
    case OUTCOME_LOST:
        buf_adds(text, "the spawner of the node was told to end");
        break;
    case OUTCOME_SIGNAL:
        buf_printf(text, "killed by signal %d (%s)", end->signal, sigdescr_np(end->signal) == NULL ? "unknown" : sigdescr_np(end->signal));
        break;
    default:
        break;
    }
    if (task->output_lost_bytes > 0)
        buf_printf(text, "%s%" PRIu64 " bytes of its output could not be kept", text->len > 0 ? "; " : "", task->output_lost_bytes);
    if (task->unkillable)
        buf_printf(text, "%ssome of its processes could not be killed", text->len > 0 ? "; " : "");
}

void spawner_conclude(struct spawner *spawner, struct spawned *task)
{
    must(task->exited);
    struct attempt_end *end = &task->end;
    end->fence = task->ident.fence;
    end->start_usec = task->launch.start_wall_usec;
    end->wall_usec = task->wall_usec;
    struct cgroup_usage usage;
    read_usage(spawner, task, &usage);
    int status = task->wait_status;
    if (WIFSIGNALED(status)) {
        end->signal = WTERMSIG(status);
        end->outcome = OUTCOME_SIGNAL;
    } else {
        end->exit_code = WEXITSTATUS(status);
        end->outcome = end->exit_code == 0 ? OUTCOME_SUCCEEDED : OUTCOME_EXIT;
    }
    if (usage.oom_kills > 0 || task->oom_seen)
        end->outcome = OUTCOME_OOM;
    else if (task->stop_asked)
        end->outcome = task->stop_why;
    struct buf text = {0};
    describe(task, &text);
    say(task, &text);
}

void spawner_conclude_unstarted(struct spawned *task, enum outcome outcome, const char *message)
{
    task->end = (struct attempt_end){.fence = task->ident.fence, .outcome = outcome};
    if (message != NULL && message[0] != '\0')
        task->end.message = mem_strdup(message);
}
