// SPDX-License-Identifier: Apache-2.0
// The text of a schedule: five cron fields (minute hour day month weekday), six with seconds first, a macro, or `@every DURATION`.
// Fields are `*`, numbers, names of months and weekdays, ranges a-b, steps */n, a-b/n and a/n, and lists of these with commas;
// `?` stands for `*` in the two day fields; Sunday is 0 or 7. L, W, # and H are not understood and refused by name.
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "model/job_spec.h"

// What a schedule may be, for errors.
#define SCHEDULE_TEXT_ALLOWED                                                                              \
    "5 cron fields (minute hour day month weekday), 6 with seconds first, @hourly, @daily, @midnight, @weekly, @monthly, @yearly, " \
    "or @every DURATION (\"@every 90s\")"

// Fills kind with TRIGGER_CRON and cron, or with TRIGGER_EVERY and every_usec; text, zone and at_usec of *ret are left alone.
// ERR_INVALID with a sentence that says which field, what is wrong and what is allowed; *ret is touched only on success.
int schedule_text_parse(const char *text, struct trigger *ret, struct err *err);
