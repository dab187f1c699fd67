// SPDX-License-Identifier: Apache-2.0
// Following a run. A watch stream tells that something changed; then the tasks are looked at, and a stream is opened for each
// output of each attempt, so many at a time. A task is done with when it has ended and the output of all its attempts came.

#include "cli/follow.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/interrupt.h"
#include "model/state.h"

#define STREAMS_MAX 32
#define TRACKS_MAX 256
// Tasks looked at in one request; at most page_rows_max of the server.
#define SCAN_ROWS 1000
#define SCAN_LEAST_USEC (100 * USEC_PER_MSEC)
#define SCAN_MOST_USEC (2 * USEC_PER_SEC)
// How long the output of ended work is waited for when none of it comes.
#define DRAIN_USEC (10 * USEC_PER_SEC)

struct follow;

// A task whose output has not been printed whole.
struct track {
    uint32_t index;
    uint32_t attempt; // followed now, or next
    bool over;        // no attempt after `attempt` will come
    unsigned open;    // streams of `attempt` that are open
    bool begun;       // its streams were opened
    bool drained;
    bool absent;      // the server knew no output of this attempt yet
};

// One stream of one attempt.
struct channel {
    struct follow *follow;
    struct track *track;
    struct output output;
    struct stream *stream;
    struct channel *next;
};

struct follow {
    struct cli *cli;
    const struct follow_options *options;
    json_t *run; // as last told
    bool ended;
    bool single; // one task: its output is printed as it is
    bool changed;
    struct stream *watch;
    usec_t watch_again_usec;
    struct err failure;
    struct track *tracks[TRACKS_MAX]; // by index
    size_t n_tracks;
    int64_t scan_from; // first index that has not been looked at, -1: there are no more
    struct channel *channels;
    size_t n_channels;
    usec_t progress_usec;
};

static bool track_done(const struct track *track)
{
    return track->drained;
}

static void watch_line(void *context, const char *data, size_t len)
{
    struct follow *follow = context;
    json_t *run = json_loadb(data, len, 0, NULL);
    if (!json_is_object(run)) {
        json_decref(run);
        return;
    }
    json_decref(follow->run);
    follow->run = run;
    follow->changed = true;
    if (run_is_over(run) && !follow->ended) {
        follow->ended = true;
        follow->progress_usec = clock_mono_usec();
    }
}

static void watch_end(void *context, const struct err *err)
{
    struct follow *follow = context;
    follow->watch = NULL;
    follow->watch_again_usec = clock_mono_usec() + SCAN_LEAST_USEC;
    if (err->code < 0)
        follow->failure = *err;
}

static void watch_begin(struct follow *follow)
{
    if (follow->watch != NULL || follow->ended || clock_mono_usec() < follow->watch_again_usec)
        return;
    cleanup_buf struct buf path = {0};
    buf_printf(&path, "/v1/runs/%llu/watch", (unsigned long long)follow->options->run_id);
    struct stream_sink sink = {.on_bytes = watch_line, .on_end = watch_end, .context = follow};
    follow->watch = client_stream(follow->cli->client, STREAM_LINES, path.data, 0, &sink);
}

static void channel_bytes(void *context, const char *data, size_t len)
{
    struct channel *channel = context;
    channel->follow->progress_usec = clock_mono_usec();
    output_write(&channel->output, data, len);
}

static void channel_gap(void *context, uint64_t from, uint64_t to)
{
    struct channel *channel = context;
    cli_remark(channel->follow->cli, "%llu bytes of the %s of task %u were dropped by its log limit", (unsigned long long)(to - from),
               channel->output.to_stderr ? "stderr" : "stdout", channel->track->index);
}

// Takes a channel out of the list and frees it; its stream is gone already.
static void channel_free(struct channel *channel)
{
    struct channel **at = &channel->follow->channels;
    while (*at != channel)
        at = &(*at)->next;
    *at = channel->next;
    channel->follow->n_channels--;
    output_end(&channel->output);
    mem_free(channel);
}

static void channel_end(void *context, const struct err *err)
{
    struct channel *channel = context;
    struct follow *follow = channel->follow;
    struct track *track = channel->track;
    follow->progress_usec = clock_mono_usec();
    follow->changed = true;
    must(track->open > 0);
    track->open--;
    if (err->code == ERR_NOT_FOUND)
        track->absent = true;
    else if (err->code < 0)
        cli_remark(follow->cli, "the output of task %u cannot be read: %s", track->index, err->text);
    channel_free(channel);
}

static void channel_open(struct follow *follow, struct track *track, bool to_stderr)
{
    struct channel *channel = mem_alloc(sizeof(*channel));
    channel->follow = follow;
    channel->track = track;
    channel->output = (struct output){.to_stderr = to_stderr, .prefix = !follow->single, .index = track->index};
    channel->next = follow->channels;
    follow->channels = channel;
    follow->n_channels++;
    track->open++;
    cleanup_buf struct buf path = {0};
    buf_printf(&path, "/v1/runs/%llu/tasks/%u/log?stream=%s&attempt=%u&follow=1", (unsigned long long)follow->options->run_id,
               track->index, to_stderr ? "stderr" : "stdout", track->attempt);
    struct stream_sink sink = {.on_bytes = channel_bytes, .on_gap = channel_gap, .on_end = channel_end, .context = channel};
    channel->stream = client_stream(follow->cli->client, STREAM_LOG, path.data, 0, &sink);
}

static void track_open(struct follow *follow, struct track *track)
{
    if (track->begun || follow->n_channels + 2 > STREAMS_MAX)
        return;
    track->begun = true;
    track->absent = false;
    if (follow->options->streams & FOLLOW_STDOUT)
        channel_open(follow, track, false);
    if (follow->options->streams & FOLLOW_STDERR)
        channel_open(follow, track, true);
}

// Moves a track on by what the server says of its task.
static void track_update(struct follow *follow, struct track *track, const json_t *task)
{
    uint32_t attempt = (uint32_t)answer_number(task, "attempt");
    const char *name = answer_text(task, "state");
    int state = name != NULL ? task_state_from_name(name) : -1;
    bool terminal = state >= 0 && task_state_terminal((enum task_state)state);
    bool started = answer_has(task, "started_at") || terminal || state == TASK_RUNNING || state == TASK_STOPPING || state == TASK_BACKOFF;
    track->over = terminal;
    if (track->begun && track->open == 0) {
        // This attempt has been printed, or had no output that the server knew of.
        bool current = track->attempt >= attempt;
        if (track->absent && current && !terminal) {
            track->begun = false;
        } else if (!current) {
            track->attempt++;
            track->begun = false;
        } else if (terminal) {
            track->drained = true;
        }
    }
    const json_t *usage = json_object_get(task, "usage");
    bool silent = terminal && track->attempt == attempt && answer_has(usage, "output_bytes") && answer_number(usage, "output_bytes") == 0;
    if (!track->begun && !track->drained) {
        if (silent || (terminal && attempt == 0))
            track->drained = true; // it wrote nothing, or never had an attempt
        else if (track->attempt < attempt || (track->attempt == attempt && started))
            track_open(follow, track);
    }
}

static struct track *track_find(struct follow *follow, uint32_t index)
{
    for (size_t i = 0; i < follow->n_tracks; i++)
        if (follow->tracks[i]->index == index)
            return follow->tracks[i];
    return NULL;
}

static void tracks_sweep(struct follow *follow)
{
    size_t kept = 0;
    for (size_t i = 0; i < follow->n_tracks; i++) {
        if (track_done(follow->tracks[i]))
            mem_free(follow->tracks[i]);
        else
            follow->tracks[kept++] = follow->tracks[i];
    }
    follow->n_tracks = kept;
}

static struct track *track_add(struct follow *follow, uint32_t index)
{
    must(follow->n_tracks < TRACKS_MAX);
    struct track *track = mem_alloc(sizeof(*track));
    track->index = index;
    track->attempt = 1;
    follow->tracks[follow->n_tracks++] = track;
    return track;
}

// Looks at tasks that have not been looked at yet, as many as there is room for.
static int scan_ahead(struct follow *follow, struct err *err)
{
    while (follow->scan_from >= 0 && follow->n_tracks < TRACKS_MAX) {
        json_t *page = NULL;
        int rc = client_get(follow->cli->client, &page, err, "/v1/runs/%llu/tasks?from=%lld&max=%d",
                            (unsigned long long)follow->options->run_id, (long long)follow->scan_from, SCAN_ROWS);
        if (rc < 0)
            return rc;
        const json_t *rows = json_object_get(page, "tasks");
        int64_t last = follow->scan_from - 1;
        bool full = false;
        size_t i = 0;
        const json_t *task = NULL;
        json_array_foreach(rows, i, task)
        {
            if (follow->n_tracks == TRACKS_MAX)
                tracks_sweep(follow); // what has ended in silence takes no room
            full = follow->n_tracks == TRACKS_MAX;
            if (full)
                break;
            last = answer_number(task, "index");
            track_update(follow, track_add(follow, (uint32_t)last), task);
        }
        int64_t next = answer_has(page, "next_from") ? answer_number(page, "next_from") : -1;
        follow->scan_from = full ? last + 1 : next > last ? next : -1;
        json_decref(page);
        tracks_sweep(follow);
    }
    return 0;
}

static int scan_one(struct follow *follow, struct track *track, struct err *err)
{
    json_t *task = NULL;
    int rc = client_get(follow->cli->client, &task, err, "/v1/runs/%llu/tasks/%u", (unsigned long long)follow->options->run_id,
                        track->index);
    if (rc < 0)
        return rc;
    track_update(follow, track, task);
    json_decref(task);
    return 0;
}

// Looks again at the tasks that are not done with: in one page when they are near each other, else one by one.
static int scan_tracked(struct follow *follow, struct err *err)
{
    if (follow->n_tracks == 0)
        return 0;
    uint32_t first = follow->tracks[0]->index;
    uint32_t last = follow->tracks[follow->n_tracks - 1]->index;
    if (follow->n_tracks == 1 || last - first > 2 * TRACKS_MAX) {
        for (size_t i = 0; i < follow->n_tracks; i++) {
            int rc = scan_one(follow, follow->tracks[i], err);
            if (rc < 0)
                return rc;
        }
        return 0;
    }
    json_t *page = NULL;
    int rc = client_get(follow->cli->client, &page, err, "/v1/runs/%llu/tasks?from=%u&max=%u", (unsigned long long)follow->options->run_id,
                        first, last - first + 1);
    if (rc < 0)
        return rc;
    size_t i = 0;
    const json_t *task = NULL;
    json_array_foreach(json_object_get(page, "tasks"), i, task)
    {
        struct track *track = track_find(follow, (uint32_t)answer_number(task, "index"));
        if (track != NULL)
            track_update(follow, track, task);
    }
    json_decref(page);
    return 0;
}

static int scan(struct follow *follow, struct err *err)
{
    follow->changed = false;
    int rc = scan_tracked(follow, err);
    tracks_sweep(follow);
    if (rc == 0 && !follow->options->one_task)
        rc = scan_ahead(follow, err);
    return rc;
}

static bool finished(const struct follow *follow)
{
    if (follow->options->one_task)
        return follow->n_tracks == 0;
    return follow->ended && follow->n_tracks == 0 && follow->scan_from < 0;
}

// Gives up the output that does not come although the work has ended.
static bool drain_is_over(struct follow *follow)
{
    bool over = follow->ended;
    for (size_t i = 0; follow->options->one_task && i < follow->n_tracks; i++)
        over |= follow->tracks[i]->over;
    if (!over || clock_mono_usec() < usec_add(follow->progress_usec, DRAIN_USEC))
        return false;
    cli_remark(follow->cli, "some output does not come from its node; `muster logs %llu` shows it later",
               (unsigned long long)follow->options->run_id);
    return true;
}

static int follow_loop(struct follow *follow, struct err *err)
{
    usec_t scanned_usec = 0;
    while (!finished(follow)) {
        watch_begin(follow);
        usec_t now_usec = clock_mono_usec();
        usec_t due_usec = scanned_usec + (follow->changed ? SCAN_LEAST_USEC : SCAN_MOST_USEC);
        if (now_usec >= due_usec || follow->ended) {
            int rc = scan(follow, err);
            if (rc < 0 && rc != ERR_INTERRUPTED)
                return rc;
            scanned_usec = clock_mono_usec();
            if (finished(follow) || drain_is_over(follow))
                return 0;
            due_usec = scanned_usec + (follow->ended ? SCAN_LEAST_USEC / 4 : SCAN_LEAST_USEC);
        }
        int rc = client_turn(follow->cli->client, usec_max(0, usec_sub(due_usec, clock_mono_usec())), interrupt_fd(), err);
        if (rc < 0)
            return rc;
        if (follow->failure.code < 0) {
            err_set(err, follow->failure.code, "%s", follow->failure.text);
            return follow->failure.code;
        }
        if (follow->options->owns_run && interrupt_handle(follow->cli, follow->options->run_id, err))
            return ERR_INTERRUPTED;
    }
    return 0;
}

static void follow_release(struct follow *follow)
{
    stream_close(follow->watch);
    while (follow->channels != NULL) {
        stream_close(follow->channels->stream);
        channel_free(follow->channels);
    }
    for (size_t i = 0; i < follow->n_tracks; i++)
        mem_free(follow->tracks[i]);
    json_decref(follow->run);
}

static int exit_status_fill(struct follow *follow, struct err *err)
{
    json_t *page = NULL;
    const json_t *task = NULL;
    if (follow->single) {
        int rc = client_get(follow->cli->client, &page, err, "/v1/runs/%llu/tasks?max=1", (unsigned long long)follow->options->run_id);
        if (rc < 0)
            return rc;
        task = json_array_get(json_object_get(page, "tasks"), 0);
    }
    const char *state = answer_text(follow->run, "state");
    const char *outcome = answer_text(task, "outcome");
    const char *message = answer_text(task, "message");
    bool said = str_eq(outcome, "exit") || str_eq(outcome, "succeeded"); // the program said it all by its exit status
    if (str_eq(outcome, state))
        outcome = NULL;
    if (state != NULL && !str_eq(state, "succeeded") && !said)
        cli_remark(follow->cli, "run %llu: %s%s%s%s%s", (unsigned long long)follow->options->run_id, state, outcome != NULL ? ", " : "",
                   outcome != NULL ? outcome : "", message != NULL && message[0] != '\0' ? ": " : "", message != NULL ? message : "");
    follow->cli->exit_status = work_exit_status(follow->run, task);
    json_decref(page);
    return 0;
}

int follow_run(struct cli *cli, const struct follow_options *options, struct err *err)
{
    struct follow follow = {.cli = cli, .options = options};
    // Before the first word to the server: a signal that comes while it answers is noted, and then ends the run too.
    if (options->owns_run)
        interrupt_begin();
    int rc = client_get(cli->client, &follow.run, err, "/v1/runs/%llu", (unsigned long long)options->run_id);
    if (rc < 0) {
        if (options->owns_run)
            interrupt_end();
        return rc;
    }
    follow.single = options->one_task || answer_number(json_object_get(follow.run, "tasks"), "total") == 1;
    follow.ended = run_is_over(follow.run);
    follow.progress_usec = clock_mono_usec();
    if (options->one_task)
        track_add(&follow, options->index);
    // The run goes on while the server is away, so following it does too.
    client_patience(cli->client, USEC_NEVER, interrupt_fd());
    rc = follow_loop(&follow, err);
    if (rc == 0 && options->owns_run)
        rc = exit_status_fill(&follow, err);
    follow_release(&follow);
    client_patience(cli->client, 0, -1);
    if (options->owns_run)
        interrupt_end();
    return rc;
}
