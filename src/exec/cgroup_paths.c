// SPDX-License-Identifier: Apache-2.0
// Where the control groups are: the texts of /proc/self/mountinfo and /proc/self/cgroup.

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/cgroup.h"

static const char *const tree_controller[CGROUP_TREES] = {
    [TREE_UNIFIED] = "", [TREE_CPU] = "cpu", [TREE_MEMORY] = "memory", [TREE_PIDS] = "pids",
    [TREE_CPUACCT] = "cpuacct", [TREE_FREEZER] = "freezer",
};

// Takes the next field off *text, ended by `sep`; NULL when there is none left.
static char *next_field(char **text, char sep)
{
    char *field = *text;
    if (field == NULL)
        return NULL;
    char *end = strchr(field, sep);
    if (end != NULL)
        *end++ = '\0';
    *text = end;
    return field;
}

// Whether a list with commas holds the word.
static bool list_has(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = list; p != NULL && *p != '\0';) {
        const char *end = strchrnul(p, ',');
        if ((size_t)(end - p) == len && strncmp(p, word, len) == 0)
            return true;
        p = *end == ',' ? end + 1 : NULL;
    }
    return false;
}

// mountinfo writes space, tab, newline and backslash as \ooo.
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' && from[3] >= '0' &&
            from[3] <= '7') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

struct mount {
    char root[512], point[512];
};

static void parse_mount_line(char *line, struct mount mounts[CGROUP_TREES])
{
    char *rest = line, *root = NULL, *point = NULL;
    for (int i = 0; i < 5; i++) {
        char *field = next_field(&rest, ' ');
        if (i == 3)
            root = field;
        if (i == 4)
            point = field;
    }
    char *tail = rest == NULL ? NULL : strstr(rest, " - ");
    if (root == NULL || point == NULL || tail == NULL)
        return;
    tail += 3;
    const char *type = next_field(&tail, ' ');
    const char *source = next_field(&tail, ' ');
    const char *options = tail;
    if (type == NULL || source == NULL || options == NULL)
        return;
    unescape(root);
    unescape(point);
    bool v2 = strcmp(type, "cgroup2") == 0;
    if (!v2 && strcmp(type, "cgroup") != 0)
        return;
    for (int i = 0; i < CGROUP_TREES; i++) {
        if (v2 != (i == TREE_UNIFIED) || (!v2 && !list_has(options, tree_controller[i])))
            continue;
        struct mount *mount = &mounts[i];
        if (mount->point[0] != '\0')
            continue; // the first mount of a hierarchy is as good as another
        if (str_copy(mount->root, sizeof(mount->root), root) < 0 || str_copy(mount->point, sizeof(mount->point), point) < 0)
            *mount = (struct mount){0};
    }
}

// The group below the mount point: a mount may show only a part of its hierarchy (as in a container).
static void join_path(char *ret, size_t size, const struct mount *mount, const char *group)
{
    size_t root_len = strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root);
    if (strncmp(group, mount->root, root_len) == 0 && (group[root_len] == '/' || group[root_len] == '\0'))
        group += root_len;
    else
        group = ""; // our group is outside of what is mounted here: begin at its top
    if (strcmp(group, "/") == 0)
        group = "";
    int len = snprintf(ret, size, "%s%s", mount->point, group);
    if (len < 0 || (size_t)len >= size)
        ret[0] = '\0';
}

void cgroup_paths_parse(const char *mountinfo, const char *self_cgroup, struct cgroup_paths *ret)
{
    must(mountinfo != NULL && self_cgroup != NULL);
    memset(ret, 0, sizeof(*ret));
    struct mount *mounts = mem_alloc_array(CGROUP_TREES, sizeof(*mounts));
    char *copy = mem_strdup(mountinfo), *rest = copy;
    for (char *line; (line = next_field(&rest, '\n')) != NULL;)
        parse_mount_line(line, mounts);
    mem_free(copy);
    copy = rest = mem_strdup(self_cgroup);
    for (char *line; (line = next_field(&rest, '\n')) != NULL;) {
        const char *number = next_field(&line, ':');
        const char *controllers = next_field(&line, ':');
        const char *group = line;
        if (number == NULL || controllers == NULL || group == NULL || group[0] != '/' || strstr(group, "/..") != NULL)
            continue;
        for (int i = 0; i < CGROUP_TREES; i++) {
            bool mine = i == TREE_UNIFIED ? controllers[0] == '\0' : list_has(controllers, tree_controller[i]);
            if (mine && mounts[i].point[0] != '\0')
                join_path(ret->path[i], sizeof(ret->path[i]), &mounts[i], group);
        }
    }
    mem_free(copy);
    (void)str_copy(ret->unified_mount, sizeof(ret->unified_mount), mounts[TREE_UNIFIED].point);
    mem_free(mounts);
}
