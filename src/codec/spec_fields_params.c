// SPDX-License-Identifier: Apache-2.0
// The parameters of a job: their declaration, the values that schedules fix, and where they are used.
#include <string.h>

#include "base/assert.h"
#include "codec/spec_read.h"
#include "model/params.h"

static void insert_param(struct param *params, size_t n, struct param param)
{
    size_t i = n;
    for (; i > 0 && strcmp(params[i - 1].name, param.name) > 0; i--)
        params[i] = params[i - 1];
    params[i] = param;
}

void spec_field_PARAMS(struct spec_reader *reader, const struct place *at)
{
    if (!spec_is_map(reader, at) || !spec_within(reader, at, LIMIT_PARAMS, at->node->n, "the number of parameters"))
        return;
    size_t bytes_max = (size_t)reader->limits->value[LIMIT_NAME_BYTES];
    struct param *params = arena_array(reader->arena, struct param, at->node->n);
    for (size_t i = 0; i < at->node->n; i++) {
        struct place value = spec_map_at(reader, at, i);
        struct param param = {.name = at->node->items[i].key};
        const char *problem = param_name_problem(param.name, bytes_max);
        if (problem != NULL)
            spec_bad(reader, &value, "the name '%.60s' %s", param.name, problem);
        reader->param = &param;
        if (value.node->kind == DOC_MAP)
            spec_read_map(reader, &value, "params.");
        else if (value.node->kind != DOC_NULL)
            spec_field_PARAMS_DEFAULT(reader, &value);
        reader->param = NULL;
        if (param.required && param.value != NULL) {
            spec_bad_said(reader, &value, "a required parameter has no default; leave one of the two out");
            param.required = false;
        }
        insert_param(params, i, param);
    }
    reader->spec->params = params;
    reader->spec->n_params = at->node->n;
}

void spec_field_PARAMS_DEFAULT(struct spec_reader *reader, const struct place *at)
{
    must(reader->param != NULL);
    const char *text = spec_read_text(reader, at);
    if (text != NULL && spec_within(reader, at, LIMIT_PARAM_BYTES, strlen(text), "the value"))
        reader->param->value = text;
}

void spec_field_PARAMS_REQUIRED(struct spec_reader *reader, const struct place *at)
{
    must(reader->param != NULL);
    static const char *const names[] = {"false", "true"};
    reader->param->required = spec_read_name_of(reader, at, names, 2) == 1;
}

void spec_field_SCHEDULE_PARAMS(struct spec_reader *reader, const struct place *at)
{
    must(reader->trigger != NULL);
    if (!spec_is_map(reader, at) || !spec_within(reader, at, LIMIT_PARAMS, at->node->n, "the number of parameters"))
        return;
    struct pair *values = arena_array(reader->arena, struct pair, at->node->n);
    size_t n = 0;
    for (size_t i = 0; i < at->node->n; i++) {
        struct place value = spec_map_at(reader, at, i);
        const char *text = value.node->kind == DOC_NULL ? "" : spec_read_text(reader, &value);
        if (text == NULL)
            continue;
        size_t k = n++;
        for (; k > 0 && strcmp(values[k - 1].key, at->node->items[i].key) > 0; k--)
            values[k] = values[k - 1];
        values[k] = (struct pair){at->node->items[i].key, text};
    }
    reader->trigger->params = values;
    reader->trigger->n_params = n;
}

// ---- where they are used

// Names a shell, with any path before it.
static bool is_shell(const char *word)
{
    static const char *const shells[] = {"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "busybox"};
    const char *slash = strrchr(word, '/');
    const char *name = slash != NULL ? slash + 1 : word;
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        if (strcmp(name, shells[i]) == 0)
            return true;
    return false;
}

// The word of the command that a shell takes as its text (behind -c, -ec, ...), or n_command.
static size_t shell_text_at(const struct job_spec *spec)
{
    bool shell = false;
    for (size_t i = 0; i < spec->n_command; i++) {
        const char *word = spec->command[i];
        if (shell && word[0] == '-' && word[1] != '-' && strchr(word, 'c') != NULL)
            return i + 1;
        shell = shell || is_shell(word);
    }
    return spec->n_command;
}

// Every {{params.NAME}} of a text names a parameter; for a shell there may be none, since a value would become part of its program.
static void check_uses(struct spec_reader *reader, const struct place *at, const char *text, bool for_shell)
{
    static const char begin[] = "{{params.";
    for (const char *open = strstr(text, begin); open != NULL; open = strstr(open + 1, begin)) {
        const char *name = open + strlen(begin);
        const char *close = strstr(name, "}}");
        if (close == NULL)
            return;
        int len = (int)(close - name);
        if (param_find(reader->spec->params, reader->spec->n_params, name, (size_t)len) == NULL)
            spec_bad_said(reader, at, "{{params.%.*s}} names no parameter; declare it in params", len < 60 ? len : 60, name);
        else if (for_shell)
            spec_bad_said(reader, at, "{{params.%.*s}} in the text of a shell would let a value become commands; write \"$MUSTER_PARAM_%.*s\" there",
                          len < 60 ? len : 60, name, len < 60 ? len : 60, name);
    }
}

// A schedule fires without anybody to ask, so it must know every required value.
static void check_schedules(struct spec_reader *reader)
{
    const struct job_spec *spec = reader->spec;
    for (size_t i = 0; i < spec->n_triggers; i++) {
        struct err err = {0};
        struct place at = reader->given[FIELD_SCHEDULE];
        if (params_check(spec->params, spec->n_params, spec->triggers[i].params, spec->triggers[i].n_params, reader->limits, &err) < 0)
            spec_bad_said(reader, &at, "schedule %zu: %s", i + 1, err.text);
    }
}

void spec_check_params(struct spec_reader *reader)
{
    const struct job_spec *spec = reader->spec;
    size_t shell_at = shell_text_at(spec);
    for (size_t i = 0; i < spec->n_command; i++)
        check_uses(reader, &reader->given[FIELD_COMMAND], spec->command[i], i == shell_at);
    for (size_t i = 0; i < spec->n_env; i++)
        check_uses(reader, &reader->given[FIELD_ENV], spec->env[i].value, false);
    check_schedules(reader);
}
