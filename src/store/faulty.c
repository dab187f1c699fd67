// SPDX-License-Identifier: Apache-2.0
// A store around another store, which fails chosen calls on purpose: before anything was done, or after it was done, so that the
// caller sees an outcome that it cannot know. Used by tests, the contract suite and the simulator.
#include "store/store.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/mem.h"

struct fault_plan {
    uint64_t calls_left; // until the first failure; 0: nothing is planned
    int times;           // failures from then on; < 0: every call
    int code;
    bool lands;
};

struct faulty_store {
    struct store base;
    struct store *inner;
    struct fault_plan plan[FAULT_CALLS];
    // Failures that poll() has to report: at most one append and one snapshot are in flight.
    struct store_done failed[2];
    size_t n_failed;
    bool failing[FAULT_CALLS]; // one of `failed` belongs to this call
    // The inner store carries out what will be reported as failed with this code; 0: it does not.
    int lands_code[FAULT_CALLS];
    int event_fd, epoll_fd; // -1: the inner store has no wake_fd
};

static struct faulty_store *faulty_store(struct store *store)
{
    return (struct faulty_store *)store;
}

// Counts one call. Whether it is to fail; *ret_plan: how.
static bool fault_due(struct faulty_store *store, enum fault_call call, struct fault_plan *ret_plan)
{
    struct fault_plan *plan = &store->plan[call];
    if (plan->calls_left == 0)
        return false;
    if (plan->calls_left > 1) {
        plan->calls_left--;
        return false;
    }
    *ret_plan = *plan;
    if (plan->times > 0 && --plan->times == 0)
        plan->calls_left = 0;
    return true;
}

static int fault_set(struct err *err, int code)
{
    return err_set(err, code, "a failure on purpose");
}

static void faulty_close(struct store *base)
{
    struct faulty_store *store = faulty_store(base);
    store_close(store->inner);
    close_fd(store->epoll_fd);
    close_fd(store->event_fd);
    mem_free(store);
}

static int faulty_lead(struct store *base, const char *server, uint64_t *ret_epoch, struct err *err)
{
    struct faulty_store *store = faulty_store(base);
    struct fault_plan plan;
    if (!fault_due(store, FAULT_LEAD, &plan))
        return store->inner->ops->lead(store->inner, server, ret_epoch, err);
    uint64_t epoch;
    if (plan.lands)
        store->inner->ops->lead(store->inner, server, &epoch, NULL);
    return fault_set(err, plan.code);
}

static int faulty_snapshot_read(struct store *base, uint64_t *ret_seq, uint8_t **ret_data, size_t *ret_len, struct err *err)
{
    struct faulty_store *store = faulty_store(base);
    struct fault_plan plan;
    if (fault_due(store, FAULT_SNAPSHOT_READ, &plan))
        return fault_set(err, plan.code);
    return store->inner->ops->snapshot_read(store->inner, ret_seq, ret_data, ret_len, err);
}

static int faulty_log_read(struct store *base, uint64_t after, int (*visit)(void *, const struct store_batch *, struct err *), void *context,
                           struct err *err)
{
    struct faulty_store *store = faulty_store(base);
    struct fault_plan plan;
    if (!fault_due(store, FAULT_LOG_READ, &plan))
        return store->inner->ops->log_read(store->inner, after, visit, context, err);
    if (plan.lands) {
        int code = store->inner->ops->log_read(store->inner, after, visit, context, err);
        if (code != 0)
            return code;
    }
    return fault_set(err, plan.code);
}

// Leaves a failure for poll() to report.
static void fail_later(struct faulty_store *store, enum fault_call call, enum store_op op, uint64_t seq, int code)
{
    must(store->n_failed < 2);
    struct store_done *done = &store->failed[store->n_failed++];
    *done = (struct store_done){.op = op, .seq = seq, .code = code};
    fault_set(&done->err, code);
    store->failing[call] = true;
    if (store->event_fd >= 0)
        must(eventfd_write(store->event_fd, 1) == 0);
}

static int faulty_append(struct store *base, uint64_t epoch, const struct store_batch *batch, struct err *err)
{
    struct faulty_store *store = faulty_store(base);
    if (store->failing[FAULT_APPEND])
        return err_set(err, ERR_AGAIN, "an append is in flight");
    struct fault_plan plan;
    if (!fault_due(store, FAULT_APPEND, &plan))
        return store->inner->ops->append(store->inner, epoch, batch, err);
    if (plan.lands) {
        int code = store->inner->ops->append(store->inner, epoch, batch, err);
        if (code == 0)
            store->lands_code[FAULT_APPEND] = plan.code;
        return code;
    }
    fail_later(store, FAULT_APPEND, STORE_APPEND, batch->first_seq + batch->n_records - 1, plan.code);
    return 0;
}

static int faulty_snapshot_write(struct store *base, uint64_t epoch, uint64_t seq, uint64_t keep_after, uint8_t *data, size_t len,
                                 struct err *err)
{
    struct faulty_store *store = faulty_store(base);
    if (store->failing[FAULT_SNAPSHOT_WRITE]) {
        mem_free(data);
        return err_set(err, ERR_AGAIN, "a snapshot is in flight");
    }
    struct fault_plan plan;
    if (!fault_due(store, FAULT_SNAPSHOT_WRITE, &plan))
        return store->inner->ops->snapshot_write(store->inner, epoch, seq, keep_after, data, len, err);
    if (plan.lands) {
        int code = store->inner->ops->snapshot_write(store->inner, epoch, seq, keep_after, data, len, err);
        if (code == 0)
            store->lands_code[FAULT_SNAPSHOT_WRITE] = plan.code;
        return code;
    }
    mem_free(data);
    fail_later(store, FAULT_SNAPSHOT_WRITE, STORE_SNAPSHOT, seq, plan.code);
    return 0;
}

static enum fault_call call_of(enum store_op op)
{
    return op == STORE_APPEND ? FAULT_APPEND : FAULT_SNAPSHOT_WRITE;
}

static int faulty_poll(struct store *base, struct store_done *ret_done)
{
    struct faulty_store *store = faulty_store(base);
    if (store->n_failed > 0) {
        *ret_done = store->failed[0];
        store->failed[0] = store->failed[1];
        store->n_failed--;
        store->failing[call_of(ret_done->op)] = false;
        eventfd_t count;
        if (store->event_fd >= 0 && store->n_failed == 0)
            must(eventfd_read(store->event_fd, &count) == 0 || errno == EAGAIN);
        return 1;
    }
    int n = store->inner->ops->poll(store->inner, ret_done);
    if (n == 0)
        return 0;
    int *code = &store->lands_code[call_of(ret_done->op)];
    if (*code != 0 && ret_done->code == 0) {
        ret_done->code = *code;
        fault_set(&ret_done->err, *code);
    }
    *code = 0;
    return 1;
}

static int faulty_wake_fd(struct store *base)
{
    return faulty_store(base)->epoll_fd;
}

static const struct store_ops faulty_ops = {
    .name = "faulty",
    .close = faulty_close,
    .lead = faulty_lead,
    .snapshot_read = faulty_snapshot_read,
    .log_read = faulty_log_read,
    .append = faulty_append,
    .snapshot_write = faulty_snapshot_write,
    .poll = faulty_poll,
    .wake_fd = faulty_wake_fd,
};

// Readable when the inner store or an own failure has something to report: an epoll descriptor is readable when a member is.
static int open_wake(struct faulty_store *store, int inner_fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    store->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    store->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (store->event_fd < 0 || store->epoll_fd < 0 || epoll_ctl(store->epoll_fd, EPOLL_CTL_ADD, store->event_fd, &event) < 0 ||
        epoll_ctl(store->epoll_fd, EPOLL_CTL_ADD, inner_fd, &event) < 0)
        return err_from_errno(errno);
    return 0;
}

int store_faulty_open(struct store *inner, struct store **ret_store)
{
    struct faulty_store *store = mem_alloc(sizeof(*store));
    store->base.ops = &faulty_ops;
    store->inner = inner;
    store->event_fd = store->epoll_fd = -1;
    int inner_fd = inner->ops->wake_fd(inner);
    int code = inner_fd < 0 ? 0 : open_wake(store, inner_fd);
    if (code < 0) {
        close_fd(store->epoll_fd);
        close_fd(store->event_fd);
        mem_free(store);
        return code;
    }
    *ret_store = &store->base;
    return 0;
}

void store_faulty_plan(struct store *base, enum fault_call call, uint64_t n, int times, int code, bool lands)
{
    must(base->ops == &faulty_ops);
    must(call > 0 && call < FAULT_CALLS && code < 0 && times != 0);
    faulty_store(base)->plan[call] = (struct fault_plan){.calls_left = n, .times = times, .code = code, .lands = lands};
}
