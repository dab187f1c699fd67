// SPDX-License-Identifier: Apache-2.0
// `muster spawner`: the process that holds an agent's tasks and survives the agent. Private to exec/: spawner_main() in executor.h is the
// way in. One thread (the loop) owns everything here; what may block is done by exec/workers.h, exec/logs.h and the spool's thread.
//
//   spawner.c       what an earlier spawner left, the loop
//   spawner_folder.c  the folder, the lock
//   spawner_task.c  attempts: from the order to their durable end
//   spawner_conn.c  the agent's connection
//
// An attempt's life here:
//   ACCEPTED   in the journal (or about to be, before this turn ends), waiting for a launcher
//   LAUNCHING  a launcher has it
//   RUNNING    its process runs
//   EMPTYING   its process has ended; others of its group are being killed
//   DRAINING   the group is empty; the last of its output is being read
//   ENDING     its end is written, not synced
//   ENDED      its end is durable and told; kept until the agent says FORGET
#pragma once

#include "base/heap.h"
#include "base/map.h"
#include "exec/control.h"
#include "exec/logs.h"
#include "exec/spool.h"
#include "exec/workers.h"

// When the lease of at_most_once attempts runs out, SIGTERM is sent this long before it, and SIGKILL this long; with a lease shorter than
// four times that, a half and a quarter of it. What is between is for the task to end by itself; what is behind is for the kernel to end
// and for us to see it.
#define LEASE_TERM_MARGIN_USEC (3 * USEC_PER_SEC)
#define LEASE_KILL_MARGIN_USEC (1 * USEC_PER_SEC)
// Without an agent and without attempts that run, a spawner goes: the next one reads what it left.
#define SPAWNER_IDLE_USEC (1 * USEC_PER_SEC)
// The agent that started it gets longer for its first hello: on a machine with more work than it can do that may be seconds away.
#define SPAWNER_FIRST_USEC (10 * USEC_PER_SEC)
// Processes that survive SIGKILL this long (asleep in the kernel) do not hold up the report of the end any longer.
#define UNKILLABLE_USEC (60 * USEC_PER_SEC)
#define SPAWNER_SOCKET "spawner.sock"

enum task_phase { PHASE_ACCEPTED, PHASE_LAUNCHING, PHASE_RUNNING, PHASE_EMPTYING, PHASE_DRAINING, PHASE_ENDING, PHASE_ENDED };

struct spawned {
    struct exec_ident ident;
    enum task_phase phase;
    struct list link;       // in spawner.all
    struct list phase_link; // in spawner.accepted or spawner.ending
    struct list lease_link; // in spawner.leased while it may run
    struct launch launch;   // valid from ACCEPTED to DRAINING
    struct heap_node deadline;

    usec_t time_limit_usec, kill_grace_usec;
    uint64_t log_bytes_max, memory_limit_bytes;

    bool stop_asked;     // stop_why says why
    enum outcome stop_why;
    usec_t limit_boot_usec;   // time limit; USEC_NEVER
    usec_t kill_boot_usec;    // SIGKILL due; USEC_NEVER
    usec_t recheck_boot_usec; // EMPTYING: look again; USEC_NEVER
    usec_t recheck_step_usec;
    usec_t exited_boot_usec;
    bool unkillable;
    bool oom_seen;

    bool exited;
    int wait_status;
    uint64_t rusage_cpu_usec, rusage_peak_bytes, rusage_read_bytes, rusage_written_bytes;
    usec_t wall_usec;
    int n_draining;
    struct log_source *source[2];
    uint64_t output_bytes, output_lost_bytes;

    struct attempt_end end; // from ENDING; the message is owned
    uint64_t end_position;  // in the spool
};

struct spawner_conn {
    int fd; // -1: none
    bool greeted;
    bool writable_watched;
    struct buf in, out;
    struct launch_spec *last_spec;
};

struct spawner {
    char folder[WORKDIR_PATH_MAX - 64];
    char work_base[WORKDIR_PATH_MAX - 64]; // holds the folder of the tasks' folders: the data folder, unless tasks of others cannot get there
    int folder_fd, work_base_fd, logs_fd, spool_fd, lock_fd, listen_fd, epoll_fd, timer_fd, signal_fd, null_fd;
    char instance[INSTANCE_TEXT], boot_id[40];
    char node[256];
    uint64_t task_pids_max, log_bytes_max, log_total_bytes_max;
    atomic_llong log_total_bytes;

    struct cgroups *cgroups;
    struct workdirs *workdirs;
    struct workers *workers;
    struct logs *logs;
    struct spool *spool;
    struct launcher launcher;

    struct map by_fence;
    struct list all, accepted, ending, leased;
    struct heap deadlines;
    size_t n_unended; // attempts before ENDING
    struct map forgotten;     // fences
    uint64_t *forgotten_ring; // JOURNAL_FORGOTTEN_MAX of them
    size_t forgotten_n, forgotten_at;

    usec_t lease_boot_usec, lease_term_boot_usec, lease_kill_boot_usec;
    _Atomic usec_t lease_start_boot_usec; // for launchers: nothing at_most_once starts at or after this
    usec_t idle_since_boot_usec;
    bool had_agent; // one has said hello
    usec_t timer_set_boot_usec;
    usec_t retry_boot_usec; // of what failed to be written; USEC_NEVER
    usec_t purge_asked_boot_usec;
    bool ending_all; // SIGTERM: goes when nothing runs any more
    struct buf warnings_text;
    const char *warnings[16];
    size_t n_warnings;
    struct spawner_conn conn;    // of the agent
    struct spawner_conn pending; // has come and not said who it is; takes the agent's place with its hello
};

// What an event of the loop is about: one of these, or a spawned attempt with the part in the low bits.
enum event_tag { TAG_LISTEN = 1, TAG_CONN, TAG_PENDING, TAG_TIMER, TAG_SIGNAL, TAG_SPOOL, TAG_LOGS, TAG_WORKERS };
enum event_part { PART_NONE, PART_PID, PART_OUT, PART_ERR, PART_OOM };

// spawner_task.c
// An order to start. Idempotent: a fence that is known is told again, one that was forgotten is ignored.
void spawner_start(struct spawner *, const struct control_start *, struct launch_spec *);
void spawner_stop(struct spawner *, struct spawned *, enum outcome why);
void spawner_forget(struct spawner *, uint64_t fence);
void spawner_renew(struct spawner *, usec_t lease_until_boot_usec);
void spawner_stop_all(struct spawner *, enum outcome why);
// Writes the journal, lets launches go that are recorded, tells ends that are durable. Once a turn.
void spawner_settle(struct spawner *);
void spawner_on_part(struct spawner *, struct spawned *, enum event_part, uint32_t events);
void spawner_on_logs(struct spawner *);
void spawner_on_workers(struct spawner *);
// Does what is due, and returns when something is due next (CLOCK_BOOTTIME).
usec_t spawner_on_time(struct spawner *, usec_t boot_usec);
// An attempt found in the journal.
void spawner_adopt(struct spawner *, const struct journal_attempt *);
void spawner_remember_forgotten(struct spawner *, uint64_t fence);
// At the very end, when nothing runs any more.
void spawner_free_tasks(struct spawner *);

// spawner_end.c
// How it ended, from what was seen of it; fills task->end.
void spawner_conclude(struct spawner *, struct spawned *);
// An end without a process.
void spawner_conclude_unstarted(struct spawned *, enum outcome, const char *message);

// spawner_conn.c
void spawner_conn_init(struct spawner_conn *);
void spawner_conn_release(struct spawner *, struct spawner_conn *);
void spawner_conn_on_listen(struct spawner *);
void spawner_conn_on_event(struct spawner *, struct spawner_conn *, uint32_t events);
// Sends what gathered.
void spawner_conn_flush(struct spawner *);
void spawner_conn_tell_started(struct spawner *, const struct spawned *);
void spawner_conn_tell_ended(struct spawner *, const struct spawned *);

// spawner_folder.c
// Locks the folder against other spawners, fills instance, boot id and the descriptors of the subfolders, and gives the folder's own id.
int spawner_open_folder(struct spawner *, char ret_id[static 17], struct err *);
int spawner_find_work_base(struct spawner *, const char *id, struct err *);
// Keeps a sentence for the agent about what cannot be done here; borrowed for good.
void spawner_warn(struct spawner *, const char *sentence);

// spawner.c
int spawner_watch(struct spawner *, int fd, uint32_t events, uint64_t data);
static inline uint64_t event_of(struct spawned *task, enum event_part part)
{
    return (uint64_t)(uintptr_t)task | (uint64_t)part;
}
