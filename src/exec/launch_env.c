// SPDX-License-Identifier: Apache-2.0
// The environment of an attempt, and the search for its command in PATH.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "exec/launch.h"
#include "exec/launch_time.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Variables that say who the attempt is and by which it is found again are not for the spec to change.
static bool is_reserved(const char *key)
{
    return strcmp(key, "MUSTER_SPAWNER") == 0 || strcmp(key, "MUSTER_FENCE") == 0;
}

struct env_builder {
    struct arena *arena;
    char **list;
    size_t n, cap;
};

static void env_set(struct env_builder *env, const char *key, const char *value)
{
    char *line = arena_printf(env->arena, "%s=%s", key, value);
    size_t key_len = strlen(key) + 1;
    for (size_t i = 0; i < env->n; i++) {
        if (strncmp(env->list[i], line, key_len) == 0) {
            env->list[i] = line;
            return;
        }
    }
    must(env->n + 1 < env->cap);
    env->list[env->n++] = line;
}

static void env_number(struct env_builder *env, const char *key, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    env_set(env, key, text);
}

static void env_needs(struct env_builder *env, const struct job_spec *spec)
{
    for (size_t i = 0; i < spec->n_needs; i++) {
        if (strcmp(spec->needs[i].name, "cpu") == 0)
            env_number(env, "MUSTER_CPU_MILLIS", spec->needs[i].amount);
        else if (strcmp(spec->needs[i].name, "memory") == 0)
            env_number(env, "MUSTER_MEMORY_BYTES", spec->needs[i].amount);
    }
}

char **launch_environment(struct arena *arena, const struct launch *launch, struct launch_times *times, const struct account *account,
                          const char *instance, const char *folder)
{
    const struct job_spec *spec = launch->spec->spec;
    struct env_builder env = {.arena = arena, .cap = spec->n_env + times->n_params + 40};
    env.list = arena_array(arena, char *, env.cap);
    env_set(&env, "HOME", account->home);
    env_set(&env, "USER", account->name);
    env_set(&env, "LOGNAME", account->name);
    env_set(&env, "SHELL", account->shell);
    env_set(&env, "PATH", PATH_DEFAULT);
    env_set(&env, "LANG", "C.UTF-8");
    env_set(&env, "TMPDIR", folder);
    env_number(&env, "MUSTER_RUN", launch->run_id);
    env_number(&env, "MUSTER_TASK", launch->index);
    env_number(&env, "MUSTER_TASKS", launch->n_tasks);
    env_number(&env, "MUSTER_TASK_POSITION", launch->position);
    env_number(&env, "MUSTER_ATTEMPT", launch->attempt);
    env_number(&env, "MUSTER_FENCE", launch->fence);
    if (spec->name != NULL)
        env_set(&env, "MUSTER_JOB", spec->name);
    env_set(&env, "MUSTER_NAMESPACE", spec->namespace_name == NULL ? "default" : spec->namespace_name);
    env_set(&env, "MUSTER_NODE", launch->node);
    env_set(&env, "MUSTER_SPAWNER", instance);
    if (launch->nominal_usec != 0) {
        char text[40];
        env_set(&env, "MUSTER_NOMINAL_TIME", time_format(text, launch->nominal_usec));
        if (times->has_interval) {
            env_set(&env, "MUSTER_INTERVAL_START", time_format(text, times->interval_usec));
            env_set(&env, "MUSTER_INTERVAL_END", time_format(text, launch->nominal_usec));
        }
    }
    if (launch->backfill_id != 0)
        env_number(&env, "MUSTER_BACKFILL", launch->backfill_id);
    for (size_t i = 0; i < times->n_params; i++)
        env_set(&env, arena_printf(arena, "MUSTER_PARAM_%s", times->params[i].key), times->params[i].value);
    env_needs(&env, spec);
    for (size_t i = 0; i < spec->n_env; i++) {
        const char *value = is_reserved(spec->env[i].key) ? NULL : launch_times_expand(times, arena, spec->env[i].value);
        if (value == NULL && !is_reserved(spec->env[i].key))
            return NULL;
        if (value != NULL)
            env_set(&env, spec->env[i].key, value);
    }
    env.list[env.n] = NULL;
    return env.list;
}

char **launch_candidates(struct arena *arena, const char *command, char *const *environment)
{
    if (strchr(command, '/') != NULL || command[0] == '\0') {
        char **one = arena_array(arena, char *, 2);
        one[0] = arena_strdup(arena, command);
        return one;
    }
    const char *path = PATH_DEFAULT;
    for (size_t i = 0; environment[i] != NULL; i++)
        if (strncmp(environment[i], "PATH=", 5) == 0)
            path = environment[i] + 5;
    size_t n = 1;
    for (const char *p = path; *p != '\0'; p++)
        n += *p == ':';
    char **list = arena_array(arena, char *, n + 1);
    size_t filled = 0;
    for (const char *p = path;; p++) {
        const char *end = strchrnul(p, ':');
        // An empty entry means the working directory to execvp; here it is left out, so that nothing is run by accident.
        if (end != p)
            list[filled++] = arena_printf(arena, "%.*s/%s", (int)(end - p), p, command);
        if (*end == '\0')
            break;
        p = end;
    }
    list[filled] = NULL;
    return list;
}
