// SPDX-License-Identifier: Apache-2.0
// Launcher threads and the janitor.

#include "exec/workers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/log_file.h"

struct removal {
    struct list link;
    struct workdir workdir;
};

struct launcher_thread {
    pthread_t thread;
    struct workers *workers;
    struct launcher launcher;
};

struct workers {
    struct launcher_thread launchers[LAUNCHERS_MAX];
    size_t n_launchers;
    pthread_t janitor;
    int folder_fd, logs_fd;
    const char *folder;
    struct workdirs *workdirs;
    atomic_llong *log_total_bytes;
    int event_fd;

    pthread_mutex_t lock;
    pthread_cond_t launch_wake, janitor_wake;
    struct list queue, done; // of launches; below: under lock
    struct list removals;
    uint64_t purge_above; // 0: nothing to do
    bool quit;
};

static void *launcher_main(void *context)
{
    struct launcher_thread *self = context;
    struct workers *workers = self->workers;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (list_empty(&workers->queue) && !workers->quit)
            pthread_cond_wait(&workers->launch_wake, &workers->lock);
        if (list_empty(&workers->queue))
            break;
        struct launch *launch = list_entry(list_first(&workers->queue), struct launch, link);
        list_del(&launch->link);
        pthread_mutex_unlock(&workers->lock);
        launch_run(&self->launcher, launch);
        pthread_mutex_lock(&workers->lock);
        bool first = list_empty(&workers->done);
        list_add_tail(&workers->done, &launch->link);
        if (first) {
            ssize_t told = write(workers->event_fd, &(uint64_t){1}, 8);
            must(told == 8);
        }
    }
    pthread_mutex_unlock(&workers->lock);
    // Never reached before the spawner itself ends: tasks are killed when the thread that started them goes (PR_SET_PDEATHSIG).
    return NULL;
}

// What an earlier spawner left of its tasks' folders.
static void remove_trash(struct workers *workers)
{
    int fd = openat(workers->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        close_fd(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!str_starts(entry->d_name, "trash-"))
            continue;
        cleanup_buf struct buf path = {0};
        struct err err = {0};
        buf_printf(&path, "%s/%s", workers->folder, entry->d_name);
        if (fs_remove_tree(path.data, &err) < 0)
            log_warn("old folders of tasks stay", "why=\"%s\"", err.text);
    }
}

static void purge(struct workers *workers, uint64_t above)
{
    long long before = atomic_load(workers->log_total_bytes);
    // Some room below the limit, so that this is not done again for the next few bytes.
    uint64_t left = log_purge(workers->logs_fd, above - above / 10);
    atomic_fetch_add(workers->log_total_bytes, (long long)left - before);
}

static void *janitor_main(void *context)
{
    struct workers *workers = context;
    remove_trash(workers);
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (list_empty(&workers->removals) && workers->purge_above == 0 && !workers->quit)
            pthread_cond_wait(&workers->janitor_wake, &workers->lock);
        uint64_t above = workers->purge_above;
        workers->purge_above = 0;
        struct list *item = list_first(&workers->removals);
        if (item != NULL)
            list_del(item);
        if (item == NULL && above == 0)
            break;
        pthread_mutex_unlock(&workers->lock);
        if (above > 0)
            purge(workers, above);
        if (item != NULL) {
            struct removal *removal = list_entry(item, struct removal, link);
            struct err err = {0};
            if (workdir_remove(workers->workdirs, &removal->workdir, &err) < 0)
                log_warn("the folder of a task stays", "why=\"%s\"", err.text);
            mem_free(removal);
        }
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

int workers_open(const struct workers_options *options, struct workers **ret_workers, struct err *err)
{
    must(options->n_launchers > 0 && options->n_launchers <= LAUNCHERS_MAX);
    struct workers *workers = mem_alloc(sizeof(*workers));
    workers->folder_fd = options->folder_fd;
    workers->logs_fd = options->logs_fd;
    workers->folder = options->folder;
    workers->workdirs = options->launcher.workdirs;
    workers->log_total_bytes = options->log_total_bytes;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->launch_wake, NULL);
    pthread_cond_init(&workers->janitor_wake, NULL);
    list_init(&workers->queue);
    list_init(&workers->done);
    list_init(&workers->removals);
    workers->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = workers->event_fd < 0 ? err_errno(err, ERR_IO, "create an event descriptor") : 0;
    bool janitor = false;
    if (rc == 0 && (errno = pthread_create(&workers->janitor, NULL, janitor_main, workers)) != 0)
        rc = err_errno(err, ERR_NO_MEMORY, "start the janitor thread");
    else if (rc == 0)
        janitor = true;
    for (size_t i = 0; rc == 0 && i < options->n_launchers; i++) {
        struct launcher_thread *thread = &workers->launchers[i];
        thread->workers = workers;
        thread->launcher = options->launcher;
        thread->launcher.low_fd = 3 + 2 * (int)i;
        if ((errno = pthread_create(&thread->thread, NULL, launcher_main, thread)) != 0)
            rc = err_errno(err, ERR_NO_MEMORY, "start a launcher thread");
        else
            workers->n_launchers++;
    }
    if (rc == 0) {
        *ret_workers = workers;
        return 0;
    }
    if (janitor) {
        workers_close(workers);
    } else {
        close_fd(workers->event_fd);
        mem_free(workers);
    }
    return rc;
}

void workers_close(struct workers *workers)
{
    if (workers == NULL)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->quit = true;
    pthread_cond_broadcast(&workers->launch_wake);
    pthread_cond_broadcast(&workers->janitor_wake);
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->n_launchers; i++)
        pthread_join(workers->launchers[i].thread, NULL);
    pthread_join(workers->janitor, NULL);
    must(list_empty(&workers->queue) && list_empty(&workers->removals));
    close_fd(workers->event_fd);
    pthread_mutex_destroy(&workers->lock);
    pthread_cond_destroy(&workers->launch_wake);
    pthread_cond_destroy(&workers->janitor_wake);
    mem_free(workers);
}

void workers_launch(struct workers *workers, struct launch *launch)
{
    pthread_mutex_lock(&workers->lock);
    must(!workers->quit);
    list_add_tail(&workers->queue, &launch->link);
    pthread_cond_signal(&workers->launch_wake);
    pthread_mutex_unlock(&workers->lock);
}

int workers_event_fd(const struct workers *workers)
{
    return workers->event_fd;
}

void workers_collect(struct workers *workers, void (*launched)(void *owner, struct launch *), void *owner)
{
    uint64_t count;
    (void)!read(workers->event_fd, &count, sizeof(count));
    struct list done;
    list_init(&done);
    pthread_mutex_lock(&workers->lock);
    while (!list_empty(&workers->done)) {
        struct list *item = list_first(&workers->done);
        list_del(item);
        list_add_tail(&done, item);
    }
    pthread_mutex_unlock(&workers->lock);
    while (!list_empty(&done)) {
        struct launch *launch = list_entry(list_first(&done), struct launch, link);
        list_del(&launch->link);
        launched(owner, launch);
    }
}

void workers_remove_workdir(struct workers *workers, const struct workdir *workdir)
{
    struct removal *removal = mem_alloc(sizeof(*removal));
    removal->workdir = *workdir;
    list_init(&removal->link);
    pthread_mutex_lock(&workers->lock);
    list_add_tail(&workers->removals, &removal->link);
    pthread_cond_signal(&workers->janitor_wake);
    pthread_mutex_unlock(&workers->lock);
}

void workers_purge_logs(struct workers *workers, uint64_t total_bytes_max)
{
    must(total_bytes_max > 0);
    pthread_mutex_lock(&workers->lock);
    workers->purge_above = total_bytes_max;
    pthread_cond_signal(&workers->janitor_wake);
    pthread_mutex_unlock(&workers->lock);
}
