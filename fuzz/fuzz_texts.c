// SPDX-License-Identifier: Apache-2.0
// Small texts that people and machines write: lists of indexes, conditions, addresses, and where the control groups are.

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "codec/names.h"
#include "exec/cgroup.h"
#include "fuzz/fuzz.h"
#include "net/address.h"

enum { RANGES_MAX = 100, COUNT_MAX = 1000000, TEXT_MAX = 256 };

static void try_indexes(const char *text, struct arena *arena)
{
    struct index_set set;
    if (index_set_parse(text, RANGES_MAX, COUNT_MAX, arena, &set, NULL) < 0)
        return;
    must(set.n_ranges > 0 && set.n_ranges <= RANGES_MAX);
}

static void try_constraint(const char *text, struct arena *arena)
{
    struct constraint constraint, again;
    if (constraint_parse(text, TEXT_MAX, arena, &constraint, NULL) < 0)
        return;
    struct buf once = {0}, twice = {0};
    constraint_format(&once, &constraint);
    must(constraint_parse(once.data, 4 * TEXT_MAX, arena, &again, NULL) == 0);
    constraint_format(&twice, &again);
    must(strcmp(once.data, twice.data) == 0);
    buf_release(&once);
    buf_release(&twice);
}

static void try_names(const char *text)
{
    (void)name_problem(text, TEXT_MAX);
    (void)label_value_problem(text, TEXT_MAX);
    if (job_name_problem(text, TEXT_MAX) == NULL)
        must(name_problem(text, TEXT_MAX) == NULL || strchr(text, '/') != NULL);
    if (label_key_problem(text, TEXT_MAX) == NULL)
        must(text[0] != '\0' && strlen(text) <= TEXT_MAX);
    if (env_name_problem(text) == NULL)
        must(text[0] != '\0' && strchr(text, '=') == NULL);
    if (user_name_problem(text) == NULL)
        must(text[0] != '\0' && strchr(text, '/') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);
    struct arena arena = {0};
    try_indexes(text, &arena);
    try_constraint(text, &arena);
    try_names(text);
    struct net_address address;
    struct err err = {0};
    int rc = net_address_parse(text, 7421, &address, &err);
    must(rc == err.code && (rc == 0 || err.text[0] != '\0'));
    // Two files, one behind the other.
    char *second = strstr(text, "\n\n");
    struct cgroup_paths paths;
    if (second != NULL)
        *second = '\0';
    cgroup_paths_parse(text, second != NULL ? second + 2 : "0::/\n", &paths);
    for (int i = 0; i < CGROUP_TREES; i++)
        must(memchr(paths.path[i], 0, sizeof(paths.path[i])) != NULL);
    arena_release(&arena);
    mem_free(text);
    return 0;
}
