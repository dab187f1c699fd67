// SPDX-License-Identifier: Apache-2.0
// Options of `muster run` to a job.

#include "cli/spec_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/spec_file.h"

enum field_kind { FIELD_TEXT, FIELD_NUMBER, FIELD_DECIMAL, FIELD_LIST, FIELD_NUMBER_LIST };

// Options that are one field each: where the field is, and how its value is written in JSON.
static const struct field_row {
    enum option_id id;
    const char *object; // NULL: at the top
    const char *field;
    enum field_kind kind;
} fields[] = {
    {OPT_JOB_NAME, NULL, "name", FIELD_TEXT},
    {OPT_NAMESPACE, NULL, "namespace", FIELD_TEXT},
    {OPT_TASKS, NULL, "tasks", FIELD_NUMBER},
    {OPT_PARALLELISM, NULL, "parallelism", FIELD_NUMBER},
    {OPT_CPU, "resources", "cpu", FIELD_TEXT},
    {OPT_MEMORY, "resources", "memory", FIELD_TEXT},
    {OPT_DISK, "resources", "disk", FIELD_TEXT},
    {OPT_GPU, "resources", "gpu", FIELD_NUMBER},
    {OPT_WORKDIR, NULL, "workdir", FIELD_TEXT},
    {OPT_USER, NULL, "user", FIELD_TEXT},
    {OPT_QUEUE, NULL, "queue", FIELD_TEXT},
    {OPT_PRIORITY, NULL, "priority", FIELD_NUMBER},
    {OPT_TIME_LIMIT, NULL, "time_limit", FIELD_TEXT},
    {OPT_QUEUE_DEADLINE, NULL, "queue_deadline", FIELD_TEXT},
    {OPT_KILL_GRACE, NULL, "kill_grace", FIELD_TEXT},
    {OPT_RETRY, "retry", "limit", FIELD_NUMBER},
    {OPT_BACKOFF, "retry", "backoff", FIELD_TEXT},
    {OPT_BACKOFF_FACTOR, "retry", "factor", FIELD_DECIMAL},
    {OPT_BACKOFF_MAX, "retry", "max_backoff", FIELD_TEXT},
    {OPT_BACKOFF_JITTER, "retry", "jitter", FIELD_DECIMAL},
    {OPT_RETRY_EXIT_CODES, "retry", "exit_codes", FIELD_NUMBER_LIST},
    {OPT_RETRY_CAUSES, "retry", "causes", FIELD_LIST},
    {OPT_DELIVERY, NULL, "delivery", FIELD_TEXT},
    {OPT_KEY, "concurrency", "key", FIELD_TEXT},
    {OPT_KEY_LIMIT, "concurrency", "limit", FIELD_NUMBER},
    {OPT_LOG_LIMIT, NULL, "log_limit", FIELD_TEXT},
};

static const enum option_id other_fields[] = {OPT_ENV, OPT_SCRIPT, OPT_CONSTRAINT, OPT_LABEL, OPT_AFTER, OPT_START_AT, OPT_RESOURCE};

bool spec_options_given(const struct args *args)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (args_has(args, fields[i].id))
            return true;
    for (size_t i = 0; i < sizeof(other_fields) / sizeof(other_fields[0]); i++)
        if (args_has(args, other_fields[i]))
            return true;
    return false;
}

// The object of this name in the spec, made when it is not there yet.
static json_t *object_in(json_t *spec, const char *name)
{
    json_t *object = json_object_get(spec, name);
    if (object == NULL) {
        json_object_set_new(spec, name, json_object());
        object = json_object_get(spec, name);
    }
    return object;
}

static int text_bad(enum option_id id, const char *text, struct err *err)
{
    return err_set(err, ERR_INVALID, "--%s: '%.60s' is not valid UTF-8", option_rows[id].name, text);
}

// A number when it is one, else text, which the server may understand or refuse with what is allowed.
static json_t *number_or_text(const char *text)
{
    int64_t number = 0;
    return str_to_i64(text, &number) == 0 ? json_integer(number) : json_string(text);
}

static json_t *decimal_or_text(const char *text)
{
    json_t *number = json_loads(text, JSON_DECODE_ANY, NULL);
    if (json_is_number(number))
        return number;
    json_decref(number);
    return json_string(text);
}

static json_t *list_value(const char *text, bool numbers)
{
    json_t *list = json_array();
    cleanup_buf struct buf word = {0};
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ",");
        buf_clear(&word);
        buf_add(&word, p, len);
        if (len > 0)
            json_array_append_new(list, numbers ? number_or_text(word.data) : json_string(word.data));
        p += len;
        if (*p == '\0')
            return list;
    }
}

static json_t *field_value(enum field_kind kind, const char *text)
{
    switch (kind) {
    case FIELD_TEXT:
        return json_string(text);
    case FIELD_NUMBER:
        return number_or_text(text);
    case FIELD_DECIMAL:
        return decimal_or_text(text);
    case FIELD_LIST:
    case FIELD_NUMBER_LIST:
        return list_value(text, kind == FIELD_NUMBER_LIST);
    }
    return NULL;
}

// "KEY=VALUE" into an object. For variables of the environment KEY alone takes the value it has here.
static int pair_add(json_t *object, enum option_id id, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (value == NULL && id == OPT_ENV)
        value = getenv(text);
    if (value == NULL || equals == text || text[0] == '\0')
        return err_set(err, ERR_INVALID, "--%s: '%.60s' is not KEY=VALUE%s", option_rows[id].name, text,
                       id == OPT_ENV ? ", nor a variable that is set here" : "");
    cleanup_buf struct buf key = {0};
    buf_add(&key, text, equals != NULL ? (size_t)(equals - text) : strlen(text));
    if (json_object_get(object, key.data) != NULL)
        return err_set(err, ERR_INVALID, "--%s: '%.60s' is given twice; give one value", option_rows[id].name, key.data);
    json_t *json = id == OPT_RESOURCE ? number_or_text(value) : json_string(value);
    return json_object_set_new(object, key.data, json) < 0 ? text_bad(id, text, err) : 0;
}

static int pairs_add(const struct args *args, json_t *spec, enum option_id id, const char *name, struct err *err)
{
    size_t cursor = 0;
    const char *text;
    while ((text = args_next(args, id, &cursor)) != NULL) {
        int rc = pair_add(object_in(spec, name), id, text, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

// "12", "12:failed" and "12,13".
static int after_add(const struct args *args, json_t *spec, struct err *err)
{
    size_t cursor = 0;
    const char *text;
    while ((text = args_next(args, OPT_AFTER, &cursor)) != NULL) {
        for (const char *p = text;; p++) {
            size_t len = strcspn(p, ",");
            size_t digits = strcspn(p, ":,");
            cleanup_buf struct buf run = {0};
            cleanup_buf struct buf on = {0};
            buf_add(&run, p, digits);
            buf_adds(&on, "succeeded");
            if (digits < len) {
                buf_clear(&on);
                buf_add(&on, p + digits + 1, len - digits - 1);
            }
            uint64_t run_id = 0;
            if (run.len == 0 || str_to_u64(run.data, &run_id) < 0 || run_id == 0)
                return err_set(err, ERR_INVALID, "--after: '%.60s' is not the id of a run, or RUN:succeeded, RUN:failed, RUN:ended", text);
            if (!json_is_array(json_object_get(spec, "after")))
                json_object_set_new(spec, "after", json_array());
            json_array_append_new(json_object_get(spec, "after"), json_pack("{s:I,s:s}", "run", (json_int_t)run_id, "on", on.data));
            p += len;
            if (*p == '\0')
                break;
        }
    }
    return 0;
}

static int command_add(const struct args *args, json_t *spec, struct err *err)
{
    const char *script = args_get(args, OPT_SCRIPT);
    if (script != NULL && args->n_words > 0)
        return err_set(err, ERR_INVALID, "run: give a command or --script, not both");
    if (script == NULL && args->n_words == 0)
        return err_set(err, ERR_INVALID, "run: which command? write it as: muster run [OPTIONS] -- COMMAND [ARGUMENT...]");
    if (script != NULL) {
        struct spec_file file = {0};
        int rc = spec_file_read(script, &file, err);
        if (rc < 0)
            return rc;
        json_t *text = json_stringn(file.text.data, file.text.len);
        spec_file_release(&file);
        return json_object_set_new(spec, "script", text) < 0 ? text_bad(OPT_SCRIPT, script, err) : 0;
    }
    json_t *command = json_array();
    json_object_set_new(spec, "command", command);
    for (size_t i = 0; i < args->n_words; i++)
        if (json_array_append_new(command, json_string(args->words[i])) < 0)
            return err_set(err, ERR_INVALID, "run: '%.60s' is not valid UTF-8", args->words[i]);
    return 0;
}

static int fields_add(const struct args *args, json_t *spec, struct err *err)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *text = args_get(args, fields[i].id);
        if (text == NULL)
            continue;
        json_t *object = fields[i].object != NULL ? object_in(spec, fields[i].object) : spec;
        if (json_object_set_new(object, fields[i].field, field_value(fields[i].kind, text)) < 0)
            return text_bad(fields[i].id, text, err);
    }
    const char *start_at = args_get(args, OPT_START_AT);
    char instant[40];
    if (start_at != NULL) {
        int rc = instant_arg("start-at", start_at, true, instant, err);
        if (rc < 0)
            return rc;
        json_object_set_new(spec, "start_at", json_string(instant));
    }
    size_t cursor = 0;
    const char *text;
    while ((text = args_next(args, OPT_CONSTRAINT, &cursor)) != NULL) {
        if (!json_is_array(json_object_get(spec, "constraints")))
            json_object_set_new(spec, "constraints", json_array());
        if (json_array_append_new(json_object_get(spec, "constraints"), json_string(text)) < 0)
            return text_bad(OPT_CONSTRAINT, text, err);
    }
    return 0;
}

int spec_from_options(const struct args *args, json_t **ret_spec, struct err *err)
{
    json_t *spec = json_object();
    int rc = command_add(args, spec, err);
    if (rc == 0)
        rc = fields_add(args, spec, err);
    if (rc == 0)
        rc = pairs_add(args, spec, OPT_ENV, "env", err);
    if (rc == 0)
        rc = pairs_add(args, spec, OPT_LABEL, "labels", err);
    if (rc == 0)
        rc = pairs_add(args, spec, OPT_RESOURCE, "resources", err);
    if (rc == 0)
        rc = after_add(args, spec, err);
    if (rc < 0) {
        json_decref(spec);
        return rc;
    }
    *ret_spec = spec;
    return 0;
}
