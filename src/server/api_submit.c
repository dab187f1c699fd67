// SPDX-License-Identifier: Apache-2.0
// Submitting work: ad hoc runs and reruns. A run that waits for runs which memory no longer holds asks the history about them first.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/str.h"
#include "codec/codec.h"
#include "codec/spec_parse.h"
#include "codec/view_json.h"
#include "model/params.h"
#include "server/context.h"

enum { KEY_BYTES_MAX = 255 };

struct submit_state {
    struct submission submission;
    struct past_run *past;
    size_t n_past;
};

static void replied(struct request *request, const struct fx_reply *reply)
{
    if (request_failed(request, reply))
        return;
    const struct submit_state *state = request->state;
    struct buf json = {0};
    if (state->submission.rerun_of != 0)
        buf_printf(&json, "{\"run_id\":%" PRIu64 ",\"rerun_of\":%" PRIu64 "}\n", reply->run_id, state->submission.rerun_of);
    else
        buf_printf(&json, "{\"run_id\":%" PRIu64 ",\"existing\":%s}\n", reply->run_id, reply->existing ? "true" : "false");
    request_answer(request, reply->existing ? 200 : 201, &json);
    buf_release(&json);
}

static void give(struct request *request)
{
    const struct submit_state *state = request->state;
    const struct submission *submission = &state->submission;
    struct buf packed = {0};
    spec_pack(&packed, submission->spec);
    struct event event = {
        .kind = EV_SUBMIT,
        .submit = {
            .spec = submission->spec,
            .packed = {(const uint8_t *)packed.data, packed.len},
            .idempotency_key = submission->idempotency_key,
            .rerun_of = submission->rerun_of,
            .job_id = submission->job_id,
            .job_version = submission->job_version,
            .held = submission->held,
            .params = submission->params,
            .n_params = submission->n_params,
            .past = state->past,
            .n_past = state->n_past,
        },
    };
    request_event(request, &event, replied);
    buf_release(&packed);
}

static int run_past(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct submit_state *state = request->state;
    struct arena arena = {0};
    int code = 0;
    for (size_t i = 0; i < state->n_past && code == 0; i++) {
        struct run_view view;
        code = history_run(history, state->past[i].run_id, &arena, &view, err);
        if (code == ERR_NOT_FOUND)
            code = err_set(err, ERR_INVALID, "after: there is no run %" PRIu64, state->past[i].run_id);
        else if (code == 0)
            state->past[i].state = view.state;
        arena_clear(&arena);
    }
    arena_release(&arena);
    return code;
}

static void done_past(struct history_read *read)
{
    struct request *request = request_of(read);
    if (read->code < 0)
        request_err(request, &read->err);
    else
        give(request);
}

void submit(struct request *request, const struct submission *submission)
{
    struct submit_state *state = arena_new(&request->arena, struct submit_state);
    state->submission = *submission;
    request->state = state;
    const struct job_spec *spec = submission->spec;
    if (spec->n_after > 0)
        state->past = arena_array(&request->arena, struct past_run, spec->n_after);
    for (size_t i = 0; i < spec->n_after; i++)
        if (!server_has_run(request->server, spec->after[i].run_id))
            state->past[state->n_past++].run_id = spec->after[i].run_id;
    if (state->n_past > 0)
        request_read(request, false, run_past, done_past);
    else
        give(request);
}

void answer_spec_errors(struct request *request, int code, const struct spec_errors *errors)
{
    char first[ERR_TEXT_MAX];
    char message[ERR_TEXT_MAX + 40];
    must(errors->n > 0);
    size_t n = errors->n + errors->n_more;
    spec_error_format(first, sizeof(first), &errors->item[0]);
    if (n == 1)
        snprintf(message, sizeof(message), "%s", first);
    else
        snprintf(message, sizeof(message), "%zu errors; the first: %s", n, first);
    struct buf json = {0};
    view_json_error(&json, code, message, errors);
    request_answer(request, err_http_status(code), &json);
    buf_release(&json);
}

// By its media type; without one, JSON is what begins with '{'.
static bool format_of(const char *type, const char *body, size_t len, enum spec_format *ret)
{
    size_t blank = strspn(body, " \t\r\n");
    *ret = blank < len && body[blank] == '{' ? SPEC_JSON : SPEC_YAML;
    if (type == NULL)
        return true;
    static const struct {
        const char *name;
        enum spec_format format;
    } known[] = {{"application/json", SPEC_JSON}, {"application/yaml", SPEC_YAML}, {"application/x-yaml", SPEC_YAML}, {"text/yaml", SPEC_YAML}};
    size_t type_len = strcspn(type, "; \t");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (type_len != strlen(known[i].name) || strncasecmp(type, known[i].name, type_len) != 0)
            continue;
        *ret = known[i].format;
        return true;
    }
    return false;
}

bool body_format(struct request *request, enum spec_format *ret)
{
    size_t len;
    const char *body = http_body(request->http, &len);
    if (format_of(http_field(request->http, "Content-Type"), body, len, ret))
        return true;
    request_error(request, ERR_MEDIA_TYPE, "it must be sent as Content-Type application/json or application/yaml");
    return false;
}

bool body_specs(struct request *request, enum spec_purpose purpose, struct job_spec ***ret_specs, size_t *ret_n)
{
    size_t len;
    const char *body = http_body(request->http, &len);
    enum spec_format format;
    if (!body_format(request, &format))
        return false;
    struct spec_errors errors;
    int code = spec_parse(body, len, format, purpose, request->server->limits, &request->arena, ret_specs, ret_n, &errors);
    if (code < 0)
        answer_spec_errors(request, code, &errors);
    return code == 0;
}

// The key of a request that may be repeated; answers when it cannot be one.
bool idempotency_key(struct request *request, const char **ret)
{
    const char *key = http_field(request->http, "Idempotency-Key");
    *ret = NULL;
    if (key == NULL)
        return true;
    if (key[0] == '\0' || strlen(key) > KEY_BYTES_MAX) {
        request_error(request, ERR_INVALID, "the field Idempotency-Key must have 1 to 255 characters");
        return false;
    }
    *ret = arena_strdup(&request->arena, key);
    return true;
}

void api_run_submit(void *context, struct http_request *http)
{
    struct server *server = context;
    static const char *const names[] = {"held", "param", NULL};
    struct submission submission = {0};
    if (!server_takes_work(server, http) || !query_only(http, names) || !query_flag(http, "held", &submission.held))
        return;
    struct request *request = request_new(server, http);
    if (!query_params(http, &request->arena, &submission.params, &submission.n_params)) {
        request_free(request);
        return;
    }
    if (!idempotency_key(request, &submission.idempotency_key))
        return;
    struct job_spec **specs;
    size_t n;
    if (!body_specs(request, SPEC_RUN, &specs, &n))
        return;
    must(n == 1);
    submission.spec = specs[0];
    submit(request, &submission);
}

// ---- doing a run again

struct rerun_state {
    uint64_t run_id;
    const char *idempotency_key;
    bool failed_only;
    bool live;
    struct run_view view;
    struct index_set tasks;
};

static int run_rerun(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct rerun_state *state = request->state;
    int code = 0;
    if (!state->live)
        code = history_run(history, state->run_id, &request->arena, &state->view, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "there is no run %" PRIu64, state->run_id);
    if (code == 0 && state->failed_only)
        code = history_unsuccessful(history, state->run_id, &request->arena, &state->tasks, err);
    return code;
}

static void rerun(struct request *request)
{
    struct rerun_state *state = request->state;
    const struct job_spec *old;
    struct err err = {0};
    if (spec_unpack(state->view.spec, &request->arena, &old, &err) < 0) {
        request_err(request, &err);
        return;
    }
    struct job_spec *spec = arena_new(&request->arena, struct job_spec);
    *spec = *old;
    // What it waited for has come; it runs as soon as there is room.
    spec->after = NULL;
    spec->n_after = 0;
    spec->start_at_usec = 0;
    if (state->failed_only)
        spec->tasks = state->tasks;
    if (spec->tasks.count == 0) {
        err_set(&err, ERR_CONFLICT, "every task of run %" PRIu64 " succeeded", state->run_id);
        request_err(request, &err);
        return;
    }
    const struct pair *params = NULL;
    size_t n_params = 0;
    if (params_unpack(state->view.params, &request->arena, &params, &n_params, &err) < 0) {
        request_err(request, &err);
        return;
    }
    struct submission submission = {
        .spec = spec,
        .params = params,
        .n_params = n_params,
        .idempotency_key = state->idempotency_key,
        .rerun_of = state->run_id,
        .job_id = state->view.job_id,
        .job_version = state->view.job_version,
    };
    submit(request, &submission);
}

static void done_rerun(struct history_read *read)
{
    struct request *request = request_of(read);
    if (read->code < 0)
        request_err(request, &read->err);
    else
        rerun(request);
}

void api_run_rerun(void *context, struct http_request *http)
{
    struct server *server = context;
    uint64_t run_id;
    if (!param_u64(http, 0, "run", &run_id) || !server_takes_work(server, http))
        return;
    struct request *request = request_new(server, http);
    struct rerun_state *state = arena_new(&request->arena, struct rerun_state);
    struct err err = {0};
    state->run_id = run_id;
    request->state = state;
    if (!idempotency_key(request, &state->idempotency_key))
        return;
    if (body_flag(http, "failed", &state->failed_only, &err) < 0) {
        request_err(request, &err);
        return;
    }
    state->live = core_view_run(engine_core(server->engine), run_id, &request->arena, &state->view) == 0;
    if (state->live && state->failed_only && !run_state_terminal(state->view.state)) {
        err_set(&err, ERR_CONFLICT, "run %" PRIu64 " has not ended, so which of its tasks will fail is not known", run_id);
        request_err(request, &err);
    } else if (state->live && !state->failed_only) {
        rerun(request);
    } else {
        request_read(request, state->failed_only, run_rerun, done_rerun);
    }
}
