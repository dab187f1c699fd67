// SPDX-License-Identifier: Apache-2.0
// Reference pages, made from the tables.

#include "cli/reference.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "model/limits.h"
#include "model/state.h"

#define MADE_BY "<!-- Made by `muster dump-reference`; do not edit. -->\n\n"

void reference_commands(FILE *file)
{
    fputs(MADE_BY "# Commands\n\nEvery command, from the table that the program itself uses. `muster help COMMAND` shows the same.\n", file);
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *command = &commands[i];
        if (command->flags & COMMAND_HIDDEN)
            continue;
        fprintf(file, "\n## muster %s\n\n`muster %s [OPTIONS]%s%s`\n\n%s", command->name, command->name,
                command->arguments[0] != '\0' ? " " : "", command->arguments, command->sentence);
        fprintf(file, "%s%s\n\n", command->text[0] != '\0' ? " " : "", command->text);
        fputs("| option | meaning |\n|---|---|\n", file);
        for (int id = 0; id < OPTIONS; id++) {
            const struct option_row *row = &option_rows[id];
            if (!option_belongs(id, command))
                continue;
            fputs("| `", file);
            if (row->letter != 0)
                fprintf(file, "-%c`, `", row->letter);
            fprintf(file, "--%s", row->name);
            for (const char *p = row->value != NULL ? row->value : ""; *p != '\0'; p++)
                fprintf(file, "%s%s%c", p == row->value ? " " : "", *p == '|' ? "\\" : "", *p);
            fprintf(file, "` | %s |\n", row->sentence);
        }
        fprintf(file, "\n```sh\n%s\n```\n", command->examples);
    }
}

void reference_settings(FILE *file, bool markdown)
{
    static const char intro[] = "Every limit and setting of a server or an agent. Set one with `--set name=value` or with the "
                                "environment variable MUSTER_<NAME>; nothing else needs to be set.";
    if (markdown)
        fprintf(file, MADE_BY "# Settings\n\n%s\n\n| name | default | least | most | meaning |\n|---|---|---|---|---|\n", intro);
    else
        print_wrapped(file, 0, 100, intro);
    for (int id = 0; id < LIMITS; id++) {
        const struct limit_row *row = &limit_rows[id];
        char value[40];
        char least[40];
        char most[40];
        limit_format(value, id, row->value);
        limit_format(least, id, row->least);
        limit_format(most, id, row->most);
        if (markdown) {
            fprintf(file, "| `%s` | %s | %s | %s | %s |\n", row->name, value, least, most, row->sentence);
        } else {
            fprintf(file, "\n%s = %s   (%s .. %s)\n", row->name, value, least, most);
            print_wrapped(file, 4, 100, row->sentence);
        }
    }
}

void reference_errors(FILE *file, bool markdown)
{
    if (markdown)
        fputs(MADE_BY "# Errors and exit statuses\n\n", file);
    static const char intro[] =
        "`muster run`, `rerun --follow` and `start --follow` exit with the status of the work: the exit status of a single task, 128 + N when "
        "signal N ended it, 127 when it could not be started, 1 when it ended without success in another way; for an array 0 when every task "
        "succeeded, else 1. `muster wait` exits with 0 when every run succeeded, else 1. Otherwise 0 means that it worked, 64 that "
        "the command line was not understood, 130 that you interrupted it, and:";
    print_wrapped(file, 0, markdown ? 100000 : 100, intro);
    fputs(markdown ? "\n| exit status | error | HTTP status | meaning |\n|---|---|---|---|\n" : "\n", file);
    static const int codes[] = {
#define ERR(name, number, http_status, exit_status, sentence) -(number),
#include "spec/errors.def"
#undef ERR
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        const char *form = markdown ? "| %d | `%s` | %d | %s |\n" : "  %3d  %-16s (HTTP %d)  %s\n";
        int code = codes[i];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fprintf(file, form, err_exit_status(code), err_name(code), err_http_status(code), err_sentence(code));
#pragma GCC diagnostic pop
    }
}

struct job_field_row {
    const char *path;
    const char *allowed;
    const char *sentence;
    const char *example;
};

static const struct job_field_row job_field_rows[] = {
#define JOB_FIELD(NAME, path, type, allowed, sentence, example) {path, allowed, sentence, example},
#include "spec/job_fields.def"
};

// Text for a cell of a Markdown table.
static void cell_print(FILE *file, const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        fprintf(file, *p == '|' ? "\\%c" : "%c", *p);
}

void reference_job(FILE *file, bool markdown)
{
    static const char intro[] = "A job file is YAML (several documents are several jobs) or JSON. Every field but command or script may be left out. "
                                "`muster apply -f FILE` stores jobs, `muster run -f FILE` runs one at once; `muster run` has an option for each field.";
    if (markdown)
        fprintf(file, MADE_BY "# Job files\n\n%s\n\n| field | allowed | meaning | example |\n|---|---|---|---|\n", intro);
    else
        print_wrapped(file, 0, 100, intro);
    for (size_t i = 0; i < sizeof(job_field_rows) / sizeof(job_field_rows[0]); i++) {
        const struct job_field_row *row = &job_field_rows[i];
        if (markdown) {
            fprintf(file, "| `%s` | ", row->path);
            cell_print(file, row->allowed);
            fputs(" | ", file);
            cell_print(file, row->sentence);
            fputs(" | ", file);
            for (const char *line = row->example; *line != '\0';) {
                size_t len = strcspn(line, "\n");
                cleanup_buf struct buf text = {0};
                buf_add(&text, line, len);
                fputs(line == row->example ? "`" : "<br>`", file);
                cell_print(file, text.len > 0 ? text.data : "");
                fputs("`", file);
                line += len + (line[len] == '\n');
            }
            fputs(" |\n", file);
        } else {
            fprintf(file, "\n%s\n", row->path);
            print_wrapped(file, 4, 100, row->sentence);
            fputs("    allowed:\n", file);
            print_wrapped(file, 8, 100, row->allowed);
            fputs("    example:\n", file);
            for (const char *line = row->example; *line != '\0';) {
                size_t len = strcspn(line, "\n");
                fprintf(file, "        %.*s\n", (int)len, line);
                line += len + (line[len] == '\n');
            }
        }
    }
}

struct state_row {
    const char *kind;
    const char *name;
    const char *sentence;
};

static const struct state_row state_rows[] = {
#define RUN_STATE(NAME, text, terminal, next, sentence) {"run", text, sentence},
#define TASK_STATE(NAME, text, terminal, next, sentence) {"task", text, sentence},
#define NODE_STATE(NAME, text, terminal, next, sentence) {"node", text, sentence},
#define JOB_STATE(NAME, text, terminal, next, sentence) {"job", text, sentence},
#define BACKFILL_STATE(NAME, text, terminal, next, sentence) {"backfill", text, sentence},
#define OUTCOME(NAME, text, good, may_have_started, sentence) {"outcome of an attempt", text, sentence},
#define REASON(NAME, text, sentence) {"reason for waiting", text, sentence},
#define CONDITION(NAME, text, sentence) {"condition of a job", text, sentence},
#include "spec/states.def"
};

void reference_states(FILE *file)
{
    fputs(MADE_BY "# States, outcomes and reasons\n\nThe words of every answer, table and log line.\n", file);
    const char *kind = NULL;
    for (size_t i = 0; i < sizeof(state_rows) / sizeof(state_rows[0]); i++) {
        if (!str_eq(kind, state_rows[i].kind))
            fprintf(file, "\n## %s\n\n| word | meaning |\n|---|---|\n", state_rows[i].kind);
        kind = state_rows[i].kind;
        fprintf(file, "| `%s` | %s |\n", state_rows[i].name, state_rows[i].sentence);
    }
}

int cmd_dump_reference(struct cli *cli, struct err *err)
{
    int rc = args_words(cli->args, 1, 1, err);
    if (rc < 0)
        return rc;
    const char *page = cli->args->words[0];
    if (str_eq(page, "commands"))
        reference_commands(stdout);
    else if (str_eq(page, "settings"))
        reference_settings(stdout, true);
    else if (str_eq(page, "errors"))
        reference_errors(stdout, true);
    else if (str_eq(page, "job"))
        reference_job(stdout, true);
    else if (str_eq(page, "states"))
        reference_states(stdout);
    else
        return err_set(err, ERR_INVALID, "there is no page '%.40s'; allowed: commands, settings, errors, job, states", page);
    return 0;
}
