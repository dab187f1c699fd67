// SPDX-License-Identifier: Apache-2.0
// The truth: a second reader of the durable log, which shares no code with the core's fold, and the book of what processes really did. The
// invariants compare both with each other and with what the core shows.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "model/record.h"
#include "sim/instants.h"

struct core;
struct disk_batch;
struct node;
struct process;
struct sim;

struct t_dep {
    uint64_t run_id;
    enum after_on on;
};

struct t_task {
    enum task_state state;
    uint32_t attempt, tries;
    uint64_t fence;
    usec_t retry_usec;
    usec_t retry_true_usec; // true time before which the wait cannot be over, whatever clocks did
    uint32_t retry_jumps;   // of the leader's clock until it was decided
    uint32_t may_have_started; // attempts that are not known not to have started
    uint32_t starts;           // processes
    uint32_t good_exits;
};

struct t_run {
    struct list link; // truth.live while it has not ended
    uint64_t id, job_id;
    enum run_state state;
    bool held, poison;
    uint32_t n_tasks;
    uint32_t parallelism;
    enum delivery delivery;
    uint32_t retry_limit;
    usec_t backoff_usec, backoff_max_usec;
    char *key;
    uint32_t key_limit;
    usec_t start_at_usec, submitted_usec, nominal_usec, deadline_usec;
    uint64_t cpu_millis, memory_bytes, licences;
    const char *zone; // constraint; static text or NULL
    struct t_dep *deps;
    size_t n_deps;
    char *idempotency_key;
    uint32_t n_active, n_ended;
    uint32_t ended[TASK_STATES];
    bool holds_key;
    bool alone; // it may not run beside an older run of its job
    bool archived; // the history has it
    bool dropped;  // the core let go of it
    bool cancelled_acked;
    uint32_t alive; // processes
    uint32_t packed_len, job_version;
    uint64_t rerun_of, backfill_id;
    struct bytes again; // packed spec of a run that does the same again
    uint64_t params_hash; // of its values of parameters
    char param[16];       // the value of the parameter p; empty: none
};

struct t_fence {
    uint64_t run_id;
    uint32_t index, attempt, node_id;
    bool ended, started_told, stopping;
    enum outcome outcome;
    int exit_code;
    struct node *where; // the machine of its process
    uint32_t starts;
    bool alive;
    bool over; // its process has ended
    enum outcome real;
    int real_exit;
    usec_t exited_usec;
    usec_t ended_usec; // true time at which its end became durable
    usec_t placed_usec;
    usec_t stop_usec; // true time at which it became durable that it shall stop, or is over
};

struct t_node {
    uint32_t id;
    char name[24], identity[32], spawner[24];
    enum node_state state;
    bool closed, removed;
    uint64_t cpu, memory, licences, used_cpu, used_memory, used_licences;
    uint32_t n_tasks, tasks_max;
    char zone[8];
};

struct t_trigger {
    struct t_rule rule;
    usec_t next_usec, last_usec;
    uint32_t exclude, include; // calendars, by their places
    usec_t left_out_usec; // the first instant that they leave out before the next one and that is not told of; USEC_NEVER: none
    int64_t told;         // of those behind the next one
    uint64_t planned_seq; // record that gave the next one anew
};

enum { CALENDARS_MAX = 4 };

struct t_calendar {
    char name[16]; // empty: none
    uint32_t version;
    usec_t put_usec;
    uint64_t put_seq;
    struct calendar_dates dates[8];
    size_t n_dates;
};

struct t_job {
    struct list link;
    uint64_t id;
    uint32_t version;
    char name[32];
    enum job_state state;
    enum overlap overlap;
    enum misfire misfire;
    usec_t first_usec, decided_usec; // the latest instant that was decided
    struct t_trigger triggers[4];
    size_t n_triggers;
    uint32_t n_active;
    uint64_t queued;
    uint64_t late_epoch;  // late starts, counted from second to second
    usec_t late_first_usec, late_last_usec;
    int64_t n_late;
    uint64_t expect_run; // a fire that started: its run follows
    uint32_t pause_after, failures; // failed runs in a row
};

struct t_backfill {
    uint64_t id, job_id;
    uint32_t job_version;
    enum backfill_state state;
    usec_t from_usec, to_usec;
    bool reverse;
    uint32_t parallel_max, n_active;
    usec_t done_usec;
    uint32_t done_trigger;
    uint64_t n_fired, expect_run;
    struct instant_span *covered;
    size_t n_covered;
};

struct t_key {
    char *name;
    uint32_t holders; // runs that hold it
};

struct truth {
    struct map runs, tasks, fences;
    struct strmap keys, idempotency, jobs_by_name;
    struct map jobs, backfills;
    struct list jobs_list, live;
    struct t_calendar calendars[CALENDARS_MAX];
    struct t_node *nodes;
    size_t n_nodes, cap_nodes;
    uint64_t seq, epoch, last_run, last_job, last_backfill, last_fence;
    uint64_t n_runs, n_live, n_ended, n_archived;
    uint64_t n_tasks; // of runs that the core holds
    usec_t at_usec; // wall time of the last record
    usec_t fired_usec; // true time at which an instant was decided last
    struct buf log; // every durable record, from the first
    struct core *standby; // follows the durable log record by record, as another server would
    struct arena arena; // of one record
    struct arena lasting;
    uint64_t n_records, n_fires, n_attempts, n_processes;
    uint64_t verified_seq;
};

void truth_init(struct sim *);
void truth_release(struct sim *);
// A batch has become durable.
void truth_batch(struct sim *, uint64_t epoch, const struct disk_batch *);
void truth_record(struct sim *, const struct record *);
struct t_backfill *truth_backfill(const struct sim *, uint64_t id);
void truth_backfill_run(struct sim *, const struct rec_run_submitted *);
void truth_backfill_record(struct sim *, const struct record *);
void truth_job_record(struct sim *, const struct record *);
void truth_job_run_ended(struct sim *, struct t_job *, enum run_state how, usec_t at_usec);
void truth_jobs_batch(struct sim *);
// How long instants may be due when all is well, with what jitter adds.
#define FIRE_PROMPT_USEC (15 * USEC_PER_SEC)
void truth_jobs_healed(struct sim *, usec_t wall_usec);
// truth_calendar.c
void truth_calendar_record(struct sim *, const struct record *);
const struct t_calendar *truth_calendar(struct sim *, const char *name); // NULL: none
void truth_days_read(struct sim *, const struct t_job *, struct t_trigger *, const struct trigger *from);
bool truth_left_out(const struct sim *, const struct t_trigger *, usec_t at);
// Instants strictly between two that are left out, or are not. -1: not known.
int64_t truth_count_days(const struct sim *, const struct t_job *, const struct t_trigger *, usec_t from, usec_t to, bool left_out);
// Instants strictly between two, whatever calendars say. -1: not known.
int64_t truth_count_all(const struct t_job *, const struct t_trigger *, usec_t from, usec_t to);
// A trigger has decided everything up to `decided`; those that are left out behind `after` are told of, or are yet to be from left_out on.
void truth_days_planned(struct sim *, const struct t_job *, struct t_trigger *, usec_t after, usec_t decided, usec_t next_usec, usec_t left_out_usec, uint64_t seq);
// A record tells of instants that are left out.
void truth_days_told(struct sim *, struct t_job *, struct t_trigger *, const struct record *);
// Nothing that was left out up to at_usec may be forgotten.
void truth_days_over(struct sim *, const struct t_job *, const struct t_trigger *, usec_t at_usec, const char *what);
void truth_rescheduled(struct sim *, const struct record *);
void truth_task_record(struct sim *, const struct record *);
void truth_node_record(struct sim *, const struct record *);
struct t_run *truth_run(const struct sim *, uint64_t run_id);
struct t_task *truth_task(const struct sim *, uint64_t run_id, uint32_t index); // NULL: never placed
struct t_task *truth_task_make(struct sim *, uint64_t run_id, uint32_t index);
struct t_fence *truth_fence(const struct sim *, uint64_t fence);
struct t_job *truth_job(const struct sim *, uint64_t job_id);
struct t_node *truth_node(struct sim *, uint32_t node_id);
// What really happens.
void truth_started(struct sim *, struct process *);
// A while after a machine that stood still went on at the true time resumed_usec.
enum { STANDSTILL_END_USEC = 10000 };
void truth_stood_still(void *node, uint64_t resumed_usec);
// Looks whether what shall stop does, every now and then.
void truth_stops(struct sim *);
void truth_exited(struct sim *, struct process *, enum outcome, int exit_code);
