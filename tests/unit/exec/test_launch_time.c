// SPDX-License-Identifier: Apache-2.0
// Nominal times and data intervals in commands.

#include "exec/launch_time.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "codec/cron_text.h"
#include "tests/unit/test.h"

static usec_t at(const char *text)
{
    usec_t usec = 0;
    assert_int_equal(time_parse(text, &usec, NULL), 0);
    return usec;
}

static struct trigger cron(const char *text, const char *zone)
{
    struct trigger trigger = {.zone = zone};
    assert_int_equal(schedule_text_parse(text, "a/b", &trigger, NULL), 0);
    return trigger;
}

static void expect(const struct trigger *triggers, size_t n, const char *nominal, const char *text, const char *wanted)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct job_spec spec = {.triggers = triggers, .n_triggers = n};
    struct launch_times times;
    launch_times_init(&times, &spec, nominal != NULL ? at(nominal) : 0);
    assert_string_equal(launch_times_expand(&times, &arena, text), wanted);
    arena_release(&arena);
}

static void test_cron(void **state)
{
    struct trigger daily = cron("0 0 * * *", "Europe/Berlin");
    expect(&daily, 1, "2026-11-22T23:00:00Z", "--from={{interval.start}} --to={{interval.end}}",
           "--from=2026-11-21T23:00:00.000Z --to=2026-11-22T23:00:00.000Z");
    expect(&daily, 1, "2026-11-22T23:00:00Z", "{{interval.start.date}}/{{nominal.date}}", "2026-11-22/2026-11-23");
    // The day of the change has 25 hours.
    expect(&daily, 1, "2026-10-25T23:00:00Z", "{{interval.start}}", "2026-10-24T22:00:00.000Z");
    struct trigger both[] = {cron("0 12 * * *", "UTC"), daily};
    expect(both, 2, "2026-11-22T23:00:00Z", "{{interval.start}}", "2026-11-22T12:00:00.000Z");
}

static void test_windows_and_intervals(void **state)
{
    struct trigger hourly = cron("@hourly", "UTC");
    hourly.has_between = true;
    hourly.between_first_sec = 8 * 3600;
    hourly.between_last_sec = 18 * 3600;
    // The first fire of a day takes what came since the last one of the day before.
    expect(&hourly, 1, "2026-11-23T08:00:00Z", "{{interval.start}}", "2026-11-22T18:00:00.000Z");
    hourly.from_usec = at("2026-11-23T08:00:00Z");
    expect(&hourly, 1, "2026-11-23T08:00:00Z", "{{interval.start}} {{nominal}}", "{{interval.start}} 2026-11-23T08:00:00.000Z");
    struct trigger every = {.kind = TRIGGER_EVERY, .every_usec = 90 * USEC_PER_SEC};
    expect(&every, 1, "2026-11-23T08:00:07.5Z", "{{interval.start}}", "2026-11-23T07:58:37.500Z");
    struct trigger mixed[] = {every, hourly};
    expect(mixed, 2, "2026-11-23T08:00:00Z", "{{interval.start}}", "{{interval.start}}");
}

static void test_what_is_not_known_stays(void **state)
{
    struct trigger daily = cron("0 0 * * *", "UTC");
    expect(&daily, 1, NULL, "rm -r /data/{{nominal.date}}", "rm -r /data/{{nominal.date}}");
    expect(&daily, 1, "2026-11-23T00:00:00Z", "{{.State}} {{nominal", "{{.State}} {{nominal");
    expect(&daily, 1, "2026-11-23T00:00:00Z", "{{x}}{{nominal.date}}{{ nominal }}{{}}.date", "{{x}}2026-11-23{{ nominal }}{{}}.date");
    expect(&daily, 1, "2026-11-23T00:00:00Z", "{{{{nominal.date}}", "{{2026-11-23");
    expect(NULL, 0, "2026-11-23T00:00:00Z", "", "");
}

static const char *with_params(struct arena *arena, const char *nominal, const char *packed, size_t len, const char *text)
{
    struct trigger daily = cron("0 0 * * *", "UTC");
    struct job_spec spec = {.triggers = &daily, .n_triggers = 1};
    struct launch_times times;
    launch_times_init(&times, &spec, nominal != NULL ? at(nominal) : 0);
    assert_int_equal(launch_times_params(&times, arena, (struct bytes){(const uint8_t *)packed, len}, NULL), 0);
    return launch_times_expand(&times, arena, text);
}

static void test_parameters(void **state)
{
    struct arena arena;
    arena_init(&arena, 0);
    const char *now = "2026-11-23T00:00:00Z";
    assert_string_equal(with_params(&arena, NULL, "\1a\3x y", 6, "-{{params.a}}-{{params.b}}-"), "-x y-{{params.b}}-");
    // A value may hold times, and nothing else of it is looked at again.
    assert_string_equal(with_params(&arena, now, "\3day\20{{nominal.date}}", 21, "{{params.day}}"), "2026-11-23");
    assert_string_equal(with_params(&arena, NULL, "\3day\20{{nominal.date}}", 21, "{{params.day}}"), "{{nominal.date}}");
    assert_string_equal(with_params(&arena, now, "\1a\14{{params.b}}\1b\1z", 19, "{{params.a}}"), "{{params.b}}");
    struct launch_times times = {0};
    assert_int_equal(launch_times_params(&times, &arena, (struct bytes){(const uint8_t *)"\1", 1}, NULL), ERR_PROTOCOL);
    arena_release(&arena);
}

// What one job may make of a node's memory and time is bounded: 10,000 words of 4 KiB each, and braces without end.
static void test_much_of_it(void **state)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct buf packed = {0}, text = {0};
    struct writer w;
    writer_init(&w, &packed);
    char *value = mem_alloc(4097);
    memset(value, 'v', 4096);
    writer_blob(&w, "a", 1);
    writer_blob(&w, value, 4096);
    struct launch_times times = {0};
    assert_int_equal(launch_times_params(&times, &arena, (struct bytes){(const uint8_t *)packed.data, packed.len}, NULL), 0);
    for (int i = 0; i < 2000; i++)
        buf_adds(&text, "{{params.a}}");
    assert_int_equal(strlen(launch_times_expand(&times, &arena, text.data)), 2000 * 4096);
    assert_null(launch_times_expand(&times, &arena, text.data)); // all texts of a launch together
    struct err err = {0};
    assert_int_equal(launch_times_too_long(&err), ERR_TOO_LARGE);
    assert_non_null(strstr(err.text, "longer than any program"));
    buf_clear(&text);
    for (int i = 0; i < 500000; i++)
        buf_adds(&text, "{{");
    buf_adds(&text, "}}");
    assert_ptr_equal(launch_times_expand(&times, &arena, text.data), text.data);
    mem_free(value);
    buf_release(&packed);
    buf_release(&text);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cron),
        cmocka_unit_test(test_windows_and_intervals),
        cmocka_unit_test(test_what_is_not_known_stays),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_much_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
