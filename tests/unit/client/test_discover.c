// SPDX-License-Identifier: Apache-2.0
// How a command finds its server and token.

#include "client/discover.h"

#include <sys/stat.h>

#include "base/fs.h"
#include "tests/unit/test.h"

static char folder[] = "/tmp/muster-discover-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, NULL), 0);
}

static int setup(void **state)
{
    unsetenv("MUSTER_SERVER");
    unsetenv("MUSTER_TOKEN");
    unsetenv("MUSTER_TOKEN_FILE");
    unsetenv("MUSTER_DATA");
    memcpy(folder + sizeof(folder) - 7, "XXXXXX", 7);
    return mkdtemp(folder) == NULL;
}

static int teardown(void **state)
{
    return fs_remove_tree(folder, NULL);
}

static void expect_found(const struct discover_options *options, const char *url, const char *token)
{
    struct endpoint endpoint = {0};
    struct err err = {0};
    assert_int_equal(endpoint_discover(options, &endpoint, &err), 0);
    assert_string_equal(endpoint.url.data, url);
    assert_string_equal(endpoint.token.data, token);
    endpoint_release(&endpoint);
}

static void expect_error(const struct discover_options *options, int code, const char *part)
{
    struct endpoint endpoint = {0};
    struct err err = {0};
    assert_int_equal(endpoint_discover(options, &endpoint, &err), code);
    assert_non_null(strstr(err.text, part));
    assert_null(endpoint.url.data);
}

static void test_data_folder_tells(void **state)
{
    struct discover_options options = {.data = folder};
    expect_error(&options, ERR_UNAVAILABLE, "no server found: start one with `muster up`, or name one with --server");
    put("endpoint.json", "{\"api\":\"http://127.0.0.1:4711\",\"agents\":\"127.0.0.1:1\",\"pid\":1}");
    expect_error(&options, ERR_UNAUTHENTICATED, "no token file");
    put("api.token", "abc123\n");
    expect_found(&options, "http://127.0.0.1:4711", "abc123");
    options.data = NULL;
    setenv("MUSTER_DATA", folder, 1);
    expect_found(&options, "http://127.0.0.1:4711", "abc123");
    options.data = "";
    expect_error(&options, ERR_INVALID, "is empty");
    options.data = NULL;
    put("endpoint.json", "{\"api\":");
    expect_error(&options, ERR_INVALID, "damaged");
}

static void test_named_wins(void **state)
{
    char path[256];
    put("endpoint.json", "{\"api\":\"http://127.0.0.1:4711\"}");
    put("api.token", "of-folder");
    put("other.token", "of-file");
    snprintf(path, sizeof(path), "%s/other.token", folder);
    struct discover_options options = {.data = folder, .server = "127.0.0.1:99/", .token_file = path};
    expect_found(&options, "http://127.0.0.1:99", "of-file");
    setenv("MUSTER_TOKEN", "of-environment", 1);
    expect_found(&options, "http://127.0.0.1:99", "of-file");
    options.token_file = NULL;
    expect_found(&options, "http://127.0.0.1:99", "of-environment");
    unsetenv("MUSTER_TOKEN");
    setenv("MUSTER_TOKEN_FILE", path, 1);
    expect_found(&options, "http://127.0.0.1:99", "of-file");
    unsetenv("MUSTER_TOKEN_FILE");
    expect_found(&options, "http://127.0.0.1:99", "of-folder");
    setenv("MUSTER_SERVER", "https://localhost:5", 1);
    options.server = NULL;
    expect_found(&options, "http://127.0.0.1:4711", "of-folder"); // --data says more than the environment
    setenv("MUSTER_DATA", folder, 1);
    options.data = NULL;
    expect_found(&options, "https://localhost:5", "of-folder");
}

static void test_the_token_stays_on_this_machine(void **state)
{
    put("api.token", "secret");
    struct discover_options options = {.data = folder, .server = "http://elsewhere.example:7420"};
    expect_error(&options, ERR_UNAUTHENTICATED, "no token is known for http://elsewhere.example:7420");
    options.server = "http://127.0.0.1.elsewhere.example:7420";
    expect_error(&options, ERR_UNAUTHENTICATED, "no token is known");
    options.server = "http://localhost.elsewhere.example";
    expect_error(&options, ERR_UNAUTHENTICATED, "no token is known");
}

static void test_bad_values(void **state)
{
    put("api.token", "two words");
    struct discover_options options = {.data = folder, .server = "127.0.0.1:1"};
    expect_error(&options, ERR_INVALID, "does not hold a token");
    put("api.token", "\n");
    expect_error(&options, ERR_INVALID, "is empty");
    const char *const bad[] = {"", "http://", "ftp://x", "http://a/b", "http://user@host", "a b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        options.server = bad[i];
        expect_error(&options, ERR_INVALID, "is not the address of a server");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_data_folder_tells, setup, teardown),
        cmocka_unit_test_setup_teardown(test_named_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_token_stays_on_this_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_values, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
