// SPDX-License-Identifier: Apache-2.0
// The answers of the API, letter by letter; and specs that come back from JSON as they were.

#include "codec/view_json.h"

#include "base/fs.h"
#include "base/prng.h"
#include "codec/json_put.h"
#include "codec/spec_parse.h"
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

#define AT(sec) ((usec_t)(sec) * USEC_PER_SEC)

static void test_writer(void **state)
{
    struct buf out = {0};
    struct json_put json;
    json_put_begin(&json, &out);
    json_put_open(&json, NULL, '{');
    json_put_text(&json, "q\"", "a\\b\"\n\t\x01\x7f/\xc3\xa9");
    json_put_text(&json, "bad", "x\xff\xc3(\xed\xa0\x80");
    json_put_text(&json, "none", NULL);
    json_put_open(&json, "list", '[');
    json_put_close(&json, ']');
    json_put_open(&json, "list2", '[');
    json_put_u64(&json, NULL, UINT64_MAX);
    json_put_i64(&json, NULL, INT64_MIN);
    json_put_bool(&json, NULL, true);
    json_put_id(&json, NULL, 0);
    json_put_id(&json, NULL, 7);
    json_put_time(&json, NULL, 0);
    json_put_time(&json, NULL, USEC_NEVER);
    json_put_seconds(&json, NULL, 1500000);
    json_put_seconds(&json, NULL, 42);
    json_put_seconds(&json, NULL, 3000000);
    json_put_permille(&json, NULL, 1250);
    json_put_permille(&json, NULL, 20);
    json_put_close(&json, ']');
    json_put_close(&json, '}');
    assert_string_equal(out.data,
        "{\"q\\\"\":\"a\\\\b\\\"\\n\\t\\u0001\\u007f/\xc3\xa9\",\"bad\":\"x\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
        "\"none\":null,\"list\":[],\"list2\":[18446744073709551615,-9223372036854775808,true,null,7,null,null,1.5,0.000042,3,1.25,0.02]}");
    buf_release(&out);
}

static void test_run(void **state)
{
    static const struct pair labels[] = {{"team", "data"}};
    struct run_view view = {
        .run_id = 12, .job_id = 3, .namespace_name = "default", .job_name = "etl", .job_version = 2, .state = RUN_RUNNING, .held = true,
        .n_tasks = 10, .n_pending = 1, .n_backoff = 2, .n_placed = 3, .n_running = 4, .n_stopping = 5, .n_succeeded = 6, .n_failed = 7,
        .n_cancelled = 8, .n_expired = 9, .n_lost = 10, .submitted_usec = AT(1800000000) + 123456, .started_usec = AT(1800000001),
        .rerun_of = 11, .queue = "batch", .priority = -3, .submitted_by = "admin", .labels = labels, .n_labels = 1,
        .params = {(const uint8_t *)"\3day\1" "1", 6},
    };
    struct buf out = {0};
    view_json_run(&out, &view, NULL);
    assert_string_equal(out.data,
        "{\"run_id\":12,\"job\":\"etl\",\"namespace\":\"default\",\"job_version\":2,\"state\":\"running\",\"held\":true,\"tasks\":{\"total\":10,"
        "\"pending\":1,\"backoff\":2,\"placed\":3,\"running\":4,\"stopping\":5,\"succeeded\":6,\"failed\":7,\"cancelled\":8,\"expired\":9,"
        "\"lost\":10},\"submitted_at\":\"2027-01-15T08:00:00.123Z\",\"started_at\":\"2027-01-15T08:00:01.000Z\",\"ended_at\":null,"
        "\"nominal_at\":null,\"rerun_of\":11,\"backfill_id\":null,\"queue\":\"batch\",\"priority\":-3,\"submitted_by\":\"admin\",\"params\":{\"day\":\"1\"},"
        "\"labels\":{\"team\":\"data\"}}");
    buf_clear(&out);
    struct job_spec spec;
    static const char *const command[] = {"echo", "hi"};
    job_spec_init(&spec);
    spec.command = command;
    spec.n_command = 2;
    view = (struct run_view){.run_id = 1, .state = RUN_PENDING, .namespace_name = "default", .queue = "default", .n_tasks = 1};
    view_json_run(&out, &view, &spec);
    assert_non_null(strstr(out.data, "\"job\":null,\"namespace\":\"default\",\"job_version\":null,"));
    assert_true(strcmp(out.data + out.len - strlen("\"labels\":{},\"spec\":{\"namespace\":\"default\",\"command\":[\"echo\",\"hi\"]}}"),
                       "\"labels\":{},\"spec\":{\"namespace\":\"default\",\"command\":[\"echo\",\"hi\"]}}") == 0);
    buf_release(&out);
}

static void test_task(void **state)
{
    struct task_view view = {.run_id = 5, .index = 7, .state = TASK_PENDING};
    struct buf out = {0};
    view_json_task(&out, &view);
    assert_string_equal(out.data,
        "{\"run_id\":5,\"index\":7,\"attempt\":null,\"state\":\"pending\",\"node\":null,\"fence\":null,\"placed_at\":null,\"started_at\":null,"
        "\"ended_at\":null,\"retry_at\":null,\"outcome\":null,\"exit_code\":null,\"signal\":null,\"message\":null,\"usage\":null}");
    buf_clear(&out);
    view.attempt = 2;
    view.state = TASK_BACKOFF;
    view.node = "n1";
    view.fence = 99;
    view.placed_usec = view.started_usec = view.ended_usec = view.retry_usec = AT(1800000000);
    view.ended = true;
    view.end = (struct attempt_end){
        .outcome = OUTCOME_OOM, .signal = 9, .exit_code = 5, .wall_usec = 2500000, .message = "memory limit of 64MiB exceeded",
        .usage = {.cpu_usec = 1000001, .memory_peak_bytes = 67108864, .read_bytes = 1, .written_bytes = 2, .output_bytes = 3},
    };
    view_json_task(&out, &view);
    assert_non_null(strstr(out.data, "\"attempt\":2,\"state\":\"backoff\",\"node\":\"n1\",\"fence\":99,\"placed_at\":\"2027-01-15T08:00:00.000Z\""));
    assert_non_null(strstr(out.data,
        "\"outcome\":\"oom\",\"exit_code\":null,\"signal\":9,\"message\":\"memory limit of 64MiB exceeded\",\"usage\":{\"cpu_seconds\":1.000001,"
        "\"wall_seconds\":2.5,\"memory_peak_bytes\":67108864,\"read_bytes\":1,\"written_bytes\":2,\"output_bytes\":3}}"));
    buf_clear(&out);
    view.end.outcome = OUTCOME_EXIT;
    view_json_task(&out, &view);
    assert_non_null(strstr(out.data, "\"outcome\":\"exit\",\"exit_code\":5,"));
    buf_release(&out);
}

static void test_node(void **state)
{
    static const struct resource_need capacity[] = {{"cpu", 2000}, {"disk", 9}, {"gpu", 1}, {"licence", 4}, {"memory", 1024}};
    static const struct resource_need used[] = {{"cpu", 500}, {"disk", 0}, {"gpu", 0}, {"licence", 1}, {"memory", 512}};
    static const char *const warnings[] = {"no cgroup: limits are not enforced"};
    static const struct pair labels[] = {{"zone", "eu"}};
    struct node_view view = {
        .info = {.name = "n1", .version = "0.1.0", .capacity = capacity, .n_capacity = 5, .labels = labels, .n_labels = 1, .tasks_max = 64,
                 .warnings = warnings, .n_warnings = 1},
        .state = NODE_ONLINE, .admission = ADMIT_CLOSED, .n_tasks = 1, .used = used, .since_usec = AT(1800000000),
    };
    struct buf out = {0};
    view_json_node(&out, &view);
    assert_string_equal(out.data,
        "{\"node\":\"n1\",\"state\":\"online\",\"admission\":\"draining\",\"tasks\":1,\"tasks_max\":64,\"capacity\":{\"cpu_millis\":2000,"
        "\"disk_bytes\":9,\"gpu\":1,\"licence\":4,\"memory_bytes\":1024},\"used\":{\"cpu_millis\":500,\"disk_bytes\":0,\"gpu\":0,\"licence\":1,"
        "\"memory_bytes\":512},\"labels\":{\"zone\":\"eu\"},\"version\":\"0.1.0\",\"since\":\"2027-01-15T08:00:00.000Z\","
        "\"warnings\":[\"no cgroup: limits are not enforced\"]}");
    buf_clear(&out);
    view.n_tasks = 0;
    view_json_node(&out, &view);
    assert_non_null(strstr(out.data, "\"admission\":\"drained\""));
    buf_clear(&out);
    view.admission = ADMIT_OPEN;
    view_json_node(&out, &view);
    assert_non_null(strstr(out.data, "\"admission\":\"open\""));
    buf_release(&out);
}

static void test_job_and_why(void **state)
{
    static const struct trigger triggers[] = {
        {.kind = TRIGGER_CRON, .text = "0 9 * * *", .zone = "Europe/Berlin"}, {.kind = TRIGGER_EVERY, .text = "@every 90s", .zone = "UTC"}};
    struct job_spec spec;
    job_spec_init(&spec);
    spec.triggers = triggers;
    spec.n_triggers = 2;
    struct job_view view = {.job_id = 4, .version = 2, .state = JOB_HELD, .namespace_name = "default", .name = "etl", .next_usec = USEC_NEVER,
                            .applied_usec = AT(1800000000), .n_active = 1, .failures = 3, .paused = true};
    struct buf out = {0};
    view_json_job(&out, &view, &spec, false);
    assert_string_equal(out.data,
        "{\"job_id\":4,\"namespace\":\"default\",\"name\":\"etl\",\"version\":2,\"state\":\"held\",\"next_at\":null,\"last_run\":null,"
        "\"active_runs\":1,\"applied_at\":\"2027-01-15T08:00:00.000Z\",\"failures\":3,\"paused\":true,\"conditions\":[],\"schedules\":[\"0 9 * * * Europe/Berlin\",\"@every 90s\"]}");
    buf_clear(&out);
    view_json_job(&out, &view, NULL, true);
    assert_non_null(strstr(out.data, "\"schedules\":[],\"spec\":null}"));
    buf_clear(&out);
    const struct condition_view late = {.job_id = 4, .namespace_name = "default", .job_name = "etl", .condition = CONDITION_LATE, .since_usec = AT(1800000000),
                                        .nominal_usec = AT(1799999000), .run_id = 12, .sentence = "It is late."};
    view_json_conditions(&out, &late, 1, 4);
    assert_string_equal(out.data,
        "{\"conditions\":[{\"job_id\":4,\"namespace\":\"default\",\"name\":\"etl\",\"condition\":\"late\",\"since\":\"2027-01-15T08:00:00.000Z\","
        "\"nominal_at\":\"2027-01-15T07:43:20.000Z\",\"run_id\":12,\"sentence\":\"It is late.\"}],\"next_after\":4}");
    buf_clear(&out);
    struct why_view why = {.reason = REASON_BACKOFF, .until_usec = AT(1800000000), .n_nodes = 3, .n_matching = 2, .n_large_enough = 1};
    view_json_why(&out, &why);
    assert_string_equal(out.data,
        "{\"reason\":\"backoff\",\"sentence\":\"Its last attempt failed; it waits before the next one.\",\"until\":\"2027-01-15T08:00:00.000Z\","
        "\"waits_for_run\":null,\"node\":null,\"nodes\":3,\"nodes_matching\":2,\"nodes_large_enough\":1,\"nodes_open\":0}");
    buf_release(&out);
}

static void test_error(void **state)
{
    struct arena arena = {0};
    struct limits limits;
    struct spec_errors errors;
    struct job_spec **specs = NULL;
    size_t n = 0;
    struct buf out = {0};
    limits_init(&limits);
    static const char text[] = "command: [x]\nnaem: y\ntasks: z\n";
    assert_int_equal(spec_parse(text, strlen(text), SPEC_YAML, SPEC_RUN, &limits, &arena, &specs, &n, &errors), ERR_INVALID);
    errors.item[1].allowed = "numbers";
    view_json_error(&out, ERR_INVALID, "2 errors", &errors);
    assert_string_equal(out.data,
        "{\"error\":{\"code\":\"invalid\",\"message\":\"2 errors\",\"details\":[{\"line\":2,\"column\":1,\"field\":\"naem\",\"problem\":"
        "\"there is no such field; did you mean 'name'?\",\"allowed\":null},{\"line\":3,\"column\":8,\"field\":\"tasks\",\"problem\":"
        "\"'z' is not an index (0 to 4294967294)\",\"allowed\":\"numbers\"}]}}\n");
    buf_clear(&out);
    view_json_error(&out, ERR_NOT_FOUND, NULL, NULL);
    assert_string_equal(out.data, "{\"error\":{\"code\":\"not_found\",\"message\":\"No such thing exists.\"}}\n");
    buf_release(&out);
    arena_release(&arena);
}

// Parses text, writes it as JSON, parses that, and compares; twice, since the second JSON must be the first.
static void round_trip(const char *text)
{
    struct arena arena = {0};
    struct limits limits;
    struct spec_errors errors;
    struct job_spec **specs = NULL, **again = NULL;
    size_t n = 0, n_again = 0;
    limits_init(&limits);
    if (spec_parse(text, strlen(text), SPEC_YAML, SPEC_JOB, &limits, &arena, &specs, &n, &errors) < 0) {
        char line[600];
        fail_msg("%s\n%s", spec_error_format(line, sizeof(line), &errors.item[0]), text);
    }
    for (size_t i = 0; i < n; i++) {
        struct buf json = {0}, json2 = {0};
        view_json_spec(&json, specs[i]);
        if (spec_parse(json.data, json.len, SPEC_JSON, SPEC_JOB, &limits, &arena, &again, &n_again, &errors) < 0) {
            char line[600];
            fail_msg("%s\n%s", spec_error_format(line, sizeof(line), &errors.item[0]), json.data);
        }
        check_spec(again[0], specs[i]);
        view_json_spec(&json2, again[0]);
        assert_string_equal(json2.data, json.data);
        // The same text is YAML too.
        assert_int_equal(spec_parse(json.data, json.len, SPEC_YAML, SPEC_JOB, &limits, &arena, &again, &n_again, &errors), 0);
        check_spec(again[0], specs[i]);
        buf_release(&json);
        buf_release(&json2);
    }
    arena_release(&arena);
}

static void test_examples_round_trip(void **state)
{
    static const char *const names[] = {"hello", "array", "retry", "cron", "memory-limit", "at-most-once", "gpu"};
    const char *root = getenv("MUSTER_SOURCE_DIR");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct buf path = {0}, text = {0};
        buf_printf(&path, "%s/examples/%s.yaml", root != NULL ? root : ".", names[i]);
        assert_int_equal(fs_read(path.data, 1 << 20, &text, NULL), 0);
        round_trip(text.data);
        buf_release(&path);
        buf_release(&text);
    }
}

// Lines that a job file may have; of each group at most one is taken.
static const char *const choices[][6] = {
    {"command: [echo, \"q\\\"\\\\ \\t\\u00e9\"]", "command: a | b", "script: \"#!/bin/sh\\necho hi\\n\"", "command: [x]", NULL},
    {"namespace: team", NULL},
    {"description: \"two\\nlines \\u00fc\"", NULL},
    {"env: {Z: 1, A: \"b c\", E: ''}", "env: {}", NULL},
    {"workdir: /srv/a b", NULL},
    {"user: etl_7", NULL},
    {"resources: {memory: 1GiB, cpu: 250m}", "resources: {memory: 1000000}", "resources: {cpu: 1}", "resources: {disk: 1.5KiB, tape: 3, gpu: 1}", "resources: {gpu: 0}", NULL},
    {"constraints: [a == b, 'c in (d, \"e f\", g)', has h]", "constraints: ['a != \"x,y\"', not has b, 'c not in (d)']", NULL},
    {"tasks: 7\nparallelism: 3", "tasks: 5-5", "tasks: \"5-5\"", "tasks: 0-99:2,200,300-310:5", "tasks: 0-9", NULL},
    {"priority: -5", NULL},
    {"queue: q.1", NULL},
    {"time_limit: 1h30m5s", "time_limit: 250ms", NULL},
    {"queue_deadline: 0.5", NULL},
    {"kill_grace: 0", "kill_grace: 3s", NULL},
    {"retry: {limit: 3}", "retry: {limit: 0, backoff: 2s}", "retry: {limit: 2, backoff: 2h}", "retry: {limit: 1, factor: 1.001, jitter: 12.5%, max_backoff: 1d, exit_codes: [3, 1], causes: [oom, lost]}", NULL},
    {"concurrency: {key: 'a \"b'}", "concurrency: {key: k, limit: 9}", NULL},
    {"after: [3, {run: 1, on: ended}]", "after: 9", NULL},
    {"log_limit: 1MiB", "log_limit: 5000", NULL},
    {"schedule: '@every 90s'", "schedule: [{cron: '0 9 * * *', zone: Asia/Tokyo}, '*/5 * * * * *']", "schedule: {every: 2m}", "start_at: 2030-01-01T00:00:00.123456Z", "schedule: {at: '2030-01-01T00:00:00.5+02:00'}", NULL},
    {"overlap: forbid", "overlap: allow", NULL},
    {"misfire: all", "misfire: once", "misfire: all\ncatch_up: {window: 90m, max: 7}", "catch_up: {window: 1d}", NULL},
    {"late_after: 90s", "pause_after: 3", NULL},
    {"labels: {z: 1, a/b: 'x y', m: ''}", NULL},
};

static void test_random_specs_round_trip(void **state)
{
    struct prng prng;
    prng_init(&prng, 11);
    for (int round = 0; round < 2000; round++) {
        struct buf text = {0};
        buf_adds(&text, "name: job\n");
        for (size_t group = 0; group < sizeof(choices) / sizeof(choices[0]); group++) {
            size_t n = group == 0 ? 4 : 0;
            while (group > 0 && choices[group][n] != NULL)
                n++;
            if (group > 0 && prng_chance(&prng, 400))
                continue;
            buf_printf(&text, "%s\n", choices[group][prng_below(&prng, n)]);
        }
        round_trip(text.data);
        buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_task),
        cmocka_unit_test(test_node),
        cmocka_unit_test(test_job_and_why),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_examples_round_trip),
        cmocka_unit_test(test_random_specs_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
