// SPDX-License-Identifier: Apache-2.0
// The proofs of the agent session (model/wire.h): both sides show that they hold the cluster's agent key, and neither sends it. HMAC-SHA256
// over fresh nonces of both sides; compared in constant time. The key is the text of a file of mode 0600.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/wire.h"

enum { HANDSHAKE_KEY_MIN = 32, HANDSHAKE_KEY_MAX = 1024 };

struct handshake_key {
    uint8_t data[HANDSHAKE_KEY_MAX];
    size_t len;
};

// Reads the key: the file's text without white space around it, at least HANDSHAKE_KEY_MIN bytes. ERR_DENIED: others than its owner may
// read the file. ERR_INVALID: too short or too long. ERR_NOT_FOUND and so on.
int handshake_key_read(const char *path, struct handshake_key *ret_key, struct err *);
// Writes a file with a new random key of 256 bits, mode 0600, unless there is one; then reads it.
int handshake_key_ensure(const char *path, struct handshake_key *ret_key, struct err *);

// Random bytes from the kernel. Never fails.
void handshake_random(void *ret, size_t len);

// HMAC(key, "agent" | server nonce | agent nonce | node name), sent in HELLO.
void handshake_agent_proof(const struct handshake_key *, const uint8_t server_nonce[static WIRE_NONCE_BYTES],
                           const uint8_t agent_nonce[static WIRE_NONCE_BYTES], const char *node, uint8_t ret_proof[static WIRE_PROOF_BYTES]);
// HMAC(key, "server" | agent nonce | server nonce), sent in WELCOME.
void handshake_server_proof(const struct handshake_key *, const uint8_t server_nonce[static WIRE_NONCE_BYTES],
                            const uint8_t agent_nonce[static WIRE_NONCE_BYTES], uint8_t ret_proof[static WIRE_PROOF_BYTES]);
// Whether what was received is this proof. Takes the same time whatever was received.
bool handshake_proof_equal(struct bytes received, const uint8_t proof[static WIRE_PROOF_BYTES]);
