// SPDX-License-Identifier: Apache-2.0
// Making a failure small: kinds of faults, then single faults, then people's actions are left out while the same thing still breaks.
#include <string.h>

#include "base/clock.h"
#include "sim/internal.h"

enum { OCCURRENCES_MAX = 8192, RUNS_MAX = 600, SECONDS_MAX = 120 };

struct shrink {
    struct sim_options *options;
    struct sim_result *result; // of the smallest failure so far
    FILE *tell;
    uint32_t runs;
    usec_t until_mono_usec, next_tell_mono_usec;
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

// There is an end, however large the failure.
static bool may_go_on(const struct shrink *shrink)
{
    return shrink->runs < RUNS_MAX && clock_mono_usec() < shrink->until_mono_usec;
}

static void tell(struct shrink *shrink, int kind)
{
    shrink->next_tell_mono_usec = clock_mono_usec() + USEC_PER_SEC;
    uint64_t n = 0;
    for (int i = 0; i < FAULTS; i++)
        n += shrink->result->faults[i];
    if (shrink->tell != NULL)
        fprintf(shrink->tell, "shrink: %u runs, %llu faults and %llu actions of people are left, the failure is at %lld s (trying without %s)\n", shrink->runs,
                (unsigned long long)n, (unsigned long long)shrink->result->acted, (long long)(shrink->result->failed_usec / USEC_PER_SEC), sim_fault_text(kind));
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
    bool good = any && may_go_on(shrink) && write_skips(shrink, &options) && still_fails(shrink, &options);
    if (good)
        *shrink->options = options;
    else
        memcpy(dropped, before, shrink->n[kind]);
    if (clock_mono_usec() >= shrink->next_tell_mono_usec)
        tell(shrink, kind);
    mem_free(before);
    return good;
}

static void drop_parts(struct shrink *shrink, int kind)
{
    for (uint32_t size = shrink->n[kind]; size > 0 && may_go_on(shrink); size /= 2)
        for (uint32_t from = 0; from < shrink->n[kind]; from += size)
            try_drop(shrink, kind, from, size);
}

static void shorten(struct shrink *shrink)
{
    struct sim_options options = *shrink->options;
    // In hundredths of a minute, so that what is printed says it exactly.
    const usec_t unit = USEC_PER_MIN / 100;
    usec_t end = (shrink->result->failed_usec + USEC_PER_SEC + unit - 1) / unit * unit;
    if (options.minutes_usec > 0 && options.minutes_usec <= end)
        return;
    options.minutes_usec = end;
    if (still_fails(shrink, &options))
        *shrink->options = options;
}

uint32_t sim_shrink(struct sim_options *options, struct sim_result *result, FILE *out)
{
    struct shrink shrink = {.options = options, .result = result, .tell = out, .until_mono_usec = clock_mono_usec() + SECONDS_MAX * USEC_PER_SEC};
    FILE *trace_file = options->trace, *html = options->trace_html;
    options->trace = options->trace_html = NULL;
    shorten(&shrink);
    for (int kind = 0; kind <= FAULTS; kind++) {
        // What was drawn is more than what struck: a fault may find nothing to break.
        uint64_t n = kind == FAULTS ? result->actions : result->drawn[kind];
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
