// SPDX-License-Identifier: Apache-2.0
// Nominal times and data intervals for commands. See exec/launch_time.h.
#include "exec/launch_time.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/tz.h"
#include "model/params.h"
#include "model/schedule.h"

static const struct tz *zone_of(const struct trigger *trigger)
{
    return tz_find(trigger->zone != NULL ? trigger->zone : "UTC");
}

void launch_times_init(struct launch_times *times, const struct job_spec *spec, usec_t nominal_usec)
{
    must(times != NULL && spec != NULL);
    *times = (struct launch_times){.nominal_usec = nominal_usec, .tz = tz_find("UTC")};
    if (nominal_usec == 0 || spec->n_triggers == 0)
        return;
    if (zone_of(&spec->triggers[0]) != NULL)
        times->tz = zone_of(&spec->triggers[0]);
    usec_t latest = USEC_NEVER;
    for (size_t i = 0; i < spec->n_triggers; i++) {
        const struct trigger *trigger = &spec->triggers[i];
        if ((trigger->kind == TRIGGER_EVERY && spec->n_triggers > 1) || trigger->kind == TRIGGER_AFTER_END)
            return; // the instants before this one are not known
        // An interval has this instant on its lattice, so any beginning of the same remainder will do.
        usec_t first = trigger->kind == TRIGGER_EVERY ? nominal_usec % trigger->every_usec : 0;
        usec_t before = schedule_prev(trigger, zone_of(trigger), first, nominal_usec);
        if (before != USEC_NEVER && (latest == USEC_NEVER || before > latest))
            latest = before;
    }
    times->has_interval = latest != USEC_NEVER;
    times->interval_usec = times->has_interval ? latest : 0;
}

int launch_times_too_long(struct err *err)
{
    return err_set(err, ERR_TOO_LARGE, "with what stands for {{...}} the command or a variable becomes longer than any program can be given");
}

int launch_times_params(struct launch_times *times, struct arena *arena, struct bytes packed, struct err *err)
{
    must(times != NULL && times->n_params == 0);
    const struct pair *raw = NULL;
    size_t n = 0;
    int rc = params_unpack(packed, arena, &raw, &n, err);
    if (rc < 0)
        return rc;
    struct pair *values = arena_array(arena, struct pair, n);
    for (size_t i = 0; i < n; i++) {
        values[i] = (struct pair){raw[i].key, launch_times_expand(times, arena, raw[i].value)};
        if (values[i].value == NULL)
            return launch_times_too_long(err);
    }
    times->params = values;
    times->n_params = n;
    return 0;
}

static const char *date_text(struct arena *arena, const struct tz *tz, usec_t instant)
{
    int64_t sec = instant / USEC_PER_SEC;
    int64_t local_sec = sec + tz_offset(tz, sec);
    int64_t year = 0;
    int month = 0, day = 0;
    civil_from_days(local_sec / 86400 - (local_sec % 86400 < 0), &year, &month, &day);
    return arena_printf(arena, "%04" PRId64 "-%02d-%02d", year, month, day);
}

static const char *param_of(const struct launch_times *times, const char *name, size_t len)
{
    for (size_t i = 0; i < times->n_params; i++)
        if (strlen(times->params[i].key) == len && memcmp(times->params[i].key, name, len) == 0)
            return times->params[i].value;
    return NULL;
}

// What stands for a name of len bytes, or NULL.
static const char *value_of(const struct launch_times *times, struct arena *arena, const char *name, size_t len)
{
    static const char params[] = "params.";
    if (len >= sizeof(params) - 1 && memcmp(name, params, sizeof(params) - 1) == 0)
        return param_of(times, name + sizeof(params) - 1, len - (sizeof(params) - 1));
    static const char date[] = ".date";
    bool dated = len > sizeof(date) - 1 && memcmp(name + len - (sizeof(date) - 1), date, sizeof(date) - 1) == 0;
    if (dated)
        len -= sizeof(date) - 1;
    bool start = len == 14 && memcmp(name, "interval.start", 14) == 0;
    bool end = len == 12 && memcmp(name, "interval.end", 12) == 0;
    bool nominal = len == 7 && memcmp(name, "nominal", 7) == 0;
    if (!(nominal ? times->nominal_usec != 0 : (start || end) && times->has_interval))
        return NULL;
    usec_t instant = start ? times->interval_usec : times->nominal_usec;
    char text[40];
    return dated ? date_text(arena, times->tz, instant) : arena_strdup(arena, time_format(text, instant));
}

// Takes bytes from what a launch may still fill in; false when there are not so many left.
static bool take_bytes(struct launch_times *times, size_t len)
{
    if (len > LAUNCH_FILLED_BYTES_MAX - times->filled_bytes)
        return false;
    times->filled_bytes += len;
    return true;
}

const char *launch_times_expand(struct launch_times *times, struct arena *arena, const char *text)
{
    must(times != NULL && arena != NULL && text != NULL);
    struct buf done = {0}; // what has been replaced so far
    const char *from = text;
    bool fits = true;
    for (const char *open = strstr(text, "{{"); open != NULL && fits; open = strstr(open, "{{")) {
        const char *name = open + 2, *close = name + strcspn(name, "{}"); // a name holds neither, so each byte is looked at once
        const char *value = close[0] == '}' && close[1] == '}' ? value_of(times, arena, name, (size_t)(close - name)) : NULL;
        if (value == NULL) {
            open += 2;
            continue;
        }
        fits = take_bytes(times, strlen(value));
        if (fits)
            buf_printf(&done, "%.*s%s", (int)(open - from), from, value);
        from = open = close + 2;
    }
    const char *ret = text;
    if (!fits)
        ret = NULL;
    else if (from != text)
        ret = arena_printf(arena, "%s%s", done.data, from);
    buf_release(&done);
    return ret;
}
