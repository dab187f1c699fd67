// SPDX-License-Identifier: Apache-2.0
// Log lines in logfmt. Safe from several threads: a line is built on the stack and leaves in one write.

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static _Atomic int current_level = LOG_INFO;
static _Atomic int current_fd = STDERR_FILENO;
static const char *_Atomic current_component;

void log_init_from_env(void)
{
    const char *name = getenv("MUSTER_LOG");
    enum log_level level = LOG_INFO;
    if (name != NULL && log_level_from_name(name, &level) == 0)
        log_set_level(level);
}

void log_set_level(enum log_level level)
{
    must(level >= LOG_ERROR && level <= LOG_DEBUG);
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

int log_level_from_name(const char *name, enum log_level *ret)
{
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        if (strcmp(name, level_names[level]) == 0) {
            *ret = (enum log_level)level;
            return 0;
        }
    }
    return ERR_INVALID;
}

const char *log_level_name(enum log_level level)
{
    must(level >= LOG_ERROR && level <= LOG_DEBUG);
    return level_names[level];
}

void log_set_component(const char *component)
{
    atomic_store(&current_component, component);
}

void log_set_fd(int fd)
{
    must(fd >= 0);
    atomic_store(&current_fd, fd);
}

// A line under construction. What does not fit is dropped, and the line ends in "..." then.
struct line {
    char text[LOG_LINE_MAX];
    size_t len;
    bool was_cut;
};

#define LINE_TAIL 4 // room kept for "..." and the newline

static void line_add(struct line *line, const char *text, size_t len)
{
    size_t room = sizeof(line->text) - LINE_TAIL - line->len;
    if (line->was_cut || len > room) {
        line->was_cut = true;
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

// Adds text with control characters as escapes; quotes too when the text stands within quotes.
static void line_add_escaped(struct line *line, const char *text, bool in_quotes)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        char escape[8];
        if (*p == '\n' || *p == '\t' || *p == '\r')
            line_add(line, *p == '\n' ? "\\n" : *p == '\t' ? "\\t" : "\\r", 2);
        else if (*p < 0x20 || *p == 0x7f)
            line_add(line, escape, (size_t)snprintf(escape, sizeof(escape), "\\x%02x", *p));
        else if (in_quotes && (*p == '"' || *p == '\\'))
            line_add(line, (const char[]){'\\', (char)*p}, 2);
        else
            line_add(line, (const char *)p, 1);
    }
}

void log_write(enum log_level level, const char *message, const char *fmt, ...)
{
    int saved_errno = errno;
    struct line line;
    line.len = 0;
    line.was_cut = false;

    char instant[40];
    char head[128];
    const char *component = atomic_load(&current_component);
    int head_len = snprintf(head, sizeof(head), "time=%s level=%s%s%.40s msg=\"", time_format(instant, clock_wall_usec()),
                            log_level_name(level), component != NULL ? " in=" : "", component != NULL ? component : "");
    must(head_len > 0 && (size_t)head_len < sizeof(head));
    line_add(&line, head, (size_t)head_len);
    line_add_escaped(&line, message, true);
    line_add(&line, "\"", 1);

    char fields[LOG_LINE_MAX];
    va_list args;
    va_start(args, fmt);
    int fields_len = vsnprintf(fields, sizeof(fields), fmt, args);
    va_end(args);
    if (fields_len > 1) {
        line_add_escaped(&line, fields, false);
        line.was_cut = line.was_cut || (size_t)fields_len >= sizeof(fields);
    }
    if (line.was_cut) {
        memcpy(line.text + line.len, "...", 3);
        line.len += 3;
    }
    line.text[line.len++] = '\n';

    // One write: lines of several processes on one pipe stay whole. Nobody is left to tell when it fails.
    ssize_t written = 0;
    do
        written = write(atomic_load(&current_fd), line.text, line.len);
    while (written < 0 && errno == EINTR);
    errno = saved_errno;
}
