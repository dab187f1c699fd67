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
    // The last day, days before it, and Monday to Friday around a day.
    {"0 0 L * *", "UTC", "2026-01-31T00:00:00Z", {"2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"}},
    {"0 0 L feb *", "UTC", "2027-01-31T00:00:00Z", {"2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"}},
    {"0 0 L-2,l * *", "UTC", "2026-01-31T00:00:00Z", {"2026-02-26T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-29T00:00:00Z"}},
    {"0 0 L-30 * *", "UTC", "2026-01-02T00:00:00Z", {"2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z"}},
    {"0 0 LW * *", "UTC", "2026-01-01T00:00:00Z", {"2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z", "2026-03-31T00:00:00Z"}},
    {"0 0 L-3W * *", "UTC", "2026-01-01T00:00:00Z", {"2026-01-28T00:00:00Z", "2026-02-25T00:00:00Z", "2026-03-27T00:00:00Z"}},
    {"0 0 15W * *", "UTC", "2026-08-01T00:00:00Z", {"2026-08-14T00:00:00Z", "2026-09-15T00:00:00Z", "2026-10-15T00:00:00Z", "2026-11-16T00:00:00Z"}},
    {"0 0 1w * *", "UTC", "2026-07-31T00:00:00Z", {"2026-08-03T00:00:00Z", "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z", "2026-11-02T00:00:00Z"}},
    {"0 0 31W * *", "UTC", "2026-01-01T00:00:00Z", {"2026-01-30T00:00:00Z", "2026-03-31T00:00:00Z", "2026-05-29T00:00:00Z"}},
    // The n-th weekday, and the last one.
    {"0 0 * * fri#2", "UTC", "2026-11-01T00:00:00Z", {"2026-11-13T00:00:00Z", "2026-12-11T00:00:00Z"}},
    {"0 0 * * 1#5", "UTC", "2026-10-01T00:00:00Z", {"2026-11-30T00:00:00Z", "2027-03-29T00:00:00Z"}},
    {"0 0 * * 5L", "UTC", "2026-11-01T00:00:00Z", {"2026-11-27T00:00:00Z", "2026-12-25T00:00:00Z"}},
    {"0 0 * * sunL,mon#1", "UTC", "2026-11-01T00:00:00Z", {"2026-11-02T00:00:00Z", "2026-11-29T00:00:00Z", "2026-12-07T00:00:00Z"}},
    {"0 0 L * fri#2", "UTC", "2026-11-01T00:00:00Z", {"2026-11-13T00:00:00Z", "2026-11-30T00:00:00Z"}},
    // Quartz by its seven fields: 1 is Sunday, ranges go around, L is Saturday, and years end.
    {"0 0 12 * * ? *", "UTC", "2026-01-01T00:00:00Z", {"2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z"}},
    {"0 15 10 ? * 6L 2026-2027", "UTC", "2026-12-01T00:00:00Z", {"2026-12-25T10:15:00Z", "2027-01-29T10:15:00Z"}},
    {"0 15 10 ? * 6#3 *", "UTC", "2026-11-01T00:00:00Z", {"2026-11-20T10:15:00Z", "2026-12-18T10:15:00Z"}},
    {"0 0 0 ? * FRI-MON *", "UTC", "2026-11-26T00:00:00Z", {"2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-04T00:00:00Z"}},
    {"0 0 22-2/2 * * ? *", "UTC", "2026-11-26T20:30:00Z", {"2026-11-26T22:00:00Z", "2026-11-27T00:00:00Z", "2026-11-27T02:00:00Z", "2026-11-27T22:00:00Z"}},
    {"0 0 0 ? * L *", "UTC", "2026-11-26T00:00:00Z", {"2026-11-28T00:00:00Z", "2026-12-05T00:00:00Z"}},
    {"0 0 0 1 1 ? 2027/10", "UTC", "2026-11-26T00:00:00Z", {"2027-01-01T00:00:00Z", "2037-01-01T00:00:00Z"}},
    {"0 0 0 29 2 ? 2099,2096", "UTC", "2026-11-26T00:00:00Z", {"2096-02-29T00:00:00Z"}},
    {"0 0 * * 7/2", "UTC", "2026-11-23T00:00:00Z", {"2026-11-24T00:00:00Z", "2026-11-26T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"}},
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
        if (schedule_text_parse(rows[i].expression, "default/nightly", &trigger, &err) < 0)
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
            if (k > 0 && cron_prev(&trigger.cron, tz, after) != at(rows[i].next[k - 1]))
                fail_msg("'%s' in %s: before %s it finds %s", rows[i].expression, rows[i].zone, rows[i].next[k],
                         time_format(text, cron_prev(&trigger.cron, tz, after)));
        }
    }
}

static void test_impossible_dates(void **state)
{
    struct trigger trigger = {0};
    assert_int_equal(schedule_text_parse("0 0 30 2 *", "default/nightly", &trigger, NULL), 0);
    assert_true(cron_next(&trigger.cron, tz_find("UTC"), 0) == USEC_NEVER);
    assert_int_equal(schedule_text_parse("0 0 31 4,6,9,11 *", "default/nightly", &trigger, NULL), 0);
    assert_true(cron_next(&trigger.cron, tz_find("America/New_York"), 0) == USEC_NEVER);
}

static void test_quartz_by_name(void **state)
{
    struct trigger trigger = {0};
    assert_int_equal(schedule_quartz_parse("0 0 9 ? * 2", "a/b", &trigger, NULL), 0);
    assert_int_equal(trigger.cron.day_of_week, 1u << 1); // Monday
    assert_int_equal(schedule_quartz_parse("0 0 9 ? * 2-6 2030", "a/b", &trigger, NULL), 0);
    assert_int_equal(trigger.cron.day_of_week, 0x3e);
    struct err err = {0};
    assert_int_equal(schedule_quartz_parse("0 9 ? * 2", "a/b", &trigger, &err), ERR_INVALID);
    assert_string_equal(err.text, "it has 5 fields; a schedule of Quartz has 6 (second minute hour day month weekday), or 7 with the year last");
    assert_int_equal(schedule_quartz_parse("@daily", "a/b", &trigger, &err), ERR_INVALID);
    assert_int_equal(schedule_text_parse("0 0 0 1 1 ? 2001", "a/b", &trigger, NULL), 0);
    assert_true(cron_next(&trigger.cron, tz_find("UTC"), at("2026-01-01T00:00:00Z")) == USEC_NEVER);
    assert_int_equal(cron_prev(&trigger.cron, tz_find("UTC"), at("2026-01-01T00:00:00Z")), at("2001-01-01T00:00:00Z"));
    assert_true(cron_prev(&trigger.cron, tz_find("UTC"), at("2001-01-01T00:00:00Z")) == USEC_NEVER);
}

// H is stable, is within its bounds, differs from name to name, and uses the whole field.
static void test_hashed(void **state)
{
    uint64_t minutes = 0;
    for (int i = 0; i < 1000; i++) {
        struct trigger trigger = {0}, again = {0};
        char key[40];
        snprintf(key, sizeof(key), "default/job-%d", i);
        assert_int_equal(schedule_text_parse("H H(1-4) H H H", key, &trigger, NULL), 0);
        assert_int_equal(schedule_text_parse("H H(1-4) H H H", key, &again, NULL), 0);
        assert_memory_equal(&trigger.cron, &again.cron, sizeof(trigger.cron));
        assert_int_equal(__builtin_popcountll(trigger.cron.minute), 1);
        assert_int_equal(__builtin_popcount(trigger.cron.hour), 1);
        assert_int_equal(trigger.cron.hour & ~0x1eu, 0);
        assert_int_equal(trigger.cron.day_of_month & ~0x1ffffffeu, 0);
        assert_int_equal(__builtin_popcount(trigger.cron.day_of_week), 1);
        assert_false(trigger.cron.minute_wild || trigger.cron.hour_wild || trigger.cron.day_of_month_any);
        minutes |= trigger.cron.minute;
        assert_int_equal(schedule_text_parse("H/15 H(8-18)/4 * * *", key, &trigger, NULL), 0);
        assert_int_equal(__builtin_popcountll(trigger.cron.minute), 4);
        assert_true(trigger.cron.minute_wild && !trigger.cron.hour_wild);
        assert_int_equal(trigger.cron.minute >> 15, trigger.cron.minute & ((UINT64_C(1) << 45) - 1)); // evenly
        assert_in_range(__builtin_popcount(trigger.cron.hour), 2, 3);
    }
    assert_true(minutes == (UINT64_C(1) << 60) - 1);
    // A stored answer: another one would move every job at an update of the program.
    struct trigger trigger = {0};
    assert_int_equal(schedule_text_parse("H H * * *", "default/nightly", &trigger, NULL), 0);
    assert_int_equal(__builtin_ctzll(trigger.cron.minute), 51);
    assert_int_equal(__builtin_ctz(trigger.cron.hour), 21);
}

static void test_every(void **state)
{
    struct trigger trigger = {.text = "kept"};
    assert_int_equal(schedule_text_parse("@every 90s", "default/nightly", &trigger, NULL), 0);
    assert_int_equal(trigger.kind, TRIGGER_EVERY);
    assert_int_equal(trigger.every_usec, 90 * USEC_PER_SEC);
    assert_string_equal(trigger.text, "kept");
    assert_int_equal(schedule_text_parse("@every 1h30m", "default/nightly", &trigger, NULL), 0);
    assert_int_equal(trigger.every_usec, 90 * USEC_PER_MIN);
}

#define ALLOWED_TAIL ", *, ranges (a-b), steps (*/n) and lists (a,b)"
#define FIELDS_TAIL "a schedule has 5 (minute hour day month weekday), 6 with seconds first, or the 7 of Quartz with the year last"
#define MACROS_TAIL "allowed are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @every DURATION"

static void test_refused(void **state)
{
    static const struct {
        const char *text, *problem;
    } bad[] = {
        {"", "it has 0 fields; " FIELDS_TAIL},
        {"5", "it has 1 field; " FIELDS_TAIL},
        {"* * * *", "it has 4 fields; " FIELDS_TAIL},
        {"0 0 12 * * ? 2026 0", "it has 8 fields; " FIELDS_TAIL},
        {"60 * * * *", "minute: '60' is out of range; allowed are 0-59" ALLOWED_TAIL},
        {"* 24 * * *", "hour: '24' is out of range; allowed are 0-23" ALLOWED_TAIL},
        {"* * 0 * *", "day of month: '0' is out of range; allowed are 1-31, L, L-n, nW, LW" ALLOWED_TAIL},
        {"* * * 13 *", "month: '13' is out of range; allowed are 1-12 or jan-dec" ALLOWED_TAIL},
        {"* * * foo *", "month: 'foo' is not understood; allowed are 1-12 or jan-dec" ALLOWED_TAIL},
        {"* * * january *", "month: 'january' is not understood; allowed are 1-12 or jan-dec" ALLOWED_TAIL},
        {"* * * * 8", "day of week: '8' is out of range; allowed are 0-7 (0 and 7 are Sunday) or sun-sat, d#n, dL" ALLOWED_TAIL},
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
        {"* * L-31 * *", "day of month: 'L-31' is no last day; write L, L-n (n up to 30), LW or L-nW; allowed are 1-31, L, L-n, nW, LW" ALLOWED_TAIL},
        {"* * 5L * *", "day of month: '5L' is no last day; write L, L-n (n up to 30), LW or L-nW; allowed are 1-31, L, L-n, nW, LW" ALLOWED_TAIL},
        {"* * LX * *", "day of month: 'LX' is no last day; write L, L-n (n up to 30), LW or L-nW; allowed are 1-31, L, L-n, nW, LW" ALLOWED_TAIL},
        {"* * 0W * *", "day of month: '0W' is out of range; allowed are 1-31, L, L-n, nW, LW" ALLOWED_TAIL},
        {"* * 32W * *", "day of month: '32W' is out of range; allowed are 1-31, L, L-n, nW, LW" ALLOWED_TAIL},
        {"* * 1-5W * *", "day of month: '1-5W' is no nearest weekday; write nW (15W) or LW; allowed are 1-31, L, L-n, nW, LW" ALLOWED_TAIL},
        {"* * 5#2 * *", "day of month: '5#2' is for day of week only; allowed are 1-31, L, L-n, nW, LW" ALLOWED_TAIL},
        {"* * * * L", "day of week: 'L' is no last weekday; write dL (friL); allowed are 0-7 (0 and 7 are Sunday) or sun-sat, d#n, dL" ALLOWED_TAIL},
        {"* * * * 5#6", "day of week: '5#6' is no n-th weekday; write d#n with n from 1 to 5 (fri#2); allowed are 0-7 (0 and 7 are Sunday) or sun-sat, d#n, dL" ALLOWED_TAIL},
        {"* * * * 5#0", "day of week: '5#0' is no n-th weekday; write d#n with n from 1 to 5 (fri#2); allowed are 0-7 (0 and 7 are Sunday) or sun-sat, d#n, dL" ALLOWED_TAIL},
        {"* * * * 8#1", "day of week: '8#1' is out of range; allowed are 0-7 (0 and 7 are Sunday) or sun-sat, d#n, dL" ALLOWED_TAIL},
        {"* * * * 5W", "day of week: '5W' is for day of month only; allowed are 0-7 (0 and 7 are Sunday) or sun-sat, d#n, dL" ALLOWED_TAIL},
        {"L * * * *", "minute: 'L' is for day of month and day of week only; allowed are 0-59" ALLOWED_TAIL},
        {"5W * * * *", "minute: '5W' is for day of month only; allowed are 0-59" ALLOWED_TAIL},
        {"H( * * * *", "minute: 'H(' is no hashed value; write H, H/n, H(a-b) or H(a-b)/n; allowed are 0-59" ALLOWED_TAIL},
        {"H(5) * * * *", "minute: 'H(5)' is no hashed value; write H, H/n, H(a-b) or H(a-b)/n; allowed are 0-59" ALLOWED_TAIL},
        {"H(5-9 * * * *", "minute: 'H(5-9' is no hashed value; write H, H/n, H(a-b) or H(a-b)/n; allowed are 0-59" ALLOWED_TAIL},
        {"H5 * * * *", "minute: 'H5' is no hashed value; write H, H/n, H(a-b) or H(a-b)/n; allowed are 0-59" ALLOWED_TAIL},
        {"H-5 * * * *", "minute: 'H-5' is no hashed value; write H, H/n, H(a-b) or H(a-b)/n; allowed are 0-59" ALLOWED_TAIL},
        {"H(9-5) * * * *", "minute: 'H(9-5)' ends before it begins; allowed are 0-59" ALLOWED_TAIL},
        {"H(0-90) * * * *", "minute: 'H(0-90)' is out of range; allowed are 0-59" ALLOWED_TAIL},
        {"H/0 * * * *", "minute: 'H/0' has a step of 0; allowed are 0-59" ALLOWED_TAIL},
        {"H(0-9)/11 * * * *", "minute: 'H(0-9)/11' has a step larger than its range; allowed are 0-59" ALLOWED_TAIL},
        {"0 0 0 13 * 6 *", "day of month and day of week are both given; Quartz wants ? as one of them"},
        {"0 0 0 ? * 0 *", "day of week: '0' is out of range; allowed are 1-7 (1 is Sunday) or SUN-SAT, d#n, dL" ALLOWED_TAIL},
        {"0 0 0 1 * ? 1969", "year: '1969' is out of range; allowed are 1970-2099" ALLOWED_TAIL},
        {"0 0 0 1 * ? 2100", "year: '2100' is out of range; allowed are 1970-2099" ALLOWED_TAIL},
        {"0 0 0 1 * ? 2030-2020", "year: '2030-2020' ends before it begins; allowed are 1970-2099" ALLOWED_TAIL},
        {"0 0 0 1 * ? H", "year: 'H' is for the other fields; allowed are 1970-2099" ALLOWED_TAIL},
        {"@reboot", "@reboot is not available: a fleet has no moment at which it starts; use the init system of the machine for that, or "
                    "`muster start` from it; " MACROS_TAIL},
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
        assert_int_equal(schedule_text_parse(bad[i].text, "default/nightly", &trigger, &err), ERR_INVALID);
        assert_string_equal(err.text, bad[i].problem);
        assert_int_equal(trigger.every_usec, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instants),
        cmocka_unit_test(test_impossible_dates),
        cmocka_unit_test(test_quartz_by_name),
        cmocka_unit_test(test_hashed),
        cmocka_unit_test(test_every),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
