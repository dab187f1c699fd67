// SPDX-License-Identifier: Apache-2.0
// Makes values of every packed kind from a seed, and compares two of them field by field (failing the cmocka test that runs).
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/prng.h"
#include "model/record.h"
#include "model/snapshot.h"
#include "model/wire.h"

enum gen_size {
    GEN_MINIMAL, // whatever may be absent is absent, numbers are 0
    GEN_RANDOM,
    GEN_FULL, // whatever may be present is present
};

struct gen {
    struct prng prng;
    struct arena *arena; // borrowed; values live in it
    enum gen_size size;
    size_t entries_max; // of lists in bulk
};

// Building blocks.
bool gen_some(struct gen *);
uint32_t gen_u32(struct gen *);
uint64_t gen_u64(struct gen *);
usec_t gen_usec(struct gen *);
uint32_t gen_enum(struct gen *, uint32_t values);
const char *gen_text(struct gen *);       // not NULL, not empty
const char *gen_maybe_text(struct gen *); // NULL or not empty
struct bytes gen_bytes(struct gen *, size_t len);
size_t gen_count(struct gen *, size_t most);

const struct job_spec *gen_spec(struct gen *);
struct bytes gen_packed(struct gen *, const struct job_spec *);
const struct node_info *gen_node_info(struct gen *);
const struct calendar *gen_calendar(struct gen *);
struct record *gen_record(struct gen *, enum record_kind);
void gen_backfill_body(struct gen *, struct record *);
void gen_snap_backfill(struct gen *, struct snap_backfill *);
void check_backfill_body(const struct record *, const struct record *);
void check_snap_backfill(const struct snap_backfill *, const struct snap_backfill *);
struct snapshot_item *gen_snapshot_item(struct gen *, enum snapshot_kind);
struct wire_message *gen_wire(struct gen *, enum wire_kind);
const struct known_attempt *gen_known(struct gen *, size_t n);
void gen_attempt_end(struct gen *, struct attempt_end *);

void check_bytes(struct bytes, struct bytes);
void check_text(const char *, const char *);
void check_spec(const struct job_spec *, const struct job_spec *);
void check_node_info(const struct node_info *, const struct node_info *);
void check_calendar(const struct calendar *, const struct calendar *);
void check_attempt_end(const struct attempt_end *, const struct attempt_end *);
void check_record(const struct record *, const struct record *);
void check_snapshot_item(const struct snapshot_item *, const struct snapshot_item *);
void check_wire(const struct wire_message *, const struct wire_message *);
void check_known(const struct known_attempt *, const struct known_attempt *, size_t n);
