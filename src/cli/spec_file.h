// SPDX-License-Identifier: Apache-2.0
// Job files: reading them, and telling what a server found wrong in them.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "cli/cli.h"

struct spec_file {
    const char *name; // for people; borrows
    struct buf text;
    const char *content_type; // static
    const char *help;         // where one reads what it may hold; NULL: in the fields of jobs
    bool from_options; // written by the program itself: lines and columns would tell nobody anything
};

// Reads a file, or standard input for "-". What begins with '{' or '[' is JSON, everything else YAML.
int spec_file_read(const char *name, struct spec_file *ret, struct err *err);
void spec_file_release(struct spec_file *);
// After the server refused the file with `code`: prints each detail as "FILE:LINE:COLUMN: field: problem (allowed: ...)" on stderr,
// or without the place when the file was made from options,
// and makes err the sentence that sums up. Returns the code.
int spec_file_tell(struct cli *, const struct spec_file *, int code, struct err *err);
