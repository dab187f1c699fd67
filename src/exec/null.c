// SPDX-License-Identifier: Apache-2.0
// The null executor: every attempt starts and succeeds at once, without a process. For benches and for tests of what stands above.
// Starts are gathered and told in batches from ready(), each with its end behind it.

#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/str.h"
#include "exec/executor.h"
#include "exec/instance.h"

struct null_attempt {
    struct list link; // in queued or ended
    struct exec_attempt known;
    bool stopped; // before it was told
};

struct null_executor {
    struct executor base;
    struct pool pool;
    struct map by_fence;
    struct list queued; // accepted, nothing told yet
    struct list ended;  // told, not forgotten
    char instance[INSTANCE_TEXT];
};

// How many attempts one call of ready() tells at most, so that the caller's loop keeps turning.
#define NULL_BATCH 8192

static struct null_executor *null_of(struct executor *executor)
{
    must(executor != NULL);
    return container_of(executor, struct null_executor, base);
}

static void null_close(struct executor *executor)
{
    if (executor == NULL)
        return;
    struct null_executor *null = null_of(executor);
    map_release(&null->by_fence);
    pool_release(&null->pool);
    mem_free(null);
}

static const char *null_instance(struct executor *executor)
{
    return null_of(executor)->instance;
}

static int by_fence_order(const void *a, const void *b)
{
    const struct exec_attempt *x = *(const struct exec_attempt *const *)a, *y = *(const struct exec_attempt *const *)b;
    return (x->fence > y->fence) - (x->fence < y->fence);
}

static void null_attempts(struct executor *executor, void (*visit)(void *, const struct exec_attempt *), void *context)
{
    struct null_executor *null = null_of(executor);
    size_t n = 0, max = map_len(&null->by_fence);
    const struct exec_attempt **all = mem_alloc_array(max, sizeof(*all));
    struct list *const heads[] = {&null->queued, &null->ended};
    for (size_t i = 0; i < 2; i++) {
        struct list *pos;
        list_for_each(pos, heads[i])
            all[n++] = &list_entry(pos, struct null_attempt, link)->known;
    }
    must(n == max);
    qsort(all, n, sizeof(*all), by_fence_order);
    for (size_t i = 0; i < n; i++)
        visit(context, all[i]);
    mem_free(all);
}

static void null_start(struct executor *executor, const struct exec_start *start)
{
    struct null_executor *null = null_of(executor);
    if (map_get(&null->by_fence, start->fence) != NULL)
        return;
    struct null_attempt *attempt = pool_take(&null->pool);
    attempt->known = (struct exec_attempt){
        .fence = start->fence,
        .run_id = start->run_id,
        .index = start->index,
        .attempt = start->attempt,
        .delivery = start->spec->delivery,
        .running = true,
        .start_usec = clock_wall_usec(),
    };
    list_add_tail(&null->queued, &attempt->link);
    map_put(&null->by_fence, start->fence, attempt);
}

static void null_stop(struct executor *executor, uint64_t fence, enum outcome why)
{
    struct null_attempt *attempt = map_get(&null_of(executor)->by_fence, fence);
    if (attempt == NULL || !attempt->known.running)
        return;
    attempt->stopped = true;
    attempt->known.end.outcome = why;
}

static void null_forget(struct executor *executor, uint64_t fence)
{
    struct null_executor *null = null_of(executor);
    struct null_attempt *attempt = map_get(&null->by_fence, fence);
    if (attempt == NULL || attempt->known.running)
        return;
    map_del(&null->by_fence, fence);
    list_del(&attempt->link);
    pool_give(&null->pool, attempt);
}

static void null_renew(struct executor *executor, usec_t lease_until_boot_usec)
{
    must(executor != NULL && lease_until_boot_usec >= 0);
}

static int null_fd(struct executor *executor)
{
    must(executor != NULL);
    return -1;
}

static usec_t null_deadline(struct executor *executor, usec_t mono_usec)
{
    must(mono_usec >= 0);
    return list_empty(&null_of(executor)->queued) ? USEC_NEVER : 0;
}

static int null_ready(struct executor *executor, struct err *err)
{
    (void)err;
    struct null_executor *null = null_of(executor);
    const struct executor_sink *sink = &null->base.sink;
    for (int i = 0; i < NULL_BATCH && !list_empty(&null->queued); i++) {
        struct null_attempt *attempt = list_entry(list_first(&null->queued), struct null_attempt, link);
        list_del(&attempt->link);
        list_add_tail(&null->ended, &attempt->link);
        struct exec_attempt *known = &attempt->known;
        known->running = false;
        known->end.fence = known->fence;
        known->end.start_usec = known->start_usec;
        known->end.outcome = attempt->stopped ? known->end.outcome : OUTCOME_SUCCEEDED;
        struct attempt_end end = known->end; // the sink may forget the attempt
        sink->on_started(sink->context, end.fence, end.start_usec);
        sink->on_ended(sink->context, &end);
    }
    return 0;
}

static size_t null_warnings(struct executor *executor, const char *const **ret_sentences)
{
    static const char *const sentences[] = {"This agent completes tasks without running them (executor null)."};
    must(executor != NULL);
    *ret_sentences = sentences;
    return 1;
}

static const struct executor_ops null_ops = {
    .name = "null",
    .close = null_close,
    .instance = null_instance,
    .attempts = null_attempts,
    .start = null_start,
    .stop = null_stop,
    .forget = null_forget,
    .renew = null_renew,
    .fd = null_fd,
    .deadline = null_deadline,
    .ready = null_ready,
    .warnings = null_warnings,
};

int executor_null_open(const struct executor_options *options, struct executor **ret_executor, struct err *err)
{
    must(options != NULL && ret_executor != NULL);
    char instance[INSTANCE_TEXT];
    int rc = instance_make(instance, err);
    if (rc < 0)
        return rc;
    struct null_executor *null = mem_alloc(sizeof(*null));
    null->base = (struct executor){.ops = &null_ops, .sink = options->sink};
    pool_init(&null->pool, sizeof(struct null_attempt));
    map_init(&null->by_fence);
    list_init(&null->queued);
    list_init(&null->ended);
    int copied = str_copy(null->instance, sizeof(null->instance), instance);
    must(copied == 0);
    *ret_executor = &null->base;
    return 0;
}
