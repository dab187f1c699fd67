// SPDX-License-Identifier: Apache-2.0
// What every unit test includes: cmocka with the headers it needs, and a check that code aborts.
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// Passes when `statement`, run in a child process, ends by abort(), as a failed must() does.
#define assert_aborts(statement)                                                   \
    do {                                                                       \
        pid_t child_pid_ = fork();                                         \
        assert_true(child_pid_ >= 0);                                      \
        if (child_pid_ == 0) {                                             \
            struct rlimit no_core_ = {0, 0};                           \
            setrlimit(RLIMIT_CORE, &no_core_);                         \
            signal(SIGABRT, SIG_DFL);                                  \
            close(STDERR_FILENO);                                      \
            statement;                                                 \
            _exit(0);                                                  \
        }                                                                  \
        int child_status_ = 0;                                             \
        assert_int_equal(waitpid(child_pid_, &child_status_, 0), child_pid_); \
        assert_true(WIFSIGNALED(child_status_));                           \
        assert_int_equal(WTERMSIG(child_status_), SIGABRT);                \
    } while (0)
