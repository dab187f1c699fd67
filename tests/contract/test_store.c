// SPDX-License-Identifier: Apache-2.0
// The contract of store/store.h over every implementation: memory, SQLite, and each of them inside the store that fails on purpose. A
// crash is crash() for memory and a close in the middle for SQLite. What only SQLite can show is in test_store_sqlite.c.
#include "store_world.h"

static void test_empty(void **state)
{
    struct world *world = *state;
    expect_snapshot(world, 0);
    expect_log(world, 0, 1, 0);
    struct store_done done;
    assert_int_equal(world->store->ops->poll(world->store, &done), 0);
    lead(world);
    assert_int_equal(world->epoch, 1);
    crash(world);
    lead(world);
    assert_int_equal(world->epoch, 2);
    expect_log(world, 0, 1, 0);
}

static void test_order(void **state)
{
    struct world *world = *state;
    lead(world);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(append(world, 1 + i % 3), 0);
    expect_log(world, 0, 1, world->seq);
    crash(world);
    expect_log(world, 0, 1, world->seq);
    expect_log(world, 1, 2, world->seq);     // batch 2..3 is whole
    expect_log(world, 2, 2, world->seq);     // it holds record 3
    expect_log(world, 3, 4, world->seq);
    expect_log(world, world->seq, 1, 0);
    struct reading reading = {.stop_code = ERR_INTERRUPTED};
    assert_int_equal(world->store->ops->log_read(world->store, 0, see_batch, &reading, NULL), ERR_INTERRUPTED);
    assert_int_equal(reading.n_batches, 1);
    // Goes on where it ended.
    lead(world);
    assert_int_equal(append(world, 5), 0);
    expect_log(world, 0, 1, world->seq);
}

static void test_refusals(void **state)
{
    struct world *world = *state;
    lead(world);
    assert_int_equal(append(world, 2), 0);
    struct err err = {0};
    assert_int_equal(begin_append(world, world->epoch, 2, 1, &err), ERR_INVALID);
    assert_int_equal(begin_append(world, world->epoch, 4, 1, &err), ERR_INVALID);
    assert_int_equal(begin_append(world, world->epoch, 3, 1, &err), 0);
    assert_int_equal(begin_append(world, world->epoch, 4, 1, &err), ERR_AGAIN);
    assert_true(err.text[0] != '\0');
    assert_int_equal(wait_done(world).code, 0);
    world->seq = 3;
    assert_int_equal(snapshot(world, 4, 0), ERR_INVALID);
    assert_int_equal(snapshot(world, 3, 0), 0);
    assert_int_equal(snapshot(world, 3, 0), ERR_INVALID);
    assert_int_equal(snapshot(world, 2, 0), ERR_INVALID);
    assert_int_equal(append(world, 1), 0);
    expect_log(world, 0, 1, 4);
}

static void test_unreported_may_be_lost(void **state)
{
    struct world *world = *state;
    lead(world);
    assert_int_equal(append(world, 3), 0);
    assert_int_equal(begin_append(world, world->epoch, 4, 1, NULL), 0);
    crash(world);
    struct reading reading;
    assert_int_equal(read_log(world, 0, &reading), 0);
    assert_in_range(reading.next, 4, 5); // whole or not at all
    world->seq = reading.next - 1;
    lead(world);
    assert_int_equal(append(world, 1), 0);
    expect_log(world, 0, 1, world->seq);
}

static void test_fence(void **state)
{
    struct world *world = *state;
    lead(world);
    assert_int_equal(append(world, 1), 0);
    uint64_t old = world->epoch;
    lead(world);
    assert_int_equal(begin_append(world, old, 2, 1, NULL), 0);
    struct store_done done = wait_done(world);
    assert_int_equal(done.code, ERR_STORE_FENCED);
    assert_int_equal(done.err.code, ERR_STORE_FENCED);
    expect_log(world, 0, 1, 1);
    assert_int_equal(world->store->ops->snapshot_write(world->store, old, 1, 1, mem_alloc(10), 10, NULL), 0);
    assert_int_equal(wait_done(world).code, ERR_STORE_FENCED);
    expect_snapshot(world, 0);
    assert_int_equal(append(world, 1), 0);
    // An epoch that was never given does not lead either.
    assert_int_equal(begin_append(world, world->epoch + 1, 3, 1, NULL), 0);
    assert_int_equal(wait_done(world).code, ERR_STORE_FENCED);
    crash(world);
    expect_log(world, 0, 1, 2);
}

// Truncation goes on in small steps after the snapshot was reported: wait until record `seq` is gone.
static void expect_truncated(struct world *world, uint64_t seq)
{
    struct reading reading;
    for (int i = 0; i < 500 && read_log(world, seq - 1, &reading) != ERR_NOT_FOUND; i++)
        usleep(10 * 1000);
    assert_int_equal(read_log(world, seq - 1, &reading), ERR_NOT_FOUND);
    assert_int_equal(read_log(world, 0, &reading), ERR_NOT_FOUND);
}

static void test_snapshot(void **state)
{
    struct world *world = *state;
    lead(world);
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(append(world, 2), 0);
    assert_int_equal(snapshot(world, 300, 100), 0);
    expect_snapshot(world, 300);
    expect_truncated(world, 100);
    expect_log(world, 100, 101, 400);
    expect_log(world, 300, 301, 400);
    assert_int_equal(append(world, 1), 0);
    crash(world);
    expect_snapshot(world, 300);
    expect_log(world, 300, 301, 401);
    lead(world);
    // Everything goes: positions go on from the snapshot.
    assert_int_equal(snapshot(world, 401, UINT64_MAX), 0);
    expect_truncated(world, 401);
    expect_log(world, 401, 1, 0);
    crash(world);
    expect_snapshot(world, 401);
    expect_log(world, 401, 1, 0);
    lead(world);
    assert_int_equal(append(world, 1), 0);
    expect_log(world, 401, 402, 402);
    // In the middle of a batch: the batch stays.
    assert_int_equal(append(world, 4), 0);
    assert_int_equal(snapshot(world, 404, 404), 0);
    expect_truncated(world, 402);
    expect_log(world, 404, 403, 406);
}

static void test_snapshot_beside_appends(void **state)
{
    struct world *world = *state;
    lead(world);
    assert_int_equal(append(world, 1), 0);
    size_t len = 3 << 20;
    uint8_t *data = mem_alloc(len);
    memset(data, 7, len);
    assert_int_equal(world->store->ops->snapshot_write(world->store, world->epoch, 1, 1, data, len, NULL), 0);
    assert_int_equal(world->store->ops->snapshot_write(world->store, world->epoch, 1, 1, mem_alloc(1), 1, NULL), ERR_AGAIN);
    bool kept = false;
    for (uint64_t seq = 2; seq <= 30 || !kept; seq++) {
        assert_int_equal(begin_append(world, world->epoch, seq, 1, NULL), 0);
        struct store_done done = wait_done(world);
        if (done.op == STORE_SNAPSHOT) {
            assert_int_equal(done.code, 0);
            assert_false(kept);
            kept = true;
            done = wait_done(world);
        }
        assert_int_equal(done.op, STORE_APPEND);
        assert_int_equal(done.code, 0);
        world->seq = seq;
    }
    crash(world);
    uint64_t seq;
    uint8_t *back;
    size_t back_len;
    assert_int_equal(world->store->ops->snapshot_read(world->store, &seq, &back, &back_len, NULL), 0);
    assert_int_equal(seq, 1);
    assert_int_equal(back_len, len);
    assert_int_equal(back[len - 1], 7);
    mem_free(back);
    expect_log(world, 1, 2, world->seq);
}

static void test_fault_lands_or_not(void **state)
{
    struct world *world = *state;
    lead(world);
    store_faulty_plan(world->store, FAULT_APPEND, 2, 1, ERR_STORE_UNKNOWN, true);
    assert_int_equal(append(world, 1), 0);
    assert_int_equal(append(world, 1), ERR_STORE_UNKNOWN);
    expect_log(world, 0, 1, 2); // it landed
    world->seq = 2;
    store_faulty_plan(world->store, FAULT_APPEND, 1, 2, ERR_STORE_FULL, false);
    assert_int_equal(append(world, 1), ERR_STORE_FULL);
    assert_int_equal(append(world, 1), ERR_STORE_FULL);
    expect_log(world, 0, 1, 2);
    assert_int_equal(append(world, 1), 0); // the same batch again
    store_faulty_plan(world->store, FAULT_SNAPSHOT_WRITE, 1, -1, ERR_IO, false);
    assert_int_equal(snapshot(world, 3, 3), ERR_IO);
    assert_int_equal(snapshot(world, 3, 3), ERR_IO);
    expect_snapshot(world, 0);
    store_faulty_plan(world->store, FAULT_LEAD, 1, 1, ERR_STORE_BUSY, false);
    uint64_t epoch;
    assert_int_equal(world->store->ops->lead(world->store, "test", &epoch, NULL), ERR_STORE_BUSY);
    store_faulty_plan(world->store, FAULT_LOG_READ, 1, 1, ERR_IO, true);
    struct reading reading;
    assert_int_equal(read_log(world, 0, &reading), ERR_IO);
    assert_int_equal(reading.next, 4);
    assert_int_equal(append(world, 1), 0);
}

// A little life of a store. Returns at the first failure, with what is known to be durable in world->seq.
static int live(struct world *world, uint64_t *ret_possible)
{
    uint64_t seq, epoch;
    uint8_t *data = NULL;
    size_t len;
    struct err err = {0};
    struct reading reading;
    *ret_possible = world->seq;
    int code = world->store->ops->lead(world->store, "test", &epoch, &err);
    if (code < 0)
        return code;
    assert_true(epoch > world->epoch);
    world->epoch = epoch;
    code = world->store->ops->snapshot_read(world->store, &seq, &data, &len, &err);
    if (code < 0)
        return code;
    mem_free(data);
    code = read_log(world, seq, &reading);
    if (code < 0)
        return code;
    // What had an unknown outcome shows itself now.
    if (reading.n_batches > 0)
        world->seq = reading.next - 1;
    for (int i = 0; i < 6; i++) {
        *ret_possible = world->seq + 1;
        code = append(world, 1);
        if (code < 0)
            return code;
        if (i % 2 == 1)
            code = snapshot(world, world->seq, world->seq - 1);
        if (code < 0)
            return code;
    }
    return 0;
}

static void fault_loop(struct world *world, enum fault_call call, bool lands)
{
    int failures = 0;
    for (uint64_t n = 1;; n++) {
        store_faulty_plan(world->store, call, n, 1, ERR_STORE_UNKNOWN, lands);
        uint64_t before = world->seq, possible;
        int code = live(world, &possible);
        store_faulty_plan(world->store, call, 0, 1, ERR_IO, false);
        if (code == 0)
            break;
        assert_int_equal(code, ERR_STORE_UNKNOWN);
        failures++;
        assert_true(world->seq >= before);
        crash(world);
        struct reading reading;
        uint64_t seq, last;
        uint8_t *data;
        size_t len;
        assert_int_equal(world->store->ops->snapshot_read(world->store, &seq, &data, &len, NULL), 0);
        mem_free(data);
        assert_int_equal(read_log(world, seq, &reading), 0);
        last = reading.n_batches > 0 ? reading.next - 1 : seq;
        // Everything that was reported is there, and nothing that was not even begun.
        assert_in_range(last, world->seq, possible);
        if (call == FAULT_APPEND)
            assert_int_equal(last, lands ? world->seq + 1 : world->seq);
    }
    assert_true(failures >= 1);
}

static void test_fault_loop(void **state)
{
    struct world *world = *state;
    for (enum fault_call call = FAULT_LEAD; call < FAULT_CALLS; call++) {
        fault_loop(world, call, false);
        if (call != FAULT_SNAPSHOT_READ)
            fault_loop(world, call, true);
    }
}

#define TEST(name, backend) {#name "/" #backend, name, set_up, tear_down, &backends[backend]}
#define TEST_ALL(name) TEST(name, MEMORY), TEST(name, SQLITE), TEST(name, FAULTY_MEMORY), TEST(name, FAULTY_SQLITE)

int main(void)
{
    static enum backend backends[BACKENDS] = {MEMORY, SQLITE, FAULTY_MEMORY, FAULTY_SQLITE};
    const struct CMUnitTest tests[] = {
        TEST_ALL(test_empty),
        TEST_ALL(test_order),
        TEST_ALL(test_refusals),
        TEST_ALL(test_unreported_may_be_lost),
        TEST_ALL(test_fence),
        TEST_ALL(test_snapshot),
        TEST_ALL(test_snapshot_beside_appends),
        TEST(test_fault_lands_or_not, FAULTY_MEMORY),
        TEST(test_fault_lands_or_not, FAULTY_SQLITE),
        TEST(test_fault_loop, FAULTY_MEMORY),
        TEST(test_fault_loop, FAULTY_SQLITE),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
