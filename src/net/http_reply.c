// SPDX-License-Identifier: Apache-2.0
// What handlers use: reading a request, answering it at once or as a stream. See net/http.h.
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "net/http_conn.h"

struct arena *http_arena(struct http_request *c)
{
    return &c->arena;
}

const char *http_param(const struct http_request *c, size_t i)
{
    must(i < HTTP_PARAMS_MAX && c->param[i] != NULL);
    return c->param[i];
}

const char *http_query(const struct http_request *c, const char *name, size_t n)
{
    for (size_t i = 0; i < c->head.n_query; i++)
        if (strcmp(c->head.query[i].name, name) == 0 && n-- == 0)
            return c->head.query[i].value;
    return NULL;
}

const char *http_query_name(const struct http_request *c, size_t i)
{
    return i < c->head.n_query ? c->head.query[i].name : NULL;
}

const char *http_field(const struct http_request *c, const char *name)
{
    for (size_t i = 0; i < c->head.n_fields; i++)
        if (strcasecmp(c->head.field[i].name, name) == 0)
            return c->head.field[i].value;
    return NULL;
}

const char *http_body(const struct http_request *c, size_t *ret_len)
{
    *ret_len = c->body.len;
    return c->body.data != NULL ? c->body.data : "";
}

void http_on_gone(struct http_request *c, void (*call)(void *context), void *context)
{
    must(c->state == HANDLING || c->state == STREAMING);
    c->on_gone = call;
    c->gone_context = context;
}

static void add_head(struct http_request *c, int status, const char *content_type)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n", status, http_status_text(status), content_type);
    evbuffer_add(out, c->fields.data, c->fields.len);
    if (!c->head.keep_alive)
        evbuffer_add_printf(out, "Connection: close\r\n");
    else if (c->head.minor_0)
        evbuffer_add_printf(out, "Connection: keep-alive\r\n");
}

void http_add_field(struct http_request *c, const char *name, const char *value)
{
    for (const char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            return;
    buf_printf(&c->fields, "%s: %s\r\n", name, value);
}

void http_reply(struct http_request *c, int status, const char *content_type, const void *data, size_t len)
{
    must(c->state == HANDLING);
    struct evbuffer *out = bufferevent_get_output(c->bev);
    add_head(c, status, content_type);
    evbuffer_add_printf(out, "Content-Length: %zu\r\n\r\n", len);
    evbuffer_add(out, data, len);
    conn_answered(c);
}

void http_reply_json(struct http_request *c, int status, const char *json, size_t len)
{
    http_reply(c, status, "application/json", json, len);
}

// The length of the valid UTF-8 sequence at text, or 0.
static size_t utf8_len(const unsigned char *text)
{
    size_t len = text[0] < 0x80 ? 1 : text[0] >= 0xc2 && text[0] < 0xe0 ? 2 : (text[0] & 0xf0) == 0xe0 ? 3 : text[0] >= 0xf0 && text[0] < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < len; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if (len == 3 && ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0)))
        return 0;
    if (len == 4 && ((text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90)))
        return 0;
    return len;
}

static void add_json_text(struct buf *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0';) {
        size_t len = utf8_len(p);
        if (len == 0) {
            buf_adds(out, "\xef\xbf\xbd");
            p++;
            continue;
        }
        if (*p == '"' || *p == '\\')
            buf_printf(out, "\\%c", *p);
        else if (*p < 0x20)
            buf_printf(out, "\\u%04x", *p);
        else
            buf_add(out, p, len);
        p += len;
    }
}

static void reply_error(struct http_request *c, int status, const char *name, const char *text)
{
    struct buf out = {0};
    buf_printf(&out, "{\"error\":{\"code\":\"%s\",\"message\":\"", name);
    add_json_text(&out, text);
    buf_adds(&out, "\"}}\n");
    http_reply_json(c, status, out.data, out.len);
    buf_release(&out);
}

void http_reply_error(struct http_request *c, int code, const char *text)
{
    must(code < 0);
    reply_error(c, err_http_status(code), err_name(code), text != NULL && text[0] != '\0' ? text : err_sentence(code));
}

void conn_refuse(struct http_request *c, int code, const char *text)
{
    c->state = HANDLING;
    c->head.keep_alive = false;
    c->linger = true;
    http_reply_error(c, code, text);
}

void conn_refuse_method(struct http_request *c, unsigned allowed)
{
    struct buf names = {0};
    for (unsigned method = 0; method < HTTP_METHODS; method++)
        if (allowed & 1u << method)
            buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", http_method_name(method));
    http_add_field(c, "Allow", names.data);
    struct buf text = {0};
    buf_printf(&text, "%.32s is not possible here; possible: %s", c->head.method_text, names.data);
    c->state = HANDLING;
    c->head.keep_alive = false;
    c->linger = true;
    reply_error(c, 405, err_name(ERR_UNSUPPORTED), text.data);
    buf_release(&names);
    buf_release(&text);
}

void http_stream_begin(struct http_request *c, int status, const char *content_type)
{
    must(c->state == HANDLING);
    if (c->head.minor_0)
        c->head.keep_alive = false; // ends with the connection: HTTP/1.0 has no chunks
    add_head(c, status, content_type);
    evbuffer_add_printf(bufferevent_get_output(c->bev), "%s\r\n", c->head.minor_0 ? "" : "Transfer-Encoding: chunked\r\n");
    c->state = STREAMING;
}

bool http_stream_write(struct http_request *c, const void *data, size_t len)
{
    must(c->state == STREAMING);
    struct evbuffer *out = bufferevent_get_output(c->bev);
    if (len == 0)
        return true;
    if (evbuffer_get_length(out) + len > c->server->options.stream_queue_bytes_max) {
        conn_kill(c);
        return false;
    }
    if (!c->head.minor_0)
        evbuffer_add_printf(out, "%zx\r\n", len);
    evbuffer_add(out, data, len);
    if (!c->head.minor_0)
        evbuffer_add(out, "\r\n", 2);
    return true;
}

size_t http_stream_queued(const struct http_request *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev));
}

void http_stream_when_drained(struct http_request *c, void (*call)(void *context), void *context)
{
    must(c->state == STREAMING && c->on_drained == NULL);
    c->on_drained = call;
    c->drained_context = context;
    bufferevent_setwatermark(c->bev, EV_WRITE, c->server->options.stream_queue_bytes_max / 2, 0);
    bufferevent_trigger(c->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

void http_stream_end(struct http_request *c)
{
    must(c->state == STREAMING);
    if (!c->head.minor_0)
        evbuffer_add(bufferevent_get_output(c->bev), "0\r\n\r\n", 5);
    conn_answered(c);
}

void http_stream_abort(struct http_request *c)
{
    must(c->state == STREAMING);
    conn_kill(c);
}
