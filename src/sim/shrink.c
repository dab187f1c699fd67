// SPDX-License-Identifier: Apache-2.0
// Making a failure small: kinds of faults, then single faults, then people's actions are left out while the same thing still breaks.
#include <string.h>

#include "sim/internal.h"

enum { OCCURRENCES_MAX = 8192, RUNS_MAX = 600 };

struct shrink {
    struct sim_options *options;
    struct sim_result *result; // of the smallest failure so far
    FILE *tell;
    uint32_t runs;
    uint32_t n[FAULTS + 1];              // occurrences of a kind; kind FAULTS: actions
    uint8_t *dropped[FAULTS + 1];
};

// Writes what is dropped as ranges. False: too many.
static bool write_skips(const struct shrink *shrink, struct sim_options *options)
{
    options->n_skip = 0;
    for (int kind = 0; kind <= FAULTS; kind++) {
        for (uint32_t i = 0; i < shrink->n[kind]; i++) {
            if (!shrink->dropped[kind][i])
                continue;
            uint32_t from = i;
            while (i + 1 < shrink->n[kind] && shrink->dropped[kind][i + 1])
                i++;
            if (options->n_skip == SIM_SKIPS_MAX)
                return false;
            // What comes after the last known one is left out with it.
            uint32_t to = i + 1 == shrink->n[kind] && from == 0 ? UINT32_MAX : i;
            options->skip[options->n_skip++] = (struct sim_skip){kind, from, to};
        }
    }
    return true;
}

static bool still_fails(struct shrink *shrink, const struct sim_options *options)
{
    struct sim_result result;
    shrink->runs++;
    sim_run_apart(options, &result);
    if (!result.failed || strcmp(result.invariant, shrink->result->invariant) != 0)
        return false;
    *shrink->result = result;
    return true;
}

static bool try_drop(struct shrink *shrink, int kind, uint32_t from, uint32_t n)
{
    uint8_t *dropped = shrink->dropped[kind];
    uint8_t *before = mem_alloc(shrink->n[kind] + 1);
    memcpy(before, dropped, shrink->n[kind]);
    bool any = false;
    for (uint32_t i = from; i < from + n && i < shrink->n[kind]; i++) {
        any = any || !dropped[i];
        dropped[i] = 1;
    }
    struct sim_options options = *shrink->options;
    bool good = any && shrink->runs < RUNS_MAX && write_skips(shrink, &options) && still_fails(shrink, &options);
    if (good)
        *shrink->options = options;
    else
        memcpy(dropped, before, shrink->n[kind]);
    mem_free(before);
    return good;
}

static void drop_parts(struct shrink *shrink, int kind)
{
    for (uint32_t size = shrink->n[kind]; size > 0 && shrink->runs < RUNS_MAX; size /= 2) {
        for (uint32_t from = 0; from < shrink->n[kind]; from += size)
            try_drop(shrink, kind, from, size);
        if (shrink->tell != NULL)
            fprintf(shrink->tell, "shrink: %u runs, parts of %u of kind %d\n", shrink->runs, size, kind);
    }
}

static void shorten(struct shrink *shrink)
{
    struct sim_options options = *shrink->options;
    usec_t end = shrink->result->failed_usec + USEC_PER_SEC;
    if (options.minutes_usec > 0 && options.minutes_usec <= end)
        return;
    options.minutes_usec = end;
    if (still_fails(shrink, &options))
        *shrink->options = options;
}

uint32_t sim_shrink(struct sim_options *options, struct sim_result *result, FILE *tell)
{
    struct shrink shrink = {.options = options, .result = result, .tell = tell};
    FILE *trace_file = options->trace, *html = options->trace_html;
    options->trace = options->trace_html = NULL;
    shorten(&shrink);
    for (int kind = 0; kind <= FAULTS; kind++) {
        // What was drawn is more than what was counted: a fault may find nothing to break.
        uint64_t n = kind == FAULTS ? result->actions : result->faults[kind] > 0 ? result->faults[kind] + 8 : 0;
        shrink.n[kind] = n < OCCURRENCES_MAX ? (uint32_t)n : OCCURRENCES_MAX;
        shrink.dropped[kind] = mem_alloc(shrink.n[kind] + 1);
    }
    for (int kind = 0; kind < FAULTS; kind++)
        if (shrink.n[kind] > 0)
            try_drop(&shrink, kind, 0, shrink.n[kind]);
    drop_parts(&shrink, FAULTS);
    for (int kind = 0; kind < FAULTS; kind++)
        if (shrink.n[kind] > 0)
            drop_parts(&shrink, kind);
    shorten(&shrink);
    for (int kind = 0; kind <= FAULTS; kind++)
        mem_free(shrink.dropped[kind]);
    options->trace = trace_file;
    options->trace_html = html;
    return shrink.runs;
}
