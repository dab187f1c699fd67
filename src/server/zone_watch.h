// SPDX-License-Identifier: Apache-2.0
// Notices that the time zone database of the machine is another one than at the start, by looking at its version now and then. The zones of a
// process never change, so this is only told: its log line says what to do.
#pragma once

#include "base/tz.h"
#include "model/limits.h"
#include "net/loop.h"

struct zone_watch {
    struct loop_timer timer;
    usec_t every_usec;
    char in_use[TZ_VERSION_BYTES]; // at the start
    char seen[TZ_VERSION_BYTES];   // when it was looked at last
};

void zone_watch_init(struct zone_watch *, struct loop *, const struct limits *);
// Nothing happens to one that was not initialized.
void zone_watch_release(struct zone_watch *);
