// SPDX-License-Identifier: Apache-2.0
// The text of schedules: what it means, as instants, and what is refused, word by word.

#include "codec/cron_text.h"

#include "base/tz.h"
#include "tests/unit/test.h"

static usec_t at(const char *text)
{
    usec_t usec = 0;
    assert_int_equal(time_parse(text, &usec, NULL), 0);
    return usec;
}

struct row {
    const char *expression, *zone, *after;
    const char *next[6]; // up to the first NULL
};

static const struct row rows[] = {
    {"*/15 * * * *", "UTC", "2026-11-23T06:30:00Z", {"2026-11-23T06:45:00Z", "2026-11-23T07:00:00Z", "2026-11-23T07:15:00Z"}},
    {"5/20 * * * *", "UTC", "2026-11-23T06:30:00Z", {"2026-11-23T06:45:00Z", "2026-11-23T07:05:00Z", "2026-11-23T07:25:00Z"}},
    {"*/10 30 6 * * *", "UTC", "2026-11-23T06:30:45Z", {"2026-11-23T06:30:50Z", "2026-11-24T06:30:00Z"}},
    {"0 9 * * mon-fri", "UTC", "2026-11-20T09:00:00Z", {"2026-11-23T09:00:00Z", "2026-11-24T09:00:00Z"}},
    {"0 9 * * MON,Wed", "UTC", "2026-11-23T09:00:00Z", {"2026-11-25T09:00:00Z", "2026-11-30T09:00:00Z"}},
    {"0 0 * * 7", "UTC", "2026-11-23T00:00:00Z", {"2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z"}},
    {"0 0 * * sat-sun", "UTC", "2026-11-23T00:00:00Z", {"2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z", "2026-12-05T00:00:00Z"}},
    {"0 0 * * 5-7", "UTC", "2026-11-23T00:00:00Z", {"2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"}},
    // Both day fields given: either of them.
    {"0 0 13 * fri", "UTC", "2026-11-10T00:00:00Z", {"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"}},
    {"0 0 ? * fri", "UTC", "2026-11-10T00:00:00Z", {"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"}},
    {"0 0 13 * ?", "UTC", "2026-11-10T00:00:00Z", {"2026-11-13T00:00:00Z", "2026-12-13T00:00:00Z"}},
    {"0 0 31 * *", "UTC", "2026-01-31T00:00:00Z", {"2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"}},
    {"0 0 29 feb *", "UTC", "2026-01-01T00:00:00Z", {"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
    {"0 0 1 jan,JUL *", "UTC", "2026-01-01T00:00:00Z", {"2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"}},
    {"\t 0  12 * * * ", "UTC", "2026-01-01T00:00:00Z", {"2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z"}},
    {"@hourly", "UTC", "2026-01-01T00:00:00Z", {"2026-01-01T01:00:00Z"}},
    {"@daily", "UTC", "2026-01-01T00:00:00Z", {"2026-01-02T00:00:00Z"}},
    {"@Midnight", "UTC", "2026-01-01T00:00:00Z", {"2026-01-02T00:00:00Z"}},
    {"@weekly", "UTC", "2026-01-01T00:00:00Z", {"2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"}},
    {"@monthly", "UTC", "2026-01-01T00:00:00Z", {"2026-02-01T00:00:00Z"}},
    {"@yearly", "UTC", "2026-01-01T00:00:00Z", {"2027-01-01T00:00:00Z"}},
    {"@annually", "UTC", "2026-01-01T00:00:00Z", {"2027-01-01T00:00:00Z"}},
    {"0 9 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", {"2026-01-01T03:30:00Z"}},
    // Berlin skips 02:00-03:00 on 2026-03-29: the fixed time fires at 03:00, once.
    {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", {"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
    {"0,30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", {"2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:00:00Z"}},
    // and repeats 02:00-03:00 on 2026-10-25: the fixed time fires the first time only.
    {"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", {"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
    {"30 2 * * *", "Europe/Berlin", "2026-10-25T00:59:00Z", {"2026-10-26T01:30:00Z"}},
    {"0 3 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", {"2026-10-25T02:00:00Z"}},
    // Wild ones follow elapsed time.
    {"*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", {"2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"}},
    {"*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", {"2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"}},
    {"30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", {"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},
    {"*/30 2 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", {"2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:00:00Z"}},
    {"*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", {"2026-03-30T00:00:00Z", "2026-03-30T00:30:00Z"}},
    // Lord Howe moves by half an hour; Samoa left out 2011-12-30.
    {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", {"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
    {"0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", {"2011-12-30T10:00:00Z", "2012-12-29T19:00:00Z"}},
};

static void test_instants(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct trigger trigger = {0};
        struct err err = {0};
        if (schedule_text_parse(rows[i].expression, &trigger, &err) < 0)
            fail_msg("'%s': %s", rows[i].expression, err.text);
        assert_int_equal(trigger.kind, TRIGGER_CRON);
        const struct tz *tz = tz_find(rows[i].zone);
        assert_non_null(tz);
        usec_t after = at(rows[i].after);
        for (size_t k = 0; k < 6 && rows[i].next[k] != NULL; k++) {
            char text[40];
            after = cron_next(&trigger.cron, tz, after);
            if (after != at(rows[i].next[k]))
                fail_msg("'%s' in %s: instant %zu is %s, not %s", rows[i].expression, rows[i].zone, k, time_format(text, after),
                         rows[i].next[k]);
        }
    }
}

static void test_impossible_dates(void **state)
{
    struct trigger trigger = {0};
    assert_int_equal(schedule_text_parse("0 0 30 2 *", &trigger, NULL), 0);
    assert_true(cron_next(&trigger.cron, tz_find("UTC"), 0) == USEC_NEVER);
    assert_int_equal(schedule_text_parse("0 0 31 4,6,9,11 *", &trigger, NULL), 0);
    assert_true(cron_next(&trigger.cron, tz_find("America/New_York"), 0) == USEC_NEVER);
}

static void test_every(void **state)
{
    struct trigger trigger = {.text = "kept"};
    assert_int_equal(schedule_text_parse("@every 90s", &trigger, NULL), 0);
    assert_int_equal(trigger.kind, TRIGGER_EVERY);
    assert_int_equal(trigger.every_usec, 90 * USEC_PER_SEC);
    assert_string_equal(trigger.text, "kept");
    assert_int_equal(schedule_text_parse("@every 1h30m", &trigger, NULL), 0);
    assert_int_equal(trigger.every_usec, 90 * USEC_PER_MIN);
}

#define ALLOWED_TAIL ", *, ranges (a-b), steps (*/n) and lists (a,b)"
#define FIELDS_TAIL "a schedule has 5 (minute hour day month weekday), or 6 with seconds first"
#define MACROS_TAIL "allowed are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @every DURATION"

static void test_refused(void **state)
{
    static const struct {
        const char *text, *problem;
    } bad[] = {
        {"", "it has 0 fields; " FIELDS_TAIL},
        {"5", "it has 1 field; " FIELDS_TAIL},
        {"* * * *", "it has 4 fields; " FIELDS_TAIL},
        {"0 0 12 * * ? 2026", "it has 7 fields; the year of Quartz is not supported; " FIELDS_TAIL},
        {"60 * * * *", "minute: '60' is out of range; allowed are 0-59" ALLOWED_TAIL},
        {"* 24 * * *", "hour: '24' is out of range; allowed are 0-23" ALLOWED_TAIL},
        {"* * 0 * *", "day of month: '0' is out of range; allowed are 1-31" ALLOWED_TAIL},
        {"* * * 13 *", "month: '13' is out of range; allowed are 1-12 or jan-dec" ALLOWED_TAIL},
        {"* * * foo *", "month: 'foo' is not understood; allowed are 1-12 or jan-dec" ALLOWED_TAIL},
        {"* * * january *", "month: 'january' is not understood; allowed are 1-12 or jan-dec" ALLOWED_TAIL},
        {"* * * * 8", "day of week: '8' is out of range; allowed are 0-7 (0 and 7 are Sunday) or sun-sat" ALLOWED_TAIL},
        {"99999 * * * *", "minute: '99999' is out of range; allowed are 0-59" ALLOWED_TAIL},
        {"61 0 0 * * *", "second: '61' is out of range; allowed are 0-59" ALLOWED_TAIL},
        {"1,,2 * * * *", "minute: '' is empty; allowed are 0-59" ALLOWED_TAIL},
        {"1, * * * *", "minute: '' is empty; allowed are 0-59" ALLOWED_TAIL},
        {"5-1 * * * *", "minute: '5-1' ends before it begins; allowed are 0-59" ALLOWED_TAIL},
        {"1- * * * *", "minute: '1-' is not a range; allowed are 0-59" ALLOWED_TAIL},
        {"1-90 * * * *", "minute: '1-90' is out of range; allowed are 0-59" ALLOWED_TAIL},
        {"*/0 * * * *", "minute: '*/0' has a step of 0; allowed are 0-59" ALLOWED_TAIL},
        {"*/ * * * *", "minute: '*/' has no number as its step; allowed are 0-59" ALLOWED_TAIL},
        {"*/90 * * * *", "minute: '*/90' has a step larger than the field; allowed are 0-59" ALLOWED_TAIL},
        {"-5 * * * *", "minute: '-5' is not understood; allowed are 0-59" ALLOWED_TAIL},
        {"**  * * * *", "minute: '**' is not understood; allowed are 0-59" ALLOWED_TAIL},
        {"? * * * *", "minute: '?' is for day of month and day of week only; allowed are 0-59" ALLOWED_TAIL},
        {"* * L * *", "day of month: 'L' uses L (last), which is not supported; allowed are 1-31" ALLOWED_TAIL},
        {"* * 15W * *", "day of month: '15W' uses W (nearest weekday), which is not supported; allowed are 1-31" ALLOWED_TAIL},
        {"* * * * 5#2", "day of week: '5#2' uses # (n-th weekday), which is not supported; allowed are 0-7 (0 and 7 are Sunday) or sun-sat" ALLOWED_TAIL},
        {"H * * * *", "minute: 'H' uses H (hashed), which is not supported; allowed are 0-59" ALLOWED_TAIL},
        {"@reboot", "@reboot is not supported, since a cluster has no start of its own; " MACROS_TAIL},
        {"@fortnightly", "'@fortnightly' is not a macro; " MACROS_TAIL},
        {"@every", "'@every' is not a macro; " MACROS_TAIL},
        {"@every x", "@every: 'x' is not a duration; write seconds (90) or units (1h30m, 250ms, 2d)"},
        {"@every 0", "@every: '0' is outside of 1s to 366d"},
        {"@every 1500ms", "@every: '1500ms' is not a whole number of seconds"},
        {"CRON_TZ=UTC 0 9 * * *", "a time zone is given beside the expression: {cron: \"0 9 * * *\", zone: Europe/Berlin}"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct trigger trigger = {.text = "kept", .every_usec = 5};
        struct err err = {0};
        assert_int_equal(schedule_text_parse(bad[i].text, &trigger, &err), ERR_INVALID);
        assert_string_equal(err.text, bad[i].problem);
        assert_int_equal(trigger.every_usec, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instants),
        cmocka_unit_test(test_impossible_dates),
        cmocka_unit_test(test_every),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
