// SPDX-License-Identifier: Apache-2.0
// iCalendar files: whole days, stretches, rules, exceptions, and what is told of the rest.
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/ics.h"
#include "tests/unit/test.h"

static struct ics_options options(void)
{
    struct ics_options ret;
    assert_int_equal(date_parse("2026-01-01", &ret.first_day, NULL), 0);
    assert_int_equal(date_parse("2030-12-31", &ret.last_day, NULL), 0);
    return ret;
}

// The dates and what is told, one a line.
static void parse(const char *events, struct buf *ret)
{
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Days off\r\n%sEND:VCALENDAR\r\n", events);
    struct ics_options range = options();
    struct ics ics;
    struct err err = {0};
    if (ics_parse(text.data, text.len, &range, &ics, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(ics.name, "Days off");
    buf_init(ret);
    for (size_t i = 0; i < ics.n_dates; i++) {
        char first[16], last[16];
        date_format(first, ics.dates[i].first_day);
        date_format(last, ics.dates[i].last_day);
        buf_printf(ret, "%s%s%s %s\n", first, strcmp(first, last) != 0 ? ".." : "", strcmp(first, last) != 0 ? last : "",
                   ics.dates[i].label != NULL ? ics.dates[i].label : "-");
    }
    for (size_t i = 0; i < ics.n_lines; i++)
        buf_printf(ret, "%u%s %s%s%s\n", ics.lines[i].number, ics.lines[i].lost ? " lost" : "", ics.lines[i].text, ics.lines[i].remark != NULL ? " -- " : "",
                   ics.lines[i].remark != NULL ? ics.lines[i].remark : "");
    ics_release(&ics);
    buf_release(&text);
}

static void check(const char *events, const char *expect)
{
    struct buf got;
    parse(events, &got);
    assert_string_equal(got.data, expect);
    buf_release(&got);
}

#define EVENT(lines) "BEGIN:VEVENT\r\nUID:a\r\n" lines "END:VEVENT\r\n"

static void test_days(void **state)
{
    (void)state;
    check(EVENT("DTSTART;VALUE=DATE:20261225\r\nSUMMARY:Christmas\r\n"), "2026-12-25 Christmas\n4 2026-12-25: Christmas\n");
    // The end is the day behind it; the same day, or one before, is one day.
    check(EVENT("DTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227\r\n"), "2026-12-24..2026-12-26 -\n4 2026-12-24 to 2026-12-26: without a title\n");
    check(EVENT("DTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261224\r\n"), "2026-12-24 -\n4 2026-12-24: without a title\n");
    check(EVENT("DTSTART;VALUE=DATE:20261224\r\nDURATION:P3D\r\nSUMMARY:Three\r\n"), "2026-12-24..2026-12-26 Three\n4 2026-12-24 to 2026-12-26: Three\n");
    // Folded lines, escapes, and letters that take two bytes.
    check(EVENT("SUMMARY:Neu\r\n jahr\\, f\xc3\xbcr alle\r\nDTSTART;VALUE=DATE:\r\n 20270101\r\n"),
          "2027-01-01 Neujahr, f\xc3\xbcr alle\n4 2027-01-01: Neujahr, f\xc3\xbcr alle\n");
    check(EVENT("DTSTART;TZID=Europe/Berlin:20270507T000000\r\nDTEND;TZID=Europe/Berlin:20270508T000000\r\n"),
          "2027-05-07 -\n4 2027-05-07: without a title -- from midnight to midnight: these are taken as whole days\n");
}

static void test_rules(void **state)
{
    (void)state;
    check(EVENT("DTSTART;VALUE=DATE:20000101\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:New Year\r\n"),
          "2026-01-01 New Year\n2027-01-01 New Year\n2028-01-01 New Year\n2029-01-01 New Year\n2030-01-01 New Year\n"
          "4 2000-01-01 and again, 5 times up to 2030-01-01: New Year -- days before 2026-01-01 are left out; days after 2030-12-31 are left out\n");
    check(EVENT("DTSTART;VALUE=DATE:19901003\r\nRRULE:FREQ=YEARLY;UNTIL=20271231\r\n"),
          "2026-10-03 -\n2027-10-03 -\n4 1990-10-03 and again, 2 times up to 2027-10-03: without a title -- days before 2026-01-01 are left out\n");
    // The last Monday of May, three times, but not in 2027, and a day more.
    check(EVENT("DTSTART;VALUE=DATE:20260525\r\nRRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;COUNT=3\r\nEXDATE;VALUE=DATE:20270531\r\n"
                "RDATE;VALUE=DATE:20270604,20280605\r\n"),
          "2026-05-25 -\n2027-06-04 -\n2028-05-29 -\n2028-06-05 -\n4 2026-05-25 and again, 4 times up to 2028-05-29: without a title\n");
    // An event of two days that repeats, and a leap day.
    check(EVENT("DTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261227\r\nRRULE:FREQ=YEARLY;COUNT=2\r\n"),
          "2026-12-25..2026-12-26 -\n2027-12-25..2027-12-26 -\n4 2026-12-25 to 2026-12-26 and again, 2 times up to 2027-12-25: without a title\n");
    check(EVENT("DTSTART;VALUE=DATE:20240229\r\nRRULE:FREQ=YEARLY\r\n"),
          "2028-02-29 -\n4 2024-02-29 and again, 1 time up to 2028-02-29: without a title -- days before 2026-01-01 are left out; days after 2030-12-31 are left out\n");
    // Weekends touch each other and become one entry each.
    check(EVENT("DTSTART;VALUE=DATE:20260103\r\nRRULE:FREQ=WEEKLY;BYDAY=SA,SU;COUNT=4\r\n"),
          "2026-01-03..2026-01-04 -\n2026-01-10..2026-01-11 -\n4 2026-01-03 and again, 4 times up to 2026-01-11: without a title\n");
}

static void test_moved_days(void **state)
{
    (void)state;
    check("BEGIN:VEVENT\r\nUID:m\r\nDTSTART;VALUE=DATE:20260501\r\nRRULE:FREQ=YEARLY;COUNT=3\r\nSUMMARY:May Day\r\nEND:VEVENT\r\n"
          "BEGIN:VEVENT\r\nUID:m\r\nRECURRENCE-ID;VALUE=DATE:20270501\r\nDTSTART;VALUE=DATE:20270503\r\nSUMMARY:May Day (moved)\r\nEND:VEVENT\r\n"
          "BEGIN:VEVENT\r\nUID:other\r\nDTSTART;VALUE=DATE:20270501\r\nSUMMARY:Other\r\nEND:VEVENT\r\n",
          "2026-05-01 May Day\n2027-05-01 Other\n2027-05-03 May Day (moved)\n2028-05-01 May Day\n"
          "4 2026-05-01 and again, 2 times up to 2028-05-01: May Day\n10 2027-05-03: May Day (moved)\n16 2027-05-01: Other\n");
    // One of them does not take place.
    check("BEGIN:VEVENT\r\nUID:m\r\nDTSTART;VALUE=DATE:20260501\r\nRRULE:FREQ=YEARLY;COUNT=2\r\nEND:VEVENT\r\n"
          "BEGIN:VEVENT\r\nUID:m\r\nRECURRENCE-ID;VALUE=DATE:20270501\r\nDTSTART;VALUE=DATE:20270501\r\nSTATUS:CANCELLED\r\nEND:VEVENT\r\n",
          "2026-05-01 -\n4 2026-05-01 and again, 1 time up to 2026-05-01: without a title\n9 lost VEVENT -- it is cancelled\n");
}

static void test_what_is_left_out(void **state)
{
    (void)state;
    check(EVENT("DTSTART:20261224T140000Z\r\nDTEND:20261224T180000Z\r\nSUMMARY:Half a day\r\n"),
          "4 lost Half a day -- it has a time of the day (2026-12-24 14:00), and a calendar holds whole days\n");
    check(EVENT("SUMMARY:Never\r\n"), "4 lost Never -- it has no beginning (DTSTART)\n");
    check(EVENT("DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=HOURLY;COUNT=3\r\n"), "4 lost VEVENT -- its rule repeats within a day and is left out\n");
    check(EVENT("DTSTART;VALUE=DATE:20100101\r\nRRULE:FREQ=YEARLY;COUNT=3\r\n"), "4 lost VEVENT -- days before 2026-01-01 are left out\n");
    check(EVENT("DTSTART;VALUE=DATE:19500101\r\n"), "4 lost VEVENT -- its beginning is no date from 1970 on\n");
    check("BEGIN:VTIMEZONE\r\nTZID:X\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
          "BEGIN:VTODO\r\nSUMMARY:Buy milk\r\nEND:VTODO\r\n" EVENT("DTSTART;VALUE=DATE:20270101\r\nBEGIN:VALARM\r\nTRIGGER:-PT1H\r\nEND:VALARM\r\n"),
          "2027-01-01 -\n10 lost VTODO -- only events become dates\n13 2027-01-01: without a title\n");
    // A broken event harms only itself.
    check(EVENT("DTSTART;VALUE=DATE:2026-13-99\r\n") EVENT("DTSTART;VALUE=DATE:20270101\r\nSUMMARY:Good\r\n"),
          "2027-01-01 Good\n4 lost VEVENT -- its beginning is no date from 1970 on\n8 2027-01-01: Good\n");
    // A rule that never comes ends, and so does one that comes too often.
    check(EVENT("DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30\r\n"), "4 lost VEVENT -- its rule, which gives no day or is not understood, is left out\n");
    check(EVENT("DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY\r\nSUMMARY:All\r\n"),
          "2026-01-01..2030-12-31 All\n4 2026-01-01 and again, 1826 times up to 2030-12-31: All -- days after 2030-12-31 are left out\n");
}

static void test_files(void **state)
{
    (void)state;
    struct ics_options range = options();
    struct ics ics;
    struct err err = {0};
    static const char *const wrong[] = {"", "dates: []\n", "BEGIN:VCARD\r\nEND:VCARD\r\n"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(ics_is(wrong[i], strlen(wrong[i])));
        assert_int_equal(ics_parse(wrong[i], strlen(wrong[i]), &range, &ics, &err), ERR_INVALID);
        ics_release(&ics);
    }
    assert_true(ics_is("\xef\xbb\xbf\r\nbegin:vcalendar\n", 21));
    // Cut off in the middle: what was whole counts, the rest is told.
    const char *cut = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20270101\nEND:VEVENT\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20270102\n";
    assert_int_equal(ics_parse(cut, strlen(cut), &range, &ics, &err), 0);
    assert_int_equal(ics.n_dates, 1);
    assert_int_equal(ics.n_lines, 2);
    assert_true(ics.lines[1].lost);
    assert_string_equal(ics.lines[1].remark, "it ends within VEVENT");
    ics_release(&ics);
    // More than anybody has holidays.
    struct buf many;
    buf_init(&many);
    buf_adds(&many, "BEGIN:VCALENDAR\n");
    for (int i = 0; i < 60; i++)
        buf_adds(&many, "BEGIN:VEVENT\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY\nEND:VEVENT\n");
    buf_adds(&many, "END:VCALENDAR\n");
    assert_int_equal(ics_parse(many.data, many.len, &range, &ics, &err), ERR_TOO_LARGE);
    ics_release(&ics);
    buf_release(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days), cmocka_unit_test(test_rules), cmocka_unit_test(test_moved_days),
        cmocka_unit_test(test_what_is_left_out), cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
