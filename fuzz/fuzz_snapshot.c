// SPDX-License-Identifier: Apache-2.0
// Snapshots: the input is the items, which get a head and a checksum that fit, and it is tried once as it is. What unpacks must pack.
#include "base/assert.h"
#include "codec/codec.h"
#include "fuzz/fuzz.h"

static int visit(void *context, const struct snapshot_item *item)
{
    struct buf *again = context;
    snapshot_item_pack(again, item);
    return 0;
}

static int ignore(void *context, const struct snapshot_item *item)
{
    return 0;
}

static struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){.data = (const uint8_t *)buf->data, .len = buf->len};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0}, again = {0};
    (void)snapshot_unpack((struct bytes){.data = data, .len = size}, ignore, NULL, NULL);
    snapshot_begin(&whole);
    buf_add(&whole, data, size);
    snapshot_end(&whole);
    snapshot_begin(&again);
    int rc = snapshot_unpack(buf_bytes(&whole), visit, &again, NULL);
    snapshot_end(&again);
    if (rc == 0)
        must(snapshot_unpack(buf_bytes(&again), ignore, NULL, NULL) == 0);
    buf_release(&whole);
    buf_release(&again);
    return 0;
}
