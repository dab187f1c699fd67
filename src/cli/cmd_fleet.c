// SPDX-License-Identifier: Apache-2.0
// nodes, status and version; server, agent and spawner through the hooks of main.c.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/term.h"

// "1.5/4": used of what there is.
static void cpu_cell(struct table *table, const json_t *node)
{
    char used[32];
    char all[32];
    cpu_format(used, (uint64_t)answer_number(json_object_get(node, "used"), "cpu_millis"));
    cpu_format(all, (uint64_t)answer_number(json_object_get(node, "capacity"), "cpu_millis"));
    table_addf(table, "%s/%s", used, all);
}

static void memory_cell(struct table *table, const json_t *node)
{
    char used[32];
    char all[32];
    size_format(used, (uint64_t)answer_number(json_object_get(node, "used"), "memory_bytes"));
    size_format(all, (uint64_t)answer_number(json_object_get(node, "capacity"), "memory_bytes"));
    table_addf(table, "%s/%s", used, all);
}

static void nodes_print(const json_t *rows)
{
    static const struct table_column columns[] = {
        {"NODE", TABLE_SHRINK}, {"STATE", 0}, {"ADMISSION", 0}, {"TASKS", TABLE_RIGHT}, {"CPU", TABLE_RIGHT},
        {"MEMORY", TABLE_RIGHT}, {"SINCE", 0}, {"VERSION", 0}, {"LABELS", TABLE_SHRINK},
    };
    struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    size_t i = 0;
    const json_t *node = NULL;
    json_array_foreach(rows, i, node)
    {
        char ago[40];
        cleanup_buf struct buf labels = {0};
        buf_init(&labels);
        const char *key;
        json_t *value;
        json_object_foreach(json_object_get(node, "labels"), key, value)
            buf_printf(&labels, "%s%s=%s", labels.len > 0 ? " " : "", key, json_is_string(value) ? json_string_value(value) : "");
        table_add(&table, answer_text(node, "node"));
        table_add_colour(&table, answer_text(node, "state"), state_colour(answer_text(node, "state")));
        table_add_colour(&table, answer_text(node, "admission"), state_colour(answer_text(node, "admission")));
        table_addf(&table, "%lld", (long long)answer_number(node, "tasks"));
        cpu_cell(&table, node);
        memory_cell(&table, node);
        table_add(&table, text_ago(ago, answer_text(node, "since"), clock_wall_usec()));
        table_add(&table, answer_text(node, "version"));
        table_add(&table, labels.data);
    }
    table_print(&table, stdout, term_width(stdout));
    table_release(&table);
}

int cmd_nodes(struct cli *cli, struct err *err)
{
    cleanup_buf struct buf path = {0};
    buf_adds(&path, "/v1/nodes");
    int rc = args_words(cli->args, 0, 1, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc < 0)
        return rc;
    if (cli->args->n_words > 0) {
        buf_addc(&path, '/');
        path_escape(&path, cli->args->words[0]);
    }
    json_t *answer = NULL;
    rc = client_get(cli->client, &answer, err, "%s", path.data);
    if (rc < 0)
        return rc;
    json_t *rows = json_incref(json_object_get(answer, "nodes"));
    bool single = rows == NULL;
    if (single)
        rows = json_pack("[O]", answer);
    if (cli->json) {
        print_json(answer);
    } else if (json_array_size(rows) == 0) {
        cli_remark(cli, "no node has registered yet; start one with `muster agent`");
    } else {
        nodes_print(rows);
        size_t i = 0;
        const json_t *node = NULL;
        json_array_foreach(rows, i, node)
        {
            size_t j = 0;
            const json_t *warning = NULL;
            json_array_foreach(json_object_get(node, "warnings"), j, warning)
                if (single && json_is_string(warning))
                    cli_remark(cli, "%s: %s", answer_text(node, "node"), json_string_value(warning));
        }
    }
    json_decref(rows);
    json_decref(answer);
    return 0;
}

// "key  value" for every member that is plain, members of objects below their name.
static void object_print(const json_t *object, int indent)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (json_is_object(value)) {
            printf("%*s%s\n", indent, "", key);
            object_print(value, indent + 2);
        } else {
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
            printf("%*s%-*s ", indent, "", 26 - indent, key);
            term_print(stdout, json_is_string(value) ? json_string_value(value) : text);
            putchar('\n');
            free(text);
        }
    }
}

int cmd_status(struct cli *cli, struct err *err)
{
    json_t *status = NULL;
    int rc = args_words(cli->args, 0, 0, err);
    if (rc == 0)
        rc = cli_client(cli, err);
    if (rc == 0)
        rc = client_get(cli->client, &status, err, "/v1/status");
    if (rc < 0)
        return rc;
    if (cli->json)
        print_json(status);
    else
        object_print(status, 0);
    json_decref(status);
    return 0;
}

int cmd_version(struct cli *cli, struct err *err)
{
    int rc = args_words(cli->args, 0, 0, err);
    if (rc < 0)
        return rc;
    json_t *server = NULL;
    struct err unused = {0};
    // Without a server this is still the version of the program.
    bool found = cli_client(cli, &unused) == 0 && client_get(cli->client, &server, &unused, "/v1/version") == 0;
    if (cli->json) {
        json_t *answer = json_pack("{s:s,s:o}", "version", MUSTER_VERSION, "server", found ? server : json_null());
        print_json(answer);
        json_decref(answer);
        return 0;
    }
    printf("muster %s\n", MUSTER_VERSION);
    if (found) {
        printf("server ");
        term_print(stdout, answer_text(server, "version") != NULL ? answer_text(server, "version") : "-");
        printf(", epoch %lld\n", (long long)answer_number(server, "epoch"));
    }
    json_decref(server);
    return 0;
}

int cmd_server(struct cli *cli, struct err *err)
{
    int rc = args_words(cli->args, 0, 0, err);
    return rc < 0 ? rc : cli->hooks->server(cli->args, err);
}

int cmd_agent(struct cli *cli, struct err *err)
{
    int rc = args_words(cli->args, 0, 0, err);
    return rc < 0 ? rc : cli->hooks->agent(cli->args, err);
}

int cmd_sim(struct cli *cli, struct err *err)
{
    cli->exit_status = cli->hooks->sim(cli->argc - 1, cli->argv + 1);
    return 0;
}

int cmd_spawner(struct cli *cli, struct err *err)
{
    cli->exit_status = cli->hooks->spawner(cli->argc, cli->argv);
    return 0;
}
