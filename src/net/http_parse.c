// SPDX-License-Identifier: Apache-2.0
// The pure parts of HTTP/1.1: see net/http_parse.h. Strict on purpose: what two readers could understand differently is refused.
#include "net/http_parse.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/str.h"

static const char *const method_names[HTTP_METHODS] = {"GET", "POST", "DELETE"};

const char *http_method_name(enum http_method method)
{
    must(method < HTTP_METHODS);
    return method_names[method];
}

const char *http_status_text(int status)
{
    switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 507: return "Insufficient Storage";
    default: return "Status";
    }
}

// Characters of a method or of a field's name (RFC 9110, token).
static bool is_token_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

// Decodes %XX (and '+' in a query) in place. A NUL or a broken escape is refused.
static bool decode_in_place(char *text, bool plus)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '+' && plus) {
            *to++ = ' ';
            continue;
        }
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = hex_digit(from[1]);
        int low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return true;
}

static int parse_query(char *text, struct http_head *head, struct err *err)
{
    while (text != NULL && *text != '\0') {
        char *next = strchr(text, '&');
        if (next != NULL)
            *next++ = '\0';
        if (*text != '\0') {
            if (head->n_query == HTTP_QUERY_MAX)
                return err_set(err, ERR_LIMIT, "the address has more than %d parameters", HTTP_QUERY_MAX);
            char *value = strchr(text, '=');
            if (value != NULL)
                *value++ = '\0';
            else
                value = text + strlen(text);
            if (!decode_in_place(text, true) || !decode_in_place(value, true))
                return err_set(err, ERR_INVALID, "the address has a broken %%XX escape");
            head->query[head->n_query++] = (struct http_pair){text, value};
        }
        text = next;
    }
    return 0;
}

static int parse_target(char *target, struct http_head *head, struct err *err)
{
    if (target[0] != '/')
        return err_set(err, ERR_INVALID, "the address of the request does not begin with '/'");
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    for (char *segment = target + 1; segment != NULL;) {
        char *next = strchr(segment, '/');
        if (next != NULL)
            *next++ = '\0';
        if (!decode_in_place(segment, false))
            return err_set(err, ERR_INVALID, "the address has a broken %%XX escape");
        if (head->n_segments == sizeof(head->segment) / sizeof(head->segment[0])) {
            head->path_too_deep = true;
            break;
        }
        head->segment[head->n_segments++] = segment;
        segment = next;
    }
    return parse_query(query, head, err);
}

static int parse_request_line(char *line, struct http_head *head, struct err *err)
{
    char *target = strchr(line, ' ');
    char *version = target == NULL ? NULL : strchr(target + 1, ' ');
    if (version == NULL || strchr(version + 1, ' ') != NULL)
        return err_set(err, ERR_INVALID, "the first line is not 'METHOD ADDRESS HTTP/1.1'");
    *target++ = '\0';
    *version++ = '\0';
    if (*line == '\0')
        return err_set(err, ERR_INVALID, "the request has no method");
    for (const char *c = line; *c != '\0'; c++)
        if (!is_token_char((unsigned char)*c))
            return err_set(err, ERR_INVALID, "the method has a character that is not allowed");
    if (strcmp(version, "HTTP/1.0") == 0)
        head->minor_0 = true;
    else if (strcmp(version, "HTTP/1.1") != 0)
        return err_set(err, ERR_INVALID, "the version of the protocol is not HTTP/1.1 or HTTP/1.0");
    head->keep_alive = !head->minor_0;
    head->method_text = line;
    head->method = -1;
    for (int i = 0; i < HTTP_METHODS; i++)
        if (strcmp(line, method_names[i]) == 0)
            head->method = i;
    return parse_target(target, head, err);
}

// A field that may come once: two of it could be read differently by two readers.
static int once(const char **slot, const char *value, const char *name, struct err *err)
{
    if (*slot != NULL)
        return err_set(err, ERR_INVALID, "the field %s is given twice", name);
    *slot = value;
    return 0;
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " \t,");
        size_t item = strcspn(at, ",");
        size_t trimmed = item;
        while (trimmed > 0 && (at[trimmed - 1] == ' ' || at[trimmed - 1] == '\t'))
            trimmed--;
        if (trimmed == len && strncasecmp(at, word, len) == 0)
            return true;
        at += item;
    }
    return false;
}

static int take_field(struct http_head *head, const char *name, const char *value, const char **length, struct err *err)
{
    if (strcasecmp(name, "host") == 0)
        return once(&head->host, value, "Host", err);
    if (strcasecmp(name, "origin") == 0)
        return once(&head->origin, value, "Origin", err);
    if (strcasecmp(name, "authorization") == 0)
        return once(&head->authorization, value, "Authorization", err);
    if (strcasecmp(name, "content-length") == 0) {
        int code = once(length, value, "Content-Length", err);
        if (code < 0)
            return code;
        if (str_to_u64(value, &head->body_bytes) < 0)
            return err_set(err, ERR_INVALID, "the field Content-Length is not a number");
        return 0;
    }
    if (strcasecmp(name, "transfer-encoding") == 0) {
        if (head->chunked || strcasecmp(value, "chunked") != 0)
            return err_set(err, ERR_UNSUPPORTED, "the only Transfer-Encoding that is understood is chunked");
        head->chunked = true;
        return 0;
    }
    if (strcasecmp(name, "connection") == 0) {
        if (has_word(value, "close"))
            head->keep_alive = false;
        else if (head->minor_0 && has_word(value, "keep-alive"))
            head->keep_alive = true;
        return 0;
    }
    if (strcasecmp(name, "expect") == 0) {
        if (strcasecmp(value, "100-continue") != 0)
            return err_set(err, ERR_UNSUPPORTED, "the only expectation that is understood is 100-continue");
        head->expects_continue = true;
    }
    return 0;
}

static int parse_field(char *line, struct http_head *head, const char **length, struct err *err)
{
    char *colon = strchr(line, ':');
    if (colon == NULL || colon == line)
        return err_set(err, ERR_INVALID, "a header line is not 'Name: value'");
    *colon = '\0';
    for (const char *c = line; *c != '\0'; c++)
        if (!is_token_char((unsigned char)*c))
            return err_set(err, ERR_INVALID, "the name of a header field has a character that is not allowed");
    char *value = colon + 1;
    value += strspn(value, " \t");
    size_t len = strlen(value);
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        value[--len] = '\0';
    if (head->n_fields == HTTP_FIELDS_MAX)
        return err_set(err, ERR_LIMIT, "the request has more than %d header fields", HTTP_FIELDS_MAX);
    head->field[head->n_fields++] = (struct http_pair){line, value};
    return take_field(head, line, value, length, err);
}

int http_head_parse(char *text, size_t len, struct http_head *ret_head, struct err *err)
{
    must(len >= 4 && memcmp(text + len - 4, "\r\n\r\n", 4) == 0);
    *ret_head = (struct http_head){0};
    text[len - 2] = '\0';
    for (size_t i = 0; i < len - 2; i++) {
        unsigned char c = (unsigned char)text[i];
        bool line_end = c == '\r' && text[i + 1] == '\n';
        if (line_end)
            i++;
        else if ((c < 0x20 && c != '\t') || c == 0x7f)
            return err_set(err, ERR_INVALID, "the head of the request has a control character");
    }
    const char *length = NULL;
    bool first = true;
    for (char *line = text; *line != '\0';) {
        char *end = strstr(line, "\r\n");
        must(end != NULL);
        *end = '\0';
        int code = first ? parse_request_line(line, ret_head, err) : parse_field(line, ret_head, &length, err);
        if (code < 0)
            return code;
        first = false;
        line = end + 2;
    }
    must(!first);
    if (ret_head->chunked && (length != NULL || ret_head->minor_0))
        return err_set(err, ERR_INVALID, "the length of the body is given in two ways");
    if (ret_head->host == NULL && !ret_head->minor_0)
        return err_set(err, ERR_INVALID, "the field Host is missing");
    return 0;
}

int http_chunk_size_parse(const char *line, size_t max, size_t *ret_size)
{
    size_t size = 0;
    size_t n = 0;
    for (; hex_digit(line[n]) >= 0; n++) {
        if (n >= 15)
            return ERR_TOO_LARGE;
        size = size * 16 + (size_t)hex_digit(line[n]);
    }
    if (n == 0 || (line[n] != '\0' && line[n] != ';' && line[n] != ' ' && line[n] != '\t'))
        return ERR_INVALID;
    if (size > max)
        return ERR_TOO_LARGE;
    *ret_size = size;
    return 0;
}

// Cuts ":PORT" off the end of a copy.
static bool strip_port(char *host)
{
    char *colon = strrchr(host, ':');
    if (colon == NULL || strchr(colon, ']') != NULL)
        return true;
    uint64_t port;
    if (str_to_u64(colon + 1, &port) < 0 || port > 65535)
        return false;
    *colon = '\0';
    return true;
}

bool http_host_is_loopback(const char *host)
{
    char copy[128];
    if (host == NULL || str_copy(copy, sizeof(copy), host) < 0 || !strip_port(copy))
        return false;
    if (strcasecmp(copy, "localhost") == 0 || strcmp(copy, "[::1]") == 0)
        return true;
    struct in_addr address;
    return inet_pton(AF_INET, copy, &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

bool http_origin_is_loopback(const char *origin)
{
    if (origin == NULL)
        return true;
    if (str_starts(origin, "http://"))
        return http_host_is_loopback(origin + 7);
    return str_starts(origin, "https://") && http_host_is_loopback(origin + 8);
}

static bool path_matches(const char *path, const struct http_head *head, const char *ret_params[HTTP_PARAMS_MAX])
{
    must(path[0] == '/');
    size_t i = 0;
    size_t n_params = 0;
    for (const char *at = path + 1;; i++) {
        size_t len = strcspn(at, "/");
        if (i == head->n_segments)
            return false;
        const char *have = head->segment[i];
        if (at[0] == ':') {
            if (have[0] == '\0')
                return false;
            must(n_params < HTTP_PARAMS_MAX);
            ret_params[n_params++] = have;
        } else if (strlen(have) != len || memcmp(have, at, len) != 0) {
            return false;
        }
        at += len;
        if (*at == '\0')
            return i + 1 == head->n_segments;
        at++;
    }
}

const struct http_route *http_route_find(const struct http_route *routes, size_t n_routes, const struct http_head *head,
                                         const char *ret_params[HTTP_PARAMS_MAX], unsigned *ret_allowed)
{
    *ret_allowed = 0;
    if (head->path_too_deep)
        return NULL;
    for (size_t i = 0; i < n_routes; i++) {
        const char *params[HTTP_PARAMS_MAX] = {0};
        if (!path_matches(routes[i].path, head, params))
            continue;
        *ret_allowed |= 1u << routes[i].method;
        if ((int)routes[i].method == head->method) {
            memcpy(ret_params, params, sizeof(params));
            return &routes[i];
        }
    }
    return NULL;
}
