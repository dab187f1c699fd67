// SPDX-License-Identifier: Apache-2.0
// See store/wal_check.h. The format is that of sqlite.org/walformat.html: a header of 32 bytes, then frames, each a header of 24
// bytes and a page. The salts of the header are in every frame that belongs to it; older frames behind them have other salts.
#include "store/wal_check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

enum {
    HEADER_BYTES = 32,
    FRAME_HEADER_BYTES = 24,
    PAGE_BYTES_MIN = 512,
    PAGE_BYTES_MAX = 65536,
    MAGIC = 0x377f0682, // its last bit says that checksums take words big end first
};

struct wal {
    int fd;
    bool big_endian;
    uint32_t page_bytes;
    uint8_t salts[8];
    uint32_t sum[2]; // of everything up to here
};

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t le32(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static void add_sum(struct wal *wal, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i + 8 <= len; i += 8) {
        wal->sum[0] += (wal->big_endian ? be32(data + i) : le32(data + i)) + wal->sum[1];
        wal->sum[1] += (wal->big_endian ? be32(data + i + 4) : le32(data + i + 4)) + wal->sum[0];
    }
}

// False when the header is not one that SQLite has written.
static bool read_header(struct wal *wal, const uint8_t header[HEADER_BYTES])
{
    uint32_t magic = be32(header);
    wal->big_endian = magic & 1;
    wal->page_bytes = be32(header + 8);
    memcpy(wal->salts, header + 16, 8);
    if ((magic & ~1u) != MAGIC || wal->page_bytes < PAGE_BYTES_MIN || wal->page_bytes > PAGE_BYTES_MAX ||
        (wal->page_bytes & (wal->page_bytes - 1)) != 0)
        return false;
    add_sum(wal, header, 24);
    return wal->sum[0] == be32(header + 24) && wal->sum[1] == be32(header + 28);
}

// Whether the frames tell of commits behind the first frame that does not fit to those before it.
static int check_frames(struct wal *wal, const char *path, struct err *err)
{
    struct buf frame = {0};
    size_t frame_bytes = FRAME_HEADER_BYTES + wal->page_bytes;
    buf_reserve(&frame, frame_bytes);
    const uint8_t *at = (const uint8_t *)frame.data;
    bool broken = false, commit_behind = false, damaged = false;
    uint64_t n = 0, broken_at = 0;
    ssize_t got;
    while ((got = pread(wal->fd, frame.data, frame_bytes, (off_t)(HEADER_BYTES + n * frame_bytes))) == (ssize_t)frame_bytes) {
        n++;
        bool ours = memcmp(at + 8, wal->salts, 8) == 0;
        if (!broken) {
            add_sum(wal, at, 8);
            add_sum(wal, at + FRAME_HEADER_BYTES, wal->page_bytes);
            broken = !ours || wal->sum[0] != be32(at + 16) || wal->sum[1] != be32(at + 20);
            broken_at = n;
        }
        if (!broken || !ours)
            continue;
        damaged = damaged || commit_behind;
        commit_behind = commit_behind || be32(at + 4) != 0;
    }
    int read_errno = errno;
    buf_release(&frame);
    errno = read_errno;
    if (got < 0)
        return err_errno(err, err_from_errno(errno), "read '%s'", path);
    if (damaged)
        return err_set(err, ERR_STORE_CORRUPT, "'%s' is damaged at frame %" PRIu64 ", and commits that were acknowledged are behind it; "
                       "restore the data folder from a backup", path, broken_at);
    return 0;
}

static int check_log(const char *db_path, const char *path, struct err *err)
{
    struct wal wal = {0};
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, err_from_errno(errno), "open '%s'", path);
    wal.fd = fd;
    uint8_t header[HEADER_BYTES];
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, ERR_IO, "look at '%s'", path);
    if (st.st_size <= HEADER_BYTES + FRAME_HEADER_BYTES)
        return 0;
    if (pread(fd, header, HEADER_BYTES, 0) != HEADER_BYTES)
        return err_errno(err, ERR_IO, "read '%s'", path);
    // The header is synced before the first frame is written, and its sector is written as one.
    if (!read_header(&wal, header))
        return err_set(err, ERR_STORE_CORRUPT, "the beginning of '%s' is damaged; restore the data folder from a backup", path);
    // SQLite would throw the log away when it finds no database.
    struct stat db;
    if ((stat(db_path, &db) < 0 && errno == ENOENT) || db.st_size == 0)
        return err_set(err, ERR_STORE_CORRUPT, "'%s' is missing or empty, but its log '%s' holds work; restore the data folder from a backup",
                       db_path, path);
    return check_frames(&wal, path, err);
}

int wal_check(const char *db_path, struct err *err)
{
    struct buf path = {0};
    buf_printf(&path, "%s-wal", db_path);
    int code = check_log(db_path, path.data, err);
    buf_release(&path);
    return code;
}
