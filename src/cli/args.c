// SPDX-License-Identifier: Apache-2.0
// The tables of commands and options, and the parser.

#include "cli/args.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/commands.h"

#define API COMMAND_API
#define LIST COMMAND_LIST
#define RAW COMMAND_RAW
#define HIDDEN COMMAND_HIDDEN

const struct command commands[] = {
#define COMMAND(name, handler, group, flags, arguments, sentence, text, examples) \
    {name, handler, GROUP_##group, flags, arguments, sentence, text, examples},
#include "spec/commands.def"
};

const size_t n_commands = sizeof(commands) / sizeof(commands[0]);

const struct option_row option_rows[OPTIONS] = {
#define OPTION(ID, name, letter, value, commands, sentence) {name, letter, value, commands, sentence},
#include "spec/options.def"
};

// getopt_long answers with this and the id of the option; single letters are below.
#define LONG_BASE 1000

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < n_commands; i++)
        if (str_eq(commands[i].name, name))
            return &commands[i];
    return NULL;
}

// Levenshtein's distance, for short words only.
static size_t distance(const char *a, const char *b)
{
    size_t row[33];
    size_t len = strlen(b);
    if (strlen(a) > 32 || len > 32)
        return 99;
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t cost = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = cost < least ? cost : least;
        }
    }
    return row[len];
}

const char *command_nearest(const char *name)
{
    const char *nearest = NULL;
    size_t best = 3;
    for (size_t i = 0; i < n_commands; i++) {
        size_t d = distance(name, commands[i].name);
        if (!(commands[i].flags & COMMAND_HIDDEN) && d < best && d < strlen(commands[i].name)) {
            best = d;
            nearest = commands[i].name;
        }
    }
    return nearest;
}

static bool list_names(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = list; (p = strstr(p, word)) != NULL; p += len)
        if ((p == list || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
            return true;
    return false;
}

bool option_belongs(enum option_id id, const struct command *command)
{
    const char *list = option_rows[id].commands;
    return list_names(list, "*") || list_names(list, command->name) || ((command->flags & COMMAND_API) && list_names(list, "@api")) ||
           ((command->flags & COMMAND_LIST) && list_names(list, "@list"));
}

static const char *option_nearest(const struct command *command, const char *name)
{
    const char *nearest = NULL;
    size_t best = 4;
    for (int id = 0; id < OPTIONS; id++) {
        size_t d = distance(name, option_rows[id].name);
        if (option_belongs(id, command) && d < best && d < strlen(option_rows[id].name)) {
            best = d;
            nearest = option_rows[id].name;
        }
    }
    return nearest;
}

static void args_add(struct args *args, enum option_id id, const char *text)
{
    args->options = mem_realloc_array(args->options, args->n_options + 1, sizeof(args->options[0]));
    args->options[args->n_options++] = (struct arg_option){.id = id, .text = text};
}

// What getopt needs to know about the options of one command.
struct getopt_tables {
    struct option longs[OPTIONS + 1];
    char letters[2 * OPTIONS + 4];
};

static void tables_fill(struct getopt_tables *tables, const struct command *command)
{
    size_t n = 0;
    size_t at = 0;
    tables->letters[at++] = command->flags & COMMAND_RAW ? '+' : ':';
    if (command->flags & COMMAND_RAW)
        tables->letters[at++] = ':';
    for (int id = 0; id < OPTIONS; id++) {
        const struct option_row *row = &option_rows[id];
        if (!option_belongs(id, command))
            continue;
        int has_value = row->value != NULL ? required_argument : no_argument;
        tables->longs[n++] = (struct option){.name = row->name, .has_arg = has_value, .val = LONG_BASE + id};
        if (row->letter != 0) {
            tables->letters[at++] = row->letter;
            if (row->value != NULL)
                tables->letters[at++] = ':';
        }
    }
    tables->longs[n] = (struct option){0};
    tables->letters[at] = '\0';
}

static enum option_id option_of(const struct command *command, int answer)
{
    if (answer >= LONG_BASE)
        return (enum option_id)(answer - LONG_BASE);
    for (int id = 0; id < OPTIONS; id++)
        if (option_rows[id].letter == answer && option_belongs(id, command))
            return id;
    unreachable();
}

static int option_unknown(const struct command *command, const char *word, int letter, struct err *err)
{
    if (letter != 0 && letter < LONG_BASE)
        return err_set(err, ERR_INVALID, "%s: there is no option -%c; see `muster help %s`", command->name, letter, command->name);
    if (letter >= LONG_BASE)
        return err_set(err, ERR_INVALID, "%s: --%s takes no value", command->name, option_rows[letter - LONG_BASE].name);
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *nearest = option_nearest(command, name);
    if (nearest != NULL)
        return err_set(err, ERR_INVALID, "%s: there is no option --%s; did you mean --%s?", command->name, name, nearest);
    return err_set(err, ERR_INVALID, "%s: there is no option --%s, or several begin so; see `muster help %s`", command->name, name,
                   command->name);
}

int args_parse(struct args *args, const struct command *command, int argc, char *const *argv, struct err *err)
{
    struct getopt_tables tables;
    tables_fill(&tables, command);
    *args = (struct args){.command = command};
    // getopt reorders the words it is given and expects a program name before them.
    char **own = mem_alloc_array((size_t)argc + 2, sizeof(char *));
    char program[] = "muster";
    own[0] = program;
    for (int i = 0; i < argc; i++)
        own[i + 1] = argv[i];
    optind = 0;
    opterr = 0;
    int rc = 0;
    int answer;
    while (rc == 0 && (answer = getopt_long(argc + 1, own, tables.letters, tables.longs, NULL)) != -1) {
        if (answer == '?') {
            rc = option_unknown(command, own[optind - 1], optopt, err);
        } else if (answer == ':') {
            enum option_id id = option_of(command, optopt);
            rc = err_set(err, ERR_INVALID, "%s: --%s needs a value (%s)", command->name, option_rows[id].name, option_rows[id].value);
        } else {
            args_add(args, option_of(command, answer), optarg);
        }
    }
    if (rc == 0) {
        args->n_words = (size_t)(argc + 1 - optind);
        args->words = mem_alloc_array(args->n_words + 1, sizeof(char *));
        for (size_t i = 0; i < args->n_words; i++)
            args->words[i] = own[(size_t)optind + i];
    } else {
        args_release(args);
    }
    mem_free(own);
    return rc;
}

void args_release(struct args *args)
{
    mem_free(args->options);
    mem_free(args->words);
    *args = (struct args){.command = args->command};
}

bool args_has(const struct args *args, enum option_id id)
{
    for (size_t i = 0; i < args->n_options; i++)
        if (args->options[i].id == id)
            return true;
    return false;
}

const char *args_get(const struct args *args, enum option_id id)
{
    for (size_t i = args->n_options; i > 0; i--)
        if (args->options[i - 1].id == id)
            return args->options[i - 1].text;
    return NULL;
}

const char *args_next(const struct args *args, enum option_id id, size_t *cursor)
{
    while (*cursor < args->n_options) {
        const struct arg_option *option = &args->options[(*cursor)++];
        if (option->id == id)
            return option->text;
    }
    return NULL;
}

int args_number(const struct args *args, enum option_id id, int64_t otherwise, int64_t least, int64_t most, int64_t *ret,
                struct err *err)
{
    const char *text = args_get(args, id);
    int64_t value = otherwise;
    if (text != NULL && (str_to_i64(text, &value) < 0 || value < least || value > most))
        return err_set(err, ERR_INVALID, "--%s: '%.40s' is not a number from %lld to %lld", option_rows[id].name, text,
                       (long long)least, (long long)most);
    *ret = value;
    return 0;
}

int args_duration(const struct args *args, enum option_id id, usec_t otherwise, usec_t *ret, struct err *err)
{
    const char *text = args_get(args, id);
    if (text == NULL) {
        *ret = otherwise;
        return 0;
    }
    int rc = duration_parse(text, ret, err);
    return rc < 0 ? err_wrap(err, rc, "--%s", option_rows[id].name) : 0;
}

int args_words(const struct args *args, size_t least, size_t most, struct err *err)
{
    const char *name = args->command->name;
    if (args->n_words < least)
        return err_set(err, ERR_INVALID, "%s: something is missing; write it as: muster %s %s", name, name, args->command->arguments);
    if (args->n_words > most && args->command->arguments[0] == '\0')
        return err_set(err, ERR_INVALID, "%s: '%.60s' is not expected; it takes options only", name, args->words[most]);
    if (args->n_words > most)
        return err_set(err, ERR_INVALID, "%s: '%.60s' is not expected; write it as: muster %s %s", name, args->words[most], name,
                       args->command->arguments);
    return 0;
}
