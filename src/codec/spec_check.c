// SPDX-License-Identifier: Apache-2.0
// What several fields of a job file must agree on.
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "codec/spec_read.h"

static bool given(const struct spec_reader *reader, enum field_id field)
{
    return reader->given[field].node != NULL;
}

static void check_what_runs(struct spec_reader *reader, const struct place *whole)
{
    if (given(reader, FIELD_COMMAND) && given(reader, FIELD_SCRIPT))
        spec_bad_said(reader, &reader->given[FIELD_SCRIPT], "either a command or a script is run, not both");
    else if (!given(reader, FIELD_COMMAND) && !given(reader, FIELD_SCRIPT))
        spec_bad(reader, whole, "neither command nor script is given");
}

static void check_purpose(struct spec_reader *reader, const struct place *whole)
{
    static const enum field_id of_jobs[] = {FIELD_SCHEDULE, FIELD_OVERLAP, FIELD_MISFIRE, FIELD_CATCH_UP, FIELD_LATE_AFTER, FIELD_PAUSE_AFTER};
    if (reader->purpose == SPEC_JOB && !given(reader, FIELD_NAME))
        spec_bad(reader, &(struct place){whole->node, "name", FIELD_NAME}, "a job needs a name");
    if (reader->purpose == SPEC_JOB && given(reader, FIELD_SCHEDULE) && given(reader, FIELD_START_AT))
        spec_bad_said(reader, &reader->given[FIELD_START_AT], "a job with a schedule has no start_at; write schedule: {at: TIME}");
    for (size_t i = 0; reader->purpose == SPEC_RUN && i < sizeof(of_jobs) / sizeof(of_jobs[0]); i++)
        if (given(reader, of_jobs[i]))
            spec_bad_said(reader, &reader->given[of_jobs[i]], "only a job has it; a run is started once, by hand");
}

static void check_retry(struct spec_reader *reader)
{
    struct retry *retry = &reader->spec->retry;
    if (given(reader, FIELD_RETRY) && !given(reader, FIELD_RETRY_LIMIT))
        spec_bad(reader, &(struct place){reader->given[FIELD_RETRY].node, "retry.limit", FIELD_RETRY_LIMIT},
            "without a limit nothing is ever tried again");
    if (!given(reader, FIELD_RETRY_MAX_BACKOFF))
        retry->backoff_max_usec = usec_max(retry->backoff_max_usec, retry->backoff_usec);
    else if (retry->backoff_max_usec < retry->backoff_usec)
        spec_bad(reader, &reader->given[FIELD_RETRY_MAX_BACKOFF], "it is shorter than backoff");
    if (reader->spec->delivery == AT_MOST_ONCE && retry->limit > 0)
        spec_bad_said(reader, &reader->given[FIELD_RETRY_LIMIT],
                 "a job with delivery at_most_once starts no task twice, so its retry limit can only be 0");
}

static void check_tasks(struct spec_reader *reader)
{
    const struct job_spec *spec = reader->spec;
    if (spec->parallelism > spec->tasks.count)
        spec_bad(reader, &reader->given[FIELD_PARALLELISM], "%" PRIu32 " is more than the number of tasks, which is %" PRIu32,
            spec->parallelism, spec->tasks.count);
}

static void check_catch_up(struct spec_reader *reader)
{
    enum misfire misfire = reader->spec->misfire;
    if (given(reader, FIELD_CATCH_UP) && misfire == MISFIRE_SKIP)
        spec_bad_said(reader, &reader->given[FIELD_CATCH_UP], "with misfire skip nothing is made up for");
    else if (given(reader, FIELD_CATCH_UP_MAX) && misfire != MISFIRE_ALL)
        spec_bad_said(reader, &reader->given[FIELD_CATCH_UP_MAX], "only misfire all makes up for more than one instant");
}

void spec_check(struct spec_reader *reader, const struct doc_node *document)
{
    must(document->kind == DOC_MAP);
    struct place whole = {document, "command", FIELD_COMMAND};
    check_what_runs(reader, &whole);
    check_purpose(reader, &whole);
    check_retry(reader);
    check_tasks(reader);
    spec_check_params(reader);
    check_catch_up(reader);
}
