// SPDX-License-Identifier: Apache-2.0
// Commands, their options, and the one parser for them. The tables are spec/commands.def and spec/options.def.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"

struct cli;

enum command_group { GROUP_START, GROUP_WORK, GROUP_JOBS, GROUP_FLEET, GROUP_RECORDS, GROUP_OTHER, COMMAND_GROUPS };

enum command_flags {
    COMMAND_API = 1,    // speaks to a server
    COMMAND_LIST = 2,   // prints tables, or JSON with --json
    COMMAND_RAW = 4,    // options end at the first word
    COMMAND_HIDDEN = 8, // not shown in help
};

struct command {
    const char *name;
    int (*handler)(struct cli *, struct err *);
    enum command_group group;
    unsigned flags;
    const char *arguments;
    const char *sentence;
    const char *text;
    const char *examples; // one a line
};

extern const struct command commands[];
extern const size_t n_commands;

enum option_id {
#define OPTION(ID, name, letter, value, commands, sentence) OPT_##ID,
#include "spec/options.def"
    OPTIONS
};

struct option_row {
    const char *name;
    char letter;       // 0: none
    const char *value; // NULL: a flag
    const char *commands;
    const char *sentence;
};

extern const struct option_row option_rows[OPTIONS];

// NULL when there is no such command.
const struct command *command_find(const char *name);
// The command whose name is nearest to a misspelled one, or NULL when none is near.
const char *command_nearest(const char *name);
bool option_belongs(enum option_id, const struct command *);

struct arg_option {
    enum option_id id;
    const char *text; // NULL for a flag
};

// What stood on the command line. Texts borrow from argv.
struct args {
    const struct command *command;
    struct arg_option *options; // in the order given
    size_t n_options;
    const char **words;
    size_t n_words;
};

// `argv` begins behind the name of the command. ERR_INVALID with a sentence for what is not understood.
int args_parse(struct args *, const struct command *, int argc, char *const *argv, struct err *);
void args_release(struct args *);

bool args_has(const struct args *, enum option_id);
// The last value given, or NULL.
const char *args_get(const struct args *, enum option_id);
// The next value from *cursor (begin with 0), or NULL.
const char *args_next(const struct args *, enum option_id, size_t *cursor);
// A whole number within bounds; `otherwise` when the option was not given.
int args_number(const struct args *, enum option_id, int64_t otherwise, int64_t least, int64_t most, int64_t *ret, struct err *);
// A span of time, such as 10s.
int args_duration(const struct args *, enum option_id, usec_t otherwise, usec_t *ret, struct err *);
// ERR_INVALID unless there are between `least` and `most` words.
int args_words(const struct args *, size_t least, size_t most, struct err *);
