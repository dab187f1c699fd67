// SPDX-License-Identifier: Apache-2.0
// Job specs, as the other codecs need them. Private to codec/; the public half is in codec/codec.h.
#pragma once

#include "codec/pb.h"
#include "model/job_spec.h"

// As spec_unpack, inside of another unpacking.
int spec_unpack_in(struct unpacker *, struct bytes, const struct job_spec **ret_spec);
// What every spec must fulfil in order to be packed, and fulfils after unpacking: sorted needs and labels, enums and durations in range,
// intervals that are positive. Returns NULL, or what is wrong, as the end of a sentence. Static text.
const char *spec_fault(const struct job_spec *);
// Whether pairs are sorted by key without doubles.
bool pairs_sorted(const struct pair *, size_t n);
// Whether needs are sorted by name without doubles.
bool needs_sorted(const struct resource_need *, size_t n);
