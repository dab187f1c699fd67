// SPDX-License-Identifier: Apache-2.0
// Dispatch, the client of a command, and how errors are told.

#include "cli/cli.h"

#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/term.h"
#include "client/client.h"
#include "client/discover.h"

#define RETRY_USEC (10 * USEC_PER_SEC)

void cli_remark(const struct cli *cli, const char *fmt, ...)
{
    if (cli->quiet)
        return;
    cleanup_buf struct buf line = {0};
    buf_adds(&line, "muster: ");
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&line, fmt, args);
    va_end(args);
    fflush(stdout);
    term_print(stderr, line.data);
    fputc('\n', stderr);
}

static void on_away(void *context, const char *sentence)
{
    struct cli *cli = context;
    if (cli->away_told)
        return;
    cli->away_told = true;
    cli_remark(cli, "%s; trying again…", sentence);
}

int cli_client(struct cli *cli, struct err *err)
{
    if (cli->client != NULL)
        return 0;
    struct discover_options options = {
        .server = args_get(cli->args, OPT_SERVER),
        .token_file = args_get(cli->args, OPT_TOKEN_FILE),
        .data = args_get(cli->args, OPT_DATA),
    };
    usec_t retry_usec = 0;
    int rc = args_duration(cli->args, OPT_TIMEOUT, RETRY_USEC, &retry_usec, err);
    if (rc < 0)
        return rc;
    struct endpoint endpoint = {0};
    rc = endpoint_discover(&options, &endpoint, err);
    if (rc < 0)
        return rc;
    struct client_options client_options = {
        .url = endpoint.url.data,
        .token = endpoint.token.data,
        .retry_usec = retry_usec,
        .on_away = on_away,
        .context = cli,
    };
    rc = client_open(&client_options, &cli->client, err);
    endpoint_release(&endpoint);
    return rc;
}

// "muster: " and the sentence, the details of an API error one a line, and what to do where that is known.
static void error_tell(const struct cli *cli, const struct err *err)
{
    fflush(stdout);
    fputs("muster: ", stderr);
    term_print(stderr, err->text[0] != '\0' ? err->text : err_sentence(err->code));
    fputc('\n', stderr);
    const json_t *details = cli->client != NULL ? client_details(cli->client) : NULL;
    details_print(stderr, NULL, details);
    if (err->code == ERR_UNAUTHENTICATED && cli->client != NULL)
        fputs("muster: the token is not the one of this server; name its file with --token-file, or its data folder with --data\n", stderr);
    if (err->code == ERR_UNAVAILABLE && cli->client != NULL && client_status(cli->client) == 0)
        fputs("muster: is the server running? start it with `muster up`, or name another with --server\n", stderr);
    if (err->code == ERR_STORE_FULL)
        fputs("muster: free space on the disk of the server's data folder; what runs goes on meanwhile\n", stderr);
}

static int usage_error(const struct err *err)
{
    fputs("muster: ", stderr);
    term_print(stderr, err->text);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

static int command_run(struct cli *cli, const struct command *command, int argc, char **argv)
{
    struct err err = {0};
    struct args args = {0};
    if (args_parse(&args, command, argc, argv, &err) < 0)
        return usage_error(&err);
    cli->args = &args;
    cli->json = args_has(&args, OPT_JSON);
    cli->quiet = args_has(&args, OPT_QUIET);
    int status = 0;
    if (args_has(&args, OPT_HELP)) {
        help_command(stdout, command);
    } else {
        int rc = command->handler(cli, &err);
        if (rc < 0)
            error_tell(cli, &err);
        // Without a client nothing was asked of a server: what is invalid then is the command line itself.
        bool usage = rc == ERR_INVALID && cli->client == NULL;
        int of_error = rc == ERR_INTERRUPTED ? EXIT_INTERRUPTED : usage ? EXIT_USAGE : err_exit_status(rc);
        status = rc == 0 ? cli->exit_status : of_error;
    }
    client_close(cli->client);
    args_release(&args);
    if (fflush(stdout) != 0 && status == 0) {
        fprintf(stderr, "muster: writing the output failed\n");
        status = err_exit_status(ERR_IO);
    }
    return status;
}

int cli_main(int argc, char **argv, const struct cli_hooks *hooks)
{
    must(hooks != NULL);
    // Only characters: numbers and times look the same everywhere.
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        setlocale(LC_CTYPE, "");
    struct cli cli = {.hooks = hooks, .argc = argc, .argv = argv};
    const char *name = argc > 1 ? argv[1] : "--help";
    if (str_eq(name, "--help") || str_eq(name, "-h")) {
        help_overview(stdout);
        return argc > 1 ? 0 : EXIT_USAGE;
    }
    if (str_eq(name, "--version") || str_eq(name, "-V"))
        return printf("muster %s\n", MUSTER_VERSION) > 0 ? 0 : 1;
    const struct command *command = command_find(name);
    if (command != NULL && str_eq(name, "spawner"))
        return hooks->spawner(argc, argv);
    if (command != NULL && str_eq(name, "sim"))
        return hooks->sim(argc - 1, argv + 1);
    if (command != NULL)
        return command_run(&cli, command, argc - 2, argv + 2);
    const char *nearest = command_nearest(name);
    struct err err = {0};
    if (name[0] == '-')
        err_set(&err, ERR_INVALID, "options come after the command: muster COMMAND %.40s; see `muster help`", name);
    else if (nearest != NULL)
        err_set(&err, ERR_INVALID, "there is no command '%.40s'; did you mean `muster %s`?", name, nearest);
    else
        err_set(&err, ERR_INVALID, "there is no command '%.40s'; see `muster help`", name);
    return usage_error(&err);
}
