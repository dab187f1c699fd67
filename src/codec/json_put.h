// SPDX-License-Identifier: Apache-2.0
// Writing JSON into a buf, member by member. The writer keeps track of commas; who calls it keeps the braces in order.
//
//     struct json_put json;
//     json_put_begin(&json, out);
//     json_put_open(&json, NULL, '{');
//     json_put_text(&json, "name", "x");
//     json_put_close(&json, '}');
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/time.h"

struct json_put {
    struct buf *out; // borrowed
    bool comma;      // the next value needs one before it
};

void json_put_begin(struct json_put *json, struct buf *out);
// key: NULL inside a list and for the outermost value, here and below.
void json_put_open(struct json_put *json, const char *key, char bracket);
void json_put_close(struct json_put *json, char bracket);
// NULL is null. Bytes that are not UTF-8 become U+FFFD.
void json_put_text(struct json_put *json, const char *key, const char *text);
void json_put_u64(struct json_put *json, const char *key, uint64_t value);
void json_put_i64(struct json_put *json, const char *key, int64_t value);
void json_put_bool(struct json_put *json, const char *key, bool value);
void json_put_null(struct json_put *json, const char *key);
// An id; 0 is null.
void json_put_id(struct json_put *json, const char *key, uint64_t id);
// RFC 3339 with milliseconds; 0 and USEC_NEVER are null.
void json_put_time(struct json_put *json, const char *key, usec_t wall_usec);
// A number with up to six decimals: 1500000 is 1.5.
void json_put_seconds(struct json_put *json, const char *key, uint64_t usec);
// A number with up to three decimals: 1250 is 1.25.
void json_put_permille(struct json_put *json, const char *key, uint32_t permille);
