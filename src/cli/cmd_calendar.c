// SPDX-License-Identifier: Apache-2.0
// calendar: putting, listing, showing and deleting calendars.
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/ics.h"
#include "cli/spec_file.h"
#include "cli/term.h"
#include "model/limits.h"

enum { PAGE_ROWS = 500, ROWS_DEFAULT = 1000 };

// Days before today that repeating events of an iCalendar file still get: enough for a backfill of the last year.
enum { PAST_DAYS = 366 };

static void calendar_path(struct buf *path, const char *name)
{
    buf_adds(path, "/v1/calendars/");
    path_escape(path, name);
}

// ---- put

// How far ahead the server wants repeating events written out.
static int horizon(struct cli *cli, usec_t *ret, struct err *err)
{
    json_t *status = NULL;
    const char *name = limit_rows[LIMIT_CALENDAR_HORIZON].name;
    int rc = client_get(cli->client, &status, err, "/v1/status");
    const json_t *seconds = json_object_get(json_object_get(status, "settings"), name);
    if (rc == 0 && !json_is_number(seconds))
        rc = err_set(err, ERR_VERSION, "this server does not know calendars");
    if (rc == 0)
        *ret = (usec_t)json_number_value(seconds) * USEC_PER_SEC;
    json_decref(status);
    return rc;
}

static json_t *dates_json(const struct ics *ics)
{
    json_t *dates = json_array();
    for (size_t i = 0; i < ics->n_dates; i++) {
        const struct calendar_dates *from = &ics->dates[i];
        char first[16], last[16];
        json_t *entry = json_object();
        bool one = from->first_day == from->last_day;
        json_object_set_new(entry, one ? "date" : "from", json_string(date_format(first, from->first_day)));
        if (!one)
            json_object_set_new(entry, "to", json_string(date_format(last, from->last_day)));
        if (from->label != NULL)
            json_object_set_new(entry, "label", json_string(from->label));
        json_array_append_new(dates, entry);
    }
    return dates;
}

static void print_ics(const struct spec_file *file, const struct ics *ics)
{
    cleanup_buf struct buf out = {0};
    for (size_t i = 0; i < ics->n_lines; i++) {
        const struct ics_line *line = &ics->lines[i];
        buf_printf(&out, "%s:%u: %s%s", file->name, line->number, line->lost ? "LEFT OUT: " : "", line->text);
        if (line->remark != NULL)
            buf_printf(&out, " -- %s", line->remark);
        buf_addc(&out, '\n');
    }
    if (out.len > 0)
        term_print(stdout, out.data);
    fflush(stdout);
}

// Replaces an iCalendar file by what the server takes, and tells of every event of it what it becomes.
static int read_ics(struct cli *cli, struct spec_file *file, struct err *err)
{
    usec_t ahead = 0;
    int rc = horizon(cli, &ahead, err);
    if (rc < 0)
        return rc;
    int64_t today = clock_wall_usec() / USEC_PER_DAY, last = today + ahead / USEC_PER_DAY;
    struct ics_options options = {.first_day = (int32_t)(today - PAST_DAYS), .last_day = (int32_t)(last < CALENDAR_DAY_LAST ? last : CALENDAR_DAY_LAST)};
    struct ics ics;
    rc = ics_parse(file->text.data, file->text.len, &options, &ics, err);
    if (rc < 0) {
        ics_release(&ics);
        return err_wrap(err, rc, "%.100s", file->name);
    }
    if (!cli->json)
        print_ics(file, &ics);
    json_t *calendar = json_object();
    if (ics.name != NULL)
        json_object_set_new(calendar, "description", json_string(ics.name));
    json_object_set_new(calendar, "dates", dates_json(&ics));
    char *text = json_dumps(calendar, JSON_COMPACT);
    json_decref(calendar);
    ics_release(&ics);
    if (text == NULL)
        return err_set(err, ERR_INVALID, "%.100s: a title is no UTF-8 text", file->name);
    buf_clear(&file->text);
    buf_adds(&file->text, text);
    free(text);
    file->content_type = "application/json";
    file->from_options = true;
    return 0;
}

static int calendar_put(struct cli *cli, const char *name, const char *from, struct err *err)
{
    struct spec_file file = {0};
    bool dry_run = args_has(cli->args, OPT_DRY_RUN);
    int rc = spec_file_read(from, &file, err);
    file.help = "`muster help calendar` says what it may hold";
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc == 0 && ics_is(file.text.data, file.text.len))
        rc = read_ics(cli, &file, err);
    json_t *answer = NULL;
    cleanup_buf struct buf path = {0};
    calendar_path(&path, name);
    buf_adds(&path, dry_run ? "?dry_run=1" : "");
    struct call call = {.method = "POST",
                        .path = path.data,
                        .body = file.text.data,
                        .body_len = file.text.len,
                        .content_type = file.content_type,
                        .repeatable = true}; // the same dates twice change nothing
    if (rc == 0) {
        rc = client_call(cli->client, &call, &answer, err);
        if (rc < 0)
            rc = spec_file_tell(cli, &file, rc, err);
    }
    spec_file_release(&file);
    if (rc < 0)
        return rc;
    bool changed = json_is_true(json_object_get(answer, "changed"));
    if (cli->json)
        print_json(answer);
    else
        cli_remark(cli, "calendar %s %s (version %lld)", name, dry_run ? "is valid" : changed ? "is stored" : "did not change",
                   (long long)answer_number(answer, "version"));
    json_decref(answer);
    return 0;
}

// ---- list, show, delete

static int fetch(struct cli *cli, int64_t max, json_t *rows, bool *ret_more, struct err *err)
{
    cleanup_buf struct buf after = {0};
    *ret_more = true;
    while ((int64_t)json_array_size(rows) < max && *ret_more) {
        int64_t want = max - (int64_t)json_array_size(rows);
        cleanup_buf struct buf path = {0};
        buf_printf(&path, "/v1/calendars?max=%lld", (long long)(want < PAGE_ROWS ? want : PAGE_ROWS));
        if (after.len > 0)
            query_add(&path, "after", after.data);
        json_t *answer = NULL;
        int rc = client_get(cli->client, &answer, err, "%s", path.data);
        if (rc < 0)
            return rc;
        json_array_extend(rows, json_object_get(answer, "calendars"));
        const char *next = answer_text(answer, "next_after");
        buf_clear(&after);
        buf_adds(&after, next != NULL ? next : "");
        *ret_more = next != NULL;
        json_decref(answer);
    }
    return 0;
}

static void print_rows(const json_t *rows)
{
    static const struct table_column columns[] = {
        {"CALENDAR", TABLE_SHRINK}, {"VERSION", TABLE_RIGHT}, {"DATES", TABLE_RIGHT}, {"SCHEDULES", TABLE_RIGHT}, {"CHANGED", 0}, {"DESCRIPTION", TABLE_SHRINK},
    };
    struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    usec_t now_usec = clock_wall_usec();
    size_t i = 0;
    const json_t *row = NULL;
    json_array_foreach(rows, i, row)
    {
        char ago[40];
        table_add(&table, answer_text(row, "name"));
        table_addf(&table, "%lld", (long long)answer_number(row, "version"));
        table_addf(&table, "%lld", (long long)answer_number(row, "n_dates"));
        table_addf(&table, "%lld", (long long)answer_number(row, "schedules"));
        table_add(&table, text_ago(ago, answer_text(row, "put_at"), now_usec));
        table_add(&table, answer_text(row, "description"));
    }
    table_print(&table, stdout, term_width(stdout));
    table_release(&table);
}

static int calendar_list(struct cli *cli, struct err *err)
{
    int64_t max = 0;
    bool more = false;
    int rc = args_number(cli->args, OPT_MAX, ROWS_DEFAULT, 1, 1000000, &max, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc < 0)
        return rc;
    json_t *rows = json_array();
    rc = fetch(cli, max, rows, &more, err);
    if (rc == 0)
        rows_show(cli, "calendars", rows, print_rows, "there is no calendar yet; store one with `muster calendar put NAME FILE`", more ? max : 0);
    json_decref(rows);
    return rc;
}

// As a file that can be put again: comments tell the rest.
static void print_calendar(const json_t *calendar)
{
    cleanup_buf struct buf out = {0};
    buf_printf(&out, "# calendar %s, version %lld\n", answer_text(calendar, "name"), (long long)answer_number(calendar, "version"));
    size_t i = 0, n_jobs = json_array_size(json_object_get(calendar, "jobs"));
    long long schedules = answer_number(calendar, "schedules");
    const json_t *item = NULL;
    if (schedules > 0)
        buf_printf(&out, "# named by %lld schedule%s, of", schedules, schedules == 1 ? "" : "s");
    json_array_foreach(json_object_get(calendar, "jobs"), i, item)
        buf_printf(&out, "%s %s", i > 0 ? "," : "", json_is_string(item) ? json_string_value(item) : "");
    if (schedules > 0)
        buf_printf(&out, "%s\n", schedules > (long long)n_jobs && n_jobs >= 100 ? " and others" : "");
    const json_t *description = json_object_get(calendar, "description");
    char *text = json_is_string(description) ? json_dumps(description, JSON_ENCODE_ANY) : NULL;
    if (text != NULL)
        buf_printf(&out, "description: %s\n", text);
    free(text);
    const json_t *dates = json_object_get(calendar, "dates");
    buf_printf(&out, "dates:%s\n", json_array_size(dates) == 0 ? " []" : "");
    json_array_foreach(dates, i, item)
    {
        const json_t *label = json_object_get(item, "label");
        text = json_is_string(label) ? json_dumps(label, JSON_ENCODE_ANY) : NULL;
        buf_adds(&out, "- {");
        if (answer_has(item, "date"))
            buf_printf(&out, "date: %s", answer_text(item, "date"));
        else
            buf_printf(&out, "from: %s, to: %s", answer_text(item, "from"), answer_text(item, "to"));
        if (text != NULL)
            buf_printf(&out, ", label: %s", text);
        buf_adds(&out, "}\n");
        free(text);
    }
    term_print(stdout, out.data);
}

static int calendar_show(struct cli *cli, const char *name, struct err *err)
{
    cleanup_buf struct buf path = {0};
    json_t *answer = NULL;
    calendar_path(&path, name);
    int rc = cli_client(cli, err);
    if (rc == 0)
        rc = client_get(cli->client, &answer, err, "%s", path.data);
    if (rc < 0)
        return rc;
    if (cli->json)
        print_json(answer);
    else
        print_calendar(answer);
    json_decref(answer);
    return 0;
}

static int calendar_delete(struct cli *cli, const char *name, struct err *err)
{
    cleanup_buf struct buf path = {0};
    calendar_path(&path, name);
    struct call call = {.method = "DELETE", .path = path.data};
    int rc = cli_client(cli, err);
    if (rc == 0)
        rc = client_call(cli->client, &call, NULL, err);
    if (rc == 0)
        cli_remark(cli, "calendar %s is deleted", name);
    return rc;
}

int cmd_calendar(struct cli *cli, struct err *err)
{
    const struct args *args = cli->args;
    const char *verb = args->n_words > 0 ? args->words[0] : "";
    if (str_eq(verb, "put") && args->n_words == 3)
        return calendar_put(cli, args->words[1], args->words[2], err);
    if (str_eq(verb, "list") && args->n_words == 1)
        return calendar_list(cli, err);
    if (str_eq(verb, "show") && args->n_words == 2)
        return calendar_show(cli, args->words[1], err);
    if (str_eq(verb, "delete") && args->n_words == 2)
        return calendar_delete(cli, args->words[1], err);
    return err_set(err, ERR_INVALID, "write it as: muster calendar put NAME FILE, muster calendar list, muster calendar show NAME or muster calendar delete NAME");
}
