// SPDX-License-Identifier: Apache-2.0
// Reading job files in tests: what is good, and every word of what is not.
#pragma once

#include "codec/spec_parse.h"

#include "base/buf.h"
#include "base/fs.h"
#include "tests/unit/test.h"

struct fixture {
    struct arena arena;
    struct limits limits;
    struct job_spec **specs;
    size_t n;
    struct spec_errors errors;
};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    limits_init(&f->limits);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    arena_release(&f->arena);
    free(f);
    return 0;
}

// All errors, one per line.
static inline void put_errors(struct buf *out, const struct spec_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++) {
        char line[1000];
        buf_printf(out, "%s\n", spec_error_format(line, sizeof(line), &errors->item[i]));
    }
}

static inline const struct job_spec *good_as(struct fixture *f, enum spec_format format, enum spec_purpose purpose, const char *text)
{
    int rc = spec_parse(text, strlen(text), format, purpose, &f->limits, &f->arena, &f->specs, &f->n, &f->errors);
    if (rc < 0) {
        struct buf out = {0};
        put_errors(&out, &f->errors);
        fail_msg("%s", out.data);
    }
    assert_true(f->n > 0);
    return f->specs[0];
}

static inline const struct job_spec *good(struct fixture *f, const char *yaml)
{
    return good_as(f, SPEC_YAML, SPEC_RUN, yaml);
}

static inline void refuse_as(struct fixture *f, enum spec_format format, enum spec_purpose purpose, const char *text, const char *expected)
{
    struct buf out = {0};
    buf_init(&out);
    f->specs = NULL;
    f->n = 77;
    int rc = spec_parse(text, strlen(text), format, purpose, &f->limits, &f->arena, &f->specs, &f->n, &f->errors);
    put_errors(&out, &f->errors);
    assert_string_equal(out.data, expected);
    assert_int_equal(rc, ERR_INVALID);
    assert_null(f->specs);
    assert_int_equal(f->n, 77);
    buf_release(&out);
}

static inline void refuse(struct fixture *f, const char *yaml, const char *expected)
{
    refuse_as(f, SPEC_YAML, SPEC_RUN, yaml, expected);
}
