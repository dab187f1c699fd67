// SPDX-License-Identifier: Apache-2.0
// Crontabs, line by line. Those of Debian's packages are imported in tests/story/test_cli.py.

#include "cli/crontab.h"

#include "tests/unit/test.h"

static struct crontab parse(const char *text, bool system)
{
    struct crontab_options options = {.prefix = "tab", .zone = "Europe/Berlin", .system = system};
    struct crontab crontab = {0};
    struct err err = {0};
    assert_int_equal(crontab_parse(text, strlen(text), &options, &crontab, &err), 0);
    return crontab;
}

static const char *field(const struct crontab *crontab, size_t line, const char *key)
{
    assert_true(line < crontab->n);
    assert_non_null(crontab->lines[line].job);
    return json_string_value(json_object_get(crontab->lines[line].job, key));
}

static const char *schedule(const struct crontab *crontab, size_t line, const char *key)
{
    return json_string_value(json_object_get(json_object_get(crontab->lines[line].job, "schedule"), key));
}

static const char *script(const struct crontab *crontab, size_t line, size_t word)
{
    return json_string_value(json_array_get(json_object_get(crontab->lines[line].job, "command"), word));
}

static void test_user_format(void **state)
{
    struct crontab crontab = parse("# comment\n\n*/5 * * * *  /usr/local/bin/poll.sh -v >/dev/null 2>&1\n@daily backup\r\n  0 4 * * mon-fri\techo hi", false);
    assert_int_equal(crontab.n, 3);
    assert_int_equal(crontab.n_jobs, 3);
    assert_int_equal(crontab.lines[0].number, 3);
    assert_string_equal(schedule(&crontab, 0, "cron"), "*/5 * * * *");
    assert_string_equal(schedule(&crontab, 0, "zone"), "Europe/Berlin");
    assert_string_equal(field(&crontab, 0, "name"), "tab-poll.sh");
    assert_string_equal(field(&crontab, 0, "misfire"), "skip");
    assert_string_equal(field(&crontab, 0, "overlap"), "allow");
    assert_string_equal(script(&crontab, 0, 0), "/bin/sh");
    assert_string_equal(script(&crontab, 0, 2), "cd \"$HOME\" || exit 1\n/usr/local/bin/poll.sh -v >/dev/null 2>&1\n");
    assert_null(json_object_get(crontab.lines[0].job, "user"));
    assert_string_equal(schedule(&crontab, 1, "cron"), "@daily");
    assert_string_equal(field(&crontab, 1, "name"), "tab-backup");
    assert_string_equal(schedule(&crontab, 2, "cron"), "0 4 * * mon-fri");
    assert_int_equal(crontab.lines[2].number, 5);
    crontab_release(&crontab);
}

static void test_system_format(void **state)
{
    struct crontab crontab = parse("17 * * * * root cd / && run-parts /etc/cron.hourly\n1 2 3 4 5 www-data test -x /a/b || /c/d\n5 5 * * * root\n", true);
    assert_string_equal(field(&crontab, 0, "user"), "root");
    assert_string_equal(field(&crontab, 0, "name"), "tab-cron.hourly");
    assert_string_equal(field(&crontab, 1, "user"), "www-data");
    assert_null(crontab.lines[2].job);
    assert_true(crontab.lines[2].lost);
    assert_string_equal(crontab.lines[2].remark, "it has no account and command");
    crontab_release(&crontab);
}

static void test_settings(void **state)
{
    struct crontab crontab = parse("SHELL=/bin/bash\nPATH = \"/a:/b\"\nMAILTO=ops@example.org\nMAILTO=\nCRON_TZ=Asia/Tokyo\n"
                                   "0 0 * * * a\nX_1='q'\n0 0 * * * a\nMUSTER_RUN=1\nA B=1 2 3\n", false);
    assert_int_equal(crontab.n, 10);
    assert_true(crontab.lines[9].lost);
    assert_string_equal(crontab.lines[2].remark, "MAILTO=ops@example.org is not carried over: output is kept with the run and not mailed (muster logs)");
    assert_string_equal(crontab.lines[3].remark, "MAILTO is empty: nothing is mailed here either");
    assert_false(crontab.lines[2].lost);
    assert_string_equal(schedule(&crontab, 5, "zone"), "Asia/Tokyo");
    assert_string_equal(script(&crontab, 5, 0), "/bin/bash");
    const json_t *env = json_object_get(crontab.lines[5].job, "env");
    assert_int_equal(json_object_size(env), 1);
    assert_string_equal(json_string_value(json_object_get(env, "PATH")), "/a:/b");
    env = json_object_get(crontab.lines[7].job, "env");
    assert_string_equal(json_string_value(json_object_get(env, "X_1")), "q");
    assert_string_equal(field(&crontab, 5, "name"), "tab-a");
    assert_string_equal(field(&crontab, 7, "name"), "tab-a-2");
    assert_string_equal(crontab.lines[8].remark, "MUSTER_RUN=1 is not carried over: the account sets it");
    crontab_release(&crontab);
}

static void test_percent(void **state)
{
    struct crontab crontab = parse("0 0 * * * mail -s \\%x me%Hello%there\n0 0 * * * date +\\%d\n", false);
    assert_string_equal(script(&crontab, 0, 2), "cd \"$HOME\" || exit 1\n(\nmail -s %x me\n) <<'END_OF_INPUT'\nHello\nthere\nEND_OF_INPUT\n");
    assert_string_equal(script(&crontab, 1, 2), "cd \"$HOME\" || exit 1\ndate +%d\n");
    crontab_release(&crontab);
    crontab = parse("0 0 * * * cat%END_OF_INPUT\n", false);
    assert_string_equal(script(&crontab, 0, 2), "cd \"$HOME\" || exit 1\n(\ncat\n) <<'END_OF_INPUT_1'\nEND_OF_INPUT\nEND_OF_INPUT_1\n");
    crontab_release(&crontab);
}

static void test_what_cannot_be(void **state)
{
    struct crontab crontab = parse("@reboot /usr/bin/daemon\n0 0 */2 * mon x\n0 0 1 * */2 x\n0 0 */2 * * x\n0 0 * * 1 x\n"
                                   "6~30 * * * * x\n~ 1 * * * x\n~9 1 * * * x\n1 2 3\n* * * * *\n", false);
    const bool lost[] = {true, true, true, false, false, false, false, true, true, true};
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(crontab.lines[i].lost, lost[i]);
        assert_int_equal(crontab.lines[i].job == NULL, lost[i]);
        assert_int_equal(crontab.lines[i].remark != NULL, lost[i]);
    }
    assert_non_null(strstr(crontab.lines[0].remark, "@reboot has no place here"));
    assert_string_equal(schedule(&crontab, 5, "cron"), "H(6-30) * * * *");
    assert_string_equal(schedule(&crontab, 6, "cron"), "H 1 * * *");
    assert_string_equal(crontab.lines[8].remark, "it has fewer than five fields and a command");
    crontab_release(&crontab);
}

static void test_other_encodings(void **state)
{
    struct crontab crontab = parse("# gr\xfc\xdf dich\n0 0 * * * echo gr\xfc\xdf\nA=\xfc\n0 1 * * * echo gr\xc3\xbc\xc3\x9f\n", false);
    assert_int_equal(crontab.n, 3);
    for (size_t i = 0; i < 2; i++) {
        assert_true(crontab.lines[i].lost && crontab.lines[i].job == NULL);
        assert_string_equal(crontab.lines[i].remark, "it holds bytes that are no UTF-8; save the file as UTF-8");
    }
    assert_int_equal(crontab.n_jobs, 1);
    assert_string_equal(script(&crontab, 2, 2), "cd \"$HOME\" || exit 1\necho gr\xc3\xbc\xc3\x9f\n");
    crontab_release(&crontab);
    // Nothing before the input.
    crontab = parse("0 0 * * * %input\n", false);
    assert_true(crontab.lines[0].lost);
    assert_string_equal(crontab.lines[0].remark, "it has no command");
    crontab_release(&crontab);
}

// Each job stands in the line that it came from.
static void test_printed(void **state)
{
    struct crontab crontab = parse("A=1\n\n0 0 * * * x\n# y\n0 1 * * * \"z\"\n", false);
    struct buf text = {0};
    crontab_print_jobs(&crontab, &text);
    unsigned line = 1, found = 0;
    for (const char *p = text.data; *p != '\0'; p++) {
        if (strncmp(p, "--- {", 5) == 0 && (p == text.data || p[-1] == '\n')) {
            assert_int_equal(line, found == 0 ? 3 : 5);
            found++;
        }
        line += *p == '\n';
    }
    assert_int_equal(found, 2);
    buf_release(&text);
    crontab_release(&crontab);
    struct err err = {0};
    struct crontab_options options = {.prefix = "tab", .zone = "UTC"};
    assert_int_equal(crontab_parse("a\0b", 3, &options, &crontab, &err), ERR_INVALID);
    assert_int_equal(crontab_parse(NULL, 0, &options, &crontab, &err), 0);
    assert_int_equal(crontab.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user_format), cmocka_unit_test(test_system_format), cmocka_unit_test(test_settings),
        cmocka_unit_test(test_percent),     cmocka_unit_test(test_what_cannot_be), cmocka_unit_test(test_printed),
        cmocka_unit_test(test_other_encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
