// SPDX-License-Identifier: Apache-2.0
// What a run gives to its command as {{...}} in arguments and variables: the nominal time and the data interval of its fire, and the
// values of its parameters.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/job_spec.h"

struct tz;

struct launch_times {
    usec_t nominal_usec;  // 0: a run that no schedule fired; nothing is known then
    bool has_interval;
    usec_t interval_usec; // beginning of the data interval, which ends at the nominal time
    const struct tz *tz;  // whose dates are meant: that of the first schedule
    const struct pair *params; // values of parameters, in which times may stand; set by launch_times_params()
    size_t n_params;
    size_t filled_bytes; // by values, in all texts of this launch
};

// The kernel gives a program at most a quarter of its stack's limit, usually 2 MiB, as arguments and variables.
enum { LAUNCH_FILLED_BYTES_MAX = 8 << 20 };

// The data interval of a fire goes from the instant before it to its own. It is known when all schedules of the job are cron or
// single instants, or its only one is an interval.
void launch_times_init(struct launch_times *, const struct job_spec *, usec_t nominal_usec);

// Gives it the values of the run's parameters, with the times in them filled in. They live in the arena. ERR_PROTOCOL when the bytes are none,
// ERR_TOO_LARGE when they become too long.
int launch_times_params(struct launch_times *, struct arena *, struct bytes packed, struct err *err);

// Replaces {{params.NAME}}, {{nominal}}, {{interval.start}} and {{interval.end}} (RFC 3339 in UTC), and the same with .date behind the name (2026-11-23 by
// the clocks of the zone). What a value holds is not looked at again. What is not known stays as it stands, so that no command meets an empty word. Borrows text when there is nothing to replace.
// NULL when the values in all texts of the launch would be longer than LAUNCH_FILLED_BYTES_MAX together; launch_times_too_long() says so.
const char *launch_times_expand(struct launch_times *, struct arena *, const char *text);
int launch_times_too_long(struct err *err);
