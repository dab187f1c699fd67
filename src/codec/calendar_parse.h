// SPDX-License-Identifier: Apache-2.0
// Reading calendars from text: YAML or JSON with these fields.
//
//   description: Public holidays of Berlin     optional
//   dates:
//   - 2026-12-25
//   - {date: 2026-12-26, label: Boxing Day}
//   - {from: 2026-12-27, to: 2027-01-01, label: Company holidays}
//
// `name` may stand there too, and is then that of the calendar. Dates come in any order; days that are there twice count once.
#pragma once

#include <stddef.h>

#include "codec/spec_errors.h"
#include "codec/spec_parse.h"
#include "model/calendar.h"

// Everything that is given lives in the arena. Returns 0, or ERR_INVALID or ERR_TOO_LARGE; then *errors holds at least one error, in the order of
// the text, and nothing else is given. *errors needs no init. name is that of the calendar and is checked too.
int calendar_parse(const char *name, const char *text, size_t len, enum spec_format format, const struct limits *limits, struct arena *arena,
                   struct calendar **ret_calendar, struct spec_errors *errors);
