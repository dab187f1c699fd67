// SPDX-License-Identifier: Apache-2.0
// Help, made from the tables.
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "cli/args.h"

void help_overview(FILE *);
void help_command(FILE *, const struct command *);
const char *group_title(enum command_group);
// Prints text broken at words to lines of at most `width` columns, each after `indent` spaces.
void print_wrapped(FILE *, size_t indent, size_t width, const char *text);
// The details of an API error, one a line: "job.yaml:3:7: retry.limit: problem (allowed: ...)". `file` and `details` may be NULL.
void details_print(FILE *, const char *file, const json_t *details);
