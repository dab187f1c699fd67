// SPDX-License-Identifier: Apache-2.0
// Folders for attempts.

#include "exec/workdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

// Folders kept for later; more than this many are removed.
enum { KEEP_MAX = 1024 };

struct workdirs {
    int fd;
    char path[WORKDIR_PATH_MAX - 32];
    pthread_mutex_t lock;
    uint64_t next; // below: under lock
    struct workdir kept[KEEP_MAX];
    size_t n_kept;
};

int workdirs_open(const char *path, struct workdirs **ret_workdirs, struct err *err)
{
    must(path != NULL && path[0] == '/');
    int rc = fs_remove_tree(path, err);
    if (rc == 0)
        rc = fs_mkdirs(path, 0711, err);
    if (rc < 0)
        return rc;
    struct workdirs *workdirs = mem_alloc(sizeof(*workdirs));
    workdirs->next = 1;
    pthread_mutex_init(&workdirs->lock, NULL);
    if (str_copy(workdirs->path, sizeof(workdirs->path), path) < 0) {
        mem_free(workdirs);
        return err_set(err, ERR_TOO_LARGE, "the path of the data folder is too long");
    }
    workdirs->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    // Users other than the agent's walk through it to their own folder, whatever the umask says.
    if (workdirs->fd < 0 || fchmod(workdirs->fd, 0711) < 0) {
        close_fd(workdirs->fd);
        mem_free(workdirs);
        return err_errno(err, err_from_errno(errno), "open the folder '%s'", path);
    }
    *ret_workdirs = workdirs;
    return 0;
}

static void workdir_name(const struct workdir *workdir, char ret[static 24])
{
    must(workdir->number != 0);
    snprintf(ret, 24, "%" PRIu64, workdir->number);
}

void workdirs_close(struct workdirs *workdirs)
{
    if (workdirs == NULL)
        return;
    for (size_t i = 0; i < workdirs->n_kept; i++) {
        char name[24];
        workdir_name(&workdirs->kept[i], name);
        (void)unlinkat(workdirs->fd, name, AT_REMOVEDIR);
    }
    close_fd(workdirs->fd);
    pthread_mutex_destroy(&workdirs->lock);
    mem_free(workdirs);
}

int workdir_take(struct workdirs *workdirs, uid_t uid, gid_t gid, struct workdir *ret, struct err *err)
{
    struct workdir taken = {.uid = uid, .gid = gid};
    pthread_mutex_lock(&workdirs->lock);
    for (size_t i = workdirs->n_kept; i > 0 && i + 16 > workdirs->n_kept; i--) {
        if (workdirs->kept[i - 1].uid != uid || workdirs->kept[i - 1].gid != gid)
            continue;
        taken = workdirs->kept[i - 1];
        workdirs->kept[i - 1] = workdirs->kept[--workdirs->n_kept];
        pthread_mutex_unlock(&workdirs->lock);
        *ret = taken;
        return 0;
    }
    taken.number = workdirs->next++;
    pthread_mutex_unlock(&workdirs->lock);
    char name[24];
    workdir_name(&taken, name);
    if (mkdirat(workdirs->fd, name, 0700) < 0)
        return err_errno(err, err_from_errno(errno), "create the folder of the task");
    cleanup_close int fd = openat(workdirs->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || (uid != geteuid() && fchown(fd, uid, gid) < 0)) {
        int saved_errno = errno;
        (void)unlinkat(workdirs->fd, name, AT_REMOVEDIR);
        errno = saved_errno;
        return err_errno(err, err_from_errno(saved_errno), "give the folder of the task to its user");
    }
    *ret = taken;
    return 0;
}

void workdir_path(const struct workdirs *workdirs, const struct workdir *workdir, char ret[static WORKDIR_PATH_MAX])
{
    int len = snprintf(ret, WORKDIR_PATH_MAX, "%s/%" PRIu64, workdirs->path, workdir->number);
    must(len > 0 && len < WORKDIR_PATH_MAX);
}

int workdir_open(const struct workdirs *workdirs, const struct workdir *workdir)
{
    char name[24];
    workdir_name(workdir, name);
    return openat(workdirs->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// Nothing in it, and still the folder that was handed out.
static bool is_as_new(const struct workdirs *workdirs, const struct workdir *workdir)
{
    cleanup_close int fd = workdir_open(workdirs, workdir);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & 07777) != 0700 || st.st_uid != workdir->uid || st.st_gid != workdir->gid)
        return false;
    char entries[128]; // room for "." and "..", and for one more
    long bytes = 0;
    for (int reads = 0; reads < 3; reads++) {
        bytes = syscall(SYS_getdents64, fd, entries, sizeof(entries));
        if (bytes <= 0)
            return bytes == 0;
        for (long at = 0; at < bytes;) {
            unsigned short entry_bytes;
            memcpy(&entry_bytes, entries + at + offsetof(struct dirent64, d_reclen), sizeof(entry_bytes));
            const char *name = entries + at + offsetof(struct dirent64, d_name);
            if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
                return false;
            at += entry_bytes;
        }
    }
    return false;
}

bool workdir_give(struct workdirs *workdirs, const struct workdir *workdir)
{
    if (workdir->number == 0)
        return true;
    if (!is_as_new(workdirs, workdir))
        return false;
    pthread_mutex_lock(&workdirs->lock);
    bool keep = workdirs->n_kept < KEEP_MAX;
    if (keep)
        workdirs->kept[workdirs->n_kept++] = *workdir;
    pthread_mutex_unlock(&workdirs->lock);
    return keep;
}

int workdir_remove(struct workdirs *workdirs, const struct workdir *workdir, struct err *err)
{
    char path[WORKDIR_PATH_MAX];
    workdir_path(workdirs, workdir, path);
    return fs_remove_tree(path, err);
}
