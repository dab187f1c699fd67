// SPDX-License-Identifier: Apache-2.0
// What every fuzz target defines: one input, taken as it comes. It returns 0; what it finds ends in must() or a sanitizer.
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
