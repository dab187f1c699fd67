// SPDX-License-Identifier: Apache-2.0
// The API of what is not as it should be: conditions of jobs, and why a job does not fire.
#include <inttypes.h>

#include "base/clock.h"
#include "codec/view_json.h"
#include "server/context.h"

void api_conditions(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"after", "max", NULL};
    uint64_t after;
    size_t max;
    if (!query_only(http, names) || !query_u64(http, "after", UINT64_MAX, 0, &after) || !query_max(server, http, 100, &max))
        return;
    struct request *request = request_new(server, http);
    struct condition_view *views;
    uint64_t next_after = 0;
    size_t n = core_conditions(engine_core(server->engine), after, max, clock_wall_usec(), &request->arena, &views, &next_after);
    struct buf json = {0};
    view_json_conditions(&json, views, n, next_after);
    buf_addc(&json, '\n');
    request_answer_durable(request, 200, &json);
}

void api_job_why(void *context, struct http_request *http)
{
    struct server *server = context;
    struct job_view view;
    const struct job_spec *spec;
    struct request *request = request_find_job(server, http, &view, &spec);
    if (request == NULL)
        return;
    const struct core *core = engine_core(server->engine);
    usec_t now = clock_wall_usec();
    struct why_view why = {0};
    core_view_conditions(core, now, &request->arena, &view);
    (void)core_why_job(core, view.namespace_name, view.name, now, &request->arena, &why);
    struct buf json = {0};
    view_json_why_job(&json, &why, view.conditions, view.n_conditions);
    buf_addc(&json, '\n');
    request_answer_durable(request, 200, &json);
}
