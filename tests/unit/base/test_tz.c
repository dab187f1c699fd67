// SPDX-License-Identifier: Apache-2.0
// Zones: names, files, the footer's rule, gaps and repeated hours.

#include "base/tz.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/time.h"
#include "base/tz_rule.h"
#include "tests/unit/test.h"

static int64_t at(const char *text)
{
    usec_t usec = 0;
    assert_int_equal(time_parse(text, &usec, NULL), 0);
    return usec / USEC_PER_SEC;
}

static const struct tz *zone(const char *name)
{
    const struct tz *tz = tz_find(name);
    if (tz == NULL)
        fail_msg("no zone %s; is tzdata installed?", name);
    assert_string_equal(tz_name(tz), name);
    return tz;
}

static void test_offsets(void **state)
{
    static const struct {
        const char *zone, *instant;
        int offset_min;
    } rows[] = {
        {"UTC", "2026-01-01T00:00:00Z", 0},
        {"Etc/UTC", "2400-01-01T00:00:00Z", 0},
        {"Europe/Berlin", "2026-01-15T12:00:00Z", 60},
        {"Europe/Berlin", "2026-07-15T12:00:00Z", 120},
        {"Europe/Berlin", "2026-03-29T00:59:59Z", 60},
        {"Europe/Berlin", "2026-03-29T01:00:00Z", 120},
        {"Europe/Berlin", "2026-10-25T00:59:59Z", 120},
        {"Europe/Berlin", "2026-10-25T01:00:00Z", 60},
        {"Europe/Berlin", "2399-07-15T12:00:00Z", 120}, // by the footer
        {"America/New_York", "2026-03-08T06:59:59Z", -300},
        {"America/New_York", "2026-03-08T07:00:00Z", -240},
        {"Asia/Kolkata", "2026-06-01T00:00:00Z", 330},
        {"Asia/Kathmandu", "2026-06-01T00:00:00Z", 345},
        {"Australia/Lord_Howe", "2026-01-01T00:00:00Z", 660},
        {"Australia/Lord_Howe", "2026-07-01T00:00:00Z", 630},
        {"Europe/Dublin", "2026-07-01T00:00:00Z", 60}, // its winter time is the daylight saving time
        {"Europe/Dublin", "2060-01-01T00:00:00Z", 0},
        {"Africa/Casablanca", "2026-06-01T00:00:00Z", 60},
        {"Pacific/Apia", "2011-12-30T09:59:59Z", -600},
        {"Pacific/Apia", "2011-12-30T10:00:00Z", 840},
        {"America/Nuuk", "2050-07-01T00:00:00Z", -60},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(tz_offset(zone(rows[i].zone), at(rows[i].instant)), rows[i].offset_min * 60);
}

static void check_local(const char *name, const char *reading, enum tz_local kind, const char *first, const char *last)
{
    int64_t first_sec = 0, last_sec = 0;
    assert_int_equal(tz_from_local(zone(name), at(reading), &first_sec, &last_sec), kind);
    assert_int_equal(first_sec, at(first));
    assert_int_equal(last_sec, at(last));
}

static void test_local_readings(void **state)
{
    check_local("Europe/Berlin", "2026-05-01T12:00:00Z", TZ_ONCE, "2026-05-01T10:00:00Z", "2026-05-01T10:00:00Z");
    check_local("Europe/Berlin", "2026-03-29T01:59:59Z", TZ_ONCE, "2026-03-29T00:59:59Z", "2026-03-29T00:59:59Z");
    check_local("Europe/Berlin", "2026-03-29T02:00:00Z", TZ_GAP, "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z");
    check_local("Europe/Berlin", "2026-03-29T02:59:59Z", TZ_GAP, "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z");
    check_local("Europe/Berlin", "2026-03-29T03:00:00Z", TZ_ONCE, "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z");
    check_local("Europe/Berlin", "2026-10-25T02:00:00Z", TZ_TWICE, "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z");
    check_local("Europe/Berlin", "2026-10-25T02:59:59Z", TZ_TWICE, "2026-10-25T00:59:59Z", "2026-10-25T01:59:59Z");
    check_local("Europe/Berlin", "2026-10-25T03:00:00Z", TZ_ONCE, "2026-10-25T02:00:00Z", "2026-10-25T02:00:00Z");
    check_local("Pacific/Apia", "2011-12-30T12:00:00Z", TZ_GAP, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z");
    check_local("Pacific/Kwajalein", "1993-08-21T12:00:00Z", TZ_GAP, "1993-08-21T12:00:00Z", "1993-08-21T12:00:00Z");
    check_local("Australia/Lord_Howe", "2026-10-04T02:15:00Z", TZ_GAP, "2026-10-03T15:30:00Z", "2026-10-03T15:30:00Z");
}

// Segments follow one another without hole or overlap, and every instant has the reading that leads back to it.
static void test_segments_are_a_partition(void **state)
{
    static const char *const names[] = {"UTC", "Europe/Berlin", "America/New_York", "Africa/Casablanca", "Australia/Lord_Howe",
                                        "Pacific/Apia", "Asia/Gaza", "America/Nuuk", "Antarctica/Troll"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct tz *tz = zone(names[i]);
        int64_t sec = at("1800-01-01T00:00:00Z");
        for (int n = 0; sec < at("2500-01-01T00:00:00Z"); n++) {
            struct tz_segment segment;
            tz_segment_at(tz, sec, &segment);
            assert_true(segment.start_sec <= sec && sec < segment.end_sec);
            if (n > 0)
                assert_int_equal(segment.start_sec, sec);
            int64_t first_sec = 0, last_sec = 0;
            assert_int_not_equal(tz_from_local(tz, sec + segment.offset_sec, &first_sec, &last_sec), TZ_GAP);
            assert_true(first_sec == sec || last_sec == sec);
            if (segment.end_sec == INT64_MAX)
                break;
            assert_int_equal(tz_offset(tz, segment.end_sec - 1), segment.offset_sec);
            sec = segment.end_sec;
        }
    }
}

static void test_the_ends_of_time(void **state)
{
    int64_t first_sec = 0, last_sec = 0;
    assert_int_equal(tz_offset(zone("Europe/Berlin"), INT64_MAX), tz_offset(zone("Europe/Berlin"), TZ_SEC_MAX));
    (void)tz_offset(zone("Europe/Berlin"), INT64_MIN);
    assert_int_not_equal(tz_from_local(zone("America/New_York"), INT64_MAX, &first_sec, &last_sec), TZ_GAP);
    (void)tz_from_local(zone("Australia/Lord_Howe"), INT64_MIN, &first_sec, &last_sec);
}

static void test_bad_names(void **state)
{
    static const char *const names[] = {"", "/", "/etc/passwd", "../passwd", "Europe/../../x", "Europe//Berlin", "Europe/", "a b",
                                        "localtime", "posixrules", "Europe/Berlin\n",
                                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    struct tz *tz = NULL;
    struct err err = {0};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(tz_load(names[i], &tz, &err), ERR_INVALID);
    assert_int_equal(tz_load(NULL, &tz, &err), ERR_INVALID);
    assert_int_equal(tz_load("Europe/Atlantis", &tz, &err), ERR_NOT_FOUND);
    assert_string_equal(err.text, "there is no time zone 'Europe/Atlantis' on this machine");
    assert_true(tz_load("Europe", &tz, &err) < 0); // a folder
    assert_null(tz);
    assert_null(tz_find("Europe/Atlantis"));
    assert_null(tz_find(NULL));
    assert_ptr_equal(tz_find("Asia/Tokyo"), tz_finder(NULL, "Asia/Tokyo"));
    tz_free(NULL);
}

// Every shorter file is refused, and so is every file with one byte of its counts changed.
static void test_broken_files(void **state)
{
    struct buf bytes = {0};
    struct tz *tz = NULL;
    assert_int_equal(fs_read("/usr/share/zoneinfo/America/New_York", 1 << 20, &bytes, NULL), 0);
    assert_int_equal(tz_parse("x", bytes.data, bytes.len, &tz, NULL), 0);
    tz_free(tz);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(tz_parse("x", bytes.data, len, &tz, NULL), ERR_STORE_CORRUPT);
    for (size_t i = 0; i < 44; i++) {
        char was = bytes.data[i];
        bytes.data[i] = (char)(was ^ 0x40);
        int rc = tz_parse("x", bytes.data, bytes.len, &tz, NULL);
        assert_true(rc == 0 ? i >= 4 && i < 20 : rc == ERR_STORE_CORRUPT);
        if (rc == 0)
            tz_free(tz);
        bytes.data[i] = was;
    }
    struct err err = {0};
    bytes.data[4] = '\0';
    assert_int_equal(tz_parse("x", bytes.data, bytes.len, &tz, &err), ERR_UNSUPPORTED);
    assert_string_equal(err.text, "time zone 'x': the file has the old format 1");
    buf_release(&bytes);
}

static void test_rules(void **state)
{
    static const char *const good[] = {"UTC0", "<-03>3", "CET-1CEST,M3.5.0,M10.5.0/3", "IST-1GMT0,M10.5.0,M3.5.0/1",
                                       "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "EET-2EEST,M3.4.4/50,M10.4.4/50",
                                       "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "XXX3EDT4,0/0,J365/23", "AAA-1BBB,J60,J300/24:30:10"};
    static const char *const bad[] = {"", "U0", "UTC", "UTC25", "<+1", "<>3", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0",
                                      "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J1", "CET-1CEST,366,1",
                                      "CET-1CEST,M3.5.0,M10.5.0/168", "CET-1CEST,M3.5.0,M10.5.0 ", "CET-1:60"};
    struct tz_rule rule;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(tz_rule_parse(good[i], strlen(good[i]), &rule), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(tz_rule_parse(bad[i], strlen(bad[i]), &rule), ERR_INVALID);
    // Daylight saving all year: the two changes of a year's turn fall on one instant and make no gap.
    assert_int_equal(tz_rule_parse("XXX3EDT4,0/0,J365/23", 20, &rule), 0);
    struct tz_segment segment;
    for (int64_t sec = at("2025-12-30T00:00:00Z"); sec < at("2026-01-03T00:00:00Z"); sec += 1800) {
        tz_rule_segment(&rule, sec, &segment);
        assert_int_equal(segment.offset_sec, -4 * 3600);
    }
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

// The first of the two files that says it.
static void test_version(void **state)
{
    char folder[] = "/tmp/muster-tz-XXXXXX", version[TZ_VERSION_BYTES];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(setenv("TZDIR", folder, 1), 0);
    tz_database_version(version);
    assert_string_equal(version, "unknown");
    put(folder, "+VERSION", "2024a\n");
    tz_database_version(version);
    assert_string_equal(version, "2024a");
    put(folder, "tzdata.zi", "# version 2025b-debian\nR A\n");
    tz_database_version(version);
    assert_string_equal(version, "2025b-debian");
    put(folder, "tzdata.zi", "# version 2025\x1b\n");
    tz_database_version(version);
    assert_string_equal(version, "2024a");
    put(folder, "+VERSION", "0123456789012345678901234567890123456789012345678901234567890123\n");
    tz_database_version(version);
    assert_string_equal(version, "unknown");
    assert_int_equal(unsetenv("TZDIR"), 0);
    const char *const names[] = {"+VERSION", "tzdata.zi"};
    for (int i = 0; i < 2; i++) {
        char path[200];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_local_readings),
        cmocka_unit_test(test_segments_are_a_partition),
        cmocka_unit_test(test_the_ends_of_time),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
