// SPDX-License-Identifier: Apache-2.0
// The attempts that an agent knows.

#include "agent/attempts.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

// Bytes that a start and an end take in a report at most, without the message.
enum { START_BYTES = 32, END_BYTES = 128 };

void attempts_init(struct attempts *attempts, size_t report_bytes_max)
{
    *attempts = (struct attempts){.report_bytes_max = report_bytes_max};
    map_init(&attempts->by_fence);
    pool_init(&attempts->pool, sizeof(struct attempt));
    list_init(&attempts->phases[ATTEMPTS_ALIVE]);
    list_init(&attempts->phases[ATTEMPTS_ENDED]);
    list_init(&attempts->starts);
    list_init(&attempts->ends);
    for (int i = 0; i < ATTEMPTS_WINDOW; i++) {
        list_init(&attempts->flights[i].starts);
        list_init(&attempts->flights[i].ends);
    }
    attempts->started = mem_alloc_array(ATTEMPTS_REPORT_MAX, sizeof(attempts->started[0]));
    attempts->ended = mem_alloc_array(ATTEMPTS_REPORT_MAX, sizeof(attempts->ended[0]));
}

void attempts_release(struct attempts *attempts)
{
    for (int i = 0; i < 2; i++) {
        struct attempt *attempt = NULL;
        while ((attempt = attempts_first(attempts, (enum attempts_list)i)) != NULL)
            attempts_drop(attempts, attempt);
    }
    map_release(&attempts->by_fence);
    pool_release(&attempts->pool);
    mem_free(attempts->started);
    mem_free(attempts->ended);
    mem_free(attempts->known);
}

static enum attempts_list list_of(const struct attempt *attempt)
{
    return attempt->phase == PHASE_ENDED ? ATTEMPTS_ENDED : ATTEMPTS_ALIVE;
}

struct attempt *attempts_add(struct attempts *attempts, uint64_t fence)
{
    struct attempt *attempt = pool_take(&attempts->pool);
    attempt->fence = fence;
    attempt->phase = PHASE_ORDERED;
    list_init(&attempt->tell);
    list_init(&attempt->link);
    list_add_tail(&attempts->phases[ATTEMPTS_ALIVE], &attempt->link);
    attempts->len[ATTEMPTS_ALIVE]++;
    void *before = map_put(&attempts->by_fence, fence, attempt);
    must(before == NULL);
    return attempt;
}

struct attempt *attempts_find(const struct attempts *attempts, uint64_t fence)
{
    return map_get(&attempts->by_fence, fence);
}

void attempts_drop(struct attempts *attempts, struct attempt *attempt)
{
    enum attempts_list list = list_of(attempt);
    must(attempts->len[list] > 0);
    attempts->len[list]--;
    list_del(&attempt->link);
    list_del(&attempt->tell);
    void *before = map_del(&attempts->by_fence, attempt->fence);
    must(before == attempt);
    mem_free((char *)attempt->end.message);
    pool_give(&attempts->pool, attempt);
}

void attempts_start(struct attempts *attempts, struct attempt *attempt, usec_t start_usec)
{
    must(attempt->phase == PHASE_ORDERED && list_empty(&attempt->tell));
    attempt->phase = PHASE_RUNNING;
    attempt->start_usec = start_usec;
    if (!attempt->silent)
        list_add_tail(&attempts->starts, &attempt->tell);
}

void attempts_silence(struct attempts *attempts, struct attempt *attempt, bool silent)
{
    must(attempt->phase != PHASE_ENDED);
    attempt->silent = silent;
    if (silent)
        list_del(&attempt->tell);
}

void attempts_end(struct attempts *attempts, struct attempt *attempt, const struct attempt_end *end)
{
    must(attempt->phase != PHASE_ENDED && end->fence == attempt->fence);
    list_del(&attempt->link);
    attempts->len[ATTEMPTS_ALIVE]--;
    attempt->phase = PHASE_ENDED;
    attempt->end = *end;
    if (end->message != NULL)
        attempt->end.message = mem_strdup(end->message);
    list_add_tail(&attempts->phases[ATTEMPTS_ENDED], &attempt->link);
    attempts->len[ATTEMPTS_ENDED]++;
    list_del(&attempt->tell); // the end tells the start too
    list_add_tail(&attempts->ends, &attempt->tell);
}

struct attempt *attempts_first(const struct attempts *attempts, enum attempts_list list)
{
    struct list *first = list_first(&attempts->phases[list]);
    return first == NULL ? NULL : list_entry(first, struct attempt, link);
}

struct attempt *attempts_next(const struct attempts *attempts, enum attempts_list list, const struct attempt *attempt)
{
    must(list_of(attempt) == list);
    return attempt->link.next == &attempts->phases[list] ? NULL : list_entry(attempt->link.next, struct attempt, link);
}

size_t attempts_alive(const struct attempts *attempts)
{
    return attempts->len[ATTEMPTS_ALIVE];
}

size_t attempts_ended(const struct attempts *attempts)
{
    return attempts->len[ATTEMPTS_ENDED];
}

size_t attempts_in_flight(const struct attempts *attempts)
{
    size_t n = 0;
    for (int i = 0; i < ATTEMPTS_WINDOW; i++)
        n += attempts->flights[i].id != 0;
    return n;
}

const struct known_attempt *attempts_known(struct attempts *attempts, size_t *ret_n)
{
    size_t n = 0, most = attempts->len[ATTEMPTS_ALIVE] + attempts->len[ATTEMPTS_ENDED];
    if (attempts->cap_known < most) {
        attempts->known = mem_realloc_array(attempts->known, most, sizeof(attempts->known[0]));
        attempts->cap_known = most;
    }
    for (int i = 0; i < 2; i++) {
        enum attempts_list list = (enum attempts_list)i;
        for (struct attempt *attempt = attempts_first(attempts, list); attempt != NULL; attempt = attempts_next(attempts, list, attempt)) {
            attempts->known[n++] = (struct known_attempt){
                .fence = attempt->fence, .running = attempt->phase != PHASE_ENDED, .start_usec = attempt->start_usec};
            if (attempt->phase != PHASE_ENDED)
                list_del(&attempt->tell);
        }
    }
    must(n == most);
    *ret_n = n;
    return attempts->known;
}

// The flight that the next report takes, or NULL.
static struct flight *flight_free(struct attempts *attempts)
{
    for (int i = 0; i < ATTEMPTS_WINDOW; i++) {
        if (attempts->flights[i].id == 0)
            return &attempts->flights[i];
    }
    return NULL;
}

bool attempts_report(struct attempts *attempts, struct ev_node_report *ret_report)
{
    struct flight *flight = flight_free(attempts);
    if (flight == NULL || (list_empty(&attempts->starts) && list_empty(&attempts->ends)))
        return false;
    must(list_empty(&flight->starts) && list_empty(&flight->ends));
    flight->id = ++attempts->last_report;
    size_t n_started = 0, n_ended = 0, bytes = 0;
    for (struct list *link = list_first(&attempts->starts); link != NULL && n_started < ATTEMPTS_REPORT_MAX; link = list_first(&attempts->starts)) {
        bytes += START_BYTES;
        if (bytes > attempts->report_bytes_max && n_started > 0)
            break;
        struct attempt *attempt = list_entry(link, struct attempt, tell);
        must(attempt->phase == PHASE_RUNNING);
        attempts->started[n_started++] = (struct known_attempt){.fence = attempt->fence, .running = true, .start_usec = attempt->start_usec};
        list_del(link);
        list_add_tail(&flight->starts, link);
    }
    for (struct list *link = list_first(&attempts->ends); link != NULL && n_ended < ATTEMPTS_REPORT_MAX; link = list_first(&attempts->ends)) {
        struct attempt *attempt = list_entry(link, struct attempt, tell);
        must(attempt->phase == PHASE_ENDED);
        bytes += END_BYTES + (attempt->end.message == NULL ? 0 : strlen(attempt->end.message));
        if (bytes > attempts->report_bytes_max && n_started + n_ended > 0)
            break;
        attempts->ended[n_ended++] = attempt->end;
        list_del(link);
        list_add_tail(&flight->ends, link);
    }
    *ret_report = (struct ev_node_report){.report_id = flight->id,
                                          .started = attempts->started,
                                          .n_started = n_started,
                                          .ended = attempts->ended,
                                          .n_ended = n_ended};
    return true;
}

// Whatever a flight still tells of starts is told now, one way or another.
static void flight_clear_starts(struct flight *flight)
{
    struct list *link = NULL;
    while ((link = list_first(&flight->starts)) != NULL)
        list_del(link);
}

struct attempt *attempts_acknowledged(struct attempts *attempts, uint64_t report_id)
{
    for (int i = 0; i < ATTEMPTS_WINDOW; i++) {
        struct flight *flight = &attempts->flights[i];
        if (flight->id != report_id || report_id == 0)
            continue;
        struct list *link = list_first(&flight->ends);
        if (link != NULL)
            return list_entry(link, struct attempt, tell);
        flight_clear_starts(flight);
        flight->id = 0;
    }
    return NULL;
}

void attempts_unsend(struct attempts *attempts)
{
    // Latest first, so that the oldest end up at the front. Starts are told by the next HELLO.
    for (;;) {
        struct flight *latest = NULL;
        for (int i = 0; i < ATTEMPTS_WINDOW; i++) {
            struct flight *flight = &attempts->flights[i];
            if (flight->id != 0 && (latest == NULL || flight->id > latest->id))
                latest = flight;
        }
        if (latest == NULL)
            return;
        struct list *link = NULL;
        while ((link = list_last(&latest->ends)) != NULL) {
            list_del(link);
            list_add_head(&attempts->ends, link);
        }
        flight_clear_starts(latest);
        latest->id = 0;
    }
}
