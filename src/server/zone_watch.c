// SPDX-License-Identifier: Apache-2.0
// Changes of the time zone database. See server/zone_watch.h.
#include "server/zone_watch.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static void look(void *context)
{
    struct zone_watch *w = context;
    char now[TZ_VERSION_BYTES];
    tz_database_version(now);
    if (strcmp(now, w->seen) != 0 && strcmp(now, w->in_use) != 0)
        log_warn("the time zone database of this machine was changed; restart the server to let schedules follow it", "in_use=%s now=%s", w->in_use, now);
    memcpy(w->seen, now, sizeof(w->seen));
    loop_timer_set(&w->timer, usec_add(clock_mono_usec(), w->every_usec));
}

void zone_watch_init(struct zone_watch *w, struct loop *loop, const struct limits *limits)
{
    w->every_usec = limits->value[LIMIT_ZONES_LOOK];
    tz_database_version(w->in_use);
    memcpy(w->seen, w->in_use, sizeof(w->seen));
    log_info("the time zone database", "version=%s", w->in_use);
    loop_timer_init(&w->timer, loop, look, w);
    loop_timer_set(&w->timer, usec_add(clock_mono_usec(), w->every_usec));
}

void zone_watch_release(struct zone_watch *w)
{
    if (w->timer.loop != NULL)
        loop_timer_release(&w->timer);
}
