// SPDX-License-Identifier: Apache-2.0
// Sizes, durations and cpus as people write them, read digit by digit: no floating point, so the same everywhere.

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/str.h"

// At most 9 decimals are read: more would be noise, and 10^9 times any unit still fits in 128 bits.
#define DECIMALS_MAX 9

struct decimal {
    uint64_t whole;
    uint64_t fraction; // in units of 10^-digits
    unsigned digits;
};

static uint64_t power_of_ten(unsigned digits)
{
    must(digits <= DECIMALS_MAX);
    uint64_t power = 1;
    for (unsigned i = 0; i < digits; i++)
        power *= 10;
    return power;
}

// Reads "12" or "12.5" at *text and moves *text behind it.
static int decimal_parse(const char **text, struct decimal *ret)
{
    struct decimal value = {0};
    const char *p = *text;
    if (*p < '0' || *p > '9')
        return ERR_INVALID;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value.whole, 10, &value.whole) ||
            __builtin_add_overflow(value.whole, (uint64_t)(*p - '0'), &value.whole))
            return ERR_RANGE;
    if (*p == '.') {
        p++;
        if (*p < '0' || *p > '9')
            return ERR_INVALID;
        for (; *p >= '0' && *p <= '9'; p++) {
            if (value.digits == DECIMALS_MAX)
                return ERR_RANGE;
            value.fraction = value.fraction * 10 + (uint64_t)(*p - '0');
            value.digits++;
        }
    }
    *text = p;
    *ret = value;
    return 0;
}

// value * unit, rounded down; ERR_RANGE when it is more than `max`.
static int decimal_scale(const struct decimal *value, uint64_t unit, uint64_t max, uint64_t *ret)
{
    unsigned __int128 product = (unsigned __int128)value->whole * unit;
    product += (unsigned __int128)value->fraction * unit / power_of_ten(value->digits);
    if (product > max)
        return ERR_RANGE;
    *ret = (uint64_t)product;
    return 0;
}

// The unit of a size: "" B K Ki KiB KB and so on; 0 when there is no such unit.
static uint64_t size_unit(const char *suffix)
{
    static const char letters[] = "kmgtpe";
    if (suffix[0] == '\0' || strcasecmp(suffix, "b") == 0)
        return 1;
    char first = (char)(suffix[0] | 0x20);
    const char *found = strchr(letters, first);
    if (found == NULL)
        return 0;
    uint64_t base = 0;
    const char *rest = suffix + 1;
    if (rest[0] == '\0' || strcasecmp(rest, "i") == 0 || strcasecmp(rest, "ib") == 0)
        base = 1024;
    else if (strcasecmp(rest, "b") == 0)
        base = 1000;
    else
        return 0;
    uint64_t unit = 1;
    for (const char *p = letters; p <= found; p++)
        unit *= base;
    return unit;
}

int size_parse(const char *text, uint64_t *ret_bytes, struct err *err)
{
    if (text == NULL)
        return err_set(err, ERR_INVALID, "a size is missing");
    const char *p = text;
    struct decimal value = {0};
    int rc = decimal_parse(&p, &value);
    uint64_t unit = rc == 0 ? size_unit(p) : 0;
    if (rc == ERR_INVALID || (rc == 0 && unit == 0))
        return err_set(err, ERR_INVALID, "'%.40s' is not a size; write bytes (512) or a unit (64K, 1.5GiB, 100MB)", text);
    uint64_t bytes = 0;
    if (rc == 0)
        rc = decimal_scale(&value, unit, UINT64_MAX, &bytes);
    if (rc < 0)
        return err_set(err, rc, "the size '%.40s' is out of range", text);
    *ret_bytes = bytes;
    return 0;
}

char *size_format(char buf[static 32], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned index = 0;
    while (index < 6 && (bytes >> (10 * (index + 1))) != 0)
        index++;
    unsigned shift = 10 * index;
    uint64_t whole = bytes >> shift;
    uint64_t rest = bytes - (whole << shift);
    // rest < 2^60, so ten times it fits.
    unsigned tenth = (unsigned)((rest * 10) >> shift);
    if (index == 0 || tenth == 0)
        snprintf(buf, 32, "%llu%s", (unsigned long long)whole, units[index]);
    else
        snprintf(buf, 32, "%llu.%u%s", (unsigned long long)whole, tenth, units[index]);
    return buf;
}

struct duration_unit {
    const char *name;
    usec_t usec;
};

static const struct duration_unit duration_units[] = {
    {"us", 1},
    {"ms", USEC_PER_MSEC},
    {"s", USEC_PER_SEC},
    {"m", USEC_PER_MIN},
    {"h", USEC_PER_HOUR},
    {"d", USEC_PER_DAY},
    {"w", 7 * USEC_PER_DAY},
};

// The unit whose name is the letters at *text, which moves behind them; 0 when there is none.
static usec_t duration_unit(const char **text)
{
    size_t len = strspn(*text, "abcdefghijklmnopqrstuvwxyz");
    for (size_t i = 0; i < sizeof(duration_units) / sizeof(duration_units[0]); i++) {
        const char *name = duration_units[i].name;
        if (strlen(name) == len && memcmp(name, *text, len) == 0) {
            *text += len;
            return duration_units[i].usec;
        }
    }
    return 0;
}

static int duration_sum(const char *text, usec_t *ret)
{
    const char *p = text;
    uint64_t total = 0;
    do {
        bool is_first = p == text;
        struct decimal value = {0};
        int rc = decimal_parse(&p, &value);
        if (rc < 0)
            return rc;
        usec_t unit = is_first && *p == '\0' ? USEC_PER_SEC : duration_unit(&p);
        if (unit == 0)
            return ERR_INVALID;
        uint64_t part = 0;
        // USEC_NEVER itself is not a duration that can be written down.
        rc = decimal_scale(&value, (uint64_t)unit, (uint64_t)USEC_NEVER - 1, &part);
        if (rc < 0)
            return rc;
        total += part;
        if (total >= (uint64_t)USEC_NEVER)
            return ERR_RANGE;
    } while (*p != '\0');
    *ret = (usec_t)total;
    return 0;
}

int duration_parse(const char *text, usec_t *ret, struct err *err)
{
    if (text == NULL)
        return err_set(err, ERR_INVALID, "a duration is missing");
    usec_t duration = 0;
    int rc = duration_sum(text, &duration);
    if (rc == ERR_INVALID)
        return err_set(err, rc, "'%.40s' is not a duration; write seconds (90) or units (1h30m, 250ms, 2d)", text);
    if (rc < 0)
        return err_set(err, rc, "the duration '%.40s' is out of range", text);
    *ret = duration;
    return 0;
}

// Writes "3", "3.25" (value / unit without trailing zeros) and `suffix` at buf + len; returns the new length.
static int put_decimal(char *buf, int len, usec_t value, usec_t unit, const char *suffix)
{
    int digits = unit == USEC_PER_SEC ? 6 : unit == USEC_PER_MSEC ? 3 : 0;
    usec_t fraction = value % unit;
    while (digits > 0 && fraction % 10 == 0) {
        fraction /= 10;
        digits--;
    }
    if (digits == 0)
        return len + snprintf(buf + len, (size_t)(32 - len), "%lld%s", (long long)(value / unit), suffix);
    return len + snprintf(buf + len, (size_t)(32 - len), "%lld.%0*lld%s", (long long)(value / unit), digits,
                          (long long)fraction, suffix);
}

char *duration_format(char buf[static 32], usec_t duration)
{
    if (duration == USEC_NEVER) {
        snprintf(buf, 32, "never");
        return buf;
    }
    int len = 0;
    if (duration < 0) {
        buf[len++] = '-';
        duration = duration == INT64_MIN ? INT64_MAX : -duration;
    }
    int signs = len;
    static const struct duration_unit big[] = {{"d", USEC_PER_DAY}, {"h", USEC_PER_HOUR}, {"m", USEC_PER_MIN}};
    for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); i++) {
        if (duration >= big[i].usec) {
            len = put_decimal(buf, len, duration - duration % big[i].usec, big[i].usec, big[i].name);
            duration %= big[i].usec;
        }
    }
    if (duration >= USEC_PER_SEC || (len > signs && duration > 0) || (len == signs && duration == 0))
        len = put_decimal(buf, len, duration, USEC_PER_SEC, "s");
    else if (duration >= USEC_PER_MSEC)
        len = put_decimal(buf, len, duration, USEC_PER_MSEC, "ms");
    else if (duration > 0)
        len = put_decimal(buf, len, duration, 1, "us");
    must(len < 32);
    return buf;
}

int cpu_parse(const char *text, uint64_t *ret_millis, struct err *err)
{
    if (text == NULL)
        return err_set(err, ERR_INVALID, "a number of cpus is missing");
    const char *p = text;
    struct decimal value = {0};
    int rc = decimal_parse(&p, &value);
    bool is_millis = rc == 0 && strcmp(p, "m") == 0;
    bool is_whole = rc == 0 && p[0] == '\0';
    bool too_fine = rc == 0 && (value.digits > 3 || (is_millis && value.digits > 0));
    if (rc == ERR_INVALID || (rc == 0 && ((!is_millis && !is_whole) || too_fine)))
        return err_set(err, ERR_INVALID, "'%.40s' is not a number of cpus; write 2, 1.5 or thousandths (250m)", text);
    uint64_t millis = 0;
    if (rc == 0)
        rc = decimal_scale(&value, is_millis ? 1 : 1000, INT64_MAX, &millis);
    if (rc < 0)
        return err_set(err, rc, "the number of cpus '%.40s' is out of range", text);
    *ret_millis = millis;
    return 0;
}

char *cpu_format(char buf[static 32], uint64_t millis)
{
    unsigned long long whole = millis / 1000;
    unsigned rest = (unsigned)(millis % 1000);
    if (whole == 0 && rest != 0) {
        snprintf(buf, 32, "%um", rest);
        return buf;
    }
    int digits = 3;
    while (digits > 0 && rest % 10 == 0) {
        rest /= 10;
        digits--;
    }
    if (digits == 0)
        snprintf(buf, 32, "%llu", whole);
    else
        snprintf(buf, 32, "%llu.%0*u", whole, digits, rest);
    return buf;
}
