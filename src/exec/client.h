// SPDX-License-Identifier: Apache-2.0
// The executor that stands on a spawner; what client.c (the executor) and client_conn.c (the connection) share. Private to them.
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "exec/control.h"
#include "exec/executor.h"

enum client_state {
    CLIENT_DOWN,     // tries again at until_mono_usec
    CLIENT_STARTING, // a spawner is about to say whether it is ready
    CLIENT_GREETING, // connected; the list of attempts is awaited
    CLIENT_LIVE,
};

struct mirrored {
    struct list link; // in all
    struct list tell; // in to_tell, or alone
    struct exec_attempt known;
    char *message;   // of known.end; owned
    bool confirmed;  // the spawner has said that it knows it
    bool seen;       // in the list that is coming in
    bool tell_start, tell_end;
    bool stop_asked, forget_asked;
    enum outcome stop_why;
};

struct client {
    struct executor base;
    char *folder, *program, *node;
    struct limits limits;
    enum client_state state;
    usec_t until_mono_usec; // of DOWN, STARTING, GREETING
    int epoll_fd, fd, ready_fd;
    bool writable_watched;
    struct buf in, out, last_spec;
    char instance[INSTANCE_TEXT];
    bool tell_reset;
    char **warnings;
    size_t n_warnings;
    struct map by_fence;
    struct list all, to_tell;
    usec_t lease_boot_usec;
    struct err last_err;
};

// Connecting, greeting, and taking in what the spawner says; never waits.
void exec_client_turn(struct client *);
void exec_client_disconnect(struct client *);
void exec_client_send(struct client *, const struct control_message *);
void exec_client_send_stop(struct client *, const struct mirrored *);

// The mirror of what the spawner knows.
struct mirrored *exec_client_mirror(struct client *, const struct exec_attempt *known);
void exec_client_mirror_end_as(struct client *, struct mirrored *, enum outcome, const char *message);
void exec_client_mirror_free(struct client *, struct mirrored *);
void exec_client_want_tell(struct client *, struct mirrored *);
void exec_client_free_warnings(struct client *);
