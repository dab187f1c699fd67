// SPDX-License-Identifier: Apache-2.0
// Reading crontabs. The rules are those of crontab(5) of Debian, with CRON_TZ, RANDOM_DELAY and `~` of cronie.
#include "cli/crontab.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"

enum { LINES_MAX = 10000, NAME_PART_MAX = 40 };

// What lines before an entry have set.
struct crontab_reader {
    const struct crontab_options *options;
    struct crontab *out;
    json_t *env;    // variables for the commands
    char *zone;     // owned
    char *shell;    // owned
    json_t *names;  // names in use, with how often
};

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

static const char *skip_word(const char *p)
{
    while (*p != '\0' && *p != ' ' && *p != '\t')
        p++;
    return p;
}

static struct crontab_line *line_add(struct crontab_reader *reader, unsigned number)
{
    struct crontab *out = reader->out;
    if (out->n == out->cap) {
        out->cap = out->cap == 0 ? 16 : out->cap * 2;
        out->lines = mem_realloc(out->lines, out->cap * sizeof(*out->lines));
    }
    out->lines[out->n] = (struct crontab_line){.number = number};
    return &out->lines[out->n++];
}

__attribute__((format(printf, 2, 3))) static void remark(struct crontab_line *line, const char *fmt, ...)
{
    struct buf text = {0};
    if (line->remark != NULL)
        buf_printf(&text, "%s; ", line->remark);
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    mem_free(line->remark);
    line->remark = buf_detach(&text);
}

static void set_text(char **to, const char *text)
{
    mem_free(*to);
    *to = mem_strdup(text);
}

// ---- NAME=VALUE

// Takes the name and the value of a setting; false: the line is none. Blanks around '=' and quotes around the value are left out.
static bool take_setting(const char *p, struct buf *name, struct buf *value)
{
    const char *end = p;
    while (isalnum((unsigned char)*end) || *end == '_')
        end++;
    const char *after = skip_space(end);
    if (end == p || isdigit((unsigned char)*p) || *after != '=')
        return false;
    buf_add(name, p, (size_t)(end - p));
    after = skip_space(after + 1);
    size_t len = strlen(after);
    while (len > 0 && (after[len - 1] == ' ' || after[len - 1] == '\t'))
        len--;
    if (len >= 2 && (after[0] == '"' || after[0] == '\'') && after[len - 1] == after[0]) {
        after++;
        len -= 2;
    }
    buf_add(value, after, len);
    return true;
}

static void read_setting(struct crontab_reader *reader, unsigned number, const char *name, const char *value)
{
    struct crontab_line *line = line_add(reader, number);
    if (str_eq(name, "CRON_TZ")) {
        set_text(&reader->zone, value);
        remark(line, "CRON_TZ=%s: the zone of the jobs below", value);
    } else if (str_eq(name, "SHELL")) {
        set_text(&reader->shell, value);
        remark(line, "SHELL=%s: runs the commands below", value);
    } else if (str_eq(name, "MAILTO") || str_eq(name, "MAILFROM")) {
        if (value[0] == '\0')
            remark(line, "%s is empty: nothing is mailed here either", name);
        else
            remark(line, "%s=%s is not carried over: output is kept with the run and not mailed (muster logs)", name, value);
    } else if (str_eq(name, "RANDOM_DELAY")) {
        remark(line, "RANDOM_DELAY=%s is not carried over: write H as the minute to spread jobs", value);
    } else if (str_eq(name, "LOGNAME") || str_eq(name, "USER") || strncmp(name, "MUSTER_", 7) == 0) {
        remark(line, "%s=%s is not carried over: the account sets it", name, value);
    } else {
        json_object_set_new(reader->env, name, json_string(value));
        remark(line, "%s=%s: a variable of the jobs below", name, value);
    }
}

// ---- entries

// A field with what cron writes otherwise: a~b is a number drawn from a range. NULL: it cannot be said here.
static bool add_field(struct buf *to, const char *field, size_t len)
{
    const char *tilde = memchr(field, '~', len);
    if (tilde == NULL) {
        buf_add(to, field, len);
        return true;
    }
    size_t before = (size_t)(tilde - field), after = len - before - 1;
    if (len == 1) {
        buf_addc(to, 'H');
        return true;
    }
    if (before == 0 || after == 0 || strspn(field, "0123456789") != before || strspn(tilde + 1, "0123456789") < after)
        return false;
    buf_printf(to, "H(%.*s-%.*s)", (int)before, field, (int)after, tilde + 1);
    return true;
}

// Takes the five fields, or a macro, off the front. NULL with *ret_why: they cannot be said here.
static const char *take_schedule(const char *p, struct buf *to, const char **ret_why)
{
    if (*p == '@') {
        const char *end = skip_word(p);
        buf_add(to, p, (size_t)(end - p));
        return end;
    }
    bool starred[5] = {false}, any[5] = {false};
    for (int i = 0; i < 5; i++) {
        const char *end = skip_word(p);
        size_t len = (size_t)(end - p);
        if (len == 0) {
            *ret_why = "it has fewer than five fields and a command";
            return NULL;
        }
        buf_adds(to, i > 0 ? " " : "");
        starred[i] = *p == '*';
        any[i] = len == 1 && *p == '*';
        if (!add_field(to, p, len)) {
            *ret_why = "its random range (~) has no number on one side, or is in a list";
            return NULL;
        }
        p = skip_space(end);
    }
    // In cron both day fields must hold when one of them begins with a star; here that is so for a bare star only.
    if ((starred[2] || starred[4]) && !any[2] && !any[4]) {
        *ret_why = "cron wants both of its day fields to hold, since one begins with '*'; here either is enough. Write one of them as a list "
                   "and test the other in the command";
        return NULL;
    }
    return p;
}

// Splits a command at its first bare '%': what follows is its input. "\%" is '%', further ones are ends of lines.
static void split_command(const char *p, struct buf *command, struct buf *input)
{
    bool in_input = false;
    for (; *p != '\0'; p++) {
        if (*p == '\\' && p[1] == '%')
            buf_addc(in_input ? input : command, *++p);
        else if (*p != '%')
            buf_addc(in_input ? input : command, *p);
        else if (in_input)
            buf_addc(input, '\n');
        else
            in_input = true;
    }
    if (in_input)
        buf_addc(input, '\n');
}

// What is run: in the home folder, as cron does, with the input as a here-document.
static json_t *make_command(const struct crontab_reader *reader, const char *command, const struct buf *input)
{
    struct buf script = {0};
    buf_adds(&script, "cd \"$HOME\" || exit 1\n");
    if (input->len > 0) {
        char mark[40] = "END_OF_INPUT";
        for (int i = 1; strstr(input->data, mark) != NULL; i++)
            snprintf(mark, sizeof(mark), "END_OF_INPUT_%d", i);
        buf_printf(&script, "(\n%s\n) <<'%s'\n%s%s\n", command, mark, input->data, mark);
    } else {
        buf_printf(&script, "%s\n", command);
    }
    json_t *list = json_pack("[sss]", reader->shell, "-c", script.data);
    buf_release(&script);
    return list;
}

// A word for people out of a command: the last part of its first path, else its first word that is no test or setting.
static void command_word(const char *command, struct buf *to)
{
    const char *word = NULL, *end = NULL;
    for (const char *p = skip_space(command); *p != '\0'; p = skip_space(end)) {
        end = skip_word(p);
        if (*p == '/' && end > p + 1 && memchr(p, '=', (size_t)(end - p)) == NULL && strncmp(p, "/dev/", 5) != 0) {
            word = p;
            break;
        }
        if (word == NULL && isalnum((unsigned char)*p) && memchr(p, '=', (size_t)(end - p)) == NULL)
            word = p;
    }
    if (word == NULL)
        word = "job";
    end = skip_word(word);
    while (end > word && strchr(";&|)\"'", end[-1]) != NULL)
        end--;
    for (const char *p = word; p < end; p++)
        if (*p == '/' && p + 1 < end)
            word = p + 1;
    for (const char *p = word; p < end && to->len < NAME_PART_MAX; p++)
        if (isalnum((unsigned char)*p) || *p == '.' || *p == '-' || *p == '_')
            buf_addc(to, *p);
}

// PREFIX-WORD, with a number when it was used before.
static char *make_name(struct crontab_reader *reader, const char *command)
{
    struct buf word = {0}, name = {0};
    command_word(command, &word);
    buf_printf(&name, "%s-%s", reader->options->prefix, word.len > 0 ? word.data : "job");
    json_int_t used = json_integer_value(json_object_get(reader->names, name.data)) + 1;
    json_object_set_new(reader->names, name.data, json_integer(used));
    if (used > 1)
        buf_printf(&name, "-%lld", (long long)used);
    buf_release(&word);
    return buf_detach(&name);
}

static void make_job(struct crontab_reader *reader, struct crontab_line *line, const char *schedule, const char *account, const char *p)
{
    struct buf command = {0}, input = {0};
    split_command(p, &command, &input);
    char *name = make_name(reader, command.len > 0 ? command.data : "");
    json_t *job = json_pack("{ss ss so s{ss ss} ss ss ss}", "namespace", reader->options->namespace_name != NULL ? reader->options->namespace_name : "default",
                            "name", name, "command", make_command(reader, command.data, &input), "schedule", "cron", schedule, "zone", reader->zone,
                            "overlap", "allow", "misfire", "skip", "description", p);
    must(job != NULL);
    if (json_object_size(reader->env) > 0)
        json_object_set_new(job, "env", json_deep_copy(reader->env));
    if (account != NULL)
        json_object_set_new(job, "user", json_string(account));
    line->job = job;
    reader->out->n_jobs++;
    mem_free(name);
    buf_release(&command);
    buf_release(&input);
}

static void read_entry(struct crontab_reader *reader, unsigned number, const char *p)
{
    struct crontab_line *line = line_add(reader, number);
    struct buf schedule = {0}, account = {0};
    const char *why = NULL;
    if (*p == '-') // cron of SUSE: do not log
        p++;
    p = take_schedule(p, &schedule, &why);
    if (p != NULL && strcasecmp(schedule.data, "@reboot") == 0)
        why = "@reboot has no place here: a fleet has no moment at which it starts. Let the init system of the machine start it, or call "
              "`muster start JOB` from there";
    if (why == NULL) {
        p = skip_space(p);
        if (reader->options->system) {
            const char *end = skip_word(p);
            buf_add(&account, p, (size_t)(end - p));
            p = skip_space(end);
        }
        if (*p == '\0' || *p == '%')
            why = reader->options->system ? "it has no account and command" : "it has no command";
    }
    if (why == NULL)
        make_job(reader, line, schedule.data, account.len > 0 ? account.data : NULL, p);
    else
        remark(line, "%s", why);
    line->lost = why != NULL;
    buf_release(&schedule);
    buf_release(&account);
}

static void read_line(struct crontab_reader *reader, unsigned number, const char *text)
{
    const char *p = skip_space(text);
    if (*p == '\0' || *p == '#')
        return;
    json_t *probe = json_string(p);
    if (probe == NULL) {
        struct crontab_line *line = line_add(reader, number);
        line->lost = true;
        remark(line, "it holds bytes that are no UTF-8; save the file as UTF-8");
        return;
    }
    json_decref(probe);
    struct buf name = {0}, value = {0};
    if (take_setting(p, &name, &value))
        read_setting(reader, number, name.data, value.len > 0 ? value.data : "");
    else
        read_entry(reader, number, p);
    buf_release(&name);
    buf_release(&value);
}

int crontab_parse(const char *text, size_t len, const struct crontab_options *options, struct crontab *ret, struct err *err)
{
    must(options != NULL && options->prefix != NULL && options->zone != NULL && ret != NULL);
    if (len > 0 && memchr(text, '\0', len) != NULL)
        return err_set(err, ERR_INVALID, "it is no text: it holds a byte 0");
    struct crontab out = {0};
    struct crontab_reader reader = {
        .options = options,
        .out = &out,
        .env = json_object(),
        .zone = mem_strdup(options->zone),
        .shell = mem_strdup("/bin/sh"),
        .names = json_object(),
    };
    unsigned number = 0;
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end != NULL ? (size_t)(end - (text + at)) : len - at;
        struct buf line = {0};
        buf_add(&line, text + at, line_len > 0 && text[at + line_len - 1] == '\r' ? line_len - 1 : line_len);
        if (line.len > 0)
            read_line(&reader, ++number, line.data);
        else
            number++;
        buf_release(&line);
        at += line_len + 1;
        if (out.n > LINES_MAX)
            rc = err_set(err, ERR_TOO_LARGE, "it has more than %d lines", (int)LINES_MAX);
    }
    json_decref(reader.env);
    json_decref(reader.names);
    mem_free(reader.zone);
    mem_free(reader.shell);
    if (rc < 0)
        crontab_release(&out);
    else
        *ret = out;
    return rc;
}

void crontab_release(struct crontab *crontab)
{
    for (size_t i = 0; i < crontab->n; i++) {
        json_decref(crontab->lines[i].job);
        mem_free(crontab->lines[i].remark);
    }
    mem_free(crontab->lines);
    *crontab = (struct crontab){0};
}

void crontab_print_jobs(const struct crontab *crontab, struct buf *ret)
{
    unsigned at = 1;
    for (size_t i = 0; i < crontab->n; i++) {
        const struct crontab_line *line = &crontab->lines[i];
        if (line->job == NULL)
            continue;
        for (; at < line->number; at++)
            buf_addc(ret, '\n');
        char *text = json_dumps(line->job, JSON_PRESERVE_ORDER);
        must(text != NULL);
        buf_printf(ret, "--- %s\n", text);
        at++;
        free(text);
    }
}
