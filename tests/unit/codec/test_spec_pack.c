// SPDX-License-Identifier: Apache-2.0
// Job specs there and back, and hostile bytes.
#include "codec/codec.h"
#include "codec/spec.h"
#include "proto/job.pb-c.h"
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

static struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){.data = (const uint8_t *)buf->data, .len = buf->len};
}

static void there_and_back(struct gen *g)
{
    struct buf buf = {0}, again = {0};
    const struct job_spec *spec = gen_spec(g);
    const struct job_spec *read = NULL;
    struct err err = {0};
    spec_pack(&buf, spec);
    if (spec_unpack(buf_bytes(&buf), g->arena, &read, &err) < 0)
        fail_msg("%s", err.text);
    check_spec(spec, read);
    spec_pack(&again, read);
    check_bytes(buf_bytes(&buf), buf_bytes(&again));
    buf_release(&buf);
    buf_release(&again);
}

static void round_trip(void **state)
{
    for (int size = GEN_MINIMAL; size <= GEN_FULL; size++) {
        for (uint64_t seed = 0; seed < 2000; seed++) {
            struct arena arena = {0};
            struct gen g = {.arena = &arena, .size = (enum gen_size)size};
            prng_init(&g.prng, seed);
            there_and_back(&g);
            arena_release(&arena);
        }
    }
}

static void defaults(void **state)
{
    struct arena arena = {0};
    struct buf buf = {0};
    struct job_spec spec;
    const struct job_spec *read = NULL;
    job_spec_init(&spec);
    spec_pack(&buf, &spec);
    assert_int_equal(spec_unpack(buf_bytes(&buf), &arena, &read, NULL), 0);
    check_spec(&spec, read);
    assert_int_equal(spec_unpack((struct bytes){0}, &arena, &read, NULL), ERR_PROTOCOL);
    // Nothing but the limit of its concurrency: the names and the one task are there.
    struct bytes least = {.data = (const uint8_t[]){0xb8, 0x01, 0x01}, .len = 3};
    assert_int_equal(spec_unpack(least, &arena, &read, NULL), 0);
    assert_string_equal(read->queue, "default");
    assert_int_equal(read->tasks.count, 1);
    assert_int_equal(index_set_at(&read->tasks, 0), 0);
    buf_release(&buf);
    arena_release(&arena);
}

// What unpacks must pack again, whatever it is.
static void try_bytes(struct bytes bytes)
{
    struct arena arena = {0};
    const struct job_spec *read = NULL;
    struct err err = {0};
    int rc = spec_unpack(bytes, &arena, &read, &err);
    if (rc == 0) {
        struct buf buf = {0};
        spec_pack(&buf, read);
        buf_release(&buf);
    } else {
        assert_int_equal(rc, ERR_PROTOCOL);
        assert_int_equal(err.code, rc);
        assert_null(read);
    }
    arena_release(&arena);
}

static void hostile(void **state)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct arena arena = {0};
        struct gen g = {.arena = &arena, .size = seed % 2 == 0 ? GEN_FULL : GEN_RANDOM};
        prng_init(&g.prng, seed);
        struct bytes packed = gen_packed(&g, gen_spec(&g));
        uint8_t *data = arena_memdup(&arena, packed.data, packed.len);
        for (size_t len = 0; len < packed.len; len++)
            try_bytes((struct bytes){.data = arena_memdup(&arena, data, len), .len = len});
        for (size_t bit = 0; bit < packed.len * 8; bit++) {
            data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            try_bytes((struct bytes){.data = data, .len = packed.len});
            data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        arena_release(&arena);
    }
}

static int unpack_message_of(const ProtobufCMessage *message, struct err *err)
{
    struct arena arena = {0};
    struct buf buf = {0};
    const struct job_spec *read = NULL;
    pack_message(&buf, message);
    int rc = spec_unpack(buf_bytes(&buf), &arena, &read, err);
    buf_release(&buf);
    arena_release(&arena);
    return rc;
}

#define EXPECT_FAULT(message, sentence) \
    do { \
        struct err err_ = {0}; \
        assert_int_equal(unpack_message_of(&(message).base, &err_), ERR_PROTOCOL); \
        if (strstr(err_.text, sentence) == NULL) \
            fail_msg("'%s' is not in '%s'", sentence, err_.text); \
    } while (0)

static void index_sets(void **state)
{
    uint32_t gap[] = {5, UINT32_MAX}, span[] = {0, 0}, step[] = {UINT32_MAX};
    Muster__IndexSet set = MUSTER__INDEX_SET__INIT;
    Muster__JobSpec spec = MUSTER__JOB_SPEC__INIT;
    spec.concurrency_limit = 1;
    spec.tasks = &set;
    set.gap = gap;
    set.span = span;
    set.step = step;
    set.n_gap = set.n_span = 1;
    assert_int_equal(unpack_message_of(&spec.base, NULL), 0);
    set.n_span = 2;
    EXPECT_FAULT(spec, "gaps and 2 spans");
    set.n_gap = 2;
    EXPECT_FAULT(spec, "too large");
    gap[1] = 0;
    assert_int_equal(unpack_message_of(&spec.base, NULL), 0);
    set.n_step = 1;
    EXPECT_FAULT(spec, "too large");
    step[0] = 1;
    assert_int_equal(unpack_message_of(&spec.base, NULL), 0);
    uint32_t steps[] = {1, 1, 1};
    set.step = steps;
    set.n_step = 3;
    EXPECT_FAULT(spec, "column step has 3 numbers for 2 entries");
    set.n_step = 0;
    gap[0] = 0;
    span[0] = UINT32_MAX;
    set.n_gap = set.n_span = 1;
    EXPECT_FAULT(spec, "no set of indexes");
}

static void faults(void **state)
{
    Muster__JobSpec spec = MUSTER__JOB_SPEC__INIT;
    spec.concurrency_limit = 1;
    spec.priority = 1001;
    EXPECT_FAULT(spec, "priority");
    spec.priority = 0;
    spec.delivery = (Muster__Delivery)2;
    EXPECT_FAULT(spec, "policy");
    spec.delivery = (Muster__Delivery)-1;
    EXPECT_FAULT(spec, "policy");
    spec.delivery = MUSTER__DELIVERY__AT_MOST_ONCE;
    spec.kill_grace_usec = -1;
    EXPECT_FAULT(spec, "duration");
    spec.kill_grace_usec = 0;

    Muster__Trigger trigger = MUSTER__TRIGGER__INIT;
    Muster__Trigger *triggers[] = {&trigger};
    spec.triggers = triggers;
    spec.n_triggers = 1;
    trigger.kind = MUSTER__TRIGGER_KIND__TRIGGER_EVERY;
    EXPECT_FAULT(spec, "interval");
    trigger.kind = (Muster__TriggerKind)4;
    EXPECT_FAULT(spec, "kind of a trigger");
    trigger.kind = MUSTER__TRIGGER_KIND__TRIGGER_CRON;
    Muster__Cron cron = MUSTER__CRON__INIT;
    trigger.cron = &cron;
    cron.day_of_week = 256;
    EXPECT_FAULT(spec, "cron");
    cron.day_of_week = 0;
    cron.minute = UINT64_C(1) << 60;
    EXPECT_FAULT(spec, "cron");
    cron.minute = 0;
    cron.before_last = UINT32_C(1) << 31;
    EXPECT_FAULT(spec, "cron");
    cron.before_last = 0;
    uint32_t nth[6] = {0, 0, 256};
    cron.nth_weekday = nth;
    cron.n_nth_weekday = 6;
    EXPECT_FAULT(spec, "cron");
    spec.n_triggers = 0;

    Muster__Pair a = MUSTER__PAIR__INIT, b = MUSTER__PAIR__INIT;
    Muster__Pair *labels[] = {&a, &b};
    a.key = "b";
    b.key = "b";
    spec.labels = labels;
    spec.n_labels = 2;
    EXPECT_FAULT(spec, "sorted");
    b.key = "c";
    assert_int_equal(unpack_message_of(&spec.base, NULL), 0);
}

// Empty submessages are the dearest input per byte.
static void memory_is_bounded(void **state)
{
    struct arena arena = {0};
    struct err err = {0};
    const struct job_spec *read = NULL;
    size_t len = 4 << 20;
    uint8_t *data = calloc(1, len);
    for (size_t i = 0; i < len; i += 2)
        data[i] = 0x5a; // field 11, constraints; its length is 0
    assert_int_equal(spec_unpack((struct bytes){.data = data, .len = len}, &arena, &read, &err), ERR_PROTOCOL);
    assert_in_range(arena_bytes(&arena), len, len * 50);
    free(data);
    arena_release(&arena);
}

static void must_be_sorted(void **state)
{
    struct job_spec spec;
    struct buf buf = {0};
    job_spec_init(&spec);
    struct resource_need needs[] = {{"memory", 1}, {"cpu", 1}};
    spec.needs = needs;
    spec.n_needs = 2;
    assert_string_equal(spec_fault(&spec), "resource needs are not sorted by name");
    assert_aborts(spec_pack(&buf, &spec));
}

// A spec without anything, said by bytes of which nothing is known: packed anew it would be no bytes at all.
static void nothing_but_unknown_fields(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0xa8, 0x37, 0x2c};
    struct arena arena = {0};
    const struct job_spec *spec = NULL;
    struct err err = {0};
    assert_int_equal(spec_unpack((struct bytes){.data = bytes, .len = sizeof(bytes)}, &arena, &spec, &err), ERR_PROTOCOL);
    assert_non_null(strstr(err.text, "the limit of its concurrency is 0"));
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(defaults),
        cmocka_unit_test(hostile),
        cmocka_unit_test(index_sets),
        cmocka_unit_test(faults),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(must_be_sorted),
        cmocka_unit_test(nothing_but_unknown_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
