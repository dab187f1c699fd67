// SPDX-License-Identifier: Apache-2.0
// How fast the store commits batches of a given size, one at a time, against the bare write-and-fdatasync rate of the same bytes in the
// same folder, both measured in turns so that a noisy disk harms both. Prints one JSON line. Other benches set their rate against this.
//
//     bench-store-append [--bytes N] [--millis N] [--folder DIR] [--snapshot BYTES]
//
// --snapshot: a snapshot of that many bytes is written and the log truncated again and again meanwhile, to show what it costs commits.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store.h"

enum { ROUNDS = 5, SAMPLES_MAX = 1 << 20 };

struct options {
    uint64_t bytes, millis, snapshot_bytes;
    const char *folder;
};

struct samples {
    uint32_t *usec;
    size_t n;
    usec_t total_usec;
};

struct bench {
    struct options options;
    struct store *store;
    uint64_t epoch, seq;
    uint8_t *data;
    uint64_t snapshots;
    bool keeping;
};

static void fail(const struct err *err)
{
    fprintf(stderr, "bench-store-append: %s\n", err->text);
    exit(err_exit_status(err->code));
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void add_sample(struct samples *samples, usec_t usec)
{
    samples->total_usec += usec;
    if (samples->n < SAMPLES_MAX)
        samples->usec[samples->n] = (uint32_t)usec;
    samples->n++;
}

static uint32_t percentile(const struct samples *samples, unsigned permille)
{
    size_t n = samples->n < SAMPLES_MAX ? samples->n : SAMPLES_MAX;
    return n == 0 ? 0 : samples->usec[(n - 1) * permille / 1000];
}

// Commits for `usec` and counts.
static void commit_round(struct bench *bench, usec_t usec, struct samples *samples)
{
    const struct store_ops *ops = bench->store->ops;
    struct pollfd wake = {.fd = ops->wake_fd(bench->store), .events = POLLIN};
    struct err err = {0};
    usec_t start = clock_mono_usec(), now = start;
    while (now - start < usec) {
        struct store_batch batch = {bench->seq + 1, 1, {bench->data, bench->options.bytes}};
        if (ops->append(bench->store, bench->epoch, &batch, &err) < 0)
            fail(&err);
        struct store_done done;
        do {
            if (ops->poll(bench->store, &done) == 0) {
                poll(&wake, 1, 1000);
                done.op = 0;
                continue;
            }
            if (done.code < 0)
                fail(&done.err);
            if (done.op == STORE_SNAPSHOT)
                bench->keeping = false;
        } while (done.op != STORE_APPEND);
        bench->seq = done.seq;
        usec_t end = clock_mono_usec();
        add_sample(samples, end - now);
        now = end;
        if (bench->options.snapshot_bytes > 0 && !bench->keeping) {
            uint8_t *data = mem_alloc(bench->options.snapshot_bytes);
            if (ops->snapshot_write(bench->store, bench->epoch, bench->seq, bench->seq, data, bench->options.snapshot_bytes, &err) < 0)
                fail(&err);
            bench->keeping = true;
            bench->snapshots++;
        }
    }
}

// Appends the same bytes to a bare file and syncs its data each time, for `usec`.
static void bare_round(const struct bench *bench, int fd, usec_t usec, struct samples *samples)
{
    usec_t start = clock_mono_usec(), now = start;
    while (now - start < usec) {
        if (write(fd, bench->data, bench->options.bytes) != (ssize_t)bench->options.bytes || fdatasync(fd) < 0) {
            perror("bench-store-append: write");
            exit(74);
        }
        usec_t end = clock_mono_usec();
        add_sample(samples, end - now);
        now = end;
    }
}

static uint64_t number(const char *text)
{
    uint64_t value;
    struct err err = {0};
    if (size_parse(text, &value, &err) < 0)
        fail(&err);
    return value;
}

static struct options parse(int argc, char **argv)
{
    struct options options = {.bytes = 200, .millis = 3000, .folder = "."};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (str_eq(argv[i], "--bytes"))
            options.bytes = number(argv[i + 1]);
        else if (str_eq(argv[i], "--millis"))
            options.millis = number(argv[i + 1]);
        else if (str_eq(argv[i], "--snapshot"))
            options.snapshot_bytes = number(argv[i + 1]);
        else if (str_eq(argv[i], "--folder"))
            options.folder = argv[i + 1];
        else
            argc = 0;
    }
    if (argc % 2 == 0) {
        fprintf(stderr, "usage: bench-store-append [--bytes N] [--millis N] [--folder DIR] [--snapshot BYTES]\n");
        exit(64);
    }
    return options;
}

static void print(const struct bench *bench, struct samples *commits, struct samples *bare)
{
    struct samples *both[] = {commits, bare};
    for (size_t i = 0; i < 2; i++)
        qsort(both[i]->usec, both[i]->n < SAMPLES_MAX ? both[i]->n : SAMPLES_MAX, sizeof(uint32_t), by_size);
    double rate = (double)commits->n * 1e6 / (double)commits->total_usec;
    double bare_rate = (double)bare->n * 1e6 / (double)bare->total_usec;
    printf("{\"bench\":\"store_append\",\"value\":%.0f,\"unit\":\"commits/s\",\"versus\":\"write and fdatasync of the same bytes\","
           "\"versus_value\":%.0f,\"ratio\":%.3f,\"batch_bytes\":%llu,\"p50_usec\":%u,\"p99_usec\":%u,\"p999_usec\":%u,\"max_usec\":%u,"
           "\"versus_p50_usec\":%u,\"versus_p99_usec\":%u,\"snapshots\":%llu}\n",
           rate, bare_rate, rate / bare_rate, (unsigned long long)bench->options.bytes, percentile(commits, 500), percentile(commits, 990),
           percentile(commits, 999), percentile(commits, 1000), percentile(bare, 500), percentile(bare, 990),
           (unsigned long long)bench->snapshots);
}

int main(int argc, char **argv)
{
    struct bench bench = {.options = parse(argc, argv)};
    struct err err = {0};
    cleanup_buf struct buf folder = {0};
    buf_printf(&folder, "%s/bench-store-XXXXXX", bench.options.folder);
    if (mkdtemp(folder.data) == NULL) {
        perror("bench-store-append: make a folder");
        return 73;
    }
    if (store_sqlite_open(folder.data, &bench.store, &err) < 0 || bench.store->ops->lead(bench.store, "bench", &bench.epoch, &err) < 0)
        fail(&err);
    bench.data = mem_alloc(bench.options.bytes);
    memset(bench.data, 'x', bench.options.bytes);
    struct samples commits = {.usec = mem_alloc_array(SAMPLES_MAX, sizeof(uint32_t))};
    struct samples bare = {.usec = mem_alloc_array(SAMPLES_MAX, sizeof(uint32_t))};
    cleanup_buf struct buf path = {0};
    buf_printf(&path, "%s/bare", folder.data);
    cleanup_close int fd = open(path.data, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    must(fd >= 0);
    usec_t round_usec = bench.options.millis * 1000 / (2 * ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        commit_round(&bench, round_usec, &commits);
        bare_round(&bench, fd, round_usec, &bare);
    }
    print(&bench, &commits, &bare);
    store_close(bench.store);
    mem_free(bench.data);
    mem_free(commits.usec);
    mem_free(bare.usec);
    return fs_remove_tree(folder.data, &err) < 0 ? 74 : 0;
}
