// SPDX-License-Identifier: Apache-2.0
// Pages made from the tables of spec/, for `muster help TOPIC` (plain) and docs/reference (Markdown).
#pragma once

#include <stdbool.h>
#include <stdio.h>

void reference_commands(FILE *);
void reference_settings(FILE *, bool markdown);
void reference_errors(FILE *, bool markdown);
void reference_job(FILE *, bool markdown);
void reference_states(FILE *);
