// SPDX-License-Identifier: Apache-2.0
// The proofs of the agent session.

#include "net/handshake.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"

enum { KEY_RANDOM_BYTES = 32 };

int handshake_key_read(const char *path, struct handshake_key *ret_key, struct err *err)
{
    must(path != NULL && ret_key != NULL);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, err_from_errno(errno), "open the agent key '%s'", path);
    struct stat info;
    if (fstat(fd, &info) < 0)
        return err_errno(err, ERR_IO, "look at the agent key '%s'", path);
    if (!S_ISREG(info.st_mode))
        return err_set(err, ERR_INVALID, "the agent key '%s' is not a file", path);
    if ((info.st_mode & 077) != 0)
        return err_set(err, ERR_DENIED, "the agent key '%s' may be read by others (mode %03o); run: chmod 600 '%s'", path,
                       (unsigned)info.st_mode & 0777, path);
    char text[HANDSHAKE_KEY_MAX + 2];
    ssize_t n = read(fd, text, sizeof(text));
    if (n < 0)
        return err_errno(err, ERR_IO, "read the agent key '%s'", path);
    size_t begin = 0, end = (size_t)n;
    while (begin < end && isspace((unsigned char)text[begin]))
        begin++;
    while (end > begin && isspace((unsigned char)text[end - 1]))
        end--;
    int rc = 0;
    if (end - begin < HANDSHAKE_KEY_MIN || end - begin > HANDSHAKE_KEY_MAX) {
        rc = err_set(err, ERR_INVALID, "the agent key in '%s' must have %d to %d bytes", path, HANDSHAKE_KEY_MIN, HANDSHAKE_KEY_MAX);
    } else {
        memcpy(ret_key->data, text + begin, end - begin);
        ret_key->len = end - begin;
    }
    OPENSSL_cleanse(text, sizeof(text));
    return rc;
}

int handshake_key_ensure(const char *path, struct handshake_key *ret_key, struct err *err)
{
    must(path != NULL && ret_key != NULL);
    if (access(path, F_OK) < 0 && errno == ENOENT) {
        uint8_t random[KEY_RANDOM_BYTES];
        char text[KEY_RANDOM_BYTES * 2 + 1];
        handshake_random(random, sizeof(random));
        for (size_t i = 0; i < sizeof(random); i++) {
            text[2 * i] = "0123456789abcdef"[random[i] >> 4];
            text[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
        }
        text[sizeof(text) - 1] = '\n';
        int rc = fs_write_atomic(path, text, sizeof(text), 0600, err);
        OPENSSL_cleanse(random, sizeof(random));
        OPENSSL_cleanse(text, sizeof(text));
        if (rc < 0)
            return err_wrap(err, rc, "make the agent key");
    }
    return handshake_key_read(path, ret_key, err);
}

void handshake_random(void *ret, size_t len)
{
    uint8_t *p = ret;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        must(n > 0 || (n < 0 && errno == EINTR));
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

static void proof_make(const struct handshake_key *key, const char *who, const uint8_t *nonce1, const uint8_t *nonce2, const char *node,
                       uint8_t ret_proof[static WIRE_PROOF_BYTES])
{
    must(key->len >= HANDSHAKE_KEY_MIN && key->len <= HANDSHAKE_KEY_MAX);
    // Both nonces have a fixed length and the name comes last, so no two inputs look alike.
    struct buf text = {0};
    buf_adds(&text, who);
    buf_add(&text, nonce1, WIRE_NONCE_BYTES);
    buf_add(&text, nonce2, WIRE_NONCE_BYTES);
    buf_adds(&text, node);
    unsigned len = 0;
    uint8_t digest[EVP_MAX_MD_SIZE];
    must(HMAC(EVP_sha256(), key->data, (int)key->len, (const uint8_t *)text.data, text.len, digest, &len) != NULL);
    must(len == WIRE_PROOF_BYTES);
    memcpy(ret_proof, digest, WIRE_PROOF_BYTES);
    buf_release(&text);
}

void handshake_agent_proof(const struct handshake_key *key, const uint8_t server_nonce[static WIRE_NONCE_BYTES],
                           const uint8_t agent_nonce[static WIRE_NONCE_BYTES], const char *node, uint8_t ret_proof[static WIRE_PROOF_BYTES])
{
    proof_make(key, "agent", server_nonce, agent_nonce, node, ret_proof);
}

void handshake_server_proof(const struct handshake_key *key, const uint8_t server_nonce[static WIRE_NONCE_BYTES],
                            const uint8_t agent_nonce[static WIRE_NONCE_BYTES], uint8_t ret_proof[static WIRE_PROOF_BYTES])
{
    proof_make(key, "server", agent_nonce, server_nonce, "", ret_proof);
}

bool handshake_proof_equal(struct bytes received, const uint8_t proof[static WIRE_PROOF_BYTES])
{
    return received.len == WIRE_PROOF_BYTES && CRYPTO_memcmp(received.data, proof, WIRE_PROOF_BYTES) == 0;
}
