// SPDX-License-Identifier: Apache-2.0
// What this machine has and is.

#include "agent/detect.h"

#include <ctype.h>
#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

enum { LABELS_DETECTED = 4, RESOURCES_DETECTED = 4 };

// Reads a small file of the kernel; an empty text when there is none.
static void kernel_read(struct buf *buf, const char *path)
{
    if (buf->data == NULL)
        buf_init(buf);
    buf_clear(buf);
    if (fs_read(path, 1 << 20, buf, NULL) < 0)
        buf_clear(buf);
}

// Reads the number at the front of *text, behind spaces, and moves behind it. False: there is none, or it does not fit.
static bool number_take(const char **text, uint64_t *ret)
{
    char digits[24];
    const char *begin = *text + strspn(*text, " \t");
    size_t n = strspn(begin, "0123456789");
    if (n == 0 || n >= sizeof(digits))
        return false;
    memcpy(digits, begin, n);
    digits[n] = '\0';
    *text = begin + n;
    return str_to_u64(digits, ret) == 0;
}

uint64_t detect_cpu_millis(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint64_t)CPU_COUNT(&set) : (uint64_t)(online > 0 ? online : 1);
    uint64_t millis = cores * 1000;
    // A container sees its own quota here.
    cleanup_buf struct buf text = {0};
    kernel_read(&text, "/sys/fs/cgroup/cpu.max");
    const char *p = text.data;
    uint64_t quota = 0, period = 0;
    if (number_take(&p, &quota) && number_take(&p, &period) && period > 0 && quota > 0 && quota <= UINT64_MAX / 1000)
        millis = quota * 1000 / period < millis ? quota * 1000 / period : millis;
    return millis > 0 ? millis : 1000;
}

static uint64_t cgroup_memory_bytes(void)
{
    static const char *const paths[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    cleanup_buf struct buf text = {0};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        uint64_t bytes = 0;
        kernel_read(&text, paths[i]);
        const char *p = text.data;
        if (number_take(&p, &bytes) && bytes > 0)
            return bytes;
    }
    return UINT64_MAX;
}

uint64_t detect_memory_bytes(void)
{
    cleanup_buf struct buf text = {0};
    kernel_read(&text, "/proc/meminfo");
    const char *p = strstr(text.data, "MemTotal:");
    uint64_t kib = 0;
    if (p != NULL)
        p += strlen("MemTotal:");
    if (p == NULL || !number_take(&p, &kib) || kib > UINT64_MAX / 1024)
        kib = 0;
    uint64_t total = kib * 1024, limit = cgroup_memory_bytes();
    if (limit < total)
        total = limit;
    uint64_t reserve = total / 20;
    if (reserve < 128 * MIB)
        reserve = 128 * MIB;
    if (reserve > 2 * GIB)
        reserve = 2 * GIB;
    // Whole MiB, so that restarts of one machine agree.
    return total > 2 * reserve ? (total - reserve) / MIB * MIB : total / 2;
}

uint64_t detect_disk_bytes(const char *folder)
{
    struct statvfs info;
    if (statvfs(folder, &info) < 0)
        return 0;
    uint64_t room = (uint64_t)info.f_bavail * info.f_frsize;
    room -= room / 20;
    // What is free changes all the time; whole GiB keep a node from being another one at each start.
    return room >= 4 * GIB ? room / GIB * GIB : room / MIB * MIB;
}

uint64_t detect_gpus(void)
{
    uint64_t n = 0;
    cleanup_dir DIR *dir = opendir("/dev");
    for (struct dirent *entry = dir == NULL ? NULL : readdir(dir); entry != NULL; entry = readdir(dir))
        n += str_starts(entry->d_name, "nvidia") && isdigit((unsigned char)entry->d_name[strlen("nvidia")]);
    return n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct resource_need *)a)->name, ((const struct resource_need *)b)->name);
}

const struct resource_need *detect_capacity(struct arena *arena, const char *folder, const struct resource_need *given, size_t n_given,
                                            size_t *ret_n)
{
    struct resource_need *needs = arena_array(arena, struct resource_need, RESOURCES_DETECTED + n_given);
    size_t n = 0;
    needs[n++] = (struct resource_need){"cpu", detect_cpu_millis()};
    needs[n++] = (struct resource_need){"memory", detect_memory_bytes()};
    needs[n++] = (struct resource_need){"disk", detect_disk_bytes(folder)};
    needs[n++] = (struct resource_need){"gpu", detect_gpus()};
    for (size_t i = 0; i < n_given; i++) {
        size_t j = 0;
        while (j < n && !str_eq(needs[j].name, given[i].name))
            j++;
        needs[j] = (struct resource_need){arena_strdup(arena, given[i].name), given[i].amount};
        n += j == n;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (needs[i].amount > 0)
            needs[kept++] = needs[i];
    }
    qsort(needs, kept, sizeof(needs[0]), by_name);
    *ret_n = kept;
    return needs;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

const struct pair *detect_labels(struct arena *arena, const struct pair *given, size_t n_given, size_t *ret_n)
{
    struct pair *labels = arena_array(arena, struct pair, LABELS_DETECTED + n_given);
    struct utsname name;
    must(uname(&name) == 0);
    size_t n = 0;
    labels[n++] = (struct pair){"os", "linux"};
    labels[n++] = (struct pair){"arch", arena_strdup(arena, name.machine)};
    labels[n++] = (struct pair){"kernel", arena_strdup(arena, name.release)};
    labels[n++] = (struct pair){"hostname", detect_hostname(arena)};
    for (size_t i = 0; i < n_given; i++) {
        size_t j = 0;
        while (j < n && !str_eq(labels[j].key, given[i].key))
            j++;
        labels[j] = (struct pair){arena_strdup(arena, given[i].key), arena_strdup(arena, given[i].value)};
        n += j == n;
    }
    qsort(labels, n, sizeof(labels[0]), by_key);
    *ret_n = n;
    return labels;
}

const char *detect_hostname(struct arena *arena)
{
    struct utsname name;
    must(uname(&name) == 0);
    return arena_strdup(arena, name.nodename[0] == '\0' ? "localhost" : name.nodename);
}

const char *detect_boot_id(struct arena *arena)
{
    cleanup_buf struct buf text = {0};
    kernel_read(&text, "/proc/sys/kernel/random/boot_id");
    return arena_strndup(arena, text.data, strcspn(text.data, "\n"));
}
