// SPDX-License-Identifier: Apache-2.0
// What names, labels and variables may look like, and the small texts that hold several values: index lists and conditions.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/job_spec.h"

// Each returns NULL, or what is wrong as the end of a sentence ("holds '/'"), static. bytes_max is the limit name_bytes_max.
const char *name_problem(const char *text, size_t bytes_max);        // of a namespace, queue, node
const char *job_name_problem(const char *text, size_t bytes_max);    // and not only digits, which would be taken for the id of a run
const char *label_key_problem(const char *text, size_t bytes_max);
const char *label_value_problem(const char *text, size_t bytes_max); // any text without control characters, also an empty one
const char *env_name_problem(const char *text);
const char *user_name_problem(const char *text);

// "0-99:2,200" in any order; ranges that touch are joined. ERR_INVALID with what is wrong, ERR_LIMIT for more than ranges_max ranges or
// count_max indexes. The set lives in the arena.
int index_set_parse(const char *text, size_t ranges_max, uint64_t count_max, struct arena *arena, struct index_set *ret, struct err *err);
// The indexes 0 .. count-1.
void index_set_first(uint32_t count, struct arena *arena, struct index_set *ret);

// "zone == eu", "disk != hdd", "arch in (x86_64, arm64)", "rack not in (r1)", "has gpu", "not has gpu". Values may stand in double
// quotes, and must when they hold anything but letters, digits and . _ / - + :. ERR_INVALID with what is wrong.
int constraint_parse(const char *text, size_t bytes_max, struct arena *arena, struct constraint *ret, struct err *err);
// The same text back.
void constraint_format(struct buf *out, const struct constraint *constraint);
