// SPDX-License-Identifier: Apache-2.0
// Snapshots into bytes. The file and its items are described in proto/snapshot.proto.
#include "codec/snapshot.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "codec/codec.h"
#include "codec/shapes.h"
#include "proto/snapshot.pb-c.h"

// The message of a body, of which one is used.
union body {
    Muster__SnapHead head;
    Muster__SnapJob job;
    Muster__SnapNode node;
    Muster__SnapSpec spec;
    Muster__SnapRun run;
    Muster__SnapTask task;
    Muster__SnapKey key;
    Muster__SnapCalendar calendar;
    Muster__SnapBackfill backfill;
};

void snapshot_begin(struct buf *buf)
{
    must(buf != NULL && buf->len == 0);
    struct writer writer;
    writer_init(&writer, buf);
    writer_bytes(&writer, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_BYTES);
    writer_u32(&writer, SNAPSHOT_VERSION);
}

void snapshot_end(struct buf *buf)
{
    must(buf != NULL && buf->len >= SNAPSHOT_HEAD_BYTES);
    struct writer writer;
    writer_init(&writer, buf);
    writer_u64(&writer, hash_bytes(buf->data, buf->len, 0));
}

static void pack_head(Muster__SnapHead *m, const struct snap_head *s)
{
    muster__snap_head__init(m);
    m->seq = s->seq;
    m->epoch = s->epoch;
    m->next_run = s->next_run;
    m->next_job = s->next_job;
    m->next_fence = s->next_fence;
    m->next_node = s->next_node;
    m->next_backfill = s->next_backfill;
}

static void pack_job(Muster__SnapJob *m, const struct snap_job *s)
{
    must((unsigned)s->state < JOB_STATES && s->packed.len > 0);
    muster__snap_job__init(m);
    m->job_id = s->job_id;
    m->version = s->version;
    m->state = (Muster__JobState)s->state;
    m->spec = pb_bytes(s->packed);
    m->n_next_usec = s->n_next;
    m->next_usec = (int64_t *)s->next_usec;
    m->last_run = s->last_run;
    m->decided_usec = s->decided_usec;
    m->failures = s->failures;
    m->paused = s->paused;
    m->missed_usec = s->missed_usec;
    m->missed_why = (Muster__FireOutcome)s->missed_why;
    m->applied_usec = s->applied_usec;
    m->first_usec = s->first_usec;
    m->n_left_out_usec = m->n_planned_seq = s->left_out_usec != NULL ? s->n_next : 0;
    m->left_out_usec = (int64_t *)s->left_out_usec;
    m->planned_seq = (uint64_t *)s->planned_seq;
}

static void pack_node(struct arena *arena, Muster__SnapNode *m, const struct snap_node *s)
{
    must((unsigned)s->state < NODE_STATES && (unsigned)s->admission <= ADMIT_CLOSED);
    muster__snap_node__init(m);
    m->node_id = s->node_id;
    m->info = arena_new(arena, Muster__NodeInfo);
    node_info_pack(arena, m->info, &s->info);
    m->state = (Muster__NodeState)s->state;
    m->admission = (Muster__Admission)s->admission;
    m->since_usec = s->since_usec;
}

static void pack_spec(Muster__SnapSpec *m, const struct snap_spec *s)
{
    must(s->packed.len > 0);
    muster__snap_spec__init(m);
    m->spec_no = s->spec_no;
    m->spec = pb_bytes(s->packed);
}

static void pack_run(struct arena *arena, Muster__SnapRun *m, const struct snap_run *s)
{
    must((unsigned)s->state < RUN_STATES && (unsigned)s->admission <= ADMIT_CLOSED);
    must((unsigned)s->cancel_cause <= CANCEL_JOB_DELETED);
    muster__snap_run__init(m);
    m->run_id = s->run_id;
    m->job_id = s->job_id;
    m->spec_no = s->spec_no;
    m->rerun_of = s->rerun_of;
    m->job_version = s->job_version;
    m->state = (Muster__RunState)s->state;
    m->admission = (Muster__Admission)s->admission;
    m->cancel_cause = (Muster__CancelCause)s->cancel_cause;
    m->submitted_usec = s->submitted_usec;
    m->started_usec = s->started_usec;
    m->ended_usec = s->ended_usec;
    m->nominal_usec = s->nominal_usec;
    m->params = pb_bytes(s->params);
    m->backfill_id = s->backfill_id;
    m->cursor = s->cursor;
    m->n_succeeded = s->n_succeeded;
    m->n_failed = s->n_failed;
    m->n_cancelled = s->n_cancelled;
    m->n_expired = s->n_expired;
    m->n_lost = s->n_lost;
    m->ended = pb_bytes(s->ended);
    m->good = pb_bytes(s->good);
    m->submitted_by = pb_text(s->submitted_by);
    m->waits_for = column64_pack(arena, &m->n_waits_for, s->waits_for, sizeof(*s->waits_for), s->n_waits_for, COLUMN_KEY);
    m->key_held = s->key_held;
    m->ended_seq = s->ended_seq;
    m->n_untouched = s->n_untouched;
    m->dep_failed = s->dep_failed;
}

static void pack_task(Muster__SnapTask *m, const struct snap_task *s)
{
    must((unsigned)s->state < TASK_STATES && (unsigned)s->stop_why < OUTCOMES);
    muster__snap_task__init(m);
    m->run_id = s->run_id;
    m->index = s->index;
    m->attempt = s->attempt;
    m->tries = s->tries;
    m->state = (Muster__TaskState)s->state;
    m->node_id = s->node_id;
    m->fence = s->fence;
    m->placed_usec = s->placed_usec;
    m->started_usec = s->started_usec;
    m->retry_usec = s->retry_usec;
    m->stop_why = (Muster__Outcome)s->stop_why;
}

static void pack_key(Muster__SnapKey *m, const struct snap_key *s)
{
    muster__snap_key__init(m);
    m->key = pb_text(s->key);
    m->run_id = s->run_id;
    m->until_usec = s->until_usec;
    m->work_hash = s->work_hash;
}

static void pack_calendar(struct arena *arena, Muster__SnapCalendar *m, const struct snap_calendar *s)
{
    must(s->version > 0);
    muster__snap_calendar__init(m);
    m->calendar = arena_new(arena, Muster__Calendar);
    calendar_pack(arena, m->calendar, s->calendar);
    m->version = s->version;
    m->put_usec = s->put_usec;
    m->put_seq = s->put_seq;
}

static void pack_backfill(struct arena *arena, Muster__SnapBackfill *m, const struct snap_backfill *s)
{
    must((unsigned)s->state < BACKFILL_STATES);
    muster__snap_backfill__init(m);
    m->backfill_id = s->backfill_id;
    m->job_id = s->job_id;
    m->job_name = pb_text(s->job_name);
    m->from_usec = s->from_usec;
    m->to_usec = s->to_usec;
    m->reverse = s->reverse;
    m->again = s->again;
    m->parallel_max = s->parallel_max;
    m->state = (Muster__BackfillState)s->state;
    m->done_usec = s->done_usec;
    m->done_trigger = s->done_trigger;
    m->n_total = s->n_total;
    m->n_fired = s->n_fired;
    m->n_succeeded = s->n_succeeded;
    m->n_unsuccessful = s->n_unsuccessful;
    m->began_usec = s->began_usec;
    m->ended_usec = s->ended_usec;
    m->covered = spans_pack(arena, &m->n_covered, s->covered, s->n_covered);
    m->params = pb_bytes(s->params);
    m->key = pb_text(s->key);
    m->by = pb_text(s->by);
}

void snapshot_item_pack(struct buf *buf, const struct snapshot_item *item)
{
    must(buf != NULL && item != NULL);
    must(buf->len >= SNAPSHOT_HEAD_BYTES);
    must(item->kind > 0 && item->kind < SNAP_KINDS);
    struct arena arena;
    arena_init(&arena, 0);
    union body body;
    switch (item->kind) {
    case SNAP_HEAD:
        pack_head(&body.head, &item->head);
        break;
    case SNAP_JOB:
        pack_job(&body.job, &item->job);
        break;
    case SNAP_NODE:
        pack_node(&arena, &body.node, &item->node);
        break;
    case SNAP_SPEC:
        pack_spec(&body.spec, &item->spec);
        break;
    case SNAP_RUN:
        pack_run(&arena, &body.run, &item->run);
        break;
    case SNAP_TASK:
        pack_task(&body.task, &item->task);
        break;
    case SNAP_KEY:
        pack_key(&body.key, &item->key);
        break;
    case SNAP_CALENDAR:
        pack_calendar(&arena, &body.calendar, &item->calendar);
        break;
    case SNAP_BACKFILL:
        pack_backfill(&arena, &body.backfill, &item->backfill);
        break;
    case SNAP_KINDS:
        unreachable();
    }
    Muster__SnapshotItem message;
    muster__snapshot_item__init(&message);
    // A body has the number of its kind (codec/enums.c), and all of them share one pointer.
    message.body_case = (Muster__SnapshotItem__BodyCase)item->kind;
    message.head = &body.head;
    pack_message_framed(buf, &message.base);
    arena_release(&arena);
}
