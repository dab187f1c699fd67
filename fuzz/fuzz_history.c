// SPDX-License-Identifier: Apache-2.0
// What the history keeps packed: results of tasks, labels, sets of indexes. Damaged bytes are an error, and nothing else.

#include "base/assert.h"
#include "base/buf.h"
#include "fuzz/fuzz.h"
#include "store/history_inside.h"
#include "store/history_pack.h"

static void visit(void *context, const struct happened *happened)
{
    size_t *n = context;
    must(happened->kind >= HAPPENED_PLACED && happened->kind <= HAPPENED_CANCELLED);
    must(happened->first <= happened->last && (unsigned)happened->to < TASK_STATES);
    must((unsigned)happened->end.outcome < OUTCOMES && happened->message_len <= HISTORY_MESSAGE_BYTES);
    ++*n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 64) // a few bytes may stand for a million tasks
        return 0;
    struct bytes bytes = {.data = data + 1, .len = size - 1};
    struct arena arena = {0};
    struct err err = {0};
    size_t n = 0;
    const struct pair *labels = NULL;
    struct index_set set = {0};
    struct buf again = {0};
    int rc = 0;
    switch (data[0] % 3) {
    case 0:
        rc = history_unpack(bytes, visit, &n, &err);
        break;
    case 1:
        rc = history_unpack_labels(bytes, &arena, &labels, &n, &err);
        if (rc == 0)
            history_pack_labels(&again, labels, n);
        break;
    case 2:
        rc = history_unpack_set(bytes, 1000000, &arena, &set, &err);
        if (rc == 0)
            history_pack_set(&again, &set);
        break;
    }
    must(rc == err.code);
    buf_release(&again);
    arena_release(&arena);
    return 0;
}
