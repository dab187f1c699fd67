// SPDX-License-Identifier: Apache-2.0
// Random names for instances, and the id of this boot.

#include "exec/instance.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <assert.h>
#include "base/assert.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

int instance_make(char ret[static INSTANCE_TEXT], struct err *err)
{
    uint8_t bytes[16];
    ssize_t got;
    do
        got = getrandom(bytes, sizeof(bytes), 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(bytes))
        return err_errno(err, ERR_IO, "read random bytes");
    static_assert(INSTANCE_TEXT == 2 * sizeof(bytes) + 1, "two digits a byte");
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

int instance_boot_id(char ret[static 40], struct err *err)
{
    cleanup_buf struct buf text = {0};
    int rc = fs_read("/proc/sys/kernel/random/boot_id", 64, &text, err);
    if (rc < 0)
        return rc;
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        buf_truncate(&text, text.len - 1);
    if (str_copy(ret, 40, text.data) < 0)
        return err_set(err, ERR_IO, "the kernel's boot id is too long");
    return 0;
}
