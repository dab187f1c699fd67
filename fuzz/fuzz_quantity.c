// SPDX-License-Identifier: Apache-2.0
// What people write: sizes, durations, cpus, numbers and instants. What was read and written again reads the same.

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/time.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_alloc(size + 1);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)data[i];
    char out[40];
    uint64_t number = 0;
    uint64_t number_again = 0;
    int64_t signed_number = 0;
    usec_t usec = 0;
    usec_t usec_again = 0;
    struct err err = {0};

    if (size_parse(text, &number, &err) == 0)
        must(size_parse(size_format(out, number), &number_again, NULL) == 0 && number_again <= number);
    if (cpu_parse(text, &number, &err) == 0)
        must(cpu_parse(cpu_format(out, number), &number_again, NULL) == 0 && number_again == number);
    if (duration_parse(text, &usec, &err) == 0)
        must(duration_parse(duration_format(out, usec), &usec_again, NULL) == 0 && usec_again == usec);
    if (time_parse(text, &usec, &err) == 0) {
        must(usec >= days_from_civil(-1, 12, 31) * USEC_PER_DAY && usec <= days_from_civil(10000, 1, 2) * USEC_PER_DAY);
        time_format(out, usec);
    }
    if (str_to_u64(text, &number) == 0 && str_to_i64(text, &signed_number) == 0)
        must(signed_number >= 0 && (uint64_t)signed_number == number);
    mem_free(text);
    return 0;
}
