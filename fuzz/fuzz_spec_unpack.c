// SPDX-License-Identifier: Apache-2.0
// Packed job specs. What unpacks must pack, come back as the same bytes, and have a set of tasks that answers.
#include <string.h>

#include "base/assert.h"
#include "codec/codec.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct buf once = {0}, twice = {0};
    const struct job_spec *spec = NULL;
    struct err err = {0};
    int rc = spec_unpack((struct bytes){.data = data, .len = size}, &arena, &spec, &err);
    if (rc == 0) {
        const struct job_spec *read = NULL;
        uint32_t position = 0;
        must(spec->tasks.count > 0);
        must(index_set_find(&spec->tasks, index_set_at(&spec->tasks, spec->tasks.count - 1), &position));
        must(position == spec->tasks.count - 1);
        spec_pack(&once, spec);
        must(spec_unpack((struct bytes){.data = (const uint8_t *)once.data, .len = once.len}, &arena, &read, NULL) == 0);
        spec_pack(&twice, read);
        must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    } else {
        must(rc == err.code && spec == NULL);
    }
    buf_release(&once);
    buf_release(&twice);
    arena_release(&arena);
    return 0;
}
