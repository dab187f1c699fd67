// SPDX-License-Identifier: Apache-2.0
// iCalendar files: what comes out is dates that a calendar may hold, or an error; nothing else may happen, and it ends.

#include "base/assert.h"
#include "cli/ics.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ics_options options = {.first_day = 20000, .last_day = 24000};
    struct ics ics;
    struct err err = {0};
    int rc = ics_parse((const char *)data, size, &options, &ics, &err);
    must(rc == err.code);
    must(rc < 0 || ics_is((const char *)data, size));
    if (rc == 0) {
        struct calendar calendar = {.name = "fuzz", .description = ics.name, .dates = ics.dates, .n_dates = ics.n_dates};
        must(calendar_fault(&calendar) == NULL);
        for (size_t i = 0; i < ics.n_lines; i++)
            must(ics.lines[i].text != NULL && (ics.lines[i].remark != NULL || !ics.lines[i].lost));
    }
    ics_release(&ics);
    return 0;
}
