// SPDX-License-Identifier: Apache-2.0
// Answers LOG_READ.

#include "agent/log_reads.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "exec/executor.h"

// How long it waits for the session's queue to drain.
#define LOG_READS_REST_USEC (2 * USEC_PER_MSEC)

struct log_reads {
    struct log_reads_options options;
    struct wire_log_read waiting[LOG_READS_WAITING_MAX]; // a ring
    size_t first, n;
    struct loop_timer timer;
    struct buf data;
};

static void log_reads_fail(struct log_reads *logs, const struct wire_log_read *request, const struct err *err)
{
    struct wire_message message = {.kind = WIRE_LOG_DATA};
    message.log_data = (struct wire_log_data){
        .request = request->request, .code = err->code, .text = err->text, .offset = request->offset, .end = request->offset, .final = true};
    logs->options.send(logs->options.context, &message);
}

static void log_reads_answer(struct log_reads *logs, const struct wire_log_read *request)
{
    struct err err = {0};
    struct wire_message message = {.kind = WIRE_LOG_DATA};
    struct wire_log_data *data = &message.log_data;
    data->request = request->request;
    if (request->stream > LOG_STDERR) {
        err_set(&err, ERR_INVALID, "there is no stream %u", request->stream);
        log_reads_fail(logs, request, &err);
        return;
    }
    size_t max = request->max_bytes < LOG_READS_CHUNK_BYTES ? request->max_bytes : LOG_READS_CHUNK_BYTES;
    buf_clear(&logs->data);
    int rc = log_read(logs->options.folder, request->run_id, request->index, request->attempt, (enum log_stream)request->stream,
                      request->offset, max, &logs->data, &data->offset, &data->end, &data->final, &err);
    if (rc < 0) {
        err.code = rc;
        log_reads_fail(logs, request, &err);
        return;
    }
    data->text = "";
    data->data = (struct bytes){.data = (const uint8_t *)logs->data.data, .len = logs->data.len};
    logs->options.send(logs->options.context, &message);
}

static void log_reads_work(void *context)
{
    struct log_reads *logs = context;
    for (int i = 0; i < LOG_READS_TURN && logs->n > 0; i++) {
        if (logs->options.queued(logs->options.context) > LOG_READS_QUEUE_BYTES)
            break;
        struct wire_log_read request = logs->waiting[logs->first];
        logs->first = (logs->first + 1) % LOG_READS_WAITING_MAX;
        logs->n--;
        log_reads_answer(logs, &request);
    }
    if (logs->n > 0) {
        bool full = logs->options.queued(logs->options.context) > LOG_READS_QUEUE_BYTES;
        loop_timer_set(&logs->timer, clock_mono_usec() + (full ? LOG_READS_REST_USEC : 0));
    }
}

struct log_reads *log_reads_new(const struct log_reads_options *options)
{
    must(options->send != NULL && options->queued != NULL && options->folder != NULL);
    struct log_reads *logs = mem_alloc(sizeof(*logs));
    logs->options = *options;
    loop_timer_init(&logs->timer, options->loop, log_reads_work, logs);
    buf_init(&logs->data);
    return logs;
}

void log_reads_free(struct log_reads *logs)
{
    if (logs == NULL)
        return;
    loop_timer_release(&logs->timer);
    buf_release(&logs->data);
    mem_free(logs);
}

void log_reads_request(struct log_reads *logs, const struct wire_log_read *request)
{
    if (logs->n == LOG_READS_WAITING_MAX) {
        struct err err = {0};
        err_set(&err, ERR_AGAIN, "too many readers of output wait for this node");
        log_reads_fail(logs, request, &err);
        return;
    }
    logs->waiting[(logs->first + logs->n) % LOG_READS_WAITING_MAX] = *request;
    logs->n++;
    if (logs->n == 1)
        loop_timer_set(&logs->timer, clock_mono_usec());
}

void log_reads_clear(struct log_reads *logs)
{
    logs->n = 0;
    loop_timer_set(&logs->timer, USEC_NEVER);
}
