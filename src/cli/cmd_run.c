// SPDX-License-Identifier: Apache-2.0
// run, rerun, start and logs: work that is begun or looked at, and followed.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/spec_file.h"
#include "cli/spec_options.h"

static int follow_own(struct cli *cli, uint64_t run_id, struct err *err)
{
    struct follow_options options = {.run_id = run_id, .streams = FOLLOW_STDOUT | FOLLOW_STDERR, .owns_run = true};
    return follow_run(cli, &options, err);
}

// What is to run: the file named by -f, or a job made from the options.
static int body_fill(struct cli *cli, struct spec_file *file, struct err *err)
{
    const char *name = args_get(cli->args, OPT_FILE);
    if (name != NULL) {
        if (cli->args->n_words > 0 || spec_options_given(cli->args))
            return err_set(err, ERR_INVALID, "run: -f FILE says everything about the job; give no command and no field of it beside");
        return spec_file_read(name, file, err);
    }
    json_t *spec = NULL;
    int rc = spec_from_options(cli->args, &spec, err);
    if (rc < 0)
        return rc;
    char *text = json_dumps(spec, JSON_COMPACT);
    json_decref(spec);
    *file = (struct spec_file){.name = "the options given", .content_type = "application/json", .from_options = true};
    buf_adds(&file->text, text);
    free(text);
    return 0;
}

static int submit(struct cli *cli, const struct spec_file *file, uint64_t *ret_run_id, struct err *err)
{
    // Without a key of one's own, a fresh one makes it safe to send the same again when the connection breaks.
    char fresh[33];
    random_key(fresh);
    const char *key = args_get(cli->args, OPT_IDEMPOTENCY_KEY);
    cleanup_buf struct buf path = {0};
    buf_adds(&path, args_has(cli->args, OPT_HELD) ? "/v1/runs?held=1" : "/v1/runs");
    size_t cursor = 0;
    for (const char *text; (text = args_next(cli->args, OPT_PARAM, &cursor)) != NULL;)
        query_add(&path, "param", text);
    struct call call = {
        .method = "POST",
        .path = path.data,
        .body = file->text.data,
        .body_len = file->text.len,
        .content_type = file->content_type,
        .idempotency_key = key != NULL ? key : fresh,
    };
    json_t *answer = NULL;
    int rc = client_call(cli->client, &call, &answer, err);
    if (rc < 0)
        return spec_file_tell(cli, file, rc, err);
    *ret_run_id = (uint64_t)answer_number(answer, "run_id");
    if (key != NULL && json_is_true(json_object_get(answer, "existing")))
        cli_remark(cli, "this was submitted before, as run %llu", (unsigned long long)*ret_run_id);
    json_decref(answer);
    return *ret_run_id > 0 ? 0 : err_set(err, ERR_PROTOCOL, "the server answered without the id of the run");
}

int cmd_run(struct cli *cli, struct err *err)
{
    struct spec_file file = {0};
    uint64_t run_id = 0;
    int rc = body_fill(cli, &file, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc == 0)
        rc = submit(cli, &file, &run_id, err);
    spec_file_release(&file);
    if (rc < 0)
        return rc;
    if (args_has(cli->args, OPT_DETACH)) {
        printf("%llu\n", (unsigned long long)run_id);
        return 0;
    }
    if (args_has(cli->args, OPT_HELD))
        cli_remark(cli, "run %llu is held until `muster release %llu`", (unsigned long long)run_id, (unsigned long long)run_id);
    return follow_own(cli, run_id, err);
}

// The run that an answer names: followed with --follow, else its id is printed.
static int begun(struct cli *cli, json_t *answer, struct err *err)
{
    uint64_t run_id = (uint64_t)answer_number(answer, "run_id");
    json_decref(answer);
    if (run_id == 0)
        return err_set(err, ERR_PROTOCOL, "the server answered without the id of the run");
    if (args_has(cli->args, OPT_FOLLOW))
        return follow_own(cli, run_id, err);
    printf("%llu\n", (unsigned long long)run_id);
    return 0;
}

// A POST that makes something: its key makes sending it again safe.
static int post_once(struct cli *cli, const char *path, const char *body, json_t **ret_answer, struct err *err)
{
    char key[33];
    random_key(key);
    struct call call = {.method = "POST", .path = path, .body = body, .body_len = body != NULL ? strlen(body) : 0, .idempotency_key = key};
    return client_call(cli->client, &call, ret_answer, err);
}

int cmd_rerun(struct cli *cli, struct err *err)
{
    struct run_ref ref = {0};
    json_t *answer = NULL;
    int rc = args_words(cli->args, 1, 1, err);
    if (rc == 0)
        rc = run_ref_parse(cli->args->words[0], &ref, err);
    if (rc == 0 && ref.indexes != NULL)
        rc = err_set(err, ERR_INVALID, "rerun takes whole runs; --failed chooses the tasks that did not succeed");
    if (rc == 0)
        rc = cli_client(cli, err);
    cleanup_buf struct buf path = {0};
    buf_printf(&path, "/v1/runs/%llu/rerun", (unsigned long long)ref.run_id);
    if (rc == 0)
        rc = post_once(cli, path.data, args_has(cli->args, OPT_FAILED) ? "{\"failed\":true}" : NULL, &answer, err);
    return rc < 0 ? rc : begun(cli, answer, err);
}

int params_arg(struct cli *cli, json_t **ret, struct err *err)
{
    json_t *params = json_object();
    size_t cursor = 0;
    int rc = 0;
    const char *text;
    while (rc == 0 && (text = args_next(cli->args, OPT_PARAM, &cursor)) != NULL) {
        const char *equals = strchr(text, '=');
        cleanup_buf struct buf name = {0};
        if (equals != NULL)
            buf_add(&name, text, (size_t)(equals - text));
        if (name.len == 0)
            rc = err_set(err, ERR_INVALID, "--param: '%.60s' is not NAME=VALUE", text);
        else if (json_object_get(params, name.data) != NULL)
            rc = err_set(err, ERR_INVALID, "--param: '%.60s' is given twice; give one value", name.data);
        else if (json_object_set_new(params, name.data, json_string(equals + 1)) < 0)
            rc = err_set(err, ERR_INVALID, "--param: the value of '%.60s' is not UTF-8", name.data);
    }
    if (rc < 0)
        json_decref(params);
    else
        *ret = params;
    return rc;
}

// {"params": {...}} of the values given with --param; left empty without any.
static int params_body(struct cli *cli, struct buf *ret, struct err *err)
{
    json_t *params = NULL;
    int rc = params_arg(cli, &params, err);
    if (rc == 0 && json_object_size(params) > 0) {
        char *dump = json_dumps(params, JSON_COMPACT);
        buf_printf(ret, "{\"params\":%s}", dump);
        free(dump);
    }
    json_decref(params);
    return rc;
}

int cmd_start(struct cli *cli, struct err *err)
{
    cleanup_buf struct buf path = {0};
    cleanup_buf struct buf body = {0};
    json_t *answer = NULL;
    int rc = args_words(cli->args, 1, 1, err);
    if (rc == 0)
        rc = job_path(cli, cli->args->words[0], &path, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    buf_adds(&path, "/start");
    if (rc == 0)
        rc = params_body(cli, &body, err);
    if (rc == 0)
        rc = post_once(cli, path.data, body.len > 0 ? body.data : NULL, &answer, err);
    return rc < 0 ? rc : begun(cli, answer, err);
}

struct logs {
    struct cli *cli;
    uint64_t run_id;
    unsigned streams;
    int64_t tail_bytes; // -1: all
    int64_t attempt;    // 0: the last one
    bool prefix;
};

// Prints what is there of one stream now.
static int stream_print(struct logs *logs, uint32_t index, bool to_stderr, struct err *err)
{
    struct output output = {.to_stderr = to_stderr, .prefix = logs->prefix, .index = index};
    cleanup_buf struct buf base = {0};
    buf_printf(&base, "/v1/runs/%llu/tasks/%u/log?stream=%s", (unsigned long long)logs->run_id, index, to_stderr ? "stderr" : "stdout");
    if (logs->attempt > 0)
        buf_printf(&base, "&attempt=%lld", (long long)logs->attempt);
    uint64_t offset = 0;
    uint64_t end = UINT64_MAX;
    int rc = 0;
    bool first = true;
    while (rc == 0 && offset < end) {
        struct text_reply reply = {0};
        cleanup_buf struct buf path = {0};
        bool probe = first && logs->tail_bytes >= 0;
        buf_printf(&path, "%s&offset=%llu%s", base.data, (unsigned long long)offset, probe ? "&max=1" : "");
        rc = client_text(logs->cli->client, path.data, &reply, err);
        if (rc < 0)
            break;
        if (first)
            end = reply.end;
        if (probe) {
            offset = end > (uint64_t)logs->tail_bytes ? end - (uint64_t)logs->tail_bytes : 0;
        } else {
            if (reply.offset > offset && logs->tail_bytes < 0)
                cli_remark(logs->cli, "%llu bytes of the %s of task %u were dropped by its log limit",
                           (unsigned long long)(reply.offset - offset), to_stderr ? "stderr" : "stdout", index);
            output_write(&output, reply.text.data != NULL ? reply.text.data : "", reply.text.len);
            offset = reply.offset + reply.text.len;
            if (reply.text.len == 0)
                end = offset;
        }
        first = false;
        buf_release(&reply.text);
    }
    output_end(&output);
    return rc;
}

static int task_print(struct logs *logs, uint32_t index, struct err *err)
{
    int rc = 0;
    if (logs->streams & FOLLOW_STDOUT)
        rc = stream_print(logs, index, false, err);
    if (rc == 0 && (logs->streams & FOLLOW_STDERR))
        rc = stream_print(logs, index, true, err);
    return rc;
}

// Every task that has begun; what is missing of one does not keep the others from being shown, and is told at the end by the status.
static int run_print(struct logs *logs, struct err *err)
{
    int64_t from = 0;
    int status = 0;
    bool any = false;
    while (from >= 0) {
        json_t *page = NULL;
        int rc = client_get(logs->cli->client, &page, err, "/v1/runs/%llu/tasks?from=%lld&max=500", (unsigned long long)logs->run_id,
                            (long long)from);
        if (rc < 0)
            return rc;
        size_t i = 0;
        const json_t *task = NULL;
        json_array_foreach(json_object_get(page, "tasks"), i, task)
        {
            struct err problem = {0};
            uint32_t index = (uint32_t)answer_number(task, "index");
            int64_t attempts = answer_number(task, "attempt");
            if (attempts == 0 || attempts < logs->attempt)
                continue;
            any = true;
            if (task_print(logs, index, &problem) < 0 && problem.code != ERR_NOT_FOUND) {
                cli_remark(logs->cli, "task %u: %s", index, problem.text);
                status = err_exit_status(problem.code);
            }
        }
        int64_t next = answer_has(page, "next_from") ? answer_number(page, "next_from") : -1;
        from = next > from ? next : -1;
        json_decref(page);
    }
    if (!any && logs->attempt > 0)
        return err_set(err, ERR_NOT_FOUND, "no task of run %llu has had an attempt %lld", (unsigned long long)logs->run_id,
                       (long long)logs->attempt);
    logs->cli->exit_status = status;
    return 0;
}

static int logs_options(struct cli *cli, struct logs *logs, struct err *err)
{
    const char *stream = args_get(cli->args, OPT_STREAM);
    logs->streams = str_eq(stream, "stdout") ? FOLLOW_STDOUT : str_eq(stream, "stderr") ? FOLLOW_STDERR : FOLLOW_STDOUT | FOLLOW_STDERR;
    if (stream != NULL && !str_eq(stream, "stdout") && !str_eq(stream, "stderr"))
        return err_set(err, ERR_INVALID, "--stream: '%.40s' is none; allowed: stdout, stderr", stream);
    int rc = args_number(cli->args, OPT_TAIL, -1, 0, INT64_MAX, &logs->tail_bytes, err);
    if (rc == 0)
        rc = args_number(cli->args, OPT_ATTEMPT, 0, 1, 1000000, &logs->attempt, err);
    if (rc == 0 && args_has(cli->args, OPT_FOLLOW) && (logs->attempt > 0 || logs->tail_bytes >= 0))
        rc = err_set(err, ERR_INVALID, "logs: -f shows every attempt from its beginning; give no --attempt and no --tail with it");
    return rc;
}

int cmd_logs(struct cli *cli, struct err *err)
{
    struct logs logs = {.cli = cli};
    bool has_index = false;
    uint32_t index = 0;
    int rc = args_words(cli->args, 1, 1, err);
    if (rc == 0)
        rc = task_ref_parse(cli->args->words[0], &logs.run_id, &has_index, &index, err);
    if (rc == 0)
        rc = logs_options(cli, &logs, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc < 0)
        return rc;
    if (args_has(cli->args, OPT_FOLLOW)) {
        struct follow_options options = {.run_id = logs.run_id, .one_task = has_index, .index = index, .streams = logs.streams};
        return follow_run(cli, &options, err);
    }
    if (has_index)
        return task_print(&logs, index, err);
    json_t *run = NULL;
    rc = client_get(cli->client, &run, err, "/v1/runs/%llu", (unsigned long long)logs.run_id);
    if (rc < 0)
        return rc;
    logs.prefix = answer_number(json_object_get(run, "tasks"), "total") != 1;
    json_decref(run);
    return run_print(&logs, err);
}
