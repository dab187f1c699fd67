// SPDX-License-Identifier: Apache-2.0
// The text of a condition on the labels of a node.
#include <string.h>

#include "base/assert.h"
#include "codec/names.h"

enum { VALUES_MAX = 256 };

#define WORD_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-+:"

struct words {
    const char *p;
    struct arena *arena;
    size_t bytes_max;
    struct err *err;
};

static void skip_blanks(struct words *in)
{
    while (*in->p == ' ' || *in->p == '\t')
        in->p++;
}

// A word off the front, or NULL.
static const char *take_word(struct words *in)
{
    skip_blanks(in);
    size_t len = strspn(in->p, WORD_CHARS);
    if (len == 0)
        return NULL;
    const char *word = arena_strndup(in->arena, in->p, len);
    in->p += len;
    skip_blanks(in);
    return word;
}

static bool take_text(struct words *in, const char *text)
{
    skip_blanks(in);
    size_t len = strlen(text);
    if (strncmp(in->p, text, len) != 0)
        return false;
    in->p += len;
    skip_blanks(in);
    return true;
}

// A word, or anything in double quotes.
static int take_value(struct words *in, const char **ret)
{
    skip_blanks(in);
    const char *start = in->p;
    const char *value = NULL;
    if (*in->p == '"') {
        const char *end = strchr(in->p + 1, '"');
        if (end == NULL)
            return err_set(in->err, ERR_INVALID, "the closing quote is missing after '%.40s'", start);
        value = arena_strndup(in->arena, in->p + 1, (size_t)(end - in->p - 1));
        in->p = end + 1;
        skip_blanks(in);
    } else {
        value = take_word(in);
        if (value == NULL)
            return err_set(in->err, ERR_INVALID, "a value is missing%s%.40s", *start != '\0' ? " before " : "", start);
    }
    const char *problem = label_value_problem(value, in->bytes_max);
    if (problem != NULL)
        return err_set(in->err, ERR_INVALID, "the value '%.60s' %s", value, problem);
    *ret = value;
    return 0;
}

static int take_values(struct words *in, struct constraint *ret)
{
    const char *values[VALUES_MAX];
    size_t n = 0;
    if (!take_text(in, "("))
        return err_set(in->err, ERR_INVALID, "a list in parentheses is missing after 'in'");
    do {
        if (n == VALUES_MAX)
            return err_set(in->err, ERR_INVALID, "it lists more than %d values", (int)VALUES_MAX);
        int rc = take_value(in, &values[n]);
        if (rc < 0)
            return rc;
        n++;
    } while (take_text(in, ","));
    if (!take_text(in, ")"))
        return err_set(in->err, ERR_INVALID, "the list has no closing parenthesis");
    ret->values = arena_memdup(in->arena, values, n * sizeof(values[0]));
    ret->n_values = n;
    return 0;
}

// What follows the label.
static int take_condition(struct words *in, struct constraint *ret)
{
    bool eq = take_text(in, "==");
    if (eq || take_text(in, "!=")) {
        const char *value = NULL;
        int rc = take_value(in, &value);
        if (rc < 0)
            return rc;
        ret->op = eq ? OP_EQ : OP_NE;
        ret->values = arena_memdup(in->arena, &value, sizeof(value));
        ret->n_values = 1;
        return 0;
    }
    const char *word = take_word(in);
    ret->op = OP_IN;
    if (word != NULL && strcmp(word, "not") == 0) {
        ret->op = OP_NOT_IN;
        word = take_word(in);
    }
    if (word == NULL || strcmp(word, "in") != 0)
        return err_set(in->err, ERR_INVALID, "'%.60s' is not followed by ==, !=, in or not in", ret->label);
    return take_values(in, ret);
}

static int take_constraint(struct words *in, struct constraint *ret)
{
    const char *word = take_word(in);
    if (word == NULL)
        return err_set(in->err, ERR_INVALID, "a label is missing");
    bool is_label = *in->p == '=' || *in->p == '!';
    bool negated = !is_label && strcmp(word, "not") == 0;
    if (negated) {
        word = take_word(in);
        if (word == NULL || strcmp(word, "has") != 0)
            return err_set(in->err, ERR_INVALID, "'not' must be followed by 'has LABEL'");
    }
    if (!is_label && strcmp(word, "has") == 0) {
        ret->op = negated ? OP_NOT_EXISTS : OP_EXISTS;
        ret->label = take_word(in);
        if (ret->label == NULL)
            return err_set(in->err, ERR_INVALID, "a label is missing after 'has'");
        return 0;
    }
    ret->label = word;
    return take_condition(in, ret);
}

int constraint_parse(const char *text, size_t bytes_max, struct arena *arena, struct constraint *ret, struct err *err)
{
    must(text != NULL && arena != NULL && ret != NULL);
    struct words in = {.p = text, .arena = arena, .bytes_max = bytes_max, .err = err};
    struct constraint constraint = {0};
    int rc = take_constraint(&in, &constraint);
    if (rc < 0)
        return rc;
    const char *problem = label_key_problem(constraint.label, bytes_max);
    if (problem != NULL)
        return err_set(err, ERR_INVALID, "the label '%.60s' %s", constraint.label, problem);
    if (*in.p != '\0')
        return err_set(err, ERR_INVALID, "'%.40s' is left over at its end", in.p);
    *ret = constraint;
    return 0;
}

static void put_value(struct buf *out, const char *value)
{
    bool word = value[0] != '\0' && strspn(value, WORD_CHARS) == strlen(value);
    buf_printf(out, word ? "%s" : "\"%s\"", value);
}

void constraint_format(struct buf *out, const struct constraint *constraint)
{
    must(out != NULL && constraint != NULL && constraint->label != NULL);
    switch (constraint->op) {
    case OP_EXISTS:
    case OP_NOT_EXISTS:
        buf_printf(out, "%s %s", constraint_op_text(constraint->op), constraint->label);
        return;
    case OP_EQ:
    case OP_NE:
        must(constraint->n_values == 1);
        buf_printf(out, "%s %s ", constraint->label, constraint_op_text(constraint->op));
        put_value(out, constraint->values[0]);
        return;
    case OP_IN:
    case OP_NOT_IN:
        buf_printf(out, "%s %s (", constraint->label, constraint_op_text(constraint->op));
        for (size_t i = 0; i < constraint->n_values; i++) {
            buf_adds(out, i > 0 ? ", " : "");
            put_value(out, constraint->values[i]);
        }
        buf_addc(out, ')');
        return;
    }
    unreachable();
}
