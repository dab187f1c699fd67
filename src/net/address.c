// SPDX-License-Identifier: Apache-2.0
// Addresses of sockets, and the sockets themselves.

#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/str.h"

// Cuts text into host and port; either may be empty afterwards.
static int address_split(const char *text, char host[static NET_ADDRESS_TEXT], char port[static 8])
{
    const char *end = NULL, *rest = NULL;
    if (text[0] == '[') {
        text++;
        end = strchr(text, ']');
        if (end == NULL)
            return ERR_INVALID;
        rest = end + 1;
    } else {
        end = strchr(text, ':');
        if (end == NULL)
            end = text + strlen(text);
        rest = end;
    }
    if ((rest[0] != '\0' && rest[0] != ':') || (size_t)(end - text) >= NET_ADDRESS_TEXT)
        return ERR_INVALID;
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';
    return rest[0] == '\0' ? str_copy(port, 8, "") : str_copy(port, 8, rest + 1);
}

int net_address_parse(const char *text, uint16_t default_port, struct net_address *ret_address, struct err *err)
{
    must(text != NULL && ret_address != NULL);
    char host[NET_ADDRESS_TEXT], port_text[8];
    if (address_split(text, host, port_text) < 0)
        return err_set(err, ERR_INVALID, "'%s' is no address; write it as 127.0.0.1:PORT or [::1]:PORT", text);
    uint64_t port = default_port;
    if (port_text[0] == '\0' ? default_port == 0 : str_to_u64(port_text, &port) < 0 || port > UINT16_MAX)
        return err_set(err, ERR_INVALID, "the address '%s' needs a port from 0 to 65535 behind its last ':'", text);

    struct net_address address = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, str_eq(host, "localhost") ? "127.0.0.1" : host, &v4.sin_addr) == 1) {
        memcpy(&address.storage, &v4, sizeof(v4));
        address.len = sizeof(v4);
    } else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(&address.storage, &v6, sizeof(v6));
        address.len = sizeof(v6);
    } else {
        return err_set(err, ERR_INVALID, "'%s' is no numeric address (nor localhost); names are not looked up", host);
    }
    *ret_address = address;
    return 0;
}

const char *net_address_format(char buf[static NET_ADDRESS_TEXT], const struct net_address *address)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->storage.ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, &address->storage, sizeof(v4));
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
        snprintf(buf, NET_ADDRESS_TEXT, "%s:%u", host, net_address_port(address));
    } else if (address->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, &address->storage, sizeof(v6));
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
        snprintf(buf, NET_ADDRESS_TEXT, "[%s]:%u", host, net_address_port(address));
    } else {
        snprintf(buf, NET_ADDRESS_TEXT, "%s", host);
    }
    return buf;
}

uint16_t net_address_port(const struct net_address *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (address->storage.ss_family) {
    case AF_INET:
        memcpy(&v4, &address->storage, sizeof(v4));
        return ntohs(v4.sin_port);
    case AF_INET6:
        memcpy(&v6, &address->storage, sizeof(v6));
        return ntohs(v6.sin6_port);
    default:
        return 0;
    }
}

bool net_address_loopback(const struct net_address *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (address->storage.ss_family) {
    case AF_INET:
        memcpy(&v4, &address->storage, sizeof(v4));
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        memcpy(&v6, &address->storage, sizeof(v6));
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    default:
        return false;
    }
}

static const struct sockaddr *address_sockaddr(const struct net_address *address)
{
    return (const struct sockaddr *)(const void *)&address->storage;
}

static int address_socket(const struct net_address *address, struct err *err)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 ? fd : err_errno(err, ERR_IO, "make a socket");
}

int net_listen(const struct net_address *address, int *ret_fd, struct net_address *ret_bound, struct err *err)
{
    must(address != NULL && address->len > 0 && ret_fd != NULL);
    char text[NET_ADDRESS_TEXT];
    net_address_format(text, address);
    if (!net_address_loopback(address))
        return err_set(err, ERR_UNSUPPORTED,
                       "not listening on %s: connections are not encrypted yet, so only loopback addresses are allowed (127.0.0.1, ::1)", text);
    cleanup_close int fd = address_socket(address, err);
    if (fd < 0)
        return fd;
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, address_sockaddr(address), address->len) < 0 || listen(fd, SOMAXCONN) < 0)
        return err_errno(err, errno == EADDRINUSE ? ERR_EXISTS : err_from_errno(errno), "listen on %s", text);
    struct net_address bound = {.len = sizeof(bound.storage)};
    if (getsockname(fd, (struct sockaddr *)(void *)&bound.storage, &bound.len) < 0)
        return err_errno(err, ERR_IO, "listen on %s", text);
    if (ret_bound != NULL)
        *ret_bound = bound;
    *ret_fd = steal_fd(&fd);
    return 0;
}

int net_connect_begin(const struct net_address *address, int *ret_fd, struct err *err)
{
    must(address != NULL && address->len > 0 && ret_fd != NULL);
    cleanup_close int fd = address_socket(address, err);
    if (fd < 0)
        return fd;
    net_tune(fd);
    if (connect(fd, address_sockaddr(address), address->len) < 0 && errno != EINPROGRESS) {
        char text[NET_ADDRESS_TEXT];
        return err_errno(err, ERR_UNAVAILABLE, "connect to %s", net_address_format(text, address));
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int net_connect_result(int fd, const struct net_address *address, struct err *err)
{
    int failure = 0;
    socklen_t len = sizeof(failure);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) < 0)
        failure = errno;
    if (failure == 0)
        return 0;
    char text[NET_ADDRESS_TEXT];
    errno = failure;
    return err_errno(err, ERR_UNAVAILABLE, "connect to %s", net_address_format(text, address));
}

void net_tune(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}
