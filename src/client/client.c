// SPDX-License-Identifier: Apache-2.0
// Calls of the HTTP API over libcurl.

#include "client/client.h"

#include <ctype.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/client_private.h"

#define CONNECT_MILLIS 5000L
#define CALL_USEC (30 * USEC_PER_SEC)
#define REPLY_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define RETRY_FIRST_USEC (50 * USEC_PER_MSEC)
#define RETRY_MOST_USEC (1 * USEC_PER_SEC)

int client_open(const struct client_options *options, struct client **ret_client, struct err *err)
{
    must(options->url != NULL && options->token != NULL);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, ERR_INTERNAL, "libcurl does not start");
    struct client *client = mem_alloc(sizeof(*client));
    buf_adds(&client->url, options->url);
    buf_printf(&client->token_header, "Authorization: Bearer %s", options->token);
    client_patience(client, options->retry_usec, -1);
    client->on_away = options->on_away;
    client->context = options->context;
    client->multi = curl_multi_init();
    client->easy = curl_easy_init();
    if (client->multi == NULL || client->easy == NULL) {
        client_close(client);
        return err_set(err, ERR_NO_MEMORY, "libcurl does not start");
    }
    *ret_client = client;
    return 0;
}

void client_close(struct client *client)
{
    if (client == NULL)
        return;
    while (client->streams != NULL)
        stream_close(client->streams);
    curl_easy_cleanup(client->easy);
    curl_multi_cleanup(client->multi);
    buf_release(&client->url);
    if (client->token_header.data != NULL)
        explicit_bzero(client->token_header.data, client->token_header.len);
    buf_release(&client->token_header);
    json_decref(client->details);
    mem_free(client);
}

const json_t *client_details(const struct client *client)
{
    return client->details;
}

void client_patience(struct client *client, usec_t retry_usec, int wake_fd)
{
    client->retry_usec = retry_usec;
    client->wake_fd = wake_fd;
}

void client_details_clear(struct client *client)
{
    json_decref(client->details);
    client->details = NULL;
}

int client_status(const struct client *client)
{
    return client->status;
}

void client_prepare(struct client *client, CURL *easy, const char *path)
{
    must(path[0] == '/');
    cleanup_buf struct buf url = {0};
    buf_printf(&url, "%s%s", client->url.data, path);
    curl_easy_setopt(easy, CURLOPT_URL, url.data);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); // the token goes to the server only, never through what http_proxy names
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MILLIS);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "muster/" MUSTER_VERSION);
}

// "Name: value" to the value when the name fits, else NULL. The line is not NUL-terminated; value is cut to the buffer.
static const char *header_value(const char *line, size_t len, const char *name, char *buf, size_t size)
{
    size_t name_len = strlen(name);
    if (len <= name_len || strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
        return NULL;
    size_t start = name_len + 1;
    while (start < len && (line[start] == ' ' || line[start] == '\t'))
        start++;
    while (len > start && isspace((unsigned char)line[len - 1]))
        len--;
    if (len - start >= size)
        return NULL;
    memcpy(buf, line + start, len - start);
    buf[len - start] = '\0';
    return buf;
}

void reply_header(struct reply_headers *headers, const char *line, size_t len)
{
    char text[64];
    if (header_value(line, len, "Muster-Offset", text, sizeof(text)) != NULL)
        headers->has_offset = str_to_u64(text, &headers->offset) == 0;
    else if (header_value(line, len, "Muster-End", text, sizeof(text)) != NULL)
        headers->has_end = str_to_u64(text, &headers->end) == 0;
    else if (header_value(line, len, "Muster-Final", text, sizeof(text)) != NULL)
        headers->final = str_eq(text, "1") || str_eq(text, "true");
}

// The code for a status whose body says nothing.
static int code_of_status(int status)
{
    static const int codes[] = {
#define ERR(name, number, http_status, exit_status, sentence) -(number),
#include "spec/errors.def"
#undef ERR
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (err_http_status(codes[i]) == status)
            return codes[i];
    return status >= 500 ? ERR_INTERNAL : ERR_INVALID;
}

int reply_error(int status, const struct buf *body, json_t **ret_details, struct err *err)
{
    *ret_details = NULL;
    json_t *root = body->len > 0 ? json_loadb(body->data, body->len, 0, NULL) : NULL;
    const json_t *error = json_object_get(root, "error");
    const char *name = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    json_t *details = json_object_get(error, "details");
    int code = name != NULL ? err_from_name(name) : code_of_status(status);
    if (code >= 0)
        code = ERR_INTERNAL;
    if (json_is_array(details) && json_array_size(details) > 0)
        *ret_details = json_incref(details);
    json_int_t more = json_integer_value(json_object_get(error, "details_more"));
    if (*ret_details != NULL && more > 0)
        json_array_append_new(*ret_details, json_pack("{s:I}", "more", more));
    if (message != NULL)
        err_set(err, code, "%s", message);
    else
        err_set(err, code, "the server answered with status %d: %s", status, err_sentence(code));
    json_decref(root);
    return code;
}

bool transfer_is_away(CURLcode result, int status, int code)
{
    switch (result) {
    case CURLE_OK:
        return status == 503 && code != ERR_STORE_FULL && code != ERR_NO_MEMORY;
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return true;
    default:
        return false;
    }
}

struct exchange {
    struct reply_headers headers;
    struct buf body;
    bool too_large;
};

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    reply_header(&exchange->headers, data, size * count);
    return size * count;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    size_t len = size * count;
    if (exchange->body.len + len > REPLY_BYTES_MAX) {
        exchange->too_large = true;
        return 0;
    }
    buf_add(&exchange->body, data, len);
    return len;
}

static struct curl_slist *call_headers(const struct client *client, const struct call *call)
{
    struct curl_slist *list = curl_slist_append(NULL, client->token_header.data);
    cleanup_buf struct buf line = {0};
    if (call->body != NULL) {
        buf_printf(&line, "Content-Type: %s", call->content_type != NULL ? call->content_type : "application/json");
        list = curl_slist_append(list, line.data);
        list = curl_slist_append(list, "Expect:"); // no waiting for "100 Continue" before larger bodies
    }
    if (call->idempotency_key != NULL) {
        buf_clear(&line);
        buf_printf(&line, "Idempotency-Key: %s", call->idempotency_key);
        list = curl_slist_append(list, line.data);
    }
    must(list != NULL);
    return list;
}

// One try. The answer, whatever it is, is in `exchange` and client->status.
static CURLcode exchange_once(struct client *client, const struct call *call, struct exchange *exchange)
{
    CURL *easy = client->easy;
    curl_easy_reset(easy); // keeps the connection
    client_prepare(client, easy, call->path);
    struct curl_slist *headers = call_headers(client, call);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(usec_add(CALL_USEC, call->wait_usec) / USEC_PER_MSEC));
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    if (str_eq(call->method, "POST")) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body != NULL ? call->body : "");
    } else if (!str_eq(call->method, "GET")) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
    }
    CURLcode result = curl_easy_perform(easy);
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    client->status = (int)status;
    curl_slist_free_all(headers);
    return result;
}

static int exchange_error(struct client *client, CURLcode result, const struct exchange *exchange, struct err *err)
{
    if (exchange->too_large)
        return err_set(err, ERR_TOO_LARGE, "the answer of the server is larger than %zu bytes; ask for less at once", REPLY_BYTES_MAX);
    if (result != CURLE_OK) {
        int code = result == CURLE_OPERATION_TIMEDOUT && client->status != 0 ? ERR_TIMEOUT : ERR_UNAVAILABLE;
        return err_set(err, code, "the server at %s does not answer (%s)", client->url.data, curl_easy_strerror(result));
    }
    if (client->status >= 200 && client->status < 300)
        return 0;
    return reply_error(client->status, &exchange->body, &client->details, err);
}

// Lets time pass; true when the wake descriptor says to stop trying.
static bool pause_ended(const struct client *client, usec_t usec)
{
    struct pollfd wake = {.fd = client->wake_fd, .events = POLLIN};
    return poll(&wake, 1, (int)(usec / USEC_PER_MSEC)) > 0;
}

// Tries until it works, until what is wrong does not go away by itself, or until the time for it is over.
static int exchange_run(struct client *client, const struct call *call, struct exchange *exchange, struct err *err)
{
    bool repeatable = call->repeatable || call->idempotency_key != NULL || str_eq(call->method, "GET");
    usec_t give_up_usec = usec_add(clock_mono_usec(), client->retry_usec);
    usec_t pause_usec = RETRY_FIRST_USEC;
    bool told = false;
    for (;;) {
        client_details_clear(client);
        client->status = 0;
        exchange->headers = (struct reply_headers){0};
        buf_clear(&exchange->body);
        CURLcode result = exchange_once(client, call, exchange);
        int rc = exchange_error(client, result, exchange, err);
        if (rc == 0) {
            err_clear(err);
            return 0;
        }
        // Nothing was sent when there was no connection: then any request may be tried again.
        bool again = transfer_is_away(result, client->status, rc) && (repeatable || result == CURLE_COULDNT_CONNECT);
        if (!again || clock_mono_usec() >= give_up_usec)
            return rc;
        if (!told && pause_usec > RETRY_FIRST_USEC && client->on_away != NULL) {
            told = true;
            client->on_away(client->context, err != NULL ? err->text : err_sentence(rc));
        }
        if (pause_ended(client, pause_usec))
            return err_set(err, ERR_INTERRUPTED, "interrupted while the server at %s does not answer", client->url.data);
        pause_usec = usec_min(pause_usec * 2, RETRY_MOST_USEC);
    }
}

int client_call(struct client *client, const struct call *call, json_t **ret_json, struct err *err)
{
    struct err local = {0};
    if (err == NULL)
        err = &local;
    struct exchange exchange = {0};
    json_t *root = NULL;
    int rc = exchange_run(client, call, &exchange, err);
    if (rc == 0 && ret_json != NULL && exchange.body.len > 0) {
        json_error_t problem;
        root = json_loadb(exchange.body.data, exchange.body.len, 0, &problem);
        if (root == NULL)
            rc = err_set(err, ERR_PROTOCOL, "the answer of %s is not JSON (%s); is it a Muster server?", client->url.data, problem.text);
    }
    if (rc == 0 && ret_json != NULL)
        *ret_json = root;
    buf_release(&exchange.body);
    return rc;
}

int client_text(struct client *client, const char *path, struct text_reply *ret, struct err *err)
{
    struct err local = {0};
    struct exchange exchange = {0};
    struct call call = {.method = "GET", .path = path};
    int rc = exchange_run(client, &call, &exchange, err != NULL ? err : &local);
    if (rc == 0) {
        *ret = (struct text_reply){.offset = exchange.headers.offset, .end = exchange.headers.end, .final = exchange.headers.final};
        ret->text = exchange.body;
        exchange.body = (struct buf){0};
    }
    buf_release(&exchange.body);
    return rc;
}

int client_get(struct client *client, json_t **ret_json, struct err *err, const char *fmt, ...)
{
    cleanup_buf struct buf path = {0};
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&path, fmt, args);
    va_end(args);
    struct call call = {.method = "GET", .path = path.data};
    return client_call(client, &call, ret_json, err);
}

int client_post(struct client *client, json_t *body, json_t **ret_json, struct err *err, const char *fmt, ...)
{
    cleanup_buf struct buf path = {0};
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&path, fmt, args);
    va_end(args);
    struct call call = {.method = "POST", .path = path.data, .repeatable = true};
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    if (text != NULL) {
        call.body = text;
        call.body_len = strlen(text);
    }
    int rc = client_call(client, &call, ret_json, err);
    free(text);
    return rc;
}

void path_escape(struct buf *buf, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if ((c < 0x80 && isalnum(c)) || c == '-' || c == '.' || c == '_' || c == '~')
            buf_addc(buf, *p);
        else
            buf_printf(buf, "%%%02X", c);
    }
}

void random_key(char ret[static 33])
{
    unsigned char bytes[16];
    must(getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}
