// SPDX-License-Identifier: Apache-2.0
// Schedules, and conditions and index lists beside them. A schedule that is understood has instants that go forward.

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/tz.h"
#include "codec/cron_text.h"
#include "codec/names.h"
#include "fuzz/fuzz.h"

static void follow(const struct trigger *trigger)
{
    static const char *const zones[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Nuuk"};
    for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
        const struct tz *tz = tz_find(zones[i]);
        usec_t after = INT64_C(1790000000) * USEC_PER_SEC;
        for (int n = 0; tz != NULL && n < 5; n++) {
            usec_t next = cron_next(&trigger->cron, tz, after);
            must(next > after && next % USEC_PER_SEC == (next == USEC_NEVER ? next % USEC_PER_SEC : 0));
            if (next == USEC_NEVER)
                break;
            // The answer does not depend on where before it one asks.
            must(cron_next(&trigger->cron, tz, next - 1) == next);
            must(cron_prev(&trigger->cron, tz, next + 1) == next);
            must(n == 0 || cron_prev(&trigger->cron, tz, next) == after);
            after = next;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);
    struct trigger trigger = {0};
    struct err err = {0};
    int rc = schedule_quartz_parse(text, "default/fuzz", &trigger, &err);
    must(rc == 0 || (rc == ERR_INVALID && err.text[0] != '\0'));
    if (rc == 0)
        follow(&trigger);
    rc = schedule_text_parse(text, "default/fuzz", &trigger, &err);
    must(rc == 0 || (rc == ERR_INVALID && err.text[0] != '\0'));
    if (rc == 0 && trigger.kind == TRIGGER_CRON)
        follow(&trigger);
    if (rc == 0 && trigger.kind == TRIGGER_EVERY)
        must(trigger.every_usec >= USEC_PER_SEC);

    struct arena arena = {0};
    struct constraint constraint, constraint2;
    if (constraint_parse(text, 128, &arena, &constraint, &err) == 0) {
        struct buf out = {0}, out2 = {0};
        constraint_format(&out, &constraint);
        must(constraint_parse(out.data, 128, &arena, &constraint2, &err) == 0);
        constraint_format(&out2, &constraint2);
        must(strcmp(out.data, out2.data) == 0);
        buf_release(&out);
        buf_release(&out2);
    }
    struct index_set set;
    if (index_set_parse(text, 1000, 1000000, &arena, &set, &err) == 0) {
        uint32_t position = 0;
        must(set.count > 0 && index_set_find(&set, index_set_at(&set, set.count - 1), &position) && position == set.count - 1);
    }
    arena_release(&arena);
    mem_free(text);
    return 0;
}
