// SPDX-License-Identifier: Apache-2.0
// Scripts for the completion of shells, made from the tables.

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/commands.h"

static bool shown(const struct command *command)
{
    return !(command->flags & COMMAND_HIDDEN);
}

static bool takes_file(enum option_id id)
{
    const char *value = option_rows[id].value;
    return value != NULL && (str_eq(value, "FILE") || str_eq(value, "FOLDER"));
}

static void bash_print(FILE *file)
{
    fputs("# Completion of muster for bash: source <(muster completion bash)\n_muster() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} i\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W '", file);
    for (size_t i = 0; i < n_commands; i++)
        if (shown(&commands[i]))
            fprintf(file, "%s ", commands[i].name);
    fputs("' -- \"$word\"))\n        return\n    fi\n"
          "    for ((i = 2; i < COMP_CWORD; i++)); do\n        [ \"${COMP_WORDS[i]}\" = -- ] && { COMPREPLY=($(compgen -c -f -- \"$word\")); return; }\n    done\n"
          "    case $before in\n", file);
    for (int id = 0; id < OPTIONS; id++)
        if (takes_file(id))
            fprintf(file, "    --%s) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", option_rows[id].name);
    fputs("    esac\n    case $command in\n", file);
    for (size_t i = 0; i < n_commands; i++) {
        if (!shown(&commands[i]))
            continue;
        fprintf(file, "    %s) COMPREPLY=($(compgen -W '", commands[i].name);
        for (int id = 0; id < OPTIONS; id++)
            if (option_belongs(id, &commands[i]))
                fprintf(file, "--%s ", option_rows[id].name);
        if (str_eq(commands[i].name, "completion"))
            fputs("bash zsh fish ", file);
        if (str_eq(commands[i].name, "help")) {
            for (size_t j = 0; j < n_commands; j++)
                if (shown(&commands[j]))
                    fprintf(file, "%s ", commands[j].name);
            fputs("job settings exit-statuses ", file);
        }
        fputs("' -- \"$word\")) ;;\n", file);
    }
    fputs("    esac\n}\ncomplete -o default -F _muster muster\n", file);
}

// Prints text for the inside of single quotes, leaving out what zsh's _arguments and fish would read.
static void quoted_print(FILE *file, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'')
            fputs("'\\''", file);
        else if (*p == '[' || *p == ']' || *p == ':')
            fprintf(file, "\\%c", *p);
        else
            fputc(*p, file);
    }
}

static void zsh_print(FILE *file)
{
    fputs("#compdef muster\n# Completion of muster for zsh: muster completion zsh > a folder of $fpath, as _muster\n_muster() {\n"
          "    local -a subcommands\n    subcommands=(\n", file);
    for (size_t i = 0; i < n_commands; i++) {
        if (!shown(&commands[i]))
            continue;
        fprintf(file, "        '%s:", commands[i].name);
        quoted_print(file, commands[i].sentence);
        fputs("'\n", file);
    }
    fputs("    )\n    if (( CURRENT == 2 )); then\n        _describe command subcommands\n        return\n    fi\n"
          "    local subcommand=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $subcommand in\n", file);
    for (size_t i = 0; i < n_commands; i++) {
        if (!shown(&commands[i]))
            continue;
        fprintf(file, "    %s) _arguments -s", commands[i].name);
        for (int id = 0; id < OPTIONS; id++) {
            if (!option_belongs(id, &commands[i]))
                continue;
            const struct option_row *row = &option_rows[id];
            fprintf(file, " \\\n        '*--%s[", row->name);
            quoted_print(file, row->sentence);
            fputc(']', file);
            if (row->value != NULL) {
                fputc(':', file);
                quoted_print(file, row->value);
                fprintf(file, ":%s", takes_file(id) ? "_files" : "");
            }
            fputc('\'', file);
        }
        fputs(" \\\n        '*::argument:_normal' ;;\n", file);
    }
    fputs("    esac\n}\n_muster \"$@\"\n", file);
}

static void fish_quoted(FILE *file, const char *text)
{
    fputc('\'', file);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'' || *p == '\\')
            fputc('\\', file);
        fputc(*p, file);
    }
    fputc('\'', file);
}

static void fish_print(FILE *file)
{
    fputs("# Completion of muster for fish: muster completion fish > ~/.config/fish/completions/muster.fish\ncomplete -c muster -f\n", file);
    for (size_t i = 0; i < n_commands; i++) {
        if (!shown(&commands[i]))
            continue;
        fprintf(file, "complete -c muster -n __fish_use_subcommand -a %s -d ", commands[i].name);
        fish_quoted(file, commands[i].sentence);
        fputc('\n', file);
        for (int id = 0; id < OPTIONS; id++) {
            if (!option_belongs(id, &commands[i]))
                continue;
            const struct option_row *row = &option_rows[id];
            fprintf(file, "complete -c muster -n '__fish_seen_subcommand_from %s' -l %s", commands[i].name, row->name);
            if (row->letter != 0)
                fprintf(file, " -s %c", row->letter);
            if (row->value != NULL)
                fprintf(file, takes_file(id) ? " -r -F" : " -x");
            fputs(" -d ", file);
            fish_quoted(file, row->sentence);
            fputc('\n', file);
        }
    }
}

int cmd_completion(struct cli *cli, struct err *err)
{
    int rc = args_words(cli->args, 1, 1, err);
    if (rc < 0)
        return rc;
    const char *shell = cli->args->words[0];
    if (str_eq(shell, "bash"))
        bash_print(stdout);
    else if (str_eq(shell, "zsh"))
        zsh_print(stdout);
    else if (str_eq(shell, "fish"))
        fish_print(stdout);
    else
        return err_set(err, ERR_INVALID, "'%.40s' is not a shell that completion is made for; allowed: bash, zsh, fish", shell);
    return 0;
}
