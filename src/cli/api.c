// SPDX-License-Identifier: Apache-2.0
// Names, queries and answers of the API.

#include "cli/api.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "model/state.h"

bool word_is_run(const char *word)
{
    return isdigit((unsigned char)word[0]);
}

int run_ref_parse(const char *word, struct run_ref *ret, struct err *err)
{
    char digits[24];
    size_t len = strcspn(word, "/");
    uint64_t run_id = 0;
    bool good = len > 0 && len < sizeof(digits);
    if (good) {
        memcpy(digits, word, len);
        digits[len] = '\0';
        good = str_to_u64(digits, &run_id) == 0 && run_id > 0;
    }
    const char *indexes = word[len] == '/' ? word + len + 1 : NULL;
    if (!good || (indexes != NULL && indexes[0] == '\0'))
        return err_set(err, ERR_INVALID, "'%.60s' does not name a run; write its id (12), with tasks behind it as 12/3", word);
    *ret = (struct run_ref){.run_id = run_id, .indexes = indexes};
    return 0;
}

int task_ref_parse(const char *word, uint64_t *ret_run_id, bool *ret_has_index, uint32_t *ret_index, struct err *err)
{
    struct run_ref ref = {0};
    int rc = run_ref_parse(word, &ref, err);
    if (rc < 0)
        return rc;
    uint64_t index = 0;
    if (ref.indexes != NULL && (str_to_u64(ref.indexes, &index) < 0 || index > UINT32_MAX))
        return err_set(err, ERR_INVALID, "'%.60s' does not name a task; write the id of its run and its index as 12/3", word);
    *ret_run_id = ref.run_id;
    *ret_has_index = ref.indexes != NULL;
    *ret_index = (uint32_t)index;
    return 0;
}

int job_path(const struct cli *cli, const char *word, struct buf *ret, struct err *err)
{
    const char *slash = strchr(word, '/');
    const char *name = slash != NULL ? slash + 1 : word;
    const char *namespace = args_get(cli->args, OPT_NAMESPACE);
    if (name[0] == '\0' || slash == word || strchr(name, '/') != NULL)
        return err_set(err, ERR_INVALID, "'%.60s' does not name a job; write its name, or namespace/name", word);
    buf_adds(ret, "/v1/jobs/");
    if (slash != NULL) {
        cleanup_buf struct buf before = {0};
        buf_add(&before, word, (size_t)(slash - word));
        path_escape(ret, before.data);
    } else {
        path_escape(ret, namespace != NULL ? namespace : "default");
    }
    buf_addc(ret, '/');
    path_escape(ret, name);
    return 0;
}

void query_add(struct buf *path, const char *key, const char *value)
{
    buf_printf(path, "%c%s=", strchr(path->data, '?') == NULL ? '?' : '&', key);
    path_escape(path, value);
}

int instant_arg(const char *option, const char *text, bool ahead, char ret[static 40], struct err *err)
{
    usec_t wall = 0;
    usec_t span = 0;
    if (time_parse(text, &wall, NULL) < 0) {
        if (duration_parse(text, &span, NULL) < 0)
            return err_set(err, ERR_INVALID, "--%s: '%.40s' is neither a time (2026-11-23T06:30:00Z) nor a span of time (2d)", option, text);
        wall = ahead ? usec_add(clock_wall_usec(), span) : usec_sub(clock_wall_usec(), span);
    }
    time_format(ret, wall);
    return 0;
}

static int instant_query(const struct cli *cli, enum option_id id, const char *key, struct buf *path, struct err *err)
{
    const char *text = args_get(cli->args, id);
    char instant[40];
    if (text == NULL)
        return 0;
    int rc = instant_arg(option_rows[id].name, text, false, instant, err);
    if (rc == 0)
        query_add(path, key, instant);
    return rc;
}

// The namespace and name of "name" or "namespace/name", as filters.
static int job_query(const struct cli *cli, const char *job, struct buf *path, struct err *err)
{
    const char *namespace = args_get(cli->args, OPT_NAMESPACE);
    if (job == NULL) {
        if (namespace != NULL)
            query_add(path, "namespace", namespace);
        return 0;
    }
    cleanup_buf struct buf unused = {0};
    int rc = job_path(cli, job, &unused, err);
    if (rc < 0)
        return rc;
    const char *slash = strchr(job, '/');
    cleanup_buf struct buf before = {0};
    if (slash != NULL)
        buf_add(&before, job, (size_t)(slash - job));
    query_add(path, "namespace", slash != NULL ? before.data : namespace != NULL ? namespace : "default");
    query_add(path, "job", slash != NULL ? slash + 1 : job);
    return 0;
}

int runs_query(const struct cli *cli, struct buf *path, struct err *err)
{
    const struct args *args = cli->args;
    const char *job = args_get(args, OPT_JOB);
    if (job == NULL && args->n_words > 0)
        job = args->words[0];
    int rc = job_query(cli, job, path, err);
    if (rc == 0)
        rc = instant_query(cli, OPT_SINCE, "since", path, err);
    if (rc == 0)
        rc = instant_query(cli, OPT_UNTIL, "until", path, err);
    if (rc < 0)
        return rc;
    if (args_get(args, OPT_STATE) != NULL)
        query_add(path, "state", args_get(args, OPT_STATE));
    if (args_get(args, OPT_NODE) != NULL)
        query_add(path, "node", args_get(args, OPT_NODE));
    size_t cursor = 0;
    const char *label;
    while ((label = args_next(args, OPT_LABEL, &cursor)) != NULL)
        query_add(path, "label", label);
    return 0;
}

const char *answer_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int64_t answer_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_real(value) ? (int64_t)json_real_value(value) : json_integer_value(value);
}

bool answer_has(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value != NULL && !json_is_null(value);
}

const char *job_label(struct buf *buf, const json_t *object)
{
    const char *name = answer_text(object, "job");
    if (name == NULL)
        name = answer_text(object, "name");
    const char *namespace = answer_text(object, "namespace");
    buf_clear(buf);
    if (name == NULL)
        buf_adds(buf, "-");
    else if (namespace == NULL || str_eq(namespace, "default"))
        buf_adds(buf, name);
    else
        buf_printf(buf, "%s/%s", namespace, name);
    return buf->data;
}

void print_json(const json_t *value)
{
    if (value == NULL)
        return;
    // 15 digits give every fraction back as it was written; 17 would show 0.2 as 0.20000000000000001.
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    fputc('\n', stdout);
}

void rows_show(const struct cli *cli, const char *key, json_t *rows, void (*print)(const json_t *rows), const char *none, int64_t cut_at)
{
    if (cli->json) {
        json_t *answer = json_pack("{s:O}", key, rows);
        print_json(answer);
        json_decref(answer);
    } else if (json_array_size(rows) == 0) {
        cli_remark(cli, "%s", none);
    } else {
        print(rows);
        if (cut_at > 0)
            cli_remark(cli, "these are the first %lld; --max shows more", (long long)cut_at);
    }
}

bool run_is_over(const json_t *run)
{
    const char *name = answer_text(run, "state");
    int state = name != NULL ? run_state_from_name(name) : -1;
    return state >= 0 ? run_state_terminal((enum run_state)state) : answer_has(run, "ended_at");
}

int run_exit_status(const json_t *run)
{
    return str_eq(answer_text(run, "state"), "succeeded") ? 0 : 1;
}
