// SPDX-License-Identifier: Apache-2.0
// Widths, colours and times for people.

#include "cli/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/str.h"

int term_width(FILE *file)
{
    if (!isatty(fileno(file)))
        return 0;
    const char *columns = getenv("COLUMNS");
    uint64_t named = 0;
    if (columns != NULL && str_to_u64(columns, &named) == 0 && named >= 20 && named <= 10000)
        return (int)named;
    struct winsize size = {0};
    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return 80;
}

bool term_colour(FILE *file)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return (no_color == NULL || no_color[0] == '\0') && !str_eq(term, "dumb") && isatty(fileno(file));
}

const char *colour_on(FILE *file, enum colour colour)
{
    static const char *const codes[] = {
        [COLOUR_NONE] = "", [COLOUR_BOLD] = "\033[1m", [COLOUR_DIM] = "\033[2m", [COLOUR_RED] = "\033[31m",
        [COLOUR_GREEN] = "\033[32m", [COLOUR_YELLOW] = "\033[33m", [COLOUR_BLUE] = "\033[34m",
    };
    return colour != COLOUR_NONE && term_colour(file) ? codes[colour] : "";
}

const char *colour_off(FILE *file, enum colour colour)
{
    return colour != COLOUR_NONE && term_colour(file) ? "\033[0m" : "";
}

enum colour state_colour(const char *state)
{
    static const struct {
        const char *state;
        enum colour colour;
    } rows[] = {
        {"running", COLOUR_BLUE},    {"placed", COLOUR_BLUE},      {"succeeded", COLOUR_GREEN}, {"online", COLOUR_GREEN},
        {"open", COLOUR_GREEN},      {"active", COLOUR_GREEN},     {"failed", COLOUR_RED},      {"lost", COLOUR_RED},
        {"expired", COLOUR_RED},     {"cancelled", COLOUR_YELLOW}, {"cancelling", COLOUR_YELLOW}, {"stopping", COLOUR_YELLOW},
        {"backoff", COLOUR_YELLOW},  {"held", COLOUR_YELLOW},      {"draining", COLOUR_YELLOW}, {"drained", COLOUR_YELLOW},
        {"skipped", COLOUR_YELLOW},  {"paused", COLOUR_RED},       {"late", COLOUR_RED},        {"did_not_run", COLOUR_RED},
    };
    for (size_t i = 0; state != NULL && i < sizeof(rows) / sizeof(rows[0]); i++)
        if (str_eq(rows[i].state, state))
            return rows[i].colour;
    return COLOUR_NONE;
}

// One character at `text`: its bytes and its columns. What is broken or a control character counts one byte and is not good.
static size_t next_char(const char *text, size_t left, int *ret_columns, bool *ret_good)
{
    wchar_t wide = 0;
    mbstate_t state = {0};
    size_t len = mbrtowc(&wide, text, left, &state);
    bool whole = len != (size_t)-1 && len != (size_t)-2 && len > 0;
    int columns = whole ? wcwidth(wide) : -1;
    *ret_good = whole && columns >= 0 && wide >= 0x20 && wide != 0x7f;
    *ret_columns = *ret_good ? columns : 1;
    return *ret_good ? len : whole ? len : 1;
}

size_t text_width(const char *text)
{
    size_t width = 0;
    size_t left = strlen(text);
    while (left > 0) {
        int columns = 0;
        bool good = false;
        size_t len = next_char(text, left, &columns, &good);
        width += (size_t)columns;
        text += len;
        left -= len;
    }
    return width;
}

void text_fit(struct buf *out, const char *text, size_t width)
{
    bool cut = width > 0 && text_width(text) > width;
    size_t room = cut ? width - 1 : SIZE_MAX;
    size_t left = strlen(text);
    while (left > 0) {
        int columns = 0;
        bool good = false;
        size_t len = next_char(text, left, &columns, &good);
        if ((size_t)columns > room)
            break;
        room -= (size_t)columns;
        if (good)
            buf_add(out, text, len);
        else
            buf_addc(out, '?');
        text += len;
        left -= len;
    }
    if (cut)
        buf_adds(out, "…");
}

void term_print(FILE *file, const char *text)
{
    cleanup_buf struct buf out = {0};
    buf_init(&out);
    for (const char *line = text; line != NULL;) {
        const char *end = strchr(line, '\n');
        cleanup_buf struct buf part = {0};
        buf_add(&part, line, end != NULL ? (size_t)(end - line) : strlen(line));
        text_fit(&out, part.data != NULL ? part.data : "", 0);
        if (end != NULL)
            buf_addc(&out, '\n');
        line = end != NULL ? end + 1 : NULL;
    }
    fwrite(out.data, 1, out.len, file);
}

char *text_span(char buf[static 40], usec_t span)
{
    if (span < 0)
        span = 0;
    long long seconds = span / USEC_PER_SEC;
    if (span < USEC_PER_SEC)
        snprintf(buf, 40, "%lld ms", (long long)(span / USEC_PER_MSEC));
    else if (span < 10 * USEC_PER_SEC)
        snprintf(buf, 40, "%lld.%lld s", seconds, (long long)(span % USEC_PER_SEC / 100000));
    else if (seconds < 60)
        snprintf(buf, 40, "%lld s", seconds);
    else if (seconds < 3600)
        snprintf(buf, 40, "%lld min %lld s", seconds / 60, seconds % 60);
    else if (seconds < 86400)
        snprintf(buf, 40, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
    else
        snprintf(buf, 40, "%lld d %lld h", seconds / 86400, seconds / 3600 % 24);
    return buf;
}

char *text_ago(char buf[static 40], const char *instant, usec_t now_usec)
{
    usec_t at_usec = 0;
    if (instant == NULL || time_parse(instant, &at_usec, NULL) < 0) {
        snprintf(buf, 40, "-");
        return buf;
    }
    bool ahead = at_usec > now_usec;
    usec_t span = ahead ? usec_sub(at_usec, now_usec) : usec_sub(now_usec, at_usec);
    long long seconds = span / USEC_PER_SEC;
    char far[40];
    if (seconds < 90)
        snprintf(far, sizeof(far), "%lld s", seconds);
    else if (seconds < 90 * 60)
        snprintf(far, sizeof(far), "%lld min", seconds / 60);
    else if (seconds < 48 * 3600)
        snprintf(far, sizeof(far), "%lld h", seconds / 3600);
    else if (seconds < 7 * 86400)
        snprintf(far, sizeof(far), "%lld d", seconds / 86400);
    else {
        char text[40];
        time_format(text, at_usec);
        snprintf(buf, 40, "%.10s %.5s", text, text + 11);
        return buf;
    }
    if (seconds == 0)
        snprintf(buf, 40, "now");
    else
        snprintf(buf, 40, ahead ? "in %.30s" : "%.30s ago", far);
    return buf;
}

char *text_between(char buf[static 40], const char *start, const char *end, usec_t now_usec)
{
    usec_t start_usec = 0;
    usec_t end_usec = now_usec;
    if (start == NULL || time_parse(start, &start_usec, NULL) < 0) {
        snprintf(buf, 40, "-");
        return buf;
    }
    if (end != NULL)
        (void)time_parse(end, &end_usec, NULL);
    return text_span(buf, usec_sub(end_usec, start_usec));
}
