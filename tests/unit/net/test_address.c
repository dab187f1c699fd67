// SPDX-License-Identifier: Apache-2.0
// Addresses, and the refusal to listen beyond the loopback interface.

#include "net/address.h"

#include "tests/unit/test.h"

static void test_parse_and_format(void **state)
{
    static const struct {
        const char *text, *want;
        bool loopback;
    } good[] = {
        {"127.0.0.1:7440", "127.0.0.1:7440", true}, {"localhost:1", "127.0.0.1:1", true},
        {"[::1]:65535", "[::1]:65535", true},       {"127.9.9.9", "127.9.9.9:7000", true},
        {"[::1]", "[::1]:7000", true},              {"0.0.0.0:80", "0.0.0.0:80", false},
        {"10.1.2.3:80", "10.1.2.3:80", false},      {"[::]:80", "[::]:80", false},
    };
    char text[NET_ADDRESS_TEXT];
    struct net_address address;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(net_address_parse(good[i].text, 7000, &address, NULL), 0);
        assert_string_equal(net_address_format(text, &address), good[i].want);
        assert_int_equal(net_address_loopback(&address), good[i].loopback);
    }
    static const char *const bad[] = {"", ":", ":80", "1.2.3", "example.com:80", "1.2.3.4:65536", "1.2.3.4:x", "1.2.3.4:-1", "[::1", "[::1]x",
                                      "::1", "1.2.3.4:123456789012345"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        assert_int_equal(net_address_parse(bad[i], 7000, &address, &err), ERR_INVALID);
        assert_true(strlen(err.text) > 10);
    }
    assert_int_equal(net_address_parse("127.0.0.1", 0, &address, NULL), ERR_INVALID);
}

static void test_listens_on_loopback_only(void **state)
{
    static const char *const refused[] = {"0.0.0.0:0", "[::]:0", "10.0.0.1:0", "[::ffff:127.0.0.1]:0"};
    struct net_address address, bound;
    struct err err = {0};
    int fd = -1, second = -1;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_int_equal(net_address_parse(refused[i], 0, &address, NULL), 0);
        assert_int_equal(net_listen(&address, &fd, NULL, &err), ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, "loopback"));
        assert_int_equal(fd, -1);
    }
    assert_int_equal(net_address_parse("127.0.0.1:0", 0, &address, NULL), 0);
    assert_int_equal(net_listen(&address, &fd, &bound, &err), 0);
    assert_int_not_equal(net_address_port(&bound), 0);
    assert_int_equal(net_listen(&bound, &second, NULL, &err), ERR_EXISTS);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format),
        cmocka_unit_test(test_listens_on_loopback_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
