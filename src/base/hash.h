// SPDX-License-Identifier: Apache-2.0
// Fast hashes for tables, jitter and H of cron. The same on every machine and in every version: results may be stored.
// They are no protection against someone who picks the input; use HMAC of OpenSSL for that.
#pragma once

#include <stddef.h>
#include <stdint.h>

// `data` may be NULL when `len` is 0.
uint64_t hash_bytes(const void *data, size_t len, uint64_t seed);
// One number; different numbers have different hashes.
uint64_t hash_u64(uint64_t value);
