// SPDX-License-Identifier: Apache-2.0
// What happens when an assertion does not hold.

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void must_failed(const char *condition, const char *file, int line, const char *function)
{
    // One write, no heap: the heap may be what broke.
    char text[512];
    int len = snprintf(text, sizeof(text), "%s:%d: %s: assertion failed: %s\n", file, line, function, condition);
    if (len > (int)sizeof(text) - 1) {
        len = (int)sizeof(text) - 1;
        text[len - 1] = '\n';
    }
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        abort();
    abort();
}
