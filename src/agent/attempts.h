// SPDX-License-Identifier: Apache-2.0
// The attempts that an agent knows, and what the server has yet to be told about each. Part of agent_core.
//
// An attempt is alive (ordered, running) or ended. A start or an end waits to be reported, is in a report in flight, or has nothing to tell;
// reports are built from what waits, at most ATTEMPTS_WINDOW in flight, so that under load the next one gathers while others travel.
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/pool.h"
#include "model/event.h"

enum { ATTEMPTS_WINDOW = 4, ATTEMPTS_REPORT_MAX = 4096 };

enum attempt_phase { PHASE_ORDERED, PHASE_RUNNING, PHASE_ENDED };

struct attempt {
    struct list link; // among the alive or the ended
    struct list tell; // in what waits, or in a report in flight
    uint64_t fence;
    enum attempt_phase phase;
    enum delivery delivery;
    bool held;   // the executor knows it
    bool silent; // alive: its end is not to be reported
    uint32_t resets; // how often the executor had been reset when it last held it
    usec_t start_usec;
    struct attempt_end end; // its message is owned
};

// One report in flight.
struct flight {
    uint64_t id; // 0: none
    struct list starts, ends;
};

struct attempts {
    struct map by_fence;
    struct pool pool;
    struct list phases[2]; // enum attempts_list
    size_t len[2];
    struct list starts, ends; // what waits, oldest first
    struct flight flights[ATTEMPTS_WINDOW];
    uint64_t last_report;
    size_t report_bytes_max;
    struct known_attempt *started; // of the report being built
    struct attempt_end *ended;
    struct known_attempt *known;
    size_t cap_known;
};

enum attempts_list { ATTEMPTS_ALIVE, ATTEMPTS_ENDED };

void attempts_init(struct attempts *, size_t report_bytes_max);
void attempts_release(struct attempts *);

// Gives an ordered attempt; its fence must not be known.
struct attempt *attempts_add(struct attempts *, uint64_t fence);
struct attempt *attempts_find(const struct attempts *, uint64_t fence);
void attempts_drop(struct attempts *, struct attempt *);
// Ordered -> running, to be told.
void attempts_start(struct attempts *, struct attempt *, usec_t start_usec);
// Whether its end is to be reported (alive ones only).
void attempts_silence(struct attempts *, struct attempt *, bool silent);
// -> ended, to be told. Copies the message.
void attempts_end(struct attempts *, struct attempt *, const struct attempt_end *);

// Walks a list, oldest first; the attempt that is passed to next must still be in it.
struct attempt *attempts_first(const struct attempts *, enum attempts_list);
struct attempt *attempts_next(const struct attempts *, enum attempts_list, const struct attempt *);
size_t attempts_alive(const struct attempts *);
size_t attempts_ended(const struct attempts *);
size_t attempts_in_flight(const struct attempts *);

// All of them, for HELLO, which tells every start that has happened. The array lives until the next call.
const struct known_attempt *attempts_known(struct attempts *, size_t *ret_n);
// Builds the next report, and counts it as in flight. False: nothing waits, or the window is full. Lives until the next call.
bool attempts_report(struct attempts *, struct ev_node_report *ret_report);
// Gives the next attempt whose end was in this report, until NULL; the report is then no longer in flight. The caller drops each.
struct attempt *attempts_acknowledged(struct attempts *, uint64_t report_id);
// The session ended: the ends in flight wait again, before the others.
void attempts_unsend(struct attempts *);
