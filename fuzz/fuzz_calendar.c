// SPDX-License-Identifier: Apache-2.0
// Calendars written as YAML and as JSON.

#include "base/assert.h"
#include "codec/calendar_parse.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct limits limits;
    limits_init(&limits);
    for (int format = SPEC_YAML; format <= SPEC_JSON; format++) {
        struct arena arena = {0};
        struct spec_errors errors;
        struct calendar *calendar = NULL;
        int rc = calendar_parse("fuzz", (const char *)data, size, (enum spec_format)format, &limits, &arena, &calendar, &errors);
        must((rc == 0) == (errors.n == 0));
        if (rc == 0)
            must(calendar_fault(calendar) == NULL && calendar_same(calendar, calendar));
        arena_release(&arena);
    }
    return 0;
}
