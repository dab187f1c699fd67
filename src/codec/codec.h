// SPDX-License-Identifier: Apache-2.0
// Bytes <-> model. Packing appends to a buf and cannot fail; unpacking takes untrusted bytes, allocates in the given arena, copies what it
// keeps and returns ERR_PROTOCOL (wire), ERR_STORE_CORRUPT (records, snapshot) or ERR_VERSION with a sentence. The shapes are declared once, in
// proto/*.proto (protobuf), and evolve by its rules: numbers are never reused, unknown fields are skipped, unknown kinds are ERR_VERSION.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/record.h"
#include "model/snapshot.h"
#include "model/wire.h"

// Job specs (proto/job.proto).
void spec_pack(struct buf *, const struct job_spec *);
int spec_unpack(struct bytes, struct arena *, const struct job_spec **ret_spec, struct err *);

// Records (proto/record.proto). record_pack writes one record behind a varint length, so that a batch is their concatenation.
// For kinds with a spec, `packed` is what is written, and unpacking fills both spec and packed.
void record_pack(struct buf *, const struct record *);
// Takes one record off the front of *bytes.
int record_unpack(struct bytes *bytes, struct arena *, struct record **ret_record, struct err *);

// Snapshot items (proto/snapshot.proto), framed like records; the file begins with a magic and a format version and ends with a checksum.
// The buf is empty at first and holds nothing but the snapshot in the end.
void snapshot_begin(struct buf *);
void snapshot_item_pack(struct buf *, const struct snapshot_item *);
void snapshot_end(struct buf *);
// Checks magic, version and checksum, then calls visit for each item (its arena is cleared between items). When visit returns other than 0,
// that is returned, and err is left to it.
int snapshot_unpack(struct bytes, int (*visit)(void *, const struct snapshot_item *), void *context, struct err *);

// Messages between server and agent (proto/wire.proto).
void wire_pack(struct buf *, const struct wire_message *);
int wire_unpack(struct bytes, struct arena *, const struct wire_message **ret_message, struct err *);
