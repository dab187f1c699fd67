// SPDX-License-Identifier: Apache-2.0
// Judging UTF-8.
#include "codec/utf8.h"

#include <string.h>

#include "base/assert.h"

size_t utf8_len(const char *p, const char *end)
{
    must(p < end);
    const unsigned char *b = (const unsigned char *)p;
    size_t left = (size_t)(end - p);
    if (b[0] < 0x80)
        return 1;
    if (b[0] >= 0xc2 && b[0] < 0xe0)
        return left >= 2 && (b[1] & 0xc0) == 0x80 ? 2 : 0;
    if (b[0] >= 0xe0 && b[0] < 0xf0) {
        if (left < 3 || (b[1] & 0xc0) != 0x80 || (b[2] & 0xc0) != 0x80)
            return 0;
        if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] >= 0xa0))
            return 0;
        return 3;
    }
    if (b[0] >= 0xf0 && b[0] < 0xf5) {
        if (left < 4 || (b[1] & 0xc0) != 0x80 || (b[2] & 0xc0) != 0x80 || (b[3] & 0xc0) != 0x80)
            return 0;
        if ((b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] >= 0x90))
            return 0;
        return 4;
    }
    return 0;
}

void utf8_clean(char *text)
{
    must(text != NULL);
    char *end = text + strlen(text);
    for (char *p = text; p < end;) {
        size_t len = utf8_len(p, end);
        if (len == 0) {
            *p = '?';
            len = 1;
        }
        p += len;
    }
}
