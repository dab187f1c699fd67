// SPDX-License-Identifier: Apache-2.0
// The picture of a run: a page with everything in it, that needs nothing but a browser. picture.html draws what is written here as numbers.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "codec/view_json.h"
#include "sim/command.h"
#include "sim/commit.h"
#include "sim/internal.h"
#include "sim/picture_page.h"

// Lanes: faults and people, the servers, the disk, the nodes.
static int lane_of(const struct sim *sim, int actor)
{
    int n_servers = (int)sim->n_servers;
    if (actor >= ACTOR_DISK)
        return 1 + n_servers;
    if (actor == ACTOR_WORLD || actor >= ACTOR_CLIENT)
        return 0;
    if (actor < ACTOR_NODE)
        return actor;
    for (size_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i]->actor == actor)
            return 2 + n_servers + (int)i;
    return 0;
}

static void add_lanes(const struct sim *sim, struct buf *out)
{
    buf_adds(out, "[\"world\"");
    for (size_t i = 0; i < sim->n_servers; i++)
        buf_printf(out, ",\"server %zu\"", i + 1);
    buf_adds(out, ",\"disk\"");
    for (size_t i = 0; i < sim->n_nodes; i++)
        buf_printf(out, ",\"%s %d\"", sim->nodes[i]->clone ? "clone" : "node", sim->nodes[i]->index);
    buf_adds(out, "]");
}

static void add_text(struct buf *out, const struct trace_entry *entry)
{
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%" PRId64 ".%03" PRId64 " s ", entry->at / USEC_PER_SEC, entry->at % USEC_PER_SEC / 1000);
    trace_actor(&text, entry->actor);
    buf_addc(&text, ' ');
    trace_sentence(&text, entry);
    json_add_text(out, text.data);
    buf_release(&text);
}

static void add_bar(const struct sim *sim, struct buf *out, const struct trace_entry *start, const struct trace_entry *end)
{
    enum outcome outcome = end != NULL ? (enum outcome)end->b : OUTCOME_CANCELLED;
    bool stopped = outcome == OUTCOME_CANCELLED || outcome == OUTCOME_LEASE;
    buf_printf(out, "%s[%d,%" PRId64 ",%" PRId64 ",\"%s\",", out->data[out->len - 1] == '[' ? "" : ",\n", lane_of(sim, start->actor), start->at,
               end != NULL ? end->at : sim->now, end == NULL || stopped ? "cut" : outcome == OUTCOME_SUCCEEDED ? "ok" : "bad");
    char text[160], length[40];
    duration_format(length, (end != NULL ? end->at : sim->now) - start->at);
    snprintf(text, sizeof(text), "run %" PRIu64 ", task %" PRIu64 " (fence %" PRIu64 "): %s after %s", start->b, start->c, start->a,
             end != NULL ? outcome_name(outcome) : "still running", length);
    json_add_text(out, text);
    buf_addc(out, ']');
}

static void add_bars(const struct sim *sim, struct buf *out)
{
    struct map alive;
    map_init(&alive);
    buf_addc(out, '[');
    for (size_t i = 0; i < sim->n_kept; i++) {
        struct trace_entry *entry = &sim->kept[i];
        if (entry->kind == TR_PROCESS) {
            map_put(&alive, entry->a, entry);
        } else if (entry->kind == TR_EXITED) {
            const struct trace_entry *start = map_del(&alive, entry->a);
            if (start != NULL)
                add_bar(sim, out, start, entry);
        }
    }
    // In the order of their starts, not of the map.
    for (size_t i = 0; i < sim->n_kept; i++)
        if (sim->kept[i].kind == TR_PROCESS && map_get(&alive, sim->kept[i].a) == &sim->kept[i])
            add_bar(sim, out, &sim->kept[i], NULL);
    buf_addc(out, ']');
    map_release(&alive);
}

static void add_marks(const struct sim *sim, struct buf *out)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < sim->n_kept; i++) {
        const struct trace_entry *entry = &sim->kept[i];
        enum show show = trace_shows((enum trace_kind)entry->kind);
        bool fault = entry->kind == TR_FAULT || entry->kind == TR_BROKEN || entry->kind == TR_HIT || entry->kind == TR_CLOCK;
        if (show != SHOW_MARK && show != SHOW_SPAN)
            continue;
        buf_printf(out, "%s[%d,%" PRId64 ",\"%s\",", out->data[out->len - 1] == '[' ? "" : ",\n", lane_of(sim, entry->actor), entry->at, fault ? "fault" : "mark");
        add_text(out, entry);
        buf_addc(out, ']');
    }
    buf_addc(out, ']');
}

// Healing ends what lasts.
static void add_span(const struct sim *sim, struct buf *out, const struct trace_entry *entry, usec_t to)
{
    if (sim->healed_usec > entry->at)
        to = usec_min(to, sim->healed_usec);
    buf_printf(out, "%s[%d,%" PRId64 ",%" PRId64 ",", out->data[out->len - 1] == '[' ? "" : ",\n", lane_of(sim, entry->actor), entry->at, usec_min(to, sim->now));
    add_text(out, entry);
    buf_addc(out, ']');
}

// What lasts: pauses, cuts, and the time from a death to the next life.
static void add_spans(const struct sim *sim, struct buf *out)
{
    size_t n_lanes = 2 + sim->n_servers + sim->n_nodes;
    const struct trace_entry **dead = mem_alloc(n_lanes * sizeof(const struct trace_entry *));
    buf_addc(out, '[');
    for (size_t i = 0; i < sim->n_kept; i++) {
        const struct trace_entry *entry = &sim->kept[i];
        int lane = lane_of(sim, entry->actor);
        if (entry->kind == TR_HIT && entry->b > 0)
            add_span(sim, out, entry, usec_add(entry->at, (usec_t)entry->b));
        else if (entry->kind == TR_SERVER_PAUSE || entry->kind == TR_AGENT_PAUSE)
            add_span(sim, out, entry, usec_add(entry->at, (usec_t)entry->a));
        else if ((entry->kind == TR_SERVER_DEAD || entry->kind == TR_AGENT_DEAD) && dead[lane] == NULL)
            dead[lane] = entry;
        bool back = entry->kind == TR_SERVER_LEADS || entry->kind == TR_AGENT_START;
        if (back && dead[lane] != NULL) {
            add_span(sim, out, dead[lane], entry->at);
            dead[lane] = NULL;
        }
    }
    for (size_t lane = 0; lane < n_lanes; lane++)
        if (dead[lane] != NULL)
            add_span(sim, out, dead[lane], sim->now);
    buf_addc(out, ']');
    mem_free(dead);
}

static void add_head(const struct sim *sim, struct buf *out)
{
    const struct sim_result *result = sim->result;
    buf_printf(out, "{seed:\"%" PRIu64 "\",scenario:\"%s\",plant:\"%s\",commit:\"%s\",end:%" PRId64 ",healed:%" PRId64 ",failed:%" PRId64, sim->options->seed,
               sim->options->scenario, sim_plant_text(sim->options->plant), SIM_COMMIT, sim->now, sim->healed_usec, sim->failed ? result->failed_usec : 0);
    buf_adds(out, ",broken:");
    if (sim->failed && result->sentence != NULL)
        json_add_text(out, arena_printf((struct arena *)&sim->arena, "%s: %s", result->invariant, result->sentence));
    else
        json_add_text(out, sim->failed ? result->invariant : "");
    buf_adds(out, ",text:");
    json_add_text(out, result->text);
    buf_adds(out, ",tail:");
    json_add_text(out, result->tail);
}

void trace_html(const struct sim *sim, FILE *file)
{
    static const char marker[] = "/*DATA*/null";
    const char *at = strstr(picture_page, marker);
    must(at != NULL);
    struct buf out;
    buf_init(&out);
    add_head(sim, &out);
    buf_adds(&out, ",\nlanes:");
    add_lanes(sim, &out);
    buf_adds(&out, ",\nbars:");
    add_bars(sim, &out);
    buf_adds(&out, ",\nmarks:");
    add_marks(sim, &out);
    buf_adds(&out, ",\nspans:");
    add_spans(sim, &out);
    buf_adds(&out, "}");
    fwrite(picture_page, 1, (size_t)(at - picture_page), file);
    fwrite(out.data, 1, out.len, file);
    fputs(at + sizeof(marker) - 1, file);
    buf_release(&out);
}
