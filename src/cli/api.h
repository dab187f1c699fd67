// SPDX-License-Identifier: Apache-2.0
// What the commands share when they speak to the server: how runs and jobs are named, queries, and reading answers.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/cli.h"
#include "client/client.h"

// "12", "12/3" or "12/1-5,9".
struct run_ref {
    uint64_t run_id;
    const char *indexes; // behind the slash, or NULL; borrows
};

// Whether a word names a run (it begins with a digit), not a job.
bool word_is_run(const char *word);
int run_ref_parse(const char *word, struct run_ref *ret, struct err *err);
// As run_ref_parse, with at most one index: *ret_has_index says whether there was one.
int task_ref_parse(const char *word, uint64_t *ret_run_id, bool *ret_has_index, uint32_t *ret_index, struct err *err);

// Appends "/v1/jobs/NAMESPACE/NAME" for "name" or "namespace/name"; --namespace is used for the first form.
int job_path(const struct cli *, const char *word, struct buf *ret, struct err *err);

// Query of a path: query_add puts '?' before the first and '&' before the others, and escapes the value.
void query_add(struct buf *path, const char *key, const char *value);
// An instant: RFC 3339 as it is, or a span of time such as 2d, counted back from now (or ahead, when `ahead`).
int instant_arg(const char *option, const char *text, bool ahead, char ret[static 40], struct err *err);
// The filters of lists of runs, from the options of ps, history and export.
int runs_query(const struct cli *, struct buf *path, struct err *err);

// The values given with --param, by name.
int params_arg(struct cli *, json_t **ret, struct err *err);

// Fields of an answer; NULL objects and fields are allowed everywhere.
const char *answer_text(const json_t *, const char *key);  // NULL when absent or no string
int64_t answer_number(const json_t *, const char *key);    // 0 when absent
bool answer_has(const json_t *, const char *key);        // present and not null
// "default/nightly" is "nightly"; others keep their namespace. "-" without a job.
const char *job_label(struct buf *, const json_t *run_or_job);

// Prints an answer as JSON, indented.
void print_json(const json_t *);
// Shows the rows of a list: as {"KEY": [...]} with --json, else by print, or what `none` says when there are none. cut_at: as many are shown
// and there are more; 0: these are all.
void rows_show(const struct cli *, const char *key, json_t *rows, void (*print)(const json_t *rows), const char *none, int64_t cut_at);
// Whether a state of a run is an end.
bool run_is_over(const json_t *run);
// The exit status that a run deserves by itself: 0 when it succeeded, else 1.
int run_exit_status(const json_t *run);
