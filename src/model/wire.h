// SPDX-License-Identifier: Apache-2.0
// Messages between the leader and an agent, over one ordered, authenticated session. Packed by codec/wire.c; the sent shape is
// proto/wire.proto; a frame is a 32-bit big-endian length and one message.
//
//   agent -> server   HELLO (answers CHALLENGE), HEARTBEAT, REPORT, LOG_DATA
//   server -> agent   CHALLENGE (first), WELCOME or REFUSE, LEASE, START, STOP, ACK, LOG_READ
//
// Authentication: the server's CHALLENGE carries a nonce; HELLO carries the agent's nonce and HMAC-SHA256(key, "agent" | server nonce |
// agent nonce | node name); WELCOME carries HMAC-SHA256(key, "server" | agent nonce | server nonce), so that each side proves that it holds the
// cluster's agent key and neither sends it.
#pragma once

#include "model/event.h"

enum { WIRE_VERSION = 1, WIRE_NONCE_BYTES = 32, WIRE_PROOF_BYTES = 32 };

enum wire_kind {
    WIRE_CHALLENGE = 1,
    WIRE_HELLO,
    WIRE_WELCOME,
    WIRE_REFUSE,
    WIRE_HEARTBEAT,
    WIRE_LEASE,
    WIRE_START,
    WIRE_STOP,
    WIRE_REPORT,
    WIRE_ACK,
    WIRE_LOG_READ,
    WIRE_LOG_DATA,
    WIRE_KINDS
};

struct wire_challenge {
    uint32_t version;
    uint64_t epoch;
    struct bytes nonce;
};

struct wire_hello {
    uint32_t version;
    struct bytes nonce;
    struct bytes proof;
    struct ev_node_hello hello; // session is filled in by the server
};

struct wire_welcome {
    struct bytes proof;
    struct fx_welcome welcome;
};

struct wire_log_read {
    uint64_t request;
    uint64_t run_id;
    uint32_t index;
    uint32_t attempt;
    uint32_t stream; // 0: stdout, 1: stderr
    uint64_t offset;
    uint32_t max_bytes;
};

struct wire_log_data {
    uint64_t request;
    int code; // 0 or ERR_*
    const char *text;
    uint64_t offset; // of the first byte of data
    uint64_t end;    // behind the last byte written so far
    bool final;      // no more can come
    struct bytes data;
};

struct wire_message {
    enum wire_kind kind;
    uint64_t epoch; // of the leader: START, STOP, WELCOME; an agent refuses a lower one than it has obeyed
    union {
        struct wire_challenge challenge;
        struct wire_hello hello;
        struct wire_welcome welcome;
        struct fx_refuse refuse;
        uint64_t heartbeat;
        struct fx_lease lease;
        struct fx_start start;
        struct fx_stop stop;
        struct ev_node_report report; // session is filled in by the server
        struct fx_ack ack;
        struct wire_log_read log_read;
        struct wire_log_data log_data;
    };
};
