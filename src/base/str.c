// SPDX-License-Identifier: Apache-2.0
// Strings and whole numbers. Sizes, durations and cpus are in quantity.c.

#include "base/str.h"

#include <string.h>

#include "base/assert.h"

bool str_eq(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return strcmp(a, b) == 0;
}

bool str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
    size_t text_len = strlen(text);
    size_t suffix_len = strlen(suffix);
    return text_len >= suffix_len && memcmp(text + text_len - suffix_len, suffix, suffix_len) == 0;
}

int str_copy(char *ret, size_t size, const char *text)
{
    must(ret != NULL && text != NULL);
    size_t len = strlen(text);
    if (len >= size)
        return ERR_TOO_LARGE;
    memcpy(ret, text, len + 1);
    return 0;
}

int str_to_u64(const char *text, uint64_t *ret)
{
    if (text == NULL || text[0] == '\0')
        return ERR_INVALID;
    for (const char *p = text; *p != '\0'; p++)
        if (*p < '0' || *p > '9')
            return ERR_INVALID;
    uint64_t value = 0;
    for (const char *p = text; *p != '\0'; p++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return ERR_RANGE;
    *ret = value;
    return 0;
}

int str_to_i64(const char *text, int64_t *ret)
{
    if (text == NULL)
        return ERR_INVALID;
    bool negative = text[0] == '-';
    uint64_t magnitude = 0;
    int rc = str_to_u64(text + (negative ? 1 : 0), &magnitude);
    if (rc < 0)
        return rc;
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (magnitude > limit)
        return ERR_RANGE;
    // 0 - magnitude wraps to the right bits, also for INT64_MIN.
    *ret = (int64_t)(negative ? 0 - magnitude : magnitude);
    return 0;
}
