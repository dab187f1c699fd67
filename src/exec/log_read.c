// SPDX-License-Identifier: Apache-2.0
// Reading the kept output of attempts, marking what a crash left, and removing what is old.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/log_file.h"

#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define OPEN_FILE (O_RDONLY | O_NOFOLLOW | O_CLOEXEC)

// A segment as found on disk.
struct found {
    uint64_t start, bytes;
    bool final;
    char name[2 * LOG_NAME_MAX];
};

struct found_list {
    struct found items[2 * LOG_SEGMENTS_MAX];
    size_t n;
};

static void found_add(struct found_list *list, int folder_fd, const char *name, uint64_t start)
{
    struct stat st;
    if (list->n == sizeof(list->items) / sizeof(list->items[0]) || fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode))
        return;
    struct found *found = &list->items[list->n++];
    *found = (struct found){.start = start, .bytes = (uint64_t)st.st_size, .final = (st.st_mode & 0200) == 0};
    int copied = str_copy(found->name, sizeof(found->name), name);
    must(copied == 0);
}

static int found_order(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static void find_segments(int folder_fd, const struct log_key *key, struct found_list *ret)
{
    ret->n = 0;
    char base[LOG_NAME_MAX], later[LOG_NAME_MAX + 4];
    log_base_name(key, base);
    found_add(ret, folder_fd, base, 0);
    snprintf(later, sizeof(later), "%s.d", base);
    int fd = openat(folder_fd, later, OPEN_FOLDER);
    cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        close_fd(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        uint64_t start;
        char name[2 * LOG_NAME_MAX];
        if (strlen(entry->d_name) != 20 || str_to_u64(entry->d_name, &start) < 0)
            continue;
        snprintf(name, sizeof(name), "%s/%.20s", later, entry->d_name);
        found_add(ret, folder_fd, name, start);
    }
    qsort(ret->items, ret->n, sizeof(ret->items[0]), found_order);
}

// Adds up to max bytes from `offset` on, from one segment on through those that follow without a gap. Returns -1 when a segment went
// away meanwhile.
static int read_segments(int folder_fd, const struct found_list *list, uint64_t offset, size_t max, struct buf *buf, uint64_t *ret_offset)
{
    bool begun = false;
    *ret_offset = offset;
    for (size_t i = 0; i < list->n && max > 0; i++) {
        const struct found *segment = &list->items[i];
        if (segment->start + segment->bytes <= offset)
            continue;
        if (segment->start > offset) {
            if (begun)
                break; // a gap: the next call begins behind it
            offset = segment->start;
        }
        if (!begun)
            *ret_offset = offset;
        begun = true;
        cleanup_close int fd = openat(folder_fd, segment->name, OPEN_FILE);
        if (fd < 0)
            return -1;
        while (max > 0 && offset < segment->start + segment->bytes) {
            uint64_t left = segment->start + segment->bytes - offset;
            size_t want = left < max ? (size_t)left : max;
            buf_reserve(buf, want);
            ssize_t n = pread(fd, buf->data + buf->len, want, (off_t)(offset - segment->start));
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return -1;
            buf_grew(buf, (size_t)n);
            offset += (uint64_t)n;
            max -= (size_t)n;
        }
    }
    return 0;
}

static int open_run(int logs_fd, const struct log_key *key)
{
    char name[LOG_NAME_MAX];
    log_folder_name(key, name);
    return openat(logs_fd, name, OPEN_FOLDER);
}

int log_read(const char *folder, uint64_t run_id, uint32_t index, uint32_t attempt, enum log_stream stream, uint64_t offset, size_t max,
             struct buf *buf, uint64_t *ret_offset, uint64_t *ret_end, bool *ret_final, struct err *err)
{
    must(folder != NULL && buf != NULL && (stream == LOG_STDOUT || stream == LOG_STDERR));
    struct log_key key = {.run_id = run_id, .index = index, .attempt = attempt, .stream = stream};
    cleanup_close int data_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int logs_fd = data_fd < 0 ? -1 : openat(data_fd, "logs", OPEN_FOLDER);
    cleanup_close int run_fd = logs_fd < 0 ? -1 : open_run(logs_fd, &key);
    if (run_fd < 0 && errno != ENOENT)
        return err_errno(err, err_from_errno(errno), "open the logs of run %" PRIu64, run_id);
    size_t old_len = buf->len;
    struct found_list *list = mem_alloc(sizeof(*list));
    // A writer that drops its oldest segment meanwhile makes us look again.
    for (int tries = 0; run_fd >= 0 && tries < 5; tries++) {
        find_segments(run_fd, &key, list);
        if (list->n == 0)
            break;
        uint64_t from;
        if (read_segments(run_fd, list, offset, max, buf, &from) < 0) {
            buf_truncate(buf, old_len);
            continue;
        }
        const struct found *last = &list->items[list->n - 1];
        *ret_offset = from;
        *ret_end = last->start + last->bytes;
        *ret_final = last->final;
        mem_free(list);
        return 0;
    }
    mem_free(list);
    return err_set(err, ERR_NOT_FOUND, "no output of task %" PRIu32 ", attempt %" PRIu32 " of run %" PRIu64 " is kept here", index, attempt, run_id);
}

void log_mark_final(int logs_fd, const struct log_key *key)
{
    cleanup_close int run_fd = open_run(logs_fd, key);
    if (run_fd < 0)
        return;
    struct found_list *list = mem_alloc(sizeof(*list));
    find_segments(run_fd, key, list);
    if (list->n > 0)
        (void)!fchmodat(run_fd, list->items[list->n - 1].name, 0400, 0);
    mem_free(list);
}

// One stream of one attempt, for the purge.
struct kept {
    struct log_key key;
    uint64_t bytes;
    struct timespec time; // of the last byte
    bool final;
};

static int kept_order(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    if (x->time.tv_sec != y->time.tv_sec)
        return x->time.tv_sec < y->time.tv_sec ? -1 : 1;
    if (x->time.tv_nsec != y->time.tv_nsec)
        return x->time.tv_nsec < y->time.tv_nsec ? -1 : 1;
    return (x->key.index > y->key.index) - (x->key.index < y->key.index);
}

// "7.1.out" or "7.1.out.d".
static bool parse_name(const char *name, struct log_key *ret)
{
    char *end;
    if (name[0] < '0' || name[0] > '9')
        return false;
    unsigned long long index = strtoull(name, &end, 10);
    if (*end != '.' || end[1] < '0' || end[1] > '9')
        return false;
    unsigned long long attempt = strtoull(end + 1, &end, 10);
    if (index > UINT32_MAX || attempt > UINT32_MAX || (!str_starts(end, ".out") && !str_starts(end, ".err")))
        return false;
    ret->index = (uint32_t)index;
    ret->attempt = (uint32_t)attempt;
    ret->stream = end[1] == 'o' ? LOG_STDOUT : LOG_STDERR;
    return end[4] == '\0' || strcmp(end + 4, ".d") == 0;
}

// Everything kept of one run, oldest first. Gives the list.
static struct kept *list_run(int run_fd, uint64_t run_id, size_t *ret_n, uint64_t *ret_bytes)
{
    struct kept *kept = NULL;
    size_t n = 0, cap = 0;
    uint64_t bytes = 0;
    struct found_list *found = mem_alloc(sizeof(*found));
    int fd = openat(run_fd, ".", OPEN_FOLDER);
    cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        struct kept item = {.key.run_id = run_id};
        struct stat st;
        if (!parse_name(entry->d_name, &item.key))
            continue;
        // A stream with both names is met twice; it is counted at its base name, or at its folder when that is all there is.
        char base[LOG_NAME_MAX];
        log_base_name(&item.key, base);
        if (strcmp(base, entry->d_name) != 0 && faccessat(run_fd, base, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        find_segments(run_fd, &item.key, found);
        if (found->n == 0 || fstatat(run_fd, found->items[found->n - 1].name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        for (size_t i = 0; i < found->n; i++)
            item.bytes += found->items[i].bytes;
        item.final = found->items[found->n - 1].final;
        item.time = st.st_mtim;
        bytes += item.bytes;
        if (n == cap) {
            cap = cap == 0 ? 64 : 2 * cap;
            kept = mem_realloc_array(kept, cap, sizeof(*kept));
        }
        kept[n++] = item;
    }
    if (dir == NULL)
        close_fd(fd);
    mem_free(found);
    if (n > 0)
        qsort(kept, n, sizeof(*kept), kept_order);
    *ret_n = n;
    *ret_bytes = bytes;
    return kept;
}

static void remove_stream(int run_fd, const struct log_key *key)
{
    struct found_list *found = mem_alloc(sizeof(*found));
    find_segments(run_fd, key, found);
    for (size_t i = 0; i < found->n; i++)
        (void)unlinkat(run_fd, found->items[i].name, 0);
    mem_free(found);
    char base[LOG_NAME_MAX], later[LOG_NAME_MAX + 4];
    log_base_name(key, base);
    snprintf(later, sizeof(later), "%s.d", base);
    (void)unlinkat(run_fd, later, AT_REMOVEDIR);
}

static int number_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// The names of a folder that are numbers, ascending. Gives the list.
static uint64_t *list_numbers(int folder_fd, size_t *ret_n)
{
    uint64_t *numbers = NULL;
    size_t n = 0, cap = 0;
    int fd = openat(folder_fd, ".", OPEN_FOLDER);
    cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        uint64_t number;
        if (str_to_u64(entry->d_name, &number) < 0)
            continue;
        if (n == cap) {
            cap = cap == 0 ? 64 : 2 * cap;
            numbers = mem_realloc_array(numbers, cap, sizeof(*numbers));
        }
        numbers[n++] = number;
    }
    if (dir == NULL)
        close_fd(fd);
    if (n > 0)
        qsort(numbers, n, sizeof(*numbers), number_order);
    *ret_n = n;
    return numbers;
}

// Calls visit for every run that has a folder, by number, with its folder open; afterwards folders that have become empty go.
static void each_run(int logs_fd, void (*visit)(void *, int run_fd, uint64_t run_id), void *context)
{
    size_t n_groups;
    uint64_t *groups = list_numbers(logs_fd, &n_groups);
    for (size_t g = 0; g < n_groups; g++) {
        char name[LOG_NAME_MAX];
        snprintf(name, sizeof(name), "%" PRIu64, groups[g]);
        cleanup_close int group_fd = openat(logs_fd, name, OPEN_FOLDER);
        if (group_fd < 0)
            continue;
        size_t n_runs;
        uint64_t *runs = list_numbers(group_fd, &n_runs);
        for (size_t r = 0; r < n_runs; r++) {
            char run_name[LOG_NAME_MAX];
            snprintf(run_name, sizeof(run_name), "%" PRIu64, runs[r]);
            cleanup_close int run_fd = openat(group_fd, run_name, OPEN_FOLDER);
            if (run_fd >= 0)
                visit(context, run_fd, runs[r]);
        }
        mem_free(runs);
    }
    mem_free(groups);
}

struct purge {
    uint64_t total, target;
    bool count_only;
    int logs_fd;
};

static void purge_run(void *context, int run_fd, uint64_t run_id)
{
    struct purge *purge = context;
    if (!purge->count_only && purge->total <= purge->target)
        return;
    size_t n;
    uint64_t bytes;
    struct kept *kept = list_run(run_fd, run_id, &n, &bytes);
    if (purge->count_only)
        purge->total += bytes;
    for (size_t i = 0; !purge->count_only && i < n && purge->total > purge->target; i++) {
        if (!kept[i].final)
            continue;
        remove_stream(run_fd, &kept[i].key);
        purge->total -= kept[i].bytes < purge->total ? kept[i].bytes : purge->total;
    }
    mem_free(kept);
    if (!purge->count_only) {
        char name[LOG_NAME_MAX];
        log_folder_name(&(struct log_key){.run_id = run_id}, name);
        (void)unlinkat(purge->logs_fd, name, AT_REMOVEDIR); // refused while anything is in it
    }
}

uint64_t log_purge(int logs_fd, uint64_t target_bytes)
{
    struct purge purge = {.target = target_bytes, .count_only = true, .logs_fd = logs_fd};
    each_run(logs_fd, purge_run, &purge);
    purge.count_only = false;
    if (purge.total > target_bytes)
        each_run(logs_fd, purge_run, &purge);
    return purge.total;
}
