// SPDX-License-Identifier: Apache-2.0
// Assertions, on in every build. must() is for what only a bug can break; what the world can break returns an error.
#pragma once

// Ends the process by abort() after one line on stderr (file, line, function, condition). Used by must().
__attribute__((noreturn, cold)) void must_failed(const char *condition, const char *file, int line, const char *function);

// The condition is always evaluated.
#define must(cond) ((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__, __func__))

// For a place that no execution may reach, such as the end of a switch that covers its enum.
#undef unreachable
#define unreachable() must_failed("unreachable", __FILE__, __LINE__, __func__)
