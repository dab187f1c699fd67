// SPDX-License-Identifier: Apache-2.0
// Framed connections: a stream socket that carries messages, each a 32-bit big-endian length and as many bytes. Both directions are
// bounded: a longer message than allowed, or more waiting to be sent than allowed, ends the connection with an error that names the limit.
//
// Messages that are sent in one turn of the loop leave in one write at its end; nothing waits for the next turn. Reading takes what is
// there, up to 256 KiB a turn, and hands out every whole message in it.
//
// Callbacks come from the loop only, never from within a call of the owner. on_closed is the last one; the owner then frees the connection,
// as it may do at any moment, in callbacks too. Everything else may still be called after on_closed and does nothing.
#pragma once

#include "base/buf.h"
#include "model/job_spec.h"
#include "net/address.h"
#include "net/loop.h"

struct frame_conn;

struct frame_calls {
    void (*on_open)(void *context); // the connection stands; NULL: nobody asks
    void (*on_message)(void *context, struct bytes message); // borrowed for the call
    void (*on_closed)(void *context, const struct err *why); // ERR_CLOSED: the other side ended it between messages
};

struct frame_options {
    struct loop *loop; // borrowed
    size_t message_bytes_max; // of one message, either way
    size_t queue_bytes_max; // waiting to be sent
    const struct frame_calls *calls; // borrowed
    void *context;
};

// Begins to connect; on_open or on_closed follows.
int frame_connect(const struct frame_options *, const struct net_address *, struct frame_conn **ret_conn, struct err *);
// Over a connected socket, which it takes. on_open is not called.
struct frame_conn *frame_open(const struct frame_options *, int fd);
// Closes at once; what was not sent is lost. NULL is allowed.
void frame_free(struct frame_conn *);
// Takes the connection: sends what waits, gives the other side a second to read it, closes. No callback comes any more.
void frame_finish(struct frame_conn *);

// A new owner, and a new limit for the messages that come: for a connection that has been authenticated. The queue stays.
void frame_adopt(struct frame_conn *, const struct frame_options *);

// Sends one message. A connection that cannot take it will be closed, and on_closed says why.
void frame_send(struct frame_conn *, const void *data, size_t len);
// The same without a copy: append the message to what frame_begin() returns, then frame_end().
struct buf *frame_begin(struct frame_conn *);
void frame_end(struct frame_conn *);

// Stops handing out messages, and reading, until it is called with false: pressure goes back to the sender.
void frame_pause(struct frame_conn *, bool pause);
// Bytes waiting to be sent.
size_t frame_queued(const struct frame_conn *);
