// SPDX-License-Identifier: Apache-2.0
// Calendars: named lists of dates that schedules leave out or keep to. A date is that of a local clock and belongs to no zone; the zone of
// a schedule says which instants fall on it. Plain data: pointers borrow from the arena that a calendar was built in.
//
// Days are counted from 1970-01-01, which is day 0.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum {
    CALENDAR_DAY_LAST = 2932896,  // 9999-12-31; the first day is 0
    CALENDAR_LABEL_BYTES = 200,   // of a label, and of a description
    CALENDAR_NAMES_MAX = 16,      // calendars that one schedule leaves out, or keeps to
};

// A date or several in a row.
struct calendar_dates {
    int32_t first_day, last_day; // both included
    const char *label;           // NULL: none
};

struct calendar {
    const char *name;
    const char *description; // NULL: none
    const struct calendar_dates *dates; // in order; no day is in two of them
    size_t n_dates;
};

// Brings dates into order and takes days that are there twice out of the later ones; gives how many are left. Neighbours of one label become
// one.
size_t calendar_tidy(struct calendar_dates *dates, size_t n);
// What keeps it from being a calendar that calendar_tidy() could have given, as a sentence; NULL: nothing.
const char *calendar_fault(const struct calendar *);
// The same dates, labels and description, whatever the name.
bool calendar_same(const struct calendar *, const struct calendar *);
// The entry that holds the day, or NULL.
const struct calendar_dates *calendar_find(const struct calendar *, int32_t day);
// A copy, in the arena as a whole.
void calendar_copy(struct arena *, struct calendar *to, const struct calendar *from);

// Days in a row, both included.
struct day_span {
    int32_t first, last;
};

// In order, with a day at least between one and the next. INT32_MIN and INT32_MAX stand for no end.
struct day_set {
    const struct day_span *spans;
    size_t n;
};

// The days that a schedule leaves out: those in an excluded calendar and, when any is included, those in none of the included ones. A day that is
// in both is left out.
void day_set_left_out(struct arena *, const struct calendar *const *exclude, size_t n_exclude, const struct calendar *const *include, size_t n_include,
                      struct day_set *ret);
// The first span that does not end before the day; its index, or n when there is none.
size_t day_set_at(const struct day_set *, int32_t day);
bool day_set_has(const struct day_set *, int32_t day);

// Why a day is left out, as words: "calendar holidays", or "not in calendar workdays" ("not in calendars a, b"); NULL when it is not. label: with what the
// calendar says of that day, "calendar holidays (Christmas Day)".
const char *calendar_why(struct arena *, const struct calendar *const *exclude, size_t n_exclude, const struct calendar *const *include, size_t n_include,
                         int32_t day, bool label);

// "2026-12-25" and back. date_parse: ERR_INVALID for a text that is no date from 1970-01-01 on.
int date_parse(const char *text, int32_t *ret_day, struct err *err);
char *date_format(char buf[static 16], int32_t day);
