// SPDX-License-Identifier: Apache-2.0
// Names, labels and variables.
#include "codec/names.h"

#include <string.h>

#include "base/assert.h"

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALNUM DIGITS LOWER UPPER

static const char *chars_problem(const char *text, size_t bytes_max, const char *chars)
{
    must(text != NULL);
    size_t len = strlen(text);
    if (len == 0)
        return "is empty";
    if (len > bytes_max)
        return "is longer than name_bytes_max allows";
    if (strspn(text, ALNUM) == 0)
        return "does not begin with a letter or digit";
    size_t good = strspn(text, chars);
    if (good == len)
        return NULL;
    return (unsigned char)text[good] < 0x80 ? "holds a character that is not allowed" : "holds a letter that is not ASCII";
}

const char *name_problem(const char *text, size_t bytes_max)
{
    return chars_problem(text, bytes_max, ALNUM "._-");
}

const char *job_name_problem(const char *text, size_t bytes_max)
{
    const char *problem = name_problem(text, bytes_max);
    if (problem == NULL && strspn(text, DIGITS) == strlen(text))
        return "has only digits and would be taken for the id of a run";
    return problem;
}

const char *label_key_problem(const char *text, size_t bytes_max)
{
    return chars_problem(text, bytes_max, ALNUM "._/-");
}

const char *label_value_problem(const char *text, size_t bytes_max)
{
    must(text != NULL);
    if (strlen(text) > bytes_max)
        return "is longer than name_bytes_max allows";
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return "holds a control character";
    return NULL;
}

const char *env_name_problem(const char *text)
{
    must(text != NULL);
    if (text[0] == '\0')
        return "is empty";
    if (strspn(text, DIGITS) > 0)
        return "begins with a digit";
    if (strspn(text, ALNUM "_") != strlen(text))
        return "holds a character that is not allowed";
    return strncmp(text, "MUSTER_", 7) == 0 ? "begins with MUSTER_, which Muster sets itself" : NULL;
}

const char *user_name_problem(const char *text)
{
    must(text != NULL);
    size_t len = strlen(text);
    if (len == 0)
        return "is empty";
    if (len > 32)
        return "is longer than 32 letters";
    if (strspn(text, LOWER "_") == 0)
        return "does not begin with a lower case letter";
    return strspn(text, LOWER DIGITS "_-") == len ? NULL : "holds a character that is not allowed";
}
