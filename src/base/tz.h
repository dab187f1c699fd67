// SPDX-License-Identifier: Apache-2.0
// Time zones, read from the TZif files of the system (RFC 8536, version 2 and later) with the POSIX rule in their footer, so that
// instants of any year are known. A zone is a row of segments of constant offset. All times here are seconds: `sec` is an
// instant (since 1970-01-01T00:00:00Z), `local_sec` is a wall-clock reading counted as if it were UTC. Leap seconds do not exist.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct tz;

// Instants and readings outside of +-TZ_SEC_MAX are answered as the nearest one inside.
#define TZ_SEC_MAX (INT64_MAX / 1000000)

// Gives the zone with this IANA name ("Europe/Berlin") from below $TZDIR, else /usr/share/zoneinfo; end it with tz_free().
// "UTC" and "Etc/UTC" need no file. ERR_INVALID for a text that is no name, ERR_NOT_FOUND, ERR_STORE_CORRUPT for a bad file,
// ERR_UNSUPPORTED for an old format or a zone that counts leap seconds, or what reading the file gave.
int tz_load(const char *name, struct tz **ret_tz, struct err *err);
// The same from the bytes of a file.
int tz_parse(const char *name, const void *data, size_t len, struct tz **ret_tz, struct err *err);
// NULL is allowed.
void tz_free(struct tz *tz);

// The zone called name from the cache of the process, loaded when it is asked for the first time; NULL when there is none. Lives as
// long as the process and never changes. Threads may share it.
const struct tz *tz_find(const char *name);
// The same in the shape that the core asks for; context is not used.
const struct tz *tz_finder(void *context, const char *name);

const char *tz_name(const struct tz *tz);

// The version of the database that zones are loaded from now, such as "2025b": what the first line of its tzdata.zi says, or its file
// +VERSION; "unknown" when neither does.
#define TZ_VERSION_BYTES 64
void tz_database_version(char ret[static TZ_VERSION_BYTES]);

// Instants start_sec <= t < end_sec have one offset. INT64_MIN and INT64_MAX stand for no such end.
struct tz_segment {
    int64_t start_sec;
    int64_t end_sec;
    int32_t offset_sec; // east of Greenwich: local = instant + offset
};

void tz_segment_at(const struct tz *tz, int64_t sec, struct tz_segment *ret);
// Seconds to add to an instant for its local reading.
int32_t tz_offset(const struct tz *tz, int64_t sec);

// A reading exists once, never (the clocks were put forward over it) or more than once (they were put back).
enum tz_local { TZ_ONCE, TZ_GAP, TZ_TWICE };

// The first and the last instant with this reading; for a gap both are the first instant after it.
enum tz_local tz_from_local(const struct tz *tz, int64_t local_sec, int64_t *ret_first_sec, int64_t *ret_last_sec);
