// SPDX-License-Identifier: Apache-2.0
// The state of a core as sorted lines of text that do not depend on how it is stored. The same file made the .expect files of
// tests/unit/core/old with the builds that wrote the logs beside them, so it uses only what every version has.
#pragma once

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "codec/codec.h"
#include "core/core.h"

struct digest {
    char **line;
    size_t n, cap;
    struct arena arena;
};

__attribute__((format(printf, 2, 3))) static inline void digest_add(struct digest *digest, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    must(vasprintf(&text, fmt, args) >= 0);
    va_end(args);
    if (digest->n == digest->cap) {
        digest->cap = digest->cap > 0 ? 2 * digest->cap : 64;
        digest->line = mem_realloc_array(digest->line, digest->cap, sizeof(*digest->line));
    }
    digest->line[digest->n++] = text;
}

static inline void digest_spec(struct digest *digest, const char *what, uint64_t number, struct bytes packed)
{
    const struct job_spec *spec = NULL;
    must(spec_unpack(packed, &digest->arena, &spec, NULL) == 0);
    digest_add(digest, "%s %" PRIu64 " spec: name %s, tasks %u, parallelism %u, delivery %d, retry %u %" PRId64 ", grace %" PRId64 ", limit %" PRId64 ", priority %d", what,
               number, spec->name != NULL ? spec->name : "-", spec->tasks.count, spec->parallelism, (int)spec->delivery, spec->retry.limit, spec->retry.backoff_usec,
               spec->kill_grace_usec, spec->time_limit_usec, spec->priority);
    for (size_t i = 0; i < spec->n_needs; i++)
        digest_add(digest, "%s %" PRIu64 " needs %s %" PRIu64, what, number, spec->needs[i].name, spec->needs[i].amount);
    for (size_t i = 0; i < spec->n_triggers; i++)
        digest_add(digest, "%s %" PRIu64 " trigger %zu: kind %d, %s, every %" PRId64 ", zone %s", what, number, i, (int)spec->triggers[i].kind,
                   spec->triggers[i].text, spec->triggers[i].every_usec, spec->triggers[i].zone != NULL ? spec->triggers[i].zone : "-");
}

static inline void digest_run(struct digest *digest, const struct snap_run *run)
{
    digest_add(digest, "run %" PRIu64 ": job %" PRIu64 " version %u, spec %" PRIu64 ", %s, admission %d, submitted %" PRId64 ", started %" PRId64 ", ended %" PRId64, run->run_id,
               run->job_id, run->job_version, run->spec_no, run_state_name(run->state), (int)run->admission, run->submitted_usec, run->started_usec, run->ended_usec);
    digest_add(digest, "run %" PRIu64 " counts: %u %u %u %u %u, untouched %u, nominal %" PRId64 ", key %d", run->run_id, run->n_succeeded, run->n_failed,
               run->n_cancelled, run->n_expired, run->n_lost, run->n_untouched, run->nominal_usec, (int)run->key_held);
}

static inline int digest_item(void *context, const struct snapshot_item *item)
{
    struct digest *digest = context;
    arena_clear(&digest->arena);
    switch (item->kind) {
    case SNAP_HEAD:
        digest_add(digest, "head: seq %" PRIu64 ", epoch %" PRIu64 ", next %" PRIu64 " %" PRIu64 " %" PRIu64 " %u", item->head.seq, item->head.epoch, item->head.next_run,
                   item->head.next_job, item->head.next_fence, item->head.next_node);
        break;
    case SNAP_JOB:
        digest_add(digest, "job %" PRIu64 ": version %u, state %d, failures %u, applied %" PRId64, item->job.job_id, item->job.version, (int)item->job.state,
                   item->job.failures, item->job.applied_usec);
        for (size_t i = 0; i < item->job.n_next; i++)
            digest_add(digest, "job %" PRIu64 " next %zu: %" PRId64, item->job.job_id, i, item->job.next_usec[i]);
        digest_spec(digest, "job", item->job.job_id, item->job.packed);
        break;
    case SNAP_NODE:
        digest_add(digest, "node %u: %s, %s, admission %d, tasks_max %u, since %" PRId64, item->node.node_id, item->node.info.name, node_state_name(item->node.state),
                   (int)item->node.admission, item->node.info.tasks_max, item->node.since_usec);
        for (size_t i = 0; i < item->node.info.n_capacity; i++)
            digest_add(digest, "node %u has %s %" PRIu64, item->node.node_id, item->node.info.capacity[i].name, item->node.info.capacity[i].amount);
        break;
    case SNAP_SPEC:
        digest_spec(digest, "spec", item->spec.spec_no, item->spec.packed);
        break;
    case SNAP_RUN:
        digest_run(digest, &item->run);
        break;
    case SNAP_TASK:
        digest_add(digest, "task %" PRIu64 "/%u: attempt %u, %s, node %u, fence %" PRIu64 ", retry %" PRId64, item->task.run_id, item->task.index, item->task.attempt,
                   task_state_name(item->task.state), item->task.node_id, item->task.fence, item->task.retry_usec);
        break;
    case SNAP_KEY:
        digest_add(digest, "key %s: run %" PRIu64 ", until %" PRId64, item->key.key, item->key.run_id, item->key.until_usec);
        break;
    default:
        break; // what older versions do not have
    }
    return 0;
}

static inline int digest_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Gives the text; the caller frees it.
static inline char *digest_core(const struct core *core)
{
    struct digest digest = {0};
    struct buf out;
    arena_init(&digest.arena, 4096);
    buf_init(&out);
    must(core_save(core, digest_item, &digest) == 0);
    qsort(digest.line, digest.n, sizeof(*digest.line), digest_order);
    for (size_t i = 0; i < digest.n; i++) {
        buf_printf(&out, "%s\n", digest.line[i]);
        free(digest.line[i]);
    }
    mem_free(digest.line);
    arena_release(&digest.arena);
    return buf_detach(&out);
}
