// SPDX-License-Identifier: Apache-2.0
// Index sets, the retry policy and the names of a job spec.

#include "model/job_spec.h"

#include "base/prng.h"
#include "tests/unit/test.h"

static void test_defaults(void **state)
{
    struct job_spec spec;
    memset(&spec, 0xff, sizeof(spec));
    job_spec_init(&spec);
    assert_string_equal(spec.namespace_name, "default");
    assert_string_equal(spec.queue, "default");
    assert_null(spec.name);
    assert_int_equal(spec.tasks.count, 1);
    assert_int_equal(index_set_at(&spec.tasks, 0), 0);
    assert_int_equal(spec.parallelism, 0);
    assert_int_equal(spec.retry.limit, 0);
    assert_int_equal(spec.concurrency_limit, 1);
    assert_true(spec.kill_grace_usec > 0);
    assert_false(retry_wants(&spec.retry, 1, OUTCOME_EXIT, 1));
}

static void test_index_set_of_ranges(void **state)
{
    struct index_range ranges[] = {
        {.first = 0, .last = 99, .step = 2},
        {.first = 200, .last = 200, .step = 7},
        {.first = 300, .last = 309, .step = 5},
    };
    struct index_set set;
    assert_true(index_set_init(&set, ranges, 3));
    assert_int_equal(set.count, 53);
    assert_int_equal(ranges[0].last, 98);
    assert_int_equal(ranges[2].last, 305);
    assert_int_equal(index_set_at(&set, 0), 0);
    assert_int_equal(index_set_at(&set, 49), 98);
    assert_int_equal(index_set_at(&set, 50), 200);
    assert_int_equal(index_set_at(&set, 51), 300);
    assert_int_equal(index_set_at(&set, 52), 305);
    uint32_t position = 77;
    assert_false(index_set_find(&set, 1, &position));
    assert_false(index_set_find(&set, 99, &position));
    assert_false(index_set_find(&set, 199, &position));
    assert_false(index_set_find(&set, 301, &position));
    assert_false(index_set_find(&set, 310, &position));
    assert_int_equal(position, 77);
    assert_true(index_set_find(&set, 305, &position));
    assert_int_equal(position, 52);
    assert_aborts(index_set_at(&set, 53));
}

static void test_index_set_refuses(void **state)
{
    struct index_set set = {.count = 9};
    struct index_range step0[] = {{.first = 0, .last = 1, .step = 0}};
    struct index_range back[] = {{.first = 2, .last = 1, .step = 1}};
    struct index_range same[] = {{.first = 0, .last = 5, .step = 1}, {.first = 5, .last = 9, .step = 1}};
    struct index_range unsorted[] = {{.first = 7, .last = 8, .step = 1}, {.first = 1, .last = 2, .step = 1}};
    struct index_range huge[] = {{.first = 0, .last = UINT32_MAX, .step = 1}};
    assert_false(index_set_init(&set, step0, 1));
    assert_false(index_set_init(&set, back, 1));
    assert_false(index_set_init(&set, same, 2));
    assert_false(index_set_init(&set, unsorted, 2));
    assert_false(index_set_init(&set, huge, 1));
    assert_int_equal(set.count, 9);
    huge[0].first = 1;
    assert_true(index_set_init(&set, huge, 1));
    assert_int_equal(set.count, UINT32_MAX);
    assert_int_equal(index_set_at(&set, UINT32_MAX - 1), UINT32_MAX);
}

// Every set agrees with the list that it stands for.
static void test_index_set_random(void **state)
{
    struct prng prng;
    prng_init(&prng, 5);
    for (int round = 0; round < 300; round++) {
        struct index_range ranges[12];
        uint32_t list[2000];
        size_t n_list = 0;
        size_t n = 1 + prng_below(&prng, 12);
        uint32_t next = (uint32_t)prng_below(&prng, 4);
        for (size_t i = 0; i < n; i++) {
            uint32_t step = 1 + (uint32_t)prng_below(&prng, 5);
            uint32_t last = next + (uint32_t)prng_below(&prng, 60);
            ranges[i] = (struct index_range){.first = next, .last = last, .step = step};
            for (uint32_t index = next; index <= last; index += step)
                list[n_list++] = index;
            next = last + 1 + (uint32_t)prng_below(&prng, 3);
        }
        struct index_set set;
        assert_true(index_set_init(&set, ranges, n));
        assert_int_equal(set.count, n_list);
        size_t at = 0;
        for (uint32_t index = 0; index < next + 3; index++) {
            uint32_t position = 0;
            bool found = index_set_find(&set, index, &position);
            assert_int_equal(found, at < n_list && list[at] == index);
            if (!found)
                continue;
            assert_int_equal(position, at);
            assert_int_equal(index_set_at(&set, position), index);
            at++;
        }
        assert_int_equal(at, n_list);
    }
}

static void test_index_set_text(void **state)
{
    struct index_range ranges[] = {
        {.first = 0, .last = 9, .step = 1},
        {.first = 20, .last = 20, .step = 1},
        {.first = 30, .last = 50, .step = 2},
    };
    struct index_set set;
    assert_true(index_set_init(&set, ranges, 3));
    char buf[40];
    assert_string_equal(index_set_format(buf, sizeof(buf), &set), "0-9,20,30-50:2");
    assert_string_equal(index_set_format(buf, 15, &set), "0-9,20,30-50:2");
    assert_string_equal(index_set_format(buf, 14, &set), "0-9,20...");
    assert_string_equal(index_set_format(buf, 9, &set), "0-9...");
    set.n_ranges = 0;
    assert_string_equal(index_set_format(buf, sizeof(buf), &set), "");
}

static void test_backoff_grows_to_its_ceiling(void **state)
{
    struct retry retry = {.limit = 9, .backoff_usec = 100, .factor_permille = 1500, .backoff_max_usec = 400};
    assert_int_equal(retry_backoff(&retry, 1, 0), 100);
    assert_int_equal(retry_backoff(&retry, 2, 0), 150);
    assert_int_equal(retry_backoff(&retry, 3, 0), 225);
    assert_int_equal(retry_backoff(&retry, 4, UINT64_MAX), 337);
    assert_int_equal(retry_backoff(&retry, 5, 0), 400);
    assert_int_equal(retry_backoff(&retry, UINT32_MAX, 0), 400);
    retry.factor_permille = 1000;
    assert_int_equal(retry_backoff(&retry, UINT32_MAX, 0), 100);
    retry.backoff_usec = 0;
    assert_int_equal(retry_backoff(&retry, 3, 17), 0);
}

static void test_backoff_never_overflows(void **state)
{
    struct retry retry = {.backoff_usec = INT64_MAX, .factor_permille = UINT32_MAX, .backoff_max_usec = INT64_MAX,
                          .jitter_permille = 1000};
    for (uint32_t attempt = 1; attempt < 40; attempt++) {
        usec_t wait = retry_backoff(&retry, attempt, UINT64_MAX / attempt);
        assert_true(wait >= 0 && wait <= INT64_MAX / 4);
    }
}

static void test_jitter_stays_in_its_band(void **state)
{
    struct retry retry = {.backoff_usec = 1000, .factor_permille = 1000, .backoff_max_usec = 1100, .jitter_permille = 200};
    struct prng prng;
    prng_init(&prng, 3);
    usec_t least = USEC_NEVER;
    usec_t most = 0;
    for (int i = 0; i < 5000; i++) {
        usec_t wait = retry_backoff(&retry, 1, prng_u64(&prng));
        least = usec_min(least, wait);
        most = usec_max(most, wait);
    }
    assert_int_equal(least, 800);
    assert_int_equal(most, 1100); // the ceiling holds for jitter too
    assert_int_equal(retry_backoff(&retry, 1, 12345), retry_backoff(&retry, 1, 12345));
}

static void test_retry_on_what(void **state)
{
    static const int32_t codes[] = {7, 75};
    struct retry retry = {.limit = 2};
    assert_true(retry_wants(&retry, 1, OUTCOME_EXIT, 1));
    assert_true(retry_wants(&retry, 2, OUTCOME_OOM, 0));
    assert_false(retry_wants(&retry, 3, OUTCOME_EXIT, 1));
    assert_false(retry_wants(&retry, 1, OUTCOME_SUCCEEDED, 0));
    assert_false(retry_wants(&retry, 1, OUTCOME_CANCELLED, 0));
    retry.exit_codes = codes;
    retry.n_exit_codes = 2;
    assert_true(retry_wants(&retry, 1, OUTCOME_EXIT, 75));
    assert_false(retry_wants(&retry, 1, OUTCOME_EXIT, 1));
    assert_false(retry_wants(&retry, 1, OUTCOME_TIMEOUT, 0));
    retry.causes = 1u << OUTCOME_TIMEOUT;
    assert_true(retry_wants(&retry, 1, OUTCOME_TIMEOUT, 0));
    assert_true(retry_wants(&retry, 1, OUTCOME_EXIT, 7));
    assert_false(retry_wants(&retry, 1, OUTCOME_OOM, 0));
    retry.n_exit_codes = 0;
    assert_false(retry_wants(&retry, 1, OUTCOME_EXIT, 7));
    retry.causes |= 1u << OUTCOME_EXIT;
    assert_true(retry_wants(&retry, 1, OUTCOME_EXIT, 7));
}

static void test_names(void **state)
{
    assert_string_equal(delivery_name(AT_LEAST_ONCE), "at_least_once");
    assert_string_equal(delivery_name(AT_MOST_ONCE), "at_most_once");
    assert_string_equal(after_on_name(AFTER_SUCCEEDED), "succeeded");
    assert_string_equal(after_on_name(AFTER_FAILED), "failed");
    assert_string_equal(after_on_name(AFTER_ENDED), "ended");
    assert_string_equal(overlap_name(OVERLAP_ALLOW), "allow");
    assert_string_equal(overlap_name(OVERLAP_FORBID), "forbid");
    assert_string_equal(overlap_name(OVERLAP_REPLACE), "replace");
    assert_string_equal(overlap_name(OVERLAP_QUEUE), "queue");
    assert_string_equal(misfire_name(MISFIRE_SKIP), "skip");
    assert_string_equal(misfire_name(MISFIRE_ONCE), "once");
    assert_string_equal(misfire_name(MISFIRE_ALL), "all");
    assert_string_equal(constraint_op_text(OP_NOT_IN), "not in");
    assert_string_equal(constraint_op_text(OP_NOT_EXISTS), "not has");
    assert_aborts(delivery_name((enum delivery)9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_index_set_of_ranges),
        cmocka_unit_test(test_index_set_refuses),
        cmocka_unit_test(test_index_set_random),
        cmocka_unit_test(test_index_set_text),
        cmocka_unit_test(test_backoff_grows_to_its_ceiling),
        cmocka_unit_test(test_backoff_never_overflows),
        cmocka_unit_test(test_jitter_stays_in_its_band),
        cmocka_unit_test(test_retry_on_what),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
