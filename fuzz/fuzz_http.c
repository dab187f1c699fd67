// SPDX-License-Identifier: Apache-2.0
// Heads of HTTP requests, chunk sizes and host names: whatever comes, it is either refused or plain text within bounds.

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "fuzz/fuzz.h"
#include "net/http_parse.h"

static const struct http_route routes[] = {
    {HTTP_GET, "/v1/runs/:run/tasks/:index/log", NULL},
    {HTTP_POST, "/v1/runs/:run/cancel", NULL},
    {HTTP_GET, "/", NULL},
};

static void check_text(const char *text, const char *from, size_t len)
{
    must(text >= from && text + strlen(text) < from + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // The caller hands over everything up to and including the first empty line.
    struct buf text = {0};
    buf_add(&text, data, size);
    buf_adds(&text, "\r\n\r\n");
    char *end = memmem(text.data, text.len, "\r\n\r\n", 4);
    buf_truncate(&text, (size_t)(end - text.data) + 4);
    char *line = mem_strndup(text.data, text.len);
    size_t chunk;
    if (http_chunk_size_parse(line, 1 << 20, &chunk) == 0)
        must(chunk <= 1 << 20);
    http_host_is_loopback(line);
    http_origin_is_loopback(line);
    mem_free(line);

    struct http_head *head = mem_alloc(sizeof(*head));
    struct err err = {0};
    size_t len = text.len;
    if (http_head_parse(text.data, len, head, &err) == 0) {
        must(head->n_fields <= HTTP_FIELDS_MAX && head->n_query <= HTTP_QUERY_MAX);
        for (size_t i = 0; i < head->n_segments; i++)
            check_text(head->segment[i], text.data, len);
        for (size_t i = 0; i < head->n_fields; i++) {
            check_text(head->field[i].name, text.data, len);
            check_text(head->field[i].value, text.data, len);
            must(strpbrk(head->field[i].value, "\r\n") == NULL);
        }
        const char *params[HTTP_PARAMS_MAX];
        unsigned allowed;
        const struct http_route *route = http_route_find(routes, sizeof(routes) / sizeof(routes[0]), head, params, &allowed);
        must(route == NULL || (int)route->method == head->method);
        must(!head->chunked || head->body_bytes == 0);
    } else {
        must(err.code < 0 && err.text[0] != '\0');
    }
    mem_free(head);
    buf_release(&text);
    return 0;
}
