// SPDX-License-Identifier: Apache-2.0
// import: jobs from what other schedulers have.
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/tz.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/crontab.h"
#include "cli/spec_file.h"

// The zone of this machine, by the link that /etc/localtime is.
static void local_zone(struct buf *ret)
{
    char path[512];
    ssize_t len = readlink("/etc/localtime", path, sizeof(path) - 1);
    path[len > 0 ? len : 0] = '\0';
    const char *name = strstr(path, "zoneinfo/");
    buf_adds(ret, name != NULL && tz_find(name + 9) != NULL ? name + 9 : "UTC");
}

// The last part of a path with only what a name may hold; "crontab" when nothing is left.
static void prefix_of(const char *file, struct buf *ret)
{
    const char *slash = strrchr(file, '/');
    for (const char *p = slash != NULL ? slash + 1 : file; *p != '\0'; p++)
        if (isalnum((unsigned char)*p) || (ret->len > 0 && (*p == '.' || *p == '-' || *p == '_')))
            buf_addc(ret, *p);
    if (ret->len == 0)
        buf_adds(ret, "crontab");
}

static void print_lines(const struct spec_file *file, const struct crontab *crontab)
{
    for (size_t i = 0; i < crontab->n; i++) {
        const struct crontab_line *line = &crontab->lines[i];
        printf("%s:%u: ", file->name, line->number);
        if (line->job != NULL) {
            const json_t *schedule = json_object_get(line->job, "schedule");
            cleanup_buf struct buf label = {0};
            printf("job %s: %s %s", job_label(&label, line->job), answer_text(schedule, "cron"), answer_text(schedule, "zone"));
            if (answer_has(line->job, "user"))
                printf(", as %s", answer_text(line->job, "user"));
            printf(": %s", answer_text(line->job, "description"));
        } else if (line->lost) {
            fputs("LEFT OUT: ", stdout);
        }
        if (line->remark != NULL)
            printf("%s%s", line->job != NULL ? " -- " : "", line->remark);
        putchar('\n');
    }
    fflush(stdout);
}

static int store(struct cli *cli, const struct spec_file *file, const struct crontab *crontab, bool dry_run, struct err *err)
{
    struct spec_file jobs = {.name = file->name, .content_type = "application/yaml"};
    crontab_print_jobs(crontab, &jobs.text);
    struct call call = {
        .method = "POST",
        .path = dry_run ? "/v1/jobs?dry_run=1" : "/v1/jobs",
        .body = jobs.text.data,
        .body_len = jobs.text.len,
        .content_type = jobs.content_type,
        .repeatable = true,
    };
    json_t *answer = NULL;
    int rc = client_call(cli->client, &call, &answer, err);
    if (rc < 0)
        rc = spec_file_tell(cli, &jobs, rc, err);
    json_decref(answer);
    spec_file_release(&jobs);
    return rc;
}

int cmd_import(struct cli *cli, struct err *err)
{
    int rc = args_words(cli->args, 2, 2, err);
    if (rc == 0 && !str_eq(cli->args->words[0], "crontab"))
        rc = err_set(err, ERR_INVALID, "import: '%.40s' is not known; write it as: muster import crontab FILE", cli->args->words[0]);
    if (rc < 0)
        return rc;
    const char *name = cli->args->words[1];
    cleanup_buf struct buf zone = {0}, prefix = {0};
    local_zone(&zone);
    prefix_of(str_eq(name, "-") ? "crontab" : name, &prefix);
    struct crontab_options options = {
        .namespace_name = args_get(cli->args, OPT_NAMESPACE),
        .prefix = args_has(cli->args, OPT_PREFIX) ? args_get(cli->args, OPT_PREFIX) : prefix.data,
        .zone = args_has(cli->args, OPT_ZONE) ? args_get(cli->args, OPT_ZONE) : zone.data,
        .system = args_has(cli->args, OPT_SYSTEM) || str_eq(name, "/etc/crontab") || strncmp(name, "/etc/cron.d/", 12) == 0,
    };
    struct spec_file file = {0};
    struct crontab crontab = {0};
    rc = spec_file_read(name, &file, err);
    if (rc == 0)
        rc = crontab_parse(file.text.data, file.text.len, &options, &crontab, err);
    if (rc == 0 && crontab.n_jobs > 0)
        rc = cli_client(cli, err);
    bool dry_run = args_has(cli->args, OPT_DRY_RUN);
    if (rc == 0)
        print_lines(&file, &crontab);
    if (rc == 0 && crontab.n_jobs > 0)
        rc = store(cli, &file, &crontab, dry_run, err);
    if (rc == 0)
        cli_remark(cli, "%zu job%s %s", crontab.n_jobs, crontab.n_jobs == 1 ? "" : "s", dry_run ? "can be stored" : "stored");
    crontab_release(&crontab);
    spec_file_release(&file);
    return rc;
}
