// SPDX-License-Identifier: Apache-2.0
// The trace: every entry goes into the hash, the last ones are kept for the report of a failure, and all are written where that is wished.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "model/state.h"
#include "sim/internal.h"

enum show { SHOW_NONE, SHOW_MARK, SHOW_BAR };

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

static const char *wire_name(uint64_t kind)
{
    static const char *const names[WIRE_KINDS] = {"?", "CHALLENGE", "HELLO", "WELCOME", "REFUSE", "HEARTBEAT", "LEASE",
                                                  "START", "STOP", "REPORT", "ACK", "LOG_READ", "LOG_DATA"};
    return kind < WIRE_KINDS ? names[kind] : "?";
}

static void add_value(struct buf *out, char how, uint64_t value)
{
    char text[40];
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
        buf_adds(out, duration_format(text, (usec_t)value < 0 ? 0 : (usec_t)value));
        break;
    default:
        buf_printf(out, "%" PRIu64, value);
        break;
    }
}

static void add_actor(struct buf *out, int actor)
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

static void add_sentence(struct buf *out, const struct trace_entry *entry)
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
    add_actor(&out, entry->actor);
    buf_addc(&out, ' ');
    add_sentence(&out, entry);
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
    if (sim->options->trace_html != NULL && rows[kind].show != SHOW_NONE)
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

// ---- the picture

static void html_text(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<')
            buf_adds(out, "&lt;");
        else if (*text == '&')
            buf_adds(out, "&amp;");
        else
            buf_addc(out, *text);
    }
}

static int lane_of(const struct sim *sim, int actor)
{
    if (actor >= ACTOR_CLIENT || actor == ACTOR_WORLD)
        return 0;
    if (actor < ACTOR_NODE)
        return actor;
    int base = 1 + (int)sim->n_servers;
    for (size_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i]->actor == actor)
            return base + (int)i;
    return 0;
}

static usec_t bar_end(const struct sim *sim, size_t from)
{
    for (size_t i = from + 1; i < sim->n_kept; i++)
        if (sim->kept[i].kind == TR_EXITED && sim->kept[i].a == sim->kept[from].a && sim->kept[i].actor == sim->kept[from].actor)
            return sim->kept[i].at;
    return sim->now;
}

enum { LANE_HEIGHT = 34, LEFT = 90, WIDTH = 2400 };

static void html_lanes(const struct sim *sim, struct buf *out, int n_lanes)
{
    for (int lane = 0; lane < n_lanes; lane++) {
        buf_printf(out, "<rect x='0' y='%d' width='%d' height='%d' class='l%d'/>", lane * LANE_HEIGHT, LEFT + WIDTH, LANE_HEIGHT, lane % 2);
        buf_printf(out, "<text x='6' y='%d'>", lane * LANE_HEIGHT + 20);
        if (lane == 0)
            buf_adds(out, "world");
        else if (lane <= (int)sim->n_servers)
            buf_printf(out, "server %d", lane);
        else
            html_text(out, sim->nodes[lane - 1 - (int)sim->n_servers]->name);
        buf_adds(out, "</text>\n");
    }
}

static void html_entries(const struct sim *sim, struct buf *out)
{
    usec_t whole = usec_max(sim->now, 1);
    for (size_t i = 0; i < sim->n_kept; i++) {
        const struct trace_entry *entry = &sim->kept[i];
        char line[256];
        trace_format(line, sizeof(line), entry);
        int y = lane_of(sim, entry->actor) * LANE_HEIGHT;
        int64_t x = LEFT + entry->at * WIDTH / whole;
        if (entry->kind == TR_PROCESS) {
            int64_t width = usec_max((bar_end(sim, i) - entry->at) * WIDTH / whole, 1);
            buf_printf(out, "<rect x='%" PRId64 "' y='%d' width='%" PRId64 "' height='4' class='p'><title>", x, y + 8 + (int)(entry->a % 5) * 5, width);
        } else if (rows[entry->kind].show == SHOW_MARK) {
            const char *css = entry->kind == TR_FAULT || entry->kind == TR_BROKEN ? "f" : "m";
            buf_printf(out, "<rect x='%" PRId64 "' y='%d' width='2' height='%d' class='%s'><title>", x, y, LANE_HEIGHT, css);
        } else {
            continue;
        }
        html_text(out, line);
        buf_adds(out, "</title></rect>\n");
    }
}

void trace_html(const struct sim *sim, FILE *file)
{
    struct buf out;
    buf_init(&out);
    int n_lanes = 1 + (int)sim->n_servers + (int)sim->n_nodes;
    buf_printf(&out,
               "<!doctype html><meta charset='utf-8'><title>muster sim, seed %" PRIu64 "</title><style>body{font:13px sans-serif;margin:12px}"
               "svg{background:#fff}.l0{fill:#f4f5f7}.l1{fill:#fff}.p{fill:#4878a8}.f{fill:#c0392b}.m{fill:#8e8e8e}text{font-size:12px}"
               "div{overflow-x:auto}</style><h3>muster sim --seed %" PRIu64 ": %s</h3><p>%" PRId64 " simulated seconds. Blue: processes of tasks; "
               "red: faults; grey: somebody starts, stops or changes. Point at a mark to read it.</p><div><svg width='%d' height='%d'>\n",
               sim->options->seed, sim->options->seed, sim->failed ? sim->result->invariant : "no invariant was broken", sim->now / USEC_PER_SEC,
               LEFT + WIDTH, n_lanes * LANE_HEIGHT);
    html_lanes(sim, &out, n_lanes);
    html_entries(sim, &out);
    buf_adds(&out, "</svg></div>\n");
    if (sim->failed) {
        buf_adds(&out, "<pre>");
        html_text(&out, sim->result->text);
        buf_adds(&out, "</pre>\n");
    }
    fwrite(out.data, 1, out.len, file);
    buf_release(&out);
}
