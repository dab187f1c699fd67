// SPDX-License-Identifier: Apache-2.0
// Error values and the table behind them.

#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

// Each name in lower case as an array of its own, so that err_name can answer with static text. The constructor below
// folds them once, before main and before any thread.
#define ERR(name, number, http_status, exit_status, sentence) static char err_name_##name[] = #name;
#include "spec/errors.def"
#undef ERR

struct err_row {
    int code;
    int http_status;
    int exit_status;
    const char *name;
    const char *sentence;
};

static const struct err_row err_rows[] = {
#define ERR(name, number, http_status, exit_status, sentence) \
    {-(number), http_status, exit_status, err_name_##name, sentence},
#include "spec/errors.def"
#undef ERR
};

#define ERR(name, number, http_status, exit_status, sentence) \
    _Static_assert((number) > 0 && (http_status) >= 400 && (http_status) <= 599, "row " #name); \
    _Static_assert((exit_status) >= 64 && (exit_status) <= 78, "row " #name);
#include "spec/errors.def"
#undef ERR

static void fold(char *name)
{
    for (; *name != '\0'; name++)
        if (*name >= 'A' && *name <= 'Z')
            *name = (char)(*name - 'A' + 'a');
}

__attribute__((constructor)) static void fold_names(void)
{
#define ERR(name, number, http_status, exit_status, sentence) fold(err_name_##name);
#include "spec/errors.def"
#undef ERR
}

// Rows are numbered 1, 2, 3... without holes, which the first lookup of a wrong row would show.
static const struct err_row *err_row(int code)
{
    size_t count = sizeof(err_rows) / sizeof(err_rows[0]);
    if (code >= 0 || code < -(int)count)
        code = ERR_INTERNAL;
    const struct err_row *row = &err_rows[-code - 1];
    must(row->code == code);
    return row;
}

// Puts `text` where it belongs and cuts it so that no UTF-8 sequence is left half. `text` has `size` bytes, of which
// snprintf used all when it had more to say.
static void cut_utf8(char *text, size_t size, bool was_cut)
{
    if (!was_cut)
        return;
    size_t end = size - 1;
    size_t start = end;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    size_t have = end - (start - 1);
    if (want > have)
        text[start - 1] = '\0';
}

__attribute__((format(printf, 3, 0)))
static void err_fill(struct err *err, const char *tail, const char *fmt, va_list args)
{
    // Through a second buffer: arguments and tail may point into err->text.
    char text[ERR_TEXT_MAX];
    int len = vsnprintf(text, sizeof(text), fmt, args);
    if (len < 0) {
        text[0] = '\0';
        len = 0;
    }
    bool was_cut = (size_t)len >= sizeof(text);
    if (!was_cut && tail != NULL && tail[0] != '\0') {
        size_t left = sizeof(text) - (size_t)len;
        int more = snprintf(text + len, left, "%s%s", len > 0 ? ": " : "", tail);
        was_cut = more < 0 || (size_t)more >= left;
    }
    cut_utf8(text, sizeof(text), was_cut);
    memcpy(err->text, text, sizeof(text));
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    must(code < 0);
    if (err == NULL)
        return code;
    va_list args;
    va_start(args, fmt);
    err_fill(err, NULL, fmt, args);
    va_end(args);
    err->code = code;
    return code;
}

int err_wrap(struct err *err, int code, const char *fmt, ...)
{
    must(code < 0);
    if (err == NULL)
        return code;
    va_list args;
    va_start(args, fmt);
    err_fill(err, err->text, fmt, args);
    va_end(args);
    err->code = code;
    return code;
}

int err_errno(struct err *err, int code, const char *fmt, ...)
{
    must(code < 0);
    if (err == NULL)
        return code;
    int saved_errno = errno;
    char words[128];
    const char *tail = strerror_r(saved_errno, words, sizeof(words));
    va_list args;
    va_start(args, fmt);
    err_fill(err, tail, fmt, args);
    va_end(args);
    err->code = code;
    errno = saved_errno;
    return code;
}

void err_clear(struct err *err)
{
    if (err == NULL)
        return;
    err->code = ERR_OK;
    err->text[0] = '\0';
}

const char *err_name(int code)
{
    return code == ERR_OK ? "ok" : err_row(code)->name;
}

const char *err_sentence(int code)
{
    return code == ERR_OK ? "It worked." : err_row(code)->sentence;
}

int err_http_status(int code)
{
    return code == ERR_OK ? 200 : err_row(code)->http_status;
}

int err_exit_status(int code)
{
    return code == ERR_OK ? 0 : err_row(code)->exit_status;
}

int err_from_name(const char *name)
{
    if (name == NULL)
        return ERR_INTERNAL;
    if (strcmp(name, "ok") == 0)
        return ERR_OK;
    for (size_t i = 0; i < sizeof(err_rows) / sizeof(err_rows[0]); i++)
        if (strcmp(name, err_rows[i].name) == 0)
            return err_rows[i].code;
    return ERR_INTERNAL;
}

int err_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return ERR_OK;
    case ENOENT:
    case ESRCH:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERR_STORE_FULL;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case EMFILE:
    case ENFILE:
        return ERR_LIMIT;
    case EFBIG:
    case E2BIG:
        return ERR_TOO_LARGE;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EAGAIN:
        return ERR_AGAIN;
    case EINTR:
        return ERR_INTERRUPTED;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_UNAVAILABLE;
    case EPIPE:
    case ECONNRESET:
        return ERR_CLOSED;
    case EINVAL:
        return ERR_INVALID;
    case EOPNOTSUPP:
    case ENOSYS:
        return ERR_UNSUPPORTED;
    default:
        return ERR_IO;
    }
}
