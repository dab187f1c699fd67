// SPDX-License-Identifier: Apache-2.0
// Output of a task: read from the node that ran the attempt, through its session. With follow=1 a stream that goes on until nothing more can
// come: it asks the node again when it has told what it got and the reader has taken it, sooner while output is coming.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/str.h"
#include "server/context.h"

enum {
    READ_BYTES = 256 * 1024,      // of one read while following, and when max is not given
    READ_BYTES_MAX = 1024 * 1024, // of one answer
    POLL_USEC = 200000,           // between two looks at a task that says nothing
    PATIENCE_USEC = 60000000,     // that a node may be away while its output is followed
};

struct log_state {
    struct request *request;
    uint64_t run_id;
    uint32_t index;
    uint32_t attempt; // 0: the latest
    uint32_t stream;
    uint64_t offset;
    uint32_t max_bytes;
    bool follow;
    bool streaming;    // the head of the answer has left
    char *node;        // that ran the attempt
    bool under_way;    // the attempt may still write
    uint64_t output_bytes; // of both streams of an attempt that has ended; UINT64_MAX: not known
    bool other;        // the read is of the other stream
    uint64_t reading;  // number of the read at the node; 0: none
    bool in_history;   // asks the history
    usec_t away_mono_usec; // since when the node has not answered; 0: it does
    struct loop_timer timer;
    struct task_view *attempts;
    size_t n_attempts;
};

static void ask(struct log_state *log);

static void add_number(struct http_request *http, const char *field, uint64_t value)
{
    char number[24];
    snprintf(number, sizeof(number), "%" PRIu64, value);
    http_add_field(http, field, number);
}

static void begin_stream(struct log_state *log)
{
    if (!log->streaming) {
        add_number(log->request->http, "Muster-Offset", log->offset);
        http_stream_begin(log->request->http, 200, "text/plain; charset=utf-8");
    }
    log->streaming = true;
}

// Ends in whatever way; `whole` tells the reader of a stream that this was all.
static void log_end(struct log_state *log, bool whole)
{
    struct request *request = log->request;
    struct http_request *http = request->http;
    must(!log->in_history);
    if (log->reading != 0)
        agents_log_forget(request->server->agents, log->reading);
    loop_timer_release(&log->timer);
    if (http != NULL)
        begin_stream(log);
    request_free(request);
    if (http != NULL && whole)
        http_stream_end(http);
    else if (http != NULL)
        http_stream_abort(http);
}

static void log_fail(struct log_state *log, int code, const char *text)
{
    if (log->streaming) {
        log_end(log, false);
        return;
    }
    loop_timer_release(&log->timer);
    request_error(log->request, code, text);
}

static void on_log_gone(void *context)
{
    struct log_state *log = context;
    log->request->http = NULL;
    if (!log->in_history)
        log_end(log, false);
}

static void on_timer(void *context)
{
    ask(context);
}

static void on_drained(void *context)
{
    struct log_state *log = context;
    ask(log);
}

static void ask_later(struct log_state *log)
{
    begin_stream(log);
    loop_timer_set(&log->timer, clock_mono_usec() + POLL_USEC);
}

static void answer(struct log_state *log, const struct wire_log_data *data)
{
    struct http_request *http = log->request->http;
    add_number(http, "Muster-Offset", data->offset);
    add_number(http, "Muster-End", data->end);
    http_add_field(http, "Muster-Final", data->final ? "1" : "0");
    loop_timer_release(&log->timer);
    request_free(log->request);
    http_reply(http, 200, "text/plain; charset=utf-8", data->data.data, data->data.len);
}

// One answer of the node while following.
static void follow(struct log_state *log, const struct wire_log_data *data)
{
    struct http_request *http = log->request->http;
    if (data->offset > log->offset) {
        // What lies between was dropped by the limit of the log. Only a head can say so: a stream that has begun breaks off, and the
        // reader, who asks again for what it has not got, is told then.
        if (log->streaming) {
            log_end(log, false);
            return;
        }
        log->offset = data->offset;
    }
    begin_stream(log);
    if (data->data.len > 0 && !http_stream_write(http, data->data.data, data->data.len)) {
        log->request->http = NULL;
        log_end(log, false);
        return;
    }
    log->offset = data->offset + data->data.len;
    if (data->final && log->offset >= data->end) {
        log_end(log, true);
    } else if (data->data.len > 0) {
        http_stream_when_drained(http, on_drained, log);
    } else {
        ask_later(log);
    }
}

static void ask_node(struct log_state *log);

static void answer_nothing(struct log_state *log, bool final)
{
    answer(log, &(struct wire_log_data){.offset = log->offset, .end = 0, .final = final});
}

// The node has no file of this stream: it gets one with its first byte, and loses it when old output makes room for new. What the attempt
// wrote in all, which its end tells, says which of the two it is.
static void without_file(struct log_state *log, const struct wire_log_data *data)
{
    if (log->under_way || log->output_bytes == 0) {
        answer_nothing(log, !log->under_way);
    } else if (log->other && data->code == 0 && data->end >= log->output_bytes) {
        answer_nothing(log, true);
    } else if (!log->other && log->output_bytes != UINT64_MAX) {
        log->other = true;
        ask_node(log);
    } else {
        char text[200];
        snprintf(text, sizeof(text), "the output of attempt %" PRIu32 " of task %" PRIu32 " of run %" PRIu64 " is not kept on node %.64s any more",
                 log->attempt, log->index, log->run_id, log->node);
        log_fail(log, ERR_NOT_FOUND, text);
    }
}

static void on_log_data(void *context, const struct wire_log_data *data)
{
    struct log_state *log = context;
    log->reading = 0;
    if (!log->follow && (log->other ? data->code == 0 || data->code == ERR_NOT_FOUND : data->code == ERR_NOT_FOUND)) {
        without_file(log, data);
        return;
    }
    if (data->code == 0) {
        log->away_mono_usec = 0;
        if (log->follow)
            follow(log, data);
        else
            answer(log, data);
        return;
    }
    // An attempt that is under way may not have written yet, and a node that is away may come back.
    usec_t now = clock_mono_usec();
    bool away = data->code != ERR_NOT_FOUND;
    if (away && log->away_mono_usec == 0)
        log->away_mono_usec = now;
    bool patient = away ? now - log->away_mono_usec < PATIENCE_USEC : log->under_way;
    if (log->follow && patient)
        ask_later(log);
    else if (log->follow && !away)
        log_end(log, true); // nothing of this attempt was kept: an empty output
    else
        log_fail(log, data->code, data->text);
}

static void ask_node(struct log_state *log)
{
    struct wire_log_read read = {
        .run_id = log->run_id,
        .index = log->index,
        .attempt = log->attempt,
        .stream = log->other ? 1 - log->stream : log->stream,
        .offset = log->other ? 0 : log->offset,
        .max_bytes = log->other ? 1 : log->max_bytes,
    };
    log->reading = agents_log_read(log->request->server->agents, log->node, &read, on_log_data, log);
}

static int run_attempts(struct history_read *read, struct history *history, struct err *err)
{
    struct request *request = request_of(read);
    struct log_state *log = request->state;
    int code = history_attempts(history, log->run_id, log->index, &request->arena, &log->attempts, &log->n_attempts, err);
    if (code == ERR_NOT_FOUND || (code == 0 && log->n_attempts == 0))
        return err_set(err, ERR_NOT_FOUND, "task %" PRIu32 " of run %" PRIu64 " has had no attempt", log->index, log->run_id);
    return code;
}

static void done_attempts(struct history_read *read)
{
    struct request *request = request_of(read);
    struct log_state *log = request->state;
    log->in_history = false;
    if (request->http == NULL) {
        log_end(log, false);
        return;
    }
    if (read->code < 0) {
        log_fail(log, read->code, read->err.text);
        return;
    }
    const struct task_view *found = NULL;
    for (size_t i = 0; i < log->n_attempts; i++)
        if (log->attempt == 0 || log->attempts[i].attempt == log->attempt)
            found = &log->attempts[i];
    if (found == NULL || found->node == NULL) {
        char text[160];
        snprintf(text, sizeof(text), "task %" PRIu32 " of run %" PRIu64 " has had no attempt %" PRIu32, log->index, log->run_id, log->attempt);
        log_fail(log, ERR_NOT_FOUND, text);
        return;
    }
    log->attempt = found->attempt;
    log->under_way = !found->ended && !task_state_terminal(found->state);
    log->output_bytes = found->ended && found->end.outcome != OUTCOME_LOST ? found->end.usage.output_bytes : UINT64_MAX;
    log->node = arena_strdup(&request->arena, found->node);
    ask_node(log);
}

// Finds out which node to ask, then asks it.
static void ask(struct log_state *log)
{
    struct request *request = log->request;
    struct server *server = request->server;
    struct arena arena = {0};
    struct task_view view;
    bool live = core_view_task(engine_core(server->engine), log->run_id, log->index, &arena, &view) == 0;
    bool current = live && !task_state_terminal(view.state) && view.attempt > 0 && (log->attempt == 0 || log->attempt == view.attempt);
    if (current && view.node != NULL) {
        log->attempt = view.attempt;
        if (log->node == NULL || strcmp(log->node, view.node) != 0)
            log->node = arena_strdup(&request->arena, view.node);
    }
    log->under_way = current;
    bool to_come = live && !task_state_terminal(view.state) && (view.attempt == 0 || log->attempt > view.attempt);
    arena_release(&arena);
    if (log->node != NULL) {
        ask_node(log);
    } else if (to_come && log->follow) {
        ask_later(log);
    } else if (to_come) {
        log_fail(log, ERR_NOT_FOUND, "the task has not been started yet; ?follow=1 waits for it");
    } else {
        log->in_history = true;
        request_read(request, true, run_attempts, done_attempts);
    }
}

// Answers when the parameters are not right.
static bool parse(struct http_request *http, struct log_state *log)
{
    static const char *const names[] = {"stream", "attempt", "offset", "max", "follow", NULL};
    uint64_t index, attempt, max;
    if (!query_only(http, names) || !param_u64(http, 0, "run", &log->run_id) || !param_u64(http, 1, "task", &index) ||
        !query_u64(http, "attempt", UINT32_MAX, 0, &attempt) || !query_u64(http, "offset", INT64_MAX, 0, &log->offset) ||
        !query_u64(http, "max", UINT64_MAX, READ_BYTES, &max) || !query_flag(http, "follow", &log->follow))
        return false;
    const char *stream = http_query(http, "stream", 0);
    if (stream != NULL && !str_eq(stream, "stdout") && !str_eq(stream, "stderr")) {
        http_reply_error(http, ERR_INVALID, "the parameter stream must be stdout or stderr");
        return false;
    }
    if (index > UINT32_MAX) {
        http_reply_error(http, ERR_NOT_FOUND, "no run has a task with such an index");
        return false;
    }
    log->index = (uint32_t)index;
    log->attempt = (uint32_t)attempt;
    log->stream = str_eq(stream, "stderr") ? 1 : 0;
    log->max_bytes = max < READ_BYTES_MAX ? (uint32_t)max : READ_BYTES_MAX;
    return true;
}

void api_task_log(void *context, struct http_request *http)
{
    struct server *server = context;
    struct log_state parsed = {0};
    if (!parse(http, &parsed))
        return;
    struct request *request = request_new(server, http);
    struct log_state *log = arena_new(&request->arena, struct log_state);
    *log = parsed;
    log->request = request;
    log->output_bytes = UINT64_MAX;
    request->state = log;
    loop_timer_init(&log->timer, server->loop, on_timer, log);
    http_on_gone(http, on_log_gone, log);
    if (log->follow)
        log->max_bytes = READ_BYTES;
    ask(log);
}
