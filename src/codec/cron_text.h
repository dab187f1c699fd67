// SPDX-License-Identifier: Apache-2.0
// The text of a schedule: five cron fields (minute hour day month weekday), six with seconds first, the seven of Quartz, a macro, or
// `@every DURATION`. docs/time.md is its manual for people.
//
// Fields are `*`, numbers, names of months and weekdays, ranges a-b, steps */n, a-b/n and a/n, and lists of these with commas. In the
// day fields `?` stands for `*`. Day of month knows L (the last), L-n, nW (Monday to Friday nearest to n), LW and L-nW; day of week
// knows d#n (the n-th of the month) and dL (the last). H, H/n, H(a-b) and H(a-b)/n are values drawn from the name of the job: stable
// for one job, spread over many. Sunday is 0 or 7.
//
// Quartz (seven fields with the year last, or schedule_quartz_parse() for six of them): weekdays are 1-7 from Sunday on, L alone
// in day of week is Saturday, ranges may go around (FRI-MON), and at most one day field says more than `*` or `?`.
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "model/job_spec.h"

// What a schedule may be, for errors.
#define SCHEDULE_TEXT_ALLOWED                                                                              \
    "5 cron fields (minute hour day month weekday), 6 with seconds first, 7 of Quartz, @hourly, @daily, @midnight, @weekly, @monthly, " \
    "@yearly, or @every DURATION (\"@every 90s\")"

// Fills kind with TRIGGER_CRON and cron, or with TRIGGER_EVERY and every_usec; the rest of *ret is left alone. hash_key is
// what H is drawn from ("namespace/name"). ERR_INVALID with a sentence that says which field, what is wrong and what is allowed; *ret is touched
// only on success.
int schedule_text_parse(const char *text, const char *hash_key, struct trigger *ret, struct err *err);
// The same for the text of Quartz alone: 6 fields, or 7.
int schedule_quartz_parse(const char *text, const char *hash_key, struct trigger *ret, struct err *err);
