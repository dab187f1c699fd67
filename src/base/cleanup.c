// SPDX-License-Identifier: Apache-2.0
// Closing descriptors at the end of a scope.

#include "base/cleanup.h"

#include <errno.h>
#include <unistd.h>

#include "base/assert.h"

int close_fd(int fd)
{
    if (fd < 0)
        return -1;
    int saved_errno = errno;
    // EBADF means that somebody else closed it: a defect that would close a stranger's file next time. The descriptor is
    // gone whatever else close answers, so it is never tried again.
    must(close(fd) == 0 || errno != EBADF);
    errno = saved_errno;
    return -1;
}
