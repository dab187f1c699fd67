// SPDX-License-Identifier: Apache-2.0
// Job files: what good ones mean, and every word that is said about bad ones.

#include "tests/unit/codec/spec_world.h"

static void test_smallest(void **state)
{
    const struct job_spec *spec = good(*state, "command: [echo, hi]");
    assert_int_equal(spec->n_command, 2);
    assert_string_equal(spec->command[0], "echo");
    assert_string_equal(spec->command[1], "hi");
    assert_null(spec->name);
    assert_string_equal(spec->namespace_name, "default");
    assert_int_equal(spec->n_needs, 1);
    assert_string_equal(spec->needs[0].name, "cpu");
    assert_int_equal(spec->needs[0].amount, 1000);
    assert_false(spec->cpu_declared);
    assert_int_equal(spec->tasks.count, 1);
}

static void test_every_field(void **state)
{
    const struct job_spec *spec = good_as(*state, SPEC_YAML, SPEC_JOB,
        "namespace: team-a\nname: etl.7\ndescription: |\n  two\n  lines\ncommand: a | b\n"
        "env: {A: 1, B_2: yes, EMPTY: , C: 'x y'}\nworkdir: /srv\nuser: etl\n"
        "resources: {memory: 1.5GiB, cpu: 250m, disk: 2GB, gpu: 1, licence: 3, nothing: 0}\n"
        "constraints:\n- zone == eu\n- arch in (x86_64, \"a b\")\n- disk!=hdd\n- rack not in (r1)\n- has gpu\n- not has x/y\n- in == 1\n"
        "tasks: 200, 0-99:2\nparallelism: 5\npriority: -7\nqueue: batch\ntime_limit: 1h30m\nqueue_deadline: 90\nkill_grace: 500ms\n"
        "retry: {limit: 3, backoff: 10s, factor: 1.25, max_backoff: 5m, jitter: 0.125, exit_codes: [75, 7], causes: oom}\n"
        "concurrency: {key: db main, limit: 4}\nafter: [5, {run: 6}, {run: 7, on: failed}]\nlog_limit: 1MiB\n"
        "schedule: ['@daily', {cron: '0 9 * * *', zone: Asia/Tokyo}, {every: 2m}, {at: '2030-01-01T00:00:00+01:00'},\n"
        "  {every: 5m, between: '22:00-06:30:15', zone: Asia/Tokyo, from: '2026-01-01T00:00:00Z', until: '2027-01-01T00:00:00Z', jitter: 30s},\n"
        "  {quartz: '0 0 9 ? * 2'}, {after_end: 45s}]\n"
        "overlap: replace\nmisfire: all\ncatch_up: {window: 90m, max: 7}\nlate_after: 5m\npause_after: 3\nlabels: {tier: gold, a/b: ''}\n");
    assert_string_equal(spec->namespace_name, "team-a");
    assert_string_equal(spec->name, "etl.7");
    assert_string_equal(spec->description, "two\nlines\n");
    assert_int_equal(spec->n_command, 3);
    assert_string_equal(spec->command[0], "/bin/sh");
    assert_string_equal(spec->command[1], "-c");
    assert_string_equal(spec->command[2], "a | b");
    assert_int_equal(spec->n_env, 4);
    assert_string_equal(spec->env[0].value, "1");
    assert_string_equal(spec->env[1].key, "B_2");
    assert_string_equal(spec->env[1].value, "yes");
    assert_string_equal(spec->env[2].value, "");
    assert_string_equal(spec->env[3].value, "x y");
    assert_string_equal(spec->workdir, "/srv");
    assert_string_equal(spec->user, "etl");
    static const struct resource_need needs[] = {{"cpu", 250}, {"disk", 2000000000}, {"gpu", 1}, {"licence", 3}, {"memory", 1610612736}};
    assert_int_equal(spec->n_needs, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(spec->needs[i].name, needs[i].name);
        assert_int_equal(spec->needs[i].amount, needs[i].amount);
    }
    assert_true(spec->cpu_declared);
    static const enum constraint_op ops[] = {OP_EQ, OP_IN, OP_NE, OP_NOT_IN, OP_EXISTS, OP_NOT_EXISTS, OP_EQ};
    assert_int_equal(spec->n_constraints, 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(spec->constraints[i].op, ops[i]);
    assert_string_equal(spec->constraints[1].values[1], "a b");
    assert_string_equal(spec->constraints[5].label, "x/y");
    assert_string_equal(spec->constraints[6].label, "in");
    assert_int_equal(spec->tasks.count, 51);
    assert_int_equal(index_set_at(&spec->tasks, 50), 200);
    assert_int_equal(spec->parallelism, 5);
    assert_int_equal(spec->priority, -7);
    assert_string_equal(spec->queue, "batch");
    assert_int_equal(spec->time_limit_usec, 90 * USEC_PER_MIN);
    assert_int_equal(spec->queue_deadline_usec, 90 * USEC_PER_SEC);
    assert_int_equal(spec->kill_grace_usec, 500 * USEC_PER_MSEC);
    assert_int_equal(spec->retry.limit, 3);
    assert_int_equal(spec->retry.backoff_usec, 10 * USEC_PER_SEC);
    assert_int_equal(spec->retry.factor_permille, 1250);
    assert_int_equal(spec->retry.backoff_max_usec, 5 * USEC_PER_MIN);
    assert_int_equal(spec->retry.jitter_permille, 125);
    assert_int_equal(spec->retry.n_exit_codes, 2);
    assert_int_equal(spec->retry.exit_codes[1], 7);
    assert_int_equal(spec->retry.causes, 1u << OUTCOME_OOM);
    assert_string_equal(spec->concurrency_key, "db main");
    assert_int_equal(spec->concurrency_limit, 4);
    assert_int_equal(spec->n_after, 3);
    assert_int_equal(spec->after[0].run_id, 5);
    assert_int_equal(spec->after[1].on, AFTER_SUCCEEDED);
    assert_int_equal(spec->after[2].run_id, 7);
    assert_int_equal(spec->after[2].on, AFTER_FAILED);
    assert_int_equal(spec->log_bytes_max, 1 << 20);
    assert_int_equal(spec->n_triggers, 7);
    assert_int_equal(spec->triggers[6].kind, TRIGGER_AFTER_END);
    assert_int_equal(spec->triggers[6].every_usec, 45 * USEC_PER_SEC);
    assert_true(spec->triggers[4].has_between);
    assert_int_equal(spec->triggers[4].between_first_sec, 22 * 3600);
    assert_int_equal(spec->triggers[4].between_last_sec, 6 * 3600 + 30 * 60 + 15);
    assert_string_equal(spec->triggers[4].zone, "Asia/Tokyo");
    assert_int_equal(spec->triggers[4].from_usec, INT64_C(1767225600) * USEC_PER_SEC);
    assert_int_equal(spec->triggers[4].until_usec, INT64_C(1798761600) * USEC_PER_SEC);
    assert_int_equal(spec->triggers[4].jitter_usec, 30 * USEC_PER_SEC);
    assert_true(spec->triggers[5].quartz);
    assert_int_equal(spec->triggers[5].cron.day_of_week, 1 << 1);
    assert_int_equal(spec->pause_after, 3);
    assert_int_equal(spec->triggers[0].kind, TRIGGER_CRON);
    assert_string_equal(spec->triggers[0].zone, "UTC");
    assert_string_equal(spec->triggers[1].zone, "Asia/Tokyo");
    assert_string_equal(spec->triggers[1].text, "0 9 * * *");
    assert_int_equal(spec->triggers[2].kind, TRIGGER_EVERY);
    assert_int_equal(spec->triggers[2].every_usec, 2 * USEC_PER_MIN);
    assert_string_equal(spec->triggers[2].text, "@every 2m");
    assert_int_equal(spec->triggers[3].kind, TRIGGER_AT);
    assert_int_equal(spec->triggers[3].at_usec, INT64_C(1893452400) * USEC_PER_SEC);
    assert_int_equal(spec->overlap, OVERLAP_REPLACE);
    assert_int_equal(spec->misfire, MISFIRE_ALL);
    assert_int_equal(spec->catch_up_window_usec, 90 * USEC_PER_MIN);
    assert_int_equal(spec->catch_up_max, 7);
    assert_int_equal(spec->late_after_usec, 5 * USEC_PER_MIN);
    assert_int_equal(spec->n_labels, 2);
    assert_string_equal(spec->labels[0].key, "a/b");
    assert_string_equal(spec->labels[1].value, "gold");
}

static void test_json_and_yaml_agree(void **state)
{
    const struct job_spec *spec = good_as(*state, SPEC_JSON, SPEC_RUN,
        "\t{\"command\":[\"a\\u00e9\\ud83d\\ude00\\/\\n\",\"\xc3\xa9\"],\r\n \"tasks\": 5, \"retry\":{\"limit\":2,\"jitter\":0.5},\"name\":null}\n");
    assert_string_equal(spec->command[0], "a\xc3\xa9\xf0\x9f\x98\x80/\n");
    assert_string_equal(spec->command[1], "\xc3\xa9");
    assert_int_equal(spec->tasks.count, 5);
    assert_int_equal(spec->retry.limit, 2);
    assert_int_equal(spec->retry.jitter_permille, 500);
    assert_null(spec->name);
}

static void test_index_lists(void **state)
{
    static const struct {
        const char *given, *meant;
    } rows[] = {
        {"4", "0-3"},
        {"3, 1,2 ,0,7-9", "0-3,7-9"},
        {"9-11,0-8:2,20-21:5,12", "0-8:2,9-12,20"},
        {"4294967294,0", "0,4294967294"},
        {"0-4294967294:4294967294", "0-4294967294:4294967294"},
        {"1,3,5", "1,3,5"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[80], yaml[120];
        snprintf(yaml, sizeof(yaml), "command: [x]\ntasks: '%s'\n", rows[i].given);
        assert_string_equal(index_set_format(text, sizeof(text), &good(f, yaml)->tasks), rows[i].meant);
    }
}

static void test_documents(void **state)
{
    struct fixture *f = *state;
    good_as(f, SPEC_YAML, SPEC_JOB, "---\nname: a\ncommand: x\n---\n---\nname: b\ncommand: y\n...\n---\n# nothing\n");
    assert_int_equal(f->n, 2);
    assert_string_equal(f->specs[1]->name, "b");
    refuse_as(f, SPEC_YAML, SPEC_JOB, "name: a\ncommand: x\n---\nname: b\ncommand: x\n---\nname: a\nnamespace: default\ncommand: z\n",
              "7:1: name: the job default/a is given twice, first in line 1\n");
    refuse(f, "command: x\n---\ncommand: y\n", "3:1: a second document; a run is one piece of work\n");
    refuse(f, "# only a comment\n", "1:1: it is empty\n");
    refuse(f, "", "1:1: it is empty\n");
}

static void test_broken_yaml(void **state)
{
    refuse(*state, "command: [a, b\nname: x\n",
           "2:5: this is not YAML: did not find expected ',' or ']', while parsing a flow sequence\n");
    refuse(*state, "a: b: c\n", "1:5: this is not YAML: mapping values are not allowed in this context\n");
    refuse(*state, "command: &x [a]\nenv: *x\n",
           "1:10: anchors (&name) are not allowed; write the value where it is used\n"
           "2:6: aliases (*name) are not allowed; write the value itself\n");
    refuse(*state, "command: !!str a\nname: !x b\n", "1:10: tags (!name) are not allowed\n2:7: tags (!name) are not allowed\n");
    refuse(*state, "command: a\ncommand: b\nenv: {A: 1, B: 2, A: 3}\n",
           "2:1: command: it is given twice, first in line 1\n3:19: A: it is given twice, first in line 3\n");
    // What is given twice hides nothing else.
    refuse(*state, "command: [a]\ncommand: b\nretry: {limit: x, limit: 2}\n",
           "2:1: command: it is given twice, first in line 1\n"
           "3:16: retry.limit: 'x' is not a whole number (allowed: 0 up to one less than the setting attempts_max)\n3:19: limit: it is given twice, first in line 3\n");
    refuse(*state, "command: [a]\ncommand: &x b\ncolour: red\n",
           "2:1: command: it is given twice, first in line 1\n2:10: anchors (&name) are not allowed; write the value where it is used\n");
    refuse(*state, "? [a]\n: b\n", "1:3: a key must be text\n");
    refuse(*state, "a: [[[[[[[[[[[[[[[[[[[[[[[\n", "1:19: it is nested too deeply\n");
    refuse(*state, "command: \"a\\0b\"\n", "1:10: a text cannot hold the character NUL\n");
    refuse(*state, "command: [x]\nname: \xc3\xa9\x01\n", "2:8: this is not YAML: control characters are not allowed\n");
    refuse(*state, "command: [x]\nname: \xff\n", "2:7: this is not YAML: invalid leading UTF-8 octet\n");
    refuse(*state, "just text\n", "1:1: this is not a job (allowed: a map of fields, such as \"command: [echo, hello]\")\n");
}

static void test_broken_json(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"", "1:1: this is not JSON: a value is expected here\n"},
        {"{\"command\":[\"a\"]} x", "1:19: this is not JSON: something follows the end of the document\n"},
        {"{\"command\":[\"a\"]}{}", "1:18: this is not JSON: something follows the end of the document\n"},
        {"{\"command\":[\"a\",]}", "1:17: this is not JSON: a value is expected here\n"},
        {"{\"command\":[\"a\"],}", "1:18: this is not JSON: a key in quotes is expected here\n"},
        {"{command:1}", "1:2: this is not JSON: a key in quotes is expected here\n"},
        {"{\"command\" \"a\"}", "1:12: this is not JSON: a colon is expected here\n"},
        {"{\"a\":1 \"b\":2}", "1:8: this is not JSON: a comma or } is expected here\n"},
        {"[1 2]", "1:4: this is not JSON: a comma or ] is expected here\n"},
        {"{\"a\":\n \"\xc3\xa9\xc3\xa9 x\ty\"}", "2:7: this is not JSON: a control character in a text must be escaped\n"},
        {"{\"a\": \"x}", "1:7: this is not JSON: the text that begins here has no closing quote\n"},
        {"{\"a\": \"\\x\"}", "1:8: this is not JSON: an unknown escape follows the backslash\n"},
        {"{\"a\": \"\\u12\"}", "1:10: this is not JSON: \\u needs four hexadecimal digits\n"},
        {"{\"a\": \"\\ud800\"}", "1:10: this is not JSON: half of a surrogate pair is missing\n"},
        {"{\"a\": \"\\u0000\"}", "1:10: this is not JSON: a text cannot hold the character NUL\n"},
        {"{\"a\": \"\xc0\xaf\"}", "1:8: this is not JSON: these bytes are not UTF-8\n"},
        {"{\"a\": 01}", "1:7: this is not JSON: a value is expected here\n"},
        {"{\"a\": 'x'}", "1:7: this is not JSON: a value is expected here\n"},
        {"{\"a\": True}", "1:7: this is not JSON: a value is expected here\n"},
        {"{\"command\":\"a\",\n\"command\":\"b\"}", "2:1: command: it is given twice, first in line 1\n"},
        {"[[[[[[[[[[[[[[[[[[[[", "1:17: this is not JSON: it is nested too deeply\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refuse_as(*state, SPEC_JSON, SPEC_RUN, rows[i].text, rows[i].expected);
}

#define NAME_ALLOWED "(allowed: letters, digits, dots, dashes and underscores, beginning with a letter or digit)"
#define JOB_NAME_ALLOWED "(allowed: letters, digits, dots, dashes and underscores, beginning with a letter or digit, not only digits)"
#define TASKS_ALLOWED \
    "(allowed: a number of tasks (100), or indexes: ranges a-b, with a step a-b:s, and single ones, parted by commas (0-99:2,200))"
#define CONSTRAINTS_ALLOWED \
    "(allowed: conditions on labels: zone == eu, disk != hdd, arch in (x86_64, arm64), rack not in (r1), has gpu, not has gpu)"
#define TIME_ALLOWED "(allowed: a time with its zone (2026-12-24T18:00:00Z, 2026-12-24T18:00:00+01:00))"
#define ENV_ALLOWED "(allowed: names of letters, digits and underscores with text values; names that begin with MUSTER_ are taken)"

static const struct {
    const char *fields, *expected;
} bad_fields[] = {
    {"naem: x", "2:1: naem: there is no such field; did you mean 'name'?\n"},
    {"paralelism: 3", "2:1: paralelism: there is no such field; did you mean 'parallelism'?\n"},
    {"retry.limit: 3", "2:1: retry.limit: there is no such field (allowed: namespace, name, description, command, script, env, workdir, user, "
                       "resources, constraints, tasks, parallelism, priority, queue, time_limit, queue_deadline, kill_grace, start_at, retry, "
                       "delivery, concurrency, after, log_limit, schedule, overlap, misfire, catch_up, late_after, pause_after, params, labels)\n"},
    {"retry: {limit: 1, bakoff: 2s}", "2:19: retry.bakoff: there is no such field; did you mean 'backoff'?\n"},
    {"name: a/b", "2:7: name: 'a/b' holds a character that is not allowed " JOB_NAME_ALLOWED "\n"},
    {"name: 12", "2:7: name: '12' has only digits and would be taken for the id of a run " JOB_NAME_ALLOWED "\n"},
    {"name: -a", "2:7: name: '-a' does not begin with a letter or digit " JOB_NAME_ALLOWED "\n"},
    {"name: \"\"", "2:7: name: '' is empty " JOB_NAME_ALLOWED "\n"},
    {"name: [a]", "2:7: name: one value is needed here, and this is a list " JOB_NAME_ALLOWED "\n"},
    {"namespace: gr\xc3\xbcn", "2:12: namespace: 'gr\xc3\xbcn' holds a letter that is not ASCII " NAME_ALLOWED "\n"},
    {"queue: a b", "2:8: queue: 'a b' holds a character that is not allowed " NAME_ALLOWED "\n"},
    {"env: [A]", "2:6: env: a map is needed here, and this is a list " ENV_ALLOWED "\n"},
    {"env: {1A: x, A-B: y, MUSTER_RUN: 1, C: [1]}",
     "2:11: env.1A: the name '1A' begins with a digit " ENV_ALLOWED "\n"
     "2:19: env.A-B: the name 'A-B' holds a character that is not allowed " ENV_ALLOWED "\n"
     "2:34: env.MUSTER_RUN: the name 'MUSTER_RUN' begins with MUSTER_, which Muster sets itself " ENV_ALLOWED "\n"
     "2:40: env.C: one value is needed here, and this is a list " ENV_ALLOWED "\n"},
    {"workdir: srv", "2:10: workdir: 'srv' does not begin with / (allowed: an absolute path of at most 4095 bytes)\n"},
    {"user: Root", "2:7: user: 'Root' does not begin with a lower case letter (allowed: the name of an account: lower case letters, digits, "
                   "dashes and underscores, at most 32)\n"},
    {"resources: {cpu: two}", "2:18: resources.cpu: 'two' is not a number of cores (allowed: cores (2, 1.5) or thousandths (250m), 1m to 1000000)\n"},
    {"resources: {cpu: 0}", "2:18: resources.cpu: '0' is out of range (allowed: cores (2, 1.5) or thousandths (250m), 1m to 1000000)\n"},
    {"resources: {memory: 1XB, disk: 2000PiB, gpu: -1, a b: 1, tape: 1.5}",
     "2:21: resources.memory: '1XB' is not a size (allowed: bytes with a unit (64MiB, 1.5GiB), up to 1EiB)\n"
     "2:32: resources.disk: '2000PiB' is out of range (allowed: bytes with a unit (500MiB, 20GiB), up to 1EiB)\n"
     "2:46: resources.gpu: -1 is out of range (allowed: 0 to 1000000)\n"
     "2:55: resources.a b: the name 'a b' holds a character that is not allowed (allowed: cpu, memory, disk, gpu, or the name of a "
     "countable resource with a whole number)\n"
     "2:64: resources.tape: '1.5' is not a count (allowed: 0 to 1000000000)\n"},
    {"constraints: [zone = eu, arch in x, has, \"a == \\\"b\", '', a == b c, rack in (), rack in (a, not has]",
     "2:15: constraints[0]: 'zone = eu': 'zone' is not followed by ==, !=, in or not in " CONSTRAINTS_ALLOWED "\n"
     "2:26: constraints[1]: 'arch in x': a list in parentheses is missing after 'in' " CONSTRAINTS_ALLOWED "\n"
     "2:37: constraints[2]: 'has': a label is missing after 'has' " CONSTRAINTS_ALLOWED "\n"
     "2:42: constraints[3]: 'a == \"b': the closing quote is missing after '\"b' " CONSTRAINTS_ALLOWED "\n"
     "2:54: constraints[4]: '': a label is missing " CONSTRAINTS_ALLOWED "\n"
     "2:58: constraints[5]: 'a == b c': 'c' is left over at its end " CONSTRAINTS_ALLOWED "\n"
     "2:68: constraints[6]: 'rack in ()': a value is missing before ) " CONSTRAINTS_ALLOWED "\n"
     "2:80: constraints[7]: 'rack in (a': the list has no closing parenthesis " CONSTRAINTS_ALLOWED "\n"
     "2:92: constraints[8]: 'not has': a label is missing after 'has' " CONSTRAINTS_ALLOWED "\n"},
    {"tasks: 0", "2:8: tasks: 0 is out of range " TASKS_ALLOWED "\n"},
    {"tasks: -3", "2:8: tasks: -3 is out of range " TASKS_ALLOWED "\n"},
    {"tasks: ten", "2:8: tasks: 'ten' is not an index (0 to 4294967294) " TASKS_ALLOWED "\n"},
    {"tasks: 5-1", "2:8: tasks: the range 5-1 ends before it begins " TASKS_ALLOWED "\n"},
    {"tasks: 1-9:0", "2:8: tasks: '1-9:0' has no step of 1 or more " TASKS_ALLOWED "\n"},
    {"tasks: \"1,\"", "2:8: tasks: '' is not an index (0 to 4294967294) " TASKS_ALLOWED "\n"},
    {"tasks: 1;2", "2:8: tasks: a comma is missing before ';2' " TASKS_ALLOWED "\n"},
    {"resources: {memory: 1B}", "2:21: resources.memory: 1B is less than a program needs to start; the least is 512KiB (memory_min)\n"},
    {"resources: {memory: 524287}", "2:21: resources.memory: 511.9KiB is less than a program needs to start; the least is 512KiB (memory_min)\n"},
    {"tasks: \"7,1,7\"", "2:8: tasks: index 7 is given twice " TASKS_ALLOWED "\n"},
    {"tasks: 0-10,5-20", "2:8: tasks: the ranges 0-10 and 5-20 overlap " TASKS_ALLOWED "\n"},
    {"tasks: 10000001", "2:8: tasks: the number of tasks is 10000001, more than tasks_max allows (10000000)\n"},
    {"tasks: 0-10000000", "2:8: tasks: it has 10000001 indexes, more than tasks_max allows (10000000)\n"},
    {"tasks: 3\nparallelism: 4", "3:14: parallelism: 4 is more than the number of tasks, which is 3 (allowed: 1 up to the number of tasks, or 0 for no limit)\n"},
    {"parallelism: many", "2:14: parallelism: 'many' is not a whole number (allowed: 1 up to the number of tasks, or 0 for no limit)\n"},
    {"priority: 1001", "2:11: priority: 1001 is out of range (allowed: -1000 to 1000)\n"},
    {"priority: 99999999999999999999", "2:11: priority: 99999999999999999999 is out of range (allowed: -1000 to 1000)\n"},
    {"time_limit: soon", "2:13: time_limit: 'soon' is not a duration (allowed: a duration (90s, 1h30m) of up to 3650d, or 0 for none)\n"},
    {"kill_grace: 2h", "2:13: kill_grace: '2h' is out of range (allowed: a duration of 0 to 1h)\n"},
    {"start_at: tomorrow", "2:11: start_at: 'tomorrow' is not a time " TIME_ALLOWED "\n"},
    {"start_at: 2026-12-24T18:00:00", "2:11: start_at: '2026-12-24T18:00:00' is not a time " TIME_ALLOWED "\n"},
    {"retry: 3", "2:8: retry: a map is needed here, and this is one value (allowed: limit, backoff, factor, max_backoff, jitter, exit_codes, causes)\n"
                 "2:8: retry.limit: without a limit nothing is ever tried again (allowed: 0 up to one less than the setting attempts_max)\n"},
    {"retry: {limit: 1000}", "2:16: retry.limit: 1000 is out of range (allowed: 0 up to one less than the setting attempts_max)\n"},
    {"retry: {limit: 1, factor: 0.5, jitter: 120%, backoff: 10s, max_backoff: 5s}",
     "2:27: retry.factor: 0.5 is out of range (allowed: 1 to 100, with up to three decimals)\n"
     "2:40: retry.jitter: 120% is out of range (allowed: 0 to 1 with up to three decimals (0.2), or 0% to 100%)\n"
     "2:73: retry.max_backoff: it is shorter than backoff (allowed: a duration of up to 30d that is not shorter than backoff)\n"},
    {"retry: {limit: 1, exit_codes: [0, 75, 75], causes: [out_of_memory, ook, succeeded]}",
     "2:32: retry.exit_codes[0]: 0 is out of range (allowed: a list of at most 255 exit statuses from 1 to 255)\n"
     "2:39: retry.exit_codes[2]: 75 is given twice (allowed: a list of at most 255 exit statuses from 1 to 255)\n"
     "2:53: retry.causes[0]: 'out_of_memory' is not known (allowed: a list of exit, signal, timeout, oom, spawn, lease, lost, not_started, limit)\n"
     "2:68: retry.causes[1]: 'ook' is not known; did you mean 'oom'? (allowed: a list of exit, signal, timeout, oom, spawn, lease, lost, not_started, limit)\n"
     "2:73: retry.causes[2]: an attempt that ended as succeeded is never tried again (allowed: a list of exit, signal, timeout, oom, spawn, lease, lost, not_started, limit)\n"},
    {"delivery: once", "2:11: delivery: 'once' is not known (allowed: at_least_once, at_most_once)\n"},
    {"delivery: at_most_once\nretry: {limit: 2}",
     "3:16: retry.limit: a job with delivery at_most_once starts no task twice, so its retry limit can only be 0\n"},
    {"concurrency: 3", "2:14: concurrency: a map {key: NAME, limit: NUMBER} is needed here (allowed: key, limit)\n"},
    {"concurrency: {limit: 0}", "2:14: concurrency: the key is missing (allowed: key, limit)\n"
                                "2:22: concurrency.limit: 0 is out of range (allowed: 1 to 1000000)\n"},
    {"after: [0, x, {on: ended}, {run: 3, on: never}, 5, {run: 5}]",
     "2:9: after[0]: 0 is out of range (allowed: a list of run ids, or of {run: ID, on: succeeded | failed | ended})\n"
     "2:12: after[1]: 'x' is not a whole number (allowed: a list of run ids, or of {run: ID, on: succeeded | failed | ended})\n"
     "2:15: after[2]: the id of the run is missing (allowed: a list of run ids, or of {run: ID, on: succeeded | failed | ended})\n"
     "2:41: after[3].on: 'never' is not known (allowed: succeeded, failed, ended)\n"
     "2:52: after[5]: run 5 is given twice (allowed: a list of run ids, or of {run: ID, on: succeeded | failed | ended})\n"},
    {"log_limit: 100", "2:12: log_limit: '100' is out of range (allowed: 4KiB up to the setting log_bytes_max)\n"},
    {"log_limit: 1GiB", "2:12: log_limit: it is 1GiB, more than log_bytes_max allows (64MiB)\n"},
    {"labels: {a b: c}", "2:15: labels.a b: the key 'a b' holds a character that is not allowed (allowed: keys of letters, digits, dots, slashes, "
                         "dashes and underscores with text values)\n"},
    {"script: x", "2:9: script: either a command or a script is run, not both\n"},
    {"schedule: \"@daily\"\noverlap: allow\nmisfire: once",
     "2:11: schedule: only a job has it; a run is started once, by hand\n"
     "3:10: overlap: only a job has it; a run is started once, by hand\n"
     "4:10: misfire: only a job has it; a run is started once, by hand\n"},
};

static void test_bad_fields(void **state)
{
    for (size_t i = 0; i < sizeof(bad_fields) / sizeof(bad_fields[0]); i++) {
        struct buf text = {0};
        buf_printf(&text, "command: [x]\n%s\n", bad_fields[i].fields);
        refuse(*state, text.data, bad_fields[i].expected);
        buf_release(&text);
    }
}

static void test_bad_jobs(void **state)
{
    refuse_as(*state, SPEC_YAML, SPEC_JOB, "schedule: x\n",
              "1:1: command: neither command nor script is given (allowed: a list [program, argument, ...], or one text that /bin/sh runs)\n"
              "1:1: name: a job needs a name " JOB_NAME_ALLOWED "\n"
              "1:11: schedule: it has 1 field; a schedule has 5 (minute hour day month weekday), 6 with seconds first, or the 7 of Quartz with the year last\n");
    refuse_as(*state, SPEC_YAML, SPEC_JOB,
              "name: a\ncommand: [x]\nschedule:\n- {cron: '0 0 30 2 *'}\n- {cron: '61 * * * *', zone: Europe/Nowhere}\n- {}\n"
              "- {every: 1m, zone: UTC}\n- {every: 1m, at: '2026-01-01T00:00:00Z'}\n- {every: 0}\n- {evry: 1m}\nstart_at: 2030-01-01T00:00:00Z\n",
              "4:10: schedule[0].cron: '0 0 30 2 *' names a day that never comes\n"
              "5:10: schedule[1].cron: minute: '61' is out of range; allowed are 0-59, *, ranges (a-b), steps (*/n) and lists (a,b)\n"
              "5:30: schedule[1].zone: there is no time zone 'Europe/Nowhere' (allowed: a zone of the time zone database (Europe/Berlin, "
              "America/New_York, UTC))\n"
              "6:3: schedule[2]: one of cron, every and at is missing (allowed: cron fields (\"0 9 * * mon-fri\"), a macro (@daily, \"@every 90s\"), "
              "{cron, zone}, {every}, {at}, or a list of these)\n"
              "7:21: schedule[3].zone: a zone belongs to cron; every needs none, and at holds its own\n"
              "8:3: schedule[4]: only one of cron, every and at may be given; make it a list (allowed: cron fields (\"0 9 * * mon-fri\"), a macro "
              "(@daily, \"@every 90s\"), {cron, zone}, {every}, {at}, or a list of these)\n"
              "9:11: schedule[5].every: '0' is out of range (allowed: whole seconds, 1s to 366d)\n"
              "10:3: schedule[6]: one of cron, every and at is missing (allowed: cron fields (\"0 9 * * mon-fri\"), a macro (@daily, \"@every 90s\"), "
              "{cron, zone}, {every}, {at}, or a list of these)\n"
              "10:4: schedule[6].evry: there is no such field; did you mean 'every'?\n"
              "11:11: start_at: a job with a schedule has no start_at; write schedule: {at: TIME}\n");
    refuse(*state, "command: []\n", "1:10: command: it names no program (allowed: a list [program, argument, ...], or one text that /bin/sh runs)\n");
    refuse(*state, "script: '  '\n", "1:9: script: it is empty (allowed: the text of a script, with a #! line or for /bin/sh)\n");
    refuse(*state, "command: [x, [y], {}]\n",
           "1:14: command[1]: one value is needed here, and this is a list (allowed: a list [program, argument, ...], or one text that /bin/sh runs)\n"
           "1:19: command[2]: one value is needed here, and this is a map (allowed: a list [program, argument, ...], or one text that /bin/sh runs)\n");
    refuse_as(*state, SPEC_YAML, SPEC_JOB,
              "name: a\ncommand: [x]\npause_after: -1\nschedule:\n- {at: '2030-01-01T00:00:00Z', jitter: 5s}\n"
              "- {every: 5m, from: '2030-01-01T00:00:00Z', until: '2029-01-01T00:00:00Z'}\n- {every: 5m, between: '8-18'}\n"
              "- {every: 5m, between: '08:00-25:00'}\n- {every: 5m, jitter: 2d}\n",
              "3:14: pause_after: -1 is out of range (allowed: 1 to 1000000, or 0 for never)\n"
              "5:40: schedule[0].jitter: it has no bounds; they belong to cron and every\n"
              "6:52: schedule[1].until: it is not later than from\n"
              "7:24: schedule[2].between: '8-18' is not such a window (allowed: two times of the day, HH:MM-HH:MM or with seconds, 00:00 to 24:00)\n"
              "8:24: schedule[3].between: '08:00-25:00' is not such a window (allowed: two times of the day, HH:MM-HH:MM or with seconds, 00:00 to 24:00)\n"
              "9:23: schedule[4].jitter: '2d' is out of range (allowed: a duration of up to 1d)\n");
    refuse_as(*state, SPEC_YAML, SPEC_JOB, "name: a\ncommand: [x]\nschedule: {cron: '0 3 * * *', between: '08:00-18:00'}\n",
              "3:11: schedule: no instant of '0 3 * * *' lies within 08:00-18:00\n");
}

static void set(struct fixture *f, const char *name, const char *value)
{
    struct err err = {0};
    if (limits_set(&f->limits, name, value, &err) < 0)
        fail_msg("%s", err.text);
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    set(f, "spec_bytes_max", "1KiB");
    set(f, "command_bytes_max", "256");
    set(f, "env_bytes_max", "8");
    set(f, "env_count_max", "2");
    set(f, "labels_max", "1");
    set(f, "constraints_max", "1");
    set(f, "dependencies_max", "1");
    set(f, "schedules_max", "1");
    set(f, "name_bytes_max", "8");
    set(f, "tasks_max", "10");
    set(f, "index_ranges_max", "2");
    set(f, "resource_kinds_max", "4");
    refuse_as(f, SPEC_YAML, SPEC_JOB,
        "name: ninechars\ncommand: [x]\nenv: {A: 1, B: 2, C: 3}\nlabels: {a: 1, b: 2}\nconstraints: [has a, has b]\nafter: [1, 2]\n"
        "schedule: ['@daily', '@hourly']\ntasks: 1,3,5\nresources: {a: 1, b: 1, c: 1, d: 1, e: 1}\n",
        "1:7: name: 'ninechars' is longer than name_bytes_max allows " JOB_NAME_ALLOWED "\n"
        "3:6: env: the number of variables is 3, more than env_count_max allows (2)\n"
        "4:9: labels: the number of labels is 2, more than labels_max allows (1)\n"
        "5:14: constraints: the number of constraints is 2, more than constraints_max allows (1)\n"
        "6:8: after: the number of runs to wait for is 2, more than dependencies_max allows (1)\n"
        "7:11: schedule: the number of schedules is 2, more than schedules_max allows (1)\n"
        "8:8: tasks: it has more ranges than index_ranges_max allows (2)\n"
        "9:12: resources: the number of kinds of resources is 5, more than resource_kinds_max allows (4)\n");
    refuse(f, "command: [x]\nenv: {A: 123456}\ntasks: 11\n",
           "2:6: env: the environment is 9B, more than env_bytes_max allows (8B)\n"
           "3:8: tasks: the number of tasks is 11, more than tasks_max allows (10)\n");
    char text[2000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "command: ", 9);
    text[300] = '\0';
    refuse(f, text, "1:10: command: the command is 292B, more than command_bytes_max allows (256B)\n");
    text[300] = 'x';
    assert_int_equal(spec_parse(text, 1025, SPEC_YAML, SPEC_RUN, &f->limits, &f->arena, &f->specs, &f->n, &f->errors), ERR_TOO_LARGE);
    assert_string_equal(f->errors.item[0].problem, "the text is 1025 bytes, more than spec_bytes_max allows (1024 bytes)");
}

static void test_all_errors_but_not_too_many(void **state)
{
    struct fixture *f = *state;
    struct buf text = {0};
    buf_adds(&text, "command: [x]\n");
    for (int i = 0; i < 250; i++)
        buf_printf(&text, "zzzzz%d: 1\n", i);
    assert_int_equal(spec_parse(text.data, text.len, SPEC_YAML, SPEC_RUN, &f->limits, &f->arena, &f->specs, &f->n, &f->errors), ERR_INVALID);
    assert_int_equal(f->errors.n, SPEC_ERRORS_MAX);
    assert_int_equal(f->errors.n_more, 150);
    buf_release(&text);
}

// What is cut out of a file for a sentence is valid UTF-8 without control characters.
static void test_errors_are_printable(void **state)
{
    refuse(*state, "command: [x]\nname: \"\\e[31m\\n\"\n", "2:7: name: '?[31m?' does not begin with a letter or digit " JOB_NAME_ALLOWED "\n");
    struct buf text = {0};
    buf_adds(&text, "command: [x]\nname: x");
    for (int i = 0; i < 100; i++)
        buf_adds(&text, "\xc3\xa9");
    struct fixture *f = *state;
    assert_int_equal(spec_parse(text.data, text.len, SPEC_YAML, SPEC_RUN, &f->limits, &f->arena, &f->specs, &f->n, &f->errors), ERR_INVALID);
    assert_null(strchr(f->errors.item[0].problem, '\n'));
    size_t len = strlen(f->errors.item[0].problem);
    for (size_t i = 0; i + 1 < len; i++)
        if ((unsigned char)f->errors.item[0].problem[i] == 0xc3)
            assert_int_equal((unsigned char)f->errors.item[0].problem[i + 1], 0xa9);
    buf_release(&text);
}

static void test_examples(void **state)
{
    static const struct {
        const char *name;
        size_t n;
    } files[] = {{"hello", 1}, {"array", 1}, {"retry", 1}, {"cron", 3}, {"memory-limit", 1}, {"at-most-once", 1}, {"gpu", 1}};
    struct fixture *f = *state;
    const char *root = getenv("MUSTER_SOURCE_DIR");
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct buf path = {0}, text = {0};
        struct err err = {0};
        buf_printf(&path, "%s/examples/%s.yaml", root != NULL ? root : ".", files[i].name);
        if (fs_read(path.data, 1 << 20, &text, &err) < 0)
            fail_msg("%s", err.text);
        good_as(f, SPEC_YAML, SPEC_JOB, text.data);
        assert_int_equal(f->n, files[i].n);
        buf_release(&path);
        buf_release(&text);
    }
}

// Every example of the table of fields is a field that is read as it stands, where it belongs.
static void test_examples_of_the_table(void **state)
{
    for (size_t i = 0; i < n_job_fields; i++) {
        const struct job_field *field = &job_fields[i];
        struct buf text = {0};
        const char *dot = strchr(field->path, '.');
        if (strcmp(field->path, "command") != 0 && strcmp(field->path, "script") != 0)
            buf_adds(&text, "command: [x]\n");
        if (strcmp(field->path, "name") != 0)
            buf_adds(&text, "name: x\n");
        if (strcmp(field->path, "parallelism") == 0)
            buf_adds(&text, "tasks: 100\n");
        if (strncmp(field->path, "catch_up", 8) == 0)
            buf_adds(&text, "misfire: all\n");
        if (dot == NULL) {
            buf_printf(&text, "%s\n", field->example);
        } else {
            buf_printf(&text, "%.*s: {%s", (int)(dot - field->path), field->path, field->example);
            if (strncmp(field->path, "retry.", 6) == 0 && strcmp(dot, ".limit") != 0)
                buf_adds(&text, ", limit: 1");
            if (strcmp(field->path, "concurrency.limit") == 0)
                buf_adds(&text, ", key: x");
            if (strcmp(field->path, "after.on") == 0)
                buf_adds(&text, ", run: 1");
            static const char *const beside[] = {"schedule.zone", "schedule.from", "schedule.until", "schedule.between", "schedule.jitter", "schedule.params",
                                                 "schedule.exclude", "schedule.include"};
            for (size_t k = 0; k < sizeof(beside) / sizeof(beside[0]); k++)
                if (strcmp(field->path, beside[k]) == 0)
                    buf_adds(&text, ", cron: '@hourly'");
            buf_adds(&text, "}\n");
        }
        buf_adds(&text, strcmp(field->path, "schedule.params") == 0 ? "params: {region: us}\n" : "");
        good_as(*state, SPEC_YAML, SPEC_JOB, text.data);
        assert_true(strlen(field->sentence) > 5 && strlen(field->allowed) > 5);
        buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_smallest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_field, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_and_yaml_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_index_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_documents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_yaml, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_jobs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_errors_but_not_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_are_printable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_examples, setup, teardown),
        cmocka_unit_test_setup_teardown(test_examples_of_the_table, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
