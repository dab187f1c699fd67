// SPDX-License-Identifier: Apache-2.0
// Reads parameters of a path and of a query. What is not as it must be is answered at once. See server/context.h.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "codec/utf8.h"
#include "server/context.h"

__attribute__((format(printf, 2, 3))) static bool refuse(struct http_request *http, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct buf text = {0};
    buf_vprintf(&text, fmt, args);
    va_end(args);
    http_reply_error(http, ERR_INVALID, text.data);
    buf_release(&text);
    return false;
}

bool param_u64(struct http_request *http, size_t param, const char *what, uint64_t *ret)
{
    const char *text = http_param(http, param);
    if (str_to_u64(text, ret) < 0)
        return refuse(http, "'%.64s' is not the number of a %s", text, what);
    return true;
}

bool query_u64(struct http_request *http, const char *name, uint64_t most, uint64_t absent, uint64_t *ret)
{
    const char *text = http_query(http, name, 0);
    if (text == NULL) {
        *ret = absent;
        return true;
    }
    if (str_to_u64(text, ret) < 0 || *ret > most)
        return refuse(http, "the parameter %s is '%.64s'; allowed: a number from 0 to %llu", name, text, (unsigned long long)most);
    return true;
}

bool query_flag(struct http_request *http, const char *name, bool *ret)
{
    const char *text = http_query(http, name, 0);
    *ret = text != NULL && (text[0] == '\0' || str_eq(text, "1") || str_eq(text, "true"));
    if (text != NULL && !*ret && !str_eq(text, "0") && !str_eq(text, "false"))
        return refuse(http, "the parameter %s is '%.64s'; allowed: 1 or 0", name, text);
    return true;
}

bool query_duration(struct http_request *http, const char *name, usec_t most, usec_t absent, usec_t *ret)
{
    const char *text = http_query(http, name, 0);
    *ret = absent;
    if (text == NULL)
        return true;
    struct err err = {0};
    if (duration_parse(text, ret, &err) < 0)
        return refuse(http, "the parameter %s: %s", name, err.text);
    *ret = usec_min(*ret, most);
    return true;
}

bool query_time(struct http_request *http, const char *name, usec_t absent, usec_t *ret)
{
    const char *text = http_query(http, name, 0);
    *ret = absent;
    if (text == NULL)
        return true;
    struct err err = {0};
    if (time_parse(text, ret, &err) < 0)
        return refuse(http, "the parameter %s: %s", name, err.text);
    return true;
}

bool query_max(struct server *server, struct http_request *http, uint64_t absent, size_t *ret)
{
    uint64_t most = (uint64_t)server->limits->value[LIMIT_PAGE_ROWS];
    uint64_t value;
    if (!query_u64(http, "max", UINT64_MAX, absent, &value))
        return false;
    if (value == 0)
        return refuse(http, "the parameter max is 0; allowed: 1 to %llu", (unsigned long long)most);
    *ret = (size_t)(value < most ? value : most);
    return true;
}

bool query_only(struct http_request *http, const char *const *names)
{
    const char *have;
    for (size_t i = 0; (have = http_query_name(http, i)) != NULL; i++) {
        bool known = false;
        for (size_t j = 0; names[j] != NULL && !known; j++)
            known = strcmp(have, names[j]) == 0;
        if (!known)
            return refuse(http, "there is no parameter '%.64s' here", have);
    }
    return true;
}

int body_members(struct http_request *http, const char *const *names, json_t **ret, struct err *err)
{
    size_t len;
    const char *body = http_body(http, &len);
    *ret = NULL;
    if (strspn(body, " \t\r\n") == len)
        return 0;
    json_error_t where;
    json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, &where);
    if (json == NULL)
        return err_set(err, ERR_INVALID, "the body is not JSON: line %d, column %d: %s", where.line, where.column, where.text);
    int rc = json_is_object(json) ? 0 : err_set(err, ERR_INVALID, "the body is not a JSON object");
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value) {
        bool known = false;
        for (size_t i = 0; names[i] != NULL && !known; i++)
            known = strcmp(names[i], name) == 0;
        if (!known && rc == 0)
            rc = err_set(err, ERR_INVALID, "the body has a member '%.60s', which is not known here", name);
    }
    if (rc < 0)
        json_decref(json);
    else
        *ret = json;
    return rc;
}

// The body as an object; NULL when there is none.
static int body_object(struct http_request *http, const char *name, json_t **ret, struct err *err)
{
    size_t len;
    const char *body = http_body(http, &len);
    *ret = NULL;
    if (strspn(body, " \t\r\n") == len)
        return 0;
    json_error_t where;
    json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, &where);
    if (json == NULL)
        return err_set(err, ERR_INVALID, "the body is not JSON: line %d, column %d: %s", where.line, where.column, where.text);
    size_t known = json_object_get(json, name) != NULL ? 1 : 0;
    if (!json_is_object(json) || json_object_size(json) != known) {
        json_decref(json);
        return err_set(err, ERR_INVALID, "the body may only be an object with the member '%s'", name);
    }
    *ret = json;
    return 0;
}

int body_text(struct http_request *http, struct arena *arena, const char *name, const char **ret, struct err *err)
{
    json_t *json;
    int code = body_object(http, name, &json, err);
    *ret = NULL;
    const json_t *value = json_object_get(json, name);
    if (code == 0 && json_is_string(value))
        *ret = arena_strdup(arena, json_string_value(value));
    else if (code == 0 && json_is_integer(value))
        *ret = arena_printf(arena, "%lld", (long long)json_integer_value(value));
    else if (code == 0 && value != NULL && !json_is_null(value))
        code = err_set(err, ERR_INVALID, "the member '%s' is not a text", name);
    json_decref(json);
    return code;
}

// The text of a value of a parameter: texts, numbers and truths are taken as they are written.
static const char *param_text(struct arena *arena, const json_t *value)
{
    if (json_is_string(value))
        return arena_strdup(arena, json_string_value(value));
    if (!json_is_number(value) && !json_is_boolean(value))
        return NULL;
    char *dump = json_dumps(value, JSON_ENCODE_ANY);
    const char *text = dump != NULL ? arena_strdup(arena, dump) : NULL;
    free(dump);
    return text;
}

int json_params(const json_t *body, struct arena *arena, const struct pair **ret, size_t *ret_n, struct err *err)
{
    int code = 0;
    *ret = NULL;
    *ret_n = 0;
    json_t *params = json_object_get(body, "params");
    if (params != NULL && !json_is_null(params) && !json_is_object(params))
        code = err_set(err, ERR_INVALID, "the member 'params' is not an object of names and values");
    size_t n = code == 0 ? json_object_size(params) : 0;
    struct pair *pairs = arena_array(arena, struct pair, n);
    n = 0;
    const char *name;
    json_t *value;
    json_object_foreach(params, name, value) {
        if (code < 0)
            break;
        const char *text = param_text(arena, value);
        if (text == NULL)
            code = err_set(err, ERR_INVALID, "the value of 'params.%.60s' is not a text, a number, true or false", name);
        pairs[n++] = (struct pair){arena_strdup(arena, name), text};
    }
    if (code < 0)
        return code;
    *ret = pairs;
    *ret_n = n;
    return 0;
}

int body_params(struct http_request *http, struct arena *arena, const struct pair **ret, size_t *ret_n, struct err *err)
{
    json_t *json;
    int code = body_object(http, "params", &json, err);
    if (code == 0)
        code = json_params(json, arena, ret, ret_n, err);
    json_decref(json);
    return code;
}

static bool is_utf8(const char *text)
{
    const char *end = text + strlen(text);
    while (text < end) {
        size_t len = utf8_len(text, end);
        if (len == 0)
            return false;
        text += len;
    }
    return true;
}

bool query_params(struct http_request *http, struct arena *arena, const struct pair **ret, size_t *ret_n)
{
    size_t n = 0;
    while (http_query(http, "param", n) != NULL)
        n++;
    struct pair *pairs = arena_array(arena, struct pair, n);
    for (size_t i = 0; i < n; i++) {
        const char *text = http_query(http, "param", i), *equals = strchr(text, '=');
        if (equals == NULL || !is_utf8(text))
            return refuse(http, "the parameter param is '%.64s'; write it as NAME=VALUE", is_utf8(text) ? text : "");
        pairs[i] = (struct pair){arena_strndup(arena, text, (size_t)(equals - text)), arena_strdup(arena, equals + 1)};
    }
    *ret = pairs;
    *ret_n = n;
    return true;
}

int body_flag(struct http_request *http, const char *name, bool *ret, struct err *err)
{
    json_t *json;
    int code = body_object(http, name, &json, err);
    *ret = false;
    const json_t *value = json_object_get(json, name);
    if (code == 0 && json_is_boolean(value))
        *ret = json_is_true(value);
    else if (code == 0 && value != NULL && !json_is_null(value))
        code = err_set(err, ERR_INVALID, "the member '%s' is not true or false", name);
    json_decref(json);
    return code;
}
