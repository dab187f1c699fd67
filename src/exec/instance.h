// SPDX-License-Identifier: Apache-2.0
// Names of instances: random, so that two spawners are never taken for one another.
#pragma once

#include "base/err.h"

// 128 bits in hex and a NUL.
#define INSTANCE_TEXT 33

// Fills ret with a fresh random name. ERR_IO when the kernel has no randomness to give.
int instance_make(char ret[static INSTANCE_TEXT], struct err *err);
// The kernel's id of this boot as text without a line end. ERR_IO.
int instance_boot_id(char ret[static 40], struct err *err);
