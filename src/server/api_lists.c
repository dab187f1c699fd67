// SPDX-License-Identifier: Apache-2.0
// Lists of runs: a page, and the export of all. Both come from the history, once it has caught up with what was decided before the
// question; of runs that have not ended, the live state is shown.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "codec/view_json.h"
#include "server/context.h"

enum { EXPORT_PAGE = 500, LABELS_MAX = 16 };

struct list_state {
    struct run_filter filter;
    struct run_view *runs;
    size_t n;
    struct arena page; // of the export: what one page took
    struct buf lines;  // of the export: of that page
    bool more;
};

static uint32_t live_states(void)
{
    uint32_t mask = 0;
    for (int state = 0; state < RUN_STATES; state++)
        if (!run_state_terminal((enum run_state)state))
            mask |= 1u << state;
    return mask;
}

static int parse_states(const char *text, struct arena *arena, uint32_t *ret_mask, struct err *err)
{
    char *rest = arena_strdup(arena, text);
    while (rest != NULL) {
        char *name = rest;
        rest = strchr(name, ',');
        if (rest != NULL)
            *rest++ = '\0';
        int state = run_state_from_name(name);
        if (state < 0)
            return err_set(err, ERR_INVALID, "the parameter state: there is no state '%.32s' of a run", name);
        *ret_mask |= 1u << state;
    }
    return 0;
}

static int parse_labels(struct http_request *http, struct arena *arena, struct run_filter *filter, struct err *err)
{
    size_t n = 0;
    while (http_query(http, "label", n) != NULL)
        n++;
    if (n > LABELS_MAX)
        return err_set(err, ERR_INVALID, "at most %d parameters label are allowed", LABELS_MAX);
    struct pair *labels = arena_array(arena, struct pair, n);
    for (size_t i = 0; i < n; i++) {
        char *key = arena_strdup(arena, http_query(http, "label", i));
        char *value = strchr(key, '=');
        if (value == NULL || value == key)
            return err_set(err, ERR_INVALID, "the parameter label is '%.64s'; allowed: key=value", key);
        *value++ = '\0';
        for (size_t j = 0; j < i; j++)
            if (strcmp(labels[j].key, key) == 0)
                return err_set(err, ERR_INVALID, "the parameter label names '%.64s' twice; a run has one value of a label", key);
        labels[i] = (struct pair){key, value};
    }
    filter->labels = labels;
    filter->n_labels = n;
    return 0;
}

// Reads the filters, into memory of the request's own; answers when they are not right.
static bool parse_filter(struct server *server, struct http_request *http, struct arena *arena, struct run_filter *ret)
{
    static const char *const names[] = {"job",   "namespace", "state", "node", "label", "since", "until", "before", "max", "live", NULL};
    bool live;
    if (!query_only(http, names) || !query_time(http, "since", 0, &ret->since_usec) || !query_time(http, "until", 0, &ret->until_usec) ||
        !query_u64(http, "before", UINT64_MAX, 0, &ret->before) || !query_max(server, http, 100, &ret->max) || !query_flag(http, "live", &live))
        return false;
    ret->job_name = arena_strdup(arena, http_query(http, "job", 0));
    ret->namespace_name = arena_strdup(arena, http_query(http, "namespace", 0));
    ret->node = arena_strdup(arena, http_query(http, "node", 0));
    struct err err = {0};
    const char *states = http_query(http, "state", 0);
    if ((states != NULL && parse_states(states, arena, &ret->states, &err) < 0) || parse_labels(http, arena, ret, &err) < 0) {
        http_reply_error(http, err.code, err.text);
        return false;
    }
    if (live)
        ret->states = ret->states != 0 ? ret->states & live_states() : live_states();
    return true;
}

// Says so in the log, once for each page.
static void log_damaged(uint64_t run_id, size_t n)
{
    if (n > 0)
        log_error("the history holds rows of runs that are damaged; they are left out of lists", "run=%" PRIu64 " runs=%zu", run_id, n);
}

// Whether nothing is known of a run: its row is damaged, and it is not in memory.
static bool is_lost(struct server *server, const struct run_view *run)
{
    return run->damaged && !server_has_run(server, run->run_id);
}

// Prints a run that the history knows, as it is now, behind `before`. Prints nothing when it no longer is one that was asked for.
static bool print_fresh(struct server *server, const struct run_filter *filter, const struct run_view *run, const char *before, struct buf *out)
{
    struct run_view live;
    struct arena arena = {0}; // of one run only: its view has a copy of its spec
    if (core_view_run(engine_core(server->engine), run->run_id, &arena, &live) == 0)
        run = &live;
    bool wanted = filter->states == 0 || (filter->states & 1u << run->state) != 0;
    if (wanted) {
        buf_adds(out, before);
        view_json_run(out, run, NULL);
    }
    arena_release(&arena);
    return wanted;
}

static int run_page(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct list_state *state = request->state;
    return history_runs(history, &state->filter, &state->page, &state->runs, &state->n, err);
}

static void done_page(struct history_read *read)
{
    struct request *request = request_of(read);
    struct list_state *state = request->state;
    if (read->code < 0) {
        arena_release(&state->page);
        request_err(request, &read->err);
        return;
    }
    struct buf json = {0};
    buf_adds(&json, "{\"runs\":[");
    const char *before = "";
    size_t n_damaged = 0;
    uint64_t damaged = 0;
    struct buf ids = {0};
    for (size_t i = 0; i < state->n; i++) {
        if (is_lost(request->server, &state->runs[i])) {
            damaged = state->runs[i].run_id;
            buf_printf(&ids, "%s%" PRIu64, n_damaged++ > 0 ? "," : "", damaged);
        } else if (print_fresh(request->server, &state->filter, &state->runs[i], before, &json)) {
            before = ",";
        }
    }
    log_damaged(damaged, n_damaged);
    buf_adds(&json, "]");
    if (n_damaged > 0)
        buf_printf(&json, ",\"damaged\":[%s]", ids.data);
    buf_release(&ids);
    if (state->n == state->filter.max)
        buf_printf(&json, ",\"next_before\":%" PRIu64 "}\n", state->runs[state->n - 1].run_id);
    else
        buf_adds(&json, ",\"next_before\":null}\n");
    arena_release(&state->page);
    request_answer_durable(request, 200, &json);
}

static struct request *list_request(struct server *server, struct http_request *http)
{
    struct request *request = request_new(server, http);
    struct list_state *state = arena_new(&request->arena, struct list_state);
    request->state = state;
    if (parse_filter(server, http, &request->arena, &state->filter))
        return request;
    request->http = NULL; // answered
    request_free(request);
    return NULL;
}

void api_runs(void *server, struct http_request *http)
{
    struct request *request = list_request(server, http);
    if (request != NULL)
        request_read(request, true, run_page, done_page);
}

// ---- the export: page by page, the next one when the reader has taken most of the last

static void next_export_page(void *context);

static void end_export(struct request *request, bool whole)
{
    struct http_request *http = request->http;
    struct list_state *state = request->state;
    arena_release(&state->page);
    buf_release(&state->lines);
    request_free(request);
    if (http != NULL && whole)
        http_stream_end(http);
    else if (http != NULL)
        http_stream_abort(http);
}

static void on_export_gone(void *context)
{
    struct request *request = context;
    request->http = NULL;
    end_export(request, false);
}

static void on_export_durable(void *context)
{
    struct request *request = context;
    struct list_state *state = request->state;
    if (request->http != NULL && !http_stream_write(request->http, state->lines.data, state->lines.len))
        request->http = NULL;
    if (request->http == NULL || !state->more) {
        end_export(request, true);
        return;
    }
    // Nothing else holds the request until the reader has taken the page: its end has to be noticed here.
    http_on_gone(request->http, on_export_gone, request);
    http_stream_when_drained(request->http, next_export_page, request);
}

static void done_export_page(struct history_read *read)
{
    struct request *request = request_of(read);
    struct list_state *state = request->state;
    if (read->code < 0 || request->http == NULL) {
        end_export(request, false);
        return;
    }
    buf_clear(&state->lines);
    size_t n_damaged = 0;
    uint64_t damaged = 0;
    for (size_t i = 0; i < state->n; i++) {
        if (is_lost(request->server, &state->runs[i])) {
            damaged = state->runs[i].run_id;
            n_damaged++;
            buf_printf(&state->lines, "{\"run_id\":%" PRIu64 ",\"damaged\":true}\n", damaged);
        } else if (print_fresh(request->server, &state->filter, &state->runs[i], "", &state->lines)) {
            buf_addc(&state->lines, '\n');
        }
    }
    log_damaged(damaged, n_damaged);
    state->more = state->n == state->filter.max;
    if (state->more)
        state->filter.before = state->runs[state->n - 1].run_id;
    arena_clear(&state->page);
    engine_after(request->server->engine, engine_position(request->server->engine), on_export_durable, request);
}

static void next_export_page(void *context)
{
    struct request *request = context;
    struct list_state *state = request->state;
    request_listen(request);
    request_read(request, state->filter.before == 0, run_page, done_export_page);
}

void api_export(void *context, struct http_request *http)
{
    struct request *request = list_request(context, http);
    if (request == NULL)
        return;
    struct list_state *state = request->state;
    state->filter.max = EXPORT_PAGE;
    http_stream_begin(http, 200, "application/x-ndjson");
    next_export_page(request);
}
