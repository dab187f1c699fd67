// SPDX-License-Identifier: Apache-2.0
// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <stddef.h>

// Bytes of the character at p (p < end), or 0 when there is none.
size_t utf8_len(const char *p, const char *end);
// Replaces every byte that is in no character by '?'. Cutting a text by bytes leaves such bytes behind.
void utf8_clean(char *text);
