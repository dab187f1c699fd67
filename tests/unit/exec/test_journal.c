// SPDX-License-Identifier: Apache-2.0
// The bytes of the spawner's journal: what was written is read, and damage is contained.

#include "../test.h"

#include "base/assert.h"
#include "base/mem.h"
#include "exec/journal.h"

enum { SALT = 99 };

static struct exec_ident ident(uint64_t fence)
{
    return (struct exec_ident){.fence = fence, .run_id = fence + 1000, .index = (uint32_t)fence, .attempt = 2, .delivery = AT_MOST_ONCE};
}

static void add_all(struct buf *buf, uint64_t fence, const char *message)
{
    struct exec_ident who = ident(fence);
    struct attempt_end end = {.fence = fence, .outcome = OUTCOME_EXIT, .exit_code = -3, .start_usec = 5, .wall_usec = 6,
                              .usage = {.cpu_usec = 1, .memory_peak_bytes = 2, .read_bytes = 3, .written_bytes = 4, .output_bytes = 5}, .message = message};
    journal_add_accepted(buf, SALT, &who);
    journal_add_started(buf, SALT, fence, 77, 88, 99);
    journal_add_ended(buf, SALT, &who, &end);
}

static void begin(struct buf *buf)
{
    journal_header(buf, SALT);
    journal_add_instance(buf, SALT, "0123456789abcdef0123456789abcdef", "a-boot-id");
}

static void test_round_trip(void **state)
{
    (void)state;
    struct buf buf = {0};
    begin(&buf);
    add_all(&buf, 12, "a message");
    struct exec_ident running = ident(3);
    journal_add_accepted(&buf, SALT, &running);
    struct journal_state read;
    journal_read(buf.data, buf.len, &read);
    assert_false(read.cut || read.damaged);
    assert_string_equal(read.instance, "0123456789abcdef0123456789abcdef");
    assert_string_equal(read.boot_id, "a-boot-id");
    assert_int_equal(read.n_attempts, 2);
    assert_int_equal(read.attempts[0].ident.fence, 3); // by fence
    assert_false(read.attempts[0].ended);
    assert_int_equal(read.attempts[0].pid, 0);
    const struct journal_attempt *ended = &read.attempts[1];
    assert_int_equal(ended->ident.run_id, 1012);
    assert_int_equal(ended->ident.delivery, AT_MOST_ONCE);
    assert_int_equal(ended->pid, 77);
    assert_int_equal(ended->pid_ticks, 88);
    assert_int_equal(ended->start_usec, 99);
    assert_true(ended->ended);
    assert_int_equal(ended->end.exit_code, -3);
    assert_int_equal(ended->end.usage.output_bytes, 5);
    assert_string_equal(ended->end.message, "a message");
    journal_state_release(&read);
    buf_release(&buf);
}

static void test_forgotten(void **state)
{
    (void)state;
    struct buf buf = {0};
    begin(&buf);
    add_all(&buf, 1, "one");
    add_all(&buf, 2, NULL);
    journal_add_forgotten(&buf, SALT, (const uint64_t[]){1}, 1);
    struct journal_state read;
    journal_read(buf.data, buf.len, &read);
    assert_int_equal(read.n_attempts, 1);
    assert_int_equal(read.attempts[0].ident.fence, 2);
    assert_null(read.attempts[0].end.message);
    assert_int_equal(read.n_forgotten, 1);
    assert_int_equal(read.forgotten[0], 1);
    journal_state_release(&read);
    // No more than the latest are remembered.
    uint64_t *many = mem_alloc_array(JOURNAL_FORGOTTEN_MAX + 10, sizeof(uint64_t));
    for (size_t i = 0; i < JOURNAL_FORGOTTEN_MAX + 10; i++)
        many[i] = 100 + i;
    journal_add_forgotten(&buf, SALT, many, JOURNAL_FORGOTTEN_MAX + 10);
    journal_read(buf.data, buf.len, &read);
    assert_int_equal(read.n_forgotten, JOURNAL_FORGOTTEN_MAX);
    assert_int_equal(read.forgotten[JOURNAL_FORGOTTEN_MAX - 1], 100 + JOURNAL_FORGOTTEN_MAX + 9);
    journal_state_release(&read);
    mem_free(many);
    buf_release(&buf);
}

static void test_first_end_counts(void **state)
{
    (void)state;
    struct buf buf = {0};
    begin(&buf);
    add_all(&buf, 1, "first");
    add_all(&buf, 1, "second");
    struct journal_state read;
    journal_read(buf.data, buf.len, &read);
    assert_int_equal(read.n_attempts, 1);
    assert_string_equal(read.attempts[0].end.message, "first");
    journal_state_release(&read);
    buf_release(&buf);
}

static void test_every_cut(void **state)
{
    (void)state;
    struct buf buf = {0};
    begin(&buf);
    size_t head = buf.len;
    struct exec_ident one = ident(1), two = ident(2);
    journal_add_accepted(&buf, SALT, &one);
    size_t first = buf.len;
    journal_add_accepted(&buf, SALT, &two);
    for (size_t len = 0; len <= buf.len; len++) {
        struct journal_state read;
        journal_read(buf.data, len, &read);
        assert_false(read.damaged && len >= JOURNAL_HEADER_BYTES);
        assert_int_equal(read.n_attempts, len < first ? 0 : len < buf.len ? 1 : 2);
        bool whole = len == 0 || len == JOURNAL_HEADER_BYTES || len == head || len == first || len == buf.len;
        assert_int_equal(read.cut, !whole);
        journal_state_release(&read);
    }
    // Zeros behind the end are what a file system leaves after a crash.
    for (int i = 0; i < 100; i++)
        buf_addc(&buf, '\0');
    struct journal_state read;
    journal_read(buf.data, buf.len, &read);
    assert_false(read.cut || read.damaged);
    assert_int_equal(read.n_attempts, 2);
    journal_state_release(&read);
    buf_release(&buf);
}

static void test_every_damaged_byte(void **state)
{
    (void)state;
    struct buf buf = {0};
    begin(&buf);
    size_t head = buf.len;
    add_all(&buf, 1, "one");
    size_t middle = buf.len;
    add_all(&buf, 2, "two");
    for (size_t at = 0; at < buf.len; at++) {
        buf.data[at] = (char)(buf.data[at] ^ 0x55);
        struct journal_state read;
        journal_read(buf.data, buf.len, &read);
        assert_true(read.damaged || read.cut);
        // One byte costs at most the record that it is in.
        if (at >= head && at < middle)
            assert_true(read.n_attempts >= 1 && read.attempts[read.n_attempts - 1].ended);
        if (at >= middle)
            assert_true(read.n_attempts >= 1 && read.attempts[0].ended);
        journal_state_release(&read);
        buf.data[at] = (char)(buf.data[at] ^ 0x55);
    }
    buf_release(&buf);
}

static void test_long_message_is_cut(void **state)
{
    (void)state;
    struct buf buf = {0}, message = {0};
    for (int i = 0; i < 5000; i++)
        buf_addc(&message, 'x');
    begin(&buf);
    add_all(&buf, 1, message.data);
    struct journal_state read;
    journal_read(buf.data, buf.len, &read);
    assert_int_equal(read.n_attempts, 1);
    assert_int_equal(strlen(read.attempts[0].end.message), JOURNAL_MESSAGE_MAX);
    journal_state_release(&read);
    buf_release(&message);
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_forgotten),          cmocka_unit_test(test_first_end_counts),
        cmocka_unit_test(test_every_cut),       cmocka_unit_test(test_every_damaged_byte), cmocka_unit_test(test_long_message_is_cut),
    };
    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
