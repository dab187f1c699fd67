// SPDX-License-Identifier: Apache-2.0
// The kept output of one attempt, one stream: what the spawner writes and log_read() reads.
//
// Files lie in <logs>/<run/1000>/<run>/ and are made when the first byte comes:
//     <index>.<attempt>.out          the first segment
//     <index>.<attempt>.out.d/N      later ones, N being the offset of their first byte in 20 digits
// (.err for stderr). A segment holds a quarter of what may be kept; the oldest goes when a new one would be too much. Bytes that could not
// be written (a full disk) are left out: the next segment begins at its true offset, so a gap shows. The newest segment loses its write
// permission when no more can come.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/time.h"
#include "exec/executor.h"

struct log_key {
    uint64_t run_id;
    uint32_t index, attempt;
    enum log_stream stream;
};

enum { LOG_NAME_MAX = 96, LOG_SEGMENTS = 4, LOG_SEGMENTS_MAX = 16 };

// "12/12345", "7.1.out", "7.1.out.d".
void log_folder_name(const struct log_key *, char ret[static LOG_NAME_MAX]);
void log_base_name(const struct log_key *, char ret[static LOG_NAME_MAX]);

struct log_segment {
    uint64_t start, bytes;
};

struct log_file {
    int logs_fd; // borrowed: the logs folder
    struct log_key key;
    uint64_t cap_bytes;
    atomic_llong *total_bytes; // of all logs of the node; borrowed
    int fd;                    // of the newest segment while it is open
    struct log_segment segments[LOG_SEGMENTS_MAX];
    size_t n_segments;
    uint64_t end;          // offset behind the last byte that came
    uint64_t lost_bytes;   // of those, could not be written
    usec_t retry_mono_usec; // after a failure: not tried again before
};

void log_file_init(struct log_file *, int logs_fd, const struct log_key *, uint64_t cap_bytes, atomic_llong *total_bytes);
// Never fails: what cannot be written is counted.
void log_file_append(struct log_file *, const void *data, size_t len, usec_t mono_usec);
// No more will come. Closes everything.
void log_file_finish(struct log_file *);
// Marks the output of an attempt as complete although its writer is gone (after a crash of the spawner).
void log_mark_final(int logs_fd, const struct log_key *);

// Removes the output of finished attempts, lowest run first, until at most target_bytes are left. Returns what is left.
uint64_t log_purge(int logs_fd, uint64_t target_bytes);
