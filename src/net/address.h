// SPDX-License-Identifier: Apache-2.0
// Addresses of sockets, and the sockets themselves. TCP over IPv4 and IPv6. Until TLS exists nothing listens anywhere but on the loopback
// interface: net_listen() is the one door to listen(2), and it refuses the rest with a sentence that says why.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

struct net_address {
    struct sockaddr_storage storage;
    socklen_t len;
};

enum { NET_ADDRESS_TEXT = 64 };

// "127.0.0.1:7440", "[::1]:7440", "localhost:7440"; without a port, default_port (0: then the port must be there). Numeric addresses and
// "localhost" only: looking names up would block the loop. ERR_INVALID.
int net_address_parse(const char *text, uint16_t default_port, struct net_address *ret_address, struct err *);
const char *net_address_format(char buf[static NET_ADDRESS_TEXT], const struct net_address *);
uint16_t net_address_port(const struct net_address *);
bool net_address_loopback(const struct net_address *);

// Listens, non-blocking; port 0: the kernel chooses one. *ret_bound (may be NULL) is where. ERR_UNSUPPORTED: not loopback. ERR_EXISTS: the
// address is in use. ERR_IO and so on. Gives the descriptor.
int net_listen(const struct net_address *, int *ret_fd, struct net_address *ret_bound, struct err *);
// Begins to connect, non-blocking: the descriptor becomes writable when it is decided, and net_connect_result() says how. Gives it.
int net_connect_begin(const struct net_address *, int *ret_fd, struct err *);
int net_connect_result(int fd, const struct net_address *, struct err *);
// What every stream socket of Muster wants: small writes leave at once.
void net_tune(int fd);
