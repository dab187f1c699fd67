// SPDX-License-Identifier: Apache-2.0
// Streams over libcurl's multi interface: they break off when the server goes away and are taken up again by themselves.

#include <poll.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/client_private.h"

#define RECONNECT_FIRST_USEC (50 * USEC_PER_MSEC)
#define RECONNECT_MOST_USEC (1 * USEC_PER_SEC)
#define RECONNECT_TOLD_USEC (400 * USEC_PER_MSEC)
#define ERROR_BODY_MAX 65536
#define LINE_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct stream {
    struct client *client;
    struct stream *next;
    enum stream_kind kind;
    struct stream_sink sink;
    struct buf path;
    uint64_t offset; // of the next byte wanted
    CURL *easy;      // NULL: between two connections
    struct curl_slist *headers;
    struct reply_headers reply;
    struct buf body;          // of an answer that is an error, or the beginning of a line
    bool started;             // headers of this connection have been looked at
    usec_t again_usec;        // when to connect again, monotonic
    usec_t pause_usec;
};

static int stream_status(const struct stream *stream)
{
    long status = 0;
    curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct stream *stream = context;
    reply_header(&stream->reply, data, size * count);
    return size * count;
}

static void give_lines(struct stream *stream)
{
    size_t start = 0;
    const char *end;
    while ((end = memchr(stream->body.data + start, '\n', stream->body.len - start)) != NULL) {
        size_t len = (size_t)(end - stream->body.data) - start;
        if (len > 0) {
            stream->client->stream_progress++;
            stream->sink.on_bytes(stream->sink.context, stream->body.data + start, len);
        }
        start += len + 1;
    }
    buf_drop_front(&stream->body, start);
}

// Looks at the headers of a good answer once, before its first byte or at its end.
static void stream_begin(struct stream *stream)
{
    if (stream->started)
        return;
    stream->started = true;
    if (stream->kind != STREAM_LOG || !stream->reply.has_offset || stream->reply.offset == stream->offset)
        return;
    if (stream->reply.offset > stream->offset && stream->sink.on_gap != NULL)
        stream->sink.on_gap(stream->sink.context, stream->offset, stream->reply.offset);
    stream->offset = stream->reply.offset;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct stream *stream = context;
    size_t len = size * count;
    if (stream_status(stream) != 200) {
        if (stream->body.len + len <= ERROR_BODY_MAX)
            buf_add(&stream->body, data, len);
        return len;
    }
    stream_begin(stream);
    stream->pause_usec = RECONNECT_FIRST_USEC;
    if (stream->kind == STREAM_LINES) {
        if (stream->body.len + len > LINE_BYTES_MAX)
            return 0;
        buf_add(&stream->body, data, len);
        give_lines(stream);
        return len;
    }
    stream->offset += len;
    stream->client->stream_progress++;
    stream->sink.on_bytes(stream->sink.context, data, len);
    return len;
}

static void stream_connect(struct stream *stream)
{
    must(stream->easy == NULL);
    struct client *client = stream->client;
    CURL *easy = curl_easy_init();
    must(easy != NULL);
    cleanup_buf struct buf path = {0};
    buf_adds(&path, stream->path.data);
    if (stream->kind == STREAM_LOG)
        buf_printf(&path, "%soffset=%llu", str_ends(path.data, "?") ? "" : "&", (unsigned long long)stream->offset);
    client_prepare(client, easy, path.data);
    stream->headers = curl_slist_append(NULL, client->token_header.data);
    stream->reply = (struct reply_headers){0};
    stream->started = false;
    buf_clear(&stream->body);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, stream->headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, stream);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, stream);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, stream);
    stream->easy = easy;
    must(curl_multi_add_handle(client->multi, easy) == CURLM_OK);
}

static void stream_disconnect(struct stream *stream)
{
    if (stream->easy == NULL)
        return;
    curl_multi_remove_handle(stream->client->multi, stream->easy);
    curl_easy_cleanup(stream->easy);
    curl_slist_free_all(stream->headers);
    stream->easy = NULL;
    stream->headers = NULL;
}

struct stream *client_stream(struct client *client, enum stream_kind kind, const char *path, uint64_t offset,
                             const struct stream_sink *sink)
{
    struct stream *stream = mem_alloc(sizeof(*stream));
    stream->client = client;
    stream->kind = kind;
    stream->sink = *sink;
    stream->offset = offset;
    stream->pause_usec = RECONNECT_FIRST_USEC;
    buf_adds(&stream->path, path);
    stream->next = client->streams;
    client->streams = stream;
    stream_connect(stream);
    return stream;
}

void stream_close(struct stream *stream)
{
    if (stream == NULL)
        return;
    struct stream **at = &stream->client->streams;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    stream_disconnect(stream);
    buf_release(&stream->path);
    buf_release(&stream->body);
    mem_free(stream);
}

static void stream_end(struct stream *stream, const struct err *err)
{
    struct stream_sink sink = stream->sink;
    stream->client->stream_progress++;
    stream_close(stream);
    sink.on_end(sink.context, err);
}

// A connection has ended: is that the end of the stream, an error that stays, or a reason to connect again?
static void stream_finished(struct stream *stream, CURLcode result)
{
    int status = stream_status(stream);
    struct err err = {0};
    if (result == CURLE_OK && status == 200) {
        stream_begin(stream);
        // An answer that is followed does not say where the end is: it ends whole when there is no more, and breaks off otherwise.
        bool told = stream->kind == STREAM_LOG && stream->reply.has_end;
        bool complete = !told || (stream->reply.final && stream->offset >= stream->reply.end);
        if (complete) {
            stream_end(stream, &err);
            return;
        }
    } else {
        int code = err_set(&err, ERR_UNAVAILABLE, "the server at %s does not answer", stream->client->url.data);
        if (result == CURLE_OK) {
            json_t *details = NULL;
            code = reply_error(status, &stream->body, &details, &err);
            json_decref(details);
        }
        if (!transfer_is_away(result, status, code)) {
            if (result != CURLE_OK)
                err_set(&err, ERR_IO, "reading from the server failed (%s)", curl_easy_strerror(result));
            stream_end(stream, &err);
            return;
        }
    }
    stream_disconnect(stream);
    if (err.code < 0 && stream->pause_usec >= RECONNECT_TOLD_USEC && stream->client->on_away != NULL)
        stream->client->on_away(stream->client->context, err.text);
    stream->again_usec = usec_add(clock_mono_usec(), stream->pause_usec);
    stream->pause_usec = usec_min(stream->pause_usec * 2, RECONNECT_MOST_USEC);
}

// Connects again where it is time to, and returns how long until the next one is due.
static usec_t streams_reconnect(struct client *client)
{
    usec_t now_usec = clock_mono_usec();
    usec_t next_usec = USEC_NEVER;
    for (struct stream *stream = client->streams; stream != NULL; stream = stream->next) {
        if (stream->easy != NULL)
            continue;
        if (stream->again_usec <= now_usec)
            stream_connect(stream);
        else
            next_usec = usec_min(next_usec, stream->again_usec - now_usec);
    }
    return next_usec;
}

static int streams_run(struct client *client, struct err *err)
{
    int running = 0;
    if (curl_multi_perform(client->multi, &running) != CURLM_OK)
        return err_set(err, ERR_INTERNAL, "libcurl failed");
    int left = 0;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *private = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        stream_finished((struct stream *)(void *)private, message->data.result);
    }
    return 0;
}

int client_turn(struct client *client, usec_t timeout_usec, int wake_fd, struct err *err)
{
    usec_t until_usec = usec_add(clock_mono_usec(), timeout_usec);
    uint64_t progress = client->stream_progress;
    for (;;) {
        usec_t reconnect_usec = streams_reconnect(client);
        int rc = streams_run(client, err);
        if (rc < 0)
            return rc;
        usec_t left_usec = usec_sub(until_usec, clock_mono_usec());
        if (client->stream_progress != progress || left_usec <= 0)
            return 0;
        usec_t wait_usec = usec_min(usec_min(left_usec, reconnect_usec), 10 * USEC_PER_SEC);
        struct curl_waitfd wake = {.fd = wake_fd, .events = CURL_WAIT_POLLIN};
        int ready = 0;
        // Rounded up, so that the last millisecond is not spent in a spin.
        int millis = (int)((wait_usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
        if (curl_multi_poll(client->multi, &wake, wake_fd >= 0 ? 1 : 0, millis, &ready) != CURLM_OK)
            return err_set(err, ERR_INTERNAL, "libcurl failed");
        struct pollfd asked = {.fd = wake_fd, .events = POLLIN};
        if (wake_fd >= 0 && poll(&asked, 1, 0) > 0)
            return 0;
    }
}
