// SPDX-License-Identifier: Apache-2.0
// The journal's file: written, synced, rewritten, read again.

#include "../test.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "exec/spool.h"

struct folder {
    char path[64];
    int fd;
};

static int set_up(void **state)
{
    static struct folder folder;
    snprintf(folder.path, sizeof(folder.path), "/tmp/muster-spool-XXXXXX");
    must(mkdtemp(folder.path) != NULL);
    folder.fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(folder.fd >= 0);
    *state = &folder;
    return 0;
}

static int tear_down(void **state)
{
    struct folder *folder = *state;
    close_fd(folder->fd);
    return fs_remove_tree(folder->path, NULL);
}

static struct spool *open_spool(struct folder *folder, struct journal_state *ret)
{
    struct spool *spool;
    struct err err = {0};
    char note[200];
    int rc = spool_open(folder->fd, "an-instance", "a-boot", &spool, ret, note, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    return spool;
}

static void wait_synced(struct spool *spool)
{
    for (int i = 0; i < 500 && spool_synced(spool) < spool_added(spool); i++) {
        assert_int_equal(spool_write(spool, NULL), 0);
        spool_sync(spool);
        struct pollfd item = {.fd = spool_fd(spool), .events = POLLIN};
        (void)poll(&item, 1, 20);
        assert_int_equal(spool_collect(spool, NULL), 0);
    }
    assert_int_equal(spool_synced(spool), spool_added(spool));
}

static struct exec_ident ident(uint64_t fence)
{
    return (struct exec_ident){.fence = fence, .run_id = 1, .index = (uint32_t)fence, .attempt = 1};
}

static void add_end(struct spool *spool, uint64_t fence)
{
    struct exec_ident who = ident(fence);
    struct attempt_end end = {.fence = fence, .outcome = OUTCOME_EXIT, .exit_code = (int32_t)fence, .message = "a sentence of some length, for the size"};
    spool_accepted(spool, &who);
    spool_ended(spool, &who, &end);
}

static void test_write_and_read(void **state)
{
    struct journal_state read;
    struct spool *spool = open_spool(*state, &read);
    assert_int_equal(read.n_attempts, 0);
    assert_false(read.cut || read.damaged);
    add_end(spool, 5);
    struct exec_ident running = ident(6);
    spool_accepted(spool, &running);
    assert_true(spool_written(spool) < spool_added(spool));
    assert_int_equal(spool_reserve(spool, 100, NULL), 0);
    wait_synced(spool);
    spool_close(spool);
    spool = open_spool(*state, &read);
    assert_int_equal(read.n_attempts, 2);
    assert_int_equal(read.attempts[0].end.exit_code, 5);
    assert_false(read.attempts[1].ended);
    assert_string_equal(read.instance, "an-instance");
    journal_state_release(&read);
    spool_close(spool);
}

struct live {
    uint64_t from, to;
};

static void fill(void *context, struct buf *buf, uint64_t salt)
{
    const struct live *live = context;
    for (uint64_t fence = live->from; fence < live->to; fence++) {
        struct exec_ident who = ident(fence);
        struct attempt_end end = {.fence = fence, .outcome = OUTCOME_EXIT, .exit_code = (int32_t)fence};
        journal_add_ended(buf, salt, &who, &end);
    }
}

static off_t journal_bytes(struct folder *folder)
{
    struct stat st;
    must(fstatat(folder->fd, "journal", &st, 0) == 0);
    return st.st_size;
}

static void test_compaction_loses_nothing(void **state)
{
    struct folder *folder = *state;
    struct journal_state read;
    struct spool *spool = open_spool(folder, &read);
    uint64_t fence = 1;
    for (; !spool_wants_compaction(spool, 10); fence++) {
        add_end(spool, fence);
        if (fence > 10)
            spool_forgotten(spool, fence - 10);
        assert_int_equal(spool_write(spool, NULL), 0);
        assert_true(fence < 1000000);
    }
    wait_synced(spool);
    off_t before = journal_bytes(folder);
    struct live live = {.from = fence - 10, .to = fence};
    assert_int_equal(spool_compact(spool, fill, &live, NULL), 0);
    assert_false(spool_wants_compaction(spool, 10));
    // What is added while the new file is made durable is in both.
    for (int i = 0; i < 50; i++, fence++) {
        add_end(spool, fence);
        assert_int_equal(spool_write(spool, NULL), 0);
        usleep(500);
    }
    for (int i = 0; i < 200 && journal_bytes(folder) >= before; i++) {
        usleep(5000);
        assert_int_equal(spool_collect(spool, NULL), 0);
    }
    assert_true(journal_bytes(folder) < before / 10);
    add_end(spool, fence++);
    wait_synced(spool);
    spool_close(spool);
    spool = open_spool(folder, &read);
    assert_false(read.cut || read.damaged);
    assert_int_equal(read.n_attempts, 61);
    for (size_t i = 0; i < read.n_attempts; i++) {
        assert_int_equal(read.attempts[i].ident.fence, live.from + i);
        assert_int_equal(read.attempts[i].end.exit_code, live.from + i);
    }
    journal_state_release(&read);
    spool_close(spool);
}

static void test_damaged_file_is_kept(void **state)
{
    struct folder *folder = *state;
    struct journal_state read;
    struct spool *spool = open_spool(folder, &read);
    for (uint64_t fence = 1; fence <= 3; fence++)
        add_end(spool, fence);
    wait_synced(spool);
    spool_close(spool);
    int fd = openat(folder->fd, "journal", O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "xxxx", 4, journal_bytes(folder) / 2), 4);
    close_fd(fd);
    char note[200];
    assert_int_equal(spool_open(folder->fd, "second", "a-boot", &spool, &read, note, NULL), 0);
    assert_true(read.damaged);
    assert_non_null(strstr(note, "journal.damaged."));
    assert_true(read.n_attempts >= 2);
    assert_true(read.attempts[read.n_attempts - 1].ended);
    journal_state_release(&read);
    spool_close(spool);
    // The journal that was begun then is whole.
    spool = open_spool(folder, &read);
    assert_false(read.damaged || read.cut);
    journal_state_release(&read);
    spool_close(spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_and_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_compaction_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_file_is_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
