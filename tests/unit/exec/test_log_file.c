// SPDX-License-Identifier: Apache-2.0
// Kept output: segments, caps, true offsets, the purge.

#include "../test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "exec/log_file.h"

struct folder {
    char path[64];
    int logs_fd;
    atomic_llong total;
};

static int set_up(void **state)
{
    static struct folder folder;
    snprintf(folder.path, sizeof(folder.path), "/tmp/muster-logs-XXXXXX");
    must(mkdtemp(folder.path) != NULL);
    int fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(mkdirat(fd, "logs", 0700) == 0);
    folder.logs_fd = openat(fd, "logs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close_fd(fd);
    folder.total = 0;
    *state = &folder;
    return 0;
}

static int tear_down(void **state)
{
    struct folder *folder = *state;
    close_fd(folder->logs_fd);
    return fs_remove_tree(folder->path, NULL);
}

static const struct log_key key = {.run_id = 12345, .index = 7, .attempt = 2, .stream = LOG_STDERR};

static int read_log(struct folder *folder, const struct log_key *of, uint64_t offset, size_t max, struct buf *ret, uint64_t *ret_offset, uint64_t *ret_end,
                    bool *ret_final)
{
    return log_read(folder->path, of->run_id, of->index, of->attempt, of->stream, offset, max, ret, ret_offset, ret_end, ret_final, NULL);
}

static void test_one_segment(void **state)
{
    struct folder *folder = *state;
    struct log_file file;
    struct buf text = {0};
    uint64_t offset, end;
    bool final;
    log_file_init(&file, folder->logs_fd, &key, 1 << 20, &folder->total);
    assert_int_equal(read_log(folder, &key, 0, 100, &text, &offset, &end, &final), ERR_NOT_FOUND);
    log_file_append(&file, "hello ", 6, 1);
    log_file_append(&file, "world", 5, 1);
    assert_int_equal(read_log(folder, &key, 0, 100, &text, &offset, &end, &final), 0);
    assert_string_equal(text.data, "hello world");
    assert_false(final);
    assert_int_equal(offset, 0);
    assert_int_equal(end, 11);
    log_file_finish(&file);
    buf_clear(&text);
    assert_int_equal(read_log(folder, &key, 6, 3, &text, &offset, &end, &final), 0);
    assert_string_equal(text.data, "wor");
    assert_true(final);
    assert_int_equal(offset, 6);
    // At the end and behind it there is nothing, and that is no error.
    buf_clear(&text);
    assert_int_equal(read_log(folder, &key, 11, 100, &text, &offset, &end, &final), 0);
    assert_int_equal(text.len, 0);
    assert_int_equal(offset, 11);
    assert_int_equal(atomic_load(&folder->total), 11);
    char path[128];
    snprintf(path, sizeof(path), "%s/logs/12/12345/7.2.err", folder->path);
    assert_int_equal(access(path, F_OK), 0);
    buf_release(&text);
}

// A stream whose byte at offset n can be told from n.
static char byte_at(uint64_t n)
{
    return (char)('a' + (n * 7 + n / 26) % 26);
}

static void append_stream(struct log_file *file, uint64_t bytes, size_t step)
{
    char block[1000];
    must(step <= sizeof(block));
    for (uint64_t done = 0; done < bytes;) {
        size_t n = bytes - done < step ? (size_t)(bytes - done) : step;
        for (size_t i = 0; i < n; i++)
            block[i] = byte_at(file->end + i);
        log_file_append(file, block, n, 1);
        done += n;
    }
}

static void test_the_newest_is_kept(void **state)
{
    struct folder *folder = *state;
    for (size_t step = 1; step < 1000; step += 333) {
        struct log_key one = {.run_id = step, .stream = LOG_STDOUT};
        struct log_file file;
        log_file_init(&file, folder->logs_fd, &one, 8000, &folder->total);
        atomic_store(&folder->total, 0);
        append_stream(&file, 50001, step);
        struct buf text = {0};
        uint64_t offset, end;
        bool final;
        assert_int_equal(read_log(folder, &one, 0, 1 << 20, &text, &offset, &end, &final), 0);
        assert_int_equal(end, 50001);
        assert_int_equal(offset + text.len, end);
        assert_true(text.len <= 8000 && text.len >= 6000);
        assert_int_equal(atomic_load(&folder->total), text.len);
        for (size_t i = 0; i < text.len; i++)
            assert_int_equal(text.data[i], byte_at(offset + i));
        // In small steps from wherever something is, without a gap and without a repetition.
        uint64_t from = 0, expected = offset;
        for (;;) {
            struct buf part = {0};
            assert_int_equal(read_log(folder, &one, from, 777, &part, &offset, &end, &final), 0);
            if (part.len == 0) {
                buf_release(&part);
                break;
            }
            assert_int_equal(offset, expected);
            assert_memory_equal(part.data, text.data + (text.len - (end - offset)), part.len);
            from = expected = offset + part.len;
            buf_release(&part);
        }
        assert_int_equal(expected, 50001);
        log_file_finish(&file);
        buf_release(&text);
    }
}

static void test_a_gap_shows(void **state)
{
    struct folder *folder = *state;
    struct log_file file;
    struct buf text = {0};
    uint64_t offset, end;
    bool final;
    log_file_init(&file, folder->logs_fd, &key, 100000, &folder->total);
    log_file_append(&file, "before", 6, 1);
    // A failure is not tried again for a while; what comes meanwhile is counted.
    file.fd = close_fd(file.fd);
    file.retry_mono_usec = 1000;
    log_file_append(&file, "missing", 7, 10);
    log_file_append(&file, "behind", 6, 2000);
    assert_int_equal(file.lost_bytes, 7);
    log_file_append(&file, "!", 1, 2000);
    file.retry_mono_usec = 5000;
    file.fd = close_fd(file.fd);
    log_file_append(&file, "end", 3, 2000);
    log_file_finish(&file);
    assert_int_equal(read_log(folder, &key, 0, 100, &text, &offset, &end, &final), 0);
    assert_string_equal(text.data, "before");
    assert_int_equal(end, 6 + 7 + 6 + 1 + 3);
    assert_true(final);
    buf_clear(&text);
    assert_int_equal(read_log(folder, &key, 6, 100, &text, &offset, &end, &final), 0);
    assert_int_equal(offset, 13);
    assert_string_equal(text.data, "behind!");
    buf_release(&text);
}

// Sets when a log was written last; what the kernel says is told in ticks, in which several files are of one age.
static void written_at(const struct folder *folder, const struct log_key *of, time_t seconds)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/logs/%u/%u/%u.%u.out", folder->path, (unsigned)(of->run_id / 1000), (unsigned)of->run_id, of->index, of->attempt);
    const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void test_purge(void **state)
{
    struct folder *folder = *state;
    for (uint32_t index = 0; index < 10; index++) {
        struct log_key one = {.run_id = index < 5 ? 1 : 2, .index = index, .attempt = 1, .stream = LOG_STDOUT};
        struct log_file file;
        log_file_init(&file, folder->logs_fd, &one, 100000, &folder->total);
        append_stream(&file, 1000, 100);
        if (index != 0)
            log_file_finish(&file); // the very first one still runs
        else
            close_fd(file.fd);
        written_at(folder, &one, 2000 - index); // the later by number, the older
    }
    assert_int_equal(log_purge(folder->logs_fd, 1 << 20), 10000);
    assert_int_equal(log_purge(folder->logs_fd, 4500), 4000);
    struct buf text = {0};
    uint64_t offset, end;
    bool final;
    for (uint32_t index = 0; index < 10; index++) {
        struct log_key one = {.run_id = index < 5 ? 1 : 2, .index = index, .attempt = 1, .stream = LOG_STDOUT};
        bool kept = index == 0 || (index >= 5 && index <= 7);
        assert_int_equal(read_log(folder, &one, 0, 10, &text, &offset, &end, &final), kept ? 0 : ERR_NOT_FOUND);
    }
    buf_release(&text);
    struct log_key first = {.run_id = 1, .index = 0, .attempt = 1, .stream = LOG_STDOUT};
    log_mark_final(folder->logs_fd, &first);
    assert_int_equal(log_purge(folder->logs_fd, 3000), 3000);
    char path[128];
    snprintf(path, sizeof(path), "%s/logs/0/1", folder->path);
    assert_int_equal(access(path, F_OK), -1); // with its last log the folder of a run goes
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_segment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_newest_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_gap_shows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_purge, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("log_file", tests, NULL, NULL);
}
