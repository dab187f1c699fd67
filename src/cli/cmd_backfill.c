// SPDX-License-Identifier: Apache-2.0
// backfill and backfills.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/term.h"

#define ROWS_DEFAULT 100

static int range_arg(struct cli *cli, enum option_id id, const char *key, json_t *body, struct err *err)
{
    char instant[40];
    const char *text = args_get(cli->args, id);
    if (text == NULL)
        return err_set(err, ERR_INVALID, "backfill: which range? write it as: muster backfill JOB --from TIME --to TIME");
    int rc = instant_arg(key, text, false, instant, err);
    if (rc == 0)
        json_object_set_new(body, key, json_string(instant));
    return rc;
}

static int body_of(struct cli *cli, json_t *body, struct err *err)
{
    int64_t parallel = 1;
    json_t *params = NULL;
    int rc = range_arg(cli, OPT_RANGE_FROM, "from", body, err);
    if (rc == 0)
        rc = range_arg(cli, OPT_RANGE_TO, "to", body, err);
    if (rc == 0)
        rc = args_number(cli->args, OPT_MAX_PARALLEL, 1, 1, 1000000, &parallel, err);
    if (rc == 0)
        rc = params_arg(cli, &params, err);
    if (rc < 0)
        return rc;
    json_object_set_new(body, "max_parallel", json_integer(parallel));
    json_object_set_new(body, "reverse", json_boolean(args_has(cli->args, OPT_REVERSE)));
    json_object_set_new(body, "again", json_boolean(args_has(cli->args, OPT_AGAIN)));
    json_object_set_new(body, "params", params);
    return 0;
}

static void tell(struct cli *cli, const json_t *answer)
{
    long long id = (long long)answer_number(answer, "backfill_id"), n = (long long)answer_number(answer, "instants");
    if (cli->json)
        print_json(answer);
    else if (args_has(cli->args, OPT_DRY_RUN))
        printf("%lld instant%s to run\n", n, n == 1 ? "" : "s");
    else if (id == 0)
        cli_remark(cli, "there is nothing to run: every instant of that range has a run, or there is none");
    else if (cli->quiet)
        printf("%lld\n", id);
    else
        printf("backfill %lld %s %lld instant%s; `muster backfills %lld` tells how far it is\n", id,
               json_is_true(json_object_get(answer, "existing")) ? "was asked for before, with" : "runs", n, n == 1 ? "" : "s", id);
}

int cmd_backfill(struct cli *cli, struct err *err)
{
    cleanup_buf struct buf path = {0};
    json_t *body = json_object(), *answer = NULL;
    int rc = args_words(cli->args, 1, 1, err);
    if (rc == 0)
        rc = job_path(cli, cli->args->words[0], &path, err);
    if (rc == 0)
        rc = body_of(cli, body, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc == 0) {
        char fresh[33];
        random_key(fresh);
        char *text = json_dumps(body, JSON_COMPACT);
        const char *key = args_get(cli->args, OPT_IDEMPOTENCY_KEY);
        buf_adds(&path, args_has(cli->args, OPT_DRY_RUN) ? "/backfill?dry_run=1" : "/backfill");
        struct call call = {.method = "POST", .path = path.data, .body = text, .body_len = strlen(text), .idempotency_key = key != NULL ? key : fresh};
        rc = client_call(cli->client, &call, &answer, err);
        free(text);
    }
    if (rc == 0)
        tell(cli, answer);
    json_decref(answer);
    json_decref(body);
    return rc;
}

static void add_row(struct table *table, const json_t *backfill, usec_t now_usec)
{
    cleanup_buf struct buf job = {0};
    char text[40];
    const json_t *instants = json_object_get(backfill, "instants");
    const char *state = json_is_true(json_object_get(backfill, "held")) ? "held" : answer_text(backfill, "state");
    long long done = (long long)(answer_number(instants, "succeeded") + answer_number(instants, "unsuccessful"));
    table_addf(table, "%lld", (long long)answer_number(backfill, "backfill_id"));
    table_add(table, job_label(&job, backfill));
    table_add_colour(table, state, state_colour(state));
    table_addf(table, "%lld/%lld", done, (long long)answer_number(instants, "total"));
    table_addf(table, "%lld", (long long)answer_number(instants, "unsuccessful"));
    table_addf(table, "%lld", (long long)answer_number(instants, "active"));
    table_add(table, answer_text(backfill, "at_instant"));
    table_add(table, text_ago(text, answer_text(backfill, "began_at"), now_usec));
}

static void backfills_print(const json_t *rows)
{
    static const struct table_column columns[] = {
        {"BACKFILL", TABLE_RIGHT}, {"JOB", TABLE_SHRINK}, {"STATE", 0}, {"DONE", TABLE_RIGHT}, {"FAILED", TABLE_RIGHT}, {"ACTIVE", TABLE_RIGHT},
        {"AT", 0}, {"BEGAN", 0},
    };
    struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    usec_t now_usec = clock_wall_usec();
    size_t i = 0;
    const json_t *row = NULL;
    json_array_foreach(rows, i, row)
        add_row(&table, row, now_usec);
    table_print(&table, stdout, term_width(stdout));
    table_release(&table);
}

int cmd_backfills(struct cli *cli, struct err *err)
{
    int64_t max = 0;
    json_t *answer = NULL;
    int rc = args_words(cli->args, 0, 1, err);
    const char *word = rc == 0 && cli->args->n_words > 0 ? cli->args->words[0] : NULL;
    uint64_t id = 0;
    if (word != NULL && str_to_u64(word, &id) < 0)
        rc = err_set(err, ERR_INVALID, "'%.60s' is not the number of a backfill", word);
    if (rc == 0)
        rc = args_number(cli->args, OPT_MAX, ROWS_DEFAULT, 1, 10000, &max, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc < 0)
        return rc;
    rc = word != NULL ? client_get(cli->client, &answer, err, "/v1/backfills/%llu", (unsigned long long)id)
                      : client_get(cli->client, &answer, err, "/v1/backfills?max=%lld", (long long)max);
    if (rc < 0)
        return rc;
    json_t *rows = word != NULL ? json_pack("[O]", answer) : json_incref(json_object_get(answer, "backfills"));
    if (cli->json)
        print_json(answer);
    else if (json_array_size(rows) == 0)
        cli_remark(cli, "there is no backfill; `muster backfill JOB --from TIME --to TIME` makes one");
    else
        backfills_print(rows);
    json_decref(rows);
    json_decref(answer);
    return 0;
}
