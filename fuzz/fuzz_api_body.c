// SPDX-License-Identifier: Apache-2.0
// Bodies and queries of the API: the first byte says which reader; what it is given by the HTTP server stands here in its place.

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "fuzz/fuzz.h"
#include "server/context.h"

struct http_request {
    const char *text;
    size_t len;
    int refused;
};

const char *http_body(const struct http_request *http, size_t *ret_len)
{
    *ret_len = http->len;
    return http->text;
}

const char *http_query(const struct http_request *http, const char *name, size_t n)
{
    must(name != NULL);
    return n == 0 ? http->text : NULL;
}

const char *http_query_name(const struct http_request *http, size_t i)
{
    return i == 0 ? http->text : NULL;
}

const char *http_param(const struct http_request *http, size_t i)
{
    must(i == 0);
    return http->text;
}

void http_reply_error(struct http_request *http, int code, const char *text)
{
    must(code < 0 && text[0] != '\0');
    http->refused++;
}

static void try_body(struct http_request *http, unsigned which, struct arena *arena)
{
    const char *text = NULL;
    const struct pair *pairs = NULL;
    size_t n = 0;
    bool flag = false;
    struct err err = {0};
    int rc = which == 0   ? body_text(http, arena, "reason", &text, &err)
             : which == 1 ? body_flag(http, "held", &flag, &err)
                          : body_params(http, arena, &pairs, &n, &err);
    must(rc == err.code && (rc == 0 || err.text[0] != '\0'));
    for (size_t i = 0; rc == 0 && i < n; i++)
        must(pairs[i].key != NULL && pairs[i].value != NULL);
}

static bool try_query(struct http_request *http, unsigned which, struct arena *arena)
{
    uint64_t number = 0;
    usec_t usec = 0;
    bool flag = false;
    const struct pair *pairs = NULL;
    size_t n = 0;
    switch (which) {
    case 3:
        return query_u64(http, "max", 1000, 0, &number) && (must(number <= 1000), true);
    case 4:
        return query_duration(http, "wait", 1000000, 0, &usec) && (must(usec >= 0 && usec <= 1000000), true);
    case 5:
        return query_time(http, "since", 0, &usec);
    case 6:
        return query_flag(http, "follow", &flag);
    case 7:
        return query_params(http, arena, &pairs, &n) && (must(n == 1 && pairs[0].value != NULL), true);
    case 8:
        return query_only(http, (const char *const[]){"a", "bc", NULL});
    default:
        return param_u64(http, 0, "run", &number);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena arena = {0};
    char *text = mem_strndup((const char *)data + 1, size - 1);
    struct http_request http = {.text = text, .len = strlen(text)};
    unsigned which = data[0] % 10;
    if (which < 3)
        try_body(&http, which, &arena);
    else
        must(try_query(&http, which, &arena) == (http.refused == 0));
    arena_release(&arena);
    mem_free(text);
    return 0;
}
