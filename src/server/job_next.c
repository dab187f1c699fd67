// SPDX-License-Identifier: Apache-2.0
// The coming instants of a job, and what changes of the clocks do to them.
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/tz.h"
#include "codec/codec.h"
#include "codec/view_json.h"
#include "model/schedule.h"
#include "server/context.h"

#define DAY_SEC 86400

// The next instant of one trigger after `after`. Intervals count from `base`, an instant at which the job is known to fire.
static usec_t next_of(const struct trigger *trigger, usec_t base, usec_t after)
{
    return schedule_next(trigger, tz_find(trigger->zone != NULL ? trigger->zone : "UTC"), base, after);
}

static int64_t day_of(int64_t local_sec)
{
    return local_sec / DAY_SEC - (local_sec % DAY_SEC < 0);
}

// "02:30" of a reading.
static const char *clock_text(char buf[static 16], int64_t local_sec)
{
    int64_t sec = local_sec - day_of(local_sec) * DAY_SEC;
    snprintf(buf, 16, "%02d:%02d", (int)(sec / 3600), (int)(sec / 60 % 60));
    return buf;
}

// "2026-03-29T03:00:00+02:00".
static void add_local(struct buf *json, int64_t sec, int32_t offset_sec)
{
    int64_t local_sec = sec + offset_sec, year = 0;
    int month = 0, day = 0;
    civil_from_days(day_of(local_sec), &year, &month, &day);
    int64_t of_day = local_sec - day_of(local_sec) * DAY_SEC;
    int32_t minutes = (offset_sec < 0 ? -offset_sec : offset_sec) / 60;
    buf_printf(json, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", year, month, day, (int)(of_day / 3600), (int)(of_day / 60 % 60),
               (int)(of_day % 60), offset_sec < 0 ? '-' : '+', (int)(minutes / 60), (int)(minutes % 60));
}

// A change of the clocks on the local day of an instant.
struct clock_change {
    int64_t sec;
    int64_t from_local_sec, to_local_sec; // what the clocks would have shown at it, and what they show
};

static bool find_change(const struct tz *tz, int64_t sec, struct clock_change *ret)
{
    struct tz_segment at, other;
    tz_segment_at(tz, sec, &at);
    int64_t day = day_of(sec + at.offset_sec);
    if (at.start_sec != INT64_MIN) {
        tz_segment_at(tz, at.start_sec - 1, &other);
        *ret = (struct clock_change){at.start_sec, at.start_sec + other.offset_sec, at.start_sec + at.offset_sec};
        if (other.offset_sec != at.offset_sec && (day_of(ret->to_local_sec) == day || day_of(ret->from_local_sec - 1) == day))
            return true;
    }
    if (at.end_sec == INT64_MAX)
        return false;
    tz_segment_at(tz, at.end_sec, &other);
    *ret = (struct clock_change){at.end_sec, at.end_sec + at.offset_sec, at.end_sec + other.offset_sec};
    return other.offset_sec != at.offset_sec && (day_of(ret->from_local_sec) == day || day_of(ret->to_local_sec) == day);
}

// What the change of this day does to an instant of a cron trigger, as a sentence; false: the day has none.
static bool tell_change(const struct trigger *trigger, const struct tz *tz, usec_t instant, struct buf *ret)
{
    struct clock_change change;
    int64_t sec = instant / USEC_PER_SEC;
    if (!find_change(tz, sec, &change))
        return false;
    bool forward = change.to_local_sec > change.from_local_sec;
    bool wild = trigger->cron.hour_wild || trigger->cron.minute_wild;
    char from[16], to[16], missing[16];
    buf_printf(ret, "clocks go %s from %s to %s", forward ? "forward" : "back", clock_text(from, change.from_local_sec),
               clock_text(to, change.to_local_sec));
    if (forward && !wild && sec == change.sec) {
        // The reading that fell into the gap: on a calendar without zones it is the first one there.
        usec_t fell = cron_next(&trigger->cron, tz_find("UTC"), (change.from_local_sec - 1) * USEC_PER_SEC);
        if (fell != USEC_NEVER && fell / USEC_PER_SEC < change.to_local_sec)
            buf_printf(ret, "; %s does not exist, so it fires at the first instant after", clock_text(missing, fell / USEC_PER_SEC));
        return true;
    }
    int64_t first_sec = 0, last_sec = 0;
    if (tz_from_local(tz, sec + tz_offset(tz, sec), &first_sec, &last_sec) == TZ_TWICE)
        buf_adds(ret, wild ? "; this time comes twice, and it fires both times" : "; this time comes twice, and it fires the first time only");
    return true;
}

// One instant with the reading of a clock there; shown is the zone that was asked for, or NULL.
static void add_fire(struct buf *json, const struct trigger *trigger, const struct tz *shown, usec_t instant)
{
    char text[40];
    const struct tz *own = trigger->kind == TRIGGER_CRON ? tz_find(trigger->zone != NULL ? trigger->zone : "UTC") : tz_find("UTC");
    const struct tz *tz = shown != NULL ? shown : own;
    must(own != NULL && tz != NULL);
    buf_printf(json, "{\"at\":\"%s\",\"local\":\"", time_format(text, instant));
    add_local(json, instant / USEC_PER_SEC, tz_offset(tz, instant / USEC_PER_SEC));
    buf_adds(json, "\",\"zone\":");
    json_add_text(json, tz_name(tz));
    struct buf note = {0};
    if (trigger->kind == TRIGGER_CRON && tell_change(trigger, own, instant, &note)) {
        buf_adds(json, ",\"clocks\":");
        json_add_text(json, note.data);
    }
    buf_release(&note);
    buf_addc(json, '}');
}

static void add_instants(struct buf *json, const struct job_view *view, const struct job_spec *spec, const struct tz *shown, usec_t after, uint64_t n)
{
    struct buf fires = {0};
    buf_adds(json, "{\"instants\":[");
    for (uint64_t i = 0; i < n && view->state == JOB_ACTIVE; i++) {
        usec_t next = USEC_NEVER;
        size_t which = 0;
        for (size_t t = 0; t < spec->n_triggers; t++) {
            usec_t base = t < view->n_next ? view->next_each_usec[t] : USEC_NEVER;
            usec_t at = next_of(&spec->triggers[t], base, after);
            which = at < next ? t : which;
            next = usec_min(next, at);
        }
        if (next == USEC_NEVER)
            break;
        char text[40];
        buf_printf(json, "%s\"%s\"", i > 0 ? "," : "", time_format(text, next));
        buf_adds(&fires, i > 0 ? "," : "");
        add_fire(&fires, &spec->triggers[which], shown, next);
        after = next;
    }
    buf_printf(json, "],\"fires\":[%s]}\n", fires.len > 0 ? fires.data : "");
    buf_release(&fires);
}

void api_job_next(void *context, struct http_request *http)
{
    static const char *const names[] = {"n", "from", "zone", NULL};
    uint64_t n;
    usec_t from;
    struct job_view view;
    const struct job_spec *spec;
    if (!query_only(http, names) || !query_u64(http, "n", 1000, 20, &n) || !query_time(http, "from", clock_wall_usec(), &from))
        return;
    const char *zone = http_query(http, "zone", 0);
    const struct tz *shown = zone != NULL ? tz_find(zone) : NULL;
    if (zone != NULL && shown == NULL) {
        struct err err;
        err_set(&err, ERR_INVALID, "the parameter zone is '%.60s', which is no time zone of this server", zone);
        http_reply_error(http, ERR_INVALID, err.text);
        return;
    }
    struct request *request = request_find_job(context, http, &view, &spec);
    if (request == NULL)
        return;
    struct buf json = {0};
    add_instants(&json, &view, spec, shown, from, n);
    request_answer_durable(request, 200, &json);
}
