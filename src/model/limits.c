// SPDX-License-Identifier: Apache-2.0
// Named limits, made from spec/limits.def.
#include "model/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

const struct limit_row limit_rows[LIMITS] = {
#define LIMIT(NAME, text, unit, value, least, most, sentence) {text, UNIT_##unit, value, least, most, sentence},
#include "spec/limits.def"
};

#define LIMIT(NAME, text, unit, value, least, most, sentence) \
    _Static_assert((least) <= (value) && (value) <= (most), "default of " text " is out of its bounds");
#include "spec/limits.def"

void limits_init(struct limits *limits)
{
    must(limits != NULL);
    for (int i = 0; i < LIMITS; i++)
        limits->value[i] = limit_rows[i].value;
}

static int limit_parse(enum limit_unit unit, const char *text, int64_t *ret, struct err *err)
{
    uint64_t number = 0;
    switch (unit) {
    case UNIT_USEC:
        return duration_parse(text, ret, err);
    case UNIT_BYTES: {
        int rc = size_parse(text, &number, err);
        if (rc < 0)
            return rc;
        break;
    }
    case UNIT_COUNT:
    case UNIT_PERMILLE:
        if (str_to_u64(text, &number) < 0)
            return err_set(err, ERR_INVALID, "'%s' is not a whole number", text);
        break;
    default:
        unreachable();
    }
    if (number > INT64_MAX)
        return err_set(err, ERR_RANGE, "'%s' is too large", text);
    *ret = (int64_t)number;
    return 0;
}

int limits_set(struct limits *limits, const char *name, const char *text, struct err *err)
{
    must(limits != NULL && name != NULL && text != NULL);
    for (int i = 0; i < LIMITS; i++) {
        const struct limit_row *row = &limit_rows[i];
        if (strcmp(row->name, name) != 0)
            continue;
        int64_t value = 0;
        int rc = limit_parse(row->unit, text, &value, err);
        if (rc < 0)
            return err_wrap(err, rc, "setting %s", name);
        if (value < row->least || value > row->most) {
            char least[40], most[40];
            return err_set(err, ERR_INVALID, "setting %s: %s is outside %s to %s", name, text,
                           limit_format(least, (enum limit_id)i, row->least),
                           limit_format(most, (enum limit_id)i, row->most));
        }
        limits->value[i] = value;
        return 0;
    }
    return err_set(err, ERR_NOT_FOUND, "there is no setting '%s'; `muster help settings` lists them", name);
}

int limits_check(const struct limits *limits, enum limit_id id, int64_t value, const char *what, struct err *err)
{
    must(limits != NULL && what != NULL);
    must((int)id >= 0 && id < LIMITS);
    if (value <= limits->value[id])
        return 0;
    char have[40], most[40];
    limit_format(have, id, value);
    limit_format(most, id, limits->value[id]);
    // Rounded, a size just above the limit reads as the limit itself.
    if (strcmp(have, most) == 0) {
        const char *unit = limit_rows[id].unit == UNIT_BYTES ? " bytes" : limit_rows[id].unit == UNIT_USEC ? " microseconds" : "";
        snprintf(have, sizeof(have), "%" PRId64 "%s", value, unit);
        snprintf(most, sizeof(most), "%" PRId64 "%s", limits->value[id], unit);
    }
    return err_set(err, ERR_LIMIT, "%s is %s, more than %s allows (%s)", what, have, limit_rows[id].name, most);
}

const char *limit_format(char buf[static 40], enum limit_id id, int64_t value)
{
    must((int)id >= 0 && id < LIMITS);
    switch (limit_rows[id].unit) {
    case UNIT_USEC:
        return duration_format(buf, value);
    case UNIT_BYTES:
        return size_format(buf, (uint64_t)value);
    case UNIT_COUNT:
    case UNIT_PERMILLE:
        snprintf(buf, 40, "%" PRId64, value);
        return buf;
    }
    unreachable();
}
