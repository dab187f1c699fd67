// SPDX-License-Identifier: Apache-2.0
// The simulator's own structures. Time: sim->now is the true time in usec since the beginning; every process sees it through the clock of
// its machine. Whatever happens is a timer; nothing else runs code.
#pragma once

#include "agent/agent_core.h"
#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/prng.h"
#include "engine/engine.h"
#include "sim/sim.h"
#include "sim/truth.h"
#include "store/store.h"

#define WALL_BASE_USEC (1790000000 * USEC_PER_SEC) // wall time at the beginning: 2026-09-21, or shortly before clocks change somewhere

enum { TAIL_MAX = 64 };

struct sim;
struct node;
struct server;
struct process;

// ---- loop.c: time

struct timer {
    struct heap_node at;
    struct sim *sim;
    void (*fire)(void *context);
    void *context;
};

void timer_init(struct timer *, struct sim *, void (*fire)(void *), void *context);
void timer_set(struct timer *, usec_t when); // true time; moves it if it is set; USEC_NEVER stops it
void timer_stop(struct timer *);
static inline bool timer_is_set(const struct timer *timer)
{
    return heap_contains(&timer->at);
}
// Calls once, after delay.
void sim_later(struct sim *, usec_t delay, void (*call)(void *context, uint64_t arg), void *context, uint64_t arg);
// At the end: what was to be called later is not.
void sim_drop_laters(struct sim *);
// Carries out the next event that is due before `until`; false: there is none, and it is then.
bool sim_next(struct sim *, usec_t until);

// ---- clock.c: the clocks of a machine

struct machine {
    struct sim *sim;
    usec_t true_base_usec, mono_base_usec;
    int64_t drift_ppm;
    usec_t wall_offset_usec; // wall less monotonic
};

void machine_init(struct machine *, struct sim *, usec_t up_usec);
usec_t machine_mono(const struct machine *); // also CLOCK_BOOTTIME
usec_t machine_wall(const struct machine *);
// The true time at which this machine's monotonic clock will have advanced by delay.
usec_t machine_after(const struct machine *, usec_t delay);
void machine_drift(struct machine *, int64_t ppm);
void machine_jump(struct machine *, usec_t by);

// ---- trace.c

enum trace_kind {
#define TRACE(NAME, show, sentence) TR_##NAME,
#include "sim/trace.def"
    TRACE_KINDS
};

struct trace_entry {
    usec_t at;
    uint16_t kind, actor;
    uint64_t a, b, c;
};

// Actors: 0 the world, 1.. servers, 1000.. nodes, 2000.. clones, 3000 people, 4000 the disk.
enum { ACTOR_WORLD = 0, ACTOR_SERVER = 1, ACTOR_NODE = 1000, ACTOR_CLONE = 2000, ACTOR_CLIENT = 3000, ACTOR_DISK = 4000 };

void trace(struct sim *, int actor, enum trace_kind, uint64_t a, uint64_t b, uint64_t c);
enum show { SHOW_NONE, SHOW_MARK, SHOW_BAR, SHOW_SPAN };
enum show trace_shows(enum trace_kind);
void trace_actor(struct buf *, int actor);
void trace_sentence(struct buf *, const struct trace_entry *);
void trace_format(char *buf, size_t size, const struct trace_entry *);
void trace_tail(const struct sim *, FILE *);
// picture.c: a page without references to anything outside.
void trace_html(const struct sim *, FILE *);

// ---- net.c: connections between agents and servers, as TCP gives them

enum conn_end { END_AGENT, END_SERVER };
enum packet_kind { PACKET_SYN, PACKET_DATA, PACKET_FIN, PACKET_RST };

struct packet {
    struct list link;
    enum packet_kind kind;
    usec_t at; // earliest arrival
    size_t len;
    uint8_t data[];
};

// What travels towards one end.
struct pipe {
    struct conn *conn;
    struct list packets;
    size_t bytes;
    usec_t last_usec;    // arrivals are in order
    usec_t stalled_until; // the reader does not read
    struct timer timer;
};

struct conn {
    struct sim *sim;
    struct list link; // sim->conns
    uint64_t id;
    struct node *node;     // whose machine the agent's end is on
    struct server *server;
    bool open[2];          // as each end sees it; false: that end is gone
    bool silent[2];        // that end is gone without having told
    struct pipe pipe[2];   // towards END_AGENT, END_SERVER
    void *user[2];         // session of the server
    uint32_t twice[2];     // so many messages towards that end arrive twice
    struct buf last_start; // the last START that arrived, for replays
};

// Faults of the links between a node and the servers.
struct link_state {
    usec_t blocked_until[2]; // towards END_AGENT, END_SERVER
    usec_t slow_until, slow_usec;
    usec_t delay_usec, jitter_usec;
    struct prng prng;
};

bool link_blocked(const struct node *, enum conn_end to);
struct conn *conn_open(struct sim *, struct node *, struct server *);
void conn_send(struct conn *, enum conn_end from, const struct wire_message *);
void conn_send_bytes(struct conn *, enum conn_end from, const void *data, size_t len);
// That end closes: what it sent before still travels. silently: it does not even say so (its machine died).
void conn_close(struct conn *, enum conn_end from, bool silently);
void conn_forget(struct conn *, enum conn_end); // that end is lost, and the other is not told
void conn_break(struct conn *); // both ends are told, what travels is lost
void conn_kick(struct conn *);  // something changed that may let packets arrive
void net_kick(struct sim *, struct node *); // the same for all of a node's; NULL: all
void conns_free(struct sim *);

// ---- disk.c: what survives a server, and the store upon it

struct disk_batch {
    uint64_t first_seq;
    uint32_t n_records;
    uint8_t *data;
    size_t len;
};

struct disk {
    struct sim *sim;
    struct server *holder; // the process that has it open; NULL: none
    uint64_t epoch;
    struct disk_batch *log;
    size_t n_log, cap_log;
    uint64_t last_seq, snapshot_seq;
    uint8_t *snapshot;
    size_t snapshot_len;
    uint64_t history_seq;
    struct prng prng;
    usec_t latency_usec;
    // Faults.
    usec_t full_until, slow_until, slow_usec, history_stalled_until;
    uint32_t unknown_next;  // commits from now on that end with an unknown outcome
    uint32_t fail_call;     // the n-th call from now on fails; 0: none
    uint32_t crash_call;    // the n-th call from now on is the server's last; 0: none
    int crash_fate;         // what becomes of what is under way then: -1 drawn
};

void disk_init(struct disk *, struct sim *);
void disk_release(struct disk *);
struct store *disk_open(struct disk *, struct server *);
// Nothing is wrong with it any more.
void disk_heal(struct disk *);
// Ends the store of a process that died: decides what becomes of what was under way.
void disk_crash(struct store *);

// ---- server.c: the edge around an engine

enum session_state { SESSION_ASKED, SESSION_GREETED, SESSION_OPEN };

struct session {
    struct list link;
    struct server *server;
    uint64_t id;
    struct conn *conn;
    enum session_state state;
    struct timer timer;
    usec_t heard_mono_usec;
};

struct server {
    struct sim *sim;
    int index;
    char name[16];
    struct machine machine;
    struct disk *disk;
    bool up, paused;
    bool doomed; // dies as soon as control comes back
    uint64_t life;
    uint32_t effects_left; // until it dies at one; 0: not planned
    struct store *store;
    struct engine *engine;
    struct arena arena; // of one message
    struct list sessions;
    struct map by_session;
    uint64_t next_session;
    struct timer turn, restart, resume;
    usec_t restart_usec; // how long it stays down after its next death; 0: drawn
    uint32_t loop_left;  // deaths to come right after a start
    uint32_t idle_turns; // in a row without progress
    // When what waits for its commit was decided, by true time: records up to seq, each entry after the one before.
    struct decided {
        uint64_t seq;
        usec_t at;
    } *decided;
    size_t n_decided, cap_decided;
    uint64_t events_waiting[2]; // that may wait for a commit: of the batch that gathers, of the one before
    // Snapshot under way.
    struct timer snapshot_timer;
    bool packing;
    uint64_t snapshot_seq;
    struct buf snapshot;
    usec_t snapshot_retry;
    // History.
    struct timer history_timer;
    uint64_t history_fed, history_writing;
    usec_t resumed_usec; // last time at which it went on after a pause or started
};

void server_init(struct server *, struct sim *, int index, struct disk *);
void server_release(struct server *);
void server_start(struct server *);
void server_crash(struct server *);
void server_pause(struct server *, usec_t usec);
void server_resume(struct server *);
void server_wake(struct server *); // a turn soon
bool server_takes(const struct server *); // it reads its sockets now
void server_event(struct server *, struct event *);
void server_accept(struct server *, struct conn *);
void server_packet(struct server *, struct session *, struct bytes);
void server_lost_conn(struct server *, struct session *);
// server_turn.c
void server_turn(void *server);
void server_decided(struct server *);
usec_t server_decided_usec(const struct server *, uint64_t seq); // now, when it is not known
void server_on_effect(void *server, const struct effect *);
void server_on_records(void *server, const struct record *const *records, size_t n, const struct store_batch *);
void server_history(void *server);
void server_snapshot_packed(void *server);
// server_effect.c
void session_effect(struct server *, const struct effect *);
void session_send(struct session *, const struct wire_message *);
void session_gone(struct session *, bool tell_core);
void session_refuse(struct session *, int code, const char *text);

// ---- node.c, link.c: a machine with its agent; spawner.c: its spawner and processes

enum link_phase { LINK_DOWN, LINK_WAITING, LINK_CONNECTING, LINK_HELLO_SENT, LINK_OPEN };

struct exec_note {
    struct list link;
    enum { NOTE_STARTED, NOTE_ENDED, NOTE_RESET } kind;
    uint64_t fence;
    usec_t start_usec;
    struct attempt_end end;
};

// The executor that an agent process holds.
struct sim_executor {
    struct executor base;
    struct node *node;
    struct list notes; // to be told by ready()
};

struct spawner {
    bool up;
    uint32_t instance;
    char instance_text[24];
    usec_t lease_boot_usec;
    struct list processes; // struct process, by fence
    struct map by_fence;
    struct map forgotten;  // fences it will not start again
    struct timer lease_timer, restart;
};

struct node {
    struct sim *sim;
    int index;
    int actor;
    bool clone;
    char name[24], identity[32], boot_id[24];
    uint32_t boots;
    struct machine machine;
    bool machine_up;
    bool suspended;
    uint64_t cpu_millis, memory_bytes, licences;
    uint32_t tasks_max;
    char zone[8];
    struct link_state link;
    struct prng prng;
    // The agent.
    bool agent_up, agent_paused;
    struct agent_core *core;
    struct sim_executor *executor;
    uint64_t kept_epoch;
    enum link_phase phase;
    struct conn *conn;
    usec_t backoff_usec;
    struct timer link_timer, turn, agent_restart, agent_resume, machine_resume;
    bool ending; // the session is to end with this turn
    bool turn_pending;
    uint32_t keep_fails;
    struct arena arena;
    struct buf old_message; // of an epoch before, for replays
    uint64_t old_message_epoch;
    struct spawner spawner;
    uint64_t used_cpu, used_memory, used_licences; // by processes that are alive
    uint32_t alive;
    usec_t apart_usec; // last time at which the agent did not run or its link to the server was not whole
    usec_t resumed_usec; // last time at which the whole machine went on after it had stood still
    usec_t steady_usec; // since then its agent has been in touch and going on
};

void node_init(struct node *, struct sim *, int index, bool clone);
void node_release(struct node *);
void agent_start(struct node *);
void agent_crash(struct node *);
void agent_pause(struct node *, usec_t);
void agent_resume(void *node);
void agent_wake(struct node *);
bool agent_takes(const struct node *);
void node_reboot(struct node *, usec_t down_usec);
void node_suspend(struct node *, usec_t usec);
void node_resume(void *node);
void node_clock_changed(struct node *); // timers that were set by its clock are set anew
void agent_packet(struct node *, struct conn *, struct bytes);
void agent_lost_conn(struct node *, struct conn *);
void link_timer(void *node);
void link_down(struct node *);
void agent_turn(void *node);

// How a process is going to behave, drawn from the seed, the run, the task and the attempt alone.
struct plan {
    usec_t start_delay_usec, run_usec;
    bool spawn_fails, ignores_term, poison;
    usec_t linger_usec; // children that it leaves behind
    int exit_code, signal;
    bool oom;
};

// GONE: it ended with its spawner, and the next one will say that it is lost.
enum process_phase { PROC_ACCEPTED, PROC_RUNNING, PROC_EMPTYING, PROC_SYNCING, PROC_GONE, PROC_ENDED };

struct process {
    struct list link; // spawner.processes
    struct node *node;
    uint64_t fence, run_id;
    uint32_t index, attempt;
    enum delivery delivery;
    enum process_phase phase;
    struct plan plan;
    uint64_t cpu_millis, memory_bytes, licences;
    usec_t time_limit_usec, kill_grace_usec;
    bool stop_asked;
    enum outcome stop_why;
    usec_t exit_at, limit_at, kill_at, start_at; // on the boot clock; USEC_NEVER
    usec_t start_boot_usec, start_wall_usec;
    struct attempt_end end;
    struct timer timer;
};

void spawner_init(struct node *);
void spawner_release(struct node *);
struct sim_executor *sim_executor_open(struct node *, struct executor_sink);
void spawner_crash(struct node *, bool machine);
void spawner_begin(struct node *); // a new instance
void process_kill_all(struct node *, bool power);

// ---- checks.c: the invariants


__attribute__((format(printf, 3, 4))) void broken(struct sim *, enum invariant, const char *fmt, ...);
#define hold(sim, invariant, condition, ...)                  \
    do {                                                  \
        (sim)->checked[invariant]++;                      \
        if (!(condition))                             \
            broken((sim), (invariant), __VA_ARGS__); \
    } while (0)
const char *invariant_name(enum invariant);
const char *invariant_sentence(enum invariant);

void check_often(struct sim *);              // after every event
void check_state(struct sim *, struct server *); // now and then, and when a phase ends
void check_replay(struct sim *); // at the end
void check_restart(struct sim *, struct server *);
void check_end(struct sim *);

// Something that people were told.
struct ack {
    enum event_kind kind;
    uint64_t id; // of the run or job
    uint32_t version;
};

// ---- client.c, workload.c: people and their requests

struct request {
    struct list link; // sim->requests
    struct sim *sim;
    uint64_t id;
    enum event_kind kind;
    struct buf packed; // spec
    char key[24];      // idempotency; empty: none
    char name[32];     // job or node
    usec_t from_usec, to_usec; // range of a backfill
    bool reverse, again;
    uint32_t parallel;
    char param[16];    // a value for the parameter p; empty: none
    uint64_t run_id, rerun_of, job_id;
    uint32_t job_version;
    int to;            // admission or state
    bool held;
    bool tasks_only;   // cancel: these tasks
    struct calendar_dates dates[4]; // of a calendar
    size_t n_dates;
    struct index_range range;
    uint32_t tries;
    uint64_t edge_id;  // at the server
    bool sent;
    bool done;
    int code;
    uint64_t got_run; // first answer
    struct timer timer;
};

// Gives a request; client_request takes it back and sends it until it is answered.
struct request *client_request_new(struct sim *, enum event_kind);
void client_request(struct request *);
void client_reply(struct server *, const struct fx_reply *); // leaves the server now
void clients_give_up(struct sim *);
void clients_release(struct sim *);
void clients_forget_server(struct sim *, struct server *);
void workload_start(struct sim *);
void workload_stop(struct sim *);
void workload_heal(struct sim *);
// workload.c: pieces for workload_job.c
enum { WORKLOAD_JOBS = 8 }; // job-0 .. job-7
struct job_spec *workload_spec(struct sim *, struct prng *, uint32_t n_tasks);
void workload_key(struct sim *, struct prng *, struct job_spec *);
void workload_about(struct sim *, enum event_kind, const char *name, int to);
void workload_start_job(struct sim *, struct prng *, const char *name);
void workload_apply(struct sim *, struct prng *, uint32_t job);
void workload_calendar(struct sim *, struct prng *);
void workload_race(struct sim *, struct prng *);
struct plan plan_of(struct sim *, uint64_t run_id, uint32_t index, uint32_t attempt);

// ---- faults.c

void faults_start(struct sim *);
void faults_stop(struct sim *);
void fault_count(struct sim *, enum fault_kind);
// Tells whom a fault hits, and for how long (0: at once).
void fault_hit(struct sim *, int actor, enum fault_kind, usec_t usec);
// For kinds that are drawn where they happen: whether this occurrence is not left out.
bool fault_happens(struct sim *, enum fault_kind);
bool sim_skips(const struct sim *, int kind, uint32_t occurrence);
bool fault_in_scenario(enum fault_kind, const char *scenario);
void heal_everything(struct sim *);
usec_t log_uniform(struct prng *, usec_t least, usec_t most);
// faults_net.c, faults_host.c: carry out one occurrence, with numbers of its own. False: there was nothing to break, or it is only prepared
// and counted when it strikes.
bool fault_net(struct sim *, enum fault_kind, struct prng *);
bool fault_host(struct sim *, enum fault_kind, struct prng *);
struct node *fault_node(struct sim *, struct prng *);

struct fault_source {
    struct sim *sim;
    enum fault_kind kind;
    struct prng prng;
    usec_t mean_usec; // between two; 0: this seed does without
    uint32_t n;       // drawn so far
    struct timer timer;
};

// ---- the whole

enum phase { PHASE_FAULTS = 1, PHASE_HEALED, PHASE_OVER };

struct work_shape {
    usec_t mean_usec;     // between two actions of people
    uint32_t weights[32];
    usec_t run_usec;      // typical length of a process
    uint32_t fail_permille, amo_permille, big_permille;
    uint32_t calendar_permille; // actions that are followed by a change of a calendar; schedules that name some; 0: none in this seed
};

struct sim {
    const struct sim_options *options;
    struct sim_result *result;
    usec_t now;
    struct heap timers;
    uint64_t next_tie;
    enum phase phase;
    bool failed;
    usec_t safety_usec; // length of the phase with faults
    usec_t healed_usec; // the time at which it ended
    usec_t next_stops_usec; // when to look whether stops happen
    usec_t wall_base_usec; // wall time at the beginning
    enum t_zone wall_zone; // whose clocks change soon after it; T_UTC: none's
    struct limits limits;

    struct disk disk;
    struct server servers[1];
    size_t n_servers;
    struct node *nodes[SIM_NODES_MAX + 2];
    size_t n_nodes, n_clones;
    struct list conns;
    uint64_t next_conn;

    struct fault_source faults[FAULTS];
    uint32_t exec_permille[FAULTS]; // for faults of processes: how often
    struct work_shape shape;
    struct prng prng_world, prng_work, prng_client;
    struct timer work_timer;
    uint32_t actions, acted; // drawn; not left out
    struct list requests;
    struct map by_request;
    uint64_t next_request;
    struct map by_edge_id;
    uint64_t next_edge_id;
    struct ack *acks;
    size_t n_acks, cap_acks;
    uint32_t loss_permille; // of requests and of answers
    uint64_t next_key;
    struct arena arena; // scratch

    struct truth truth;
    uint64_t events, checked[INVARIANTS];
    uint64_t next_check_events;
    uint32_t n_jumps; // of the leader's clock
    usec_t jumped_usec; // true time of the last of them
    usec_t skipped_usec; // by jumps of the leader's clock, forwards, in all

    uint64_t hash;
    struct trace_entry tail[TAIL_MAX];
    uint64_t n_trace;
    struct trace_entry *kept; // all that the picture shows
    size_t n_kept, cap_kept;
};

static inline bool planted(const struct sim *sim, enum plant plant)
{
    return sim->options->plant == plant;
}
extern struct sim *sim_current; // the run under way in this process, for the report of an abort
void fill_result(struct sim *);
uint64_t sim_mix(uint64_t a, uint64_t b); // a good hash of two numbers
