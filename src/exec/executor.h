// SPDX-License-Identifier: Apache-2.0
// What runs attempts on a node. The agent speaks to one executor; the implementations are the spawner (a process of its own that
// survives the agent: exec/spawner.h), `null` (completes everything at once, for benches) and, in the simulator, a simulated one.
//
// Threads: all calls from the agent's loop. The executor calls back from executor_ready() only.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "model/event.h"
#include "model/limits.h"

struct executor;

// One attempt to start, everything decided: the spec is unpacked, the placeholders are filled in by the executor's environment.
struct exec_start {
    uint64_t fence, run_id, job_id;
    uint32_t index, attempt, position, n_tasks;
    usec_t nominal_usec;
    uint64_t backfill_id; // 0: of none
    struct bytes params; // values of its parameters (model/params.h), borrowed for the call
    const struct job_spec *spec; // borrowed for the call
    struct bytes packed;
    usec_t lease_until_boot_usec; // CLOCK_BOOTTIME; at_most_once attempts must have ended by then
};

struct exec_attempt {
    uint64_t fence, run_id;
    uint32_t index, attempt;
    enum delivery delivery;
    bool running;
    usec_t start_usec;       // wall
    struct attempt_end end;  // when not running
};

struct executor_sink {
    void (*on_started)(void *context, uint64_t fence, usec_t start_usec);
    // The end is durable on this node; it is told again after a restart until executor_forget().
    void (*on_ended)(void *context, const struct attempt_end *);
    // The spawner went away and was started again as another instance: everything it held is gone.
    void (*on_reset)(void *context, const char *instance);
    void *context;
};

struct executor_ops {
    const char *name;
    void (*close)(struct executor *); // leaves running attempts alone
    // Instance of whatever holds the processes; changes only when all of them are gone.
    const char *(*instance)(struct executor *);
    // Attempts it knows: running, and ended but not forgotten. Calls visit for each, by fence.
    void (*attempts)(struct executor *, void (*visit)(void *, const struct exec_attempt *), void *context);
    // Never blocks; a start that fails is reported as an end (OUTCOME_SPAWN).
    void (*start)(struct executor *, const struct exec_start *);
    // Idempotent: SIGTERM now, SIGKILL of the whole cgroup after the grace of its spec. why becomes the outcome.
    void (*stop)(struct executor *, uint64_t fence, enum outcome why);
    void (*forget)(struct executor *, uint64_t fence);
    // at_most_once attempts may go on until then (CLOCK_BOOTTIME).
    void (*renew)(struct executor *, usec_t lease_until_boot_usec);
    // For the loop: a descriptor to wait on until it is readable, or -1; how long from now (0: at once) or USEC_NEVER; ready() is called
    // when either says so.
    int (*fd)(struct executor *);
    usec_t (*deadline)(struct executor *, usec_t mono_usec);
    int (*ready)(struct executor *, struct err *);
    // Sentences about what this executor cannot enforce here.
    size_t (*warnings)(struct executor *, const char *const **ret_sentences);
};

struct executor {
    const struct executor_ops *ops;
    struct executor_sink sink;
};

struct executor_options {
    const char *folder; // the agent's data folder
    const char *node;
    const char *program; // path of this binary, to start `muster spawner`
    const struct limits *limits;
    struct executor_sink sink;
};

// Attaches to the spawner of this folder, or starts one.
int executor_spawner_open(const struct executor_options *, struct executor **ret_executor, struct err *);
int executor_null_open(const struct executor_options *, struct executor **ret_executor, struct err *);
// Main function of `muster spawner`: argv as executor_spawner_open passes it.
int spawner_main(int argc, char **argv);
// Ends the spawner of an agent's folder with all its tasks (SIGTERM, and SIGKILL after the grace of each), and waits until it has gone.
// Nothing happens where there is none. The ends of the tasks are kept, and told to the next agent of the folder. ERR_TIMEOUT: it goes
// on ending them.
int executor_spawner_end(const char *folder, usec_t patience_usec, struct err *);

// Output of an attempt that ran here. Offsets count from the first byte that the attempt wrote; *ret_offset is the offset of the first byte
// given (later than asked when the beginning was dropped), *ret_end the offset behind the last byte written so far, *ret_final whether no more
// can come. ERR_NOT_FOUND: no output of that attempt is kept.
enum log_stream { LOG_STDOUT, LOG_STDERR };
int log_read(const char *folder, uint64_t run_id, uint32_t index, uint32_t attempt, enum log_stream, uint64_t offset, size_t max, struct buf *,
             uint64_t *ret_offset, uint64_t *ret_end, bool *ret_final, struct err *);
