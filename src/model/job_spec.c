// SPDX-License-Identifier: Apache-2.0
// Defaults of a job spec, index sets, names, and the retry policy. Integer arithmetic only.
#include "model/job_spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static const struct index_range one_task = {.first = 0, .last = 0, .step = 1, .position = 0};

void job_spec_init(struct job_spec *spec)
{
    must(spec != NULL);
    *spec = (struct job_spec){
        .namespace_name = "default",
        .queue = "default",
        .tasks = {.ranges = &one_task, .n_ranges = 1, .count = 1},
        .kill_grace_usec = 10 * USEC_PER_SEC,
        .retry = {
            .backoff_usec = USEC_PER_SEC,
            .factor_permille = 2000,
            .backoff_max_usec = USEC_PER_HOUR,
        },
        .delivery = AT_LEAST_ONCE,
        .concurrency_limit = 1,
        .overlap = OVERLAP_ALLOW,
        .misfire = MISFIRE_ONCE,
    };
}

uint32_t index_range_count(const struct index_range *range)
{
    must(range != NULL && range->step > 0);
    must(range->first <= range->last);
    uint32_t steps = (range->last - range->first) / range->step;
    must(steps < UINT32_MAX);
    return steps + 1;
}

// Whether ranges can be a set, and how many indexes it has.
static bool ranges_judge(const struct index_range *ranges, size_t n_ranges, uint32_t *ret_count)
{
    uint64_t count = 0;
    for (size_t i = 0; i < n_ranges; i++) {
        const struct index_range *range = &ranges[i];
        if (range->step == 0 || range->last < range->first)
            return false;
        if (i > 0 && range->first <= ranges[i - 1].last)
            return false;
        count += (uint64_t)((range->last - range->first) / range->step) + 1;
        if (count > UINT32_MAX)
            return false;
    }
    *ret_count = (uint32_t)count;
    return true;
}

bool index_set_init(struct index_set *set, struct index_range *ranges, size_t n_ranges)
{
    must(set != NULL);
    must(ranges != NULL || n_ranges == 0);
    uint32_t count = 0;
    if (!ranges_judge(ranges, n_ranges, &count))
        return false;
    uint32_t position = 0;
    for (size_t i = 0; i < n_ranges; i++) {
        struct index_range *range = &ranges[i];
        uint32_t n = index_range_count(range);
        range->last = range->first + (n - 1) * range->step;
        range->position = position;
        position += n;
    }
    must(position == count);
    *set = (struct index_set){.ranges = ranges, .n_ranges = n_ranges, .count = count};
    return true;
}

uint32_t index_set_at(const struct index_set *set, uint32_t position)
{
    must(set != NULL);
    must(position < set->count);
    size_t low = 0;
    size_t high = set->n_ranges;
    // The last range whose first index is not behind the position.
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[middle].position <= position)
            low = middle;
        else
            high = middle;
    }
    const struct index_range *range = &set->ranges[low];
    must(range->position <= position);
    uint32_t index = range->first + (position - range->position) * range->step;
    must(index <= range->last);
    return index;
}

bool index_set_find(const struct index_set *set, uint32_t index, uint32_t *ret_position)
{
    must(set != NULL && ret_position != NULL);
    size_t low = 0;
    size_t high = set->n_ranges;
    // The first range that does not end before the index.
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[middle].last < index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == set->n_ranges)
        return false;
    const struct index_range *range = &set->ranges[low];
    if (index < range->first || (index - range->first) % range->step != 0)
        return false;
    *ret_position = range->position + (index - range->first) / range->step;
    must(*ret_position < set->count);
    return true;
}

static int range_format(char *buf, size_t size, const struct index_range *range)
{
    if (range->first == range->last)
        return snprintf(buf, size, "%" PRIu32, range->first);
    if (range->step == 1)
        return snprintf(buf, size, "%" PRIu32 "-%" PRIu32, range->first, range->last);
    return snprintf(buf, size, "%" PRIu32 "-%" PRIu32 ":%" PRIu32, range->first, range->last, range->step);
}

const char *index_set_format(char *buf, size_t size, const struct index_set *set)
{
    static const char ellipsis[] = "...";
    must(buf != NULL && set != NULL);
    must(size > sizeof(ellipsis));
    size_t len = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < set->n_ranges; i++) {
        char text[40];
        int n = range_format(text, sizeof(text), &set->ranges[i]);
        must(n > 0 && (size_t)n < sizeof(text));
        size_t comma = i > 0;
        // Unless it is the last one, keep room for the ellipsis that may have to follow.
        size_t reserve = i + 1 < set->n_ranges ? sizeof(ellipsis) : 1;
        if (len + comma + (size_t)n + reserve > size) {
            memcpy(buf + len, ellipsis, sizeof(ellipsis));
            return buf;
        }
        if (comma)
            buf[len++] = ',';
        memcpy(buf + len, text, (size_t)n + 1);
        len += (size_t)n;
    }
    return buf;
}

const char *delivery_name(enum delivery delivery)
{
    switch (delivery) {
    case AT_LEAST_ONCE:
        return "at_least_once";
    case AT_MOST_ONCE:
        return "at_most_once";
    }
    unreachable();
}

const char *after_on_name(enum after_on on)
{
    switch (on) {
    case AFTER_SUCCEEDED:
        return "succeeded";
    case AFTER_FAILED:
        return "failed";
    case AFTER_ENDED:
        return "ended";
    }
    unreachable();
}

const char *overlap_name(enum overlap overlap)
{
    switch (overlap) {
    case OVERLAP_ALLOW:
        return "allow";
    case OVERLAP_FORBID:
        return "forbid";
    case OVERLAP_REPLACE:
        return "replace";
    case OVERLAP_QUEUE:
        return "queue";
    case OVERLAP_QUEUE_ALL:
        return "queue_all";
    }
    unreachable();
}

const char *misfire_name(enum misfire misfire)
{
    switch (misfire) {
    case MISFIRE_SKIP:
        return "skip";
    case MISFIRE_ONCE:
        return "once";
    case MISFIRE_ALL:
        return "all";
    }
    unreachable();
}

const char *constraint_op_text(enum constraint_op op)
{
    switch (op) {
    case OP_EQ:
        return "==";
    case OP_NE:
        return "!=";
    case OP_IN:
        return "in";
    case OP_NOT_IN:
        return "not in";
    case OP_EXISTS:
        return "has";
    case OP_NOT_EXISTS:
        return "not has";
    }
    unreachable();
}

// backoff * factor^(attempt-1), no more than max.
static uint64_t backoff_grown(const struct retry *retry, uint32_t attempt, uint64_t max)
{
    uint64_t wait = (uint64_t)retry->backoff_usec;
    for (uint32_t i = 1; i < attempt && wait < max; i++) {
        unsigned __int128 next = (unsigned __int128)wait * retry->factor_permille / 1000;
        if (next == wait)
            break; // a factor of 1, or too small a wait to grow: it never will
        if (next > max)
            return max;
        wait = (uint64_t)next;
    }
    return wait < max ? wait : max;
}

usec_t retry_backoff(const struct retry *retry, uint32_t attempt, uint64_t dice)
{
    must(retry != NULL && attempt >= 1);
    must(retry->backoff_usec >= 0 && retry->backoff_max_usec >= 0);
    // Half of the range of usec_t, so that adding the jitter or the time of day cannot overflow.
    uint64_t most = (uint64_t)INT64_MAX / 4;
    uint64_t max = retry->backoff_max_usec > 0 && (uint64_t)retry->backoff_max_usec < most
                       ? (uint64_t)retry->backoff_max_usec
                       : most;
    uint64_t wait = backoff_grown(retry, attempt, max);
    uint32_t jitter_permille = retry->jitter_permille < 1000 ? retry->jitter_permille : 1000;
    uint64_t span = (uint64_t)((unsigned __int128)wait * jitter_permille / 1000);
    // Uniform in 0 .. 2 * span.
    uint64_t roll = (uint64_t)(((unsigned __int128)dice * (2 * span + 1)) >> 64);
    must(span <= wait && roll <= 2 * span);
    wait = wait - span + roll;
    return (usec_t)(wait < max ? wait : max);
}

static bool lists_exit_code(const struct retry *retry, int exit_code)
{
    for (size_t i = 0; i < retry->n_exit_codes; i++)
        if (retry->exit_codes[i] == exit_code)
            return true;
    return false;
}

bool retry_wants(const struct retry *retry, uint32_t tries, enum outcome outcome, int exit_code)
{
    must(retry != NULL && tries >= 1);
    must((int)outcome >= 0 && outcome < OUTCOMES);
    if (outcome_good(outcome) || outcome == OUTCOME_CANCELLED)
        return false;
    if (tries > retry->limit)
        return false;
    if (outcome == OUTCOME_EXIT && retry->n_exit_codes > 0)
        return lists_exit_code(retry, exit_code);
    if (retry->causes != 0)
        return (retry->causes & (1u << outcome)) != 0;
    return retry->n_exit_codes == 0;
}
