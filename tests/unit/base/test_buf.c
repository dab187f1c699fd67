// SPDX-License-Identifier: Apache-2.0
// Growable bytes.

#include "base/buf.h"
#include "base/mem.h"

#include "tests/unit/test.h"

static void test_always_a_string(void **state)
{
    struct buf buf;
    buf_init(&buf);
    assert_string_equal(buf.data, "");
    buf_adds(&buf, "abc");
    buf_addc(&buf, 'd');
    buf_add(&buf, "\0e", 2);
    assert_int_equal(buf.len, 6);
    assert_memory_equal(buf.data, "abcd\0e", 7);
    buf_clear(&buf);
    assert_string_equal(buf.data, "");
    assert_int_equal(buf.len, 0);
    buf_release(&buf);
    assert_string_equal(buf.data, "");
    buf_clear(&buf);
    buf_release(&buf);
    buf_release(NULL);
}

static void test_a_zeroed_buf_is_valid(void **state)
{
    struct buf buf = {0};
    buf_clear(&buf);
    buf_add(&buf, NULL, 0);
    buf_printf(&buf, "%s", "");
    assert_string_equal(buf.data, "");
    buf_release(&buf);
}

static void test_printf_grows(void **state)
{
    struct buf buf = {0};
    size_t len = 0;
    for (int i = 0; i < 300; i++) {
        buf_printf(&buf, "%0*d", i + 1, 7);
        len += (size_t)i + 1;
        assert_int_equal(buf.len, len);
        assert_int_equal(strlen(buf.data), len);
        assert_int_equal(buf.data[len - 1], '7');
    }
    buf_release(&buf);
}

static void test_in_place(void **state)
{
    struct buf buf = {0};
    buf_reserve(&buf, 10);
    memcpy(buf.data, "0123456789", 10);
    buf_grew(&buf, 10);
    assert_string_equal(buf.data, "0123456789");
    buf_drop_front(&buf, 4);
    assert_string_equal(buf.data, "456789");
    buf_truncate(&buf, 2);
    assert_string_equal(buf.data, "45");
    assert_aborts(buf_truncate(&buf, 3));
    assert_aborts(buf_drop_front(&buf, 3));
    assert_aborts(buf_grew(&buf, 100000));
    buf_release(&buf);
}

static void test_detach(void **state)
{
    struct buf buf;
    buf_init(&buf);
    char *empty = buf_detach(&buf);
    assert_string_equal(empty, "");
    empty[0] = 'x';
    mem_free(empty);
    assert_string_equal(buf.data, "");
    buf_adds(&buf, "abc");
    char *text = buf_detach(&buf);
    assert_string_equal(text, "abc");
    assert_int_equal(buf.len, 0);
    mem_free(text);
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always_a_string),
        cmocka_unit_test(test_a_zeroed_buf_is_valid),
        cmocka_unit_test(test_printf_grows),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_detach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
