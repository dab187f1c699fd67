// SPDX-License-Identifier: Apache-2.0
// Ending a spawner from outside: found by its socket, asked by SIGTERM, awaited by a descriptor of its process.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "exec/executor.h"
#include "exec/spawner.h"

// Connects to the socket by a descriptor of the folder, whose path may be longer than a socket's name can be. Returns the id of the
// process that listens, 0 when none does.
static pid_t spawner_find(const char *folder)
{
    cleanup_close int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);
    if (folder_fd < 0 || fd < 0)
        return 0;
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder_fd, SPAWNER_SOCKET);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return 0;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
}

int executor_spawner_end(const char *folder, usec_t patience_usec, struct err *err)
{
    pid_t pid = spawner_find(folder);
    if (pid <= 0)
        return 0;
    cleanup_close int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pid_fd < 0)
        return errno == ESRCH ? 0 : err_errno(err, ERR_IO, "find the spawner %d", (int)pid);
    // Between finding it and opening its descriptor it may have gone, and its number have gone to another process.
    if (spawner_find(folder) != pid)
        return 0;
    if (syscall(SYS_pidfd_send_signal, pid_fd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
        return err_errno(err, err_from_errno(errno), "end the spawner %d", (int)pid);
    struct pollfd ended = {.fd = pid_fd, .events = POLLIN};
    int ready;
    do {
        ready = poll(&ended, 1, (int)(patience_usec / USEC_PER_MSEC));
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return err_set(err, ERR_TIMEOUT, "the spawner %d still ends its tasks", (int)pid);
    return 0;
}
