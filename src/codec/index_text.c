// SPDX-License-Identifier: Apache-2.0
// The text of an index set.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "codec/names.h"

// UINT32_MAX itself means "no index" in several places.
#define INDEX_MOST (UINT32_MAX - 1)

static bool take_u32(const char **text, uint32_t *ret)
{
    uint64_t value = 0;
    const char *p = *text;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (uint64_t)(*p - '0');
        if (value > INDEX_MOST)
            return false;
    }
    *text = p;
    *ret = (uint32_t)value;
    return true;
}

static void skip_blanks(const char **text)
{
    while (**text == ' ')
        (*text)++;
}

// a, a-b or a-b:s
static int take_range(const char **text, struct index_range *ret, struct err *err)
{
    const char *start = *text;
    struct index_range range = {.step = 1};
    if (!take_u32(text, &range.first))
        return err_set(err, ERR_INVALID, "'%.20s' is not an index (0 to %" PRIu32 ")", start, INDEX_MOST);
    range.last = range.first;
    if (**text == '-') {
        (*text)++;
        if (!take_u32(text, &range.last))
            return err_set(err, ERR_INVALID, "'%.20s' is not a range a-b", start);
        if (range.last < range.first)
            return err_set(err, ERR_INVALID, "the range %" PRIu32 "-%" PRIu32 " ends before it begins", range.first, range.last);
        if (**text == ':') {
            (*text)++;
            if (!take_u32(text, &range.step) || range.step == 0)
                return err_set(err, ERR_INVALID, "'%.20s' has no step of 1 or more", start);
        }
    }
    range.last -= (range.last - range.first) % range.step;
    if (range.first == range.last)
        range.step = 1;
    *ret = range;
    return 0;
}

static int range_order(const void *a, const void *b)
{
    const struct index_range *x = a;
    const struct index_range *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int take_ranges(const char *text, size_t ranges_max, struct index_range **ranges, size_t *n, struct err *err)
{
    size_t cap = 0;
    for (const char *p = text;; p++) {
        if (*n == ranges_max)
            return err_set(err, ERR_LIMIT, "it has more ranges than index_ranges_max allows (%zu)", ranges_max);
        if (*n == cap) {
            cap = cap > 0 ? cap * 2 : 16;
            *ranges = mem_realloc_array(*ranges, cap, sizeof(**ranges));
        }
        skip_blanks(&p);
        int rc = take_range(&p, &(*ranges)[*n], err);
        if (rc < 0)
            return rc;
        ++*n;
        skip_blanks(&p);
        if (*p == '\0')
            return 0;
        if (*p != ',')
            return err_set(err, ERR_INVALID, "a comma is missing before '%.20s'", p);
    }
}

// Sorts, joins what touches, refuses what overlaps; returns the new number of ranges or an error.
static int join_ranges(struct index_range *ranges, size_t *n, struct err *err)
{
    qsort(ranges, *n, sizeof(*ranges), range_order);
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        struct index_range *range = &ranges[i];
        struct index_range *before = kept > 0 ? &ranges[kept - 1] : NULL;
        if (before != NULL && range->first <= before->last) {
            if (range->first == range->last && before->first == before->last)
                return err_set(err, ERR_INVALID, "index %" PRIu32 " is given twice", range->first);
            return err_set(err, ERR_INVALID, "the ranges %" PRIu32 "-%" PRIu32 " and %" PRIu32 "-%" PRIu32 " overlap", before->first,
                           before->last, range->first, range->last);
        }
        if (before != NULL && before->step == 1 && range->step == 1 && range->first == before->last + 1)
            before->last = range->last;
        else
            ranges[kept++] = *range;
    }
    *n = kept;
    return 0;
}

int index_set_parse(const char *text, size_t ranges_max, uint64_t count_max, struct arena *arena, struct index_set *ret, struct err *err)
{
    must(text != NULL && arena != NULL && ret != NULL);
    struct index_range *ranges = NULL;
    size_t n = 0;
    int rc = take_ranges(text, ranges_max, &ranges, &n, err);
    if (rc == 0)
        rc = join_ranges(ranges, &n, err);
    uint64_t count = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        count += (uint64_t)(ranges[i].last - ranges[i].first) / ranges[i].step + 1;
    if (rc == 0 && count > count_max)
        rc = err_set(err, ERR_LIMIT, "it has %" PRIu64 " indexes, more than tasks_max allows (%" PRIu64 ")", count, count_max);
    if (rc == 0) {
        struct index_range *kept = arena_memdup(arena, ranges, n * sizeof(*ranges));
        must(index_set_init(ret, kept, n));
        must(ret->count == count);
    }
    mem_free(ranges);
    return rc;
}

void index_set_first(uint32_t count, struct arena *arena, struct index_set *ret)
{
    must(count > 0 && arena != NULL && ret != NULL);
    struct index_range *range = arena_new(arena, struct index_range);
    *range = (struct index_range){.first = 0, .last = count - 1, .step = 1};
    must(index_set_init(ret, range, 1));
}
