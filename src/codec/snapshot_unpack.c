// SPDX-License-Identifier: Apache-2.0
// Bytes into the items of a snapshot. What a function here fills was zeroed before.
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "codec/codec.h"
#include "codec/shapes.h"
#include "codec/snapshot.h"
#include "codec/spec.h"
#include "proto/snapshot.pb-c.h"

static int unpack_head(struct unpacker *u, const Muster__SnapHead *m, struct snap_head *s)
{
    *s = (struct snap_head){
        .seq = m->seq,
        .epoch = m->epoch,
        .next_run = m->next_run,
        .next_job = m->next_job,
        .next_fence = m->next_fence,
        .next_node = m->next_node,
        .next_backfill = m->next_backfill > 0 ? m->next_backfill : 1,
    };
    return 0;
}

static int unpack_job(struct unpacker *u, const Muster__SnapJob *m, struct snap_job *s)
{
    *s = (struct snap_job){
        .job_id = m->job_id,
        .version = m->version,
        .state = (enum job_state)m->state,
        .packed = bytes_from_pb(m->spec),
        .next_usec = m->next_usec,
        .n_next = m->n_next_usec,
        .last_run = m->last_run,
        .decided_usec = m->decided_usec,
        .failures = m->failures,
        .paused = m->paused != 0,
        .missed_usec = m->missed_usec,
        .missed_why = (enum fire_outcome)m->missed_why,
        .applied_usec = m->applied_usec,
        .first_usec = m->first_usec,
    };
    int rc = enum_check(u, "job state", m->state, JOB_STATES);
    if (rc == 0)
        rc = enum_check(u, "fire outcome", m->missed_why, FIRE_OUTCOMES);
    if (rc == 0)
        rc = spec_unpack_in(u, s->packed, &s->spec);
    if (rc == 0 && s->n_next != s->spec->n_triggers)
        rc = unpack_bad(u, "it has %zu next instants for %zu triggers", s->n_next, s->spec->n_triggers);
    if (rc < 0 || (m->n_left_out_usec == 0 && m->n_planned_seq == 0))
        return rc;
    if (m->n_left_out_usec != s->n_next || m->n_planned_seq != s->n_next)
        return unpack_bad(u, "it has %zu instants that are left out for %zu triggers", m->n_left_out_usec, s->n_next);
    s->left_out_usec = m->left_out_usec;
    s->planned_seq = m->planned_seq;
    return 0;
}

static int unpack_node(struct unpacker *u, const Muster__SnapNode *m, struct snap_node *s)
{
    s->node_id = m->node_id;
    s->state = (enum node_state)m->state;
    s->admission = (enum admission)m->admission;
    s->since_usec = m->since_usec;
    int rc = enum_check(u, "node state", m->state, NODE_STATES);
    if (rc == 0)
        rc = enum_check(u, "admission", m->admission, ADMIT_CLOSED + 1);
    return rc < 0 ? rc : node_info_unpack(u, m->info, &s->info);
}

static int unpack_spec(struct unpacker *u, const Muster__SnapSpec *m, struct snap_spec *s)
{
    s->spec_no = m->spec_no;
    s->packed = bytes_from_pb(m->spec);
    return spec_unpack_in(u, s->packed, &s->spec);
}

static int unpack_run(struct unpacker *u, const Muster__SnapRun *m, struct snap_run *s)
{
    *s = (struct snap_run){
        .run_id = m->run_id,
        .job_id = m->job_id,
        .spec_no = m->spec_no,
        .rerun_of = m->rerun_of,
        .job_version = m->job_version,
        .state = (enum run_state)m->state,
        .admission = (enum admission)m->admission,
        .cancel_cause = (enum cancel_cause)m->cancel_cause,
        .submitted_usec = m->submitted_usec,
        .started_usec = m->started_usec,
        .ended_usec = m->ended_usec,
        .nominal_usec = m->nominal_usec,
        .params = bytes_from_pb(m->params),
        .backfill_id = m->backfill_id,
        .cursor = m->cursor,
        .n_succeeded = m->n_succeeded,
        .n_failed = m->n_failed,
        .n_cancelled = m->n_cancelled,
        .n_expired = m->n_expired,
        .n_lost = m->n_lost,
        .ended = bytes_from_pb(m->ended),
        .good = bytes_from_pb(m->good),
        .submitted_by = text_or_null(m->submitted_by),
        .waits_for = key64_unpack(m->waits_for, m->n_waits_for),
        .n_waits_for = m->n_waits_for,
        .key_held = m->key_held != 0,
        .ended_seq = m->ended_seq,
        .n_untouched = m->n_untouched,
        .dep_failed = m->dep_failed != 0,
    };
    int rc = enum_check(u, "run state", m->state, RUN_STATES);
    if (rc == 0)
        rc = enum_check(u, "admission", m->admission, ADMIT_CLOSED + 1);
    if (rc == 0)
        rc = enum_check(u, "cause", m->cancel_cause, CANCEL_JOB_DELETED + 1);
    return rc;
}

static int unpack_task(struct unpacker *u, const Muster__SnapTask *m, struct snap_task *s)
{
    *s = (struct snap_task){
        .run_id = m->run_id,
        .index = m->index,
        .attempt = m->attempt,
        .tries = m->tries,
        .state = (enum task_state)m->state,
        .node_id = m->node_id,
        .fence = m->fence,
        .placed_usec = m->placed_usec,
        .started_usec = m->started_usec,
        .retry_usec = m->retry_usec,
        .stop_why = (enum outcome)m->stop_why,
    };
    int rc = enum_check(u, "task state", m->state, TASK_STATES);
    return rc < 0 ? rc : enum_check(u, "outcome", m->stop_why, OUTCOMES);
}

static int unpack_key(struct unpacker *u, const Muster__SnapKey *m, struct snap_key *s)
{
    *s = (struct snap_key){.key = m->key, .run_id = m->run_id, .until_usec = m->until_usec, .work_hash = m->work_hash};
    return 0;
}

static int unpack_calendar(struct unpacker *u, const Muster__SnapCalendar *m, struct snap_calendar *s)
{
    s->version = m->version;
    s->put_usec = m->put_usec;
    s->put_seq = m->put_seq;
    return m->version == 0 ? unpack_bad(u, "a calendar has the version 0") : calendar_unpack(u, m->calendar, &s->calendar);
}

static int unpack_backfill(struct unpacker *u, const Muster__SnapBackfill *m, struct snap_backfill *s)
{
    *s = (struct snap_backfill){
        .backfill_id = m->backfill_id,
        .job_id = m->job_id,
        .job_name = m->job_name,
        .from_usec = m->from_usec,
        .to_usec = m->to_usec,
        .reverse = m->reverse != 0,
        .again = m->again != 0,
        .parallel_max = m->parallel_max,
        .state = (enum backfill_state)m->state,
        .done_usec = m->done_usec,
        .done_trigger = m->done_trigger,
        .n_total = m->n_total,
        .n_fired = m->n_fired,
        .n_succeeded = m->n_succeeded,
        .n_unsuccessful = m->n_unsuccessful,
        .began_usec = m->began_usec,
        .ended_usec = m->ended_usec,
        .params = bytes_from_pb(m->params),
        .key = text_or_null(m->key),
        .by = text_or_null(m->by),
    };
    int rc = enum_check(u, "backfill state", m->state, BACKFILL_STATES);
    return rc < 0 ? rc : spans_unpack(u, m->covered, m->n_covered, &s->covered, &s->n_covered);
}

static int unpack_body(struct unpacker *u, const Muster__SnapshotItem *m, struct snapshot_item *item)
{
    switch (item->kind) {
    case SNAP_HEAD:
        return unpack_head(u, m->head, &item->head);
    case SNAP_JOB:
        return unpack_job(u, m->job, &item->job);
    case SNAP_NODE:
        return unpack_node(u, m->node, &item->node);
    case SNAP_SPEC:
        return unpack_spec(u, m->spec, &item->spec);
    case SNAP_RUN:
        return unpack_run(u, m->run, &item->run);
    case SNAP_TASK:
        return unpack_task(u, m->task, &item->task);
    case SNAP_KEY:
        return unpack_key(u, m->key, &item->key);
    case SNAP_CALENDAR:
        return unpack_calendar(u, m->calendar, &item->calendar);
    case SNAP_BACKFILL:
        return unpack_backfill(u, m->backfill, &item->backfill);
    case SNAP_KINDS:
        break;
    }
    unreachable();
}

// Takes one item off the front of *items.
static int unpack_item(struct bytes *items, struct arena *arena, struct snapshot_item *item, struct err *err)
{
    struct unpacker u;
    struct bytes frame;
    unpacker_init(&u, arena, 0, ERR_STORE_CORRUPT, "snapshot", err);
    int rc = unpack_frame(&u, items, &frame);
    if (rc < 0)
        return rc;
    unpacker_init(&u, arena, frame.len, ERR_STORE_CORRUPT, "snapshot", err);
    const Muster__SnapshotItem *message = unpack_message(&u, &muster__snapshot_item__descriptor, frame);
    if (message == NULL)
        return u.code;
    if (message->body_case == MUSTER__SNAPSHOT_ITEM__BODY__NOT_SET)
        return unpack_unknown_kind(&u, &message->base);
    memset(item, 0, sizeof(*item));
    item->kind = (enum snapshot_kind)message->body_case;
    return unpack_body(&u, message, item);
}

// Checks what is around the items.
static int frame_check(struct bytes bytes, struct bytes *ret_items, struct err *err)
{
    struct reader reader;
    if (bytes.len < SNAPSHOT_HEAD_BYTES + SNAPSHOT_TAIL_BYTES)
        return err_set(err, ERR_STORE_CORRUPT, "snapshot: %zu bytes are too few", bytes.len);
    reader_init(&reader, bytes.data, bytes.len);
    const uint8_t *magic = reader_bytes(&reader, SNAPSHOT_MAGIC_BYTES);
    if (memcmp(magic, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_BYTES) != 0)
        return err_set(err, ERR_STORE_CORRUPT, "snapshot: it does not begin as one");
    uint32_t version = reader_u32(&reader);
    if (version != SNAPSHOT_VERSION)
        return err_set(err, ERR_VERSION, "snapshot: its format %u is not known to this version", version);
    size_t len = bytes.len - SNAPSHOT_HEAD_BYTES - SNAPSHOT_TAIL_BYTES;
    *ret_items = (struct bytes){.data = reader_bytes(&reader, len), .len = len};
    if (reader_u64(&reader) != hash_bytes(bytes.data, bytes.len - SNAPSHOT_TAIL_BYTES, 0))
        return err_set(err, ERR_STORE_CORRUPT, "snapshot: its checksum does not fit");
    must(reader_done(&reader));
    return 0;
}

int snapshot_unpack(struct bytes bytes, int (*visit)(void *, const struct snapshot_item *), void *context, struct err *err)
{
    must(visit != NULL);
    struct bytes items;
    int rc = frame_check(bytes, &items, err);
    if (rc < 0)
        return rc;
    struct arena arena;
    arena_init(&arena, 0);
    while (rc == 0 && items.len > 0) {
        struct snapshot_item item;
        arena_clear(&arena);
        rc = unpack_item(&items, &arena, &item, err);
        if (rc == 0)
            rc = visit(context, &item);
    }
    arena_release(&arena);
    return rc;
}
