// SPDX-License-Identifier: Apache-2.0
// Snapshots there and back, and hostile bytes.
#include "base/bytes.h"
#include "base/hash.h"
#include "codec/codec.h"
#include "codec/pb.h"
#include "proto/snapshot.pb-c.h"
#include "tests/unit/codec/gen.h"
#include "tests/unit/test.h"

static struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){.data = (const uint8_t *)buf->data, .len = buf->len};
}

struct visits {
    struct snapshot_item **items;
    size_t n;
    struct buf *again;
    size_t stop_at; // 0: never
};

static int visit(void *context, const struct snapshot_item *item)
{
    struct visits *visits = context;
    if (visits->items != NULL)
        check_snapshot_item(visits->items[visits->n], item);
    if (visits->again != NULL)
        snapshot_item_pack(visits->again, item);
    visits->n++;
    return visits->n == visits->stop_at ? ERR_LIMIT : 0;
}

static void round_trip_of(struct gen *g, size_t n)
{
    struct buf buf = {0}, again = {0};
    struct snapshot_item **items = arena_array(g->arena, struct snapshot_item *, n);
    snapshot_begin(&buf);
    for (size_t i = 0; i < n; i++) {
        items[i] = gen_snapshot_item(g, (enum snapshot_kind)(1 + i % (SNAP_KINDS - 1)));
        snapshot_item_pack(&buf, items[i]);
    }
    snapshot_end(&buf);
    snapshot_begin(&again);
    struct visits visits = {.items = items, .again = &again};
    struct err err = {0};
    if (snapshot_unpack(buf_bytes(&buf), visit, &visits, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(visits.n, n);
    snapshot_end(&again);
    check_bytes(buf_bytes(&buf), buf_bytes(&again));
    buf_release(&buf);
    buf_release(&again);
}

static void round_trip(void **state)
{
    for (int size = GEN_MINIMAL; size <= GEN_FULL; size++) {
        for (uint64_t seed = 0; seed < 100; seed++) {
            struct arena arena = {0};
            struct gen g = {.arena = &arena, .size = (enum gen_size)size, .entries_max = 20};
            prng_init(&g.prng, seed);
            round_trip_of(&g, seed % 40);
            arena_release(&arena);
        }
    }
}

static void put_checksum(uint8_t *data, size_t len)
{
    uint64_t sum = hash_bytes(data, len - 8, 0);
    for (size_t i = 0; i < 8; i++)
        data[len - 8 + i] = (uint8_t)(sum >> (8 * i));
}

static void hostile(void **state)
{
    struct arena arena = {0};
    struct buf buf = {0};
    struct gen g = {.arena = &arena, .size = GEN_RANDOM, .entries_max = 4};
    prng_init(&g.prng, 5);
    snapshot_begin(&buf);
    for (int kind = 1; kind < SNAP_KINDS; kind++)
        snapshot_item_pack(&buf, gen_snapshot_item(&g, (enum snapshot_kind)kind));
    snapshot_end(&buf);
    uint8_t *data = (uint8_t *)buf.data;
    for (size_t len = 0; len < buf.len; len++) {
        struct visits visits = {0};
        assert_int_equal(snapshot_unpack((struct bytes){data, len}, visit, &visits, NULL), ERR_STORE_CORRUPT);
        assert_int_equal(visits.n, 0);
    }
    for (size_t bit = 0; bit < (buf.len - 8) * 8; bit++) {
        struct visits visits = {0};
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        int rc = snapshot_unpack(buf_bytes(&buf), visit, &visits, NULL);
        assert_true(rc == ERR_STORE_CORRUPT || (bit / 8 >= 8 && bit / 8 < 12 && rc == ERR_VERSION));
        assert_int_equal(visits.n, 0);
        // With a checksum that fits, what is wrong must be seen, or be a snapshot.
        struct buf again = {0};
        snapshot_begin(&again);
        visits.again = &again;
        put_checksum(data, buf.len);
        rc = snapshot_unpack(buf_bytes(&buf), visit, &visits, NULL);
        assert_true(rc == 0 || rc == ERR_STORE_CORRUPT || rc == ERR_VERSION);
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        put_checksum(data, buf.len);
        buf_release(&again);
    }
    buf_release(&buf);
    arena_release(&arena);
}

static void reader_stops(void **state)
{
    struct buf buf = {0};
    struct snapshot_item item = {.kind = SNAP_KEY, .key = {.key = "k", .run_id = 1}};
    snapshot_begin(&buf);
    for (int i = 0; i < 5; i++)
        snapshot_item_pack(&buf, &item);
    snapshot_end(&buf);
    struct visits visits = {.stop_at = 3};
    struct err err = {.text = "mine"};
    assert_int_equal(snapshot_unpack(buf_bytes(&buf), visit, &visits, &err), ERR_LIMIT);
    assert_int_equal(visits.n, 3);
    assert_string_equal(err.text, "mine");
    buf_release(&buf);
}

static void later_kinds(void **state)
{
    struct buf buf = {0};
    Muster__SnapshotItem item = MUSTER__SNAPSHOT_ITEM__INIT;
    uint8_t body[] = {0};
    ProtobufCMessageUnknownField later = {.tag = 50, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .len = 1, .data = body};
    item.base.n_unknown_fields = 1;
    item.base.unknown_fields = &later;
    snapshot_begin(&buf);
    pack_message_framed(&buf, &item.base);
    snapshot_end(&buf);
    struct visits visits = {0};
    struct err err = {0};
    assert_int_equal(snapshot_unpack(buf_bytes(&buf), visit, &visits, &err), ERR_VERSION);
    assert_string_equal(err.text, "snapshot: kind 50 is not known to this version");
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(hostile),
        cmocka_unit_test(reader_stops),
        cmocka_unit_test(later_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
