// SPDX-License-Identifier: Apache-2.0
// Cleanup at the end of a scope, for the edges of the program:
//     cleanup_free char *text = NULL;
//     cleanup_close int fd = -1;
//     cleanup_buf struct buf out = {0};
// A variable marked so must be initialised where it is declared. steal_ptr and steal_fd give a value away instead.
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"

// Closes a descriptor once and keeps errno; nothing happens for a negative one. Returns -1, for fd = close_fd(fd).
int close_fd(int fd);

static inline void cleanup_free_(void *ptr)
{
    free(*(void **)ptr);
}

static inline void cleanup_close_(int *fd)
{
    close_fd(*fd);
}

static inline void cleanup_file_(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
}

static inline void cleanup_dir_(DIR **dir)
{
    if (*dir != NULL)
        closedir(*dir);
}

#define cleanup_free __attribute__((cleanup(cleanup_free_)))
#define cleanup_close __attribute__((cleanup(cleanup_close_)))
#define cleanup_buf __attribute__((cleanup(buf_release)))
#define cleanup_arena __attribute__((cleanup(arena_release)))
#define cleanup_file __attribute__((cleanup(cleanup_file_)))
#define cleanup_dir __attribute__((cleanup(cleanup_dir_)))

// The value of a pointer variable, which is NULL afterwards.
#define steal_ptr(variable) \
    ({ \
        __typeof__(variable) stolen_ = (variable); \
        (variable) = NULL; \
        stolen_; \
    })

// The value of a descriptor variable, which is -1 afterwards.
static inline int steal_fd(int *variable)
{
    int fd = *variable;
    *variable = -1;
    return fd;
}
