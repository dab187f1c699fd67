// SPDX-License-Identifier: Apache-2.0
// Files that say who somebody is: the identity and epoch of a node, the key of agents. One text in each of their places.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/home.h"
#include "base/assert.h"
#include "base/fs.h"
#include "fuzz/fuzz.h"
#include "net/handshake.h"

static char folder[64];

static void remove_folder(void)
{
    (void)fs_remove_tree(folder, NULL);
}

static const char *place(const char *name, const void *data, size_t len)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    must(file != NULL && fwrite(data, 1, len, file) == len && fclose(file) == 0);
    must(chmod(path, 0600) == 0);
    return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (folder[0] == '\0') {
        snprintf(folder, sizeof(folder), "%s/muster-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        must(mkdtemp(folder) != NULL);
        atexit(remove_folder);
    }
    static const char identity[] = "0123456789abcdef0123456789abcdef\n";
    struct home home;
    struct err err = {0};
    for (int which = 0; which < 2; which++) {
        if (which == 0) {
            (void)place("identity", data, size);
            (void)place("epoch", "7\n", 2);
        } else {
            (void)place("identity", identity, sizeof(identity) - 1);
            (void)place("epoch", data, size);
        }
        int rc = home_open(folder, &home, &err);
        must(rc == 0 || (rc == ERR_STORE_CORRUPT && err.text[0] != '\0'));
        if (rc == 0) {
            must(strlen(home.identity) == HOME_IDENTITY_TEXT - 1 && (which == 1 || home.epoch == 7));
            home_close(&home);
        }
    }
    struct handshake_key key;
    int rc = handshake_key_read(place("key", data, size), &key, &err);
    must(rc == 0 ? key.len >= HANDSHAKE_KEY_MIN && key.len <= HANDSHAKE_KEY_MAX : rc == ERR_INVALID || rc == ERR_TOO_LARGE);
    return 0;
}
