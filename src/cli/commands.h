// SPDX-License-Identifier: Apache-2.0
// The functions of all commands, as spec/commands.def names them. Each returns 0 or an error, which is printed once by cli_main;
// with 0 the exit status is cli->exit_status.
#pragma once

#include "base/err.h"

struct cli;

#define COMMAND(name, handler, group, flags, arguments, sentence, text, examples) int handler(struct cli *, struct err *);
#include "spec/commands.def"
