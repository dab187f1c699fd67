// SPDX-License-Identifier: Apache-2.0
// Crontabs as jobs. Reads the user format (crontab -l) and the system format (/etc/crontab, /etc/cron.d, with an account before the
// command) of the crons of Debian and Red Hat; says of every line what it becomes, and what cannot be carried over.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct crontab_options {
    const char *namespace_name; // NULL: default
    const char *prefix;         // beginning of the names of the jobs
    const char *zone;           // of lines before any CRON_TZ
    bool system;                // lines name an account
};

// One line that is more than a comment.
struct crontab_line {
    unsigned number; // 1 is the first
    json_t *job;     // owned; NULL: it becomes none
    char *remark;    // owned; what is not carried over, or why it becomes no job; NULL: nothing to say
    bool lost;       // it was an entry, and becomes no job
};

struct crontab {
    struct crontab_line *lines;
    size_t n, cap;
    size_t n_jobs;
};

// Reads len bytes. ERR_INVALID for what is no text (a byte 0), ERR_TOO_LARGE for more than 10,000 lines with something in them.
int crontab_parse(const char *text, size_t len, const struct crontab_options *, struct crontab *ret, struct err *err);
void crontab_release(struct crontab *);
// The jobs as YAML, each in the line of the crontab that it came from, so that errors name that line.
void crontab_print_jobs(const struct crontab *, struct buf *ret);
