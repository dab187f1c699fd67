// SPDX-License-Identifier: Apache-2.0
// What job files say about instants that are missed, or come while another run goes on.
#include "tests/unit/codec/spec_world.h"

static void test_catch_up(void **state)
{
    const struct job_spec *spec = good_as(*state, SPEC_YAML, SPEC_JOB, "name: a\ncommand: [x]\nmisfire: all\ncatch_up: {window: 90m, max: 7}\n");
    assert_int_equal(spec->catch_up_window_usec, 90 * USEC_PER_MIN);
    assert_int_equal(spec->catch_up_max, 7);
    spec = good_as(*state, SPEC_YAML, SPEC_JOB, "name: a\ncommand: [x]\ncatch_up: {window: 1d}\n");
    assert_int_equal(spec->catch_up_window_usec, USEC_PER_DAY);
    refuse_as(*state, SPEC_YAML, SPEC_JOB, "name: a\ncommand: [x]\nmisfire: skip\ncatch_up: {window: 1h}\n",
              "4:11: catch_up: with misfire skip nothing is made up for\n");
    refuse_as(*state, SPEC_YAML, SPEC_JOB, "name: a\ncommand: [x]\ncatch_up: {max: 2}\n",
              "3:17: catch_up.max: only misfire all makes up for more than one instant\n");
    refuse_as(*state, SPEC_YAML, SPEC_JOB, "name: a\ncommand: [x]\nmisfire: all\ncatch_up: {max: 101}\n",
              "4:17: catch_up.max: 101 is out of range (allowed: 1 up to the setting missed_fires_max)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_catch_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
