// SPDX-License-Identifier: Apache-2.0
// Records of every kind there and back, and hostile bytes.
#include "codec/codec.h"
#include "codec/pb.h"
#include "proto/record.pb-c.h"
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

static struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){.data = (const uint8_t *)buf->data, .len = buf->len};
}

static void there_and_back(struct gen *g, enum record_kind kind)
{
    struct buf buf = {0}, again = {0};
    const struct record *record = gen_record(g, kind);
    struct record *read = NULL;
    struct err err = {0};
    record_pack(&buf, record);
    struct bytes bytes = buf_bytes(&buf);
    if (record_unpack(&bytes, g->arena, &read, &err) < 0)
        fail_msg("%s: %s", record_kind_name(kind), err.text);
    assert_int_equal(bytes.len, 0);
    check_record(record, read);
    record_pack(&again, read);
    check_bytes(buf_bytes(&buf), buf_bytes(&again));
    buf_release(&buf);
    buf_release(&again);
}

static void round_trip(void **state)
{
    for (int size = GEN_MINIMAL; size <= GEN_FULL; size++) {
        for (uint64_t seed = 0; seed < 300; seed++) {
            for (int kind = 1; kind < REC_KINDS; kind++) {
                struct arena arena = {0};
                struct gen g = {.arena = &arena, .size = (enum gen_size)size, .entries_max = seed % 5 == 0 ? 100 : 3};
                prng_init(&g.prng, seed * 100 + (uint64_t)kind);
                there_and_back(&g, (enum record_kind)kind);
                arena_release(&arena);
            }
        }
    }
}

static void batch(void **state)
{
    struct arena arena = {0};
    struct buf buf = {0};
    struct gen g = {.arena = &arena, .size = GEN_RANDOM, .entries_max = 10};
    struct record *records[REC_KINDS];
    prng_init(&g.prng, 7);
    for (int kind = 1; kind < REC_KINDS; kind++) {
        records[kind] = gen_record(&g, (enum record_kind)kind);
        record_pack(&buf, records[kind]);
    }
    struct bytes bytes = buf_bytes(&buf);
    for (int kind = 1; kind < REC_KINDS; kind++) {
        struct record *read = NULL;
        assert_int_equal(record_unpack(&bytes, &arena, &read, NULL), 0);
        check_record(records[kind], read);
    }
    assert_int_equal(bytes.len, 0);
    buf_release(&buf);
    arena_release(&arena);
}

static void try_bytes(const uint8_t *data, size_t len)
{
    struct arena arena = {0};
    struct record *read = NULL;
    struct err err = {0};
    struct bytes bytes = {.data = data, .len = len};
    int rc = record_unpack(&bytes, &arena, &read, &err);
    if (rc == 0) {
        struct buf buf = {0};
        record_pack(&buf, read);
        buf_release(&buf);
    } else {
        assert_true(rc == ERR_STORE_CORRUPT || rc == ERR_VERSION);
        assert_int_equal(err.code, rc);
        assert_null(read);
        assert_ptr_equal(bytes.data, data);
    }
    arena_release(&arena);
}

static void hostile(void **state)
{
    for (int kind = 1; kind < REC_KINDS; kind++) {
        for (int size = GEN_RANDOM; size <= GEN_FULL; size++) {
            struct arena arena = {0};
            struct buf buf = {0};
            struct gen g = {.arena = &arena, .size = (enum gen_size)size, .entries_max = 4};
            prng_init(&g.prng, (uint64_t)kind);
            record_pack(&buf, gen_record(&g, (enum record_kind)kind));
            for (size_t len = 0; len < buf.len; len++) {
                struct record *read = NULL;
                // A copy, so that a sanitizer sees what is read behind the end.
                struct bytes bytes = {.data = malloc(len + 1), .len = len};
                uint8_t *data = realloc((void *)bytes.data, len > 0 ? len : 1);
                memcpy(data, buf.data, len);
                bytes.data = data;
                assert_int_equal(record_unpack(&bytes, &arena, &read, NULL), ERR_STORE_CORRUPT);
                free(data);
            }
            for (size_t bit = 0; bit < buf.len * 8; bit++) {
                buf.data[bit / 8] ^= (char)(1u << (bit % 8));
                try_bytes((const uint8_t *)buf.data, buf.len);
                buf.data[bit / 8] ^= (char)(1u << (bit % 8));
            }
            buf_release(&buf);
            arena_release(&arena);
        }
    }
}

static int unpack_of(Muster__Record *message, struct err *err)
{
    struct arena arena = {0};
    struct buf buf = {0};
    struct record *read = NULL;
    pack_message_framed(&buf, &message->base);
    struct bytes bytes = buf_bytes(&buf);
    int rc = record_unpack(&bytes, &arena, &read, err);
    buf_release(&buf);
    arena_release(&arena);
    return rc;
}

#define EXPECT(code, message, sentence) \
    do { \
        struct err err_ = {0}; \
        assert_int_equal(unpack_of(&(message), &err_), code); \
        if (strstr(err_.text, sentence) == NULL) \
            fail_msg("'%s' is not in '%s'", sentence, err_.text); \
    } while (0)

static void columns(void **state)
{
    Muster__Record record = MUSTER__RECORD__INIT;
    Muster__TasksEnded ended = MUSTER__TASKS_ENDED__INIT;
    Muster__AttemptEnds ends = MUSTER__ATTEMPT_ENDS__INIT;
    int64_t fence[3] = {1, 1, 1};
    int32_t index[3] = {0};
    Muster__Outcome outcome[3] = {0};
    uint32_t message[3] = {1, 1, 1};
    record.body_case = MUSTER__RECORD__BODY_TASKS_ENDED;
    record.tasks_ended = &ended;
    EXPECT(ERR_STORE_CORRUPT, record, "no ends");
    ended.ends = &ends;
    ends.fence = fence;
    ended.index = index;
    ends.outcome = outcome;
    ends.message = message;
    assert_int_equal(unpack_of(&record, NULL), 0);
    ended.n_index = 1;
    EXPECT(ERR_STORE_CORRUPT, record, "column index has 1 numbers for 0 entries");
    ends.n_fence = 3;
    assert_int_equal(unpack_of(&record, NULL), 0);
    ended.n_index = 2;
    EXPECT(ERR_STORE_CORRUPT, record, "column index has 2 numbers for 3 entries");
    ended.n_index = 3;
    assert_int_equal(unpack_of(&record, NULL), 0);
    ends.n_outcome = 1;
    outcome[0] = (Muster__Outcome)OUTCOMES;
    EXPECT(ERR_STORE_CORRUPT, record, "column outcome has the unknown value");
    outcome[0] = (Muster__Outcome)-1;
    EXPECT(ERR_STORE_CORRUPT, record, "column outcome has the unknown value");
    ends.n_outcome = 0;
    ends.n_message = 3;
    EXPECT(ERR_STORE_CORRUPT, record, "text 1 is not there");
}

static void kinds(void **state)
{
    Muster__Record record = MUSTER__RECORD__INIT;
    record.seq = 1;
    EXPECT(ERR_STORE_CORRUPT, record, "no content");
    // A body of a later version, whose number is not in ours.
    uint8_t body[] = {0};
    ProtobufCMessageUnknownField later = {.tag = 99, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .len = 1, .data = body};
    record.base.n_unknown_fields = 1;
    record.base.unknown_fields = &later;
    EXPECT(ERR_VERSION, record, "kind 99 is not known");
    // Beside a body that is known, it is a new field and skipped.
    Muster__RunEligible eligible = MUSTER__RUN_ELIGIBLE__INIT;
    record.body_case = MUSTER__RECORD__BODY_RUN_ELIGIBLE;
    record.run_eligible = &eligible;
    assert_int_equal(unpack_of(&record, NULL), 0);
}

static void next_instants(void **state)
{
    Muster__Record record = MUSTER__RECORD__INIT;
    Muster__JobApplied applied = MUSTER__JOB_APPLIED__INIT;
    int64_t next[1] = {5};
    record.body_case = MUSTER__RECORD__BODY_JOB_APPLIED;
    record.job_applied = &applied;
    EXPECT(ERR_STORE_CORRUPT, record, "no job spec");
    uint8_t least[] = {0xb8, 0x01, 0x01};
    applied.spec = (ProtobufCBinaryData){.data = least, .len = sizeof(least)};
    assert_int_equal(unpack_of(&record, NULL), 0);
    applied.next_usec = next;
    applied.n_next_usec = 1;
    EXPECT(ERR_STORE_CORRUPT, record, "1 next instants for 0 triggers");
}

static void sizes(void **state)
{
    // A thousand first attempts that follow each other cost a byte each.
    uint32_t index[1000];
    struct buf buf = {0};
    for (uint32_t i = 0; i < 1000; i++)
        index[i] = 5000 + i;
    struct record record = {
        .kind = REC_TASKS_PLACED,
        .seq = 1,
        .tasks_placed = {.run_id = 1, .node_id = 1, .first_fence = 1000000, .n = 1000, .index = index},
    };
    record_pack(&buf, &record);
    assert_in_range(buf.len, 1000, 1040);
    buf_release(&buf);
}

static void names(void **state)
{
    for (int kind = 1; kind < REC_KINDS; kind++)
        assert_true(strlen(record_kind_name((enum record_kind)kind)) > 0);
    assert_string_equal(record_kind_name(REC_TASKS_ENDED), "tasks_ended");
    assert_string_equal(fire_outcome_name(FIRE_SKIPPED_LIMIT), "skipped_limit");
    assert_string_equal(cancel_cause_name(CANCEL_JOB_DELETED), "job_deleted");
    assert_aborts(record_kind_name(REC_KINDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(batch),
        cmocka_unit_test(hostile),
        cmocka_unit_test(columns),
        cmocka_unit_test(kinds),
        cmocka_unit_test(next_instants),
        cmocka_unit_test(sizes),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
