// SPDX-License-Identifier: Apache-2.0
// The coming instants of a job, and what changes of the clocks do to them.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/sort.h"
#include "base/tz.h"
#include "codec/codec.h"
#include "codec/view_json.h"
#include "model/schedule.h"
#include "server/context.h"

#define DAY_SEC 86400

enum { LEFT_OUT_DAYS_MAX = 1000 }; // told of between two instants

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
    const struct tz *own = tz_find(trigger->zone != NULL ? trigger->zone : "UTC");
    const struct tz *tz = shown != NULL ? shown : own;
    must(own != NULL && tz != NULL);
    buf_printf(json, "{\"at\":\"%s\",\"local\":\"", time_format(text, instant));
    add_local(json, instant / USEC_PER_SEC, tz_offset(tz, instant / USEC_PER_SEC));
    buf_adds(json, "\",\"own_local\":\"");
    add_local(json, instant / USEC_PER_SEC, tz_offset(own, instant / USEC_PER_SEC));
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

// One schedule on its way through the coming instants.
struct coming {
    const struct core *core;
    const struct trigger *trigger;
    const struct tz *tz;
    usec_t base; // an instant at which the job is known to fire, from which intervals count
    struct day_set left_out;
    usec_t next_usec, left_out_usec; // as of schedule_next_open()
};

static void coming_next(struct coming *coming, usec_t after)
{
    coming->next_usec = schedule_next_open(coming->trigger, coming->tz, coming->base, &coming->left_out, after, &coming->left_out_usec);
}

// Days in a row that are left out for one reason.
struct left_out {
    int32_t first_day, last_day;
    int64_t n; // instants
    bool endless; // it goes on, as far as one looks
    const char *why;
};

struct left_outs {
    struct arena *arena;
    struct left_out *item;
    size_t n, cap;
};

static struct left_out *add_days(struct left_outs *left_outs, const char *why, int32_t day)
{
    if (left_outs->n == left_outs->cap) {
        left_outs->cap = left_outs->cap > 0 ? 2 * left_outs->cap : 16;
        struct left_out *more = arena_array(left_outs->arena, struct left_out, left_outs->cap);
        if (left_outs->n > 0)
            memcpy(more, left_outs->item, left_outs->n * sizeof(*more));
        left_outs->item = more;
    }
    struct left_out *item = &left_outs->item[left_outs->n++];
    *item = (struct left_out){.first_day = day, .last_day = day, .why = why};
    return item;
}

// Tells of the days whose instants are left out before the next one, each with its reason; of a stretch without an end, of its beginning.
static void add_left_out(struct left_outs *left_outs, const struct coming *coming)
{
    if (coming->left_out_usec == USEC_NEVER)
        return;
    struct left_out *item = NULL;
    usec_t at = coming->left_out_usec;
    for (int days = 0; at < coming->next_usec && days < LEFT_OUT_DAYS_MAX; days++) {
        int32_t day = schedule_day(coming->tz, at);
        const char *why = core_view_why_left_out(coming->core, coming->trigger, day, left_outs->arena);
        int64_t first_sec = 0, last_sec = 0;
        (void)tz_from_local(coming->tz, (int64_t)(day + 1) * DAY_SEC, &first_sec, &last_sec);
        usec_t last = usec_min(last_sec * USEC_PER_SEC, coming->next_usec) - 1;
        if (item == NULL || why == NULL || strcmp(item->why, why) != 0)
            item = add_days(left_outs, why != NULL ? why : "a calendar", day);
        item->last_day = day;
        item->n += schedule_count(coming->trigger, coming->tz, coming->base, at - 1, last);
        at = schedule_next(coming->trigger, coming->tz, coming->base, last);
    }
    if (item != NULL)
        item->endless = coming->next_usec == USEC_NEVER && at != USEC_NEVER;
}

static int by_first_day(const void *a, const void *b)
{
    const struct left_out *x = a, *y = b;
    if (x->first_day != y->first_day)
        return x->first_day < y->first_day ? -1 : 1;
    return x->last_day < y->last_day ? -1 : x->last_day > y->last_day;
}

static void print_left_outs(struct buf *json, struct left_outs *left_outs)
{
    sort_items(left_outs->item, left_outs->n, sizeof(*left_outs->item), by_first_day);
    for (size_t i = 0; i < left_outs->n; i++) {
        const struct left_out *item = &left_outs->item[i];
        char first[16], last[16];
        buf_printf(json, "%s{\"from\":\"%s\",", i > 0 ? "," : "", date_format(first, item->first_day));
        if (item->endless)
            buf_adds(json, "\"to\":null,\"count\":null,\"why\":");
        else
            buf_printf(json, "\"to\":\"%s\",\"count\":%" PRId64 ",\"why\":", date_format(last, item->last_day), item->n);
        json_add_text(json, item->why);
        buf_addc(json, '}');
    }
}

// The coming instants, of all schedules together, and what is left out up to the last of them.
static void add_instants(struct buf *json, const char *tz_version, struct coming *coming, size_t n_coming, const struct tz *shown, uint64_t n, struct arena *arena)
{
    struct buf fires = {0};
    struct left_outs left_outs = {.arena = arena};
    buf_adds(json, "{\"tz_database\":");
    json_add_text(json, tz_version);
    buf_adds(json, ",\"instants\":[");
    uint64_t i = 0;
    for (; i < n; i++) {
        struct coming *first = NULL;
        for (size_t t = 0; t < n_coming; t++)
            if (coming[t].next_usec != USEC_NEVER && (first == NULL || coming[t].next_usec < first->next_usec))
                first = &coming[t];
        if (first == NULL)
            break;
        usec_t next = first->next_usec;
        char text[40];
        buf_printf(json, "%s\"%s\"", i > 0 ? "," : "", time_format(text, next));
        buf_adds(&fires, i > 0 ? "," : "");
        add_fire(&fires, first->trigger, shown, next);
        for (size_t t = 0; t < n_coming; t++) {
            if (coming[t].next_usec != next)
                continue;
            add_left_out(&left_outs, &coming[t]);
            coming_next(&coming[t], next);
        }
    }
    for (size_t t = 0; t < n_coming && i < n; t++)
        add_left_out(&left_outs, &coming[t]);
    buf_printf(json, "],\"fires\":[%s],\"left_out\":[", fires.len > 0 ? fires.data : "");
    print_left_outs(json, &left_outs);
    buf_adds(json, "]}\n");
    buf_release(&fires);
}

static struct coming *coming_of(const struct core *core, const struct job_view *view, const struct job_spec *spec, usec_t after, struct arena *arena, size_t *ret_n)
{
    struct coming *coming = arena_array(arena, struct coming, spec->n_triggers);
    *ret_n = view->state == JOB_ACTIVE ? spec->n_triggers : 0;
    for (size_t t = 0; t < *ret_n; t++) {
        const struct trigger *trigger = &spec->triggers[t];
        coming[t] = (struct coming){.core = core,
                                    .trigger = trigger,
                                    .tz = tz_find(trigger->zone != NULL ? trigger->zone : "UTC"),
                                    .base = t < view->n_next ? view->next_each_usec[t] : USEC_NEVER};
        int rc = core_view_left_out(core, trigger, arena, &coming[t].left_out, NULL);
        must(rc == 0); // a calendar that is named cannot be deleted
        coming_next(&coming[t], after);
    }
    return coming;
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
    size_t n_coming;
    struct coming *coming = coming_of(engine_core(request->server->engine), &view, spec, from, &request->arena, &n_coming);
    add_instants(&json, request->server->tz_version, coming, n_coming, shown, n, &request->arena);
    request_answer_durable(request, 200, &json);
}
