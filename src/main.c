// SPDX-License-Identifier: Apache-2.0
// The one binary: wires the leaves (server, agent, command line) together. What the command line said becomes the options of a
// server or an agent here.

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "base/assert.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "client/discover.h"
#include "exec/executor.h"
#include "model/limits.h"
#include "server/server.h"
#include "sim/sim.h"

// Settings: defaults, then MUSTER_<NAME> of the environment, then --set, the last one winning.
static int settings_fill(const struct args *args, struct limits *limits, struct err *err)
{
    limits_init(limits);
    for (int id = 0; id < LIMITS; id++) {
        cleanup_buf struct buf name = {0};
        buf_printf(&name, "MUSTER_%s", limit_rows[id].name);
        for (size_t i = 0; i < name.len; i++)
            if (name.data[i] >= 'a' && name.data[i] <= 'z')
                name.data[i] = (char)(name.data[i] - 'a' + 'A');
        const char *text = getenv(name.data);
        int rc = text != NULL ? limits_set(limits, limit_rows[id].name, text, err) : 0;
        if (rc < 0)
            return err_wrap(err, rc, "$%s", name.data);
    }
    size_t cursor = 0;
    const char *text;
    while ((text = args_next(args, OPT_SET, &cursor)) != NULL) {
        cleanup_buf struct buf name = {0};
        const char *equals = strchr(text, '=');
        if (equals == NULL || equals == text)
            return err_set(err, ERR_INVALID, "--set: '%.60s' is not NAME=VALUE; `muster help settings` lists them", text);
        buf_add(&name, text, (size_t)(equals - text));
        int rc = limits_set(limits, name.data, equals + 1, err);
        if (rc == ERR_NOT_FOUND)
            return err_set(err, ERR_INVALID, "--set: there is no setting '%.60s'; `muster help settings` lists them", name.data);
        if (rc < 0)
            return err_wrap(err, rc, "--set %.60s", name.data);
    }
    return 0;
}

// "127.0.0.1:PORT" with the port of an option, or of `otherwise`.
static int listen_fill(const struct args *args, enum option_id id, const char *otherwise, struct buf *ret, struct err *err)
{
    const char *text = args_get(args, id);
    int64_t port = 0;
    int rc = args_number(args, id, 0, 0, 65535, &port, err);
    if (rc < 0)
        return rc;
    if (text == NULL)
        buf_adds(ret, otherwise);
    else
        buf_printf(ret, "127.0.0.1:%lld", (long long)port);
    return 0;
}

static int server_run(const struct args *args, struct err *err)
{
    struct limits limits;
    cleanup_buf struct buf data = {0};
    cleanup_buf struct buf api = {0};
    cleanup_buf struct buf agents = {0};
    int rc = settings_fill(args, &limits, err);
    if (rc == 0)
        rc = data_folder(args_get(args, OPT_DATA), &data, err);
    if (rc == 0)
        rc = listen_fill(args, OPT_PORT, SERVER_LISTEN_API, &api, err);
    if (rc == 0)
        rc = listen_fill(args, OPT_AGENT_PORT, SERVER_LISTEN_AGENTS, &agents, err);
    if (rc < 0)
        return rc;
    log_init_from_env();
    log_set_component("server");
    struct server_options options = {
        .data = data.data,
        .listen_api = api.data,
        .listen_agents = agents.data,
        .limits = &limits,
        .ready_fd = -1,
    };
    return server_main_run(&options, err);
}

// What an agent offers, as --cpu, --memory, --disk, --gpu and --resource say. *ret_needs borrows from `names` and argv.
struct offers {
    struct resource_need *list;
    size_t count;
    char **names; // owned
    size_t n_names;
};

static void offer_add(struct offers *offers, const char *name, uint64_t amount)
{
    offers->list = mem_realloc_array(offers->list, offers->count + 1, sizeof(offers->list[0]));
    offers->list[offers->count++] = (struct resource_need){.name = name, .amount = amount};
}

static void offers_release(struct offers *offers)
{
    for (size_t i = 0; i < offers->n_names; i++)
        mem_free(offers->names[i]);
    mem_free(offers->names);
    mem_free(offers->list);
}

static int offer_named(struct offers *offers, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    uint64_t amount = 0;
    if (equals == NULL || equals == text || str_to_u64(equals + 1, &amount) < 0)
        return err_set(err, ERR_INVALID, "--resource: '%.60s' is not NAME=N", text);
    offers->names = mem_realloc_array(offers->names, offers->n_names + 1, sizeof(char *));
    offers->names[offers->n_names] = mem_strndup(text, (size_t)(equals - text));
    offer_add(offers, offers->names[offers->n_names++], amount);
    return 0;
}

static int offers_fill(const struct args *args, struct offers *offers, struct err *err)
{
    const char *cpu = args_get(args, OPT_CPU);
    const char *memory = args_get(args, OPT_MEMORY);
    const char *disk = args_get(args, OPT_DISK);
    uint64_t amount = 0;
    int64_t gpus = 0;
    int rc = cpu != NULL ? cpu_parse(cpu, &amount, err) : 0;
    if (rc == 0 && cpu != NULL)
        offer_add(offers, "cpu", amount);
    if (rc == 0 && memory != NULL && (rc = size_parse(memory, &amount, err)) == 0)
        offer_add(offers, "memory", amount);
    if (rc == 0 && disk != NULL && (rc = size_parse(disk, &amount, err)) == 0)
        offer_add(offers, "disk", amount);
    if (rc == 0)
        rc = args_number(args, OPT_GPU, -1, 0, 1000000, &gpus, err);
    if (rc == 0 && gpus >= 0)
        offer_add(offers, "gpu", (uint64_t)gpus);
    size_t cursor = 0;
    const char *text;
    while (rc == 0 && (text = args_next(args, OPT_RESOURCE, &cursor)) != NULL)
        rc = offer_named(offers, text, err);
    return rc;
}

struct agent_setup {
    struct limits limits;
    struct offers offers;
    struct pair labels[256];
    size_t n_labels;
    struct buf connect, folder, key_file;
};

static int labels_fill(const struct args *args, struct agent_setup *setup, struct err *err)
{
    size_t cursor = 0;
    const char *text;
    while ((text = args_next(args, OPT_LABEL, &cursor)) != NULL) {
        const char *equals = strchr(text, '=');
        if (equals == NULL || equals == text)
            return err_set(err, ERR_INVALID, "--label: '%.60s' is not KEY=VALUE", text);
        if (setup->n_labels == sizeof(setup->labels) / sizeof(setup->labels[0]))
            return err_set(err, ERR_INVALID, "--label: more than %zu labels", setup->n_labels);
        char *key = mem_strndup(text, (size_t)(equals - text));
        for (size_t i = 0; i < setup->n_labels; i++) {
            if (strcmp(setup->labels[i].key, key) != 0)
                continue;
            int rc = err_set(err, ERR_INVALID, "--label: '%.60s' is given twice; give one value", key);
            mem_free(key);
            return rc;
        }
        setup->labels[setup->n_labels++] = (struct pair){.key = key, .value = equals + 1};
    }
    return 0;
}

// Where the server waits, the agent's folder and the file of its key: as named, else what the server's data folder says.
static int places_fill(const struct args *args, struct agent_setup *setup, struct err *err)
{
    cleanup_buf struct buf data = {0};
    int rc = data_folder(args_get(args, OPT_DATA), &data, err);
    if (rc < 0)
        return rc;
    buf_init(&setup->folder);
    buf_init(&setup->key_file);
    if (args_get(args, OPT_FOLDER) != NULL)
        buf_adds(&setup->folder, args_get(args, OPT_FOLDER));
    else
        buf_printf(&setup->folder, "%s/agent", data.data);
    if (setup->folder.len == 0)
        return err_set(err, ERR_INVALID, "--folder: the name of the folder is empty");
    if (args_get(args, OPT_TOKEN_FILE) != NULL)
        buf_adds(&setup->key_file, args_get(args, OPT_TOKEN_FILE));
    else
        buf_printf(&setup->key_file, "%s/agent.token", data.data);
    if (args_get(args, OPT_CONNECT) != NULL)
        buf_adds(&setup->connect, args_get(args, OPT_CONNECT));
    else
        rc = agents_endpoint(data.data, &setup->connect, err);
    return rc;
}

static int agent_run(const struct args *args, struct err *err)
{
    struct agent_setup *setup = mem_alloc(sizeof(*setup));
    int rc = settings_fill(args, &setup->limits, err);
    if (rc == 0)
        rc = offers_fill(args, &setup->offers, err);
    if (rc == 0)
        rc = labels_fill(args, setup, err);
    if (rc == 0)
        rc = places_fill(args, setup, err);
    if (rc == 0) {
        log_init_from_env();
        log_set_component("agent");
        const char *servers[] = {setup->connect.data};
        struct agent_options options = {
            .servers = servers,
            .n_servers = 1,
            .name = args_get(args, OPT_NODE_NAME),
            .folder = setup->folder.data,
            .key_file = setup->key_file.data,
            .executor = args_get(args, OPT_EXECUTOR),
            .labels = setup->labels,
            .n_labels = setup->n_labels,
            .capacity = setup->offers.list,
            .n_capacity = setup->offers.count,
            .limits = &setup->limits,
        };
        rc = agent_main_run(&options, err);
    }
    for (size_t i = 0; i < setup->n_labels; i++)
        mem_free((char *)setup->labels[i].key);
    offers_release(&setup->offers);
    buf_release(&setup->connect);
    buf_release(&setup->folder);
    buf_release(&setup->key_file);
    mem_free(setup);
    return rc;
}

// How long `up` waits for tasks to end; longer graces go on without it.
#define SPAWNER_PATIENCE_USEC (30 * USEC_PER_SEC)

static int spawner_end(const char *folder, struct err *err)
{
    return executor_spawner_end(folder, SPAWNER_PATIENCE_USEC, err);
}

int main(int argc, char **argv)
{
    const struct cli_hooks hooks = {.server = server_run, .agent = agent_run, .spawner = spawner_main, .sim = sim_main, .spawner_end = spawner_end};
    return cli_main(argc, argv, &hooks);
}
