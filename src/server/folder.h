// SPDX-License-Identifier: Apache-2.0
// The data folder: tokens, and the file that tells the command line where the server is. What stands where is part of the API.
#pragma once

#include <sys/types.h>

#include "base/err.h"

enum { TOKEN_TEXT = 65 }; // 64 hex digits and a NUL

// Makes the folder (mode 0700; 0711 for root, so that tasks of other accounts get to their own folders below it; every file in it is 0600),
// or closes to others one that is empty or a server's already. ERR_DENIED: others may look into it, and it is not ours to change.
int folder_open(const char *path, struct err *);
// Reads the token in path/name, of mode 0600; makes one of 256 random bits when there is none. ERR_DENIED when others may read it,
// ERR_INVALID when it is not 64 hex digits.
int folder_token(const char *path, const char *name, char ret_token[TOKEN_TEXT], struct err *);
// Writes endpoint.json. Both addresses are "HOST:PORT".
int folder_endpoint_write(const char *path, const char *api, const char *agents, pid_t pid, struct err *);
void folder_endpoint_remove(const char *path);
