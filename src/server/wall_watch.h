// SPDX-License-Identifier: Apache-2.0
// Notices that somebody set the clock of the machine, so that schedules are looked at again at once and not when a sleep that was
// counted by the old clock ends.
#pragma once

#include "base/err.h"
#include "net/loop.h"

struct wall_watch {
    struct loop_watch watch;
    int fd;
    usec_t offset_usec; // wall less monotonic
};

int wall_watch_init(struct wall_watch *, struct loop *, struct err *);
void wall_watch_release(struct wall_watch *);
