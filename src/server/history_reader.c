// SPDX-License-Identifier: Apache-2.0
// Slow reads in a thread. See server/history_reader.h.
#include "server/history_reader.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/history.h"

enum { CATCH_UP_USEC = 1000000 };

struct history_reader {
    struct history *history; // of the thread
    pthread_t thread;
    bool started;
    struct loop_waker waker;
    struct loop_timer timer;
    uint64_t position;
    struct list waiting; // of the loop: for a position; until_mono_usec ascending
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t changed;
    struct list asked;
    struct list finished;
    bool stopping;
};

static void *reader_main(void *context)
{
    struct history_reader *reader = context;
    pthread_mutex_lock(&reader->lock);
    while (!reader->stopping) {
        struct list *first = list_first(&reader->asked);
        if (first == NULL) {
            pthread_cond_wait(&reader->changed, &reader->lock);
            continue;
        }
        list_del(first);
        pthread_mutex_unlock(&reader->lock);
        struct history_read *read = list_entry(first, struct history_read, link);
        read->code = read->run(read, reader->history, &read->err);
        pthread_mutex_lock(&reader->lock);
        list_add_tail(&reader->finished, &read->link);
        loop_wake(&reader->waker);
    }
    pthread_mutex_unlock(&reader->lock);
    return NULL;
}

static void on_finished(void *context)
{
    struct history_reader *reader = context;
    for (;;) {
        pthread_mutex_lock(&reader->lock);
        struct list *first = list_first(&reader->finished);
        if (first != NULL)
            list_del(first);
        pthread_mutex_unlock(&reader->lock);
        if (first == NULL)
            return;
        struct history_read *read = list_entry(first, struct history_read, link);
        read->done(read);
    }
}

static void give(struct history_reader *reader, struct history_read *read)
{
    pthread_mutex_lock(&reader->lock);
    list_add_tail(&reader->asked, &read->link);
    pthread_cond_signal(&reader->changed);
    pthread_mutex_unlock(&reader->lock);
}

// Lets go who has waited long enough, one way or the other.
static void on_timer(void *context)
{
    struct history_reader *reader = context;
    usec_t now = clock_mono_usec();
    usec_t next = USEC_NEVER;
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &reader->waiting) {
        struct history_read *read = list_entry(pos, struct history_read, link);
        if (read->position <= reader->position || read->until_mono_usec <= now) {
            list_del(pos);
            give(reader, read);
        } else {
            next = usec_min(next, read->until_mono_usec);
        }
    }
    loop_timer_set(&reader->timer, next);
}

int history_reader_open(const char *path, struct loop *loop, struct history_reader **ret_reader, struct err *err)
{
    struct history_reader *reader = mem_alloc(sizeof(*reader));
    list_init(&reader->waiting);
    list_init(&reader->asked);
    list_init(&reader->finished);
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->changed, NULL);
    loop_timer_init(&reader->timer, loop, on_timer, reader);
    int code = history_open(path, true, &reader->history, err);
    if (code == 0)
        code = loop_waker_init(&reader->waker, loop, on_finished, reader, err);
    if (code == 0) {
        reader->started = pthread_create(&reader->thread, NULL, reader_main, reader) == 0;
        if (!reader->started)
            code = err_set(err, ERR_INTERNAL, "the thread for reads could not be started");
    }
    if (code < 0) {
        history_reader_close(reader);
        return code;
    }
    *ret_reader = reader;
    return 0;
}

static void interrupt_all(struct list *reads)
{
    struct list *first;
    while ((first = list_first(reads)) != NULL) {
        list_del(first);
        struct history_read *read = list_entry(first, struct history_read, link);
        read->code = err_set(&read->err, ERR_INTERRUPTED, "the server ends");
        read->done(read);
    }
}

void history_reader_close(struct history_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->started) {
        pthread_mutex_lock(&reader->lock);
        reader->stopping = true;
        pthread_cond_signal(&reader->changed);
        pthread_mutex_unlock(&reader->lock);
        pthread_join(reader->thread, NULL);
    }
    interrupt_all(&reader->finished);
    interrupt_all(&reader->asked);
    interrupt_all(&reader->waiting);
    loop_waker_release(&reader->waker);
    loop_timer_release(&reader->timer);
    if (reader->history != NULL)
        history_close(reader->history);
    pthread_cond_destroy(&reader->changed);
    pthread_mutex_destroy(&reader->lock);
    mem_free(reader);
}

void history_reader_ask(struct history_reader *reader, struct history_read *read, uint64_t position)
{
    must(read->run != NULL && read->done != NULL);
    list_init(&read->link);
    read->position = position;
    if (position <= reader->position) {
        give(reader, read);
        return;
    }
    read->until_mono_usec = usec_add(clock_mono_usec(), CATCH_UP_USEC);
    list_add_tail(&reader->waiting, &read->link);
    if (list_first(&reader->waiting) == &read->link)
        loop_timer_set(&reader->timer, read->until_mono_usec);
}

void history_reader_advanced(struct history_reader *reader, uint64_t position)
{
    must(position >= reader->position);
    reader->position = position;
    if (!list_empty(&reader->waiting))
        on_timer(reader);
}

bool history_reader_waits(const struct history_reader *reader)
{
    return !list_empty(&reader->waiting);
}
