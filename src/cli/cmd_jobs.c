// SPDX-License-Identifier: Apache-2.0
// apply, jobs and next.

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/spec_file.h"
#include "cli/term.h"

#define ROWS_DEFAULT 1000
#define PAGE_ROWS 500

int cmd_apply(struct cli *cli, struct err *err)
{
    const char *name = args_get(cli->args, OPT_FILE);
    int rc = args_words(cli->args, 0, 0, err);
    if (rc == 0 && name == NULL)
        rc = err_set(err, ERR_INVALID, "apply: which file? write it as: muster apply -f FILE");
    struct spec_file file = {0};
    if (rc == 0)
        rc = spec_file_read(name, &file, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    json_t *answer = NULL;
    if (rc == 0) {
        struct call call = {
            .method = "POST",
            .path = args_has(cli->args, OPT_DRY_RUN) ? "/v1/jobs?dry_run=1" : "/v1/jobs",
            .body = file.text.data,
            .body_len = file.text.len,
            .content_type = file.content_type,
            .repeatable = true, // applying the same twice changes nothing
        };
        rc = client_call(cli->client, &call, &answer, err);
        if (rc < 0)
            rc = spec_file_tell(cli, &file, rc, err);
    }
    spec_file_release(&file);
    if (rc < 0)
        return rc;
    if (cli->json) {
        print_json(answer);
    } else {
        size_t i = 0;
        const json_t *job = NULL;
        json_array_foreach(json_object_get(answer, "jobs"), i, job)
        {
            cleanup_buf struct buf label = {0};
            bool changed = json_is_true(json_object_get(job, "changed"));
            const char *word = args_has(cli->args, OPT_DRY_RUN) ? "is valid" : changed ? "is stored" : "did not change";
            cli_remark(cli, "job %s %s (version %lld)", job_label(&label, job), word, (long long)answer_number(job, "version"));
        }
    }
    json_decref(answer);
    return 0;
}

static int jobs_fetch(struct cli *cli, int64_t max, json_t *rows, bool *ret_more, struct err *err)
{
    const char *namespace = args_get(cli->args, OPT_NAMESPACE);
    uint64_t after = 0;
    *ret_more = true;
    while ((int64_t)json_array_size(rows) < max && *ret_more) {
        int64_t want = max - (int64_t)json_array_size(rows);
        cleanup_buf struct buf path = {0};
        buf_printf(&path, "/v1/jobs?max=%lld", (long long)(want < PAGE_ROWS ? want : PAGE_ROWS));
        if (after > 0)
            buf_printf(&path, "&after=%llu", (unsigned long long)after);
        json_t *answer = NULL;
        int rc = client_get(cli->client, &answer, err, "%s", path.data);
        if (rc < 0)
            return rc;
        size_t i = 0;
        json_t *job = NULL;
        json_array_foreach(json_object_get(answer, "jobs"), i, job)
            if (namespace == NULL || str_eq(answer_text(job, "namespace"), namespace))
                json_array_append(rows, job);
        uint64_t next = (uint64_t)answer_number(answer, "next_after");
        *ret_more = next > after;
        after = next;
        json_decref(answer);
    }
    return 0;
}

static void jobs_print(const json_t *rows)
{
    static const struct table_column columns[] = {
        {"JOB", TABLE_SHRINK}, {"STATE", 0}, {"VERSION", TABLE_RIGHT}, {"SCHEDULE", TABLE_SHRINK}, {"NEXT", 0},
        {"LAST RUN", TABLE_RIGHT}, {"ACTIVE", TABLE_RIGHT},
    };
    struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    usec_t now_usec = clock_wall_usec();
    size_t i = 0;
    const json_t *job = NULL;
    json_array_foreach(rows, i, job)
    {
        cleanup_buf struct buf label = {0};
        cleanup_buf struct buf schedules = {0};
        char ago[40];
        buf_init(&schedules);
        size_t j = 0;
        const json_t *schedule = NULL;
        json_array_foreach(json_object_get(job, "schedules"), j, schedule)
            buf_printf(&schedules, "%s%s", j > 0 ? "; " : "", json_is_string(schedule) ? json_string_value(schedule) : "");
        // The first condition says more than the state: paused, late, did_not_run.
        const char *state = answer_text(job, "state"), *condition = answer_text(json_array_get(json_object_get(job, "conditions"), 0), "condition");
        state = condition != NULL ? condition : state;
        table_add(&table, job_label(&label, job));
        table_add_colour(&table, state, state_colour(state));
        table_addf(&table, "%lld", (long long)answer_number(job, "version"));
        table_add(&table, schedules.data);
        table_add(&table, text_ago(ago, answer_text(job, "next_at"), now_usec));
        if (answer_number(job, "last_run") > 0)
            table_addf(&table, "%lld", (long long)answer_number(job, "last_run"));
        else
            table_add(&table, NULL);
        table_addf(&table, "%lld", (long long)answer_number(job, "active_runs"));
    }
    table_print(&table, stdout, term_width(stdout));
    table_release(&table);
}

int cmd_jobs(struct cli *cli, struct err *err)
{
    int64_t max = 0;
    bool more = false;
    int rc = args_words(cli->args, 0, 0, err);
    if (rc == 0)
        rc = args_number(cli->args, OPT_MAX, ROWS_DEFAULT, 1, 10000000, &max, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc < 0)
        return rc;
    json_t *rows = json_array();
    rc = jobs_fetch(cli, max, rows, &more, err);
    if (rc == 0)
        rows_show(cli, "jobs", rows, jobs_print, "there is no job yet; store one with `muster apply -f FILE`", more ? max : 0);
    json_decref(rows);
    return rc;
}

static void conditions_print(const json_t *rows)
{
    static const struct table_column columns[] = {{"JOB", TABLE_SHRINK}, {"CONDITION", 0}, {"SINCE", 0}, {"RUN", TABLE_RIGHT}, {"WHAT", TABLE_SHRINK}};
    struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    usec_t now_usec = clock_wall_usec();
    size_t i = 0;
    const json_t *row = NULL;
    json_array_foreach(rows, i, row)
    {
        cleanup_buf struct buf label = {0};
        char ago[40];
        const char *condition = answer_text(row, "condition"), *since = answer_text(row, "since");
        table_add(&table, job_label(&label, row));
        table_add_colour(&table, condition, state_colour(condition));
        table_add(&table, since != NULL ? text_ago(ago, since, now_usec) : NULL);
        if (answer_number(row, "run_id") > 0)
            table_addf(&table, "%lld", (long long)answer_number(row, "run_id"));
        else
            table_add(&table, NULL);
        table_add(&table, answer_text(row, "sentence"));
    }
    table_print(&table, stdout, term_width(stdout));
    table_release(&table);
}

int cmd_conditions(struct cli *cli, struct err *err)
{
    int64_t max = 0;
    int rc = args_words(cli->args, 0, 0, err);
    if (rc == 0)
        rc = args_number(cli->args, OPT_MAX, ROWS_DEFAULT, 1, 10000000, &max, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    json_t *rows = json_array();
    // A page may be empty and have others behind it: the server looks at so many jobs at a time.
    uint64_t after = 0;
    for (bool more = true; rc == 0 && more && (int64_t)json_array_size(rows) < max;) {
        json_t *answer = NULL;
        rc = client_get(cli->client, &answer, err, "/v1/conditions?max=%d&after=%llu", PAGE_ROWS, (unsigned long long)after);
        if (rc < 0)
            break;
        json_array_extend(rows, json_object_get(answer, "conditions"));
        uint64_t next = (uint64_t)answer_number(answer, "next_after");
        more = next > after;
        after = next;
        json_decref(answer);
    }
    while (rc == 0 && (int64_t)json_array_size(rows) > max)
        json_array_remove(rows, json_array_size(rows) - 1);
    if (rc == 0)
        rows_show(cli, "conditions", rows, conditions_print, "everything is as it should be", 0);
    json_decref(rows);
    return rc;
}

// Days in a row that calendars leave out.
static void left_out_print(const json_t *days)
{
    const char *from = answer_text(days, "from"), *to = answer_text(days, "to"), *why = answer_text(days, "why");
    cleanup_buf struct buf text = {0};
    buf_adds(&text, from != NULL ? from : "-");
    if (to == NULL)
        buf_adds(&text, " and on");
    else if (!str_eq(from, to))
        buf_printf(&text, " to %s", to);
    // "calendar holidays (Christmas Day)", or "not in calendar workdays".
    bool excluded = why != NULL && strncmp(why, "calendar ", 9) == 0;
    buf_printf(&text, "  %s%s\n", excluded ? "excluded by " : "", why != NULL ? why : "-");
    term_print(stdout, text.data);
}

static void instant_print(const struct cli *cli, const json_t *instant)
{
    char ago[40];
    const char *text = answer_text(instant, "at"), *local = answer_text(instant, "local");
    const char *zone = answer_text(instant, "zone"), *clocks = answer_text(instant, "clocks");
    printf("%s  (%s)", text != NULL ? text : "-", text_ago(ago, text, clock_wall_usec()));
    if (local != NULL && zone != NULL && (strcmp(zone, "UTC") != 0 || args_has(cli->args, OPT_ZONE)))
        printf("  %s %s", local, zone);
    printf("%s%s\n", clocks != NULL ? "  " : "", clocks != NULL ? clocks : "");
}

// Coming instants, and between them the days that are left out.
static void next_print(const struct cli *cli, const json_t *answer)
{
    const json_t *instants = json_object_get(answer, "fires"), *left_out = json_object_get(answer, "left_out");
    size_t n = json_array_size(instants), n_left_out = json_array_size(left_out), i = 0, k = 0;
    while (i < n || k < n_left_out) {
        const json_t *instant = json_array_get(instants, i), *days = json_array_get(left_out, k);
        const char *local = instant != NULL ? answer_text(instant, "own_local") : NULL, *from = days != NULL ? answer_text(days, "from") : NULL;
        // Both are by the clocks of the schedule.
        if (from != NULL && (local == NULL || strncmp(from, local, 10) <= 0)) {
            left_out_print(days);
            k++;
        } else if (instant != NULL) {
            instant_print(cli, instant);
            i++;
        } else {
            break;
        }
    }
    if (n > 0)
        return;
    if (n_left_out > 0)
        cli_remark(cli, "job %s is never due by itself: its calendars leave out every instant to come", cli->args->words[0]);
    else
        cli_remark(cli, "job %s is never due by itself; start it with `muster start`", cli->args->words[0]);
}

int cmd_next(struct cli *cli, struct err *err)
{
    cleanup_buf struct buf path = {0};
    int64_t max = 0;
    json_t *answer = NULL;
    int rc = args_words(cli->args, 1, 1, err);
    if (rc == 0)
        rc = args_number(cli->args, args_has(cli->args, OPT_COUNT) ? OPT_COUNT : OPT_MAX, 10, 1, 1000, &max, err);
    if (rc == 0)
        rc = job_path(cli, cli->args->words[0], &path, err);
    if (rc == 0)
        buf_printf(&path, "/next?n=%lld", (long long)max);
    char from[40];
    if (rc == 0 && args_has(cli->args, OPT_FROM)) {
        rc = instant_arg("from", args_get(cli->args, OPT_FROM), true, from, err);
        if (rc == 0)
            query_add(&path, "from", from);
    }
    if (rc == 0 && args_has(cli->args, OPT_ZONE))
        query_add(&path, "zone", args_get(cli->args, OPT_ZONE));
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc == 0)
        rc = client_get(cli->client, &answer, err, "%s", path.data);
    if (rc < 0)
        return rc;
    if (cli->json)
        print_json(answer);
    else
        next_print(cli, answer);
    json_decref(answer);
    return 0;
}
