// SPDX-License-Identifier: Apache-2.0
// Shapes that records, snapshots and messages share: what a node says of itself, and attempts in columns. Private to codec/.
// Packing fills a message that points into the arena and into what is packed; both must outlive it.
#pragma once

#include "codec/pb.h"
#include "model/event.h"
#include "model/record.h"
#include "proto/record.pb-c.h"
#include "proto/wire.pb-c.h"

void node_info_pack(struct arena *, Muster__NodeInfo *, const struct node_info *);
// `from` may be NULL (the field is missing), which is an error.
int node_info_unpack(struct unpacker *, const Muster__NodeInfo *from, struct node_info *ret_info);

void calendar_pack(struct arena *, Muster__Calendar *, const struct calendar *);
// `from` may be NULL (the field is missing), which is an error.
int calendar_unpack(struct unpacker *, const Muster__Calendar *from, const struct calendar **ret_calendar);

// The n ends, `stride_bytes` apart from `first` on.
void attempt_ends_pack(struct arena *, Muster__AttemptEnds *, const struct attempt_end *first, size_t stride_bytes, size_t n);
// Fills the zeroed ends; their number is from->n_fence, at most UNPACK_ENTRIES_MAX.
int attempt_ends_unpack(struct unpacker *, const Muster__AttemptEnds *from, struct attempt_end *first, size_t stride_bytes);

void known_attempts_pack(struct arena *, Muster__KnownAttempts *, const struct known_attempt *, size_t n);
// `from` may be NULL, which is none.
int known_attempts_unpack(struct unpacker *, const Muster__KnownAttempts *from, const struct known_attempt **ret_known,
                          size_t *ret_n);

// Stretches of instants as numbers in pairs, steps.
int64_t *spans_pack(struct arena *, size_t *ret_len, const struct instant_span *, size_t n);
// Fails unless they ascend without overlap.
int spans_unpack(struct unpacker *, int64_t *column, size_t len, const struct instant_span **ret_spans, size_t *ret_n);

// Fails when there are more entries than one message may have.
int entries_check(struct unpacker *, size_t n);
