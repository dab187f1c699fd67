// SPDX-License-Identifier: Apache-2.0
// The lock that lets one process, and in it one store, use a data folder. It ends with the process, however that ends, and is not
// inherited by its children: a child that outlives a killed server (the one that packs a snapshot, say) does not keep the next
// server out.
//
// Threads: any.
#pragma once

#include "base/err.h"

struct folder_lock;

// Takes the lock of a folder, or answers ERR_STORE_BUSY with a sentence that names the process that holds it. Gives the lock.
int folder_lock_take(const char *folder, struct folder_lock **ret_lock, struct err *);
// NULL is allowed.
void folder_lock_release(struct folder_lock *);
