// SPDX-License-Identifier: Apache-2.0
// Strings, and the quantities people write in them: numbers, sizes, durations, cpus. No floating point anywhere: decimals
// are read digit by digit. Parsers take the whole string or fail, and touch their ret_ only on success.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"

// NULL equals only NULL.
bool str_eq(const char *a, const char *b);
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);
// Copies with a NUL into a buffer of `size` bytes. Returns 0, or ERR_TOO_LARGE (and copies nothing) when it does not fit.
int str_copy(char *ret, size_t size, const char *text);

// Decimal digits only: no spaces, no sign (str_to_i64 takes a leading '-'). ERR_INVALID when it is no such number,
// ERR_RANGE when it does not fit.
int str_to_u64(const char *text, uint64_t *ret);
int str_to_i64(const char *text, int64_t *ret);

// "512" "512B" (bytes), "64K" "64Ki" "64KiB" (1024 each), "64KB" (1000 each), likewise M G T P E; decimals as in "1.5GiB",
// rounded down to whole bytes. Letters of either case. ERR_INVALID or ERR_RANGE.
int size_parse(const char *text, uint64_t *ret_bytes, struct err *err);
// For people: "512B", "64KiB", "1.5GiB": the largest unit that fits, one decimal, rounded down.
char *size_format(char buf[static 32], uint64_t bytes);

// "90s", "1h30m", "2d", "250ms", "1.5h", "100us", also w; a bare number means seconds; "0" is zero. Not negative. Parts are
// added up. ERR_INVALID or ERR_RANGE.
int duration_parse(const char *text, usec_t *ret, struct err *err);
// Exact, and read back by duration_parse: "1h30m", "1m3.25s", "250ms", "0s". USEC_NEVER is "never".
char *duration_format(char buf[static 32], usec_t duration);

// "1.5" is 1500 thousandths of a cpu, "250m" is 250, "2" is 2000. At most three decimals. ERR_INVALID or ERR_RANGE.
int cpu_parse(const char *text, uint64_t *ret_millis, struct err *err);
// Exact, and read back by cpu_parse: "250m", "1.5", "2".
char *cpu_format(char buf[static 32], uint64_t millis);
