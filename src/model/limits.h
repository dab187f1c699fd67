// SPDX-License-Identifier: Apache-2.0
// Named limits and settings with their bounds, made from spec/limits.def. One struct of values is filled at start and never
// changes; every refusal names the limit that caused it.
#pragma once

#include <stdint.h>

#include "base/err.h"

enum limit_id {
#define LIMIT(NAME, text, unit, value, least, most, sentence) LIMIT_##NAME,
#include "spec/limits.def"
    LIMITS
};

enum limit_unit { UNIT_COUNT, UNIT_BYTES, UNIT_USEC, UNIT_PERMILLE };

struct limit_row {
    const char *name;
    enum limit_unit unit;
    int64_t value; // default
    int64_t least;
    int64_t most;
    const char *sentence;
};

struct limits {
    int64_t value[LIMITS];
};

extern const struct limit_row limit_rows[LIMITS];

void limits_init(struct limits *);
// Sets one limit from text in its unit ("64MiB", "15s", "1000"). ERR_NOT_FOUND or ERR_INVALID, and nothing changed.
int limits_set(struct limits *, const char *name, const char *text, struct err *);
// Returns ERR_LIMIT with a sentence naming the limit when value is above it.
int limits_check(const struct limits *, enum limit_id, int64_t value, const char *what, struct err *);
// value as text in the limit's unit.
const char *limit_format(char buf[static 40], enum limit_id, int64_t value);
