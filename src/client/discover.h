// SPDX-License-Identifier: Apache-2.0
// How a command finds its server and the token for it, in this order: what is named on the command line, what the environment
// names (MUSTER_SERVER, MUSTER_TOKEN, MUSTER_TOKEN_FILE), what the data folder of this account says (endpoint.json, api.token).
#pragma once

#include "base/buf.h"
#include "base/err.h"

// What the command line named; NULL where it named nothing. Borrowed for the call.
struct discover_options {
    const char *server;     // URL, or host:port
    const char *token_file;
    const char *data;       // data folder
};

// Both are NUL-terminated text; end it with endpoint_release().
struct endpoint {
    struct buf url;   // "http://127.0.0.1:7420", without a slash at its end
    struct buf token; // hex digits
};

// ERR_UNAVAILABLE with a sentence that says what to do when there is no server to be found, ERR_UNAUTHENTICATED when there is
// no token, ERR_DENIED when the token may not be read, ERR_INVALID for a server that is no address.
int endpoint_discover(const struct discover_options *, struct endpoint *ret, struct err *);
// NULL is allowed.
void endpoint_release(struct endpoint *);

// Appends the data folder: `named` or $MUSTER_DATA, else /var/lib/muster for root, ${XDG_DATA_HOME:-~/.local/share}/muster for
// others. ERR_NOT_FOUND when none is named and the account has no home, ERR_INVALID for an empty name.
int data_folder(const char *named, struct buf *ret, struct err *);
// Appends where the server of a data folder waits for agents ("127.0.0.1:7421"). ERR_UNAVAILABLE when no server has used the folder.
int agents_endpoint(const char *folder, struct buf *ret, struct err *err);
