// SPDX-License-Identifier: Apache-2.0
// Finding the server and its token.

#include "client/discover.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define ENDPOINT_BYTES_MAX 65536
#define TOKEN_BYTES_MAX 4096

static const char *env_text(const char *name)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

int data_folder(const char *named, struct buf *ret, struct err *err)
{
    if (named == NULL)
        named = env_text("MUSTER_DATA");
    else if (named[0] == '\0')
        return err_set(err, ERR_INVALID, "the name of the data folder is empty");
    if (named != NULL) {
        buf_adds(ret, named);
        return 0;
    }
    if (geteuid() == 0) {
        buf_adds(ret, "/var/lib/muster");
        return 0;
    }
    const char *share = env_text("XDG_DATA_HOME");
    if (share != NULL) {
        buf_printf(ret, "%s/muster", share);
        return 0;
    }
    const char *home = env_text("HOME");
    if (home == NULL) {
        const struct passwd *account = getpwuid(geteuid());
        home = account != NULL ? account->pw_dir : NULL;
    }
    if (home == NULL)
        return err_set(err, ERR_NOT_FOUND, "this account has no home folder; name a data folder with --data or $MUSTER_DATA");
    buf_printf(ret, "%s/.local/share/muster", home);
    return 0;
}

// "host:port" and "http://host:port/" become "http://host:port".
static int url_normalise(const char *text, struct buf *ret, struct err *err)
{
    const char *rest = text;
    const char *scheme = "http://";
    if (str_starts(text, "http://") || str_starts(text, "https://")) {
        scheme = "";
        rest = strstr(text, "//") + 2;
    }
    size_t len = strlen(rest);
    while (len > 0 && rest[len - 1] == '/')
        len--;
    bool bad = len == 0 || strstr(rest, "://") != NULL;
    for (size_t i = 0; i < len; i++)
        bad |= rest[i] == '/' || rest[i] == '@' || isspace((unsigned char)rest[i]) || iscntrl((unsigned char)rest[i]);
    if (bad)
        return err_set(err, ERR_INVALID, "'%.100s' is not the address of a server; write it as http://127.0.0.1:7420", text);
    buf_adds(ret, scheme);
    buf_add(ret, text, (size_t)(rest - text) + len);
    return 0;
}

static int token_read(const char *path, struct buf *ret, struct err *err)
{
    cleanup_buf struct buf text = {0};
    int rc = fs_read(path, TOKEN_BYTES_MAX, &text, err);
    if (rc == ERR_NOT_FOUND)
        return err_set(err, ERR_UNAUTHENTICATED, "there is no token file at '%.120s'; name one with --token-file or $MUSTER_TOKEN_FILE",
                       path);
    if (rc == ERR_DENIED)
        return err_set(err, ERR_DENIED, "this account may not read the token file '%.120s'; use the account that runs the server", path);
    if (rc < 0)
        return rc;
    while (text.len > 0 && isspace((unsigned char)text.data[text.len - 1]))
        buf_truncate(&text, text.len - 1);
    for (size_t i = 0; i < text.len; i++)
        if (!isgraph((unsigned char)text.data[i]))
            return err_set(err, ERR_INVALID, "the file '%.120s' does not hold a token", path);
    if (text.len == 0)
        return err_set(err, ERR_INVALID, "the token file '%.120s' is empty", path);
    buf_add(ret, text.data, text.len);
    return 0;
}

static int endpoint_parse(const char *path, const struct buf *text, struct buf *ret_url, struct buf *ret_token_file, struct err *err)
{
    json_t *root = json_loadb(text->data, text->len, 0, NULL);
    const char *url = json_string_value(json_object_get(root, "api"));
    const char *token_file = json_string_value(json_object_get(root, "token_file"));
    int rc = 0;
    if (url == NULL)
        rc = err_set(err, ERR_INVALID, "the file '%.120s' is damaged; start the server again to have it written anew", path);
    else
        rc = url_normalise(url, ret_url, err);
    if (rc == 0 && token_file != NULL)
        buf_adds(ret_token_file, token_file);
    json_decref(root);
    return rc;
}

// From the data folder: where the server listens, and which file holds the token for it.
static int endpoint_from_folder(const char *folder, struct buf *ret_url, struct buf *ret_token_file, struct err *err)
{
    cleanup_buf struct buf path = {0};
    cleanup_buf struct buf text = {0};
    buf_printf(&path, "%s/endpoint.json", folder);
    int rc = fs_read(path.data, ENDPOINT_BYTES_MAX, &text, err);
    if (rc == ERR_NOT_FOUND)
        return err_set(err, ERR_UNAVAILABLE,
                       "no server found: start one with `muster up`, or name one with --server (looked for %.80s)", path.data);
    if (rc < 0)
        return err_wrap(err, rc, "look for a server");
    return endpoint_parse(path.data, &text, ret_url, ret_token_file, err);
}

int agents_endpoint(const char *folder, struct buf *ret, struct err *err)
{
    cleanup_buf struct buf path = {0};
    cleanup_buf struct buf text = {0};
    buf_printf(&path, "%s/endpoint.json", folder);
    int rc = fs_read(path.data, ENDPOINT_BYTES_MAX, &text, err);
    if (rc == ERR_NOT_FOUND)
        return err_set(err, ERR_UNAVAILABLE, "no server found in %.100s: start one with `muster server`, or name one with --connect", folder);
    if (rc < 0)
        return err_wrap(err, rc, "look for a server");
    json_t *root = json_loadb(text.data, text.len, 0, NULL);
    const char *agents = json_string_value(json_object_get(root, "agents"));
    if (agents != NULL)
        buf_adds(ret, agents);
    else
        rc = err_set(err, ERR_INVALID, "the file '%.120s' is damaged; start the server again to have it written anew", path.data);
    json_decref(root);
    return rc;
}

// Whether the host of a URL is a loopback address of this machine: digits of 127.0.0.0/8, [::1] or localhost.
static bool url_is_here(const char *url)
{
    const char *host = strstr(url, "//") + 2;
    size_t len = strcspn(host, ":");
    if (str_starts(host, "[::1]"))
        return host[5] == '\0' || host[5] == ':';
    if (len == strlen("localhost") && str_starts(host, "localhost"))
        return true;
    return str_starts(host, "127.") && strspn(host, "0123456789.") == len;
}

static int discover_token(const struct discover_options *options, const char *folder, const struct buf *from_folder, struct buf *ret,
                          struct err *err)
{
    const char *path = options->token_file;
    if (path == NULL) {
        const char *token = env_text("MUSTER_TOKEN");
        if (token != NULL) {
            buf_adds(ret, token);
            return 0;
        }
        path = env_text("MUSTER_TOKEN_FILE");
    }
    if (path != NULL)
        return token_read(path, ret, err);
    if (from_folder->len > 0 && token_read(from_folder->data, ret, NULL) == 0)
        return 0;
    cleanup_buf struct buf in_folder = {0};
    buf_printf(&in_folder, "%s/api.token", folder);
    return token_read(in_folder.data, ret, err);
}

int endpoint_discover(const struct discover_options *options, struct endpoint *ret, struct err *err)
{
    must(options != NULL && ret != NULL);
    cleanup_buf struct buf folder = {0};
    cleanup_buf struct buf url = {0};
    cleanup_buf struct buf token = {0};
    cleanup_buf struct buf token_file = {0};
    int rc = data_folder(options->data, &folder, err);
    if (rc < 0)
        return rc;
    // A data folder named on the command line says more than an address in the environment.
    const char *server = options->server != NULL ? options->server : options->data == NULL ? env_text("MUSTER_SERVER") : NULL;
    rc = server != NULL ? url_normalise(server, &url, err) : endpoint_from_folder(folder.data, &url, &token_file, err);
    if (rc < 0)
        return rc;
    // The token of this machine's server is never sent to another machine.
    bool named = options->token_file != NULL || env_text("MUSTER_TOKEN") != NULL || env_text("MUSTER_TOKEN_FILE") != NULL;
    if (!named && server != NULL && !url_is_here(url.data))
        return err_set(err, ERR_UNAUTHENTICATED, "no token is known for %.80s; name its file with --token-file or $MUSTER_TOKEN_FILE",
                       url.data);
    rc = discover_token(options, folder.data, &token_file, &token, err);
    if (rc < 0)
        return rc;
    *ret = (struct endpoint){.url = url, .token = token};
    url = (struct buf){0};
    token = (struct buf){0};
    return 0;
}

void endpoint_release(struct endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    buf_release(&endpoint->url);
    buf_release(&endpoint->token);
}
