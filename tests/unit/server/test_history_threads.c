// SPDX-License-Identifier: Apache-2.0
// The threads of the history: what is fed arrives in order and once, reads wait for the position they ask for, and for a second at most.
#include "tests/unit/test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "codec/codec.h"
#include "server/history_reader.h"
#include "server/history_worker.h"
#include "store/history.h"

struct world {
    char path[64];
    struct loop *loop;
    struct history_worker *worker;
    struct history_reader *reader;
    uint64_t told_seq;
    uint64_t fed_seq;
};

static void on_position(void *context, uint64_t seq)
{
    struct world *w = context;
    assert_true(seq > w->told_seq);
    w->told_seq = seq;
    assert_int_equal(history_worker_position(w->worker), seq);
    history_reader_advanced(w->reader, seq);
}

static void open_threads(struct world *w)
{
    struct history_worker_options options = {
        .path = w->path, .loop = w->loop, .retention_usec = USEC_PER_DAY, .on_position = on_position, .context = w};
    assert_int_equal(history_worker_open(&options, &w->worker, NULL), 0);
    assert_int_equal(history_reader_open(w->path, w->loop, &w->reader, NULL), 0);
    w->told_seq = history_worker_position(w->worker);
    history_reader_advanced(w->reader, w->told_seq);
}

static void close_threads(struct world *w)
{
    history_reader_close(w->reader);
    history_worker_close(w->worker);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    snprintf(w->path, sizeof(w->path), "/tmp/muster-history-XXXXXX");
    assert_non_null(mkdtemp(w->path));
    assert_int_equal(loop_new(&w->loop, NULL), 0);
    open_threads(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    close_threads(w);
    loop_free(w->loop);
    assert_int_equal(fs_remove_tree(w->path, NULL), 0);
    free(w);
    return 0;
}

// Packs records first .. last, of a kind that has no consequence.
static void pack(struct buf *out, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++) {
        struct record record = {.kind = REC_EPOCH_BEGAN, .seq = seq, .at_usec = 1000, .epoch_began = {.epoch = seq, .server = "s", .version = "1"}};
        record_pack(out, &record);
    }
}

static void feed(struct world *w, uint64_t first, uint64_t last)
{
    struct buf packed = {0};
    pack(&packed, first, last);
    history_worker_feed(w->worker, (struct bytes){(const uint8_t *)packed.data, packed.len}, last);
    buf_release(&packed);
    w->fed_seq = last;
}

static void await_position(struct world *w, uint64_t seq)
{
    usec_t until = clock_mono_usec() + 10 * USEC_PER_SEC;
    while (history_worker_position(w->worker) < seq) {
        assert_true(clock_mono_usec() < until);
        assert_int_equal(loop_turn(w->loop, 10 * USEC_PER_MSEC, NULL), 0);
    }
}

static void test_feeds_in_order(void **state)
{
    struct world *w = *state;
    for (uint64_t seq = 1; seq < 1000; seq += 10)
        feed(w, seq, seq + 9);
    await_position(w, 1000);
    assert_int_equal(w->told_seq, 1000);
    assert_int_equal(history_worker_lag_bytes(w->worker), 0);
}

static void test_goes_on_after_a_restart(void **state)
{
    struct world *w = *state;
    feed(w, 1, 50);
    await_position(w, 50);
    close_threads(w);
    open_threads(w);
    assert_int_equal(history_worker_position(w->worker), 50);
    // The log has batches that the history took in already, whole or in part.
    feed(w, 1, 50);
    assert_int_equal(history_worker_lag_bytes(w->worker), 0);
    feed(w, 45, 60);
    await_position(w, 60);
    assert_int_equal(w->told_seq, 60);
}

struct one_read {
    struct history_read read;
    uint64_t seq;
    bool done;
    int code;
};

static int run_seq(struct history_read *read, struct history *history, struct err *err)
{
    return history_seq(history, &container_of(read, struct one_read, read)->seq, err);
}

static void done_seq(struct history_read *read)
{
    struct one_read *one = container_of(read, struct one_read, read);
    assert_false(one->done);
    one->done = true;
    one->code = read->code;
}

static void await_read(struct world *w, struct one_read *one)
{
    usec_t until = clock_mono_usec() + 10 * USEC_PER_SEC;
    while (!one->done) {
        assert_true(clock_mono_usec() < until);
        assert_int_equal(loop_turn(w->loop, 10 * USEC_PER_MSEC, NULL), 0);
    }
}

static void test_a_read_sees_what_was_written_before(void **state)
{
    struct world *w = *state;
    for (uint64_t seq = 1; seq < 100; seq++) {
        struct one_read one = {.read = {.run = run_seq, .done = done_seq}};
        feed(w, seq, seq);
        history_reader_ask(w->reader, &one.read, seq);
        history_worker_hurry(w->worker);
        await_read(w, &one);
        assert_int_equal(one.code, 0);
        assert_int_equal(one.seq, seq);
    }
}

static void test_a_read_waits_for_a_second_at_most(void **state)
{
    struct world *w = *state;
    struct one_read late = {.read = {.run = run_seq, .done = done_seq}};
    struct one_read any = {.read = {.run = run_seq, .done = done_seq}};
    usec_t began = clock_mono_usec();
    history_reader_ask(w->reader, &late.read, 10);
    history_reader_ask(w->reader, &any.read, 0);
    assert_true(history_reader_waits(w->reader));
    await_read(w, &any);
    assert_false(late.done);
    await_read(w, &late);
    assert_int_equal(late.code, 0);
    assert_int_equal(late.seq, 0);
    assert_true(clock_mono_usec() - began >= USEC_PER_SEC - 10 * USEC_PER_MSEC);
    assert_true(clock_mono_usec() - began < 5 * USEC_PER_SEC);
    assert_false(history_reader_waits(w->reader));
}

static void test_the_end_answers_every_read(void **state)
{
    struct world *w = *state;
    struct one_read reads[20] = {0};
    for (int i = 0; i < 20; i++) {
        reads[i].read = (struct history_read){.run = run_seq, .done = done_seq};
        history_reader_ask(w->reader, &reads[i].read, i % 2 == 0 ? 0 : 100);
    }
    close_threads(w);
    for (int i = 0; i < 20; i++) {
        assert_true(reads[i].done);
        assert_true(reads[i].code == 0 || reads[i].code == ERR_INTERRUPTED);
        if (i % 2 == 1)
            assert_int_equal(reads[i].code, ERR_INTERRUPTED);
    }
    open_threads(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_feeds_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goes_on_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_read_sees_what_was_written_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_read_waits_for_a_second_at_most, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end_answers_every_read, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
