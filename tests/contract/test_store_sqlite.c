// SPDX-License-Identifier: Apache-2.0
// What the SQLite store promises beyond the common contract: kill -9 of its process at any instant, a full disk, one process for a
// folder, and damage or foreign files that are noticed.
#include "store_world.h"

static void write_or_die(int fd, uint64_t value)
{
    if (write(fd, &value, sizeof(value)) != sizeof(value))
        _exit(1);
}

// Appends and keeps snapshots until it is killed; tells each position once it was reported.
static void work_until_killed(const char *folder, int fd)
{
    struct world world = {.backend = SQLITE};
    assert_int_equal(str_copy(world.folder, sizeof(world.folder), folder), 0);
    open_store(&world);
    lead(&world);
    struct reading reading;
    uint64_t seq;
    uint8_t *data;
    size_t len;
    assert_int_equal(world.store->ops->snapshot_read(world.store, &seq, &data, &len, NULL), 0);
    mem_free(data);
    assert_int_equal(read_log(&world, seq, &reading), 0);
    world.seq = reading.n_batches ? reading.next - 1 : seq;
    for (int i = 0;; i++) {
        assert_int_equal(append(&world, 1 + (uint32_t)i % 5), 0);
        write_or_die(fd, world.seq);
        if (i % 100 == 99)
            assert_int_equal(snapshot(&world, world.seq, world.seq - 20), 0);
    }
}

static void test_kill(void **state)
{
    struct world *world = *state;
    struct prng dice;
    prng_init(&dice, 7);
    for (int round = 0; round < 8; round++) {
        store_close(world->store);
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(fds[0]);
            work_until_killed(world->folder, fds[1]);
            _exit(0);
        }
        close(fds[1]);
        uint64_t reported = 0, value;
        // Some work for certain, then an instant of chance.
        for (int i = 0; i < 150; i++)
            assert_int_equal(read(fds[0], &reported, sizeof(reported)), sizeof(reported));
        usleep((useconds_t)prng_below(&dice, 30000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(fds[0], &value, sizeof(value)) == sizeof(value))
            reported = value;
        close(fds[0]);
        open_store(world);
        uint64_t seq;
        uint8_t *data;
        size_t len;
        assert_int_equal(world->store->ops->snapshot_read(world->store, &seq, &data, &len, NULL), 0);
        mem_free(data);
        expect_snapshot(world, seq);
        struct reading reading;
        assert_int_equal(read_log(world, seq, &reading), 0);
        uint64_t last = reading.n_batches ? reading.next - 1 : seq;
        assert_in_range(last, reported, reported + 5);
    }
}

static void test_lock(void **state)
{
    struct world *world = *state;
    struct store *other;
    struct err err = {0};
    assert_int_equal(store_sqlite_open(world->folder, &other, &err), ERR_STORE_BUSY);
    assert_non_null(strstr(err.text, world->folder));
    char pid_text[32];
    snprintf(pid_text, sizeof(pid_text), "%ld", (long)getpid());
    assert_non_null(strstr(err.text, pid_text));
    pid_t pid = fork();
    if (pid == 0) {
        int code = store_sqlite_open(world->folder, &other, &err);
        _exit(code == ERR_STORE_BUSY && strstr(err.text, pid_text) && strstr(err.text, world->folder) ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    // A child does not keep the lock of a parent that gave it up.
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        char c;
        close(fds[1]);
        _exit(read(fds[0], &c, 1) == 0 ? 0 : 1);
    }
    store_close(world->store);
    open_store(world);
    close(fds[1]);
    close(fds[0]);
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

// In a child, since the limit is the process's: the disk is full when a file would outgrow it.
static int fill_disk(const char *folder)
{
    signal(SIGXFSZ, SIG_IGN);
    struct world world = {.backend = SQLITE};
    assert_int_equal(str_copy(world.folder, sizeof(world.folder), folder), 0);
    open_store(&world);
    lead(&world);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 600 * 1024;
    setrlimit(RLIMIT_FSIZE, &limit);
    int code = 0;
    for (int i = 0; i < 10000 && code == 0; i++)
        code = append(&world, 1);
    if (code != ERR_STORE_FULL || append(&world, 1) != ERR_STORE_FULL)
        return 2;
    uint64_t durable = world.seq;
    expect_log(&world, 0, 1, durable);
    code = snapshot(&world, durable, 0);
    if ((code != 0 && code != ERR_STORE_FULL) || world.seq != durable)
        return 3;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
    // The same batch again, and the store goes on.
    for (int i = 0; i < 100; i++)
        assert_int_equal(append(&world, 1), 0);
    if (world.seq != durable + 100)
        return 4;
    expect_log(&world, 0, 1, world.seq);
    store_close(world.store);
    open_store(&world);
    expect_log(&world, 0, 1, world.seq);
    store_close(world.store);
    return 0;
}

static void test_full(void **state)
{
    struct world *world = *state;
    store_close(world->store);
    pid_t pid = fork();
    if (pid == 0)
        _exit(fill_disk(world->folder));
    int status;
    waitpid(pid, &status, 0);
    open_store(world);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void path_in(char *buf, size_t size, const struct world *world, const char *name)
{
    snprintf(buf, size, "%s/%s", world->folder, name);
}

static void sql(const struct world *world, const char *text)
{
    char path[128];
    path_in(path, sizeof(path), world, "muster.db");
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

// Turns one bit of the given bytes where they are found in a file.
static void damage(const char *path, const void *bytes, size_t len, size_t offset)
{
    cleanup_buf struct buf file = {0};
    assert_int_equal(fs_read(path, 64 << 20, &file, NULL), 0);
    char *at = memmem(file.data, file.len, bytes, len);
    assert_non_null(at);
    at[offset] ^= 4;
    assert_int_equal(fs_write_atomic(path, file.data, file.len, 0600, NULL), 0);
}

static void test_damage(void **state)
{
    struct world *world = *state;
    lead(world);
    for (int i = 0; i < 20; i++)
        assert_int_equal(append(world, 1), 0);
    assert_int_equal(snapshot(world, 5, 0), 0);
    store_close(world->store);
    char path[128];
    path_in(path, sizeof(path), world, "muster.db");
    cleanup_buf struct buf batch = {0};
    fill(&batch, 11);
    damage(path, batch.data + batch.len - 100, 100, 50); // its beginning may have an old copy elsewhere in the file
    open_store(world);
    struct reading reading;
    assert_int_equal(read_log(world, 0, &reading), ERR_STORE_CORRUPT);
    assert_int_equal(reading.next, 11); // up to the damage all is well
    expect_log(world, 11, 12, 20);
    expect_snapshot(world, 5);
    store_close(world->store);

    path_in(path, sizeof(path), world, "snapshot-5.bin");
    fill(&batch, 5 + 1000000);
    damage(path, batch.data, batch.len, batch.len - 1);
    open_store(world);
    uint64_t seq;
    uint8_t *data;
    size_t len;
    struct err err = {0};
    assert_int_equal(world->store->ops->snapshot_read(world->store, &seq, &data, &len, &err), ERR_STORE_CORRUPT);
    assert_non_null(strstr(err.text, "snapshot-5.bin"));
    store_close(world->store);
    unlink(path);
    open_store(world);
    assert_int_equal(world->store->ops->snapshot_read(world->store, &seq, &data, &len, &err), ERR_STORE_CORRUPT);
}

static void test_hole(void **state)
{
    struct world *world = *state;
    lead(world);
    for (int i = 0; i < 10; i++)
        assert_int_equal(append(world, 1), 0);
    store_close(world->store);
    sql(world, "DELETE FROM log WHERE first_seq = 6");
    open_store(world);
    struct reading reading;
    assert_int_equal(read_log(world, 0, &reading), ERR_STORE_CORRUPT);
    assert_int_equal(reading.next, 6);
    store_close(world->store);
    // A beginning that no snapshot replaces is refused at once.
    sql(world, "DELETE FROM log WHERE first_seq < 6");
    struct err err = {0};
    assert_int_equal(store_sqlite_open(world->folder, &world->store, &err), ERR_STORE_CORRUPT);
    sql(world, "DELETE FROM log");
    open_store(world);
}

static void test_foreign(void **state)
{
    struct world *world = *state;
    store_close(world->store);
    struct err err = {0};
    sql(world, "PRAGMA user_version = 99");
    assert_int_equal(store_sqlite_open(world->folder, &world->store, &err), ERR_VERSION);
    assert_non_null(strstr(err.text, "newer"));
    sql(world, "PRAGMA user_version = 1; PRAGMA application_id = 5");
    assert_int_equal(store_sqlite_open(world->folder, &world->store, &err), ERR_STORE_CORRUPT);
    char path[128];
    path_in(path, sizeof(path), world, "muster.db");
    assert_int_equal(fs_write_atomic(path, "This is no database, but text that is long enough to look at.", 60, 0600, NULL), 0);
    assert_int_equal(store_sqlite_open(world->folder, &world->store, &err), ERR_STORE_CORRUPT);
    unlink(path);
    assert_int_equal(store_sqlite_open("/tmp/there-is-no-such-folder", &world->store, &err), ERR_NOT_FOUND);
    open_store(world);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_leftovers(void **state)
{
    struct world *world = *state;
    lead(world);
    assert_int_equal(append(world, 1), 0);
    assert_int_equal(snapshot(world, 1, 0), 0);
    assert_int_equal(append(world, 1), 0);
    assert_int_equal(snapshot(world, 2, 0), 0);
    char path[128];
    path_in(path, sizeof(path), world, "snapshot-1.bin");
    assert_int_equal(access(path, F_OK), -1); // replaced
    path_in(path, sizeof(path), world, "snapshot-3.bin");
    assert_int_equal(fs_write_atomic(path, "never recorded", 14, 0600, NULL), 0);
    crash(world);
    assert_int_equal(access(path, F_OK), -1);
    expect_snapshot(world, 2);
}

static int see_large(void *context, const struct store_batch *batch, struct err *err)
{
    uint64_t *n = context;
    assert_int_equal(batch->first_seq, *n + 1);
    assert_int_equal(batch->data.len, 65536);
    assert_int_equal(batch->data.data[65535], (uint8_t)batch->first_seq);
    *n += 1;
    return 0;
}

// Checkpoints keep up with appends that never pause.
static void test_log_of_sqlite_stays_small(void **state)
{
    struct world *world = *state;
    lead(world);
    uint8_t *data = mem_alloc(65536);
    for (uint64_t seq = 1; seq <= 500; seq++) {
        memset(data, (int)(seq & 255), 65536);
        struct store_batch batch = {seq, 1, {data, 65536}};
        assert_int_equal(world->store->ops->append(world->store, world->epoch, &batch, NULL), 0);
        assert_int_equal(wait_done(world).code, 0);
    }
    mem_free(data);
    char path[128];
    path_in(path, sizeof(path), world, "muster.db-wal");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 26 << 20); // of 31 MiB that were written
    crash(world);
    uint64_t n = 0;
    assert_int_equal(world->store->ops->log_read(world->store, 0, see_large, &n, NULL), 0);
    assert_int_equal(n, 500);
}

#define TEST(name) {#name, name, set_up, tear_down, &backend}

int main(void)
{
    static enum backend backend = SQLITE;
    const struct CMUnitTest tests[] = {
        TEST(test_kill), TEST(test_lock),    TEST(test_full),      TEST(test_damage),
        TEST(test_hole), TEST(test_foreign), TEST(test_leftovers), TEST(test_log_of_sqlite_stays_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
