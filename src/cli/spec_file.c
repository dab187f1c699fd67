// SPDX-License-Identifier: Apache-2.0
// Job files.

#include "cli/spec_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "cli/help.h"
#include "client/client.h"

// The server has its own, settable limit; this one keeps a wrong file from filling the memory.
#define FILE_BYTES_MAX ((size_t)64 * 1024 * 1024)

static int stdin_read(struct buf *ret, struct err *err)
{
    for (;;) {
        buf_reserve(ret, 65536);
        ssize_t len = read(STDIN_FILENO, ret->data + ret->len, 65536);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return err_errno(err, ERR_IO, "read standard input");
        if (len == 0)
            return 0;
        buf_grew(ret, (size_t)len);
        if (ret->len > FILE_BYTES_MAX)
            return err_set(err, ERR_TOO_LARGE, "standard input is larger than %zu bytes", FILE_BYTES_MAX);
    }
}

int spec_file_read(const char *name, struct spec_file *ret, struct err *err)
{
    struct spec_file file = {.name = name};
    buf_init(&file.text);
    bool from_stdin = str_eq(name, "-");
    if (from_stdin)
        file.name = "standard input";
    int rc = from_stdin ? stdin_read(&file.text, err) : fs_read(name, FILE_BYTES_MAX, &file.text, err);
    if (rc < 0) {
        buf_release(&file.text);
        return rc;
    }
    size_t i = 0;
    while (i < file.text.len && isspace((unsigned char)file.text.data[i]))
        i++;
    bool json = i < file.text.len && (file.text.data[i] == '{' || file.text.data[i] == '[');
    file.content_type = json ? "application/json" : "application/yaml";
    *ret = file;
    return 0;
}

void spec_file_release(struct spec_file *file)
{
    buf_release(&file->text);
}

int spec_file_tell(struct cli *cli, const struct spec_file *file, int code, struct err *err)
{
    const json_t *details = client_details(cli->client);
    size_t count = json_array_size(details);
    const json_t *last = count > 0 ? json_array_get(details, count - 1) : NULL;
    json_int_t more = json_integer_value(json_object_get(last, "more")); // than the server keeps
    if (more > 0)
        count += (size_t)more - 1;
    if (count == 0)
        return err_wrap(err, code, "%.100s", file->name);
    fflush(stdout);
    details_print(stderr, file->from_options ? NULL : file->name, details);
    client_details_clear(cli->client);
    return err_set(err, code, "%zu error%s in %.100s, nothing was stored; %s", count, count == 1 ? "" : "s", file->name,
                   file->help != NULL ? file->help : "`muster help job` describes every field");
}
