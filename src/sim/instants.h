// SPDX-License-Identifier: Apache-2.0
// The instants of the schedules that the workload writes, by other arithmetic than the product's: a calendar of its own, the rules of a
// few zones written out, and every minute looked at.
#pragma once

#include "model/job_spec.h"

enum t_zone { T_UTC, T_BERLIN, T_NEW_YORK, T_LORD_HOWE, T_KOLKATA, T_ZONES };

extern const char *const t_zone_names[T_ZONES];
// Instants at which one of these zones changes its clocks soon after the simulation may begin.
enum { T_CHANGES = 6 };
extern const struct t_change {
    enum t_zone zone;
    int64_t sec;
} t_changes[T_CHANGES];

// One trigger as the truth knows it.
struct t_rule {
    enum trigger_kind kind;
    bool known; // its instants can be told here
    enum t_zone zone;
    int64_t step, minute, hour; // cron: every step minutes (of that hour), or that minute of that hour; step 0, hour -1: no such part
    usec_t every_usec, at_usec, from_usec, until_usec, jitter_usec;
    bool has_between;
    int64_t first_sec, last_sec;
};

// Understands "*/N * * * *", "*/N H * * *" and "M H * * *" in one of the zones, and everything that is no cron text.
void t_rule_read(struct t_rule *, const struct trigger *);
// Whether an instant is one of the rule's; true when it is not known. Intervals count from first_usec.
bool t_rule_has(const struct t_rule *, usec_t first_usec, usec_t at);
// Number of instants in from < t < to (USEC_NEVER: without end), counted up to most; -1: not known.
int64_t t_rule_count(const struct t_rule *, usec_t first_usec, usec_t from, usec_t to, int64_t most);
// The local day of an instant; -1: not known.
int64_t t_rule_day(const struct t_rule *, usec_t at);
// As t_rule_count(), those only whose day is wanted.
int64_t t_rule_count_days(const struct t_rule *, usec_t first_usec, usec_t from, usec_t to, bool (*wanted)(const void *context, int64_t day), const void *context);
