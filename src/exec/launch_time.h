// SPDX-License-Identifier: Apache-2.0
// The times that a fire gives to its command: its nominal time and its data interval, as {{...}} in arguments and variables.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "model/job_spec.h"

struct tz;

struct launch_times {
    usec_t nominal_usec;  // 0: a run that no schedule fired; nothing is known then
    bool has_interval;
    usec_t interval_usec; // beginning of the data interval, which ends at the nominal time
    const struct tz *tz;  // whose dates are meant: that of the first schedule
};

// The data interval of a fire goes from the instant before it to its own. It is known when all schedules of the job are cron or
// single instants, or its only one is an interval.
void launch_times_init(struct launch_times *, const struct job_spec *, usec_t nominal_usec);

// Replaces {{nominal}}, {{interval.start}} and {{interval.end}} (RFC 3339 in UTC), and the same with .date behind the name (2026-11-23 by
// the clocks of the zone). What is not known stays as it stands, so that no command meets an empty word. Borrows text when there is nothing to replace.
const char *launch_times_expand(const struct launch_times *, struct arena *, const char *text);
