// SPDX-License-Identifier: Apache-2.0
// Crontabs: what becomes a job can be printed as YAML and read again, or is refused with errors; nothing else may happen.

#include "base/assert.h"
#include "base/buf.h"
#include "cli/crontab.h"
#include "codec/spec_parse.h"
#include "fuzz/fuzz.h"

static void read_jobs(const struct crontab *crontab)
{
    struct buf text = {0};
    crontab_print_jobs(crontab, &text);
    struct arena arena = {0};
    struct limits limits;
    struct spec_errors errors;
    struct job_spec **specs = NULL;
    size_t n = 0;
    limits_init(&limits);
    if (spec_parse(text.data, text.len, SPEC_YAML, SPEC_JOB, &limits, &arena, &specs, &n, &errors) == 0)
        must(n == crontab->n_jobs);
    else
        must(errors.n > 0);
    arena_release(&arena);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int system = 0; system < 2; system++) {
        struct crontab_options options = {.prefix = "cron-", .zone = "Europe/Berlin", .system = system != 0};
        struct crontab crontab = {0};
        struct err err = {0};
        int rc = crontab_parse((const char *)data, size, &options, &crontab, &err);
        must(rc == err.code);
        if (rc == 0) {
            size_t jobs = 0;
            for (size_t i = 0; i < crontab.n; i++) {
                must(crontab.lines[i].job != NULL || crontab.lines[i].remark != NULL || !crontab.lines[i].lost);
                jobs += crontab.lines[i].job != NULL;
            }
            must(jobs == crontab.n_jobs);
            if (jobs > 0)
                read_jobs(&crontab);
        }
        crontab_release(&crontab);
    }
    return 0;
}
