// SPDX-License-Identifier: Apache-2.0
// Commands that change what runs: cancel, hold, release, wait, delete; drain, undrain and forget of nodes.

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/term.h"

// How long one request waits at the server for the end of a run.
#define WAIT_STEP_USEC (25 * USEC_PER_SEC)

// Does it to every word: what cannot be done to one is told, and does not keep the others from it. The last that failed is given back.
static int each_word(struct cli *cli, int (*one)(struct cli *, const char *word, const void *how, struct err *), const void *how,
                     struct err *err)
{
    int rc = args_words(cli->args, 1, SIZE_MAX, err);
    if (rc < 0)
        return rc;
    struct err failed = {0};
    for (size_t i = 0; i < cli->args->n_words; i++) {
        struct err problem = {0};
        if (one(cli, cli->args->words[i], how, &problem) == 0)
            continue;
        if (failed.code < 0) {
            fputs("muster: ", stderr);
            term_print(stderr, failed.text);
            fputc('\n', stderr);
        }
        failed = problem;
        // Without a server the others would fail in the same way.
        if (problem.code == ERR_UNAVAILABLE || problem.code == ERR_UNAUTHENTICATED || problem.code == ERR_INTERRUPTED)
            break;
    }
    return failed.code < 0 ? err_set(err, failed.code, "%s", failed.text) : 0;
}

static int run_cancel(struct cli *cli, const char *word, struct err *err)
{
    struct run_ref ref = {0};
    int rc = run_ref_parse(word, &ref, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc < 0)
        return rc;
    json_t *body = ref.indexes != NULL ? json_pack("{s:s}", "tasks", ref.indexes) : NULL;
    rc = client_post(cli->client, body, NULL, err, "/v1/runs/%llu/cancel", (unsigned long long)ref.run_id);
    json_decref(body);
    if (rc == 0 && ref.indexes != NULL)
        cli_remark(cli, "task%s %s of run %llu %s being cancelled", strpbrk(ref.indexes, "-,") ? "s" : "", ref.indexes,
                   (unsigned long long)ref.run_id, strpbrk(ref.indexes, "-,") ? "are" : "is");
    else if (rc == 0)
        cli_remark(cli, "run %llu is being cancelled", (unsigned long long)ref.run_id);
    return rc;
}

static int job_cancel(struct cli *cli, const char *word, struct err *err)
{
    cleanup_buf struct buf path = {0};
    json_t *answer = NULL;
    int rc = job_path(cli, word, &path, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc == 0)
        rc = client_post(cli->client, NULL, &answer, err, "%s/cancel", path.data);
    int64_t cancelled = rc == 0 ? answer_number(answer, "cancelled") : 0;
    if (rc == 0)
        cli_remark(cli, "%lld run%s of job %s %s being cancelled", (long long)cancelled, cancelled == 1 ? "" : "s", word,
                   cancelled == 1 ? "is" : "are");
    json_decref(answer);
    return rc;
}

static int any_cancel(struct cli *cli, const char *word, const void *how, struct err *err)
{
    return word_is_run(word) ? run_cancel(cli, word, err) : job_cancel(cli, word, err);
}

static int backfill_cancel(struct cli *cli, struct err *err)
{
    int64_t id = 0;
    json_t *answer = NULL;
    int rc = args_words(cli->args, 0, 0, err);
    if (rc == 0)
        rc = args_number(cli->args, OPT_BACKFILL, 0, 1, INT64_MAX, &id, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc == 0)
        rc = client_post(cli->client, NULL, &answer, err, "/v1/backfills/%lld/cancel", (long long)id);
    if (rc == 0)
        cli_remark(cli, "backfill %lld is cancelled; runs of it that are being stopped: %lld", (long long)id, (long long)answer_number(answer, "cancelled"));
    json_decref(answer);
    return rc;
}

int cmd_cancel(struct cli *cli, struct err *err)
{
    if (args_has(cli->args, OPT_BACKFILL))
        return backfill_cancel(cli, err);
    return each_word(cli, any_cancel, NULL, err);
}

// What is done to a run, job or node, and how that is told.
struct doing {
    const char *method;
    const char *verb;
    const char *done;
};

static int hold_or_release(struct cli *cli, const char *word, const void *how, struct err *err)
{
    const struct doing *doing = how;
    cleanup_buf struct buf path = {0};
    struct run_ref ref = {0};
    int rc = 0;
    if (word_is_run(word)) {
        rc = run_ref_parse(word, &ref, err);
        if (rc == 0 && ref.indexes != NULL)
            rc = err_set(err, ERR_INVALID, "'%.60s': only whole runs can be held and released", word);
        buf_printf(&path, "/v1/runs/%llu", (unsigned long long)ref.run_id);
    } else {
        rc = job_path(cli, word, &path, err);
    }
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc == 0)
        rc = client_post(cli->client, NULL, NULL, err, "%s/%s", path.data, doing->verb);
    if (rc == 0)
        cli_remark(cli, "%s %s is %s", word_is_run(word) ? "run" : "job", word, doing->done);
    return rc;
}

int cmd_hold(struct cli *cli, struct err *err)
{
    return each_word(cli, hold_or_release, &(struct doing){"POST", "hold", "held"}, err);
}

int cmd_release(struct cli *cli, struct err *err)
{
    return each_word(cli, hold_or_release, &(struct doing){"POST", "release", "released"}, err);
}

// Waits until one run has ended or the time is over; tells how it ended.
static int run_wait(struct cli *cli, uint64_t run_id, usec_t until_usec, struct err *err)
{
    for (;;) {
        usec_t left_usec = usec_sub(until_usec, clock_mono_usec());
        usec_t step_usec = usec_max(0, usec_min(left_usec, WAIT_STEP_USEC));
        char step[32];
        cleanup_buf struct buf path = {0};
        buf_printf(&path, "/v1/runs/%llu?wait=%s", (unsigned long long)run_id, duration_format(step, step_usec / 1000 * 1000));
        struct call call = {.method = "GET", .path = path.data, .wait_usec = step_usec};
        json_t *run = NULL;
        int rc = client_call(cli->client, &call, &run, err);
        if (rc < 0)
            return rc;
        if (run_is_over(run)) {
            cli_remark(cli, "run %llu: %s", (unsigned long long)run_id, answer_text(run, "state"));
            cli->exit_status |= run_exit_status(run);
            json_decref(run);
            return 0;
        }
        json_decref(run);
        if (left_usec <= 0)
            return err_set(err, ERR_TIMEOUT, "run %llu has not ended within the time given", (unsigned long long)run_id);
    }
}

int cmd_wait(struct cli *cli, struct err *err)
{
    usec_t for_usec = 0;
    int rc = args_words(cli->args, 1, SIZE_MAX, err);
    if (rc == 0)
        rc = args_duration(cli->args, OPT_FOR, USEC_NEVER, &for_usec, err);
    usec_t until_usec = usec_add(for_usec, clock_mono_usec());
    for (size_t i = 0; rc == 0 && i < cli->args->n_words; i++) {
        struct run_ref ref = {0};
        rc = run_ref_parse(cli->args->words[i], &ref, err);
        if (rc == 0 && ref.indexes != NULL)
            rc = err_set(err, ERR_INVALID, "'%.60s': wait takes whole runs", cli->args->words[i]);
    }
    if (rc == 0)
        rc = cli_client(cli, err);
    // All of them first: a run that does not exist is said before anything is waited for.
    for (size_t i = 0; rc == 0 && i < cli->args->n_words; i++)
        rc = client_get(cli->client, NULL, err, "/v1/runs/%s", cli->args->words[i]);
    // Runs go on while the server is away, so waiting does too.
    if (rc == 0)
        client_patience(cli->client, for_usec, -1);
    for (size_t i = 0; rc == 0 && i < cli->args->n_words; i++) {
        struct run_ref ref = {0};
        rc = run_ref_parse(cli->args->words[i], &ref, err);
        if (rc == 0)
            rc = run_wait(cli, ref.run_id, until_usec, err);
    }
    return rc;
}

int cmd_delete(struct cli *cli, struct err *err)
{
    cleanup_buf struct buf path = {0};
    int rc = args_words(cli->args, 1, 1, err);
    if (rc == 0)
        rc = job_path(cli, cli->args->words[0], &path, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc < 0)
        return rc;
    struct call call = {.method = "DELETE", .path = path.data};
    rc = client_call(cli->client, &call, NULL, err);
    if (rc == 0)
        cli_remark(cli, "job %s is deleted", cli->args->words[0]);
    return rc;
}

static int node_do(struct cli *cli, const char *word, const void *how, struct err *err)
{
    const struct doing *doing = how;
    cleanup_buf struct buf path = {0};
    buf_adds(&path, "/v1/nodes/");
    path_escape(&path, word);
    buf_adds(&path, doing->verb);
    struct call call = {.method = doing->method, .path = path.data, .repeatable = str_eq(doing->method, "POST")};
    int rc = cli_client(cli, err);
    if (rc == 0)
        rc = client_call(cli->client, &call, NULL, err);
    if (rc == 0)
        cli_remark(cli, "node %s %s", word, doing->done);
    return rc;
}

int cmd_drain(struct cli *cli, struct err *err)
{
    return each_word(cli, node_do, &(struct doing){"POST", "/drain", "takes no more work; what runs there goes on to its end"}, err);
}

int cmd_undrain(struct cli *cli, struct err *err)
{
    return each_word(cli, node_do, &(struct doing){"POST", "/undrain", "takes work again"}, err);
}

int cmd_forget(struct cli *cli, struct err *err)
{
    return each_word(cli, node_do, &(struct doing){"DELETE", "", "is forgotten"}, err);
}
