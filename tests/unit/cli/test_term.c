// SPDX-License-Identifier: Apache-2.0
// Text for people: widths, cuts, times, tables.

#include "cli/term.h"

#include <locale.h>

#include "tests/unit/test.h"

static void fit(const char *text, size_t width, const char *wanted)
{
    struct buf out = {0};
    buf_init(&out);
    text_fit(&out, text, width);
    assert_string_equal(out.data, wanted);
    buf_release(&out);
}

static void test_widths_and_cuts(void **state)
{
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("é漢字"), 5);
    fit("abcdef", 6, "abcdef");
    fit("abcdef", 5, "abcd…");
    fit("漢字漢字", 5, "漢字…");
    fit("漢字漢字", 4, "漢…");
    fit("a\033[31mred\n", 0, "a?[31mred?");
    fit("bad \xff\xc3", 0, "bad ??");
    fit("", 3, "");
}

static void test_times(void **state)
{
    char buf[40];
    usec_t now = 0;
    assert_int_equal(time_parse("2026-11-23T12:00:00Z", &now, NULL), 0);
    assert_string_equal(text_ago(buf, "2026-11-23T11:59:57Z", now), "3 s ago");
    assert_string_equal(text_ago(buf, "2026-11-23T12:00:05Z", now), "in 5 s");
    assert_string_equal(text_ago(buf, "2026-11-23T12:00:00.5Z", now), "now");
    assert_string_equal(text_ago(buf, "2026-11-23T11:30:00Z", now), "30 min ago");
    assert_string_equal(text_ago(buf, "2026-11-22T12:00:00Z", now), "24 h ago");
    assert_string_equal(text_ago(buf, "2026-11-20T12:00:00Z", now), "3 d ago");
    assert_string_equal(text_ago(buf, "2026-10-20T12:34:00Z", now), "2026-10-20 12:34");
    assert_string_equal(text_ago(buf, NULL, now), "-");
    assert_string_equal(text_ago(buf, "nonsense", now), "-");
    assert_string_equal(text_span(buf, 340000), "340 ms");
    assert_string_equal(text_span(buf, 1570000), "1.5 s");
    assert_string_equal(text_span(buf, 12 * USEC_PER_SEC), "12 s");
    assert_string_equal(text_span(buf, 185 * USEC_PER_SEC), "3 min 5 s");
    assert_string_equal(text_span(buf, 7800 * USEC_PER_SEC), "2 h 10 min");
    assert_string_equal(text_span(buf, -5), "0 ms");
    assert_string_equal(text_between(buf, "2026-11-23T11:59:48Z", NULL, now), "12 s");
    assert_string_equal(text_between(buf, NULL, NULL, now), "-");
}

// What a table prints at this width.
static char *printed(const struct table *table, int width)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    assert_non_null(file);
    // A memory stream is no terminal: it has no descriptor, so no colour either.
    table_print(table, file, width);
    fclose(file);
    return text;
}

static void test_tables(void **state)
{
    static const struct table_column columns[] = {{"N", TABLE_RIGHT}, {"NAME", TABLE_SHRINK}, {"END", 0}};
    struct table table;
    table_init(&table, columns, 3);
    table_addf(&table, "%d", 7);
    table_add(&table, "a name that is long");
    table_add(&table, NULL);
    table_add(&table, "100");
    table_add(&table, "名前");
    table_add_colour(&table, "ok", COLOUR_GREEN);
    char *text = printed(&table, 0);
    assert_string_equal(text, "  N  NAME                 END\n"
                              "  7  a name that is long  -\n"
                              "100  名前                 ok\n");
    free(text);
    text = printed(&table, 20);
    assert_string_equal(text, "  N  NAME        END\n"
                              "  7  a name th…  -\n"
                              "100  名前        ok\n");
    free(text);
    table_release(&table);
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths_and_cuts),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
