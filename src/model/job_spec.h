// SPDX-License-Identifier: Apache-2.0
// What a person declares about work: the definition of a job, and of a run that belongs to no job. Plain data: every pointer
// borrows from the arena that the spec was built in, and a finished spec is never changed. Built from YAML or JSON by
// codec/spec_parse, packed for log, wire and store by codec/spec_pack; the table of its fields is spec/job_fields.def.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "model/cron.h"
#include "model/state.h"

// Borrowed bytes.
struct bytes {
    const uint8_t *data;
    size_t len;
};

struct pair {
    const char *key;
    const char *value;
};

// The built-in kinds of resources; named countable ones follow and are numbered by the core as they appear.
enum resource_id { RES_CPU_MILLIS, RES_MEMORY_BYTES, RES_DISK_BYTES, RES_GPU, RES_BUILTIN };

struct resource_need {
    const char *name; // "cpu", "memory", "disk", "gpu" or the name of a countable resource
    uint64_t amount;  // millis of a core, bytes, or a count
};

enum constraint_op { OP_EQ, OP_NE, OP_IN, OP_NOT_IN, OP_EXISTS, OP_NOT_EXISTS };

// One condition on the labels of a node; all conditions of a spec must hold.
struct constraint {
    const char *label;
    enum constraint_op op;
    const char *const *values;
    size_t n_values;
};

// Indexes first, first+step, ... up to and including last; ranges of a set are sorted and do not overlap.
struct index_range {
    uint32_t first;
    uint32_t last;
    uint32_t step;
    uint32_t position; // of first in the set; filled by index_set_init
};

struct index_set {
    const struct index_range *ranges;
    uint32_t n_ranges;
    uint32_t count;
};

enum delivery { AT_LEAST_ONCE, AT_MOST_ONCE };
enum after_on { AFTER_SUCCEEDED, AFTER_FAILED, AFTER_ENDED };
// QUEUE: one instant waits for the run that goes on, and those that come meanwhile are skipped; QUEUE_ALL: all wait, up to a setting.
enum overlap { OVERLAP_ALLOW, OVERLAP_FORBID, OVERLAP_REPLACE, OVERLAP_QUEUE, OVERLAP_QUEUE_ALL };
enum misfire { MISFIRE_SKIP, MISFIRE_ONCE, MISFIRE_ALL };
enum trigger_kind { TRIGGER_CRON, TRIGGER_EVERY, TRIGGER_AT, TRIGGER_AFTER_END };

struct dependency {
    uint64_t run_id;
    enum after_on on;
};

// A parameter of a job: whoever starts a run may give its value. See model/params.h.
struct param {
    const char *name;
    const char *value; // its default; NULL: none
    bool required;     // a run without a value of it is refused; has no default then
};

struct trigger {
    enum trigger_kind kind;
    const char *text; // as written, for people
    const char *zone; // IANA name; "UTC" when none was given
    bool quartz;      // TRIGGER_CRON: text is that of Quartz, whatever the number of its fields
    struct cron cron; // TRIGGER_CRON
    usec_t every_usec; // TRIGGER_EVERY: counted from the moment the job was first applied. TRIGGER_AFTER_END: from the end of its last run
    usec_t at_usec;    // TRIGGER_AT: wall time
    // Bounds of TRIGGER_CRON and TRIGGER_EVERY.
    usec_t from_usec, until_usec; // instants from <= t < until; 0: no such bound
    bool has_between;             // only while the clocks of zone show a time from first to last, both included; first may be later: over midnight
    int32_t between_first_sec, between_last_sec; // seconds of the day, 0..86400
    usec_t jitter_usec;           // fires are put off by up to this; 0: none
    const struct pair *params;    // values that its fires have, sorted by name
    size_t n_params;
    // Calendars whose days are left out, and those of which one must have the day; by name, none twice. TRIGGER_CRON and TRIGGER_EVERY.
    const char *const *exclude;
    const char *const *include;
    uint32_t n_exclude, n_include;
};

struct retry {
    uint32_t limit; // attempts after the first; 0: none
    usec_t backoff_usec;
    uint32_t factor_permille; // growth of the backoff; 1000: constant
    usec_t backoff_max_usec;
    uint32_t jitter_permille; // of the backoff, added or taken away
    const int32_t *exit_codes; // retry only on these; none listed: on any
    size_t n_exit_codes;
    uint32_t causes; // mask of 1 << enum outcome; 0: every failure
};

struct job_spec {
    const char *namespace_name; // "default"
    const char *name;           // NULL: work of no job
    const char *description;

    const char *const *command; // argv; empty when script is given
    size_t n_command;
    const char *script; // run by its #! line, or by /bin/sh
    const struct pair *env;
    size_t n_env;
    const char *workdir; // NULL: a fresh folder that is removed after the attempt
    const char *user;    // NULL: the account of the agent

    const struct resource_need *needs; // sorted by name, cpu always present
    size_t n_needs;
    bool cpu_declared; // a declared cpu is a ceiling, the default is only a weight
    const struct constraint *constraints;
    size_t n_constraints;

    struct index_set tasks;
    uint32_t parallelism; // 0: no limit
    int32_t priority;     // -1000..1000, higher first
    const char *queue;    // "default"

    usec_t time_limit_usec;     // of one attempt; 0: none
    usec_t queue_deadline_usec; // from submission to first placement; 0: none
    usec_t kill_grace_usec;     // between SIGTERM and SIGKILL
    usec_t start_at_usec;       // wall; 0: at once
    struct retry retry;
    enum delivery delivery;
    const char *concurrency_key; // NULL: none. A run holds its key from its first placement to its end
    uint32_t concurrency_limit;
    const struct dependency *after;
    size_t n_after;
    uint64_t log_bytes_max; // 0: the setting

    const struct trigger *triggers;
    size_t n_triggers;
    enum overlap overlap;
    enum misfire misfire;
    usec_t catch_up_window_usec; // how far back missed instants count; 0: all for `once`, the setting for `all`
    uint32_t catch_up_max;       // MISFIRE_ALL: of one trigger, at most this many; 0: the setting
    usec_t late_after_usec; // a run that has not begun so long after its instant is late; 0: none is
    uint32_t pause_after; // failed runs in a row that hold the job; 0: never

    const struct pair *labels; // sorted by key
    size_t n_labels;

    const struct param *params; // sorted by name
    size_t n_params;
};

// The defaults that the parser starts from (kill grace, factor, one task, names).
void job_spec_init(struct job_spec *);

// Makes a set of ranges (first, last, step) that the caller keeps: fills their positions and the count, and lowers each last to
// the last index that is really in its range. False, and *set untouched, unless every range is well formed, they are sorted without overlap and there
// are fewer than 2^32 indexes; so it also judges ranges that came from outside.
bool index_set_init(struct index_set *set, struct index_range *ranges, size_t n_ranges);
// The i-th index of a set, and the position of an index in it (false: not in the set). O(log ranges).
uint32_t index_set_at(const struct index_set *, uint32_t position);
bool index_set_find(const struct index_set *, uint32_t index, uint32_t *ret_position);
// Number of indexes in one range.
uint32_t index_range_count(const struct index_range *);
// "0-9,20,30-50:2" into buf (cut with an ellipsis when it does not fit).
const char *index_set_format(char *buf, size_t size, const struct index_set *);

const char *delivery_name(enum delivery);
const char *after_on_name(enum after_on);
const char *overlap_name(enum overlap);
const char *misfire_name(enum misfire);
const char *constraint_op_text(enum constraint_op);

// How long task waits after its failed attempt number `attempt` (1 is the first). dice is a number drawn by the decider; the same
// dice give the same wait, so that the decision can be recorded and repeated.
usec_t retry_backoff(const struct retry *, uint32_t attempt, uint64_t dice);
// Whether the policy retries after this end of attempt number `tries` (counted attempts so far, this one included). Success and
// cancellation are never retried. Exit codes without causes: only those exits. Causes with exit codes: any of the causes, and those exits.
bool retry_wants(const struct retry *, uint32_t tries, enum outcome, int exit_code);
