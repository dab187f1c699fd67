// SPDX-License-Identifier: Apache-2.0
// ps, history and export: lists of runs.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/term.h"
#include "model/state.h"

#define ROWS_DEFAULT 100
#define PAGE_ROWS 500

// Says which runs a page leaves out because the server cannot read what it holds of them; in an export (file not NULL) as lines, too.
static void damaged_tell(const struct cli *cli, const json_t *page, FILE *file)
{
    size_t i = 0;
    const json_t *id = NULL;
    json_array_foreach(json_object_get(page, "damaged"), i, id)
    {
        long long run_id = (long long)json_integer_value(id);
        cli_remark(cli, "what the history holds of run %lld is damaged; it is left out", run_id);
        if (file != NULL)
            fprintf(file, "{\"run_id\":%lld,\"damaged\":true}\n", run_id);
    }
}

// Fetches pages of a list until `max` rows are there or it ends. The answer is the array of all rows; *ret_more says whether
// there are others behind them.
static int runs_fetch(struct cli *cli, const char *path, int64_t max, json_t **ret_rows, bool *ret_more, struct err *err)
{
    json_t *rows = json_array();
    uint64_t before = 0;
    *ret_more = true;
    while ((int64_t)json_array_size(rows) < max && *ret_more) {
        int64_t want = max - (int64_t)json_array_size(rows);
        cleanup_buf struct buf page = {0};
        buf_adds(&page, path);
        buf_printf(&page, "%cmax=%lld", strchr(path, '?') == NULL ? '?' : '&', (long long)(want < PAGE_ROWS ? want : PAGE_ROWS));
        if (before > 0)
            buf_printf(&page, "&before=%llu", (unsigned long long)before);
        json_t *answer = NULL;
        int rc = client_get(cli->client, &answer, err, "%s", page.data);
        if (rc < 0) {
            json_decref(rows);
            return rc;
        }
        json_array_extend(rows, json_object_get(answer, "runs"));
        damaged_tell(cli, answer, NULL);
        uint64_t next = (uint64_t)answer_number(answer, "next_before");
        *ret_more = next > 0 && (before == 0 || next < before);
        before = next;
        json_decref(answer);
    }
    *ret_rows = rows;
    return 0;
}

// "12/200", with what failed.
static void tasks_cell(struct table *table, const json_t *run)
{
    const json_t *tasks = json_object_get(run, "tasks");
    long long total = answer_number(tasks, "total");
    long long succeeded = answer_number(tasks, "succeeded");
    long long failed = answer_number(tasks, "failed") + answer_number(tasks, "lost") + answer_number(tasks, "expired");
    if (failed > 0)
        table_addf(table, "%lld/%lld, %lld failed", succeeded, total, failed);
    else
        table_addf(table, "%lld/%lld", succeeded, total);
}

static void runs_print(const json_t *rows)
{
    static const struct table_column columns[] = {
        {"RUN", TABLE_RIGHT}, {"JOB", TABLE_SHRINK}, {"STATE", 0},   {"DONE", 0},
        {"QUEUE", TABLE_SHRINK}, {"SUBMITTED", 0},    {"TOOK", TABLE_RIGHT},
    };
    struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    usec_t now_usec = clock_wall_usec();
    size_t i = 0;
    const json_t *run = NULL;
    json_array_foreach(rows, i, run)
    {
        cleanup_buf struct buf job = {0};
        char text[40];
        const char *state = answer_text(run, "state");
        bool held = json_is_true(json_object_get(run, "held")) && !run_is_over(run);
        table_addf(&table, "%lld", (long long)answer_number(run, "run_id"));
        table_add(&table, job_label(&job, run));
        table_add_colour(&table, held ? "held" : state, state_colour(held ? "held" : state));
        tasks_cell(&table, run);
        table_add(&table, answer_text(run, "queue"));
        table_add(&table, text_ago(text, answer_text(run, "submitted_at"), now_usec));
        table_add(&table, text_between(text, answer_text(run, "started_at"), answer_text(run, "ended_at"), now_usec));
    }
    table_print(&table, stdout, term_width(stdout));
    table_release(&table);
}

static int runs_list(struct cli *cli, const char *path, const char *none, struct err *err)
{
    int64_t max = 0;
    int rc = args_number(cli->args, OPT_MAX, ROWS_DEFAULT, 1, 10000000, &max, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    json_t *rows = NULL;
    bool more = false;
    if (rc == 0)
        rc = runs_fetch(cli, path, max, &rows, &more, err);
    if (rc < 0)
        return rc;
    if (cli->json) {
        json_t *answer = json_pack("{s:O}", "runs", rows);
        print_json(answer);
        json_decref(answer);
    } else if (cli->quiet) {
        size_t i = 0;
        const json_t *run = NULL;
        json_array_foreach(rows, i, run)
            printf("%lld\n", (long long)answer_number(run, "run_id"));
    } else if (json_array_size(rows) == 0) {
        cli_remark(cli, "%s", none);
    } else {
        runs_print(rows);
        if (more)
            cli_remark(cli, "these are the newest %lld; --max shows more", (long long)max);
    }
    json_decref(rows);
    return 0;
}

// Whether a list of states names one that is an end.
static bool names_an_end(const char *states)
{
    bool found = false;
    cleanup_buf struct buf word = {0};
    for (const char *p = states; p != NULL && *p != '\0'; p += *p == ',' ? 1 : 0) {
        size_t len = strcspn(p, ",");
        buf_clear(&word);
        buf_add(&word, p, len);
        int state = len > 0 ? run_state_from_name(word.data) : -1;
        found |= state >= 0 && run_state_terminal((enum run_state)state);
        p += len;
    }
    return found;
}

int cmd_ps(struct cli *cli, struct err *err)
{
    cleanup_buf struct buf path = {0};
    buf_adds(&path, "/v1/runs");
    int rc = args_words(cli->args, 0, 0, err);
    if (rc == 0)
        rc = runs_query(cli, &path, err);
    if (rc < 0)
        return rc;
    bool live = !args_has(cli->args, OPT_ALL) && !names_an_end(args_get(cli->args, OPT_STATE));
    if (live)
        query_add(&path, "live", "1");
    return runs_list(cli, path.data, live ? "no run is under way; `muster history` shows ended ones" : "there is no such run", err);
}

static int history_fires(struct cli *cli, struct err *err)
{
    cleanup_buf struct buf path = {0};
    if (cli->args->n_words == 0)
        return err_set(err, ERR_INVALID, "history: --fires needs a job: muster history JOB --fires");
    int64_t max = 0;
    int rc = job_path(cli, cli->args->words[0], &path, err);
    if (rc == 0)
        rc = args_number(cli->args, OPT_MAX, ROWS_DEFAULT, 1, 10000000, &max, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    json_t *answer = NULL;
    if (rc == 0)
        rc = client_get(cli->client, &answer, err, "%s/fires?max=%lld", path.data, (long long)max);
    if (rc < 0)
        return rc;
    if (cli->json) {
        print_json(answer);
        json_decref(answer);
        return 0;
    }
    static const struct table_column columns[] = {{"DUE", 0}, {"UNTIL", 0}, {"INSTANTS", TABLE_RIGHT}, {"BECAME", 0}, {"RUN", TABLE_RIGHT}, {"WHY", TABLE_SHRINK}};
    struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    size_t i = 0, n_due = json_array_size(json_object_get(answer, "due")) + json_array_size(json_object_get(answer, "left_out"));
    const json_t *fire = NULL;
    json_array_foreach(json_object_get(answer, "due"), i, fire)
    {
        long long count = answer_number(fire, "count");
        table_add(&table, answer_text(fire, "nominal_at"));
        table_add(&table, count > 1 ? answer_text(fire, "until") : NULL);
        table_addf(&table, "%lld", count);
        table_add(&table, "due");
        table_add(&table, NULL);
        table_add(&table, NULL);
    }
    json_array_foreach(json_object_get(answer, "left_out"), i, fire)
    {
        table_add(&table, answer_text(fire, "nominal_at"));
        table_add(&table, answer_text(fire, "until"));
        table_addf(&table, "%lld", (long long)answer_number(fire, "count"));
        table_add(&table, "left out, going on");
        table_add(&table, NULL);
        table_add(&table, answer_text(fire, "why"));
    }
    json_array_foreach(json_object_get(answer, "fires"), i, fire)
    {
        // What was skipped because it was missed counts itself; others tell of those behind their own instant.
        long long missed = answer_number(fire, "missed");
        const char *outcome = answer_text(fire, "outcome");
        bool own = missed == 0 || outcome == NULL || !(str_eq(outcome, "skipped_misfire") || str_eq(outcome, "skipped_catch_up") || str_eq(outcome, "skipped_changed") || str_eq(outcome, "skipped_calendar"));
        table_add(&table, answer_text(fire, "nominal_at"));
        table_add(&table, missed > 0 ? answer_text(fire, "missed_until") : NULL);
        table_addf(&table, "%lld", missed + own);
        table_add(&table, outcome);
        if (answer_number(fire, "run_id") > 0)
            table_addf(&table, "%lld", (long long)answer_number(fire, "run_id"));
        else
            table_add(&table, NULL);
        table_add(&table, answer_text(fire, "why"));
    }
    if (i + n_due == 0)
        cli_remark(cli, "nothing has been due yet");
    else
        table_print(&table, stdout, term_width(stdout));
    table_release(&table);
    json_decref(answer);
    return 0;
}

int cmd_fires(struct cli *cli, struct err *err)
{
    int rc = args_words(cli->args, 1, 1, err);
    return rc < 0 ? rc : history_fires(cli, err);
}

int cmd_history(struct cli *cli, struct err *err)
{
    cleanup_buf struct buf path = {0};
    buf_adds(&path, "/v1/runs");
    int rc = args_words(cli->args, 0, 1, err);
    if (rc < 0)
        return rc;
    if (args_has(cli->args, OPT_FIRES))
        return history_fires(cli, err);
    rc = runs_query(cli, &path, err);
    if (rc < 0)
        return rc;
    return runs_list(cli, path.data, "there is no such run", err);
}

// Page by page, by key: after a connection broke, no line is written twice and none is missing.
static int export_pages(struct cli *cli, const char *path, FILE *file, struct err *err)
{
    uint64_t before = 0;
    for (bool more = true; more;) {
        cleanup_buf struct buf page = {0};
        buf_printf(&page, "%s%cmax=%d", path, strchr(path, '?') == NULL ? '?' : '&', PAGE_ROWS);
        if (before > 0)
            buf_printf(&page, "&before=%llu", (unsigned long long)before);
        json_t *answer = NULL;
        int rc = client_get(cli->client, &answer, err, "%s", page.data);
        if (rc < 0)
            return rc;
        size_t i = 0;
        const json_t *run = NULL;
        bool failed = false;
        json_array_foreach(json_object_get(answer, "runs"), i, run)
            failed |= json_dumpf(run, file, JSON_COMPACT | JSON_REAL_PRECISION(15)) < 0 || fputc('\n', file) == EOF;
        damaged_tell(cli, answer, file);
        uint64_t next = (uint64_t)answer_number(answer, "next_before");
        more = next > 0 && (before == 0 || next < before);
        before = next;
        json_decref(answer);
        if (failed)
            return err_errno(err, ERR_IO, "write the export");
    }
    return 0;
}

// Into a file beside the one wanted, which replaces it when everything is there.
static int export_to_file(struct cli *cli, const char *path, const char *name, struct err *err)
{
    cleanup_buf struct buf part = {0};
    buf_printf(&part, "%s.part", name);
    FILE *file = fopen(part.data, "we");
    if (file == NULL)
        return err_errno(err, err_from_errno(errno), "open '%.150s'", part.data);
    int rc = export_pages(cli, path, file, err);
    if (rc == 0 && (fflush(file) != 0 || fsync(fileno(file)) < 0))
        rc = err_errno(err, err_from_errno(errno), "write '%.150s'", part.data);
    if (fclose(file) != 0 && rc == 0)
        rc = err_errno(err, err_from_errno(errno), "write '%.150s'", part.data);
    if (rc == 0 && rename(part.data, name) < 0)
        rc = err_errno(err, err_from_errno(errno), "rename to '%.150s'", name);
    if (rc < 0)
        unlink(part.data);
    return rc;
}

int cmd_export(struct cli *cli, struct err *err)
{
    cleanup_buf struct buf path = {0};
    buf_adds(&path, "/v1/runs");
    int rc = args_words(cli->args, 0, 1, err);
    if (rc == 0)
        rc = runs_query(cli, &path, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc < 0)
        return rc;
    const char *name = args_get(cli->args, OPT_OUTPUT);
    return name != NULL ? export_to_file(cli, path.data, name, err) : export_pages(cli, path.data, stdout, err);
}
