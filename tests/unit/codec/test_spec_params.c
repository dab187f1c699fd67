// SPDX-License-Identifier: Apache-2.0
// Parameters in job files: declaration, values of schedules, and where they may be used.

#include "base/buf.h"
#include "codec/spec_parse.h"
#include "tests/unit/test.h"

struct fixture {
    struct arena arena;
    struct limits limits;
    struct job_spec **specs;
    size_t n;
    struct spec_errors errors;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    limits_init(&f->limits);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_release(&f->arena);
    free(f);
    return 0;
}

// All errors, one per line.
static void put_errors(struct buf *out, const struct spec_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++) {
        char line[1000];
        buf_printf(out, "%s\n", spec_error_format(line, sizeof(line), &errors->item[i]));
    }
}

static const struct job_spec *good_as(struct fixture *f, enum spec_format format, enum spec_purpose purpose, const char *text)
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

static const struct job_spec *good(struct fixture *f, const char *yaml)
{
    return good_as(f, SPEC_YAML, SPEC_RUN, yaml);
}

static void refuse_as(struct fixture *f, enum spec_format format, enum spec_purpose purpose, const char *text, const char *expected)
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

static void refuse(struct fixture *f, const char *yaml, const char *expected)
{
    refuse_as(f, SPEC_YAML, SPEC_RUN, yaml, expected);
}

static void test_params(void **state)
{
    const struct job_spec *spec = good_as(*state, SPEC_YAML, SPEC_JOB,
        "name: a\ncommand: [x, '--day={{params.day}}', '{{nominal}}']\nenv: {R: '{{params.region}}'}\n"
        "params: {region: eu, day: {required: true}, mode: , level: {default: 3, required: false}}\n"
        "schedule:\n- {cron: '@daily', params: {region: us, day: '{{nominal.date}}'}}\n- {every: 1h, params: {day: x}}\n");
    assert_int_equal(spec->n_params, 4);
    assert_string_equal(spec->params[0].name, "day");
    assert_true(spec->params[0].required);
    assert_null(spec->params[0].value);
    assert_string_equal(spec->params[1].name, "level");
    assert_string_equal(spec->params[1].value, "3");
    assert_false(spec->params[1].required);
    assert_string_equal(spec->params[2].name, "mode");
    assert_null(spec->params[2].value);
    assert_string_equal(spec->params[3].value, "eu");
    assert_int_equal(spec->triggers[0].n_params, 2);
    assert_string_equal(spec->triggers[0].params[0].key, "day");
    assert_string_equal(spec->triggers[0].params[0].value, "{{nominal.date}}");
    assert_string_equal(spec->triggers[1].params[0].value, "x");
    refuse_as(*state, SPEC_YAML, SPEC_JOB,
              "name: a\ncommand: [x, '{{params.dya}}']\nparams: {1a: x, day: {required: true, default: 4}, b: [1], c: {defualt: 1}, d: {required: perhaps}}\n",
              "2:10: command: {{params.dya}} names no parameter; declare it in params\n"
              "3:14: params.1a: the name '1a' does not begin with a letter or underscore (allowed: names of letters, digits and underscores, each with "
              "its default, with nothing, or with {default, required})\n"
              "3:22: params.day: a required parameter has no default; leave one of the two out\n"
              "3:55: params.b: one value is needed here, and this is a list (allowed: names of letters, digits and underscores, each with its default, "
              "with nothing, or with {default, required})\n"
              "3:64: params.c.defualt: there is no such field; did you mean 'default'?\n"
              "3:91: params.d.required: 'perhaps' is not known (allowed: true, false)\n");
    // A schedule has nobody to ask, and what it fixes must be declared.
    refuse_as(*state, SPEC_YAML, SPEC_JOB,
              "name: a\ncommand: [x]\nparams: {day: {required: true}}\nschedule: [\"@daily\", {cron: '@daily', params: {day: 1, nyght: 2}}]\n",
              "4:11: schedule: schedule 1: params: 'day' is required; give it a value: --param day=VALUE, the field params of a request, or params of "
              "a schedule\n"
              "4:11: schedule: schedule 2: params: there is no parameter 'nyght'; the job has day\n");
    // No value ever becomes part of the program of a shell.
    static const char *const shells[] = {"command: 'echo {{params.x}}'", "command: [sh, -c, 'echo {{params.x}}']", "command: [/bin/bash, -ec, '{{params.x}}']",
                                         "command: [env, A=1, busybox, sh, -c, '{{params.x}}']"};
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        struct buf text = {0};
        buf_printf(&text, "%s\nparams: {x: 1}\n", shells[i]);
        refuse(*state, text.data,
               "1:10: command: {{params.x}} in the text of a shell would let a value become commands; write \"$MUSTER_PARAM_x\" there\n");
        buf_release(&text);
    }
    good(*state, "command: [sh, -c, 'echo \"$1\" \"$MUSTER_PARAM_x\"', sh, '{{params.x}}']\nparams: {x: 1}\n");
    good(*state, "command: [./run, -c, '{{params.x}}']\nparams: {x: 1}\n");
    struct fixture *f = *state;
    f->limits.value[LIMIT_PARAMS] = 1;
    f->limits.value[LIMIT_PARAM_BYTES] = 3;
    refuse(f, "command: [x]\nparams: {x: 1, y: 2}\n", "2:9: params: the number of parameters is 2, more than params_max allows (1)\n");
    refuse(f, "command: [x]\nparams: {x: 1234}\n", "2:13: params.x: the value is 4B, more than param_bytes_max allows (3B)\n");
    good(f, "command: [x]\nparams: {x: 123}\n");
    limits_init(&f->limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_params, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
