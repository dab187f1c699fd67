// SPDX-License-Identifier: Apache-2.0
// Help for people, made from the tables.

#include "cli/help.h"

#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/reference.h"
#include "cli/term.h"

#define HELP_WIDTH 100

const char *group_title(enum command_group group)
{
    static const char *const titles[COMMAND_GROUPS] = {
        [GROUP_START] = "Start", [GROUP_WORK] = "Work", [GROUP_JOBS] = "Jobs",
        [GROUP_FLEET] = "Fleet", [GROUP_RECORDS] = "Records", [GROUP_OTHER] = "Other",
    };
    must(group < COMMAND_GROUPS);
    return titles[group];
}

static size_t help_width(FILE *file)
{
    int width = term_width(file);
    return width > 0 && width < HELP_WIDTH ? (size_t)width : HELP_WIDTH;
}

void print_wrapped(FILE *file, size_t indent, size_t width, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        cleanup_buf struct buf word = {0};
        buf_add(&word, text, len);
        size_t columns = len > 0 ? text_width(word.data) : 0;
        if (column > 0 && column + 1 + columns > width) {
            fputc('\n', file);
            column = 0;
        }
        if (column == 0) {
            fprintf(file, "%*s", (int)indent, "");
            column = indent;
        } else {
            fputc(' ', file);
            column++;
        }
        fwrite(text, 1, len, file);
        column += columns;
        text += len;
        text += strspn(text, " ");
    }
    if (column > 0)
        fputc('\n', file);
}

void help_overview(FILE *file)
{
    fputs("muster: a distributed job scheduler\n\nusage: muster COMMAND [OPTIONS] [ARGUMENTS]\n", file);
    for (int group = 0; group < COMMAND_GROUPS; group++) {
        fprintf(file, "\n%s%s%s\n", colour_on(file, COLOUR_BOLD), group_title(group), colour_off(file, COLOUR_BOLD));
        for (size_t i = 0; i < n_commands; i++)
            if (commands[i].group == (enum command_group)group && !(commands[i].flags & COMMAND_HIDDEN))
                fprintf(file, "  %-11s %s\n", commands[i].name, commands[i].sentence);
    }
    fputs("\nBegin with `muster up` in one terminal and `muster run -- echo hello` in another.\n"
          "`muster help COMMAND` tells more; topics are `job`, `settings` and `exit-statuses`.\n", file);
}

static void option_print(FILE *file, enum option_id id)
{
    const struct option_row *row = &option_rows[id];
    cleanup_buf struct buf left = {0};
    if (row->letter != 0)
        buf_printf(&left, "-%c, ", row->letter);
    else
        buf_adds(&left, "    ");
    buf_printf(&left, "--%s%s%s", row->name, row->value != NULL ? " " : "", row->value != NULL ? row->value : "");
    size_t width = help_width(file);
    if (left.len <= 30) {
        // The sentence begins on the same line: print it wrapped with its indent, then put the left side over the spaces.
        cleanup_buf struct buf text = {0};
        buf_printf(&text, "%s", row->sentence);
        fprintf(file, "  %-30s", left.data);
        size_t room = width > 60 ? width - 33 : 30;
        size_t len = text.len;
        if (text_width(text.data) > room) {
            len = room;
            while (len > 0 && text.data[len] != ' ')
                len--;
        }
        fprintf(file, " %.*s\n", (int)len, text.data);
        print_wrapped(file, 33, width, text.data + len + strspn(text.data + len, " "));
        return;
    }
    fprintf(file, "  %s\n", left.data);
    print_wrapped(file, 33, width, row->sentence);
}

void help_command(FILE *file, const struct command *command)
{
    size_t width = help_width(file);
    fprintf(file, "usage: muster %s [OPTIONS]%s%s\n\n", command->name, command->arguments[0] != '\0' ? " " : "", command->arguments);
    print_wrapped(file, 0, width, command->sentence);
    if (command->text[0] != '\0') {
        fputc('\n', file);
        print_wrapped(file, 0, width, command->text);
    }
    fprintf(file, "\n%sOptions%s\n", colour_on(file, COLOUR_BOLD), colour_off(file, COLOUR_BOLD));
    for (int id = 0; id < OPTIONS; id++)
        if (option_belongs(id, command))
            option_print(file, id);
    fprintf(file, "\n%sExamples%s\n", colour_on(file, COLOUR_BOLD), colour_off(file, COLOUR_BOLD));
    for (const char *line = command->examples; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        fprintf(file, "  %.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
}

int cmd_help(struct cli *cli, struct err *err)
{
    int rc = args_words(cli->args, 0, 1, err);
    if (rc < 0)
        return rc;
    if (cli->args->n_words == 0) {
        help_overview(stdout);
        return 0;
    }
    const char *topic = cli->args->words[0];
    const struct command *command = command_find(topic);
    if (command != NULL) {
        help_command(stdout, command);
        return 0;
    }
    if (str_eq(topic, "settings"))
        reference_settings(stdout, false);
    else if (str_eq(topic, "exit-statuses"))
        reference_errors(stdout, false);
    else if (str_eq(topic, "job"))
        reference_job(stdout, false);
    else
        return err_set(err, ERR_INVALID, "there is no command or topic '%.40s'; see `muster help`", topic);
    return 0;
}

void details_print(FILE *file, const char *name, const json_t *details)
{
    size_t i = 0;
    const json_t *detail = NULL;
    json_array_foreach(details, i, detail)
    {
        json_int_t more = json_integer_value(json_object_get(detail, "more"));
        if (more > 0) {
            fprintf(file, "  and %lld more\n", (long long)more);
            continue;
        }
        json_int_t line = json_integer_value(json_object_get(detail, "line"));
        json_int_t column = json_integer_value(json_object_get(detail, "column"));
        const char *field = json_string_value(json_object_get(detail, "field"));
        const char *problem = json_string_value(json_object_get(detail, "problem"));
        const char *allowed = json_string_value(json_object_get(detail, "allowed"));
        cleanup_buf struct buf text = {0};
        if (name != NULL)
            buf_printf(&text, "%s:", name);
        if (name != NULL && line > 0)
            buf_printf(&text, "%lld:%lld:", (long long)line, (long long)column);
        buf_printf(&text, "%s%s", text.len > 0 ? " " : "  ", field != NULL && field[0] != '\0' ? field : "(document)");
        buf_printf(&text, ": %s", problem != NULL ? problem : "not valid");
        if (allowed != NULL && allowed[0] != '\0')
            buf_printf(&text, " (allowed: %s)", allowed);
        term_print(file, text.data);
        fputc('\n', file);
    }
}
