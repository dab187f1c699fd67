// SPDX-License-Identifier: Apache-2.0
// Reading job files. The fields are rows of spec/job_fields.def; what they are read into is model/job_spec.h.
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "codec/spec_errors.h"
#include "model/job_spec.h"
#include "model/limits.h"

enum spec_format { SPEC_YAML, SPEC_JSON };
// A job needs a name; a run is one piece of ad hoc work and has no schedule.
enum spec_purpose { SPEC_JOB, SPEC_RUN };

// Reads a whole text: one spec, or as many jobs as the YAML has documents. Everything that is given lives in the arena. Returns 0, or
// ERR_INVALID or (only for the size of the text) ERR_TOO_LARGE; then *errors holds at least one error, in the order of the text, and
// nothing else is given. *errors needs no init.
int spec_parse(const char *text, size_t len, enum spec_format format, enum spec_purpose purpose, const struct limits *limits,
               struct arena *arena, struct job_spec ***ret_specs, size_t *ret_n, struct spec_errors *errors);

// The table of fields, for help and manual.
struct job_field {
    const char *path;
    const char *type; // "TEXT", "NUMBER", ... as in spec/job_fields.def
    const char *allowed;
    const char *sentence;
    const char *example;
};

extern const struct job_field job_fields[];
extern const size_t n_job_fields;
