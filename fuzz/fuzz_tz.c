// SPDX-License-Identifier: Apache-2.0
// Files of time zones, and the rules in their footers. Whatever is accepted can be asked about every instant and every reading.

#include <string.h>

#include "base/assert.h"
#include "base/tz.h"
#include "base/tz_rule.h"
#include "fuzz/fuzz.h"

static void ask(const struct tz *tz, int64_t sec)
{
    struct tz_segment segment;
    int64_t first_sec = 0, last_sec = 0;
    tz_segment_at(tz, sec, &segment);
    must(segment.start_sec <= sec && sec < segment.end_sec);
    must(tz_offset(tz, sec) == segment.offset_sec);
    int64_t local_sec = sec + segment.offset_sec;
    must(tz_from_local(tz, local_sec, &first_sec, &last_sec) != TZ_GAP);
    must(first_sec <= sec && sec <= last_sec);
    must(first_sec + tz_offset(tz, first_sec) == local_sec && last_sec + tz_offset(tz, last_sec) == local_sec);
    (void)tz_from_local(tz, sec, &first_sec, &last_sec);
    must(first_sec <= last_sec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t instants[] = {INT64_C(-9000000000000), -5000000000, -1, 0, 951782400, 1790000000, 4000000000, INT64_C(9000000000000)};
    struct tz *tz = NULL;
    struct tz_rule rule;
    if (tz_parse("fuzz", data, size, &tz, NULL) == 0) {
        for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++)
            ask(tz, instants[i]);
        struct tz_segment segment;
        tz_segment_at(tz, 0, &segment);
        for (int i = 0; i < 20 && segment.end_sec < TZ_SEC_MAX / 2 && segment.end_sec > -TZ_SEC_MAX / 2; i++) {
            ask(tz, segment.end_sec - 1);
            ask(tz, segment.end_sec);
            tz_segment_at(tz, segment.end_sec, &segment);
        }
        tz_free(tz);
    }
    if (tz_rule_parse((const char *)data, size, &rule) == 0) {
        struct tz_segment segment;
        for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++)
            tz_rule_segment(&rule, instants[i], &segment);
    }
    return 0;
}
