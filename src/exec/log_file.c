// SPDX-License-Identifier: Apache-2.0
// Writing the kept output of one attempt.

#include "exec/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"

#define RETRY_USEC USEC_PER_SEC
#define SEGMENT_BYTES_MIN 1024

void log_folder_name(const struct log_key *key, char ret[static LOG_NAME_MAX])
{
    snprintf(ret, LOG_NAME_MAX, "%" PRIu64 "/%" PRIu64, key->run_id / 1000, key->run_id);
}

void log_base_name(const struct log_key *key, char ret[static LOG_NAME_MAX])
{
    snprintf(ret, LOG_NAME_MAX, "%" PRIu32 ".%" PRIu32 ".%s", key->index, key->attempt, key->stream == LOG_STDOUT ? "out" : "err");
}

void log_file_init(struct log_file *file, int logs_fd, const struct log_key *key, uint64_t cap_bytes, atomic_llong *total_bytes)
{
    must(logs_fd >= 0 && cap_bytes > 0);
    *file = (struct log_file){.logs_fd = logs_fd, .key = *key, .cap_bytes = cap_bytes, .total_bytes = total_bytes, .fd = -1};
}

static uint64_t segment_bytes(const struct log_file *file)
{
    uint64_t bytes = file->cap_bytes / LOG_SEGMENTS;
    return bytes < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN : bytes;
}

// The folder of the run, made when it is missing; -1 with errno.
static int open_folder(const struct log_file *file)
{
    char name[LOG_NAME_MAX];
    log_folder_name(&file->key, name);
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(file->logs_fd, name, flags);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    char *slash = strchr(name, '/');
    *slash = '\0';
    if (mkdirat(file->logs_fd, name, 0700) < 0 && errno != EEXIST)
        return -1;
    *slash = '/';
    if (mkdirat(file->logs_fd, name, 0700) < 0 && errno != EEXIST)
        return -1;
    return openat(file->logs_fd, name, flags);
}

static void segment_name(const struct log_file *file, uint64_t start, char ret[static 2 * LOG_NAME_MAX])
{
    char base[LOG_NAME_MAX];
    log_base_name(&file->key, base);
    if (start == 0)
        snprintf(ret, 2 * LOG_NAME_MAX, "%s", base);
    else
        snprintf(ret, 2 * LOG_NAME_MAX, "%s.d/%020" PRIu64, base, start);
}

// Begins a segment at the present end.
static int begin_segment(struct log_file *file)
{
    must(file->fd < 0 && file->n_segments < LOG_SEGMENTS_MAX);
    cleanup_close int folder_fd = open_folder(file);
    if (folder_fd < 0)
        return -1;
    char name[2 * LOG_NAME_MAX];
    segment_name(file, file->end, name);
    char *slash = strchr(name, '/');
    if (slash != NULL) {
        *slash = '\0';
        if (mkdirat(folder_fd, name, 0700) < 0 && errno != EEXIST)
            return -1;
        *slash = '/';
    }
    file->fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return -1;
    file->segments[file->n_segments++] = (struct log_segment){.start = file->end};
    return 0;
}

static void drop_oldest(struct log_file *file)
{
    must(file->n_segments > 0);
    cleanup_close int folder_fd = open_folder(file);
    char name[2 * LOG_NAME_MAX];
    segment_name(file, file->segments[0].start, name);
    if (folder_fd >= 0)
        (void)unlinkat(folder_fd, name, 0);
    atomic_fetch_sub(file->total_bytes, (long long)file->segments[0].bytes);
    memmove(file->segments, file->segments + 1, --file->n_segments * sizeof(file->segments[0]));
}

// Makes room for one more segment.
static void trim(struct log_file *file)
{
    for (;;) {
        uint64_t kept = 0;
        for (size_t i = 0; i < file->n_segments; i++)
            kept += file->segments[i].bytes;
        if (file->n_segments == 0 || (kept + segment_bytes(file) <= file->cap_bytes && file->n_segments < LOG_SEGMENTS_MAX))
            return;
        drop_oldest(file);
    }
}

// Writes a part of the data to the newest segment and returns how much; -1 with errno when nothing could be written.
static ssize_t append_some(struct log_file *file, const char *data, size_t len)
{
    if (file->fd >= 0 && file->segments[file->n_segments - 1].bytes >= segment_bytes(file))
        file->fd = close_fd(file->fd);
    if (file->fd < 0) {
        trim(file);
        if (begin_segment(file) < 0)
            return -1;
    }
    struct log_segment *segment = &file->segments[file->n_segments - 1];
    uint64_t room = segment_bytes(file) - segment->bytes;
    ssize_t n;
    do
        n = write(file->fd, data, len < room ? len : (size_t)room);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return -1;
    segment->bytes += (uint64_t)n;
    file->end += (uint64_t)n;
    atomic_fetch_add(file->total_bytes, (long long)n);
    return n;
}

void log_file_append(struct log_file *file, const void *data, size_t len, usec_t mono_usec)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = mono_usec < file->retry_mono_usec ? -1 : append_some(file, p, len);
        if (n < 0) {
            // The rest is left out, and what comes later begins a segment of its own.
            if (mono_usec >= file->retry_mono_usec)
                file->retry_mono_usec = mono_usec + RETRY_USEC;
            file->fd = close_fd(file->fd);
            file->end += len;
            file->lost_bytes += len;
            return;
        }
        p += n;
        len -= (size_t)n;
    }
}

void log_file_finish(struct log_file *file)
{
    if (file->end == 0)
        return;
    const struct log_segment *last = file->n_segments == 0 ? NULL : &file->segments[file->n_segments - 1];
    if (last == NULL || last->start + last->bytes < file->end) {
        // The end was left out; an empty segment says where it was.
        file->fd = close_fd(file->fd);
        trim(file);
        if (begin_segment(file) < 0 && file->n_segments == 0)
            return;
    }
    file->fd = close_fd(file->fd);
    char name[2 * LOG_NAME_MAX];
    segment_name(file, file->segments[file->n_segments - 1].start, name);
    cleanup_close int folder_fd = open_folder(file);
    if (folder_fd >= 0)
        (void)!fchmodat(folder_fd, name, 0400, 0);
}
