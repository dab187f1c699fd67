// SPDX-License-Identifier: Apache-2.0
// The reader and the writer of bytes.

#include "base/bytes.h"
#include "base/prng.h"

#include "tests/unit/test.h"

static void test_round_trip(void **state)
{
    struct buf buf = {0};
    struct writer writer;
    writer_init(&writer, &buf);
    writer_u8(&writer, 0xab);
    writer_u16(&writer, 0x1234);
    writer_u32(&writer, 0xdeadbeef);
    writer_u64(&writer, UINT64_C(0x0123456789abcdef));
    writer_varint(&writer, 300);
    writer_bytes(&writer, "xyz", 3);
    writer_blob(&writer, "blob", 4);
    writer_blob(&writer, NULL, 0);
    assert_memory_equal(buf.data, "\xab\x34\x12\xef\xbe\xad\xde", 7);
    writer_patch_u32(&writer, 3, 7);
    struct reader reader;
    reader_init(&reader, buf.data, buf.len);
    assert_int_equal(reader_u8(&reader), 0xab);
    assert_int_equal(reader_u16(&reader), 0x1234);
    assert_int_equal(reader_u32(&reader), 7);
    assert_int_equal(reader_u64(&reader), UINT64_C(0x0123456789abcdef));
    assert_int_equal(reader_varint(&reader), 300);
    char xyz[3];
    reader_copy(&reader, xyz, 3);
    assert_memory_equal(xyz, "xyz", 3);
    size_t len = 0;
    assert_memory_equal(reader_blob(&reader, &len), "blob", 4);
    assert_int_equal(len, 4);
    assert_false(reader_done(&reader));
    assert_int_equal(reader_left(&reader), 1);
    assert_non_null(reader_blob(&reader, &len));
    assert_int_equal(len, 0);
    assert_true(reader_done(&reader));
    assert_aborts(writer_patch_u32(&writer, buf.len - 3, 0));
    buf_release(&buf);
}

static void test_overrun_is_bad_for_good(void **state)
{
    struct reader reader;
    reader_init(&reader, "\x01\x02\x03", 3);
    assert_int_equal(reader_u32(&reader), 0);
    assert_true(reader.bad);
    assert_int_equal(reader_u8(&reader), 0);
    assert_int_equal(reader_left(&reader), 0);
    assert_null(reader_bytes(&reader, 0));
    assert_false(reader_done(&reader));
    char copy[2] = "xx";
    reader_copy(&reader, copy, 2);
    assert_memory_equal(copy, "\0\0", 2);

    size_t len = 9;
    reader_init(&reader, "\x7fzz", 3);
    assert_null(reader_blob(&reader, &len));
    assert_int_equal(len, 0);
    assert_true(reader.bad);

    reader_init(&reader, NULL, 0);
    assert_true(reader_done(&reader));
    assert_int_equal(reader_u8(&reader), 0);
    assert_true(reader.bad);

    reader_init(&reader, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
    assert_null(reader_blob(&reader, &len));
    assert_true(reader.bad);
}

static void test_varints(void **state)
{
    struct buf buf = {0};
    struct writer writer;
    writer_init(&writer, &buf);
    for (unsigned bit = 0; bit < 64; bit++) {
        for (uint64_t value = (UINT64_C(1) << bit) - 1, end = value + 3; value != end; value++) {
            buf_clear(&buf);
            writer_varint(&writer, value);
            struct reader reader;
            reader_init(&reader, buf.data, buf.len);
            assert_int_equal(reader_varint(&reader), value);
            assert_true(reader_done(&reader));
        }
    }
    buf_clear(&buf);
    writer_varint(&writer, UINT64_MAX);
    assert_int_equal(buf.len, 10);
    struct reader reader;
    reader_init(&reader, buf.data, buf.len);
    assert_int_equal(reader_varint(&reader), UINT64_MAX);
    buf_release(&buf);
}

static void test_bad_varints(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x80", 1},
        {"\x80\x00", 2},                                     // not the shortest form
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},    // 65 bits
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11}, // goes on after 64 bits
        {"", 0},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct reader reader;
        reader_init(&reader, bad[i].bytes, bad[i].len);
        assert_int_equal(reader_varint(&reader), 0);
        assert_true(reader.bad);
    }
    struct reader reader;
    reader_init(&reader, "\x00", 1);
    assert_int_equal(reader_varint(&reader), 0);
    assert_true(reader_done(&reader));
}

static void test_random_bytes_never_leave_the_bounds(void **state)
{
    struct prng prng;
    prng_init(&prng, 11);
    for (int round = 0; round < 20000; round++) {
        size_t len = (size_t)prng_below(&prng, 24);
        uint8_t *bytes = malloc(len + 1); // exactly as long as needed, for the sanitizers
        assert_non_null(bytes);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)prng_u64(&prng);
        struct reader reader;
        reader_init(&reader, bytes, len);
        while (!reader.bad && reader_left(&reader) > 0) {
            size_t blob_len = 0;
            switch (prng_below(&prng, 5)) {
            case 0: reader_u8(&reader); break;
            case 1: reader_u32(&reader); break;
            case 2: reader_u64(&reader); break;
            case 3: reader_varint(&reader); break;
            default: reader_blob(&reader, &blob_len);
            }
            assert_true(reader.p <= reader.end);
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_overrun_is_bad_for_good),
        cmocka_unit_test(test_varints),
        cmocka_unit_test(test_bad_varints),
        cmocka_unit_test(test_random_bytes_never_leave_the_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
