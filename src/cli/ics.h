// SPDX-License-Identifier: Apache-2.0
// iCalendar files (RFC 5545) as dates of calendars. Events of whole days become dates, the repeating ones up to a horizon; of every event that is
// not carried over, or not wholly, it is said why, with its line. Events are given to libical one by one, so that a broken one harms only itself.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/calendar.h"

struct ics_options {
    int32_t first_day; // of repeating events: days before it are left out
    int32_t last_day;  // and behind it
};

// What became of one component of the file.
struct ics_line {
    unsigned number;    // line of its beginning, 1 is the first
    const char *text;   // "2026-12-25: Christmas Day", or what it is called
    const char *remark; // why it is left out, or what of it; NULL: nothing to say
    bool lost;          // none of it is carried over
};

struct ics {
    struct arena arena; // of everything below
    const char *name;   // what the file calls itself; NULL: nothing
    struct ics_line *lines;
    size_t n_lines, cap_lines;
    struct calendar_dates *dates; // in order, as calendar_tidy() leaves them
    size_t n_dates, cap_dates;
};

// Whether a text begins as such a file does.
bool ics_is(const char *text, size_t len);
// Reads len bytes. ERR_INVALID for what is no such file, ERR_TOO_LARGE for more than ICS_DAYS_MAX occurrences. *ret needs no init and is released
// by the caller, also after an error.
int ics_parse(const char *text, size_t len, const struct ics_options *, struct ics *ret, struct err *err);
void ics_release(struct ics *);

enum { ICS_DAYS_MAX = 100000, ICS_EVENT_BYTES_MAX = 1 << 20 };
