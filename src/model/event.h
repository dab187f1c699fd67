// SPDX-License-Identifier: Apache-2.0
// Events: everything that the core is ever told. An event carries the time at which it happened, so that the core needs no clock.
// Everything it points to is borrowed for the duration of core_step().
#pragma once

#include "model/node.h"
#include "model/record.h"

enum event_kind {
    EV_TICK = 1,      // time has passed: core_deadline() was reached
    EV_PLAN,          // end of a turn: place what can be placed
    EV_LEAD,          // this server leads from now on, with this epoch
    EV_SUBMIT,        // an ad hoc run, or a rerun
    EV_APPLY,         // create or update a job
    EV_START_JOB,     // a run of a job, by hand
    EV_JOB_HOLD,      // hold, release or delete a job
    EV_CANCEL,        // of a run, some of its tasks
    EV_CANCEL_JOB,    // every run of a job
    EV_RUN_HOLD,      // hold or release a run
    EV_NODE_HELLO,    // an agent opened a session
    EV_NODE_WELCOMED, // the welcome of a session has left: its lease begins
    EV_NODE_HEARTBEAT, // an agent asks for its lease
    EV_NODE_GONE,     // the session ended (the lease goes on)
    EV_NODE_REPORT,   // attempts started or ended
    EV_NODE_ADMISSION, // drain, undrain
    EV_NODE_REMOVE,
    EV_ARCHIVED,      // the history holds everything up to a position
    EV_CALENDAR_PUT,  // make or change a calendar
    EV_CALENDAR_DELETE,
    EV_BACKFILL,      // runs for instants that are past
    EV_BACKFILL_CANCEL,
    EV_KINDS
};

// An ended run that memory no longer holds, looked up in the history for a submission that waits for it.
struct past_run {
    uint64_t run_id;
    enum run_state state;
};

struct ev_submit {
    const struct job_spec *spec;
    struct bytes packed;
    const char *idempotency_key; // NULL: none
    uint64_t rerun_of;           // 0: none
    uint64_t job_id;             // of the run that is run again, if it had one
    uint32_t job_version;
    bool held;
    const struct pair *params; // values of parameters that spec declares
    size_t n_params;
    const struct past_run *past; // outcomes of dependencies that are not in memory
    size_t n_past;
};

struct ev_apply {
    const struct job_spec *spec;
    struct bytes packed;
    uint32_t expect_version; // 0: any; otherwise ERR_CONFLICT unless the job has this version
};

struct ev_start_job {
    const char *namespace_name;
    const char *name;
    const char *idempotency_key;
    const struct pair *params; // values of parameters of the job
    size_t n_params;
    bool held;
};

struct ev_backfill {
    const char *namespace_name;
    const char *name;
    uint32_t job_version; // at which `covered` was looked up; another one is refused. 0: any
    usec_t from_usec, to_usec; // from <= t < to
    bool reverse, again;
    uint32_t parallel_max;
    const struct pair *params; // values of parameters, which go before those that its schedules fix
    size_t n_params;
    const char *key; // NULL: none
    const struct instant_span *covered; // ascending: instants that have a run
    size_t n_covered;
};

struct ev_job_hold {
    const char *namespace_name;
    const char *name;
    enum job_state to; // JOB_HELD, JOB_ACTIVE, JOB_DELETED
};

struct ev_cancel {
    uint64_t run_id;
    const struct index_set *tasks; // NULL: the whole run
};

struct ev_cancel_job {
    const char *namespace_name;
    const char *name;
};

struct ev_run_hold {
    uint64_t run_id;
    enum admission to;
};

// What an agent says when a session opens: who it is and which attempts it knows.
struct known_attempt {
    uint64_t fence;
    bool running; // false: ended, its report follows
    usec_t start_usec;
};

struct ev_node_hello {
    uint64_t session; // chosen by the edge as it accepts connections: grows, never used twice in an epoch
    const struct node_info *info;
    uint64_t highest_epoch; // the agent obeyed so far
    const struct known_attempt *known;
    size_t n_known;
};

struct ev_node_session {
    uint64_t session;
    uint64_t heartbeat; // HEARTBEAT: its number, given back with the lease
};

struct ev_node_report {
    uint64_t session;
    uint64_t report_id; // answered in the acknowledgement
    const struct known_attempt *started;
    size_t n_started;
    const struct attempt_end *ended;
    size_t n_ended;
};

struct ev_node_admission {
    const char *name;
    enum admission to;
};

struct ev_archived {
    uint64_t seq;
};

struct ev_calendar_put {
    const struct calendar *calendar;
    uint32_t expect_version; // 0: any; otherwise ERR_CONFLICT unless the calendar has this version
};

struct ev_calendar_delete {
    const char *name;
};

struct ev_lead {
    uint64_t epoch;
    const char *server;
    const char *version;
};

struct event {
    enum event_kind kind;
    usec_t wall_usec;
    usec_t mono_usec;
    uint64_t request;  // whom to answer; 0: nobody waits
    const char *by;    // principal; NULL: Muster itself
    union {
        struct ev_lead lead;
        struct ev_submit submit;
        struct ev_apply apply;
        struct ev_start_job start_job;
        struct ev_job_hold job_hold;
        struct ev_cancel cancel;
        struct ev_cancel_job cancel_job;
        struct ev_run_hold run_hold;
        struct ev_node_hello hello;
        struct ev_node_session session; // WELCOMED, HEARTBEAT, GONE
        struct ev_node_report report;
        struct ev_node_admission node_admission; // ADMISSION, REMOVE
        struct ev_archived archived;
        struct ev_calendar_put calendar_put;
        struct ev_calendar_delete calendar_delete;
        struct ev_backfill backfill;
        uint64_t backfill_cancel; // its id
    };
};

// Effects: what the core wants done outside once the records of its batch are durable. They live in the turn's arena.
enum effect_kind {
    FX_REPLY = 1, // answer a request
    FX_WELCOME,   // a session is accepted: lease, verdicts on what the agent knows
    FX_REFUSE,    // a session is refused or ended
    FX_LEASE,     // a lease is renewed
    FX_START,     // start attempts
    FX_STOP,      // stop attempts
    FX_ACK,       // a report is durable: the agent may forget what it told
    FX_KINDS
};

struct fx_reply {
    uint64_t request;
    int code; // 0 or ERR_*
    char text[240]; // the sentence of an error
    uint64_t run_id; // SUBMIT, START_JOB
    uint64_t job_id; // APPLY
    uint64_t backfill_id; // BACKFILL, BACKFILL_CANCEL
    uint64_t n_instants;  // BACKFILL: that there are to run
    uint32_t version; // APPLY, CALENDAR_PUT
    bool existing;   // the idempotency key was known, or nothing had to change: this is the earlier answer
    uint32_t count;  // CANCEL_JOB: runs that were cancelled
};

struct fx_welcome {
    uint32_t node_id;
    uint64_t epoch;
    usec_t lease_usec;
    usec_t heartbeat_usec;
    const uint64_t *kill; // fences that must be ended; their ends are told like any other, and no new work comes before
    size_t n_kill;
    const uint64_t *forget; // fences whose end is durable already
    size_t n_forget;
};

struct fx_refuse {
    int code;
    char text[240];
};

struct fx_lease {
    uint64_t heartbeat; // the heartbeat that is answered
    usec_t lease_usec;  // from the moment at which the agent sent that heartbeat
};

struct start_order {
    uint64_t fence;
    uint64_t run_id;
    uint32_t index;
    uint32_t attempt;
    uint32_t position; // of the index in the run's set: 0 .. tasks-1
    uint32_t n_tasks;
    uint64_t job_id;
    usec_t nominal_usec;
    uint64_t backfill_id; // 0: of none
    struct bytes params; // values of the run's parameters (model/params.h)
    struct bytes spec; // packed
};

struct fx_start {
    size_t n;
    const struct start_order *order;
};

struct fx_stop {
    size_t n;
    const uint64_t *fence;
    enum outcome why;
};

struct fx_ack {
    uint64_t report_id;
};

struct effect {
    enum effect_kind kind;
    uint64_t session; // of the node, for all but REPLY
    union {
        struct fx_reply reply;
        struct fx_welcome welcome;
        struct fx_refuse refuse;
        struct fx_lease lease;
        struct fx_start start;
        struct fx_stop stop;
        struct fx_ack ack;
    };
};
