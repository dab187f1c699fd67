// SPDX-License-Identifier: Apache-2.0
// Small files and folders, done carefully.

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/mem.h"

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        data += written;
        len -= (size_t)written;
    }
    return 0;
}

// The folder that holds `path`: gives a string.
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return mem_strdup(".");
    return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int sync_parent(const char *path)
{
    cleanup_free char *parent = parent_of(path);
    cleanup_close int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

// Writes, syncs and renames; -1 with errno when a step failed, the temporary file left for the caller to remove.
static int write_and_rename(int fd, const char *tmp, const char *path, const void *data, size_t len, mode_t mode)
{
    if (write_all(fd, data, len) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return -1;
    return rename(tmp, path);
}

int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    must(data != NULL || len == 0);
    cleanup_buf struct buf tmp = {0};
    buf_printf(&tmp, "%s.tmp-XXXXXX", path);
    cleanup_close int fd = mkostemp(tmp.data, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, err_from_errno(errno), "create '%s'", tmp.data);
    if (write_and_rename(fd, tmp.data, path, data, len, mode) < 0) {
        int saved_errno = errno;
        unlink(tmp.data);
        errno = saved_errno;
        return err_errno(err, err_from_errno(saved_errno), "write '%s'", path);
    }
    if (sync_parent(path) < 0)
        return err_errno(err, err_from_errno(errno), "sync the folder of '%s'", path);
    return 0;
}

int fs_read(const char *path, size_t max, struct buf *ret, struct err *err)
{
    must(max < SIZE_MAX / 4);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, err_from_errno(errno), "open '%s'", path);
    size_t old_len = ret->len;
    for (;;) {
        // One byte more than allowed, to see a file that is too large. Files of /proc have no size to ask for.
        size_t want = max - (ret->len - old_len) + 1;
        if (want > 64 * 1024)
            want = 64 * 1024;
        buf_reserve(ret, want);
        ssize_t got = read(fd, ret->data + ret->len, want);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            buf_truncate(ret, old_len);
            return err_errno(err, err_from_errno(errno), "read '%s'", path);
        }
        if (got == 0)
            return 0;
        buf_grew(ret, (size_t)got);
        if (ret->len - old_len > max) {
            buf_truncate(ret, old_len);
            return err_set(err, ERR_TOO_LARGE, "'%s' has more than %zu bytes", path, max);
        }
    }
}

static int make_folder(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0)
        return 0;
    struct stat st;
    if (errno == EEXIST && stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return 0;
        errno = ENOTDIR;
    }
    return -1;
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
    must(path[0] != '\0');
    cleanup_free char *copy = mem_strdup(path);
    for (char *p = copy + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char saved = *p;
        *p = '\0';
        if (make_folder(copy, mode) < 0) {
            int code = errno == ENOTDIR ? ERR_EXISTS : err_from_errno(errno);
            return err_errno(err, code, "create the folder '%s'", copy);
        }
        *p = saved;
        if (saved == '\0')
            return 0;
    }
}

// Folders nested deeper than this are first moved up into the root of the tree, so that neither the stack nor the number of
// open files grows with a tree that somebody else made.
#define REMOVE_DEPTH_MAX 32

struct removal {
    int root_fd;
    unsigned moved; // names the folders that were moved up
    bool again;     // something was moved up, so the root must be gone through once more
};

static int remove_below(struct removal *removal, int fd, unsigned depth);

// Opens a folder to empty it, making it readable and writable first when its owner may.
static int open_to_empty(int parent_fd, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent_fd, name, flags);
    if (fd < 0 && errno == EACCES) {
        struct stat st;
        if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
            fchmodat(parent_fd, name, 0700, 0) == 0)
            fd = openat(parent_fd, name, flags);
        else
            errno = EACCES;
    }
    struct stat st;
    // When this is refused, the removal of what is inside says so.
    if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 0300) != 0300)
        (void)fchmod(fd, (st.st_mode & 07777) | 0700);
    return fd;
}

static int remove_folder(struct removal *removal, int parent_fd, const char *name, unsigned depth)
{
    if (depth >= REMOVE_DEPTH_MAX) {
        char moved_name[64];
        do
            snprintf(moved_name, sizeof(moved_name), ".removed-%u", removal->moved++);
        while (faccessat(removal->root_fd, moved_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
        removal->again = true;
        return renameat(parent_fd, name, removal->root_fd, moved_name);
    }
    int fd = open_to_empty(parent_fd, name);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    if (remove_below(removal, fd, depth + 1) < 0) // takes fd
        return -1;
    return unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

static int remove_entry(struct removal *removal, int parent_fd, const char *name, unsigned char type, unsigned depth)
{
    if (type != DT_DIR) {
        if (unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT)
            return 0;
        if (errno != EISDIR && errno != EPERM)
            return -1;
        struct stat st;
        int saved_errno = errno;
        if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode)) {
            errno = saved_errno;
            return -1;
        }
    }
    return remove_folder(removal, parent_fd, name, depth);
}

// Empties the folder open at `fd`, which it takes.
static int remove_below(struct removal *removal, int fd, unsigned depth)
{
    DIR *open_dir = fdopendir(fd);
    if (open_dir == NULL) {
        close_fd(fd);
        return -1;
    }
    cleanup_dir DIR *dir = open_dir;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL)
            return errno == 0 ? 0 : -1;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (remove_entry(removal, dirfd(dir), entry->d_name, entry->d_type, depth) < 0)
            return -1;
    }
}

int fs_remove_tree(const char *path, struct err *err)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_errno(err, err_from_errno(errno), "remove '%s'", path);
    cleanup_close int root_fd = open_to_empty(AT_FDCWD, path);
    if (root_fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, err_from_errno(errno), "open '%s' to remove it", path);
    struct removal removal = {.root_fd = root_fd};
    do {
        removal.again = false;
        int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || remove_below(&removal, fd, 1) < 0)
            return err_errno(err, err_from_errno(errno), "remove what is below '%s'", path);
    } while (removal.again);
    if (rmdir(path) < 0 && errno != ENOENT)
        return err_errno(err, err_from_errno(errno), "remove '%s'", path);
    return 0;
}
