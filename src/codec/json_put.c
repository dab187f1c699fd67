// SPDX-License-Identifier: Apache-2.0
// Writing JSON.
#include "codec/json_put.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "codec/utf8.h"

void json_put_begin(struct json_put *json, struct buf *out)
{
    must(json != NULL && out != NULL);
    *json = (struct json_put){.out = out};
}

static void put_quoted(struct buf *out, const char *text)
{
    static const char named[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *end = text + strlen(text);
    buf_addc(out, '"');
    for (const char *p = text; p < end;) {
        size_t len = utf8_len(p, end);
        const char *found = strchr(named, *p);
        if (len == 0)
            buf_adds(out, "\xef\xbf\xbd");
        else if (found != NULL)
            buf_printf(out, "\\%c", letters[found - named]);
        else if ((unsigned char)*p < 0x20 || *p == 0x7f)
            buf_printf(out, "\\u%04x", (unsigned char)*p);
        else
            buf_add(out, p, len);
        p += len > 0 ? len : 1;
    }
    buf_addc(out, '"');
}

static void put_key(struct json_put *json, const char *key)
{
    if (json->comma)
        buf_addc(json->out, ',');
    json->comma = true;
    if (key != NULL) {
        put_quoted(json->out, key);
        buf_addc(json->out, ':');
    }
}

void json_put_open(struct json_put *json, const char *key, char bracket)
{
    must(bracket == '{' || bracket == '[');
    put_key(json, key);
    buf_addc(json->out, bracket);
    json->comma = false;
}

void json_put_close(struct json_put *json, char bracket)
{
    must(bracket == '}' || bracket == ']');
    buf_addc(json->out, bracket);
    json->comma = true;
}

void json_put_text(struct json_put *json, const char *key, const char *text)
{
    put_key(json, key);
    if (text == NULL)
        buf_adds(json->out, "null");
    else
        put_quoted(json->out, text);
}

void json_put_u64(struct json_put *json, const char *key, uint64_t value)
{
    put_key(json, key);
    buf_printf(json->out, "%" PRIu64, value);
}

void json_put_i64(struct json_put *json, const char *key, int64_t value)
{
    put_key(json, key);
    buf_printf(json->out, "%" PRId64, value);
}

void json_put_bool(struct json_put *json, const char *key, bool value)
{
    put_key(json, key);
    buf_adds(json->out, value ? "true" : "false");
}

void json_put_null(struct json_put *json, const char *key)
{
    put_key(json, key);
    buf_adds(json->out, "null");
}

void json_put_id(struct json_put *json, const char *key, uint64_t id)
{
    if (id == 0)
        json_put_null(json, key);
    else
        json_put_u64(json, key, id);
}

void json_put_time(struct json_put *json, const char *key, usec_t wall_usec)
{
    char text[40];
    bool none = wall_usec == 0 || wall_usec == USEC_NEVER;
    json_put_text(json, key, none ? NULL : time_format(text, wall_usec));
}

// value / unit, without trailing zeros.
static void put_decimal(struct json_put *json, const char *key, uint64_t value, uint64_t unit, int digits)
{
    uint64_t fraction = value % unit;
    put_key(json, key);
    buf_printf(json->out, "%" PRIu64, value / unit);
    for (; digits > 0 && fraction % 10 == 0; digits--)
        fraction /= 10;
    if (digits > 0)
        buf_printf(json->out, ".%0*" PRIu64, digits, fraction);
}

void json_put_seconds(struct json_put *json, const char *key, uint64_t usec)
{
    put_decimal(json, key, usec, 1000000, 6);
}

void json_put_permille(struct json_put *json, const char *key, uint32_t permille)
{
    put_decimal(json, key, permille, 1000, 3);
}
