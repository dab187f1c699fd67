// SPDX-License-Identifier: Apache-2.0
// Messages of every kind there and back, and hostile bytes.
#include "codec/codec.h"
#include "codec/pb.h"
#include "proto/wire.pb-c.h"
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

static struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){.data = (const uint8_t *)buf->data, .len = buf->len};
}

static void there_and_back(struct gen *g, enum wire_kind kind)
{
    struct buf buf = {0}, again = {0};
    const struct wire_message *message = gen_wire(g, kind);
    const struct wire_message *read = NULL;
    struct err err = {0};
    wire_pack(&buf, message);
    if (wire_unpack(buf_bytes(&buf), g->arena, &read, &err) < 0)
        fail_msg("kind %d: %s", (int)kind, err.text);
    check_wire(message, read);
    wire_pack(&again, read);
    // Where a spec was found again only by its content, packing what was read finds it sooner.
    if (kind != WIRE_START)
        check_bytes(buf_bytes(&buf), buf_bytes(&again));
    else
        assert_true(again.len <= buf.len);
    buf_release(&buf);
    buf_release(&again);
}

static void round_trip(void **state)
{
    for (int size = GEN_MINIMAL; size <= GEN_FULL; size++) {
        for (uint64_t seed = 0; seed < 300; seed++) {
            for (int kind = 1; kind < WIRE_KINDS; kind++) {
                struct arena arena = {0};
                struct gen g = {.arena = &arena, .size = (enum gen_size)size, .entries_max = seed % 5 == 0 ? 100 : 3};
                prng_init(&g.prng, seed * 100 + (uint64_t)kind);
                there_and_back(&g, (enum wire_kind)kind);
                arena_release(&arena);
            }
        }
    }
}

static void try_bytes(const uint8_t *data, size_t len)
{
    struct arena arena = {0};
    const struct wire_message *read = NULL;
    struct err err = {0};
    int rc = wire_unpack((struct bytes){.data = data, .len = len}, &arena, &read, &err);
    if (rc == 0) {
        struct buf buf = {0};
        wire_pack(&buf, read);
        buf_release(&buf);
    } else {
        assert_true(rc == ERR_PROTOCOL || rc == ERR_VERSION);
        assert_int_equal(err.code, rc);
        assert_null(read);
    }
    arena_release(&arena);
}

static void hostile(void **state)
{
    for (int kind = 1; kind < WIRE_KINDS; kind++) {
        for (int size = GEN_RANDOM; size <= GEN_FULL; size++) {
            struct arena arena = {0};
            struct buf buf = {0};
            struct gen g = {.arena = &arena, .size = (enum gen_size)size, .entries_max = 4};
            prng_init(&g.prng, (uint64_t)kind);
            wire_pack(&buf, gen_wire(&g, (enum wire_kind)kind));
            for (size_t len = 0; len < buf.len; len++) {
                uint8_t *data = malloc(len > 0 ? len : 1);
                memcpy(data, buf.data, len);
                try_bytes(data, len);
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

static int unpack_of(Muster__WireMessage *message, struct err *err)
{
    struct arena arena = {0};
    struct buf buf = {0};
    const struct wire_message *read = NULL;
    pack_message(&buf, &message->base);
    int rc = wire_unpack(buf_bytes(&buf), &arena, &read, err);
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

static void lengths(void **state)
{
    Muster__WireMessage message = MUSTER__WIRE_MESSAGE__INIT;
    Muster__Hello hello = MUSTER__HELLO__INIT;
    Muster__NodeInfo info = MUSTER__NODE_INFO__INIT;
    uint8_t nonce[WIRE_NONCE_BYTES] = {0};
    message.body_case = MUSTER__WIRE_MESSAGE__BODY_HELLO;
    message.hello = &hello;
    hello.nonce = (ProtobufCBinaryData){.data = nonce, .len = sizeof(nonce) - 1};
    hello.proof = (ProtobufCBinaryData){.data = nonce, .len = sizeof(nonce)};
    EXPECT(ERR_PROTOCOL, message, "nonce has 31 bytes, not 32");
    hello.nonce.len++;
    EXPECT(ERR_PROTOCOL, message, "does not name the node");
    hello.info = &info;
    EXPECT(ERR_PROTOCOL, message, "does not name the node");
    info.name = (char *)"n1";
    assert_int_equal(unpack_of(&message, NULL), 0);
    char *names[] = {(char *)"memory", (char *)"cpu"};
    uint64_t amounts[] = {1, 2};
    info.capacity_name = names;
    info.n_capacity_name = 2;
    EXPECT(ERR_PROTOCOL, message, "2 names and 0 amounts");
    info.capacity_amount = amounts;
    info.n_capacity_amount = 2;
    EXPECT(ERR_PROTOCOL, message, "not sorted");
}

static void start_specs(void **state)
{
    Muster__WireMessage message = MUSTER__WIRE_MESSAGE__INIT;
    Muster__Start start = MUSTER__START__INIT;
    int64_t fence[] = {1, 1};
    message.body_case = MUSTER__WIRE_MESSAGE__BODY_START;
    message.start = &start;
    assert_int_equal(unpack_of(&message, NULL), 0);
    start.fence = fence;
    start.n_fence = 2;
    EXPECT(ERR_PROTOCOL, message, "spec 0 is not there");
    uint8_t spec[] = {1};
    ProtobufCBinaryData specs[] = {{.data = spec, .len = 1}};
    start.specs = specs;
    start.n_specs = 1;
    assert_int_equal(unpack_of(&message, NULL), 0);
    uint32_t number[] = {0, 1};
    start.spec = number;
    start.n_spec = 2;
    EXPECT(ERR_PROTOCOL, message, "spec 1 is not there");
}

// A thousand tasks of one run share their spec, also in memory after unpacking.
static void start_is_small(void **state)
{
    static struct start_order order[1000];
    struct arena arena = {0};
    struct buf buf = {0};
    uint8_t spec[500];
    memset(spec, 7, sizeof(spec));
    for (uint32_t i = 0; i < 1000; i++)
        order[i] = (struct start_order){
            .fence = 1000000 + i,
            .run_id = 12345,
            .index = i,
            .attempt = 1,
            .position = i,
            .n_tasks = 1000,
            .spec = {.data = spec, .len = sizeof(spec)},
        };
    struct wire_message message = {.kind = WIRE_START, .epoch = 3, .start = {.n = 1000, .order = order}};
    wire_pack(&buf, &message);
    assert_in_range(buf.len, 3000 + sizeof(spec), 3100 + sizeof(spec));
    const struct wire_message *read = NULL;
    assert_int_equal(wire_unpack(buf_bytes(&buf), &arena, &read, NULL), 0);
    check_wire(&message, read);
    assert_ptr_equal(read->start.order[0].spec.data, read->start.order[999].spec.data);
    buf_release(&buf);
    arena_release(&arena);
}

static void refusals(void **state)
{
    Muster__WireMessage message = MUSTER__WIRE_MESSAGE__INIT;
    EXPECT(ERR_PROTOCOL, message, "no content");
    Muster__Refuse refuse = MUSTER__REFUSE__INIT;
    message.body_case = MUSTER__WIRE_MESSAGE__BODY_REFUSE;
    message.refuse = &refuse;
    EXPECT(ERR_PROTOCOL, message, "with the code 0");
    // A longer sentence than we have room for is cut between characters.
    char text[300] = {0};
    refuse.code = ERR_DENIED;
    refuse.text = text;
    memset(text, 'a', 238);
    memcpy(text + 238, "\xc3\xa4\xc3\xa4", 4);
    struct arena arena = {0};
    struct buf buf = {0};
    const struct wire_message *read = NULL;
    pack_message(&buf, &message.base);
    assert_int_equal(wire_unpack(buf_bytes(&buf), &arena, &read, NULL), 0);
    assert_int_equal(read->refuse.code, ERR_DENIED);
    assert_int_equal(strlen(read->refuse.text), 238);
    buf_release(&buf);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(hostile),
        cmocka_unit_test(lengths),
        cmocka_unit_test(start_specs),
        cmocka_unit_test(start_is_small),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
