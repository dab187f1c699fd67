// SPDX-License-Identifier: Apache-2.0
// The inside of spec_parse: one function per row of spec/job_fields.def, and what they share. A function reads one value into the spec
// or adds errors; a value that is wrong leaves its default behind, so that reading goes on.
#pragma once

#include <stdbool.h>

#include "codec/doc.h"
#include "codec/spec_parse.h"

enum field_id {
#define JOB_FIELD(NAME, path, type, allowed, sentence, example) FIELD_##NAME,
#include "spec/job_fields.def"
    FIELDS
};

// A value, where it is, and as which field it is read.
struct place {
    const struct doc_node *node;
    const char *path; // as shown: "schedule[1].zone"
    enum field_id field;
};

struct spec_reader {
    struct arena *arena;
    const struct limits *limits;
    enum spec_purpose purpose;
    struct spec_errors *errors;
    struct job_spec *spec;
    const char *hash_key; // "namespace/name", for H of schedules
    struct place given[FIELDS]; // fields that were given and are no item of a list; node is NULL for the others
    // The entry of a list that is being read.
    struct trigger *trigger;
    struct dependency *dependency;
    struct param *param;
};

#define JOB_FIELD(NAME, path, type, allowed, sentence, example) void spec_field_##NAME(struct spec_reader *, const struct place *);
#include "spec/job_fields.def"

// Reads every field of a map; prefix is its own path in the table with a dot ("retry."), or "".
void spec_read_map(struct spec_reader *reader, const struct place *at, const char *prefix);

// "... (allowed: what the row says)".
__attribute__((format(printf, 3, 4))) void spec_bad(struct spec_reader *reader, const struct place *at, const char *fmt, ...);
// Without what is allowed, where the sentence says it.
__attribute__((format(printf, 3, 4))) void spec_bad_said(struct spec_reader *reader, const struct place *at, const char *fmt, ...);
// Adds an error and returns false when value is above the limit. "it" is what the sentence is about: "the command".
bool spec_within(struct spec_reader *reader, const struct place *at, enum limit_id limit, size_t value, const char *it);

// NULL (with an error) when it is no text.
const char *spec_read_text(struct spec_reader *reader, const struct place *at);
bool spec_read_number(struct spec_reader *reader, const struct place *at, int64_t least, int64_t most, int64_t *ret);
bool spec_read_duration(struct spec_reader *reader, const struct place *at, usec_t least_usec, usec_t most_usec, usec_t *ret);
bool spec_read_size(struct spec_reader *reader, const struct place *at, uint64_t least, uint64_t most, uint64_t *ret);
bool spec_read_time(struct spec_reader *reader, const struct place *at, usec_t *ret);
// "1.5" is 1500; with percent, "20%" is 200.
bool spec_read_permille(struct spec_reader *reader, const struct place *at, bool percent, uint32_t least, uint32_t most, uint32_t *ret);
// The index of the text among names, or -1.
int spec_read_name_of(struct spec_reader *reader, const struct place *at, const char *const *names, size_t n);
// A text that the given check lets pass, or NULL. limit: name_bytes_max.
const char *spec_read_checked(struct spec_reader *reader, const struct place *at,
                              const char *(*problem)(const char *text, size_t bytes_max));

// A list; anything else counts as a list of one. A null has no items.
size_t spec_list_len(const struct place *at);
struct place spec_list_at(struct spec_reader *reader, const struct place *at, size_t i);
// The value of item i of a map, with its path.
struct place spec_map_at(struct spec_reader *reader, const struct place *at, size_t i);
bool spec_is_map(struct spec_reader *reader, const struct place *at);

// What params, their use in command and env and their values in schedules must agree on (spec_fields_params.c).
void spec_check_params(struct spec_reader *reader);

// Checks that look at several fields (spec_check.c).
void spec_check(struct spec_reader *reader, const struct doc_node *document);
