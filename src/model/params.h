// SPDX-License-Identifier: Apache-2.0
// Parameters: a job declares them by name (struct param in model/job_spec.h), whoever starts a run gives values, a schedule may fix some.
// What a run has is decided once, when it comes into being: every value given, and the defaults for the rest. It is kept in packed form,
// which record, run, message and history carry as bytes: for each value, in ascending order of names, a varint length and the name, a
// varint length and the value. No bytes: no values.
//
// Values are data. They reach a command as words of its arguments and as variables, never as the text of a shell.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/job_spec.h"
#include "model/limits.h"

// NULL, or what is wrong with a name as the end of a sentence, static: letters, digits and underscores, not a digit first.
const char *param_name_problem(const char *name, size_t bytes_max);

// Whether these values may be given to what declares these parameters (ascending by name): none unknown, none twice, none longer than
// param_bytes_max or with control characters other than tab and line feed, and every required one is there. ERR_INVALID or ERR_LIMIT with
// a sentence that says which, and what to do.
int params_check(const struct param *declared, size_t n_declared, const struct pair *given, size_t n_given, const struct limits *, struct err *err);

// Appends the packed values: those given, and defaults for the others. What is not declared is left out.
void params_fill(const struct param *declared, size_t n_declared, const struct pair *given, size_t n_given, struct buf *ret);

// The values in the arena. ERR_PROTOCOL when the bytes are no packed values.
int params_unpack(struct bytes packed, struct arena *, const struct pair **ret_values, size_t *ret_n, struct err *err);

// The parameter of that name, or NULL.
const struct param *param_find(const struct param *declared, size_t n_declared, const char *name, size_t len);
