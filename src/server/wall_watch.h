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
// Says it once when the clock has been set by more than a second since the last call. To be called in every turn of the loop: not every change is one
// that the kernel tells of, such as that of a virtual machine that was moved.
void wall_watch_look(struct wall_watch *);
void wall_watch_release(struct wall_watch *);
