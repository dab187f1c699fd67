// SPDX-License-Identifier: Apache-2.0
// Error values and their table.

#include "base/err.h"

#include <errno.h>

#include "tests/unit/test.h"

static void test_set_wrap_and_clear(void **state)
{
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_NOT_FOUND, "no job '%s'", "etl"), ERR_NOT_FOUND);
    assert_string_equal(err.text, "no job 'etl'");
    assert_int_equal(err_wrap(&err, ERR_INVALID, "run %d", 7), ERR_INVALID);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, "run 7: no job 'etl'");
    assert_int_equal(err_set(&err, ERR_IO, "again: %s", err.text), ERR_IO);
    assert_string_equal(err.text, "again: run 7: no job 'etl'");
    err_clear(&err);
    assert_int_equal(err.code, 0);
    assert_string_equal(err.text, "");
    err_wrap(&err, ERR_IO, "alone");
    assert_string_equal(err.text, "alone");
}

static void test_null_is_allowed(void **state)
{
    errno = ENOENT;
    assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
    assert_int_equal(err_wrap(NULL, ERR_RANGE, "x"), ERR_RANGE);
    assert_int_equal(err_errno(NULL, ERR_LIMIT, "x"), ERR_LIMIT);
    err_clear(NULL);
    assert_int_equal(errno, ENOENT);
}

static void test_errno_is_said_and_kept(void **state)
{
    struct err err = {0};
    errno = EACCES;
    assert_int_equal(err_errno(&err, ERR_DENIED, "open '%s'", "/x"), ERR_DENIED);
    assert_string_equal(err.text, "open '/x': Permission denied");
    assert_int_equal(errno, EACCES);
    assert_int_equal(err_from_errno(EACCES), ERR_DENIED);
    assert_int_equal(err_from_errno(ENOENT), ERR_NOT_FOUND);
    assert_int_equal(err_from_errno(ENOSPC), ERR_STORE_FULL);
    assert_int_equal(err_from_errno(EBADF), ERR_IO);
    assert_int_equal(err_from_errno(0), ERR_OK);
}

static void test_long_text_is_cut_between_characters(void **state)
{
    struct err err = {0};
    char text[ERR_TEXT_MAX * 2];
    // "x" and then two-byte letters: byte 238 is the second half of one, byte 239 would be the first of the next.
    text[0] = 'x';
    for (size_t i = 1; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    err_set(&err, ERR_IO, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    err_set(&err, ERR_IO, "%s", text + 1);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 2);
    err_wrap(&err, ERR_IO, "y");
    assert_true(strlen(err.text) < ERR_TEXT_MAX);
    assert_int_equal((unsigned char)err.text[strlen(err.text) - 1], 0xa9);
}

static void test_only_negative_codes(void **state)
{
    struct err err = {0};
    assert_aborts(err_set(&err, 0, "x"));
    assert_aborts(err_wrap(NULL, 5, "x"));
}

static void test_table(void **state)
{
    assert_int_equal(ERR_INVALID, -1);
    assert_string_equal(err_name(ERR_NOT_FOUND), "not_found");
    assert_string_equal(err_name(ERR_STORE_FENCED), "store_fenced");
    assert_string_equal(err_name(0), "ok");
    assert_string_equal(err_name(-9999), "internal");
    assert_string_equal(err_name(3), "internal");
    assert_int_equal(err_http_status(ERR_DENIED), 403);
    assert_int_equal(err_http_status(ERR_UNAUTHENTICATED), 401);
    assert_int_equal(err_http_status(ERR_LIMIT), 429);
    assert_int_equal(err_http_status(ERR_TOO_LARGE), 413);
    assert_int_equal(err_http_status(ERR_UNAVAILABLE), 503);
    assert_int_equal(err_http_status(ERR_STORE_FULL), 507);
    assert_int_equal(err_http_status(0), 200);
    assert_int_equal(err_exit_status(0), 0);
    assert_int_equal(err_exit_status(ERR_DENIED), 77);
}

static void test_names_go_both_ways(void **state)
{
    int count = 0;
#define ERR(name, number, http_status, exit_status, sentence) \
    assert_int_equal(err_from_name(err_name(ERR_##name)), ERR_##name); \
    assert_string_equal(err_sentence(ERR_##name), sentence); \
    count++;
#include "spec/errors.def"
#undef ERR
    assert_int_equal(count, 26);
    assert_int_equal(err_from_name("ok"), 0);
    assert_int_equal(err_from_name("no_such_error"), ERR_INTERNAL);
    assert_int_equal(err_from_name("NOT_FOUND"), ERR_INTERNAL);
    assert_int_equal(err_from_name(NULL), ERR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_wrap_and_clear),
        cmocka_unit_test(test_null_is_allowed),
        cmocka_unit_test(test_errno_is_said_and_kept),
        cmocka_unit_test(test_long_text_is_cut_between_characters),
        cmocka_unit_test(test_only_negative_codes),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_names_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
