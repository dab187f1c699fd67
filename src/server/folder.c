// SPDX-License-Identifier: Apache-2.0
// The data folder. See server/folder.h.
#include "server/folder.h"

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"

// Whether a folder is empty or holds what a server keeps: only then its mode is ours to change.
static bool is_ours(const char *path)
{
    cleanup_dir DIR *dir = opendir(path);
    bool empty = dir != NULL;
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, "api.token") == 0 || strcmp(entry->d_name, "muster.db") == 0)
            return true;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = false;
    }
    return empty;
}

// Root's agent runs tasks as other accounts, whose folders and scripts are below this one: they may pass through, and see nothing.
static mode_t folder_mode(void)
{
    return geteuid() == 0 ? 0711 : 0700;
}

int folder_open(const char *path, struct err *err)
{
    struct stat st;
    bool fresh = stat(path, &st) < 0;
    int code = fs_mkdirs(path, folder_mode(), err);
    if (code < 0)
        return err_wrap(err, code, "make the data folder");
    if (fresh)
        (void)chmod(path, folder_mode()); // whatever the umask
    if (stat(path, &st) < 0)
        return err_errno(err, ERR_IO, "look at the data folder '%s'", path);
    if ((st.st_mode & 0077 & ~folder_mode()) == 0)
        return 0;
    if (st.st_uid != geteuid())
        return err_set(err, ERR_DENIED, "the data folder '%s' belongs to another account and others may look into it", path);
    if (!is_ours(path))
        return err_set(err, ERR_DENIED, "others may look into '%s' and it holds other things; choose a folder of its own for the server", path);
    if (chmod(path, folder_mode()) < 0)
        return err_errno(err, ERR_DENIED, "close the data folder '%s' to others", path);
    return 0;
}

static int token_make(const char *file, struct err *err)
{
    unsigned char random[32];
    if (RAND_bytes(random, sizeof(random)) != 1)
        return err_set(err, ERR_INTERNAL, "no random numbers for a token");
    char text[TOKEN_TEXT + 1];
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    text[64] = '\n';
    int code = fs_write_atomic(file, text, 65, 0600, err);
    explicit_bzero(random, sizeof(random));
    explicit_bzero(text, sizeof(text));
    return code;
}

int folder_token(const char *path, const char *name, char ret_token[TOKEN_TEXT], struct err *err)
{
    cleanup_buf struct buf file = {0};
    cleanup_buf struct buf text = {0};
    buf_printf(&file, "%s/%s", path, name);
    struct stat st;
    if (stat(file.data, &st) < 0) {
        int code = token_make(file.data, err);
        if (code < 0)
            return err_wrap(err, code, "make the token '%s'", file.data);
        if (stat(file.data, &st) < 0)
            return err_errno(err, ERR_IO, "look at '%s'", file.data);
    }
    if ((st.st_mode & 0077) != 0)
        return err_set(err, ERR_DENIED, "others than its owner may use '%s'; make it mode 0600, or remove it to get a new token", file.data);
    int code = fs_read(file.data, 4096, &text, err);
    if (code < 0)
        return err_wrap(err, code, "read the token");
    while (text.len > 0 && isspace((unsigned char)text.data[text.len - 1]))
        buf_truncate(&text, text.len - 1);
    bool good = text.len == TOKEN_TEXT - 1;
    for (size_t i = 0; i < text.len; i++)
        good = good && isxdigit((unsigned char)text.data[i]);
    if (!good)
        return err_set(err, ERR_INVALID, "'%s' does not hold 64 hex digits; remove it to get a new token", file.data);
    memcpy(ret_token, text.data, TOKEN_TEXT);
    explicit_bzero(text.data, text.len);
    return 0;
}

int folder_endpoint_write(const char *path, const char *api, const char *agents, pid_t pid, struct err *err)
{
    cleanup_buf struct buf file = {0};
    cleanup_buf struct buf url = {0};
    cleanup_buf struct buf token_file = {0};
    buf_printf(&file, "%s/endpoint.json", path);
    buf_printf(&url, "http://%s", api);
    buf_printf(&token_file, "%s/api.token", path);
    json_t *json = json_pack("{s:s, s:s, s:i, s:s}", "api", url.data, "agents", agents, "pid", (int)pid, "token_file", token_file.data);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL)
        return err_set(err, ERR_INVALID, "the path of the data folder is not UTF-8");
    int code = fs_write_atomic(file.data, text, strlen(text), 0600, err);
    free(text);
    return code;
}

void folder_endpoint_remove(const char *path)
{
    cleanup_buf struct buf file = {0};
    buf_printf(&file, "%s/endpoint.json", path);
    unlink(file.data);
}
