// SPDX-License-Identifier: Apache-2.0
// The API of calendars.
#include <inttypes.h>

#include "base/assert.h"
#include "base/clock.h"
#include "codec/calendar_parse.h"
#include "codec/json_put.h"
#include "codec/view_json.h"
#include "server/context.h"

static void replied_put(struct request *request, const struct fx_reply *reply)
{
    if (request_failed(request, reply))
        return;
    struct buf json = {0};
    buf_printf(&json, "{\"version\":%" PRIu32 ",\"changed\":%s}\n", reply->version, reply->existing ? "false" : "true");
    request_answer(request, reply->existing ? 200 : 201, &json);
    buf_release(&json);
}

// What would be stored, beside what is there.
static void answer_dry(struct request *request, const struct calendar *calendar)
{
    struct calendar_view there;
    struct err err = {0};
    bool exists = core_view_calendar(engine_core(request->server->engine), calendar->name, &request->arena, &there) == 0;
    bool same = exists && calendar_same(&there.calendar, calendar);
    if (limits_check(request->server->limits, LIMIT_CALENDAR_DATES, (int64_t)calendar->n_dates, "the number of dates", &err) < 0) {
        request_err(request, &err);
        return;
    }
    struct buf json = {0};
    buf_printf(&json, "{\"version\":%" PRIu32 ",\"changed\":%s}\n", (exists ? there.version : 0) + !same, same ? "false" : "true");
    request_answer_durable(request, 200, &json);
}

void api_calendar_put(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"dry_run", "if_version", NULL};
    bool dry_run;
    uint64_t if_version;
    if (!query_only(http, names) || !query_flag(http, "dry_run", &dry_run) || !query_u64(http, "if_version", UINT32_MAX, 0, &if_version) ||
        (!dry_run && !server_takes_work(server, http)))
        return;
    struct request *request = request_new(server, http);
    enum spec_format format;
    if (!body_format(request, &format))
        return;
    size_t len;
    const char *body = http_body(http, &len);
    struct calendar *calendar;
    struct spec_errors errors;
    int code = calendar_parse(http_param(http, 0), body, len, format, server->limits, &request->arena, &calendar, &errors);
    if (code < 0) {
        answer_spec_errors(request, code, &errors);
        return;
    }
    if (dry_run) {
        answer_dry(request, calendar);
        return;
    }
    struct event event = {.kind = EV_CALENDAR_PUT, .calendar_put = {.calendar = calendar, .expect_version = (uint32_t)if_version}};
    request_event(request, &event, replied_put);
}

void api_calendars(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"after", "max", NULL};
    size_t max;
    if (!query_only(http, names) || !query_max(server, http, 100, &max))
        return;
    const char *after = http_query(http, "after", 0);
    struct request *request = request_new(server, http);
    struct calendar_view *views;
    size_t n = core_view_calendars(engine_core(server->engine), after, max, &request->arena, &views);
    struct buf out = {0};
    struct json_put json;
    json_put_begin(&json, &out);
    json_put_open(&json, NULL, '{');
    json_put_open(&json, "calendars", '[');
    for (size_t i = 0; i < n; i++)
        view_json_calendar(&json, &views[i], false);
    json_put_close(&json, ']');
    json_put_text(&json, "next_after", n == max ? views[n - 1].calendar.name : NULL);
    json_put_close(&json, '}');
    buf_addc(&out, '\n');
    request_answer_durable(request, 200, &out);
}

void api_calendar(void *context, struct http_request *http)
{
    struct server *server = context;
    struct request *request = request_new(server, http);
    struct calendar_view view;
    if (core_view_calendar(engine_core(server->engine), http_param(http, 0), &request->arena, &view) < 0) {
        struct err err;
        err_set(&err, ERR_NOT_FOUND, "there is no calendar '%.128s'", http_param(http, 0));
        request_err(request, &err);
        return;
    }
    struct buf out = {0};
    struct json_put json;
    json_put_begin(&json, &out);
    view_json_calendar(&json, &view, true);
    buf_addc(&out, '\n');
    request_answer_durable(request, 200, &out);
}

static void replied_delete(struct request *request, const struct fx_reply *reply)
{
    if (request_failed(request, reply))
        return;
    struct buf json = {0};
    buf_adds(&json, "{}\n");
    request_answer(request, 200, &json);
    buf_release(&json);
}

void api_calendar_delete(void *context, struct http_request *http)
{
    struct request *request = request_new(context, http);
    struct event event = {.kind = EV_CALENDAR_DELETE, .calendar_delete = {.name = http_param(http, 0)}};
    request_event(request, &event, replied_delete);
}
