// SPDX-License-Identifier: Apache-2.0
// The job that the options of `muster run` and the words behind them describe.
#pragma once

#include <jansson.h>

#include "cli/args.h"

// Gives the job as a JSON object. What a value may be is decided by the server; here only the shape of options is checked.
int spec_from_options(const struct args *, json_t **ret_spec, struct err *err);
// Whether any option that describes a job was given.
bool spec_options_given(const struct args *);
