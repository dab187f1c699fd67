// SPDX-License-Identifier: Apache-2.0
// The proofs of the agent session, against values made by another program, and the key's file.

#include "net/handshake.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "tests/unit/test.h"

static struct handshake_key key_of(const char *text)
{
    struct handshake_key key = {.len = strlen(text)};
    memcpy(key.data, text, key.len);
    return key;
}

static void hex_of(const uint8_t *data, char ret[65])
{
    for (int i = 0; i < 32; i++)
        snprintf(ret + 2 * i, 3, "%02x", data[i]);
}

static void test_proofs_are_hmac_sha256(void **state)
{
    struct handshake_key key = key_of("0123456789abcdef0123456789abcdef");
    uint8_t server_nonce[32], agent_nonce[32], proof[32];
    char hex[65];
    memset(server_nonce, 1, 32);
    memset(agent_nonce, 2, 32);
    // python3: hmac.new(key, b"agent" + b"\1"*32 + b"\2"*32 + b"node-1", "sha256")
    handshake_agent_proof(&key, server_nonce, agent_nonce, "node-1", proof);
    hex_of(proof, hex);
    assert_string_equal(hex, "6f25aedad2e73f812c245a41cb7aae78f9277e0ce88bdc8edfc392bef3fcdb24");
    // python3: hmac.new(key, b"server" + b"\2"*32 + b"\1"*32, "sha256")
    handshake_server_proof(&key, server_nonce, agent_nonce, proof);
    hex_of(proof, hex);
    assert_string_equal(hex, "e9bd2588b4020352e36b6a489c74b1e06b62376b9be5b2224269436f025802bf");
}

static void test_every_input_matters(void **state)
{
    struct handshake_key key = key_of("0123456789abcdef0123456789abcdef"), other = key_of("0123456789abcdef0123456789abcdeF");
    uint8_t a[32], b[32], proof[32], again[32];
    memset(a, 1, 32);
    memset(b, 2, 32);
    handshake_agent_proof(&key, a, b, "n", proof);
    struct bytes received = {.data = proof, .len = sizeof(proof)};
    handshake_agent_proof(&key, a, b, "n", again);
    assert_true(handshake_proof_equal(received, again));
    handshake_agent_proof(&other, a, b, "n", again);
    assert_false(handshake_proof_equal(received, again));
    handshake_agent_proof(&key, b, a, "n", again);
    assert_false(handshake_proof_equal(received, again));
    handshake_agent_proof(&key, a, b, "m", again);
    assert_false(handshake_proof_equal(received, again));
    handshake_server_proof(&key, a, b, again);
    assert_false(handshake_proof_equal(received, again));
    received.len = 31;
    handshake_agent_proof(&key, a, b, "n", again);
    assert_false(handshake_proof_equal(received, again));
    assert_false(handshake_proof_equal((struct bytes){0}, again));
}

static void test_nonces_differ(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0}, zero[32] = {0};
    handshake_random(a, sizeof(a));
    handshake_random(b, sizeof(b));
    assert_memory_not_equal(a, b, 32);
    assert_memory_not_equal(a, zero, 32);
}

static void test_key_file(void **state)
{
    char folder[] = "/tmp/muster-key-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/key", folder);
    struct handshake_key key = {0}, again = {0};
    struct err err = {0};
    assert_int_equal(handshake_key_read(path, &key, &err), ERR_NOT_FOUND);
    assert_int_equal(handshake_key_ensure(path, &key, &err), 0);
    assert_int_equal(key.len, 64);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(handshake_key_ensure(path, &again, &err), 0);
    assert_memory_equal(key.data, again.data, 64);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(handshake_key_read(path, &key, &err), ERR_DENIED);
    assert_non_null(strstr(err.text, "chmod 600"));
    assert_int_equal(fs_write_atomic(path, " short \n", 8, 0600, NULL), 0);
    assert_int_equal(handshake_key_read(path, &key, &err), ERR_INVALID);
    assert_int_equal(fs_write_atomic(path, "\n 0123456789abcdef0123456789abcdef\t\n", 36, 0600, NULL), 0);
    assert_int_equal(handshake_key_read(path, &key, &err), 0);
    assert_int_equal(key.len, 32);
    char large[HANDSHAKE_KEY_MAX + 1];
    memset(large, 'x', sizeof(large));
    assert_int_equal(fs_write_atomic(path, large, sizeof(large), 0600, NULL), 0);
    assert_int_equal(handshake_key_read(path, &key, &err), ERR_INVALID);
    assert_int_equal(handshake_key_read(folder, &key, &err), ERR_INVALID);
    assert_int_equal(fs_remove_tree(folder, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proofs_are_hmac_sha256),
        cmocka_unit_test(test_every_input_matters),
        cmocka_unit_test(test_nonces_differ),
        cmocka_unit_test(test_key_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
