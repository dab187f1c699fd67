// SPDX-License-Identifier: Apache-2.0
// Text for people: what a terminal can show, how wide it is, colours, tables, and times as people say them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/time.h"

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_BLUE };

// Columns of the terminal behind a stream, or 0 when it is none.
int term_width(FILE *);
// True on a terminal while NO_COLOR is unset or empty and TERM is not "dumb".
bool term_colour(FILE *);
// Begin and end of a colour: empty text where the stream shows none.
const char *colour_on(FILE *, enum colour);
const char *colour_off(FILE *, enum colour);
// The colour of a state of a run, task, node or job.
enum colour state_colour(const char *state);

// Prints text in which control characters (all below space, and DEL) are made harmless; a newline stays.
void term_print(FILE *, const char *text);

// Columns that text takes on a terminal; control characters count as one, like broken bytes.
size_t text_width(const char *text);
// Appends text with control characters and broken bytes replaced by '?', cut to `width` columns (0: not cut) with "…" at the end.
void text_fit(struct buf *, const char *text, size_t width);

// "3 s ago", "in 2 min", "5 h ago", "2026-11-20 06:30" when it is longer than a week away. NULL or no instant: "-".
char *text_ago(char buf[static 40], const char *instant, usec_t now_usec);
// "340 ms", "1.5 s", "12 s", "3 min 5 s", "2 h 10 min", "4 d 3 h".
char *text_span(char buf[static 40], usec_t span);
// From `start` to `end` (or now), both RFC 3339 or NULL: as text_span, "-" without a start.
char *text_between(char buf[static 40], const char *start, const char *end, usec_t now_usec);

// A table of text. Columns are as wide as what is in them; when the terminal is narrower, those marked TABLE_SHRINK give way.
enum table_flags { TABLE_RIGHT = 1, TABLE_SHRINK = 2 };

struct table_column {
    const char *title;
    unsigned flags;
};

struct table_cell {
    char *text;
    enum colour colour;
};

struct table {
    const struct table_column *columns; // borrowed
    size_t n_columns;
    struct table_cell *cells; // row after row
    size_t n_cells;
    size_t cells_max;
};

void table_init(struct table *, const struct table_column *, size_t n_columns);
void table_release(struct table *);
// Appends a cell; rows follow from the number of columns. NULL shows "-".
void table_add(struct table *, const char *text);
void table_add_colour(struct table *, const char *text, enum colour);
__attribute__((format(printf, 2, 3))) void table_addf(struct table *, const char *fmt, ...);
// `width` 0: as wide as it gets.
void table_print(const struct table *, FILE *, int width);
