// SPDX-License-Identifier: Apache-2.0
// The agent's way to its spawner: start one, connect to it. Private to exec/.
#pragma once

#include "base/err.h"

// Connects to the spawner of this folder. Gives a non-blocking descriptor. ERR_NOT_FOUND or ERR_CLOSED: none is there.
int attach_connect(const char *folder, int *ret_fd, struct err *err);
// Starts `program spawner` for the folder, in a session of its own and with another parent, so that it survives this process. Gives the
// read end of a pipe on which it says one line: "ready", or the name of an error and a sentence.
int attach_start(const char *folder, const char *program, int *ret_ready_fd, struct err *err);
