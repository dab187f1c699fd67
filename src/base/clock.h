// SPDX-License-Identifier: Apache-2.0
// The clocks of this machine. Never included by core/, model/ and codec/: there, time arrives in the event.
#pragma once

#include "base/time.h"

// Wall time: microseconds since 1970-01-01T00:00:00Z. It may jump; use it only to show and to compare with schedules.
usec_t clock_wall_usec(void);
// Never goes back; stands still while the machine is suspended.
usec_t clock_mono_usec(void);
// Never goes back and counts suspended time too: the clock of leases.
usec_t clock_boot_usec(void);
