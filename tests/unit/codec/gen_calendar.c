// SPDX-License-Identifier: Apache-2.0
// Calendars.
#include "model/calendar.h"
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

const struct calendar *gen_calendar(struct gen *g)
{
    struct calendar *calendar = arena_new(g->arena, struct calendar);
    size_t n = gen_count(g, 20);
    struct calendar_dates *dates = arena_array(g->arena, struct calendar_dates, n);
    for (size_t i = 0; i < n; i++) {
        dates[i].first_day = (int32_t)(gen_u32(g) % (CALENDAR_DAY_LAST + 1));
        dates[i].last_day = dates[i].first_day + (gen_some(g) ? (int32_t)(gen_u32(g) % 10) : 0);
        if (dates[i].last_day > CALENDAR_DAY_LAST)
            dates[i].last_day = CALENDAR_DAY_LAST;
        dates[i].label = i > 0 && gen_some(g) ? dates[i - 1].label : gen_maybe_text(g);
    }
    *calendar = (struct calendar){.name = gen_text(g), .description = gen_maybe_text(g), .dates = dates, .n_dates = calendar_tidy(dates, n)};
    return calendar;
}

void check_calendar(const struct calendar *a, const struct calendar *b)
{
    check_text(a->name, b->name);
    assert_true(calendar_same(a, b));
}
