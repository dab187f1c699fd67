// SPDX-License-Identifier: Apache-2.0
// The list of errors of a job file, and the guess at what was meant.
#include "codec/spec_errors.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "codec/utf8.h"

enum { FIELD_BYTES_MAX = 200 };

void spec_errors_init(struct spec_errors *errors, struct arena *arena)
{
    must(errors != NULL && arena != NULL);
    errors->arena = arena;
    errors->n = 0;
    errors->n_more = 0;
}

// What stands in an error came out of the file, cut to fit.
static void make_printable(char *text)
{
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    utf8_clean(text);
}

void spec_errors_add(struct spec_errors *errors, uint32_t line, uint32_t column, const char *field, const char *allowed, const char *fmt,
                     ...)
{
    must(errors != NULL && errors->arena != NULL);
    must(field != NULL && fmt != NULL);
    if (errors->n == SPEC_ERRORS_MAX) {
        errors->n_more++;
        return;
    }
    va_list args;
    va_start(args, fmt);
    char *problem = arena_vprintf(errors->arena, fmt, args);
    va_end(args);
    char *path = arena_printf(errors->arena, "%.*s", (int)FIELD_BYTES_MAX, field);
    make_printable(path);
    make_printable(problem);
    errors->item[errors->n++] =
        (struct spec_error){.line = line, .column = column, .field = path, .problem = problem, .allowed = allowed};
}

// Keeps the order of errors at one place, as they were found.
static bool stands_before(const struct spec_error *a, const struct spec_error *b)
{
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void spec_errors_sort(struct spec_errors *errors)
{
    must(errors->n <= SPEC_ERRORS_MAX);
    for (size_t i = 1; i < errors->n; i++) {
        struct spec_error moved = errors->item[i];
        size_t k = i;
        for (; k > 0 && stands_before(&moved, &errors->item[k - 1]); k--)
            errors->item[k] = errors->item[k - 1];
        errors->item[k] = moved;
    }
}

const char *spec_error_format(char *buf, size_t size, const struct spec_error *error)
{
    must(buf != NULL && size > 0 && error != NULL);
    char place[32] = "";
    if (error->line > 0)
        snprintf(place, sizeof(place), "%u:%u: ", error->line, error->column);
    snprintf(buf, size, "%s%s%s%s%s%s%s", place, error->field, error->field[0] != '\0' ? ": " : "", error->problem,
             error->allowed != NULL ? " (allowed: " : "", error->allowed != NULL ? error->allowed : "",
             error->allowed != NULL ? ")" : "");
    return buf;
}

enum { NAME_MAX_GUESSED = 32 };

// Edits (insert, delete, replace, swap of neighbours) that turn a into b; more than the longest name when either is too long.
static unsigned edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a);
    size_t m = strlen(b);
    if (n > NAME_MAX_GUESSED || m > NAME_MAX_GUESSED)
        return NAME_MAX_GUESSED + 1;
    unsigned rows[3][NAME_MAX_GUESSED + 1];
    for (size_t k = 0; k <= m; k++)
        rows[0][k] = (unsigned)k;
    for (size_t i = 1; i <= n; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *above2 = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= m; k++) {
            unsigned best = above[k - 1] + (a[i - 1] != b[k - 1]);
            if (above[k] + 1 < best)
                best = above[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && above2[k - 2] + 1 < best)
                best = above2[k - 2] + 1;
            row[k] = best;
        }
    }
    return rows[n % 3][m];
}

const char *nearest_name(const char *text, const char *const *candidates, size_t n)
{
    const char *nearest = NULL;
    // A third of the letters may differ, so that a short text is not taken for something else.
    unsigned best = (unsigned)strlen(text) / 3 + 1;
    if (best > 4)
        best = 4;
    for (size_t i = 0; i < n; i++) {
        unsigned distance = edit_distance(text, candidates[i]);
        if (distance < best) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
