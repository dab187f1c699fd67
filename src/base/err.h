// SPDX-License-Identifier: Apache-2.0
// The one error idiom. A function returns 0 or a negative code of spec/errors.def, and may fill a struct err that its
// caller owns with a sentence for people. Every function here accepts a NULL struct err and then only returns the code.
//
//     if (open_it(path, err) < 0)
//         return err_wrap(err, ERR_IO, "start the store");      // "start the store: open '/x': Permission denied"
#pragma once

#include <stddef.h>

enum err_code {
    ERR_OK = 0,
#define ERR(name, number, http_status, exit_status, sentence) ERR_##name = -(number),
#include "spec/errors.def"
#undef ERR
};

#define ERR_TEXT_MAX 240

// A plain value: zero-initialise it (struct err err = {0}) and copy it freely. `text` is always NUL-terminated; a text
// that does not fit is cut at a character boundary of UTF-8.
struct err {
    int code; // 0 or negative
    char text[ERR_TEXT_MAX];
};

// Sets code and text, returns `code`. `code` must be negative. The arguments may point into err->text.
__attribute__((format(printf, 3, 4))) int err_set(struct err *err, int code, const char *fmt, ...);

// Puts a sentence before the text that is there ("fmt: old text") and sets the code; returns `code`.
__attribute__((format(printf, 3, 4))) int err_wrap(struct err *err, int code, const char *fmt, ...);

// As err_set, with ": " and the words for the current errno appended. errno itself is kept.
__attribute__((format(printf, 3, 4))) int err_errno(struct err *err, int code, const char *fmt, ...);

// Back to no error.
void err_clear(struct err *err);

// Below, `code` is 0 or a negative code; an unknown code is answered as INTERNAL is.

// "not_found"; "ok" for 0. Static text.
const char *err_name(int code);
// One sentence for people. Static text.
const char *err_sentence(int code);
// The status a HTTP answer carries; 200 for 0.
int err_http_status(int code);
// The exit status of the command line; 0 for 0.
int err_exit_status(int code);
// The code of a name ("not_found" -> ERR_NOT_FOUND), 0 for "ok". An unknown name, as a newer peer may send, and NULL are
// answered with ERR_INTERNAL.
int err_from_name(const char *name);
// The code that fits a value of errno best: ENOENT -> ERR_NOT_FOUND, EACCES -> ERR_DENIED, ... else ERR_IO.
int err_from_errno(int errno_value);
