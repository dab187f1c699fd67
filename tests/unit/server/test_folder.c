// SPDX-License-Identifier: Apache-2.0
// The data folder: modes, tokens that are made once, tokens that must not be used.
#include "tests/unit/test.h"

#include <sys/stat.h>

#include "base/buf.h"
#include "base/fs.h"
#include "server/folder.h"

struct world {
    char root[64];
    char data[96];
    char file[128];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    snprintf(w->root, sizeof(w->root), "/tmp/muster-folder-XXXXXX");
    assert_non_null(mkdtemp(w->root));
    snprintf(w->data, sizeof(w->data), "%s/a/b", w->root);
    snprintf(w->file, sizeof(w->file), "%s/api.token", w->data);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    assert_int_equal(fs_remove_tree(w->root, NULL), 0);
    free(w);
    return 0;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void test_token_is_made_once(void **state)
{
    struct world *w = *state;
    char first[TOKEN_TEXT];
    char second[TOKEN_TEXT];
    char other[TOKEN_TEXT];
    assert_int_equal(folder_open(w->data, NULL), 0);
    assert_int_equal(mode_of(w->data), geteuid() == 0 ? 0711 : 0700);
    assert_int_equal(folder_token(w->data, "api.token", first, NULL), 0);
    assert_int_equal(mode_of(w->file), 0600);
    assert_int_equal(strlen(first), 64);
    assert_int_equal(strspn(first, "0123456789abcdef"), 64);
    assert_int_equal(folder_token(w->data, "api.token", second, NULL), 0);
    assert_string_equal(first, second);
    assert_int_equal(folder_token(w->data, "other.token", other, NULL), 0);
    assert_string_not_equal(first, other);
}

static void test_folder_is_closed_to_others(void **state)
{
    struct world *w = *state;
    assert_int_equal(folder_open(w->data, NULL), 0);
    assert_int_equal(chmod(w->data, 0755), 0);
    assert_int_equal(folder_open(w->data, NULL), 0);
    assert_int_equal(mode_of(w->data), geteuid() == 0 ? 0711 : 0700);
}

static void test_somebody_elses_folder_is_left_alone(void **state)
{
    struct world *w = *state;
    char path[128];
    struct err err = {0};
    assert_int_equal(folder_open(w->data, NULL), 0);
    snprintf(path, sizeof(path), "%s/letter.txt", w->data);
    assert_int_equal(fs_write_atomic(path, "x", 1, 0644, NULL), 0);
    assert_int_equal(chmod(w->data, 0755), 0);
    assert_int_equal(folder_open(w->data, &err), ERR_DENIED);
    assert_non_null(strstr(err.text, w->data));
    assert_int_equal(mode_of(w->data), 0755);
    assert_int_equal(chmod(w->data, 0733), 0);
    assert_int_equal(folder_open(w->data, &err), ERR_DENIED);
    // Closed to others, it may hold whatever it wants.
    assert_int_equal(chmod(w->data, 0700), 0);
    assert_int_equal(folder_open(w->data, NULL), 0);
    // What a server has used is closed again.
    assert_int_equal(folder_token(w->data, "api.token", (char[TOKEN_TEXT]){0}, NULL), 0);
    assert_int_equal(chmod(w->data, 0755), 0);
    assert_int_equal(folder_open(w->data, NULL), 0);
    assert_int_equal(mode_of(w->data), geteuid() == 0 ? 0711 : 0700);
}

static void test_bad_tokens_are_refused(void **state)
{
    struct world *w = *state;
    char token[TOKEN_TEXT] = "unchanged";
    struct err err = {0};
    assert_int_equal(folder_open(w->data, NULL), 0);
    assert_int_equal(folder_token(w->data, "api.token", (char[TOKEN_TEXT]){0}, NULL), 0);
    assert_int_equal(chmod(w->file, 0640), 0);
    assert_int_equal(folder_token(w->data, "api.token", token, &err), ERR_DENIED);
    assert_non_null(strstr(err.text, w->file));
    static const char *const bad[] = {"", "abc\n", "zz23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                                      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(fs_write_atomic(w->file, bad[i], strlen(bad[i]), 0600, NULL), 0);
        assert_int_equal(folder_token(w->data, "api.token", token, &err), ERR_INVALID);
    }
    assert_string_equal(token, "unchanged");
}

static void test_endpoint(void **state)
{
    struct world *w = *state;
    struct buf text = {0};
    char path[128];
    char want[512];
    assert_int_equal(folder_open(w->data, NULL), 0);
    assert_int_equal(folder_endpoint_write(w->data, "127.0.0.1:7420", "127.0.0.1:7421", 42, NULL), 0);
    snprintf(path, sizeof(path), "%s/endpoint.json", w->data);
    snprintf(want, sizeof(want), "{\"api\":\"http://127.0.0.1:7420\",\"agents\":\"127.0.0.1:7421\",\"pid\":42,\"token_file\":\"%s\"}", w->file);
    assert_int_equal(fs_read(path, 4096, &text, NULL), 0);
    assert_string_equal(text.data, want);
    assert_int_equal(mode_of(path), 0600);
    folder_endpoint_remove(w->data);
    assert_int_equal(access(path, F_OK), -1);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_token_is_made_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folder_is_closed_to_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_somebody_elses_folder_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_tokens_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_endpoint, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
