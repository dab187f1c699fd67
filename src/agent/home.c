// SPDX-License-Identifier: Apache-2.0
// The data folder of an agent.

#include "agent/home.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/handshake.h"

enum { PATH_TEXT = 4096 };

static int home_path(char path[static PATH_TEXT], const char *folder, const char *name, struct err *err)
{
    int n = snprintf(path, PATH_TEXT, "%s/%s", folder, name);
    return n < PATH_TEXT ? 0 : err_set(err, ERR_TOO_LARGE, "the path of the agent's data folder is too long");
}

static int home_lock(struct home *home, struct err *err)
{
    char path[PATH_TEXT];
    int rc = home_path(path, home->folder, "lock", err);
    if (rc < 0)
        return rc;
    home->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (home->lock_fd < 0)
        return err_errno(err, err_from_errno(errno), "open '%s'", path);
    if (flock(home->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(err, ERR_CONFLICT, "another agent uses the data folder '%s'; give this one a folder of its own", home->folder);
    return err_errno(err, ERR_IO, "lock '%s'", path);
}

// Reads one line of text, without its end. ERR_NOT_FOUND: there is no such file.
static int home_read(const struct home *home, const char *name, char *ret, size_t size, struct err *err)
{
    char path[PATH_TEXT];
    int rc = home_path(path, home->folder, name, err);
    if (rc < 0)
        return rc;
    cleanup_buf struct buf text = {0};
    rc = fs_read(path, size, &text, err);
    if (rc < 0)
        return rc == ERR_TOO_LARGE ? err_set(err, ERR_STORE_CORRUPT, "'%s' is too long", path) : rc;
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        buf_truncate(&text, text.len - 1);
    if (text.data == NULL || strlen(text.data) != text.len || str_copy(ret, size, text.data) < 0)
        return err_set(err, ERR_STORE_CORRUPT, "'%s' holds something else than one line of text", path);
    return 0;
}

static int home_write(const struct home *home, const char *name, const char *text, struct err *err)
{
    char path[PATH_TEXT], line[64];
    int rc = home_path(path, home->folder, name, err);
    if (rc < 0)
        return rc;
    int n = snprintf(line, sizeof(line), "%s\n", text);
    must(n > 0 && (size_t)n < sizeof(line));
    return fs_write_atomic(path, line, (size_t)n, 0600, err);
}

static int home_identity(struct home *home, struct err *err)
{
    int rc = home_read(home, "identity", home->identity, sizeof(home->identity), err);
    if (rc == ERR_NOT_FOUND) {
        uint8_t random[(HOME_IDENTITY_TEXT - 1) / 2];
        handshake_random(random, sizeof(random));
        for (size_t i = 0; i < sizeof(random); i++)
            snprintf(home->identity + 2 * i, 3, "%02x", random[i]);
        return home_write(home, "identity", home->identity, err);
    }
    if (rc < 0)
        return rc;
    if (strlen(home->identity) != HOME_IDENTITY_TEXT - 1 || strspn(home->identity, "0123456789abcdef") != HOME_IDENTITY_TEXT - 1)
        return err_set(err, ERR_STORE_CORRUPT, "'%s/identity' holds no identity of an agent", home->folder);
    return 0;
}

static int home_epoch(struct home *home, struct err *err)
{
    char text[32];
    int rc = home_read(home, "epoch", text, sizeof(text), err);
    if (rc == ERR_NOT_FOUND)
        return 0;
    if (rc == 0 && str_to_u64(text, &home->epoch) < 0)
        rc = err_set(err, ERR_STORE_CORRUPT, "'%s/epoch' holds no number", home->folder);
    return rc;
}

int home_open(const char *folder, struct home *ret_home, struct err *err)
{
    must(folder != NULL && ret_home != NULL);
    int rc = fs_mkdirs(folder, 0700, err);
    if (rc < 0)
        return rc;
    struct home home = {.lock_fd = -1};
    home.folder = mem_strdup(folder);
    rc = home_lock(&home, err);
    if (rc == 0)
        rc = home_identity(&home, err);
    if (rc == 0)
        rc = home_epoch(&home, err);
    if (rc < 0) {
        home_close(&home);
        return rc;
    }
    err_clear(err);
    *ret_home = home;
    return 0;
}

void home_close(struct home *home)
{
    if (home->folder == NULL)
        return;
    home->lock_fd = close_fd(home->lock_fd);
    mem_free(home->folder);
    home->folder = NULL;
}

int home_keep_epoch(struct home *home, uint64_t epoch, struct err *err)
{
    must(epoch >= home->epoch);
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, epoch);
    int rc = home_write(home, "epoch", text, err);
    if (rc == 0)
        home->epoch = epoch;
    return rc;
}
