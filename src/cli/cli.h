// SPDX-License-Identifier: Apache-2.0
// The command line of Muster.
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "cli/args.h"

struct client;

// The parts of the program that the command line starts but does not know; main.c wires them.
struct cli_hooks {
    int (*server)(const struct args *, struct err *);
    int (*agent)(const struct args *, struct err *);
    int (*spawner)(int argc, char **argv); // with the whole argv of the program; its exit status
    int (*sim)(int argc, char **argv); // argv[0] is "sim"; its exit status
    // Ends the spawner of an agent's folder and all its tasks, and returns when they are gone. No spawner there: nothing happens.
    int (*spawner_end)(const char *folder, struct err *);
};

// Exit status for a command line that is not understood (EX_USAGE); all others are those of spec/errors.def and of the work.
#define EXIT_USAGE 64
// As a shell reports a command that SIGINT ended.
#define EXIT_INTERRUPTED 130

// What a command has at hand.
struct cli {
    const struct args *args;
    const struct cli_hooks *hooks;
    char **argv;           // of the program
    int argc;
    struct client *client; // NULL until cli_client()
    bool json;
    bool quiet;
    bool away_told;        // the remark that the server does not answer has been printed
    int exit_status;       // of the command when it returns 0
};

// Runs the program; returns its exit status.
int cli_main(int argc, char **argv, const struct cli_hooks *);

// Finds the server and makes the client, once.
int cli_client(struct cli *, struct err *);
// "muster: " and a sentence on stderr, unless --quiet.
__attribute__((format(printf, 2, 3))) void cli_remark(const struct cli *, const char *fmt, ...);
