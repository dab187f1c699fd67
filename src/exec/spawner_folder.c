// SPDX-License-Identifier: Apache-2.0
// The spawner's data folder: one spawner at a time, its subfolders, its id, and where the folders of tasks go.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "exec/spawner.h"

enum { LOCK_TRIES = 100 };

static int open_subfolder(int folder_fd, const char *name, mode_t mode, int *ret_fd, struct err *err)
{
    if (mkdirat(folder_fd, name, mode) < 0 && errno != EEXIST)
        return err_errno(err, err_from_errno(errno), "create the folder '%s'", name);
    int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || fchmod(fd, mode) < 0) {
        close_fd(fd);
        return err_errno(err, err_from_errno(errno), "open the folder '%s' as one of our own", name);
    }
    *ret_fd = fd;
    return 0;
}

static int take_lock(struct spawner *spawner, struct err *err)
{
    spawner->lock_fd = openat(spawner->folder_fd, "spawner.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (spawner->lock_fd < 0)
        return err_errno(err, err_from_errno(errno), "open spawner.lock");
    // An earlier spawner may be about to go.
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(spawner->lock_fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            break;
        usleep(20000);
    }
    return err_errno(err, ERR_STORE_BUSY, "another spawner holds this folder");
}

void spawner_warn(struct spawner *spawner, const char *sentence)
{
    if (spawner->n_warnings < sizeof(spawner->warnings) / sizeof(spawner->warnings[0]))
        spawner->warnings[spawner->n_warnings++] = sentence;
}

// Whether tasks of other users can walk through every folder above their own.
static bool is_open_to_others(struct spawner *spawner)
{
    char path[sizeof(spawner->folder)];
    int copied = str_copy(path, sizeof(path), spawner->folder);
    must(copied == 0);
    // What is private in it is so by its own mode.
    if (fchmod(spawner->folder_fd, 0711) < 0)
        return false;
    for (char *slash; (slash = strrchr(path, '/')) != NULL && slash != path;) {
        *slash = '\0';
        struct stat st;
        if (stat(path, &st) < 0 || (st.st_mode & 0001) == 0)
            return false;
    }
    return true;
}

// Where the folders of tasks are. An agent of root often has its data folder in one that is closed to everybody else; a task of another user
// could not reach its TMPDIR or its script there, so they go to a folder of ours in /var/tmp, whose name only root knows beforehand.
int spawner_find_work_base(struct spawner *spawner, const char *id, struct err *err)
{
    int copied = str_copy(spawner->work_base, sizeof(spawner->work_base), spawner->folder);
    must(copied == 0);
    spawner->work_base_fd = fcntl(spawner->folder_fd, F_DUPFD_CLOEXEC, LAUNCH_LOW_FDS);
    if (spawner->work_base_fd < 0)
        return err_errno(err, ERR_IO, "open the folder of tasks");
    if (geteuid() != 0 || is_open_to_others(spawner))
        return 0;
    char path[64];
    snprintf(path, sizeof(path), "/var/tmp/muster-%s", id);
    struct stat st;
    (void)mkdir(path, 0711); // what is there already is looked at below
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != 0 || (st.st_mode & 0022) != 0 || fchmod(fd, 0711) < 0) {
        spawner_warn(spawner, "Tasks of other users cannot reach their TMPDIR: a folder above the agent's data folder is closed to them, and none could be "
                      "made in /var/tmp.");
        return 0;
    }
    copied = str_copy(spawner->work_base, sizeof(spawner->work_base), path);
    must(copied == 0);
    close_fd(spawner->work_base_fd);
    spawner->work_base_fd = steal_fd(&fd);
    return 0;
}

static int read_id(struct spawner *spawner, char ret[static 17], struct err *err)
{
    cleanup_close int fd = openat(spawner->spool_fd, "id", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ret[16] = '\0';
    if (fd >= 0 && read(fd, ret, 16) == 16 && strspn(ret, "0123456789abcdef") == 16)
        return 0;
    char fresh[INSTANCE_TEXT];
    int rc = instance_make(fresh, err);
    if (rc < 0)
        return rc;
    memcpy(ret, fresh, 16);
    ret[16] = '\0';
    cleanup_buf struct buf path = {0};
    buf_printf(&path, "%s/spool/id", spawner->folder);
    return fs_write_atomic(path.data, ret, 16, 0600, err);
}

int spawner_open_folder(struct spawner *spawner, char ret_id[static 17], struct err *err)
{
    int rc = take_lock(spawner, err);
    if (rc == 0)
        rc = instance_make(spawner->instance, err);
    if (rc == 0)
        rc = instance_boot_id(spawner->boot_id, err);
    if (rc == 0)
        rc = open_subfolder(spawner->folder_fd, "spool", 0700, &spawner->spool_fd, err);
    if (rc == 0)
        rc = open_subfolder(spawner->folder_fd, "logs", 0700, &spawner->logs_fd, err);
    return rc == 0 ? read_id(spawner, ret_id, err) : rc;
}
