// SPDX-License-Identifier: Apache-2.0
// The trace: every entry goes into the hash, the last ones are kept for the report of a failure, and all are written where that is wished.
// The picture that is made of it: picture.c.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "model/state.h"
#include "sim/internal.h"

static const struct {
    enum show show;
    const char *sentence;
} rows[] = {
#define TRACE(NAME, show, sentence) {SHOW_##show, sentence},
#include "sim/trace.def"
};

static const char *const fault_names[] = {
#define FAULT(NAME, text, scenarios, sentence) text,
#include "sim/faults.def"
};

enum show trace_shows(enum trace_kind kind)
{
    return rows[kind].show;
}

static const char *wire_name(uint64_t kind)
{
    static const char *const names[WIRE_KINDS] = {"?", "CHALLENGE", "HELLO", "WELCOME", "REFUSE", "HEARTBEAT", "LEASE",
                                                  "START", "STOP", "REPORT", "ACK", "LOG_READ", "LOG_DATA"};
    return kind < WIRE_KINDS ? names[kind] : "?";
}

static const char *request_name(uint64_t kind)
{
    switch ((enum event_kind)kind) {
    case EV_SUBMIT:
        return "submit a run";
    case EV_APPLY:
        return "apply a job";
    case EV_START_JOB:
        return "start a job";
    case EV_JOB_HOLD:
        return "hold, release or delete a job";
    case EV_CANCEL:
        return "cancel a run";
    case EV_CANCEL_JOB:
        return "cancel all runs of a job";
    case EV_RUN_HOLD:
        return "hold or release a run";
    case EV_NODE_ADMISSION:
        return "drain or undrain a node";
    case EV_NODE_REMOVE:
        return "remove a node";
    default:
        return "?";
    }
}

static void add_span(struct buf *out, usec_t usec)
{
    char text[40];
    buf_adds(out, usec < 0 ? "-" : "");
    buf_adds(out, duration_format(text, usec < 0 ? -usec : usec));
}

static void add_about(struct buf *out, uint64_t about)
{
    static const char *const what[] = {NULL, "run", "job", "node"};
    if (about >> 56 != 0 && about >> 56 < 4)
        buf_printf(out, " (%s %" PRIu64 ")", what[about >> 56], about & ((UINT64_C(1) << 56) - 1));
}

static void add_value(struct buf *out, char how, uint64_t value)
{
    switch (how) {
    case 'R':
        buf_adds(out, value < REC_KINDS ? record_kind_name((enum record_kind)value) : "?");
        break;
    case 'W':
        buf_adds(out, wire_name(value));
        break;
    case 'O':
        buf_adds(out, value < OUTCOMES ? outcome_name((enum outcome)value) : "?");
        break;
    case 'E':
        buf_adds(out, err_name((int)(int64_t)value));
        break;
    case 'F':
        buf_adds(out, value < FAULTS ? fault_names[value] : "?");
        break;
    case 'I':
        buf_printf(out, "%s: %s", value < INVARIANTS ? invariant_name((enum invariant)value) : "?",
                   value < INVARIANTS ? invariant_sentence((enum invariant)value) : "?");
        break;
    case 'T':
        add_span(out, (usec_t)value);
        break;
    case 'D':
        buf_adds(out, value > 0 ? " for " : "");
        if (value > 0)
            add_span(out, (usec_t)value);
        break;
    case 'Q':
        buf_adds(out, request_name(value));
        break;
    case 'N':
        add_about(out, value);
        break;
    default:
        buf_printf(out, "%" PRIu64, value);
        break;
    }
}

void trace_actor(struct buf *out, int actor)
{
    if (actor >= ACTOR_DISK)
        buf_adds(out, "disk");
    else if (actor >= ACTOR_CLIENT)
        buf_adds(out, "people");
    else if (actor >= ACTOR_CLONE)
        buf_printf(out, "clone%d", actor - ACTOR_CLONE);
    else if (actor >= ACTOR_NODE)
        buf_printf(out, "n%d", actor - ACTOR_NODE);
    else if (actor >= ACTOR_SERVER)
        buf_printf(out, "s%d", actor - ACTOR_SERVER + 1);
    else
        buf_adds(out, "world");
}

void trace_sentence(struct buf *out, const struct trace_entry *entry)
{
    for (const char *p = rows[entry->kind].sentence; *p != '\0'; p++) {
        if (*p != '%') {
            buf_addc(out, *p);
            continue;
        }
        char how = p[1] >= 'A' && p[1] <= 'Z' ? *++p : '\0';
        p++;
        add_value(out, how, *p == 'a' ? entry->a : *p == 'b' ? entry->b : entry->c);
    }
}

void trace_format(char *buf, size_t size, const struct trace_entry *entry)
{
    struct buf out;
    buf_init(&out);
    buf_printf(&out, "%" PRId64 ".%06" PRId64 " ", entry->at / USEC_PER_SEC, entry->at % USEC_PER_SEC);
    trace_actor(&out, entry->actor);
    buf_addc(&out, ' ');
    trace_sentence(&out, entry);
    if (out.len >= size)
        buf_truncate(&out, size - 1);
    must(str_copy(buf, size, out.data) == 0);
    buf_release(&out);
}

static void keep(struct sim *sim, const struct trace_entry *entry)
{
    if (sim->n_kept == sim->cap_kept) {
        sim->cap_kept = sim->cap_kept > 0 ? 2 * sim->cap_kept : 1024;
        sim->kept = mem_realloc_array(sim->kept, sim->cap_kept, sizeof(*sim->kept));
    }
    sim->kept[sim->n_kept++] = *entry;
}

void trace(struct sim *sim, int actor, enum trace_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
    struct trace_entry *entry = &sim->tail[sim->n_trace++ % TAIL_MAX];
    *entry = (struct trace_entry){.at = sim->now, .kind = (uint16_t)kind, .actor = (uint16_t)actor, .a = a, .b = b, .c = c};
    uint64_t hash = sim_mix(sim->hash, (uint64_t)sim->now);
    hash = sim_mix(hash, (uint64_t)kind << 32 | (uint32_t)actor);
    hash = sim_mix(hash, a);
    sim->hash = sim_mix(hash, sim_mix(b, c));
    if (sim->options->trace != NULL) {
        char line[256];
        trace_format(line, sizeof(line), entry);
        fprintf(sim->options->trace, "%s\n", line);
    }
    if (sim->options->trace_html != NULL && trace_shows(kind) != SHOW_NONE)
        keep(sim, entry);
}

void trace_tail(const struct sim *sim, FILE *file)
{
    uint64_t n = sim->n_trace < SIM_TAIL ? sim->n_trace : SIM_TAIL;
    for (uint64_t i = sim->n_trace - n; i < sim->n_trace; i++) {
        char line[256];
        trace_format(line, sizeof(line), &sim->tail[i % TAIL_MAX]);
        fprintf(file, "  %s\n", line);
    }
}
