// SPDX-License-Identifier: Apache-2.0
// Tables.

#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "cli/term.h"

#define COLUMN_GAP 2
#define COLUMN_LEAST 8
#define COLUMNS_MAX 16

void table_init(struct table *table, const struct table_column *columns, size_t n_columns)
{
    must(n_columns > 0 && n_columns <= COLUMNS_MAX);
    *table = (struct table){.columns = columns, .n_columns = n_columns};
}

void table_release(struct table *table)
{
    for (size_t i = 0; i < table->n_cells; i++)
        mem_free(table->cells[i].text);
    mem_free(table->cells);
    *table = (struct table){0};
}

void table_add_colour(struct table *table, const char *text, enum colour colour)
{
    if (table->n_cells == table->cells_max) {
        table->cells_max = table->cells_max == 0 ? 64 : table->cells_max * 2;
        table->cells = mem_realloc_array(table->cells, table->cells_max, sizeof(table->cells[0]));
    }
    cleanup_buf struct buf safe = {0};
    text_fit(&safe, text != NULL && text[0] != '\0' ? text : "-", 0);
    table->cells[table->n_cells++] = (struct table_cell){.text = buf_detach(&safe), .colour = colour};
}

void table_add(struct table *table, const char *text)
{
    table_add_colour(table, text, COLOUR_NONE);
}

void table_addf(struct table *table, const char *fmt, ...)
{
    cleanup_buf struct buf text = {0};
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    table_add(table, text.data);
}

static void widths_fill(const struct table *table, size_t *widths)
{
    for (size_t c = 0; c < table->n_columns; c++)
        widths[c] = text_width(table->columns[c].title);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t width = text_width(table->cells[i].text);
        if (width > widths[i % table->n_columns])
            widths[i % table->n_columns] = width;
    }
}

// Takes columns from the widest that may give way, until the row fits or none can give more.
static void widths_shrink(const struct table *table, size_t *widths, size_t room)
{
    for (;;) {
        size_t sum = COLUMN_GAP * (table->n_columns - 1);
        size_t widest = SIZE_MAX;
        for (size_t c = 0; c < table->n_columns; c++) {
            sum += widths[c];
            bool may = (table->columns[c].flags & TABLE_SHRINK) && widths[c] > COLUMN_LEAST;
            if (may && (widest == SIZE_MAX || widths[c] > widths[widest]))
                widest = c;
        }
        if (sum <= room || widest == SIZE_MAX)
            return;
        widths[widest]--;
    }
}

static void cell_print(const struct table *table, FILE *file, size_t column, size_t width, const char *text, enum colour colour)
{
    cleanup_buf struct buf fitted = {0};
    text_fit(&fitted, text, width);
    size_t pad = width - (fitted.len > 0 ? text_width(fitted.data) : 0);
    bool right = table->columns[column].flags & TABLE_RIGHT;
    bool last = column + 1 == table->n_columns;
    if (right)
        fprintf(file, "%*s", (int)pad, "");
    fprintf(file, "%s%s%s", colour_on(file, colour), fitted.len > 0 ? fitted.data : "", colour_off(file, colour));
    if (!right && !last)
        fprintf(file, "%*s", (int)pad, "");
    fputs(last ? "\n" : "  ", file);
}

void table_print(const struct table *table, FILE *file, int width)
{
    must(table->n_cells % table->n_columns == 0);
    size_t widths[COLUMNS_MAX];
    widths_fill(table, widths);
    if (width > 0)
        widths_shrink(table, widths, (size_t)width);
    for (size_t c = 0; c < table->n_columns; c++)
        cell_print(table, file, c, widths[c], table->columns[c].title, COLOUR_DIM);
    for (size_t i = 0; i < table->n_cells; i++)
        cell_print(table, file, i % table->n_columns, widths[i % table->n_columns], table->cells[i].text, table->cells[i].colour);
}
