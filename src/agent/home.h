// SPDX-License-Identifier: Apache-2.0
// The data folder of an agent: who it is, which epoch it has obeyed, and that nobody else uses it. Mode 0700.
//   lock      held by the agent that uses the folder
//   identity  32 random hexadecimal digits, made at the first start: another identity is another node
//   epoch     the highest epoch that was obeyed, in decimal
#pragma once

#include "base/err.h"

#include <stdint.h>

enum { HOME_IDENTITY_TEXT = 33 };

struct home {
    char *folder;
    int lock_fd;
    char identity[HOME_IDENTITY_TEXT];
    uint64_t epoch; // 0: none yet
};

// Makes the folder if need be. ERR_CONFLICT: another agent uses it. ERR_STORE_CORRUPT: a file in it holds what no agent wrote.
int home_open(const char *folder, struct home *ret_home, struct err *);
void home_close(struct home *);
// Durable when it returns 0.
int home_keep_epoch(struct home *, uint64_t epoch, struct err *);
