// SPDX-License-Identifier: Apache-2.0
// The thread of the SQLite store for what takes long: writing the file of a snapshot, and copying the bulk of the write-ahead log into
// the database.
#include "store/sqlite_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"

// A snapshot is synced piece by piece: one large sync at its end would hold up the syncs of commits in the journal of the file system.
enum { PIECE_BYTES = 1024 * 1024 };

char *sqlite_snapshot_path(const struct sqlite_store *store, uint64_t seq)
{
    struct buf path;
    buf_init(&path);
    buf_printf(&path, "%s/snapshot-%llu.bin", store->folder, (unsigned long long)seq);
    return buf_detach(&path);
}

void sqlite_snapshot_clean(const struct sqlite_store *store, uint64_t keep_seq)
{
    cleanup_free char *keep = sqlite_snapshot_path(store, keep_seq);
    const char *keep_name = strrchr(keep, '/') + 1;
    cleanup_dir DIR *dir = opendir(store->folder);
    if (dir == NULL)
        return;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        bool ours = str_starts(entry->d_name, "snapshot-") && (str_ends(entry->d_name, ".bin") || str_ends(entry->d_name, ".bin.tmp"));
        if (ours && !str_eq(entry->d_name, keep_name))
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
}

static int write_pieces(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len < PIECE_BYTES ? len : PIECE_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || fdatasync(fd) < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return fsync(fd);
}

static int sync_folder(const char *folder)
{
    cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

static int write_file(const struct sqlite_store *store, const struct sqlite_snapshot *snapshot, struct err *err)
{
    cleanup_free char *path = sqlite_snapshot_path(store, snapshot->seq);
    struct buf tmp;
    buf_init(&tmp);
    buf_printf(&tmp, "%s.tmp", path);
    int code = 0;
    cleanup_close int fd = open(tmp.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write_pieces(fd, snapshot->data, snapshot->len) < 0 || rename(tmp.data, path) < 0 || sync_folder(store->folder) < 0) {
        code = errno == EFBIG || errno == EDQUOT ? ERR_STORE_FULL : err_from_errno(errno);
        err_errno(err, code, "write '%s'", path);
        unlink(tmp.data);
    }
    buf_release(&tmp);
    return code;
}

static void do_snapshot_file(struct sqlite_store *store)
{
    struct sqlite_snapshot *snapshot = &store->snapshot;
    struct err err = {0};
    snapshot->stage = SNAPSHOT_FILE;
    pthread_mutex_unlock(&store->mutex);
    snapshot->checksum = sqlite_checksum(snapshot->seq, 0, snapshot->data, snapshot->len);
    int code = write_file(store, snapshot, &err);
    mem_free(snapshot->data);
    snapshot->data = NULL;
    pthread_mutex_lock(&store->mutex);
    if (code == 0) {
        snapshot->stage = SNAPSHOT_ROW_WAITS;
        pthread_cond_signal(&store->committer_wake);
    } else {
        snapshot->stage = SNAPSHOT_NONE;
        sqlite_report(store, STORE_SNAPSHOT, snapshot->seq, code, &err);
    }
}

static void do_checkpoint(struct sqlite_store *store)
{
    pthread_mutex_unlock(&store->mutex);
    // Whatever goes wrong here (a full disk, a reader in the way) leaves the write-ahead log as it is, and that is safe.
    sqlite3_wal_checkpoint_v2(store->keeper_db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    pthread_mutex_lock(&store->mutex);
    store->checkpoint_wanted = false;
    store->checkpoint_rest = true;
    pthread_cond_signal(&store->committer_wake);
}

void *sqlite_keeper_run(void *context)
{
    struct sqlite_store *store = context;
    pthread_mutex_lock(&store->mutex);
    while (!store->stop) {
        if (store->checkpoint_wanted)
            do_checkpoint(store);
        else if (store->snapshot.stage == SNAPSHOT_FILE_WAITS)
            do_snapshot_file(store);
        else
            pthread_cond_wait(&store->keeper_wake, &store->mutex);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}
