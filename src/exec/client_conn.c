// SPDX-License-Identifier: Apache-2.0
// The agent's connection to its spawner: started, greeted, listened to, and begun again when it breaks.

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/attach.h"
#include "exec/client.h"

#define RETRY_USEC (200 * USEC_PER_MSEC)
#define START_USEC (20 * USEC_PER_SEC) // an earlier spawner's processes have to die first
#define HELLO_USEC (10 * USEC_PER_SEC)

enum { READ_BYTES = 256 * 1024 };

void exec_client_free_warnings(struct client *client)
{
    for (size_t i = 0; i < client->n_warnings; i++)
        mem_free(client->warnings[i]);
    mem_free(client->warnings);
    client->warnings = NULL;
    client->n_warnings = 0;
}

void exec_client_disconnect(struct client *client)
{
    client->fd = close_fd(client->fd);
    client->ready_fd = close_fd(client->ready_fd);
    client->writable_watched = false;
    buf_clear(&client->in);
    buf_clear(&client->out);
    buf_clear(&client->last_spec);
}

static void go_down(struct client *client, usec_t wait_usec)
{
    exec_client_disconnect(client);
    client->state = CLIENT_DOWN;
    client->until_mono_usec = clock_mono_usec() + wait_usec;
}

void exec_client_mirror_free(struct client *client, struct mirrored *attempt)
{
    map_del(&client->by_fence, attempt->known.fence);
    list_del(&attempt->link);
    list_del(&attempt->tell);
    mem_free(attempt->message);
    mem_free(attempt);
}

struct mirrored *exec_client_mirror(struct client *client, const struct exec_attempt *known)
{
    struct mirrored *attempt = mem_alloc(sizeof(*attempt));
    attempt->known = *known;
    attempt->known.end = (struct attempt_end){0};
    list_init(&attempt->tell);
    list_init(&attempt->link);
    list_add_tail(&client->all, &attempt->link);
    struct mirrored *old = map_put(&client->by_fence, known->fence, attempt);
    must(old == NULL);
    return attempt;
}

void exec_client_want_tell(struct client *client, struct mirrored *attempt)
{
    if (list_empty(&attempt->tell))
        list_add_tail(&client->to_tell, &attempt->tell);
}

static void mirror_end(struct client *client, struct mirrored *attempt, const struct attempt_end *end)
{
    mem_free(attempt->message);
    attempt->message = end->message == NULL ? NULL : mem_strdup(end->message);
    attempt->known.running = false;
    attempt->known.end = *end;
    attempt->known.end.message = attempt->message;
    attempt->tell_end = true;
    exec_client_want_tell(client, attempt);
}

void exec_client_mirror_end_as(struct client *client, struct mirrored *attempt, enum outcome outcome, const char *message)
{
    struct attempt_end end = {.fence = attempt->known.fence, .outcome = outcome, .message = message, .start_usec = attempt->known.start_usec};
    mirror_end(client, attempt, &end);
}

static void watch(struct client *client, int fd, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    int rc = epoll_ctl(client->epoll_fd, operation, fd, &event);
    must(rc == 0);
}

void exec_client_send(struct client *client, const struct control_message *message)
{
    control_pack(&client->out, message);
    if (!client->writable_watched) {
        watch(client, client->fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
        client->writable_watched = true;
    }
}

static void greet(struct client *client, int fd)
{
    client->fd = fd;
    client->writable_watched = false;
    watch(client, fd, EPOLLIN, EPOLL_CTL_ADD);
    client->state = CLIENT_GREETING;
    client->until_mono_usec = clock_mono_usec() + HELLO_USEC;
    struct list *pos;
    list_for_each(pos, &client->all)
        list_entry(pos, struct mirrored, link)->seen = false;
    exec_client_send(client, &(struct control_message){
                             .kind = CONTROL_HELLO_AGENT,
                             .hello_agent = {.version = CONTROL_VERSION, .node = client->node,
                                             .task_pids_max = (uint64_t)client->limits.value[LIMIT_TASK_PIDS],
                                             .log_bytes_max = (uint64_t)client->limits.value[LIMIT_LOG_BYTES],
                                             .log_total_bytes_max = (uint64_t)client->limits.value[LIMIT_LOG_TOTAL]},
                         });
}

// Connects, or starts a spawner when there is none.
static void try_attach(struct client *client)
{
    must(client->state == CLIENT_DOWN);
    int fd;
    if (attach_connect(client->folder, &fd, &client->last_err) == 0) {
        greet(client, fd);
        return;
    }
    if (attach_start(client->folder, client->program, &client->ready_fd, &client->last_err) < 0) {
        go_down(client, USEC_PER_SEC);
        return;
    }
    watch(client, client->ready_fd, EPOLLIN, EPOLL_CTL_ADD);
    client->state = CLIENT_STARTING;
    client->until_mono_usec = clock_mono_usec() + START_USEC;
}

static void on_ready_line(struct client *client)
{
    char line[512];
    ssize_t n = read(client->ready_fd, line, sizeof(line) - 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    client->ready_fd = close_fd(client->ready_fd);
    line[n < 0 ? 0 : n] = '\0';
    char *end = strchr(line, '\n');
    if (end != NULL)
        *end = '\0';
    int fd;
    if (strcmp(line, "ready") == 0 && attach_connect(client->folder, &fd, &client->last_err) == 0) {
        greet(client, fd);
        return;
    }
    char *text = strchr(line, ' ');
    if (text != NULL)
        *text++ = '\0';
    if (strcmp(line, "ready") != 0)
        err_set(&client->last_err, n > 0 ? err_from_name(line) : ERR_UNAVAILABLE, "start '%s spawner': %s", client->program,
                text == NULL ? "it said nothing" : text);
    // When another spawner holds the folder it may be about to go, or about to listen.
    go_down(client, client->last_err.code == ERR_STORE_BUSY ? RETRY_USEC : USEC_PER_SEC);
}

static void on_hello(struct client *client, const struct control_hello_spawner *hello)
{
    exec_client_free_warnings(client);
    client->warnings = mem_alloc_array(hello->n_warnings, sizeof(char *));
    for (size_t i = 0; i < hello->n_warnings; i++)
        client->warnings[client->n_warnings++] = mem_strdup(hello->warnings[i]);
    if (client->instance[0] != '\0' && strcmp(client->instance, hello->instance) != 0)
        client->tell_reset = true;
    (void)str_copy(client->instance, sizeof(client->instance), hello->instance);
}

static void on_attempt(struct client *client, const struct exec_attempt *known)
{
    struct mirrored *attempt = map_get(&client->by_fence, known->fence);
    if (attempt == NULL)
        attempt = exec_client_mirror(client, known);
    attempt->confirmed = true;
    attempt->seen = true;
    if (known->running && known->start_usec != 0)
        attempt->known.start_usec = known->start_usec;
    if (!known->running)
        mirror_end(client, attempt, &known->end);
}

void exec_client_send_stop(struct client *client, const struct mirrored *attempt)
{
    exec_client_send(client, &(struct control_message){.kind = CONTROL_STOP, .stop = {.fence = attempt->known.fence, .why = attempt->stop_why}});
}

// The spawner has told all it knows. What it does not know is accounted for here, and what it did not hear is said again.
static void on_listed(struct client *client)
{
    client->state = CLIENT_LIVE;
    client->until_mono_usec = USEC_NEVER;
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &client->all) {
        struct mirrored *attempt = list_entry(pos, struct mirrored, link);
        if (attempt->forget_asked) {
            if (attempt->seen)
                exec_client_send(client, &(struct control_message){.kind = CONTROL_FORGET, .forget = attempt->known.fence});
            exec_client_mirror_free(client, attempt);
            continue;
        }
        if (attempt->known.running && !attempt->seen) {
            if (attempt->confirmed)
                exec_client_mirror_end_as(client, attempt, OUTCOME_LOST, "the spawner of the node died and has no record of this attempt");
            else
                exec_client_mirror_end_as(client, attempt, OUTCOME_NOT_STARTED, "the spawner of the node died before it took the order");
        }
        if (attempt->known.running && attempt->stop_asked)
            exec_client_send_stop(client, attempt);
    }
    if (client->lease_boot_usec > 0)
        exec_client_send(client, &(struct control_message){.kind = CONTROL_RENEW, .renew = client->lease_boot_usec});
}

static void on_message(struct client *client, const struct control_message *message)
{
    switch (message->kind) {
    case CONTROL_HELLO_SPAWNER:
        on_hello(client, &message->hello_spawner);
        return;
    case CONTROL_ATTEMPT:
        on_attempt(client, &message->attempt);
        return;
    case CONTROL_LISTED:
        if (client->state == CLIENT_GREETING)
            on_listed(client);
        return;
    case CONTROL_STARTED: {
        struct mirrored *attempt = map_get(&client->by_fence, message->started.fence);
        if (attempt == NULL || !attempt->known.running)
            return;
        attempt->confirmed = true;
        attempt->known.start_usec = message->started.start_usec;
        attempt->tell_start = true;
        exec_client_want_tell(client, attempt);
        return;
    }
    case CONTROL_ENDED: {
        struct mirrored *attempt = map_get(&client->by_fence, message->ended.fence);
        if (attempt != NULL && !attempt->forget_asked)
            mirror_end(client, attempt, &message->ended);
        return;
    }
    default:
        return; // a newer spawner knows more than we do
    }
}

static void on_readable(struct client *client)
{
    buf_reserve(&client->in, READ_BYTES);
    ssize_t n = read(client->fd, client->in.data + client->in.len, READ_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        err_set(&client->last_err, ERR_CLOSED, "the spawner closed the connection");
        go_down(client, 0);
        return;
    }
    buf_grew(&client->in, (size_t)n);
    cleanup_arena struct arena arena;
    arena_init(&arena, 0);
    size_t at = 0;
    for (;;) {
        size_t len;
        struct control_message message;
        int rc = control_frame(client->in.data + at, client->in.len - at, &len, &client->last_err);
        if (rc == 0 && len == 0)
            break;
        if (rc == 0)
            rc = control_unpack(client->in.data + at, len, &arena, &message, &client->last_err);
        if (rc < 0) {
            go_down(client, USEC_PER_SEC);
            return;
        }
        on_message(client, &message);
        arena_clear(&arena);
        at += len;
    }
    buf_drop_front(&client->in, at);
}

static void on_writable(struct client *client)
{
    size_t sent = 0;
    while (sent < client->out.len) {
        ssize_t n = send(client->fd, client->out.data + sent, client->out.len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; // a broken connection shows when it is read
        sent += (size_t)n;
    }
    buf_drop_front(&client->out, sent);
    if (client->out.len == 0) {
        watch(client, client->fd, EPOLLIN, EPOLL_CTL_MOD);
        client->writable_watched = false;
    }
}

// Does what can be done without waiting.
void exec_client_turn(struct client *client)
{
    struct epoll_event events[4];
    int n = epoll_wait(client->epoll_fd, events, 4, 0);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd == client->ready_fd) {
            on_ready_line(client);
        } else if (fd == client->fd) {
            if (events[i].events & EPOLLOUT)
                on_writable(client);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                on_readable(client);
        }
    }
    if (client->until_mono_usec != USEC_NEVER && clock_mono_usec() >= client->until_mono_usec) {
        if (client->state == CLIENT_DOWN) {
            try_attach(client);
        } else {
            err_set(&client->last_err, ERR_TIMEOUT, "the spawner does not answer");
            go_down(client, USEC_PER_SEC);
        }
    }
}

