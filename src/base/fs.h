// SPDX-License-Identifier: Apache-2.0
// Small files and folders, done carefully. Errors: ERR_NOT_FOUND, ERR_DENIED, ERR_EXISTS, ERR_STORE_FULL (no space or
// quota), ERR_TOO_LARGE, ERR_IO, with a text that names the path.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

// Replaces `path` by a file with these bytes and this mode (whatever the umask), durably: after success the new file
// survives a power cut, after failure the old one is untouched.
int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
// Appends the whole file to `ret`. ERR_TOO_LARGE when it has more than `max` bytes; on failure `ret` is as before.
int fs_read(const char *path, size_t max, struct buf *ret, struct err *err);
// Creates `path` and its missing parents with this mode (less the umask). Fine when it is a folder already.
int fs_mkdirs(const char *path, mode_t mode, struct err *err);
// Removes `path` and everything below it, never following a symbolic link and never leaving the tree, however deep it is.
// Fine when it does not exist. Stops at the first thing that cannot be removed.
int fs_remove_tree(const char *path, struct err *err);
