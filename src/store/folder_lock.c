// SPDX-License-Identifier: Apache-2.0
// A record lock of POSIX on the file `lock`. Unlike those of flock() it is not shared with children, and it tells who holds it. It does
// not tell two users in one process apart and ends when the process closes any descriptor of the file: the table below sees to both.
#include "store/folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

struct folder_lock {
    struct folder_lock *next;
    dev_t device; // of the folder
    ino_t inode;
    pid_t pid; // of the process that took it: a forked child has the table, but not the locks
    int fd;
};

static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct folder_lock *table;

static int take_file(int fd, const char *folder, struct err *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &lock) == 0)
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return err_errno(err, err_from_errno(errno), "lock the data folder '%s'", folder);
    long pid = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
    char text[32] = {0};
    // The kernel does not know a pid for a process of another pid namespace or machine; the file says what that process called itself.
    if (pid <= 0 && pread(fd, text, sizeof(text) - 1, 0) > 0)
        pid = strtol(text, NULL, 10);
    return err_set(err, ERR_STORE_BUSY, "the data folder '%s' is in use by process %ld; stop that server first", folder, pid);
}

static int take(const char *folder, const struct stat *st, struct folder_lock **ret_lock, struct err *err)
{
    for (struct folder_lock *lock = table; lock; lock = lock->next) {
        if (lock->device == st->st_dev && lock->inode == st->st_ino && lock->pid == getpid())
            return err_set(err, ERR_STORE_BUSY, "the data folder '%s' is in use by this process (%ld) already", folder, (long)getpid());
    }
    cleanup_free char *path = NULL;
    if (asprintf(&path, "%s/lock", folder) < 0)
        return err_set(err, ERR_NO_MEMORY, "no memory");
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, err_from_errno(errno), "open '%s'", path);
    int code = take_file(fd, folder, err);
    if (code < 0)
        return code;
    // For people, and for processes that the kernel cannot tell ours from. The lock holds without it, also on a full disk.
    char text[32];
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) != len)
        errno = 0;
    struct folder_lock *lock = mem_alloc(sizeof(*lock));
    *lock = (struct folder_lock){.next = table, .device = st->st_dev, .inode = st->st_ino, .pid = getpid(), .fd = steal_fd(&fd)};
    table = lock;
    *ret_lock = lock;
    return 0;
}

int folder_lock_take(const char *folder, struct folder_lock **ret_lock, struct err *err)
{
    struct stat st;
    if (stat(folder, &st) < 0)
        return err_errno(err, err_from_errno(errno), "open the data folder '%s'", folder);
    pthread_mutex_lock(&table_mutex);
    int code = take(folder, &st, ret_lock, err);
    pthread_mutex_unlock(&table_mutex);
    return code;
}

void folder_lock_release(struct folder_lock *lock)
{
    if (lock == NULL)
        return;
    pthread_mutex_lock(&table_mutex);
    struct folder_lock **at = &table;
    while (*at && *at != lock)
        at = &(*at)->next;
    if (*at)
        *at = lock->next;
    close_fd(lock->fd);
    pthread_mutex_unlock(&table_mutex);
    mem_free(lock);
}
