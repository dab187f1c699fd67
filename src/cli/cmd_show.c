// SPDX-License-Identifier: Apache-2.0
// show and why: one thing with everything known about it.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/term.h"

#define TASKS_SHOWN 20

// "state        running"
__attribute__((format(printf, 3, 4)))
static void field(const char *name, enum colour colour, const char *fmt, ...)
{
    cleanup_buf struct buf text = {0};
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    printf("%s%-13s%s %s", colour_on(stdout, COLOUR_DIM), name, colour_off(stdout, COLOUR_DIM), colour_on(stdout, colour));
    term_print(stdout, text.data);
    printf("%s\n", colour_off(stdout, colour));
}

static void field_text(const char *name, const json_t *object, const char *key)
{
    if (answer_text(object, key) != NULL)
        field(name, COLOUR_NONE, "%s", answer_text(object, key));
}

static void field_time(const char *name, const json_t *object, const char *key)
{
    char ago[40];
    const char *text = answer_text(object, key);
    if (text != NULL)
        field(name, COLOUR_NONE, "%s (%s)", text, text_ago(ago, text, clock_wall_usec()));
}

// A map of texts, such as labels.
static void pairs_show(const json_t *object, const char *map)
{
    cleanup_buf struct buf text = {0};
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(object, map), key, value)
        buf_printf(&text, "%s%s=%s", text.len > 0 ? " " : "", key, json_is_string(value) ? json_string_value(value) : "");
    if (text.len > 0)
        field(map, COLOUR_NONE, "%s", text.data);
}

// What a run or job was told to do, short.
static void command_show(const json_t *spec)
{
    const json_t *command = json_object_get(spec, "command");
    if (json_is_string(command))
        field("command", COLOUR_NONE, "%s", json_string_value(command));
    if (json_is_array(command)) {
        cleanup_buf struct buf text = {0};
        buf_init(&text);
        size_t i = 0;
        const json_t *word = NULL;
        json_array_foreach(command, i, word)
            buf_printf(&text, "%s%s", i > 0 ? " " : "", json_is_string(word) ? json_string_value(word) : "");
        cleanup_buf struct buf fitted = {0};
        text_fit(&fitted, text.data, 200);
        field("command", COLOUR_NONE, "%s", fitted.len > 0 ? fitted.data : "-");
    }
    if (answer_text(spec, "script") != NULL)
        field("script", COLOUR_NONE, "%zu bytes", strlen(answer_text(spec, "script")));
}

static void run_counts_show(const json_t *run)
{
    static const char *const states[] = {"pending", "backoff", "placed", "running", "stopping", "succeeded", "failed", "cancelled", "expired", "lost"};
    const json_t *tasks = json_object_get(run, "tasks");
    cleanup_buf struct buf text = {0};
    buf_printf(&text, "%lld", (long long)answer_number(tasks, "total"));
    const char *separator = ": ";
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        long long count = answer_number(tasks, states[i]);
        if (count > 0) {
            buf_printf(&text, "%s%lld %s", separator, count, states[i]);
            separator = ", ";
        }
    }
    field("tasks", COLOUR_NONE, "%s", text.data);
}

static void run_show(const json_t *run)
{
    cleanup_buf struct buf job = {0};
    char took[40];
    const char *state = answer_text(run, "state");
    field("run", COLOUR_BOLD, "%lld", (long long)answer_number(run, "run_id"));
    if (answer_text(run, "job") != NULL)
        field("job", COLOUR_NONE, "%s (version %lld)", job_label(&job, run), (long long)answer_number(run, "job_version"));
    field("state", state_colour(state), "%s%s", state != NULL ? state : "-", json_is_true(json_object_get(run, "held")) ? ", held" : "");
    run_counts_show(run);
    command_show(json_object_get(run, "spec"));
    field("queue", COLOUR_NONE, "%s, priority %lld", answer_text(run, "queue") != NULL ? answer_text(run, "queue") : "-",
          (long long)answer_number(run, "priority"));
    field_time("submitted", run, "submitted_at");
    field_text("submitted by", run, "submitted_by");
    field_time("due", run, "nominal_at");
    field_time("started", run, "started_at");
    field_time("ended", run, "ended_at");
    if (answer_text(run, "started_at") != NULL)
        field("took", COLOUR_NONE, "%s", text_between(took, answer_text(run, "started_at"), answer_text(run, "ended_at"), clock_wall_usec()));
    if (answer_number(run, "rerun_of") > 0)
        field("rerun of", COLOUR_NONE, "%lld", (long long)answer_number(run, "rerun_of"));
    if (answer_number(run, "backfill_id") > 0)
        field("backfill", COLOUR_NONE, "%lld", (long long)answer_number(run, "backfill_id"));
    pairs_show(run, "params");
    pairs_show(run, "labels");
}

// "exit 3", "signal 9 (oom)", ...
static void end_text(struct buf *buf, const json_t *task)
{
    const char *outcome = answer_text(task, "outcome");
    buf_init(buf);
    if (outcome == NULL)
        return;
    if (str_eq(outcome, "exit"))
        buf_printf(buf, "exit status %lld", (long long)answer_number(task, "exit_code"));
    else if (str_eq(outcome, "signal"))
        buf_printf(buf, "signal %lld", (long long)answer_number(task, "signal"));
    else
        buf_adds(buf, outcome);
    const char *message = answer_text(task, "message");
    if (message != NULL && message[0] != '\0')
        buf_printf(buf, ": %s", message);
}

static void tasks_table(const json_t *rows, bool attempts)
{
    const struct table_column columns[] = {
        {attempts ? "ATTEMPT" : "TASK", TABLE_RIGHT}, {attempts ? "FENCE" : "ATTEMPT", TABLE_RIGHT}, {"STATE", 0}, {"NODE", TABLE_SHRINK},
        {"STARTED", 0}, {"TOOK", TABLE_RIGHT}, {"CPU", TABLE_RIGHT}, {"MEMORY", TABLE_RIGHT}, {"END", TABLE_SHRINK},
    };
    struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    usec_t now_usec = clock_wall_usec();
    size_t i = 0;
    const json_t *task = NULL;
    json_array_foreach(rows, i, task)
    {
        char text[40];
        const json_t *usage = json_object_get(task, "usage");
        const char *state = answer_text(task, "state");
        table_addf(&table, "%lld", (long long)answer_number(task, attempts ? "attempt" : "index"));
        table_addf(&table, "%lld", (long long)answer_number(task, attempts ? "fence" : "attempt"));
        table_add_colour(&table, state, state_colour(state));
        table_add(&table, answer_text(task, "node"));
        table_add(&table, text_ago(text, answer_text(task, "started_at"), now_usec));
        table_add(&table, text_between(text, answer_text(task, "started_at"), answer_text(task, "ended_at"), now_usec));
        if (json_is_object(usage)) {
            char size[32];
            table_addf(&table, "%.2f s", json_number_value(json_object_get(usage, "cpu_seconds")));
            table_add(&table, size_format(size, (uint64_t)answer_number(usage, "memory_peak_bytes")));
        } else {
            table_add(&table, NULL);
            table_add(&table, NULL);
        }
        cleanup_buf struct buf end = {0};
        end_text(&end, task);
        table_add(&table, end.data);
    }
    table_print(&table, stdout, term_width(stdout));
    table_release(&table);
}

static int run_cmd_show(struct cli *cli, uint64_t run_id, struct err *err)
{
    int64_t max = 0;
    int rc = args_number(cli->args, OPT_MAX, TASKS_SHOWN, 1, 1000, &max, err);
    if (rc < 0)
        return rc;
    json_t *run = NULL;
    rc = client_get(cli->client, &run, err, "/v1/runs/%llu", (unsigned long long)run_id);
    if (rc < 0)
        return rc;
    cleanup_buf struct buf path = {0};
    buf_printf(&path, "/v1/runs/%llu/tasks?max=%lld", (unsigned long long)run_id, (long long)max);
    if (args_get(cli->args, OPT_STATE) != NULL)
        query_add(&path, "state", args_get(cli->args, OPT_STATE));
    json_t *tasks = NULL;
    rc = client_get(cli->client, &tasks, err, "%s", path.data);
    if (rc == 0 && cli->json) {
        json_object_set(run, "task_list", json_object_get(tasks, "tasks"));
        print_json(run);
    } else if (rc == 0) {
        run_show(run);
        putchar('\n');
        tasks_table(json_object_get(tasks, "tasks"), false);
        if (answer_has(tasks, "next_from"))
            cli_remark(cli, "these are the first %lld tasks; --max and --state choose others, RUN/INDEX shows one", (long long)max);
    }
    json_decref(run);
    json_decref(tasks);
    return rc;
}

static int task_cmd_show(struct cli *cli, uint64_t run_id, uint32_t index, struct err *err)
{
    json_t *task = NULL;
    int rc = client_get(cli->client, &task, err, "/v1/runs/%llu/tasks/%u", (unsigned long long)run_id, index);
    if (rc < 0)
        return rc;
    if (cli->json) {
        print_json(task);
        json_decref(task);
        return 0;
    }
    const char *state = answer_text(task, "state");
    cleanup_buf struct buf end = {0};
    field("task", COLOUR_BOLD, "%llu/%u", (unsigned long long)run_id, index);
    field("state", state_colour(state), "%s", state != NULL ? state : "-");
    field("attempt", COLOUR_NONE, "%lld", (long long)answer_number(task, "attempt"));
    field_text("node", task, "node");
    field_time("placed", task, "placed_at");
    field_time("started", task, "started_at");
    field_time("ended", task, "ended_at");
    field_time("next attempt", task, "retry_at");
    end_text(&end, task);
    if (end.len > 0)
        field("end", COLOUR_NONE, "%s", end.data);
    if (json_array_size(json_object_get(task, "attempts")) > 0) {
        putchar('\n');
        tasks_table(json_object_get(task, "attempts"), true);
    }
    json_decref(task);
    return 0;
}

static void conditions_show(const json_t *conditions)
{
    size_t i = 0;
    const json_t *condition = NULL;
    json_array_foreach(conditions, i, condition)
    {
        const char *name = answer_text(condition, "condition"), *sentence = answer_text(condition, "sentence");
        field(name != NULL ? name : "condition", state_colour(name), "%s", sentence != NULL ? sentence : "-");
    }
}

static int job_cmd_show(struct cli *cli, const char *word, struct err *err)
{
    cleanup_buf struct buf path = {0};
    json_t *job = NULL;
    int rc = job_path(cli, word, &path, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc == 0)
        rc = client_get(cli->client, &job, err, "%s", path.data);
    if (rc < 0)
        return rc;
    if (cli->json) {
        print_json(job);
        json_decref(job);
        return 0;
    }
    cleanup_buf struct buf label = {0};
    const char *state = answer_text(job, "state");
    field("job", COLOUR_BOLD, "%s (id %lld, version %lld)", job_label(&label, job), (long long)answer_number(job, "job_id"),
          (long long)answer_number(job, "version"));
    field("state", state_colour(state), "%s", state != NULL ? state : "-");
    conditions_show(json_object_get(job, "conditions"));
    command_show(json_object_get(job, "spec"));
    size_t i = 0;
    const json_t *schedule = NULL;
    json_array_foreach(json_object_get(job, "schedules"), i, schedule)
        field(i == 0 ? "schedule" : "", COLOUR_NONE, "%s", json_is_string(schedule) ? json_string_value(schedule) : "");
    field_time("due next", job, "next_at");
    if (answer_number(job, "last_run") > 0)
        field("last run", COLOUR_NONE, "%lld", (long long)answer_number(job, "last_run"));
    field("active runs", COLOUR_NONE, "%lld", (long long)answer_number(job, "active_runs"));
    field_time("applied", job, "applied_at");
    pairs_show(json_object_get(job, "spec"), "labels");
    printf("\n");
    print_json(json_object_get(job, "spec"));
    json_decref(job);
    return 0;
}

int cmd_show(struct cli *cli, struct err *err)
{
    int rc = args_words(cli->args, 1, 1, err);
    if (rc < 0)
        return rc;
    const char *word = cli->args->words[0];
    if (!word_is_run(word))
        return job_cmd_show(cli, word, err);
    uint64_t run_id = 0;
    bool has_index = false;
    uint32_t index = 0;
    rc = task_ref_parse(word, &run_id, &has_index, &index, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc < 0)
        return rc;
    return has_index ? task_cmd_show(cli, run_id, index, err) : run_cmd_show(cli, run_id, err);
}

static int why_job(struct cli *cli, const char *word, struct err *err)
{
    cleanup_buf struct buf path = {0};
    json_t *why = NULL;
    int rc = job_path(cli, word, &path, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc == 0)
        rc = client_get(cli->client, &why, err, "%s/why", path.data);
    if (rc < 0)
        return rc;
    if (cli->json) {
        print_json(why);
        json_decref(why);
        return 0;
    }
    const char *sentence = answer_text(why, "sentence");
    term_print(stdout, sentence != NULL ? sentence : "nothing is known");
    putchar('\n');
    field_text("reason", why, "reason");
    field_time("until", why, "until");
    if (answer_number(why, "waits_for_run") > 0)
        field("waits for", COLOUR_NONE, "run %lld", (long long)answer_number(why, "waits_for_run"));
    conditions_show(json_object_get(why, "conditions"));
    json_decref(why);
    return 0;
}

int cmd_why(struct cli *cli, struct err *err)
{
    uint64_t run_id = 0;
    bool has_index = false;
    uint32_t index = 0;
    int rc = args_words(cli->args, 1, 1, err);
    if (rc == 0 && !word_is_run(cli->args->words[0]))
        return why_job(cli, cli->args->words[0], err);
    if (rc == 0)
        rc = task_ref_parse(cli->args->words[0], &run_id, &has_index, &index, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc < 0)
        return rc;
    cleanup_buf struct buf path = {0};
    buf_printf(&path, "/v1/runs/%llu/why", (unsigned long long)run_id);
    if (has_index)
        buf_printf(&path, "?task=%u", index);
    json_t *why = NULL;
    rc = client_get(cli->client, &why, err, "%s", path.data);
    if (rc < 0)
        return rc;
    if (cli->json) {
        print_json(why);
        json_decref(why);
        return 0;
    }
    const char *sentence = answer_text(why, "sentence");
    term_print(stdout, sentence != NULL ? sentence : "nothing is known");
    putchar('\n');
    field_text("reason", why, "reason");
    field_time("until", why, "until");
    if (answer_number(why, "waits_for_run") > 0)
        field("waits for", COLOUR_NONE, "run %lld", (long long)answer_number(why, "waits_for_run"));
    field_text("node", why, "node");
    if (answer_number(why, "nodes") > 0)
        field("nodes", COLOUR_NONE, "%lld: %lld satisfy the constraints, %lld of them are large enough, %lld of them take work now",
              (long long)answer_number(why, "nodes"), (long long)answer_number(why, "nodes_matching"),
              (long long)answer_number(why, "nodes_large_enough"), (long long)answer_number(why, "nodes_open"));
    json_decref(why);
    return 0;
}
