// SPDX-License-Identifier: Apache-2.0
// The one binary: wires the leaves (server, agent, command line) together.

#include "cli/cli.h"

static int server_run(const struct args *args, struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "this build has no server yet");
}

static int agent_run(const struct args *args, struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "this build has no agent yet");
}

static int spawner_run(int argc, char **argv)
{
    return err_exit_status(ERR_UNSUPPORTED);
}

static void spawner_end(const char *folder)
{
}

int main(int argc, char **argv)
{
    const struct cli_hooks hooks = {.server = server_run, .agent = agent_run, .spawner = spawner_run, .spawner_end = spawner_end};
    return cli_main(argc, argv, &hooks);
}
