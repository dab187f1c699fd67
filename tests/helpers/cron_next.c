// SPDX-License-Identifier: Apache-2.0
// Answers lines "ZONE<tab>AFTER_SECONDS<tab>EXPRESSION" on stdin with the next instant in seconds, "never", or "error: WHY".

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/tz.h"
#include "codec/cron_text.h"

static void answer(const char *zone, const char *after, const char *expression)
{
    struct trigger trigger = {0};
    struct err err = {0};
    int64_t after_sec = 0;
    const struct tz *tz = tz_find(zone);
    if (tz == NULL || str_to_i64(after, &after_sec) < 0 || schedule_text_parse(expression, &trigger, &err) < 0) {
        printf("error: %s\n", tz == NULL ? "no such zone" : err.text);
        return;
    }
    usec_t next = cron_next(&trigger.cron, tz, after_sec * USEC_PER_SEC);
    if (next == USEC_NEVER)
        puts("never");
    else
        printf("%" PRId64 "\n", next / USEC_PER_SEC);
}

int main(void)
{
    char line[2048];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *after = strchr(line, '\t');
        char *expression = after != NULL ? strchr(after + 1, '\t') : NULL;
        if (expression == NULL) {
            puts("error: a line is ZONE<tab>AFTER<tab>EXPRESSION");
            continue;
        }
        *after++ = '\0';
        *expression++ = '\0';
        answer(line, after, expression);
    }
    return 0;
}
