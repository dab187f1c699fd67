// SPDX-License-Identifier: Apache-2.0
// The one binary: wires the leaves (server, agent, command line) together.

#include <stdio.h>

int main(void)
{
    printf("muster %s\n", MUSTER_VERSION);
    return 0;
}
