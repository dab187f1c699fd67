// SPDX-License-Identifier: Apache-2.0
// Values of parameters: checks, defaults, packed form. See model/params.h.
#include "model/params.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

const char *param_name_problem(const char *name, size_t bytes_max)
{
    must(name != NULL);
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t len = strlen(name);
    if (len == 0)
        return "is empty";
    if (len > bytes_max)
        return "is longer than name_bytes_max allows";
    if (strspn(name, first) == 0)
        return "does not begin with a letter or underscore";
    return strspn(name, others) == len ? NULL : "holds something else than letters, digits and underscores";
}

const struct param *param_find(const struct param *declared, size_t n_declared, const char *name, size_t len)
{
    for (size_t i = 0; i < n_declared; i++)
        if (strlen(declared[i].name) == len && memcmp(declared[i].name, name, len) == 0)
            return &declared[i];
    return NULL;
}

static const char *given_value(const struct pair *given, size_t n_given, const char *name)
{
    for (size_t i = 0; i < n_given; i++)
        if (strcmp(given[i].key, name) == 0)
            return given[i].value;
    return NULL;
}

static bool has_control(const char *value)
{
    for (const char *p = value; *p != '\0'; p++)
        if (((unsigned char)*p < 0x20 && *p != '\t' && *p != '\n') || *p == 0x7f)
            return true;
    return false;
}

static int refuse_unknown(const struct param *declared, size_t n_declared, const char *name, struct err *err)
{
    if (n_declared == 0)
        return err_set(err, ERR_INVALID, "params: there is no parameter '%.60s'; the job declares none (its field params would)", name);
    struct buf names = {0};
    for (size_t i = 0; i < n_declared && names.len < 100; i++)
        buf_printf(&names, "%s%.40s", i > 0 ? ", " : "", declared[i].name);
    int rc = err_set(err, ERR_INVALID, "params: there is no parameter '%.60s'; the job has %s", name, names.data);
    buf_release(&names);
    return rc;
}

int params_check(const struct param *declared, size_t n_declared, const struct pair *given, size_t n_given, const struct limits *limits,
                 struct err *err)
{
    must(limits != NULL && (declared != NULL || n_declared == 0) && (given != NULL || n_given == 0));
    for (size_t i = 0; i < n_given; i++) {
        const char *name = given[i].key;
        if (param_find(declared, n_declared, name, strlen(name)) == NULL)
            return refuse_unknown(declared, n_declared, name, err);
        if (given_value(given, i, name) != NULL)
            return err_set(err, ERR_INVALID, "params: '%.60s' is given twice; give one value", name);
        if (has_control(given[i].value))
            return err_set(err, ERR_INVALID, "params: the value of '%.60s' holds a control character; only tabs and line ends may be in it", name);
        struct err inner = {0};
        if (limits_check(limits, LIMIT_PARAM_BYTES, (int64_t)strlen(given[i].value), "its value", &inner) < 0)
            return err_set(err, ERR_LIMIT, "params: '%.60s': %s; pass the name of a file instead", name, inner.text);
    }
    for (size_t i = 0; i < n_declared; i++)
        if (declared[i].required && given_value(given, n_given, declared[i].name) == NULL)
            return err_set(err, ERR_INVALID, "params: '%.60s' is required; give it a value: --param %.60s=VALUE, the field params of a request, or params of a schedule",
                           declared[i].name, declared[i].name);
    return 0;
}

void params_fill(const struct param *declared, size_t n_declared, const struct pair *given, size_t n_given, struct buf *ret)
{
    must(ret != NULL);
    struct writer writer;
    writer_init(&writer, ret);
    for (size_t i = 0; i < n_declared; i++) {
        must(i == 0 || strcmp(declared[i - 1].name, declared[i].name) < 0);
        const char *value = given_value(given, n_given, declared[i].name);
        value = value != NULL ? value : declared[i].value;
        if (value == NULL)
            continue;
        writer_blob(&writer, declared[i].name, strlen(declared[i].name));
        writer_blob(&writer, value, strlen(value));
    }
}

int params_unpack(struct bytes packed, struct arena *arena, const struct pair **ret_values, size_t *ret_n, struct err *err)
{
    must(arena != NULL && ret_values != NULL && ret_n != NULL);
    struct reader reader;
    // Twice over the bytes: to count, then to fill.
    size_t n = 0, len = 0;
    reader_init(&reader, packed.data, packed.len);
    for (; reader_left(&reader) > 0; n++) {
        const uint8_t *name = reader_blob(&reader, &len);
        if (name == NULL || len == 0 || memchr(name, '\0', len) != NULL)
            reader.bad = true;
        const uint8_t *value = reader_blob(&reader, &len);
        if (value == NULL || memchr(value, '\0', len) != NULL)
            reader.bad = true;
    }
    if (!reader_done(&reader))
        return err_set(err, ERR_PROTOCOL, "these bytes are no values of parameters");
    struct pair *values = arena_array(arena, struct pair, n);
    reader_init(&reader, packed.data, packed.len);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *name = reader_blob(&reader, &len);
        values[i].key = arena_strndup(arena, (const char *)name, len);
        const uint8_t *value = reader_blob(&reader, &len);
        values[i].value = arena_strndup(arena, (const char *)value, len);
        if (i > 0 && strcmp(values[i - 1].key, values[i].key) >= 0)
            return err_set(err, ERR_PROTOCOL, "the values of parameters are not in order");
    }
    *ret_values = values;
    *ret_n = n;
    return 0;
}
