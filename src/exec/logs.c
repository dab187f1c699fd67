// SPDX-License-Identifier: Apache-2.0
// The log thread.

#include "exec/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"

// Read at a time; what one source gets before the others have their turn.
enum { READ_BYTES = 128 * 1024, EVENTS = 64 };
// What is read of a pipe at most once its writers should be gone. A pipe holds 64 KiB, or up to 1 MiB when its writer asked for it;
// more than that comes from a process that got away.
#define DRAIN_BYTES_MAX ((uint64_t)2 << 20)

struct log_source {
    struct list link; // in added, finishing or done
    int fd;           // -1 once it has ended
    struct log_file file;
    void *context;
};

struct logs {
    int logs_fd;
    int epoll_fd;
    int wake_fd; // to the thread
    int done_fd; // to the main thread
    atomic_llong *total_bytes;
    pthread_t thread;
    char *buffer;
    pthread_mutex_t lock;
    struct list added, finishing, done; // below: under lock
    bool quit;
};

static void source_close(struct logs *logs, struct log_source *source)
{
    if (source->fd < 0)
        return;
    (void)epoll_ctl(logs->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->fd = close_fd(source->fd);
}

// Reads once. False when there is nothing more for now, or ever.
static bool source_read(struct logs *logs, struct log_source *source)
{
    if (source->fd < 0)
        return false;
    ssize_t n = read(source->fd, logs->buffer, READ_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        source_close(logs, source);
        return false;
    }
    log_file_append(&source->file, logs->buffer, (size_t)n, clock_mono_usec());
    return true;
}

static void source_drain(struct logs *logs, struct log_source *source)
{
    uint64_t until = source->file.end + DRAIN_BYTES_MAX;
    while (source->file.end < until && source_read(logs, source))
        continue;
    source_close(logs, source);
    log_file_finish(&source->file);
}

static void take_list(struct list *from, struct list *ret)
{
    list_init(ret);
    while (!list_empty(from)) {
        struct list *item = list_first(from);
        list_del(item);
        list_add_tail(ret, item);
    }
}

// Obeys what the main thread asked for. Returns false when it is time to go.
static bool obey(struct logs *logs)
{
    uint64_t count;
    (void)!read(logs->wake_fd, &count, sizeof(count));
    struct list finishing;
    pthread_mutex_lock(&logs->lock);
    // Under the lock: the main thread may want one of these to finish already.
    while (!list_empty(&logs->added)) {
        struct log_source *source = list_entry(list_first(&logs->added), struct log_source, link);
        list_del(&source->link);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
        if (source->fd >= 0 && epoll_ctl(logs->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
            source->fd = close_fd(source->fd);
    }
    take_list(&logs->finishing, &finishing);
    bool quit = logs->quit;
    pthread_mutex_unlock(&logs->lock);
    if (list_empty(&finishing))
        return !quit;
    struct list *pos;
    list_for_each(pos, &finishing)
        source_drain(logs, list_entry(pos, struct log_source, link));
    pthread_mutex_lock(&logs->lock);
    while (!list_empty(&finishing)) {
        struct list *item = list_first(&finishing);
        list_del(item);
        list_add_tail(&logs->done, item);
    }
    pthread_mutex_unlock(&logs->lock);
    ssize_t told = write(logs->done_fd, &(uint64_t){1}, 8);
    must(told == 8);
    return !quit;
}

static void *log_thread(void *context)
{
    struct logs *logs = context;
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(logs->epoll_fd, events, EVENTS, -1);
        if (n < 0 && errno == EINTR)
            continue;
        must(n >= 0);
        bool asked = false;
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                asked = true;
            else
                (void)source_read(logs, events[i].data.ptr);
        }
        // Behind the reads: finishing frees nothing, but the main thread frees what has finished.
        if (asked && !obey(logs))
            return NULL;
    }
}

int logs_open(int logs_fd, atomic_llong *total_bytes, struct logs **ret_logs, struct err *err)
{
    must(logs_fd >= 0 && total_bytes != NULL);
    struct logs *logs = mem_alloc(sizeof(*logs));
    *logs = (struct logs){.logs_fd = logs_fd, .total_bytes = total_bytes};
    logs->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    logs->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    logs->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    logs->buffer = mem_alloc(READ_BYTES);
    pthread_mutex_init(&logs->lock, NULL);
    list_init(&logs->added);
    list_init(&logs->finishing);
    list_init(&logs->done);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int rc = 0;
    if (logs->epoll_fd < 0 || logs->wake_fd < 0 || logs->done_fd < 0 ||
        epoll_ctl(logs->epoll_fd, EPOLL_CTL_ADD, logs->wake_fd, &event) < 0)
        rc = err_errno(err, ERR_IO, "create the descriptors of the log thread");
    else if ((errno = pthread_create(&logs->thread, NULL, log_thread, logs)) != 0)
        rc = err_errno(err, ERR_NO_MEMORY, "start the log thread");
    if (rc == 0) {
        *ret_logs = logs;
        return 0;
    }
    close_fd(logs->epoll_fd);
    close_fd(logs->wake_fd);
    close_fd(logs->done_fd);
    mem_free(logs->buffer);
    mem_free(logs);
    return rc;
}

static void wake(struct logs *logs)
{
    ssize_t told = write(logs->wake_fd, &(uint64_t){1}, 8);
    must(told == 8);
}

void logs_close(struct logs *logs)
{
    if (logs == NULL)
        return;
    pthread_mutex_lock(&logs->lock);
    logs->quit = true;
    pthread_mutex_unlock(&logs->lock);
    wake(logs);
    pthread_join(logs->thread, NULL);
    while (!list_empty(&logs->done)) {
        struct log_source *source = list_entry(list_first(&logs->done), struct log_source, link);
        list_del(&source->link);
        mem_free(source);
    }
    close_fd(logs->epoll_fd);
    close_fd(logs->wake_fd);
    close_fd(logs->done_fd);
    pthread_mutex_destroy(&logs->lock);
    mem_free(logs->buffer);
    mem_free(logs);
}

struct log_source *logs_add(struct logs *logs, const struct log_key *key, int pipe_fd, uint64_t cap_bytes)
{
    must(pipe_fd >= 0);
    struct log_source *source = mem_alloc(sizeof(*source));
    source->fd = pipe_fd;
    log_file_init(&source->file, logs->logs_fd, key, cap_bytes, logs->total_bytes);
    list_init(&source->link);
    pthread_mutex_lock(&logs->lock);
    list_add_tail(&logs->added, &source->link);
    pthread_mutex_unlock(&logs->lock);
    wake(logs);
    return source;
}

void logs_finish(struct logs *logs, struct log_source *source, void *context)
{
    source->context = context;
    pthread_mutex_lock(&logs->lock);
    // It may still wait in `added`; one that finishes needs no more watching than its drain.
    list_del(&source->link);
    list_add_tail(&logs->finishing, &source->link);
    pthread_mutex_unlock(&logs->lock);
    wake(logs);
}

int logs_event_fd(const struct logs *logs)
{
    return logs->done_fd;
}

void logs_collect(struct logs *logs, void (*finished)(void *owner, void *context, uint64_t output_bytes, uint64_t lost_bytes), void *owner)
{
    uint64_t count;
    (void)!read(logs->done_fd, &count, sizeof(count));
    struct list done;
    pthread_mutex_lock(&logs->lock);
    take_list(&logs->done, &done);
    pthread_mutex_unlock(&logs->lock);
    while (!list_empty(&done)) {
        struct log_source *source = list_entry(list_first(&done), struct log_source, link);
        list_del(&source->link);
        finished(owner, source->context, source->file.end, source->file.lost_bytes);
        mem_free(source);
    }
}
