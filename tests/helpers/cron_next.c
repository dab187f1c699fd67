// SPDX-License-Identifier: Apache-2.0
// Answers lines "ZONE<tab>AFTER_SECONDS<tab>EXPRESSION[<tab>COUNT]" on stdin with the next COUNT instants (one when it is left out) in
// seconds, with "never" where they end, or with "error: WHY". A negative COUNT goes backwards. An expression that begins with "quartz:" is read as
// Quartz. H is drawn from "default/oracle".

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/tz.h"
#include "codec/cron_text.h"

static int parse(const char *expression, struct trigger *ret, struct err *err)
{
    if (strncmp(expression, "quartz:", 7) == 0)
        return schedule_quartz_parse(expression + 7, "default/oracle", ret, err);
    return schedule_text_parse(expression, "default/oracle", ret, err);
}

static void answer(const char *zone, const char *after, const char *expression, int64_t count)
{
    struct trigger trigger = {0};
    struct err err = {0};
    int64_t after_sec = 0;
    const struct tz *tz = tz_find(zone);
    if (tz == NULL || str_to_i64(after, &after_sec) < 0 || parse(expression, &trigger, &err) < 0) {
        printf("error: %s\n", tz == NULL ? "no such zone" : err.text);
        return;
    }
    usec_t at = after_sec * USEC_PER_SEC;
    for (int64_t i = 0; i < (count < 0 ? -count : count); i++) {
        at = count < 0 ? cron_prev(&trigger.cron, tz, at) : cron_next(&trigger.cron, tz, at);
        if (at == USEC_NEVER) {
            printf("%snever", i > 0 ? " " : "");
            break;
        }
        printf("%s%" PRId64, i > 0 ? " " : "", at / USEC_PER_SEC);
    }
    putchar('\n');
}

int main(void)
{
    char line[2048];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *after = strchr(line, '\t');
        char *expression = after != NULL ? strchr(after + 1, '\t') : NULL;
        if (expression == NULL) {
            puts("error: a line is ZONE<tab>AFTER<tab>EXPRESSION[<tab>COUNT]");
            continue;
        }
        *after++ = '\0';
        *expression++ = '\0';
        char *end = strchr(expression, '\t');
        int64_t count = 1;
        if (end != NULL) {
            *end++ = '\0';
            if (str_to_i64(end, &count) < 0)
                count = 1;
        }
        answer(line, after, expression, count);
    }
    return 0;
}
