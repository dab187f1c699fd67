// SPDX-License-Identifier: Apache-2.0
// What Ctrl-C and SIGTERM mean while a run of one's own is followed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/cli.h"

// From now on SIGINT and SIGTERM are only noted; until interrupt_end().
void interrupt_begin(void);
void interrupt_end(void);
// Readable when a signal was noted; -1 outside of begin and end.
int interrupt_fd(void);
// The last signal noted, which is taken; 0 when there was none.
int interrupt_take(void);
// Acts on a noted signal: on a terminal the first Ctrl-C asks, everything else cancels the run. True when following should end at
// once, with err set: the person left the run to itself, or insisted.
bool interrupt_handle(struct cli *, uint64_t run_id, struct err *err);
