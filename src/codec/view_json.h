// SPDX-License-Identifier: Apache-2.0
// The answers of the API about runs, tasks, nodes and jobs, as one JSON value appended to a buf, without a newline. What is not known is
// null and never left out. Times are RFC 3339 in UTC.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "codec/json_put.h"
#include "codec/spec_errors.h"
#include "model/view.h"

// A text in quotes; NULL is null. Bytes that are not UTF-8 become U+FFFD.
void json_add_text(struct buf *out, const char *text);

// spec: what the run does, as the member "spec"; NULL: without that member.
void view_json_run(struct buf *out, const struct run_view *view, const struct job_spec *spec);
void view_json_task(struct buf *out, const struct task_view *view);
void view_json_node(struct buf *out, const struct node_view *view);
// spec: of this version, for its schedules, and as the member "spec" if with_spec; may be NULL when it is not known.
void view_json_job(struct buf *out, const struct job_view *view, const struct job_spec *spec, bool with_spec);
// dates: its dates and the jobs that name it, too. What stands under "dates" can be given back as a calendar.
void view_json_calendar(struct json_put *json, const struct calendar_view *view, bool dates);
void view_json_why_job(struct buf *, const struct why_view *, const struct condition_view *, size_t n);
// {"conditions": [...], "next_after": id or null}
void view_json_conditions(struct buf *, const struct condition_view *, size_t n, uint64_t next_after);
void view_json_backfill(struct buf *out, const struct backfill_view *view);
void view_json_why(struct buf *out, const struct why_view *view);

// A spec in the form of a job file; what has its default is left out. Parsing it again as SPEC_JOB gives the same spec.
void view_json_spec(struct buf *out, const struct job_spec *spec);

// {"error":{"code":"invalid","message":...,"details":[...]}}; errors: NULL for none. "details_more" behind the details says how many
// errors there are besides. Ends with a newline.
void view_json_error(struct buf *out, int code, const char *message, const struct spec_errors *errors);
