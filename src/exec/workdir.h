// SPDX-License-Identifier: Apache-2.0
// Folders for attempts, numbered, below the folder `work` of the data folder: mode 0700, owned by the task's user. One that comes back empty and unchanged is used again for
// the same user; any other is removed by walking descriptors, following no link. May be called by several threads.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { WORKDIR_PATH_MAX = 4096 };

struct workdirs;

struct workdir {
    uint64_t number; // 0: none
    uid_t uid;
    gid_t gid;
};

// path is the absolute path of the work folder, which is emptied. Takes nothing.
int workdirs_open(const char *path, struct workdirs **ret_workdirs, struct err *err);
void workdirs_close(struct workdirs *);

int workdir_take(struct workdirs *, uid_t uid, gid_t gid, struct workdir *ret, struct err *err);
// Fills ret with its path.
void workdir_path(const struct workdirs *, const struct workdir *, char ret[static WORKDIR_PATH_MAX]);
// An open descriptor of it, or -1.
int workdir_open(const struct workdirs *, const struct workdir *);
// Quick: true when it was empty and is kept for later, false when workdir_remove() has to be called.
bool workdir_give(struct workdirs *, const struct workdir *);
// Slow: removes it with everything in it.
int workdir_remove(struct workdirs *, const struct workdir *, struct err *err);
