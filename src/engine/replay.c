// SPDX-License-Identifier: Apache-2.0
// Restart: the newest snapshot, then the tail of the log, through the same core_apply() that the leader uses.
#include <inttypes.h>

#include "base/assert.h"
#include "base/mem.h"
#include "codec/codec.h"
#include "engine/internal.h"

static int load_item(void *context, const struct snapshot_item *item)
{
    core_load(context, item);
    return 0;
}

static int load_snapshot(struct engine *engine, struct err *err)
{
    struct store *store = engine->options.store;
    uint64_t seq = 0;
    uint8_t *data = NULL;
    size_t len = 0;
    int rc = store->ops->snapshot_read(store, &seq, &data, &len, err);
    if (rc < 0 || seq == 0) {
        mem_free(data);
        return rc;
    }
    rc = snapshot_unpack((struct bytes){data, len}, load_item, engine->core, err);
    mem_free(data);
    if (rc < 0)
        return err_wrap(err, rc, "read the snapshot at %" PRIu64, seq);
    core_load_done(engine->core);
    if (core_seq(engine->core) != seq)
        return err_set(err, ERR_STORE_CORRUPT, "the snapshot kept as %" PRIu64 " holds the state at %" PRIu64, seq, core_seq(engine->core));
    return 0;
}

struct replay {
    struct engine *engine;
    struct arena arena;
};

static int replay_batch(void *context, const struct store_batch *batch, struct err *err)
{
    struct replay *replay = context;
    struct core *core = replay->engine->core;
    struct bytes bytes = batch->data;
    replay->engine->log_bytes += batch->data.len;
    for (uint32_t i = 0; i < batch->n_records; i++) {
        struct record *record = NULL;
        int rc = record_unpack(&bytes, &replay->arena, &record, err);
        if (rc < 0)
            return err_wrap(err, rc, "read record %" PRIu64 " of the log", batch->first_seq + i);
        if (record->seq <= core_seq(core))
            continue; // the snapshot was taken in the middle of this batch
        if (record->seq != core_seq(core) + 1)
            return err_set(err, ERR_STORE_CORRUPT, "record %" PRIu64 " of the log is missing", core_seq(core) + 1);
        core_apply(core, record);
        arena_clear(&replay->arena);
    }
    return 0;
}

int engine_replay(struct engine *engine, struct err *err)
{
    struct store *store = engine->options.store;
    int rc = load_snapshot(engine, err);
    if (rc < 0)
        return rc;
    struct replay replay = {.engine = engine};
    arena_init(&replay.arena, 256 * 1024);
    rc = store->ops->log_read(store, core_seq(engine->core), replay_batch, &replay, err);
    arena_release(&replay.arena);
    return rc;
}
