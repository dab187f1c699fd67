// SPDX-License-Identifier: Apache-2.0
// Everything that is wrong with a job file, at once: each error says where, which field, what is wrong and what is allowed.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum { SPEC_ERRORS_MAX = 100 };

struct spec_error {
    uint32_t line; // from 1; 0: of no place in the text
    uint32_t column;
    const char *field; // "retry.limit", "schedule[1].zone"; "" for the whole document
    const char *problem; // a sentence without the field and without a full stop: "'x' is not a duration"
    const char *allowed; // what may stand there instead; NULL: there is nothing to say
};

// Plain data; strings live in the arena that it was begun with.
struct spec_errors {
    struct arena *arena;
    struct spec_error item[SPEC_ERRORS_MAX];
    size_t n;
    size_t n_more; // found, but not kept
};

void spec_errors_init(struct spec_errors *errors, struct arena *arena);
// Copies field; borrows allowed, which must live as long as the arena.
__attribute__((format(printf, 6, 7))) void spec_errors_add(struct spec_errors *errors, uint32_t line, uint32_t column, const char *field,
                                                          const char *allowed, const char *fmt, ...);
// Into the order of the text.
void spec_errors_sort(struct spec_errors *errors);
// "3:7: retry.limit: 'x' is not a number (allowed: 0 to 1000)", cut to fit.
const char *spec_error_format(char *buf, size_t size, const struct spec_error *error);

// The candidate that text most probably meant, or NULL when none is near.
const char *nearest_name(const char *text, const char *const *candidates, size_t n);
