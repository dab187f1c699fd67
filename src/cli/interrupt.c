// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM while following.

#include "cli/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "cli/api.h"

// How long asking for the end of the run goes on while the server is away.
#define CANCEL_PATIENCE_USEC (10 * USEC_PER_SEC)

static int signal_pipe[2] = {-1, -1};
static struct sigaction before_int;
static struct sigaction before_term;
static int n_cancels; // how often this run was asked to end

static void on_signal(int number)
{
    int saved_errno = errno;
    char byte = (char)number;
    // A full pipe holds signals enough.
    if (write(signal_pipe[1], &byte, 1) < 0)
        byte = 0;
    errno = saved_errno;
}

void interrupt_begin(void)
{
    must(signal_pipe[0] < 0);
    must(pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) == 0);
    n_cancels = 0;
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &before_int);
    sigaction(SIGTERM, &action, &before_term);
}

void interrupt_end(void)
{
    sigaction(SIGINT, &before_int, NULL);
    sigaction(SIGTERM, &before_term, NULL);
    signal_pipe[0] = close_fd(signal_pipe[0]);
    signal_pipe[1] = close_fd(signal_pipe[1]);
}

int interrupt_fd(void)
{
    return signal_pipe[0];
}

int interrupt_take(void)
{
    char byte = 0;
    return signal_pipe[0] >= 0 && read(signal_pipe[0], &byte, 1) == 1 ? byte : 0;
}

enum answer { ANSWER_NO, ANSWER_YES, ANSWER_LEAVE };

// Asks on the terminal; another signal while asking means yes.
static enum answer ask(uint64_t run_id)
{
    // Opened anew, so that not blocking is a matter of this descriptor alone: Ctrl-C drops what was typed, between poll and read too.
    cleanup_close int fd = open("/dev/tty", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return ANSWER_YES;
    fflush(stdout);
    fprintf(stderr, "\nmuster: cancel run %llu? [y/N, d: leave it running] (Ctrl-C again: cancel at once) ", (unsigned long long)run_id);
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = signal_pipe[0], .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return ANSWER_NO;
        if (interrupt_take() != 0) {
            fputc('\n', stderr);
            return ANSWER_YES;
        }
        if (fds[0].revents == 0)
            continue;
        char line[64];
        ssize_t len = read(fd, line, sizeof(line));
        if (len < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (len <= 0)
            return ANSWER_NO;
        return line[0] == 'y' || line[0] == 'Y' ? ANSWER_YES : line[0] == 'd' || line[0] == 'D' ? ANSWER_LEAVE : ANSWER_NO;
    }
}

bool interrupt_handle(struct cli *cli, uint64_t run_id, struct err *err)
{
    int number = interrupt_take();
    if (number == 0)
        return false;
    if (n_cancels > 0) {
        err_set(err, ERR_INTERRUPTED, "not following any longer; run %llu is being cancelled", (unsigned long long)run_id);
        return true;
    }
    bool terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    enum answer answer = number == SIGINT && terminal ? ask(run_id) : ANSWER_YES;
    if (answer == ANSWER_NO)
        return false;
    if (answer == ANSWER_LEAVE) {
        err_set(err, ERR_INTERRUPTED, "run %llu goes on; `muster logs -f %llu` follows it again", (unsigned long long)run_id,
                (unsigned long long)run_id);
        return true;
    }
    n_cancels++;
    client_patience(cli->client, CANCEL_PATIENCE_USEC, signal_pipe[0]);
    int rc = client_post(cli->client, NULL, NULL, err, "/v1/runs/%llu/cancel", (unsigned long long)run_id);
    client_patience(cli->client, USEC_NEVER, signal_pipe[0]);
    if (rc < 0 && rc != ERR_CONFLICT) {
        cli_remark(cli, "run %llu could not be cancelled: %s", (unsigned long long)run_id, err != NULL ? err->text : "");
        n_cancels = 0;
        return false;
    }
    err_clear(err);
    cli_remark(cli, "run %llu is being cancelled", (unsigned long long)run_id);
    return false;
}
