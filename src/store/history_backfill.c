// SPDX-License-Identifier: Apache-2.0
// Backfills in the history: the instants that they ran, and which instants of a range have a run at all.
#include <string.h>

#include "base/assert.h"
#include "base/tz.h"
#include "model/schedule.h"
#include "store/history_inside.h"

int history_backfill_fired(struct history *history, const struct record *record, struct err *err)
{
    const struct rec_backfill_fired *fired = &record->backfill_fired;
    sqlite3_stmt *row;
    int code = history_statement(history, H_BACKFILLED_SET, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, fired->job_id);
    db_bind_i64(row, 2, fired->nominal_usec);
    db_bind_i64(row, 3, fired->trigger);
    db_bind_i64(row, 4, record->at_usec);
    db_bind_u64(row, 5, fired->backfill_id);
    db_bind_u64(row, 6, fired->run_id);
    return db_run(row, err);
}

// The first instant of any schedule of the job after `after`. What calendars leave out counts here, too: it only parts stretches that might be one.
static usec_t next_of_any(const struct run_instants *of, usec_t after)
{
    usec_t next = USEC_NEVER;
    for (size_t i = 0; i < of->spec->n_triggers; i++) {
        const struct trigger *trigger = &of->spec->triggers[i];
        if (trigger->kind == TRIGGER_AFTER_END)
            continue;
        // An interval has its known instant on its lattice, so any beginning of the same remainder will do.
        usec_t first = trigger->kind == TRIGGER_EVERY && of->next_usec[i] != USEC_NEVER ? of->next_usec[i] % trigger->every_usec : 0;
        next = usec_min(next, schedule_next(trigger, tz_find(trigger->zone != NULL ? trigger->zone : "UTC"), first, after));
    }
    return next;
}

int history_covered(struct history *history, const struct run_instants *of, size_t max, struct arena *arena, struct instant_span **ret_spans, size_t *ret_n,
                    struct err *err)
{
    must(of->spec != NULL && (of->next_usec != NULL || of->spec->n_triggers == 0));
    sqlite3_stmt *row;
    int code = history_statement(history, H_INSTANTS_RUN, &row, err);
    if (code < 0)
        return code;
    db_bind_u64(row, 1, of->job_id);
    db_bind_i64(row, 2, of->from_usec);
    db_bind_i64(row, 3, of->to_usec);
    struct instant_span *spans = arena_array(arena, struct instant_span, max);
    size_t n = 0;
    while ((code = db_row(row, err)) == 1) {
        usec_t instant = sqlite3_column_int64(row, 0);
        if (n > 0 && instant <= next_of_any(of, spans[n - 1].last_usec)) {
            spans[n - 1].last_usec = usec_max(instant, spans[n - 1].last_usec);
            continue;
        }
        if (n == max) {
            sqlite3_reset(row);
            return err_set(err, ERR_LIMIT,
                           "runs that there are already part this range into more than %zu stretches, which backfill_gaps_max allows; take a shorter range, or --again", max);
        }
        spans[n++] = (struct instant_span){instant, instant};
    }
    sqlite3_reset(row);
    if (code < 0)
        return code;
    *ret_spans = spans;
    *ret_n = n;
    return 0;
}
