// SPDX-License-Identifier: Apache-2.0
// What client.c and stream.c share.
#pragma once

#include <curl/curl.h>

#include "client/client.h"

struct client {
    CURLM *multi; // streams
    CURL *easy;   // calls, one at a time over a kept connection
    struct buf url;
    struct buf token_header; // "Authorization: Bearer ..."
    usec_t retry_usec;
    int wake_fd;
    void (*on_away)(void *context, const char *sentence);
    void *context;
    json_t *details; // of the last error, or NULL
    int status;
    struct stream *streams;  // chain by next
    uint64_t stream_progress; // counts what streams handed over
};

// Headers that every answer may have.
struct reply_headers {
    bool has_offset, has_end;
    uint64_t offset;
    uint64_t end;
    bool final;
};

// Sets what every request of this client has in common.
void client_prepare(struct client *, CURL *, const char *path);
// Reads one header line of an answer.
void reply_header(struct reply_headers *, const char *line, size_t len);
// Turns the body of an answer that is an error into err, and its details into *ret_details (NULL when it has none).
int reply_error(int status, const struct buf *body, json_t **ret_details, struct err *);
// Whether this failure of the transfer or of the server may go away by itself.
bool transfer_is_away(CURLcode result, int status, int code);
