// SPDX-License-Identifier: Apache-2.0
// The account that an attempt runs as, looked up by name and remembered for a few seconds. May be called by several threads.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

enum { ACCOUNT_GROUPS_MAX = 1024 };

struct account {
    uid_t uid;
    gid_t gid;
    gid_t *groups; // supplementary ones; only needed when switch_user
    size_t n_groups;
    bool switch_user; // it is not the account of this process
    char *name, *home, *shell;
    int refs; // private
};

// name NULL: the account of this process. The account is to be given back. ERR_NOT_FOUND: no such user; ERR_DENIED: this process
// may not become that user.
int account_get(const char *name, struct account **ret_account, struct err *err);
void account_put(struct account *);
