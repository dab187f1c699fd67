// SPDX-License-Identifier: Apache-2.0
// The log of the edges: logfmt lines on stderr, one write(2) each.
//     log_info("agent connected", "node=%s tasks=%u", name, count);
//     time=2026-11-23T06:30:00.123Z level=info in=server msg="agent connected" node=n1 tasks=3
// Library code never logs: it returns errors, and the edge logs once. Write values that may hold spaces in quotes
// (why=\"%s\"). Control characters are escaped, so that a value cannot forge a line. Lines over LOG_LINE_MAX are cut.
#pragma once

#include <stdbool.h>

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_LINE_MAX 2048

// The level comes from MUSTER_LOG (error, warn, info, debug) when that is set and valid; otherwise it is info.
void log_init_from_env(void);
void log_set_level(enum log_level level);
enum log_level log_level(void);
// ERR_INVALID for a name that is no level.
int log_level_from_name(const char *name, enum log_level *ret);
const char *log_level_name(enum log_level level);
// What this process is ("server", "agent"), shown as in=...; borrowed for good. NULL shows nothing.
void log_set_component(const char *component);
// Where lines go; stderr at first.
void log_set_fd(int fd);

// Use the macros. `fmt` starts with one space, which the macros add so that fields are optional.
__attribute__((format(printf, 3, 4))) void log_write(enum log_level level, const char *message, const char *fmt, ...);

#define log_at(level, message, ...) \
    ((level) <= log_level() ? log_write((level), (message), " " __VA_ARGS__) : (void)0)
#define log_error(message, ...) log_at(LOG_ERROR, message, __VA_ARGS__)
#define log_warn(message, ...) log_at(LOG_WARN, message, __VA_ARGS__)
#define log_info(message, ...) log_at(LOG_INFO, message, __VA_ARGS__)
#define log_debug(message, ...) log_at(LOG_DEBUG, message, __VA_ARGS__)
