// SPDX-License-Identifier: Apache-2.0
// The file of the spawner's journal and the thread that syncs it.

#include "exec/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define JOURNAL_NAME "journal"
#define JOURNAL_NEW "journal.new"

// A journal larger than this was not written by a spawner.
#define JOURNAL_BYTES_MAX ((size_t)1 << 30)
// No rewrite below this size; above it, when less than half is of the present.
#define COMPACT_BYTES ((uint64_t)4 << 20)
// What the records of one attempt's end take at most, usually far less; and the unit in which room is reserved.
#define END_BYTES ((uint64_t)512)
#define RESERVE_BYTES ((uint64_t)1 << 20)

struct spool {
    int folder_fd;
    int fd;
    int event_fd;
    char instance[INSTANCE_TEXT];
    char boot_id[40];

    uint64_t salt;
    struct buf pending;   // added, not written
    uint64_t added;       // counts bytes over all files of this process
    uint64_t file_bytes;  // of the file at fd
    uint64_t reserved_bytes;

    // While a new journal is made durable both are written.
    int new_fd;
    uint64_t new_salt;
    struct buf new_pending;
    uint64_t new_bytes;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool quit;          // below: under lock
    bool want;          // a sync of fd up to want_pos
    bool want_replace;  // sync new_fd and put it in place of the old file
    bool replaced;      // new_fd is the journal now; the main thread has not taken it over yet
    int replace_error;  // errno: the old file goes on
    bool broken;        // a sync of fd failed: what it holds may be gone, and a later sync would not say so
    int sync_error;     // errno of that
    uint64_t want_pos, synced;
};

static int write_all(int fd, struct buf *buf, uint64_t *written)
{
    size_t done = 0;
    int rc = 0;
    while (done < buf->len) {
        ssize_t n = write(fd, buf->data + done, buf->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = -errno;
            break;
        }
        done += (size_t)n;
    }
    *written += done;
    buf_drop_front(buf, done);
    return rc;
}

static int replace_journal(struct spool *spool, int new_fd)
{
    if (fdatasync(new_fd) < 0 || renameat(spool->folder_fd, JOURNAL_NEW, spool->folder_fd, JOURNAL_NAME) < 0)
        return -errno;
    return fsync(spool->folder_fd) < 0 ? -errno : 0;
}

static bool has_work(const struct spool *spool)
{
    return spool->want_replace || (spool->want && !spool->broken);
}

// One piece of work, with the lock given up meanwhile.
static void sync_once(struct spool *spool)
{
    bool replace = spool->want_replace;
    uint64_t pos = spool->want_pos;
    int fd = spool->fd, new_fd = spool->new_fd;
    if (replace)
        spool->want_replace = false;
    else
        spool->want = false;
    pthread_mutex_unlock(&spool->lock);
    int rc = replace ? replace_journal(spool, new_fd) : fdatasync(fd) < 0 ? -errno : 0;
    pthread_mutex_lock(&spool->lock);
    if (replace) {
        spool->replaced = rc == 0;
        spool->replace_error = -rc;
    } else if (rc < 0) {
        spool->broken = true;
        spool->sync_error = -rc;
    } else if (pos > spool->synced) {
        spool->synced = pos;
    }
    ssize_t told = write(spool->event_fd, &(uint64_t){1}, 8);
    must(told == 8);
    // Nothing more is synced before the main thread has taken the new file over.
    while (!spool->quit && (spool->replaced || spool->replace_error != 0))
        pthread_cond_wait(&spool->wake, &spool->lock);
}

static void *sync_thread(void *context)
{
    struct spool *spool = context;
    pthread_mutex_lock(&spool->lock);
    for (;;) {
        while (!spool->quit && !has_work(spool))
            pthread_cond_wait(&spool->wake, &spool->lock);
        if (!has_work(spool))
            break; // quit, and nothing is owed
        sync_once(spool);
    }
    pthread_mutex_unlock(&spool->lock);
    return NULL;
}

static int make_salt(uint64_t *ret, struct err *err)
{
    if (getrandom(ret, sizeof(*ret), 0) != (ssize_t)sizeof(*ret))
        return err_errno(err, ERR_IO, "read random bytes");
    return 0;
}

static int read_old(int folder_fd, struct buf *ret, struct err *err)
{
    cleanup_close int fd = openat(folder_fd, JOURNAL_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, err_from_errno(errno), "open the spool's journal");
    for (;;) {
        buf_reserve(ret, 1 << 16);
        ssize_t n = read(fd, ret->data + ret->len, 1 << 16);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, ERR_IO, "read the spool's journal");
        if (n == 0)
            return 0;
        buf_grew(ret, (size_t)n);
        if (ret->len > JOURNAL_BYTES_MAX)
            return err_set(err, ERR_TOO_LARGE, "the spool's journal is too large to be one");
    }
}

// Puts the old journal aside for people to look at. It is kept whatever happens next, so a failure here is no reason to stop.
static void quarantine(int folder_fd, char note[static 200], const char *why)
{
    char name[64];
    snprintf(name, sizeof(name), "journal.damaged.%" PRId64, clock_wall_usec());
    if (linkat(folder_fd, JOURNAL_NAME, folder_fd, name, 0) < 0)
        snprintf(note, 200, "the spool's journal %s; it could not be kept: %s", why, strerror(errno));
    else
        snprintf(note, 200, "the spool's journal %s; it is kept as spool/%s", why, name);
}

static void fill_from_state(struct buf *buf, uint64_t salt, const struct journal_state *state)
{
    journal_add_forgotten(buf, salt, state->forgotten, state->n_forgotten);
    for (size_t i = 0; i < state->n_attempts; i++) {
        const struct journal_attempt *attempt = &state->attempts[i];
        if (attempt->ended) {
            journal_add_ended(buf, salt, &attempt->ident, &attempt->end);
            continue;
        }
        journal_add_accepted(buf, salt, &attempt->ident);
        if (attempt->pid > 0)
            journal_add_started(buf, salt, attempt->ident.fence, attempt->pid, attempt->pid_ticks, attempt->start_usec);
    }
}

static int begin_file(struct spool *spool, const struct journal_state *state, struct err *err)
{
    int rc = make_salt(&spool->salt, err);
    if (rc < 0)
        return rc;
    spool->fd = openat(spool->folder_fd, JOURNAL_NEW, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_APPEND, 0600);
    if (spool->fd < 0)
        return err_errno(err, err_from_errno(errno), "create the spool's journal");
    journal_header(&spool->pending, spool->salt);
    journal_add_instance(&spool->pending, spool->salt, spool->instance, spool->boot_id);
    fill_from_state(&spool->pending, spool->salt, state);
    spool->added = spool->pending.len;
    int written = write_all(spool->fd, &spool->pending, &spool->file_bytes);
    if (written == 0)
        written = replace_journal(spool, spool->fd);
    if (written < 0) {
        errno = -written;
        return err_errno(err, err_from_errno(errno), "write the spool's journal");
    }
    spool->synced = spool->added;
    return 0;
}

int spool_open(int folder_fd, const char *instance, const char *boot_id, struct spool **ret_spool, struct journal_state *ret_state,
               char ret_note[static 200], struct err *err)
{
    must(folder_fd >= 0 && instance != NULL && boot_id != NULL);
    ret_note[0] = '\0';
    cleanup_buf struct buf old = {0};
    struct err read_err = {0};
    int unreadable = read_old(folder_fd, &old, &read_err);
    struct journal_state state = {0};
    if (unreadable == 0)
        journal_read(old.data, old.len, &state);
    if (unreadable < 0)
        quarantine(folder_fd, ret_note, "could not be read");
    else if (state.damaged)
        quarantine(folder_fd, ret_note, "was damaged");

    struct spool *spool = mem_alloc(sizeof(*spool));
    *spool = (struct spool){.folder_fd = folder_fd, .fd = -1, .new_fd = -1, .event_fd = -1};
    pthread_mutex_init(&spool->lock, NULL);
    pthread_cond_init(&spool->wake, NULL);
    int rc = 0;
    if (str_copy(spool->instance, sizeof(spool->instance), instance) < 0 ||
        str_copy(spool->boot_id, sizeof(spool->boot_id), boot_id) < 0)
        rc = err_set(err, ERR_TOO_LARGE, "the instance or boot id is too long");
    if (rc == 0)
        rc = begin_file(spool, &state, err);
    if (rc == 0 && (spool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        rc = err_errno(err, ERR_IO, "create an event descriptor");
    if (rc == 0 && (errno = pthread_create(&spool->thread, NULL, sync_thread, spool)) != 0)
        rc = err_errno(err, ERR_NO_MEMORY, "start the sync thread");
    if (rc < 0) {
        close_fd(spool->fd);
        close_fd(spool->event_fd);
        buf_release(&spool->pending);
        mem_free(spool);
        journal_state_release(&state);
        return rc;
    }
    *ret_state = state;
    *ret_spool = spool;
    return 0;
}

void spool_close(struct spool *spool)
{
    if (spool == NULL)
        return;
    pthread_mutex_lock(&spool->lock);
    spool->quit = true;
    pthread_cond_signal(&spool->wake);
    pthread_mutex_unlock(&spool->lock);
    pthread_join(spool->thread, NULL);
    pthread_mutex_destroy(&spool->lock);
    pthread_cond_destroy(&spool->wake);
    close_fd(spool->fd);
    close_fd(spool->new_fd);
    close_fd(spool->event_fd);
    buf_release(&spool->pending);
    buf_release(&spool->new_pending);
    mem_free(spool);
}

// Adds one record to the journal, and to the one that will replace it.
#define SPOOL_ADD(spool, function, ...) \
    do { \
        size_t before_ = (spool)->pending.len; \
        function(&(spool)->pending, (spool)->salt, __VA_ARGS__); \
        (spool)->added += (spool)->pending.len - before_; \
        if ((spool)->new_fd >= 0) \
            function(&(spool)->new_pending, (spool)->new_salt, __VA_ARGS__); \
    } while (0)

void spool_accepted(struct spool *spool, const struct exec_ident *ident)
{
    SPOOL_ADD(spool, journal_add_accepted, ident);
}

void spool_started(struct spool *spool, uint64_t fence, int32_t pid, uint64_t pid_ticks, usec_t start_usec)
{
    SPOOL_ADD(spool, journal_add_started, fence, pid, pid_ticks, start_usec);
}

void spool_ended(struct spool *spool, const struct exec_ident *ident, const struct attempt_end *end)
{
    SPOOL_ADD(spool, journal_add_ended, ident, end);
}

void spool_forgotten(struct spool *spool, uint64_t fence)
{
    SPOOL_ADD(spool, journal_add_forgotten, &fence, 1);
}

uint64_t spool_added(const struct spool *spool)
{
    return spool->added;
}

uint64_t spool_written(const struct spool *spool)
{
    return spool->added - spool->pending.len;
}

// The new journal could not be written: the old one goes on, which holds everything too.
static void give_up_new(struct spool *spool)
{
    spool->new_fd = close_fd(spool->new_fd);
    buf_clear(&spool->new_pending);
    unlinkat(spool->folder_fd, JOURNAL_NEW, 0);
}

int spool_write(struct spool *spool, struct err *err)
{
    int rc = write_all(spool->fd, &spool->pending, &spool->file_bytes);
    // A new journal that is being put in place gets everything that the old one gets. What cannot be written there now is still pending
    // when it takes over.
    if (spool->new_fd >= 0)
        (void)write_all(spool->new_fd, &spool->new_pending, &spool->new_bytes);
    if (rc < 0) {
        errno = -rc;
        return err_errno(err, err_from_errno(errno), "write the spool's journal");
    }
    return 0;
}

void spool_sync(struct spool *spool)
{
    uint64_t pos = spool_written(spool);
    pthread_mutex_lock(&spool->lock);
    if (pos > spool->synced && pos > (spool->want ? spool->want_pos : 0)) {
        spool->want = true;
        spool->want_pos = pos;
        pthread_cond_signal(&spool->wake);
    }
    pthread_mutex_unlock(&spool->lock);
}

uint64_t spool_synced(const struct spool *spool)
{
    struct spool *locked = (struct spool *)spool;
    pthread_mutex_lock(&locked->lock);
    uint64_t synced = spool->synced;
    pthread_mutex_unlock(&locked->lock);
    return synced;
}

int spool_fd(const struct spool *spool)
{
    return spool->event_fd;
}

// The new journal is in place: it is the one from now on.
static void take_over(struct spool *spool)
{
    close_fd(spool->fd);
    spool->fd = steal_fd(&spool->new_fd);
    spool->salt = spool->new_salt;
    spool->file_bytes = spool->new_bytes;
    spool->reserved_bytes = 0;
    // Records are as long in either file, so that positions stay what they are.
    buf_release(&spool->pending);
    spool->pending = spool->new_pending;
    spool->new_pending = (struct buf){0};
    spool->broken = false;
    if (spool->want && spool->want_pos > spool->added - spool->pending.len)
        spool->want = false; // asked again once it is written
}

int spool_collect(struct spool *spool, struct err *err)
{
    uint64_t count;
    (void)!read(spool->event_fd, &count, sizeof(count));
    pthread_mutex_lock(&spool->lock);
    int replace_error = spool->replace_error, sync_error = spool->sync_error;
    if (spool->replaced)
        take_over(spool);
    else if (replace_error != 0)
        give_up_new(spool);
    spool->replaced = false;
    spool->replace_error = spool->sync_error = 0;
    pthread_cond_signal(&spool->wake);
    pthread_mutex_unlock(&spool->lock);
    errno = sync_error != 0 ? sync_error : replace_error;
    return errno == 0 ? 0 : err_errno(err, err_from_errno(errno), "sync the spool's journal");
}

int spool_reserve(struct spool *spool, size_t n_unended, struct err *err)
{
    uint64_t need = spool->file_bytes + spool->pending.len + END_BYTES * ((uint64_t)n_unended + 1);
    if (need <= spool->reserved_bytes)
        return 0;
    uint64_t upto = need + RESERVE_BYTES;
    if (fallocate(spool->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)upto) < 0) {
        if (errno == EOPNOTSUPP || errno == ENOSYS) {
            spool->reserved_bytes = upto; // this file system cannot: not asked again before more is needed
            return 0;
        }
        return err_errno(err, err_from_errno(errno), "reserve room for the spool's journal");
    }
    spool->reserved_bytes = upto;
    return 0;
}

bool spool_wants_compaction(const struct spool *spool, size_t n_live)
{
    if (spool->new_fd >= 0)
        return false;
    return spool->broken || (spool->file_bytes > COMPACT_BYTES && spool->file_bytes > 4 * END_BYTES * (uint64_t)n_live);
}

int spool_compact(struct spool *spool, spool_fill fill, void *context, struct err *err)
{
    must(spool->new_fd < 0);
    int rc = make_salt(&spool->new_salt, err);
    if (rc < 0)
        return rc;
    int fd = openat(spool->folder_fd, JOURNAL_NEW, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_APPEND, 0600);
    if (fd < 0)
        return err_errno(err, err_from_errno(errno), "create a new journal");
    struct buf *buf = &spool->new_pending;
    buf_clear(buf);
    journal_header(buf, spool->new_salt);
    journal_add_instance(buf, spool->new_salt, spool->instance, spool->boot_id);
    fill(context, buf, spool->new_salt);
    spool->new_bytes = 0;
    spool->new_fd = fd;
    int written = write_all(fd, buf, &spool->new_bytes);
    if (written < 0) {
        errno = -written;
        give_up_new(spool);
        return err_errno(err, err_from_errno(errno), "write a new journal");
    }
    pthread_mutex_lock(&spool->lock);
    spool->want_replace = true;
    pthread_cond_signal(&spool->wake);
    pthread_mutex_unlock(&spool->lock);
    return 0;
}
