// SPDX-License-Identifier: Apache-2.0
// A job file as a tree that remembers where everything stood: what YAML and JSON have in common. Built in an arena by doc_yaml() and
// doc_json(), read by spec_parse. Every kind of text is untrusted: depth is bounded here, size by the caller.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "codec/spec_errors.h"

enum { DOC_DEPTH_MAX = 16 };

enum doc_kind { DOC_NULL, DOC_SCALAR, DOC_LIST, DOC_MAP };

struct doc_item;

struct doc_node {
    enum doc_kind kind;
    uint32_t line; // from 1
    uint32_t column; // from 1, in characters
    const char *text; // SCALAR: without NUL inside
    struct doc_item *items; // LIST, MAP: n of them
    size_t n;
};

struct doc_item {
    const char *key; // MAP; NULL in a list
    uint32_t line; // of the key
    uint32_t column;
    struct doc_node value;
};

// Both read a whole text and give its documents (JSON has exactly one; documents of YAML that hold nothing are left out). All errors that
// can be found without losing the thread are added to errors; returns ERR_INVALID when there was one, and then gives nothing. A key that
// stands twice in a map is added to errors, too, but does not hide what else is wrong: the first of the two is given, and 0 returned. Anchors,
// aliases and tags of YAML are errors, and so is everything that RFC 8259 does not allow in JSON.
int doc_yaml(const char *text, size_t len, struct arena *arena, struct doc_node ***ret_docs, size_t *ret_n, struct spec_errors *errors);
int doc_json(const char *text, size_t len, struct arena *arena, struct doc_node ***ret_docs, size_t *ret_n, struct spec_errors *errors);

// For the two readers: a growing list of items, and the check for keys that stand twice.
struct doc_items {
    struct doc_item *item;
    size_t n, cap;
};

struct doc_item *doc_items_add(struct doc_items *items, struct arena *arena);
// Drops all but the first item of a key, with an error for each; returns how many.
size_t doc_drop_doubles(struct doc_node *map, struct spec_errors *errors);
