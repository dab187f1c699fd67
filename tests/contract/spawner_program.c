// SPDX-License-Identifier: Apache-2.0
// A program that is nothing but `muster spawner`, for the tests of executors.

#include <string.h>

#include "exec/executor.h"

int main(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "spawner") == 0 ? spawner_main(argc, argv) : 2;
}
