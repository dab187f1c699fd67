// SPDX-License-Identifier: Apache-2.0
// The fields that say what a job is and what it needs. The others are in spec_fields_when.c.
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "codec/names.h"
#include "codec/spec_read.h"

enum { DESCRIPTION_BYTES_MAX = 4096, PATH_BYTES_MAX = 4095 };

void spec_field_NAMESPACE(struct spec_reader *reader, const struct place *at)
{
    const char *text = spec_read_checked(reader, at, name_problem);
    if (text != NULL)
        reader->spec->namespace_name = text;
}

void spec_field_NAME(struct spec_reader *reader, const struct place *at)
{
    const char *text = spec_read_checked(reader, at, job_name_problem);
    if (text != NULL)
        reader->spec->name = text;
}

void spec_field_DESCRIPTION(struct spec_reader *reader, const struct place *at)
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return;
    if (strlen(text) > DESCRIPTION_BYTES_MAX)
        spec_bad(reader, at, "it has %zu bytes", strlen(text));
    else
        reader->spec->description = text;
}

// A list of arguments; adds errors and returns NULL when one is no text or there is none.
static const char *const *read_arguments(struct spec_reader *reader, const struct place *at, size_t *ret_n)
{
    size_t n = at->node->n;
    size_t bytes = 0;
    bool good = true;
    const char **command = arena_array(reader->arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct place argument = spec_list_at(reader, at, i);
        command[i] = spec_read_text(reader, &argument);
        good = good && command[i] != NULL;
        bytes += command[i] != NULL ? strlen(command[i]) + 1 : 0;
    }
    if (n == 0 || (command[0] != NULL && command[0][0] == '\0')) {
        spec_bad(reader, at, "it names no program");
        return NULL;
    }
    if (!good || !spec_within(reader, at, LIMIT_COMMAND_BYTES, bytes, "the command"))
        return NULL;
    *ret_n = n;
    return command;
}

void spec_field_COMMAND(struct spec_reader *reader, const struct place *at)
{
    if (at->node->kind == DOC_LIST) {
        size_t n = 0;
        const char *const *command = read_arguments(reader, at, &n);
        if (command != NULL) {
            reader->spec->command = command;
            reader->spec->n_command = n;
        }
        return;
    }
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return;
    if (strspn(text, " \t\r\n") == strlen(text)) {
        spec_bad(reader, at, "it is empty");
        return;
    }
    if (!spec_within(reader, at, LIMIT_COMMAND_BYTES, strlen(text) + 1, "the command"))
        return;
    const char **command = arena_array(reader->arena, const char *, 4);
    command[0] = "/bin/sh";
    command[1] = "-c";
    command[2] = text;
    reader->spec->command = command;
    reader->spec->n_command = 3;
}

void spec_field_SCRIPT(struct spec_reader *reader, const struct place *at)
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return;
    if (strspn(text, " \t\r\n") == strlen(text))
        spec_bad(reader, at, "it is empty");
    else if (spec_within(reader, at, LIMIT_COMMAND_BYTES, strlen(text) + 1, "the script"))
        reader->spec->script = text;
}

void spec_field_ENV(struct spec_reader *reader, const struct place *at)
{
    if (!spec_is_map(reader, at) || !spec_within(reader, at, LIMIT_ENV_COUNT, at->node->n, "the number of variables"))
        return;
    size_t n = at->node->n;
    size_t bytes = 0;
    struct pair *env = arena_array(reader->arena, struct pair, n);
    for (size_t i = 0; i < n; i++) {
        struct place value = spec_map_at(reader, at, i);
        const char *name = at->node->items[i].key;
        const char *problem = env_name_problem(name);
        if (problem != NULL)
            spec_bad(reader, &value, "the name '%.60s' %s", name, problem);
        const char *text = value.node->kind == DOC_NULL ? "" : spec_read_text(reader, &value);
        env[i] = (struct pair){name, text != NULL ? text : ""};
        bytes += strlen(name) + strlen(env[i].value) + 2;
    }
    if (!spec_within(reader, at, LIMIT_ENV_BYTES, bytes, "the environment"))
        return;
    reader->spec->env = env;
    reader->spec->n_env = n;
}

void spec_field_WORKDIR(struct spec_reader *reader, const struct place *at)
{
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return;
    if (text[0] != '/')
        spec_bad(reader, at, "'%.60s' does not begin with /", text);
    else if (strlen(text) > PATH_BYTES_MAX)
        spec_bad(reader, at, "it has %zu bytes", strlen(text));
    else
        reader->spec->workdir = text;
}

static const char *user_problem(const char *text, size_t bytes_max)
{
    (void)bytes_max;
    return user_name_problem(text);
}

void spec_field_USER(struct spec_reader *reader, const struct place *at)
{
    const char *text = spec_read_checked(reader, at, user_problem);
    if (text != NULL)
        reader->spec->user = text;
}

// Adds a need, keeping the list sorted by name; needs has room.
static void put_need(struct job_spec *spec, struct resource_need *needs, const char *name, uint64_t amount)
{
    size_t i = spec->n_needs++;
    for (; i > 0 && strcmp(needs[i - 1].name, name) > 0; i--)
        needs[i] = needs[i - 1];
    must(i == 0 || strcmp(needs[i - 1].name, name) != 0);
    needs[i] = (struct resource_need){name, amount};
}

// The amount of one kind; false with an error. 0 means that nothing of it is needed.
static bool read_amount(struct spec_reader *reader, const struct place *at, const char *name, uint64_t *ret)
{
    static const char allowed_count[] = "0 to 1000000000";
    int64_t count = 0;
    if (at->field == FIELD_RESOURCES_CPU) {
        const char *text = spec_read_text(reader, at);
        if (text == NULL)
            return false;
        int rc = cpu_parse(text, ret, NULL);
        if (rc < 0 || *ret == 0 || *ret > 1000000000) {
            spec_bad(reader, at, rc == ERR_INVALID ? "'%.60s' is not a number of cores" : "'%.60s' is out of range", text);
            return false;
        }
        reader->spec->cpu_declared = true;
        return true;
    }
    if (at->field == FIELD_RESOURCES_MEMORY || at->field == FIELD_RESOURCES_DISK) {
        if (!spec_read_size(reader, at, 0, UINT64_C(1) << 60, ret))
            return false;
        uint64_t least = (uint64_t)reader->limits->value[LIMIT_MEMORY_MIN];
        if (at->field == FIELD_RESOURCES_DISK || *ret == 0 || *ret >= least)
            return true;
        char have[32], wanted[32];
        spec_bad_said(reader, at, "%s is less than a program needs to start; the least is %s (memory_min)", size_format(have, *ret),
                      size_format(wanted, least));
        return false;
    }
    if (at->field == FIELD_RESOURCES_GPU) {
        if (!spec_read_number(reader, at, 0, 1000000, &count))
            return false;
        *ret = (uint64_t)count;
        return true;
    }
    const char *problem = name_problem(name, (size_t)reader->limits->value[LIMIT_NAME_BYTES]);
    if (problem != NULL) {
        spec_bad(reader, at, "the name '%.60s' %s", name, problem);
        return false;
    }
    const char *text = spec_read_text(reader, at);
    if (text == NULL)
        return false;
    if (str_to_i64(text, &count) < 0 || count < 0 || count > 1000000000) {
        spec_errors_add(reader->errors, at->node->line, at->node->column, at->path, allowed_count, "'%.60s' is not a count", text);
        return false;
    }
    *ret = (uint64_t)count;
    return true;
}

void spec_field_RESOURCES(struct spec_reader *reader, const struct place *at)
{
    static const char *const builtin[] = {"cpu", "memory", "disk", "gpu"};
    static const enum field_id builtin_field[] = {FIELD_RESOURCES_CPU, FIELD_RESOURCES_MEMORY, FIELD_RESOURCES_DISK, FIELD_RESOURCES_GPU};
    // cpu is always there, so one kind may be left.
    if (!spec_is_map(reader, at) || !spec_within(reader, at, LIMIT_RESOURCE_KINDS, at->node->n, "the number of kinds of resources"))
        return;
    struct resource_need *needs = arena_array(reader->arena, struct resource_need, at->node->n + 1);
    reader->spec->n_needs = 0;
    for (size_t i = 0; i < at->node->n; i++) {
        const char *name = at->node->items[i].key;
        struct place value = spec_map_at(reader, at, i);
        for (size_t k = 0; k < sizeof(builtin) / sizeof(builtin[0]); k++)
            if (strcmp(builtin[k], name) == 0)
                value.field = builtin_field[k];
        uint64_t amount = 0;
        if (value.node->kind == DOC_NULL)
            continue;
        if (read_amount(reader, &value, name, &amount) && amount > 0)
            put_need(reader->spec, needs, name, amount);
    }
    if (!reader->spec->cpu_declared)
        put_need(reader->spec, needs, "cpu", 1000);
    reader->spec->needs = needs;
}

// These are read by spec_field_RESOURCES, since the map may hold other names too.
void spec_field_RESOURCES_CPU(struct spec_reader *reader, const struct place *at)
{
    (void)reader, (void)at;
    unreachable();
}

void spec_field_RESOURCES_MEMORY(struct spec_reader *reader, const struct place *at)
{
    (void)reader, (void)at;
    unreachable();
}

void spec_field_RESOURCES_DISK(struct spec_reader *reader, const struct place *at)
{
    (void)reader, (void)at;
    unreachable();
}

void spec_field_RESOURCES_GPU(struct spec_reader *reader, const struct place *at)
{
    (void)reader, (void)at;
    unreachable();
}

void spec_field_CONSTRAINTS(struct spec_reader *reader, const struct place *at)
{
    size_t n = spec_list_len(at);
    if (!spec_within(reader, at, LIMIT_CONSTRAINTS, n, "the number of constraints"))
        return;
    struct constraint *list = arena_array(reader->arena, struct constraint, n);
    for (size_t i = 0; i < n; i++) {
        struct place item = spec_list_at(reader, at, i);
        struct err err = {0};
        const char *text = spec_read_text(reader, &item);
        if (text != NULL &&
            constraint_parse(text, (size_t)reader->limits->value[LIMIT_NAME_BYTES], reader->arena, &list[i], &err) < 0)
            spec_bad(reader, &item, "'%.60s': %s", text, err.text);
    }
    reader->spec->constraints = list;
    reader->spec->n_constraints = n;
}

void spec_field_PRIORITY(struct spec_reader *reader, const struct place *at)
{
    int64_t value = 0;
    if (spec_read_number(reader, at, -1000, 1000, &value))
        reader->spec->priority = (int32_t)value;
}

void spec_field_QUEUE(struct spec_reader *reader, const struct place *at)
{
    const char *text = spec_read_checked(reader, at, name_problem);
    if (text != NULL)
        reader->spec->queue = text;
}

void spec_field_LOG_LIMIT(struct spec_reader *reader, const struct place *at)
{
    uint64_t value = 0;
    if (spec_read_size(reader, at, 4096, INT64_MAX, &value) && spec_within(reader, at, LIMIT_LOG_BYTES, value, "it"))
        reader->spec->log_bytes_max = value;
}

void spec_field_LABELS(struct spec_reader *reader, const struct place *at)
{
    if (!spec_is_map(reader, at) || !spec_within(reader, at, LIMIT_LABELS, at->node->n, "the number of labels"))
        return;
    size_t bytes_max = (size_t)reader->limits->value[LIMIT_NAME_BYTES];
    struct pair *labels = arena_array(reader->arena, struct pair, at->node->n);
    size_t n = 0;
    for (size_t i = 0; i < at->node->n; i++) {
        struct place value = spec_map_at(reader, at, i);
        const char *key = at->node->items[i].key;
        const char *problem = label_key_problem(key, bytes_max);
        if (problem != NULL)
            spec_bad(reader, &value, "the key '%.60s' %s", key, problem);
        const char *text = value.node->kind == DOC_NULL ? "" : spec_read_checked(reader, &value, label_value_problem);
        size_t k = n++;
        for (; k > 0 && strcmp(labels[k - 1].key, key) > 0; k--)
            labels[k] = labels[k - 1];
        labels[k] = (struct pair){key, text != NULL ? text : ""};
    }
    reader->spec->labels = labels;
    reader->spec->n_labels = n;
}
