// SPDX-License-Identifier: Apache-2.0
// A listening socket in the loop: accepts, and hands each connection out as a non-blocking descriptor. It accepts only while its owner has
// room: what cannot be taken waits in the kernel's queue, which is bounded, and costs this process nothing.
#pragma once

#include "net/address.h"
#include "net/loop.h"

struct listener;

// Gives a connected descriptor.
typedef void listener_call(void *context, int fd);

// See net_listen() for the errors.
int listener_open(struct loop *, const struct net_address *, listener_call *, void *context, struct listener **ret_listener, struct err *);
void listener_close(struct listener *);
// Where it listens, with the port that the kernel chose.
const struct net_address *listener_address(const struct listener *);
// Stops accepting, or goes on.
void listener_pause(struct listener *, bool pause);
