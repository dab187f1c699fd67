// SPDX-License-Identifier: Apache-2.0
// Starting and finding the spawner.

#include "exec/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "exec/spawner.h"

int attach_connect(const char *folder, int *ret_fd, struct err *err)
{
    cleanup_close int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (folder_fd < 0 || fd < 0)
        return err_errno(err, err_from_errno(errno), "open the folder '%s'", folder);
    // By descriptor: the path of the folder may be longer than a socket's name can be.
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" SPAWNER_SOCKET, folder_fd);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return err_errno(err, errno == ECONNREFUSED ? ERR_CLOSED : err_from_errno(errno), "connect to the spawner");
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || (peer.uid != geteuid() && peer.uid != 0))
        return err_set(err, ERR_DENIED, "the spawner's socket belongs to another user");
    *ret_fd = steal_fd(&fd);
    return 0;
}

// Runs in the second child: only system calls from here on.
__attribute__((noreturn)) static void become_spawner(int ready_fd, const char *program, char *const *argv, char *const *envp)
{
    // The pipe is the one descriptor that is handed on.
    if (fcntl(ready_fd, F_SETFD, 0) == 0)
        execve(program, argv, envp);
    _exit(127);
}

int attach_start(const char *folder, const char *program, int *ret_ready_fd, struct err *err)
{
    must(folder != NULL && folder[0] == '/' && program != NULL);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, ERR_IO, "create a pipe for the spawner");
    char number[16];
    snprintf(number, sizeof(number), "%d", ends[1]);
    char *const argv[] = {(char *)"muster", (char *)"spawner", (char *)"--folder", (char *)folder, (char *)"--ready-fd", number, NULL};
    char level[64] = "MUSTER_LOG=info";
    const char *wanted = getenv("MUSTER_LOG");
    if (wanted != NULL)
        snprintf(level, sizeof(level), "MUSTER_LOG=%s", wanted);
    char *const envp[] = {level, (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LANG=C.UTF-8", NULL};
    pid_t pid = fork();
    if (pid == 0) {
        if (setsid() < 0)
            _exit(127);
        pid_t inner = fork();
        if (inner == 0)
            become_spawner(ends[1], program, argv, envp);
        _exit(inner < 0 ? 127 : 0);
    }
    int saved_errno = errno;
    close_fd(ends[1]);
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        close_fd(ends[0]);
        errno = pid < 0 ? saved_errno : EAGAIN;
        return err_errno(err, ERR_UNAVAILABLE, "start the spawner");
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *ret_ready_fd = ends[0];
    return 0;
}
