// SPDX-License-Identifier: Apache-2.0
// The executor that stands on a spawner: the agent's side of the control socket.
//
// It mirrors what the spawner knows, tells the sink from ready() only, and keeps the connection: when the spawner goes away it is started
// again, and whatever it held is accounted for (an end that it recorded, lost, or certainly not started).

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/client.h"

#define OPEN_USEC (30 * USEC_PER_SEC)
// How many attempts one call of ready() tells at most, so that the agent's loop keeps turning.
enum { TELL_BATCH = 8192 };

static struct client *client_of(struct executor *executor)
{
    must(executor != NULL);
    return container_of(executor, struct client, base);
}

static void client_close(struct executor *executor)
{
    if (executor == NULL)
        return;
    struct client *client = client_of(executor);
    exec_client_disconnect(client);
    while (!list_empty(&client->all))
        exec_client_mirror_free(client, list_entry(list_first(&client->all), struct mirrored, link));
    map_release(&client->by_fence);
    exec_client_free_warnings(client);
    buf_release(&client->in);
    buf_release(&client->out);
    buf_release(&client->last_spec);
    close_fd(client->epoll_fd);
    mem_free(client->folder);
    mem_free(client->program);
    mem_free(client->node);
    mem_free(client);
}

static void tell_one(struct client *client, struct mirrored *attempt)
{
    const struct executor_sink *sink = &client->base.sink;
    bool start = attempt->tell_start, end = attempt->tell_end;
    attempt->tell_start = attempt->tell_end = false;
    uint64_t fence = attempt->known.fence;
    if (start)
        sink->on_started(sink->context, fence, attempt->known.start_usec);
    // The sink may have called us; the attempt is there as long as nobody forgot it, which needs its end.
    if (end && map_get(&client->by_fence, fence) == attempt) {
        struct attempt_end told = attempt->known.end;
        cleanup_free char *message = told.message == NULL ? NULL : mem_strdup(told.message);
        told.message = message;
        sink->on_ended(sink->context, &told);
    }
}

static int client_ready(struct executor *executor, struct err *err)
{
    (void)err;
    struct client *client = client_of(executor);
    exec_client_turn(client);
    if (client->tell_reset) {
        client->tell_reset = false;
        client->base.sink.on_reset(client->base.sink.context, client->instance);
    }
    for (int i = 0; i < TELL_BATCH && !list_empty(&client->to_tell); i++) {
        struct mirrored *attempt = list_entry(list_first(&client->to_tell), struct mirrored, tell);
        list_del(&attempt->tell);
        tell_one(client, attempt);
    }
    return 0;
}

static const char *client_instance(struct executor *executor)
{
    return client_of(executor)->instance;
}

static int fence_order(const void *a, const void *b)
{
    const struct mirrored *x = *(const struct mirrored *const *)a, *y = *(const struct mirrored *const *)b;
    return (x->known.fence > y->known.fence) - (x->known.fence < y->known.fence);
}

static void client_attempts(struct executor *executor, void (*visit)(void *, const struct exec_attempt *), void *context)
{
    struct client *client = client_of(executor);
    size_t n = 0, max = map_len(&client->by_fence);
    const struct mirrored **all = mem_alloc_array(max, sizeof(*all));
    struct list *pos;
    list_for_each(pos, &client->all) {
        const struct mirrored *attempt = list_entry(pos, struct mirrored, link);
        if (!attempt->forget_asked)
            all[n++] = attempt;
    }
    must(n <= max);
    if (n > 0)
        qsort(all, n, sizeof(*all), fence_order);
    for (size_t i = 0; i < n; i++)
        visit(context, &all[i]->known);
    mem_free(all);
}

static void client_start(struct executor *executor, const struct exec_start *start)
{
    struct client *client = client_of(executor);
    struct mirrored *attempt = map_get(&client->by_fence, start->fence);
    if (attempt != NULL) {
        if (!attempt->known.running && !attempt->forget_asked) {
            attempt->tell_end = true;
            exec_client_want_tell(client, attempt);
        }
        return;
    }
    struct exec_attempt known = {.fence = start->fence, .run_id = start->run_id, .index = start->index, .attempt = start->attempt,
                                 .delivery = start->spec->delivery, .running = true};
    attempt = exec_client_mirror(client, &known);
    if (client->state != CLIENT_LIVE) {
        exec_client_mirror_end_as(client, attempt, OUTCOME_NOT_STARTED, "the spawner of the node is not there at the moment");
        return;
    }
    struct bytes packed = start->packed;
    bool same = client->last_spec.len == packed.len && packed.len > 0 && memcmp(client->last_spec.data, packed.data, packed.len) == 0;
    if (!same) {
        buf_clear(&client->last_spec);
        buf_add(&client->last_spec, packed.data, packed.len);
    }
    exec_client_send(client, &(struct control_message){
                             .kind = CONTROL_START,
                             .start = {.fence = start->fence, .run_id = start->run_id, .job_id = start->job_id, .index = start->index,
                                       .attempt = start->attempt, .position = start->position, .n_tasks = start->n_tasks,
                                       .nominal_usec = start->nominal_usec, .lease_until_boot_usec = start->lease_until_boot_usec,
                                       .delivery = start->spec->delivery, .packed = same ? (struct bytes){0} : packed,
                                       .params = start->params, .backfill_id = start->backfill_id},
                         });
}

static void client_stop(struct executor *executor, uint64_t fence, enum outcome why)
{
    struct client *client = client_of(executor);
    struct mirrored *attempt = map_get(&client->by_fence, fence);
    if (attempt == NULL || !attempt->known.running || attempt->stop_asked)
        return;
    attempt->stop_asked = true;
    attempt->stop_why = why;
    if (client->state == CLIENT_LIVE)
        exec_client_send_stop(client, attempt);
}

static void client_forget(struct executor *executor, uint64_t fence)
{
    struct client *client = client_of(executor);
    struct mirrored *attempt = map_get(&client->by_fence, fence);
    if (attempt == NULL || attempt->known.running)
        return;
    if (client->state == CLIENT_LIVE) {
        exec_client_send(client, &(struct control_message){.kind = CONTROL_FORGET, .forget = fence});
        exec_client_mirror_free(client, attempt);
        return;
    }
    // Said when the spawner is there again.
    attempt->forget_asked = true;
    list_del(&attempt->tell);
}

static void client_renew(struct executor *executor, usec_t lease_until_boot_usec)
{
    struct client *client = client_of(executor);
    if (lease_until_boot_usec <= client->lease_boot_usec)
        return;
    client->lease_boot_usec = lease_until_boot_usec;
    if (client->state == CLIENT_LIVE)
        exec_client_send(client, &(struct control_message){.kind = CONTROL_RENEW, .renew = lease_until_boot_usec});
}

static int client_fd(struct executor *executor)
{
    return client_of(executor)->epoll_fd;
}

static usec_t client_deadline(struct executor *executor, usec_t mono_usec)
{
    struct client *client = client_of(executor);
    if (!list_empty(&client->to_tell) || client->tell_reset)
        return 0;
    if (client->until_mono_usec == USEC_NEVER)
        return USEC_NEVER;
    return client->until_mono_usec <= mono_usec ? 0 : client->until_mono_usec - mono_usec;
}

static size_t client_warnings(struct executor *executor, const char *const **ret_sentences)
{
    struct client *client = client_of(executor);
    *ret_sentences = (const char *const *)client->warnings;
    return client->n_warnings;
}

static const struct executor_ops client_ops = {
    .name = "spawner",
    .close = client_close,
    .instance = client_instance,
    .attempts = client_attempts,
    .start = client_start,
    .stop = client_stop,
    .forget = client_forget,
    .renew = client_renew,
    .fd = client_fd,
    .deadline = client_deadline,
    .ready = client_ready,
    .warnings = client_warnings,
};

int executor_spawner_open(const struct executor_options *options, struct executor **ret_executor, struct err *err)
{
    must(options != NULL && ret_executor != NULL && options->limits != NULL && options->node != NULL);
    cleanup_free char *folder = realpath(options->folder, NULL);
    if (folder == NULL)
        return err_errno(err, err_from_errno(errno), "find the folder '%s'", options->folder);
    struct client *client = mem_alloc(sizeof(*client));
    *client = (struct client){
        .base = {.ops = &client_ops, .sink = options->sink},
        .folder = mem_strdup(folder),
        .program = mem_strdup(options->program),
        .node = mem_strdup(options->node),
        .limits = *options->limits,
        .fd = -1,
        .ready_fd = -1,
    };
    map_init(&client->by_fence);
    list_init(&client->all);
    list_init(&client->to_tell);
    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int rc = client->epoll_fd < 0 ? err_errno(err, ERR_IO, "create an epoll descriptor") : 0;
    usec_t give_up = clock_mono_usec() + OPEN_USEC;
    while (rc == 0 && client->state != CLIENT_LIVE) {
        usec_t now = clock_mono_usec();
        if (now >= give_up) {
            rc = client->last_err.code < 0 ? client->last_err.code : ERR_TIMEOUT;
            rc = err_set(err, rc, "%s", client->last_err.code < 0 ? client->last_err.text : "the spawner does not answer");
            break;
        }
        usec_t wait = usec_min(give_up - now, client_deadline(&client->base, now));
        struct pollfd item = {.fd = client->epoll_fd, .events = POLLIN};
        (void)poll(&item, 1, wait == 0 ? 0 : (int)(wait / 1000) + 1);
        exec_client_turn(client);
    }
    if (rc < 0) {
        client_close(&client->base);
        return rc;
    }
    *ret_executor = &client->base;
    return 0;
}
