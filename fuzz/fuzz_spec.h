// SPDX-License-Identifier: Apache-2.0
// Job files in one format: every text is either a spec that can be written and read again, or refused with errors that can be shown.
#pragma once

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "codec/spec_parse.h"
#include "codec/utf8.h"
#include "codec/view_json.h"
#include "fuzz/fuzz.h"

static void check_errors(const struct spec_errors *errors)
{
    must(errors->n > 0 && errors->n <= SPEC_ERRORS_MAX);
    for (size_t i = 0; i < errors->n; i++) {
        const char *problem = errors->item[i].problem;
        const char *end = problem + strlen(problem);
        must(problem < end && errors->item[i].line > 0);
        for (const char *p = problem; p < end;) {
            size_t len = utf8_len(p, end);
            must(len > 0 && (unsigned char)*p >= 0x20);
            p += len;
        }
    }
}

static void check_written(const struct job_spec *spec, const struct limits *limits, struct arena *arena)
{
    struct buf json = {0}, json2 = {0};
    struct job_spec **again = NULL;
    size_t n = 0;
    struct spec_errors errors;
    view_json_spec(&json, spec);
    must(spec_parse(json.data, json.len, SPEC_JSON, SPEC_JOB, limits, arena, &again, &n, &errors) == 0 && n == 1);
    view_json_spec(&json2, again[0]);
    must(strcmp(json.data, json2.data) == 0);
    buf_release(&json);
    buf_release(&json2);
}

static int fuzz_spec(const uint8_t *data, size_t size, enum spec_format format)
{
    struct arena arena = {0};
    struct limits limits;
    struct spec_errors errors;
    struct job_spec **specs = NULL;
    size_t n = 0;
    limits_init(&limits);
    limits.value[LIMIT_TASKS] = 1000000;
    for (int purpose = SPEC_JOB; purpose <= SPEC_RUN; purpose++) {
        int rc = spec_parse((const char *)data, size, format, (enum spec_purpose)purpose, &limits, &arena, &specs, &n, &errors);
        if (rc < 0)
            check_errors(&errors);
        for (size_t i = 0; rc == 0 && purpose == SPEC_JOB && i < n; i++)
            check_written(specs[i], &limits, &arena);
    }
    arena_release(&arena);
    return 0;
}
