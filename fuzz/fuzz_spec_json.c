// SPDX-License-Identifier: Apache-2.0
// Job files written as JSON.

#include "fuzz/fuzz_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_spec(data, size, SPEC_JSON);
}
