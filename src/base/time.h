// SPDX-License-Identifier: Apache-2.0
// Time as the whole of Muster counts it: microseconds in an int64_t. As an instant it counts from 1970-01-01T00:00:00Z (a
// wall time) or from the start of a monotonic clock; names say which. Nothing here looks at a clock: see base/clock.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef int64_t usec_t;

#define USEC_PER_MSEC ((usec_t)1000)
#define USEC_PER_SEC ((usec_t)1000000)
#define USEC_PER_MIN (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MIN)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
// Later than every instant.
#define USEC_NEVER INT64_MAX

// Adds, stopping at the ends of the type. USEC_NEVER stays USEC_NEVER whatever is added.
usec_t usec_add(usec_t a, usec_t b);
// Subtracts, stopping at the ends of the type. USEC_NEVER less anything is USEC_NEVER.
usec_t usec_sub(usec_t a, usec_t b);

static inline usec_t usec_min(usec_t a, usec_t b)
{
    return a < b ? a : b;
}

static inline usec_t usec_max(usec_t a, usec_t b)
{
    return a > b ? a : b;
}

// The proleptic Gregorian calendar; month 1..12, day 1..31. Days count from 1970-01-01, which is day 0.
int64_t days_from_civil(int64_t year, int month, int day);
void civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);
// 0 = Sunday .. 6 = Saturday.
int weekday_from_days(int64_t days);
bool year_is_leap(int64_t year);
// 28..31.
int month_days(int64_t year, int month);

// RFC 3339 in UTC with three decimals, rounded down: "2026-11-23T06:30:00.123Z". USEC_NEVER is "never".
char *time_format(char buf[static 40], usec_t wall);
// RFC 3339: "2026-11-23T06:30:00Z", with up to 9 decimals (cut to microseconds), 'Z' or an offset ("+01:00"); 'T' and 'Z' of
// either case, or a space for the 'T'. Years 0000..9999. ERR_INVALID; *ret is touched only on success.
int time_parse(const char *text, usec_t *ret, struct err *err);
