// SPDX-License-Identifier: Apache-2.0
// What stands in {{...}} of commands and variables: packed values of parameters, then a text, behind a length byte and the nominal time.

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "exec/launch_time.h"
#include "fuzz/fuzz.h"
#include "model/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r;
    reader_init(&r, data, size);
    size_t params_len = reader_u8(&r);
    uint64_t nominal = reader_u64(&r) % ((uint64_t)253402300800 * USEC_PER_SEC);
    const uint8_t *params = reader_bytes(&r, params_len);
    if (r.bad)
        return 0;
    size_t len = reader_left(&r);
    char *text = mem_strndup((const char *)data + (size - len), len);
    struct arena arena;
    arena_init(&arena, 0);
    struct trigger daily = {.kind = TRIGGER_EVERY, .every_usec = 86400 * USEC_PER_SEC};
    struct job_spec spec = {.triggers = &daily, .n_triggers = 1};
    struct launch_times times;
    struct err err = {0};
    launch_times_init(&times, &spec, (usec_t)nominal);
    int rc = launch_times_params(&times, &arena, (struct bytes){.data = params, .len = params_len}, &err);
    must(rc == err.code);
    if (rc == 0) {
        const char *filled = launch_times_expand(&times, &arena, text);
        must(times.filled_bytes <= LAUNCH_FILLED_BYTES_MAX);
        must(filled == NULL || strlen(filled) <= strlen(text) + times.filled_bytes);
        if (strstr(text, "{{") == NULL)
            must(filled == text);
    }
    arena_release(&arena);
    mem_free(text);
    return 0;
}
